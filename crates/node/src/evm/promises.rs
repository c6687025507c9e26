//! What of the wallet is promised to channels that are not funded yet.
//!
//! Pure. Nothing is locked on the chain by a promise: it only keeps one wallet from being offered
//! to two channels at once.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use perun_channel::hash::keccak256;

/// Amounts by the holder of their asset.
pub(super) type Amounts = BTreeMap<Address, U256>;

/// The promises, by the hash of the contribution that they are for.
#[derive(Debug, Default)]
pub(super) struct Promises(BTreeMap<[u8; 32], Amounts>);

impl Promises {
    /// What is promised of an asset.
    pub(super) fn of(&self, holder: Address) -> U256 {
        let each = self.0.values().filter_map(|amounts| amounts.get(&holder));
        each.fold(U256::ZERO, |sum, amount| sum.saturating_add(*amount))
    }

    /// Each of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Amounts> {
        self.0.values()
    }

    pub(super) fn make(&mut self, contribution: &[u8], amounts: Amounts) {
        self.0.insert(keccak256(&[contribution]), amounts);
    }

    pub(super) fn release(&mut self, contribution: &[u8]) {
        self.0.remove(&keccak256(&[contribution]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_add_up_and_go_one_by_one() {
        let (coin, token) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let amounts = |number: u64| Amounts::from([(coin, U256::from(number))]);
        let mut promises = Promises::default();
        promises.make(b"one", amounts(3));
        promises.make(b"two", amounts(4));
        promises.make(b"two", amounts(5));
        assert_eq!(promises.of(coin), U256::from(8), "the same again replaces it");
        assert_eq!(promises.of(token), U256::ZERO);
        promises.release(b"one");
        promises.release(b"nothing");
        assert_eq!(promises.iter().count(), 1);
        assert_eq!(promises.of(coin), U256::from(5));
    }
}
