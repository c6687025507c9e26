//! What to read: every block of a stretch, or only the ones that the node's index names.
//!
//! The invariant: the index is a hint and nothing more. What it names is read and checked as
//! blocks, and whenever it is behind, on another branch, flooded, or contradicted by a cell's
//! liveness, the blocks are read instead.

use super::channel::Channel;
use super::evidence::Place;
use super::sync::ask;
use super::{FollowError, Follower, WINDOW_BLOCKS};
use crate::rpc::{PAGE_LIMIT_MAX, Rpc, SearchKey, TransactionStatus, View};
use ckb_types::{
    packed::{OutPoint, Script},
    prelude::*,
};
use perun_channel::ChannelId;
use std::collections::{BTreeMap, BTreeSet};

/// How many times dearer a whole block is than any other question.
const BLOCK_WEIGHT: u64 = 4;

/// Most pages of one history that are read. A channel's own life is far less than one page.
const TOUCH_PAGES_MAX: usize = 4;

/// The heights up to `last` whose blocks to read, if asking the index is cheaper than reading all
/// blocks and it can be asked. The second part is how far it reaches.
pub(super) fn indexed(
    rpc: &dyn Rpc,
    kind: &Script,
    follower: &Follower,
    last: u64,
) -> Result<Option<(BTreeSet<u64>, u64)>, FollowError> {
    let first = follower.cursor().number.saturating_add(1);
    let blocks = last.saturating_sub(first).saturating_add(1);
    let active = || follower.channels.values().filter(|channel| !channel.is_gone());
    let questions = u64::try_from(active().count()).unwrap_or(u64::MAX).saturating_mul(2);
    let headers = blocks.min(u64::from(WINDOW_BLOCKS));
    if questions.saturating_add(headers) >= blocks.saturating_mul(BLOCK_WEIGHT) {
        return Ok(None);
    }
    let index_tip = ask(|| Ok(rpc.index_tip()?))?;
    let header = ask(|| Ok(rpc.header_by_number(index_tip.number)?))?;
    let on_branch = header.is_some_and(|header| header.hash() == index_tip.hash);
    let target = index_tip.number.min(last);
    if !on_branch || target < first || inputs_spent(rpc, follower)? {
        return Ok(None);
    }
    let mut heights = BTreeSet::new();
    for channel in active() {
        let Some(touched) = touched_heights(rpc, &channel_cells(kind, channel))? else {
            return Ok(None);
        };
        heights.extend(touched.range(first..=target));
    }
    Ok(Some((heights, target)))
}

/// The channel cells of one channel: those of this type under its lock.
pub(super) fn channel_cells(kind: &Script, channel: &Channel) -> SearchKey {
    SearchKey::lock(channel.marks.lock.clone()).and(kind.clone())
}

/// The heights of all blocks that touch cells like that; nothing if there are too many.
pub(super) fn touched_heights(
    rpc: &dyn Rpc,
    key: &SearchKey,
) -> Result<Option<BTreeSet<u64>>, FollowError> {
    let (mut heights, mut after) = (BTreeSet::new(), None);
    for _ in 0..TOUCH_PAGES_MAX {
        let page = ask(|| Ok(rpc.transactions(key, after.as_ref(), PAGE_LIMIT_MAX)?))?;
        heights.extend(page.rows.iter().map(|touch| touch.block_number));
        after = page.next;
        if after.is_none() {
            return Ok(Some(heights));
        }
    }
    Ok(None)
}

/// Most blocks that are read to find what spent an input: the newest ones of a wallet's lock.
const SPENDER_BLOCKS_MAX: usize = 256;

/// The heights of blocks one of which may have spent an input that the channel waits for: those
/// that touch the lock of an input that is not live any more, though the creation did not commit.
/// They lie below a new follower's cursor, so nobody else reads them.
pub(super) fn spender_heights(
    rpc: &dyn Rpc,
    channel: &Channel,
) -> Result<BTreeSet<u64>, FollowError> {
    let inputs = channel.inputs_awaited();
    if inputs.is_empty() || creation_is_committed(rpc, channel)? {
        return Ok(BTreeSet::new());
    }
    for input in inputs {
        if ask(|| Ok(rpc.live_cell(input, View::Chain)?))?.is_some() {
            continue;
        }
        let made = ask(|| Ok(rpc.transaction(&input.tx_hash())?))?;
        let since = match made.status {
            TransactionStatus::Committed { block, .. } => block.number,
            _ => continue,
        };
        let index = usize::try_from(u32::from(input.index())).unwrap_or(usize::MAX);
        let lock = made.transaction.and_then(|tx| tx.outputs().get(index)).map(|cell| cell.lock());
        let Some(lock) = lock else { continue };
        let heights = touched_heights(rpc, &SearchKey::lock(lock))?.unwrap_or_default();
        return Ok(heights.range(since..).rev().take(SPENDER_BLOCKS_MAX).copied().collect());
    }
    Ok(BTreeSet::new())
}

/// Whether an input that some channel waits for is not live, though its creation is not committed:
/// only the blocks can tell what spent it.
fn inputs_spent(rpc: &dyn Rpc, follower: &Follower) -> Result<bool, FollowError> {
    let mut asked: BTreeMap<Vec<u8>, OutPoint> = BTreeMap::new();
    for channel in follower.channels.values() {
        let inputs = channel.inputs_awaited();
        if !inputs.is_empty() && !creation_is_committed(rpc, channel)? {
            asked.extend(inputs.iter().map(|input| (input.as_slice().to_vec(), input.clone())));
        }
    }
    for input in asked.values() {
        if ask(|| Ok(rpc.live_cell(input, View::Chain)?))?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn creation_is_committed(rpc: &dyn Rpc, channel: &Channel) -> Result<bool, FollowError> {
    let Some(creation) = &channel.watch.creation else { return Ok(false) };
    let lookup = ask(|| Ok(rpc.transaction(&creation.transaction)?))?;
    Ok(matches!(lookup.status, TransactionStatus::Committed { .. }))
}

/// Whether the node contradicts where this channel is believed to stand at its tip. A new block in
/// between looks the same; it costs a second reading.
fn contradicted(rpc: &dyn Rpc, channel: &Channel) -> Result<bool, FollowError> {
    match channel.place() {
        Place::Live(cell) => {
            Ok(ask(|| Ok(rpc.live_cell(&cell.out_point, View::Chain)?))?.is_none())
        }
        Place::Awaiting => creation_is_committed(rpc, channel),
        Place::Gone => Ok(false),
    }
}

/// The channels that the node contradicts, among those that `chosen` picks by position.
pub(super) fn contradictions(
    rpc: &dyn Rpc,
    follower: &Follower,
    chosen: impl Fn(usize) -> bool,
) -> Result<Vec<ChannelId>, FollowError> {
    let mut found = Vec::new();
    for (position, (id, channel)) in follower.channels.iter().enumerate() {
        if channel.scanned && chosen(position) && contradicted(rpc, channel)? {
            found.push(*id);
        }
    }
    Ok(found)
}
