//! What must hold in every state, and what must be seen in some.

use stateright::Property;

use super::Swap;
use super::law::Decision;
use super::terms::{Cast, Flaw};
use super::world::{P, Paper, Phase, Q, World, X, Y};

/// P-X2, the property that the swap exists for.
pub const SWAP: &str = "X2 gave only if it got";
/// P-M2 over both ledgers.
pub const FLOOR: &str = "M2 paid the newest it holds";
/// P-L1.
pub const EXIT: &str = "L1 settled within the bound";
/// P-A3.
pub const TWICE: &str = "A3 never two of one version";

impl Swap {
    /// Whether what this honest party is paid is at least what it owns in `paper`, on each ledger.
    fn paid(&self, ends: &[(Paper, Decision); 2], who: usize, paper: Paper) -> bool {
        let gives = if who == P { Y } else { X };
        [X, Y].into_iter().all(|ledger| {
            let (mut end, how) = ends[ledger];
            if end == Paper::Half && how == Decision::LegsMove {
                end = Paper::Swapped;
            }
            end.owns(gives)[ledger] >= paper.owns(gives)[ledger]
        })
    }

    fn all_paid(&self, world: &World, paper: impl Fn(usize) -> &'static [Paper]) -> bool {
        let Some(ends) = world.settled() else { return true };
        let mut parties = self.bounds.cast.parties();
        parties.all(|who| paper(who).iter().any(|paper| self.paid(&ends, who, *paper)))
    }

    /// The states one of which an honest party must be paid, because it holds it and nothing newer.
    fn floor(&self, world: &World, who: usize) -> &'static [Paper] {
        match world.parties[who].holds {
            Paper::Swapped => &[Paper::Swapped],
            Paper::Cancelled => &[Paper::Cancelled],
            Paper::PaidSwapped => &[Paper::PaidSwapped],
            Paper::PaidCancelled => &[Paper::PaidCancelled],
            _ => &[Paper::Agreed, Paper::Swapped],
        }
    }

    fn ended(world: &World, end: (Paper, Decision)) -> bool {
        world.settled().is_some_and(|ends| ends == [end, end])
    }

    /// Whether a block is complete in which everything should be settled, short of the bound by
    /// `short`.
    fn due(&self, world: &World, short: u8) -> bool {
        if !self.bounds.exit {
            let left = self.leave_by + self.bounds.reaction;
            return self.past(world, self.bounds.settled_by(left) - short);
        }
        let mut left = self.bounds.cast.parties().map(|who| &world.parties[who]);
        left.any(|party| {
            party.frozen && self.past(world, self.bounds.settled_by(party.left) - short)
        })
    }

    /// Past this tick there is nothing to learn.
    pub(super) fn horizon(&self) -> u8 {
        let last = self.bounds.settled_by(self.leave_by + self.bounds.reaction);
        last.max(self.expiries[Y]) + 2
    }

    pub(super) fn aims(&self) -> Vec<Property<Self>> {
        let mut aims = vec![
            Property::always(SWAP, |model: &Self, world: &World| {
                model.all_paid(world, |_| &[Paper::Agreed, Paper::Swapped])
            }),
            Property::always(FLOOR, |model: &Self, world: &World| {
                model.all_paid(world, |who| model.floor(world, who))
            }),
            Property::always(TWICE, |model: &Self, world: &World| {
                let both = Paper::Swapped.bit() | Paper::Cancelled.bit();
                model.bounds.cast.parties().all(|who| world.parties[who].signed & both != both)
            }),
            Property::always(EXIT, |model: &Self, world: &World| {
                !model.due(world, 0) || world.settled().is_some()
            }),
            Property::sometimes("X2 swapped by agreement", |_: &Self, world: &World| {
                Self::ended(world, (Paper::Swapped, Decision::AsWritten))
            }),
            Property::sometimes("X2 swapped by claims", |_: &Self, world: &World| {
                Self::ended(world, (Paper::Half, Decision::LegsMove))
            }),
            Property::sometimes("X2 refunded on both", |_: &Self, world: &World| {
                Self::ended(world, (Paper::Half, Decision::LegsStay))
            }),
            Property::sometimes("X2 taken back", |_: &Self, world: &World| {
                Self::ended(world, (Paper::Cancelled, Decision::AsWritten))
            }),
            Property::sometimes("X2 never begun", |_: &Self, world: &World| {
                Self::ended(world, (Paper::Agreed, Decision::AsWritten))
            }),
        ];
        if self.bounds.cast != Cast::Both {
            aims.extend(Self::crimes_seen());
        }
        if self.bounds.cast == Cast::HonestP {
            aims.push(Property::sometimes(
                "X2 a claim here, v+1 there",
                |_: &Self, world: &World| {
                    let claimed = (Paper::Half, Decision::LegsMove);
                    let agreed = (Paper::Swapped, Decision::AsWritten);
                    world.settled() == Some([claimed, agreed])
                },
            ));
        }
        if self.bounds.exit && self.bounds.cast != Cast::Both {
            aims.push(Property::sometimes(
                "L1 the bound is attained",
                |model: &Self, world: &World| model.due(world, 1) && world.settled().is_none(),
            ));
        }
        aims
    }

    /// That the cheater really tried.
    fn crimes_seen() -> Vec<Property<Self>> {
        vec![
            Property::sometimes("M2 paid what came after", |_: &Self, world: &World| {
                Self::ended(world, (Paper::PaidSwapped, Decision::AsWritten))
            }),
            Property::sometimes("M2 old against newest", |_: &Self, world: &World| {
                let [x, y] = &world.ledgers;
                let out = world.leaked || world.parties[Q].shows;
                out && (is_old(x.phase) || is_old(y.phase))
            }),
            Property::sometimes("X2 the cheater's own loss", |model: &Self, world: &World| {
                let kept = (Paper::Half, Decision::LegsStay);
                let moved = (Paper::Half, Decision::LegsMove);
                let ends = match model.bounds.cast {
                    Cast::HonestP => [moved, kept],
                    _ => [kept, moved],
                };
                world.settled() == Some(ends)
            }),
        ]
    }

    /// What a planted bug may break, first what it should.
    #[must_use]
    pub fn aims_of(flaw: Flaw) -> &'static [&'static str] {
        match flaw {
            Flaw::NeverRefunds => &[EXIT],
            _ => &[SWAP, FLOOR],
        }
    }
}

/// Whether a state from before the swap is registered.
const fn is_old(phase: Phase) -> bool {
    matches!(phase, Phase::Disputed { paper: Paper::Older | Paper::Old | Paper::Agreed, .. })
}
