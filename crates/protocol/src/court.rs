//! The ledgers settle the channel: by a final state, or by a dispute.
//!
//! Nothing is signed here but what was signed before. A channel is in court on all of its ledgers
//! at once, whichever of them shows something first: each has a case of its own, and on each the
//! newest complete state is registered. So no ledger settles an older state only because nobody
//! looked after it there. What one ledger does is in [`crate::case`].

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use perun_channel::{LedgerId, Signature};

use crate::case::{self, Docket};
use crate::effect::{Effect, Event, FailureReason, Step};
use crate::input::{Command, Input, Sighting, Standing};
use crate::ledgers::Place;
use crate::limits::MAX_CLOSE_ATTEMPTS;
use crate::machine::Context;
use crate::message::Body;
use crate::open::{Activity, Open};
use crate::phase::{Case, Court, Phase, Stage};
use crate::recent::failed;
use crate::record::{Agreed, Ending, Record, Wish};
use crate::refusal::{Declined, Misuse, Refusal};
use crate::registrations::Registrations;
use crate::{decision, resize, update};

/// Leaves without the peer: registers the newest complete state on every ledger.
pub(crate) fn dispute(context: &Context<'_>, open: &Open) -> Step {
    let mut effects = leaving(open);
    effects.push(Event::Disputed { version: open.channel.state().version() }.effect());
    let fresh = Registrations::default();
    effects.extend(open.channel.places.iter().map(|at| case::register(open, at, &fresh, 0)));
    let deadline = context.commit();
    Step::new(vec![Record::Disputing { ledger: None, deadline }], effects)
}

/// Begins the dispute on some of the ledgers of a channel that is in court already.
pub(crate) fn dispute_on(context: &Context<'_>, open: &Open, places: &[&Place]) -> Step {
    let mut step = Step::effects(leaving(open));
    step.effects.push(Event::Disputed { version: open.channel.state().version() }.effect());
    let (fresh, deadline) = (Registrations::default(), context.commit());
    for place in places {
        step.records.push(Record::Disputing { ledger: Some(place.ledger), deadline });
        step.effects.push(case::register(open, place, &fresh, 0));
    }
    step
}

/// What ends when the ledger takes over: payments that wait fail, and what was set aside for a
/// resize is free again. That comes first, for the fee of a dispute may have to be paid from it.
pub(crate) fn leaving(open: &Open) -> Vec<Effect> {
    let mut effects = failed(open.queue.iter(), FailureReason::Closed);
    effects.extend(open.freed());
    if let Some(Wish::Swap { .. }) = open.wish {
        effects.push(Event::SwapFailed(FailureReason::Closed).effect());
    }
    effects
}

/// Our journal is older than what we signed: nothing is signed any more. What waits in the queue
/// may have been signed, so nothing is said about it before we leave.
pub(crate) fn freeze(open: &Open, shown: Option<Agreed>) -> Step {
    let mut effects = open.freed();
    effects.push(Event::RolledBack.effect());
    Step::new(vec![Record::RolledBack { shown }], effects)
}

/// Both signed the final state: submits it on every ledger.
pub(crate) fn close(context: &Context<'_>, open: &Open, agreed: &Agreed) -> Step {
    let mut effects = leaving(open);
    let submit = |target| Effect::SubmitClose { target, agreed: agreed.clone(), attempt: 0 };
    effects.extend(open.channel.targets().map(submit));
    let deadline = context.commit();
    Step::new(vec![Record::Closing { ledger: None, deadline }], effects)
}

/// Decides about an input while the ledgers settle the channel.
pub(crate) fn step(context: &Context<'_>, court: &Court, input: Input) -> Result<Step, Declined> {
    let open = &court.open;
    match input {
        Input::Ledger(sighting) => sighted(context, open, Some(court), &sighting),
        Input::LedgerClock { ledger, now } => {
            let due = court.dockets().find(|docket| docket.place.ledger == ledger);
            Ok(due.map_or_else(Step::nothing, |docket| docket.passed(context, now)))
        }
        Input::Tick => Ok(late(context, court)),
        Input::Restart => Ok(restarted(court)),
        Input::Connected | Input::JournalRolledBack => Ok(Step::nothing()),
        Input::Command(Command::Dispute) => insist(context, court),
        Input::Command(Command::Pay(_)) if court.is_frozen() => Err(Misuse::RolledBack.into()),
        Input::Command(Command::Pay(_)) => Err(Misuse::Closing.into()),
        Input::Command(_) => Err(Misuse::NotNow.into()),
        Input::Backend(_) => Err(Misuse::Reply.into()),
        Input::Message(message) => match message.body {
            // The peer did not hear our answer to its update; it is signed already.
            Body::Update { state, .. } if state == *open.channel.state() => {
                update::acknowledged_again(context, open, &state)
            }
            Body::Ack { version, signature, .. } => {
                let step = update::completed_late(context, open, version, signature)?;
                Ok(step.and(Step::effects(improved(court, &signature))))
            }
            // Nothing more is signed; what the ledgers can use is kept.
            Body::SwapReveal { preimage, .. } => {
                let shown = decision::shown(context, open, Some(court), preimage);
                shown.map(|(step, _)| step).ok_or_else(|| Refusal::Settling.into())
            }
            _ => Err(Refusal::Settling.into()),
        },
    }
}

/// Our user does not wait for a frozen channel to be understood, or for a close to commit.
fn insist(context: &Context<'_>, court: &Court) -> Result<Step, Declined> {
    let waits = |docket: &Docket<'_>| {
        let stage = docket.case.map(|case| &case.stage);
        matches!(stage, Some(Stage::Frozen | Stage::Closing { .. }))
    };
    let places: Vec<_> = court.dockets().filter(waits).map(|docket| docket.place).collect();
    match places.is_empty() {
        true => Err(Misuse::NotNow.into()),
        false => Ok(dispute_on(context, &court.open, &places)),
    }
}

/// Registers a state that was completed late, wherever that can still change the outcome.
fn improved(court: &Court, signature: &Signature) -> Vec<Effect> {
    let mut newer = court.clone();
    if newer.open.completed(signature, false) { registrations(&newer, None) } else { Vec::new() }
}

/// What is to be registered on the ledgers where a dispute is going on, but for one of them.
fn registrations(court: &Court, but: Option<LedgerId>) -> Vec<Effect> {
    let goes_on = |docket: &Docket<'_>| {
        let stage = docket.case.map(|case| &case.stage);
        but != Some(docket.place.ledger)
            && matches!(
                stage,
                Some(Stage::Disputing { .. } | Stage::Registered { .. } | Stage::Concluding { .. })
            )
    };
    court.dockets().filter(goes_on).flat_map(|docket| docket.submissions()).collect()
}

/// Decides about what a ledger shows. `court` is none if the channel still lived until now.
pub(crate) fn sighted(
    context: &Context<'_>,
    open: &Open,
    court: Option<&Court>,
    sighting: &Sighting,
) -> Result<Step, Declined> {
    if sighting.channel != open.channel.id {
        // That a resize is impossible is no news here: the dispute made it so.
        return match (court, &sighting.standing) {
            (Some(_), Standing::Impossible) => Ok(Step::nothing()),
            _ => resize::sighted(context, open, sighting),
        };
    }
    let Some(position) = open.channel.places.position(sighting.ledger) else {
        return Ok(Step::nothing());
    };
    let Some((first, newer)) = learnt(context, open, sighting) else {
        let shown = decision::secret_of(sighting)
            .and_then(|preimage| decision::shown(context, open, court, preimage));
        let Some((first, knowing)) = shown else {
            return Ok(heard(context, open, court, position, sighting));
        };
        let court = court.map(|court| Court { open: knowing.clone(), ..court.clone() });
        return Ok(first.and(heard(context, &knowing, court.as_ref(), position, sighting)));
    };
    let court = court.map(|court| Court { open: newer.clone(), ..court.clone() });
    let step = first.and(heard(context, &newer, court.as_ref(), position, sighting));
    let more = court.map(|court| registrations(&court, Some(sighting.ledger)));
    Ok(step.and(Step::effects(more.unwrap_or_default())))
}

/// A ledger shows a newer state than we know to be complete, with both signatures: the peer
/// completed what we had proposed without telling us. It is our newest state from here on, so that
/// the other ledgers get it as well. Our own signature is checked like the peer's: a ledger's node
/// that lies must not make us sign something that we never agreed to.
fn learnt(context: &Context<'_>, open: &Open, sighting: &Sighting) -> Option<(Step, Open)> {
    let Standing::Registered { state, proof: Some(proof), .. } = &sighting.standing else {
        return None;
    };
    let channel = &open.channel;
    if *state.id() != channel.id || state.version() <= channel.state().version() {
        return None;
    }
    let digest = context.crypto.digest(state);
    let theirs = proof.get(channel.index.other().column())?;
    for (index, signature) in
        [(channel.index, proof.get(channel.index.column())?), (channel.index.other(), theirs)]
    {
        context.crypto.verify(&digest, signature, &channel.address(index)).ok()?;
    }
    let mut newer = open.clone();
    let step = match &open.activity {
        Activity::Updating(flight) if flight.state == *state => {
            newer.completed(theirs, false);
            update::landed(context, flight, false, *theirs)
        }
        _ => {
            let shown = Agreed::signed(state.clone(), digest, *theirs);
            newer.channel.latest = shown.clone();
            let mut effects = vec![Event::Updated { version: state.version() }.effect()];
            let ended = open.swapping().and_then(|swapping| swapping.ended_by(state));
            effects.extend(ended.map(Event::effect));
            Step::new(vec![Record::Outdone { shown }], effects)
        }
    };
    Some((step, newer))
}

/// What a channel makes of what one of its ledgers shows.
fn heard(
    context: &Context<'_>,
    open: &Open,
    court: Option<&Court>,
    position: usize,
    sighting: &Sighting,
) -> Step {
    let Some(place) = open.channel.places.get(position) else { return Step::nothing() };
    let docket = Docket { open, court, place, case: court.and_then(|it| it.cases.get(position)) };
    let stage = docket.case.map(|case| &case.stage);
    if docket.is_nothing() {
        return Step::nothing();
    }
    match &sighting.standing {
        // It may still be taken back, but nothing is signed any more in a channel of which a part
        // is over.
        Standing::Concluded { .. } if !sighting.confirmed && court.is_none() => {
            let pending = open.swapping();
            pending.map_or_else(Step::nothing, |_| dispute(context, open))
        }
        Standing::Closed { state } | Standing::Concluded { state, unpaid: 0, .. } => {
            let claimed = decision::secret_of(sighting).is_some_and(|it| it.opens(state));
            if stage.is_some_and(|stage| stage.has_settled(state, claimed)) || !sighting.confirmed {
                return Step::nothing();
            }
            entering(context, &docket, false).and(settled(&docket, state, claimed))
        }
        Standing::Concluded { state, unpaid, .. } => {
            let is_known = matches!(stage, Some(Stage::Unpaid { rows, .. }) if rows == unpaid);
            if is_known || !sighting.confirmed {
                return Step::nothing();
            }
            entering(context, &docket, true).and(docket.concluded(context, state, *unpaid))
        }
        Standing::Registered { state, by, until, .. } => {
            if stage.is_some_and(|stage| stage.knows(state, by, *until)) {
                return docket.confirmed(state.version(), sighting.confirmed);
            }
            let record = docket.registration(context, state, by, *until, sighting.confirmed);
            entering(context, &docket, true).and(docket.registered(record))
        }
        Standing::Open | Standing::Absent
            if stage.is_some_and(Stage::was_seen) && docket.is_back(sighting) =>
        {
            // What we saw is gone: begin again.
            match open.channel.state().is_final() {
                true => docket.close(context),
                false => dispute_on(context, open, &[place]),
            }
        }
        // The opening that we gave up committed after all, or what it led to was taken back.
        Standing::Open if sighting.confirmed && stage.is_some_and(Stage::is_unborn) => {
            dispute_on(context, open, &[place])
        }
        Standing::Absent if docket.can_abort() => docket.abort(context),
        Standing::Impossible if sighting.confirmed => gone(context, &docket, Ending::Aborted {}),
        Standing::Spent { transaction } if sighting.confirmed => match open.resize_released() {
            Some(assembly) if assembly.transaction() == Some(*transaction) => {
                resize::committed(context, open, assembly)
            }
            // Nothing that is signed for this channel from here on would be worth anything there.
            _ => gone(context, &docket, Ending::Spent { transaction: *transaction }),
        },
        Standing::Absent | Standing::Impossible | Standing::Open | Standing::Spent { .. } => {
            Step::nothing()
        }
    }
}

/// One ledger shows that the channel is being settled: so it is on all of them.
fn entering(context: &Context<'_>, docket: &Docket<'_>, disputed: bool) -> Step {
    let open = docket.open;
    let is_other = |place: &&Place| place.ledger != docket.place.ledger;
    let others: Vec<&Place> = match docket.court {
        None => open.channel.places.iter().filter(is_other).collect(),
        Some(court) => {
            let is_frozen = |docket: &Docket<'_>| {
                docket.case.is_some_and(|case| matches!(case.stage, Stage::Frozen))
            };
            court.dockets().filter(is_frozen).map(|it| it.place).filter(is_other).collect()
        }
    };
    let mut step = Step::effects(leaving(open));
    if (docket.court.is_none() && disputed) || !others.is_empty() {
        step.effects.push(Event::Disputed { version: open.channel.state().version() }.effect());
    }
    let (fresh, deadline) = (Registrations::default(), context.commit());
    match docket.court {
        None if !others.is_empty() => {
            step.records.push(Record::Disputing { ledger: None, deadline });
        }
        _ => step.records.extend(others.iter().map(|place| {
            let ledger = Some(place.ledger);
            Record::Disputing { ledger, deadline }
        })),
    }
    step.effects.extend(others.iter().map(|place| case::register(open, place, &fresh, 0)));
    step
}

/// There is nothing of the channel on this ledger, and nothing of it is paid by its own rules.
fn gone(context: &Context<'_>, docket: &Docket<'_>, ending: Ending) -> Step {
    let stage = docket.case.map(|case| &case.stage);
    if matches!(stage, Some(Stage::Void { ending: Some(known) }) if *known == ending) {
        return Step::nothing();
    }
    let open = docket.open;
    let superseded = docket.flying(FailureReason::Superseded);
    if docket.is_last() {
        let mut effects = leaving(open);
        effects.extend(superseded);
        effects.push(Event::Ended(ending.clone()).effect());
        return Step::new(vec![Record::Ended { ending }], effects);
    }
    let mut step = entering(context, docket, false);
    step.effects.extend(superseded);
    let ledger = docket.place.ledger;
    step.effects.push(Event::LedgerVoid { ledger, ending: ending.clone() }.effect());
    step.effects.extend(docket.finished(None).map(Event::effect));
    step.records.push(Record::Void { ledger, ending });
    step
}

/// On this ledger the outcome stands and is paid.
fn settled(docket: &Docket<'_>, state: &perun_channel::State, claimed: bool) -> Step {
    let record = Record::Settled { ledger: docket.place.ledger, state: state.clone(), claimed };
    Step::new(vec![record], docket.told(state, claimed))
}

/// What was submitted has not shown its effect in time.
fn late(context: &Context<'_>, court: &Court) -> Step {
    let latest = court.open.channel.state().version();
    let is_due = |docket: &Docket<'_>| {
        let deadline = docket.case.and_then(|case| case.deadline(latest));
        deadline.is_some_and(|deadline| context.now >= deadline)
    };
    let due =
        court.dockets().filter(is_due).map(|docket| match docket.case.map(|case| &case.stage) {
            Some(Stage::Closing { attempt, .. })
                if attempt.saturating_add(1) >= MAX_CLOSE_ATTEMPTS =>
            {
                dispute_on(context, &court.open, &[docket.place])
            }
            _ => docket.again(context),
        });
    due.fold(Step::nothing(), Step::and)
}

fn restarted(court: &Court) -> Step {
    let open = &court.open;
    let mut effects: Vec<Effect> = open.channel.targets().map(Effect::Watch).collect();
    effects.extend(open.recent.events());
    effects.extend(court.submissions());
    let mut is_told = false;
    for docket in court.dockets() {
        match docket.case.map(|case| &case.stage) {
            // That all is settled is said once.
            Some(Stage::Settled { state, claimed }) => {
                let told = docket.told(state, *claimed).into_iter();
                let is_end = |it: &Effect| matches!(it, Effect::Notify(Event::Settled { .. }));
                effects.extend(told.filter(|it| !is_end(it) || !is_told));
                is_told |= docket.finished(Some((state, *claimed))).is_some();
            }
            Some(Stage::Registered { .. }) => effects.extend(docket.waits_for_clock()),
            Some(Stage::Void { ending: Some(ending) }) => {
                let (ledger, ending) = (docket.place.ledger, ending.clone());
                effects.push(Event::LedgerVoid { ledger, ending }.effect());
            }
            _ => {}
        }
    }
    if court.is_frozen() {
        effects.push(Event::RolledBack.effect());
    }
    Step::effects(effects)
}

impl Court {
    /// Each ledger's case, with what is needed to decide about it.
    pub(crate) fn dockets(&self) -> impl Iterator<Item = Docket<'_>> {
        let places = self.open.channel.places.iter();
        places.zip(&self.cases).map(|(place, case)| Docket {
            open: &self.open,
            court: Some(self),
            place,
            case: Some(case),
        })
    }

    /// What all cases have submitted.
    pub(crate) fn submissions(&self) -> Vec<Effect> {
        self.dockets().flat_map(|docket| docket.submissions()).collect()
    }

    fn is_frozen(&self) -> bool {
        self.cases.iter().any(|case| matches!(case.stage, Stage::Frozen))
    }
}

impl Open {
    /// The channel's place once the ledgers settle it. A ledger that the record does not name is
    /// one of which nothing is known.
    pub(crate) fn settling(mut self: Box<Self>, ruling: Ruling, record: &Record) -> Phase {
        self.drop_resize();
        let Ruling { ledger: named, stage } = ruling;
        self.drop_swap_wish();
        if !matches!(stage, Stage::Frozen) {
            self.close_queue();
        }
        let cases = self.channel.places.map(|place| {
            let mut case = Case {
                ledger: place.ledger,
                stage: Stage::Frozen,
                registrations: Registrations::default(),
            };
            if named.is_none_or(|named| named == place.ledger) {
                case.registrations.apply(self.channel.index, record);
                case.stage = stage.clone();
            }
            case
        });
        Phase::Court(Box::new(Court { open: *self, cases, abort: None }))
    }
}

/// The stage that a record leads to, on one ledger or on all.
pub(crate) struct Ruling {
    pub(crate) ledger: Option<LedgerId>,
    pub(crate) stage: Stage,
}

/// The ruling that a record is, if it can come anywhere in a channel's life.
pub(crate) fn ruling(record: &Record) -> Option<Ruling> {
    let attempt = 0;
    let (ledger, stage) = match record {
        Record::RolledBack { .. } => (None, Stage::Frozen),
        Record::Closing { ledger, deadline } => {
            (*ledger, Stage::Closing { attempt, deadline: *deadline })
        }
        Record::Disputing { ledger, deadline } => {
            (*ledger, Stage::Disputing { attempt, deadline: *deadline })
        }
        Record::Registered { ledger, state, by, until, deadline, .. } => {
            let (state, by) = (state.clone(), by.clone());
            let (until, deadline) = (*until, *deadline);
            (Some(*ledger), Stage::Registered { state, by, until, attempt, deadline })
        }
        Record::Unpaid { ledger, state, rows, deadline } => {
            let (state, rows, deadline) = (state.clone(), *rows, *deadline);
            (Some(*ledger), Stage::Unpaid { state, rows, attempt, deadline })
        }
        Record::Void { ledger, ending } => {
            (Some(*ledger), Stage::Void { ending: Some(ending.clone()) })
        }
        Record::Settled { ledger, state, claimed } => {
            (Some(*ledger), Stage::Settled { state: state.clone(), claimed: *claimed })
        }
        _ => return None,
    };
    Some(Ruling { ledger, stage })
}

/// Takes over a record while the ledgers settle the channel.
pub(crate) fn apply(mut court: Box<Court>, record: &Record) -> Phase {
    let index = court.open.channel.index;
    if let Some(Ruling { ledger, stage }) = ruling(record) {
        court.open.close_queue();
        let named = |case: &&mut Case| ledger.is_none_or(|ledger| ledger == case.ledger);
        for case in court.cases.iter_mut().filter(named) {
            case.registrations.apply(index, record);
            case.enter(stage.clone());
        }
        return Phase::Court(court);
    }
    match record {
        Record::Concluding { ledger, .. }
        | Record::Resubmitted { ledger, .. }
        | Record::RegistrationConfirmed { ledger, .. } => {
            for case in court.cases.iter_mut().filter(|case| case.ledger == *ledger) {
                case.apply(index, record);
            }
        }
        Record::Aborting { deadline } => {
            let joint = court.abort.as_ref().map(|transaction| transaction.ledger);
            for case in court.cases.iter_mut().filter(|case| Some(case.ledger) == joint) {
                case.enter(Stage::Aborting { attempt: 0, deadline: *deadline });
            }
        }
        Record::Completed { signature, .. } => {
            court.open.completed(signature, false);
        }
        Record::Outdone { shown } => court.open.channel.latest = shown.clone(),
        Record::SwapSecret { preimage } => court.open.secret = Some(*preimage),
        Record::Succeeded { deadline } => {
            return Phase::Open(Box::new(court.open.succeeded(*deadline)));
        }
        Record::Ended { ending } => return Phase::Over(ending.clone()),
        _ => {}
    }
    Phase::Court(court)
}
