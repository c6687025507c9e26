//! Swaps: what moves on one ledger and what moves on another, both or neither.
//!
//! P, which asked for the swap, has a secret. It signs the state that carries the swap, the other
//! side Q signs it, P shows the secret and signs the result, Q signs that. Or P signs a state in
//! which the swap is gone, and Q signs that. The duties are those of `docs/design/0003-swaps.md`:
//! P signs first whatever has to do with the swap; nobody signs both ends of it; Q signs the result
//! with the secret in hand, and goes to the ledgers in time if nothing happens; nothing else is
//! signed in between. Whoever goes to the ledgers signs nothing more: then [`crate::court`]
//! decides, and of what still arrives only the secret counts.

use alloc::vec;
use alloc::vec::Vec;

use perun_channel::swap::{Leg, Swap, SwapStep};
use perun_channel::{Amount, LedgerId, State, Version};

use crate::channel::above;
use crate::config::OnSilence;
use crate::court;
use crate::effect::{Effect, Event, FailureReason, Step};
use crate::input::Command;
use crate::ledgers::PerLedger;
use crate::machine::Context;
use crate::message::{Body, Handover, RejectReason};
use crate::open::{Open, Outlook, go_on, wish};
use crate::record::{Record, Wish};
use crate::refusal::{Declined, Misuse};
use crate::swapping::{Cancelling, Held, Offered, Ready, Revealed, Signing, SwapAsked, Swapping};
use crate::timing::{Deadlines, SwapLimit};
use crate::units::{Index, LedgerTime, Preimage};

/// What our user wants of a swap.
pub(crate) fn commanded(
    context: &Context<'_>,
    open: &Open,
    command: Command,
) -> Result<Step, Declined> {
    match (command, open.swapping()) {
        (Command::Swap { legs, preimage }, _) => {
            wish(context, open, wished(context, open, legs, preimage)?)
        }
        (Command::AcceptSwap { clocks }, Some(Swapping::Asked(asked))) => {
            accept(context, open, asked, &clocks)
        }
        (Command::DeclineSwap, Some(Swapping::Asked(asked))) => {
            Ok(refuse(context, open, asked.half.version(), RejectReason::User {}))
        }
        (Command::CancelSwap, _) => unwanted(context, open),
        _ => Err(Misuse::NotNow.into()),
    }
}

/// The wish of our user, if the channel can carry such a swap.
fn wished(
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

pub(crate) fn deadlines(
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
pub(crate) fn end(
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
fn unwanted(context: &Context<'_>, open: &Open) -> Result<Step, Declined> {
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
            let request = held.wants_out.then_some(Body::SwapCancelRequest { version });
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
