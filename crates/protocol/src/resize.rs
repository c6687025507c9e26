//! Resizing a channel: deposits and withdrawals while it lives, by one transaction that spends the
//! channel with everybody's consent and opens its successor.
//!
//! Only the holder of the turn asks, and only when nothing is on its way, so no state is signed
//! between the request and its end. The successor's first state is exactly the newest state plus
//! the agreed changes. Before our consent is out, giving up costs nothing. After it is out, the
//! peer alone could commit the transaction at any later time and undo whatever was paid since; so
//! the channel stands still, and when the deadline passes we register the newest state. The
//! registration and the resize spend the same thing on the ledger: one of them commits, and the
//! machine follows whichever it is.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::channel::Channel;
use crate::court;
use crate::effect::{Effect, Event, FailureReason, Step};
use crate::input::{Input, Sighting, Standing};
use crate::joint::{self, Verdict};
use crate::ledgers::{LedgerTerms, PerLedger};
use crate::machine::Context;
use crate::message::{Body, DeclineReason, Message};
use crate::open::{Activity, Asked, Open, Outlook, go_on};
use crate::phase::{Joining, Joint};
use crate::recent::failed_ids;
use crate::record::{Record, Resize, Wish};
use crate::refusal::{Declined, Misuse, Refusal};
use crate::terms::{Assembly, Plan};
use crate::units::{Digest, Index, LedgerBytes, Time};

/// Asks for the resize that our user wants.
pub(crate) fn propose(context: &Context<'_>, open: &Open, resize: &Resize) -> Step {
    let (by, deadline) = (open.channel.index, context.peer_user());
    Step::new(
        vec![Record::ResizeProposed { by, resize: resize.clone(), deadline }],
        vec![context.send(request(resize))],
    )
}

pub(crate) fn request(resize: &Resize) -> Body<Digest> {
    Body::ProposeResize {
        changes: resize.changes.clone(),
        chain: resize.chain.clone(),
        contribution: resize.contribution.clone(),
    }
}

/// The peer asks for a resize.
pub(crate) fn asked(context: &Context<'_>, open: &Open, resize: Resize) -> Result<Step, Declined> {
    let by = open.channel.index.other();
    match &open.activity {
        Activity::ResizeAsked(asked) if asked.by == by => {
            let same = asked.resize == resize;
            return if same { Ok(Step::nothing()) } else { Err(Refusal::Changed.into()) };
        }
        Activity::Resizing(joining) => return again(context, open, joining, &resize),
        Activity::Idle => {}
        _ => return Err(Refusal::Unexpected.into()),
    }
    if open.turn.holder() != by {
        return Err(Refusal::NotTheirTurn.into());
    }
    if open.channel.only_joint().is_none() {
        let reason = DeclineReason::NoResize {};
        return Ok(Step::effects(vec![context.send(Body::Decline { reason })]));
    }
    if resize.changes.outcome(open.channel.state().outcome()).is_err() {
        let reason = DeclineReason::Terms {};
        return Ok(Step::effects(vec![context.send(Body::Decline { reason })]));
    }
    let deadline = context.user();
    let event = Event::ResizeRequested { changes: resize.changes.clone(), deadline };
    Ok(Step::new(vec![Record::ResizeProposed { by, resize, deadline }], vec![event.effect()]))
}

/// The peer repeats its request, perhaps because it did not hear our acceptance.
fn again(
    context: &Context<'_>,
    open: &Open,
    joining: &Joining,
    resize: &Resize,
) -> Result<Step, Declined> {
    let plan = &joining.plan;
    let theirs = plan.contribution(open.channel.index.other());
    let ours = plan.contribution(open.channel.index);
    match (theirs, ours) {
        (Some(theirs), Some(ours)) if *theirs == resize.contribution => {
            let contribution = ours.clone();
            Ok(Step::effects(vec![context.send(Body::AcceptResize { contribution })]))
        }
        _ => Err(Refusal::Changed.into()),
    }
}

/// Our user agrees to the peer's resize.
pub(crate) fn accept(
    context: &Context<'_>,
    open: &Open,
    asked: &Asked,
    contribution: LedgerBytes,
) -> Step {
    let answer = Body::AcceptResize { contribution: contribution.clone() };
    agree(context, open, asked, contribution, Some(context.send(answer)))
}

/// The peer agrees to our resize.
pub(crate) fn accepted(
    context: &Context<'_>,
    open: &Open,
    contribution: LedgerBytes,
) -> Result<Step, Declined> {
    let own = open.channel.index;
    match &open.activity {
        Activity::ResizeAsked(asked) if asked.by == own => {
            Ok(agree(context, open, asked, contribution, None))
        }
        Activity::Resizing(joining) => {
            let same = joining.plan.contribution(own.other()) == Some(&contribution);
            if same { Ok(Step::nothing()) } else { Err(Refusal::Changed.into()) }
        }
        _ => Err(Refusal::Unexpected.into()),
    }
}

fn agree(
    context: &Context<'_>,
    open: &Open,
    asked: &Asked,
    contribution: LedgerBytes,
    answer: Option<Effect>,
) -> Step {
    let Some(plan) = asked.plan(open, &contribution) else { return Step::nothing() };
    let deadline = context.answer();
    let effects = answer.into_iter().chain([Effect::Assemble(plan)]).collect();
    Step::new(vec![Record::ResizeAccepted { contribution, deadline }], effects)
}

/// Passes an input on to the joint transaction, or ends a request that has none yet.
pub(crate) fn joint(context: &Context<'_>, open: &Open, input: Input) -> Result<Step, Declined> {
    let joining = match (&open.activity, input) {
        (Activity::Resizing(joining), input) => match joint::step(context, joining, input)? {
            Verdict::Step(step) => return Ok(step),
            Verdict::Fail(reason) => return decline(context, open, reason, true),
            Verdict::Leave => joining,
        },
        (
            Activity::ResizeAsked(_),
            Input::Message(Message { body: Body::Decline { reason }, .. }),
        ) => return decline(context, open, reason, false),
        (_, Input::Backend(_)) => return Err(Misuse::Reply.into()),
        _ => return Err(Refusal::Unexpected.into()),
    };
    match &joining.joint {
        Joint::Released { .. } => Ok(court::dispute(context, open)),
        _ => Ok(Step::nothing()),
    }
}

/// Ends a resize before our consent was out; the channel goes on.
pub(crate) fn decline(
    context: &Context<'_>,
    open: &Open,
    reason: DeclineReason,
    tell_peer: bool,
) -> Result<Step, Declined> {
    let mut effects = vec![];
    if tell_peer {
        effects.push(context.send(Body::Decline { reason: reason.clone() }));
    }
    effects.extend(open.resize_contribution().and_then(|one| open.release(one)));
    effects.push(Event::ResizeFailed(reason.clone()).effect());
    let first = Step::new(vec![Record::ResizeDropped { reason }], effects);
    Ok(first.and(go_on(context, open, Outlook { idle: true, ..open.outlook() })))
}

/// Decides about what the ledger shows of the successor.
pub(crate) fn sighted(
    context: &Context<'_>,
    open: &Open,
    sighting: &Sighting,
) -> Result<Step, Declined> {
    let Some(assembly) = open.resize_released() else { return Ok(Step::nothing()) };
    if *assembly.initial.id() != sighting.channel || !sighting.confirmed {
        return Ok(Step::nothing());
    }
    match sighting.standing {
        Standing::Absent => Ok(Step::nothing()),
        // It can never commit: what we released is worth nothing, and the channel goes on.
        Standing::Impossible => decline(context, open, DeclineReason::TooLate {}, false),
        _ => Ok(committed(context, open, assembly)),
    }
}

/// The resize committed.
pub(crate) fn committed(context: &Context<'_>, open: &Open, assembly: &Assembly) -> Step {
    let successor = Open::new(Channel::of(assembly, open.channel.index));
    let id = successor.channel.id;
    let mut effects = vec![Event::Resized { id }.effect()];
    effects.extend(successor.channel.targets().map(Effect::Watch));
    effects.extend(successor.sync(context));
    let mut queue = open.queue.clone();
    let lost = queue.take_unfunded(open.channel.index, assembly.initial.outcome());
    effects.extend(failed_ids(&lost, FailureReason::Unfunded));
    Step::new(vec![Record::Succeeded { deadline: context.patience() }], effects)
}

impl Asked {
    /// The plan that both sides derive; none if the changes no longer fit, which they do as long as
    /// no state is signed in between.
    pub(crate) fn plan(&self, open: &Open, accepted: &LedgerBytes) -> Option<Plan> {
        let channel = &open.channel;
        let outcome = self.resize.changes.outcome(channel.state().outcome()).ok()?;
        let asked = &self.resize.contribution;
        let contributions = match self.by {
            Index::Zero => [asked, accepted],
            Index::One => [accepted, asked],
        };
        let [zero, one] = channel.params.participants() else { return None };
        let place = channel.only_joint()?;
        let (ledger, funding) = (place.ledger, place.funding);
        let terms = LedgerTerms { ledger, funding, chain: self.resize.chain.clone() };
        Some(Plan {
            index: channel.index,
            challenge_secs: channel.params.challenge_secs(),
            participants: [zero.clone(), one.clone()],
            outcome,
            ledgers: PerLedger::one(terms),
            contributions: contributions.map(|one| PerLedger::one(one.clone())),
            predecessor: Some(place.setup.clone()),
        })
    }
}

impl Open {
    /// What we set aside for a resize.
    fn resize_contribution(&self) -> Option<&LedgerBytes> {
        match &self.activity {
            Activity::ResizeAsked(asked) if asked.by == self.channel.index => {
                Some(&asked.resize.contribution)
            }
            Activity::Resizing(joining) => joining.plan.contribution(self.channel.index),
            _ => None,
        }
    }

    /// What we set aside for a resize that our user wishes for and that was not asked for yet.
    pub(crate) fn wished_contribution(&self) -> Option<&LedgerBytes> {
        match &self.wish {
            Some(Wish::Resize { resize }) => Some(&resize.contribution),
            _ => None,
        }
    }

    /// Gives back what we set aside for resizes. This holds even if our consent is out: the dispute
    /// and the resize spend the same channel, so only one of them commits and a fee from the
    /// resize's money takes nothing away. Kept back, it would be missing for as long as the peer
    /// likes, if the peer's part of the transaction is no good and its money is all that we have.
    pub(crate) fn freed(&self) -> Vec<Effect> {
        let freed = self.resize_contribution().into_iter().chain(self.wished_contribution());
        freed.filter_map(|one| self.release(one)).collect()
    }

    /// Gives back what was set aside for a resize.
    pub(crate) fn release(&self, contribution: &LedgerBytes) -> Option<Effect> {
        let ledger = self.channel.only_joint()?.ledger;
        Some(Effect::ReleaseFunds { ledger, contribution: contribution.clone() })
    }

    /// Ends a resize of which our consent is not out, and the wish for another.
    pub(crate) fn drop_resize(&mut self) {
        if self.wished_contribution().is_some() {
            self.wish = None;
        }
        let is_out = self.resize_released().is_some();
        match self.activity {
            Activity::ResizeAsked(_) => self.activity = Activity::Idle,
            Activity::Resizing(_) if !is_out => self.activity = Activity::Idle,
            _ => {}
        }
    }

    /// The resize whose consent is out, if there is one.
    pub(crate) fn resize_released(&self) -> Option<&Assembly> {
        match &self.activity {
            Activity::Resizing(joining) => match &joining.joint {
                Joint::Released { assembly, .. } => Some(assembly),
                _ => None,
            },
            _ => None,
        }
    }

    /// The successor's machine: same peers, same payments in wait, another channel. What waits,
    /// waits for the peer to see the successor, and not for ever.
    pub(crate) fn succeeded(self, deadline: Time) -> Self {
        let Some(assembly) = self.resize_released() else { return self };
        let channel = Channel::of(assembly, self.channel.index);
        let mut next = Self { channel, activity: Activity::Idle, peer_ready: false, ..self };
        let (index, outcome) = (next.channel.index, next.channel.latest.state.outcome());
        let lost = next.queue.take_unfunded(index, outcome);
        if !lost.is_empty() {
            next.recent.unfunded = lost;
        }
        if !next.wants() {
            next.patience = None;
        }
        next.wait_for_turn(deadline);
        next
    }

    pub(crate) fn apply_resize(mut self: Box<Self>, record: &Record) -> Box<Self> {
        let activity = core::mem::replace(&mut self.activity, Activity::Idle);
        self.activity = match (activity, record) {
            (Activity::Idle, Record::ResizeProposed { by, resize, deadline }) => {
                if *by == self.channel.index {
                    self.wish = None;
                    self.patience = None;
                }
                let (by, resize, deadline) = (*by, resize.clone(), *deadline);
                Activity::ResizeAsked(Box::new(Asked { by, resize, deadline }))
            }
            (Activity::ResizeAsked(asked), Record::ResizeAccepted { contribution, deadline }) => {
                let joint = Joint::Assembling { early: None, signed: None };
                match asked.plan(&self, contribution) {
                    Some(plan) => {
                        Activity::Resizing(Box::new(Joining { plan, joint, deadline: *deadline }))
                    }
                    None => Activity::ResizeAsked(asked),
                }
            }
            (Activity::ResizeAsked(_) | Activity::Resizing(_), Record::ResizeDropped { .. }) => {
                Activity::Idle
            }
            (Activity::Resizing(joining), record) => {
                Activity::Resizing(Box::new(joining.apply(record)))
            }
            (activity, _) => activity,
        };
        self
    }
}
