//! How a channel can stand on this ledger. Pure.

use perun_channel::{Allocation, Amount, Signature, SignedState, State};

/// What the contract keeps of a state's hash: its first 21 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 21]);

impl Fingerprint {
    /// The fingerprint of a state.
    #[must_use]
    pub fn of(state: &State) -> Self {
        Self(state.hash().first_chunk().copied().unwrap_or_default())
    }

    /// Whether it is this state's.
    #[must_use]
    pub fn is_of(&self, state: &State) -> bool {
        *self == Self::of(state)
    }
}

/// Why a registered state counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Every participant signed it.
    Signed(Vec<Signature>),
    /// One participant forced this step of an app.
    Step {
        /// Who.
        actor: usize,
        /// Its signature.
        signature: Signature,
    },
}

/// How a channel ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The version that decided.
    pub version: u64,
    /// The fingerprint of the state that decided.
    pub fingerprint: Fingerprint,
    /// That state, if the chain shows it. A final state with assets of this chain alone is not
    /// always shown: whoever signed it knows it, and [`Fingerprint::is_of`] recognises it.
    pub state: Option<State>,
    /// The preimage that decided its swap, if one did. Without one a swap on this chain was
    /// refunded.
    pub preimage: Option<[u8; 32]>,
    /// A bit for each asset row of which something is still held.
    pub unpaid: u32,
}

/// How a channel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is deposited and nothing registered.
    Absent,
    /// Not everything is deposited.
    Funding {
        /// For each asset of this chain, in the order of the channel's rows, what each participant
        /// has deposited.
        deposited: Vec<Vec<Amount>>,
    },
    /// Everything is deposited.
    Open,
    /// A state is registered.
    Registered {
        /// Which.
        state: State,
        /// Why it counts.
        proof: Proof,
        /// Until when a newer state can be shown (or, after a forced step, the next forced), in
        /// seconds of the chain's clock.
        until: u64,
        /// From when on it can be concluded. Later than `until` if an app's step may be forced in
        /// between.
        concludable: u64,
    },
    /// The outcome stands.
    Concluded(Ending),
    /// All participants ended it by consent.
    Spent {
        /// The digest that they signed.
        digest: [u8; 32],
        /// A bit for each asset row of which something is still held.
        unpaid: u32,
    },
}

impl Standing {
    /// The registered state with all signatures, if that is what is registered.
    #[must_use]
    pub fn signed(&self) -> Option<SignedState> {
        match self {
            Self::Registered { state, proof: Proof::Signed(signatures), .. } => {
                Some(SignedState::from_checked(state.clone(), signatures.clone()))
            }
            _ => None,
        }
    }
}

/// The standing of a channel of which nothing is registered. As the contract does, it looks at the
/// sum of an asset's deposits, not at who made them.
pub(super) fn unregistered(initial: &Allocation, rows: &[usize], held: &[Vec<Amount>]) -> Standing {
    let needs = initial.totals().unwrap_or_default();
    let is_full = rows.iter().zip(held).all(|(row, held)| {
        let sum = Amount::checked_sum(held.iter().copied()).unwrap_or(Amount::new(u128::MAX));
        needs.get(*row).is_some_and(|need| sum >= *need)
    });
    let is_empty = held.iter().flatten().all(|amount| *amount == Amount::ZERO);
    match (is_full, is_empty) {
        (true, _) => Standing::Open,
        (false, true) => Standing::Absent,
        (false, false) => Standing::Funding { deposited: held.to_vec() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perun_channel::{Address, Asset};

    fn amounts<const N: usize>(numbers: [u128; N]) -> Vec<Amount> {
        numbers.map(Amount::new).to_vec()
    }

    /// Three rows, of which the first and the last are of this chain.
    fn stands(held: [Vec<Amount>; 2]) -> Standing {
        let asset = |byte| Asset::ethereum(1, Address::new([byte; 20]));
        let rows = vec![amounts([5, 5]), amounts([9, 9]), amounts([0, 3])];
        let assets = vec![asset(1), asset(2), asset(3)];
        let initial = Allocation::new(assets, rows, vec![]).unwrap();
        unregistered(&initial, &[0, 2], &held)
    }

    #[test]
    fn a_channel_is_open_when_every_asset_of_this_chain_is_there() {
        assert_eq!(stands([amounts([0, 0]), amounts([0, 0])]), Standing::Absent);
        let part = [amounts([5, 0]), amounts([0, 3])];
        assert_eq!(stands(part.clone()), Standing::Funding { deposited: part.to_vec() });
        assert!(matches!(stands([amounts([5, 5]), amounts([0, 2])]), Standing::Funding { .. }));
        assert_eq!(stands([amounts([5, 5]), amounts([0, 3])]), Standing::Open);
        assert_eq!(stands([amounts([10, 0]), amounts([4, 0])]), Standing::Open);
    }
}
