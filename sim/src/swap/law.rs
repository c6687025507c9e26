//! What a ledger allows, as pure functions of few words.
//!
//! Two ledgers differ in how a dispute runs: on a contract a refutation leaves the window as it is
//! and must come before its end; on a cell each newer registration begins the window anew, may come
//! as long as nobody concluded, and uses up a slot. How a state with a pending swap is concluded
//! does not differ: see [`decision`].

use super::world::{Paper, Phase};

/// How disputes run on a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An EVM contract: refutations do not extend the window.
    Contract,
    /// A CKB cell: a newer registration restarts the window and costs a slot.
    Cell,
}

/// How a registered state was concluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// As written: nothing was pending on this ledger.
    AsWritten,
    /// The preimage was shown: the pending legs moved.
    LegsMove,
    /// The legs expired: they stay where they were.
    LegsStay,
}

/// Whether and how a registered state is concluded on one ledger: the rule that both ledgers share.
///
/// `expiry` is the largest expiry of the legs that are native to this ledger, if there are any.
/// There is one decision per ledger and channel, and whoever comes first takes it: a claim has no
/// upper bound, because a CKB script cannot enforce "not after"; a refund has a lower one.
#[must_use]
pub fn decision(
    expiry: Option<i16>,
    challenge_over: bool,
    preimage: bool,
    now: i16,
) -> Option<Decision> {
    if !challenge_over {
        return None;
    }
    match expiry {
        None => Some(Decision::AsWritten),
        Some(_) if preimage => Some(Decision::LegsMove),
        Some(expiry) => (now >= expiry).then_some(Decision::LegsStay),
    }
}

/// Whether a registration is taken, slots apart. `waited`: ticks since the window began.
#[must_use]
pub fn may_register(kind: Kind, phase: Phase, paper: Paper, waited: i16, window: i16) -> bool {
    match phase {
        Phase::Open => true,
        Phase::Disputed { paper: old, .. } => {
            let in_time = kind == Kind::Cell || waited < window;
            in_time && old.version() < paper.version()
        }
        Phase::Settled { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_leg_needs_a_decision_and_anything_else_does_not() {
        assert_eq!(decision(None, true, false, 0), Some(Decision::AsWritten));
        assert_eq!(decision(Some(5), true, false, 4), None);
        assert_eq!(decision(Some(5), true, false, 5), Some(Decision::LegsStay));
    }

    #[test]
    fn a_claim_has_no_upper_bound_and_waits_for_the_challenge() {
        for now in [4, 5, 6] {
            assert_eq!(decision(Some(5), true, true, now), Some(Decision::LegsMove));
            assert_eq!(decision(Some(5), false, true, now), None);
        }
    }

    #[test]
    fn a_contract_takes_no_refutation_after_the_window_and_a_cell_does() {
        let phase = Phase::Disputed { paper: Paper::Agreed, waited: 2 };
        assert!(may_register(Kind::Contract, phase, Paper::Half, 1, 2));
        assert!(!may_register(Kind::Contract, phase, Paper::Half, 2, 2));
        assert!(may_register(Kind::Cell, phase, Paper::Half, 2, 2));
        for kind in [Kind::Contract, Kind::Cell] {
            assert!(!may_register(kind, phase, Paper::Agreed, 0, 2));
        }
    }

    #[test]
    fn the_swap_and_its_cancellation_do_not_supersede_each_other() {
        let phase = Phase::Disputed { paper: Paper::Swapped, waited: 0 };
        assert!(!may_register(Kind::Cell, phase, Paper::Cancelled, 0, 2));
    }
}
