//! A channel that lives: what is known in it, what its user may ask for, and what happens next.
//!
//! One side at a time holds the turn, the right to propose, so two proposals never cross. Whatever
//! is wanted while an update is on its way waits, and is merged into the next one. The invariant
//! that matters: every wait for the peer has a moment after which we leave without it, or after
//! which nothing that was signed is lost by giving up.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use perun_channel::{Amount, State, Version};

use crate::channel::Channel;
use crate::config::OnSilence;
use crate::court;
use crate::effect::{Effect, Event, FailureReason, Step, WaitingFor};
use crate::input::{Command, Input, Sighting, Standing};
use crate::limits::MAX_QUEUE;
use crate::machine::Context;
use crate::message::{Body, DeclineReason, Handover, Offer, Proof, RejectReason};
use crate::payment::{Batch, Payment, PaymentId, Queue};
use crate::phase::{Joining, Joint, PhaseName};
use crate::recent::{Recent, failed};
use crate::record::{Record, Resize, Wish};
use crate::refusal::{Declined, Misuse};
use crate::swapping::Swapping;
use crate::units::{Digest, Index, Preimage, Time, Turn};
use crate::{exchange, goperun, resize, swap, update};

/// A channel that lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Open {
    pub(crate) channel: Channel,
    /// Who may propose.
    pub(crate) turn: Turn,
    /// Whether the peer has said that it wants the turn that we hold.
    pub(crate) peer_wants: bool,
    /// Whether the peer, too, has seen the channel on the ledger. Before that it would refuse
    /// updates.
    pub(crate) peer_ready: bool,
    /// Our payments that wait for an update.
    pub(crate) queue: Queue,
    /// What else our user wants.
    pub(crate) wish: Option<Wish>,
    /// When the queue and the wish have waited too long, while we cannot propose.
    pub(crate) patience: Option<Time>,
    pub(crate) activity: Activity,
    /// The id of our last payment.
    pub(crate) paid_last: PaymentId,
    /// The id of the peer's last payment.
    pub(crate) received_last: PaymentId,
    pub(crate) recent: Recent,
    /// The secret of the last swap, if it was shown: it may be shown to the ledgers.
    pub(crate) secret: Option<Preimage>,
}

/// What is on its way between the two sides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Activity {
    Idle,
    /// Our update waits for the peer's answer.
    Updating(Box<Flight>),
    /// The peer's final update, or its exchange, waits for our user's answer.
    CloseAsked(Box<(Offer, Time)>),
    /// A resize waits for the other side's answer: the peer's if it is ours.
    ResizeAsked(Box<Asked>),
    /// A resize is built and released.
    Resizing(Box<Joining>),
    /// A swap is pending; nothing else is signed.
    Swapping(Box<Swapping>),
}

/// Our update on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flight {
    pub(crate) state: State,
    pub(crate) digest: Digest,
    pub(crate) payments: Batch,
    pub(crate) after: Handover,
    pub(crate) deadline: Time,
    /// Whether it was said again on another connection: an answer may have been lost.
    pub(crate) repeated: bool,
    /// Whether it was waited for longer than at first.
    pub(crate) extended: bool,
}

/// A resize that one side asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) by: Index,
    pub(crate) resize: Resize,
    pub(crate) deadline: Time,
}

/// What will be true once the records decided so far are applied, as far as the next move needs it.
#[derive(Clone, Copy)]
pub(crate) struct Outlook<'a> {
    pub(crate) latest: &'a State,
    pub(crate) next_version: Version,
    pub(crate) turn: Turn,
    pub(crate) peer_wants: bool,
    pub(crate) peer_ready: bool,
    pub(crate) wish: Option<&'a Wish>,
    /// A payment that comes behind the queue.
    pub(crate) payment: Option<&'a Payment>,
    /// Whether the peer does not know yet that we want the turn.
    pub(crate) unsaid: bool,
    /// Whether nothing is on its way.
    pub(crate) idle: bool,
    /// Whether the last update was ours: if the peer wants the turn as well, it is the peer's now.
    pub(crate) had_turn: bool,
}

/// Decides about an input while the channel lives.
pub(crate) fn step(context: &Context<'_>, open: &Open, input: Input) -> Result<Step, Declined> {
    match input {
        Input::Command(command) => commanded(context, open, command),
        Input::Message(message) if context.is_goperun() => goperun::heard(context, open, message),
        Input::Message(message) => update::heard(context, open, message),
        Input::Ledger(sighting) => sighted(context, open, &sighting),
        Input::Backend(reply) => resize::joint(context, open, Input::Backend(reply)),
        Input::LedgerClock { ledger, now } => match open.activity {
            Activity::Resizing(_) => resize::joint(context, open, input),
            _ => swap::clock(context, open, ledger, now),
        },
        Input::Tick => late(context, open),
        Input::Connected => {
            let effects = open.first_signature(context).into_iter().chain(open.sync(context));
            let step = Step::effects(effects.collect()).and(outstanding(context, open)?);
            Ok(goperun::repeated(context, open).and(step))
        }
        Input::Restart => restarted(context, open),
        Input::JournalRolledBack => Ok(court::freeze(open, None)),
    }
}

fn commanded(context: &Context<'_>, open: &Open, command: Command) -> Result<Step, Declined> {
    match (command, &open.activity) {
        (Command::Pay(_) | Command::Close | Command::Resize { .. }, _) if open.is_swapping() => {
            Err(Misuse::SwapPending.into())
        }
        (Command::Swap { .. }, _) if context.is_goperun() => Err(Misuse::NoSwap.into()),
        (Command::Pay(payment), _) => pay(context, open, payment),
        (Command::Close, _) => wish(context, open, Wish::Close {}),
        (Command::Resize { changes, chain, contribution }, _) => {
            if open.channel.only_joint().is_none() {
                return Err(Misuse::NoResize.into());
            }
            if changes.outcome(open.channel.state().outcome()).is_err() {
                return Err(Misuse::Changes.into());
            }
            wish(context, open, Wish::Resize { resize: Resize { changes, chain, contribution } })
        }
        (Command::AcceptClose, Activity::CloseAsked(asked)) if asked.0.state.is_final() => {
            Ok(update::countersign(context, open, asked.0.clone()))
        }
        (Command::AcceptSwap { .. }, Activity::CloseAsked(asked)) if open.is_exchanging() => {
            exchange::accept(context, open, &asked.0)
        }
        (Command::DeclineSwap, Activity::CloseAsked(asked)) if open.is_exchanging() => {
            update::reject(context, open, &asked.0, RejectReason::User {})
        }
        (Command::DeclineClose, Activity::CloseAsked(asked)) if asked.0.state.is_final() => {
            update::reject(context, open, &asked.0, RejectReason::User {})
        }
        (Command::AcceptResize { contribution }, Activity::ResizeAsked(asked))
            if asked.by != open.channel.index =>
        {
            Ok(resize::accept(context, open, asked, contribution))
        }
        (Command::DeclineResize, Activity::ResizeAsked(_)) => {
            resize::decline(context, open, DeclineReason::User {}, true)
        }
        (Command::Dispute, _) => Ok(court::dispute(context, open)),
        (command, _) => swap::commanded(context, open, command),
    }
}

fn pay(context: &Context<'_>, open: &Open, payment: Payment) -> Result<Step, Declined> {
    if matches!(open.wish, Some(Wish::Close {})) || open.is_closing() {
        return Err(Misuse::Closing.into());
    }
    let asset = payment.asset;
    let row = usize::from(asset);
    let index = open.channel.index;
    let outcome = open.channel.state().outcome();
    let Some(balance) = outcome.balance(row, index.column()) else {
        return Err(Misuse::UnknownAsset { asset, assets: outcome.assets().len() }.into());
    };
    let available = balance.checked_sub(open.committed(row)).unwrap_or_default();
    if payment.amount == Amount::ZERO {
        return Err(Misuse::NothingToPay.into());
    }
    if payment.amount > available {
        return Err(Misuse::Insufficient { asset, needed: payment.amount, available }.into());
    }
    if payment.id <= open.paid_last {
        return Err(Misuse::PaymentId { at_least: open.paid_last.next() }.into());
    }
    if open.queue.len() >= MAX_QUEUE {
        return Err(Misuse::QueueFull.into());
    }
    let outlook = Outlook {
        payment: Some(&payment),
        unsaid: open.queue.is_empty() && open.wish.is_none(),
        ..open.outlook()
    };
    let next = move_on(context, open, outlook)?;
    let record = Record::Queued { payment, deadline: context.patience() };
    Ok(Step::new(vec![record], vec![]).and(next))
}

pub(crate) fn wish(context: &Context<'_>, open: &Open, wish: Wish) -> Result<Step, Declined> {
    if open.wish.is_some() || open.is_closing() {
        return Err(Misuse::WishWaiting.into());
    }
    let outlook = Outlook { wish: Some(&wish), unsaid: open.queue.is_empty(), ..open.outlook() };
    let next = move_on(context, open, outlook)?;
    let record = Record::Wished { wish, deadline: context.patience() };
    Ok(Step::new(vec![record], vec![]).and(next))
}

/// The next thing to do when nothing is on its way: propose if we may, ask for the turn if we may
/// not, and hand it over if only the peer wants something.
fn move_on(context: &Context<'_>, open: &Open, outlook: Outlook<'_>) -> Result<Step, Declined> {
    let wants = open.wants() || outlook.payment.is_some() || outlook.wish.is_some();
    if !outlook.peer_ready {
        return Ok(Step::nothing());
    }
    if !context.is_goperun() && outlook.turn.holder() != open.channel.index {
        if !(wants && outlook.unsaid) {
            return Ok(Step::nothing());
        }
        return Ok(Step::effects(vec![context.send(Body::RequestTurn { turn: outlook.turn })]));
    }
    if !outlook.idle {
        return Ok(Step::nothing());
    }
    if outlook.peer_wants && outlook.had_turn {
        return Ok(yield_turn(context, outlook.turn.passed(), wants));
    }
    let has_payments = !open.queue.is_empty() || outlook.payment.is_some();
    match outlook.wish {
        Some(Wish::Resize { resize }) => Ok(resize::propose(context, open, resize)),
        Some(Wish::Swap { swap, preimage }) => {
            Ok(swap::offer(context, open, &outlook, swap, *preimage))
        }
        _ if has_payments => propose(context, open, outlook, false),
        Some(Wish::Close {}) => propose(context, open, outlook, true),
        None if outlook.peer_wants => Ok(yield_turn(context, outlook.turn.passed(), false)),
        None => Ok(Step::nothing()),
    }
}

/// [`move_on`] after a word of the peer, or when a time is over. Those count whatever we can do
/// next: a move of ours that is not possible is left out, and never a reason to refuse them.
pub(crate) fn go_on(context: &Context<'_>, open: &Open, outlook: Outlook<'_>) -> Step {
    move_on(context, open, outlook).unwrap_or_default()
}

fn yield_turn(context: &Context<'_>, turn: Turn, wants_back: bool) -> Step {
    let deadline = context.patience();
    Step::new(
        vec![Record::TurnPassed { turn, wants_back, deadline }],
        vec![context.send(Body::YieldTurn { turn, wants_back })],
    )
}

/// Signs and proposes the next state: waiting payments, or the final state.
fn propose(
    context: &Context<'_>,
    open: &Open,
    outlook: Outlook<'_>,
    is_final: bool,
) -> Result<Step, Declined> {
    if context.is_goperun() && goperun::is_burnt(&outlook) {
        return Ok(goperun::fill(context, &outlook));
    }
    let version = outlook.next_version;
    if version.next().is_none() {
        return Err(Misuse::VersionsUsedUp.into());
    }
    let waiting = open.queue.iter().chain(outlook.payment);
    let payments: Batch =
        if is_final { Batch::default() } else { waiting.clone().cloned().collect() };
    let paid = payments.pay(open.channel.index, outlook.latest.outcome());
    let Ok(outcome) = paid else { return Err(Misuse::NotNow.into()) };
    let state = outlook.latest.at_version(version, outcome);
    let state = if is_final { state.finalized() } else { state };
    let digest = context.crypto.digest(&state);
    let more = waiting.count() > payments.len() || (!is_final && outlook.wish.is_some());
    let after = match outlook.peer_wants {
        true => Handover::Yield { wants_back: more },
        false => Handover::Keep {},
    };
    let message = Body::Update {
        state: state.clone(),
        payments: payments.clone(),
        after: after.clone(),
        signature: digest,
    };
    let record = Record::UpdateProposed {
        state,
        digest,
        count: u16::try_from(payments.len()).unwrap_or(u16::MAX),
        after,
        // go-perun asks its user about every update.
        deadline: match is_final || context.is_goperun() {
            true => context.peer_user(),
            false => context.answer(),
        },
    };
    Ok(Step::new(vec![record], vec![context.send(message)]))
}

fn sighted(context: &Context<'_>, open: &Open, sighting: &Sighting) -> Result<Step, Declined> {
    if sighting.channel != open.channel.id {
        return resize::sighted(context, open, sighting);
    }
    match &sighting.standing {
        // What was final on every ledger when the channel opened is not doubted again.
        Standing::Absent | Standing::Open => Ok(Step::nothing()),
        _ => court::sighted(context, open, None, sighting),
    }
}

/// A deadline has passed.
fn late(context: &Context<'_>, open: &Open) -> Result<Step, Declined> {
    let is_past = |deadline: Time| context.now >= deadline;
    match &open.activity {
        Activity::Updating(flight) if is_past(flight.deadline) => {
            let silent = Step::effects(vec![Event::PeerSilent.effect()]);
            match context.config.on_silence {
                // A final state that we signed can be paid at once: nothing to wait for.
                policy if context.is_goperun() && goperun::is_asked(flight, policy) => {
                    return Ok(silent.and(goperun::ask_again(context, open, flight)));
                }
                OnSilence::Wait if !flight.state.is_final() => {
                    let deadline = context.answer();
                    return Ok(silent.and(Step::new(vec![Record::Extended { deadline }], vec![])));
                }
                OnSilence::Wait | OnSilence::Dispute => {
                    return Ok(silent.and(court::dispute(context, open)));
                }
            }
        }
        Activity::CloseAsked(asked) if is_past(asked.1) => {
            return update::reject(context, open, &asked.0, RejectReason::TooLate {});
        }
        Activity::ResizeAsked(asked) if is_past(asked.deadline) => {
            let reason = DeclineReason::TooLate {};
            return resize::decline(context, open, reason, true);
        }
        Activity::Resizing(joining) if is_past(joining.deadline) => {
            return resize::joint(context, open, Input::Tick);
        }
        Activity::Swapping(swapping) if swapping.deadline().is_some_and(is_past) => {
            return swap::late(context, open, swapping);
        }
        _ => {}
    }
    if !open.patience.is_some_and(is_past) {
        return Ok(Step::nothing());
    }
    waited(context, open)
}

/// What waits has waited too long, or will not come to be.
pub(crate) fn waited(context: &Context<'_>, open: &Open) -> Result<Step, Declined> {
    let silent = Step::effects(vec![Event::PeerSilent.effect()]);
    match open.wish {
        // To leave is a promise: without the peer, the ledger keeps it (P-L1).
        Some(Wish::Close {}) => Ok(silent.and(court::dispute(context, open))),
        _ => {
            let mut effects: Vec<Effect> = failed(open.queue.iter(), FailureReason::Waited);
            if let Some(Wish::Resize { .. }) = open.wish {
                let reason = DeclineReason::TooLate {};
                effects.push(Event::ResizeFailed(reason).effect());
            }
            if let Some(Wish::Swap { .. }) = open.wish {
                effects.push(Event::SwapFailed(FailureReason::Waited).effect());
            }
            effects.extend(open.wished_contribution().and_then(|one| open.release(one)));
            Ok(silent.and(Step::new(vec![Record::PatienceEnded {}], effects)))
        }
    }
}

/// What the peer may not have heard.
pub(crate) fn outstanding(context: &Context<'_>, open: &Open) -> Result<Step, Declined> {
    let mut effects = Vec::new();
    match &open.activity {
        Activity::Updating(flight) => effects.push(context.send(flight.message())),
        Activity::ResizeAsked(asked) if asked.by == open.channel.index => {
            effects.push(context.send(resize::request(&asked.resize)));
        }
        Activity::Resizing(_) => return resize::joint(context, open, Input::Connected),
        Activity::Swapping(swapping) => {
            effects.extend(swap::repeated(context, open, swapping));
        }
        _ => {}
    }
    let may_propose = context.is_goperun() || open.turn.holder() == open.channel.index;
    if open.peer_ready && open.wants() && !may_propose {
        effects.push(context.send(Body::RequestTurn { turn: open.turn }));
    }
    Ok(Step::effects(effects))
}

/// Repeats what may not have happened before the process ended.
fn restarted(context: &Context<'_>, open: &Open) -> Result<Step, Declined> {
    let mut effects: Vec<Effect> = open.channel.targets().map(Effect::Watch).collect();
    effects.extend(open.sync(context));
    effects.extend(open.recent.events());
    match &open.activity {
        Activity::CloseAsked(asked) => {
            effects.push(match open.is_exchanging() {
                true => exchange::asked(&asked.0, asked.1).effect(),
                false => Event::CloseRequested { deadline: asked.1 }.effect(),
            });
        }
        Activity::ResizeAsked(asked) if asked.by != open.channel.index => {
            let (changes, deadline) = (asked.resize.changes.clone(), asked.deadline);
            effects.push(Event::ResizeRequested { changes, deadline }.effect());
        }
        Activity::Swapping(swapping) => effects.extend(swapping.asked()),
        _ => {}
    }
    Ok(Step::effects(effects).and(outstanding(context, open)?))
}

impl Open {
    /// A channel that has just come to live.
    pub(crate) fn new(channel: Channel) -> Self {
        Self {
            channel,
            turn: Turn::default(),
            peer_wants: false,
            peer_ready: false,
            queue: Queue::default(),
            wish: None,
            patience: None,
            activity: Activity::Idle,
            paid_last: PaymentId::default(),
            received_last: PaymentId::default(),
            recent: Recent::default(),
            secret: None,
        }
    }

    pub(crate) fn outlook(&self) -> Outlook<'_> {
        Outlook {
            latest: self.channel.state(),
            next_version: self.channel.next_version,
            turn: self.turn,
            peer_wants: self.peer_wants,
            peer_ready: self.peer_ready,
            wish: self.wish.as_ref(),
            payment: None,
            unsaid: false,
            idle: matches!(self.activity, Activity::Idle),
            had_turn: false,
        }
    }

    /// Whether we would use the turn.
    pub(crate) fn wants(&self) -> bool {
        !self.queue.is_empty() || self.wish.is_some()
    }

    /// How much of our balance waits or is on its way.
    pub(crate) fn committed(&self, asset: usize) -> Amount {
        let waiting = self.queue.needed(asset);
        let Activity::Updating(flight) = &self.activity else { return waiting };
        let (index, now) = (self.channel.index.column(), self.channel.state().outcome());
        let before = now.balance(asset, index).unwrap_or_default();
        let after = flight.state.outcome().balance(asset, index).unwrap_or_default();
        let flying = before.checked_sub(after).unwrap_or_default();
        waiting.checked_add(flying).unwrap_or(Amount::new(u128::MAX))
    }

    fn is_closing(&self) -> bool {
        match &self.activity {
            Activity::Updating(flight) => flight.state.is_final(),
            Activity::CloseAsked(asked) => asked.0.state.is_final(),
            _ => false,
        }
    }

    /// Our signature over version 0, for a peer that may not have heard it.
    fn first_signature(&self, context: &Context<'_>) -> Option<Effect> {
        let proof = self.channel.latest.proof.as_ref().filter(|_| !self.peer_ready)?;
        let is_first = self.channel.state().version() == Version::ZERO;
        is_first.then(|| context.send(Body::Sign { signature: proof.digest }))
    }

    /// Where we stand, for a peer that is to hear it at every beginning.
    pub(crate) fn sync(&self, context: &Context<'_>) -> Option<Effect> {
        (!context.is_goperun()).then(|| self.standing(context))
    }

    /// Where we stand. An update on its way counts as not yet made: the peer may not have heard of
    /// it.
    pub(crate) fn standing(&self, context: &Context<'_>) -> Effect {
        let proof = self.channel.latest.proof.as_ref();
        let next_version = match &self.activity {
            Activity::Updating(flight) => flight.state.version(),
            Activity::Swapping(it) => it.on_its_way().unwrap_or(self.channel.next_version),
            _ => self.channel.next_version,
        };
        context.send(Body::Sync {
            state: self.channel.state().clone(),
            next_version,
            proof: proof.map(|proof| Proof { mine: proof.digest, yours: proof.signature }),
        })
    }

    pub(crate) fn name(&self) -> PhaseName {
        match &self.activity {
            Activity::Idle => PhaseName::Open,
            Activity::Updating(_) => PhaseName::Updating,
            Activity::CloseAsked(_) if self.is_exchanging() => PhaseName::SwapAsked,
            Activity::CloseAsked(_) => PhaseName::CloseAsked,
            Activity::ResizeAsked(_) => PhaseName::Resizing,
            Activity::Resizing(joining) => match joining.joint {
                Joint::Released { .. } => PhaseName::ResizeReleased,
                _ => PhaseName::Resizing,
            },
            Activity::Swapping(swapping) => swapping.name(),
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let activity = match &self.activity {
            Activity::Idle => None,
            Activity::Updating(flight) => Some(flight.deadline),
            Activity::CloseAsked(asked) => Some(asked.1),
            Activity::ResizeAsked(asked) => Some(asked.deadline),
            Activity::Resizing(joining) => Some(joining.deadline),
            Activity::Swapping(swapping) => swapping.deadline(),
        };
        activity.into_iter().chain(self.patience).min()
    }

    pub(crate) fn waiting_for(&self) -> WaitingFor {
        match &self.activity {
            Activity::Idle if !self.wants() => WaitingFor::Command,
            Activity::Idle if self.peer_ready => WaitingFor::Turn,
            Activity::Idle | Activity::Updating(_) => WaitingFor::Peer,
            Activity::CloseAsked(_) => WaitingFor::User,
            Activity::ResizeAsked(asked) if asked.by == self.channel.index => WaitingFor::Peer,
            Activity::ResizeAsked(_) => WaitingFor::User,
            Activity::Resizing(joining) => joining.joint.waiting_for(),
            Activity::Swapping(swapping) => swapping.waiting_for(),
        }
    }
}
