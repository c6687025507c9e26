//! The few calls of a CKB node that the project uses, as one trait with two implementations.
//!
//! [`Rpc`] is what any node offers; [`DevControl`] is what a test chain offers on top: blocks and
//! time on demand, and reorganisations. [`HttpRpc`] speaks to a real node over JSON-RPC; the chain
//! inside the process is in `perun-embedded-ckb`. This module does not sign, select cells or retry.
//!
//! The invariant: the same call on the same chain state gives the same answer and the same class of
//! [`RpcError`] on every implementation, since one list of conformance tests runs over all of them.
//!
//! ```no_run
//! use perun_backend_ckb::rpc::{HttpRpc, Rpc, RpcError};
//!
//! fn height(url: &str) -> Result<u64, RpcError> {
//!     Ok(HttpRpc::new(url)?.tip_header()?.number())
//! }
//! ```

mod dev;
mod error;
mod http;
mod transport;
mod wire;

pub use dev::{DevControl, MEDIAN_TIME_BLOCKS, MEDIAN_TIME_MAJORITY};
pub use error::{GroupKind, RpcError, ScriptSource};
pub use http::HttpRpc;
pub use wire::expressible;

use ckb_types::{
    bytes::Bytes,
    core::{BlockView, HeaderView, TransactionView},
    packed::{Byte32, CellOutput, OutPoint, Script},
    prelude::Entity,
};

/// Most rows one page of [`Rpc::cells`] or [`Rpc::transactions`] may ask for.
///
/// A page of cells carries their data, so the bound keeps a reply well under the transport's own.
pub const PAGE_LIMIT_MAX: u32 = 1_000;

/// The fee rate below which no node takes a transaction, in shannons for each 1,000 bytes.
pub const FEE_RATE_MIN: u64 = 1_000;

/// A CKB node, as far as this project needs one. Calls block; share it as `Arc<dyn Rpc>`.
pub trait Rpc: Send + Sync {
    /// The chain's name in its spec, and its first block: what tells one chain from another.
    fn chain(&self) -> Result<ChainIdentity, RpcError>;

    /// The header of the best block.
    fn tip_header(&self) -> Result<HeaderView, RpcError>;

    /// The header at this height of the best chain, or nothing above the tip.
    fn header_by_number(&self, number: u64) -> Result<Option<HeaderView>, RpcError>;

    /// The header with this hash. A block that a reorganisation removed may be unknown.
    fn header_by_hash(&self, hash: &Byte32) -> Result<Option<HeaderView>, RpcError>;

    /// The whole block at this height of the best chain, or nothing above the tip.
    fn block_by_number(&self, number: u64) -> Result<Option<BlockView>, RpcError>;

    /// The whole block with this hash.
    fn block_by_hash(&self, hash: &Byte32) -> Result<Option<BlockView>, RpcError>;

    /// Hands a transaction to the node's pool. `Ok` means pending, not committed.
    fn send_transaction(&self, tx: &TransactionView) -> Result<Byte32, RpcError>;

    /// What the node knows of a transaction. An unknown one is an answer, not an error.
    fn transaction(&self, hash: &Byte32) -> Result<TransactionLookup, RpcError>;

    /// The cell, if it is live in this view.
    fn live_cell(&self, out_point: &OutPoint, view: View) -> Result<Option<Cell>, RpcError>;

    /// Live committed cells under exactly this script, oldest first.
    fn cells(
        &self,
        key: &SearchKey,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<IndexedCell>, RpcError>;

    /// Every committed input and output under exactly this script, oldest first.
    fn transactions(
        &self,
        key: &SearchKey,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Touch>, RpcError>;

    /// The block up to which [`Rpc::cells`] and [`Rpc::transactions`] answer. It trails the tip.
    fn index_tip(&self) -> Result<BlockId, RpcError>;

    /// The hashes of all transactions in the pool. Fetch them with [`Rpc::transaction`].
    fn pool(&self) -> Result<Vec<Byte32>, RpcError>;

    /// A fee rate that should be committed soon, in shannons for each 1,000 bytes; never below
    /// [`FEE_RATE_MIN`], and exactly that if the node has no estimate.
    fn fee_rate(&self) -> Result<u64, RpcError>;

    /// The cycles that the transaction's scripts take at the tip. Spent inputs are allowed, inputs
    /// that are only pending are not.
    fn estimate_cycles(&self, tx: &TransactionView) -> Result<u64, RpcError>;
}

/// What names a chain.
#[derive(Clone, Debug)]
pub struct ChainIdentity {
    /// The name in the chain's spec: `ckb`, `ckb_testnet`, `ckb_dev`.
    pub name: String,
    /// Block 0. Its hash is the chain's identity, its outputs are the system cells.
    pub genesis: BlockView,
}

/// A block's place on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlockId {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: Byte32,
}

/// What the node knows of one transaction.
#[derive(Clone, Debug)]
pub struct TransactionLookup {
    /// Where it stands.
    pub status: TransactionStatus,
    /// The transaction, while the node keeps it: in the pool or committed.
    pub transaction: Option<TransactionView>,
    /// The cycles its scripts took.
    pub cycles: Option<u64>,
    /// While it is pending: the fee another one must pay to take its place, in shannons. Nodes do
    /// not say it of a proposed one, though that can be replaced too.
    pub replace_fee_min: Option<u64>,
}

/// Where a transaction stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// In the pool, not yet ready to be committed.
    Pending,
    /// In the pool, announced in a block: a next block may commit it.
    Proposed,
    /// In this block of the best chain, at this place in the block.
    Committed {
        /// The block.
        block: BlockId,
        /// Its index in the block; the cellbase is 0.
        index: u32,
    },
    /// Refused or thrown out lately, in the node's words. It may still be sent again.
    Rejected(String),
    /// Never seen, forgotten, or removed by a reorganisation.
    Unknown,
}

/// Which cells count as live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Those of the committed chain.
    Chain,
    /// Those left after everything in the pool: its outputs are there, its inputs are gone.
    WithPool,
}

/// A live cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The output that made it.
    pub out_point: OutPoint,
    /// Capacity, lock and type.
    pub output: CellOutput,
    /// Its data.
    pub data: Bytes,
}

/// A live cell with the place where it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedCell {
    /// The cell.
    pub cell: Cell,
    /// The height of the block that made it.
    pub block_number: u64,
    /// The index of the transaction in that block.
    pub tx_index: u32,
}

/// Which cells to look for: those with exactly this script in this place. Anybody can put any
/// number of cells under any lock, so a search for one certain cell should say more of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SearchKey {
    /// The script, compared as a whole.
    pub script: Script,
    /// Whether it is the cells' lock or their type.
    pub kind: GroupKind,
    /// If there is one, only cells whose other script (the type, if the lock is searched) is it.
    pub other: Option<Script>,
    /// If there are some, only cells with this capacity and this data. Not for histories.
    pub contents: Option<(u64, Bytes)>,
}

impl SearchKey {
    /// Cells locked by this script.
    #[must_use]
    pub fn lock(script: Script) -> Self {
        Self { script, kind: GroupKind::Lock, other: None, contents: None }
    }

    /// Cells typed by this script.
    #[must_use]
    pub fn type_(script: Script) -> Self {
        Self { script, kind: GroupKind::Type, other: None, contents: None }
    }

    /// Only cells with this other script as well.
    #[must_use]
    pub fn and(self, other: Script) -> Self {
        Self { other: Some(other), ..self }
    }

    /// Only cells with this capacity and data.
    #[must_use]
    pub fn holding(self, capacity: u64, data: Bytes) -> Self {
        Self { contents: Some((capacity, data)), ..self }
    }

    /// Refuses a search for contents: a history is of scripts.
    pub fn check_history(&self) -> Result<(), RpcError> {
        match self.contents {
            None => Ok(()),
            Some(_) => Err(RpcError::Misuse("a history of cells by their contents".to_owned())),
        }
    }

    /// Whether a cell is one of those looked for.
    #[must_use]
    pub fn fits(&self, cell: &Cell) -> bool {
        let (lock, kind) = (Some(cell.output.lock()), cell.output.type_().to_opt());
        let (searched, other) = match self.kind {
            GroupKind::Lock => (lock, kind),
            GroupKind::Type => (kind, lock),
        };
        let same = |one: &Option<Script>, wanted: &Script| {
            one.as_ref().is_some_and(|one| one.as_slice() == wanted.as_slice())
        };
        let capacity: u64 = cell.output.capacity().into();
        same(&searched, &self.script)
            && self.other.as_ref().is_none_or(|wanted| same(&other, wanted))
            && self.contents.as_ref().is_none_or(|wanted| *wanted == (capacity, cell.data.clone()))
    }
}

/// Where the next page starts. Opaque: only the node that gave it can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub Bytes);

/// One page of an index.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// At most the number of rows that were asked for.
    pub rows: Vec<T>,
    /// What to pass on for the rows after these; nothing if there are no more.
    pub next: Option<Cursor>,
}

/// One input or output of a committed transaction under the script that was searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The transaction.
    pub tx_hash: Byte32,
    /// The height of its block.
    pub block_number: u64,
    /// Its index in that block.
    pub tx_index: u32,
    /// Whether the cell was spent or made.
    pub side: Side,
    /// The index among the transaction's inputs or outputs.
    pub index: u32,
}

/// A side of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Cells it spends.
    Input,
    /// Cells it makes.
    Output,
}

impl<T: Rpc + ?Sized> Rpc for std::sync::Arc<T> {
    fn chain(&self) -> Result<ChainIdentity, RpcError> {
        (**self).chain()
    }
    fn tip_header(&self) -> Result<HeaderView, RpcError> {
        (**self).tip_header()
    }
    fn header_by_number(&self, number: u64) -> Result<Option<HeaderView>, RpcError> {
        (**self).header_by_number(number)
    }
    fn header_by_hash(&self, hash: &Byte32) -> Result<Option<HeaderView>, RpcError> {
        (**self).header_by_hash(hash)
    }
    fn block_by_number(&self, number: u64) -> Result<Option<BlockView>, RpcError> {
        (**self).block_by_number(number)
    }
    fn block_by_hash(&self, hash: &Byte32) -> Result<Option<BlockView>, RpcError> {
        (**self).block_by_hash(hash)
    }
    fn send_transaction(&self, tx: &TransactionView) -> Result<Byte32, RpcError> {
        (**self).send_transaction(tx)
    }
    fn transaction(&self, hash: &Byte32) -> Result<TransactionLookup, RpcError> {
        (**self).transaction(hash)
    }
    fn live_cell(&self, out_point: &OutPoint, view: View) -> Result<Option<Cell>, RpcError> {
        (**self).live_cell(out_point, view)
    }
    fn cells(
        &self,
        key: &SearchKey,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<IndexedCell>, RpcError> {
        (**self).cells(key, after, limit)
    }
    fn transactions(
        &self,
        key: &SearchKey,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Touch>, RpcError> {
        (**self).transactions(key, after, limit)
    }
    fn index_tip(&self) -> Result<BlockId, RpcError> {
        (**self).index_tip()
    }
    fn pool(&self) -> Result<Vec<Byte32>, RpcError> {
        (**self).pool()
    }
    fn fee_rate(&self) -> Result<u64, RpcError> {
        (**self).fee_rate()
    }
    fn estimate_cycles(&self, tx: &TransactionView) -> Result<u64, RpcError> {
        (**self).estimate_cycles(tx)
    }
}
