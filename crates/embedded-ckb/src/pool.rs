//! Transactions that wait for a block, and the pool's rules on which may wait together.
//!
//! The pool knows who spends what and who depends on whom; it runs no script. Its rules and their
//! numbers are those of the node's default configuration. One difference is known: what is replaced
//! is gone here, while a real miner may still commit it once it was announced. The invariant: no
//! two entries spend the same cell, and every cell that an entry takes from the pool is made by
//! another.

use crate::ledger::{Cost, Ledger};
use ckb_types::{
    core::{
        Capacity, FeeRate, TransactionView,
        cell::{
            CellMeta, CellMetaBuilder, CellProvider, CellStatus, OverlayCellProvider,
            ResolvedTransaction, resolve_transaction,
        },
        error::OutPointError,
        tx_pool::Reject,
    },
    packed::{Byte32, OutPoint, ProposalShortId},
};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Below this fee rate nothing enters the pool. The node's default, in shannons for 1,000 bytes.
pub(crate) const FEE_RATE_MIN: FeeRate = FeeRate::from_u64(perun_backend_ckb::rpc::FEE_RATE_MIN);

/// What a replacement pays for its own size, on top of what it replaces. The node's default.
pub(crate) const REPLACE_RATE_MIN: FeeRate = FeeRate::from_u64(1_500);

/// Longest chain of unconfirmed transactions, the last one included. The node takes the larger of
/// its built-in 1,000 and the 25 of its configuration file.
const CHAIN_LENGTH_MAX: usize = 1_000;

/// Most transactions that one replacement may push out. The node's rule.
const REPLACED_MAX: usize = 100;

/// Most bytes of transactions in the pool. The node's default.
pub(crate) const POOL_BYTES_MAX: u64 = 180_000_000;

/// How far a waiting transaction is. A block announces it, and two blocks later one may commit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not announced, or too long ago.
    Fresh,
    /// Announced by the last block.
    Gap,
    /// The next block may commit it.
    Ready,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) resolved: Arc<ResolvedTransaction>,
    pub(crate) cost: Cost,
    pub(crate) size: u64,
    pub(crate) stage: Stage,
    arrival: u64,
    parents: HashSet<ProposalShortId>,
    children: HashSet<ProposalShortId>,
}

impl Entry {
    pub(crate) fn new(
        resolved: Arc<ResolvedTransaction>,
        cost: Cost,
        size: u64,
        stage: Stage,
    ) -> Self {
        let (parents, children) = (HashSet::new(), HashSet::new());
        Self { resolved, cost, size, stage, arrival: 0, parents, children }
    }

    pub(crate) fn tx(&self) -> &TransactionView {
        &self.resolved.transaction
    }

    fn fee_rate(&self) -> FeeRate {
        FeeRate::calculate(self.cost.fee, self.size)
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    entries: HashMap<ProposalShortId, Entry>,
    spenders: HashMap<OutPoint, ProposalShortId>,
    /// Who depends on a cell without spending it.
    readers: HashMap<OutPoint, HashSet<ProposalShortId>>,
    arrivals: u64,
    bytes: u64,
}

impl Pool {
    pub(crate) fn get(&self, id: &ProposalShortId) -> Option<&Entry> {
        self.entries.get(id)
    }

    pub(crate) fn get_by_hash(&self, hash: &Byte32) -> Option<&Entry> {
        let entry = self.entries.get(&ProposalShortId::from_tx_hash(hash))?;
        (&entry.tx().hash() == hash).then_some(entry)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All entries in the order in which they came.
    pub(crate) fn by_arrival(&self) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> = self.entries.values().collect();
        entries.sort_unstable_by_key(|entry| entry.arrival);
        entries
    }

    /// Entries that no block has announced lately, best fee rate first.
    pub(crate) fn fresh(&self, limit: usize) -> Vec<ProposalShortId> {
        let fresh = self.by_fee_rate().into_iter().filter(|entry| entry.stage == Stage::Fresh);
        fresh.take(limit).map(|entry| entry.tx().proposal_short_id()).collect()
    }

    /// Entries by fee rate, but each one after all it builds on.
    pub(crate) fn by_fee_rate(&self) -> Vec<&Entry> {
        let mut best: Vec<&Entry> = self.by_arrival();
        best.sort_by_key(|entry| std::cmp::Reverse(entry.fee_rate()));
        let mut taken = HashSet::new();
        let mut ordered = Vec::with_capacity(best.len());
        for entry in best {
            let mut group = self.ancestors(&entry.parents);
            group.insert(entry.tx().proposal_short_id());
            let mut group: Vec<&Entry> = group
                .iter()
                .filter(|&id| taken.insert(id.clone()))
                .filter_map(|id| self.get(id))
                .collect();
            // Whoever builds on another came later.
            group.sort_unstable_by_key(|entry| entry.arrival);
            ordered.extend(group);
        }
        ordered
    }

    /// Resolves what a transaction refers to, on the chain and in the pool. With `replace`, cells
    /// that the pool spends count as live.
    pub(crate) fn resolve(
        &self,
        tx: &TransactionView,
        ledger: &Ledger,
        replace: bool,
    ) -> Result<Arc<ResolvedTransaction>, Reject> {
        let waiting = Waiting { pool: self, replace };
        let provider = OverlayCellProvider::new(&waiting, ledger);
        resolve_transaction(tx.clone(), &mut HashSet::new(), &provider, ledger)
            .map(Arc::new)
            .map_err(Reject::Resolve)
    }

    /// The cell as it is after everything in the pool.
    pub(crate) fn cell(&self, out_point: &OutPoint, ledger: &Ledger) -> CellStatus {
        OverlayCellProvider::new(&Waiting { pool: self, replace: false }, ledger)
            .cell(out_point, true)
    }

    /// The entries that spend what this transaction spends.
    pub(crate) fn conflicts(&self, tx: &TransactionView) -> HashSet<ProposalShortId> {
        tx.input_pts_iter().filter_map(|input| self.spenders.get(&input).cloned()).collect()
    }

    /// Whether the transaction may take the place of those it conflicts with. The numbers are the
    /// node's: it knows rule 1 as "replacement is on".
    pub(crate) fn check_replacement(
        &self,
        tx: &TransactionView,
        fee: Capacity,
        size: u64,
        ledger: &Ledger,
    ) -> Result<HashSet<ProposalShortId>, Reject> {
        let refuse = |text: &str| Err(Reject::RBFRejected(text.to_owned()));
        let conflicts = self.conflicts(tx);
        if conflicts.is_empty() {
            return Ok(conflicts);
        }
        // Rule 2: no unconfirmed input that the replaced ones did not have.
        let replaced_inputs: HashSet<OutPoint> = conflicts
            .iter()
            .filter_map(|id| self.get(id))
            .flat_map(|it| it.tx().input_pts_iter())
            .collect();
        let known = |input: &OutPoint| {
            replaced_inputs.contains(input) || ledger.is_committed(&input.tx_hash())
        };
        if !tx.input_pts_iter().all(|input| known(&input)) {
            return refuse("new Tx contains unconfirmed inputs");
        }
        // Rule 5: not too many at once.
        let removed = self.with_descendants(&conflicts);
        if removed.len() > REPLACED_MAX {
            return refuse(&format!(
                "Tx conflict with too many txs, conflict txs count: {}, expect <= {REPLACED_MAX}",
                removed.len()
            ));
        }
        let hashes: HashSet<Byte32> =
            removed.iter().filter_map(|id| self.get(id)).map(|entry| entry.tx().hash()).collect();
        if tx.input_pts_iter().any(|input| hashes.contains(&input.tx_hash())) {
            return refuse("new Tx contains inputs in descendants of to be replaced Tx");
        }
        if tx.cell_deps_iter().any(|dep| hashes.contains(&dep.out_point().tx_hash())) {
            return refuse("new Tx contains cell deps from conflicts");
        }
        // Rules 3 and 4: it pays for all it removes, and for its own size.
        let least = self.replace_fee(&removed, size);
        if fee.as_u64() < least {
            return refuse(&format!(
                "Tx's current fee is {}, expect it to >= {least} to replace old txs",
                fee.as_u64()
            ));
        }
        Ok(conflicts)
    }

    /// The fee that a transaction of the same size must pay to take this entry's place.
    pub(crate) fn replace_fee_min(&self, id: &ProposalShortId) -> Option<u64> {
        let size = self.get(id)?.size;
        Some(self.replace_fee(&self.with_descendants(&HashSet::from([id.clone()])), size))
    }

    fn replace_fee(&self, removed: &HashSet<ProposalShortId>, size: u64) -> u64 {
        removed
            .iter()
            .filter_map(|id| self.get(id))
            .fold(REPLACE_RATE_MIN.fee(size).as_u64(), |sum, entry| {
                sum.saturating_add(entry.cost.fee.as_u64())
            })
    }

    /// Adds an entry whose conflicts are gone.
    pub(crate) fn insert(&mut self, mut entry: Entry) -> Result<(), Reject> {
        let bytes = self.bytes.saturating_add(entry.size);
        if bytes > POOL_BYTES_MAX {
            let rate = entry.fee_rate();
            let text = format!("the fee_rate for this transaction is: {rate}");
            return Err(Reject::Full(text));
        }
        let parents = self.parents(entry.tx());
        if self.ancestors(&parents).len() + 1 > CHAIN_LENGTH_MAX {
            return Err(Reject::ExceededMaximumAncestorsCount);
        }
        let id = entry.tx().proposal_short_id();
        for parent in &parents {
            if let Some(parent) = self.entries.get_mut(parent) {
                parent.children.insert(id.clone());
            }
        }
        for input in entry.tx().input_pts_iter() {
            self.spenders.insert(input, id.clone());
        }
        for dep in entry.resolved.related_dep_out_points() {
            self.readers.entry(dep.clone()).or_default().insert(id.clone());
        }
        entry.parents = parents;
        entry.arrival = self.arrivals;
        self.arrivals += 1;
        self.bytes = bytes;
        self.entries.insert(id, entry);
        Ok(())
    }

    /// Takes out these entries and all that build on them.
    pub(crate) fn remove(&mut self, ids: &HashSet<ProposalShortId>) -> Vec<Entry> {
        let removed = self.with_descendants(ids);
        removed.iter().filter_map(|id| self.take(id)).collect()
    }

    /// Takes out what a block has committed, and all that it makes impossible, with the reasons.
    pub(crate) fn commit(&mut self, tx: &TransactionView) -> Vec<(Entry, Reject)> {
        self.take(&tx.proposal_short_id());
        let mut rejected = Vec::new();
        for input in tx.input_pts_iter() {
            let mut hit: HashSet<_> = self.readers.get(&input).cloned().unwrap_or_default();
            hit.extend(self.spenders.get(&input).cloned());
            for entry in self.remove(&hit) {
                rejected.push((entry, Reject::Resolve(OutPointError::Dead(input.clone()))));
            }
        }
        rejected
    }

    /// Sets how far each entry is.
    pub(crate) fn restage(&mut self, stage: impl Fn(&ProposalShortId) -> Stage) {
        for (id, entry) in &mut self.entries {
            entry.stage = stage(id);
        }
    }

    fn take(&mut self, id: &ProposalShortId) -> Option<Entry> {
        let entry = self.entries.remove(id)?;
        self.bytes = self.bytes.saturating_sub(entry.size);
        for input in entry.tx().input_pts_iter() {
            self.spenders.remove(&input);
        }
        for dep in entry.resolved.related_dep_out_points() {
            if let Some(readers) = self.readers.get_mut(dep) {
                readers.remove(id);
                if readers.is_empty() {
                    self.readers.remove(dep);
                }
            }
        }
        for parent in &entry.parents {
            if let Some(parent) = self.entries.get_mut(parent) {
                parent.children.remove(id);
            }
        }
        for child in &entry.children {
            if let Some(child) = self.entries.get_mut(child) {
                child.parents.remove(id);
            }
        }
        Some(entry)
    }

    /// The entries that must be committed before this transaction: those that make what it takes,
    /// and those that read what it spends.
    fn parents(&self, tx: &TransactionView) -> HashSet<ProposalShortId> {
        let makers = tx
            .input_pts_iter()
            .chain(tx.cell_deps_iter().map(|dep| dep.out_point()))
            .filter(|cell| self.get_by_hash(&cell.tx_hash()).is_some())
            .map(|cell| ProposalShortId::from_tx_hash(&cell.tx_hash()));
        let readers = tx.input_pts_iter().filter_map(|input| self.readers.get(&input)).flatten();
        makers.chain(readers.cloned()).collect()
    }

    /// These entries and everything they build on.
    fn ancestors(&self, ids: &HashSet<ProposalShortId>) -> HashSet<ProposalShortId> {
        self.closure(ids, |entry| &entry.parents)
    }

    fn with_descendants(&self, ids: &HashSet<ProposalShortId>) -> HashSet<ProposalShortId> {
        self.closure(ids, |entry| &entry.children)
    }

    fn closure(
        &self,
        ids: &HashSet<ProposalShortId>,
        next: impl Fn(&Entry) -> &HashSet<ProposalShortId>,
    ) -> HashSet<ProposalShortId> {
        let mut found = HashSet::new();
        let mut open: Vec<ProposalShortId> = ids.iter().cloned().collect();
        while let Some(id) = open.pop() {
            if let Some(entry) = self.get(&id)
                && found.insert(id)
            {
                open.extend(next(entry).iter().cloned());
            }
        }
        found
    }
}

/// The cells of the pool, laid over those of the chain.
struct Waiting<'a> {
    pool: &'a Pool,
    replace: bool,
}

impl CellProvider for Waiting<'_> {
    fn cell(&self, out_point: &OutPoint, _eager_load: bool) -> CellStatus {
        if !self.replace && self.pool.spenders.contains_key(out_point) {
            return CellStatus::Dead;
        }
        self.made(out_point).map_or(CellStatus::Unknown, CellStatus::live_cell)
    }
}

impl Waiting<'_> {
    /// A cell that an entry makes. It has no place on the chain yet.
    fn made(&self, out_point: &OutPoint) -> Option<CellMeta> {
        let entry = self.pool.get_by_hash(&out_point.tx_hash())?;
        let index: u32 = out_point.index().into();
        let (output, data) = entry.tx().output_with_data(index as usize)?;
        let cell = CellMetaBuilder::from_cell_output(output, data);
        Some(cell.out_point(out_point.clone()).build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ckb_types::{
        bytes::Bytes,
        core::TransactionBuilder,
        packed::{CellDep, CellInput, CellOutput},
        prelude::*,
    };

    /// A transaction that spends this cell and makes one.
    fn spend(cell: OutPoint) -> TransactionView {
        TransactionBuilder::default()
            .input(CellInput::new(cell, 0))
            .output(CellOutput::default())
            .output_data(Bytes::new())
            .build()
    }

    fn entry(tx: TransactionView, fee: u64) -> Entry {
        let resolved = Arc::new(ResolvedTransaction::dummy_resolve(tx));
        let cost = Cost { cycles: 1, fee: Capacity::shannons(fee) };
        Entry::new(resolved, cost, 100, Stage::Fresh)
    }

    fn first_of(tx: &TransactionView) -> OutPoint {
        OutPoint::new(tx.hash(), 0)
    }

    fn hashes(entries: Vec<&Entry>) -> Vec<Byte32> {
        entries.into_iter().map(|entry| entry.tx().hash()).collect()
    }

    #[test]
    fn a_chain_of_pending_transactions_has_a_longest_length() {
        let mut pool = Pool::default();
        let mut cell = OutPoint::default();
        for _ in 0..CHAIN_LENGTH_MAX {
            let tx = spend(cell);
            cell = first_of(&tx);
            pool.insert(entry(tx, 1)).unwrap();
        }
        let refused = pool.insert(entry(spend(cell), 1));
        assert!(matches!(refused, Err(Reject::ExceededMaximumAncestorsCount)));
    }

    #[test]
    fn the_best_fee_comes_first_but_after_what_it_builds_on() {
        let mut pool = Pool::default();
        let poor = spend(OutPoint::new(Byte32::default(), 1));
        let rich_child = spend(first_of(&poor));
        let middle = spend(OutPoint::new(Byte32::default(), 2));
        for (tx, fee) in [(&middle, 50), (&poor, 1), (&rich_child, 100)] {
            pool.insert(entry(tx.clone(), fee)).unwrap();
        }
        assert_eq!(hashes(pool.by_fee_rate()), [poor.hash(), rich_child.hash(), middle.hash()]);
        assert_eq!(hashes(pool.by_arrival()), [middle.hash(), poor.hash(), rich_child.hash()]);
    }

    #[test]
    fn a_committed_transaction_throws_out_what_it_makes_impossible() {
        let shared = OutPoint::new(Byte32::default(), 1);
        let reader = spend(OutPoint::new(Byte32::default(), 2));
        let dep = CellDep::new_builder().out_point(shared.clone()).build();
        let reader = reader.as_advanced_builder().cell_dep(dep).build();
        let spender = spend(shared.clone());
        let child = spend(first_of(&spender));
        let other = spend(OutPoint::new(Byte32::default(), 3));
        let mut pool = Pool::default();
        for tx in [&reader, &spender, &child, &other] {
            pool.insert(entry(tx.clone(), 1)).unwrap();
        }
        let winner = spend(shared).as_advanced_builder().version(1u32).build();
        let mut gone: Vec<Byte32> =
            pool.commit(&winner).into_iter().map(|(entry, _)| entry.tx().hash()).collect();
        gone.sort();
        let mut expected = [reader.hash(), spender.hash(), child.hash()];
        expected.sort();
        assert_eq!(gone, expected);
        assert_eq!(hashes(pool.by_arrival()), [other.hash()]);
        assert_eq!(pool.bytes(), 100);
    }

    #[test]
    fn a_committed_parent_leaves_its_children() {
        let parent = spend(OutPoint::new(Byte32::default(), 1));
        let child = spend(first_of(&parent));
        let mut pool = Pool::default();
        pool.insert(entry(parent.clone(), 1)).unwrap();
        pool.insert(entry(child.clone(), 1)).unwrap();
        assert!(pool.commit(&parent).is_empty());
        assert_eq!(hashes(pool.by_arrival()), [child.hash()]);
        assert!(pool.parents(&child).is_empty());
    }

    #[test]
    fn the_pool_has_a_size() {
        let mut pool = Pool { bytes: POOL_BYTES_MAX - 99, ..Pool::default() };
        let refused = pool.insert(entry(spend(OutPoint::default()), 1));
        assert!(matches!(refused, Err(Reject::Full(_))));
    }
}
