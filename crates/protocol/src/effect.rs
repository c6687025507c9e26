//! What comes out of a machine: messages, work for the ledger's backend, events for the user.
//!
//! Effects leave only after the records of their step are durable. Repeating one is harmless.

use alloc::vec::Vec;

use perun_channel::swap::Swap;
use perun_channel::{Amount, ChannelId, LedgerId, Params, State, Version};

use crate::decision::Decision;
use crate::input::Slot;
use crate::message::{DeclineReason, Draft, RejectReason};
use crate::payment::{Payment, PaymentId};
use crate::record::{Agreed, Ending, Record};
use crate::terms::{Changes, Plan, Terms, Transaction, Witness};
use crate::units::{Index, LedgerBytes, LedgerTime, Time, TransactionId};

/// What a machine decided: store the records, apply them, then carry out the effects in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Step {
    /// What to remember, first.
    pub records: Vec<Record>,
    /// What to do, afterwards.
    pub effects: Vec<Effect>,
}

/// Which channel an effect is about, on which of its ledgers, with what the backend of that ledger
/// needs to handle it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The ledger.
    pub ledger: LedgerId,
    /// The channel.
    pub id: ChannelId,
    /// Its parameters.
    pub params: Params,
    /// Its setup, as the backend wrote it.
    pub setup: LedgerBytes,
    /// The transaction of both sides that opened it there, if that ledger takes one.
    pub transaction: Option<TransactionId>,
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
    /// Build the planned channel; answer with `Assembled` or `AssemblyFailed`. The backend of the
    /// ledger that takes a transaction of both sides makes the parameters, or else that of the
    /// first ledger; the others only say where such a channel is on theirs.
    Assemble(Plan),
    /// Make our locks' witnesses for the transaction, sign the consent if there is one, and send
    /// both to the peer as a `Release`.
    SendWitness {
        /// The transaction.
        transaction: Transaction,
    },
    /// Check the peer's part; answer with `WitnessGood` or `WitnessBad`. Our own part must not
    /// leave the process for that: the release is not recorded, and the transaction may still be
    /// given up.
    CheckWitness {
        /// The transaction.
        transaction: Transaction,
        /// The peer's part.
        witness: Witness,
    },
    /// Add our part to the peer's and submit the transaction.
    SubmitAssembly {
        /// The transaction.
        transaction: Transaction,
        /// The peer's part.
        witness: Witness,
    },
    /// Deposit what version 0 gives us on this ledger, unless that was done. Ordered again at every
    /// look at the ledger, until it shows that everybody's deposits are in.
    Deposit {
        /// The channel.
        target: Target,
        /// Version 0.
        initial: State,
        /// What we had set aside.
        contribution: LedgerBytes,
    },
    /// Make what we had set aside available again. What is not deposited yet is not to be.
    ReleaseFunds {
        /// The ledger.
        ledger: LedgerId,
        /// What we had contributed.
        contribution: LedgerBytes,
    },
    /// Spend one of our inputs of the opening transaction, so that it cannot commit any more.
    AbortOpen {
        /// The transaction.
        transaction: Transaction,
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
        /// How its swap ends on this ledger; none if it has nothing there. A claim is worth more
        /// than a refund that was ordered before.
        decision: Option<Decision>,
        /// How often it was submitted before; a higher fee may help.
        attempt: u32,
    },
    /// Look at a ledger anew and say what its clock shows, as an input: a swap waits for it. What
    /// the clock showed before is no answer.
    ReadClock {
        /// The ledger.
        ledger: LedgerId,
    },
    /// Pay out rows that are not paid yet, whatever that takes on this ledger.
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
    /// The peer offers a swap; answer with `AcceptSwap` or `DeclineSwap`.
    SwapRequested {
        /// What is to move. The legs are the peer's to claim first.
        swap: Swap,
        /// Until when to answer.
        deadline: Time,
    },
    /// The peer asks for a swap in a single update, which the configuration allows; answer with
    /// `AcceptSwap` or `DeclineSwap`.
    ExchangeRequested {
        /// The state that it leads to.
        state: State,
        /// Until when to answer.
        deadline: Time,
    },
    /// The swap has happened.
    Swapped {
        /// The version of the state.
        version: Version,
    },
    /// Our swap did not happen. Nothing has moved.
    SwapFailed(FailureReason),
    /// The swap was taken back. Nothing has moved.
    SwapCancelled {
        /// The version of the state.
        version: Version,
    },
    /// The opening failed after our deposit could be in. It comes back by the ledgers.
    OpeningFailed(DeclineReason),
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
    /// A ledger has a registered state.
    Registered {
        /// Which ledger.
        ledger: LedgerId,
        /// Its version.
        version: Version,
        /// Whose right was used.
        by: Slot,
    },
    /// On one ledger of several, the outcome stands and is paid.
    LedgerSettled(Settlement),
    /// On one ledger of several there is nothing of the channel, and nothing is done for it there
    /// any more. [`Ending::Spent`] is an alarm.
    LedgerVoid {
        /// Which ledger.
        ledger: LedgerId,
        /// Why.
        ending: Ending,
    },
    /// The outcome stands and is paid, on every ledger.
    Settled {
        /// What each ledger settled, in the channel's order. They may differ: on each, the newest
        /// state that was registered in time stands. A ledger that had nothing is left out.
        outcomes: Vec<Settlement>,
        /// Our part of it, per asset: each row as its own ledger settled it.
        own: Vec<Amount>,
    },
}

/// What one ledger settled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settlement {
    /// Which ledger.
    pub ledger: LedgerId,
    /// The outcome. Only the rows of this ledger were paid by it.
    pub state: State,
    /// Whether the state's swap was claimed there: then its legs on this ledger have moved.
    pub claimed: bool,
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
    /// The moment at which a ledger's clock sends us to the ledgers with a swap, unless the peer
    /// speaks before.
    Swap(LedgerId, LedgerTime),
}
