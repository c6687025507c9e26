//! What one moment of the swap model is: two ledgers, two parties, the messages between them.

use super::law::Decision;

/// The holder of the preimage, and its index.
pub const P: usize = 0;
/// The other party.
pub const Q: usize = 1;
/// The ledger on which Q gives and P receives.
pub const X: usize = 0;
/// The ledger on which P gives and Q receives.
pub const Y: usize = 1;

/// A state of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Paper {
    /// Two payments before the swap.
    Older,
    /// One payment before the swap.
    Old,
    /// `v`: agreed when the swap is offered.
    Agreed,
    /// `v½`: `v` with the swap pending.
    Half,
    /// `v+1`: both legs moved.
    Swapped,
    /// `v+1'`: the swap taken back.
    Cancelled,
    /// A payment after the swap.
    PaidSwapped,
    /// A payment after the cancellation.
    PaidCancelled,
}

impl Paper {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Older,
        Self::Old,
        Self::Agreed,
        Self::Half,
        Self::Swapped,
        Self::Cancelled,
        Self::PaidSwapped,
        Self::PaidCancelled,
    ];

    /// The version: the swap and its cancellation have the same.
    #[must_use]
    pub const fn version(self) -> u8 {
        match self {
            Self::Older => 0,
            Self::Old => 1,
            Self::Agreed => 2,
            Self::Half => 3,
            Self::Swapped | Self::Cancelled => 4,
            Self::PaidSwapped | Self::PaidCancelled => 5,
        }
    }

    /// The mark of this state in a set of them.
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// What the honest party owns on the two ledgers, of four units on each. It gives on `gives`
    /// and receives on the other. All payments are made to it.
    #[must_use]
    pub const fn owns(self, gives: usize) -> [u8; 2] {
        let (x, y) = match self {
            Self::Older => return [1, 1],
            Self::Old => return [1, 2],
            Self::Agreed | Self::Half | Self::Cancelled => (2, 2),
            Self::Swapped if gives == Y => (3, 1),
            Self::Swapped => (1, 3),
            Self::PaidSwapped if gives == Y => (4, 1),
            Self::PaidSwapped => (2, 3),
            Self::PaidCancelled => (3, 2),
        };
        [x, y]
    }
}

/// Where the channel stands on one ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// No dispute.
    Open,
    /// A state is registered.
    Disputed {
        /// Which.
        paper: Paper,
        /// Ticks since the window began; more than it takes to end it makes no difference.
        waited: u8,
    },
    /// A state was concluded and paid.
    Settled {
        /// Which.
        paper: Paper,
        /// How.
        how: Decision,
    },
}

/// What a transaction does to the channel on one ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// Registers a state.
    Register(Paper),
    /// Concludes without showing anything: as written, or a refund.
    Conclude,
    /// Concludes with the preimage.
    Claim,
    /// Pays the agreed balances at once, by both parties' consent. Only a planted bug signs that.
    Spend,
}

/// A transaction of an honest party that waits for its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pending {
    /// What it does.
    pub act: Act,
    /// For how many blocks it has waited.
    pub age: u8,
}

/// The channel on one ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ledger {
    /// Where it stands.
    pub phase: Phase,
    /// How many registration slots the cheater has used.
    pub used: u8,
    /// What the honest parties want done.
    pub pool: [Option<Pending>; 2],
}

/// How far an honest party is with the swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Nothing was offered.
    Idle,
    /// P: offered, and not revealed. Q: accepted.
    Pending,
    /// P: revealed, and signed `v+1`.
    Revealed,
    /// P: signed the cancellation.
    Cancelling,
    /// Holds `v+1`, the cancellation or what came after.
    Resolved,
}

/// An honest party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Party {
    /// How far it is.
    pub stage: Stage,
    /// The newest state that it holds signed by both.
    pub holds: Paper,
    /// The states that it signed.
    pub signed: u8,
    /// Whether it may show the preimage: P once it decided to, Q once it learnt it.
    pub shows: bool,
    /// Whether it signs nothing more: it saw a dispute, or went to the ledgers itself.
    pub frozen: bool,
    /// When it froze, where that is asked for.
    pub left: u8,
    /// Ticks since it revealed.
    pub since: u8,
    /// For how many ticks it has done nothing.
    pub asleep: u8,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// P's signature on `v½`.
    Offer,
    /// Q's signature on `v½`.
    Accept,
    /// The preimage and P's signature on `v+1`.
    Reveal,
    /// The preimage alone, from a cheating P.
    Leak,
    /// Q's signature on `v+1`.
    Done,
    /// P's signature on the cancellation.
    Cancel,
    /// Q's signature on the cancellation.
    Cancelled,
    /// The cheater's signature on a payment to the honest party.
    Pay,
}

impl Message {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Offer,
        Self::Accept,
        Self::Reveal,
        Self::Leak,
        Self::Done,
        Self::Cancel,
        Self::Cancelled,
        Self::Pay,
    ];

    /// The mark of this message in a set of them.
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Whose move it is within a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Turn {
    /// This party looks at the ledgers and the clock, or does not.
    Look(usize),
    /// Messages arrive, and those who are awake decide what they want.
    Talk,
    /// The block of this ledger is made.
    Block(usize),
}

/// Everything that decides what can happen next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The tick that is being played.
    pub tick: u8,
    /// Whose move it is.
    pub turn: Turn,
    /// The parties; what stands at the cheater's place never changes.
    pub parties: [Party; 2],
    /// The ledgers.
    pub ledgers: [Ledger; 2],
    /// Messages of honest parties that have not arrived and may never.
    pub flying: u8,
    /// Whether the cheater knows the preimage.
    pub leaked: bool,
}

impl World {
    /// How both ledgers concluded, if they did.
    #[must_use]
    pub const fn settled(&self) -> Option<[(Paper, Decision); 2]> {
        match (self.ledgers[X].phase, self.ledgers[Y].phase) {
            (Phase::Settled { paper: x, how: on_x }, Phase::Settled { paper: y, how: on_y }) => {
                Some([(x, on_x), (y, on_y)])
            }
            _ => None,
        }
    }
}
