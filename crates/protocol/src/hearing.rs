//! What the peer says about a swap.
//!
//! Everything here was written by somebody else. A word that repeats what is known is answered as
//! before; one that does not belong where the swap stands changes nothing. See [`crate::swap`].

use alloc::vec;

use perun_channel::swap::{Swap, SwapStep};
use perun_channel::{LedgerId, Signature, State, Version, transition};

use crate::channel::above;
use crate::decision;
use crate::effect::{Effect, Event, FailureReason, Step};
use crate::machine::Context;
use crate::message::{Body, Proof, RejectReason};
use crate::open::{Activity, Open, Outlook, go_on};
use crate::record::{Agreed, Record};
use crate::refusal::{Declined, Refusal};
use crate::swap::{cancel, deadlines, end, refuse, repeated};
use crate::swapping::{Cancelling, Offered, Revealed, Signing, Swapping};
use crate::units::{Digest, Preimage};

/// Decides about a message of the peer that has to do with a swap.
pub(crate) fn heard(
    context: &Context<'_>,
    open: &Open,
    body: Body<Signature>,
) -> Result<Step, Declined> {
    match body {
        Body::SwapOffer { state, signature } => offered(context, open, state, signature),
        Body::SwapAccept { version, signature } => accepted(context, open, version, signature),
        Body::SwapReveal { version, preimage, signature } => {
            revealed(context, open, version, preimage, signature)
        }
        Body::SwapDone { version, signature } => match open.swapping() {
            Some(Swapping::Revealed(Revealed { next, .. })) if next.version() == version => {
                verify(context, open, &next.digest, &signature)?;
                Ok(finished(context, open, next.signed(signature), None))
            }
            _ => stale(open, version),
        },
        Body::SwapCancelRequest { version } => match open.swapping() {
            Some(Swapping::Offered(_) | Swapping::Ready(_)) => cancel(context, open),
            Some(swapping @ Swapping::Cancelling(_)) => {
                Ok(Step::effects(repeated(context, open, swapping)))
            }
            _ => stale(open, version),
        },
        Body::SwapCancel { version, signature } => taken_back(context, open, version, signature),
        Body::SwapCancelled { version, signature } => match open.swapping() {
            Some(Swapping::Cancelling(Cancelling { next, .. })) if next.version() == version => {
                verify(context, open, &next.digest, &signature)?;
                Ok(cancelled(context, open, next.signed(signature)))
            }
            _ => stale(open, version),
        },
        _ => Err(Refusal::Unexpected.into()),
    }
}

/// A word about a version that is over is an echo; about another, a fault.
fn stale(open: &Open, version: Version) -> Result<Step, Declined> {
    match version < open.channel.next_version {
        true => Ok(Step::nothing()),
        false => Err(Refusal::Unexpected.into()),
    }
}

/// Whether the peer signed this.
pub(crate) fn verify(
    context: &Context<'_>,
    open: &Open,
    digest: &Digest,
    signature: &Signature,
) -> Result<(), Refusal> {
    let peer = open.channel.address(open.channel.index.other());
    context.crypto.verify(digest, signature, &peer).map_err(Refusal::Signature)
}

/// The peer offers a swap.
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
    let version = state.version();
    match open.swapping() {
        // The peer did not hear our answer: the same once more.
        Some(swapping @ Swapping::Held(_)) if state == *channel.state() => {
            return Ok(Step::effects(repeated(context, open, swapping)));
        }
        Some(Swapping::Asked(asked)) if asked.half.state == state => return Ok(Step::nothing()),
        _ if version < channel.next_version => {
            let reason = RejectReason::Version {};
            return Ok(Step::effects(vec![context.send(Body::Reject { version, reason })]));
        }
        _ if !matches!(open.activity, Activity::Idle) => return Err(Refusal::Unexpected.into()),
        _ => {}
    }
    if open.turn.holder() == channel.index {
        return Err(Refusal::NotTheirTurn.into());
    }
    if version > channel.next_version || above(above(version)) == above(version) {
        return Err(Refusal::Unproven.into());
    }
    let digest = context.crypto.digest(&state);
    match examined(context, open, &state, &digest, &signature) {
        Ok(swap) => {
            let deadline = context.user();
            let record = Record::SwapAsked { state, digest, signature, deadline };
            let event = Event::SwapRequested { swap, deadline };
            Ok(Step::new(vec![record], vec![event.effect()]))
        }
        Err(reason) => Ok(refuse(context, open, version, reason)),
    }
}

/// Checks an offer as far as no clock is needed.
fn examined(
    context: &Context<'_>,
    open: &Open,
    state: &State,
    digest: &Digest,
    signature: &Signature,
) -> Result<Swap, RejectReason> {
    let channel = &open.channel;
    let swap = Swap::pending(state).ok().flatten().ok_or(RejectReason::State {})?;
    let step = SwapStep::Start(&swap);
    transition::check_swap_step_of(
        &channel.params,
        &channel.id,
        channel.state(),
        state,
        channel.next_version,
        &step,
    )
    .map_err(|_| RejectReason::State {})?;
    verify(context, open, digest, signature).map_err(|_| RejectReason::Signature {})?;
    let holder = channel.index.other();
    deadlines(context, open, &swap, holder).map_err(|_| RejectReason::Swap {})?;
    Ok(swap)
}

/// The peer signed the state that carries our swap.
fn accepted(
    context: &Context<'_>,
    open: &Open,
    version: Version,
    signature: Signature,
) -> Result<Step, Declined> {
    let (half, clock) = match open.swapping() {
        Some(Swapping::Offered(Offered { half, reveal, .. })) => (half, Some(reveal.0)),
        Some(Swapping::Cancelling(Cancelling { half: Some(half), .. })) => (half, None),
        _ => return stale(open, version),
    };
    if half.version() != version {
        return stale(open, version);
    }
    verify(context, open, &half.digest, &signature)?;
    Ok(held_by_both(context, version, signature, clock))
}

fn held_by_both(
    context: &Context<'_>,
    version: Version,
    signature: Signature,
    clock: Option<LedgerId>,
) -> Step {
    let record = Record::SwapAccepted { signature, deadline: context.answer() };
    let mut effects = vec![Event::Updated { version }.effect()];
    effects.extend(clock.map(|ledger| Effect::ReadClock { ledger }));
    Step::new(vec![record], effects)
}

/// The peer shows the secret and signs the result.
fn revealed(
    context: &Context<'_>,
    open: &Open,
    version: Version,
    preimage: Preimage,
    signature: Signature,
) -> Result<Step, Declined> {
    let latest = &open.channel.latest;
    let Some(Swapping::Held(_)) = open.swapping() else {
        let proof = latest
            .proof
            .as_ref()
            .filter(|_| latest.state.version() == version && open.secret == Some(preimage));
        let Some(proof) = proof else { return stale(open, version) };
        // The peer did not hear our answer: the same once more.
        let message = Body::SwapDone { version, signature: proof.digest };
        return Ok(Step::effects(vec![context.send(message)]));
    };
    if !preimage.opens(&latest.state) {
        return Err(Refusal::Preimage.into());
    }
    let next = end(context, open, &latest.state, &SwapStep::Finish)?;
    let is_signed = verify(context, open, &next.digest, &signature).is_ok();
    if next.version() != version || !is_signed {
        // The secret is out, whatever else is wrong: it counts on the ledgers.
        let known = decision::shown(context, open, None, preimage);
        return Ok(known.map_or_else(Step::nothing, |(step, _)| step));
    }
    let mut step =
        Step::effects(vec![context.send(Body::SwapDone { version, signature: next.digest })]);
    let ended = finished(context, open, next.signed(signature), Some(preimage));
    step.records.extend(ended.records);
    step.effects.extend(ended.effects);
    Ok(step)
}

fn finished(
    context: &Context<'_>,
    open: &Open,
    agreed: Agreed,
    preimage: Option<Preimage>,
) -> Step {
    let version = agreed.state.version();
    let effects = vec![Event::Updated { version }.effect(), Event::Swapped { version }.effect()];
    let next = resumed(context, open, &agreed);
    Step::new(vec![Record::SwapFinished { agreed, preimage }], effects).and(next)
}

fn cancelled(context: &Context<'_>, open: &Open, agreed: Agreed) -> Step {
    let version = agreed.state.version();
    let effects =
        vec![Event::Updated { version }.effect(), Event::SwapCancelled { version }.effect()];
    let next = resumed(context, open, &agreed);
    Step::new(vec![Record::SwapCancelled { agreed }], effects).and(next)
}

/// What comes after the swap.
fn resumed(context: &Context<'_>, open: &Open, agreed: &Agreed) -> Step {
    let outlook = Outlook {
        latest: &agreed.state,
        next_version: above(agreed.state.version()).max(open.channel.next_version),
        idle: true,
        had_turn: true,
        ..open.outlook()
    };
    go_on(context, open, outlook)
}

/// The peer takes its swap back.
fn taken_back(
    context: &Context<'_>,
    open: &Open,
    version: Version,
    signature: Signature,
) -> Result<Step, Declined> {
    let channel = &open.channel;
    let answer = |digest| context.send(Body::SwapCancelled { version, signature: digest });
    if version == channel.state().version() {
        // The peer did not hear our answer: the same once more.
        let proof = channel.latest.proof.as_ref().filter(|proof| proof.signature == signature);
        let effects = proof.map(|proof| answer(proof.digest)).into_iter().collect();
        return Ok(Step::effects(effects));
    }
    if version < channel.next_version {
        return Ok(Step::nothing());
    }
    if open.turn.holder() == channel.index {
        return Err(Refusal::NotTheirTurn.into());
    }
    let before = match (&open.activity, open.swapping()) {
        (_, Some(Swapping::Held(_))) => channel.state().clone(),
        (_, Some(Swapping::Asked(asked))) => asked.half.state.clone(),
        // The offer was refused, or never arrived. What is signed then changes nothing.
        (Activity::Idle, _) if !channel.state().is_final() => channel.state().clone(),
        _ => return Err(Refusal::Unexpected.into()),
    };
    // An offer that we have not signed uses up a version of its own.
    let expected = match open.swapping() {
        Some(Swapping::Asked(asked)) => above(asked.half.version()).max(channel.next_version),
        _ => channel.next_version,
    };
    if version != expected || version.next().is_none() {
        return Err(Refusal::Unproven.into());
    }
    let state = match SwapStep::Cancel.after(&before, version) {
        Ok(state) => state,
        Err(_) => before.at_version(version, before.outcome().clone()),
    };
    let digest = context.crypto.digest(&state);
    verify(context, open, &digest, &signature)?;
    let agreed = Agreed::signed(state, digest, signature);
    let step = Step::effects(vec![answer(digest)]);
    Ok(step.and(cancelled(context, open, agreed)))
}

/// The peer refuses our offer. If we take it back already, that goes on.
pub(crate) fn refused(
    context: &Context<'_>,
    open: &Open,
    swapping: &Swapping,
    version: Version,
) -> Result<Step, Declined> {
    match swapping {
        Swapping::Offered(offered) if offered.half.version() == version => {
            let failed = Event::SwapFailed(FailureReason::Refused).effect();
            let outlook = Outlook { idle: true, had_turn: true, ..open.outlook() };
            let next = go_on(context, open, outlook);
            Ok(Step::new(vec![Record::SwapDropped {}], vec![failed]).and(next))
        }
        _ => stale(open, version),
    }
}

/// The peer shows, by its proof, a state that has to do with our swap and that we did not know to
/// be complete: as good as the message that we missed.
pub(crate) fn caught_up(
    context: &Context<'_>,
    open: &Open,
    state: &State,
    proof: &Proof<Signature>,
) -> Option<Result<Step, Declined>> {
    let version = state.version();
    let is_ours = |signing: &Signing| signing.state == *state;
    let checked = |signing: &Signing| verify(context, open, &signing.digest, &proof.mine);
    let signature = proof.mine;
    Some(match open.swapping()? {
        Swapping::Offered(Offered { half, reveal, .. }) if is_ours(half) => checked(half)
            .map(|()| held_by_both(context, version, signature, Some(reveal.0)))
            .map_err(Declined::from),
        Swapping::Cancelling(Cancelling { half: Some(half), .. }) if is_ours(half) => {
            let held = |()| held_by_both(context, version, signature, None);
            checked(half).map(held).map_err(Declined::from)
        }
        Swapping::Revealed(Revealed { next, .. }) if is_ours(next) => checked(next)
            .map(|()| finished(context, open, next.signed(signature), None))
            .map_err(Declined::from),
        Swapping::Cancelling(Cancelling { next, .. }) if is_ours(next) => checked(next)
            .map(|()| cancelled(context, open, next.signed(signature)))
            .map_err(Declined::from),
        _ => return None,
    })
}
