//! The shapes of the node's replies that `ckb-jsonrpc-types` can write but not read, and the step
//! from JSON types to the chain's own.
//!
//! Hashes are always computed from the content. The invariant: a header, block or transaction that
//! leaves this module hashes to what was asked for.

use super::{
    BlockId, Cell, Cursor, GroupKind, IndexedCell, Page, RpcError, SearchKey, Side, Touch,
    TransactionLookup, TransactionStatus,
};
use ckb_jsonrpc_types as wire;
use ckb_types::{
    H256,
    bytes::Bytes,
    core::{BlockView, DepType, HeaderView, ScriptHashType, TransactionView},
    packed::{Byte32, CellOutput, OutPoint, Script, Transaction},
    prelude::*,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
pub(super) struct IndexTip {
    block_hash: H256,
    block_number: wire::BlockNumber,
}

#[derive(Deserialize)]
pub(super) struct Rows<T> {
    objects: Vec<T>,
    last_cursor: wire::JsonBytes,
}

#[derive(Deserialize)]
pub(super) struct CellRow {
    output: wire::CellOutput,
    output_data: Option<wire::JsonBytes>,
    out_point: wire::OutPoint,
    block_number: wire::BlockNumber,
    tx_index: wire::Uint32,
}

#[derive(Deserialize)]
pub(super) struct TouchRow {
    tx_hash: H256,
    block_number: wire::BlockNumber,
    tx_index: wire::Uint32,
    io_index: wire::Uint32,
    io_type: IoType,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum IoType {
    Input,
    Output,
}

/// A transaction in full. Verbosity 2 gives JSON, but a node may also answer in hexadecimal.
#[derive(Deserialize)]
pub(super) struct Lookup {
    transaction: Option<wire::ResponseFormat<wire::TransactionView>>,
    cycles: Option<wire::Cycle>,
    tx_status: wire::TxStatus,
    #[serde(default)]
    min_replace_fee: Option<wire::Capacity>,
}

/// The key of a search through a history. The node compares the filter's script as a whole.
pub(super) fn search_key(key: &SearchKey) -> Result<Value, RpcError> {
    let filter = match &key.other {
        Some(other) => json!({ "script": script_json(other)? }),
        None => Value::Null,
    };
    filtered(key, &filter)
}

/// The key of a search through live cells. The node takes the filter's script for the beginning of
/// one; with its length it is the whole.
pub(super) fn cell_search_key(key: &SearchKey) -> Result<Value, RpcError> {
    let only = |number: u64| [number, number.saturating_add(1)].map(wire::Uint64::from);
    let mut filter = serde_json::Map::new();
    if let Some(other) = &key.other {
        let length = other.args().raw_data().len().saturating_add(CODE_BYTES);
        filter.insert("script".to_owned(), json!(script_json(other)?));
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        filter.insert("script_len_range".to_owned(), json!(only(length)));
    }
    if let Some((capacity, data)) = &key.contents {
        filter.insert("output_capacity_range".to_owned(), json!(only(*capacity)));
        filter.insert("output_data".to_owned(), json!(wire::JsonBytes::from_bytes(data.clone())));
        filter.insert("output_data_filter_mode".to_owned(), json!("exact"));
    }
    let filter = if filter.is_empty() { Value::Null } else { Value::Object(filter) };
    filtered(key, &filter)
}

/// Code hash and hash type, which the node counts to a script's length.
const CODE_BYTES: usize = 33;

fn filtered(key: &SearchKey, filter: &Value) -> Result<Value, RpcError> {
    let kind = match key.kind {
        GroupKind::Lock => "lock",
        GroupKind::Type => "type",
    };
    Ok(json!({
        "script": script_json(&key.script)?,
        "script_type": kind,
        "script_search_mode": "exact",
        "with_data": true,
        "filter": filter,
    }))
}

fn script_json(script: &Script) -> Result<wire::Script, RpcError> {
    script_expressible(script)?;
    Ok(wire::Script::from(script.clone()))
}

pub(super) fn tx_json(tx: &TransactionView) -> Result<wire::Transaction, RpcError> {
    expressible(tx)?;
    Ok(tx.data().into())
}

/// Whether a node can be told of the transaction at all: every hash type and dependency type in it
/// is one that exists. JSON has no word for others, and the conversion to it would not survive
/// them.
pub fn expressible(tx: &TransactionView) -> Result<(), RpcError> {
    let scripts = tx
        .outputs()
        .into_iter()
        .flat_map(|output| std::iter::once(output.lock()).chain(output.type_().to_opt()));
    for script in scripts {
        script_expressible(&script)?;
    }
    for dep in tx.cell_deps() {
        DepType::try_from(dep.dep_type())
            .map_err(|error| RpcError::Malformed { text: error.to_string() })?;
    }
    Ok(())
}

fn script_expressible(script: &Script) -> Result<(), RpcError> {
    ScriptHashType::try_from(script.hash_type())
        .map(|_| ())
        .map_err(|error| RpcError::Malformed { text: error.to_string() })
}

pub(super) fn header(value: wire::HeaderView) -> HeaderView {
    ckb_types::packed::Header::from(value.inner).into_view()
}

pub(super) fn block(value: wire::BlockView) -> BlockView {
    value.into()
}

/// The node answered a question about one hash: hold it to that hash.
pub(super) fn same_hash(asked: &Byte32, got: &Byte32) -> Result<(), RpcError> {
    if asked == got {
        return Ok(());
    }
    Err(RpcError::Reply(format!("asked for {asked}, the content hashes to {got}")))
}

/// The node answered a question about one height: hold it to that height.
pub(super) fn same_number(asked: u64, got: u64) -> Result<(), RpcError> {
    if asked == got {
        return Ok(());
    }
    Err(RpcError::Reply(format!("asked for block {asked}, got block {got}")))
}

impl From<IndexTip> for BlockId {
    fn from(tip: IndexTip) -> Self {
        Self { number: tip.block_number.into(), hash: tip.block_hash.into() }
    }
}

impl<T> Rows<T> {
    /// The indexer gives a cursor after the last page too; a short page is the end.
    pub(super) fn page<U>(
        self,
        limit: u32,
        read: impl Fn(T) -> Result<U, RpcError>,
    ) -> Result<Page<U>, RpcError> {
        let full = self.objects.len() >= limit as usize;
        let cursor = Cursor(self.last_cursor.into_bytes());
        let rows = self.objects.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page { rows, next: full.then_some(cursor) })
    }
}

impl CellRow {
    /// The row as a cell, held to what was asked for.
    pub(super) fn read(self, key: &SearchKey) -> Result<IndexedCell, RpcError> {
        let data = self
            .output_data
            .ok_or_else(|| RpcError::Reply("a cell without its data".to_owned()))?;
        let cell = Cell {
            out_point: self.out_point.into(),
            output: self.output.into(),
            data: data.into_bytes(),
        };
        if !key.fits(&cell) {
            return Err(RpcError::Reply("a cell that was not asked for".to_owned()));
        }
        Ok(IndexedCell {
            cell,
            block_number: self.block_number.into(),
            tx_index: self.tx_index.into(),
        })
    }
}

impl From<TouchRow> for Touch {
    fn from(row: TouchRow) -> Self {
        Self {
            tx_hash: row.tx_hash.into(),
            block_number: row.block_number.into(),
            tx_index: row.tx_index.into(),
            side: match row.io_type {
                IoType::Input => Side::Input,
                IoType::Output => Side::Output,
            },
            index: row.io_index.into(),
        }
    }
}

impl Lookup {
    pub(super) fn read(self, asked: &Byte32) -> Result<TransactionLookup, RpcError> {
        let transaction = self.transaction.map(|tx| match tx.inner {
            wire::Either::Left(view) => Ok(Transaction::from(view.inner).into_view()),
            wire::Either::Right(bytes) => Transaction::from_slice(bytes.as_bytes())
                .map(|tx| tx.into_view())
                .map_err(|error| RpcError::Reply(format!("a transaction in hexadecimal: {error}"))),
        });
        let transaction = transaction.transpose()?;
        if let Some(tx) = &transaction {
            same_hash(asked, &tx.hash())?;
        }
        Ok(TransactionLookup {
            status: status(self.tx_status)?,
            transaction,
            cycles: self.cycles.map(Into::into),
            replace_fee_min: self.min_replace_fee.map(Into::into),
        })
    }
}

fn status(status: wire::TxStatus) -> Result<TransactionStatus, RpcError> {
    Ok(match status.status {
        wire::Status::Pending => TransactionStatus::Pending,
        wire::Status::Proposed => TransactionStatus::Proposed,
        wire::Status::Unknown => TransactionStatus::Unknown,
        wire::Status::Rejected => TransactionStatus::Rejected(status.reason.unwrap_or_default()),
        wire::Status::Committed => {
            let (Some(number), Some(hash), Some(index)) =
                (status.block_number, status.block_hash, status.tx_index)
            else {
                return Err(RpcError::Reply("committed, but in no block".to_owned()));
            };
            let block = BlockId { number: number.into(), hash: hash.into() };
            TransactionStatus::Committed { block, index: index.into() }
        }
    })
}

/// Reads `get_live_cell`.
pub(super) fn live_cell(
    asked: &OutPoint,
    reply: wire::CellWithStatus,
) -> Result<Option<Cell>, RpcError> {
    let Some(info) = reply.cell.filter(|_| reply.status == "live") else {
        return Ok(None);
    };
    let output = CellOutput::from(info.output);
    let Some(data) = info.data else {
        return Err(RpcError::Reply("a live cell without its data".to_owned()));
    };
    let data: Bytes = data.content.into_bytes();
    Ok(Some(Cell { out_point: asked.clone(), output, data }))
}
