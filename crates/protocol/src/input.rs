//! What goes into a machine: the user's commands, the peer's messages, what the ledger shows, what
//! our own backend answers, and time.
//!
//! What the ledger shows is a level, not an edge: a [`Standing`] says how things are now, so a
//! reorganisation is just another standing, and repeating one is harmless.

use alloc::vec::Vec;

use perun_channel::swap::Leg;
use perun_channel::{ChannelId, LedgerId, Participant, Signature, State};

use crate::bytes::wire_struct;
use crate::ledgers::PerLedger;
use crate::message::{DeclineReason, Message};
use crate::payment::Payment;
use crate::terms::{Assembly, Changes, Terms};
use crate::units::{Index, LedgerBytes, LedgerTime, Preimage, TransactionId};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Our user wants something.
    Command(Command),
    /// The peer said something. The house knows that it was this channel's peer.
    Message(Message),
    /// How the channel stands on one of its ledgers now.
    Ledger(Sighting),
    /// A ledger's clock.
    LedgerClock {
        /// Which ledger.
        ledger: LedgerId,
        /// What it says.
        now: LedgerTime,
    },
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
        /// What we put in on each ledger.
        contributions: PerLedger<LedgerBytes>,
    },
    /// Agree to the peer's proposal.
    Accept {
        /// Our keys and identity.
        participant: Participant,
        /// What we put in on each ledger.
        contributions: PerLedger<LedgerBytes>,
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
    /// Swap with the peer: what moves on one ledger and what moves on the other, both or neither.
    Swap {
        /// What moves, and until when each side may be claimed.
        legs: Vec<Leg>,
        /// The secret, drawn at random for this swap.
        preimage: Preimage,
    },
    /// Agree to the peer's swap.
    AcceptSwap {
        /// The clocks of the channel's ledgers, as they are now.
        clocks: PerLedger<LedgerTime>,
    },
    /// Refuse the peer's swap.
    DeclineSwap,
    /// Take our swap back, or ask the peer to take its one back.
    CancelSwap,
    /// Leave through the ledger, without the peer.
    Dispute,
}

/// How a channel stands on one of its ledgers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sighting {
    /// Which ledger.
    pub ledger: LedgerId,
    /// Which channel: while a resize is on its way, the machine watches its successor as well.
    pub channel: ChannelId,
    /// How it stands.
    pub standing: Standing,
    /// Whether that is buried as deep as the backend wants before money depends on it. What is not
    /// may still be in the pool.
    pub confirmed: bool,
}

/// How a channel stands on a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The opening transaction has not committed (or no longer has). Where each side deposits for
    /// itself: some deposit is missing.
    Absent,
    /// The opening transaction can never commit: one of its inputs was spent otherwise.
    Impossible,
    /// It exists, with version 0, and everything that was to be put in is in.
    Open,
    /// A state is registered. Where a registration is final once its challenge is over, one that
    /// carries a swap stays registered until the swap is decided there.
    Registered {
        /// Which.
        state: State,
        /// Whose right to register was used.
        by: Slot,
        /// From when on it can be concluded.
        until: LedgerTime,
        /// Both signatures over it, in order, where the ledger publishes them. What a ledger's node
        /// says is not believed: they are checked before they are used.
        proof: Option<[Signature; 2]>,
    },
    /// The outcome stands: nothing else can be registered any more. Where a registration is final
    /// once its challenge is over, that is from then on; rows that nobody was paid for are unpaid.
    Concluded {
        /// The outcome.
        state: State,
        /// A bit for each asset row that is not paid yet.
        unpaid: u32,
        /// The secret with which its swap was claimed there, whether or not that is confirmed.
        preimage: Option<Preimage>,
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
    /// A ledger that counts no rights takes any, and names as used the own one of the peer of
    /// whoever watches.
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
    /// The channel is built.
    Assembled(Assembly),
    /// The channel cannot be built as planned.
    AssemblyFailed,
    /// The peer's part of this transaction is valid.
    WitnessGood(TransactionId),
    /// The peer's part of this transaction is not valid.
    WitnessBad(TransactionId),
}
