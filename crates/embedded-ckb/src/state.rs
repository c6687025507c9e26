//! One chain: its ledger, its pool, and the order in which the node checks a transaction.
//!
//! Everything that decides is here and in [`crate::assembly`]; the calls of [`crate::Chain`] only
//! take the lock. A transaction passes, in the node's order: its form, what it refers to, its fee,
//! its time locks, capacities and scripts, and the rules of replacement. The invariant: a refusal
//! changes nothing but the list of recent refusals.

use crate::assembly::{self, Assembled};
use crate::chain::Options;
use crate::ledger::{Cost, Ledger};
use crate::pool::{Entry, FEE_RATE_MIN, Pool, Stage};
use crate::refusal::Refusal;
use ckb_dao::DaoCalculator;
use ckb_types::{
    core::{
        HeaderView, TransactionView,
        cell::{CellStatus, ResolvedTransaction, resolve_transaction},
        error::OutPointError,
        tx_pool::{Reject, TRANSACTION_SIZE_LIMIT},
    },
    packed::{Byte32, ProposalShortId},
};
use ckb_verification::{
    ContextualTransactionVerifier, DaoScriptSizeVerifier, NonContextualTransactionVerifier,
    ScriptVerifier, TxVerifyEnv, cache::Completed,
};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Most cycles that one transaction may take. The node's limit for what it verifies at once and
/// passes on to others; a block could hold fifty of them.
pub const TRANSACTION_CYCLES_MAX: u64 = 70_000_000;

/// How many refusals and how many results of scripts are remembered.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) ledger: Ledger,
    pub(crate) pool: Pool,
    pub(crate) options: Options,
    window: Window,
    /// Why transactions were refused lately, as the node's `get_transaction` tells it.
    refused: HashMap<Byte32, Reject>,
    /// Cycles by the hash of the whole transaction, witnesses included. What a transaction refers
    /// to is fixed by that hash, so its scripts need to run once only.
    verified: HashMap<Byte32, u64>,
    /// Blocks made, undone ones included: no two blocks are the same.
    pub(crate) mined: u64,
}

/// Which transactions the last blocks have announced.
#[derive(Clone, Debug, Default)]
struct Window {
    gap: HashSet<ProposalShortId>,
    ready: HashSet<ProposalShortId>,
}

impl Window {
    fn at_tip(ledger: &Ledger) -> Self {
        let window = ledger.consensus().tx_proposal_window();
        let next = ledger.height() + 1;
        let first = next.saturating_sub(window.farthest()).max(1);
        let last = next.saturating_sub(window.closest());
        let ready = ledger.proposals(first, last).collect();
        let gap = ledger.proposals(last + 1, ledger.height()).collect();
        Self { gap, ready }
    }

    fn stage(&self, id: &ProposalShortId) -> Stage {
        if self.ready.contains(id) {
            Stage::Ready
        } else if self.gap.contains(id) {
            Stage::Gap
        } else {
            Stage::Fresh
        }
    }
}

impl State {
    pub(crate) fn new(ledger: Ledger, options: Options) -> Self {
        Self {
            ledger,
            pool: Pool::default(),
            options,
            window: Window::default(),
            refused: HashMap::new(),
            verified: HashMap::new(),
            mined: 0,
        }
    }

    pub(crate) fn send(&mut self, tx: &TransactionView) -> Result<Completed, Reject> {
        let sent = self.admit(tx);
        if let Err(reject) = &sent {
            self.remember_refusal(tx.hash(), reject);
        }
        sent
    }

    fn admit(&mut self, tx: &TransactionView) -> Result<Completed, Reject> {
        let checked = self.check(tx)?;
        let Checked { resolved, stage, completed, size } = checked;
        let conflicts = self.pool.check_replacement(tx, completed.fee, size, &self.ledger)?;
        for old in self.pool.remove(&conflicts) {
            let reject = Reject::RBFRejected(format!("replaced by tx {}", tx.hash()));
            self.remember_refusal(old.tx().hash(), &reject);
        }
        let cost = Cost { cycles: completed.cycles, fee: completed.fee };
        self.pool.insert(Entry::new(resolved, cost, size, stage))?;
        Ok(completed)
    }

    /// Everything up to the rules of replacement; the pool does not change.
    pub(crate) fn check(&mut self, tx: &TransactionView) -> Result<Checked, Reject> {
        let size = self.check_form(tx)?;
        let id = tx.proposal_short_id();
        if self.pool.get(&id).is_some() {
            return Err(Reject::Duplicated(tx.hash()));
        }
        let resolved = self.resolve(tx)?;
        self.check_fee(&resolved, size)?;
        let stage = self.window.stage(&id);
        let completed = self.verify(&resolved, stage)?;
        Ok(Checked { resolved, stage, completed, size })
    }

    fn check_form(&self, tx: &TransactionView) -> Result<u64, Reject> {
        NonContextualTransactionVerifier::new(tx, self.ledger.consensus())
            .verify()
            .map_err(Reject::Verification)?;
        let size = tx.data().serialized_size_in_block() as u64;
        if size > TRANSACTION_SIZE_LIMIT {
            return Err(Reject::ExceededTransactionSizeLimit(size, TRANSACTION_SIZE_LIMIT));
        }
        if tx.is_cellbase() {
            return Err(Reject::Malformed("cellbase like".to_owned(), String::new()));
        }
        Ok(size)
    }

    fn resolve(&self, tx: &TransactionView) -> Result<Arc<ResolvedTransaction>, Reject> {
        match self.pool.resolve(tx, &self.ledger, false) {
            // Spent by the pool: it may still replace the spender, which is decided later.
            Err(Reject::Resolve(OutPointError::Dead(cell))) => {
                let resolved = self.pool.resolve(tx, &self.ledger, true)?;
                if self.pool.conflicts(tx).is_empty() {
                    return Err(Reject::Resolve(OutPointError::Dead(cell)));
                }
                Ok(resolved)
            }
            resolved => resolved,
        }
    }

    fn check_fee(&self, resolved: &ResolvedTransaction, size: u64) -> Result<(), Reject> {
        let fee = DaoCalculator::new(self.ledger.consensus(), &self.ledger)
            .transaction_fee(resolved)
            .map_err(|error| {
                let expected = "expect (outputs capacity) <= (inputs capacity)".to_owned();
                Reject::Malformed(error.to_string(), expected)
            })?;
        let least = FEE_RATE_MIN.fee(size);
        if fee < least {
            return Err(Reject::LowFeeRate(FEE_RATE_MIN, least.as_u64(), fee.as_u64()));
        }
        Ok(())
    }

    fn verify(
        &mut self,
        resolved: &Arc<ResolvedTransaction>,
        stage: Stage,
    ) -> Result<Completed, Reject> {
        let consensus = Arc::clone(self.ledger.consensus());
        let tip = self.ledger.tip_header();
        let env = match stage {
            Stage::Fresh => TxVerifyEnv::new_submit(&tip),
            Stage::Gap => TxVerifyEnv::new_proposed(&tip, 0),
            Stage::Ready => TxVerifyEnv::new_proposed(&tip, 1),
        };
        let key = resolved.transaction.witness_hash();
        let completed = ContextualTransactionVerifier::new_with_cached_script_cycles(
            Arc::clone(resolved),
            Arc::clone(&consensus),
            self.ledger.clone(),
            Arc::new(env),
            self.verified.get(&key).copied(),
        )
        .verify(TRANSACTION_CYCLES_MAX, false)
        .map_err(Reject::Verification)?;
        DaoScriptSizeVerifier::new(Arc::clone(resolved), consensus, self.ledger.clone())
            .verify()
            .map_err(Reject::Verification)?;
        remember(&mut self.verified, key, completed.cycles);
        Ok(completed)
    }

    /// Runs the scripts alone, on committed cells: no fee, no time locks, no pool.
    pub(crate) fn estimate(&self, tx: &TransactionView) -> Result<u64, Refusal> {
        let resolved =
            resolve_transaction(tx.clone(), &mut HashSet::new(), &self.ledger, &self.ledger);
        let resolved = resolved.map_err(|error| {
            let message = format!("TransactionFailedToResolve: {error}");
            Refusal::new(Refusal::RESOLVE, message)
        })?;
        let consensus = Arc::clone(self.ledger.consensus());
        let cycles_max = consensus.max_block_cycles();
        let env = TxVerifyEnv::new_submit(&self.ledger.tip_header());
        ScriptVerifier::new(Arc::new(resolved), self.ledger.clone(), consensus, Arc::new(env))
            .verify(cycles_max)
            .map_err(|error| {
                let message = format!("TransactionFailedToVerify: {error}");
                Refusal::new(Refusal::VERIFY, message)
            })
    }

    /// Makes one block at this time and lets the pool follow.
    pub(crate) fn mine_at(&mut self, timestamp_ms: u64) -> HeaderView {
        let Assembled { view, epoch, costs } = assembly::assemble(self, timestamp_ms);
        self.mined += 1;
        let header = view.header();
        let committed = view.transactions();
        self.ledger.push(view, epoch, costs);
        for tx in committed.iter().skip(1) {
            for (entry, reject) in self.pool.commit(tx) {
                self.remember_refusal(entry.tx().hash(), &reject);
            }
        }
        self.restage();
        header
    }

    /// Goes back to this height; the pool is emptied, as the node does.
    pub(crate) fn rollback(&mut self, number: u64) -> Result<HeaderView, Refusal> {
        if number > self.ledger.height() {
            return Err(Refusal::new(Refusal::INVALID, "Invalid: block not found"));
        }
        while self.ledger.height() > number {
            self.ledger.pop();
        }
        self.pool = Pool::default();
        self.restage();
        Ok(self.ledger.tip_header())
    }

    fn restage(&mut self) {
        self.window = Window::at_tip(&self.ledger);
        let window = &self.window;
        self.pool.restage(|id| window.stage(id));
    }

    pub(crate) fn refusal(&self, hash: &Byte32) -> Option<&Reject> {
        self.refused.get(hash)
    }

    fn remember_refusal(&mut self, hash: Byte32, reject: &Reject) {
        if reject.should_recorded() {
            remember(&mut self.refused, hash, reject.clone());
        }
    }

    pub(crate) fn pool_cell(&self, out_point: &ckb_types::packed::OutPoint) -> CellStatus {
        self.pool.cell(out_point, &self.ledger)
    }
}

/// A transaction that may enter the pool unless the rules of replacement say no.
pub(crate) struct Checked {
    resolved: Arc<ResolvedTransaction>,
    stage: Stage,
    pub(crate) completed: Completed,
    size: u64,
}

/// Keeps a bounded memory: when it is full it starts anew, since everything in it can be had again.
fn remember<V>(memory: &mut HashMap<Byte32, V>, key: Byte32, value: V) {
    if memory.len() >= REMEMBERED_MAX {
        memory.clear();
    }
    memory.insert(key, value);
}
