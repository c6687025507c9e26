//! Swaps: what moves on one ledger and what moves on another, both or neither.
//!
//! P, which asked for the swap, has a secret. It signs the state that carries the swap, the other
//! side Q signs it, P shows the secret and signs the result, Q signs that. Or P signs a state in
//! which the swap is gone, and Q signs that. The duties are those of `docs/design/0003-swaps.md`:
//! P signs first whatever has to do with the swap; nobody signs both ends of it; Q signs the result
//! with the secret in hand, and goes to the ledgers in time if nothing happens; nothing else is
//! signed in between. Whoever goes to the ledgers signs nothing more: then [`crate::court`] decides,
//! and of what still arrives only the secret counts.

use alloc::vec;
use alloc::vec::Vec;

use perun_channel::swap::{Leg, Swap, SwapStep};
use perun_channel::{Amount, Signature, State, Version, transition};

use crate::channel::above;
use crate::config::OnSilence;
use crate::court;
use crate::decision;
use crate::effect::{Effect, Event, FailureReason, Step};
use crate::ledgers::PerLedger;
use crate::machine::Context;
use crate::message::{Body, Handover, Proof, RejectReason};
use crate::open::{Activity, Open, Outlook, go_on};
use crate::record::{Agreed, Record, Wish};
use crate::refusal::{Declined, Misuse, Refusal};
use crate::swapping::{Cancelling, Held, Offered, Ready, Revealed, Signing, SwapAsked, Swapping};
use crate::timing::{Deadlines, SwapLimit};
use crate::units::{Digest, Index, LedgerTime, Preimage};
use perun_channel::LedgerId;

/// The wish of our user, if the channel can carry such a swap.
pub(crate) fn wished(
    context: &Context<'_>,
    open: &Open,
    legs: Vec<Leg>,
    preimage: Preimage,
) -> Result<Wish, Declined> {
    if open.is_swapping() {
        return Err(Misuse::SwapPending.into());
    }
    if open.secret == Some(preimage) {
        return Err(Misuse::UsedSecret.into());
    }
    let lock = Swap::lock_of(preimage.as_bytes());
    let swap = Swap::new(lock, legs).map_err(Misuse::Swap)?;
    swap.fits(open.channel.state().outcome()).map_err(Misuse::Swap)?;
    deadlines(context, open, &swap, open.channel.index).map_err(Misuse::SwapLimit)?;
    affordable(open, &swap)?;
    Ok(Wish::Swap { swap, preimage })
}

fn deadlines(
    context: &Context<'_>,
    open: &Open,
    swap: &Swap,
    holder: Index,
) -> Result<Deadlines, SwapLimit> {
    let challenge = open.channel.params.challenge_secs();
    let terms = (swap, open.channel.state().outcome());
    let config = context.config;
    Deadlines::of(&config.swaps, config.answer_secs, challenge, terms, holder)
}

/// Whether what we give is ours, beside what waits to be paid.
fn affordable(open: &Open, swap: &Swap) -> Result<(), Declined> {
    let own = open.channel.index;
    for leg in swap.legs().iter().filter(|leg| leg.from == own.number()) {
        let (asset, row) = (leg.asset, usize::from(leg.asset));
        let balance = open.channel.state().outcome().balance(row, own.column());
        let free = balance.unwrap_or_default().checked_sub(open.committed(row));
        let available = free.unwrap_or(Amount::ZERO);
        if leg.amount > available {
            return Err(Misuse::Insufficient { asset, needed: leg.amount, available }.into());
        }
    }
    Ok(())
}

/// Signs the state that carries our swap, and offers it. A swap that other updates have made
/// impossible since it was wished for is dropped.
pub(crate) fn offer(
    context: &Context<'_>,
    open: &Open,
    outlook: &Outlook<'_>,
    swap: &Swap,
    preimage: Preimage,
) -> Step {
    let version = outlook.next_version;
    let half = SwapStep::Start(swap).after(outlook.latest, version).ok();
    let half = half.filter(|_| above(above(version)) > above(version));
    let deadlines = deadlines(context, open, swap, open.channel.index).ok();
    let (Some(state), Some(deadlines)) = (half, deadlines) else {
        let failed = Event::SwapFailed(FailureReason::Unfunded);
        return Step::new(vec![Record::SwapDropped {}], vec![failed.effect()]);
    };
    let digest = context.crypto.digest(&state);
    let message = Body::SwapOffer { state: state.clone(), signature: digest };
    let (reveal, deadline) = (deadlines.reveal, context.peer_user());
    Step::new(
        vec![Record::SwapOffered { state, digest, preimage, reveal, deadline }],
        vec![context.send(message)],
    )
}

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

fn verify(
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

/// Refuses the peer's offer; its version is burnt.
pub(crate) fn refuse(
    context: &Context<'_>,
    open: &Open,
    version: Version,
    reason: RejectReason,
) -> Step {
    let outlook = Outlook { next_version: above(version), idle: true, ..open.outlook() };
    let next = go_on(context, open, outlook);
    let record = Record::Rejected { version, after: Handover::Keep {} };
    Step::new(vec![record], vec![context.send(Body::Reject { version, reason })]).and(next)
}

/// Our user agrees to the peer's offer.
pub(crate) fn accept(
    context: &Context<'_>,
    open: &Open,
    asked: &SwapAsked,
    clocks: &PerLedger<LedgerTime>,
) -> Result<Step, Declined> {
    let pending = Swap::pending(&asked.half.state).map_err(Misuse::Swap)?;
    let swap = pending.ok_or(Misuse::NotNow)?;
    let holder = open.channel.index.other();
    let deadlines = deadlines(context, open, &swap, holder).map_err(Misuse::SwapLimit)?;
    let checked = deadlines.check(&context.config.swaps, &open.channel.places, clocks);
    checked.map_err(Misuse::SwapLimit)?;
    affordable(open, &swap)?;
    let version = asked.half.version();
    let message = Body::SwapAccept { version, signature: asked.half.digest };
    Ok(Step::new(
        vec![Record::SwapCountersigned { go: deadlines.go }],
        vec![context.send(message), Event::Updated { version }.effect()],
    ))
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

/// A ledger's clock, while a swap is pending.
pub(crate) fn clock(
    context: &Context<'_>,
    open: &Open,
    ledger: LedgerId,
    now: LedgerTime,
) -> Result<Step, Declined> {
    match open.swapping() {
        Some(Swapping::Ready(ready)) if ready.reveal.0 == ledger => match now < ready.reveal.1 {
            true => reveal(context, open, ready),
            false => cancel(context, open),
        },
        Some(Swapping::Held(Held { go, .. })) => {
            let is_time = |(on, at): &(LedgerId, LedgerTime)| *on == ledger && now >= *at;
            match go.iter().any(is_time) {
                true => Ok(court::dispute(context, open)),
                false => Ok(Step::nothing()),
            }
        }
        _ => Ok(Step::nothing()),
    }
}

/// The state that ends the pending swap. Whichever end it is, it has the next version.
fn end(
    context: &Context<'_>,
    open: &Open,
    half: &State,
    step: &SwapStep<'_>,
) -> Result<Signing, Declined> {
    let version = open.channel.next_version;
    if version.next().is_none() {
        return Err(Misuse::VersionsUsedUp.into());
    }
    let state = step.after(half, version).map_err(Misuse::Swap)?;
    let digest = context.crypto.digest(&state);
    Ok(Signing { state, digest })
}

/// Shows the secret, and signs the result.
fn reveal(context: &Context<'_>, open: &Open, ready: &Ready) -> Result<Step, Declined> {
    let next = end(context, open, open.channel.state(), &SwapStep::Finish)?;
    let (version, preimage) = (next.version(), ready.preimage);
    let Signing { state, digest } = next;
    let message = Body::SwapReveal { version, preimage, signature: digest };
    Ok(Step::new(
        vec![Record::SwapRevealed { state, digest, deadline: context.answer() }],
        vec![context.send(message)],
    ))
}

/// Takes our swap back, as long as its secret is not out.
pub(crate) fn cancel(context: &Context<'_>, open: &Open) -> Result<Step, Declined> {
    let half = match open.swapping() {
        Some(Swapping::Offered(offered)) => &offered.half.state,
        Some(Swapping::Ready(_)) => open.channel.state(),
        _ => return Err(Misuse::NotNow.into()),
    };
    let next = end(context, open, half, &SwapStep::Cancel)?;
    let version = next.version();
    let Signing { state, digest } = next;
    Ok(Step::new(
        vec![Record::SwapCancelling { state, digest, deadline: context.answer() }],
        vec![context.send(Body::SwapCancel { version, signature: digest })],
    ))
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

/// A deadline of the pending swap has passed.
pub(crate) fn late(
    context: &Context<'_>,
    open: &Open,
    swapping: &Swapping,
) -> Result<Step, Declined> {
    let silent = Step::effects(vec![Event::PeerSilent.effect()]);
    match swapping {
        Swapping::Offered(_) => Ok(silent.and(cancel(context, open)?)),
        Swapping::Ready(_) => cancel(context, open),
        Swapping::Asked(asked) => {
            Ok(refuse(context, open, asked.half.version(), RejectReason::TooLate {}))
        }
        Swapping::Revealed(_) => Ok(silent.and(court::dispute(context, open))),
        Swapping::Cancelling(_) => match context.config.on_silence {
            OnSilence::Dispute => Ok(silent.and(court::dispute(context, open))),
            // The secret is not out and never will be: nothing is lost by waiting.
            OnSilence::Wait => {
                let deadline = context.answer();
                Ok(silent.and(Step::new(vec![Record::Extended { deadline }], vec![])))
            }
        },
        Swapping::Held(_) => Ok(Step::nothing()),
    }
}

/// Our user wants the pending swap not to be.
pub(crate) fn unwanted(context: &Context<'_>, open: &Open) -> Result<Step, Declined> {
    match open.swapping() {
        Some(Swapping::Held(held)) => {
            let version = open.channel.state().version();
            let records =
                if held.wants_out { vec![] } else { vec![Record::SwapCancelRequested {}] };
            Ok(Step::new(records, vec![context.send(Body::SwapCancelRequest { version })]))
        }
        Some(_) => cancel(context, open),
        None => Err(Misuse::NotNow.into()),
    }
}

/// What the peer may not have heard, and what a new process has to ask for again.
pub(crate) fn repeated(context: &Context<'_>, open: &Open, swapping: &Swapping) -> Vec<Effect> {
    let channel = &open.channel;
    let body = match swapping {
        Swapping::Offered(Offered { half: Signing { state, digest }, .. }) => {
            Body::SwapOffer { state: state.clone(), signature: *digest }
        }
        Swapping::Ready(Ready { reveal: (ledger, _), .. }) => {
            return vec![Effect::ReadClock { ledger: *ledger }];
        }
        Swapping::Asked(_) => return vec![],
        Swapping::Held(held) => {
            let version = channel.state().version();
            let Some(proof) = &channel.latest.proof else { return vec![] };
            let accept = Body::SwapAccept { version, signature: proof.digest };
            let request = held.wants_out.then(|| Body::SwapCancelRequest { version });
            return [accept].into_iter().chain(request).map(|body| context.send(body)).collect();
        }
        Swapping::Revealed(Revealed { next, .. }) => {
            let Some(preimage) = open.secret else { return vec![] };
            Body::SwapReveal { version: next.version(), preimage, signature: next.digest }
        }
        Swapping::Cancelling(Cancelling { next, .. }) => {
            Body::SwapCancel { version: next.version(), signature: next.digest }
        }
    };
    vec![context.send(body)]
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
