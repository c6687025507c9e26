//! No difference between the three judges: on the corpus, on the committed seed, and on as many
//! disputes as somebody asks for (`PERUN_DISPUTES`). And planted differences are found.

use std::time::Instant;

use perun_disputes::{Census, Committed, report, search, trial};

/// Where the seeds of the committed run begin.
const SEED: u64 = 1 << 40;
/// How many disputes it has.
const RUNS: u64 = if cfg!(feature = "long") { 100_000 } else { 300 };

fn runs() -> u64 {
    match std::env::var("PERUN_DISPUTES") {
        Ok(number) => number.parse().expect("PERUN_DISPUTES is a number of disputes"),
        Err(_) => RUNS,
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
    for tape in corpus() {
        if trial(&tape, &Committed, &mut Census::new()).is_err() {
            panic!("{}", report(&tape, &Committed).1);
        }
    }
}

#[test]
fn judges_agree_on_the_committed_seed() {
    let (runs, start) = (runs(), Instant::now());
    match search(SEED..SEED + runs, &Committed) {
        Ok(census) => {
            let seconds = start.elapsed().as_secs_f64();
            println!("{runs} disputes in {seconds:.0} s, no difference: {census:#?}");
        }
        Err(tape) => panic!("{}", report(&tape, &Committed).1),
    }
}
