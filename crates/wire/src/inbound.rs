//! What the peer sent: put together, in order, once, and counted until we acknowledge it.
//!
//! The window is enforced here: a peer that sends more than we acknowledged breaks the protocol, so
//! a slow owner makes a greedy peer stop, and costs nobody else anything.

use std::collections::VecDeque;

use crate::error::WireError;
use crate::frame::MAX_CHUNK_BYTES;
use crate::session::{MAX_MESSAGE_BYTES, WINDOW_BYTES, WINDOW_MESSAGES};

/// Names a message that was given to the caller, for [`crate::Session::acknowledge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which life of the peer it came from: a receipt from before a restart acknowledges nothing.
    pub(crate) epoch: u64,
    pub(crate) number: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Inbound {
    epoch: u64,
    /// The last number given to the caller.
    delivered: u64,
    /// The last number the caller acknowledged.
    acked: u64,
    /// Sizes of what lies between the two.
    open: VecDeque<usize>,
    open_bytes: usize,
    partial: Vec<u8>,
}

impl Inbound {
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }

    /// A new connection: an unfinished message starts over.
    pub(crate) fn reconnect(&mut self) {
        self.partial = Vec::new();
    }

    /// The peer forgot us: its numbers start from 1.
    pub(crate) fn restart(&mut self) {
        *self = Self { epoch: self.epoch.saturating_add(1), ..Self::default() };
    }

    /// Takes a part; gives the message when it is whole and new.
    pub(crate) fn chunk(
        &mut self,
        number: u64,
        last: bool,
        bytes: &[u8],
    ) -> Result<Option<(Receipt, Vec<u8>)>, WireError> {
        if number <= self.delivered {
            return Ok(None);
        }
        if number > self.delivered.saturating_add(1) {
            return Err(WireError::SequenceGap);
        }
        // One spelling: only the last part may be short, and only a whole message may be empty.
        let needless = bytes.is_empty() && !self.partial.is_empty();
        if needless || (!last && bytes.len() != MAX_CHUNK_BYTES) {
            return Err(WireError::ChunkSize);
        }
        let size = self.partial.len().saturating_add(bytes.len());
        if size > MAX_MESSAGE_BYTES {
            return Err(WireError::MessageTooLong);
        }
        if self.open.len() >= WINDOW_MESSAGES || self.open_bytes.saturating_add(size) > WINDOW_BYTES
        {
            return Err(WireError::WindowExceeded);
        }
        self.partial.extend_from_slice(bytes);
        if !last {
            return Ok(None);
        }
        self.delivered = number;
        self.open.push_back(size);
        self.open_bytes = self.open_bytes.saturating_add(size);
        let receipt = Receipt { epoch: self.epoch, number };
        Ok(Some((receipt, core::mem::take(&mut self.partial))))
    }

    /// Counts everything up to the receipt as kept by the caller; false if that is not news.
    pub(crate) fn acknowledge(&mut self, receipt: Receipt) -> bool {
        let news = receipt.epoch == self.epoch
            && receipt.number > self.acked
            && receipt.number <= self.delivered;
        while news && self.acked < receipt.number {
            self.acked = self.acked.saturating_add(1);
            let size = self.open.pop_front().unwrap_or(0);
            self.open_bytes = self.open_bytes.saturating_sub(size);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(inbound: &mut Inbound, number: u64, bytes: &[u8]) -> Result<Receipt, WireError> {
        inbound.chunk(number, true, bytes).map(|message| message.unwrap().0)
    }

    #[test]
    fn a_peer_that_exceeds_the_count_of_the_window_is_refused() {
        let mut inbound = Inbound::default();
        let mut receipt = None;
        for number in 1..=WINDOW_MESSAGES as u64 {
            receipt = Some(whole(&mut inbound, number, b"x").unwrap());
        }
        let next = WINDOW_MESSAGES as u64 + 1;
        assert_eq!(inbound.chunk(next, true, b"x"), Err(WireError::WindowExceeded));
        assert!(inbound.acknowledge(receipt.unwrap()));
        assert!(!inbound.acknowledge(receipt.unwrap()), "the second time it is no news");
        assert!(whole(&mut inbound, next, b"x").is_ok());
    }

    #[test]
    fn a_peer_that_exceeds_the_bytes_of_the_window_is_refused() {
        let mut inbound = Inbound::default();
        let mut held = 0;
        let refused = 'sending: loop {
            for part in 0..17 {
                let number = inbound.delivered() + 1;
                if let Err(error) = inbound.chunk(number, part == 16, &[0; MAX_CHUNK_BYTES]) {
                    break 'sending error;
                }
                held += MAX_CHUNK_BYTES;
            }
        };
        assert_eq!(refused, WireError::WindowExceeded);
        assert!(held <= WINDOW_BYTES);
    }

    #[test]
    fn a_message_over_the_limit_is_refused_before_it_is_kept() {
        let mut inbound = Inbound::default();
        let parts = MAX_MESSAGE_BYTES / MAX_CHUNK_BYTES;
        for _ in 0..parts {
            assert_eq!(inbound.chunk(1, false, &[0; MAX_CHUNK_BYTES]), Ok(None));
        }
        let over = inbound.chunk(1, false, &[0; MAX_CHUNK_BYTES]);
        assert_eq!(over, Err(WireError::MessageTooLong));
        assert!(inbound.partial.len() <= MAX_MESSAGE_BYTES);
    }

    #[test]
    fn numbers_neither_skip_nor_repeat() {
        let mut inbound = Inbound::default();
        assert_eq!(inbound.chunk(2, true, b"x"), Err(WireError::SequenceGap));
        whole(&mut inbound, 1, b"x").unwrap();
        assert_eq!(inbound.chunk(1, true, b"x"), Ok(None), "a duplicate is dropped");
        assert_eq!(inbound.chunk(0, true, b"x"), Ok(None));
        assert_eq!(inbound.delivered(), 1);
    }

    #[test]
    fn a_message_has_one_way_to_be_cut() {
        let mut inbound = Inbound::default();
        assert_eq!(inbound.chunk(1, false, b"short"), Err(WireError::ChunkSize));
        assert_eq!(inbound.chunk(1, false, b""), Err(WireError::ChunkSize));
        assert_eq!(inbound.chunk(1, false, &[0; MAX_CHUNK_BYTES]), Ok(None));
        assert_eq!(inbound.chunk(1, true, b""), Err(WireError::ChunkSize));
    }

    #[test]
    fn a_receipt_of_an_earlier_life_acknowledges_nothing() {
        let mut inbound = Inbound::default();
        let stale = whole(&mut inbound, 1, b"x").unwrap();
        inbound.restart();
        whole(&mut inbound, 1, b"y").unwrap();
        assert!(!inbound.acknowledge(stale));
        assert_eq!(inbound.acked(), 0);
    }
}
