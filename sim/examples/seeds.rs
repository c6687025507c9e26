//! Runs seeds of the two-party simulation: `seeds COUNT [FIRST]`. A seed that breaks a promise
//! prints its number and its story, and the run fails.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use perun_sim::seeded::{Fault, Flaw, court, run};

/// One seed in so many uses real keys.
const REAL_KEYS_EVERY: u64 = 100;
/// How many lines of a story are printed.
const STORY_LINES: usize = 80;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Some(Ok(count)), first) = (numbers.next(), numbers.next()) else {
        eprintln!("usage: seeds COUNT [FIRST]");
        return ExitCode::FAILURE;
    };
    let first = first.and_then(Result::ok).unwrap_or(0);
    let (begun, court) = (Instant::now(), court());
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    let mut faults = [0; Fault::ALL.len()];
    let (mut failed, mut seconds, mut updates) = (0, 0, 0);
    for seed in first..first + count {
        let report = run(seed, &court, seed % REAL_KEYS_EVERY == 0, Flaw::None);
        faults.iter_mut().zip(report.faults).for_each(|(sum, struck)| *sum += struck);
        seconds += report.seconds;
        updates += report.updates;
        match report.ended {
            Ok(outcome) => *outcomes.entry(format!("{outcome:?}")).or_default() += 1,
            Err(breach) => {
                failed += 1;
                println!("seed {seed} ({:?}): {breach}", report.script);
                let skipped = report.story.len().saturating_sub(STORY_LINES);
                report.story.iter().skip(skipped).for_each(|line| println!("    {line}"));
            }
        }
    }
    let years = seconds as f64 / 31_557_600.0;
    println!("{count} seeds in {:.1} s, {failed} failed", begun.elapsed().as_secs_f64());
    println!("{years:.2} years of channel time, {updates} updates, outcomes {outcomes:?}");
    for ((_, name, _), struck) in Fault::ALL.iter().zip(faults) {
        println!("{struck:>10}  {name}");
    }
    println!("{:>10}  faults in all", faults.iter().sum::<u64>());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
