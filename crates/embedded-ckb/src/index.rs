//! Finding cells and transactions by script, as the node's indexer does.
//!
//! Keys are the indexer's own: the script's bytes, then where the cell was made or touched, all big
//! endian, so that the order of the map is the order of the answers and a key is a page's cursor.
//! It holds live cells and the history of the best chain, nothing of the pool. The invariant: the
//! index after undoing a block is the index from before it.

use ckb_types::{
    core::{BlockView, TransactionView, cell::CellMeta},
    packed::{Byte32, OutPoint, Script},
    prelude::*,
};
use perun_backend_ckb::rpc::{GroupKind, Side, Touch};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Block number, transaction index and output index at the end of a cell's key.
const CELL_PLACE_BYTES: usize = 8 + 4 + 4;

/// The same with the side at the end of a touch's key.
const TOUCH_PLACE_BYTES: usize = CELL_PLACE_BYTES + 1;

#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    cells: BTreeMap<Vec<u8>, OutPoint>,
    /// With the touched cell's other script: its type under its lock, its lock under its type.
    touches: BTreeMap<Vec<u8>, (Touch, Option<Script>)>,
}

/// How a search compares scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// The whole script.
    Exact,
    /// Code and the first bytes of the arguments.
    Prefix,
}

/// Which end of the index comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// What is looked for, and from where on.
#[derive(Clone, Debug)]
pub(crate) struct Search<'a> {
    pub(crate) script: &'a Script,
    pub(crate) kind: GroupKind,
    /// For touches: only of cells whose other script is this one.
    pub(crate) other: Option<&'a Script>,
    pub(crate) matching: Match,
    pub(crate) order: Order,
    pub(crate) after: Option<&'a [u8]>,
}

impl Index {
    pub(crate) fn make(&mut self, cell: &CellMeta) {
        for (script, kind, other) in scripts(cell) {
            let key = cell_key(cell, &script, kind);
            self.cells.insert(key, cell.out_point.clone());
            let touch = made(cell);
            self.touches.insert(touch_key(&script, kind, &touch), (touch, other));
        }
    }

    pub(crate) fn unmake(&mut self, cell: &CellMeta) {
        for (script, kind, _) in scripts(cell) {
            self.cells.remove(&cell_key(cell, &script, kind));
            self.touches.remove(&touch_key(&script, kind, &made(cell)));
        }
    }

    pub(crate) fn spend(
        &mut self,
        cell: &CellMeta,
        block: &BlockView,
        index: usize,
        tx: &TransactionView,
        input: usize,
    ) {
        for (script, kind, other) in scripts(cell) {
            self.cells.remove(&cell_key(cell, &script, kind));
            let touch = spent(block, index, tx.hash(), input);
            self.touches.insert(touch_key(&script, kind, &touch), (touch, other));
        }
    }

    pub(crate) fn unspend(
        &mut self,
        cell: &CellMeta,
        block: &BlockView,
        index: usize,
        input: usize,
    ) {
        for (script, kind, _) in scripts(cell) {
            self.cells.insert(cell_key(cell, &script, kind), cell.out_point.clone());
            let touch = spent(block, index, Byte32::default(), input);
            self.touches.remove(&touch_key(&script, kind, &touch));
        }
    }

    /// Live cells with their keys.
    pub(crate) fn cells<'a>(
        &'a self,
        search: &Search<'_>,
    ) -> impl Iterator<Item = (&'a Vec<u8>, &'a OutPoint)> + use<'a> {
        range(&self.cells, search, CELL_PLACE_BYTES)
    }

    /// Inputs and outputs with their keys.
    pub(crate) fn touches<'a>(
        &'a self,
        search: &Search<'_>,
    ) -> impl Iterator<Item = (&'a Vec<u8>, &'a Touch)> + use<'a> {
        let wanted = search.other.cloned();
        let fits = move |other: &Option<Script>| {
            let Some(wanted) = &wanted else { return true };
            other.as_ref().is_some_and(|other| other.as_slice() == wanted.as_slice())
        };
        let rows = range(&self.touches, search, TOUCH_PLACE_BYTES);
        rows.filter(move |(_, (_, other))| fits(other)).map(|(key, (touch, _))| (key, touch))
    }
}

fn range<'a, V>(
    map: &'a BTreeMap<Vec<u8>, V>,
    search: &Search<'_>,
    place_bytes: usize,
) -> Box<dyn Iterator<Item = (&'a Vec<u8>, &'a V)> + 'a> {
    let prefix = script_key(search.script, search.kind);
    let exact = search.matching == Match::Exact;
    let length = prefix.len() + place_bytes;
    let fits = move |key: &[u8]| !exact || key.len() == length;
    let starts = prefix.clone();
    let after = search.after.map(<[u8]>::to_vec);
    match search.order {
        Order::Ascending => {
            let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
            let rows = map.range((from, Bound::Unbounded));
            let rows = rows.take_while(move |(key, _)| key.starts_with(&starts));
            Box::new(rows.filter(move |(key, _)| fits(key)))
        }
        Order::Descending => {
            let to = match (after, successor(&prefix)) {
                (Some(after), _) => Bound::Excluded(after),
                (None, Some(end)) => Bound::Excluded(end),
                (None, None) => Bound::Unbounded,
            };
            let rows = map.range((Bound::Unbounded, to)).rev();
            let rows = rows.take_while(move |(key, _)| key.starts_with(&starts));
            Box::new(rows.filter(move |(key, _)| fits(key)))
        }
    }
}

/// The first key above everything that starts with the prefix.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

/// The cell's scripts, each with the other one.
fn scripts(cell: &CellMeta) -> impl Iterator<Item = (Script, GroupKind, Option<Script>)> + use<> {
    let (lock, type_) = (cell.cell_output.lock(), cell.cell_output.type_().to_opt());
    let by_type = type_.clone().map(|script| (script, GroupKind::Type, Some(lock.clone())));
    std::iter::once((lock, GroupKind::Lock, type_)).chain(by_type)
}

fn script_key(script: &Script, kind: GroupKind) -> Vec<u8> {
    let tag = match kind {
        GroupKind::Lock => 0,
        GroupKind::Type => 1,
    };
    let mut key = vec![tag];
    key.extend_from_slice(script.code_hash().as_slice());
    key.extend_from_slice(script.hash_type().as_slice());
    key.extend_from_slice(&script.args().raw_data());
    key
}

fn cell_key(cell: &CellMeta, script: &Script, kind: GroupKind) -> Vec<u8> {
    let mut key = touch_key(script, kind, &made(cell));
    key.pop();
    key
}

fn touch_key(script: &Script, kind: GroupKind, touch: &Touch) -> Vec<u8> {
    let mut key = script_key(script, kind);
    key.extend_from_slice(&touch.block_number.to_be_bytes());
    key.extend_from_slice(&touch.tx_index.to_be_bytes());
    key.extend_from_slice(&touch.index.to_be_bytes());
    key.push(match touch.side {
        Side::Input => 0,
        Side::Output => 1,
    });
    key
}

fn made(cell: &CellMeta) -> Touch {
    let info = cell.transaction_info.as_ref();
    Touch {
        tx_hash: cell.out_point.tx_hash(),
        block_number: info.map_or(0, |info| info.block_number),
        tx_index: info.map_or(0, |info| index_u32(info.index)),
        side: Side::Output,
        index: cell.out_point.index().into(),
    }
}

fn spent(block: &BlockView, index: usize, tx_hash: Byte32, input: usize) -> Touch {
    Touch {
        tx_hash,
        block_number: block.number(),
        tx_index: index_u32(index),
        side: Side::Input,
        index: index_u32(input),
    }
}

/// Indices in a block stay far below the bound: a block has at most 597,000 bytes.
fn index_u32(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
