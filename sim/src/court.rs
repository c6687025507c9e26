//! The real verdict over cells and transactions in a few words, with its answers remembered.
//!
//! Each question is spelled out once as a transaction with real encodings and signatures
//! ([`Scene`]) and put to the real verdict. The verdict is a function of the question, so
//! remembering is exact.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use perun_channel::State;
use perun_channel::adjudicator::{Phase, Slot};

use crate::scene::Scene;

/// What tells the states of one channel apart: there is one asset and no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outline {
    /// The version.
    pub version: u64,
    /// Who owns how much.
    pub balances: [u64; 2],
    /// Whether it is the last.
    pub is_final: bool,
}

impl Outline {
    /// The outline of a state of a model's channel.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let balance = |who| {
            let amount = state.outcome().balance(0, who).unwrap_or_default();
            u64::try_from(amount.get()).unwrap_or(u64::MAX)
        };
        let version = state.version().get();
        Self { version, balances: [balance(0), balance(1)], is_final: state.is_final() }
    }

    /// The state that it outlines.
    #[must_use]
    pub fn state(&self, scene: &Scene) -> State {
        scene.state(self.version, self.balances, self.is_final)
    }
}

/// Where the channel's cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Nobody has registered anything.
    Open,
    /// A dispute is on.
    Disputed,
    /// Everything is paid; the cell is gone.
    Paid,
}

/// The channel's cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerCell {
    /// Where it stands.
    pub stage: Stage,
    /// The registration slots used, one bit each.
    pub marks: u8,
    /// The state that it holds, or that was paid.
    pub state: Outline,
}

/// What a transaction does to the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// Registers a state through the slot with this number.
    Register {
        /// The slot's number.
        slot: u8,
        /// The state.
        state: Outline,
    },
    /// Pays the registered state.
    Conclude {
        /// For how many seconds the cell has lain there.
        waited_secs: u64,
    },
    /// Pays a final state.
    Close {
        /// The state.
        state: Outline,
    },
}

/// The verdict on one channel.
#[derive(Debug)]
pub struct Court {
    /// The channel.
    pub scene: Scene,
    answers: RwLock<HashMap<(LedgerCell, Act), bool>>,
}

impl Court {
    /// The court of this channel.
    #[must_use]
    pub fn new(scene: Scene) -> Self {
        Self { scene, answers: RwLock::default() }
    }

    /// What the cell becomes, if the verdict allows the act.
    #[must_use]
    pub fn after(&self, cell: &LedgerCell, act: &Act) -> Option<LedgerCell> {
        let next = match *act {
            Act::Register { slot, state } => {
                let marks = cell.marks | 1u8.checked_shl(slot.into())?;
                LedgerCell { stage: Stage::Disputed, marks, state }
            }
            Act::Conclude { .. } => LedgerCell { stage: Stage::Paid, ..*cell },
            Act::Close { state } => LedgerCell { stage: Stage::Paid, state, ..*cell },
        };
        self.allows(cell, act).then_some(next)
    }

    /// Whether the verdict allows the act.
    #[must_use]
    pub fn allows(&self, cell: &LedgerCell, act: &Act) -> bool {
        let known = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        let answer = known.get(&(*cell, *act)).copied();
        drop(known);
        answer.unwrap_or_else(|| {
            let allowed = self.judge(cell, act);
            let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
            answers.insert((*cell, *act), allowed);
            allowed
        })
    }

    fn judge(&self, cell: &LedgerCell, act: &Act) -> bool {
        let phase = match cell.stage {
            Stage::Open => Phase::Open,
            Stage::Disputed => Phase::Disputed,
            Stage::Paid => return false,
        };
        let stored = cell.state.state(&self.scene);
        let from = self.scene.cell(phase, cell.marks.into(), &stored);
        let verdict = match act {
            Act::Register { slot, state } => {
                let state = state.state(&self.scene);
                let Some(mark) = 1u8.checked_shl((*slot).into()) else { return false };
                let marks = u32::from(cell.marks | mark);
                let to = self.scene.cell(Phase::Disputed, marks, &state);
                self.scene.register(&from, &to, &state, Slot::from_number(*slot))
            }
            Act::Conclude { waited_secs } => self.scene.conclude(&from, &stored, *waited_secs),
            Act::Close { state } => self.scene.close(&from, &state.state(&self.scene)),
        };
        verdict.is_ok()
    }
}
