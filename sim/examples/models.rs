//! Runs the exhaustive checks and prints a row for each. Fails if a property does not hold, if a
//! witness was not seen, or if a planted bug was not found. `--quick` runs the bounds of `cargo
//! test`, `--deep` more than anybody waits for.

use std::process::ExitCode;

use perun_sim::report::{Row, heading};
use perun_sim::suite::{self, Size};

fn main() -> ExitCode {
    let asked = |word: &str| std::env::args().any(|argument| argument == word);
    let (quick, deep) = (asked("--quick"), asked("--deep"));
    let size = if deep { Size::Deep } else { Size::Full };
    let size = if quick { Size::Quick } else { size };
    println!("{}", heading());
    let mut rows = show(suite::duel(size));
    rows.extend(show(suite::duel_zoo()));
    rows.extend(show(suite::contention(size)));
    rows.extend(show(suite::contention_zoo(size)));
    let kept: &[u8] = if quick { &[3, 6] } else { &[3, 10, 50] };
    for old in kept {
        let (row, hindered) = suite::wedging(*old);
        rows.extend(show(vec![row]));
        println!("    {old} old states hinder {hindered} times");
    }
    rows.extend(show(suite::swaps(size)));
    rows.extend(show(suite::swaps_tight(size)));
    rows.extend(show(suite::swaps_zoo(size)));
    let failed = rows.iter().filter(|row| !row.passed()).count();
    let states: usize = rows.iter().map(|row| row.states).sum();
    println!("{} runs, {states} states, {failed} failed", rows.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn show(rows: Vec<Row>) -> Vec<Row> {
    for row in &rows {
        println!("{row}");
        if !row.passed() {
            row.story.iter().for_each(|line| println!("    {line}"));
        }
    }
    rows
}
