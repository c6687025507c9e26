//! Channels on a chain: the real scripts, the node's verification, balances to the shannon.

mod exits;
mod fees;
mod junk;
mod lies;
mod owners;
mod payouts;
mod ransom;
mod shared;
mod swaps;
mod world;
