//! Where the owner reads, and how much of each connection's lies unread.
//!
//! Each connection has a share. Its reader waits for the owner when the share is full, and keeps
//! its place until the owner has read all of it: so what lies here is bounded by the places there
//! are, and a greedy peer holds up its own threads only. The invariant: of one connection there is
//! one `Connected`, then messages, then one `Disconnected`, in this order.

use core::fmt;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{LinkError, NetworkEvent};
use crate::{Identities, Message};

/// The most messages of one connection that its owner has not read.
pub const MAX_UNREAD_MESSAGES: usize = 64;

/// A connection with so many unread bytes is not read on.
pub const MAX_UNREAD_BYTES: usize = 256 << 10;

/// The owner's end: events of all peers in the order they happened. Dropping it ends connections
/// as soon as they have something to say.
pub struct Mailbox(pub(super) Arc<Letters>);

impl Mailbox {
    /// The next event; `None` when none came in time, or when all were read after a shutdown.
    pub fn next_within(&self, patience: Duration) -> Option<NetworkEvent> {
        let empty = |state: &mut State| state.letters.is_empty() && !state.over;
        let waited = self.0.arrived.wait_timeout_while(self.0.lock(), patience, empty);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let letter = state.letters.pop_front()?;
        if let Some(share) = letter.place.and_then(|place| state.shares.get_mut(&place)) {
            share.letters = share.letters.saturating_sub(1);
            share.bytes = share.bytes.saturating_sub(letter.bytes);
            share.bell.notify_all();
        }
        Some(letter.event)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.unheard = true;
        state.letters.clear();
        drop(state);
        self.0.stop();
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}

/// The other end, for all threads.
#[derive(Default)]
pub(super) struct Letters {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    letters: VecDeque<Letter>,
    shares: BTreeMap<u64, Share>,
    over: bool,
    /// Nobody can read what comes: it is not kept.
    unheard: bool,
}

struct Letter {
    event: NetworkEvent,
    /// The connection that it counts towards.
    place: Option<u64>,
    bytes: usize,
}

struct Share {
    peer: Identities,
    letters: usize,
    bytes: usize,
    open: bool,
    /// Wakes the reader of this connection, and nobody else.
    bell: Arc<Condvar>,
}

impl Share {
    const fn is_full(&self) -> bool {
        self.letters >= MAX_UNREAD_MESSAGES || self.bytes >= MAX_UNREAD_BYTES
    }
}

impl Letters {
    /// Tells what belongs to no connection.
    pub(super) fn tell(&self, event: NetworkEvent) {
        self.push(&mut self.lock(), Letter { event, place: None, bytes: 0 });
    }

    /// A connection came to be.
    pub(super) fn open(&self, place: u64, peer: &Identities) {
        let mut state = self.lock();
        let (peer, bell) = (peer.clone(), Arc::default());
        let event = NetworkEvent::Connected { peer: peer.clone(), link: place };
        state.shares.insert(place, Share { peer, letters: 0, bytes: 0, open: true, bell });
        self.push(&mut state, Letter { event, place: Some(place), bytes: 0 });
    }

    /// A connection brought a message. Waits for room; false if the connection ended meanwhile.
    pub(super) fn put(&self, place: u64, message: Message, bytes: usize) -> bool {
        let full = |share: &Share| share.open && share.is_full();
        let mut state = self.wait_while(place, full);
        let share = state.shares.get(&place).filter(|share| share.open && !state.over);
        let Some(peer) = share.map(|share| share.peer.clone()) else { return false };
        let event = NetworkEvent::Message { peer, message };
        self.push(&mut state, Letter { event, place: Some(place), bytes });
        true
    }

    /// A connection ended. Only the first call of this counts.
    pub(super) fn close(&self, place: u64, reason: Option<LinkError>) {
        let mut state = self.lock();
        let Some(share) = state.shares.get_mut(&place).filter(|share| share.open) else { return };
        share.open = false;
        share.bell.notify_all();
        let event = NetworkEvent::Disconnected { peer: share.peer.clone(), reason };
        self.push(&mut state, Letter { event, place: Some(place), bytes: 0 });
    }

    /// Waits until the owner has read everything of a connection that ended, and forgets it.
    pub(super) fn wait_until_read(&self, place: u64) {
        let mut state = self.wait_while(place, |share| share.letters > 0);
        state.shares.remove(&place);
    }

    /// Nobody waits from now on. What was told can still be read.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.over = true;
        self.arrived.notify_all();
        state.shares.values().for_each(|share| share.bell.notify_all());
    }

    fn push(&self, state: &mut State, letter: Letter) {
        if state.unheard {
            return;
        }
        if let Some(share) = letter.place.and_then(|place| state.shares.get_mut(&place)) {
            share.letters = share.letters.saturating_add(1);
            share.bytes = share.bytes.saturating_add(letter.bytes);
        }
        state.letters.push_back(letter);
        self.arrived.notify_one();
    }

    fn wait_while(&self, place: u64, held_up: impl Fn(&Share) -> bool) -> MutexGuard<'_, State> {
        let state = self.lock();
        let Some(bell) = state.shares.get(&place).map(|share| share.bell.clone()) else {
            return state;
        };
        let waits =
            |state: &mut State| !state.over && state.shares.get(&place).is_some_and(&held_up);
        bell.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perun_channel::BackendId;
    use std::sync::mpsc;
    use std::thread;

    fn name() -> Identities {
        Identities::new(vec![(BackendId::ETHEREUM, vec![1])]).unwrap()
    }

    fn message() -> Message {
        Message::Shutdown { reason: String::new() }
    }

    fn mailbox() -> (Arc<Letters>, Mailbox) {
        let letters = Arc::<Letters>::default();
        (letters.clone(), Mailbox(letters))
    }

    /// What there is to read, in short.
    fn read_all(mailbox: &Mailbox) -> String {
        let short = |event| match event {
            NetworkEvent::Connected { .. } => 'c',
            NetworkEvent::Message { .. } => 'm',
            NetworkEvent::Disconnected { .. } => 'd',
            NetworkEvent::DialFailed { .. } => 'f',
        };
        core::iter::from_fn(|| mailbox.next_within(Duration::ZERO)).map(short).collect()
    }

    /// Fills the share in this place, and gives how many messages that took.
    fn fill(letters: &Letters, place: u64, size: usize) -> usize {
        letters.open(place, &name());
        let full = || letters.lock().shares[&place].is_full();
        (0..).take_while(|_| !full() && letters.put(place, message(), size)).count()
    }

    #[test]
    fn a_full_share_holds_up_its_own_reader_until_the_owner_reads() {
        let (letters, mailbox) = mailbox();
        // Its connection counts too, so that the owner must read that one first.
        assert_eq!(fill(&letters, 1, 1), MAX_UNREAD_MESSAGES - 1);
        assert_eq!(fill(&letters, 2, MAX_UNREAD_BYTES / 2), 2);
        let (told, heard) = mpsc::channel();
        let reader = thread::spawn({
            let letters = letters.clone();
            move || {
                told.send(()).unwrap();
                assert!(letters.put(1, message(), 1));
                told.send(()).unwrap();
            }
        });
        heard.recv().unwrap();
        assert!(heard.try_recv().is_err());
        letters.open(3, &name());
        assert!(letters.put(3, message(), 1), "others go on");
        assert!(heard.recv_timeout(Duration::from_millis(50)).is_err(), "it waits");
        assert!(mailbox.next_within(Duration::ZERO).is_some());
        heard.recv().unwrap();
        reader.join().unwrap();
        let all = read_all(&mailbox);
        assert_eq!(all.len(), MAX_UNREAD_MESSAGES + 3 + 2);
        assert!(all.starts_with('m') && all.ends_with('m'));
    }

    #[test]
    fn after_its_end_nothing_more_is_told_of_a_connection() {
        let (letters, mailbox) = mailbox();
        letters.open(1, &name());
        assert!(letters.put(1, message(), 1));
        letters.close(1, None);
        letters.close(1, Some(LinkError::Cut));
        assert!(!letters.put(1, message(), 1));
        assert_eq!(read_all(&mailbox), "cmd");
        letters.wait_until_read(1);
        assert!(letters.lock().shares.is_empty());
    }

    /// Else connections that come and go would fill the mailbox.
    #[test]
    fn a_connection_keeps_its_place_until_its_end_was_read() {
        let (letters, mailbox) = mailbox();
        letters.open(1, &name());
        letters.close(1, None);
        let (told, heard) = mpsc::channel();
        let leaving = thread::spawn(move || {
            letters.wait_until_read(1);
            told.send(()).unwrap();
        });
        assert!(mailbox.next_within(Duration::ZERO).is_some());
        assert!(heard.recv_timeout(Duration::from_millis(50)).is_err(), "one is unread");
        assert!(mailbox.next_within(Duration::ZERO).is_some());
        heard.recv().unwrap();
        leaving.join().unwrap();
    }

    #[test]
    fn nobody_waits_once_the_owner_is_gone() {
        let (letters, mailbox) = mailbox();
        fill(&letters, 1, MAX_UNREAD_BYTES);
        let other = letters.clone();
        let reader = thread::spawn(move || {
            assert!(!other.put(1, message(), 1));
            other.close(1, None);
            other.wait_until_read(1);
        });
        drop(mailbox);
        reader.join().unwrap();
        letters.open(2, &name());
        letters.close(2, None);
        letters.wait_until_read(2);
        let state = letters.lock();
        assert!(state.letters.is_empty() && state.shares.is_empty(), "nothing piles up");
    }

    #[test]
    fn an_end_sets_its_waiting_reader_free() {
        let (letters, _mailbox) = mailbox();
        fill(&letters, 1, MAX_UNREAD_BYTES);
        let other = letters.clone();
        let reader = thread::spawn(move || other.put(1, message(), 1));
        letters.close(1, None);
        assert!(!reader.join().unwrap());
    }
}
