//! Stories of two machines: what each rule of the protocol is for, and what happens when the other
//! side, the network, the disk or the ledger misbehaves.

mod keys;
mod ledger;
mod net;
mod pair;
mod rules;
mod span;
mod swaps;
mod vault;

mod cancelling;
mod claiming;
mod crashing;
mod disputing;
mod doubting;
mod encoding;
mod enduring;
mod exchanging;
mod founding;
mod goperun;
mod hostile;
mod hostile_opening;
mod opening;
mod paying;
mod phases;
mod refusing;
mod resizing;
mod silence;
mod snapshots;
mod spanning;
mod swapping;
mod veiling;
mod watching;
