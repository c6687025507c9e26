//! Why a connection ended, and why a payload was not taken.
//!
//! Every [`WireError`] ends one connection and nothing else: the session keeps what was not
//! acknowledged and sends it again on the next connection.

use core::fmt;

use crate::frame::Goodbye;
use crate::hello::Versions;
use crate::identity::PeerId;

/// Why a connection ended or was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// The other end does not greet like a Perun node.
    NotPerun,
    /// The greeting names an empty range of versions.
    MalformedHello,
    /// The two ends share no version.
    NoCommonVersion {
        /// What we speak.
        ours: Versions,
        /// What the other end speaks.
        theirs: Versions,
    },
    /// The cryptographic handshake failed.
    HandshakeFailed,
    /// Another peer answered than the one we dialled.
    WrongPeer {
        /// Whom we dialled.
        expected: PeerId,
        /// Who answered.
        found: PeerId,
    },
    /// The caller's rule does not admit this peer.
    NotAdmitted {
        /// Who asked.
        peer: PeerId,
    },
    /// The handshake did not finish in time.
    HandshakeTimeout,
    /// A handshake was used before it was done, or a connection given to another peer's session.
    Misuse,
    /// A frame is shorter than any frame can be.
    FrameTooShort,
    /// A frame was changed, replayed, reordered, or made with another key.
    FrameNotAuthentic,
    /// A frame of an unknown kind, or with bytes missing or left over.
    MalformedFrame,
    /// A frame that is not allowed at this point.
    UnexpectedFrame,
    /// A message number that skips some.
    SequenceGap,
    /// A part of a message that is not full and not the last, or an empty last part.
    ChunkSize,
    /// A message longer than the limit.
    MessageTooLong,
    /// More unacknowledged messages or bytes than the window allows.
    WindowExceeded,
    /// An acknowledgement of something that was not sent.
    AckBeyondSent,
    /// A resumption that contradicts what was acknowledged or sent.
    ImpossibleResume,
    /// The peer has not been heard for too long.
    PeerSilent,
    /// The peer said goodbye.
    Goodbye(Goodbye),
    /// There is a better connection to the same peer already.
    Duplicate,
    /// There is no connection.
    NotConnected,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPerun => f.write_str("the other end is not a Perun node: check the address"),
            Self::NoCommonVersion { ours, theirs } => write!(
                f,
                "no common version: we speak {} to {}, the peer {} to {}: update the older node",
                ours.oldest, ours.newest, theirs.oldest, theirs.newest
            ),
            Self::WrongPeer { expected, found } => write!(
                f,
                "dialled {expected}, but {found} answered: nothing was sent to it; check the \
                 address and the peer's key"
            ),
            Self::NotAdmitted { peer } => write!(f, "{peer} is not admitted here"),
            Self::HandshakeTimeout => f.write_str("the handshake took too long: try again"),
            Self::Misuse => f.write_str("a handshake or connection was used at the wrong time"),
            Self::PeerSilent => f.write_str("the peer is silent: dial it again"),
            Self::Goodbye(Goodbye::Closing) => f.write_str("the peer closed the connection"),
            Self::Goodbye(Goodbye::NotAdmitted) => f.write_str("the peer does not admit us"),
            Self::Goodbye(Goodbye::Duplicate) => f.write_str("the peer uses another connection"),
            Self::Goodbye(Goodbye::Busy) => f.write_str("the peer is busy: try again later"),
            Self::Duplicate => f.write_str("another connection to this peer is in use"),
            Self::NotConnected => f.write_str("there is no connection to this peer"),
            Self::HandshakeFailed => f.write_str("the handshake failed: nothing was revealed"),
            Self::MalformedHello
            | Self::FrameTooShort
            | Self::FrameNotAuthentic
            | Self::MalformedFrame
            | Self::UnexpectedFrame
            | Self::SequenceGap
            | Self::ChunkSize
            | Self::MessageTooLong
            | Self::WindowExceeded
            | Self::AckBeyondSent
            | Self::ImpossibleResume => write!(
                f,
                "the peer or the line broke the protocol ({self:?}): the connection was closed, \
                 unacknowledged messages are sent again on the next one"
            ),
        }?;
        f.write_str(". Channel funds are not affected.")
    }
}

impl std::error::Error for WireError {}

/// Why a payload was not taken for sending. Nothing was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendRefusal {
    /// The peer has not acknowledged enough: the window is full.
    Busy,
    /// The payload is longer than [`crate::MAX_MESSAGE_BYTES`].
    TooLong,
    /// There is no room for a session with another peer.
    TooManyPeers,
}

impl fmt::Display for SendRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => {
                "The peer is not keeping up; the message was not queued and no money moved. Try \
                 again when it has acknowledged more."
            }
            Self::TooLong => {
                "The message is too long for the wire; it was not queued and no money moved. Send \
                 less at once."
            }
            Self::TooManyPeers => {
                "Too many peers are connected; the message was not queued and no money moved. \
                 Disconnect from one first."
            }
        })
    }
}

impl std::error::Error for SendRefusal {}
