//! When a relative time lock opens. Ledger time only: block times and their median, in
//! milliseconds.
//!
//! The chain compares the median time at the tip with the time of the block that committed the
//! spent cell (RFC 28) plus the lock's seconds. The invariant: [`deadline_reached`] says what the
//! chain says.

use crate::rpc::MEDIAN_TIME_BLOCKS;

/// The median time from which on a transaction may spend a cell that a block of this time
/// committed, with a relative lock of this many seconds.
#[must_use]
pub const fn deadline_ms(block_timestamp_ms: u64, challenge_secs: u64) -> u64 {
    block_timestamp_ms.saturating_add(challenge_secs.saturating_mul(1_000))
}

/// Whether Conclude (and AbortFunding) with a relative lock of `challenge_secs` is valid in the
/// next block: `median_time_ms` is the median at the tip, `block_timestamp_ms` the time of the
/// block that committed the cell to be spent.
#[must_use]
pub const fn deadline_reached(
    median_time_ms: u64,
    block_timestamp_ms: u64,
    challenge_secs: u64,
) -> bool {
    median_time_ms >= deadline_ms(block_timestamp_ms, challenge_secs)
}

/// The chain's clock, from the times of the newest blocks, newest first. `whole` says that there
/// are no older blocks than these. Nothing if there are too few to tell.
#[must_use]
pub fn median_time(newest_first: impl Iterator<Item = u64>, whole: bool) -> Option<u64> {
    let mut times: Vec<u64> = newest_first.take(MEDIAN_TIME_BLOCKS).collect();
    if times.len() < MEDIAN_TIME_BLOCKS && !whole {
        return None;
    }
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_is_a_whole_challenge_after_the_block_and_not_a_millisecond_earlier() {
        assert!(!deadline_reached(1_600_999, 1_000, 1_600));
        assert!(deadline_reached(1_601_000, 1_000, 1_600));
        assert!(!deadline_reached(u64::MAX - 1, u64::MAX, 1));
    }

    #[test]
    fn the_median_is_of_37_blocks_and_unknown_from_fewer_of_a_longer_chain() {
        let newest_first = (1..=100u64).rev();
        assert_eq!(median_time(newest_first.clone(), false), Some(82));
        assert_eq!(median_time(newest_first.take(36), false), None);
        assert_eq!(median_time([3, 1, 2, 4].into_iter(), true), Some(3));
    }
}
