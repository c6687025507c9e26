//! What to watch: one channel, how deep its events must lie, and how it comes to be.

use super::WINDOW_BLOCKS;
use ckb_types::packed::{Byte32, OutPoint};
use perun_channel::ChannelId;

/// Most inputs of a creating transaction that are watched. One channel's creation needs a few for
/// each of at most 16 participants; a batch of openings may share more, and then the first ones are
/// enough.
pub const INPUTS_MAX: usize = 64;

/// After how many confirmations an event counts as settled: from 1 to [`WINDOW_BLOCKS`], since what
/// lies deeper than the window could not be reverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Depth(u16);

impl Depth {
    /// This depth, if it is in range.
    #[must_use]
    pub const fn new(blocks: u16) -> Option<Self> {
        if blocks == 0 || blocks > WINDOW_BLOCKS { None } else { Some(Self(blocks)) }
    }

    /// The number of blocks.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// The transaction that is to create a channel. Watch the channel before anybody signs it: spends
/// of its inputs are noticed only from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// Its hash.
    pub transaction: Byte32,
    /// Its inputs, at most [`INPUTS_MAX`]; the ones after that are not watched.
    pub inputs: Vec<OutPoint>,
}

/// A channel to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Its id, which together with the programs fixes its vault lock.
    pub id: ChannelId,
    /// When its events are settled.
    pub depth: Depth,
    /// The creating transaction, while it is not certain that there is one on chain.
    pub creation: Option<Creation>,
}
