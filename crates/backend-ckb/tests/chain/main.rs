//! Channels on a chain: the real scripts, the node's verification, balances to the shannon.

mod exits;
mod fees;
mod owners;
mod payouts;
mod shared;
mod world;
