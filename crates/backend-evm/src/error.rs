//! Everything that can stop an order or a report, in words for the people whose money it is.
//!
//! One variant per reason. The text says what happened, what it means for the money, and what to do
//! next. The invariant: an error of a function that sends means that this call sent nothing, unless
//! the text says otherwise.

use alloy_primitives::{Address, B256, U256};
use perun_channel::{ChannelId, Invalid};

use crate::revert::Revert;
use crate::rpc::RpcError;

/// Why nothing was sent, or nothing is reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The node did not answer, or refused.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The node is behind, lacks something or contradicts itself.
    #[error(
        "the node {0}; nothing is reported and nothing was sent, what was reported before stands; wait \
         for it or use another node"
    )]
    Unavailable(String),
    /// The contract would refuse.
    #[error("{0}; nothing was sent and no money moved")]
    Reverted(Revert),
    /// Bytes of the chain are not what they should be.
    #[error("what the chain shows is not a {0}; nothing was signed or sent on it")]
    Malformed(&'static str),
    /// A value of the channel's types cannot exist.
    #[error("the channel cannot exist like that: {0}; nothing was signed")]
    Invalid(#[from] Invalid),
    /// Another chain.
    #[error(
        "the node is of chain {found}, the contracts are on chain {expected}; nothing was sent; check the \
         node's address and the network that is configured"
    )]
    WrongChain {
        /// The chain of the deployment.
        expected: u64,
        /// The node's.
        found: u64,
    },
    /// No contract there.
    #[error(
        "there is no contract at {0}; money sent there would be lost, so nothing was sent; check the \
         address, the network, and whether the node has read the whole chain"
    )]
    NoCode(Address),
    /// A contract that we do not know.
    #[error(
        "the contract at {address} is not the {what} that this program knows (its code's hash is {found}); it \
         could keep deposits, so nothing was sent; check the address"
    )]
    UnknownCode {
        /// Where.
        address: Address,
        /// What should be there.
        what: &'static str,
        /// The hash of the code that is there.
        found: B256,
    },
    /// The asset's holder is no token of this hub.
    #[error(
        "{0} is not the name of a token at this hub; what is deposited under it cannot be paid out, so \
         nothing was sent; let the hub name the token first (createFacade)"
    )]
    UnknownHolder(Address),
    /// The channel has nothing on this chain.
    #[error("channel {0} has no asset of this chain; there is nothing to do here")]
    NotOurs(ChannelId),
    /// Not enough coins.
    #[error(
        "the wallet {account} has {have} wei, {need} wei may be needed with the highest fee; nothing was \
         sent; add coins, or lower the limit of the fee"
    )]
    InsufficientCoins {
        /// The wallet.
        account: Address,
        /// What it has and is not promised to transactions on their way.
        have: U256,
        /// What may be needed.
        need: U256,
    },
    /// Not enough tokens.
    #[error(
        "the wallet {account} has {have} units of token {token}, {need} are needed; nothing was sent; add \
         tokens"
    )]
    InsufficientTokens {
        /// The wallet.
        account: Address,
        /// The token.
        token: Address,
        /// What it has.
        have: U256,
        /// What is needed.
        need: U256,
    },
    /// The hub may not take the tokens.
    #[error(
        "the hub may take {have} units of token {token}, {need} are needed; no deposit was sent; allow it"
    )]
    InsufficientAllowance {
        /// The token.
        token: Address,
        /// What is allowed.
        have: U256,
        /// What is needed.
        need: U256,
    },
    /// The token does not do what tokens do.
    #[error("token {token} {what}; nothing was deposited; do not use it in channels")]
    LyingToken {
        /// The token.
        token: Address,
        /// What it does.
        what: &'static str,
    },
    /// The fee would exceed what its owner allows.
    #[error(
        "a fee of {need} wei per gas would be needed, more than the limit of {cap}; nothing was sent; \
         raise the limit if the channel is worth it, above all while a dispute runs"
    )]
    FeeCap {
        /// What would be needed.
        need: u128,
        /// The limit.
        cap: u128,
    },
    /// The transaction needs more gas than one block has.
    #[error("the transaction needs {need} gas, a block has {block}; nothing was sent")]
    TooMuchGas {
        /// What it needs.
        need: u64,
        /// What a block has.
        block: u64,
    },
    /// A token wants more gas than tokens need.
    #[error(
        "a token would take {need} gas, more than the {most} that are given to such a call: it may be made to \
         waste fees; nothing was sent; do not use it in channels"
    )]
    Greedy {
        /// What it would take.
        need: u64,
        /// What it may take.
        most: u64,
    },
    /// Too many transactions are on their way.
    #[error(
        "{0} transactions of the wallet are on their way; nothing was sent; wait until some are mined"
    )]
    TooManyFlights(usize),
    /// It is too early.
    #[error(
        "the ledger allows this from {until} on, its clock is at {now} (seconds); nothing was sent; wait"
    )]
    TooEarly {
        /// From when on.
        until: u64,
        /// What time it is on the chain.
        now: u64,
    },
    /// The window for newer states is over.
    #[error(
        "version {registered} of channel {channel} stands, and the time to show a newer state ended at {until}; \
         nothing was sent; conclude"
    )]
    WindowOver {
        /// The channel.
        channel: ChannelId,
        /// The version that stands.
        registered: u64,
        /// When the window ended.
        until: u64,
    },
    /// A state at least as new is registered.
    #[error(
        "version {registered} of channel {channel} is registered, ours is {ours}; nothing was sent; read what \
         is registered: if it is not ours, it is newer"
    )]
    NotNewer {
        /// The channel.
        channel: ChannelId,
        /// The version that is registered.
        registered: u64,
        /// The version of ours.
        ours: u64,
    },
    /// Another state is registered than the one to conclude.
    #[error("another state of channel {0} is registered, or none; nothing was sent; read it anew")]
    OtherState(ChannelId),
    /// The channel is concluded.
    #[error(
        "channel {0} is concluded; no more can be registered or deposited; withdraw what is left"
    )]
    Concluded(ChannelId),
    /// The preimage opens another lock.
    #[error(
        "the preimage does not open the lock of channel {0}'s swap, or there is no swap on this chain; nothing \
         was sent"
    )]
    WrongPreimage(ChannelId),
    /// The state is not what the order needs.
    #[error("channel {channel}: {what}; nothing was sent")]
    Unfit {
        /// The channel.
        channel: ChannelId,
        /// What does not fit.
        what: &'static str,
    },
    /// The key cannot sign.
    #[error("the wallet's key cannot sign; nothing was sent")]
    Key,
    /// Stored bytes are no cursor.
    #[error(
        "the stored position is not one of this chain's follower; start without it: everything is read \
         anew, which is safe"
    )]
    Cursor,
    /// Too many channels are watched.
    #[error(
        "{0} channels are watched, no more can be; watch this one from another process, or an old state \
         that the peer registers is not noticed"
    )]
    TooManyWatched(usize),
}

impl Error {
    pub(crate) fn unavailable(what: impl Into<String>) -> Self {
        Self::Unavailable(what.into())
    }

    /// Whether the same order may well succeed later, without anybody doing anything.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Rpc(_) | Self::Unavailable(_) | Self::TooManyFlights(_))
    }
}
