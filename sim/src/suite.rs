//! Which models are run within which bounds, and which planted bugs must be found.

mod swap;

use std::sync::atomic::Ordering;

use perun_protocol::Index;

use crate::contention::ruling::Flaw;
use crate::contention::{Bounds, Contention};
use crate::duel::{self, Duel};
use crate::report::{Row, exhaust, hunt};
pub use swap::{swaps, swaps_tight, swaps_zoo};

/// How much to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Seconds in a debug build.
    Quick,
    /// Minutes in a release build.
    Full,
    /// Everything, in many minutes.
    Deep,
}

/// The properties that a planted bug in a dispute may break.
const DISPUTE: [&str; 4] = [
    "M2 paid at least the floor",
    "L3 hindered at most k times",
    "L1 paid within the bound",
    "A4 versions never fall",
];
const THEFT: &str = DISPUTE[0];

/// K9: the dispute cell under contention.
#[must_use]
pub fn contention(size: Size) -> Vec<Row> {
    let small = Bounds::small();
    let reorg = |reorg, old| Bounds { reorg, old, ahead: 1, decide_by: 1, ..small };
    let quick =
        [small, Bounds { ahead: 1, tower: true, ..small }, Bounds { reaction: 0, ..reorg(2, 1) }];
    let full = [
        Bounds { ahead: 1, ..small },
        Bounds { ahead: 1, old: 10, ..small },
        Bounds { ahead: 1, old: 50, ..small },
        Bounds { ahead: 1, tower: true, old: 10, ..small },
        Bounds { ahead: 2, ..small },
        Bounds { ahead: 3, tower: true, ..small },
        Bounds { inclusion: 4, reaction: 2, ahead: 1, ..small },
        Bounds { decide_by: 2, ..reorg(1, 3) },
        reorg(2, 3),
        Bounds { inclusion: 3, ..reorg(2, 3) },
        Bounds { tower: true, ..reorg(1, 1) },
    ];
    let more = if size == Size::Quick { &[] } else { full.as_slice() };
    let bounds = quick.iter().chain(more);
    bounds
        .map(|bounds| exhaust(Contention::new(*bounds), "K9 dispute cell", &bounds.to_string()))
        .collect()
}

/// The bugs planted into K9's rules and into the honest party's policy.
#[must_use]
pub fn contention_zoo(size: Size) -> Vec<Row> {
    let small = Bounds::small();
    let with = |flaw| Bounds { flaw, ..small };
    let theft: &[&'static str] = &[THEFT];
    let mut zoo = vec![
        ("L2: one tick short", Bounds { short: 1, ..small }, theft),
        ("L2: short, ahead", Bounds { short: 1, ahead: 1, ..small }, theft),
        ("zoo: timer off by one", with(Flaw::TimerOffByOne), theft),
        ("zoo: no timer", with(Flaw::NoTimer), theft),
        ("zoo: not older", with(Flaw::NotOlder), &DISPUTE),
        ("zoo: delegate reuse", with(Flaw::DelegateReuse), &DISPUTE),
        ("zoo: stale refutation", with(Flaw::StaleRefute), theft),
        ("zoo: one slot", Bounds { tower: true, ..with(Flaw::SharedSlot) }, theft),
        ("zoo: newer suffices", with(Flaw::NewerSuffices), &DISPUTE[1..2]),
    ];
    if size != Size::Quick {
        let short = Bounds { reorg: 2, decide_by: 1, short: 1, ..small };
        zoo.push(("L2: short, reorgs", short, theft));
        let trusts = Bounds { reorg: 1, decide_by: 1, ..with(Flaw::TrustsTip) };
        zoo.push(("zoo: trusts the tip", trusts, theft));
    }
    zoo.into_iter()
        .map(|(name, bounds, aims)| hunt(Contention::new(bounds), name, &bounds.to_string(), aims))
        .collect()
}

/// How often the honest party is hindered if a strictly newer version were enough to register, by
/// the number of old states: the whole world is visited, and the most is taken.
#[must_use]
pub fn wedging(old: u8) -> (Row, u8) {
    let flaw = Flaw::NewerSuffices;
    let bounds = Bounds { old, inclusion: 0, reaction: 0, decide_by: 1, flaw, ..Bounds::small() };
    let model = Contention::new(bounds);
    let measured = model.measured.clone();
    let mut row = exhaust(model, "K9 newer suffices", &bounds.to_string());
    let hindered = measured.hindered.load(Ordering::Relaxed);
    // What must fail here does; a run in which it held would have checked nothing.
    row.failures = match hindered > bounds.slots() {
        true => Vec::new(),
        false => vec!["PLANTED BUG NOT FOUND".to_owned()],
    };
    row.caught = Some("L3 hindered at most k times");
    (row, hindered)
}

/// K1: two parties, one honest.
#[must_use]
pub fn duel(size: Size) -> Vec<Row> {
    let small = duel::Bounds { closes: false, ..duel::Bounds::small(Index::Zero) };
    let one = duel::Bounds { honest: Index::One, ..small };
    let closing = |bounds| duel::Bounds { closes: true, ..bounds };
    let quick = [one, closing(one)];
    let full = [
        small,
        one,
        closing(small),
        closing(one),
        duel::Bounds { reaction: 1, ..small },
        duel::Bounds { inclusion: 2, ..one },
        duel::Bounds { talk: 2, ..small },
        duel::Bounds { payments: 2, ..small },
        duel::Bounds { versions: 3, payments: 2, ..one },
        duel::Bounds { versions: 3, payments: 2, tower: true, ..small },
        duel::Bounds { inclusion: 2, reaction: 1, ..one },
        duel::Bounds { inclusion: 2, reaction: 1, versions: 3, payments: 2, ..small },
        duel::Bounds { inclusion: 2, reaction: 1, versions: 3, payments: 2, talk: 2, ..one },
    ];
    let bounds = if size == Size::Quick { quick.as_slice() } else { full.as_slice() };
    let run = |bounds: &duel::Bounds| {
        let name = if bounds.closes { "K1 duel, closing" } else { "K1 duel" };
        exhaust(Duel::new(*bounds), name, &bounds.to_string())
    };
    bounds.iter().map(run).collect()
}

/// The bugs planted beside K1's machine.
#[must_use]
pub fn duel_zoo() -> Vec<Row> {
    let small = duel::Bounds { closes: false, ..duel::Bounds::small(Index::Zero) };
    let with = |flaw| duel::Bounds { flaw, ..small };
    [
        ("L2: one tick short", duel::Bounds { short: 1, ..small }),
        ("L2: one tick short", duel::Bounds { short: 1, honest: Index::One, ..small }),
        ("zoo: no timer", with(duel::Flaw::NoTimer)),
        ("zoo: believes all", with(duel::Flaw::BelievesSignatures)),
        ("zoo: registers first", with(duel::Flaw::RegistersFirst)),
    ]
    .into_iter()
    .map(|(name, bounds)| hunt(Duel::new(bounds), name, &bounds.to_string(), &[THEFT]))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hindrances_do_not_grow_with_old_states() {
        for row in contention(Size::Quick) {
            assert!(row.passed(), "{row}\n{:#?}", row.story);
        }
    }

    #[test]
    fn the_machine_wins_every_duel() {
        for row in duel(Size::Quick) {
            assert!(row.passed(), "{row}\n{:#?}", row.story);
        }
    }

    #[test]
    fn planted_duel_bugs_are_found() {
        for row in duel_zoo() {
            assert!(row.passed(), "{row}");
        }
    }

    #[test]
    fn planted_dispute_bugs_are_found() {
        for row in contention_zoo(Size::Quick) {
            assert!(row.passed(), "{row}");
        }
    }

    #[test]
    fn nobody_loses_by_a_swap() {
        for row in swaps(Size::Quick) {
            assert!(row.passed(), "{row}\n{:#?}", row.story);
        }
    }

    #[test]
    fn no_deadline_of_a_swap_is_longer_than_it_must_be() {
        for row in swaps_tight(Size::Quick) {
            assert!(row.passed(), "{row}");
        }
    }

    #[test]
    fn planted_swap_bugs_are_found() {
        for row in swaps_zoo(Size::Quick) {
            assert!(row.passed(), "{row}");
        }
    }

    #[test]
    fn without_slots_hindrances_grow_with_old_states() {
        let [few, more] = [wedging(3), wedging(6)];
        assert!(few.1 > 3 && more.1 > 6, "{} and {}", few.1, more.1);
    }
}
