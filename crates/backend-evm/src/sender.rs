//! The wallet's transactions, from the first broadcast until they are buried.
//!
//! Several are in flight at once. The [`book`] decides; here it is asked, and what it decides is
//! done. Nothing is stored: after a restart the wallet's waiting transactions are seen in the
//! node's pool and left to finish, and orders that are repeated do nothing if they are done. The
//! invariant: a nonce that was given out is used, given back or filled; none stays in the way of
//! the wallet's later transactions.

pub mod book;
mod envelope;

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256};

use crate::Error;
use crate::account::Account;
use crate::fees::{self, Fees, quote};
use crate::revert::Revert;
use crate::rpc::{At, Block, CallRequest, Fate, Node, RpcError};
use book::{Act, Book, Flight, Key, Landed, Limits, News, Offer, Task};

/// How often a fresh nonce is tried when the node says that one is used.
const NONCE_TRIES: u32 = 4;
/// What the node says of a transaction that it has.
const KNOWN: &[&str] = &["already known", "already imported", "known transaction"];
const USED: &[&str] = &["nonce too low", "nonce is too low", "invalid nonce"];
const OCCUPIED: &[&str] = &["underpriced", "replacement"];
const POOR: &[&str] = &["insufficient funds", "insufficient balance"];
const TRANSFER_GAS: u64 = 21_000;
/// Most gas of one transaction that every chain takes (EIP-7825).
const TRANSACTION_GAS_MAX: u64 = 1 << 24;

/// What the wallet's owner chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderOptions {
    /// The most that is paid per gas, in wei.
    pub fee_cap: u128,
    /// How much more gas is given than was estimated, in percent: the state may change meanwhile.
    pub gas_margin_percent: u64,
    /// When something is stuck, buried, or too much.
    pub limits: Limits,
}

impl Default for SenderOptions {
    fn default() -> Self {
        Self { fee_cap: 500_000_000_000, gas_margin_percent: 25, limits: Limits::default() }
    }
}

/// How a call is sent that must not be sent twice, or that runs code of others: tokens and payees
/// can tell a try from a block, and may be out to waste what is not theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// How much more gas it gets than it took when it was tried. What is not used is not paid.
    pub spare: u64,
    /// With how much, tried, it is not sent.
    pub most: u64,
    /// Whether it waits until nothing of the wallet is on its way that this process does not know:
    /// it could be the same call, from before a restart.
    pub once: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self { spare: 0, most: u64::MAX, once: false }
    }
}

/// What an order has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The chain shows it done; nothing was sent.
    Done,
    /// Its transaction is on its way, or a step before it; nothing new was sent.
    Waiting(B256),
    /// A transaction was sent now. Repeat the order until it is done.
    Sent(B256),
    /// Another order of this wallet must end first; nothing was sent. Repeat it later.
    Queued,
}

/// A wallet that sends.
pub struct Sender {
    account: Arc<dyn Account>,
    chain: u64,
    options: SenderOptions,
    book: Book,
    /// What was noticed while sending, to be told at the next look.
    untold: Vec<News>,
}

impl Sender {
    /// A sender for this account on the chain with this number.
    #[must_use]
    pub fn new(account: Arc<dyn Account>, chain: u64, options: SenderOptions) -> Self {
        let book = Book::new(options.limits);
        Self { account, chain, options, book, untold: Vec::new() }
    }

    /// Who pays.
    #[must_use]
    pub fn address(&self) -> Address {
        self.account.address()
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> &dyn Account {
        self.account.as_ref()
    }

    /// What is in flight.
    #[must_use]
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// Changes the limit of the fee, for what is sent or raised from now on.
    pub const fn set_fee_cap(&mut self, cap: u128) {
        self.options.fee_cap = cap;
    }

    /// Sends a call, unless one with this key is on its way. It is run first; what would fail is
    /// not sent.
    pub fn send(&mut self, node: Node<'_>, key: Key, task: Task) -> Result<Progress, Error> {
        self.send_within(node, key, task, Manner::default())
    }

    /// The same for a call that runs code of others.
    pub fn send_within(
        &mut self,
        node: Node<'_>,
        key: Key,
        task: Task,
        manner: Manner,
    ) -> Result<Progress, Error> {
        if let Some(hash) = self.book.waiting(&key) {
            return Ok(Progress::Waiting(hash));
        }
        if self.book.is_full() {
            return Err(Error::TooManyFlights(self.options.limits.flights_max));
        }
        let head = node.head()?;
        let fees = quote(&node.fee_history()?, self.options.fee_cap)?;
        self.check_coins(node, &head, task.value)?;
        let request = self.request(&task);
        node.run(&request, At::Latest)?;
        let least = self.gas(node, &head, &request, manner.most)?;
        let most = |gas: u64| U256::from(gas).saturating_mul(U256::from(fees.max_fee));
        let ample = least.saturating_add(manner.spare).min(TRANSACTION_GAS_MAX).min(head.gas_limit);
        let need = |gas: u64| task.value.saturating_add(most(gas));
        // Who cannot pay for the worst may still try with what suffices if others behave.
        let gas = match self.check_coins(node, &head, need(ample)) {
            Ok(()) => ample.max(least),
            Err(_) => least,
        };
        let most = most(gas);
        self.check_coins(node, &head, task.value.saturating_add(most))?;
        for _ in 0..NONCE_TRIES {
            let nonce = self.fresh_nonce(node, &head)?;
            if manner.once && self.book.has_strangers() {
                return Ok(Progress::Queued);
            }
            let (raw, offer) = self.sign(nonce, &task, gas, fees)?;
            let flight = Flight::new(key, Some(task.clone()), gas, offer, raw.clone(), head.number);
            self.book.start(nonce, flight);
            match node.send_raw(&raw) {
                Ok(_) | Err(RpcError::Transport(_)) => return Ok(Progress::Sent(offer.hash)),
                Err(error) if error.says(KNOWN) => return Ok(Progress::Sent(offer.hash)),
                // Somebody else used the key: the next look at the nonces says which is free.
                Err(error) if error.says(USED) => self.book.free(nonce),
                Err(error) if error.says(OCCUPIED) => self.book.occupied(nonce, head.number),
                Err(error) => {
                    self.book.free(nonce);
                    return Err(self.refused(node, &head, task.value, most, error));
                }
            }
        }
        Err(Error::unavailable("says of every nonce of the wallet that it is used"))
    }

    /// Looks after everything in flight: sends again what was lost, raises what is stuck, fills
    /// gaps, and tells what happened. A fault of one transaction does not keep it from the others.
    pub fn tend(&mut self, node: Node<'_>) -> Result<Vec<News>, Error> {
        // The head before the count, and the count before the fates: a transaction is then never
        // missing among the fates only because they are older than the count.
        let head = node.head()?;
        let used = node.nonce(self.address(), At::Hash(head.hash))?;
        let pending = node.nonce(self.address(), At::Pending)?;
        let strangers = self.book.adopt(used, pending, head.number);
        self.untold.extend(strangers);
        let mut fates = Vec::new();
        for (nonce, hashes) in self.book.hashes() {
            fates.push((nonce, fate(node, &hashes)?));
        }
        let mut news = core::mem::take(&mut self.untold);
        let (acts, told) = self.book.look(head.number, used, pending, &fates);
        news.extend(told);
        for act in acts {
            match self.act(node, &head, act) {
                Ok(said) => news.extend(said),
                Err(Error::FeeCap { cap, .. }) => {
                    let (Act::Fill(nonce) | Act::Raise(nonce) | Act::Resend(nonce)) = act;
                    news.push(News::AtLimit { key: Key::filler(nonce), cap });
                }
                Err(error) => {
                    // What is left to do is decided anew at the next look; what is to tell is kept.
                    self.untold = news;
                    return Err(error);
                }
            }
        }
        self.explain(node, &mut news);
        Ok(news)
    }

    /// Raises the fee of what is on its way with this key, now and not only when it is stuck.
    pub fn urge(&mut self, node: Node<'_>, key: &Key) -> Result<Option<News>, Error> {
        let Some(nonce) = self.book.nonce_of(key) else { return Ok(None) };
        let head = node.head()?;
        self.act(node, &head, Act::Raise(nonce))
    }

    fn act(&mut self, node: Node<'_>, head: &Block, act: Act) -> Result<Option<News>, Error> {
        match act {
            Act::Resend(nonce) => {
                if let Some(raw) = self.book.raw(nonce) {
                    // Whatever the answer is: the next look sees whether it is there.
                    let _ = node.send_raw(&raw);
                }
                Ok(None)
            }
            Act::Raise(nonce) => self.raise(node, head, nonce),
            Act::Fill(nonce) => {
                let market = quote(&node.fee_history()?, self.options.fee_cap)?;
                self.empty(node, head, nonce, market)
            }
        }
    }

    fn raise(&mut self, node: Node<'_>, head: &Block, nonce: u64) -> Result<Option<News>, Error> {
        let cap = self.options.fee_cap;
        let Some(flight) = self.book.flight(nonce) else { return Ok(None) };
        let market = quote(&node.fee_history()?, cap);
        let market = market.unwrap_or(Fees { max_fee: cap, tip: 1 });
        let (key, gas, task) = (flight.key, flight.gas, flight.task.clone());
        let (Some(old), Some(task)) = (flight.offers.last().copied(), task) else {
            // Not known what it offers: each try offers more than the one before.
            let tries = flight.tries;
            let fees = (0..tries).try_fold(market, |fees, _| fees::raise(fees, fees, cap));
            return match fees {
                Ok(fees) => self.empty(node, head, nonce, fees),
                Err(_) => {
                    self.book.touched(nonce, head.number);
                    Ok(Some(News::AtLimit { key, cap }))
                }
            };
        };
        let Ok(fees) = fees::raise(old.fees, market, cap) else {
            self.book.touched(nonce, head.number);
            return Ok(Some(News::AtLimit { key, cap }));
        };
        let (raw, offer) = self.sign(nonce, &task, gas, fees)?;
        // Remembered before it is sent: it may arrive though the answer is lost.
        self.book.raised(nonce, offer, raw.clone(), head.number);
        // A node that refuses it, as too small a raise, gets a larger one next time.
        let _ = node.send_raw(&raw);
        Ok(Some(News::Raised { key, hash: offer.hash }))
    }

    /// Puts an empty transaction in a place that nothing useful will take.
    fn empty(
        &mut self,
        node: Node<'_>,
        head: &Block,
        nonce: u64,
        fees: Fees,
    ) -> Result<Option<News>, Error> {
        let task = Task { to: self.address(), value: U256::ZERO, input: Bytes::new() };
        let (raw, offer) = self.sign(nonce, &task, TRANSFER_GAS, fees)?;
        match node.send_raw(&raw) {
            Err(RpcError::Refused { .. }) => self.book.tried(nonce, head.number),
            _ => {
                let key = Key::filler(nonce);
                let task = Some(task);
                let flight = Flight::new(key, task, TRANSFER_GAS, offer, raw, head.number);
                self.book.start(nonce, flight);
            }
        }
        Ok(Some(News::Filled { nonce }))
    }

    fn fresh_nonce(&mut self, node: Node<'_>, head: &Block) -> Result<u64, Error> {
        let used = node.nonce(self.address(), At::Latest)?;
        let pending = node.nonce(self.address(), At::Pending)?;
        let strangers = self.book.adopt(used, pending, head.number);
        self.untold.extend(strangers);
        Ok(self.book.next_nonce(used))
    }

    fn request(&self, task: &Task) -> CallRequest {
        let Task { to, value, input } = task.clone();
        CallRequest { from: self.address(), to, value, input }
    }

    fn gas(
        &self,
        node: Node<'_>,
        head: &Block,
        request: &CallRequest,
        most: u64,
    ) -> Result<u64, Error> {
        let estimate = node.estimate(request)?;
        let margin = estimate.saturating_mul(self.options.gas_margin_percent) / 100;
        let (need, block) = (estimate.saturating_add(margin), head.gas_limit);
        if estimate > block {
            return Err(Error::TooMuchGas { need: estimate, block });
        }
        if need > most {
            return Err(Error::Greedy { need, most });
        }
        Ok(need.min(block))
    }

    /// What is promised to transactions on their way is not there for others.
    fn check_coins(&self, node: Node<'_>, head: &Block, need: U256) -> Result<(), Error> {
        let balance = node.balance(self.address(), At::Hash(head.hash))?;
        let have = balance.saturating_sub(self.book.promised());
        if have >= need {
            return Ok(());
        }
        Err(Error::InsufficientCoins { account: self.address(), have, need })
    }

    fn refused(
        &self,
        node: Node<'_>,
        head: &Block,
        value: U256,
        most: U256,
        error: RpcError,
    ) -> Error {
        if error.says(POOR) {
            let need = value.saturating_add(most);
            let have = node.balance(self.address(), At::Hash(head.hash)).unwrap_or_default();
            return Error::InsufficientCoins { account: self.address(), have, need };
        }
        error.into()
    }

    fn sign(&self, nonce: u64, task: &Task, gas: u64, fees: Fees) -> Result<(Bytes, Offer), Error> {
        let (raw, hash) =
            envelope::signed(self.account.as_ref(), self.chain, nonce, task, gas, fees)?;
        Ok((raw, Offer { hash, fees }))
    }

    /// Finds out why a mined transaction failed, by running it again before its block.
    fn explain(&self, node: Node<'_>, news: &mut [News]) {
        for one in news {
            let News::Landed(Landed { task: Some(task), succeeded: false, number, reason, .. }) =
                one
            else {
                continue;
            };
            let before = At::Number(number.saturating_sub(1));
            *reason = match node.run(&self.request(task), before) {
                Err(Error::Reverted(revert)) => Some(revert),
                // It would pass there: what failed it came in its own block, or the gas ran out.
                _ => Some(Revert::read(&[])),
            };
        }
    }
}

/// The best that is known of any version of a transaction.
fn fate(node: Node<'_>, hashes: &[B256]) -> Result<(Fate, Option<B256>), Error> {
    let mut best = (Fate::Unknown, None);
    for hash in hashes.iter().rev() {
        match node.fate(*hash)? {
            mined @ Fate::Mined { .. } => return Ok((mined, Some(*hash))),
            Fate::Waiting => best = (Fate::Waiting, Some(*hash)),
            Fate::Unknown => {}
        }
    }
    Ok(best)
}
