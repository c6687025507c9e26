//! One block as the follower accepts it: only if its parts fit together.
//!
//! It does not check proof of work; which chain is the best one is the node's word. The invariant:
//! the transactions and witnesses of a [`Block`] are all of those that its hash commits to, so
//! nobody can leave one out or change a witness without changing the hash.

use super::Inconsistency;
use ckb_types::{
    core::{BlockView, HeaderView, TransactionView},
    packed::Byte32,
};

/// A block's place and time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlockStamp {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: Byte32,
    /// Its own time in milliseconds; deadlines count from it.
    pub timestamp_ms: u64,
}

/// A checked block: a header, and its transactions if they were read.
#[derive(Clone, Debug)]
pub struct Block {
    pub(super) stamp: BlockStamp,
    pub(super) parent: Byte32,
    pub(super) transactions: Vec<TransactionView>,
}

impl Block {
    /// The block at this height, with all transactions.
    pub fn new(number: u64, view: &BlockView) -> Result<Self, Inconsistency> {
        if view.calc_transactions_root() != view.transactions_root() {
            return Err(Inconsistency::Transactions { number });
        }
        let transactions = view.transactions();
        Ok(Self { transactions, ..Self::quiet(number, &view.header())? })
    }

    /// The block at this height, of which it is known from elsewhere that no watched channel is in
    /// it.
    pub fn quiet(number: u64, header: &HeaderView) -> Result<Self, Inconsistency> {
        if header.number() != number {
            return Err(Inconsistency::Number { asked: number, got: header.number() });
        }
        if header.data().as_reader().calc_header_hash() != header.hash() {
            return Err(Inconsistency::HeaderHash { number });
        }
        let (hash, timestamp_ms) = (header.hash(), header.timestamp());
        let stamp = BlockStamp { number, hash, timestamp_ms };
        Ok(Self { stamp, parent: header.parent_hash(), transactions: Vec::new() })
    }

    /// Its place and time.
    #[must_use]
    pub const fn stamp(&self) -> &BlockStamp {
        &self.stamp
    }
}
