//! Making a block: which waiting transactions go in, and the numbers in its header.
//!
//! Epochs, the DAO field and the miner's reward follow the chain's rules with the node's own
//! calculators. Left out is what nothing here reads: uncles, proof of work and the extension with
//! the root of all headers. The invariant: every transaction in a block resolves after the ones
//! before it, and its time locks are open at the block's height.

use crate::chain::Commit;
use crate::ledger::{Block, Cost, Ledger};
use crate::pool::{Entry, Stage};
use crate::reward::reward;
use crate::state::State;
use ckb_dao::DaoCalculator;
use ckb_types::{
    bytes::Bytes,
    core::{
        BlockBuilder, BlockView, Capacity, EpochExt, HeaderBuilder, HeaderView, TransactionBuilder,
        TransactionView,
        cell::{
            CellMeta, CellMetaBuilder, CellProvider, CellStatus, OverlayCellProvider,
            ResolvedTransaction, resolve_transaction,
        },
    },
    packed::{CellInput, CellOutput, CellbaseWitness, OutPoint, ProposalShortId, Script},
    prelude::*,
};
use ckb_verification::{TimeRelativeTransactionVerifier, TxVerifyEnv};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub(crate) struct Assembled {
    pub(crate) view: BlockView,
    pub(crate) epoch: EpochExt,
    pub(crate) costs: Vec<Cost>,
}

pub(crate) fn assemble(state: &State, timestamp_ms: u64) -> Assembled {
    let ledger = &state.ledger;
    let tip = ledger.tip_header();
    let number = tip.number() + 1;
    let epoch = next_epoch(ledger, &tip);
    let draft = HeaderBuilder::default()
        .number(number)
        .epoch(epoch.number_with_fraction(number))
        .parent_hash(tip.hash())
        .timestamp(timestamp_ms)
        .compact_target(epoch.compact_target())
        .nonce(u128::from(state.mined))
        .build();
    let cellbase = cellbase(state, number);
    let proposals = match state.options.commit {
        Commit::Proposed => {
            let limit = ledger.consensus().max_block_proposals_limit();
            state.pool.fresh(usize::try_from(limit).unwrap_or(usize::MAX))
        }
        Commit::Instant => Vec::new(),
    };
    let mut filling = Filling::new(state, &draft, &cellbase, proposals.len());
    for entry in state.pool.by_fee_rate() {
        if state.options.commit == Commit::Instant || entry.stage == Stage::Ready {
            filling.try_add(entry);
        }
    }
    let Filling { resolved, costs, .. } = filling;
    let rewarded = ResolvedTransaction::dummy_resolve(cellbase.clone());
    let dao = DaoCalculator::new(ledger.consensus().as_ref(), ledger)
        .dao_field_with_current_epoch(
            std::iter::once(&rewarded).chain(resolved.iter().map(AsRef::as_ref)),
            &tip,
            &epoch,
        )
        .unwrap_or_else(|_| tip.dao());
    let view = BlockBuilder::default()
        .header(draft.as_advanced_builder().dao(dao).build())
        .transaction(cellbase)
        .transactions(resolved.iter().map(|it| it.transaction.clone()))
        .proposals(proposals)
        .build();
    Assembled { view, epoch, costs }
}

fn next_epoch(ledger: &Ledger, tip: &HeaderView) -> EpochExt {
    ledger
        .consensus()
        .next_epoch_ext(tip, ledger)
        .map_or_else(|| ledger.tip().epoch.clone(), |next| next.epoch())
}

/// A block while it is filled.
struct Filling<'a> {
    ledger: &'a Ledger,
    env: Arc<TxVerifyEnv>,
    bytes_left: u64,
    cycles_left: u64,
    seen: HashSet<OutPoint>,
    made: HashMap<OutPoint, CellMeta>,
    resolved: Vec<Arc<ResolvedTransaction>>,
    costs: Vec<Cost>,
}

impl<'a> Filling<'a> {
    fn new(
        state: &'a State,
        draft: &HeaderView,
        cellbase: &TransactionView,
        proposals: usize,
    ) -> Self {
        let consensus = state.ledger.consensus();
        let empty = BlockBuilder::default().transaction(cellbase.clone()).build();
        let used = empty.data().serialized_size_without_uncle_proposals() as u64
            + proposals as u64 * ProposalShortId::serialized_size() as u64;
        Self {
            ledger: &state.ledger,
            env: Arc::new(TxVerifyEnv::new_commit(draft)),
            bytes_left: consensus.max_block_bytes().saturating_sub(used),
            cycles_left: consensus.max_block_cycles(),
            seen: HashSet::new(),
            made: HashMap::new(),
            resolved: Vec::new(),
            costs: Vec::new(),
        }
    }

    /// Adds the entry if it fits and may be committed now. Its scripts have run in the pool, on the
    /// same cells: only what changes with the tip is checked again.
    fn try_add(&mut self, entry: &Entry) {
        if entry.size > self.bytes_left || entry.cost.cycles > self.cycles_left {
            return;
        }
        let block = Overlay(&self.made);
        let provider = OverlayCellProvider::new(&block, self.ledger);
        let tx = entry.tx();
        // What it builds on may be in no block yet: then it waits too. Cells that are gone for good
        // cannot be met here, for the pool drops whoever needs them.
        let Ok(resolved) = resolve_transaction(tx.clone(), &mut self.seen, &provider, self.ledger)
        else {
            return;
        };
        let resolved = Arc::new(resolved);
        let open = TimeRelativeTransactionVerifier::new(
            Arc::clone(&resolved),
            Arc::clone(self.ledger.consensus()),
            self.ledger.clone(),
            Arc::clone(&self.env),
        );
        if open.verify().is_err() {
            tx.input_pts_iter().for_each(|input| {
                self.seen.remove(&input);
            });
            return;
        }
        self.bytes_left -= entry.size;
        self.cycles_left -= entry.cost.cycles;
        for ((output, data), index) in tx.outputs_with_data_iter().zip(0u32..) {
            let out_point = OutPoint::new(tx.hash(), index);
            let cell = CellMetaBuilder::from_cell_output(output, data);
            self.made.insert(out_point.clone(), cell.out_point(out_point).build());
        }
        self.resolved.push(resolved);
        self.costs.push(entry.cost);
    }
}

/// The cells that the block itself makes.
struct Overlay<'a>(&'a HashMap<OutPoint, CellMeta>);

impl CellProvider for Overlay<'_> {
    fn cell(&self, out_point: &OutPoint, _eager_load: bool) -> CellStatus {
        self.0.get(out_point).cloned().map_or(CellStatus::Unknown, CellStatus::live_cell)
    }
}

/// The block's first transaction: the reward of the block that has just become final, to its miner.
fn cellbase(state: &State, number: u64) -> TransactionView {
    let witness = CellbaseWitness::new_builder().lock(state.options.miner.clone()).build();
    let cellbase = TransactionBuilder::default()
        .input(CellInput::new_cellbase_input(number))
        .witness(witness.as_bytes());
    let delay = state.ledger.consensus().finalization_delay_length();
    let target = number.checked_sub(delay).and_then(|target| state.ledger.block(target));
    let Some(target) = target.filter(|_| number > delay) else {
        return cellbase.build();
    };
    let output = CellOutput::new_builder()
        .capacity(reward(&state.ledger, target))
        .lock(miner_of(target).unwrap_or_default())
        .build();
    if output.is_lack_of_capacity(Capacity::zero()).unwrap_or(true) {
        return cellbase.build();
    }
    cellbase.output(output).output_data(Bytes::new()).build()
}

fn miner_of(block: &Block) -> Option<Script> {
    let witness = block.view.transaction(0)?.witnesses().get(0)?;
    Some(CellbaseWitness::from_slice(&witness.raw_data()).ok()?.lock())
}
