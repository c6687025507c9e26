//! The machine: which channels are watched, up to which block the chain was read, what was told.
//!
//! It is driven in this order: [`Follower::rewind`] if the chain was reorganised,
//! [`Follower::extend`] for each new block, [`Follower::report`], then [`Follower::look_ahead`]
//! with the pool. The invariant: a refused block changes nothing, and the same blocks in the same
//! order tell the same events.

use super::channel::Channel;
use super::evidence::vault_args;
use super::window::Window;
use super::{
    Block, BlockStamp, ChannelEvent, Checkpoint, Creation, FollowError, INPUTS_MAX, Inconsistency,
    Watch, median_time,
};
use ckb_types::{
    core::TransactionView,
    packed::{Byte32, OutPoint, Script},
    prelude::*,
};
use perun_channel::ChannelId;
use perun_channel::adjudicator::Env;
use std::collections::{BTreeMap, BTreeSet};

/// Most channels of one follower. Each costs some 200 bytes of its stored form, more while it
/// changes.
pub const CHANNELS_MAX: usize = 10_000;

/// Follows channels through the blocks and the pool that it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Follower {
    pub(super) env: Env,
    pub(super) window: Window,
    pub(super) channels: BTreeMap<ChannelId, Channel>,
}

impl Follower {
    /// A follower that has read the chain up to this checkpoint, for the channels of this
    /// deployment.
    #[must_use]
    pub fn new(env: Env, at: Checkpoint) -> Self {
        Self { env, window: at.0, channels: BTreeMap::new() }
    }

    /// The same channels, to be read anew on a chain up to this checkpoint. Nothing counts as told.
    #[must_use]
    pub fn restarted(&self, at: Checkpoint) -> Self {
        let anew = |(id, channel): (&ChannelId, &Channel)| {
            (*id, Channel::new(&self.env, channel.watch.clone()))
        };
        let channels = self.channels.iter().map(anew).collect();
        Self { env: self.env, window: at.0, channels }
    }

    /// Watches a channel. What happened to it below the cursor is read by the next [`super::sync`],
    /// or given to [`Self::rescan`]. Watching the same twice is no mistake.
    pub fn watch(&mut self, mut watch: Watch) -> Result<(), FollowError> {
        if let Some(creation) = &mut watch.creation {
            creation.inputs.truncate(INPUTS_MAX);
        }
        if let Some(known) = self.channels.get(&watch.id) {
            let same = known.watch == watch;
            return if same { Ok(()) } else { Err(FollowError::Watched(watch.id)) };
        }
        if self.channels.len() >= CHANNELS_MAX {
            return Err(FollowError::Full { limit: CHANNELS_MAX });
        }
        self.channels.insert(watch.id, Channel::new(&self.env, watch));
        Ok(())
    }

    /// Names another transaction that is to create the channel: the first one was replaced.
    pub fn expect_creation(
        &mut self,
        id: &ChannelId,
        mut creation: Creation,
    ) -> Result<(), FollowError> {
        creation.inputs.truncate(INPUTS_MAX);
        let channel = self.channels.get_mut(id).ok_or(FollowError::Unwatched(*id))?;
        channel.watch.creation = Some(creation);
        Ok(())
    }

    /// Forgets a channel. Whether it was watched.
    pub fn unwatch(&mut self, id: &ChannelId) -> bool {
        self.channels.remove(id).is_some()
    }

    /// The channels that are watched.
    pub fn watched(&self) -> impl ExactSizeIterator<Item = &Watch> {
        self.channels.values().map(|channel| &channel.watch)
    }

    /// The block up to which the chain was read.
    #[must_use]
    pub const fn cursor(&self) -> &BlockStamp {
        self.window.tip()
    }

    /// The blocks that are remembered, newest first: where a reorganisation is looked for.
    pub fn recent_blocks(&self) -> impl Iterator<Item = &BlockStamp> {
        self.window.newest_first()
    }

    /// The chain's clock at the cursor, in milliseconds: what time locks are compared with. Nothing
    /// while fewer blocks than it takes are remembered.
    #[must_use]
    pub fn median_time(&self) -> Option<u64> {
        let times = self.window.newest_first().map(|block| block.timestamp_ms);
        median_time(times, self.window.oldest() == 0)
    }

    /// The live channel cell of a channel as far as the chain was read.
    #[must_use]
    pub fn live_cell(&self, id: &ChannelId) -> Option<&OutPoint> {
        self.channels.get(id)?.live_cell()
    }

    /// The vault lock of a watched channel.
    #[must_use]
    pub fn vault_lock(&self, id: &ChannelId) -> Option<&Script> {
        self.channels.get(id).map(|channel| &channel.marks.lock)
    }

    /// Undoes the blocks above this height, which must be in the window.
    pub fn rewind(&mut self, number: u64) -> Result<Vec<ChannelEvent>, FollowError> {
        self.window.rewind(number)?;
        let reverted = self.channels.values_mut().flat_map(|channel| channel.rewind(number));
        Ok(reverted.map(ChannelEvent::Reverted).collect())
    }

    /// Reads the next block, which must follow the cursor.
    pub fn extend(&mut self, block: &Block) -> Result<(), Inconsistency> {
        self.read(block, Window::push)
    }

    /// Reads a block further up. The caller knows that the ones between touch no watched channel
    /// and that no reorganisation will come down to here any more.
    pub fn leap(&mut self, block: &Block) -> Result<(), Inconsistency> {
        self.read(block, Window::leap)
    }

    fn read(
        &mut self,
        block: &Block,
        place: fn(&mut Window, &Block) -> Result<(), Inconsistency>,
    ) -> Result<(), Inconsistency> {
        // The block is examined first: placing it is the last thing that can fail.
        let mut changed = self.observe(block)?;
        place(&mut self.window, block)?;
        self.channels.append(&mut changed);
        Ok(())
    }

    /// The channels that the block changes, changed.
    fn observe(&self, block: &Block) -> Result<BTreeMap<ChannelId, Channel>, Inconsistency> {
        let mut changed = BTreeMap::new();
        // The first transaction pays the miner; it spends nothing and makes no typed cell.
        let transactions = block.transactions.get(1..).unwrap_or(&[]);
        if transactions.is_empty() {
            return Ok(changed);
        }
        let mut book = AddressBook::new(self);
        for tx in transactions {
            for id in book.touched(&self.env, tx) {
                let Some(known) = self.channels.get(&id) else { continue };
                let channel = changed.entry(id).or_insert_with(|| known.clone());
                if channel.observe(&self.env, tx, &block.stamp)? {
                    book.note(channel);
                }
            }
        }
        Ok(changed)
    }

    /// Reads one channel's whole history anew: `blocks` are all those up to the cursor that touch
    /// its lock, in ascending order. What was read from blocks before must be among it.
    pub fn rescan(&mut self, id: &ChannelId, blocks: &[&Block]) -> Result<(), FollowError> {
        let known = self.channels.get(id).ok_or(FollowError::Unwatched(*id))?;
        let mut channel = Channel::new(&self.env, known.watch.clone());
        channel.scanned = true;
        let mut below = None;
        for block in blocks {
            let number = block.stamp.number;
            let foreign = self.window.hash(number).is_some_and(|hash| *hash != block.stamp.hash);
            if foreign {
                return Err(Inconsistency::Parent { number }.into());
            }
            if below.is_some_and(|below| number <= below) || number > self.cursor().number {
                return Err(FollowError::RescanOrder);
            }
            below = Some(number);
            for tx in block.transactions.iter().skip(1) {
                channel.observe(&self.env, tx, &block.stamp)?;
            }
        }
        if !channel.scanned {
            return Err(Inconsistency::Rescan { id: *id }.into());
        }
        channel.inherit(known)?;
        self.channels.insert(*id, channel);
        Ok(())
    }

    /// Has the channel's history read anew, since something about it does not fit.
    pub(super) fn doubt(&mut self, id: &ChannelId) {
        if let Some(channel) = self.channels.get_mut(id) {
            channel.scanned = false;
        }
    }

    /// What became true or surer since the last report, in the order of the chain.
    pub fn report(&mut self) -> Vec<ChannelEvent> {
        let tip = self.cursor().number;
        let channels = self.channels.values_mut();
        let mut news: Vec<_> = channels.flat_map(|channel| channel.report(tip)).collect();
        // Stable: the changes of one channel in one block stay in order.
        news.sort_by_key(|(number, _)| *number);
        news.into_iter().map(|(_, change)| ChannelEvent::Now(change)).collect()
    }

    /// What the pool would change. `whole` says that these are all of its transactions that could
    /// matter; only then do missing ones count as dropped.
    pub fn look_ahead(&mut self, pool: &[TransactionView], whole: bool) -> Vec<ChannelEvent> {
        let mut spenders: BTreeMap<Vec<u8>, &TransactionView> = BTreeMap::new();
        for tx in pool {
            for spent in tx.input_pts_iter() {
                spenders.insert(spent.as_slice().to_vec(), tx);
            }
        }
        let spender = |cell: &OutPoint| spenders.get(cell.as_slice()).copied();
        let mut events = Vec::new();
        for channel in self.channels.values_mut() {
            let (news, gone) = channel.look_ahead(&self.env, spender, whole);
            events.extend(gone.into_iter().map(ChannelEvent::Dropped));
            events.extend(news.into_iter().map(ChannelEvent::Now));
        }
        events
    }
}

/// Finds the channels that a transaction may concern, by what it spends and by the locks that it
/// uses.
struct AddressBook {
    by_out_point: BTreeMap<Vec<u8>, Vec<ChannelId>>,
    by_lock: BTreeMap<[u8; 32], ChannelId>,
}

impl AddressBook {
    fn new(follower: &Follower) -> Self {
        let mut book = Self { by_out_point: BTreeMap::new(), by_lock: BTreeMap::new() };
        for (id, channel) in &follower.channels {
            book.by_lock.insert(vault_args(&follower.env, id), *id);
            book.note(channel);
        }
        book
    }

    /// Adds what the channel waits for now. What it waited for before was just spent.
    fn note(&mut self, channel: &Channel) {
        for out_point in channel.live_cell().into_iter().chain(channel.inputs_awaited()) {
            let waiting = self.by_out_point.entry(out_point.as_slice().to_vec()).or_default();
            waiting.push(channel.watch.id);
        }
    }

    fn touched(&self, env: &Env, tx: &TransactionView) -> BTreeSet<ChannelId> {
        let spent = tx.input_pts_iter();
        let by_spending = spent.filter_map(|spent| self.by_out_point.get(spent.as_slice()));
        let mut touched: BTreeSet<ChannelId> = by_spending.flatten().copied().collect();
        let code = Byte32::new(env.vault_code);
        for output in tx.outputs() {
            let lock = output.lock();
            let args = <[u8; 32]>::try_from(lock.args().raw_data().as_ref());
            if let (true, Ok(args)) = (lock.code_hash() == code, args) {
                touched.extend(self.by_lock.get(&args));
            }
        }
        touched
    }
}
