//! No difference between the three judges: on the corpus, on the committed seed, and on as many
//! disputes as somebody asks for (`PERUN_DISPUTES`, from number `PERUN_FIRST` on).

use std::time::Instant;

use perun_disputes::{Census, Committed, report, search, trial};

/// Where the seeds of the committed run begin.
const SEED: u64 = 1 << 40;
/// How many disputes it has.
const RUNS: u64 = if cfg!(feature = "long") { 100_000 } else { 120 };

fn asked(name: &str, unless: u64) -> u64 {
    match std::env::var(name) {
        Ok(number) => number.parse().unwrap_or_else(|_| panic!("{name} is a number of disputes")),
        Err(_) => unless,
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let lines = include_str!("../corpus.txt").lines().filter(|line| !line.starts_with('#'));
    let hex = lines.filter_map(|line| line.split_whitespace().next());
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("hexadecimal");
        u8::from_str_radix(pair, 16).expect("hexadecimal")
    };
    hex.map(|hex| hex.as_bytes().chunks(2).map(byte).collect()).collect()
}

#[test]
fn judges_agree_on_the_corpus() {
    let mut census = Census::new();
    for tape in corpus() {
        if trial(&tape, &Committed, &mut census).is_err() {
            panic!("{}", report(&tape, &Committed).1);
        }
    }
    // The corpus is worth its time only if what it has is seen.
    for ledger in ["CKB", "Ethereum"] {
        for act in ["register", "conclude", "close"] {
            let accepted = format!("{ledger} {act}: accepted");
            assert!(census.contains_key(&accepted), "no dispute with {accepted}");
        }
    }
    assert!(census.len() >= 40, "only so much happens: {census:#?}");
}

#[test]
fn judges_agree_on_the_committed_seed() {
    let (runs, first) = (asked("PERUN_DISPUTES", RUNS), SEED + asked("PERUN_FIRST", 0));
    let start = Instant::now();
    match search(first..first + runs, &Committed) {
        Ok(census) => {
            let seconds = start.elapsed().as_secs_f64();
            println!("{runs} disputes in {seconds:.0} s, no difference: {census:#?}");
        }
        Err(tape) => panic!("{}", report(&tape, &Committed).1),
    }
}
