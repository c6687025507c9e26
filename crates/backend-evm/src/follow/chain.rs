//! The newest blocks, as one chain. Pure.
//!
//! A block is believed to be under another only along the parents' hashes, never because a node
//! gave it for a height. The invariant: the blocks kept are one chain without holes, the newest
//! last.

use std::collections::VecDeque;

use alloy_primitives::B256;

use crate::Error;
use crate::rpc::Block;

/// Most blocks kept. Reorganisations are shorter, and final blocks are nearer.
pub const WINDOW_BLOCKS: u64 = 256;

/// What a branch still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is new.
    Known,
    /// Its oldest block stands on one that is kept.
    Joined,
    /// It is long enough, and stands on nothing that is kept.
    Apart,
    /// The block with this hash comes next.
    Fetch(B256),
}

/// The newest blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recent {
    blocks: VecDeque<Block>,
}

impl Recent {
    pub(super) fn head(&self) -> Option<&Block> {
        self.blocks.back()
    }

    pub(super) fn at(&self, number: u64) -> Option<&Block> {
        let oldest = self.blocks.front()?.number;
        self.blocks.get(usize::try_from(number.checked_sub(oldest)?).ok()?)
    }

    /// What a branch needs, the node's head first and each block's parent after it, so that so many
    /// blocks are known.
    pub(super) fn step(&self, branch: &[Block], needed: u64) -> Result<Step, Error> {
        let contradiction = Err(Error::unavailable("shows blocks that do not follow each other"));
        let Some((oldest, newer)) = branch.split_last() else { return contradiction };
        if let Some(child) = newer.last() {
            let follows = oldest.hash == child.parent
                && oldest.number.checked_add(1) == Some(child.number)
                && oldest.timestamp <= child.timestamp;
            if !follows {
                return contradiction;
            }
        } else if let Some(step) = self.first_step(oldest)? {
            // Only the head is there yet. What is kept may be too short for a deeper channel.
            let kept = self.blocks.len().try_into().unwrap_or(u64::MAX);
            if kept >= needed.min(oldest.number.saturating_add(1)) {
                return Ok(step);
            }
        }
        let length = u64::try_from(branch.len()).unwrap_or(u64::MAX);
        let kept = self.depth_below(oldest);
        if kept.is_some_and(|kept| length.saturating_add(kept) >= needed) {
            return Ok(Step::Joined);
        }
        // The first block stands on nothing.
        if oldest.number == 0 || length >= needed.max(1) {
            return Ok(if kept.is_some() { Step::Joined } else { Step::Apart });
        }
        Ok(Step::Fetch(oldest.parent))
    }

    /// Whether a head is the one that is kept, or one that was passed before.
    fn first_step(&self, head: &Block) -> Result<Option<Step>, Error> {
        let Some(kept) = self.head() else { return Ok(None) };
        if kept.hash == head.hash {
            return Ok(Some(Step::Known));
        }
        let is_older = self.at(head.number).is_some_and(|here| here.hash == head.hash);
        let is_far_older = self.blocks.front().is_some_and(|oldest| head.number < oldest.number);
        if is_older || is_far_older {
            return Err(Error::unavailable("is behind what it showed before"));
        }
        Ok(None)
    }

    /// How many kept blocks are below this one, if it stands on a kept one.
    fn depth_below(&self, block: &Block) -> Option<u64> {
        let parent = self.at(block.number.checked_sub(1)?)?;
        let oldest = self.blocks.front()?.number;
        (parent.hash == block.parent).then(|| block.number.saturating_sub(oldest))
    }

    /// Takes a branch that stands on a kept block, in the place of what was kept above that.
    pub(super) fn join(&mut self, branch: Vec<Block>) {
        let Some(first) = branch.last().map(|block| block.number) else { return };
        while self.blocks.back().is_some_and(|block| block.number >= first) {
            self.blocks.pop_back();
        }
        self.blocks.extend(branch.into_iter().rev());
        while u64::try_from(self.blocks.len()).is_ok_and(|length| length > WINDOW_BLOCKS) {
            self.blocks.pop_front();
        }
    }

    /// Takes a branch in the place of everything.
    pub(super) fn replace(&mut self, branch: Vec<Block>) {
        self.blocks = branch.into_iter().rev().collect();
    }
}

#[cfg(test)]
mod tests;
