//! The follower on the embedded chain, with the real scripts.
//!
//! Transactions are built by hand here, from the verdict's own encoders, so that the follower is
//! held against the chain's rules and not against this crate's builders. Everything is seeded;
//! nothing sleeps.

mod batch;
mod crash;
mod faulty;
mod junk;
mod lies;
mod life;
mod reorg;
mod scene;
