//! Perun channels on Ethereum: how the protocol's facts are read from that chain and written to it.
//!
//! This crate holds what touches Ethereum off chain. It is not the contracts, and it holds no chain
//! of its own: everything goes through [`rpc::Rpc`], which a real node and an embedded chain both
//! answer. It holds no channel state either: forgetting everything and reading the chain anew is
//! safe. The invariant: nothing read through it is believed because one node said so once; what has
//! money in it waits for the depth that its value asks for.
//!
//! | module | what it does | knows IO |
//! |---|---|---|
//! | [`abi`] | the contracts' interface, conversions, signed messages | no |
//! | [`deployment`] | which contracts on which chain, and whether they are the right ones | yes |
//! | [`fees`] | what a transaction should offer | no |
//! | [`sender`] | the wallet's transactions, until they are buried | its `book` does not |
//! | [`follow`] | how watched channels stand | its `chain`, `depth`, `standing` do not |
//! | [`orders`] | deposit, register, close, conclude, withdraw: each may be repeated | yes |
//!
//! ```
//! use alloy_primitives::U256;
//! use perun_backend_evm::fees::{FeeHistory, quote};
//!
//! let history = FeeHistory { next_base_fee: 10, tips: vec![3, 1, 2] };
//! let fees = quote(&history, 1_000)?;
//! assert_eq!((fees.max_fee, fees.tip), (22, 2));
//! # Ok::<(), perun_backend_evm::Error>(())
//! ```

pub mod abi;
pub mod account;
pub mod deployment;
mod error;
pub mod fees;
pub mod follow;
pub mod orders;
pub mod revert;
pub mod rpc;
pub mod sender;

pub use deployment::Deployment;
pub use error::Error;
