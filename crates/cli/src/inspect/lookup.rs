//! What only a node can say: spent cells, a channel's newest cell, and what time it is on the
//! chain.

use super::action;
use crate::problem::Problem;
use ckb_types::{
    bytes::Bytes,
    core::TransactionView,
    packed::{Byte32, CellOutput, OutPoint},
    prelude::*,
};
use perun_backend_ckb::rpc::{MEDIAN_TIME_BLOCKS, Rpc, SearchKey, TransactionStatus};
use perun_channel::ChannelId;
use perun_channel::adjudicator::{Cell, Setup};
use std::collections::HashMap;

/// The most inputs whose cells are looked up; channels' transactions have a few dozen.
const INPUTS_MAX: usize = 1_000;

/// Where the clock of a challenge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// The time of the block that made the cell.
    pub(super) committed_ms: u64,
    /// The chain's time now: the median of the last block times.
    pub(super) median_ms: u64,
}

/// The clock of a cell made by a transaction with this status; nothing if it is not committed.
pub(super) fn clock(status: &TransactionStatus, rpc: &dyn Rpc) -> Result<Option<Clock>, Problem> {
    let TransactionStatus::Committed { block, .. } = status else { return Ok(None) };
    let Some(header) = rpc.header_by_hash(&block.hash)? else { return Ok(None) };
    let tip = rpc.tip_header()?;
    let mut times = vec![tip.timestamp()];
    for back in 1..u64::try_from(MEDIAN_TIME_BLOCKS).unwrap_or_default() {
        let Some(number) = tip.number().checked_sub(back) else { break };
        times.extend(rpc.header_by_number(number)?.map(|header| header.timestamp()));
    }
    times.sort_unstable();
    let median_ms = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok(Some(Clock { committed_ms: header.timestamp(), median_ms }))
}

/// The cells that the transaction spends, in order; nothing if the node does not know one of them.
pub(super) fn spent(tx: &TransactionView, rpc: &dyn Rpc) -> Result<Option<Vec<Cell>>, Problem> {
    let mut known: HashMap<Byte32, TransactionView> = HashMap::new();
    let mut cells = Vec::new();
    if tx.inputs().len() > INPUTS_MAX {
        return Ok(None);
    }
    for out_point in tx.input_pts_iter() {
        let hash = out_point.tx_hash();
        if !known.contains_key(&hash) {
            let Some(made) = rpc.transaction(&hash)?.transaction else { return Ok(None) };
            known.insert(hash.clone(), made);
        }
        let index: u32 = out_point.index().unpack();
        let made = known.get(&hash).zip(usize::try_from(index).ok());
        let Some((output, data)) = made.and_then(|(tx, index)| tx.output_with_data(index)) else {
            return Ok(None);
        };
        cells.push(seen(&output, &data));
    }
    Ok(Some(cells))
}

/// A cell as the verdict sees it.
pub(super) fn seen(output: &CellOutput, data: &Bytes) -> Cell {
    let kind = output.type_().to_opt().map(|script| script.calc_script_hash().into());
    let lock = output.lock().calc_script_hash().into();
    Cell::new(output.capacity().unpack(), lock, kind, data)
}

/// The setup of a channel, if an action of the transaction carries it.
pub(super) fn setup_in(tx: &TransactionView, id: &ChannelId) -> Option<Setup> {
    tx.witnesses().into_iter().find_map(|witness| {
        let witness = witness.raw_data();
        let mut actions = action::in_witness(&witness);
        let found = actions.find(|(_, action)| action.setup().id() == *id);
        found.map(|(_, action)| action.setup().clone())
    })
}

/// The live cell of a channel, found by its lock.
pub(super) fn channel_cell(
    id: &ChannelId,
    programs: &crate::programs::Programs,
    rpc: &dyn Rpc,
) -> Result<Option<OutPoint>, Problem> {
    // By its type as well: others can send any number of cells to its lock.
    let key = SearchKey::lock(programs.vault_lock_script(id)).and(programs.channel_type_script());
    Ok(rpc.cells(&key, None, 1)?.rows.into_iter().next().map(|row| row.cell.out_point))
}
