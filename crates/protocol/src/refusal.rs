//! Why a machine does nothing with an input: the peer broke a rule ([`Refusal`]) or our own side
//! did ([`Misuse`]). Neither changes any state. Each text says what happened, what it means for the
//! money, and what to do.

use core::fmt;

use perun_channel::Amount;
use perun_channel::sig::SignatureRefusal;
use perun_channel::transition::TransitionRefusal;

use perun_channel::swap::SwapError;

use crate::limits::MAX_QUEUE;
use crate::payment::PaymentId;
use crate::timing::SwapLimit;

/// Why an input was declined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declined {
    /// The peer's fault.
    Refusal(Refusal),
    /// Our own side's fault.
    Misuse(Misuse),
}

/// The rule that a peer's message breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The message is for another machine.
    OtherOpening,
    /// The message does not fit to where the channel stands.
    Unexpected,
    /// The message differs from one that said the same before.
    Changed,
    /// The state is of another channel, or of one before a resize.
    OtherChannel,
    /// The sender may not propose now.
    NotTheirTurn,
    /// A witness is for another transaction than the agreed one.
    OtherTransaction,
    /// A witness comes from the side that must release second.
    ReleaseOrder,
    /// A signature is missing or wrong.
    Signature(SignatureRefusal),
    /// A state that is shown as proof breaks a rule of transitions.
    Transition(TransitionRefusal),
    /// The same version with different content: only a broken peer has that.
    Fork,
    /// The peer is further ahead than any honest peer can be, and proves nothing.
    Unproven,
    /// The channel is being settled; nothing is signed any more.
    Settling,
    /// What was shown does not open the swap.
    Preimage,
}

/// The contract that our own side breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// The command does not fit to where the channel stands.
    NotNow,
    /// The terms are not a channel of two participants with distinct keys and nothing locked, they
    /// do not name the ledgers of its assets, or their challenge duration is outside of the
    /// configured range.
    Terms,
    /// The channel has no such asset.
    UnknownAsset {
        /// The asset's row.
        asset: u8,
        /// How many there are.
        assets: usize,
    },
    /// The balance is too small.
    Insufficient {
        /// The asset's row.
        asset: u8,
        /// What the payment needs.
        needed: Amount,
        /// What is left after payments that wait or are on their way.
        available: Amount,
    },
    /// A payment of nothing.
    NothingToPay,
    /// The payment's id is not above the last one.
    PaymentId {
        /// The lowest id that is.
        at_least: PaymentId,
    },
    /// Too many payments wait.
    QueueFull,
    /// The channel is closing.
    Closing,
    /// Another wish waits already.
    WishWaiting,
    /// The changes do not fit the channel's assets and balances.
    Changes,
    /// A channel on several ledgers, or on one where each side deposits for itself, cannot be
    /// resized.
    NoResize,
    /// A go-perun peer knows no swaps.
    NoSwap,
    /// Our journal is older than what we signed; nothing is signed any more.
    RolledBack,
    /// The backend's answer is to another question, or breaks the plan.
    Reply,
    /// The version counter is at its end.
    VersionsUsedUp,
    /// A swap is pending, or waits; until it has ended nothing else is signed.
    SwapPending,
    /// The legs are not a swap that this channel can carry.
    Swap(SwapError),
    /// The swap is outside of what is configured, or of what its time allows.
    SwapLimit(SwapLimit),
    /// The secret is the last swap's: whoever knows it could take this one.
    UsedSecret,
}

impl From<Refusal> for Declined {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<Misuse> for Declined {
    fn from(misuse: Misuse) -> Self {
        Self::Misuse(misuse)
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refusal(refusal) => refusal.fmt(f),
            Self::Misuse(misuse) => misuse.fmt(f),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::OtherOpening => "the message is for another channel",
            Self::Unexpected => "the message does not fit to where the channel stands",
            Self::Changed => "the message contradicts an earlier one",
            Self::OtherChannel => "the state belongs to another channel",
            Self::NotTheirTurn => "the peer proposed although the turn is not the peer's",
            Self::OtherTransaction => "the witness is for another transaction than agreed",
            Self::ReleaseOrder => "participant 1 releases its witness first",
            Self::Signature(reason) => return write!(f, "{reason}; {UNCHANGED}"),
            Self::Transition(reason) => return write!(f, "{reason}; {UNCHANGED}"),
            Self::Fork => "the peer shows another state with a version that is already agreed",
            Self::Unproven => "the peer claims versions that it does not prove",
            Self::Preimage => "the secret does not open the swap that is pending",
            Self::Settling => "the channel is being settled; no state is signed any more",
        };
        write!(f, "{what}; {UNCHANGED}")
    }
}

const UNCHANGED: &str = "nothing changed and no money is at risk; if it happens again, leave with a \
     dispute";

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNow => f.write_str(
                "this cannot be done where the channel stands now; nothing changed, look at what it \
                 waits for",
            ),
            Self::Terms => f.write_str(
                "a channel needs two participants with distinct keys, nothing locked, the ledgers of \
                 its assets in their order, and a challenge duration in the configured range; \
                 nothing was sent, correct the terms",
            ),
            Self::UnknownAsset { asset, assets } => write!(
                f,
                "there is no asset {asset}, the channel has {assets}; nothing was paid, use a smaller \
                 number (the first is 0)"
            ),
            Self::Insufficient { asset, needed, available } => write!(
                f,
                "the payment needs {needed} of asset {asset}, and {available} is free; nothing was \
                 paid, pay at most {available}, wait for payments to you, or add funds with a resize"
            ),
            Self::NothingToPay => {
                f.write_str("the amount is zero; nothing was paid, pay at least 1")
            }
            Self::PaymentId { at_least } => write!(
                f,
                "the payment's id was used before; nothing was paid twice, use {} or higher",
                at_least.get()
            ),
            Self::QueueFull => write!(
                f,
                "{MAX_QUEUE} payments wait already; this one was not taken, try again when some were \
                 answered"
            ),
            Self::Closing => f.write_str(
                "the channel is closing; nothing was paid, open another channel to pay",
            ),
            Self::WishWaiting => f.write_str(
                "a close or resize waits already; nothing changed, wait until it is answered",
            ),
            Self::Changes => f.write_str(
                "the deposits and withdrawals do not fit the channel's assets and balances; nothing \
                 was sent, give one row per asset and withdraw at most the balance",
            ),
            Self::NoResize => f.write_str(
                "only a channel on one ledger, opened by a transaction of both sides, can be resized; \
                 nothing was sent, close this one and open another",
            ),
            Self::NoSwap => f.write_str(
                "the peer runs go-perun, which knows no swaps with a secret; nothing was sent, swap \
                 in a channel with a node that does",
            ),
            Self::RolledBack => f.write_str(
                "the journal is older than what was signed; nothing is signed any more, leave with a \
                 dispute",
            ),
            Self::Reply => f.write_str(
                "the backend's answer does not fit its task; nothing was signed, this is a defect",
            ),
            Self::SwapPending | Self::Swap(_) | Self::SwapLimit(_) | Self::UsedSecret => {
                self.about_a_swap(f)
            }
            Self::VersionsUsedUp => {
                f.write_str("the channel has no version left; the money is safe, close the channel")
            }
        }
    }
}

impl Misuse {
    fn about_a_swap(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SwapPending => f.write_str(
                "a swap is pending, and nothing else is signed until it has ended; nothing changed, \
                 wait for it or cancel it",
            ),
            Self::Swap(why) => {
                write!(f, "{why}; nothing was sent and no money is bound, correct the swap")
            }
            Self::SwapLimit(why) => write!(
                f,
                "{why}; nothing was signed and no money is bound, ask for other expiries or change \
                 the configuration"
            ),
            Self::UsedSecret => f.write_str(
                "this secret was used for a swap before, so the peer knows it; nothing was sent, draw \
                 another at random",
            ),
            _ => Ok(()),
        }
    }
}

impl core::error::Error for Declined {}
impl core::error::Error for Refusal {}
impl core::error::Error for Misuse {}
