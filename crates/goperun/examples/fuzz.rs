//! Spoilt messages for the decoders and the handshake, as many as wanted: the count is the first
//! argument, the seed the second.

#[path = "../tests/fuzz/mod.rs"]
mod fuzz;
#[path = "../tests/random/mod.rs"]
mod random;

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "a clock says how fast it is, and nothing else")]
fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().expect("a number"));
    let rounds: u64 = arguments.next().unwrap_or(10_000_000);
    let seed = arguments.next().unwrap_or(7);
    let begun = Instant::now();
    let tally = fuzz::run(rounds, seed);
    let seconds = begun.elapsed().as_secs_f64();
    let rate = rounds as f64 / seconds;
    println!("{rounds} executions with seed {seed} in {seconds:.1} s, {rate:.0} per second");
    println!("{tally:?}");
}
