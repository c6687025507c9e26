//! What is to be written to one peer: a queue with a limit, between the owner and a writer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The most messages that wait to be written to one peer: what is said again in all channels with
/// it when the connection comes back.
pub const MAX_QUEUED_MESSAGES: usize = 1_024;

/// A peer with so many bytes waiting to be written takes no more.
pub const MAX_QUEUED_BYTES: usize = 1 << 20;

/// The queue of one connection.
#[derive(Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    envelopes: VecDeque<Vec<u8>>,
    bytes: usize,
    end: End,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum End {
    #[default]
    Open,
    /// What waits is still written.
    Finishing,
    Closed,
}

impl Outbox {
    /// Takes the bytes of an envelope; false if there is no room, or no connection any more.
    pub(super) fn put(&self, envelope: Vec<u8>) -> bool {
        let mut state = self.lock();
        let full = state.envelopes.len() >= MAX_QUEUED_MESSAGES || state.bytes >= MAX_QUEUED_BYTES;
        if full || state.end != End::Open {
            return false;
        }
        state.bytes = state.bytes.saturating_add(envelope.len());
        state.envelopes.push_back(envelope);
        self.bell.notify_one();
        true
    }

    /// Waits for the next bytes to write; `None` at the end. What is left when the connection is
    /// about to end comes in one piece, and so leaves within one deadline.
    pub(super) fn next(&self) -> Option<Vec<u8>> {
        let idle = |state: &mut State| state.envelopes.is_empty() && state.end == End::Open;
        let waited = self.bell.wait_while(self.lock(), idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.end == End::Finishing && !state.envelopes.is_empty() {
            state.bytes = 0;
            return Some(core::mem::take(&mut state.envelopes).into_iter().flatten().collect());
        }
        let next = state.envelopes.pop_front();
        state.bytes = state.bytes.saturating_sub(next.as_ref().map_or(0, Vec::len));
        next
    }

    /// Takes nothing more; what waits is written.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        if state.end == End::Open {
            state.end = End::Finishing;
        }
        self.bell.notify_one();
    }

    /// Drops what waits.
    pub(super) fn close(&self) {
        *self.lock() = State { end: End::Closed, ..State::default() };
        self.bell.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_bytes_that_wait_are_limited_and_give_room_when_they_leave() {
        let outbox = Outbox::default();
        assert!((0..MAX_QUEUED_MESSAGES).all(|_| outbox.put(vec![1])));
        assert!(!outbox.put(vec![1]));
        assert_eq!(outbox.next(), Some(vec![1]));
        assert!(outbox.put(vec![1]) && !outbox.put(vec![1]));
        let outbox = Outbox::default();
        assert!(outbox.put(vec![2; MAX_QUEUED_BYTES]) && !outbox.put(vec![1]));
        assert_eq!(outbox.next().map(|bytes| bytes.len()), Some(MAX_QUEUED_BYTES));
        assert!(outbox.put(vec![1]));
    }

    #[test]
    fn what_waits_is_written_before_a_farewell_and_dropped_by_a_cut() {
        let outbox = Outbox::default();
        assert!(outbox.put(vec![1]) && outbox.put(vec![2, 3]));
        outbox.finish();
        assert!(!outbox.put(vec![4]));
        assert_eq!((outbox.next(), outbox.next()), (Some(vec![1, 2, 3]), None));
        let outbox = Outbox::default();
        assert!(outbox.put(vec![1]));
        outbox.close();
        outbox.finish();
        assert_eq!((outbox.next(), outbox.put(vec![2])), (None, false));
    }
}
