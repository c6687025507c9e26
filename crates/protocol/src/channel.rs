//! A channel that exists on its ledgers (or is about to): who we are in it, the newest complete
//! state, and the next version.
//!
//! The invariant that matters: `next_version` is above every version that we signed or refused, so
//! no two states with one version are ever signed here (P-A3).

use perun_channel::{Address, Amount, ChannelId, LedgerId, Params, State, Version};

use crate::effect::Target;
use crate::ledgers::{Funding, PerLedger, Place};
use crate::record::Agreed;
use crate::terms::Assembly;
use crate::units::{Index, TransactionId};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Channel {
    pub(crate) index: Index,
    /// Kept beside the parameters, so that they are hashed once and not once per payment.
    pub(crate) id: ChannelId,
    pub(crate) params: Params,
    /// Where it is, in the order of its ledgers.
    pub(crate) places: PerLedger<Place>,
    /// The transaction of both sides that opens it, if a ledger takes one.
    pub(crate) transaction: Option<TransactionId>,
    pub(crate) latest: Agreed,
    pub(crate) next_version: Version,
}

impl Channel {
    /// The channel that an assembly opens.
    pub(crate) fn of(assembly: &Assembly, index: Index) -> Self {
        Self {
            index,
            id: *assembly.initial.id(),
            params: assembly.params.clone(),
            places: assembly.places.clone(),
            transaction: assembly.transaction(),
            latest: Agreed::initial(assembly.initial.clone()),
            next_version: above(assembly.initial.version()),
        }
    }

    /// The channel in one of its places.
    pub(crate) fn target(&self, place: &Place) -> Target {
        Target {
            ledger: place.ledger,
            id: self.id,
            params: self.params.clone(),
            setup: place.setup.clone(),
            transaction: self.transaction.filter(|_| place.funding == Funding::Joint {}),
            index: self.index,
        }
    }

    /// The channel in each of its places.
    pub(crate) fn targets(&self) -> impl Iterator<Item = Target> {
        self.places.iter().map(|place| self.target(place))
    }

    /// The place of a channel that has one only, opened by a transaction of both sides: what a
    /// resize can be made of.
    pub(crate) fn only_joint(&self) -> Option<&Place> {
        let joint = |place: &&Place| place.funding == Funding::Joint {};
        self.places.get(0).filter(joint).filter(|_| self.places.len() == 1)
    }

    /// Whether our side has anything on this ledger, by the newest state.
    pub(crate) fn has_stake(&self, ledger: LedgerId) -> bool {
        let outcome = self.latest.state.outcome();
        outcome.assets().iter().zip(outcome.balances()).any(|(asset, row)| {
            let own = row.get(self.index.column());
            asset.ledger() == ledger && own.is_some_and(|own| *own != Amount::ZERO)
        })
    }

    /// The ledger of an asset row.
    pub(crate) fn ledger_of(&self, asset: u8) -> Option<LedgerId> {
        let assets = self.latest.state.outcome().assets();
        assets.get(usize::from(asset)).map(perun_channel::Asset::ledger)
    }

    pub(crate) const fn state(&self) -> &State {
        &self.latest.state
    }

    /// The address that signs for one side.
    pub(crate) fn address(&self, index: Index) -> Address {
        let participant = self.params.participants().get(index.column());
        participant.map_or(Address::ZERO, |participant| *participant.address())
    }

    /// The only version that a go-perun peer takes: the one above the newest complete state.
    pub(crate) fn following(&self) -> Version {
        above(self.latest.state.version())
    }

    /// From here on this version, and all below, are never used again.
    pub(crate) fn burn(&mut self, version: Version) {
        self.next_version = self.next_version.max(above(version));
    }
}

/// The version after this one. The last version is never used: it has none after it.
pub(crate) fn above(version: Version) -> Version {
    version.next().unwrap_or(version)
}
