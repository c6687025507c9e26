//! A connection to a go-perun peer over TCP, without TLS: one handshake, then envelopes both ways.
//!
//! A thin driver around the machines of this crate. It blocks; whoever owns it brings threads, the
//! clock, and a limit on how many connections there are. Its two halves may live in two threads.
//! The invariant: an envelope that [`Incoming::receive`] gives was sent under the name that the
//! handshake proved, and to ours.
//!
//! go-perun's own dialer speaks TLS. Where a peer insists on it, something in front of this must.

use core::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::{
    DecodeError, EncodeError, Envelope, Handshake, HandshakeError, Identities, Inbox, Message, Own,
    Serializer, Verifier,
};

/// How long a connection may take to be made, and its handshake to be done: what go-perun gives
/// whoever dials it.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long one envelope may take to leave.
pub const WRITE_MAX: Duration = Duration::from_secs(20);
const READ_BYTES: usize = 16 << 10;

/// The owner's steady clock. It must move on by itself, since timeouts are measured with it.
pub type Clock = Box<dyn Fn() -> Duration + Send + Sync>;

/// What all connections of one node share.
pub struct Local {
    /// Our name and its proofs.
    pub own: Own,
    /// How names of peers are proven.
    pub verifier: Box<dyn Verifier + Send + Sync>,
    /// How envelopes are written. The peers must have been told the same.
    pub serializer: Serializer,
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
    /// The handshake failed.
    Handshake(HandshakeError),
    /// The peer sent what is no envelope.
    Decode(DecodeError),
    /// The envelope cannot be sent. The connection is as it was.
    Encode(EncodeError),
    /// An envelope under another name than the handshake's, or to somebody else.
    Forged,
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
            Self::Forged => "The peer spoke under another name than it had proven",
        };
        write!(f, "{words}. {AGAIN}")
    }
}

const AGAIN: &str = "It was closed; no money moved by that. Dial again; what the peer has not \
                     answered it may not have received.";

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
        let deadline = self.deadline(HANDSHAKE_MAX);
        let stream = TcpStream::connect_timeout(&address, HANDSHAKE_MAX)?;
        let (handshake, first) = Handshake::dial(&self.own, &*self.verifier, peer.clone())
            .map_err(LinkError::Handshake)?;
        self.greet(stream, deadline, handshake, Some(first))
    }

    /// Does the handshake on a connection that a listener took.
    pub fn accept(self: &Arc<Self>, stream: TcpStream) -> Result<Link, LinkError> {
        let deadline = self.deadline(HANDSHAKE_MAX);
        let handshake = Handshake::accept(&self.own, &*self.verifier);
        self.greet(stream, deadline, handshake, None)
    }

    fn greet(
        self: &Arc<Self>,
        stream: TcpStream,
        deadline: Duration,
        mut handshake: Handshake<'_>,
        mut send: Option<Envelope>,
    ) -> Result<Link, LinkError> {
        stream.set_nodelay(true)?;
        let mut inbox = Inbox::new(self.serializer);
        loop {
            if let Some(envelope) = send {
                let bytes = self.serializer.encode(&envelope).map_err(LinkError::Encode)?;
                self.write(&stream, &bytes, deadline)?;
            }
            let envelope = self.read(&stream, &mut inbox, Some(deadline))?.ok_or(LinkError::Cut)?;
            let step = handshake.handle(envelope).map_err(LinkError::Handshake)?;
            send = step.send;
            let Some(peer) = step.done else { continue };
            if let Some(envelope) = send {
                let bytes = self.serializer.encode(&envelope).map_err(LinkError::Encode)?;
                self.write(&stream, &bytes, deadline)?;
            }
            let second = stream.try_clone()?;
            let (local, to) = (self.clone(), peer.clone());
            let outgoing = Outgoing { local, stream: second, peer: to };
            let incoming = Incoming { local: self.clone(), stream, inbox, peer };
            return Ok(Link { outgoing, incoming });
        }
    }

    fn deadline(&self, patience: Duration) -> Duration {
        (self.clock)().saturating_add(patience)
    }

    fn left(&self, deadline: Duration) -> Result<Duration, LinkError> {
        let left = deadline.saturating_sub((self.clock)());
        if left.is_zero() { Err(LinkError::Timeout) } else { Ok(left) }
    }

    fn write(
        &self,
        mut stream: &TcpStream,
        mut bytes: &[u8],
        deadline: Duration,
    ) -> Result<(), LinkError> {
        while !bytes.is_empty() {
            stream.set_write_timeout(Some(self.left(deadline)?))?;
            let count = stream.write(bytes)?;
            if count == 0 {
                return Err(LinkError::Cut);
            }
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// The next envelope; `None` where the stream ends between two.
    fn read(
        &self,
        mut stream: &TcpStream,
        inbox: &mut Inbox,
        deadline: Option<Duration>,
    ) -> Result<Option<Envelope>, LinkError> {
        let mut buffer = [0; READ_BYTES];
        loop {
            if let Some(envelope) = inbox.poll().map_err(LinkError::Decode)? {
                return Ok(Some(envelope));
            }
            let patience = deadline.map(|deadline| self.left(deadline)).transpose()?;
            stream.set_read_timeout(patience)?;
            match stream.read(&mut buffer) {
                Ok(0) if inbox.is_empty() => return Ok(None),
                Ok(0) => return Err(LinkError::Cut),
                Ok(count) => inbox.put(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
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
    stream: TcpStream,
    peer: Identities,
}

impl Outgoing {
    /// Sends a message. That it was written does not mean that the peer has it: go-perun
    /// acknowledges nothing. Any error but [`LinkError::Encode`] closes the connection.
    pub fn send(&mut self, message: Message) -> Result<(), LinkError> {
        if matches!(message, Message::Sync { current: None, .. }) {
            return Err(LinkError::Encode(EncodeError::NothingToSync));
        }
        let (sender, recipient) = (self.local.own.name().clone(), self.peer.clone());
        let envelope = Envelope { sender, recipient, message };
        let bytes = self.local.serializer.encode(&envelope).map_err(LinkError::Encode)?;
        let sent = self.local.write(&self.stream, &bytes, self.local.deadline(WRITE_MAX));
        if sent.is_err() {
            self.close();
        }
        sent
    }

    /// Closes the connection, both ways.
    pub fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// The half of a connection that receives.
#[derive(Debug)]
pub struct Incoming {
    local: Arc<Local>,
    stream: TcpStream,
    inbox: Inbox,
    peer: Identities,
}

impl Incoming {
    /// Waits for the next message, as long as it takes; `None` when the peer closed between two.
    /// An error closes the connection.
    pub fn receive(&mut self) -> Result<Option<Message>, LinkError> {
        let received = self.local.read(&self.stream, &mut self.inbox, None).and_then(|envelope| {
            let Some(Envelope { sender, recipient, message }) = envelope else { return Ok(None) };
            if sender == self.peer && recipient == *self.local.own.name() {
                Ok(Some(message))
            } else {
                Err(LinkError::Forged)
            }
        });
        if received.is_err() {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
        received
    }
}
