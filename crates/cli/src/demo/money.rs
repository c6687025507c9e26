//! The money of a channel on both chains: its four kinds, and the rows that they stand in.

use perun_channel::{Allocation, Amount, Asset};

use super::stage::Stage;
use super::{Failure, words};
use crate::text::amount::{CKB_DECIMALS, show_units};

/// A kind of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The coin of CKB.
    Ckb,
    /// A token on CKB.
    Udt,
    /// The coin of Ethereum.
    Ether,
    /// A token on Ethereum.
    Erc20,
}

/// How many kinds there are.
pub(super) const KINDS: usize = 4;

/// An amount of each kind.
pub(super) type Sums = [i128; KINDS];

impl Kind {
    pub(super) const ALL: [Self; KINDS] = [Self::Ckb, Self::Udt, Self::Ether, Self::Erc20];

    /// Its place in [`Sums`].
    pub(super) const fn place(self) -> usize {
        match self {
            Self::Ckb => 0,
            Self::Udt => 1,
            Self::Ether => 2,
            Self::Erc20 => 3,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ckb => "CKB",
            Self::Udt => "UDT",
            Self::Ether => "ETH",
            Self::Erc20 => "ERC-20",
        }
    }

    pub(super) const fn decimals(self) -> u32 {
        match self {
            Self::Ckb => CKB_DECIMALS,
            Self::Ether => 18,
            Self::Udt | Self::Erc20 => 0,
        }
    }

    /// An amount with its unit.
    pub(super) fn show(self, units: u128) -> String {
        format!("{} {}", show_units(units, self.decimals()), self.name())
    }

    pub(super) fn asset(self, stage: &Stage) -> Asset {
        match self {
            Self::Ckb => stage.deployment.coin(),
            Self::Udt => stage.token.clone(),
            Self::Ether => stage.ethereum.coin(),
            Self::Erc20 => stage.ethereum.token(),
        }
    }
}

/// The rows of a channel, in the order that the contracts want.
pub(super) struct Rows(Vec<Kind>);

impl Rows {
    pub(super) fn of(stage: &Stage, kinds: &[Kind]) -> Self {
        let mut kinds = kinds.to_vec();
        kinds.sort_by_key(|kind| kind.asset(stage));
        Self(kinds)
    }

    /// The row of a kind.
    pub(super) fn of_kind(&self, kind: Kind) -> Result<u8, Failure> {
        let row = self.0.iter().position(|known| *known == kind);
        u8::try_from(row.ok_or("a kind of money that the channel has not")?).map_err(words)
    }

    /// What each side brings: Alice's and Bob's.
    pub(super) fn deposits(
        &self,
        stage: &Stage,
        amounts: impl Fn(Kind) -> [u128; 2],
    ) -> Result<Allocation, Failure> {
        let assets = self.0.iter().map(|kind| kind.asset(stage)).collect();
        let balances = self.0.iter().map(|kind| amounts(*kind).map(Amount::new).to_vec());
        Allocation::new(assets, balances.collect(), Vec::new()).map_err(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_with_their_unit() {
        assert_eq!(Kind::Ckb.show(1_250_000_000), "12.5 CKB");
        assert_eq!(Kind::Ether.show(20_000_000_000_000_000), "0.02 ETH");
        assert_eq!(Kind::Erc20.show(90), "90 ERC-20");
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind.place(), place);
        }
    }
}
