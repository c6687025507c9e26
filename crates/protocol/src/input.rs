//! What goes into a machine: the user's commands, the peer's messages, what the ledger shows, what
//! our own backend answers, and time.
//!
//! What the ledger shows is a level, not an edge: a [`Standing`] says how things are now, so a
//! reorganisation is just another standing, and repeating one is harmless.

use perun_channel::{ChannelId, Participant, State};

use crate::bytes::wire_struct;
use crate::message::{DeclineReason, Message};
use crate::payment::Payment;
use crate::terms::{Assembly, Changes, Terms};
use crate::units::{Index, LedgerBytes, LedgerTime, TransactionId};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Our user wants something.
    Command(Command),
    /// The peer said something. The house knows that it was this channel's peer.
    Message(Message),
    /// How the channel stands on the ledger now.
    Ledger(Sighting),
    /// The ledger's clock.
    LedgerClock(LedgerTime),
    /// Our backend answers an effect.
    Backend(Reply),
    /// The moment that [`crate::Machine::deadline`] named has come.
    Tick,
    /// A connection to the peer exists (again): what may have been lost is sent again.
    Connected,
    /// The process started, and the journal was replayed: effects that may not have happened are
    /// repeated.
    Restart,
    /// The store found that the journal is older than what was already released.
    JournalRolledBack,
}

/// What a user can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Open a channel, as participant 0.
    Propose {
        /// The terms.
        terms: Terms,
        /// What we put into the transaction.
        contribution: LedgerBytes,
    },
    /// Agree to the peer's proposal.
    Accept {
        /// Our keys and identity.
        participant: Participant,
        /// What we put into the transaction.
        contribution: LedgerBytes,
    },
    /// Refuse the peer's proposal, or give up an opening whose outcome is not yet the ledger's to
    /// decide.
    Decline {
        /// Why.
        reason: DeclineReason,
    },
    /// Pay the peer.
    Pay(Payment),
    /// Close with the balances as they are.
    Close,
    /// Agree to the peer's wish to close.
    AcceptClose,
    /// Refuse the peer's wish to close.
    DeclineClose,
    /// Deposit or withdraw while the channel lives on.
    Resize {
        /// Who deposits and withdraws what.
        changes: Changes,
        /// What the ledger's backend needs besides.
        chain: LedgerBytes,
        /// What we put into the transaction.
        contribution: LedgerBytes,
    },
    /// Agree to the peer's resize.
    AcceptResize {
        /// What we put into the transaction.
        contribution: LedgerBytes,
    },
    /// Refuse the peer's resize.
    DeclineResize,
    /// Leave through the ledger, without the peer.
    Dispute,
}

/// How a channel stands on its ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sighting {
    /// Which channel: while a resize is on its way, the machine watches its successor as well.
    pub channel: ChannelId,
    /// How it stands.
    pub standing: Standing,
    /// Whether that is buried as deep as the backend wants before money depends on it. What is not
    /// may still be in the pool.
    pub confirmed: bool,
}

/// How a channel stands on its ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The opening transaction has not committed (or no longer has).
    Absent,
    /// The opening transaction can never commit: one of its inputs was spent otherwise.
    Impossible,
    /// It exists, with version 0.
    Open,
    /// A state is registered.
    Registered {
        /// Which.
        state: State,
        /// Whose right to register was used.
        by: Slot,
        /// From when on it can be concluded.
        until: LedgerTime,
    },
    /// The outcome stands.
    Concluded {
        /// The outcome.
        state: State,
        /// A bit for each asset row that is not paid yet.
        unpaid: u32,
    },
    /// A final state was paid out.
    Closed {
        /// The outcome.
        state: State,
    },
    /// All participants' consent was used to spend it, by this transaction.
    Spent {
        /// Which transaction.
        transaction: TransactionId,
    },
}

wire_struct! {
    /// A right to register: each participant has two in a dispute, its own and one for a delegate.
    pub struct Slot {
        /// Whose.
        pub participant: Index,
        /// Whether it is the one meant for a delegate.
        pub delegate: bool,
    }
}

/// What our own backend answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::large_enum_variant, reason = "replies are made one at a time and soon consumed")]
pub enum Reply {
    /// The transaction is built.
    Assembled(Assembly),
    /// The transaction cannot be built as planned.
    AssemblyFailed,
    /// The peer's part of this transaction is valid.
    WitnessGood(TransactionId),
    /// The peer's part of this transaction is not valid.
    WitnessBad(TransactionId),
}
