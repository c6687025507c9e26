//! Which ledger an asset is on, and over which ledgers an allocation spans.

use alloc::vec::Vec;
use core::fmt;

use crate::codec::{Decode, DecodeError, Encode, Reader};
use crate::{Allocation, Asset, BackendId};

/// One ledger: a kind, and which chain of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerId {
    backend: BackendId,
    chain: u64,
}

impl LedgerId {
    /// The chain of this kind with this number.
    #[must_use]
    pub const fn new(backend: BackendId, chain: u64) -> Self {
        Self { backend, chain }
    }

    /// The kind of ledger.
    #[must_use]
    pub const fn backend(self) -> BackendId {
        self.backend
    }

    /// Which chain of that kind.
    #[must_use]
    pub const fn chain(self) -> u64 {
        self.chain
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.backend {
            BackendId::CKB => write!(f, "CKB chain {:#x}", self.chain),
            BackendId::ETHEREUM => write!(f, "Ethereum chain {}", self.chain),
            other => write!(f, "chain {} of ledger kind {}", self.chain, other.get()),
        }
    }
}

impl Encode for LedgerId {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.backend.get().to_le_bytes());
        out.extend_from_slice(&self.chain.to_le_bytes());
    }
}

impl Decode for LedgerId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::new(BackendId::new(reader.u32()?), reader.u64()?))
    }
}

impl Asset {
    /// The ledger that holds it.
    #[must_use]
    pub const fn ledger(&self) -> LedgerId {
        LedgerId::new(self.backend(), self.chain())
    }
}

impl Allocation {
    /// The ledgers of the assets, each once, in the order in which the rows name them.
    #[must_use]
    pub fn ledgers(&self) -> Vec<LedgerId> {
        let mut ledgers = Vec::new();
        for ledger in self.assets().iter().map(Asset::ledger) {
            if !ledgers.contains(&ledger) {
                ledgers.push(ledger);
            }
        }
        ledgers
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{Address, Amount};

    #[test]
    fn ledgers_come_in_the_order_of_the_rows_and_once() {
        let ether = |holder| Asset::ethereum(7, Address::new([holder; 20]));
        let assets = vec![ether(1), Asset::ckb(2), ether(3), Asset::ckb(1)];
        let balances = vec![vec![Amount::new(1); 2]; 4];
        let outcome = Allocation::new(assets, balances, vec![]).unwrap();
        let ckb = |chain| LedgerId::new(BackendId::CKB, chain);
        let ethereum = LedgerId::new(BackendId::ETHEREUM, 7);
        assert_eq!(outcome.ledgers(), [ethereum, ckb(2), ckb(1)]);
    }

    #[test]
    fn a_ledger_has_one_spelling() {
        let ledger = LedgerId::new(BackendId::CKB, u64::MAX);
        assert_eq!(LedgerId::from_bytes(&ledger.to_bytes()), Ok(ledger));
        assert!(LedgerId::from_bytes(&ledger.to_bytes()[1..]).is_err());
    }
}
