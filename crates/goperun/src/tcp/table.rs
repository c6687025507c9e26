//! Which peer has which connection, who is pinned, whom we dial; and which of two connections with
//! one peer stays.
//!
//! The invariant: a peer has one connection at most, and which one it is does not depend on the
//! order in which handshakes end at either side.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::outbox::Outbox;
use super::places::{MAX_DIALS, Places};
use super::{DialFailure, Local};
use crate::Identities;

/// The most peers that the owner can pin at once.
pub const MAX_PINS: usize = 1_024;

/// A connection that is older than this is in no race with a new one. go-perun dials whom it has no
/// connection with: its end of the old one is gone, so the new one stays. It would refuse the new
/// one itself until it has noticed, which locks out a peer whose machine lost its power.
pub const RACE_MAX: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Table {
    pub(super) places: Places<TcpStream>,
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

impl Table {
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
        if !self.places.greeted(new.place, named) {
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
        if self.held.get(peer).is_some_and(|held| held.place == place) {
            if let Some(held) = self.held.remove(peer) {
                held.outbox.close();
            }
        }
    }

    /// What is to be written to a peer, if it is connected.
    pub(super) fn outbox(&self, peer: &Identities) -> Option<Arc<Outbox>> {
        self.held.get(peer).map(|held| held.outbox.clone())
    }

    /// Pins a peer; whoever was pinned longest ago makes way if that is one too many.
    pub(super) fn pin(&mut self, peer: &Identities) {
        self.pinned = self.pinned.saturating_add(1);
        self.pins.insert(peer.clone(), self.pinned);
        if let Some(held) = self.held.get(peer) {
            self.places.name(held.place);
        }
        let first = || self.pins.iter().min_by_key(|(_, at)| **at).map(|(peer, _)| peer.clone());
        if let Some(excess) = (self.pins.len() > MAX_PINS).then(first).flatten() {
            self.unpin(&excess);
        }
    }

    pub(super) fn unpin(&mut self, peer: &Identities) {
        if self.pins.remove(peer).is_some() {
            if let Some(held) = self.held.get(peer) {
                self.places.unname(held.place);
            }
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
