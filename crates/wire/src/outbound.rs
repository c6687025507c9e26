//! What we sent and the peer has not acknowledged: kept, so that it can be sent again.
//!
//! Bounded by the window; a full one refuses, it never forgets. Numbers start at 1 for every pair
//! of incarnations and rise by one.

use std::collections::VecDeque;

use crate::error::{SendRefusal, WireError};
use crate::frame::{Frame, MAX_CHUNK_BYTES};
use crate::session::{MAX_MESSAGE_BYTES, WINDOW_BYTES, WINDOW_MESSAGES};

#[derive(Debug, Default)]
pub(crate) struct Outbound {
    kept: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The last number that was acknowledged; `kept` begins after it.
    acked: u64,
    /// How many of `kept` went out in full on this connection.
    sent: usize,
    /// How much of the next one went out.
    offset: usize,
    /// The highest number that ever went out in full or in part.
    reached: u64,
}

impl Outbound {
    pub(crate) fn push(&mut self, payload: Vec<u8>) -> Result<(), SendRefusal> {
        if payload.len() > MAX_MESSAGE_BYTES {
            return Err(SendRefusal::TooLong);
        }
        let bytes = self.bytes.saturating_add(payload.len());
        if self.kept.len() >= WINDOW_MESSAGES || bytes > WINDOW_BYTES {
            return Err(SendRefusal::Busy);
        }
        self.bytes = bytes;
        self.kept.push_back(payload);
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// The peer's memory holds everything up to `number`.
    pub(crate) fn acknowledged(&mut self, number: u64) -> Result<(), WireError> {
        if number > self.reached {
            return Err(WireError::AckBeyondSent);
        }
        while self.acked < number {
            let payload = self.kept.pop_front().ok_or(WireError::AckBeyondSent)?;
            self.bytes = self.bytes.saturating_sub(payload.len());
            self.acked = self.acked.saturating_add(1);
            match self.sent.checked_sub(1) {
                Some(sent) => self.sent = sent,
                // It was going out again, and the peer turned out to have it.
                None => self.offset = 0,
            }
        }
        Ok(())
    }

    /// A new connection: go on after what the peer has received.
    pub(crate) fn resume_after(&mut self, received: u64) -> Result<(), WireError> {
        if received < self.acked || received > self.reached {
            return Err(WireError::ImpossibleResume);
        }
        let has = usize::try_from(received.saturating_sub(self.acked)).unwrap_or(usize::MAX);
        self.sent = has.min(self.kept.len());
        self.offset = 0;
        Ok(())
    }

    /// The peer forgot us: start from 1 and give back what it never acknowledged.
    pub(crate) fn restart(&mut self) -> Vec<Vec<u8>> {
        core::mem::take(self).kept.into()
    }

    /// The next part to send, if any.
    pub(crate) fn next_chunk(&mut self) -> Option<Frame> {
        let payload = self.kept.get(self.sent)?;
        let sent = u64::try_from(self.sent).ok()?;
        let number = self.acked.checked_add(sent)?.checked_add(1)?;
        let end = self.offset.saturating_add(MAX_CHUNK_BYTES).min(payload.len());
        let bytes = payload.get(self.offset..end)?.to_vec();
        let last = end == payload.len();
        if last {
            self.sent = self.sent.saturating_add(1);
            self.offset = 0;
        } else {
            self.offset = end;
        }
        self.reached = self.reached.max(number);
        Some(Frame::Chunk { number, last, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(outbound: &mut Outbound) -> Vec<u64> {
        let chunks = core::iter::from_fn(|| outbound.next_chunk());
        let number = |frame| if let Frame::Chunk { number, .. } = frame { number } else { 0 };
        chunks.map(number).collect()
    }

    #[test]
    fn only_what_was_not_received_is_sent_again() {
        let mut outbound = Outbound::default();
        (0..5).for_each(|n| outbound.push(vec![n]).unwrap());
        assert_eq!(numbers(&mut outbound), [1, 2, 3, 4, 5]);
        outbound.acknowledged(2).unwrap();
        outbound.resume_after(3).unwrap();
        assert_eq!(outbound.len(), 3, "received is not yet acknowledged");
        assert_eq!(numbers(&mut outbound), [4, 5]);
    }

    #[test]
    fn an_acknowledgement_of_the_unsent_is_refused() {
        let mut outbound = Outbound::default();
        outbound.push(vec![1]).unwrap();
        assert_eq!(outbound.acknowledged(1), Err(WireError::AckBeyondSent));
        assert_eq!(numbers(&mut outbound), [1]);
        assert_eq!(outbound.acknowledged(2), Err(WireError::AckBeyondSent));
        assert_eq!(outbound.acknowledged(1), Ok(()));
        assert_eq!(outbound.acknowledged(1), Ok(()), "the same again changes nothing");
    }

    #[test]
    fn a_resumption_outside_of_what_was_sent_is_refused() {
        let mut outbound = Outbound::default();
        (0..3).for_each(|n| outbound.push(vec![n]).unwrap());
        assert_eq!(outbound.resume_after(1), Err(WireError::ImpossibleResume));
        assert_eq!(numbers(&mut outbound), [1, 2, 3]);
        outbound.acknowledged(2).unwrap();
        assert_eq!(outbound.resume_after(1), Err(WireError::ImpossibleResume));
        assert_eq!(outbound.resume_after(4), Err(WireError::ImpossibleResume));
    }

    #[test]
    fn a_restart_gives_back_what_was_not_acknowledged() {
        let mut outbound = Outbound::default();
        (0..3).for_each(|n| outbound.push(vec![n]).unwrap());
        assert_eq!(numbers(&mut outbound), [1, 2, 3]);
        outbound.acknowledged(1).unwrap();
        assert_eq!(outbound.restart(), [vec![1], vec![2]]);
        outbound.push(vec![9]).unwrap();
        assert_eq!(numbers(&mut outbound), [1]);
    }
}
