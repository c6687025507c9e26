//! Orders that failed in blocks though they passed when they were tried. Pure.
//!
//! A token can tell a block from a try, and fail in every block: repeated at every look, the order
//! would spend the wallet's coins on fees, and those of disputes are among them. So each failure
//! doubles the wait for the next try.

use std::collections::BTreeMap;

use crate::sender::book::{Key, Landed, News};

/// After how many failures the wait is doubled no more: 4,096 blocks.
const DOUBLINGS_MAX: u32 = 12;
/// Most orders that are remembered.
const STRIKES_MAX: usize = 1_024;

/// How often, and at which height the last time.
#[derive(Clone, Copy, Debug)]
struct Strike {
    count: u32,
    number: u64,
}

/// The failures of each order since it last succeeded.
#[derive(Clone, Debug)]
pub(super) struct Strikes(BTreeMap<Key, Strike>);

impl Strikes {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Takes in what became of transactions.
    pub(super) fn heard(&mut self, news: &[News]) {
        for one in news {
            let News::Landed(Landed { key, number, succeeded, .. }) = one else { continue };
            if *succeeded {
                self.0.remove(key);
                continue;
            }
            let count = self.0.get(key).map_or(0, |strike| strike.count).saturating_add(1);
            self.0.insert(*key, Strike { count, number: *number });
            let oldest = self.0.iter().min_by_key(|(_, strike)| strike.number);
            if let (true, Some(oldest)) = (self.0.len() > STRIKES_MAX, oldest.map(|(key, _)| *key))
            {
                self.0.remove(&oldest);
            }
        }
    }

    /// How often an order failed since it last succeeded.
    pub(super) fn count(&self, key: &Key) -> u32 {
        self.0.get(key).map_or(0, |strike| strike.count)
    }

    /// The height below which the order is not to be tried again.
    pub(super) fn until(&self, key: &Key) -> Option<u64> {
        let Strike { count, number } = self.0.get(key)?;
        let wait = 1_u64.checked_shl(*count.min(&DOUBLINGS_MAX)).unwrap_or(u64::MAX);
        Some(number.saturating_add(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    fn landed(nonce: u64, number: u64, succeeded: bool) -> News {
        let (key, hash) = (Key::filler(nonce), B256::ZERO);
        News::Landed(Landed { key, task: None, hash, number, succeeded, reason: None })
    }

    #[test]
    fn each_failure_doubles_the_wait_and_a_success_ends_it() {
        let (mut strikes, key) = (Strikes::new(), Key::filler(1));
        assert_eq!(strikes.until(&key), None);
        strikes.heard(&[landed(1, 10, false)]);
        assert_eq!(strikes.until(&key), Some(12));
        strikes.heard(&[landed(1, 20, false), landed(2, 20, false)]);
        assert_eq!(strikes.until(&key), Some(24));
        for _ in 0..100 {
            strikes.heard(&[landed(1, 30, false)]);
        }
        assert_eq!(strikes.until(&key), Some(30 + 4_096));
        strikes.heard(&[landed(1, 31, true)]);
        assert_eq!(strikes.until(&key), None);
        assert_eq!(strikes.until(&Key::filler(2)), Some(22));
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut strikes = Strikes::new();
        let most = u64::try_from(STRIKES_MAX).unwrap();
        for nonce in 0..=most {
            strikes.heard(&[landed(nonce, nonce, false)]);
        }
        assert_eq!(strikes.0.len(), STRIKES_MAX);
        assert_eq!(strikes.until(&Key::filler(0)), None);
        assert!(strikes.until(&Key::filler(most)).is_some());
    }
}
