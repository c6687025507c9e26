//! The chain's insides: blocks, pool, clock and snapshots, and the steps that change them.
//!
//! The invariant: every method is one step that either happens or is refused and changes nothing;
//! mining many blocks is as many steps.

use crate::assembly::{Assembled, assemble};
use crate::chain::Dropped;
use crate::checks;
use crate::execute::Rules;
use crate::ledger::{Block, Ledger};
use crate::meter::GasParts;
use crate::options::Options;
use crate::pool::Pool;
use crate::refusal::Refusal;
use alloy_consensus::transaction::Recovered;
use alloy_consensus::{Transaction, TxEnvelope};
use alloy_primitives::B256;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most blocks that one call may mine.
const BLOCKS_MAX: u64 = 100_000;

#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) ledger: Ledger,
    pub(crate) pool: Pool,
    /// What time it is, in seconds.
    pub(crate) clock: u64,
    /// By how much tools have moved the clock.
    pub(crate) moved: u64,
    next_timestamp: Option<u64>,
    forced_base_fee: Option<u64>,
    /// How often the chain went back: blocks of different branches have different hashes.
    pub(crate) branch: u64,
    snapshots: BTreeMap<u64, Arc<Self>>,
    next_snapshot: u64,
}

impl State {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            ledger: Ledger::new(&options),
            pool: Pool::default(),
            clock: options.genesis_time,
            moved: 0,
            next_timestamp: None,
            forced_base_fee: None,
            branch: 0,
            snapshots: BTreeMap::new(),
            next_snapshot: 1,
            options,
        }
    }

    /// The time of the next block.
    pub(crate) fn next_time(&self) -> u64 {
        let parent = self.ledger.head().header.timestamp;
        self.next_timestamp.unwrap_or_else(|| {
            self.clock.max(parent.saturating_add(self.options.block_interval.max(1)))
        })
    }

    /// The base fee of the next block.
    pub(crate) fn next_base_fee(&self) -> u64 {
        self.forced_base_fee.unwrap_or_else(|| self.ledger.head().next_base_fee())
    }

    pub(crate) fn force_base_fee(&mut self, base_fee: u64) {
        self.forced_base_fee = Some(base_fee);
    }

    pub(crate) fn set_next_timestamp(&mut self, timestamp: u64) -> Result<(), Refusal> {
        self.check_timestamp(timestamp)?;
        self.next_timestamp = Some(timestamp);
        Ok(())
    }

    pub(crate) fn check_timestamp(&self, timestamp: u64) -> Result<(), Refusal> {
        let parent = self.ledger.head().header.timestamp;
        if timestamp > parent {
            return Ok(());
        }
        let what = format!("timestamp {timestamp} is not after the newest block's, {parent}");
        Err(Refusal::params(what))
    }

    pub(crate) fn advance(&mut self, seconds: u64) -> Result<(), Refusal> {
        let head = self.ledger.head().header.timestamp;
        let moved = self.clock.max(head).checked_add(seconds);
        let what = || Refusal::params(format!("{seconds} seconds are past the end of time"));
        self.clock = moved.ok_or_else(what)?;
        self.moved = self.moved.saturating_add(seconds);
        Ok(())
    }

    pub(crate) fn mine_every(&mut self, blocks: u64, seconds: Option<u64>) -> Result<(), Refusal> {
        if blocks > BLOCKS_MAX {
            let what = format!("{blocks} blocks at once; {BLOCKS_MAX} at most");
            return Err(Refusal::params(what));
        }
        for _ in 0..blocks {
            if let Some(seconds) = seconds {
                let head = self.ledger.head().header.timestamp;
                self.set_next_timestamp(head.saturating_add(seconds))?;
            }
            self.mine_one()?;
        }
        Ok(())
    }

    pub(crate) fn mine_one(&mut self) -> Result<(), Refusal> {
        let timestamp = self.next_time();
        // Only at the end of time, or after a block was added behind an announced time.
        self.check_timestamp(timestamp)?;
        let Assembled { block, world, hopeless } = assemble(self, timestamp);
        self.next_timestamp = None;
        self.forced_base_fee = None;
        self.clock = self.clock.max(timestamp);
        for hash in hopeless {
            self.pool.remove(&hash);
        }
        self.ledger.push(block, world);
        self.forget_used();
        Ok(())
    }

    /// The block that would be next, and the state after it.
    pub(crate) fn pending(&self) -> Assembled {
        assemble(self, self.next_time())
    }

    /// Where the gas of a transaction would go in the next block, alone in it.
    pub(crate) fn gas_parts(&self, raw: &[u8]) -> Result<GasParts, Refusal> {
        let tx = checks::decode(raw, self.options.limits.transaction_bytes)?;
        let tx = checks::admit(self, tx)?.tx;
        let Assembled { block, .. } = self.pending();
        let height = self.ledger.height();
        let view = self.ledger.view_at(height).ok_or_else(|| Refusal::params("no state"))?;
        let parts = Rules::from(&self.options).meter(&block.header, &view, &tx);
        parts.map_err(|error| Refusal::refused(error.to_string()))
    }

    fn forget_used(&mut self) {
        let senders: Vec<_> = self.pool.senders().copied().collect();
        for sender in senders {
            let nonce = self.ledger.world().nonce(&sender);
            self.pool.forget_used(&sender, nonce);
        }
    }

    pub(crate) fn send(&mut self, raw: &[u8]) -> Result<B256, Refusal> {
        let tx = checks::decode(raw, self.options.limits.transaction_bytes)?;
        let hash = self.add(tx)?;
        if self.options.auto_mine {
            self.mine_one()?;
        }
        Ok(hash)
    }

    fn add(&mut self, tx: TxEnvelope) -> Result<B256, Refusal> {
        let admission = checks::admit(self, tx)?;
        if let Some(evict) = admission.evict {
            self.pool.remove(&evict);
        }
        let hash = *admission.tx.tx_hash();
        self.pool.insert(admission.tx);
        Ok(hash)
    }

    /// Goes back to an earlier block.
    pub(crate) fn rewind(&mut self, number: u64, dropped: Dropped) -> Result<(), Refusal> {
        if number > self.ledger.height() {
            let what = format!("there is no block {number} to go back to");
            return Err(Refusal::params(what));
        }
        let kept = self.options.limits.states;
        let Some(blocks) = self.ledger.rewind(number) else {
            let what = format!("block {number} is more than {kept} blocks back");
            return Err(Refusal::params(what));
        };
        self.branch = self.branch.saturating_add(1);
        self.next_timestamp = None;
        self.forced_base_fee = None;
        if dropped == Dropped::ToPool {
            self.refill(&blocks);
        }
        Ok(())
    }

    /// What was in blocks comes before what waited, as it came before.
    fn refill(&mut self, blocks: &[Arc<Block>]) {
        let waited = self.pool.by_arrival();
        self.pool.clear();
        let mined = blocks.iter().flat_map(|block| block.transactions.iter());
        let all: Vec<Recovered<TxEnvelope>> =
            mined.cloned().chain(waited.iter().map(|entry| entry.tx.clone())).collect();
        for tx in all {
            // Not through the door for strangers: these were let in before, and one that can no
            // longer be mined falls out when a block is made.
            let taken = self.pool.at(&tx.signer(), tx.nonce()).is_some();
            if !taken && self.pool.len() < self.options.limits.pool {
                self.pool.insert(tx);
            }
        }
        self.forget_used();
    }

    pub(crate) fn snapshot(&mut self) -> Result<u64, Refusal> {
        let most = self.options.limits.snapshots;
        if self.snapshots.len() >= most {
            return Err(Refusal::new(Refusal::LIMIT, format!("{most} snapshots at most")));
        }
        let id = self.next_snapshot;
        self.next_snapshot = self.next_snapshot.saturating_add(1);
        let copy = Self { snapshots: BTreeMap::new(), ..self.clone() };
        self.snapshots.insert(id, Arc::new(copy));
        Ok(id)
    }

    /// Goes back to a snapshot, which is used up by that, as are all later ones.
    pub(crate) fn revert(&mut self, id: u64) -> bool {
        let Some(found) = self.snapshots.get(&id).cloned() else { return false };
        let mut snapshots = std::mem::take(&mut self.snapshots);
        drop(snapshots.split_off(&id));
        let (next_snapshot, branch) = (self.next_snapshot, self.branch.saturating_add(1));
        *self = Self { snapshots, next_snapshot, branch, ..Self::clone(&found) };
        true
    }
}
