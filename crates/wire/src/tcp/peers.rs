//! One peer's session with what its two threads share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::lock;
use crate::{Incarnation, PeerId, Session, WINDOW_BYTES};

/// A session behind a lock, and the bell that wakes its writer.
pub(super) struct Peer {
    state: Mutex<PeerState>,
    bell: Condvar,
    /// Bytes of this peer's events that the owner has not read.
    pub(super) unread: Arc<AtomicUsize>,
}

pub(super) struct PeerState {
    pub(super) session: Session,
    /// Rises with every connection, so that threads of an older one know that they are over.
    pub(super) generation: u64,
}

impl Peer {
    pub(super) fn new(id: PeerId, incarnation: Incarnation) -> Self {
        let session = Session::new(id, incarnation);
        let state = Mutex::new(PeerState { session, generation: 0 });
        Self { state, bell: Condvar::new(), unread: Arc::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, PeerState> {
        lock(&self.state)
    }

    pub(super) fn wake(&self) {
        self.bell.notify_all();
    }

    pub(super) fn wait<'a>(
        &self,
        state: MutexGuard<'a, PeerState>,
        patience: Duration,
    ) -> MutexGuard<'a, PeerState> {
        let woken = self.bell.wait_timeout(state, patience);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Whether the owner has read enough for another connection to be useful.
    pub(super) fn has_room(&self) -> bool {
        self.unread.load(Ordering::Relaxed) <= WINDOW_BYTES
    }

    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        !state.session.is_attached() && state.session.unacknowledged() == 0
    }
}
