//! What the peer says while a channel lives: updates and their answers, the turn, and where it
//! stands.
//!
//! The receiver of an update computes the one state that the payments lead to and compares in full
//! (D5); payments go from the proposer to the receiver only. A refused version is burnt on both
//! sides, so that no version is ever signed with two contents (P-A3). Nobody answers an answer, but
//! for the first `Sync` of a channel.
//!
//! That payments go one way is what makes an update safe on several ledgers, where one may settle
//! it and another the state before. Who signs first, the proposer, has given in every row, and
//! loses at most what it gave. Who signs last has gained in every row, holds the complete state,
//! and can take it to every ledger. An update that gives in one row and takes in another, a swap,
//! has no such order: it must never be made like this.

use alloc::vec;
use alloc::vec::Vec;

use perun_channel::{Allocation, Signature, State, Version, transition};

use crate::channel::above;
use crate::court;
use crate::effect::{Effect, Event, FailureReason, Step};
use crate::input::Input;
use crate::limits::MAX_VERSION_SKIP;
use crate::machine::Context;
use crate::message::{Body, Handover, Message, Offer, Proof, RejectReason};
use crate::open::{Activity, Flight, Open, Outlook, go_on, outstanding};
use crate::payment::Batch;
use crate::recent::failed;
use crate::record::{Agreed, Record};
use crate::refusal::{Declined, Refusal};
use crate::units::{Digest, Turn};
use crate::{exchange, goperun, hearing, resize};

/// Decides about a message of the peer.
pub(crate) fn heard(
    context: &Context<'_>,
    open: &Open,
    message: Message,
) -> Result<Step, Declined> {
    match message.body {
        Body::Update { state, payments, after, signature } => {
            let offer = Incoming { state, payments, after, signature };
            offered(context, open, offer)
        }
        Body::Ack { version, wants_turn, signature } => {
            acked(context, open, version, wants_turn, signature)
        }
        Body::Reject { version, reason } => refused(context, open, version, reason),
        Body::RequestTurn { turn } => turn_requested(context, open, turn),
        Body::YieldTurn { turn, wants_back } => turn_yielded(context, open, turn, wants_back),
        Body::Sync { state, next_version, proof } => {
            synced(context, open, &state, next_version, proof)
        }
        Body::ProposeResize { changes, chain, contribution } => {
            resize::asked(context, open, crate::record::Resize { changes, chain, contribution })
        }
        Body::AcceptResize { contribution } => resize::accepted(context, open, contribution),
        body @ (Body::Release { .. } | Body::Decline { .. }) => {
            let message = Message { opening: message.opening, body };
            resize::joint(context, open, Input::Message(message))
        }
        body @ (Body::SwapOffer { .. }
        | Body::SwapAccept { .. }
        | Body::SwapReveal { .. }
        | Body::SwapDone { .. }
        | Body::SwapCancelRequest { .. }
        | Body::SwapCancel { .. }
        | Body::SwapCancelled { .. }) => hearing::heard(context, open, body),
        // The opening is long over; the peer repeats itself.
        Body::Accept { .. } | Body::Propose { .. } | Body::Sign { .. } => Ok(Step::nothing()),
    }
}

/// An update as it arrived.
pub(crate) struct Incoming {
    pub(crate) state: State,
    pub(crate) payments: Batch,
    pub(crate) after: Handover,
    pub(crate) signature: Signature,
}

fn offered(context: &Context<'_>, open: &Open, incoming: Incoming) -> Result<Step, Declined> {
    let channel = &open.channel;
    if *incoming.state.id() != channel.id {
        return Err(Refusal::OtherChannel.into());
    }
    let version = incoming.state.version();
    if version == channel.state().version() {
        return acknowledged_again(context, open, &incoming.state);
    }
    if let Activity::CloseAsked(asked) = &open.activity {
        let same = asked.0.state == incoming.state;
        return if same { Ok(Step::nothing()) } else { Err(Refusal::Unexpected.into()) };
    }
    if open.turn.holder() == channel.index {
        return Err(Refusal::NotTheirTurn.into());
    }
    if !matches!(open.activity, Activity::Idle) {
        return Err(Refusal::Unexpected.into());
    }
    if version < channel.next_version {
        let reason = RejectReason::Version {};
        return Ok(Step::effects(vec![context.send(Body::Reject { version, reason })]));
    }
    if version > channel.next_version || version.next().is_none() {
        return Err(Refusal::Unproven.into());
    }
    match examined(context, open, incoming) {
        Ok(offer) if offer.state.is_final() && !context.config.accept_close => {
            let deadline = context.user();
            let event = Event::CloseRequested { deadline };
            Ok(Step::new(vec![Record::CloseAsked { offer, deadline }], vec![event.effect()]))
        }
        Ok(offer) if !offer.state.is_final() && offer.payments.is_empty() => {
            Ok(exchange::ask(context, offer))
        }
        Ok(offer) => Ok(countersign(context, open, offer)),
        Err((after, reason)) => refuse(context, open, version, after, reason),
    }
}

/// The peer did not hear our answer: the same answer again.
pub(crate) fn acknowledged_again(
    context: &Context<'_>,
    open: &Open,
    state: &State,
) -> Result<Step, Declined> {
    let latest = &open.channel.latest;
    match &latest.proof {
        Some(proof) if latest.state == *state => Ok(Step::effects(vec![context.send(Body::Ack {
            version: state.version(),
            wants_turn: open.wants(),
            signature: proof.digest,
        })])),
        _ => Err(Refusal::Fork.into()),
    }
}

/// Checks an update against the one state that it can lead to.
fn examined(
    context: &Context<'_>,
    open: &Open,
    incoming: Incoming,
) -> Result<Offer, (Handover, RejectReason)> {
    let Incoming { state, payments, after, signature } = incoming;
    let channel = &open.channel;
    let peer = channel.index.other();
    let current = channel.state();
    let is_exchange = payments.is_empty() && exchange::is_allowed(context, open, &state);
    let fits = payments.follows(open.received_last) && payments.is_empty() == state.is_final();
    let outcome = match is_exchange {
        true => Some(state.outcome().clone()),
        false => payments.pay(peer, current.outcome()).ok().filter(|_| fits),
    };
    let Some(outcome) = outcome else { return Err((after, RejectReason::Payments {})) };
    let incoming = Incoming { state, payments, after: after.clone(), signature };
    offer_of(context, open, incoming, channel.next_version, outcome)
        .map_err(|reason| (after, reason))
}

/// The offer of an update, if its state is the one that has this version and outcome (D5), and the
/// peer signed it.
pub(crate) fn offer_of(
    context: &Context<'_>,
    open: &Open,
    incoming: Incoming,
    version: Version,
    outcome: Allocation,
) -> Result<Offer, RejectReason> {
    let Incoming { state, payments, after, signature } = incoming;
    let channel = &open.channel;
    let current = channel.state();
    let expected = current.at_version(version, outcome);
    let expected = if state.is_final() { expected.finalized() } else { expected };
    let follows =
        transition::check_ordinary_of(&channel.params, &channel.id, current, &expected, version);
    if state != expected || follows.is_err() {
        return Err(RejectReason::State {});
    }
    let digest = context.crypto.digest(&state);
    match context.crypto.verify(&digest, &signature, &channel.address(channel.index.other())) {
        Ok(()) => Ok(Offer { state, digest, payments, after, signature }),
        Err(_) => Err(RejectReason::Signature {}),
    }
}

/// Signs what the peer proposed.
pub(crate) fn countersign(context: &Context<'_>, open: &Open, offer: Offer) -> Step {
    let (version, is_final) = (offer.state.version(), offer.state.is_final());
    let ack = Body::Ack { version, wants_turn: open.wants(), signature: offer.digest };
    let mut effects = vec![context.send(ack), Event::Updated { version }.effect()];
    let received = offer.payments.iter().cloned();
    effects.extend(received.map(|payment| Event::PaymentReceived(payment).effect()));
    let agreed = Agreed::signed(offer.state.clone(), offer.digest, offer.signature);
    let (turn, peer_wants) = passed(open, &offer.after);
    let first = Step::new(vec![Record::Countersigned { offer }], effects);
    if is_final {
        return first.and(court::close(context, open, &agreed));
    }
    let outlook = Outlook {
        latest: &agreed.state,
        next_version: above(version),
        turn,
        peer_wants,
        idle: true,
        ..open.outlook()
    };
    first.and(go_on(context, open, outlook))
}

/// Refuses an update that was held for the user.
pub(crate) fn reject(
    context: &Context<'_>,
    open: &Open,
    offer: &Offer,
    reason: RejectReason,
) -> Result<Step, Declined> {
    if context.is_goperun() {
        return Ok(goperun::reject(context, open, offer.state.version(), reason));
    }
    refuse(context, open, offer.state.version(), offer.after.clone(), reason)
}

fn refuse(
    context: &Context<'_>,
    open: &Open,
    version: Version,
    after: Handover,
    reason: RejectReason,
) -> Result<Step, Declined> {
    let (turn, peer_wants) = passed(open, &after);
    let outlook =
        Outlook { next_version: above(version), turn, peer_wants, idle: true, ..open.outlook() };
    let next = go_on(context, open, outlook);
    let record = Record::Rejected { version, after };
    Ok(Step::new(vec![record], vec![context.send(Body::Reject { version, reason })]).and(next))
}

/// The turn after the peer's update, and whether the peer wants it back then.
fn passed(open: &Open, after: &Handover) -> (Turn, bool) {
    match after {
        Handover::Keep {} => (open.turn, open.peer_wants),
        Handover::Yield { wants_back } => (open.turn.passed(), *wants_back),
    }
}

pub(crate) fn acked(
    context: &Context<'_>,
    open: &Open,
    version: Version,
    wants_turn: bool,
    signature: Signature,
) -> Result<Step, Declined> {
    match &open.activity {
        Activity::Updating(flight) if flight.state.version() == version => {
            let peer = open.channel.address(open.channel.index.other());
            context.crypto.verify(&flight.digest, &signature, &peer).map_err(Refusal::Signature)?;
            Ok(completed(context, open, flight, wants_turn, signature))
        }
        _ if version < open.channel.next_version => Ok(Step::nothing()),
        _ => Err(Refusal::Unexpected.into()),
    }
}

/// The peer signed what we proposed.
pub(crate) fn completed(
    context: &Context<'_>,
    open: &Open,
    flight: &Flight,
    wants_turn: bool,
    signature: Signature,
) -> Step {
    let (turn, peer_wants, unsaid) = flight.answered(open, wants_turn);
    let first = landed(context, flight, wants_turn, signature);
    if flight.state.is_final() {
        let agreed = Agreed::signed(flight.state.clone(), flight.digest, signature);
        return first.and(court::close(context, open, &agreed));
    }
    let outlook = Outlook {
        latest: &flight.state,
        turn,
        peer_wants,
        unsaid,
        idle: true,
        had_turn: true,
        ..open.outlook()
    };
    first.and(go_on(context, open, outlook))
}

pub(crate) fn landed(
    context: &Context<'_>,
    flight: &Flight,
    peer_wants: bool,
    signature: Signature,
) -> Step {
    let mut effects = vec![Event::Updated { version: flight.state.version() }.effect()];
    let sent = flight.payments.iter();
    effects.extend(sent.map(|payment| Event::PaymentSent(payment.id).effect()));
    let deadline = context.patience();
    Step::new(vec![Record::Completed { signature, peer_wants, deadline }], effects)
}

/// The peer's signature on our last update comes when the ledger settles already: nothing is signed
/// for it, and a newer state is a better one.
pub(crate) fn completed_late(
    context: &Context<'_>,
    open: &Open,
    version: Version,
    signature: Signature,
) -> Result<Step, Declined> {
    match &open.activity {
        Activity::Updating(flight) if flight.state.version() == version => {
            let peer = open.channel.address(open.channel.index.other());
            let checked = context.crypto.verify(&flight.digest, &signature, &peer);
            checked.map_err(Refusal::Signature)?;
            Ok(landed(context, flight, false, signature))
        }
        _ => Err(Refusal::Settling.into()),
    }
}

pub(crate) fn refused(
    context: &Context<'_>,
    open: &Open,
    version: Version,
    reason: RejectReason,
) -> Result<Step, Declined> {
    match &open.activity {
        Activity::Updating(flight) if flight.state.version() == version => {
            let (turn, peer_wants, unsaid) = flight.answered(open, open.peer_wants);
            let mut effects: Vec<Effect> = failed(flight.payments.iter(), FailureReason::Refused);
            let is_final = flight.state.is_final();
            if is_final {
                effects.push(Event::CloseRefused(reason.clone()).effect());
            }
            let record = Record::UpdateRefused { reason, deadline: context.patience() };
            if is_final {
                // The peer holds our signature on a state that a ledger pays at once, whatever we
                // agree to afterwards. Nothing newer may be signed: we leave with what we have.
                return Ok(Step::new(vec![record], effects).and(court::dispute(context, open)));
            }
            let outlook =
                Outlook { turn, peer_wants, unsaid, idle: true, had_turn: true, ..open.outlook() };
            let next = go_on(context, open, outlook);
            Ok(Step::new(vec![record], effects).and(next))
        }
        Activity::Swapping(swapping) => hearing::refused(context, open, swapping, version),
        _ if version < open.channel.next_version => Ok(Step::nothing()),
        _ => Err(Refusal::Unexpected.into()),
    }
}

fn turn_requested(context: &Context<'_>, open: &Open, turn: Turn) -> Result<Step, Declined> {
    let own = open.channel.index;
    if turn > open.turn {
        // The peer handed the turn over, we did not hear it, and it wants it back.
        return turn_yielded(context, open, turn, true);
    }
    if open.turn.holder() != own {
        let (turn, wants_back) = (open.turn, open.wants());
        return Ok(Step::effects(vec![context.send(Body::YieldTurn { turn, wants_back })]));
    }
    if turn < open.turn || open.peer_wants {
        return Ok(Step::nothing());
    }
    let outlook = Outlook { peer_wants: true, ..open.outlook() };
    let next = go_on(context, open, outlook);
    Ok(Step::new(vec![Record::TurnRequested {}], vec![]).and(next))
}

fn turn_yielded(
    context: &Context<'_>,
    open: &Open,
    turn: Turn,
    wants_back: bool,
) -> Result<Step, Declined> {
    if turn <= open.turn {
        return Ok(Step::nothing());
    }
    if turn != open.turn.passed() || turn.holder() != open.channel.index {
        return Err(Refusal::Unproven.into());
    }
    let outlook = Outlook { turn, peer_wants: wants_back, ..open.outlook() };
    let next = go_on(context, open, outlook);
    let deadline = context.patience();
    Ok(Step::new(vec![Record::TurnPassed { turn, wants_back, deadline }], vec![]).and(next))
}

/// The peer says where it stands: enough to see that it missed an answer of ours, that we missed
/// one of its, or that our journal is older than what we signed. Only the first one is answered
/// with another `Sync`.
fn synced(
    context: &Context<'_>,
    open: &Open,
    state: &State,
    next_version: Version,
    proof: Option<Proof<Signature>>,
) -> Result<Step, Declined> {
    let channel = &open.channel;
    if *state.id() != channel.id {
        return Err(Refusal::OtherChannel.into());
    }
    let ours = channel.state();
    if state.version() == ours.version() && state != ours {
        return Err(Refusal::Fork.into());
    }
    if state.version() > ours.version() {
        let proof = proof.ok_or(Refusal::Unproven)?;
        return ahead(context, open, state, &proof);
    }
    let mut first = Step::nothing();
    if !open.peer_ready {
        first.records.push(Record::PeerReady {});
        // The peer may have seen the channel later than we did, and refused what we told it then.
        // Each side answers only the first `Sync` it hears, so two that cross come to rest.
        first.effects.extend(open.sync(context));
    }
    if next_version > channel.next_version {
        let skip = next_version.get().saturating_sub(channel.next_version.get());
        if skip > MAX_VERSION_SKIP {
            return Err(Refusal::Unproven.into());
        }
        first.records.push(Record::VersionsSkipped { next: next_version });
    }
    let outlook = Outlook {
        next_version: next_version.max(channel.next_version),
        peer_ready: true,
        unsaid: open.wants(),
        ..open.outlook()
    };
    let next = go_on(context, open, outlook);
    let repeats = match open.activity {
        Activity::Idle => Step::nothing(),
        // The ledger's backend builds the whole transaction anew for each repetition. That is done
        // once for each connection, and not for each word that the peer cares to say on it.
        Activity::Resizing(_) if open.peer_ready => Step::nothing(),
        _ => outstanding(context, open)?,
    };
    Ok(first.and(next).and(repeats))
}

/// The peer has a newer state than we know to be complete.
pub(crate) fn ahead(
    context: &Context<'_>,
    open: &Open,
    state: &State,
    proof: &Proof<Signature>,
) -> Result<Step, Declined> {
    let channel = &open.channel;
    let (own, peer) = (channel.address(channel.index), channel.address(channel.index.other()));
    if let Activity::Updating(flight) = &open.activity
        && flight.state == *state
    {
        context.crypto.verify(&flight.digest, &proof.mine, &peer).map_err(Refusal::Signature)?;
        return Ok(completed(context, open, flight, open.peer_wants, proof.mine));
    }
    if let Some(step) = hearing::caught_up(context, open, state, proof) {
        return step;
    }
    let is_plain = state.data().is_empty() && channel.state().data().is_empty();
    let version = state.version();
    let (params, current) = (&channel.params, channel.state());
    // A journal can have lost a swap as well as a payment.
    let checked = match is_plain {
        true => transition::check_ordinary_of(params, &channel.id, current, state, version),
        false => transition::check(params, current, state, version),
    };
    checked.map_err(Refusal::Transition)?;
    let digest = context.crypto.digest(state);
    context.crypto.verify(&digest, &proof.yours, &own).map_err(|_| Refusal::Unproven)?;
    context.crypto.verify(&digest, &proof.mine, &peer).map_err(Refusal::Signature)?;
    let shown = Agreed::signed(state.clone(), digest, proof.mine);
    if state.version() < channel.next_version {
        return Ok(outdone(context, open, shown));
    }
    // Our own signature on a state that we do not know: our journal lost it.
    Ok(court::freeze(open, Some(shown)))
}

/// Both signed this state, and its version is one that we do not use any more: the peer refused the
/// update, kept our signature, and completed it after all. No machine that follows the protocol
/// does that, so we leave, with the state that is now the newest.
///
/// To go on from it is no choice. Our user was told that the payments failed and that a payment in
/// this channel would replace them; on top of this state, the next one would pay a second time. To
/// go on from the state before is none either: the two sides would never agree on an update again.
/// Leaving is right, too, if the version was only skipped and the signature is one that our journal
/// lost: nothing more is signed then either. And it gives the peer nothing that it could not have
/// by registering the state itself.
///
/// It adds no signature of ours, and the version stays burnt, so there is no second state with it
/// (P-A3). A state that both signed is what a ledger would settle, with or without us (P-M2).
fn outdone(context: &Context<'_>, open: &Open, shown: Agreed) -> Step {
    let mut newer = open.clone();
    newer.channel.latest = shown.clone();
    let updated = Event::Updated { version: shown.state.version() }.effect();
    let first = Step::new(vec![Record::Outdone { shown }], vec![updated]);
    first.and(court::dispute(context, &newer))
}

impl Flight {
    /// What the peer is told of it.
    pub(crate) fn message(&self) -> Body<Digest> {
        Body::Update {
            state: self.state.clone(),
            payments: self.payments.clone(),
            after: self.after.clone(),
            signature: self.digest,
        }
    }

    /// The turn once this update is answered, whether the peer wants it, and whether the peer does
    /// not know yet that we do.
    fn answered(&self, open: &Open, peer_wants: bool) -> (Turn, bool, bool) {
        match self.after {
            Handover::Keep {} => (open.turn, peer_wants, false),
            Handover::Yield { wants_back } => (open.turn.passed(), false, !wants_back),
        }
    }
}
