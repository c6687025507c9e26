//! The newest blocks that were read, by hash: enough to find where a reorganisation began.
//!
//! It is never empty and its blocks are consecutive. The invariant: its last block is the cursor;
//! all that the follower believes is what the chain up to that block says.

use super::{Block, BlockStamp, FollowError, Inconsistency};
use ckb_types::packed::Byte32;
use std::collections::VecDeque;

/// How many blocks back a reorganisation is followed. About 40 minutes at 10 s a block, ten times
/// the depth that large payments wait for; the stored follower carries 48 bytes for each.
pub const WINDOW_BLOCKS: u16 = 256;

/// A place on the chain to follow from: some of its newest blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint(pub(super) Window);

impl Checkpoint {
    /// A checkpoint of consecutive blocks, oldest first. A reorganisation that reaches below the
    /// first one cannot be followed. Nothing if there are none, too many, or one does not follow
    /// another.
    #[must_use]
    pub fn new(blocks: &[Block]) -> Option<Self> {
        let mut links = blocks.iter().zip(blocks.iter().skip(1));
        let linked = links.all(|(one, next)| next.parent == one.stamp.hash);
        let stamps = blocks.iter().map(|block| block.stamp.clone()).collect();
        Window::from_blocks(stamps).filter(|_| linked).map(Self)
    }

    /// The newest block.
    #[must_use]
    pub const fn tip(&self) -> &BlockStamp {
        self.0.tip()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    blocks: VecDeque<BlockStamp>,
    tip: BlockStamp,
}

impl Window {
    pub(super) const fn tip(&self) -> &BlockStamp {
        &self.tip
    }

    /// The height of its oldest block.
    pub(super) fn oldest(&self) -> u64 {
        self.blocks.front().map_or(self.tip.number, |block| block.number)
    }

    /// The blocks, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &BlockStamp> {
        self.blocks.iter().rev()
    }

    /// The blocks, oldest first.
    pub(super) fn oldest_first(&self) -> impl ExactSizeIterator<Item = &BlockStamp> {
        self.blocks.iter()
    }

    /// The hash at this height, if the window reaches there.
    pub(super) fn hash(&self, number: u64) -> Option<&Byte32> {
        let position = usize::try_from(number.checked_sub(self.oldest())?).ok()?;
        self.blocks.get(position).map(|block| &block.hash)
    }

    /// Takes the next block, which must follow the tip.
    pub(super) fn push(&mut self, block: &Block) -> Result<(), Inconsistency> {
        let number = block.stamp.number;
        if self.tip.number.checked_add(1) != Some(number) || block.parent != self.tip.hash {
            return Err(Inconsistency::Parent { number });
        }
        self.append(block.stamp.clone());
        Ok(())
    }

    /// Starts anew at a block further up. What lies below can no longer be reverted.
    pub(super) fn leap(&mut self, block: &Block) -> Result<(), Inconsistency> {
        let number = block.stamp.number;
        if number <= self.tip.number {
            return Err(Inconsistency::Parent { number });
        }
        self.blocks.clear();
        self.append(block.stamp.clone());
        Ok(())
    }

    /// Forgets the blocks above this height, which must be in the window.
    pub(super) fn rewind(&mut self, number: u64) -> Result<(), FollowError> {
        let oldest = self.oldest();
        if number < oldest {
            return Err(FollowError::ReorgTooDeep { oldest });
        }
        self.blocks.retain(|block| block.number <= number);
        if let Some(tip) = self.blocks.back() {
            self.tip = tip.clone();
        }
        Ok(())
    }

    fn append(&mut self, stamp: BlockStamp) {
        if self.blocks.len() >= usize::from(WINDOW_BLOCKS) {
            self.blocks.pop_front();
        }
        self.tip = stamp.clone();
        self.blocks.push_back(stamp);
    }

    /// The window of these consecutive blocks, oldest first; nothing if there are none or too many.
    pub(super) fn from_blocks(blocks: Vec<BlockStamp>) -> Option<Self> {
        let tip = blocks.last()?.clone();
        let consecutive = blocks
            .iter()
            .zip(blocks.iter().skip(1))
            .all(|(one, next)| one.number.checked_add(1) == Some(next.number));
        let fits = blocks.len() <= usize::from(WINDOW_BLOCKS);
        (consecutive && fits).then(|| Self { blocks: blocks.into(), tip })
    }
}
