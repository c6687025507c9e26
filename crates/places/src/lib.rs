//! Who holds a place for a connection, and who makes way when there is none: the same for every
//! network of a node, whatever its peers are called.
//!
//! The invariant: what connected strangers hold never keeps our own dials from going out, nor a
//! peer that the owner named from coming in. When places become few, and when a stranger finds
//! none, the oldest one of the network that holds most of them goes, so that idle sockets push each
//! other out, not others.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, Shutdown, TcpStream};

/// The most connections at once, each with two threads of small stacks.
pub const MAX_CONNECTIONS: usize = 512;

/// The most handshakes at once that others began. An honest one takes two round trips, so 64 are
/// hundreds of new connections per second.
pub const MAX_HANDSHAKES: usize = 64;

/// The most of those from one address, so that others need not even push it out: half, since nodes
/// behind one address may all come back at once.
pub const MAX_HANDSHAKES_PER_ADDRESS: usize = MAX_HANDSHAKES / 2;

/// The most dials of our own in their handshake, and how many places others leave free for them.
pub const MAX_DIALS: usize = 64;

/// The most connections that others began, with those in their handshake.
const MAX_INCOMING: usize = MAX_CONNECTIONS - MAX_DIALS;

/// How many places connected strangers leave free. Who comes is a stranger until its handshake is
/// over, so there must be a place before anybody knows who it is for; and those who make way need
/// a moment to be gone.
const MARGIN: usize = 32;

/// The most connected peers that came by themselves and that the owner did not name: half of all,
/// so that named ones find room beside them.
pub const MAX_STRANGERS: usize = MAX_CONNECTIONS / 2;

/// What a place holds open; a trait, so that tests need no sockets.
pub trait Close {
    /// Ends what goes on over it.
    fn close(&self);
}

impl Close for TcpStream {
    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

/// All places that are taken, by the order in which they were.
#[derive(Debug)]
pub struct Places<S, I> {
    taken: BTreeMap<u64, Place<S, I>>,
    next: u64,
}

#[derive(Debug)]
struct Place<S, I> {
    socket: S,
    /// Where it came from; nothing for a dial of ours.
    from: Option<IpAddr>,
    standing: Standing<I>,
}

#[derive(Debug, PartialEq, Eq)]
enum Standing<I> {
    /// In its handshake.
    Greeting,
    /// Connected to a peer that came by itself.
    Stranger(I),
    /// Connected to a peer that the owner named, or that we dialled.
    Named(I),
    /// Closed; its threads are on their way out and still count.
    Leaving,
}

impl<S, I> Default for Places<S, I> {
    fn default() -> Self {
        Self { taken: BTreeMap::new(), next: 0 }
    }
}

impl<S: Close, I: Clone + Eq> Places<S, I> {
    /// A place for a dial of ours, if there is one.
    pub fn dialled(&mut self, socket: S) -> Option<u64> {
        self.thin_out();
        let dials = |place: &Place<S, I>| place.from.is_none() && place.is(&Standing::Greeting);
        let room = self.taken.len() < MAX_CONNECTIONS && self.count(dials) < MAX_DIALS;
        room.then(|| self.take(socket, None))
    }

    /// A place for a socket that came from this address, if there is one or another makes way.
    pub fn accepted(&mut self, socket: S, from: IpAddr) -> Option<u64> {
        self.thin_out();
        let from = network_of(from);
        // Those that leave hold places until they are gone, or a flood would pile up threads.
        let came = self.count(|place| place.from.is_some());
        if came >= MAX_INCOMING || self.taken.len() >= MAX_CONNECTIONS {
            return None;
        }
        let greets = |place: &Place<S, I>| place.from.is_some() && place.is(&Standing::Greeting);
        let here = |place: &Place<S, I>| place.from == Some(from) && greets(place);
        if self.count(here) >= MAX_HANDSHAKES_PER_ADDRESS {
            self.make_way(here);
        } else if self.count(greets) >= MAX_HANDSHAKES {
            self.make_way(greets);
        }
        Some(self.take(socket, Some(from)))
    }

    /// The handshake led to this peer. False if it had to make way meanwhile.
    pub fn greeted(&mut self, key: u64, peer: &I, named: bool) -> bool {
        let greeting = self.taken.get(&key).filter(|place| place.is(&Standing::Greeting));
        let Some(came) = greeting.map(|place| place.from.is_some()) else { return false };
        let stranger = came && !named;
        if stranger && self.count(Place::is_strange) >= MAX_STRANGERS {
            self.make_way(Place::is_strange);
        } else {
            // It found a place perhaps when nobody could make way for it.
            self.thin_out();
        }
        if let Some(place) = self.taken.get_mut(&key) {
            let standing = if stranger { Standing::Stranger } else { Standing::Named };
            place.standing = standing(peer.clone());
        }
        true
    }

    /// The owner named a peer that may be connected already.
    pub fn name(&mut self, peer: &I) {
        let strange = Standing::Stranger(peer.clone());
        for place in self.taken.values_mut().filter(|place| place.is(&strange)) {
            place.standing = Standing::Named(peer.clone());
        }
    }

    /// The owner no longer names a peer that may be connected: if it came by itself, it is a
    /// stranger again, and must not be one too many.
    pub fn unname(&mut self, peer: &I) {
        let named = Standing::Named(peer.clone());
        let came = self.taken.values_mut().filter(|place| place.from.is_some());
        for place in came.filter(|place| place.is(&named)) {
            place.standing = Standing::Stranger(peer.clone());
        }
        if self.count(Place::is_strange) > MAX_STRANGERS {
            self.make_way(Place::is_strange);
        }
    }

    /// Whether strangers do not push out who is connected here.
    #[must_use]
    pub fn is_named(&self, key: u64) -> bool {
        let place = self.taken.get(&key);
        place.is_some_and(|place| matches!(place.standing, Standing::Named(_)))
    }

    /// Closes what is here; it keeps the place until it leaves.
    pub fn close(&mut self, key: u64) {
        if let Some(place) = self.taken.get_mut(&key) {
            place.standing = Standing::Leaving;
            place.socket.close();
        }
    }

    /// Gives a place back.
    pub fn leave(&mut self, key: u64) {
        self.taken.remove(&key);
    }

    /// How many places are taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.taken.len()
    }

    /// Whether no place is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// Closes all that is open.
    pub fn close_all(&self) {
        self.taken.values().for_each(|place| place.socket.close());
    }

    fn take(&mut self, socket: S, from: Option<IpAddr>) -> u64 {
        let key = self.next;
        self.next = self.next.saturating_add(1);
        self.taken.insert(key, Place { socket, from, standing: Standing::Greeting });
        key
    }

    fn count(&self, which: impl Fn(&Place<S, I>) -> bool) -> usize {
        self.taken.values().filter(|place| which(place)).count()
    }

    /// Lets a connected stranger make way if only [`MARGIN`] places are left, or fewer. Those that
    /// leave do not count: each call would send another one away until they are gone.
    fn thin_out(&mut self) {
        let stays = |place: &Place<S, I>| !place.is(&Standing::Leaving);
        let came = self.count(|place| place.from.is_some() && stays(place));
        let few = |taken: usize, most: usize| taken.saturating_add(MARGIN) >= most;
        if few(came, MAX_INCOMING) || few(self.count(stays), MAX_CONNECTIONS) {
            self.make_way(Place::is_strange);
        }
    }

    /// Closes the oldest of these that came from the network with most of them.
    fn make_way(&mut self, which: impl Fn(&Place<S, I>) -> bool) {
        let mut crowds: BTreeMap<Option<IpAddr>, (usize, u64)> = BTreeMap::new();
        for (key, place) in self.taken.iter().filter(|(_, place)| which(place)) {
            let (count, _) = crowds.entry(place.from).or_insert((0, *key));
            *count = count.saturating_add(1);
        }
        let largest = crowds.values().max_by_key(|(count, _)| *count);
        if let Some(oldest) = largest.map(|(_, oldest)| *oldest) {
            self.close(oldest);
        }
    }
}

impl<S, I: Eq> Place<S, I> {
    fn is(&self, standing: &Standing<I>) -> bool {
        self.standing == *standing
    }

    const fn is_strange(&self) -> bool {
        matches!(self.standing, Standing::Stranger(_))
    }
}

/// What one owner is likely to hold all of: one address of the old kind, or the 64 bits of the new
/// kind that every customer gets.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        four => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::net::Ipv4Addr;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Fake(Rc<Cell<bool>>);

    impl Close for Fake {
        fn close(&self) {
            self.0.set(true);
        }
    }

    impl Fake {
        fn is_closed(&self) -> bool {
            self.0.get()
        }
    }

    fn address(host: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, host))
    }

    /// So many sockets from this host, in their handshake.
    fn crowd(places: &mut Places<Fake, u8>, host: u8, count: usize) -> Vec<(u64, Fake)> {
        let come = |_| {
            let socket = Fake::default();
            (places.accepted(socket.clone(), address(host)).unwrap(), socket)
        };
        (0..count).map(come).collect()
    }

    /// So many connected strangers from this host.
    fn strangers(places: &mut Places<Fake, u8>, host: u8, count: usize) -> Vec<(u64, Fake)> {
        let come = |_| {
            let one = crowd(places, host, 1).remove(0);
            assert!(places.greeted(one.0, &1, false));
            one
        };
        (0..count).map(come).collect()
    }

    /// Those that were told to go are gone.
    fn let_leave(places: &mut Places<Fake, u8>) -> usize {
        let before = places.len();
        places.taken.retain(|_, place| !place.is(&Standing::Leaving));
        before - places.len()
    }

    fn closed(crowd: &[(u64, Fake)]) -> usize {
        crowd.iter().filter(|(_, socket)| socket.is_closed()).count()
    }

    #[test]
    fn an_address_that_holds_its_share_of_handshakes_loses_its_own_oldest() {
        let mut places = Places::default();
        let other = crowd(&mut places, 2, 1);
        let many = crowd(&mut places, 1, MAX_HANDSHAKES_PER_ADDRESS + 3);
        assert_eq!((closed(&many[..3]), closed(&many), closed(&other)), (3, 3, 0));
        assert!(!places.greeted(many[0].0, &1, false), "it was told to go");
        assert!(places.greeted(many[3].0, &1, false));
    }

    #[test]
    fn when_all_handshakes_are_taken_the_most_crowded_network_makes_way() {
        let mut places = Places::default();
        let few = crowd(&mut places, 1, 2);
        let full = MAX_HANDSHAKES_PER_ADDRESS;
        let (many, more) = (crowd(&mut places, 2, full), crowd(&mut places, 3, full - 2));
        assert_eq!(closed(&many), 0);
        let honest = crowd(&mut places, 4, 1);
        assert_eq!((closed(&many), closed(&more), closed(&few)), (1, 0, 0));
        assert!(many[0].1.is_closed(), "the oldest");
        assert_eq!(closed(&honest), 0);
    }

    #[test]
    fn one_customer_of_the_new_kind_of_address_is_one_network() {
        let six = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, last));
        let mapped = IpAddr::V6(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        assert_eq!(network_of(six(1)), network_of(six(2)));
        assert_eq!(network_of(mapped), address(1));
        assert_ne!(network_of(address(2)), address(1));
    }

    #[test]
    fn strangers_leave_room_for_our_dials_however_many_there_are() {
        let mut places = Places::default();
        let mut came = 0_usize;
        for host in 0..=255 {
            for _ in 0..4 {
                let Some(key) = places.accepted(Fake::default(), address(host)) else { continue };
                // Named ones, so that none makes way for another.
                assert!(places.greeted(key, &host, true));
                came += 1;
            }
        }
        assert_eq!(came, MAX_INCOMING);
        let dials = (0..MAX_DIALS).filter(|_| places.dialled(Fake::default()).is_some()).count();
        assert_eq!(dials, MAX_DIALS);
        assert_eq!(places.dialled(Fake::default()), None);
        assert_eq!(places.len(), MAX_CONNECTIONS);
    }

    #[test]
    fn handshakes_of_others_do_not_count_as_dials() {
        let mut places = Places::default();
        (1..=2).for_each(|host| drop(crowd(&mut places, host, MAX_HANDSHAKES_PER_ADDRESS)));
        let dials = (0..MAX_DIALS).filter(|_| places.dialled(Fake::default()).is_some()).count();
        assert_eq!(dials, MAX_DIALS);
    }

    #[test]
    fn dials_are_limited_while_they_greet_and_give_their_places_back() {
        let mut places = Places::default();
        let dials: Vec<_> =
            (0..MAX_DIALS).map(|_| places.dialled(Fake::default()).unwrap()).collect();
        assert_eq!(places.dialled(Fake::default()), None);
        assert!(places.greeted(dials[0], &1, false));
        assert!(places.dialled(Fake::default()).is_some());
        assert_eq!(places.dialled(Fake::default()), None);
        places.leave(dials[1]);
        assert!(places.dialled(Fake::default()).is_some());
    }

    #[test]
    fn a_connected_stranger_makes_way_and_a_named_peer_does_not() {
        let mut places = Places::default();
        let mut strangers = Vec::new();
        for number in 0..MAX_STRANGERS {
            let peer = u8::try_from(number % 250).unwrap();
            let one = crowd(&mut places, 1, 1).remove(0);
            assert!(places.greeted(one.0, &peer, false));
            strangers.push(one);
        }
        // The first became a channel peer while it was connected.
        places.name(&0);
        let named = strangers.iter().enumerate().filter(|(number, _)| number % 250 == 0).count();
        let fresh = crowd(&mut places, 2, named + 1);
        for (key, _) in &fresh {
            assert!(places.greeted(*key, &251, false));
        }
        assert_eq!((closed(&strangers), closed(&fresh)), (1, 0));
        assert!(strangers[1].1.is_closed(), "the oldest that is not named");
        // One that is leaving holds its place until its threads are gone.
        assert_eq!(places.len(), MAX_STRANGERS + named + 1);
    }

    #[test]
    fn named_peers_find_places_whatever_strangers_hold() {
        const PEERS: usize = MAX_INCOMING - MAX_HANDSHAKES;
        let mut places = Places::default();
        let idle = strangers(&mut places, 1, MAX_STRANGERS);
        // Two hosts keep the handshakes full, with sockets that say nothing.
        (2..=3).for_each(|host| drop(crowd(&mut places, host, MAX_HANDSHAKES_PER_ADDRESS)));
        for number in 0..PEERS {
            let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
            let from = IpAddr::V4(Ipv4Addr::new(10, 1, high, low));
            let key = places.accepted(Fake::default(), from);
            let key = key.unwrap_or_else(|| panic!("peer {number} finds no place"));
            assert!(places.greeted(key, &9, true));
            // Whatever makes way is gone at once, and another silent socket comes instead.
            for _ in 0..let_leave(&mut places) {
                let _ = places.accepted(Fake::default(), address(2));
            }
            let_leave(&mut places);
        }
        assert_eq!(closed(&idle), idle.len());
        assert_eq!(places.count(|place| place.is(&Standing::Named(9))), PEERS);
    }

    #[test]
    fn our_dials_find_places_beside_strangers_however_many_there_are() {
        const DIALS: usize = MAX_CONNECTIONS - MARGIN;
        let mut places = Places::default();
        let idle = strangers(&mut places, 1, MAX_STRANGERS);
        for number in 0..DIALS {
            let key = places.dialled(Fake::default());
            let key = key.unwrap_or_else(|| panic!("dial {number} finds no place"));
            assert!(places.greeted(key, &9, false));
            let_leave(&mut places);
        }
        assert_eq!(closed(&idle), idle.len());
    }

    #[test]
    fn strangers_that_are_slow_to_leave_do_not_send_all_others_away() {
        let mut places = Places::default();
        let idle = strangers(&mut places, 1, MAX_STRANGERS);
        let mut came = 0_usize;
        while let Some(key) = places.accepted(Fake::default(), address(2)) {
            assert!(places.greeted(key, &9, true));
            came += 1;
        }
        assert_eq!((came, closed(&idle)), (MAX_INCOMING - MAX_STRANGERS, MARGIN + 1));
        assert!((0..1_000).all(|_| places.accepted(Fake::default(), address(2)).is_none()));
        assert_eq!(closed(&idle), MARGIN + 1, "enough are on their way out");
        let_leave(&mut places);
        assert!(places.accepted(Fake::default(), address(2)).is_some());
    }

    #[test]
    fn a_peer_that_is_no_longer_named_makes_way_like_any_stranger() {
        let mut places = Places::default();
        let (one, other) = (7, 8);
        let came = crowd(&mut places, 1, 2);
        assert!(places.greeted(came[0].0, &one, true) && places.greeted(came[1].0, &other, true));
        let dial = places.dialled(Fake::default()).unwrap();
        assert!(places.greeted(dial, &one, false));
        let idle = strangers(&mut places, 2, MAX_STRANGERS - 1);
        places.unname(&one);
        assert_eq!((closed(&came), closed(&idle)), (0, 0), "there is room for it");
        places.unname(&other);
        assert_eq!((closed(&came), closed(&idle)), (0, 1), "one too many");
        for _ in 0..MAX_STRANGERS {
            let_leave(&mut places);
            strangers(&mut places, 1, 1);
        }
        assert_eq!(closed(&came), 2);
        assert!(places.taken.contains_key(&dial), "what we dialled stays");
    }
}
