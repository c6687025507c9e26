//! The ledgers of a channel: which they are, how each is funded, and one value for each of them.
//!
//! A channel's ledgers are those of its assets, in the order in which the rows first name them;
//! both sides derive the same list. Everything that is said or kept for each ledger follows that
//! order.

use alloc::vec::Vec;

use perun_channel::LedgerId;
use perun_channel::codec::{DecodeError, Reader};

use crate::bytes::{Wire, put_list, take_list, wire_enum, wire_struct};
use crate::limits::MAX_LEDGERS;
use crate::units::{LedgerBytes, TooLong};

wire_enum! {
    /// How money gets into a channel on a ledger. It is a property of the ledger.
    #[derive(Copy)]
    pub enum Funding {
        /// By one transaction of both sides: nobody's money is in unless everybody's is.
        0 => Joint {},
        /// Each side deposits for itself. A channel that is not fully funded pays every deposit
        /// back.
        1 => Deposit {},
    }
}

wire_struct! {
    /// What the two sides agree on for one ledger.
    pub struct LedgerTerms {
        /// Which ledger.
        pub ledger: LedgerId,
        /// How it is funded.
        pub funding: Funding,
        /// What its backend needs besides.
        pub chain: LedgerBytes,
    }
}

wire_struct! {
    /// A channel's place on one ledger.
    pub struct Place {
        /// Which ledger.
        pub ledger: LedgerId,
        /// How it is funded.
        pub funding: Funding,
        /// What its backend needs to find and dispute the channel, now and after a restart.
        pub setup: LedgerBytes,
    }
}

/// One value for each ledger of a channel, in the channel's order: at most [`MAX_LEDGERS`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PerLedger<T>(Vec<T>);

impl<T> Default for PerLedger<T> {
    /// Of no ledger.
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> PerLedger<T> {
    /// The values, unless there are more than a channel may have ledgers.
    pub fn new(values: Vec<T>) -> Result<Self, TooLong> {
        if values.len() > MAX_LEDGERS { Err(TooLong) } else { Ok(Self(values)) }
    }

    /// The value of a channel on one ledger.
    #[must_use]
    pub fn one(value: T) -> Self {
        Self(Vec::from([value]))
    }

    /// The values in order.
    pub fn iter(&self) -> core::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// The value at this place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&T> {
        self.0.get(place)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One value made of each.
    pub fn map<U>(&self, make: impl FnMut(&T) -> U) -> PerLedger<U> {
        PerLedger(self.0.iter().map(make).collect())
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.0.get_mut(place)
    }

    pub(crate) fn iter_mut(&mut self) -> core::slice::IterMut<'_, T> {
        self.0.iter_mut()
    }
}

impl<'a, T> IntoIterator for &'a PerLedger<T> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Wire> Wire for PerLedger<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_list(out, self.0.len(), self.0.iter());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        take_list(reader, MAX_LEDGERS).map(|values| Self(values.into()))
    }
}

impl PerLedger<LedgerTerms> {
    /// Where this ledger stands in the order.
    #[must_use]
    pub fn position(&self, ledger: LedgerId) -> Option<usize> {
        self.0.iter().position(|terms| terms.ledger == ledger)
    }

    /// Whether some ledger is funded in this way.
    pub(crate) fn any(&self, funding: Funding) -> bool {
        self.iter().any(|terms| terms.funding == funding)
    }
}

impl PerLedger<Place> {
    /// Where this ledger stands in the order.
    pub(crate) fn position(&self, ledger: LedgerId) -> Option<usize> {
        self.0.iter().position(|place| place.ledger == ledger)
    }
}
