//! What a transaction should offer for its gas (EIP-1559), and how far an offer is raised.
//!
//! Pure. The invariant: no offer is ever above the limit that the wallet's owner set, and a raised
//! offer is one that every node takes as a replacement.

use crate::Error;

/// How many blocks the fees of are looked at.
pub const HISTORY_BLOCKS: u64 = 10;
/// Which tip of a block's transactions is taken, in percent of the gas that paid less.
pub const TIP_PERCENTILE: f64 = 50.0;
/// A replacement must raise both parts by at least an eighth: nodes ask for a tenth.
const RAISE_DIVISOR: u128 = 8;
/// How far the base fee may rise until the transaction must wait: six full blocks.
const BASE_FEE_ROOM: u128 = 2;

/// What is offered per gas, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// The most that is paid, base fee and tip together.
    pub max_fee: u128,
    /// The most that the block's maker gets.
    pub tip: u128,
}

/// What was paid lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeeHistory {
    /// The base fee of the next block.
    pub next_base_fee: u128,
    /// The middle tip of each block that had transactions.
    pub tips: Vec<u128>,
}

/// What to offer now.
pub fn quote(history: &FeeHistory, cap: u128) -> Result<Fees, Error> {
    let mut tips = history.tips.clone();
    tips.sort_unstable();
    let tip = tips.get(tips.len() / 2).copied().unwrap_or_default().max(1);
    let need = history.next_base_fee.saturating_add(tip);
    if need > cap {
        return Err(Error::FeeCap { need, cap });
    }
    let wish = history.next_base_fee.saturating_mul(BASE_FEE_ROOM).saturating_add(tip);
    Ok(Fees { max_fee: wish.min(cap), tip })
}

/// What to offer instead of an older offer: what the market asks now, and at least an eighth more
/// than before in both parts.
pub fn raise(old: Fees, market: Fees, cap: u128) -> Result<Fees, Error> {
    let more = |part: u128| part.saturating_add(part.div_ceil(RAISE_DIVISOR)).saturating_add(1);
    let (need, tip) = (more(old.max_fee), more(old.tip).max(market.tip));
    let max_fee = need.max(market.max_fee.min(cap)).max(tip);
    if max_fee > cap {
        return Err(Error::FeeCap { need: max_fee, cap });
    }
    Ok(Fees { max_fee, tip })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(next_base_fee: u128, tips: &[u128]) -> FeeHistory {
        FeeHistory { next_base_fee, tips: tips.to_vec() }
    }

    #[test]
    fn the_offer_outlasts_a_doubled_base_fee() {
        let fees = quote(&history(100, &[9, 1, 5]), 1_000).unwrap();
        assert_eq!(fees, Fees { max_fee: 205, tip: 5 });
        assert_eq!(quote(&history(100, &[]), 1_000).unwrap().tip, 1);
    }

    #[test]
    fn no_offer_is_above_the_limit() {
        assert_eq!(quote(&history(100, &[5]), 150).unwrap().max_fee, 150);
        assert_eq!(quote(&history(100, &[5]), 105).unwrap().max_fee, 105);
        let refused = quote(&history(100, &[5]), 104);
        assert_eq!(refused, Err(Error::FeeCap { need: 105, cap: 104 }));
        let most = quote(&history(u128::MAX, &[5]), u128::MAX).unwrap();
        assert_eq!(most.max_fee, u128::MAX);
    }

    /// A node refuses a replacement that raises either part by less than a tenth; some ask for an
    /// eighth, rounded up.
    #[test]
    fn a_raised_offer_is_a_replacement() {
        let nothing = Fees { max_fee: 0, tip: 0 };
        for part in [0, 1, 7, 8, 9, 1_000, 1_000_000_007] {
            let old = Fees { max_fee: part, tip: part };
            let new = raise(old, nothing, u128::MAX).unwrap();
            assert!(new.max_fee * 1_000 >= part * 1_125 && new.max_fee > part, "{part}");
            assert!(new.tip * 1_000 >= part * 1_125 && new.tip > part, "{part}");
            assert!(new.tip <= new.max_fee, "{part}");
        }
    }

    #[test]
    fn a_raised_offer_follows_the_market_up_to_the_limit() {
        let old = Fees { max_fee: 100, tip: 10 };
        let market = Fees { max_fee: 500, tip: 50 };
        assert_eq!(raise(old, market, 1_000), Ok(market));
        assert_eq!(raise(old, market, 300).unwrap().max_fee, 300);
        assert_eq!(raise(old, market, 113), Err(Error::FeeCap { need: 114, cap: 113 }));
    }
}
