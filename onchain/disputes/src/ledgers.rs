//! The two ledgers of every dispute, and what a row can be of.

use alloy_primitives::Address;
use ckb_types::packed::Script;
use perun_channel::{Asset, BackendId};
use perun_onchain_tests::token_named;

/// The number of the CKB chain.
pub const CKB_CHAIN: u64 = 0x7e57;
/// The number of the Ethereum chain.
pub const EVM_CHAIN: u64 = 31_337;

/// Who deploys the contracts, and pays all deposits.
pub(crate) const DEPLOYER: Address = Address::repeat_byte(0xde);

/// The hub, which is the first that the deployer makes.
pub(crate) fn hub() -> Address {
    DEPLOYER.create(0)
}

/// A token, which is the second.
pub(crate) fn token() -> Address {
    DEPLOYER.create(1)
}

/// The token's facade, which is the first that the hub makes when its constructor is through.
pub(crate) fn facade() -> Address {
    *crate::evm::FACADE
}

/// What a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// CKB's coin.
    CkbCoin,
    /// A token on CKB.
    CkbToken,
    /// Another token on CKB.
    CkbOtherToken,
    /// Ethereum's coin.
    EvmCoin,
    /// A token on Ethereum.
    EvmToken,
    /// An asset of an Ethereum chain that is not ours.
    Elsewhere,
    /// An asset of a chain of neither kind.
    Unknown,
    /// An asset of a chain of neither kind that has the number of the Ethereum chain, and the hub
    /// for its holder.
    Mimic,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::CkbCoin,
        Self::CkbToken,
        Self::CkbOtherToken,
        Self::EvmCoin,
        Self::EvmToken,
        Self::Elsewhere,
        Self::Unknown,
        Self::Mimic,
    ];

    /// As states name it.
    #[must_use]
    pub fn asset(self) -> Asset {
        let holder = |address: Address| perun_channel::Address::new(address.into_array());
        match self {
            Self::CkbCoin => Asset::ckb(CKB_CHAIN),
            Self::CkbToken | Self::CkbOtherToken => {
                let hash = self.script().map(|script| script.calc_script_hash().into());
                Asset::ckb_token(CKB_CHAIN, &hash.unwrap_or_default())
            }
            Self::EvmCoin => Asset::ethereum(EVM_CHAIN, holder(hub())),
            Self::EvmToken => Asset::ethereum(EVM_CHAIN, holder(facade())),
            Self::Elsewhere => Asset::ethereum(1, holder(hub())),
            Self::Unknown | Self::Mimic => {
                let chain = if self == Self::Mimic { EVM_CHAIN } else { CKB_CHAIN };
                let kind = BackendId::new(77);
                Asset::new(kind, chain, holder(hub()), vec![1, 2, 3]).expect("few bytes")
            }
        }
    }

    /// The type script of a token on CKB.
    #[must_use]
    pub fn script(self) -> Option<Script> {
        match self {
            Self::CkbToken => Some(token_named("one")),
            Self::CkbOtherToken => Some(token_named("other")),
            _ => None,
        }
    }
}
