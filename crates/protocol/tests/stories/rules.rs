//! How both ledgers conclude a state that carries a swap: one rule, written down once.

use perun_channel::swap::Swap;
use perun_channel::{Allocation, LedgerId, State};
use perun_protocol::{Decision, LedgerTime, Preimage};

fn expiry(ledger: LedgerId, state: &State) -> Option<u64> {
    let swap = Swap::pending(state).unwrap()?;
    swap.expiry(state.outcome(), |asset| asset.ledger() == ledger)
}

/// Whether a state carries something that is to be decided on this ledger.
pub(crate) fn has_legs(ledger: LedgerId, state: &State) -> bool {
    expiry(ledger, state).is_some()
}

/// Whether a state whose challenge is over can be concluded with this decision, and the secret that
/// is shown by it.
pub(crate) fn decide(
    ledger: LedgerId,
    state: &State,
    decision: Option<Decision>,
    now: LedgerTime,
) -> Option<Option<Preimage>> {
    let swap = Swap::pending(state).unwrap();
    match (expiry(ledger, state), decision) {
        (None, None) => Some(None),
        (Some(_), Some(Decision::Claim { preimage })) => {
            swap?.opened_by(preimage.as_bytes()).then_some(Some(preimage))
        }
        (Some(expiry), Some(Decision::Refund {})) => (now.get() >= expiry).then_some(None),
        _ => None,
    }
}

/// When something can be done about a registered state.
pub(crate) fn moments(ledger: LedgerId, state: &State, until: LedgerTime) -> Vec<LedgerTime> {
    let expiry = expiry(ledger, state).map(LedgerTime::new);
    [until].into_iter().chain(expiry).collect()
}

/// What a ledger pays.
pub(crate) fn paid(ledger: LedgerId, state: &State, claimed: bool) -> Allocation {
    let outcome = state.outcome();
    match Swap::pending(state).unwrap().filter(|_| claimed) {
        Some(swap) => swap.applied(outcome, |asset| asset.ledger() == ledger).unwrap(),
        None => outcome.clone(),
    }
}
