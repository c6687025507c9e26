//! Which peers to dial again, and when.
//!
//! Pure: it is told what happened and the time, and says whom to dial. Only peers that this node
//! dials are in it, so that of two nodes one redials and the other waits. Waits double up to a
//! bound.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use perun_wire::PeerId;

/// How long after the first loss of a connection it is dialled again.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause between two dials.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The most doublings of a pause; more would exceed [`PAUSE_MAX`] anyway.
const DOUBLINGS_MAX: u32 = 16;

struct Dialled {
    address: SocketAddr,
    link: Link,
    failures: u32,
}

enum Link {
    /// Connected.
    Up,
    /// A dial is on its way.
    Dialling,
    /// To be dialled at this time.
    Due(Instant),
}

/// The peers that this node keeps connected.
#[derive(Default)]
pub(crate) struct Redial {
    peers: BTreeMap<PeerId, Dialled>,
}

impl Redial {
    /// Keeps a peer connected from now on, at this address.
    pub(crate) fn keep(&mut self, peer: PeerId, address: SocketAddr, now: Instant) {
        self.peers.insert(peer, Dialled { address, link: Link::Due(now), failures: 0 });
    }

    /// Lets a peer go.
    pub(crate) fn forget(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
    }

    /// A connection to the peer exists.
    pub(crate) fn connected(&mut self, peer: PeerId) {
        if let Some(dialled) = self.peers.get_mut(&peer) {
            dialled.link = Link::Up;
            dialled.failures = 0;
        }
    }

    /// The connection to the peer ended.
    pub(crate) fn disconnected(&mut self, peer: PeerId, now: Instant) {
        if let Some(dialled) = self.peers.get_mut(&peer) {
            dialled.rest(now);
        }
    }

    /// A dial led to nothing. If there is a connection nevertheless, the dial was one too many.
    pub(crate) fn failed(&mut self, peer: PeerId, now: Instant) {
        if let Some(dialled) = self.peers.get_mut(&peer)
            && !matches!(dialled.link, Link::Up)
        {
            dialled.rest(now);
        }
    }

    /// The peers to dial now; they count as being dialled.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(PeerId, SocketAddr)> {
        let mut due = Vec::new();
        for (peer, dialled) in &mut self.peers {
            if matches!(dialled.link, Link::Due(at) if at <= now) {
                dialled.link = Link::Dialling;
                due.push((*peer, dialled.address));
            }
        }
        due
    }

    /// When somebody is to be dialled next.
    pub(crate) fn next(&self) -> Option<Instant> {
        let times = self.peers.values().filter_map(|dialled| match dialled.link {
            Link::Due(at) => Some(at),
            Link::Up | Link::Dialling => None,
        });
        times.min()
    }
}

impl Dialled {
    fn rest(&mut self, now: Instant) {
        let factor = 1_u32 << self.failures.min(DOUBLINGS_MAX);
        self.failures = self.failures.saturating_add(1);
        self.link = Link::Due(now + PAUSE_MIN.saturating_mul(factor).min(PAUSE_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId([1; 32]);

    fn kept() -> (Redial, Instant, SocketAddr) {
        let (mut redial, start) = (Redial::default(), Instant::now());
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        redial.keep(PEER, address, start);
        assert_eq!(redial.due(start), [(PEER, address)]);
        (redial, start, address)
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_begin_anew_after_a_connection() {
        let (mut redial, mut now, address) = kept();
        let mut pauses = Vec::new();
        for _ in 0..40 {
            redial.failed(PEER, now);
            let next = redial.next().unwrap();
            pauses.push(next - now);
            assert!(redial.due(next - Duration::from_millis(1)).is_empty());
            now = next;
            assert_eq!(redial.due(now), [(PEER, address)]);
        }
        assert_eq!(pauses[..2], [PAUSE_MIN, PAUSE_MIN * 2]);
        assert_eq!(pauses.last(), Some(&PAUSE_MAX));
        redial.connected(PEER);
        redial.disconnected(PEER, now);
        assert_eq!(redial.next(), Some(now + PAUSE_MIN));
    }

    #[test]
    fn a_failed_dial_beside_a_connection_is_not_repeated() {
        let (mut redial, now, _) = kept();
        redial.connected(PEER);
        redial.failed(PEER, now);
        assert_eq!(redial.next(), None);
    }

    #[test]
    fn only_peers_that_were_dialled_are_dialled_again() {
        let (mut redial, now, _) = kept();
        redial.disconnected(PeerId([2; 32]), now);
        assert_eq!(redial.next(), None);
        redial.disconnected(PEER, now);
        redial.forget(PEER);
        assert_eq!(redial.next(), None);
    }
}
