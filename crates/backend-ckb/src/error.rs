//! Everything that can stop a transaction, in words for the people whose money it is.
//!
//! One variant per reason. The text says what happened, what it means for the money, and what to do
//! next. The invariant: an error of a function that builds means that nothing was signed and
//! nothing was sent.

use crate::money::Shannons;
use crate::rpc::RpcError;
use ckb_types::packed::OutPoint;
use perun_channel::adjudicator::Code;
use perun_channel::{ChannelId, Invalid};

/// Why a transaction was not built, signed or sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The node did not answer, or refused.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The wallet's plain cells do not hold enough.
    #[error(
        "the wallet has {have} in free plain cells, the transaction needs {need} and a change cell holds at \
         least {minimum}; nothing was sent; {enough} would be enough",
        have = Shannons(*.have), need = Shannons(*.need), minimum = Shannons(*.minimum),
        enough = Shannons(.need.saturating_add(*.minimum))
    )]
    InsufficientCapacity {
        /// What the free plain cells hold.
        have: u64,
        /// What the transaction takes from the wallet, fee included.
        need: u64,
        /// The least that a change cell holds.
        minimum: u64,
    },
    /// The wallet's cells do not hold enough of a token.
    #[error(
        "the wallet has {have} units of token {} in free cells, {need} are needed; nothing was sent",
        hex(.token)
    )]
    InsufficientToken {
        /// The hash of the token's type script.
        token: [u8; 32],
        /// What the free cells hold.
        have: u128,
        /// What is needed.
        need: u128,
    },
    /// More cells than one transaction should spend would be needed.
    #[error(
        "more than {limit} of the wallet's cells would be needed; nothing was sent; first join small cells \
         into a larger one"
    )]
    TooManyCells {
        /// The bound.
        limit: usize,
    },
    /// The wallet has more cells than are looked through, or more reservations than are kept.
    #[error(
        "a bound of {limit} entries of the wallet's book of cells is reached; nothing was sent"
    )]
    BookFull {
        /// The bound.
        limit: usize,
    },
    /// A cell is taken by another transaction that is being built.
    #[error("cell {0} is reserved for another transaction; nothing was sent; choose other cells")]
    Reserved(OutPoint),
    /// No such reservation; it was released or settled before.
    #[error("the reservation is not known; it was released before")]
    ReservationUnknown,
    /// Stored bytes are not what they should be.
    #[error("stored or received bytes are not a {0}; nothing was signed")]
    Malformed(&'static str),
    /// The verdict that the chain would give.
    #[error(
        "the channel script would refuse this transaction: {0} (code {number}); nothing was sent and no \
         money moved",
        number = .0.exit_code()
    )]
    Verdict(Code),
    /// A payee would get less than it is owed, because its own lock pays the network fee.
    #[error(
        "the network fee would be paid from the payee's own lock, which this channel does not allow for it; \
         nothing was sent; pay the fee from cells under another lock"
    )]
    FeePayerIsPayee,
    /// An output holds less than it occupies.
    #[error(
        "output {index} would hold {have}, its cell needs {need}; nothing was sent",
        have = Shannons(*.have), need = Shannons(*.need)
    )]
    CellTooSmall {
        /// The output.
        index: usize,
        /// What it would hold.
        have: u64,
        /// What it occupies.
        need: u64,
    },
    /// Money would appear or vanish.
    #[error(
        "the transaction would not conserve {0}; nothing was signed; do not go on with this peer"
    )]
    Conservation(&'static str),
    /// The fee is below what nodes take.
    #[error(
        "the transaction pays a fee of {have}, nodes want {need}; nothing was sent",
        have = Shannons(*.have), need = Shannons(*.need)
    )]
    FeeTooLow {
        /// What it pays.
        have: u64,
        /// What it must pay.
        need: u64,
    },
    /// The fee would exceed what its owner allows.
    #[error(
        "a fee of {need} would be needed, more than the limit of {cap}; nothing was sent; raise the limit \
         if the channel is worth it",
        need = Shannons(*.need), cap = Shannons(*.cap)
    )]
    FeeCap {
        /// What would be needed.
        need: u64,
        /// The limit.
        cap: u64,
    },
    /// The transaction is larger than nodes take.
    #[error(
        "the transaction takes {size} bytes and {cycles} cycles, too much for one; use fewer channels"
    )]
    TooLarge {
        /// Its bytes.
        size: u64,
        /// Its cycles.
        cycles: u64,
    },
    /// A sum leaves its range.
    #[error("a sum of amounts leaves its range; nothing was signed")]
    Amount,
    /// A value of the channel's types cannot exist.
    #[error("the channel cannot exist like that: {0}; nothing was signed")]
    Invalid(#[from] Invalid),
    /// The token's script is not in the registry.
    #[error("token {} is not known here; add its type script and its dependencies first", hex(.0))]
    TokenUnknown([u8; 32]),
    /// The script with this hash is not known.
    #[error("the payout lock script {} is not known; ask the channel's other party for it", hex(.0))]
    ScriptUnknown([u8; 32]),
    /// A code cell or system cell is not what it should be.
    #[error(
        "the chain's {0} is not where this deployment says; check the network and the configuration"
    )]
    Deployment(&'static str),
    /// The channel's cell is not on the chain.
    #[error("channel {0} has no cell on the chain; it is closed, or not opened yet")]
    ChannelGone(ChannelId),
    /// The cells given are not this channel's.
    #[error("the cells are not those of channel {0}; nothing was sent; read the channel anew")]
    WrongCells(ChannelId),
    /// A contribution breaks a rule of the opening.
    #[error("party {party}: {fault}; nothing was signed; the opening is over")]
    Contribution {
        /// The contributor's position.
        party: usize,
        /// What is wrong.
        fault: Fault,
    },
    /// A lock witness does not fit the transaction.
    #[error(
        "a lock witness is missing, or is not for an input of its sender; nothing more was signed"
    )]
    LockWitness,
    /// A participant's consent is missing or wrong.
    #[error("a participant's consent to the transaction is missing or wrong; it was not sent")]
    Consent,
    /// The wallet has no lock like that.
    #[error("the wallet does not own this lock; nothing was signed")]
    NotOurs,
    /// The node says another thing of a cell than the transaction that made it. A signature does
    /// not cover what cells hold: what they hold beyond what we believe would go to the miner.
    #[error(
        "the node describes cell {0} otherwise than the transaction that made it, or cannot show that \
         transaction; nothing was signed; use another node"
    )]
    FalseCell(OutPoint),
    /// The key cannot sign.
    #[error("the wallet's key is not valid for its lock; nothing was signed")]
    Key,
    /// A job's signatures or state do not fit its channel.
    #[error("the evidence does not fit channel {0}; nothing was sent")]
    Evidence(ChannelId),
}

/// What is wrong with a party's contribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A list is longer than allowed.
    #[error("a list of the contribution is too long")]
    TooLong,
    /// An input is not live.
    #[error("an input is not a live cell on the chain")]
    NotLive,
    /// An input stands twice.
    #[error("an input stands twice in the transaction")]
    Twice,
    /// An input is under another lock than the party's own.
    #[error("an input is not under the party's own lock")]
    WrongLock,
    /// It names another party's lock as its owner's or as the one to be paid to.
    #[error("the party names another party's lock as its own")]
    NotItsOwn,
    /// An input carries data or a type that is no token of these channels.
    #[error("an input is neither plain money nor a token of the channel")]
    NotPlain,
    /// Capacity in is not capacity out.
    #[error("its inputs do not cover exactly its share, its change and its fee")]
    Capacity,
    /// A token's amounts do not add up.
    #[error("its token inputs do not cover exactly its share and its change")]
    Token,
    /// A change cell is too small or of a type that no channel uses.
    #[error("a change cell is too small, or of a foreign type")]
    Change,
    /// An input waits for a time that has not come.
    #[error("an input is locked until later")]
    Since,
    /// Not one reserve for each channel of the party.
    #[error("it does not name one reserve for each of its channels")]
    Reserves,
    /// Its payout lock cannot be paid, or not by what it holds in reserve.
    #[error("its payout lock cannot be paid from its reserve")]
    Payout,
    /// It is not the contribution that we made.
    #[error("our own contribution was changed")]
    Changed,
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::Verdict(code)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
