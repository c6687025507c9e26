//! What one moment of the duel is: the real machine, the ledger, and what the adversary has seen.

use core::hash::{Hash, Hasher};
use std::collections::BTreeSet;

use perun_protocol::{Machine, PhaseName};

use crate::court::{Act, LedgerCell, Outline};
use crate::ideal::{Breach, Ideal};

/// Everything that decides what can happen next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// The tick that is being played; the newest complete block is one lower.
    pub tick: u8,
    /// Whose move it is.
    pub turn: Turn,
    /// The honest party's machine: the code that ships.
    pub machine: Machine,
    /// What the honest party was promised.
    pub ideal: Ideal,
    /// The channel's cell.
    pub cell: LedgerCell,
    /// The height at which the cell was made.
    pub made: u8,
    /// The cell as the honest party last saw it, and when it was made.
    pub seen: (LedgerCell, u8),
    /// The honest party's transactions.
    pub pool: Vec<Pending>,
    /// The states that the adversary has the honest party's signature on.
    pub shown: BTreeSet<Outline>,
    /// The registrations that the adversary has the honest party's signature on, by slot.
    pub carried: BTreeSet<(u8, Outline)>,
    /// For how many ticks the honest party has done nothing.
    pub asleep: u8,
    /// How many payments the honest user still wants to make.
    pub wants: u8,
    /// The promise that was broken.
    pub breach: Option<Breach>,
}

impl Hash for World {
    /// Two worlds with one hash have one future, and are visited once. While the ledger settles the
    /// channel the machine goes by what it saw, its newest state and its deadline; who wanted the
    /// turn or what was paid last is of no consequence any more.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let phase = self.machine.phase();
        if phase >= PhaseName::Frozen {
            phase.hash(state);
            self.machine.deadline().hash(state);
            self.machine.agreed().hash(state);
        } else {
            self.machine.hash(state);
            self.wants.hash(state);
        }
        self.seen.hash(state);
        (self.tick, self.turn, self.cell, self.made, self.asleep, self.breach).hash(state);
        (&self.ideal, &self.pool, &self.shown, &self.carried).hash(state);
    }
}

/// Whose move it is within a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// The honest party looks at the ledger, or does not.
    Honest,
    /// The honest party is awake: its user and the adversary may say anything to its machine.
    Talk,
    /// The adversary, who has seen what was sent, makes the block.
    Ledger,
}

/// A transaction of the honest party, known to all. It spends one cell and is worthless on any
/// other. No cell returns: versions and stages only rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pending {
    /// The cell that it spends.
    pub spends: LedgerCell,
    /// What it does; how long it waited is for the block to say.
    pub act: Act,
    /// When it was sent.
    pub sent: u8,
}
