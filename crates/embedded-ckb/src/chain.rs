//! The chain as its users hold it: a handle that is cheap to clone and safe to share.
//!
//! Clones of a [`Chain`] are the same chain; [`Chain::fork`] is another one with the same past.
//! There is no thread and no clock behind it: blocks come when somebody mines, at the time that is
//! asked for. The invariant: one call is one step; nobody sees a chain in the middle of a block.

use crate::genesis::Genesis;
use crate::ledger::Ledger;
use crate::state::State;
use ckb_types::{core::HeaderView, packed::Script};
use perun_backend_ckb::rpc::{DevControl, MEDIAN_TIME_MAJORITY, RpcError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The time of the first mined block: 2026-01-01 in milliseconds. A fixed date, so that runs
/// repeat.
pub const START_MS: u64 = 1_767_225_600_000;

/// The time between two blocks that are mined without saying when.
pub const BLOCK_INTERVAL_MS: u64 = 1_000;

/// The lock args of the miner that every chain here pays, real ones too: the key whose number is
/// one.
pub const MINER_ARGS: [u8; 20] = [
    0x75, 0x17, 0x8f, 0x34, 0x54, 0x9c, 0x5f, 0xe9, 0xcd, 0x1a, 0x0c, 0x57, 0xae, 0xbd, 0x01, 0xe7,
    0xdd, 0xf9, 0x24, 0x9e,
];

/// Most blocks that one call may mine.
const BLOCKS_MAX: u64 = 100_000;

/// When a pending transaction is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commit {
    /// As on every real chain: announced by the next block, committed by the third.
    #[default]
    Proposed,
    /// By the next block. For demonstrations; a test that relies on it proves nothing about the
    /// chain.
    Instant,
}

/// What can be chosen for a chain.
#[derive(Clone, Debug)]
pub struct Options {
    /// When pending transactions are committed.
    pub commit: Commit,
    /// The time of the first block that is mined without saying when.
    pub start_ms: u64,
    /// The time between blocks that are mined without saying when.
    pub block_interval_ms: u64,
    /// Who gets the block rewards.
    pub miner: Script,
}

impl Options {
    /// The ones that a chain has if nothing is said.
    #[must_use]
    pub fn new(genesis: &Genesis) -> Self {
        Self {
            commit: Commit::default(),
            start_ms: START_MS,
            block_interval_ms: BLOCK_INTERVAL_MS,
            miner: genesis.sighash_lock(MINER_ARGS),
        }
    }
}

/// A CKB chain inside the process.
#[derive(Clone, Debug)]
pub struct Chain {
    genesis: Genesis,
    state: Arc<Mutex<State>>,
}

impl Chain {
    /// A new chain with nothing but its first block.
    #[must_use]
    pub fn new(genesis: &Genesis) -> Self {
        Self::with_options(genesis, Options::new(genesis))
    }

    /// A new chain with these options.
    #[must_use]
    pub fn with_options(genesis: &Genesis, options: Options) -> Self {
        let ledger = Ledger::new(Arc::clone(genesis.consensus()));
        let state = State::new(ledger, options);
        Self { genesis: genesis.clone(), state: Arc::new(Mutex::new(state)) }
    }

    /// The first block and the names of what is in it.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Another chain that has this one's past and pool, and from here on its own future.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.state().clone();
        Self { genesis: self.genesis.clone(), state: Arc::new(Mutex::new(state)) }
    }

    /// Changes when pending transactions are committed.
    pub fn set_commit(&self, commit: Commit) {
        self.state().options.commit = commit;
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A step changes the tables only after everything that could fail; a panic in a verifier
        // leaves them whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The time of a block that is mined without saying when.
    pub(crate) fn next_time(&self) -> u64 {
        if self.ledger.height() == 0 {
            return self.options.start_ms;
        }
        self.ledger.tip_header().timestamp().saturating_add(self.options.block_interval_ms)
    }
}

impl DevControl for Chain {
    fn mine(&self, blocks: u64) -> Result<HeaderView, RpcError> {
        if blocks > BLOCKS_MAX {
            return Err(RpcError::Misuse(format!("{blocks} blocks at once; {BLOCKS_MAX} at most")));
        }
        let mut state = self.state();
        for _ in 0..blocks {
            let time = state.next_time();
            state.mine_at(time);
        }
        Ok(state.ledger.tip_header())
    }

    fn mine_at(&self, timestamp_ms: u64) -> Result<HeaderView, RpcError> {
        Ok(self.state().mine_at(timestamp_ms))
    }

    fn median_time(&self) -> Result<u64, RpcError> {
        Ok(self.state().ledger.median_time())
    }

    fn rollback(&self, number: u64) -> Result<HeaderView, RpcError> {
        let mut state = self.state();
        if number > state.ledger.height() {
            return Err(RpcError::Misuse(format!("there is no block {number} to go back to")));
        }
        Ok(state.rollback(number)?)
    }

    fn advance(&self, seconds: u64) -> Result<HeaderView, RpcError> {
        let mut state = self.state();
        let tip = state.ledger.tip_header().timestamp();
        let start = seconds
            .checked_mul(1_000)
            .and_then(|ms| tip.checked_add(ms))
            .ok_or_else(|| RpcError::Misuse(format!("{seconds} s is past the end of time")))?;
        for block in 0..MEDIAN_TIME_MAJORITY {
            state.mine_at(start.saturating_add(block));
        }
        Ok(state.ledger.tip_header())
    }
}
