//! How deep something must be buried before money depends on it. Pure.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use perun_channel::{Allocation, Amount};

use crate::Deployment;
use crate::abi::eth;

/// Most blocks of a depth: nodes that are no archives can still say what was so many blocks ago.
pub const BLOCKS_MAX: u32 = 120;

/// How deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// So many blocks, its own counted; at least one, at most [`BLOCKS_MAX`].
    Blocks(u32),
    /// As deep as the chain calls final.
    Finalized,
}

impl Depth {
    /// How many blocks, unless the chain itself says.
    pub(super) fn blocks(self) -> Option<u64> {
        match self {
            Self::Blocks(blocks) => Some(u64::from(blocks.clamp(1, BLOCKS_MAX))),
            Self::Finalized => None,
        }
    }
}

/// From which value on, how deep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthTable {
    least: Depth,
    steps: BTreeMap<Address, Vec<(Amount, Depth)>>,
}

impl DepthTable {
    /// One depth for every value.
    #[must_use]
    pub const fn uniform(depth: Depth) -> Self {
        Self { least: depth, steps: BTreeMap::new() }
    }

    /// From this amount of an asset on, so deep. The asset is named by its holder.
    #[must_use]
    pub fn with_step(mut self, holder: Address, from: Amount, depth: Depth) -> Self {
        self.steps.entry(holder).or_default().push((from, depth));
        self
    }

    /// The depth for a channel of this value: the deepest that any of its assets on this chain asks
    /// for.
    #[must_use]
    pub fn depth_of(&self, deployment: &Deployment, outcome: &Allocation) -> Depth {
        let Ok(totals) = outcome.totals() else { return Depth::Finalized };
        let mut depth = self.least;
        for row in deployment.rows(outcome) {
            let (Some(asset), Some(total)) = (outcome.assets().get(row), totals.get(row)) else {
                continue;
            };
            let steps = self.steps.get(&eth(asset.holder())).map_or(&[][..], Vec::as_slice);
            let asked = steps.iter().filter(|(from, _)| from <= total).map(|(_, depth)| *depth);
            depth = depth.max(asked.max().unwrap_or(self.least));
        }
        depth
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::tests::deployment;
    use perun_channel::Asset;

    fn channel(coins: u128, tokens: u128) -> Allocation {
        let here = deployment();
        let token = here.asset(Address::repeat_byte(0xee));
        let elsewhere = Asset::ckb(5);
        let row = |total| vec![Amount::new(total), Amount::ZERO];
        let rows = vec![row(coins), row(tokens), row(u128::MAX)];
        Allocation::new(vec![here.coin(), token, elsewhere], rows, vec![]).unwrap()
    }

    #[test]
    fn the_deepest_that_any_asset_asks_for() {
        let here = deployment();
        let (coin, token) = (here.hub(), Address::repeat_byte(0xee));
        let table = DepthTable::uniform(Depth::Blocks(2))
            .with_step(coin, Amount::new(100), Depth::Blocks(12))
            .with_step(coin, Amount::new(1_000), Depth::Finalized)
            .with_step(token, Amount::new(7), Depth::Blocks(40));
        let depth = |coins, tokens| table.depth_of(&here, &channel(coins, tokens));
        assert_eq!(depth(99, 6), Depth::Blocks(2));
        assert_eq!(depth(100, 6), Depth::Blocks(12));
        assert_eq!(depth(100, 7), Depth::Blocks(40));
        assert_eq!(depth(1_000, 7), Depth::Finalized);
    }

    #[test]
    fn a_depth_is_one_that_nodes_still_know() {
        assert_eq!(Depth::Blocks(0).blocks(), Some(1));
        assert_eq!(Depth::Blocks(u32::MAX).blocks(), Some(u64::from(BLOCKS_MAX)));
        assert!(Depth::Finalized > Depth::Blocks(u32::MAX));
    }
}
