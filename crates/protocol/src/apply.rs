//! How records change a machine. Total: a record that does not fit changes nothing, or, in a living
//! channel, freezes it, because a journal that does not fit may have lost what we signed.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use perun_channel::Signature;

use crate::court::{self, Ruling};
use crate::message::{Handover, Offer};
use crate::open::{Activity, Flight, Open};
use crate::opening;
use crate::payment::PaymentId;
use crate::phase::{Phase, Stage};
use crate::record::{Agreed, Record};
use crate::units::Time;

impl Phase {
    /// Takes over what a step decided.
    pub(crate) fn apply(self, record: &Record) -> Self {
        match self {
            Self::Open(open) if is_about_swap(record) => swapped(open, record),
            Self::Open(open) => living(open, record),
            Self::Court(court) => court::apply(court, record),
            phase => opening::apply(phase, record),
        }
    }
}

fn living(mut open: Box<Open>, record: &Record) -> Phase {
    if let Record::RolledBack { shown: Some(shown) } = record {
        open.channel.burn(shown.state.version());
        open.channel.latest = shown.clone();
    }
    if let Some(ruling) = court::ruling(record) {
        return open.settling(ruling, record);
    }
    match record {
        Record::PeerReady {} => open.peer_ready = true,
        Record::Queued { payment, deadline } => {
            open.paid_last = payment.id;
            open.queue.push(payment.clone());
            open.wait_for_turn(*deadline);
        }
        Record::Wished { wish, deadline } => {
            open.wish = Some(wish.clone());
            open.wait_for_turn(*deadline);
        }
        Record::PatienceEnded {} => open.give_up_waiting(),
        Record::UpdateProposed { state, digest, count, after, deadline } => {
            let payments = open.queue.take(usize::from(*count));
            let (state, digest, after) = (state.clone(), *digest, after.clone());
            let deadline = *deadline;
            let (repeated, extended) = (false, false);
            let flight = Flight { state, digest, payments, after, deadline, repeated, extended };
            open.take_off(flight);
        }
        Record::Completed { signature, peer_wants, deadline } => {
            if !open.completed(signature, *peer_wants) {
                return unfit(open);
            }
            open.wait_for_turn(*deadline);
        }
        Record::UpdateRefused { deadline, .. } => {
            let Some(flight) = open.land() else { return unfit(open) };
            open.recent.refused = flight.payments;
            open.hand_over(&flight.after);
            open.wait_for_turn(*deadline);
        }
        Record::Countersigned { offer } => open.countersigned(offer),
        Record::Rejected { version, after } => {
            open.channel.burn(*version);
            open.activity = Activity::Idle;
            open.take_over(after);
        }
        Record::CloseAsked { offer, deadline } => {
            open.activity = Activity::CloseAsked(Box::new((offer.clone(), *deadline)));
        }
        record if is_about_turn(record) => open.turned(record),
        Record::Outdone { shown } => open.channel.latest = shown.clone(),
        Record::VersionsSkipped { next } => {
            open.channel.next_version = open.channel.next_version.max(*next);
        }
        Record::Succeeded { deadline } => {
            return Phase::Open(Box::new(open.succeeded(*deadline)));
        }
        Record::Ended { ending } => return Phase::Over(ending.clone()),
        Record::WitnessKept { .. }
        | Record::Assembled { .. }
        | Record::WitnessReceived { .. }
        | Record::Released { .. }
        | Record::ResizeProposed { .. }
        | Record::ResizeAccepted { .. }
        | Record::ResizeDropped { .. } => return Phase::Open(open.apply_resize(record)),
        _ => return unfit(open),
    }
    Phase::Open(open)
}

fn swapped(mut open: Box<Open>, record: &Record) -> Phase {
    if open.apply_swap(record) { Phase::Open(open) } else { unfit(open) }
}

const fn is_about_swap(record: &Record) -> bool {
    matches!(
        record,
        Record::SwapOffered { .. }
            | Record::SwapAsked { .. }
            | Record::SwapAccepted { .. }
            | Record::SwapCountersigned { .. }
            | Record::SwapRevealed { .. }
            | Record::SwapFinished { .. }
            | Record::SwapCancelling { .. }
            | Record::SwapCancelled { .. }
            | Record::SwapCancelRequested {}
            | Record::SwapSecret { .. }
            | Record::SwapDropped {}
    )
}

const fn is_about_turn(record: &Record) -> bool {
    matches!(
        record,
        Record::TurnPassed { .. }
            | Record::TurnRequested {}
            | Record::Extended { .. }
            | Record::Repeated { .. }
    )
}

/// The journal does not fit to itself: what we signed may be missing from it.
fn unfit(open: Box<Open>) -> Phase {
    let ruling = Ruling { ledger: None, stage: Stage::Frozen };
    open.settling(ruling, &Record::RolledBack { shown: None })
}

impl Open {
    /// Our update is on its way; its version is used up, whatever becomes of it.
    fn take_off(&mut self, flight: Flight) {
        self.channel.burn(flight.state.version());
        self.patience = None;
        if flight.state.is_final() {
            self.wish = None;
        }
        self.activity = Activity::Updating(Box::new(flight));
    }

    /// Records about the turn and about waiting for it.
    fn turned(&mut self, record: &Record) {
        match record {
            Record::TurnPassed { turn, wants_back, deadline } => {
                self.turn = *turn;
                self.peer_wants = turn.holder() == self.channel.index && *wants_back;
                self.end_patience();
                self.wait_for_turn(*deadline);
            }
            Record::TurnRequested {} => self.peer_wants = true,
            Record::Repeated { deadline } => {
                if let Activity::Updating(flight) = &mut self.activity {
                    flight.deadline = *deadline;
                    flight.repeated = true;
                }
            }
            Record::Extended { deadline } => match &mut self.activity {
                Activity::Updating(flight) => {
                    flight.deadline = *deadline;
                    flight.extended = true;
                }
                Activity::Swapping(_) => {
                    self.apply_swap(record);
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// Ends the update on its way.
    fn land(&mut self) -> Option<Flight> {
        match core::mem::replace(&mut self.activity, Activity::Idle) {
            Activity::Updating(flight) => Some(*flight),
            other => {
                self.activity = other;
                None
            }
        }
    }

    /// The peer signed what we had proposed; false if there is no such thing.
    pub(crate) fn completed(&mut self, signature: &Signature, peer_wants: bool) -> bool {
        let Some(flight) = self.land() else { return false };
        self.recent.sent = flight.payments;
        self.channel.latest = Agreed::signed(flight.state, flight.digest, *signature);
        self.peer_wants = peer_wants;
        self.hand_over(&flight.after);
        true
    }

    fn countersigned(&mut self, offer: &Offer) {
        let Offer { state, digest, payments, after, signature } = offer;
        self.channel.burn(state.version());
        self.channel.latest = Agreed::signed(state.clone(), *digest, *signature);
        self.received_last = payments.last_id().unwrap_or(self.received_last);
        self.recent.received = payments.clone();
        self.activity = Activity::Idle;
        self.take_over(after);
    }

    /// What our answered update does to the turn.
    fn hand_over(&mut self, after: &Handover) {
        if let Handover::Yield { .. } = after {
            self.turn = self.turn.passed();
            self.peer_wants = false;
        }
    }

    /// What the peer's answered update does to the turn.
    fn take_over(&mut self, after: &Handover) {
        if let Handover::Yield { wants_back } = after {
            self.turn = self.turn.passed();
            self.peer_wants = *wants_back;
            self.end_patience();
        }
    }

    /// Begins to wait for the turn, if something waits and we cannot propose it.
    pub(crate) fn wait_for_turn(&mut self, deadline: Time) {
        let can_propose = self.turn.holder() == self.channel.index && self.peer_ready;
        if self.wants() && !can_propose && self.patience.is_none() {
            self.patience = Some(deadline);
        }
    }

    fn end_patience(&mut self) {
        if self.turn.holder() == self.channel.index {
            self.patience = None;
        }
    }

    fn give_up_waiting(&mut self) {
        self.recent.waited = self.empty_queue();
        self.wish = None;
        self.patience = None;
    }

    /// The ledger takes over: what waits was reported as failed, and must not be paid if the
    /// channel comes back as the successor of a resize. A wish to close stays, for nobody was told
    /// that it failed, and a successor is to be left as well (P-L1).
    pub(crate) fn close_queue(&mut self) {
        self.patience = None;
        if !self.queue.is_empty() {
            self.recent.closed = self.empty_queue();
        }
    }

    fn empty_queue(&mut self) -> VecDeque<PaymentId> {
        let waiting = self.queue.take(self.queue.len());
        waiting.iter().map(|payment| payment.id).collect()
    }
}
