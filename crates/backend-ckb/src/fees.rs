//! What a transaction pays to the network: a rate for each 1,000 units of weight, within bounds.
//!
//! Weight is what the transaction takes of a block, in bytes or in cycles, whichever share is
//! larger. The invariant: no estimate of a node, however wrong, makes a fee below what nodes take
//! or above the bound.

use crate::Error;
use crate::rpc::Rpc;

pub use crate::rpc::FEE_RATE_MIN;

/// Most shannons for each 1,000 units of weight that an estimate may ask, unless the caller allows
/// more: a hundred times the least rate, 0.0015 CKB for a dispute.
pub const FEE_RATE_MAX: u64 = 100_000;

/// By how much the rate of a replacement must exceed, for its whole size, the replaced fee.
pub const REPLACE_RATE: u64 = 1_500;

/// Most cycles that nodes take in one transaction.
pub const TRANSACTION_CYCLES_MAX: u64 = 70_000_000;

/// Most bytes that nodes take in one transaction.
pub const TRANSACTION_BYTES_MAX: u64 = 512_000;

/// Bytes for each 10^9 cycles: a block's bytes over its cycles.
const BYTES_PER_GIGACYCLE: u128 = 170_571;

/// The bounds within which a node's estimate is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateBounds {
    /// The least rate.
    pub min: u64,
    /// The largest rate.
    pub max: u64,
}

impl Default for RateBounds {
    fn default() -> Self {
        Self { min: FEE_RATE_MIN, max: FEE_RATE_MAX }
    }
}

impl RateBounds {
    /// The estimate, brought into the bounds.
    #[must_use]
    pub fn bound(&self, estimate: u64) -> u64 {
        estimate.min(self.max).max(self.min)
    }

    /// The rate to pay now, by the node's estimate.
    pub fn ask(&self, rpc: &dyn Rpc) -> Result<u64, Error> {
        Ok(self.bound(rpc.fee_rate()?))
    }
}

/// What a fee must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fee {
    /// Shannons for each 1,000 units of weight.
    pub rate: u64,
    /// The cycles that the transaction takes, as far as known; zero counts its bytes alone.
    pub cycles: u64,
    /// The least fee, whatever the rate says.
    pub floor: u64,
    /// The fee of the pending transaction whose place it takes, if it takes one.
    pub replaces: Option<u64>,
    /// The largest fee that its owner pays.
    pub cap: u64,
}

impl Fee {
    /// A fee by rate, without floor or cap.
    #[must_use]
    pub const fn rate(rate: u64) -> Self {
        Self { rate, cycles: 0, floor: 0, replaces: None, cap: u64::MAX }
    }

    /// The fee for a transaction of this size.
    pub fn of(&self, size: u64) -> Result<u64, Error> {
        let replacing = self.replaces.map_or(Ok(0), |old| replacement_fee(old, size))?;
        let need = fee_of(weight(size, self.cycles), self.rate)?.max(self.floor).max(replacing);
        if need > self.cap { Err(Error::FeeCap { need, cap: self.cap }) } else { Ok(need) }
    }
}

/// What a transaction takes of a block: its bytes, or the bytes that its cycles are worth.
#[must_use]
pub fn weight(size: u64, cycles: u64) -> u64 {
    let bytes = u128::from(cycles).saturating_mul(BYTES_PER_GIGACYCLE).div_ceil(1_000_000_000);
    size.max(u64::try_from(bytes).unwrap_or(u64::MAX))
}

/// The fee for this weight at this rate, rounded up.
pub fn fee_of(weight: u64, rate: u64) -> Result<u64, Error> {
    let fee = u128::from(weight).saturating_mul(u128::from(rate)).div_ceil(1_000);
    u64::try_from(fee).map_err(|_| Error::Amount)
}

/// The least fee with which a transaction of this size takes the place of one that pays `old`.
pub fn replacement_fee(old: u64, size: u64) -> Result<u64, Error> {
    crate::money::add(old, fee_of(size, REPLACE_RATE)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_is_the_larger_of_bytes_and_cycles() {
        assert_eq!(weight(597, 3_500_000), 597);
        assert_eq!(weight(597, 3_501_000), 598);
        assert_eq!(weight(1_000, 3_500_000), 1_000);
    }

    #[test]
    fn a_fee_is_rounded_up() {
        assert_eq!(fee_of(1, 1_000), Ok(1));
        assert_eq!(fee_of(1, 1_001), Ok(2));
        assert_eq!(fee_of(u64::MAX, u64::MAX), Err(Error::Amount));
    }

    #[test]
    fn an_estimate_out_of_bounds_is_not_believed() {
        let bounds = RateBounds::default();
        assert_eq!(bounds.bound(0), FEE_RATE_MIN);
        assert_eq!(bounds.bound(u64::MAX), FEE_RATE_MAX);
        assert_eq!(bounds.bound(5_000), 5_000);
    }

    #[test]
    fn a_replacement_pays_the_old_fee_and_for_its_own_size() {
        let fee = Fee { replaces: Some(1_000), ..Fee::rate(1_000) };
        assert_eq!(fee.of(1_000), Ok(2_500));
        assert_eq!(fee.of(2_000), Ok(4_000));
    }

    #[test]
    fn a_fee_above_the_cap_is_an_error() {
        let fee = Fee { cap: 999, ..Fee::rate(1_000) };
        assert_eq!(fee.of(1_000), Err(Error::FeeCap { need: 1_000, cap: 999 }));
        assert_eq!(fee.of(999), Ok(999));
    }
}
