//! What one moment of the contention model is: the newest blocks, the pool, the honest party.

use super::ruling::DisputeCell;

/// Everything that decides what can happen next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The tick that is being played.
    pub tick: u8,
    /// The height of the newest complete block; one block for each tick.
    pub height: u8,
    /// The blocks that a reorganisation can still reach, and the newest that it cannot, oldest
    /// first.
    pub blocks: Vec<Block>,
    /// Whose move it is.
    pub turn: Turn,
    /// The honest party's transactions, oldest first.
    pub pool: Vec<Pending>,
    /// For how many ticks the honest party has done nothing.
    pub asleep: u8,
    /// When the honest party decided to leave.
    pub leaving: Option<u8>,
    /// Whether the honest party's registration was published, so that others can use it.
    pub revealed: bool,
}

/// Whose move it is within a tick.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// The honest party acts on the blocks of earlier ticks.
    Honest,
    /// The adversary, who has seen what the honest party sent, reorganises and makes blocks.
    Ledger {
        /// Whether the tick may still begin with a reorganisation.
        may_reorg: bool,
        /// The block that is being made.
        draft: Block,
    },
}

/// The channel after one block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// The cell.
    pub cell: DisputeCell,
    /// The height at which it was made.
    pub made: u8,
    /// The name of the cell: see [`Block::name_after`].
    pub name: u64,
    /// How many of the adversary's registrations stood in the way, on this chain.
    pub hindered: u8,
}

impl Block {
    /// The name of the cell that a registration makes of this one. Where forks exist it is the list
    /// of all registrations so far, so that the same transactions on another fork make the same
    /// cell and others do not. Where none exist no cell returns, and the contents are name enough.
    #[must_use]
    pub fn name_after(&self, forks: bool, slot: u8, next: DisputeCell) -> u64 {
        if forks {
            assert!(next.version < 64 && self.name >> 48 == 0, "the name would not fit");
            (self.name << 9) | 0x100 | (u64::from(slot) << 6) | u64::from(next.version)
        } else {
            0x1_0000 | (u64::from(next.marks) << 8) | u64::from(next.version)
        }
    }

    /// Whether the cell named `name` is this one or can still come after it.
    #[must_use]
    pub const fn leads_to(&self, forks: bool, name: u64) -> bool {
        if !forks {
            return self.name == name;
        }
        let mut rest = name;
        while rest > self.name {
            rest >>= 9;
        }
        rest == self.name
    }
}

/// What an honest transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Registers the newest state.
    Register,
    /// Pays out.
    Conclude,
}

/// A transaction of the honest party, known to all. It spends one cell and is worthless on any
/// other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pending {
    /// The name of the cell that it spends.
    pub spends: u64,
    /// What for.
    pub purpose: Purpose,
    /// When it was sent.
    pub sent: u8,
}
