//! What can go wrong in a house, by whom it blames, and what it means for the money.

use perun_store::{CommitError, OpenError};

/// A ledger's backend could not do what it was asked. Nothing was signed beyond what was stored
/// before.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The backend refused: amounts, cells, or the transaction itself.
    #[error("{0}")]
    Refused(String),
    /// The ledger could not be reached or contradicted itself.
    #[error("the ledger did not answer as it should: {0}; it will be asked again")]
    Unavailable(String),
    /// The ledger's node shows another chain than before.
    #[error(
        "the ledger's node shows another chain than before, without one block in common: it lied, \
         or what was confirmed is undone. All channels are read anew from what it shows now, and \
         disputes are answered by that; compare it with a second node"
    )]
    OtherChain,
    /// An asset, or an order, is of a ledger that this house does not have.
    #[error(
        "{0} is not among this node's ledgers, so nobody would look after the money there; nothing \
         was set aside or signed. Leave its assets out, or start the node with that ledger"
    )]
    UnknownLedger(perun_channel::LedgerId),
    /// Terms say that a ledger is funded in another way than it is.
    #[error(
        "the terms fund {0} in another way than that ledger knows; nothing was set aside or signed. \
         The peer's program is another one, or it cheats"
    )]
    OtherFunding(perun_channel::LedgerId),
    /// More ledgers than one channel may have.
    #[error(
        "one channel may have assets of {most} ledgers at most; nothing was set aside or signed. \
         Open several channels", most = perun_protocol::limits::MAX_LEDGERS
    )]
    TooManyLedgers,
    /// Bytes that a backend wrote earlier, or the peer's backend, are not what they should be.
    #[error("the {0} of this channel cannot be read; it comes from another version or was altered")]
    Malformed(&'static str),
}

/// The house cannot do what its user asked, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The store did not open.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store failed; nothing that was not stored has left the process.
    #[error("the journal failed: {0}; no signature left without being stored. Restart the node")]
    Journal(#[from] CommitError),
    /// A stored record cannot be read.
    #[error("a stored record of channel {0} cannot be read; restore the program that wrote it")]
    Record(perun_protocol::OpeningId),
    /// The ledger's backend refused or failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The machine refused a command.
    #[error("{0}")]
    Declined(perun_protocol::Declined),
    /// A house without a name among go-perun's nodes.
    #[error(
        "this node has no name among go-perun's nodes; nothing was set aside or sent. Start it with \
         a wire key for go-perun"
    )]
    NoName,
    /// No such channel here.
    #[error("there is no channel {0} in this node")]
    UnknownChannel(perun_protocol::OpeningId),
    /// The journal is nearly full; what is left of it is kept for disputes.
    #[error(
        "the journal is nearly full, and what is left is kept for disputes; nothing changed and no \
         money moved. Close channels that you no longer need"
    )]
    JournalNearlyFull,
    /// A challenge in which this node could not answer everything.
    #[error(
        "a challenge of {asked} seconds is too short for this node to answer an old state in time; \
         nothing was set aside or sent. {enough} seconds would be enough"
    )]
    ChallengeTooShort {
        /// What was asked for.
        asked: u64,
        /// What would be enough.
        enough: u64,
    },
    /// No challenge would be long enough and yet accepted.
    #[error(
        "this configuration accepts challenges of at most {most} seconds, and the node needs \
         {enough} to answer old states in time; it was not started. Accept longer challenges, or \
         look at the ledger more often and submit again sooner"
    )]
    TooSlowToAnswer {
        /// What the node needs.
        enough: u64,
        /// The longest that is accepted.
        most: u64,
    },
    /// The house has as many channels as it can watch.
    #[error(
        "this node has {limit} channels, more cannot be watched; nothing was set aside or sent. \
         Close channels that you no longer need, or open this one from another node"
    )]
    TooManyChannels {
        /// How many it may be.
        limit: usize,
    },
    /// No node would take a proposal of this length.
    #[error(
        "the proposal would have {bytes} bytes, nodes take {limit}; nothing was set aside or sent. \
         Join the wallet's small cells into a larger one first"
    )]
    ProposalTooLong {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The socket could not be opened.
    #[error("the network could not be started: {0}")]
    Network(#[from] std::io::Error),
    /// The system gave no randomness.
    #[error("the system gave no randomness: {0}")]
    Entropy(getrandom::Error),
    /// The node stopped.
    #[error("the node has stopped; its channels are safe in its store")]
    Stopped,
}
