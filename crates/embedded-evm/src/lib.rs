//! An EVM chain inside the process, for tests, demonstrations and `--dev`.
//!
//! Transactions run in `revm`, envelopes, receipts and roots are alloy's, and around them are a
//! pool, blocks and Ethereum's JSON-RPC with the words that a real node uses. It is no node: no
//! peers, no consensus, no uncles, no disk, no thread and no clock but the one that a test sets.
//! The invariant: what an alloy provider sees over [`EvmTransport`] is what it would see over HTTP
//! from a node in the same state.
//!
//! ```
//! use perun_embedded_evm::{Chain, Options};
//!
//! let chain = Chain::new(Options::dev());
//! chain.mine(3)?;
//! assert_eq!(chain.head().number, 3);
//! # Ok::<(), perun_embedded_evm::Refusal>(())
//! ```

pub mod anvil;
mod assembly;
mod chain;
mod checks;
mod execute;
mod faults;
mod ledger;
mod meter;
mod options;
mod pool;
mod refusal;
mod rpc;
mod server;
mod state;
pub mod testkit;
mod transport;
mod world;

pub use chain::{Chain, Dropped, Head};
pub use faults::{Fault, Faults};
pub use meter::GasParts;
pub use options::{Hardfork, Limits, Options};
pub use refusal::Refusal;
pub use server::{Server, serve};
pub use transport::EvmTransport;
