//! One party's host: the real machine, a real journal on a disk that forgets, and nothing else.
//!
//! It does what every host must: decide, record, wait for the disk, apply, and only then let
//! effects out. A crash can come between any two of these, and takes with it whatever was not
//! synced.

use perun_channel::codec::{Decode, Encode};
use perun_protocol::{Config, Crypto, Effect, Input, Machine, OpeningId, PhaseName, Record, Time};
use perun_store::{
    Batch, Durability, Journal, MemoryDisk, OpenMode, StreamId, Survival, Trouble, open,
};

use super::dice::Dice;
use super::faults::{Fault, Faults};
use crate::ideal::Breach;

const STREAM: StreamId = StreamId([1; 32]);

/// A bug planted into the host, to see whether the oracle would find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// None.
    None,
    /// Effects leave before their records are durable.
    ReleasesFirst,
    /// Records are applied and never stored.
    ForgetsRecords,
    /// The machine never hears of the ledger again once the channel is open.
    LooksAway,
}

/// One party's host.
pub(super) struct House {
    /// The machine.
    pub(super) machine: Machine,
    opening: OpeningId,
    config: Config,
    disks: [MemoryDisk; 2],
    journal: Journal,
    flaw: Flaw,
    /// How many records the last input had; they may or may not have reached the disk.
    recording: usize,
    /// Until when it is down, if it is.
    pub(super) down_until: Option<u64>,
}

/// What came of one input.
pub(super) struct Outcome {
    /// The effects that got out.
    pub(super) effects: Vec<Effect>,
    /// Whether the process ended then.
    pub(super) crashed: bool,
}

impl House {
    /// A host with an empty disk.
    ///
    /// # Panics
    /// If an empty disk cannot be opened.
    #[must_use]
    pub(super) fn new(opening: OpeningId, config: Config, flaw: Flaw) -> Self {
        let disks = [MemoryDisk::new(), MemoryDisk::new()];
        let journal = Self::reopen(&disks).0;
        let machine = Machine::new(opening, config);
        Self { machine, opening, config, disks, journal, flaw, recording: 0, down_until: None }
    }

    fn reopen(disks: &[MemoryDisk; 2]) -> (Journal, Vec<Vec<u8>>) {
        let [journal, mark] = disks.clone().map(Box::new);
        let opened = open(journal, mark, [2; 16], OpenMode::Strict, Durability::Full)
            .expect("what was synced opens again");
        let records = opened.streams.get(&STREAM).map(|stream| stream.records.clone());
        (opened.journal, records.unwrap_or_default())
    }

    /// Takes an input. The dice may end the process at any point.
    pub(super) fn take(
        &mut self,
        crypto: &dyn Crypto,
        now: Time,
        input: Input,
        dice: &mut Dice,
        faults: &mut Faults,
    ) -> Outcome {
        let nothing = Outcome { effects: Vec::new(), crashed: false };
        let Ok(step) = self.machine.step_with(crypto, now, input) else { return nothing };
        if step.records.is_empty() {
            return self.effects_out(step.effects, dice, faults);
        }
        let tears = faults.strike(Fault::CrashRecord, dice);
        if tears {
            self.disks[dice.place(2)].plan(Trouble::FreezeAt(dice.below(3)));
        }
        self.recording = step.records.len();
        let stores = self.flaw != Flaw::ForgetsRecords;
        let batch = step
            .records
            .iter()
            .filter(|_| stores)
            .fold(Batch::new(), |batch, record| batch.record(STREAM, record.to_bytes()));
        match self.journal.commit(batch, step.effects.clone()) {
            Ok(committed) => {
                step.records.iter().for_each(|record| self.machine.apply(record));
                let mut outcome = self.effects_out(committed.release(), dice, faults);
                outcome.crashed |= tears;
                outcome
            }
            Err(_) if self.flaw == Flaw::ReleasesFirst => {
                Outcome { effects: step.effects, crashed: true }
            }
            Err(_) => Outcome { effects: Vec::new(), crashed: true },
        }
    }

    fn effects_out(&self, effects: Vec<Effect>, dice: &mut Dice, faults: &mut Faults) -> Outcome {
        if faults.strike(Fault::CrashEffect, dice) {
            let kept = dice.place(effects.len() + 1);
            let effects = effects.into_iter().take(kept).collect();
            return Outcome { effects, crashed: true };
        }
        Outcome { effects, crashed: false }
    }

    /// The process ended and the machine it ran on perhaps too; a new one reads the journal.
    ///
    /// D2: what it then knows is what it knew, and at most what it was just recording.
    pub(super) fn recover(&mut self, dice: &mut Dice) -> Result<(), Breach> {
        let survival = match dice.below(3) {
            0 => Survival::Synced,
            1 => Survival::Prefix(dice.below(200)),
            _ => Survival::All,
        };
        self.disks.iter().for_each(|disk| disk.crash(survival));
        let (journal, records) = Self::reopen(&self.disks);
        self.journal = journal;
        let mut machine = Machine::new(self.opening, self.config);
        let total = records.len();
        let mut known = (machine == self.machine).then_some(0);
        for (count, record) in (1..).zip(records) {
            let record = Record::from_bytes(&record).map_err(|_| Breach::Recovery)?;
            machine.apply(&record);
            known = if machine == self.machine { Some(count) } else { known };
        }
        self.machine = machine;
        let invented = known.map(|known| total - known);
        let faithful = invented.is_some_and(|invented| invented <= self.recording);
        // With a planted bug the oracle is meant to find out by itself.
        if faithful || self.flaw != Flaw::None { Ok(()) } else { Err(Breach::Recovery) }
    }

    /// Whether the process runs.
    #[must_use]
    pub(super) const fn is_up(&self) -> bool {
        self.down_until.is_none()
    }

    /// Whether the ledger's news reach the machine.
    #[must_use]
    pub(super) fn looks(&self) -> bool {
        self.flaw != Flaw::LooksAway || self.machine.phase() < PhaseName::Open
    }
}
