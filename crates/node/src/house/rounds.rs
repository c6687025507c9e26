//! Rounds: what machines decide together is committed together, and then done.
//!
//! A round is committed before it outgrows one batch of the store, always between two machines'
//! steps: what one step decided is never torn apart.

use std::collections::{BTreeMap, VecDeque};

use perun_protocol::{Declined, Effect, Input, OpeningId, Sighting, Time};
use perun_store::{Batch, MAX_BATCH_RECORDS};
use perun_wire::{PeerId, Receipt};

use super::{House, Seat};
use crate::{NodeError, journal};

/// When a round commits although more inputs wait: well below what one batch of the store holds.
pub(super) const ROUND_RECORDS: usize = MAX_BATCH_RECORDS / 2;
/// The same in bytes: a batch is in memory until it is written.
const ROUND_BYTES: u64 = 4 << 20;

/// Everything that one round has decided and not yet done.
#[derive(Default)]
pub(super) struct Round {
    batch: Batch,
    /// The channels with entries in the batch, and whether they are forgotten in it.
    touched: BTreeMap<OpeningId, bool>,
    effects: Vec<(OpeningId, Effect)>,
    receipts: Vec<(PeerId, Receipt)>,
}

impl Round {
    /// A message was taken in: the peer may forget it when the round is durable.
    pub(super) fn received(&mut self, peer: PeerId, receipt: Receipt) {
        self.receipts.push((peer, receipt));
    }

    pub(super) fn record(&mut self, opening: OpeningId, entry: Vec<u8>) {
        self.add(opening, false, |batch| batch.record(journal::stream(opening), entry));
    }

    pub(super) fn snapshot(&mut self, opening: OpeningId, entry: Vec<u8>) {
        self.add(opening, false, |batch| batch.snapshot(journal::stream(opening), entry));
    }

    pub(super) fn end(&mut self, opening: OpeningId) {
        self.add(opening, true, |batch| batch.end(journal::stream(opening)));
    }

    fn add(&mut self, opening: OpeningId, ends: bool, add: impl FnOnce(Batch) -> Batch) {
        self.batch = add(core::mem::take(&mut self.batch));
        self.touched.insert(opening, ends);
    }

    /// How much of the journal it takes.
    pub(super) fn bytes(&self) -> u64 {
        self.batch.bytes()
    }

    /// Whether something of this channel is still to be written or done.
    pub(super) fn concerns(&self, opening: &OpeningId) -> bool {
        self.touched.contains_key(opening)
    }

    pub(super) const fn effects_count(&self) -> usize {
        self.effects.len()
    }

    /// Of the first so many effects, leaves out what is said again after them: what waited for its
    /// round to be said, and is repeated because a connection is there. To go-perun a proposal that
    /// comes twice is two.
    pub(super) fn say_once(&mut self, earlier: usize) {
        let again = self.effects.split_off(earlier.min(self.effects.len()));
        self.effects.retain(|it| !matches!(it.1, Effect::Send(_)) || !again.contains(it));
        self.effects.extend(again);
    }

    fn is_full(&self) -> bool {
        self.batch.len() >= ROUND_RECORDS || self.bytes() >= ROUND_BYTES
    }

    fn is_empty(&self) -> bool {
        self.batch.is_empty() && self.effects.is_empty() && self.receipts.is_empty()
    }
}

impl House {
    /// Whether the round is full enough to be finished before more inputs are taken.
    #[must_use]
    pub fn round_is_full(&self) -> bool {
        self.round.is_full()
    }

    /// Commits what the inputs so far have decided, then does it, until nothing is left to do.
    pub fn finish_round(&mut self, now: Time) -> Result<(), NodeError> {
        let mut todo = VecDeque::new();
        while !(self.round.is_empty() && todo.is_empty())
            || self.hear_early(now)
            || self.forget_oldest()
        {
            todo.extend(self.commit_round()?);
            // What a ledger answers begins the next round; thousands of answers make several.
            while let Some((opening, effect)) = todo.pop_front() {
                self.perform(now, opening, effect);
                if self.round.is_full() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Makes the round durable; returns its effects.
    fn commit_round(&mut self) -> Result<Vec<(OpeningId, Effect)>, NodeError> {
        let round = core::mem::take(&mut self.round);
        let todo = (round.effects, round.receipts);
        let (effects, receipts) = if round.batch.is_empty() {
            todo
        } else {
            let batch = self.fitting(round.batch, &round.touched);
            self.journal.commit(batch, todo)?.release()
        };
        for (peer, receipt) in receipts {
            self.post.acknowledge(peer, receipt);
        }
        Ok(effects)
    }

    /// A round as its records, or, if the journal has no room for them, as snapshots of the
    /// channels that they are of: these replace more than they take. So a journal that is full
    /// still takes what a dispute needs.
    fn fitting(&mut self, batch: Batch, touched: &BTreeMap<OpeningId, bool>) -> Batch {
        let bytes = self.journal.live_bytes().saturating_add(batch.bytes());
        if bytes <= self.journal.limit() {
            return batch;
        }
        let mut short = Batch::new();
        for (opening, ends) in touched {
            let stream = journal::stream(*opening);
            short = match (ends, self.snapshot(*opening)) {
                (true, _) => short.end(stream),
                (false, Some(entry)) => short.snapshot(stream, entry),
                (false, None) => return batch,
            };
        }
        short
    }

    /// Finishes the round if it is full. To be called between the inputs of many machines.
    pub(super) fn bound_round(&mut self, now: Time) -> Result<(), NodeError> {
        if self.round.is_full() { self.finish_round(now) } else { Ok(()) }
    }

    /// Feeds every machine for which there is an input.
    pub(super) fn feed_all(
        &mut self,
        now: Time,
        input: impl Fn(&Seat) -> Option<Input>,
    ) -> Result<(), NodeError> {
        let inputs: Vec<_> = self
            .seats
            .iter()
            .filter_map(|(opening, seat)| input(seat).map(|input| (*opening, input)))
            .collect();
        for (opening, input) in inputs {
            let _ = self.feed(now, opening, input);
            self.bound_round(now)?;
        }
        Ok(())
    }

    /// Tells the machines how their channels stand.
    pub(super) fn feed_sightings(
        &mut self,
        now: Time,
        sightings: Vec<Sighting>,
    ) -> Result<(), NodeError> {
        for sighting in sightings {
            let place = (sighting.ledger, sighting.channel);
            self.sightings.insert(place, sighting.clone());
            if let Some((opening, _)) = self.watched.get(&place) {
                let _ = self.feed(now, *opening, Input::Ledger(sighting));
            }
            self.bound_round(now)?;
        }
        Ok(())
    }

    /// Steps a machine, applies what it wants remembered, and keeps both for the round's commit.
    pub(super) fn feed(
        &mut self,
        now: Time,
        opening: OpeningId,
        input: Input,
    ) -> Result<(), Declined> {
        let Some(seat) = self.seats.get_mut(&opening) else { return Ok(()) };
        let step = seat.machine.step(now, input)?;
        let (peer, lived) = (seat.peer.clone(), seat.is_living());
        for record in &step.records {
            seat.machine.apply(record);
            let entry = journal::record_entry(record);
            seat.growing.by(entry.len());
            self.round.record(opening, entry);
        }
        let lives = seat.is_living();
        if lives != lived {
            self.keep_or_release(&peer, lives);
        }
        if !step.records.is_empty() {
            self.shorten(opening);
        }
        self.round.effects.extend(step.effects.into_iter().map(|effect| (opening, effect)));
        Ok(())
    }
}
