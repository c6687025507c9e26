//! A channel that exists on a ledger (or is about to): who we are in it, the newest complete state,
//! and the next version.
//!
//! The invariant that matters: `next_version` is above every version that we signed or refused, so
//! no two states with one version are ever signed here (P-A3).

use perun_channel::{Address, ChannelId, Params, State, Version};

use crate::effect::Target;
use crate::record::Agreed;
use crate::terms::Assembly;
use crate::units::{Index, LedgerBytes, TransactionId};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Channel {
    pub(crate) index: Index,
    /// Kept beside the parameters, so that they are hashed once and not once per payment.
    pub(crate) id: ChannelId,
    pub(crate) params: Params,
    pub(crate) setup: LedgerBytes,
    pub(crate) transaction: TransactionId,
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
            setup: assembly.setup.clone(),
            transaction: assembly.transaction,
            latest: Agreed::initial(assembly.initial.clone()),
            next_version: above(assembly.initial.version()),
        }
    }

    pub(crate) fn target(&self) -> Target {
        Target {
            id: self.id,
            params: self.params.clone(),
            setup: self.setup.clone(),
            transaction: self.transaction,
            index: self.index,
        }
    }

    pub(crate) const fn state(&self) -> &State {
        &self.latest.state
    }

    /// The address that signs for one side.
    pub(crate) fn address(&self, index: Index) -> Address {
        let participant = self.params.participants().get(index.column());
        participant.map_or(Address::ZERO, |participant| *participant.address())
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
