//! The case of one channel on one ledger.
//!
//! We register one state, the newest complete one, and whatever the ledger shows decides what is
//! next: an older state is answered with ours, a newer one (the peer completed what we had
//! proposed) is accepted as the outcome. What the ledger shows is a level, so a reorganisation
//! needs no rule of its own. Every submission is repeated until its effect is confirmed: what
//! somebody else did in blocks that a reorganisation may still take back is no reason to wait, or
//! it could be put there to make us wait until our time is over.

use alloc::vec;
use alloc::vec::Vec;

use perun_channel::swap::Swap;
use perun_channel::{Allocation, Amount, State, Version};

use crate::court::leaving;
use crate::effect::{Effect, Event, FailureReason, Settlement, Step};
use crate::input::{Sighting, Slot, Standing};
use crate::ledgers::{Funding, Place};
use crate::machine::Context;
use crate::open::{Activity, Open};
use crate::payment::Payment;
use crate::phase::{Case, Court, Stage};
use crate::recent::failed;
use crate::record::Record;
use crate::registrations::Registrations;
use crate::units::{Index, LedgerTime, Time};

/// A case with what is needed to decide about it. While the channel lives there is no court, and no
/// case.
#[derive(Clone, Copy)]
pub(crate) struct Docket<'a> {
    pub(crate) open: &'a Open,
    pub(crate) court: Option<&'a Court>,
    pub(crate) place: &'a Place,
    pub(crate) case: Option<&'a Case>,
}

/// Submits our newest state for registration.
pub(crate) fn register(open: &Open, place: &Place, known: &Registrations, attempt: u32) -> Effect {
    let agreed = open.channel.latest.clone();
    let slot = known.slot_for(agreed.state.version(), open.channel.index);
    Effect::Register { target: open.channel.target(place), agreed, slot, attempt }
}

impl Docket<'_> {
    fn latest(&self) -> Version {
        self.open.channel.state().version()
    }

    /// The outcome stands, and some rows are not paid.
    pub(crate) fn concluded(&self, context: &Context<'_>, state: &State, rows: u32) -> Step {
        let (ledger, target) = (self.place.ledger, self.open.channel.target(self.place));
        let (state, deadline) = (state.clone(), context.commit());
        Step::new(
            vec![Record::Unpaid { ledger, state: state.clone(), rows, deadline }],
            vec![Effect::Withdraw { target, state, rows, attempt: 0 }],
        )
    }

    /// Submits the final state on this ledger.
    pub(crate) fn close(&self, context: &Context<'_>) -> Step {
        let mut effects = leaving(self.open);
        let (target, agreed) =
            (self.open.channel.target(self.place), self.open.channel.latest.clone());
        effects.push(Effect::SubmitClose { target, agreed, attempt: 0 });
        let (ledger, deadline) = (Some(self.place.ledger), context.commit());
        Step::new(vec![Record::Closing { ledger, deadline }], effects)
    }

    /// A registration that we know is confirmed, or not yet.
    pub(crate) fn confirmed(&self, version: Version, is_confirmed: bool) -> Step {
        let is_known = self.case.is_some_and(|case| case.registrations.is_confirmed(version));
        let ledger = self.place.ledger;
        match is_confirmed && !is_known {
            true => Step::new(vec![Record::RegistrationConfirmed { ledger, version }], vec![]),
            false => Step::nothing(),
        }
    }

    /// The record of a registration that we have not seen before.
    pub(crate) fn registration(
        &self,
        context: &Context<'_>,
        state: &State,
        by: &Slot,
        until: LedgerTime,
        confirmed: bool,
    ) -> Record {
        Record::Registered {
            ledger: self.place.ledger,
            state: state.clone(),
            by: by.clone(),
            until,
            confirmed,
            deadline: self.answered_by(context, confirmed, state.version()),
        }
    }

    /// When to submit our state again, once a registration is seen. One as new as ours that is not
    /// confirmed moves nothing: whoever can show it and take it back could put us off for ever.
    fn answered_by(&self, context: &Context<'_>, is_confirmed: bool, version: Version) -> Time {
        let running = self.case.and_then(|case| case.stage.registering());
        match running {
            Some((_, deadline)) if version >= self.latest() && !is_confirmed => deadline,
            _ => context.commit(),
        }
    }

    /// A state is registered: an older one is answered with ours (P-L2).
    pub(crate) fn registered(&self, record: Record) -> Step {
        let Record::Registered { ledger, state, by, .. } = &record else { return Step::nothing() };
        let (ledger, version) = (*ledger, state.version());
        let mut effects = vec![Event::Registered { ledger, version, by: by.clone() }.effect()];
        if version < self.latest() {
            let mut known = self.case.map(|case| case.registrations.clone()).unwrap_or_default();
            known.apply(self.open.channel.index, &record);
            let running = self.case.and_then(|case| case.stage.registering());
            let attempt = running.map_or(0, |(attempt, _)| attempt);
            effects.push(register(self.open, self.place, &known, attempt));
        }
        Step::new(vec![record], effects)
    }

    /// The ledger's clock moved: a challenge may be over.
    pub(crate) fn passed(&self, context: &Context<'_>, now: LedgerTime) -> Step {
        let Some(case) = self.case else { return Step::nothing() };
        match &case.stage {
            Stage::Registered { state, until, .. } if now >= *until && self.may_conclude(state) => {
                let Some(decision) = self.decision(state, now) else { return Step::nothing() };
                let (target, state) = (self.open.channel.target(self.place), state.clone());
                let (ledger, deadline) = (self.place.ledger, context.commit());
                Step::new(
                    vec![Record::Concluding { ledger, decision, deadline }],
                    vec![Effect::Conclude { target, state, decision, attempt: 0 }],
                )
            }
            _ => Step::nothing(),
        }
    }

    /// Submits once more what has not shown its effect in time.
    pub(crate) fn again(&self, context: &Context<'_>) -> Step {
        let Some(case) = self.case else { return Step::nothing() };
        let deadline = context.commit();
        let later = Case { stage: case.stage.retried(deadline), ..case.clone() };
        let (open, court, place) = (self.open, self.court, self.place);
        let effects = Docket { open, court, place, case: Some(&later) }.submissions();
        let ledger = self.place.ledger;
        match effects.is_empty() {
            true => Step::nothing(),
            false => Step::new(vec![Record::Resubmitted { ledger, deadline }], effects),
        }
    }

    /// What the case's stage has submitted.
    pub(crate) fn submissions(&self) -> Vec<Effect> {
        let Some(case) = self.case else { return Vec::new() };
        let target = || self.open.channel.target(self.place);
        let again = |attempt: u32| match case.is_secured(self.latest()) {
            true => Vec::new(),
            false => vec![register(self.open, self.place, &case.registrations, attempt)],
        };
        match &case.stage {
            Stage::Frozen | Stage::Void { .. } | Stage::Settled { .. } => Vec::new(),
            Stage::Aborting { .. } => {
                let transaction = self.court.and_then(|court| court.abort.clone());
                let abort = |transaction| Effect::AbortOpen { transaction };
                transaction.map(abort).into_iter().collect()
            }
            Stage::Closing { attempt, .. } => {
                let (agreed, attempt) = (self.open.channel.latest.clone(), *attempt);
                vec![Effect::SubmitClose { target: target(), agreed, attempt }]
            }
            Stage::Disputing { attempt, .. } | Stage::Registered { attempt, .. } => again(*attempt),
            Stage::Concluding { state, decision, attempt, .. } => {
                let mut effects = again(*attempt);
                if self.may_conclude(state) {
                    let (state, decision, attempt) = (state.clone(), *decision, *attempt);
                    effects.push(Effect::Conclude { target: target(), state, decision, attempt });
                }
                effects
            }
            Stage::Unpaid { state, rows, attempt, .. } => {
                let (state, rows, attempt) = (state.clone(), *rows, *attempt);
                vec![Effect::Withdraw { target: target(), state, rows, attempt }]
            }
        }
    }

    /// What the user is told when this ledger has settled `state`.
    pub(crate) fn told(&self, state: &State, claimed: bool) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Activity::Updating(flight) = &self.open.activity {
            // The peer may have completed it without telling us; the ledger tells.
            if flight.state == *state {
                let paid = flight.payments.iter().filter(|payment| self.holds(payment));
                effects.extend(paid.map(|payment| Event::PaymentSent(payment.id).effect()));
            } else {
                effects.extend(self.flying(FailureReason::Superseded));
            }
        }
        if self.open.channel.places.len() > 1 {
            let (ledger, state) = (self.place.ledger, state.clone());
            effects.push(Event::LedgerSettled(Settlement { ledger, state, claimed }).effect());
        }
        effects.extend(self.finished(Some((state, claimed))).map(Event::effect));
        effects
    }

    /// The payments of our update on its way that are in assets of this ledger: they failed.
    pub(crate) fn flying(&self, why: FailureReason) -> Vec<Effect> {
        match &self.open.activity {
            Activity::Updating(flight) => {
                failed(flight.payments.iter().filter(|payment| self.holds(payment)), why)
            }
            _ => Vec::new(),
        }
    }

    /// Whether the channel is on this ledger as it was before any settlement. Where each side
    /// deposits for itself, one that is not fully funded is there as well.
    pub(crate) fn is_back(&self, sighting: &Sighting) -> bool {
        matches!(sighting.standing, Standing::Open) || self.place.funding == Funding::Deposit {}
    }

    /// Whether nothing of ours was ever put in on this ledger, so that nothing there concerns us.
    pub(crate) fn is_nothing(&self) -> bool {
        let stage = self.case.map(|case| &case.stage);
        matches!(stage, Some(Stage::Void { ending: None }))
            && self.place.funding == Funding::Deposit {}
    }

    /// Whether the transaction of the opening can still be made impossible: we had left it before
    /// it committed, and it is not in the ledger any more.
    pub(crate) fn can_abort(&self) -> bool {
        let joint = self.court.and_then(|court| court.abort.as_ref());
        joint.is_some_and(|joint| joint.ledger == self.place.ledger)
            && self.case.is_some_and(|case| !case.stage.is_unborn())
    }

    /// Makes the transaction of the opening impossible, once more.
    pub(crate) fn abort(&self, context: &Context<'_>) -> Step {
        let transaction = self.court.and_then(|court| court.abort.clone());
        let abort = |transaction| Effect::AbortOpen { transaction };
        let effects = transaction.map(abort).into_iter().collect();
        Step::new(vec![Record::Aborting { deadline: context.commit() }], effects)
    }

    /// Whether a payment is in an asset of this ledger.
    fn holds(&self, payment: &Payment) -> bool {
        self.open.channel.ledger_of(payment.asset) == Some(self.place.ledger)
    }

    /// Whether every other ledger has nothing of the channel.
    pub(crate) fn is_last(&self) -> bool {
        let is_void = |case: &Case| matches!(case.stage, Stage::Void { .. });
        match self.court {
            None => self.open.channel.places.len() == 1,
            Some(court) => {
                court.cases.iter().all(|case| case.ledger == self.place.ledger || is_void(case))
            }
        }
    }

    /// That everything is settled, if it is once this ledger has settled `state`, or has nothing.
    pub(crate) fn finished(&self, state: Option<(&State, bool)>) -> Option<Event> {
        let mut outcomes: Vec<Settlement> = Vec::new();
        for (position, place) in self.open.channel.places.iter().enumerate() {
            let settled = if place.ledger == self.place.ledger {
                state
            } else {
                match &self.court?.cases.get(position)?.stage {
                    Stage::Settled { state, claimed } => Some((state, *claimed)),
                    Stage::Void { .. } => None,
                    _ => return None,
                }
            };
            let ledger = place.ledger;
            outcomes.extend(settled.map(|(state, claimed)| {
                let state = state.clone();
                Settlement { ledger, state, claimed }
            }));
        }
        let own = self.open.channel.index;
        let assets = self.open.channel.state().outcome().assets().iter().enumerate();
        let own = assets.map(|(row, asset)| paid(&outcomes, row, asset.ledger(), own)).collect();
        Some(Event::Settled { outcomes, own })
    }
}

/// What one side got of an asset row from the ledger that holds it.
fn paid(
    outcomes: &[Settlement],
    row: usize,
    ledger: perun_channel::LedgerId,
    side: Index,
) -> Amount {
    let outcome = outcomes.iter().find(|outcome| outcome.ledger == ledger);
    let balance = outcome.and_then(|it| it.paid().balance(row, side.column()));
    balance.unwrap_or_default()
}

impl Settlement {
    /// What was paid: the balances, with the legs of this ledger moved if they were claimed.
    #[must_use]
    pub fn paid(&self) -> Allocation {
        let outcome = self.state.outcome();
        let swap = Swap::pending(&self.state).ok().flatten().filter(|_| self.claimed);
        let moved =
            swap.and_then(|swap| swap.applied(outcome, |asset| asset.ledger() == self.ledger).ok());
        moved.unwrap_or_else(|| outcome.clone())
    }
}

impl Case {
    /// Goes on to another stage. A registration does not begin the count of our own submissions
    /// anew.
    pub(crate) fn enter(&mut self, mut stage: Stage) {
        if let (Stage::Registered { attempt, .. }, Some((before, _))) =
            (&mut stage, self.stage.registering())
        {
            *attempt = before;
        }
        self.stage = stage;
    }

    /// Takes over a record that leads on from where the case stands.
    pub(crate) fn apply(&mut self, index: Index, record: &Record) {
        self.registrations.apply(index, record);
        match (&self.stage, record) {
            (
                Stage::Registered { state, .. } | Stage::Concluding { state, .. },
                Record::Concluding { decision, deadline, .. },
            ) => {
                let (state, decision, deadline) = (state.clone(), *decision, *deadline);
                self.stage = Stage::Concluding { state, decision, attempt: 0, deadline };
            }
            (stage, Record::Resubmitted { deadline, .. }) => self.stage = stage.retried(*deadline),
            _ => {}
        }
    }
}

impl Stage {
    /// Whether something of the settlement was seen on the ledger.
    pub(crate) const fn was_seen(&self) -> bool {
        matches!(
            self,
            Self::Registered { .. }
                | Self::Concluding { .. }
                | Self::Unpaid { .. }
                | Self::Settled { .. }
        )
    }

    /// Whether there was no channel on the ledger when it was last looked at.
    pub(crate) const fn is_unborn(&self) -> bool {
        matches!(self, Self::Aborting { .. } | Self::Void { .. })
    }

    /// Whether it is known that this outcome is paid, and how its swap ended.
    pub(crate) fn has_settled(&self, outcome: &State, moved: bool) -> bool {
        matches!(self, Self::Settled { state, claimed } if state == outcome && *claimed == moved)
    }

    /// Whether this registration is known.
    pub(crate) fn knows(&self, seen: &State, seen_by: &Slot, seen_until: LedgerTime) -> bool {
        match self {
            Self::Registered { state, by, until, .. } => {
                state == seen && by == seen_by && *until == seen_until
            }
            Self::Concluding { state, .. } => state == seen,
            _ => false,
        }
    }

    /// How often our state was submitted for registration again, and when it is the next time.
    const fn registering(&self) -> Option<(u32, Time)> {
        match self {
            Self::Disputing { attempt, deadline }
            | Self::Registered { attempt, deadline, .. }
            | Self::Concluding { attempt, deadline, .. } => Some((*attempt, *deadline)),
            _ => None,
        }
    }

    /// The stage after one more submission.
    fn retried(&self, until: Time) -> Self {
        let mut next = self.clone();
        match &mut next {
            Self::Aborting { attempt, deadline }
            | Self::Closing { attempt, deadline }
            | Self::Disputing { attempt, deadline }
            | Self::Registered { attempt, deadline, .. }
            | Self::Concluding { attempt, deadline, .. }
            | Self::Unpaid { attempt, deadline, .. } => {
                *attempt = attempt.saturating_add(1);
                *deadline = until;
            }
            Self::Frozen | Self::Void { .. } | Self::Settled { .. } => {}
        }
        next
    }
}
