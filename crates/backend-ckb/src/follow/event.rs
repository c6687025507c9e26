//! What the follower tells: changes of channels, with their decoded causes and how surely they
//! stand.
//!
//! The invariant: an event is named by channel and transaction alone, so telling it again, after a
//! crash or from another node, is recognised as the same.

use super::BlockStamp;
use ckb_types::packed::{Byte32, OutPoint};
use perun_channel::adjudicator::{ChannelCell, Decision, Setup, Slot};
use perun_channel::{ChannelId, Signature, State, Swap};

/// News of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelEvent {
    /// This is so now. Told when it is first seen in the pool, when it is committed, and when it
    /// settles; a status may be skipped, never lowered without [`Self::Reverted`].
    Now(Change),
    /// A reorganisation removed this. What holds instead follows, now or when it is known.
    Reverted(Change),
    /// A change that was told as pending is no longer in the pool, and not committed.
    Dropped(EventKey),
}

impl ChannelEvent {
    /// The event's name.
    #[must_use]
    pub const fn key(&self) -> &EventKey {
        match self {
            Self::Now(change) | Self::Reverted(change) => &change.key,
            Self::Dropped(key) => key,
        }
    }
}

/// The name of a change: one transaction changes one channel at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey {
    /// The channel.
    pub channel: ChannelId,
    /// The hash of the transaction.
    pub transaction: [u8; 32],
}

/// One change of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub key: EventKey,
    /// How surely it stands.
    pub status: Status,
    /// What it is.
    pub cause: Cause,
}

impl Change {
    /// The block that committed it, if one has.
    #[must_use]
    pub const fn block(&self) -> Option<&BlockStamp> {
        match &self.status {
            Status::Pending => None,
            Status::Included { block, .. } | Status::Settled { block, .. } => Some(block),
        }
    }

    /// How many blocks confirm it, its own counted. None in the pool.
    #[must_use]
    pub const fn confirmations(&self) -> u64 {
        match &self.status {
            Status::Pending => 0,
            Status::Included { depth, .. } | Status::Settled { depth, .. } => *depth,
        }
    }
}

/// How surely a change stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// In the pool of the node that was asked; it may never be committed.
    Pending,
    /// Committed, but not yet as deep as the channel asks for.
    Included {
        /// The block.
        block: BlockStamp,
        /// The confirmations.
        depth: u64,
    },
    /// Committed as deep as the channel asks for.
    Settled {
        /// The block.
        block: BlockStamp,
        /// The confirmations.
        depth: u64,
    },
}

/// A channel cell on chain, or in the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedCell {
    /// Where it is.
    pub out_point: OutPoint,
    /// Its capacity in shannons.
    pub capacity: u64,
    /// What it says.
    pub content: ChannelCell,
}

/// Why a channel changed, as the transaction's witness says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// All deposits are in.
    Opened {
        /// The channel's setup.
        setup: Setup,
        /// Its state, version 0.
        state: State,
        /// The channel cell.
        cell: PlacedCell,
    },
    /// Some deposits are in; the cell's marks say whose.
    Funding {
        /// The channel's setup.
        setup: Setup,
        /// Its state, version 0.
        state: State,
        /// The channel cell.
        cell: PlacedCell,
        /// From when on the deposits can be taken back, in median time. Nothing in the pool: it
        /// counts from the block.
        deadline_ms: Option<u64>,
    },
    /// A state was registered.
    Registered {
        /// The state; a newer one than ours is news that a peer kept from us.
        state: State,
        /// Whose right was used. That participant's signature is over the registration.
        slot: Slot,
        /// One per participant, in order; for a confirmed version 0 only the slot's participant's.
        signatures: Vec<Signature>,
        /// The channel cell.
        cell: PlacedCell,
        /// From when on the channel can be concluded, in median time. Nothing in the pool: it
        /// counts from the block.
        deadline_ms: Option<u64>,
    },
    /// The registered state was paid after the challenge.
    Concluded {
        /// The state.
        state: State,
        /// How its swap ended on this chain; a claim's preimage opens the other ledgers' legs.
        decision: Option<Decision>,
        /// The token rows left unpaid, one bit each.
        unpaid: u32,
        /// The cell that keeps them, if there are any.
        cell: Option<PlacedCell>,
    },
    /// Token rows that had been left were paid.
    Withdrawn {
        /// The state.
        state: State,
        /// The token rows still unpaid.
        unpaid: u32,
        /// The cell that keeps them, if there are any.
        cell: Option<PlacedCell>,
    },
    /// A final state was paid at once.
    ClosedFinal {
        /// The state.
        state: State,
        /// One per participant, over the state.
        signatures: Vec<Signature>,
        /// The token rows left unpaid.
        unpaid: u32,
        /// The cell that keeps them, if there are any.
        cell: Option<PlacedCell>,
    },
    /// All participants agreed to end the channel in this transaction.
    Cooperative {
        /// The channels that the same transaction creates.
        successors: Vec<ChannelId>,
    },
    /// The deposits of a channel that was not funded in time went back.
    FundingAborted,
    /// An input of the creating transaction was spent without creating the channel, which will now
    /// never be. Told only when it is settled.
    OpenImpossible {
        /// The transaction that spent it.
        by: Byte32,
        /// The input.
        input: OutPoint,
    },
}

impl Cause {
    /// The preimage that a claim has shown, if it opens the lock of the state's swap: then it opens
    /// the same swap's legs on every other ledger, whether or not this change ever settles.
    #[must_use]
    pub fn secret(&self) -> Option<&[u8; 32]> {
        let Self::Concluded { state, decision: Some(Decision::Claim(preimage)), .. } = self else {
            return None;
        };
        let swap = Swap::pending(state).ok().flatten();
        swap.is_some_and(|swap| swap.opened_by(preimage)).then_some(preimage)
    }
}
