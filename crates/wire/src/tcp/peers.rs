//! The sessions of all peers, and what the two threads of one share.
//!
//! The invariant: a stranger always finds a place in the table, since another one that is not
//! connected makes way; a peer that the owner pinned never does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::lock;
use crate::{Incarnation, PeerId, Session, WINDOW_BYTES};

/// The most peers with a session, connected or not. Many more than connections, so that peers that
/// come and go keep their place; each may hold a window and an inbox, so not without end.
pub const MAX_PEERS: usize = 2048;

/// The most peers that are pinned at once; one more lets go of the one that was pinned longest ago,
/// but those that were only dialled go first. Half of the table, so that the other half is there
/// for whoever comes.
pub const MAX_PINS: usize = MAX_PEERS / 2;

/// The sessions of all peers.
#[derive(Default)]
pub(super) struct Table {
    sessions: BTreeMap<PeerId, Seat>,
    pins: BTreeMap<PeerId, Pin>,
    /// Rises with every use, and so orders them.
    uses: u64,
}

/// Why a peer is pinned, and since when. Ordered by who is to be let go first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pin {
    /// The owner said so; otherwise it was only dialled.
    named: bool,
    /// The last time that either happened.
    at: u64,
    /// It was dialled, which stays true when the owner no longer names it.
    dialled: bool,
}

struct Seat {
    peer: Arc<Peer>,
    used: u64,
}

impl Table {
    /// The session with a peer, if there is one.
    pub(super) fn get(&self, id: PeerId) -> Option<Arc<Peer>> {
        self.sessions.get(&id).map(|seat| seat.peer.clone())
    }

    /// The session with a peer, made if there is none; `None` if nobody can make way for it.
    pub(super) fn get_or_make(
        &mut self,
        id: PeerId,
        fresh: impl FnOnce() -> Incarnation,
    ) -> Option<Arc<Peer>> {
        let used = self.next_use();
        if let Some(seat) = self.sessions.get_mut(&id) {
            seat.used = used;
            return Some(seat.peer.clone());
        }
        if self.sessions.len() >= MAX_PEERS {
            self.make_way()?;
        }
        let peer = Arc::new(Peer::new(id, fresh()));
        self.sessions.insert(id, Seat { peer: peer.clone(), used });
        Some(peer)
    }

    /// Keeps the session with this peer, from now on or once there is one. Returns whom that was
    /// one too many for.
    pub(super) fn pin(&mut self, id: PeerId) -> Option<PeerId> {
        self.pin_as(id, |pin| pin.named = true)
    }

    /// The same, until too many others are pinned.
    pub(super) fn pin_dialled(&mut self, id: PeerId) -> Option<PeerId> {
        self.pin_as(id, |pin| pin.dialled = true)
    }

    fn pin_as(&mut self, id: PeerId, mark: impl FnOnce(&mut Pin)) -> Option<PeerId> {
        let at = self.next_use();
        let pin = self.pins.entry(id).or_insert(Pin { named: false, at, dialled: false });
        pin.at = at;
        mark(pin);
        let first = || self.pins.iter().min_by_key(|(_, pin)| **pin).map(|(id, _)| *id);
        let excess = (self.pins.len() > MAX_PINS).then(first).flatten()?;
        self.pins.remove(&excess);
        Some(excess)
    }

    /// Takes back [`Table::pin`]; true if the peer is not pinned any more.
    pub(super) fn unpin(&mut self, id: PeerId) -> bool {
        let Some(pin) = self.pins.get_mut(&id) else { return false };
        pin.named = false;
        if !pin.dialled {
            self.pins.remove(&id);
        }
        !self.is_pinned(id)
    }

    pub(super) fn is_pinned(&self, id: PeerId) -> bool {
        self.pins.contains_key(&id)
    }

    pub(super) fn wake_all(&self) {
        self.sessions.values().for_each(|seat| seat.peer.wake());
    }

    fn next_use(&mut self) -> u64 {
        self.uses = self.uses.saturating_add(1);
        self.uses
    }

    /// Forgets a session that is not in use: one that keeps nothing if there is one, and of those
    /// the one that was used longest ago.
    fn make_way(&mut self) -> Option<()> {
        let forgettable = |(id, seat): (&PeerId, &Seat)| {
            // A session that a thread holds may just get its connection.
            let free = !self.is_pinned(*id) && Arc::strong_count(&seat.peer) == 1;
            let kept = free.then(|| seat.peer.kept_while_away())??;
            Some((kept > 0, seat.used, *id))
        };
        let (.., id) = self.sessions.iter().filter_map(forgettable).min()?;
        self.sessions.remove(&id);
        Some(())
    }
}

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

    /// How many messages the session keeps for its peer; nothing while it is connected, or while
    /// the owner has not read what the peer sent: a peer that came under ever new names would
    /// otherwise fill the inbox.
    fn kept_while_away(&self) -> Option<usize> {
        let session = &self.lock().session;
        let away = !session.is_attached() && self.unread.load(Ordering::Relaxed) == 0;
        away.then(|| session.unacknowledged())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Expect, Handshake, Identity, Time};

    fn id(number: usize) -> PeerId {
        let mut id = [7; 32];
        id[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
        PeerId(id)
    }

    fn make(table: &mut Table, id: PeerId) -> Option<Arc<Peer>> {
        table.get_or_make(id, || Incarnation([1; 16]))
    }

    /// A full table of peers who each leave one message unacknowledged.
    fn full() -> Table {
        let mut table = Table::default();
        for number in 0..MAX_PEERS {
            make(&mut table, id(number)).unwrap().lock().session.send(vec![1]).unwrap();
        }
        table
    }

    fn connect(peer: &Peer, them: &Identity) {
        let us = Identity::from_secret([1; 32]);
        let expect = Expect::Exactly(them.peer_id());
        let mut dial = Handshake::dial(&us, expect, [3; 32], Time(0)).unwrap();
        let mut accept = Handshake::accept(them, Expect::Anyone, [4; 32], Time(0)).unwrap();
        while !(dial.is_done() && accept.is_done()) {
            while let Some(bytes) = dial.poll_transmit() {
                accept.handle_bytes(&bytes).unwrap();
            }
            while let Some(bytes) = accept.poll_transmit() {
                dial.handle_bytes(&bytes).unwrap();
            }
        }
        let mut events: Vec<Event> = Vec::new();
        peer.lock().session.attach(dial.finish().unwrap(), Time(0), &mut events).unwrap();
    }

    #[test]
    fn the_stranger_that_was_used_longest_ago_makes_way() {
        let mut table = full();
        make(&mut table, id(0)).unwrap();
        make(&mut table, id(MAX_PEERS)).unwrap();
        assert!(table.get(id(1)).is_none(), "the oldest");
        assert!(table.get(id(0)).is_some(), "used since");
        assert_eq!(table.sessions.len(), MAX_PEERS);
    }

    #[test]
    fn a_session_that_keeps_nothing_makes_way_first() {
        let mut table = full();
        table.sessions.remove(&id(9));
        make(&mut table, id(9)).unwrap();
        make(&mut table, id(MAX_PEERS)).unwrap();
        assert!(table.get(id(9)).is_none() && table.get(id(0)).is_some());
    }

    #[test]
    fn pinned_connected_held_and_unread_sessions_stay() {
        let mut table = full();
        table.pin(id(0));
        let held = table.get(id(1)).unwrap();
        table.get(id(2)).unwrap().unread.fetch_add(1, Ordering::Relaxed);
        let them = Identity::from_secret([2; 32]);
        table.sessions.remove(&id(3));
        connect(&make(&mut table, them.peer_id()).unwrap(), &them);
        for number in MAX_PEERS..3 * MAX_PEERS {
            make(&mut table, id(number)).unwrap();
        }
        for stays in [id(0), id(1), id(2), them.peer_id()] {
            assert!(table.get(stays).is_some());
        }
        assert!(table.get(id(4)).is_none());
        drop(held);
    }

    #[test]
    fn pins_are_limited_and_the_oldest_goes() {
        let mut table = Table::default();
        assert!((0..MAX_PINS).all(|number| table.pin(id(number)).is_none()));
        assert_eq!(table.pin(id(0)), None);
        assert_eq!(table.pin(id(MAX_PINS)), Some(id(1)));
        assert!(table.is_pinned(id(0)), "pinned again since");
        assert!(!table.is_pinned(id(1)));
        assert_eq!(table.pins.len(), MAX_PINS);
    }

    #[test]
    fn peers_that_were_only_dialled_are_let_go_before_those_that_the_owner_named() {
        let mut table = Table::default();
        table.pin(id(0));
        assert!((1..MAX_PINS).all(|number| table.pin_dialled(id(number)).is_none()));
        assert_eq!(table.pin_dialled(id(MAX_PINS)), Some(id(1)));
        assert!(table.is_pinned(id(0)), "the oldest, but named");
    }

    #[test]
    fn former_peers_do_not_push_out_the_pins_of_others() {
        let mut table = Table::default();
        table.pin(id(0));
        for number in 1..3 * MAX_PINS {
            assert_eq!(table.pin(id(number)), None);
            assert!(table.unpin(id(number)));
        }
        assert!(table.is_pinned(id(0)));
        assert_eq!(table.pins.len(), 1);
        table.pin_dialled(id(0));
        assert!(!table.unpin(id(0)), "we dialled it");
        assert!(table.is_pinned(id(0)));
        assert!(!table.unpin(id(1)), "it was not pinned");
    }
}
