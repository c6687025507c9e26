//! A connection to a go-perun peer over TCP: TLS if the peers want it, one handshake, then
//! envelopes both ways. [`Network`] has many of them, with threads and limits.
//!
//! A thin driver around the machines of this crate. A [`Link`] blocks; whoever owns it brings
//! threads, the clock, and a limit on how many connections there are. Its two halves may live in
//! two threads. The invariant: an envelope that [`Incoming::receive`] gives was sent under the name
//! that the handshake proved, and to ours.
//!
//! go-perun's own dialer and listener (`wire/net/simple`) always speak TLS. It hides what is said,
//! and proves no name: certificates have nothing to do with wire addresses.

mod connection;
mod mailbox;
mod network;
mod outbox;
mod stream;
mod table;

use core::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};

pub use self::mailbox::{MAX_UNREAD_BYTES, MAX_UNREAD_MESSAGES, Mailbox};
pub use self::network::{DialFailure, Network, NetworkEvent};
pub use self::outbox::{MAX_QUEUED_BYTES, MAX_QUEUED_MESSAGES};
use self::stream::Stream;
pub use self::table::{MAX_PINS, RACE_MAX};
use crate::{
    DecodeError, EncodeError, Envelope, Handshake, HandshakeError, Identities, Inbox, Message, Own,
    Serializer, Verifier,
};
pub use perun_places::{
    MAX_CONNECTIONS, MAX_DIALS, MAX_HANDSHAKES, MAX_HANDSHAKES_PER_ADDRESS, MAX_STRANGERS,
};

/// How long a connection may take to be made, and its handshake to be done: what go-perun gives
/// whoever dials it.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long one envelope may take to leave.
pub const WRITE_MAX: Duration = Duration::from_secs(20);
const READ_BYTES: usize = 16 << 10;

/// The owner's steady clock. It must move on by itself, since timeouts are measured with it.
pub type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// What is under the envelopes. All peers of a node have the same.
#[derive(Clone, Debug)]
pub enum Security {
    /// Nothing: whoever sees the bytes can read them.
    None,
    /// TLS, as go-perun's `simple` connections. The owner decides which certificates count.
    Tls {
        /// For connections that we dial.
        client: Arc<ClientConfig>,
        /// The name that the certificates of those whom we dial are for.
        server_name: ServerName<'static>,
        /// For connections that we take.
        server: Arc<ServerConfig>,
    },
}

/// What all connections of one node share.
pub struct Local {
    /// Our name and its proofs.
    pub own: Own,
    /// How names of peers are proven.
    pub verifier: Box<dyn Verifier + Send + Sync>,
    /// How envelopes are written. The peers must have been told the same.
    pub serializer: Serializer,
    /// What is under them.
    pub security: Security,
    /// The clock.
    pub clock: Clock,
}

/// Why a connection came to nothing, or ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum LinkError {
    /// The socket failed.
    Socket(io::ErrorKind),
    /// The peer did not do its part in time.
    Timeout,
    /// The stream ended inside an envelope or the handshake.
    Cut,
    /// TLS failed: another certificate than expected, or bytes that were changed.
    Insecure,
    /// The handshake failed.
    Handshake(HandshakeError),
    /// The peer sent what is no envelope.
    Decode(DecodeError),
    /// The envelope cannot be sent. The connection is as it was.
    Encode(EncodeError),
    /// An envelope under another name than the handshake's, or to somebody else.
    Forged,
    /// Another connection with the same peer took its place, see [`Network`].
    Replaced,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Handshake(error) => return error.fmt(f),
            Self::Decode(error) => return error.fmt(f),
            Self::Encode(error) => return error.fmt(f),
            Self::Socket(kind) => return write!(f, "The connection failed ({kind}). {AGAIN}"),
            Self::Timeout => "The peer took too long",
            Self::Cut => "The connection ended in the middle of a message",
            Self::Insecure => "TLS failed; check the certificates of both ends",
            Self::Forged => "The peer spoke under another name than it had proven",
            Self::Replaced => return f.write_str(REPLACED),
        };
        write!(f, "{words}. {AGAIN}")
    }
}

const AGAIN: &str = "It was closed; no money moved by that. Dial again; what the peer has not \
                     answered it may not have received.";

const REPLACED: &str = "Another connection with the same peer took the place of this one; no money \
                        moved by that. Use the new one; what the peer has not answered it may not \
                        have received.";

impl std::error::Error for LinkError {}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::UnexpectedEof => Self::Cut,
            kind => Self::Socket(kind),
        }
    }
}

/// A connection whose peer has proven its name.
#[derive(Debug)]
pub struct Link {
    /// The half that sends.
    pub outgoing: Outgoing,
    /// The half that receives.
    pub incoming: Incoming,
}

impl Link {
    /// The peer's name.
    #[must_use]
    pub fn peer(&self) -> &Identities {
        &self.incoming.peer
    }
}

impl Local {
    /// Dials a peer by its name.
    pub fn dial(
        self: &Arc<Self>,
        address: SocketAddr,
        peer: &Identities,
    ) -> Result<Link, LinkError> {
        if peer == self.own.name() {
            return Err(LinkError::Handshake(HandshakeError::Ourselves));
        }
        let deadline = self.deadline(HANDSHAKE_MAX);
        let socket = TcpStream::connect_timeout(&address, HANDSHAKE_MAX)?;
        self.hail(socket, peer, deadline)
    }

    /// Does the handshake on a connection that we made to a peer.
    fn hail(
        self: &Arc<Self>,
        socket: TcpStream,
        peer: &Identities,
        deadline: Duration,
    ) -> Result<Link, LinkError> {
        let (handshake, first) = Handshake::dial(&self.own, &*self.verifier, peer.clone())
            .map_err(LinkError::Handshake)?;
        let stream = Stream::dialled(socket, &self.security, &|| self.left(deadline))?;
        self.greet(stream, deadline, handshake, Some(first))
    }

    /// Does the handshake on a connection that a listener took.
    pub fn accept(self: &Arc<Self>, socket: TcpStream) -> Result<Link, LinkError> {
        let deadline = self.deadline(HANDSHAKE_MAX);
        let handshake = Handshake::accept(&self.own, &*self.verifier);
        let stream = Stream::accepted(socket, &self.security, &|| self.left(deadline))?;
        self.greet(stream, deadline, handshake, None)
    }

    fn greet(
        self: &Arc<Self>,
        stream: Stream,
        deadline: Duration,
        mut handshake: Handshake<'_>,
        mut send: Option<Envelope>,
    ) -> Result<Link, LinkError> {
        let mut inbox = Inbox::new(self.serializer);
        let mut done = None;
        loop {
            if let Some(envelope) = send {
                let bytes = self.serializer.encode(&envelope).map_err(LinkError::Encode)?;
                stream.write(&bytes, &|| self.left(deadline))?;
            }
            if let Some(peer) = done {
                let (local, to) = (self.clone(), Clone::clone(&peer));
                let outgoing = Outgoing { local, stream: stream.clone(), peer: to };
                let incoming = Incoming { local: self.clone(), stream, inbox, peer };
                return Ok(Link { outgoing, incoming });
            }
            let envelope = read(&stream, &mut inbox, &|| self.left(deadline))?;
            let (envelope, _) = envelope.ok_or(LinkError::Cut)?;
            let step = handshake.handle(envelope);
            (send, done) = step.map(|step| (step.send, step.done)).map_err(LinkError::Handshake)?;
        }
    }

    /// The bytes of a message to a peer.
    fn encode(&self, peer: &Identities, message: Message) -> Result<Vec<u8>, EncodeError> {
        if matches!(message, Message::Sync { current: None, .. }) {
            return Err(EncodeError::NothingToSync);
        }
        let (sender, recipient) = (self.own.name().clone(), peer.clone());
        self.serializer.encode(&Envelope { sender, recipient, message })
    }

    fn deadline(&self, patience: Duration) -> Duration {
        (self.clock)().saturating_add(patience)
    }

    fn left(&self, deadline: Duration) -> Result<Option<Duration>, LinkError> {
        let left = deadline.saturating_sub((self.clock)());
        if left.is_zero() { Err(LinkError::Timeout) } else { Ok(Some(left)) }
    }
}

/// The next envelope and how many bytes it took; `None` where the stream ends between two.
fn read(
    stream: &Stream,
    inbox: &mut Inbox,
    left: stream::Left<'_>,
) -> Result<Option<(Envelope, usize)>, LinkError> {
    let mut buffer = [0; READ_BYTES];
    loop {
        let held = inbox.len();
        if let Some(envelope) = inbox.poll().map_err(LinkError::Decode)? {
            return Ok(Some((envelope, held.saturating_sub(inbox.len()))));
        }
        match stream.read(&mut buffer, left)? {
            0 if inbox.is_empty() => return Ok(None),
            0 => return Err(LinkError::Cut),
            count => inbox.put(buffer.get(..count).unwrap_or_default()),
        }
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Local({:?}, {:?})", self.own.name(), self.serializer)
    }
}

/// The half of a connection that sends.
#[derive(Debug)]
pub struct Outgoing {
    local: Arc<Local>,
    stream: Stream,
    peer: Identities,
}

impl Outgoing {
    /// Sends a message. That it was written does not mean that the peer has it: go-perun
    /// acknowledges nothing. Any error but [`LinkError::Encode`] closes the connection.
    pub fn send(&mut self, message: Message) -> Result<(), LinkError> {
        let bytes = self.local.encode(&self.peer, message).map_err(LinkError::Encode)?;
        self.write(&bytes)
    }

    /// Sends the bytes of whole envelopes. An error closes the connection.
    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let deadline = self.local.deadline(WRITE_MAX);
        let sent = self.stream.write(bytes, &|| self.local.left(deadline));
        if sent.is_err() {
            self.close();
        }
        sent
    }

    /// Closes the connection, both ways.
    pub fn close(&self) {
        self.stream.close();
    }
}

/// The half of a connection that receives.
#[derive(Debug)]
pub struct Incoming {
    local: Arc<Local>,
    stream: Stream,
    inbox: Inbox,
    peer: Identities,
}

impl Incoming {
    /// Waits for the next message, as long as it takes; `None` when the peer closed between two.
    /// An error closes the connection.
    pub fn receive(&mut self) -> Result<Option<Message>, LinkError> {
        Ok(self.receive_sized()?.map(|(message, _)| message))
    }

    /// The same, with how many bytes the message's envelope took.
    fn receive_sized(&mut self) -> Result<Option<(Message, usize)>, LinkError> {
        let received = read(&self.stream, &mut self.inbox, &|| Ok(None)).and_then(|envelope| {
            let Some((Envelope { sender, recipient, message }, size)) = envelope else {
                return Ok(None);
            };
            if sender == self.peer && recipient == *self.local.own.name() {
                Ok(Some((message, size)))
            } else {
                Err(LinkError::Forged)
            }
        });
        if received.is_err() {
            self.stream.close();
        }
        received
    }
}
