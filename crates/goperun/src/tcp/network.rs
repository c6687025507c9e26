//! Connections with many go-perun peers: two threads for each, one mailbox for the owner.

use core::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::mailbox::Letters;
use super::outbox::Outbox;
use super::table::{Greeted, Table};
use super::{HANDSHAKE_MAX, LinkError, Local, Mailbox, connection};
use crate::{HandshakeError, Identities, Message};

/// How long the listener rests after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
pub(super) const STACK_BYTES: usize = 512 << 10;

/// What the network tells its owner.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every event is a message")]
pub enum NetworkEvent {
    /// There is a connection with a peer, whoever dialled. Nothing of an earlier one counts.
    Connected {
        /// Which peer.
        peer: Identities,
        /// The number of the connection, for [`Network::send_over`]. No other has had it.
        link: u64,
    },
    /// A message about channels arrived.
    Message {
        /// From whom.
        peer: Identities,
        /// What it says.
        message: Message,
    },
    /// The connection with a peer ended; it is told once. What was sent over it and not answered
    /// may not have arrived.
    Disconnected {
        /// Which peer.
        peer: Identities,
        /// Why, unless the stream just ended or the owner ended it.
        reason: Option<LinkError>,
    },
    /// A dial did not lead to a connection.
    DialFailed {
        /// Whom we dialled.
        peer: Identities,
        /// Why.
        reason: DialFailure,
    },
}

/// Why a dial failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum DialFailure {
    /// The system could not connect, or the handshake failed.
    Link(LinkError),
    /// There is a connection with this peer already: use that one.
    Connected,
    /// Another dial to this peer is under way: its outcome will be told.
    UnderWay,
    /// [`super::MAX_CONNECTIONS`] or [`super::MAX_DIALS`] are in use, or the network is stopping.
    NoRoom,
}

impl fmt::Display for DialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link(error) => return error.fmt(f),
            Self::Connected => {
                "There is a connection with this peer already; no money moved. Use that one."
            }
            Self::UnderWay => "This peer is being dialled already; no money moved. Wait for it.",
            Self::NoRoom => {
                "There is no room for another connection, or the network is stopping; nothing was \
                 sent and no money moved. Dial again later."
            }
        })
    }
}

impl std::error::Error for DialFailure {}

/// All connections of one node. Clones share them; they live until [`Network::shutdown`].
///
/// The invariant: a slow, silent or greedy peer occupies its own two threads, its own queues and
/// nothing else. No lock of these is held while a socket is read or written, and everything that
/// can pile up has a limit. Strangers that reach one push out strangers: neither connections that
/// we dialled nor peers that the owner named ([`Network::pin`]).
///
/// A peer has one connection. When both ends dial at once, both keep the one that the *larger*
/// address dialled, in the order of [`crate::Verifier::order`], as go-perun does; the other end's
/// is [`LinkError::Replaced`] or never told of. What was on its way over that one is lost. Whoever
/// can show a peer's proof takes its connection, too, and a proof is no secret (see
/// [`crate::Handshake`]): that can silence a peer, and moves no money. Certificates keep strangers
/// away.
///
/// Nobody answers a `Ping`, as go-perun does not; it is dropped without a word, and so are `Pong`,
/// `Shutdown` and `AuthResponse` after the handshake: no owner of a channel has a use for them. A
/// peer that goes away is [`NetworkEvent::Disconnected`].
///
/// It dials once when asked; when to dial again is the owner's decision.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) local: Arc<Local>,
    pub(super) letters: Arc<Letters>,
    /// Locked before the letters by whoever needs both.
    table: Mutex<Table<TcpStream>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    listeners: Mutex<Vec<SocketAddr>>,
    stopping: AtomicBool,
}

impl Network {
    /// A network without connections, and the mailbox for everything it has to tell.
    #[must_use]
    pub fn start(local: Local) -> (Self, Mailbox) {
        let letters = Arc::<Letters>::default();
        let shared = Shared {
            local: Arc::new(local),
            letters: letters.clone(),
            table: Mutex::default(),
            threads: Mutex::default(),
            listeners: Mutex::default(),
            stopping: AtomicBool::new(false),
        };
        (Self { shared: Arc::new(shared) }, Mailbox(letters))
    }

    /// Our own name.
    #[must_use]
    pub fn name(&self) -> &Identities {
        self.shared.local.own.name()
    }

    /// Accepts connections at an address; gives the address with its actual port.
    pub fn listen(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address)?;
        let local = listener.local_addr()?;
        lock(&self.shared.listeners).push(local);
        let shared = self.shared.clone();
        self.shared.spawn("goperun-listen", move || accept_all(&shared, &listener))?;
        Ok(local)
    }

    /// Dials a peer once, in the background. Each dial that began has one outcome in the mailbox:
    /// [`NetworkEvent::Connected`] or [`NetworkEvent::DialFailed`].
    pub fn dial(&self, peer: Identities, address: SocketAddr) -> Result<(), DialFailure> {
        if peer == *self.name() {
            return Err(DialFailure::Link(LinkError::Handshake(HandshakeError::Ourselves)));
        }
        self.shared.table().begin_dial(&peer)?;
        let (shared, to) = (self.shared.clone(), peer.clone());
        let dialled = self.shared.spawn("goperun-dial", move || {
            if let Err(reason) = dial_once(&shared, &to, address) {
                // First, so that the owner can dial again as soon as it knows.
                shared.table().end_dial(&to);
                shared.letters.tell(NetworkEvent::DialFailed { peer: to, reason });
            }
        });
        dialled.map_err(|_| {
            self.shared.table().end_dial(&peer);
            DialFailure::NoRoom
        })
    }

    /// Takes a message for a connected peer; false if there is no connection, if too much waits to
    /// be written over it, or if go-perun has no bytes for the message (which
    /// [`crate::Serializer::encode`] explains). True does not mean that it arrives.
    pub fn send(&self, peer: &Identities, message: Message) -> bool {
        let outbox = self.shared.table().outbox(peer);
        let Some(outbox) = outbox else { return false };
        self.shared.local.encode(peer, message).is_ok_and(|envelope| outbox.put(envelope))
    }

    /// The same for an owner that has read of this connection: over any other nothing is sent, and
    /// the message is lost like those that were on their way when it ended. Who says again what it
    /// has to say when it reads of a connection would else say it twice. False only if it found no
    /// room.
    pub fn send_over(&self, link: u64, peer: &Identities, message: Message) -> bool {
        let outbox = self.shared.table().outbox_of(peer, link);
        let Some(outbox) = outbox else { return true };
        self.shared.local.encode(peer, message).is_ok_and(|envelope| outbox.put(envelope))
    }

    /// Ends the connection with a peer, after what waits to be written over it. Whoever gets no
    /// answer for too long does this and dials again: a peer that lost its power says no farewell.
    pub fn disconnect(&self, peer: &Identities) {
        if let Some(outbox) = self.shared.table().outbox(peer) {
            outbox.finish();
        }
    }

    /// Names a peer that matters, connected or not, such as that of a living channel: strangers
    /// never push it out. The last [`super::MAX_PINS`] that were named count.
    pub fn pin(&self, peer: &Identities) {
        self.shared.table().pin(peer);
    }

    /// Takes back [`Network::pin`]: from now on the peer is one among strangers, unless we dialled
    /// it.
    pub fn unpin(&self, peer: &Identities) {
        self.shared.table().unpin(peer);
    }

    /// How many connections there are, with those in their handshake, and those that ended and of
    /// which the owner has not read everything.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.table().places.len()
    }

    /// Closes everything and waits for all threads, at most [`HANDSHAKE_MAX`] for a dial that
    /// nobody answers. What the mailbox holds can still be read.
    pub fn shutdown(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.letters.stop();
        for address in core::mem::take(&mut *lock(&self.shared.listeners)) {
            // Wakes the thread that waits in `accept`.
            drop(TcpStream::connect_timeout(&address, HANDSHAKE_MAX));
        }
        loop {
            self.shared.table().close_all();
            let Some(thread) = lock(&self.shared.threads).pop() else { break };
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Network({:?}, {} connections)", self.shared.local, self.connections())
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table<TcpStream>> {
        lock(&self.table)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
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
        let socket = stream.try_clone().ok()?;
        let mut table = self.table();
        // Under the lock, so that a shutdown closes what entered before it.
        if self.is_stopping() {
            return None;
        }
        match from {
            Some(from) => table.places.accepted(socket, from),
            None => table.places.dialled(socket),
        }
    }

    /// The handshake in this place led to this peer, whose connection this is now, unless another
    /// one stays.
    pub(super) fn greeted(
        &self,
        place: u64,
        peer: &Identities,
        dialled: bool,
    ) -> Result<Arc<Outbox>, DialFailure> {
        let at = (self.local.clock)();
        let mut table = self.table();
        if self.is_stopping() {
            return Err(DialFailure::NoRoom);
        }
        let entered = table.enter(&self.local, peer, Greeted { place, dialled, at });
        if dialled {
            table.end_dial(peer);
        }
        let (outbox, old) = entered?;
        // Under the lock, so that they are told in the order in which they happen.
        if let Some(old) = old {
            self.letters.close(old, Some(LinkError::Replaced));
        }
        self.letters.open(place, peer);
        Ok(outbox)
    }

    /// Ends the connection in this place, if that is not done.
    pub(super) fn end(&self, place: u64, peer: &Identities, reason: Option<LinkError>) {
        let mut table = self.table();
        table.end(peer, place);
        self.letters.close(place, reason);
    }

    pub(super) fn leave(&self, place: u64) {
        self.table().places.leave(place);
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
        let started = shared.spawn("goperun-peer", move || {
            let _ = connection::run(&worker, place, false, || worker.local.accept(stream));
        });
        if started.is_err() {
            shared.leave(place);
        }
    }
}

fn dial_once(
    shared: &Arc<Shared>,
    peer: &Identities,
    address: SocketAddr,
) -> Result<(), DialFailure> {
    let deadline = shared.local.deadline(HANDSHAKE_MAX);
    let stream = TcpStream::connect_timeout(&address, HANDSHAKE_MAX)
        .map_err(|error| DialFailure::Link(error.into()))?;
    let place = shared.enter(&stream, None).ok_or(DialFailure::NoRoom)?;
    connection::run(shared, place, true, || shared.local.hail(stream, peer, deadline))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
