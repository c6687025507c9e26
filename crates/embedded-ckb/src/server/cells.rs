//! The node's `Indexer` methods: cells and transactions by script, with the filters that clients
//! use.
//!
//! The search itself is [`crate::index`]; here are the JSON forms and the filters. The invariant: a
//! row that the node's filters would leave out is left out here, and a form that is not known is
//! refused.

use super::params::{Params, hash, hex, value};
use crate::chain::Chain;
use crate::index::{Match, Order, Search};
use crate::refusal::Refusal;
use ckb_jsonrpc_types as wire;
use ckb_types::{bytes::Bytes, core::cell::CellMeta, packed::Script, prelude::*};
use perun_backend_ckb::rpc::{GroupKind, Side, Touch};
use serde_json::{Value, json};

/// Most rows of one reply.
const ROWS_MAX: u32 = 10_000;

pub(super) fn call(chain: &Chain, method: &str, params: &Params) -> Option<Result<Value, Refusal>> {
    match method {
        "get_cells" => Some(cells(chain, params)),
        "get_transactions" => Some(transactions(chain, params)),
        "get_cells_capacity" => Some(capacity(chain, params)),
        "get_indexer_tip" => {
            let tip = chain.state().ledger.tip_header();
            let (number, hash) = (hex(tip.number()), hash(&tip.hash()));
            Some(Ok(json!({ "block_number": number, "block_hash": hash })))
        }
        _ => None,
    }
}

fn cells(chain: &Chain, params: &Params) -> Result<Value, Refusal> {
    let query = Query::read(params)?;
    let page = PageOf::read(params)?;
    let state = chain.state();
    let rows = state.ledger.index().cells(&query.search(&page));
    let rows = rows.filter_map(|(key, out_point)| Some((key, state.ledger.cell(out_point)?)));
    let rows = rows.filter(|(_, cell)| query.passes(cell));
    reply(rows.take(page.limit), |cell| {
        let info = cell.transaction_info.as_ref();
        let data = cell.mem_cell_data.clone().filter(|_| query.with_data);
        value(wire::IndexerCell {
            output: cell.cell_output.clone().into(),
            output_data: data.map(wire::JsonBytes::from_bytes),
            out_point: cell.out_point.clone().into(),
            block_number: info.map_or(0, |info| info.block_number).into(),
            tx_index: info.and_then(|it| u32::try_from(it.index).ok()).unwrap_or_default().into(),
        })
    })
}

fn transactions(chain: &Chain, params: &Params) -> Result<Value, Refusal> {
    let query = Query::read(params)?;
    let page = PageOf::read(params)?;
    if query.grouped {
        return Err(Refusal::params("group_by_transaction is not offered"));
    }
    let state = chain.state();
    let rows = state.ledger.index().touches(&query.search(&page));
    let rows = rows.filter(|(_, touch)| query.in_blocks(touch.block_number));
    reply(rows.take(page.limit), |touch: &Touch| {
        let side = match touch.side {
            Side::Input => "input",
            Side::Output => "output",
        };
        Ok(json!({
            "tx_hash": hash(&touch.tx_hash),
            "block_number": hex(touch.block_number),
            "tx_index": hex(touch.tx_index.into()),
            "io_index": hex(touch.index.into()),
            "io_type": side,
        }))
    })
}

fn capacity(chain: &Chain, params: &Params) -> Result<Value, Refusal> {
    let query = Query::read(params)?;
    let state = chain.state();
    let everything = PageOf { order: Order::Ascending, limit: usize::MAX, after: None };
    let rows = state.ledger.index().cells(&query.search(&everything));
    let sum = rows
        .filter_map(|(_, out_point)| state.ledger.cell(out_point))
        .filter(|cell| query.passes(cell))
        .fold(0u64, |sum, cell| sum.saturating_add(cell.capacity().as_u64()));
    let tip = state.ledger.tip_header();
    Ok(json!({
        "capacity": hex(sum),
        "block_hash": hash(&tip.hash()),
        "block_number": hex(tip.number()),
    }))
}

fn reply<'a, T>(
    rows: impl Iterator<Item = (&'a Vec<u8>, T)>,
    json: impl Fn(T) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    let mut last: &[u8] = &[];
    let mut objects = Vec::new();
    for (key, row) in rows {
        last = key;
        objects.push(json(row)?);
    }
    let cursor = wire::JsonBytes::from_vec(last.to_vec());
    Ok(json!({ "objects": objects, "last_cursor": cursor }))
}

/// Which part of the answer is wanted.
struct PageOf {
    order: Order,
    limit: usize,
    after: Option<Bytes>,
}

impl PageOf {
    fn read(params: &Params) -> Result<Self, Refusal> {
        let order = match params.get(1)? {
            wire::IndexerOrder::Asc => Order::Ascending,
            wire::IndexerOrder::Desc => Order::Descending,
        };
        let limit = params.get::<wire::Uint32>(2)?.value();
        if limit == 0 || limit > ROWS_MAX {
            return Err(Refusal::params(format!("limit should be 1 to {ROWS_MAX}")));
        }
        let after: Option<wire::JsonBytes> = params.option(3)?;
        let after = after.map(wire::JsonBytes::into_bytes).filter(|after| !after.is_empty());
        Ok(Self { order, limit: limit as usize, after })
    }
}

/// What is looked for.
struct Query {
    script: Script,
    kind: GroupKind,
    matching: Match,
    with_data: bool,
    grouped: bool,
    filter: wire::IndexerSearchKeyFilter,
    /// The filter's script. A cell's may go on behind it, a touched cell's is exactly it.
    other: Option<Script>,
}

impl Query {
    fn read(params: &Params) -> Result<Self, Refusal> {
        let key: wire::IndexerSearchKey = params.get(0)?;
        let matching = match key.script_search_mode {
            None | Some(wire::IndexerSearchMode::Prefix) => Match::Prefix,
            Some(wire::IndexerSearchMode::Exact) => Match::Exact,
            Some(wire::IndexerSearchMode::Partial) => {
                return Err(Refusal::params("the partial search mode is not offered"));
            }
        };
        Ok(Self {
            script: key.script.into(),
            kind: match key.script_type {
                wire::IndexerScriptType::Lock => GroupKind::Lock,
                wire::IndexerScriptType::Type => GroupKind::Type,
            },
            matching,
            with_data: key.with_data.unwrap_or(true),
            grouped: key.group_by_transaction.unwrap_or(false),
            other: key.filter.as_ref().and_then(|filter| filter.script.clone()).map(Into::into),
            filter: key.filter.unwrap_or_default(),
        })
    }

    fn search<'a>(&'a self, page: &'a PageOf) -> Search<'a> {
        Search {
            script: &self.script,
            kind: self.kind,
            other: self.other.as_ref(),
            matching: self.matching,
            order: page.order,
            after: page.after.as_deref(),
        }
    }

    fn passes(&self, cell: &CellMeta) -> bool {
        let filter = &self.filter;
        // The filter's script is the one that the search is not about.
        let other = match self.kind {
            GroupKind::Lock => cell.cell_output.type_().to_opt(),
            GroupKind::Type => Some(cell.cell_output.lock()),
        };
        let other = other.map(|script| raw(&script));
        let data = cell.mem_cell_data.clone().unwrap_or_default();
        let other_length = other.as_ref().map_or(0, Vec::len) as u64;
        let wanted = self.other.as_ref().map(raw);
        wanted.is_none_or(|wanted| other.is_some_and(|other| other.starts_with(&wanted)))
            && within(filter.script_len_range.as_ref(), other_length)
            && within(filter.output_data_len_range.as_ref(), data.len() as u64)
            && within(filter.output_capacity_range.as_ref(), cell.capacity().as_u64())
            && self.in_blocks(cell.transaction_info.as_ref().map_or(0, |info| info.block_number))
            && self.has_data(&data)
    }

    fn in_blocks(&self, number: u64) -> bool {
        within(self.filter.block_range.as_ref(), number)
    }

    fn has_data(&self, data: &[u8]) -> bool {
        let Some(wanted) = &self.filter.output_data else { return true };
        let wanted = wanted.as_bytes();
        match self.filter.output_data_filter_mode {
            None | Some(wire::IndexerSearchMode::Prefix) => data.starts_with(wanted),
            Some(wire::IndexerSearchMode::Exact) => data == wanted,
            Some(wire::IndexerSearchMode::Partial) => {
                wanted.is_empty() || data.windows(wanted.len()).any(|part| part == wanted)
            }
        }
    }
}

/// From the first number on, below the second.
fn within(range: Option<&wire::IndexerRange>, number: u64) -> bool {
    range.is_none_or(|range| (range.start().value()..range.end().value()).contains(&number))
}

fn raw(script: &Script) -> Vec<u8> {
    let args = script.args().raw_data();
    [script.code_hash().as_slice(), script.hash_type().as_slice(), &args].concat()
}
