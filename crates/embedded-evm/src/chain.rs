//! The chain as its users hold it: a handle that is cheap to clone and safe to share.
//!
//! Clones of a [`Chain`] are the same chain; [`Chain::fork`] is another one with the same past.
//! There is no thread and no clock behind it: blocks come when somebody mines, at the time that was
//! set. The invariant: one call is one step; nobody sees a chain in the middle of a block.

use crate::faults::Faults;
use crate::meter::GasParts;
use crate::options::Options;
use crate::refusal::Refusal;
use crate::rpc;
use crate::state::State;
use crate::transport::EvmTransport;
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U256};
use serde_json::Value;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What becomes of the transactions of blocks that are taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dropped {
    /// They wait for a block again, as after most reorganisations.
    #[default]
    ToPool,
    /// They are forgotten, as if nobody had sent them.
    Forgotten,
}

/// A block's hash and header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The block's hash.
    pub hash: B256,
    /// The block's number.
    pub number: u64,
    /// The block's time in seconds.
    pub timestamp: u64,
    /// All of it.
    pub header: Header,
}

/// An EVM chain inside the process.
#[derive(Clone, Debug)]
pub struct Chain {
    state: Arc<Mutex<State>>,
}

impl Chain {
    /// A new chain with nothing but its first block.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self::with_state(State::new(options))
    }

    fn with_state(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Steps are refused before they change anything; a panic in a dependency leaves them whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another chain that has this one's past and pool, and from here on its own future.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::with_state(self.state().clone())
    }

    /// Answers a JSON-RPC method, as over HTTP.
    pub fn request(&self, method: &str, params: Value) -> Result<Value, Refusal> {
        rpc::dispatch(self, method, params)
    }

    /// A transport for an alloy client or provider.
    #[must_use]
    pub fn transport(&self) -> EvmTransport {
        EvmTransport::new(self.clone(), Faults::default())
    }

    /// A transport that misbehaves when it is told to, through these faults.
    #[must_use]
    pub fn faulty_transport(&self, faults: &Faults) -> EvmTransport {
        EvmTransport::new(self.clone(), faults.clone())
    }

    /// The newest block.
    #[must_use]
    pub fn head(&self) -> Head {
        let state = self.state();
        let header = &state.ledger.head().header;
        let (number, timestamp) = (header.number, header.timestamp);
        Head { hash: header.hash(), number, timestamp, header: header.inner().clone() }
    }

    /// Mines so many blocks. The transactions that can be mined are in the first that has room.
    pub fn mine(&self, blocks: u64) -> Result<Head, Refusal> {
        self.state().mine_every(blocks, None)?;
        Ok(self.head())
    }

    /// Mines so many blocks, each so many seconds after the one before it.
    pub fn mine_every(&self, blocks: u64, seconds: u64) -> Result<Head, Refusal> {
        self.state().mine_every(blocks, Some(seconds))?;
        Ok(self.head())
    }

    /// Mines one block with exactly this time, which must be after the newest block's.
    pub fn mine_at(&self, timestamp: u64) -> Result<Head, Refusal> {
        {
            let mut state = self.state();
            state.set_next_timestamp(timestamp)?;
            state.mine_one()?;
        }
        Ok(self.head())
    }

    /// Chooses whether a submitted transaction is mined at once.
    pub fn set_auto_mine(&self, auto_mine: bool) {
        self.state().options.auto_mine = auto_mine;
    }

    /// What time it is, in seconds. The next block has this time, or the least interval after the
    /// newest block if that is later.
    #[must_use]
    pub fn time(&self) -> u64 {
        self.state().clock
    }

    /// Sets the clock. Blocks still follow each other: a time before the newest block has no effect
    /// on the next.
    pub fn set_time(&self, timestamp: u64) {
        self.state().clock = timestamp;
    }

    /// Moves the clock on, from its time or the newest block's if that is later. Mines nothing.
    pub fn advance(&self, seconds: u64) -> Result<u64, Refusal> {
        let mut state = self.state();
        state.advance(seconds)?;
        Ok(state.clock)
    }

    /// Gives the next block exactly this time, which must be after the newest block's.
    pub fn set_next_timestamp(&self, timestamp: u64) -> Result<(), Refusal> {
        self.state().set_next_timestamp(timestamp)
    }

    /// Gives the next block this base fee, in the place of the one that the protocol computes. The
    /// blocks after it follow from it.
    pub fn set_next_base_fee(&self, base_fee: u64) {
        self.state().force_base_fee(base_fee);
    }

    /// Goes back to an earlier block. What is mined next has other hashes than what was there.
    pub fn rewind(&self, number: u64, dropped: Dropped) -> Result<Head, Refusal> {
        self.state().rewind(number, dropped)?;
        Ok(self.head())
    }

    /// Submits a signed transaction.
    pub fn send_raw(&self, transaction: &[u8]) -> Result<B256, Refusal> {
        self.state().send(transaction)
    }

    /// Where the gas of a signed transaction would go, were it the next block's only one. Changes
    /// nothing.
    pub fn gas_parts(&self, transaction: &[u8]) -> Result<GasParts, Refusal> {
        self.state().gas_parts(transaction)
    }

    /// The hashes of the transactions that wait, the first that came first.
    #[must_use]
    pub fn pool(&self) -> Vec<B256> {
        let entries = self.state().pool.by_arrival();
        entries.iter().map(|entry| *entry.tx.tx_hash()).collect()
    }

    /// Throws a transaction out of the pool. Says whether it was there.
    pub fn evict(&self, hash: &B256) -> bool {
        self.state().pool.remove(hash)
    }

    /// Throws all transactions out of the pool.
    pub fn evict_all(&self) {
        self.state().pool.clear();
    }

    /// Gives an account this balance, from the newest block on.
    pub fn set_balance(&self, address: Address, balance: U256) {
        self.state().ledger.world_mut().set_balance(address, balance);
    }

    /// What an account has after the newest block.
    #[must_use]
    pub fn balance(&self, address: &Address) -> U256 {
        self.state().ledger.world().balance(address)
    }

    /// Remembers everything as it is now, for [`Chain::revert`].
    pub fn snapshot(&self) -> Result<u64, Refusal> {
        self.state().snapshot()
    }

    /// Makes everything as it was. Says whether there is such a snapshot; it is used up, as are
    /// all later ones.
    pub fn revert(&self, snapshot: u64) -> bool {
        self.state().revert(snapshot)
    }
}
