//! Choices read from bytes, and how a list of bytes is made shorter and smaller.
//!
//! Whatever is random comes from a tape. Behind its end there are zeros, and zero is always the
//! plainest choice: so a shorter tape, or one with smaller bytes, is a simpler dispute, and the
//! shrinker needs to know nothing of disputes.

use perun_onchain_tests::Draw;

/// Bytes of a fresh tape; more than almost any dispute reads.
const LENGTH: usize = 384;
/// How many tapes the shrinker tries at most.
const TRIES: usize = 4_000;

/// A tape that is being read.
#[derive(Clone, Debug)]
pub struct Tape<'a> {
    bytes: &'a [u8],
}

impl<'a> Tape<'a> {
    /// A tape of these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    /// A number below `bound`, which is 1 to 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// True once in `n`; zero is no.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// One of these; zero is the first.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// A number of up to `bytes` bytes.
    pub fn number(&mut self, bytes: usize) -> u128 {
        (0..bytes).fold(0, |number, _| number << 8 | u128::from(self.byte()))
    }
}

/// The tape of a seed.
#[must_use]
pub fn recorded(seed: u64) -> Vec<u8> {
    Draw::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d)).bytes(LENGTH)
}

/// The simplest tape found that still fails, starting from one that does.
pub fn shrink(tape: &[u8], fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut best = tape.to_vec();
    let mut tries = TRIES;
    loop {
        let before = best.clone();
        for step in [cut, blank, lower] {
            step(&mut best, &mut |candidate| {
                tries = tries.saturating_sub(1);
                tries > 0 && fails(candidate)
            });
        }
        if best == before || tries == 0 {
            return best;
        }
    }
}

/// Tries a change; keeps it if the tape still fails.
type Keeps<'a> = dyn FnMut(&[u8]) -> bool + 'a;

/// Takes pieces out, the long ones first.
fn cut(best: &mut Vec<u8>, keeps: &mut Keeps<'_>) {
    let mut size = best.len();
    while size > 0 {
        let mut end = best.len();
        while end >= size {
            let mut candidate = best.clone();
            candidate.drain(end - size..end);
            if keeps(&candidate) {
                *best = candidate;
            }
            end = end.min(best.len() + size).saturating_sub(size);
        }
        size /= 2;
    }
}

/// Writes zeros over pieces.
fn blank(best: &mut Vec<u8>, keeps: &mut Keeps<'_>) {
    for size in [16, 4, 1] {
        for start in (0..best.len()).step_by(size) {
            let mut candidate = best.clone();
            let end = candidate.len().min(start + size);
            candidate[start..end].fill(0);
            if candidate != *best && keeps(&candidate) {
                *best = candidate;
            }
        }
    }
}

/// Makes single bytes smaller.
fn lower(best: &mut Vec<u8>, keeps: &mut Keeps<'_>) {
    for place in 0..best.len() {
        for smaller in [1, 2, 4, best[place] / 2, best[place].saturating_sub(1)] {
            let mut candidate = best.clone();
            candidate[place] = smaller;
            if smaller < best[place] && keeps(&candidate) {
                *best = candidate;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_the_end_everything_is_the_plainest_choice() {
        let mut tape = Tape::new(&[7]);
        assert_eq!(
            (tape.below(4), tape.below(4), tape.one_in(2), tape.number(3)),
            (3, 0, false, 0)
        );
    }

    #[test]
    fn seeds_give_tapes_of_their_own() {
        assert_eq!(recorded(1), recorded(1));
        assert_ne!(recorded(1), recorded(2));
    }

    #[test]
    fn what_does_not_matter_goes_and_what_matters_stays() {
        let fails = |tape: &[u8]| tape.iter().any(|byte| *byte >= 9) && tape.contains(&3);
        let mut tape = recorded(5);
        tape[40] = 3;
        let mut small = shrink(&tape, fails);
        small.sort_unstable();
        assert_eq!(small, [3, 9]);
    }
}
