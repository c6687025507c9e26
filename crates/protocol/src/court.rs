//! The ledger settles the channel: by a final state, or by a dispute.
//!
//! Nothing is signed here but what was signed before. We register one state, the newest complete
//! one, and whatever the ledger shows decides what is next: an older state is answered with ours, a
//! newer one (the peer completed what we had proposed) is accepted as the outcome. What the ledger
//! shows is a level, so a reorganisation needs no rule of its own. Every submission is repeated
//! until its effect is confirmed: what somebody else did in blocks that a reorganisation may still
//! take back is no reason to wait, or it could be put there to make us wait until our time is over.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use perun_channel::{Amount, Signature, State, Version};

use crate::effect::{Effect, Event, FailureReason, Step};
use crate::input::{Command, Input, Sighting, Slot, Standing};
use crate::limits::MAX_CLOSE_ATTEMPTS;
use crate::machine::Context;
use crate::message::Body;
use crate::open::{Activity, Open, failed};
use crate::phase::{Court, Phase, Stage};
use crate::record::{Agreed, Ending, Record};
use crate::refusal::{Declined, Misuse, Refusal};
use crate::registrations::Registrations;
use crate::units::{LedgerTime, Time};
use crate::{resize, update};

/// Leaves without the peer: registers the newest complete state.
pub(crate) fn dispute(context: &Context<'_>, open: &Open) -> Step {
    let mut effects = leaving(open);
    effects.push(Event::Disputed { version: open.channel.state().version() }.effect());
    effects.push(register(open, &Registrations::default(), 0));
    Step::new(vec![Record::Disputing { deadline: context.commit() }], effects)
}

/// What ends when the ledger takes over: payments that wait fail, and what was set aside for a
/// resize is free again. That comes first, for the fee of a dispute may have to be paid from it.
fn leaving(open: &Open) -> Vec<Effect> {
    let mut effects = failed(open.queue.iter(), FailureReason::Closed);
    effects.extend(open.freed());
    effects
}

/// Our journal is older than what we signed: nothing is signed any more. What waits in the queue
/// may have been signed, so nothing is said about it before we leave.
pub(crate) fn freeze(open: &Open, shown: Option<Agreed>) -> Step {
    let mut effects = open.freed();
    effects.push(Event::RolledBack.effect());
    Step::new(vec![Record::RolledBack { shown }], effects)
}

/// Both signed the final state: submits it.
pub(crate) fn close(context: &Context<'_>, open: &Open, agreed: Agreed) -> Step {
    let mut effects = leaving(open);
    effects.push(Effect::SubmitClose { target: open.channel.target(), agreed, attempt: 0 });
    Step::new(vec![Record::Closing { deadline: context.commit() }], effects)
}

/// Decides about an input while the ledger settles the channel.
pub(crate) fn step(context: &Context<'_>, court: &Court, input: Input) -> Result<Step, Declined> {
    let open = &court.open;
    match (input, &court.stage) {
        (Input::Ledger(sighting), _) => sighted(context, open, Some(court), &sighting),
        (Input::LedgerClock(now), stage) => Ok(passed(context, court, stage, now)),
        (Input::Tick, _) => Ok(late(context, court)),
        (Input::Restart, stage) => Ok(restarted(court, stage)),
        (Input::Connected | Input::JournalRolledBack, _) => Ok(Step::nothing()),
        (Input::Command(Command::Dispute), Stage::Frozen | Stage::Closing { .. }) => {
            Ok(dispute(context, open))
        }
        (Input::Command(Command::Pay(_)), Stage::Frozen) => Err(Misuse::RolledBack.into()),
        (Input::Command(Command::Pay(_)), _) => Err(Misuse::Closing.into()),
        (Input::Command(_), _) => Err(Misuse::NotNow.into()),
        (Input::Backend(_), _) => Err(Misuse::Reply.into()),
        (Input::Message(message), _) => match message.body {
            // The peer did not hear our answer to its update; it is signed already.
            Body::Update { state, .. } if state == *open.channel.state() => {
                update::acknowledged_again(context, open, &state)
            }
            Body::Ack { version, signature, .. } => {
                let step = update::completed_late(context, open, version, signature)?;
                Ok(step.and(Step::effects(improved(court, &signature))))
            }
            _ => Err(Refusal::Settling.into()),
        },
    }
}

/// Registers a state that was completed late, if that can still change the outcome.
fn improved(court: &Court, signature: &Signature) -> Vec<Effect> {
    let mut newer = court.clone();
    if !newer.open.completed(signature, false) {
        return Vec::new();
    }
    match newer.stage {
        Stage::Disputing { .. } | Stage::Registered { .. } | Stage::Concluding { .. } => {
            submissions(&newer)
        }
        _ => Vec::new(),
    }
}

/// Decides about what the ledger shows. `court` is none if the channel still lived until now.
pub(crate) fn sighted(
    context: &Context<'_>,
    open: &Open,
    court: Option<&Court>,
    sighting: &Sighting,
) -> Result<Step, Declined> {
    let stage = court.map(|court| &court.stage);
    if sighting.channel != open.channel.id {
        // That a resize is impossible is no news here: the dispute made it so.
        return match sighting.standing {
            Standing::Impossible => Ok(Step::nothing()),
            _ => resize::sighted(context, open, sighting),
        };
    }
    let entering = match stage {
        None => {
            let version = open.channel.state().version();
            let mut effects = leaving(open);
            effects.push(Event::Disputed { version }.effect());
            Step::effects(effects)
        }
        Some(_) => Step::effects(leaving(open)),
    };
    let step = match &sighting.standing {
        Standing::Closed { state } | Standing::Concluded { state, unpaid: 0 } => {
            let is_known = matches!(stage, Some(Stage::Settled { state: known }) if known == state);
            if is_known || !sighting.confirmed {
                return Ok(Step::nothing());
            }
            Step::effects(leaving(open)).and(settled(open, state))
        }
        Standing::Concluded { state, unpaid } => {
            let is_known = matches!(stage, Some(Stage::Unpaid { rows, .. }) if rows == unpaid);
            if is_known || !sighting.confirmed {
                return Ok(Step::nothing());
            }
            entering.and(concluded(context, open, state, *unpaid))
        }
        Standing::Registered { state, by, until } => {
            if stage.is_some_and(|stage| stage.knows(state, by, *until)) {
                return Ok(confirmed(court, state.version(), sighting.confirmed));
            }
            let (state, by, until) = (state.clone(), by.clone(), *until);
            let confirmed = sighting.confirmed;
            let deadline = answered_by(context, open, court, confirmed, &state);
            let record = Record::Registered { state, by, until, confirmed, deadline };
            entering.and(registered(open, court, record))
        }
        Standing::Open if stage.is_some_and(Stage::was_seen) => {
            // What we saw is gone: begin again.
            match open.channel.state().is_final() {
                true => close(context, open, open.channel.latest.clone()),
                false => dispute(context, open),
            }
        }
        Standing::Impossible if sighting.confirmed => gone(open, Ending::Aborted {}),
        Standing::Spent { transaction } if sighting.confirmed => match open.resize_released() {
            Some(assembly) if assembly.transaction == *transaction => {
                resize::committed(context, open, assembly)
            }
            // Nothing that is signed for this channel from here on would be worth anything.
            _ => gone(open, Ending::Spent { transaction: *transaction }),
        },
        Standing::Absent | Standing::Impossible | Standing::Open | Standing::Spent { .. } => {
            Step::nothing()
        }
    };
    Ok(step)
}

/// The outcome stands, and some rows are not paid.
fn concluded(context: &Context<'_>, open: &Open, state: &State, rows: u32) -> Step {
    let (target, state) = (open.channel.target(), state.clone());
    Step::new(
        vec![Record::Unpaid { state: state.clone(), rows, deadline: context.commit() }],
        vec![Effect::Withdraw { target, state, rows, attempt: 0 }],
    )
}

/// The channel does not exist any more, and nothing of it is paid by its own rules.
fn gone(open: &Open, ending: Ending) -> Step {
    let mut effects = leaving(open);
    if let Activity::Updating(flight) = &open.activity {
        effects.extend(failed(flight.payments.iter(), FailureReason::Superseded));
    }
    effects.push(Event::Ended(ending.clone()).effect());
    Step::new(vec![Record::Ended { ending }], effects)
}

/// A registration that we know is confirmed, or not yet.
fn confirmed(court: Option<&Court>, version: Version, is_confirmed: bool) -> Step {
    let is_known = court.is_some_and(|court| court.registrations.is_confirmed(version));
    match is_confirmed && !is_known {
        true => Step::new(vec![Record::RegistrationConfirmed { version }], vec![]),
        false => Step::nothing(),
    }
}

/// When to submit our state again, once a registration is seen. One as new as ours that is not
/// confirmed moves nothing: whoever can show it and take it back could put us off for ever.
fn answered_by(
    context: &Context<'_>,
    open: &Open,
    court: Option<&Court>,
    is_confirmed: bool,
    state: &State,
) -> Time {
    let is_older = state.version() < open.channel.state().version();
    let running = court.and_then(|court| court.stage.registering());
    match running {
        Some((_, deadline)) if !is_older && !is_confirmed => deadline,
        _ => context.commit(),
    }
}

/// A state is registered: an older one is answered with ours (P-L2).
fn registered(open: &Open, court: Option<&Court>, record: Record) -> Step {
    let Record::Registered { state, by, .. } = &record else { return Step::nothing() };
    let version = state.version();
    let mut effects = vec![Event::Registered { version, by: by.clone() }.effect()];
    if version < open.channel.state().version() {
        let mut known = court.map(|court| court.registrations.clone()).unwrap_or_default();
        known.apply(open.channel.index, &record);
        let running = court.and_then(|court| court.stage.registering());
        effects.push(register(open, &known, running.map_or(0, |(attempt, _)| attempt)));
    }
    Step::new(vec![record], effects)
}

/// The outcome stands and is paid.
fn settled(open: &Open, state: &State) -> Step {
    let own = open.channel.index.column();
    let rows = state.outcome().balances().iter();
    let own: Vec<Amount> = rows.map(|row| row.get(own).copied().unwrap_or_default()).collect();
    let mut effects = Vec::new();
    if let Activity::Updating(flight) = &open.activity {
        // The peer may have completed it without telling us; the ledger tells.
        if flight.state == *state {
            let paid = flight.payments.iter();
            effects.extend(paid.map(|payment| Event::PaymentSent(payment.id).effect()));
        } else {
            effects.extend(failed(flight.payments.iter(), FailureReason::Superseded));
        }
    }
    effects.push(Event::Settled { state: state.clone(), own }.effect());
    Step::new(vec![Record::Settled { state: state.clone() }], effects)
}

/// The ledger's clock moved: a challenge may be over.
fn passed(context: &Context<'_>, court: &Court, stage: &Stage, now: LedgerTime) -> Step {
    match stage {
        Stage::Registered { state, until, .. }
            if now >= *until && court.may_conclude(state.version()) =>
        {
            let (target, state) = (court.open.channel.target(), state.clone());
            Step::new(
                vec![Record::Concluding { deadline: context.commit() }],
                vec![Effect::Conclude { target, state, attempt: 0 }],
            )
        }
        _ => Step::nothing(),
    }
}

/// What was submitted has not shown its effect in time.
fn late(context: &Context<'_>, court: &Court) -> Step {
    match &court.stage {
        Stage::Closing { attempt, .. } if attempt.saturating_add(1) >= MAX_CLOSE_ATTEMPTS => {
            dispute(context, &court.open)
        }
        stage => {
            let stage = stage.retried(context.commit());
            let effects = submissions(&Court { stage, ..court.clone() });
            match effects.is_empty() {
                true => Step::nothing(),
                false => {
                    let deadline = context.commit();
                    Step::new(vec![Record::Resubmitted { deadline }], effects)
                }
            }
        }
    }
}

fn restarted(court: &Court, stage: &Stage) -> Step {
    let open = &court.open;
    let mut effects = vec![Effect::Watch(open.channel.target())];
    effects.extend(open.recent.events());
    effects.extend(submissions(court));
    match stage {
        Stage::Settled { state } => effects.extend(settled(open, state).effects),
        Stage::Frozen => effects.push(Event::RolledBack.effect()),
        _ => {}
    }
    Step::effects(effects)
}

/// What a stage has submitted.
fn submissions(court: &Court) -> Vec<Effect> {
    let Court { open, stage, registrations } = court;
    let target = || open.channel.target();
    let again = |attempt: u32| match court.is_secured() {
        true => Vec::new(),
        false => vec![register(open, registrations, attempt)],
    };
    match stage {
        Stage::Frozen | Stage::Settled { .. } => Vec::new(),
        Stage::Closing { attempt, .. } => {
            let (agreed, attempt) = (open.channel.latest.clone(), *attempt);
            vec![Effect::SubmitClose { target: target(), agreed, attempt }]
        }
        Stage::Disputing { attempt, .. } | Stage::Registered { attempt, .. } => again(*attempt),
        Stage::Concluding { state, attempt, .. } => {
            let mut effects = again(*attempt);
            if court.may_conclude(state.version()) {
                let (state, attempt) = (state.clone(), *attempt);
                effects.push(Effect::Conclude { target: target(), state, attempt });
            }
            effects
        }
        Stage::Unpaid { state, rows, attempt, .. } => {
            let (state, rows, attempt) = (state.clone(), *rows, *attempt);
            vec![Effect::Withdraw { target: target(), state, rows, attempt }]
        }
    }
}

/// Submits our newest state for registration.
fn register(open: &Open, known: &Registrations, attempt: u32) -> Effect {
    let agreed = open.channel.latest.clone();
    let slot = known.slot_for(agreed.state.version(), open.channel.index);
    Effect::Register { target: open.channel.target(), agreed, slot, attempt }
}

impl Open {
    /// The channel's place once the ledger settles it.
    pub(crate) fn settling(mut self: Box<Self>, stage: Stage, record: &Record) -> Phase {
        self.drop_resize();
        if !matches!(stage, Stage::Frozen) {
            self.close_queue();
        }
        let mut registrations = Registrations::default();
        registrations.apply(self.channel.index, record);
        Phase::Court(Box::new(Court { open: *self, stage, registrations }))
    }
}

impl Stage {
    /// Whether something of the settlement was seen on the ledger.
    const fn was_seen(&self) -> bool {
        !matches!(self, Self::Frozen | Self::Closing { .. } | Self::Disputing { .. })
    }

    /// Whether this registration is known.
    fn knows(&self, seen: &State, seen_by: &Slot, seen_until: LedgerTime) -> bool {
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
            Self::Closing { attempt, deadline }
            | Self::Disputing { attempt, deadline }
            | Self::Registered { attempt, deadline, .. }
            | Self::Concluding { attempt, deadline, .. }
            | Self::Unpaid { attempt, deadline, .. } => {
                *attempt = attempt.saturating_add(1);
                *deadline = until;
            }
            Self::Frozen | Self::Settled { .. } => {}
        }
        next
    }
}

/// The stage that a record leads to, if it leads to one from anywhere in a channel's life.
pub(crate) fn stage_of(record: &Record) -> Option<Stage> {
    let attempt = 0;
    match record {
        Record::RolledBack { .. } => Some(Stage::Frozen),
        Record::Closing { deadline } => Some(Stage::Closing { attempt, deadline: *deadline }),
        Record::Disputing { deadline } => Some(Stage::Disputing { attempt, deadline: *deadline }),
        Record::Registered { state, by, until, deadline, .. } => Some(Stage::Registered {
            state: state.clone(),
            by: by.clone(),
            until: *until,
            attempt,
            deadline: *deadline,
        }),
        Record::Unpaid { state, rows, deadline } => {
            Some(Stage::Unpaid { state: state.clone(), rows: *rows, attempt, deadline: *deadline })
        }
        Record::Settled { state } => Some(Stage::Settled { state: state.clone() }),
        _ => None,
    }
}

/// Takes over a record while the ledger settles the channel.
pub(crate) fn apply(mut court: Box<Court>, record: &Record) -> Phase {
    court.registrations.apply(court.open.channel.index, record);
    if let Some(mut stage) = stage_of(record) {
        court.open.close_queue();
        // A registration does not begin the count of our own submissions anew.
        if let (Stage::Registered { attempt, .. }, Some((before, _))) =
            (&mut stage, court.stage.registering())
        {
            *attempt = before;
        }
        court.stage = stage;
        return Phase::Court(court);
    }
    match (&court.stage, record) {
        (Stage::Registered { state, .. }, Record::Concluding { deadline }) => {
            let state = state.clone();
            court.stage = Stage::Concluding { state, attempt: 0, deadline: *deadline };
        }
        (stage, Record::Resubmitted { deadline }) => court.stage = stage.retried(*deadline),
        (_, Record::Completed { signature, .. }) => {
            court.open.completed(signature, false);
        }
        (_, Record::Succeeded { deadline }) => {
            return Phase::Open(Box::new(court.open.succeeded(*deadline)));
        }
        (_, Record::Ended { ending }) => return Phase::Over(ending.clone()),
        _ => {}
    }
    Phase::Court(court)
}
