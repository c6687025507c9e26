//! Transactions that wait for a block.
//!
//! Each account's transactions by nonce: those that follow the account's nonce without a gap can be
//! mined, the others wait. The invariant: one transaction for an account and a nonce, and what is
//! found by its hash is in its account's row.

use alloy_consensus::transaction::Recovered;
use alloy_consensus::{Transaction, TxEnvelope};
use alloy_primitives::{Address, B256, U256};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// By how many per cent a replacement must pay more.
const REPLACE_PERCENT: u128 = 10;

/// A transaction that waits.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) tx: Recovered<TxEnvelope>,
    /// Which came first among all.
    pub(crate) arrival: u64,
}

impl Entry {
    /// What its sender must have for it.
    pub(crate) fn cost(&self) -> U256 {
        cost(&self.tx)
    }
}

/// What the sender of a transaction must have: value, and gas at the highest price.
pub(crate) fn cost(tx: &TxEnvelope) -> U256 {
    let gas = U256::from(tx.gas_limit()).saturating_mul(U256::from(tx.max_fee_per_gas()));
    gas.saturating_add(tx.value())
}

/// The highest tip that a transaction offers.
pub(crate) fn tip_cap(tx: &TxEnvelope) -> u128 {
    tx.max_priority_fee_per_gas().unwrap_or_else(|| tx.max_fee_per_gas())
}

/// Whether `new` pays enough more than `old` to take its place.
pub(crate) fn replaces(new: &TxEnvelope, old: &TxEnvelope) -> bool {
    let enough = |new: u128, old: u128| {
        let least = U256::from(old) * U256::from(100 + REPLACE_PERCENT) / U256::from(100);
        new > old && U256::from(new) >= least
    };
    enough(new.max_fee_per_gas(), old.max_fee_per_gas()) && enough(tip_cap(new), tip_cap(old))
}

/// All transactions that wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    senders: BTreeMap<Address, BTreeMap<u64, Arc<Entry>>>,
    by_hash: HashMap<B256, Arc<Entry>>,
    arrivals: u64,
}

impl Pool {
    pub(crate) fn len(&self) -> usize {
        self.by_hash.len()
    }

    pub(crate) fn get(&self, hash: &B256) -> Option<&Arc<Entry>> {
        self.by_hash.get(hash)
    }

    pub(crate) fn at(&self, sender: &Address, nonce: u64) -> Option<&Arc<Entry>> {
        self.senders.get(sender)?.get(&nonce)
    }

    /// An account's transactions by nonce.
    pub(crate) fn of(&self, sender: &Address) -> impl Iterator<Item = (u64, &Arc<Entry>)> {
        self.senders.get(sender).into_iter().flatten().map(|(nonce, entry)| (*nonce, entry))
    }

    pub(crate) fn senders(&self) -> impl Iterator<Item = &Address> {
        self.senders.keys()
    }

    /// All of them, the first that came first.
    pub(crate) fn by_arrival(&self) -> Vec<Arc<Entry>> {
        let mut entries: Vec<_> = self.by_hash.values().cloned().collect();
        entries.sort_unstable_by_key(|entry| entry.arrival);
        entries
    }

    /// The first nonce of an account that neither the chain nor the pool has used.
    pub(crate) fn next_nonce(&self, sender: &Address, state_nonce: u64) -> u64 {
        let mut next = state_nonce;
        while self.at(sender, next).is_some() {
            next = next.saturating_add(1);
        }
        next
    }

    /// Puts a transaction in, in the place of another one with its nonce.
    pub(crate) fn insert(&mut self, tx: Recovered<TxEnvelope>) {
        let (sender, nonce, hash) = (tx.signer(), tx.nonce(), *tx.tx_hash());
        let entry = Arc::new(Entry { tx, arrival: self.arrivals });
        self.arrivals = self.arrivals.saturating_add(1);
        self.by_hash.insert(hash, Arc::clone(&entry));
        if let Some(old) = self.senders.entry(sender).or_default().insert(nonce, entry)
            && *old.tx.tx_hash() != hash
        {
            self.by_hash.remove(old.tx.tx_hash());
        }
    }

    pub(crate) fn remove(&mut self, hash: &B256) -> bool {
        let Some(entry) = self.by_hash.remove(hash) else { return false };
        let sender = entry.tx.signer();
        if let Some(row) = self.senders.get_mut(&sender) {
            row.remove(&entry.tx.nonce());
            if row.is_empty() {
                self.senders.remove(&sender);
            }
        }
        true
    }

    pub(crate) fn clear(&mut self) {
        self.senders.clear();
        self.by_hash.clear();
    }

    /// The one that would be thrown out first: the lowest tip, and of those the last that came.
    pub(crate) fn cheapest(&self) -> Option<&Arc<Entry>> {
        let worth = |entry: &Arc<Entry>| (tip_cap(&entry.tx), std::cmp::Reverse(entry.arrival));
        self.by_hash.values().min_by_key(|entry| worth(entry))
    }

    /// Throws out what an account's nonce has passed.
    pub(crate) fn forget_used(&mut self, sender: &Address, state_nonce: u64) {
        let used: Vec<B256> = self
            .of(sender)
            .take_while(|(nonce, _)| *nonce < state_nonce)
            .map(|(_, entry)| *entry.tx.tx_hash())
            .collect();
        for hash in used {
            self.remove(&hash);
        }
    }
}
