//! The edge: reads a node until the follower stands where the node does.
//!
//! One call makes bounded progress. A reorganisation is found by comparing hashes backwards through
//! the window, however deep it is within it. The invariant: all of a call's reading is done on a
//! copy; the follower changes only if all of it fits together.

use super::{
    Block, ChannelEvent, Checkpoint, FollowError, Follower, Inconsistency, WINDOW_BLOCKS, plan,
};
use crate::rpc::{MEDIAN_TIME_BLOCKS, Rpc, RpcError, View};
use ckb_types::{
    core::TransactionView,
    packed::{Byte32, Script},
};
use perun_channel::ChannelId;
use std::collections::{BTreeMap, BTreeSet};

/// Most whole blocks that one call reads; a fast node gives them in some seconds.
const BLOCKS_MAX: u64 = 2_000;

/// How often a question is asked until the answer is given up on.
const QUESTIONS_MAX: usize = 3;

/// How often a call starts over because the chain moved while it was read.
const ATTEMPTS_MAX: usize = 3;

/// Most channels whose history is read in one call.
const RESCANS_MAX: usize = 500;

/// Most blocks that a rescan keeps at hand: channels opened in one batch share theirs.
const BLOCKS_AT_HAND_MAX: usize = 64;

/// How many channels one call checks against the node's live cells, in turn.
const AUDITS: usize = 4;

/// Most transactions of the pool that are looked at. A pool of the usual 180 MB holds more only if
/// it is flooded with small ones; then a pending answer may be missed, a committed one never.
const POOL_MAX: usize = 5_000;

/// How many blocks a new follower remembers: enough for the chain's clock and any usual
/// reorganisation.
const CHECKPOINT_BLOCKS: u64 = 64;
const _: () = assert!(CHECKPOINT_BLOCKS >= MEDIAN_TIME_BLOCKS as u64);

/// What one call of [`sync`] brought.
#[derive(Debug)]
pub struct Walk {
    /// What happened, reverts first. Deliver them and store the follower in one step.
    pub events: Vec<ChannelEvent>,
    /// Where the follower now stands.
    pub standing: Standing,
    /// Channels whose history could not be read yet; what is said of them may lack changes.
    pub unread: Vec<ChannelId>,
    /// Whether the pool could be looked at. If not, only pending events are missing.
    pub pool: Result<(), RpcError>,
}

/// Where a follower stands against the node it read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// At the node's tip.
    Current,
    /// There is more to read; call again.
    More,
    /// The node knows fewer blocks than were read before, and nothing against them. It may be
    /// syncing, or the answer of an old server behind the same address.
    NodeBehind,
}

/// The newest blocks of the node's chain, to start a follower at.
pub fn checkpoint(rpc: &dyn Rpc) -> Result<Checkpoint, FollowError> {
    let tip = rpc.tip_header()?.number();
    let first = tip.saturating_sub(CHECKPOINT_BLOCKS - 1);
    let blocks = (first..=tip).map(|number| read_header(rpc, number));
    let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
    let moved = Inconsistency::Parent { number: tip };
    Checkpoint::new(&blocks).ok_or(moved.into())
}

/// Reads on from the follower's cursor, and says what happened to its channels. `kind` is the
/// channel type script: what else is under a channel's lock, anybody can put there.
pub fn sync(rpc: &dyn Rpc, kind: &Script, follower: &mut Follower) -> Result<Walk, FollowError> {
    for _ in 1..ATTEMPTS_MAX {
        match walk(rpc, kind, follower) {
            Err(FollowError::Inconsistent(_)) => {}
            done => return done,
        }
    }
    walk(rpc, kind, follower)
}

fn walk(rpc: &dyn Rpc, kind: &Script, follower: &mut Follower) -> Result<Walk, FollowError> {
    let tip = ask(|| Ok(rpc.tip_header()?))?.number();
    let mut next = follower.clone();
    let mut events = match fork(rpc, &next, tip)? {
        Fork::None => Vec::new(),
        Fork::Above(number) => next.rewind(number)?,
        Fork::NodeBehind => {
            let (events, unread) = (Vec::new(), unread(follower));
            return Ok(Walk { events, standing: Standing::NodeBehind, unread, pool: Ok(()) });
        }
    };
    rescan(rpc, kind, &mut next)?;
    let mut next = read_on(rpc, kind, next, tip)?;
    events.append(&mut next.report());
    let current = next.cursor().number >= tip;
    let pool = if current { look_ahead(rpc, &mut next, &mut events) } else { Ok(()) };
    *follower = next;
    let unread = unread(follower);
    let standing = if current && unread.is_empty() { Standing::Current } else { Standing::More };
    Ok(Walk { events, standing, unread, pool })
}

fn unread(follower: &Follower) -> Vec<ChannelId> {
    let unread = follower.channels.iter().filter(|(_, channel)| !channel.scanned);
    unread.map(|(id, _)| *id).collect()
}

/// How the node's chain relates to the window.
enum Fork {
    /// The cursor is on it.
    None,
    /// The block at this height is the newest that both have.
    Above(u64),
    /// It ends below the cursor, and agrees as far as it goes.
    NodeBehind,
}

fn fork(rpc: &dyn Rpc, follower: &Follower, tip: u64) -> Result<Fork, FollowError> {
    let cursor = follower.cursor().number;
    let mut differs = false;
    for known in follower.recent_blocks().filter(|known| known.number <= tip) {
        if read_header(rpc, known.number)?.stamp().hash == known.hash {
            return Ok(match (differs, known.number == cursor) {
                (false, true) => Fork::None,
                (false, false) => Fork::NodeBehind,
                (true, _) => Fork::Above(known.number),
            });
        }
        differs = true;
    }
    let oldest = follower.window.oldest();
    if differs { Err(FollowError::ReorgTooDeep { oldest }) } else { Ok(Fork::NodeBehind) }
}

/// Reads towards the tip, by the index if that is cheaper and holds, else block by block.
fn read_on(
    rpc: &dyn Rpc,
    kind: &Script,
    from: Follower,
    tip: u64,
) -> Result<Follower, FollowError> {
    let first = from.cursor().number.saturating_add(1);
    if first > tip {
        return audit(rpc, from, tip);
    }
    if let Some((heights, target)) = plan::indexed(rpc, kind, &from, tip)? {
        let next = by_index(rpc, from.clone(), &heights, target)?;
        if plan::contradictions(rpc, &next, |_| true)?.is_empty() {
            return Ok(next);
        }
    }
    let mut next = from;
    for number in first..=tip.min(first.saturating_add(BLOCKS_MAX - 1)) {
        next.extend(&read_block(rpc, number)?)?;
    }
    audit(rpc, next, tip)
}

/// Reads the named blocks whole, and of the others the headers that the window needs.
fn by_index(
    rpc: &dyn Rpc,
    mut next: Follower,
    heights: &BTreeSet<u64>,
    target: u64,
) -> Result<Follower, FollowError> {
    let first = next.cursor().number.saturating_add(1);
    let limit = usize::try_from(BLOCKS_MAX).unwrap_or(usize::MAX);
    let target = heights.iter().nth(limit).copied().unwrap_or(target);
    let window_first = target.saturating_sub(u64::from(WINDOW_BLOCKS) - 1).max(first);
    for number in heights.range(first..window_first) {
        next.leap(&read_block(rpc, *number)?)?;
    }
    for number in window_first..=target {
        let named = heights.contains(&number);
        let block = if named { read_block(rpc, number)? } else { read_header(rpc, number)? };
        let follows = next.cursor().number.checked_add(1) == Some(number);
        if follows { next.extend(&block)? } else { next.leap(&block)? }
    }
    Ok(next)
}

/// Checks a few channels against the node's live cells, so that whatever a node once hid is found
/// again.
fn audit(rpc: &dyn Rpc, mut next: Follower, tip: u64) -> Result<Follower, FollowError> {
    if next.cursor().number == tip && !next.channels.is_empty() {
        let turns = next.channels.len().div_ceil(AUDITS);
        let turn = usize::try_from(tip).unwrap_or(0) % turns;
        let found = plan::contradictions(rpc, &next, |position| position % turns == turn)?;
        found.iter().for_each(|id| next.doubt(id));
    }
    Ok(next)
}

/// Reads the histories of channels that are new, or in doubt. What cannot be read stays for later.
fn rescan(rpc: &dyn Rpc, kind: &Script, next: &mut Follower) -> Result<(), FollowError> {
    let waiting: Vec<_> = unread(next).into_iter().take(RESCANS_MAX).collect();
    let cursor = next.cursor().clone();
    if waiting.is_empty() || ask(|| Ok(rpc.index_tip()?))?.number < cursor.number {
        return Ok(());
    }
    let mut at_hand: BTreeMap<u64, Block> = BTreeMap::new();
    for id in waiting {
        let Some(channel) = next.channels.get(&id) else { continue };
        let Some(mut heights) = plan::touched_heights(rpc, &plan::channel_cells(kind, channel))?
        else {
            continue;
        };
        heights.append(&mut plan::spender_heights(rpc, channel)?);
        if at_hand.len() > BLOCKS_AT_HAND_MAX {
            at_hand.clear();
        }
        let heights: Vec<u64> = heights.range(..=cursor.number).copied().collect();
        for number in &heights {
            if !at_hand.contains_key(number) {
                at_hand.insert(*number, read_block(rpc, *number)?);
            }
        }
        let blocks: Vec<&Block> = heights.iter().filter_map(|it| at_hand.get(it)).collect();
        match next.rescan(&id, &blocks) {
            Ok(()) | Err(FollowError::Inconsistent(Inconsistency::Rescan { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn look_ahead(
    rpc: &dyn Rpc,
    next: &mut Follower,
    events: &mut Vec<ChannelEvent>,
) -> Result<(), RpcError> {
    let hashes = rpc.pool()?;
    let concerned = hashes.len() < next.channels.len() || pool_touches(rpc, next, &hashes)?;
    let mut whole = hashes.len() <= POOL_MAX;
    let mut pool: Vec<TransactionView> = Vec::new();
    for hash in hashes.iter().take(POOL_MAX).filter(|_| concerned) {
        match rpc.transaction(hash)?.transaction.filter(|tx| tx.hash() == *hash) {
            Some(tx) => pool.push(tx),
            // It left the pool meanwhile, or the node does not say: no reason to call others
            // dropped.
            None => whole = false,
        }
    }
    events.append(&mut next.look_ahead(&pool, whole));
    Ok(())
}

/// Whether something in the pool spends a channel cell or creates a channel.
fn pool_touches(rpc: &dyn Rpc, next: &Follower, hashes: &[Byte32]) -> Result<bool, RpcError> {
    if hashes.is_empty() {
        return Ok(false);
    }
    for channel in next.channels.values() {
        let awaits = !channel.inputs_awaited().is_empty();
        let creation = channel.watch.creation.as_ref().filter(|_| awaits);
        if creation.is_some_and(|creation| hashes.contains(&creation.transaction)) {
            return Ok(true);
        }
        if let Some(cell) = channel.live_cell()
            && rpc.live_cell(cell, View::WithPool)?.is_none()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read_block(rpc: &dyn Rpc, number: u64) -> Result<Block, FollowError> {
    ask(|| {
        let view = rpc.block_by_number(number)?.ok_or(Inconsistency::Missing { number })?;
        Ok(Block::new(number, &view)?)
    })
}

fn read_header(rpc: &dyn Rpc, number: u64) -> Result<Block, FollowError> {
    ask(|| {
        let header = rpc.header_by_number(number)?.ok_or(Inconsistency::Missing { number })?;
        Ok(Block::quiet(number, &header)?)
    })
}

/// Asks until the answer is one, a few times.
pub(super) fn ask<T>(
    mut question: impl FnMut() -> Result<T, FollowError>,
) -> Result<T, FollowError> {
    for _ in 1..QUESTIONS_MAX {
        if let Ok(answer) = question() {
            return Ok(answer);
        }
    }
    question()
}
