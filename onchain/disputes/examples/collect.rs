//! Prints a corpus: for everything that can happen to a step on a ledger, the smallest dispute in
//! which it was seen among the seeds from 0 on. The argument says how many seeds.

use std::collections::BTreeSet;

use perun_disputes::tape::{recorded, shrink};
use perun_disputes::{Census, Committed, trial};

fn main() {
    let seeds = std::env::args().nth(1).and_then(|seeds| seeds.parse().ok()).unwrap_or(1_000);
    let mut known = BTreeSet::new();
    for seed in 0..seeds {
        let tape = recorded(seed);
        for what in census(&tape).into_keys() {
            if known.contains(&what) {
                continue;
            }
            let small = shrink(&tape, |tape| census(tape).contains_key(&what));
            known.extend(census(&small).into_keys());
            let hex: String = small.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("{}  {what}", if hex.is_empty() { "00" } else { &hex });
        }
    }
}

fn census(tape: &[u8]) -> Census {
    let mut census = Census::new();
    if let Err(difference) = trial(tape, &Committed, &mut census) {
        panic!("a difference: {difference}");
    }
    census
}
