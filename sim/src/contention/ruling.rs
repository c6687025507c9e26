//! The verdict over the small words of the contention model.
//!
//! A cell is a phase, marks and a version; an act is a registration or a conclusion. The real
//! verdict answers. A [`Flaw`] bends the question, never the verdict: it is how the model plants a
//! bug and shows that it would see one.

pub use crate::court::Stage;
use crate::court::{self, Court, LedgerCell, Outline};
use crate::scene::{Scene, TICK_SECS};

/// The channel's cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DisputeCell {
    /// Where it stands.
    pub stage: Stage,
    /// The registration slots used, one bit each.
    pub marks: u8,
    /// The version it holds.
    pub version: u8,
}

impl DisputeCell {
    /// A channel that nobody has disputed.
    pub const OPEN: Self = Self { stage: Stage::Open, marks: 0, version: 0 };
}

/// What a transaction does to the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Registers a version through a slot.
    Register {
        /// The slot's number.
        slot: u8,
        /// The version.
        version: u8,
    },
    /// Pays the registered version.
    Conclude {
        /// For how many ticks the cell has lain there.
        waited: u8,
    },
}

/// A bug planted into the rules or into the honest party's policy, to see whether the checker would
/// find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// None: the real rules.
    None,
    /// A strictly newer version suffices; slots are not used up.
    NewerSuffices,
    /// A participant and its delegate share one slot.
    SharedSlot,
    /// Delegate slots are not used up.
    DelegateReuse,
    /// An equal version suffices.
    NotOlder,
    /// The challenge ends one tick early.
    TimerOffByOne,
    /// There is no challenge.
    NoTimer,
    /// The honest party refutes with the state before its newest one.
    StaleRefute,
    /// The honest party believes the newest block.
    TrustsTip,
}

/// The rules of one channel.
#[derive(Debug)]
pub struct Ruling {
    court: Court,
    states: Vec<Outline>,
    challenge: u8,
    flaw: Flaw,
}

impl Ruling {
    /// The rules for a channel with these states, `balances[version]`, and this challenge in ticks.
    #[must_use]
    pub fn new(balances: &[[u64; 2]], challenge: u8, flaw: Flaw) -> Self {
        let total = balances.first().map_or(0, |row| row.iter().sum());
        let court = Court::new(Scene::new(total, challenge.into()));
        let outline =
            |(version, row): (u64, &[u64; 2])| Outline { version, balances: *row, is_final: false };
        let states = (0u64..).zip(balances).map(outline).collect();
        Self { court, states, challenge, flaw }
    }

    /// What the cell becomes, if the act is allowed.
    #[must_use]
    pub fn rule(&self, cell: DisputeCell, act: Act) -> Option<DisputeCell> {
        let next = match act {
            Act::Register { slot, version } => {
                let used = if self.flaw == Flaw::NewerSuffices { 0 } else { cell.marks };
                DisputeCell { stage: Stage::Disputed, marks: used | (1 << slot), version }
            }
            Act::Conclude { .. } => DisputeCell { stage: Stage::Paid, ..cell },
        };
        self.bent(cell, act).then_some(next)
    }

    /// Asks the real verdict the question that the flaw makes of this one.
    fn bent(&self, cell: DisputeCell, act: Act) -> bool {
        const DELEGATES: u8 = 0b1010_1010;
        let (mut asked, mut doing) = (cell, act);
        match (self.flaw, &mut doing) {
            (Flaw::NewerSuffices, _) => asked.marks = 0,
            (Flaw::DelegateReuse, _) => asked.marks &= !DELEGATES,
            (Flaw::NotOlder, Act::Register { .. }) if cell.stage == Stage::Disputed => {
                asked.version = cell.version.saturating_sub(1);
            }
            (Flaw::TimerOffByOne, Act::Conclude { waited }) => *waited += 1,
            (Flaw::NoTimer, Act::Conclude { waited }) => *waited = self.challenge,
            (Flaw::SharedSlot, Act::Register { slot, .. }) => {
                let both = 0b11 << (*slot & !1);
                if cell.stage == Stage::Disputed && cell.marks & both != 0 {
                    return false;
                }
            }
            _ => {}
        }
        self.allows(asked, doing)
    }

    fn allows(&self, cell: DisputeCell, act: Act) -> bool {
        let state = |version: u8| self.states.get(usize::from(version)).copied();
        let DisputeCell { stage, marks, version } = cell;
        let Some(stored) = state(version) else { return false };
        let cell = LedgerCell { stage, marks, state: stored };
        let act = match act {
            Act::Register { slot, version } => {
                let Some(state) = state(version) else { return false };
                court::Act::Register { slot, state }
            }
            Act::Conclude { waited } => {
                court::Act::Conclude { waited_secs: u64::from(waited) * TICK_SECS }
            }
        };
        self.court.allows(&cell, &act)
    }
}
