//! What a test chain does on request: make blocks, move its clock, undo blocks.
//!
//! No public chain offers any of this; product code takes [`super::Rpc`] alone. The invariant: when
//! a call returns, everything the chain answers (pool, index, headers) has followed it.

use super::RpcError;
use ckb_types::core::HeaderView;

/// How many block times the chain's clock is the median of. A `since` by time is compared to that
/// median, not to the last block.
pub const MEDIAN_TIME_BLOCKS: usize = 37;

/// How many blocks with a new time it takes until the median shows it: one more than half.
pub const MEDIAN_TIME_MAJORITY: u64 = MEDIAN_TIME_BLOCKS as u64 / 2 + 1;

/// The controls of a test chain. One user at a time: two callers that both mine see each other's
/// blocks.
pub trait DevControl: Send + Sync {
    /// Makes this many blocks and returns the last one's header. A transaction is committed by the
    /// third block after it was sent.
    fn mine(&self, blocks: u64) -> Result<HeaderView, RpcError>;

    /// Makes one block with this time, in milliseconds. Going back in time is allowed.
    fn mine_at(&self, timestamp_ms: u64) -> Result<HeaderView, RpcError>;

    /// The median of the last 37 block times at the tip, in milliseconds.
    fn median_time(&self) -> Result<u64, RpcError>;

    /// Goes back to the block at this height, as if the ones above had never been. Their
    /// transactions and the whole pool are forgotten; the next block has another hash than the
    /// removed one.
    fn rollback(&self, number: u64) -> Result<HeaderView, RpcError>;

    /// Makes [`MEDIAN_TIME_MAJORITY`] blocks, the first one this long after the tip, so that the
    /// median ends at least this long after the present tip.
    fn advance(&self, seconds: u64) -> Result<HeaderView, RpcError>;
}

/// The time this long after another, both on the chain's clock.
pub(super) fn advanced(timestamp_ms: u64, seconds: u64) -> Result<u64, RpcError> {
    seconds
        .checked_mul(1_000)
        .and_then(|ms| timestamp_ms.checked_add(ms))
        .ok_or_else(|| RpcError::Misuse(format!("{seconds} s ahead is past the end of time")))
}

impl<T: DevControl + ?Sized> DevControl for std::sync::Arc<T> {
    fn mine(&self, blocks: u64) -> Result<HeaderView, RpcError> {
        (**self).mine(blocks)
    }
    fn mine_at(&self, timestamp_ms: u64) -> Result<HeaderView, RpcError> {
        (**self).mine_at(timestamp_ms)
    }
    fn median_time(&self) -> Result<u64, RpcError> {
        (**self).median_time()
    }
    fn rollback(&self, number: u64) -> Result<HeaderView, RpcError> {
        (**self).rollback(number)
    }
    fn advance(&self, seconds: u64) -> Result<HeaderView, RpcError> {
        (**self).advance(seconds)
    }
}
