//! The ideal channel: one that cannot cheat, and what honest parties of a real one may be shown.
//!
//! It is told what honest parties sign, hold, decide and receive, and answers with the first
//! promise that is broken. It knows no messages, machines, transactions or blocks, and was written
//! from the properties of the assurance plan alone: the numbers of [`Breach`] are theirs. What the
//! corrupted do is not reported to it; it follows from what the honest ones see.

use core::fmt;
use std::collections::BTreeMap;

use crate::court::Outline;

/// A promise that a run has broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Breach {
    /// A2: the ledger accepted a state that some honest party never signed.
    Unsigned,
    /// A3: an honest party signed two different states with one version.
    Equivocation,
    /// A4: the versions that an honest party signs for the first time do not rise.
    VersionFell,
    /// A4: the registered version fell, or something happened after the end.
    RegisteredFell,
    /// A5: honest parties were told different outcomes.
    OtherOutcome,
    /// M1: a state's balances are not what was deposited.
    Conservation,
    /// M2: an honest party was paid less than its floor.
    BelowFloor,
    /// M4: a party was paid twice.
    PaidTwice,
    /// L1: an honest party that decided to leave was not paid in time.
    Late,
    /// L6: a proposal between honest parties with a working link stayed without an answer.
    Unanswered,
    /// D1: something was signed that the journal would not remember.
    Unrecorded,
    /// D2: after a crash a party knew less, or more, than its journal.
    Recovery,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = match self {
            Self::Unsigned => "A2: the ledger accepted what an honest party never signed",
            Self::Equivocation => "A3: two states with one version were signed",
            Self::VersionFell => "A4: signed versions fell",
            Self::RegisteredFell => "A4: the registered version fell",
            Self::OtherOutcome => "A5: two outcomes were reported",
            Self::Conservation => "M1: a state holds more or less than was deposited",
            Self::BelowFloor => "M2: an honest party was paid less than its floor",
            Self::PaidTwice => "M4: a party was paid twice",
            Self::Late => "L1: a leaving party was not paid in time",
            Self::Unanswered => "L6: a proposal stayed without an answer",
            Self::Unrecorded => "D1: a signature left before its record was durable",
            Self::Recovery => "D2: recovery lost or invented something",
        };
        f.write_str(rule)
    }
}

/// What one honest party has done, as far as promises depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Party {
    /// Every state it signed, by version.
    signed: BTreeMap<u64, Outline>,
    /// The newest state of which it holds all signatures; version 0 needs none.
    last: Outline,
    /// When it decided to leave, and how long it may take from there.
    leaving: Option<(u64, u64)>,
    /// The least it must be paid, fixed when the dispute or the close begins.
    floor: Option<u64>,
    /// The outcome that it was told.
    told: Option<Outline>,
}

/// The ideal channel of two parties and one asset.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ideal {
    deposited: u64,
    initial: Outline,
    /// Nothing for a corrupted party: whatever happens to it is its own affair.
    parties: [Option<Party>; 2],
    registered: Option<u64>,
    paid: Option<Outline>,
}

impl Ideal {
    /// A channel that begins with `initial`, fully funded. `honest`: who keeps to the protocol.
    #[must_use]
    pub fn new(initial: Outline, honest: [bool; 2]) -> Self {
        let party = |is_honest: bool| {
            is_honest.then(|| Party {
                signed: BTreeMap::from([(initial.version, initial)]),
                last: initial,
                leaving: None,
                floor: None,
                told: None,
            })
        };
        Self {
            deposited: initial.balances.iter().sum(),
            initial,
            parties: honest.map(party),
            registered: None,
            paid: None,
        }
    }

    /// An honest party signs a state; the same one as often as it likes.
    pub fn signs(&mut self, who: usize, state: Outline) -> Result<(), Breach> {
        if state.balances.iter().sum::<u64>() != self.deposited {
            return Err(Breach::Conservation);
        }
        let Some(party) = &mut self.parties[who] else { return Ok(()) };
        match party.signed.get(&state.version) {
            Some(known) if *known == state => return Ok(()),
            Some(_) => return Err(Breach::Equivocation),
            None => {}
        }
        if party.signed.last_key_value().is_some_and(|(newest, _)| *newest > state.version) {
            return Err(Breach::VersionFell);
        }
        party.signed.insert(state.version, state);
        Ok(())
    }

    /// An honest party holds a state with all signatures. Nobody can make it go back.
    pub fn holds(&mut self, who: usize, state: Outline) -> Result<(), Breach> {
        self.is_signed_by_all(&state)?;
        let Some(party) = &mut self.parties[who] else { return Ok(()) };
        if state.version < party.last.version {
            return Err(Breach::VersionFell);
        }
        party.last = state;
        Ok(())
    }

    /// An honest party decides to leave, or is made to; it is paid within `bound`.
    pub fn leaves(&mut self, who: usize, now: u64, bound: u64) {
        let Some(party) = &mut self.parties[who] else { return };
        party.leaving.get_or_insert((now, bound));
        party.floor = party.floor.or(Some(party.least(who)));
    }

    /// The ledger accepted a registration.
    pub fn registers(&mut self, state: Outline) -> Result<(), Breach> {
        self.is_signed_by_all(&state)?;
        if self.paid.is_some() || self.registered.is_some_and(|version| version > state.version) {
            return Err(Breach::RegisteredFell);
        }
        self.registered = Some(state.version);
        Ok(())
    }

    /// The ledger paid everybody according to a state.
    pub fn pays(&mut self, state: Outline) -> Result<(), Breach> {
        self.is_signed_by_all(&state)?;
        if self.paid.is_some() {
            return Err(Breach::PaidTwice);
        }
        if state.balances.iter().sum::<u64>() != self.deposited {
            return Err(Breach::Conservation);
        }
        self.paid = Some(state);
        let below = |(who, party): (usize, &Option<Party>)| {
            let Some(party) = party else { return false };
            state.balances[who] < party.floor.unwrap_or_else(|| party.least(who))
        };
        if self.parties.iter().enumerate().any(below) { Err(Breach::BelowFloor) } else { Ok(()) }
    }

    /// A reorganisation took back what the ledger had done since `earlier`.
    pub const fn reverts(&mut self, registered: Option<u64>, paid: Option<Outline>) {
        self.registered = registered;
        self.paid = paid;
    }

    /// What the ledger has done so far: the registered version, and the outcome if it is paid.
    #[must_use]
    pub const fn ledger(&self) -> (Option<u64>, Option<Outline>) {
        (self.registered, self.paid)
    }

    /// An honest party tells its user that the channel is settled.
    pub fn tells(&mut self, who: usize, outcome: Outline) -> Result<(), Breach> {
        let others = self.parties.iter().flatten().filter_map(|party| party.told);
        if others.chain(self.paid).any(|told| told != outcome) {
            return Err(Breach::OtherOutcome);
        }
        if let Some(party) = &mut self.parties[who] {
            party.told = Some(outcome);
        }
        Ok(())
    }

    /// Time passes.
    pub fn passes(&self, now: u64) -> Result<(), Breach> {
        let late = |party: &Party| party.leaving.is_some_and(|(since, bound)| now > since + bound);
        let waits = self.paid.is_none() && self.parties.iter().flatten().any(late);
        if waits { Err(Breach::Late) } else { Ok(()) }
    }

    /// What an honest party can count on now: its part of the worst state that could still stand.
    #[must_use]
    pub fn floor(&self, who: usize) -> Option<u64> {
        let party = self.parties[who].as_ref()?;
        Some(party.floor.unwrap_or_else(|| party.least(who)))
    }

    /// How many states an honest party has signed beyond its newest complete one.
    #[must_use]
    pub fn ahead(&self, who: usize) -> usize {
        self.parties[who].as_ref().map_or(0, |party| party.ahead().count())
    }

    /// The newest state that an honest party holds with all signatures.
    #[must_use]
    pub fn last(&self, who: usize) -> Option<Outline> {
        self.parties[who].as_ref().map(|party| party.last)
    }

    fn is_signed_by_all(&self, state: &Outline) -> Result<(), Breach> {
        let by = |party: &Party| party.signed.get(&state.version) == Some(state);
        let known = *state == self.initial || self.parties.iter().flatten().all(by);
        if known { Ok(()) } else { Err(Breach::Unsigned) }
    }
}

impl Party {
    /// The states that it signed beyond its newest complete one: in flight, or refused by the peer,
    /// who has the signature all the same.
    fn ahead(&self) -> impl Iterator<Item = &Outline> {
        let above = (core::ops::Bound::Excluded(self.last.version), core::ops::Bound::Unbounded);
        self.signed.range(above).map(|(_, state)| state)
    }

    fn least(&self, who: usize) -> u64 {
        let worst = self.ahead().map(|state| state.balances[who]).min();
        let last = self.last.balances[who];
        worst.map_or(last, |worst| worst.min(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(version: u64, mine: u64) -> Outline {
        Outline { version, balances: [mine, 3 - mine], is_final: false }
    }

    fn channel() -> Ideal {
        Ideal::new(state(0, 1), [true, false])
    }

    #[test]
    fn a3_two_states_with_one_version_are_seen() {
        let mut ideal = channel();
        assert_eq!(ideal.signs(0, state(1, 2)), Ok(()));
        assert_eq!(ideal.signs(0, state(1, 2)), Ok(()));
        assert_eq!(ideal.signs(0, state(1, 3)), Err(Breach::Equivocation));
    }

    #[test]
    fn m2_the_floor_is_the_worst_state_that_could_stand() {
        let mut ideal = channel();
        for signed in [state(1, 3), state(2, 2)] {
            assert_eq!(ideal.signs(0, signed), Ok(()));
        }
        assert_eq!(ideal.holds(0, state(1, 3)), Ok(()));
        assert_eq!((ideal.floor(0), ideal.ahead(0)), (Some(2), 1));
        assert_eq!(ideal.clone().pays(state(2, 2)), Ok(()));
        assert_eq!(ideal.pays(state(0, 1)), Err(Breach::BelowFloor));
    }

    #[test]
    fn a2_nobody_registers_what_the_honest_did_not_sign() {
        let mut ideal = channel();
        assert_eq!(ideal.registers(state(1, 0)), Err(Breach::Unsigned));
        assert_eq!(ideal.registers(state(0, 1)), Ok(()));
    }

    #[test]
    fn a4_the_registered_version_never_falls() {
        let mut ideal = channel();
        assert_eq!(ideal.signs(0, state(1, 2)), Ok(()));
        assert_eq!(ideal.registers(state(1, 2)), Ok(()));
        assert_eq!(ideal.registers(state(0, 1)), Err(Breach::RegisteredFell));
    }

    #[test]
    fn l1_a_leaving_party_is_paid_in_time() {
        let mut ideal = channel();
        ideal.leaves(0, 5, 10);
        assert_eq!(ideal.passes(15), Ok(()));
        assert_eq!(ideal.passes(16), Err(Breach::Late));
        assert_eq!(ideal.pays(state(0, 1)), Ok(()));
        assert_eq!(ideal.passes(16), Ok(()));
        assert_eq!(ideal.pays(state(0, 1)), Err(Breach::PaidTwice));
    }

    #[test]
    fn a5_all_are_told_the_same_outcome() {
        let mut ideal = Ideal::new(state(0, 1), [true, true]);
        assert_eq!(ideal.tells(0, state(0, 1)), Ok(()));
        assert_eq!(ideal.tells(1, state(1, 1)), Err(Breach::OtherOutcome));
    }
}
