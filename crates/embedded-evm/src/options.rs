//! What can be chosen for a chain before it starts.

use alloy_primitives::{Address, U256};
use revm::primitives::hardfork::SpecId;
use std::collections::BTreeMap;

/// 2026-01-01 in seconds. A fixed date, so that runs repeat.
const GENESIS_TIME: u64 = 1_767_225_600;

const GWEI: u64 = 1_000_000_000;

/// The rules that transactions run by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hardfork {
    /// May 2025: set-code transactions (EIP-7702), a floor for the price of data.
    #[default]
    Prague,
    /// December 2025: at most 2^24 gas for one transaction, P-256 signatures.
    Osaka,
}

impl Hardfork {
    pub(crate) fn spec(self) -> SpecId {
        match self {
            Self::Prague => SpecId::PRAGUE,
            Self::Osaka => SpecId::OSAKA,
        }
    }

    /// Most gas of one transaction, where there is such a rule beside the block's.
    pub(crate) fn transaction_gas_max(self) -> Option<u64> {
        match self {
            Self::Prague => None,
            Self::Osaka => Some(revm::primitives::eip7825::TX_GAS_LIMIT_CAP),
        }
    }
}

/// Bounds on what one caller can ask for. The defaults are what public providers allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most transactions in the pool.
    pub pool: usize,
    /// Most transactions of one account that wait behind a nonce that is not there.
    pub pool_queued_per_account: usize,
    /// Longest transaction in bytes.
    pub transaction_bytes: usize,
    /// Most blocks that one `eth_getLogs` may search.
    pub log_blocks: u64,
    /// Most logs that one `eth_getLogs` may find.
    pub log_results: usize,
    /// Most gas of `eth_call` and `eth_estimateGas`.
    pub call_gas: u64,
    /// Most blocks of one `eth_feeHistory`.
    pub fee_history: u64,
    /// How many blocks back the state can be read, and the chain rewound.
    pub states: usize,
    /// Most snapshots of `evm_snapshot` at once.
    pub snapshots: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pool: 4_096,
            pool_queued_per_account: 64,
            transaction_bytes: 128 * 1024,
            log_blocks: 10_000,
            log_results: 10_000,
            call_gas: 50_000_000,
            fee_history: 1_024,
            states: 4_096,
            snapshots: 64,
        }
    }
}

/// What can be chosen for a chain.
#[derive(Clone, Debug)]
pub struct Options {
    /// The chain's number in signatures.
    pub chain_id: u64,
    /// The rules that transactions run by.
    pub hardfork: Hardfork,
    /// Gas of each block.
    pub block_gas_limit: u64,
    /// The base fee of the first block, in wei.
    pub base_fee: u64,
    /// The time of the first block, in seconds.
    pub genesis_time: u64,
    /// Least time between two blocks, in seconds; at least one.
    pub block_interval: u64,
    /// Who has what in the first block, in wei.
    pub accounts: BTreeMap<Address, U256>,
    /// Who gets the tips.
    pub beneficiary: Address,
    /// Whether a submitted transaction is mined at once.
    pub auto_mine: bool,
    /// How many blocks the `safe` block is behind the newest.
    pub safe_depth: u64,
    /// How many blocks the `finalized` block is behind the newest.
    pub finalized_depth: u64,
    /// Least tip that the pool takes, in wei per gas.
    pub tip_min: u128,
    /// The tip that is suggested while no block has transactions, in wei per gas.
    pub tip_suggested: u128,
    /// Bounds on what one caller can ask for.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            chain_id: 31_337,
            hardfork: Hardfork::default(),
            block_gas_limit: 30_000_000,
            base_fee: GWEI,
            genesis_time: GENESIS_TIME,
            block_interval: 1,
            accounts: BTreeMap::new(),
            beneficiary: Address::ZERO,
            auto_mine: false,
            safe_depth: 32,
            finalized_depth: 64,
            tip_min: 1,
            tip_suggested: u128::from(GWEI),
            limits: Limits::default(),
        }
    }
}

impl Options {
    /// The defaults, with ten funded accounts: [`crate::testkit::dev_signer`] has their keys.
    #[must_use]
    pub fn dev() -> Self {
        let balance = U256::from(10_000) * U256::from(10).pow(U256::from(18));
        let accounts = crate::testkit::dev_signers().map(|signer| (signer.address(), balance));
        Self { accounts: accounts.collect(), ..Self::default() }
    }
}
