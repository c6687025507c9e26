//! Which peer has which connection, who is pinned, whom we dial; and which of two connections with
//! one peer stays.
//!
//! The invariant: a peer has one connection at most, and which one it is does not depend on the
//! order in which handshakes end at either side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::outbox::Outbox;
use super::{DialFailure, Local};
use crate::Identities;
use perun_places::{Close, MAX_DIALS, Places};

/// The most peers that the owner can pin at once.
pub const MAX_PINS: usize = 1_024;

/// A connection that is older than this is in no race with a new one. go-perun dials whom it has no
/// connection with: its end of the old one is gone, so the new one stays. It would refuse the new
/// one itself until it has noticed, which locks out a peer whose machine lost its power.
pub const RACE_MAX: Duration = Duration::from_secs(60);

pub(super) struct Table<S> {
    /// A peer has one connection: its place is its name there.
    pub(super) places: Places<S, u64>,
    held: BTreeMap<Identities, Held>,
    /// Whom we dial just now.
    dialling: BTreeSet<Identities>,
    /// Pinned peers, with the time of the last pin as a number that rises.
    pins: BTreeMap<Identities, u64>,
    pinned: u64,
}

struct Held {
    place: u64,
    since: Duration,
    outbox: Arc<Outbox>,
}

/// A connection whose handshake is over.
#[derive(Clone, Copy)]
pub(super) struct Greeted {
    pub(super) place: u64,
    pub(super) dialled: bool,
    pub(super) at: Duration,
}

impl<S> Default for Table<S> {
    fn default() -> Self {
        Self {
            places: Places::default(),
            held: BTreeMap::new(),
            dialling: BTreeSet::new(),
            pins: BTreeMap::new(),
            pinned: 0,
        }
    }
}

impl<S: Close> Table<S> {
    /// Begins a dial, unless there is no use in it.
    pub(super) fn begin_dial(&mut self, peer: &Identities) -> Result<(), DialFailure> {
        if self.dialling.contains(peer) {
            // Even if the peer's own dial was faster: ours may replace that.
            Err(DialFailure::UnderWay)
        } else if self.held.contains_key(peer) {
            Err(DialFailure::Connected)
        } else if self.dialling.len() >= MAX_DIALS {
            Err(DialFailure::NoRoom)
        } else {
            self.dialling.insert(peer.clone());
            Ok(())
        }
    }

    /// A dial is over, whatever came of it.
    pub(super) fn end_dial(&mut self, peer: &Identities) {
        self.dialling.remove(peer);
    }

    /// Gives a peer its new connection, and what has to make way for it. Refused if the one that
    /// is there stays, or if there is no room.
    pub(super) fn enter(
        &mut self,
        local: &Local,
        peer: &Identities,
        new: Greeted,
    ) -> Result<(Arc<Outbox>, Option<u64>), DialFailure> {
        // Whom we dial is nobody strange, even if its own dial was faster.
        let mut named = self.dialling.contains(peer) || self.pins.contains_key(peer);
        if let Some(old) = self.held.get(peer) {
            let races = new.at.saturating_sub(old.since) <= RACE_MAX;
            if races && loses(local, peer, new.dialled) {
                return Err(DialFailure::Connected);
            }
            named |= self.places.is_named(old.place);
        }
        if !self.places.greeted(new.place, &new.place, named) {
            return Err(DialFailure::NoRoom);
        }
        let outbox = Arc::new(Outbox::default());
        let held = Held { place: new.place, since: new.at, outbox: outbox.clone() };
        let old = self.held.insert(peer.clone(), held).map(|old| {
            old.outbox.close();
            self.places.close(old.place);
            old.place
        });
        Ok((outbox, old))
    }

    /// The connection in this place ended.
    pub(super) fn end(&mut self, peer: &Identities, place: u64) {
        self.places.close(place);
        if self.held.get(peer).is_some_and(|held| held.place == place)
            && let Some(held) = self.held.remove(peer)
        {
            held.outbox.close();
        }
    }

    /// What is to be written to a peer, if it is connected.
    pub(super) fn outbox(&self, peer: &Identities) -> Option<Arc<Outbox>> {
        self.held.get(peer).map(|held| held.outbox.clone())
    }

    /// The same, if this is its connection.
    pub(super) fn outbox_of(&self, peer: &Identities, place: u64) -> Option<Arc<Outbox>> {
        let held = self.held.get(peer).filter(|held| held.place == place);
        held.map(|held| held.outbox.clone())
    }

    /// Pins a peer; whoever was pinned longest ago makes way if that is one too many.
    pub(super) fn pin(&mut self, peer: &Identities) {
        self.pinned = self.pinned.saturating_add(1);
        self.pins.insert(peer.clone(), self.pinned);
        if let Some(held) = self.held.get(peer) {
            self.places.name(&held.place);
        }
        let first = || self.pins.iter().min_by_key(|(_, at)| **at).map(|(peer, _)| peer.clone());
        if let Some(excess) = (self.pins.len() > MAX_PINS).then(first).flatten() {
            self.unpin(&excess);
        }
    }

    pub(super) fn unpin(&mut self, peer: &Identities) {
        if self.pins.remove(peer).is_some()
            && let Some(held) = self.held.get(peer)
        {
            self.places.unname(&held.place);
        }
    }

    pub(super) fn close_all(&self) {
        self.places.close_all();
        self.held.values().for_each(|held| held.outbox.close());
    }
}

/// Whether a new connection loses against the one that is there, as go-perun decides it: the one
/// that the smaller address dialled loses. Where names have several addresses and these disagree,
/// both ends refuse every second connection; then both may go, and one of them must dial again.
fn loses(local: &Local, peer: &Identities, dialled: bool) -> bool {
    local.own.name().entries().iter().any(|(kind, ours)| {
        let theirs = peer.entries().iter().find(|(other, _)| other == kind);
        theirs.is_some_and(|(_, theirs)| dialled == local.verifier.order(ours, theirs).is_lt())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::{MAX_STRANGERS, Security};
    use crate::{Account, Own, Serializer, Verifier};
    use perun_channel::BackendId;
    use std::cell::Cell;
    use std::net::{IpAddr, Ipv4Addr};
    use std::rc::Rc;

    /// An address, and whoever believes it.
    struct Plain(Vec<u8>);

    impl Account for Plain {
        fn address(&self) -> &[u8] {
            &self.0
        }
        fn sign(&self, _: &[u8]) -> Option<Vec<u8>> {
            Some(vec![])
        }
    }

    impl Verifier for Plain {
        fn proves(&self, _: &[u8], _: &[u8], _: &[u8]) -> bool {
            true
        }
    }

    /// A name with these addresses, on ledgers 1, 2, ...
    fn name(addresses: &[&[u8]]) -> Identities {
        let kinds = (1..).map(BackendId::new);
        let entries = kinds.zip(addresses).map(|(kind, bytes)| (kind, bytes.to_vec()));
        Identities::new(entries.collect()).unwrap()
    }

    fn local(addresses: &[&[u8]]) -> Local {
        let plain: Vec<_> = addresses.iter().map(|bytes| Plain(bytes.to_vec())).collect();
        let kinds = (1..).map(BackendId::new);
        let accounts: Vec<_> = kinds.zip(plain.iter().map(|one| one as &dyn Account)).collect();
        Local {
            own: Own::new(&accounts).unwrap(),
            verifier: Box::new(Plain(vec![])),
            serializer: Serializer::Native,
            security: Security::None,
            clock: Box::new(|| Duration::ZERO),
        }
    }

    #[derive(Clone, Default)]
    struct Fake(Rc<Cell<bool>>);

    impl Close for Fake {
        fn close(&self) {
            self.0.set(true);
        }
    }

    /// A peer comes by itself, from this host.
    fn comes(table: &mut Table<Fake>, peer: &Identities, host: u8) -> (u64, Fake) {
        let (socket, from) = (Fake::default(), IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)));
        let place = table.places.accepted(socket.clone(), from).unwrap();
        let new = Greeted { place, dialled: false, at: Duration::ZERO };
        assert!(table.enter(&local(&[b"m"]), peer, new).is_ok());
        (place, socket)
    }

    /// As in go-perun's `fullEndpoint.replace`.
    #[test]
    fn the_end_with_the_smaller_address_loses_what_it_dialled() {
        let lost = |own: &[&[u8]], peer: &[&[u8]], dialled| {
            let peer = name(peer);
            loses(&local(own), &peer, dialled)
        };
        assert!(lost(&[b"a"], &[b"b"], true) && !lost(&[b"a"], &[b"b"], false));
        assert!(!lost(&[b"b"], &[b"a"], true) && lost(&[b"b"], &[b"a"], false));
        // Only ledgers that both have count; and one that says so is enough.
        let two: [&[u8]; 2] = [b"m", b"m"];
        assert!(!lost(&[b"m"], &[b"a", b"z"], true) && lost(&two, &[b"a", b"z"], true));
        let one = Identities::new(vec![(BackendId::new(9), b"z".to_vec())]).unwrap();
        assert!(!loses(&local(&two), &one, true) && !loses(&local(&two), &one, false));
    }

    #[test]
    fn a_peer_is_dialled_once_at_a_time_and_not_while_it_is_connected() {
        let mut table = Table::<Fake>::default();
        let peer = name(&[b"a"]);
        assert!(table.begin_dial(&peer).is_ok());
        assert!(matches!(table.begin_dial(&peer), Err(DialFailure::UnderWay)));
        table.end_dial(&peer);
        let (place, _) = comes(&mut table, &peer, 1);
        assert!(matches!(table.begin_dial(&peer), Err(DialFailure::Connected)));
        table.end(&peer, place + 1);
        assert!(matches!(table.begin_dial(&peer), Err(DialFailure::Connected)), "another's end");
        table.end(&peer, place);
        let others = (1..u8::MAX).map(|byte| name(&[&[byte]]));
        let dials = others.take_while(|other| table.begin_dial(other).is_ok()).count();
        assert_eq!(dials, MAX_DIALS);
        assert!(matches!(table.begin_dial(&peer), Err(DialFailure::NoRoom)));
    }

    #[test]
    fn strangers_push_out_strangers_and_no_peer_that_counts() {
        let mut table = Table::default();
        let [pinned, later, dialled, stranger] = [b"a", b"b", b"c", b"d"].map(|one| name(&[one]));
        table.pin(&pinned);
        let (_, pinned) = comes(&mut table, &pinned, 1);
        let (_, later_socket) = comes(&mut table, &later, 1);
        table.pin(&later);
        // It dialled us while we dialled it.
        table.begin_dial(&dialled).unwrap();
        let (_, dialled_socket) = comes(&mut table, &dialled, 1);
        let (_, first) = comes(&mut table, &stranger, 1);
        for number in 1..MAX_STRANGERS {
            let own = u32::try_from(number).unwrap().to_be_bytes();
            comes(&mut table, &name(&[&own]), 1);
        }
        assert!(!first.0.get());
        comes(&mut table, &name(&[b"one too many"]), 1);
        assert!(first.0.get(), "the oldest stranger");
        assert!(![&pinned, &later_socket, &dialled_socket].iter().any(|socket| socket.0.get()));
        table.unpin(&later);
        assert!(later_socket.0.get(), "now it is one too many itself");
    }

    #[test]
    fn the_last_pins_count() {
        let mut table = Table::default();
        let first = name(&[b"first"]);
        table.pin(&first);
        let (place, _) = comes(&mut table, &first, 1);
        for number in 0..MAX_PINS {
            assert!(table.places.is_named(place));
            let [.., high, low] = u32::try_from(number).unwrap().to_be_bytes();
            table.pin(&name(&[&[high, low]]));
        }
        assert!(!table.places.is_named(place));
        assert_eq!(table.pins.len(), MAX_PINS);
    }
}
