//! A swap on the ledgers: secrets that show late, old states on one side, and what is taken back.
