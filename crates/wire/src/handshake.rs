//! From bytes to a connection: greeting, then Noise XX with fixed sizes.
//!
//! Five messages, each of a length known beforehand, so nothing here obeys a length from outside.
//! The dialer learns who answered before it shows who it is; the listener learns who dialled before
//! anything else happens. It holds no timer: [`Handshake::deadline`] says when to give up.

use core::fmt;
use std::collections::VecDeque;
use std::sync::Arc;

use snow::{Builder, HandshakeState, TransportState};

use crate::Time;
use crate::connection::Connection;
use crate::error::WireError;
use crate::frame::{Frame, Goodbye};
use crate::hello::{HELLO_BYTES, VERSIONS, Versions};
use crate::identity::{Identity, PeerId, SeededResolver};

/// How long a handshake may take. Two round trips around the world and two key exchanges need less
/// than two seconds; ten leave room for a lossy line, and bound what an idle dialler can occupy.
pub const HANDSHAKE_MS_MAX: u64 = 10_000;

const PATTERN: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";
const PROLOGUE: &[u8] = b"perun-wire";
/// An ephemeral key.
const FIRST_BYTES: usize = 32;
/// An ephemeral key, a sealed static key, a tag.
const SECOND_BYTES: usize = 96;
/// A sealed static key, a tag.
const THIRD_BYTES: usize = 64;

/// Whom to accept at the other end.
#[derive(Clone)]
pub enum Expect {
    /// Only this peer. What a dialer should say.
    Exactly(PeerId),
    /// Whoever the rule admits.
    Matching(Arc<dyn Fn(PeerId) -> bool + Send + Sync>),
    /// Any peer; the caller limits what it may do.
    Anyone,
}

impl Expect {
    fn check(&self, found: PeerId) -> Result<(), WireError> {
        match self {
            Self::Exactly(expected) if *expected != found => {
                Err(WireError::WrongPeer { expected: *expected, found })
            }
            Self::Matching(admits) if !admits(found) => Err(WireError::NotAdmitted { peer: found }),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(peer) => write!(f, "Exactly({peer})"),
            Self::Matching(_) => f.write_str("Matching"),
            Self::Anyone => f.write_str("Anyone"),
        }
    }
}

/// A handshake in progress, for either end.
pub struct Handshake {
    identity: Identity,
    entropy: [u8; 32],
    expect: Expect,
    dialing: bool,
    ours: Versions,
    deadline: Time,
    stage: Stage,
    inbox: Vec<u8>,
    outbox: VecDeque<Vec<u8>>,
}

enum Stage {
    /// Waiting for the other greeting.
    Greeting,
    /// The listener waits for the first message.
    First { noise: Box<HandshakeState>, version: u16 },
    /// The dialer waits for the second message.
    Second { noise: Box<HandshakeState>, version: u16 },
    /// The listener waits for the third message.
    Third { noise: Box<HandshakeState>, version: u16 },
    /// Both keys are known.
    Done { cipher: Box<TransportState>, peer: PeerId, version: u16 },
    /// Refused; every further byte is refused for the same reason.
    Failed(WireError),
}

impl Handshake {
    /// Starts as the end that dialled. `entropy` must be fresh and random for every handshake.
    pub fn dial(
        identity: &Identity,
        expect: Expect,
        entropy: [u8; 32],
        now: Time,
    ) -> Result<Self, WireError> {
        Self::with_versions(identity, expect, entropy, now, true, VERSIONS)
    }

    /// Starts as the end that was dialled. `entropy` must be fresh and random for every handshake.
    pub fn accept(
        identity: &Identity,
        expect: Expect,
        entropy: [u8; 32],
        now: Time,
    ) -> Result<Self, WireError> {
        Self::with_versions(identity, expect, entropy, now, false, VERSIONS)
    }

    /// As [`Self::dial`] or [`Self::accept`], speaking fewer versions.
    pub fn with_versions(
        identity: &Identity,
        expect: Expect,
        entropy: [u8; 32],
        now: Time,
        dialing: bool,
        ours: Versions,
    ) -> Result<Self, WireError> {
        Versions::decode(&ours.encode()).map_err(|_| WireError::Misuse)?;
        let mut outbox = VecDeque::new();
        if dialing {
            outbox.push_back(ours.encode().to_vec());
        }
        Ok(Self {
            identity: identity.clone(),
            entropy,
            expect,
            dialing,
            ours,
            deadline: now.after(HANDSHAKE_MS_MAX),
            stage: Stage::Greeting,
            inbox: Vec::new(),
            outbox,
        })
    }

    /// Takes bytes from the stream. After an error, send what is left to send and close.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.inbox.extend_from_slice(bytes);
        while let Some(message) = self.next_message()? {
            let stage = core::mem::replace(&mut self.stage, Stage::Failed(WireError::Misuse));
            match self.advance(stage, &message) {
                Ok(next) => self.stage = next,
                Err(error) => {
                    self.stage = Stage::Failed(error);
                    self.inbox = Vec::new();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The next bytes for the stream, if any.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.outbox.pop_front()
    }

    /// When to give up with [`WireError::HandshakeTimeout`].
    #[must_use]
    pub fn deadline(&self) -> Time {
        self.deadline
    }

    /// Whether [`Self::finish`] will give a connection, once all bytes were sent.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done { .. })
    }

    /// The connection, when the handshake is done and everything was transmitted.
    pub fn finish(self) -> Result<Connection, WireError> {
        let local = self.identity.peer_id();
        match self.stage {
            Stage::Done { cipher, peer, version } if self.outbox.is_empty() => {
                Ok(Connection::new(local, peer, self.dialing, version, *cipher, self.inbox))
            }
            Stage::Failed(error) => Err(error),
            _ => Err(WireError::Misuse),
        }
    }

    /// Cuts the next message off the inbox, if it is whole.
    fn next_message(&mut self) -> Result<Option<Vec<u8>>, WireError> {
        let length = match &self.stage {
            Stage::Greeting => HELLO_BYTES,
            Stage::First { .. } => FIRST_BYTES,
            Stage::Second { .. } => SECOND_BYTES,
            Stage::Third { .. } => THIRD_BYTES,
            // What follows belongs to the connection.
            Stage::Done { .. } => return Ok(None),
            Stage::Failed(error) => {
                let error = *error;
                self.inbox = Vec::new();
                return Err(error);
            }
        };
        if self.inbox.len() < length {
            return Ok(None);
        }
        let rest = self.inbox.split_off(length);
        Ok(Some(core::mem::replace(&mut self.inbox, rest)))
    }

    fn advance(&mut self, stage: Stage, message: &[u8]) -> Result<Stage, WireError> {
        match stage {
            Stage::Greeting => self.greeted(message),
            Stage::First { mut noise, version } => {
                read(&mut noise, message)?;
                self.outbox.push_back(write(&mut noise)?);
                Ok(Stage::Third { noise, version })
            }
            Stage::Second { mut noise, version } => {
                read(&mut noise, message)?;
                // Before the third message: a wrong peer does not learn who dialled.
                let peer = remote(&noise)?;
                self.expect.check(peer)?;
                self.outbox.push_back(write(&mut noise)?);
                let cipher = transport(*noise)?;
                Ok(Stage::Done { cipher, peer, version })
            }
            Stage::Third { mut noise, version } => {
                read(&mut noise, message)?;
                let peer = remote(&noise)?;
                let cipher = transport(*noise)?;
                self.admit(peer, version, cipher)
            }
            Stage::Done { .. } => Err(WireError::Misuse),
            Stage::Failed(error) => Err(error),
        }
    }

    fn greeted(&mut self, message: &[u8]) -> Result<Stage, WireError> {
        let hello = message.first_chunk::<HELLO_BYTES>().ok_or(WireError::Misuse)?;
        let theirs = Versions::decode(hello)?;
        let ours = self.ours.encode();
        if !self.dialing {
            // Even without a common version: the dialer shall be able to say why.
            self.outbox.push_back(ours.to_vec());
        }
        let version = self.ours.common(theirs)?;
        let (first, second) = if self.dialing { (&ours, hello) } else { (hello, &ours) };
        let prologue = [PROLOGUE, first, second].concat();
        let params = PATTERN.parse().map_err(|_| WireError::Misuse)?;
        let builder = Builder::with_resolver(params, Box::new(SeededResolver(self.entropy)))
            .local_private_key(&self.identity.secret)
            .and_then(|builder| builder.prologue(&prologue))
            .map_err(|_| WireError::Misuse)?;
        // The entropy is spent: a second handshake must bring its own.
        self.entropy = [0; 32];
        let built =
            if self.dialing { builder.build_initiator() } else { builder.build_responder() };
        let mut noise = Box::new(built.map_err(|_| WireError::Misuse)?);
        if self.dialing {
            self.outbox.push_back(write(&mut noise)?);
            Ok(Stage::Second { noise, version })
        } else {
            Ok(Stage::First { noise, version })
        }
    }

    /// The listener's decision, told to the dialer if it is a refusal.
    fn admit(
        &mut self,
        peer: PeerId,
        version: u16,
        cipher: Box<TransportState>,
    ) -> Result<Stage, WireError> {
        let Err(error) = self.expect.check(peer) else {
            return Ok(Stage::Done { cipher, peer, version });
        };
        let local = self.identity.peer_id();
        let mut connection = Connection::new(local, peer, false, version, *cipher, Vec::new());
        self.outbox.push_back(connection.seal(&Frame::Goodbye(Goodbye::NotAdmitted))?);
        Err(error)
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.dialing { "dial" } else { "accept" };
        write!(f, "Handshake({side}, {:?}, done: {})", self.expect, self.is_done())
    }
}

fn read(noise: &mut HandshakeState, message: &[u8]) -> Result<(), WireError> {
    // The messages of the handshake carry no payload; the sizes leave no room for one.
    let mut payload = [0; SECOND_BYTES];
    match noise.read_message(message, &mut payload) {
        Ok(0) => Ok(()),
        _ => Err(WireError::HandshakeFailed),
    }
}

fn write(noise: &mut HandshakeState) -> Result<Vec<u8>, WireError> {
    let mut message = vec![0; SECOND_BYTES];
    let size = noise.write_message(&[], &mut message).map_err(|_| WireError::HandshakeFailed)?;
    message.truncate(size);
    Ok(message)
}

fn remote(noise: &HandshakeState) -> Result<PeerId, WireError> {
    let key = noise.get_remote_static().and_then(|key| key.try_into().ok());
    key.map(PeerId).ok_or(WireError::HandshakeFailed)
}

fn transport(noise: HandshakeState) -> Result<Box<TransportState>, WireError> {
    noise.into_transport_mode().map(Box::new).map_err(|_| WireError::HandshakeFailed)
}
