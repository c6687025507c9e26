//! What comes out of a machine: messages, work for the ledger's backend, events for the user.
//!
//! Effects leave only after the records of their step are durable. Repeating one is harmless.

use alloc::vec::Vec;

use perun_channel::{Amount, ChannelId, Params, State, Version};

use crate::input::Slot;
use crate::message::{DeclineReason, Draft, RejectReason};
use crate::payment::{Payment, PaymentId};
use crate::record::{Agreed, Ending, Record};
use crate::terms::{Assembly, Changes, Plan, Terms, Witness};
use crate::units::{Index, LedgerBytes, LedgerTime, Time, TransactionId};

/// What a machine decided: store the records, apply them, then carry out the effects in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Step {
    /// What to remember, first.
    pub records: Vec<Record>,
    /// What to do, afterwards.
    pub effects: Vec<Effect>,
}

/// Which channel an effect is about, with what a backend needs to handle it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The channel.
    pub id: ChannelId,
    /// Its parameters.
    pub params: Params,
    /// Its setup, as the backend wrote it.
    pub setup: LedgerBytes,
    /// The transaction that opened it.
    pub transaction: TransactionId,
    /// Our index.
    pub index: Index,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Sign the draft and send it to the peer.
    Send(Draft),
    /// Tell the user.
    Notify(Event),
    /// Build the planned transaction; answer with `Assembled` or `AssemblyFailed`.
    Assemble(Plan),
    /// Make our locks' witnesses for the transaction, sign the consent if there is one, and send
    /// both to the peer as a `Release`.
    SendWitness {
        /// The transaction.
        assembly: Assembly,
    },
    /// Check the peer's part; answer with `WitnessGood` or `WitnessBad`. Our own part must not
    /// leave the process for that: the release is not recorded, and the transaction may still be
    /// given up.
    CheckWitness {
        /// The transaction.
        assembly: Assembly,
        /// The peer's part.
        witness: Witness,
    },
    /// Add our part to the peer's and submit the transaction.
    SubmitAssembly {
        /// The transaction.
        assembly: Assembly,
        /// The peer's part.
        witness: Witness,
    },
    /// Make what we had set aside for a transaction available again.
    ReleaseFunds {
        /// What we had contributed.
        contribution: LedgerBytes,
    },
    /// Spend one of our inputs of the opening transaction, so that it cannot commit any more.
    AbortOpen {
        /// The transaction.
        assembly: Assembly,
    },
    /// Report how the channel stands, now and whenever it changes.
    Watch(Target),
    /// Close with this final state. Our own signature over its digest is to be added.
    SubmitClose {
        /// The channel.
        target: Target,
        /// The final state.
        agreed: Agreed,
        /// How often it was submitted before; a higher fee may help.
        attempt: u32,
    },
    /// Register this state with one of our slots. Our signature over the registration is to be
    /// added.
    Register {
        /// The channel.
        target: Target,
        /// Our newest state.
        agreed: Agreed,
        /// Which of our rights to use.
        slot: Slot,
        /// How often it was submitted before; a higher fee may help.
        attempt: u32,
    },
    /// Conclude the registered state.
    Conclude {
        /// The channel.
        target: Target,
        /// The registered state.
        state: State,
        /// How often it was submitted before; a higher fee may help.
        attempt: u32,
    },
    /// Pay out rows that are not paid yet.
    Withdraw {
        /// The channel.
        target: Target,
        /// The outcome.
        state: State,
        /// A bit for each row that is not paid.
        rows: u32,
        /// How often it was submitted before; a higher fee may help.
        attempt: u32,
    },
}

/// Something the user should know. Events come at least once: after a restart the latest may come
/// again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The peer asks for a channel; answer with `Accept` or `Decline`.
    ProposalReceived {
        /// What for.
        terms: Terms,
        /// Until when to answer.
        deadline: Time,
    },
    /// The channel exists.
    Opened {
        /// Its id.
        id: ChannelId,
    },
    /// There is no channel, and nothing is done for it any more. Our deposit is ours, unless the
    /// ending is [`Ending::Spent`]: that is an alarm.
    Ended(Ending),
    /// A newer state is complete; worth telling a watchtower.
    Updated {
        /// Its version.
        version: Version,
    },
    /// The peer paid us.
    PaymentReceived(Payment),
    /// Our payment is in a state that the peer signed.
    PaymentSent(PaymentId),
    /// Our payment did not happen.
    PaymentFailed {
        /// Which.
        id: PaymentId,
        /// Why.
        why: FailureReason,
    },
    /// The peer wants to close; answer with `AcceptClose` or `DeclineClose`.
    CloseRequested {
        /// Until when to answer.
        deadline: Time,
    },
    /// The peer refused our wish to close; `Dispute` leaves without it.
    CloseRefused(RejectReason),
    /// The peer wants to resize; answer with `AcceptResize` or `DeclineResize`.
    ResizeRequested {
        /// Who deposits and withdraws what.
        changes: Changes,
        /// Until when to answer.
        deadline: Time,
    },
    /// There will be no resize; the channel goes on.
    ResizeFailed(DeclineReason),
    /// The channel goes on under a new id.
    Resized {
        /// The id.
        id: ChannelId,
    },
    /// The peer has not answered in time.
    PeerSilent,
    /// Our journal is older than what we signed: nothing is signed any more. `Dispute` leaves with
    /// the newest state that we know.
    RolledBack,
    /// The channel is being settled by the ledger with our newest state, or a newer one.
    Disputed {
        /// Our newest version.
        version: Version,
    },
    /// The ledger has a registered state.
    Registered {
        /// Its version.
        version: Version,
        /// Whose right was used.
        by: Slot,
    },
    /// The outcome stands and is paid.
    Settled {
        /// The outcome.
        state: State,
        /// Our part of it, per asset.
        own: Vec<Amount>,
    },
}

/// Why a payment did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// It waited too long for the turn; it was never signed.
    Waited,
    /// The peer refused the update. Until a newer state is complete, the peer could still settle it
    /// on the ledger: paying again in this channel supersedes it, paying otherwise may pay twice. A
    /// dispute's outcome says whether it did.
    Refused,
    /// The channel closed, or is disputed, before it was signed.
    Closed,
    /// It was signed, but the channel was settled with an older state.
    Superseded,
    /// A resize took out the money that it needed; it was never signed.
    Unfunded,
}

/// What a machine waits for; computed from its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitingFor {
    /// Nothing: it is over.
    Nothing,
    /// A command.
    Command,
    /// Our user's answer.
    User,
    /// The peer's answer.
    Peer,
    /// The right to propose.
    Turn,
    /// Our own backend's answer.
    Backend,
    /// A transaction's commit.
    Ledger,
    /// The end of the challenge, by the ledger's clock.
    Challenge(LedgerTime),
}
