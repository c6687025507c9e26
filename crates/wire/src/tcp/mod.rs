//! Sessions over TCP: two threads per connection, one inbox for the owner.
//!
//! A thin driver around the machines of this crate: it owns sockets and threads, and decides
//! nothing about the protocol; clock and entropy are its owner's. The invariant: a slow, silent or
//! greedy peer occupies its own two threads, its own window and nothing else. No lock is held while
//! a socket is read or written, and everything that can pile up (connections, handshakes, peers,
//! undelivered events) has a limit. Strangers that reach one push out strangers: neither our own
//! dials nor the peers that the owner named ([`Network::pin`]).
//!
//! It dials once when asked; when to dial again is the owner's decision.

mod connection;
mod inbox;
mod peers;

use core::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{
    Event, Expect, Goodbye, Handshake, Identity, Incarnation, PeerId, Receipt, SendRefusal, Time,
    WireError,
};

pub use inbox::Inbox;
pub use peers::{MAX_PEERS, MAX_PINS};
use peers::{Peer, Table};
use perun_places::Places;
pub use perun_places::{
    MAX_CONNECTIONS, MAX_DIALS, MAX_HANDSHAKES, MAX_HANDSHAKES_PER_ADDRESS, MAX_STRANGERS,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one frame may take to leave.
const WRITE_MS_MAX: u64 = 20_000;
/// How long the listener rests after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const STACK_BYTES: usize = 512 << 10;

/// What the network tells its owner.
#[derive(Debug)]
pub enum NetworkEvent {
    /// Something happened in the session with a peer.
    Session {
        /// Which peer.
        peer: PeerId,
        /// What happened.
        event: Event,
    },
    /// The connection to a peer ended. Its session remains.
    Disconnected {
        /// Which peer.
        peer: PeerId,
        /// Why, unless the stream just ended.
        reason: Option<WireError>,
    },
    /// A dial did not lead to a connection.
    DialFailed {
        /// Whom we dialled.
        peer: PeerId,
        /// Why.
        reason: DialFailure,
    },
}

/// Why a dial failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialFailure {
    /// The system could not connect, or the stream ended during the handshake.
    Socket(io::ErrorKind),
    /// The protocol refused.
    Wire(WireError),
    /// [`MAX_CONNECTIONS`] are in use, [`MAX_DIALS`] are in their handshake, or the network is
    /// stopping.
    NoRoom,
}

/// Fills 32 bytes with fresh randomness. Called for every handshake and every new session.
pub type Entropy = Box<dyn FnMut() -> [u8; 32] + Send>;

/// The owner's steady clock. It must move on by itself, since timeouts are measured with it.
pub type Clock = Box<dyn Fn() -> Time + Send + Sync>;

/// All connections of one node. Clones share them.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

struct Shared {
    identity: Identity,
    admit: Expect,
    entropy: Mutex<Entropy>,
    clock: Clock,
    events: mpsc::Sender<inbox::Letter>,
    peers: Mutex<Table>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Locked before `peers` by whoever needs both.
    places: Mutex<Places<TcpStream, PeerId>>,
    listeners: Mutex<Vec<SocketAddr>>,
    stopping: AtomicBool,
}

impl Network {
    /// A network without connections, and the inbox for everything it has to tell.
    #[must_use]
    pub fn start(
        identity: Identity,
        admit: Expect,
        entropy: Entropy,
        clock: Clock,
    ) -> (Self, Inbox) {
        let (events, inbox) = mpsc::channel();
        let shared = Shared {
            identity,
            admit,
            entropy: Mutex::new(entropy),
            clock,
            events,
            peers: Mutex::default(),
            threads: Mutex::default(),
            places: Mutex::default(),
            listeners: Mutex::default(),
            stopping: AtomicBool::new(false),
        };
        (Self { shared: Arc::new(shared) }, Inbox::new(inbox))
    }

    /// Accepts connections at an address; gives the address with its actual port.
    pub fn listen(&self, address: impl ToSocketAddrs) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address)?;
        let local = listener.local_addr()?;
        lock(&self.shared.listeners).push(local);
        let shared = self.shared.clone();
        self.shared.spawn("perun-listen", move || accept_all(&shared, &listener))?;
        Ok(local)
    }

    /// Names a peer that matters, connected or not: strangers never push out its session nor its
    /// connection. The last [`MAX_PINS`] that were named count.
    pub fn pin(&self, peer: PeerId) {
        self.shared.name(peer, Table::pin);
    }

    /// Takes back [`Network::pin`]: from now on the peer is one among strangers, unless we dialled
    /// it.
    pub fn unpin(&self, peer: PeerId) {
        let mut places = lock(&self.shared.places);
        if lock(&self.shared.peers).unpin(peer) {
            places.unname(&peer);
        }
    }

    /// Dials a peer once, in the background, and pins it as long as those that the owner named
    /// leave room. A failure arrives in the inbox.
    pub fn dial(&self, peer: PeerId, address: SocketAddr) -> io::Result<()> {
        self.shared.name(peer, Table::pin_dialled);
        let shared = self.shared.clone();
        self.shared.spawn("perun-dial", move || {
            if let Err(reason) = dial_once(&shared, peer, address) {
                shared.tell(&Arc::default(), NetworkEvent::DialFailed { peer, reason });
            }
        })
    }

    /// Takes a payload for a peer, connected or not.
    pub fn send(&self, peer: PeerId, payload: Vec<u8>) -> Result<(), SendRefusal> {
        let peer = self.shared.peer(peer).ok_or(SendRefusal::TooManyPeers)?;
        let sent = peer.lock().session.send(payload);
        peer.wake();
        sent
    }

    /// Tells the peer that everything up to this message is safe with us.
    pub fn acknowledge(&self, peer: PeerId, receipt: Receipt) {
        let peer = lock(&self.shared.peers).get(peer);
        if let Some(peer) = peer {
            peer.lock().session.acknowledge(receipt);
            peer.wake();
        }
    }

    /// Says goodbye to a peer and closes its connection.
    pub fn disconnect(&self, peer: PeerId) {
        let peer = lock(&self.shared.peers).get(peer);
        if let Some(peer) = peer {
            peer.lock().session.say_goodbye(Goodbye::Closing);
            peer.wake();
        }
    }

    /// How many connections there are, with those in their handshake.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.shared.places).len()
    }

    /// Closes everything and waits for all threads. What was not acknowledged is forgotten.
    pub fn shutdown(self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for address in core::mem::take(&mut *lock(&self.shared.listeners)) {
            // Wakes the thread that waits in `accept`.
            drop(TcpStream::connect_timeout(&address, CONNECT_TIMEOUT));
        }
        loop {
            lock(&self.shared.places).close_all();
            lock(&self.shared.peers).wake_all();
            let Some(thread) = lock(&self.shared.threads).pop() else { break };
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({:?}, {} connections)", self.shared.identity, self.connections())
    }
}

impl Shared {
    fn now(&self) -> Time {
        (self.clock)()
    }

    fn fresh(&self) -> [u8; 32] {
        lock(&self.entropy)()
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn tell(&self, cost: &Arc<AtomicUsize>, event: NetworkEvent) {
        // Nobody listening any more is not our concern; the owner dropped the inbox.
        let _ = self.events.send(inbox::Letter::new(cost, event));
    }

    /// The session with a peer, made if there is none; `None` if there is no room for it.
    fn peer(&self, id: PeerId) -> Option<Arc<Peer>> {
        lock(&self.peers).get_or_make(id, || {
            let mut incarnation = [0; 16];
            incarnation.iter_mut().zip(self.fresh()).for_each(|(to, from)| *to = from);
            Incarnation(incarnation)
        })
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut threads = lock(&self.threads);
        if self.is_stopping() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        threads.retain(|thread| !thread.is_finished());
        let builder = thread::Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
        threads.push(builder.spawn(work)?);
        Ok(())
    }

    /// A place for a socket, so that it is counted and a shutdown can close it; `None` when there
    /// is no room. What is dialled has no address here.
    fn enter(&self, stream: &TcpStream, from: Option<IpAddr>) -> Option<u64> {
        let mut places = lock(&self.places);
        // Under the lock, so that a shutdown closes what entered before it.
        if self.is_stopping() {
            return None;
        }
        let socket = stream.try_clone().ok()?;
        match from {
            Some(from) => places.accepted(socket, from),
            None => places.dialled(socket),
        }
    }

    /// The handshake in this place led to this peer; false if it had to make way meanwhile.
    fn greeted(&self, place: u64, peer: PeerId) -> bool {
        let mut places = lock(&self.places);
        let named = lock(&self.peers).is_pinned(peer);
        places.greeted(place, &peer, named)
    }

    /// Pins a peer; whom that was one too many for is a stranger again.
    fn name(&self, peer: PeerId, pin: impl FnOnce(&mut Table, PeerId) -> Option<PeerId>) {
        let mut places = lock(&self.places);
        let excess = pin(&mut lock(&self.peers), peer);
        places.name(&peer);
        excess.into_iter().for_each(|other| places.unname(&other));
    }

    fn leave(&self, place: u64) {
        lock(&self.places).leave(place);
    }
}

fn accept_all(shared: &Arc<Shared>, listener: &TcpListener) {
    for stream in listener.incoming() {
        if shared.is_stopping() {
            return;
        }
        let Ok(stream) = stream else {
            // Out of descriptors, most likely: let others finish instead of spinning.
            thread::park_timeout(ACCEPT_PAUSE);
            continue;
        };
        // A stranger that finds no room is dropped without a word: a word would cost memory.
        let Ok(from) = stream.peer_addr() else { continue };
        let Some(place) = shared.enter(&stream, Some(from.ip())) else { continue };
        let worker = shared.clone();
        let started = shared.spawn("perun-peer", move || {
            let accept = |entropy, now| {
                Handshake::accept(&worker.identity, worker.admit.clone(), entropy, now)
            };
            let _ = connection::run(&worker, &stream, place, accept);
        });
        if started.is_err() {
            shared.leave(place);
        }
    }
}

fn dial_once(shared: &Arc<Shared>, peer: PeerId, address: SocketAddr) -> Result<(), DialFailure> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)
        .map_err(|error| DialFailure::Socket(error.kind()))?;
    let place = shared.enter(&stream, None).ok_or(DialFailure::NoRoom)?;
    let expect = Expect::Exactly(peer);
    connection::run(shared, &stream, place, |entropy, now| {
        Handshake::dial(&shared.identity, expect, entropy, now)
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
