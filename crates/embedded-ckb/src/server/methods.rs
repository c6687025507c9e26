//! The node's `Chain`, `Pool`, `Net` and `Stats` methods, as far as clients of this project and
//! `ckb-sdk` use them. Names and shapes are the node's; nothing decides anything here.

use super::params::{Params, bytes, hash, hex, value};
use crate::chain::Chain;
use crate::ledger::Block;
use crate::pool::{Entry, FEE_RATE_MIN, POOL_BYTES_MAX, REPLACE_RATE_MIN, Stage};
use crate::refusal::Refusal;
use ckb_jsonrpc_types as wire;
use ckb_types::{
    core::{
        HeaderView,
        cell::CellStatus,
        tx_pool::{TRANSACTION_SIZE_LIMIT, TransactionWithStatus, TxStatus},
    },
    packed,
    prelude::*,
};
use perun_backend_ckb::rpc::{TransactionStatus, View};
use serde_json::{Value, json};

/// The answer of a method, if it is one of these.
type Answer = Option<Result<Value, Refusal>>;

pub(super) fn chain(chain: &Chain, method: &str, params: &Params) -> Answer {
    let answer = match method {
        "get_tip_header" => {
            let tip = chain.state().ledger.tip_header();
            params.raw(0).and_then(|raw| header(Some(tip), raw))
        }
        "get_tip_block_number" => Ok(hex(chain.state().ledger.height())),
        "get_header" => by_hash(chain, params).and_then(|found| found.header(params.raw(1)?)),
        "get_header_by_number" => {
            by_number(chain, params).and_then(|found| found.header(params.raw(1)?))
        }
        "get_block" => by_hash(chain, params).and_then(|found| found.block(params)),
        "get_block_by_number" => by_number(chain, params).and_then(|found| found.block(params)),
        "get_block_hash" => by_number(chain, params)
            .map(|found| found.0.map_or(Value::Null, |block| hash(&block.view.hash()))),
        "get_transaction" => transaction(chain, params),
        "get_live_cell" => live_cell(chain, params),
        "estimate_cycles" => estimate_cycles(chain, params),
        "get_block_median_time" => median_time(chain, params),
        "get_consensus" => {
            let consensus = chain.genesis().consensus().as_ref().clone();
            value(wire::Consensus::from(consensus))
        }
        "get_current_epoch" => {
            let epoch = chain.state().ledger.tip().epoch.clone();
            value(wire::EpochView::from_ext(packed::EpochExt::from(&epoch)))
        }
        "get_blockchain_info" => blockchain_info(chain),
        "local_node_info" => Ok(local_node_info()),
        _ => return None,
    };
    Some(answer)
}

pub(super) fn pool(chain: &Chain, method: &str, params: &Params) -> Answer {
    let answer = match method {
        "send_transaction" => sent(params).and_then(|tx| {
            let refused = |reject| Refusal::from(&reject);
            chain.state().send(&tx).map_err(refused).map(|_| hash(&tx.hash()))
        }),
        "test_tx_pool_accept" => sent(params).and_then(|tx| {
            let checked = chain.state().check(&tx).map_err(|reject| Refusal::from(&reject))?;
            let fee = checked.completed.fee.as_u64();
            Ok(json!({ "cycles": hex(checked.completed.cycles), "fee": hex(fee) }))
        }),
        "tx_pool_info" => Ok(pool_info(chain)),
        "get_raw_tx_pool" => params.option(0).map(|verbose| raw_pool(chain, verbose == Some(true))),
        "estimate_fee_rate" => Ok(hex(FEE_RATE_MIN.as_u64())),
        "get_fee_rate_statistics" => Ok(Value::Null),
        _ => return None,
    };
    Some(answer)
}

/// A block, if there is one.
struct Found(Option<std::sync::Arc<Block>>);

fn by_hash(chain: &Chain, params: &Params) -> Result<Found, Refusal> {
    let hash = params.hash(0)?;
    Ok(Found(chain.state().ledger.block_by_hash(&hash).cloned()))
}

fn by_number(chain: &Chain, params: &Params) -> Result<Found, Refusal> {
    let number: wire::BlockNumber = params.get(0)?;
    Ok(Found(chain.state().ledger.block(number.into()).cloned()))
}

impl Found {
    fn header(&self, raw: bool) -> Result<Value, Refusal> {
        header(self.0.as_ref().map(|block| block.view.header()), raw)
    }

    fn block(&self, params: &Params) -> Result<Value, Refusal> {
        let Some(block) = &self.0 else { return Ok(Value::Null) };
        let view = match params.raw(1)? {
            true => bytes(&block.view.data()),
            false => value(wire::BlockView::from(block.view.clone()))?,
        };
        if params.option(2)? != Some(true) {
            return Ok(view);
        }
        let cycles: Vec<Value> = block.costs.iter().map(|cost| hex(cost.cycles)).collect();
        Ok(json!({ "block": view, "cycles": cycles }))
    }
}

fn header(header: Option<HeaderView>, raw: bool) -> Result<Value, Refusal> {
    match header {
        None => Ok(Value::Null),
        Some(header) if raw => Ok(bytes(&header.data())),
        Some(header) => value(wire::HeaderView::from(header)),
    }
}

fn sent(params: &Params) -> Result<ckb_types::core::TransactionView, Refusal> {
    let tx: wire::Transaction = params.get(0)?;
    Ok(packed::Transaction::from(tx).into_view())
}

fn transaction(chain: &Chain, params: &Params) -> Result<Value, Refusal> {
    let hash = params.hash(0)?;
    let verbosity = params.option::<wire::Uint32>(1)?.map_or(2, |it| it.value());
    let only_committed = params.option(2)? == Some(true);
    let found = chain.state().lookup(&hash);
    let tx_status = match found.status {
        TransactionStatus::Committed { block, index } => {
            TxStatus::Committed(block.number, (&block.hash).into(), index)
        }
        _ if only_committed => TxStatus::Unknown,
        TransactionStatus::Pending => TxStatus::Pending,
        TransactionStatus::Proposed => TxStatus::Proposed,
        TransactionStatus::Rejected(reason) => TxStatus::Rejected(reason),
        TransactionStatus::Unknown => TxStatus::Unknown,
    };
    let hidden = verbosity == 1 || tx_status == TxStatus::Unknown;
    let found = TransactionWithStatus {
        transaction: found.transaction.filter(|_| !hidden),
        tx_status,
        cycles: found.cycles,
        fee: None,
        min_replace_fee: found.replace_fee_min.map(ckb_types::core::Capacity::shannons),
        time_added_to_pool: None,
    };
    let form = match verbosity {
        0 => wire::ResponseFormatInnerType::Hex,
        1 | 2 => wire::ResponseFormatInnerType::Json,
        _ => return Err(Refusal::params("invalid verbosity level")),
    };
    value(wire::TransactionWithStatusResponse::from(found, form))
}

fn live_cell(chain: &Chain, params: &Params) -> Result<Value, Refusal> {
    let out_point: wire::OutPoint = params.get(0)?;
    let with_data: bool = params.get(1)?;
    let view = match params.option(2)? {
        Some(true) => View::WithPool,
        Some(false) | None => View::Chain,
    };
    let mut status = chain.state().cell_status(&out_point.into(), view);
    if let CellStatus::Live(cell) = &mut status
        && !with_data
    {
        cell.mem_cell_data = None;
        cell.mem_cell_data_hash = None;
    }
    value(wire::CellWithStatus::from(status))
}

fn estimate_cycles(chain: &Chain, params: &Params) -> Result<Value, Refusal> {
    let tx = sent(params)?;
    let cycles = chain.state().estimate(&tx)?;
    Ok(json!({ "cycles": hex(cycles) }))
}

fn median_time(chain: &Chain, params: &Params) -> Result<Value, Refusal> {
    use ckb_traits::HeaderFieldsProvider as _;
    let hash = params.hash(0)?;
    let state = chain.state();
    let blocks = state.ledger.consensus().median_time_block_count();
    let known = state.ledger.block_by_hash(&hash).is_some();
    Ok(if known { hex(state.ledger.block_median_time(&hash, blocks)) } else { Value::Null })
}

fn blockchain_info(chain: &Chain) -> Result<Value, Refusal> {
    let state = chain.state();
    let tip = state.ledger.tip_header();
    value(wire::ChainInfo {
        chain: state.ledger.consensus().id.clone(),
        median_time: state.ledger.median_time().into(),
        epoch: tip.epoch().full_value().into(),
        difficulty: tip.difficulty(),
        is_initial_block_download: false,
        alerts: Vec::new(),
    })
}

fn local_node_info() -> Value {
    json!({
        "version": concat!("perun-embedded-ckb ", env!("CARGO_PKG_VERSION")),
        "node_id": "",
        "active": true,
        "addresses": [],
        "protocols": [],
        "connections": "0x0",
    })
}

fn pool_info(chain: &Chain) -> Value {
    let state = chain.state();
    let tip = state.ledger.tip_header();
    let entries = state.pool.by_arrival();
    let proposed = entries.iter().filter(|entry| entry.stage == Stage::Ready).count() as u64;
    let cycles = entries.iter().fold(0u64, |sum, entry| sum.saturating_add(entry.cost.cycles));
    json!({
        "tip_hash": hash(&tip.hash()),
        "tip_number": hex(tip.number()),
        "pending": hex(entries.len() as u64 - proposed),
        "proposed": hex(proposed),
        "orphan": "0x0",
        "total_tx_size": hex(state.pool.bytes()),
        "total_tx_cycles": hex(cycles),
        "min_fee_rate": hex(FEE_RATE_MIN.as_u64()),
        "min_rbf_rate": hex(REPLACE_RATE_MIN.as_u64()),
        "last_txs_updated_at": hex(tip.timestamp()),
        "tx_size_limit": hex(TRANSACTION_SIZE_LIMIT),
        "max_tx_pool_size": hex(POOL_BYTES_MAX),
        "verify_queue_size": "0x0",
    })
}

fn raw_pool(chain: &Chain, verbose: bool) -> Value {
    let state = chain.state();
    let (proposed, pending): (Vec<&Entry>, Vec<&Entry>) =
        state.pool.by_arrival().into_iter().partition(|entry| entry.stage == Stage::Ready);
    if !verbose {
        let hashes = |entries: Vec<&Entry>| -> Value {
            entries.into_iter().map(|entry| hash(&entry.tx().hash())).collect()
        };
        return json!({ "pending": hashes(pending), "proposed": hashes(proposed) });
    }
    let details = |entries: Vec<&Entry>| -> Value {
        let details = entries.into_iter().map(|entry| {
            let detail = json!({
                "cycles": hex(entry.cost.cycles),
                "size": hex(entry.size),
                "fee": hex(entry.cost.fee.as_u64()),
                "ancestors_size": hex(entry.size),
                "ancestors_cycles": hex(entry.cost.cycles),
                "ancestors_count": "0x1",
                "timestamp": hex(state.ledger.tip_header().timestamp()),
            });
            (format!("{:#x}", entry.tx().hash()), detail)
        });
        Value::Object(details.collect())
    };
    json!({ "pending": details(pending), "proposed": details(proposed), "conflicted": [] })
}
