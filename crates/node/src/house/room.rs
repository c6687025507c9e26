//! Who gets a place in the house, and how much of the journal anything may take.
//!
//! Strangers have any number of names and pay for nothing, so all that they can leave behind is
//! bounded: the size of a proposal, the number of places, and how long what has ended is kept. A
//! channel's stream is bounded by snapshots. What is left of the journal when it fills up is kept
//! for those who have money in channels already.

use perun_channel::codec::Encode;
use perun_goperun::tcp::MAX_QUEUED_MESSAGES;
use perun_protocol::{Body, DeclineReason, Machine, Message, OpeningId, PhaseName, Time};
use perun_store::{MAX_JOURNAL_BYTES, MAX_PAYLOAD_BYTES};

use super::rounds::ROUND_RECORDS;
use super::{House, Post, Seat};
use crate::NodeError;
use crate::chance::entropy;
use crate::goperun::Peer;
use crate::journal::{self, Salt};

/// How many channels one peer may have in one house: each costs memory and a place in the journal.
const MAX_CHANNELS_PER_PEER: usize = 256;
// A go-perun peer whose connection comes back is told at most twice as much at once; more would end
// the connection, again and again.
const _: () = assert!(2 * MAX_CHANNELS_PER_PEER <= MAX_QUEUED_MESSAGES);
/// How many channels one house may have when a peer asks for another: strangers have any number of
/// names.
const MAX_CHANNELS: usize = 4_096;
/// How many more its own user may ask for.
const MAX_OWN_CHANNELS: usize = 512;
/// The most channels of one house. A ledger must be able to watch two for each: a resize has a
/// successor.
pub(crate) const CHANNELS_MOST: usize = MAX_CHANNELS + MAX_OWN_CHANNELS;
/// The most bytes of a proposal. A real one has five hundred, and three thousand if its money lies
/// in 60 small cells. A quarter of a journal holds as many of the longest as there are places.
pub(crate) const PROPOSAL_BYTES_MAX: usize = 16 << 10;
const _: () = assert!((MAX_CHANNELS * PROPOSAL_BYTES_MAX) as u64 <= MAX_JOURNAL_BYTES / 4);
/// How many openings that came to nothing are remembered, so that a peer which repeats itself is
/// told once more.
const MAX_ENDED: usize = 1_024;
/// After how many bytes of records a snapshot is due at the earliest: some twenty payments, which
/// take as much as the snapshot of a usual channel a few times over.
const SNAPSHOT_BYTES: usize = 8 << 10;

/// What wants to grow the journal, and how full it may be then, in sixteenths.
#[derive(Clone, Copy, Debug)]
pub(super) enum Growth {
    /// A new channel, which brings a stream of its own.
    Channel,
    /// A wish in a channel that exists.
    Wish,
}

impl Growth {
    const fn sixteenths(self) -> u64 {
        match self {
            Self::Channel => 12,
            Self::Wish => 15,
        }
    }
}

/// How a channel's stream has grown since its last snapshot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growing {
    bytes: usize,
    /// When the next snapshot is due: not before the records take twice what it took, so that
    /// snapshots are a part of what is written and not the most.
    due: usize,
}

impl Growing {
    /// A stream with this much behind a snapshot of that size.
    pub(super) fn of(records: usize, snapshot: usize) -> Self {
        Self { bytes: records, due: SNAPSHOT_BYTES.max(snapshot.saturating_mul(2)) }
    }

    pub(super) fn by(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Whether a snapshot is due; of a channel that has ended, at once.
    const fn is_due(&self, ended: bool) -> bool {
        self.bytes >= self.due || (ended && self.bytes > 0)
    }
}

/// Names the peer of a channel that lives.
fn keep(post: &mut dyn Post, peer: &Peer) {
    match peer.name() {
        Some(name) => post.keep_go_perun(name),
        None => post.keep(peer.id()),
    }
}

impl House {
    /// Refuses what would grow the journal when it is nearly full.
    pub(super) fn check_room(&self, growth: Growth) -> Result<(), NodeError> {
        let bytes = self.journal.live_bytes().saturating_add(self.round.bytes());
        let most = (self.journal.limit() / 16).saturating_mul(growth.sixteenths());
        if bytes > most { Err(NodeError::JournalNearlyFull) } else { Ok(()) }
    }

    /// Refuses a channel of our own user's when there are too many.
    pub(super) fn check_places(&self) -> Result<(), NodeError> {
        let limit = CHANNELS_MOST;
        if self.seats.len() >= limit { Err(NodeError::TooManyChannels { limit }) } else { Ok(()) }
    }

    /// Refuses a proposal of our own that no house would take.
    pub(super) fn check_proposal(message: &Message) -> Result<(), NodeError> {
        let (bytes, limit) = (message.to_bytes().len(), PROPOSAL_BYTES_MAX);
        if bytes > limit { Err(NodeError::ProposalTooLong { bytes, limit }) } else { Ok(()) }
    }

    pub(super) fn seat(&mut self, opening: OpeningId, peer: Peer, salt: Salt) {
        let machine = Machine::new(opening, peer.config(self.config));
        let drawn = (salt, self.key.drawn(&salt));
        self.round.record(opening, journal::peer_entry(&peer, &salt));
        self.seats.insert(opening, Seat::new(machine, peer, drawn, Growing::of(0, 0)));
    }

    /// Names the peer of a channel that began to live, or takes that back when no channel with it
    /// lives any more. It says nothing to anybody, so it need not wait for the journal.
    pub(super) fn keep_or_release(&mut self, peer: &Peer, lives: bool) {
        if lives {
            keep(self.post.as_mut(), peer);
        } else if !self.seats.values().any(|seat| seat.peer == *peer && seat.is_living()) {
            match peer.name() {
                Some(name) => self.post.release_go_perun(name),
                None => self.post.release(peer.id()),
            }
        }
    }

    /// Names the peers of all channels that live.
    pub(super) fn keep_all(&mut self) {
        let living = self.seats.values().filter(|seat| seat.is_living());
        living.for_each(|seat| keep(self.post.as_mut(), &seat.peer));
    }

    /// Whether a message is for a channel that we have with this very peer, or asks for a new one.
    pub(super) fn admits(&mut self, peer: &Peer, message: &Message, bytes: usize) -> bool {
        if let Some(seat) = self.seats.get(&message.opening) {
            return seat.peer == *peer;
        }
        if !matches!(message.body, Body::Propose { .. }) {
            return false;
        }
        let refusal = if bytes > PROPOSAL_BYTES_MAX {
            Some(DeclineReason::Terms {})
        } else if self.check_room(Growth::Channel).is_err() {
            Some(DeclineReason::Busy {})
        } else {
            None
        };
        if let Some(reason) = refusal {
            // Nothing is remembered of it, so that it costs nothing.
            self.decline(peer, message.opening, reason);
            return false;
        }
        // Without randomness there is no channel.
        let Ok(salt) = entropy() else { return false };
        let admitted = self.has_room(peer);
        if admitted {
            self.seat(message.opening, peer.clone(), salt);
        } else if peer.name().is_some() {
            // go-perun would wait for its whole timeout, and hold its channels all that time.
            self.decline(peer, message.opening, DeclineReason::Busy {});
        }
        admitted
    }

    /// Declines what is not remembered.
    fn decline(&mut self, peer: &Peer, opening: OpeningId, reason: DeclineReason) {
        if peer.name().is_some() {
            return self.say_decline(peer, opening, &reason);
        }
        let answer = Message { opening, body: Body::Decline { reason } };
        self.outbox.send(self.post.as_mut(), peer.id(), answer.to_bytes());
    }

    /// Whether a peer may have one channel more; makes room by forgetting one of its proposals that
    /// came to nothing, of which everybody was told.
    fn has_room(&mut self, peer: &Peer) -> bool {
        let channels = self.seats.values().filter(|seat| seat.peer == *peer).count();
        let forgotten = self.seats.iter().find(|(opening, seat)| {
            let of_this_peer = channels >= MAX_CHANNELS_PER_PEER && seat.peer == *peer;
            let must_go = of_this_peer || self.seats.len() >= MAX_CHANNELS;
            must_go && seat.machine.phase() == PhaseName::Over && !self.round.concerns(opening)
        });
        if let Some(opening) = forgotten.map(|(opening, _)| *opening) {
            self.forget(opening);
            return true;
        }
        channels < MAX_CHANNELS_PER_PEER && self.seats.len() < MAX_CHANNELS
    }

    fn forget(&mut self, opening: OpeningId) {
        self.seats.remove(&opening);
        self.ended.retain(|ended| *ended != opening);
        self.round.end(opening);
        let sightings = &mut self.sightings;
        self.watched.retain(|place, (watched, _)| {
            if *watched == opening {
                sightings.remove(place);
            }
            *watched != opening
        });
    }

    /// Makes the stream of a channel short again if it is time. To be called after each step that
    /// had records.
    pub(super) fn shorten(&mut self, opening: OpeningId) {
        let Some(seat) = self.seats.get(&opening) else { return };
        let phase = seat.machine.phase();
        let ended = matches!(phase, PhaseName::Over | PhaseName::Settled);
        let due = seat.growing.is_due(ended);
        if let Some(entry) = due.then(|| self.snapshot(opening)).flatten() {
            self.round.snapshot(opening, entry);
        }
        if phase == PhaseName::Over && !self.ended.contains(&opening) {
            self.ended.push_back(opening);
            self.unwatch(opening);
        }
    }

    /// Whether an opening came to nothing, or is forgotten.
    pub(super) fn is_over(&self, opening: OpeningId) -> bool {
        self.seats.get(&opening).is_none_or(|seat| seat.machine.phase() == PhaseName::Over)
    }

    /// Lets the ledgers watch what came to nothing no longer: strangers could have them watch more
    /// and more for nothing.
    fn unwatch(&mut self, opening: OpeningId) {
        let of_this = self.watched.iter().filter(|(_, (watched, _))| *watched == opening);
        let places: Vec<_> = of_this.map(|(place, _)| *place).collect();
        for (ledger, channel) in places {
            if let Ok(ledger) = self.ledgers.get(ledger) {
                ledger.unwatch(&channel);
            }
        }
    }

    /// Forgets the oldest of too many openings that came to nothing; whether there were any. Only
    /// when nothing is left to do, or somebody would not be told.
    pub(super) fn forget_oldest(&mut self) -> bool {
        let excess = self.ended.len().saturating_sub(MAX_ENDED).min(ROUND_RECORDS);
        let oldest: Vec<_> = self.ended.drain(..excess).collect();
        oldest.iter().for_each(|opening| self.forget(*opening));
        excess > 0
    }

    /// A snapshot of a channel, unless it is too large to be stored.
    pub(super) fn snapshot(&mut self, opening: OpeningId) -> Option<Vec<u8>> {
        let config = self.config;
        let seat = self.seats.get_mut(&opening)?;
        let entry = journal::snapshot_entry(&seat.peer, &seat.salt, &seat.machine);
        seat.growing = Growing::of(0, entry.len());
        // All that we signed hangs on it, and the records that it replaces do not come back: it is
        // written only if it says the same as they do.
        let again = journal::read_snapshot(opening, config, &entry);
        let same = again
            .is_some_and(|again| again == (seat.peer.clone(), seat.salt, seat.machine.clone()));
        (same && entry.len() <= MAX_PAYLOAD_BYTES).then_some(entry)
    }

    /// Shortens what an earlier life left long. A journal that it left full has room again.
    pub(super) fn shorten_all(&mut self, now: Time) -> Result<(), NodeError> {
        let openings: Vec<_> = self.seats.keys().copied().collect();
        for opening in openings {
            self.shorten(opening);
            self.bound_round(now)?;
        }
        self.finish_round(now)
    }
}
