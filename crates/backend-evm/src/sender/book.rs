//! What is in flight, and what is to be done about it. Pure.
//!
//! It is told facts, how high the chain is, how many transactions the account has made, what became
//! of each version of ours, and decides. The invariants: a nonce belongs to at most one flight; a
//! flight is forgotten only when it is buried, given back, or its nonce was used by somebody else.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use perun_channel::ChannelId;

use crate::fees::Fees;
use crate::revert::Revert;
use crate::rpc::Fate;

/// At how many heads in a row a used nonce may be found without a receipt of ours: a node's index
/// may be a moment behind its chain.
const LOST_HEADS: u32 = 3;

/// When something is stuck, buried, or too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// After how many blocks a waiting transaction's fee is raised.
    pub stuck_blocks: u64,
    /// How many blocks bury a transaction so that it is no longer looked after.
    pub depth: u64,
    /// Most transactions in flight.
    pub flights_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { stuck_blocks: 3, depth: 64, flights_max: 64 }
    }
}

/// What a transaction is for: the same order again has the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(B256);

impl Key {
    /// The key of an order about a channel; `part` tells orders of one kind apart.
    #[must_use]
    pub fn new(kind: &'static str, channel: &ChannelId, part: &[u8]) -> Self {
        Self(keccak256([kind.as_bytes(), &[0], channel.as_bytes(), part].concat()))
    }

    /// The key of an order about an account or a token.
    #[must_use]
    pub fn of_account(kind: &'static str, account: Address) -> Self {
        Self(keccak256([kind.as_bytes(), &[1], account.as_slice()].concat()))
    }

    /// The key of a transaction that only fills a place.
    #[must_use]
    pub fn filler(nonce: u64) -> Self {
        Self(keccak256([&b"filler\x02"[..], &nonce.to_be_bytes()].concat()))
    }
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Whom it calls.
    pub to: Address,
    /// With how many coins.
    pub value: U256,
    /// With what input.
    pub input: Bytes,
}

/// One version of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its hash.
    pub hash: B256,
    /// What it offers.
    pub fees: Fees,
}

/// A nonce in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flight {
    /// What it is for.
    pub key: Key,
    /// What it does; nothing is known of transactions that were not sent from here.
    pub task: Option<Task>,
    /// The gas it may use.
    pub gas: u64,
    /// Its versions, the newest last; any of them may be mined.
    pub offers: Vec<Offer>,
    /// How often another was offered for a place whose holder is not known.
    pub tries: u32,
    raw: Bytes,
    /// The height at which it was last offered.
    since: u64,
    mined: Option<B256>,
    lost_heads: u32,
    /// The newest head that was counted.
    lost_at: u64,
}

impl Flight {
    /// A transaction that is about to be sent at this height.
    #[must_use]
    pub fn new(
        key: Key,
        task: Option<Task>,
        gas: u64,
        offer: Offer,
        raw: Bytes,
        since: u64,
    ) -> Self {
        Self {
            key,
            task,
            gas,
            offers: vec![offer],
            tries: 0,
            raw,
            since,
            mined: None,
            lost_heads: 0,
            lost_at: 0,
        }
    }

    fn unknown(nonce: u64, since: u64) -> Self {
        Self {
            key: Key::filler(nonce),
            task: None,
            gas: 0,
            offers: Vec::new(),
            tries: 0,
            raw: Bytes::new(),
            since,
            mined: None,
            lost_heads: 0,
            lost_at: 0,
        }
    }

    /// The most that it can still take from the account.
    fn promised(&self) -> U256 {
        let fee = self.offers.iter().map(|offer| offer.fees.max_fee).max().unwrap_or_default();
        let value = self.task.as_ref().map_or(U256::ZERO, |task| task.value);
        U256::from(self.gas).saturating_mul(U256::from(fee)).saturating_add(value)
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The node lost it: send the same bytes again.
    Resend(u64),
    /// It is stuck: offer more.
    Raise(u64),
    /// Nothing of ours has this place, and later ones wait for it: fill it.
    Fill(u64),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A transaction is in a block. A reorganisation may undo that; then it is sent again.
    Landed(Landed),
    /// A stuck transaction was offered again for more.
    Raised {
        /// What it is for.
        key: Key,
        /// The new version.
        hash: B256,
    },
    /// A stuck transaction cannot be raised: its owner's limit is reached.
    AtLimit {
        /// What it is for.
        key: Key,
        /// The limit, in wei per gas.
        cap: u128,
    },
    /// Somebody else used a nonce that a transaction of ours had: that one will never be mined.
    Usurped {
        /// What ours was for.
        key: Key,
        /// The nonce.
        nonce: u64,
    },
    /// A transaction that was not sent from here waits in the node's pool: from before a restart,
    /// or somebody else has the key.
    Stranger {
        /// Its nonce.
        nonce: u64,
    },
    /// A gap was filled.
    Filled {
        /// The nonce.
        nonce: u64,
    },
}

/// A transaction in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// What it is for.
    pub key: Key,
    /// What it did.
    pub task: Option<Task>,
    /// The version that was mined.
    pub hash: B256,
    /// The block's height.
    pub number: u64,
    /// Whether it did what it should.
    pub succeeded: bool,
    /// Why not, if it did not.
    pub reason: Option<Revert>,
}

/// Everything of one account that is in flight.
#[derive(Clone, Debug)]
pub struct Book {
    limits: Limits,
    flights: BTreeMap<u64, Flight>,
}

impl Book {
    /// An empty book.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, flights: BTreeMap::new() }
    }

    /// The lowest free nonce of an account that has made so many transactions.
    #[must_use]
    pub fn next_nonce(&self, used: u64) -> u64 {
        (used..).find(|nonce| !self.flights.contains_key(nonce)).unwrap_or(used)
    }

    /// Takes over nonces that the node's pool has and that are not ours. From before a restart, or
    /// somebody else's.
    pub fn adopt(&mut self, used: u64, pending: u64, head: u64) -> Vec<News> {
        let most = used.saturating_add(u64::try_from(self.limits.flights_max).unwrap_or(u64::MAX));
        let strangers: Vec<u64> =
            (used..pending.min(most)).filter(|nonce| !self.flights.contains_key(nonce)).collect();
        for nonce in &strangers {
            self.flights.insert(*nonce, Flight::unknown(*nonce, head));
        }
        strangers.into_iter().map(|nonce| News::Stranger { nonce }).collect()
    }

    /// A transaction is about to be sent.
    pub fn start(&mut self, nonce: u64, flight: Flight) {
        self.flights.insert(nonce, flight);
    }

    /// It was not sent after all: the nonce is free again.
    pub fn free(&mut self, nonce: u64) {
        self.flights.remove(&nonce);
    }

    /// The place is taken by something that is not ours.
    pub fn occupied(&mut self, nonce: u64, head: u64) {
        self.flights.insert(nonce, Flight::unknown(nonce, head));
    }

    /// A dearer version is about to be sent.
    pub fn raised(&mut self, nonce: u64, offer: Offer, raw: Bytes, head: u64) {
        if let Some(flight) = self.flights.get_mut(&nonce) {
            flight.offers.push(offer);
            (flight.raw, flight.since) = (raw, head);
        }
    }

    /// It was looked after at this height, though nothing was sent.
    pub fn touched(&mut self, nonce: u64, head: u64) {
        if let Some(flight) = self.flights.get_mut(&nonce) {
            flight.since = head;
        }
    }

    /// Another was offered for this place and not taken.
    pub fn tried(&mut self, nonce: u64, head: u64) {
        if let Some(flight) = self.flights.get_mut(&nonce) {
            flight.tries = flight.tries.saturating_add(1);
            flight.since = head;
        }
    }

    /// The newest version of what waits with this key.
    #[must_use]
    pub fn waiting(&self, key: &Key) -> Option<B256> {
        let flight = self.waiting_flights().find(|(_, flight)| flight.key == *key)?.1;
        flight.offers.last().map(|offer| offer.hash)
    }

    /// The nonce of what waits with this key.
    #[must_use]
    pub fn nonce_of(&self, key: &Key) -> Option<u64> {
        self.waiting_flights().find(|(_, flight)| flight.key == *key).map(|(nonce, _)| *nonce)
    }

    /// A nonce in use.
    #[must_use]
    pub fn flight(&self, nonce: u64) -> Option<&Flight> {
        self.flights.get(&nonce)
    }

    /// How many nonces are in use and not mined.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        self.waiting_flights().count()
    }

    /// Whether something waits of which only the nonce is known.
    #[must_use]
    pub fn has_strangers(&self) -> bool {
        self.waiting_flights().any(|(_, flight)| flight.task.is_none())
    }

    /// Whether no more may be sent now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting_count() >= self.limits.flights_max
    }

    /// The most that what waits can still take from the account.
    #[must_use]
    pub fn promised(&self) -> U256 {
        let promised = self.waiting_flights().map(|(_, flight)| flight.promised());
        promised.fold(U256::ZERO, U256::saturating_add)
    }

    /// The bytes of the newest version.
    #[must_use]
    pub fn raw(&self, nonce: u64) -> Option<Bytes> {
        self.flights.get(&nonce).map(|flight| flight.raw.clone()).filter(|raw| !raw.is_empty())
    }

    /// All versions of everything in flight.
    #[must_use]
    pub fn hashes(&self) -> Vec<(u64, Vec<B256>)> {
        let versions = |flight: &Flight| flight.offers.iter().map(|offer| offer.hash).collect();
        self.flights.iter().map(|(nonce, flight)| (*nonce, versions(flight))).collect()
    }

    /// Decides, knowing how high the chain is, how many transactions the account has made, how many
    /// with those in the pool, and what became of ours.
    pub fn look(
        &mut self,
        head: u64,
        used: u64,
        pending: u64,
        fates: &[(u64, (Fate, Option<B256>))],
    ) -> (Vec<Act>, Vec<News>) {
        let (mut acts, mut news) = (Vec::new(), Vec::new());
        for (nonce, (fate, hash)) in fates {
            let Some(flight) = self.flights.get_mut(nonce) else { continue };
            let verdict = flight.look(*nonce, self.limits, head, used, *fate, *hash);
            acts.extend(verdict.act);
            news.extend(verdict.news);
            if verdict.is_over {
                self.flights.remove(nonce);
            }
        }
        let last = self.flights.keys().next_back().copied().unwrap_or_default();
        let free = |nonce: &u64| !self.flights.contains_key(nonce);
        // What the pool has is not a gap, though it may not be ours.
        acts.extend((used.max(pending)..last).filter(free).map(Act::Fill));
        (acts, news)
    }

    fn waiting_flights(&self) -> impl Iterator<Item = (&u64, &Flight)> {
        self.flights.iter().filter(|(_, flight)| flight.mined.is_none())
    }
}

#[derive(Default)]
struct Verdict {
    act: Option<Act>,
    news: Option<News>,
    is_over: bool,
}

impl Flight {
    fn look(
        &mut self,
        nonce: u64,
        limits: Limits,
        head: u64,
        used: u64,
        fate: Fate,
        hash: Option<B256>,
    ) -> Verdict {
        if let (Fate::Mined { number, hash: block, succeeded }, Some(hash)) = (fate, hash) {
            let is_new = self.mined.replace(block) != Some(block);
            self.lost_heads = 0;
            let news = is_new.then(|| {
                let (key, task) = (self.key, self.task.clone());
                News::Landed(Landed { key, task, hash, number, succeeded, reason: None })
            });
            let buried = head.saturating_sub(number).saturating_add(1) >= limits.depth;
            return Verdict { act: None, news, is_over: buried };
        }
        if self.mined.take().is_some() {
            // A reorganisation took it out of its block.
            self.since = head;
        }
        if used > nonce {
            return self.without_receipt(nonce, head);
        }
        self.lost_heads = 0;
        // What a pool dropped for its price is not there either, and the same bytes do not help.
        let is_stuck = head.saturating_sub(self.since) >= limits.stuck_blocks;
        let act = match fate {
            _ if is_stuck => Some(Act::Raise(nonce)),
            Fate::Unknown if self.task.is_some() => Some(Act::Resend(nonce)),
            _ => None,
        };
        Verdict { act, ..Verdict::default() }
    }

    /// The nonce is used, but no version of ours is seen in a block.
    fn without_receipt(&mut self, nonce: u64, head: u64) -> Verdict {
        if self.task.is_none() {
            return Verdict { is_over: true, ..Verdict::default() };
        }
        if head > self.lost_at {
            self.lost_heads = self.lost_heads.saturating_add(1);
            self.lost_at = head;
        }
        if self.lost_heads < LOST_HEADS {
            return Verdict::default();
        }
        let news = Some(News::Usurped { key: self.key, nonce });
        Verdict { act: None, news, is_over: true }
    }
}

#[cfg(test)]
mod tests;
