//! A CKB chain inside the process, for tests, demonstrations and `--dev`.
//!
//! It runs the node's own verification (cells, capacities, time locks, scripts in CKB-VM, fees)
//! over tables in memory, and its own pool, blocks, index and JSON-RPC over that. It is no node: it
//! has no peers, no proof of work, no uncles and no disk. The invariant: what it accepts and
//! refuses, and why, is what a real node accepts and refuses; one list of tests and one
//! differential test hold it to that.
//!
//! ```
//! use perun_backend_ckb::rpc::{DevControl, Rpc};
//! use perun_embedded_ckb::{Chain, Genesis};
//!
//! let chain = Chain::new(&Genesis::dev()?);
//! chain.mine(3)?;
//! assert_eq!(chain.tip_header()?.number(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assembly;
mod chain;
mod forward;
mod genesis;
mod index;
mod ledger;
mod pool;
#[cfg(feature = "real-node")]
pub mod real_node;
mod refusal;
mod reward;
mod rpc;
mod server;
mod state;
pub mod testkit;
#[cfg(feature = "well-known")]
pub mod well_known;

pub use chain::{BLOCK_INTERVAL_MS, Chain, Commit, MINER_ARGS, Options, START_MS};
pub use genesis::{Deployed, Genesis, GenesisBuilder, GenesisError, MESSAGE};
pub use server::{Server, serve};
pub use state::TRANSACTION_CYCLES_MAX;
