//! Where the owner reads, and how much of each peer's lies unread.
//!
//! The channel itself has no bound; each peer's share of it does: a letter counts towards its peer
//! until the owner takes it, and a peer with too much unread gets no new connection.

use core::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::NetworkEvent;
use crate::Event;

/// What an event costs beside its payload.
const EVENT_BYTES: usize = 256;

/// The owner's end: events of all peers in the order they happened.
pub struct Inbox(Receiver<Letter>);

impl Inbox {
    pub(super) fn new(letters: Receiver<Letter>) -> Self {
        Self(letters)
    }

    /// The next event; `None` when none came in time or the network is gone.
    pub fn next_within(&self, patience: Duration) -> Option<NetworkEvent> {
        match self.0.recv_timeout(patience) {
            Ok(letter) => Some(letter.open()),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbox")
    }
}

/// An event on its way, counted towards its peer.
pub(super) struct Letter {
    event: NetworkEvent,
    bytes: usize,
    unread: Arc<AtomicUsize>,
}

impl Letter {
    pub(super) fn new(unread: &Arc<AtomicUsize>, event: NetworkEvent) -> Self {
        let payload = match &event {
            NetworkEvent::Session { event: Event::Message { payload, .. }, .. } => payload.len(),
            _ => 0,
        };
        let bytes = payload.saturating_add(EVENT_BYTES);
        unread.fetch_add(bytes, Ordering::Relaxed);
        Self { event, bytes, unread: unread.clone() }
    }

    fn open(self) -> NetworkEvent {
        self.unread.fetch_sub(self.bytes, Ordering::Relaxed);
        self.event
    }
}
