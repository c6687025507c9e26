//! Making the next block from what waits.
//!
//! The same code makes the block that is mined and the one that `pending` speaks of. The invariant:
//! it changes nothing; the caller adds the block, or only looks at it.

use crate::execute::Rules;
use crate::ledger::{Block, Done, empty_header};
use crate::pool::Entry;
use crate::state::State;
use crate::world::{View, World, randomness};
use alloy_consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy_consensus::{Header, Receipt, ReceiptEnvelope, Sealed, Transaction};
use alloy_primitives::{Address, B256, Bloom};
use revm::context::result::ExecutionResult;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A block that could be next.
pub(crate) struct Assembled {
    pub(crate) block: Block,
    pub(crate) world: World,
    /// What waits and can never be mined as things are.
    pub(crate) hopeless: Vec<B256>,
}

/// Makes the next block, with this time.
pub(crate) fn assemble(state: &State, timestamp: u64) -> Assembled {
    let parent = state.ledger.head();
    let header = Header {
        parent_hash: parent.header.hash(),
        number: parent.header.number.saturating_add(1),
        timestamp,
        base_fee_per_gas: Some(state.next_base_fee()),
        mix_hash: randomness(parent.header.hash(), state.branch),
        ..empty_header(&state.options)
    };
    let view = state
        .ledger
        .view_at(parent.header.number)
        .unwrap_or_else(|| View { world: state.ledger.world().clone(), hashes: Arc::from([]) });
    let block = Block { header: Sealed::new(header), transactions: Vec::new(), done: Vec::new() };
    let mut builder = Builder { block, view, gas_used: 0, logs: 0, hopeless: Vec::new() };
    builder.fill(state);
    builder.finish()
}

struct Builder {
    block: Block,
    view: View,
    gas_used: u64,
    logs: u64,
    hopeless: Vec<B256>,
}

impl Builder {
    /// Takes the best of what the accounts have next, until nothing fits.
    fn fill(&mut self, state: &State) {
        let rules = Rules::from(&state.options);
        let base_fee = self.block.base_fee();
        let mut next: BTreeMap<Address, Arc<Entry>> = BTreeMap::new();
        for sender in state.pool.senders() {
            let nonce = self.view.world.nonce(sender);
            if let Some(entry) = state.pool.at(sender, nonce) {
                next.insert(*sender, Arc::clone(entry));
            }
        }
        // The highest tip first, and of those the first that came.
        let worth = |entry: &Entry| {
            Some((entry.tx.effective_tip_per_gas(base_fee)?, std::cmp::Reverse(entry.arrival)))
        };
        while let Some((_, sender)) =
            next.iter().filter_map(|(sender, entry)| Some((worth(entry)?, *sender))).max()
        {
            let Some(entry) = next.remove(&sender) else { return };
            let left = self.block.header.gas_limit.saturating_sub(self.gas_used);
            // An account whose next transaction does not fit has to wait: its later ones cannot
            // come first.
            if entry.tx.gas_limit() > left || !self.take(rules, &entry) {
                continue;
            }
            let after = entry.tx.nonce().saturating_add(1);
            if let Some(following) = state.pool.at(&sender, after) {
                next.insert(sender, Arc::clone(following));
            }
        }
    }

    /// Runs one transaction, and takes it if it is valid.
    fn take(&mut self, rules: Rules, entry: &Entry) -> bool {
        let Ok(done) = rules.run(&self.block.header, &self.view, &entry.tx) else {
            self.hopeless.push(*entry.tx.tx_hash());
            return false;
        };
        self.view.world.commit(done.state);
        let gas_used = done.result.tx_gas_used();
        self.gas_used = self.gas_used.saturating_add(gas_used);
        let contract = match entry.tx.kind().is_create() {
            // A creation that failed still names the address, as nodes do.
            true => Some(entry.tx.signer().create(entry.tx.nonce())),
            false => None,
        };
        let status = matches!(done.result, ExecutionResult::Success { .. });
        let logs = if status { done.result.into_logs() } else { Vec::new() };
        let first_log = self.logs;
        self.logs = self.logs.saturating_add(logs.len() as u64);
        let receipt = Receipt { status: status.into(), cumulative_gas_used: self.gas_used, logs };
        let receipt = ReceiptEnvelope::from_typed(entry.tx.tx_type(), receipt);
        self.block.done.push(Done { receipt, gas_used, contract, first_log });
        self.block.transactions.push(entry.tx.clone());
        true
    }

    fn finish(mut self) -> Assembled {
        let mut header = self.block.header.into_inner();
        header.gas_used = self.gas_used;
        header.state_root = self.view.world.root();
        let envelopes: Vec<_> = self.block.transactions.iter().map(|tx| tx.inner()).collect();
        header.transactions_root = calculate_transaction_root(&envelopes);
        let receipts: Vec<_> = self.block.done.iter().map(|done| &done.receipt).collect();
        header.receipts_root = calculate_receipt_root(&receipts);
        header.logs_bloom =
            receipts.iter().fold(Bloom::ZERO, |sum, receipt| sum | *receipt.logs_bloom());
        self.block.header = Sealed::new(header);
        Assembled { block: self.block, world: self.view.world, hopeless: self.hopeless }
    }
}
