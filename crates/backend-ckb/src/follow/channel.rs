//! One channel's history within the window, as a pile of records that a reorganisation takes off
//! again.
//!
//! The invariant: the channel's place is what the newest record left, or the base if there is none;
//! so taking records off is all that undoing blocks needs.

use super::evidence::{Evidence, Finding, Marks, Place, cause, examine, strays};
use super::{BlockStamp, Change, EventKey, Inconsistency, Status, WINDOW_BLOCKS, Watch};
use ckb_types::{
    core::TransactionView,
    packed::{Byte32, OutPoint},
    prelude::Entity,
};
use perun_channel::adjudicator::Env;

/// Most records of one channel that are kept: 16 deposits, 32 registrations, a conclusion and 16
/// withdrawals fit well, and a channel cannot change more often.
pub(super) const RECORDS_MAX: usize = 128;

/// How long a chain of pending transactions on one channel is followed. Registrations of 16 parties
/// and their delegates make 32.
const PENDING_MAX: usize = 40;

/// Most transactions that one channel can have told as pending.
pub(super) const PENDING_TOLD_MAX: usize = 2 * PENDING_MAX;

/// What the caller was told of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    Nothing,
    Included,
    Settled,
}

/// One committed change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) transaction: Byte32,
    pub(super) block: BlockStamp,
    pub(super) finding: Finding,
    pub(super) told: Told,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Channel {
    pub(super) watch: Watch,
    pub(super) marks: Marks,
    /// Whether the chain up to the cursor was read for this channel.
    pub(super) scanned: bool,
    /// The place before the first record.
    pub(super) base: Place,
    pub(super) records: Vec<Record>,
    /// The transactions that were told as pending.
    pub(super) pending: Vec<[u8; 32]>,
}

impl Channel {
    pub(super) fn new(env: &Env, watch: Watch) -> Self {
        let marks = Marks::new(env, watch.id);
        let (records, pending) = (Vec::new(), Vec::new());
        Self { watch, marks, scanned: false, base: Place::Awaiting, records, pending }
    }

    pub(super) fn place(&self) -> &Place {
        self.records.last().map_or(&self.base, |record| &record.finding.after)
    }

    /// The cell that a spend would have to consume now.
    pub(super) fn live_cell(&self) -> Option<&OutPoint> {
        match self.place() {
            Place::Live(cell) => Some(&cell.out_point),
            Place::Awaiting | Place::Gone => None,
        }
    }

    /// The inputs whose spending decides whether the channel comes to be.
    pub(super) fn inputs_awaited(&self) -> &[OutPoint] {
        match (self.place(), &self.watch.creation) {
            (Place::Awaiting, Some(creation)) => &creation.inputs,
            _ => &[],
        }
    }

    /// Whether nothing more can happen to it, short of a reorganisation.
    pub(super) fn is_gone(&self) -> bool {
        *self.place() == Place::Gone
    }

    /// Takes note of what a committed transaction does to the channel; says whether its place
    /// changed.
    pub(super) fn observe(
        &mut self,
        env: &Env,
        tx: &TransactionView,
        block: &BlockStamp,
    ) -> Result<bool, Inconsistency> {
        let id = self.watch.id;
        let unlawful = |code| Inconsistency::Unlawful { id, code };
        let awaited = self.inputs_awaited();
        let finding = examine(env, &self.marks, self.place(), awaited, tx).map_err(unlawful)?;
        let Some(finding) = finding else {
            self.scanned &= !strays(env, &self.marks, tx);
            return Ok(false);
        };
        cause(&id, &finding, &tx.hash(), Some(block)).map_err(unlawful)?;
        let (transaction, block) = (tx.hash(), block.clone());
        self.records.push(Record { transaction, block, finding, told: Told::Nothing });
        Ok(true)
    }

    /// Takes over what was told of this channel's earlier reading, which the present one must
    /// contain: it came from blocks that are still on the chain.
    pub(super) fn inherit(&mut self, known: &Self) -> Result<(), Inconsistency> {
        let missing = || Inconsistency::Rescan { id: self.watch.id };
        if known.base != Place::Awaiting {
            // The base's records were let go of after they had been told as settled.
            let last = self.records.iter().position(|it| it.finding.after == known.base);
            let last = last.ok_or_else(missing)?;
            self.records.iter_mut().take(last + 1).for_each(|it| it.told = Told::Settled);
        }
        for told in &known.records {
            let same =
                |it: &&mut Record| it.transaction == told.transaction && it.block == told.block;
            match self.records.iter_mut().find(same) {
                Some(record) => record.told = told.told,
                None => return Err(Inconsistency::Rescan { id: self.watch.id }),
            }
        }
        self.pending.clone_from(&known.pending);
        Ok(())
    }

    /// Takes off what lies above this height, newest first, and returns what had been told of it.
    pub(super) fn rewind(&mut self, number: u64) -> Vec<Change> {
        let mut reverted = Vec::new();
        while let Some(record) = self.records.pop_if(|record| record.block.number > number) {
            let settled = record.told == Told::Settled;
            let told = record.told != Told::Nothing;
            reverted.extend(self.change(&record, record.block.number, settled).filter(|_| told));
        }
        reverted
    }

    fn change(&self, record: &Record, tip: u64, settled: bool) -> Option<Change> {
        let key = self.key(&record.transaction);
        let block = record.block.clone();
        // The record was made only after its cause had been derived once.
        let cause =
            cause(&self.watch.id, &record.finding, &record.transaction, Some(&block)).ok()?;
        let depth = depth(&block, tip);
        let status = if settled {
            Status::Settled { block, depth }
        } else {
            Status::Included { block, depth }
        };
        Some(Change { key, status, cause })
    }

    /// What has become true, or surer, since it was last told; with the height, for ordering.
    pub(super) fn report(&mut self, tip: u64) -> Vec<(u64, Change)> {
        let mut news = Vec::new();
        let mut records = core::mem::take(&mut self.records);
        for record in &mut records {
            let settled = depth(&record.block, tip) >= u64::from(self.watch.depth.get());
            let waits = matches!(record.finding.evidence, Evidence::InputSpent { .. });
            let now = match (settled, waits) {
                (true, _) => Told::Settled,
                (false, true) => Told::Nothing,
                (false, false) => Told::Included,
            };
            if now <= record.told {
                continue;
            }
            record.told = now;
            news.extend(self.change(record, tip, settled).map(|it| (record.block.number, it)));
            let committed = record.transaction.as_slice();
            self.pending.retain(|pending| pending != committed);
        }
        self.records = records;
        self.forget(tip);
        news
    }

    /// Lets go of records that no reorganisation within the window can reach.
    fn forget(&mut self, tip: u64) {
        let out_of_reach = |record: &Record| {
            record.told == Told::Settled && depth(&record.block, tip) > u64::from(WINDOW_BLOCKS)
        };
        while self.records.first().is_some_and(out_of_reach) {
            self.base = self.records.remove(0).finding.after;
        }
    }

    /// What the pool would do to the channel: changes not told before, and told ones that are gone
    /// if the pool was seen whole. `spender` finds the pool's transaction that spends an out point.
    pub(super) fn look_ahead<'a>(
        &mut self,
        env: &Env,
        spender: impl Fn(&OutPoint) -> Option<&'a TransactionView>,
        whole: bool,
    ) -> (Vec<Change>, Vec<EventKey>) {
        let mut place = self.place().clone();
        let mut seen: Vec<[u8; 32]> = Vec::new();
        let mut news = Vec::new();
        for _ in 0..PENDING_MAX {
            let tx = match &place {
                Place::Live(cell) => spender(&cell.out_point),
                Place::Awaiting => self.inputs_awaited().iter().find_map(&spender),
                Place::Gone => None,
            };
            let Some(tx) = tx else { break };
            // A pool that shows nonsense shows nothing; the chain will tell.
            let Ok(Some(finding)) = examine(env, &self.marks, &place, &[], tx) else { break };
            let Ok(cause) = cause(&self.watch.id, &finding, &tx.hash(), None) else { break };
            let key = self.key(&tx.hash());
            if !self.pending.contains(&key.transaction) {
                news.push(Change { key, status: Status::Pending, cause });
            }
            seen.push(key.transaction);
            place = finding.after;
        }
        let mut open: Vec<_> = self.pending.drain(..).filter(|it| !seen.contains(it)).collect();
        let channel = self.watch.id;
        let mut gone = Vec::new();
        if whole {
            gone.extend(open.drain(..).map(|transaction| EventKey { channel, transaction }));
        }
        // What an incomplete view of the pool leaves open is remembered as far as there is room.
        open.truncate(PENDING_MAX);
        self.pending = open;
        self.pending.append(&mut seen);
        (news, gone)
    }

    fn key(&self, transaction: &Byte32) -> EventKey {
        EventKey { channel: self.watch.id, transaction: transaction.clone().into() }
    }
}

/// The confirmations of a block under this tip.
fn depth(block: &BlockStamp, tip: u64) -> u64 {
    tip.saturating_sub(block.number).saturating_add(1)
}
