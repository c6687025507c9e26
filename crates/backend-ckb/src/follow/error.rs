//! Why following stopped, and what to do then.
//!
//! [`Inconsistency`] blames the node: its answers contradict each other or the chain's rules.
//! Nothing was taken over; asking again, or another node, helps. The invariant: an error leaves the
//! follower as it was.

use super::WINDOW_BLOCKS;
use crate::rpc::RpcError;
use perun_channel::ChannelId;
use perun_channel::adjudicator::Code;

/// Why a step of following failed. The follower is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The node did not answer.
    #[error("the node did not answer ({0}); nothing new was learned of any channel, ask again")]
    Rpc(#[from] RpcError),
    /// The node's answers do not fit together.
    #[error("{0}; nothing was believed, ask again or ask another node")]
    Inconsistent(#[from] Inconsistency),
    /// The chain was reorganised further back than the window.
    #[error(
        "the node's chain differs from ours in every block of the window, which starts at {oldest} and \
         holds up to {WINDOW_BLOCKS}: either the node is on another chain, or settled events were \
         undone. Compare with a second node; if it agrees, start over with \
         `Follower::restarted` at a \
         fresh checkpoint and treat every channel's past events as untold"
    )]
    ReorgTooDeep {
        /// The oldest block in the window.
        oldest: u64,
    },
    /// The channel is watched already, under other terms.
    #[error("channel {0} is watched already; unwatch it before changing what is known of it")]
    Watched(ChannelId),
    /// Too many channels.
    #[error("a follower watches at most {limit} channels; unwatch closed ones or use a second one")]
    Full {
        /// How many it may be.
        limit: usize,
    },
    /// The blocks of a rescan are not in ascending order.
    #[error("blocks for a rescan must ascend and end at the cursor; read them again")]
    RescanOrder,
    /// No such channel.
    #[error("channel {0} is not watched; watch it first")]
    Unwatched(ChannelId),
}

/// How a node's answers contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistency {
    /// A block of another height came back.
    #[error("the node was asked for block {asked} and answered with block {got}")]
    Number {
        /// The height that was asked for.
        asked: u64,
        /// The height in the answer.
        got: u64,
    },
    /// A header's hash is not the hash of its contents.
    #[error("the hash of block {number} is not that of its header")]
    HeaderHash {
        /// The height.
        number: u64,
    },
    /// The transactions are not those that the header commits to.
    #[error("the transactions of block {number} are not those that its header commits to")]
    Transactions {
        /// The height.
        number: u64,
    },
    /// The block does not follow the one before it.
    #[error(
        "block {number} does not follow the block below it; the chain changed while it was read"
    )]
    Parent {
        /// The height.
        number: u64,
    },
    /// The node has no block where its own tip says there is one.
    #[error("the node names a tip at or above block {number}, but has no such block")]
    Missing {
        /// The height.
        number: u64,
    },
    /// A committed spend of a channel cell that the channel's rules would never let pass.
    #[error("a committed transaction does to channel {id} what its script refuses: {code}")]
    Unlawful {
        /// The channel.
        id: ChannelId,
        /// The rule.
        code: Code,
    },
    /// The index leaves out transactions of a channel that were read from blocks.
    #[error("the node's index leaves out transactions of channel {id} that its blocks contain")]
    Rescan {
        /// The channel.
        id: ChannelId,
    },
}
