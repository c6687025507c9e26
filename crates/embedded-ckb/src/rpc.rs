//! The embedded chain as a node: [`Rpc`] straight on the tables, without a socket between.
//!
//! Each call takes the lock once and answers from one state. The invariant: it answers what a real
//! node answers, quirks included: a cell that a block has spent is unknown, and a script is looked
//! for as a whole.

use crate::chain::Chain;
use crate::index::{Match, Order, Search};
use crate::pool::Stage;
use crate::refusal::Refusal;
use crate::state::State;
use ckb_jsonrpc_types::PoolTransactionReject;
use ckb_types::{
    bytes::Bytes,
    core::{
        BlockView, HeaderView, TransactionView,
        cell::{CellMeta, CellStatus},
        tx_pool::Reject,
    },
    packed::{Byte32, OutPoint, ProposalShortId},
};
use perun_backend_ckb::rpc::{
    BlockId, Cell, ChainIdentity, Cursor, FEE_RATE_MIN, IndexedCell, PAGE_LIMIT_MAX, Page, Rpc,
    RpcError, SearchKey, Touch, TransactionLookup, TransactionStatus, View, expressible,
};

impl Rpc for Chain {
    fn chain(&self) -> Result<ChainIdentity, RpcError> {
        let consensus = self.genesis().consensus();
        Ok(ChainIdentity { name: consensus.id.clone(), genesis: consensus.genesis_block().clone() })
    }

    fn tip_header(&self) -> Result<HeaderView, RpcError> {
        Ok(self.state().ledger.tip_header())
    }

    fn header_by_number(&self, number: u64) -> Result<Option<HeaderView>, RpcError> {
        Ok(self.state().ledger.block(number).map(|block| block.view.header()))
    }

    fn header_by_hash(&self, hash: &Byte32) -> Result<Option<HeaderView>, RpcError> {
        Ok(self.state().ledger.block_by_hash(hash).map(|block| block.view.header()))
    }

    fn block_by_number(&self, number: u64) -> Result<Option<BlockView>, RpcError> {
        Ok(self.state().ledger.block(number).map(|block| block.view.clone()))
    }

    fn block_by_hash(&self, hash: &Byte32) -> Result<Option<BlockView>, RpcError> {
        Ok(self.state().ledger.block_by_hash(hash).map(|block| block.view.clone()))
    }

    fn send_transaction(&self, tx: &TransactionView) -> Result<Byte32, RpcError> {
        expressible(tx)?;
        match self.state().send(tx) {
            Ok(_) => Ok(tx.hash()),
            Err(reject) => Err(Refusal::from(&reject).into()),
        }
    }

    fn transaction(&self, hash: &Byte32) -> Result<TransactionLookup, RpcError> {
        Ok(self.state().lookup(hash))
    }

    fn live_cell(&self, out_point: &OutPoint, view: View) -> Result<Option<Cell>, RpcError> {
        Ok(match self.state().cell_status(out_point, view) {
            CellStatus::Live(cell) => Some(cell_of(&cell)),
            CellStatus::Dead | CellStatus::Unknown => None,
        })
    }

    fn cells(
        &self,
        key: &SearchKey,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<IndexedCell>, RpcError> {
        let state = self.state();
        let rows = state.ledger.index().cells(&search(key, after, limit)?);
        let rows =
            rows.filter_map(|(key, out_point)| Some((key, indexed(state.ledger.cell(out_point)?))));
        Ok(page(rows.filter(|(_, row)| key.fits(&row.cell)), limit))
    }

    fn transactions(
        &self,
        key: &SearchKey,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Touch>, RpcError> {
        key.check_history()?;
        let state = self.state();
        let rows = state.ledger.index().touches(&search(key, after, limit)?);
        Ok(page(rows.map(|(key, touch)| (key, touch.clone())), limit))
    }

    fn index_tip(&self) -> Result<BlockId, RpcError> {
        let tip = self.tip_header()?;
        Ok(BlockId { number: tip.number(), hash: tip.hash() })
    }

    fn pool(&self) -> Result<Vec<Byte32>, RpcError> {
        let state = self.state();
        Ok(state.pool.by_arrival().into_iter().map(|entry| entry.tx().hash()).collect())
    }

    fn fee_rate(&self) -> Result<u64, RpcError> {
        // Blocks are made on demand, so whatever the pool takes is committed soon.
        Ok(FEE_RATE_MIN)
    }

    fn estimate_cycles(&self, tx: &TransactionView) -> Result<u64, RpcError> {
        expressible(tx)?;
        Ok(self.state().estimate(tx)?)
    }
}

impl State {
    pub(crate) fn lookup(&self, hash: &Byte32) -> TransactionLookup {
        if let Some((tx, block, index)) = self.ledger.transaction(hash) {
            let id = BlockId { number: block.view.number(), hash: block.view.hash() };
            let cost = index.checked_sub(1).and_then(|place| block.costs.get(place));
            return TransactionLookup {
                status: TransactionStatus::Committed {
                    block: id,
                    index: u32::try_from(index).unwrap_or(u32::MAX),
                },
                transaction: Some(tx),
                cycles: cost.map(|cost| cost.cycles),
                replace_fee_min: None,
            };
        }
        if let Some(entry) = self.pool.get_by_hash(hash) {
            let replace_fee = || self.pool.replace_fee_min(&ProposalShortId::from_tx_hash(hash));
            let (status, replace_fee_min) = match entry.stage {
                Stage::Fresh | Stage::Gap => (TransactionStatus::Pending, replace_fee()),
                Stage::Ready => (TransactionStatus::Proposed, None),
            };
            return TransactionLookup {
                status,
                transaction: Some(entry.tx().clone()),
                cycles: Some(entry.cost.cycles),
                replace_fee_min,
            };
        }
        let status = self.refusal(hash).map_or(TransactionStatus::Unknown, |reject| {
            TransactionStatus::Rejected(reason(reject))
        });
        TransactionLookup { status, transaction: None, cycles: None, replace_fee_min: None }
    }

    pub(crate) fn cell_status(&self, out_point: &OutPoint, view: View) -> CellStatus {
        match view {
            View::WithPool => self.pool_cell(out_point),
            View::Chain => self
                .ledger
                .cell(out_point)
                .map_or(CellStatus::Unknown, |cell| CellStatus::live_cell(cell.clone())),
        }
    }
}

/// The node tells the reason of a refusal as JSON.
fn reason(reject: &Reject) -> String {
    let reason = PoolTransactionReject::from(reject.clone());
    serde_json::to_string(&reason).unwrap_or_else(|_| reject.to_string())
}

fn search<'a>(
    key: &'a SearchKey,
    after: Option<&'a Cursor>,
    limit: u32,
) -> Result<Search<'a>, RpcError> {
    if limit == 0 || limit > PAGE_LIMIT_MAX {
        return Err(RpcError::Misuse(format!("a page of {limit} rows; 1 to {PAGE_LIMIT_MAX}")));
    }
    Ok(Search {
        script: &key.script,
        kind: key.kind,
        other: key.other.as_ref(),
        matching: Match::Exact,
        order: Order::Ascending,
        after: after.map(|cursor| cursor.0.as_ref()),
    })
}

fn page<'a, T>(rows: impl Iterator<Item = (&'a Vec<u8>, T)>, limit: u32) -> Page<T> {
    let mut last = None;
    let rows: Vec<T> = rows
        .take(limit as usize)
        .map(|(key, row)| {
            last = Some(key);
            row
        })
        .collect();
    let full = rows.len() == limit as usize;
    let next = last.filter(|_| full).map(|key| Cursor(Bytes::copy_from_slice(key)));
    Page { rows, next }
}

pub(crate) fn cell_of(cell: &CellMeta) -> Cell {
    Cell {
        out_point: cell.out_point.clone(),
        output: cell.cell_output.clone(),
        data: cell.mem_cell_data.clone().unwrap_or_default(),
    }
}

fn indexed(cell: &CellMeta) -> IndexedCell {
    let info = cell.transaction_info.as_ref();
    IndexedCell {
        cell: cell_of(cell),
        block_number: info.map_or(0, |info| info.block_number),
        tx_index: info.and_then(|info| u32::try_from(info.index).ok()).unwrap_or(u32::MAX),
    }
}
