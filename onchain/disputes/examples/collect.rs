//! Prints a corpus: for every way in which a step can end on a ledger (accepted, or refused for one
//! fault and no other), a small dispute in which it does. The argument says how many seeds are
//! looked through. By the rules alone, which is quick; the test shows the corpus to all judges.

use std::collections::BTreeSet;

use perun_disputes::tape::{recorded, shrink};
use perun_disputes::{CKB_LAW, Census, Clerks, EVM_LAW, trial};

fn main() {
    let seeds = std::env::args().nth(1).and_then(|seeds| seeds.parse().ok()).unwrap_or(1_000);
    let mut known = BTreeSet::new();
    for seed in 0..seeds {
        let tape = recorded(seed);
        for what in census(&tape).into_keys() {
            if known.contains(&what) || what.contains(',') {
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
    let clerks = Clerks { evm: EVM_LAW, ckb: CKB_LAW };
    if let Err(difference) = trial(tape, &clerks, &mut census) {
        panic!("the rules differ from themselves: {difference}");
    }
    census
}
