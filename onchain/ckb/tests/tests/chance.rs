//! Random healthy transactions, randomly damaged: both judges agree on each, every script ends by
//! itself with a known code, and what is accepted wrongs nobody (I1–I10, I13, I14).
//!
//! Quick by default; a hundred thousand with the feature `long`. `PERUN_SEED` repeats one run,
//! which is what a failure asks for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use perun_channel::adjudicator::Code;
use perun_onchain_tests::mutate::{damage, healthy, tear};
use perun_onchain_tests::{Draw, Sketch};

/// How many transactions each test damages.
const RUNS: u64 = if cfg!(feature = "long") { 55_000 } else { 400 };
/// How many it leaves alone.
const HEALTHY: u64 = RUNS / 6;
/// Where the seeds of each test begin.
const DAMAGED: u64 = 1 << 32;
const TORN: u64 = 1 << 33;

/// Runs a test on many seeds, on two threads, and names the seed that fails.
fn on_many_seeds(
    name: &str,
    seeds: Range<u64>,
    test: impl Fn(&mut Draw) -> Result<(), Code> + Sync,
) {
    if let Some(seed) = std::env::var("PERUN_SEED").ok().and_then(|seed| seed.parse().ok()) {
        test(&mut Draw::new(seed)).ok();
        return;
    }
    let counts = std::sync::Mutex::new(BTreeMap::<String, u64>::new());
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (test, counts, seeds) = (&test, &counts, &seeds);
            scope.spawn(move || {
                for seed in seeds.clone().filter(|seed| seed % 2 == thread) {
                    let ended = catch_unwind(AssertUnwindSafe(|| test(&mut Draw::new(seed))));
                    match ended {
                        Ok(verdict) => {
                            let key = format!("{verdict:?}");
                            *counts.lock().unwrap().entry(key).or_default() += 1;
                        }
                        Err(panic) => {
                            eprintln!("{name}: repeat with PERUN_SEED={seed}");
                            resume_unwind(panic);
                        }
                    }
                }
            });
        }
    });
    println!("{name}: {:#?}", counts.into_inner().unwrap());
}

#[test]
fn healthy_transactions_are_accepted() {
    on_many_seeds("healthy", 0..HEALTHY, |draw| {
        let mut story = healthy(draw);
        let verdict = story.trial().verdict;
        assert_eq!(verdict, Ok(()));
        verdict
    });
}

#[test]
fn damaged_transactions_wrong_nobody() {
    on_many_seeds("damaged", DAMAGED..DAMAGED + RUNS, |draw| {
        let mut story = healthy(draw);
        for _ in 0..=draw.below(3) {
            damage(&mut story, draw);
        }
        // The trial reviews what is accepted.
        story.trial().verdict
    });
}

#[test]
fn torn_transactions_wrong_nobody() {
    on_many_seeds("torn", TORN..TORN + RUNS, |draw| {
        let mut story = healthy(draw);
        if draw.one_in(4) {
            damage(&mut story, draw);
        }
        let mut sketch: Sketch = story.seal();
        for _ in 0..=draw.below(2) {
            tear(&mut sketch, draw);
        }
        let verdict = sketch.trial().verdict;
        if verdict.is_ok() {
            assert_eq!(story.oracle.review(&sketch), Ok(()), "accepted, and yet");
        }
        verdict
    });
}

/// The oracle is awake: what the verdict refuses for the money's sake, it finds wrong on its own.
#[test]
fn the_oracle_sees_what_the_verdict_sees() {
    // Not `VaultOutputs`: a stray cell under a vault lock is refused as well, and costs its maker
    // only.
    const MONEY: [Code; 5] =
        [Code::Underpaid, Code::Since, Code::ChannelCapacity, Code::VaultInputs, Code::Unexpired];
    on_many_seeds("oracle", DAMAGED..DAMAGED + RUNS / 6, |draw| {
        let mut story = healthy(draw);
        damage(&mut story, draw);
        let sketch = story.seal();
        let verdict = sketch.trial().verdict;
        if verdict.is_err_and(|code| MONEY.contains(&code)) {
            assert_ne!(story.oracle.review(&sketch), Ok(()), "{verdict:?}");
        }
        verdict
    });
}
