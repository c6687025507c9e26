//! A living channel with a peer that runs go-perun.
//!
//! Such a peer may propose whenever it likes, signs only the version above the newest complete one,
//! says nothing at the beginning of a connection, and leaves without an answer what does not fit.
//! What is different here:
//!
//! * Two updates cross: we refuse the peer's. It waits for our answer before it looks at ours, so
//!   ours is looked at next, and nobody runs into a timeout. We cannot take ours back: it is
//!   signed.
//! * The peer refused an update of ours: it keeps our signature, and the version cannot be left
//!   out. So before anything else an update that moves nothing takes this version. It is the one
//!   case in which we sign two states of one version (P-A3): the second one leaves everybody what
//!   the newest complete state gives, so the worst that can come is what the refused one gave, as
//!   before, and the version after it outdoes both.
//! * The peer asks its user about every update, so it gets as long as a user. If the connection was
//!   lost meanwhile, its answer may be lost as well: we say ours again, and if nothing comes, ask
//!   once where it stands. Never before, for the question makes go-perun give up an update of its
//!   own that is on its way, and it can end a go-perun whose user is still thinking.

use alloc::vec;
use alloc::vec::Vec;

use perun_channel::{Amount, Signature, State, Version};

use crate::config::OnSilence;
use crate::effect::{Effect, Event, FailureReason, Step};
use crate::ledgers::Funding;
use crate::machine::Context;
use crate::message::{Body, Handover, Message, Offer, Proof, RejectReason};
use crate::open::{Activity, Flight, Open, Outlook, waited};
use crate::payment::{Batch, Memo, Payment, PaymentId};
use crate::recent::failed;
use crate::record::Record;
use crate::refusal::{Declined, Refusal};
use crate::terms::Terms;
use crate::update::Incoming;
use crate::{channel, exchange, hearing, update};

/// Whether go-perun knows channels like this: each side deposits for itself.
pub(crate) fn has_such(terms: &Terms) -> bool {
    terms.ledgers.iter().all(|terms| terms.funding == Funding::Deposit {})
}

/// Decides about a message of the peer.
pub(crate) fn heard(
    context: &Context<'_>,
    open: &Open,
    message: Message,
) -> Result<Step, Declined> {
    match message.body {
        Body::Update { state, signature, .. } => offered(context, open, state, signature),
        Body::Ack { version, signature, .. } => acked(context, open, version, signature),
        Body::Reject { version, reason } => refused(context, open, version, reason),
        Body::Sync { state, proof, .. } => shown(context, open, &state, proof),
        // The opening is long over; the peer repeats itself.
        Body::Accept { .. } | Body::Propose { .. } | Body::Sign { .. } => Ok(Step::nothing()),
        _ => Err(Refusal::Unexpected.into()),
    }
}

fn offered(
    context: &Context<'_>,
    open: &Open,
    state: State,
    signature: Signature,
) -> Result<Step, Declined> {
    let channel = &open.channel;
    if *state.id() != channel.id {
        return Err(Refusal::OtherChannel.into());
    }
    let (version, latest) = (state.version(), channel.state().version());
    if version == latest {
        // It missed our answer. If it proposes something else in its place, it stays behind.
        let again = update::acknowledged_again(context, open, &state);
        return again.or_else(|_| Ok(refuse(context, version, RejectReason::Version {})));
    }
    if version != channel.following() || version.next().is_none() {
        return Ok(refuse(context, version, RejectReason::Version {}));
    }
    let offer = examined(context, open, state, signature);
    match (&open.activity, offer) {
        (_, Err(reason)) => Ok(refuse(context, version, reason)),
        // Both propose the same: each is the other's answer.
        (Activity::Updating(flight), Ok(offer)) if flight.state == offer.state => {
            let ack = Body::Ack { version, wants_turn: false, signature: offer.digest };
            let answer = Step::effects(vec![context.send(ack)]);
            Ok(answer.and(update::completed(context, open, flight, false, signature)))
        }
        (Activity::CloseAsked(asked), Ok(offer)) if asked.0.state == offer.state => {
            Ok(Step::nothing())
        }
        (Activity::Idle, Ok(offer)) => taken(context, open, offer),
        _ => Ok(refuse(context, version, RejectReason::Crossing {})),
    }
}

/// Takes an update that is as it must be, unless it may not be signed now.
fn taken(context: &Context<'_>, open: &Open, offer: Offer) -> Result<Step, Declined> {
    let current = open.channel.state();
    let moves = offer.state.is_final() || offer.state.outcome() != current.outcome();
    if is_burnt(&open.outlook()) && moves {
        let refusal = refuse(context, offer.state.version(), RejectReason::Crossing {});
        return Ok(refusal.and(fill(context, &open.outlook())));
    }
    if offer.state.is_final() && !context.config.accept_close {
        let deadline = context.user();
        let event = Event::CloseRequested { deadline };
        return Ok(Step::new(vec![Record::CloseAsked { offer, deadline }], vec![event.effect()]));
    }
    if offer.payments.is_empty() && moves && !offer.state.is_final() {
        return Ok(exchange::ask(context, offer));
    }
    Ok(update::countersign(context, open, offer))
}

/// Checks an update of the peer. Its payments are what it gives us; go-perun sends states only.
fn examined(
    context: &Context<'_>,
    open: &Open,
    state: State,
    signature: Signature,
) -> Result<Offer, RejectReason> {
    let channel = &open.channel;
    let (current, peer) = (channel.state(), channel.index.other());
    let payments = match exchange::is_allowed(context, open, &state) {
        true => Batch::default(),
        false => payments(open, &state).ok_or(RejectReason::Payments {})?,
    };
    // Nobody gives anything in a closing, but the peer may give us more.
    let outcome = match payments.is_empty() && !state.is_final() {
        true => state.outcome().clone(),
        false => payments.pay(peer, current.outcome()).map_err(|_| RejectReason::Payments {})?,
    };
    let incoming = Incoming { state, payments, after: Handover::Keep {}, signature };
    update::offer_of(context, open, incoming, channel.following(), outcome)
}

/// What the peer gives us, a payment for each asset; none if it takes anything.
fn payments(open: &Open, state: &State) -> Option<Batch> {
    let (own, current) = (open.channel.index.column(), open.channel.state().outcome());
    let mut id = open.received_last;
    let mut payments: Vec<Payment> = Vec::new();
    for row in 0..current.assets().len() {
        let (before, after) = (current.balance(row, own)?, state.outcome().balance(row, own)?);
        let amount = after.checked_sub(before)?;
        if amount > Amount::ZERO {
            id = next(id)?;
            let asset = u8::try_from(row).ok()?;
            payments.push(Payment { id, asset, amount, memo: Memo::default() });
        }
    }
    Some(payments.into_iter().collect())
}

/// The next id of the peer's payments, which we count for it.
fn next(id: PaymentId) -> Option<PaymentId> {
    (id.next() > id).then_some(id.next())
}

/// Refuses an update. Nothing of ours is signed for its version, so it may be used again.
fn refuse(context: &Context<'_>, version: Version, reason: RejectReason) -> Step {
    Step::effects(vec![context.send(Body::Reject { version, reason })])
}

/// Refuses an update that was held for the user.
pub(crate) fn reject(
    context: &Context<'_>,
    open: &Open,
    version: Version,
    reason: RejectReason,
) -> Step {
    // A record about the version before: the refused one may be used again.
    let (latest, after) = (open.channel.state().version(), Handover::Keep {});
    let record = Record::Rejected { version: latest, after };
    Step::new(vec![record], vec![]).and(refuse(context, version, reason))
}

/// Whether the peer has our signature on a state that never became complete, with the version that
/// comes next.
pub(crate) fn is_burnt(outlook: &Outlook<'_>) -> bool {
    outlook.next_version > channel::above(outlook.latest.version())
}

/// The next version with everything as it is.
fn filler(context: &Context<'_>, outlook: &Outlook<'_>) -> Flight {
    let version = channel::above(outlook.latest.version());
    let state = outlook.latest.at_version(version, outlook.latest.outcome().clone());
    let digest = context.crypto.digest(&state);
    let (payments, after) = (Batch::default(), Handover::Keep {});
    let deadline = context.peer_user();
    Flight { state, digest, payments, after, deadline, extended: false, repeated: false }
}

/// What is remembered of an update that pays nothing.
fn begun(flight: &Flight) -> Record {
    let (state, after) = (flight.state.clone(), flight.after.clone());
    let (digest, deadline) = (flight.digest, flight.deadline);
    Record::UpdateProposed { state, digest, count: 0, after, deadline }
}

/// Proposes the next version with everything as it is.
pub(crate) fn fill(context: &Context<'_>, outlook: &Outlook<'_>) -> Step {
    let flight = filler(context, outlook);
    Step::new(vec![begun(&flight)], vec![context.send(flight.message())])
}

/// The peer's answer. A refusal is of no particular update: when the connection is made again, an
/// update is repeated, refused twice, and the second refusal ends our wait for the filler, which
/// the peer then takes. Its signature must count, or it stands one version above us for good.
fn acked(
    context: &Context<'_>,
    open: &Open,
    version: Version,
    signature: Signature,
) -> Result<Step, Declined> {
    if let Some(flight) = missed(context, open).filter(|it| it.state.version() == version) {
        return filled(context, open, &flight, signature);
    }
    update::acked(context, open, version, false, signature)
}

/// The filler, if we do not wait for its answer although there may still come one.
fn missed(context: &Context<'_>, open: &Open) -> Option<Flight> {
    let outlook = open.outlook();
    (outlook.idle && is_burnt(&outlook)).then(|| filler(context, &outlook))
}

/// The peer signed a filler that we gave up.
fn filled(
    context: &Context<'_>,
    open: &Open,
    flight: &Flight,
    signature: Signature,
) -> Result<Step, Declined> {
    hearing::verify(context, open, &flight.digest, &signature)?;
    let again = Step::new(vec![begun(flight)], vec![]);
    Ok(again.and(update::completed(context, open, flight, false, signature)))
}

fn refused(
    context: &Context<'_>,
    open: &Open,
    version: Version,
    reason: RejectReason,
) -> Result<Step, Declined> {
    let Activity::Updating(flight) = &open.activity else { return Ok(Step::nothing()) };
    if flight.state.version() != version || flight.state.is_final() {
        return update::refused(context, open, version, reason);
    }
    let effects: Vec<Effect> = failed(flight.payments.iter(), FailureReason::Refused);
    let record = Record::UpdateRefused { reason, deadline: context.patience() };
    let first = Step::new(vec![record], effects);
    if flight.payments.is_empty() {
        // It does not even take that nothing moves. What waits would wait in vain.
        return Ok(first.and(if open.wants() { waited(context, open)? } else { Step::nothing() }));
    }
    Ok(first.and(fill(context, &open.outlook())))
}

/// That our update on its way is said again on a new connection: an answer may have been lost with
/// the last one.
pub(crate) fn repeated(context: &Context<'_>, open: &Open) -> Step {
    let Activity::Updating(flight) = &open.activity else { return Step::nothing() };
    if !context.is_goperun() || flight.repeated {
        return Step::nothing();
    }
    Step::new(vec![Record::Repeated { deadline: context.answer() }], vec![])
}

/// Whether a peer that is late is asked where it stands: if its answer may have been lost, once, or
/// for ever if we wait for ever.
pub(crate) fn is_asked(flight: &Flight, policy: OnSilence) -> bool {
    let again = policy == OnSilence::Wait && !flight.state.is_final();
    flight.repeated && (!flight.extended || again)
}

/// The peer left our update unanswered: the same once more, and a question where it stands.
pub(crate) fn ask_again(context: &Context<'_>, open: &Open, flight: &Flight) -> Step {
    let deadline = context.peer_user();
    let effects = vec![context.send(flight.message()), open.standing(context)];
    Step::new(vec![Record::Extended { deadline }], effects)
}

/// The peer says where it stands. It matters only if it is ahead; and it is never answered, for it
/// would be answered again.
fn shown(
    context: &Context<'_>,
    open: &Open,
    state: &State,
    proof: Option<Proof<Signature>>,
) -> Result<Step, Declined> {
    let ours = open.channel.state();
    if *state.id() != open.channel.id {
        return Err(Refusal::OtherChannel.into());
    }
    if state.version() > ours.version() {
        let proof = proof.ok_or(Refusal::Unproven)?;
        if let Some(flight) = missed(context, open).filter(|it| it.state == *state) {
            return filled(context, open, &flight, proof.mine);
        }
        return update::ahead(context, open, state, &proof);
    }
    if state.version() == ours.version() && state != ours {
        return Err(Refusal::Fork.into());
    }
    Ok(Step::nothing())
}
