//! Perun channels on Nervos CKB: how the protocol's facts are read from that chain and written to
//! it.
//!
//! This crate holds what touches CKB off chain. It is not the on-chain program, and it holds no
//! chain of its own: everything goes through [`rpc::Rpc`], which a real node and the chain in
//! `perun-embedded-ckb` both answer. The invariant: nothing read through it is believed because one
//! node said so once; what has money in it waits for the depth its caller asks for.

pub mod balance;
pub mod batch;
pub mod cells;
pub mod channel;
pub mod deployment;
pub mod dispute;
mod error;
pub mod fees;
pub mod follow;
pub mod funding;
pub mod money;
pub mod open;
pub mod payout;
pub mod precheck;
pub mod purse;
pub mod rpc;
pub mod tx;
pub mod wallet;

pub use deployment::Deployment;
pub use error::{Error, Fault};
