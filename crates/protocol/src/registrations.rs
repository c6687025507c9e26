//! What the ledger has shown of registrations in this dispute: how far it is confirmed, and whether
//! our own right to register is used up.
//!
//! Nothing here decides. The invariant that matters: on one history of the ledger the registered
//! version only rises, so whatever is remembered of a version that is not below the newest one
//! shown was taken back by a reorganisation, and is forgotten.

use perun_channel::Version;

use crate::input::Slot;
use crate::record::Record;
use crate::units::Index;

/// What is known about the registrations on the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Registrations {
    /// The newest version whose registration is confirmed.
    pub(crate) confirmed: Option<Version>,
    /// What our own right was used for.
    pub(crate) own: Option<Version>,
}

impl Registrations {
    /// Takes over what a record says, in a channel where we are `index`.
    pub(crate) fn apply(&mut self, index: Index, record: &Record) {
        match record {
            Record::Registered { state, by, confirmed, .. } => {
                let version = state.version();
                for known in [&mut self.confirmed, &mut self.own] {
                    *known = known.filter(|known| *known < version);
                }
                if *confirmed {
                    self.confirmed = Some(version);
                }
                if *by == (Slot { participant: index, delegate: false }) {
                    self.own = Some(version);
                }
            }
            Record::RegistrationConfirmed { version, .. } => self.confirmed = Some(*version),
            // Nothing is registered (any more).
            Record::Disputing { .. } | Record::Closing { .. } => *self = Self::default(),
            _ => {}
        }
    }

    /// Whether the registration of this version, the newest one, is confirmed.
    pub(crate) fn is_confirmed(&self, version: Version) -> bool {
        self.confirmed == Some(version)
    }

    /// Whether this version can lose no more: it, or a newer one, is registered and confirmed.
    /// What is not confirmed may have been put there to be taken away again.
    pub(crate) fn secures(&self, version: Version) -> bool {
        self.confirmed.is_some_and(|confirmed| confirmed >= version)
    }

    /// Whether our own right was used for this version. It cannot raise it any more: if a newer
    /// state became complete since, this one is still our way out.
    pub(crate) fn is_ours(&self, version: Version) -> bool {
        self.own == Some(version)
    }

    /// Which of our rights to register this version with: our own, unless an older one is on the
    /// ledger by it. If it is this very version, the same registration is made again.
    pub(crate) fn slot_for(&self, version: Version, index: Index) -> Slot {
        let delegate = self.own.is_some_and(|used| used < version);
        Slot { participant: index, delegate }
    }
}
