//! Whole lives of a channel from a seed: two real machines, two real journals, a bad network, a
//! ledger that uses the real verdict, and a peer who may cheat.
//!
//! A seed draws which faults there are and who misbehaves how. The ideal channel is told
//! everything that honest parties sign, hold and are told, and finds what must not happen. After
//! the time of faults everything heals, everybody is asked to leave, and must be paid within the
//! bound.

mod chain;
mod cheat;
mod dice;
mod faults;
mod house;
mod life;
mod net;

pub use cheat::Script;
pub use faults::Fault;
pub use house::Flaw;
pub use life::{Outcome, Report, court, run};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ideal::Breach;

    #[test]
    fn fifty_seeds_keep_every_promise() {
        let court = court();
        for seed in 0..50 {
            let report = run(seed, &court, seed % 25 == 0, Flaw::None);
            let Report { ended, script, story, .. } = &report;
            assert!(ended.is_ok(), "seed {seed} ({script:?}): {ended:?}\n{}", story.join("\n"));
        }
    }

    #[test]
    fn a_seed_replays_exactly() {
        let court = court();
        let [one, again] = [0, 0].map(|_| run(7, &court, false, Flaw::None).story);
        assert!(!one.is_empty());
        assert_eq!(one, again);
    }

    /// The breaches that a planted bug causes in seeds that are fine without it.
    fn breaches(flaw: Flaw) -> Vec<Breach> {
        let court = court();
        let breach = |seed| run(seed, &court, false, flaw).ended.err();
        let is_fine = |seed: &u64| run(*seed, &court, false, Flaw::None).ended.is_ok();
        (0..400).filter(is_fine).filter_map(breach).collect()
    }

    #[test]
    fn a_host_that_releases_before_it_records_is_caught() {
        let breaches = breaches(Flaw::ReleasesFirst);
        assert!(breaches.contains(&Breach::Equivocation), "{breaches:?}");
    }

    #[test]
    fn a_host_that_forgets_its_records_is_caught() {
        let breaches = breaches(Flaw::ForgetsRecords);
        assert!(breaches.contains(&Breach::BelowFloor), "{breaches:?}");
    }

    #[test]
    fn a_host_that_looks_away_is_caught() {
        let breaches = breaches(Flaw::LooksAway);
        assert!(breaches.contains(&Breach::BelowFloor), "{breaches:?}");
    }
}
