//! Why bytes are not an envelope, why an envelope has no bytes, and why a handshake failed.
//!
//! Each of them ends one connection at most: no signature was given and no money moved.

use core::fmt;

use perun_channel::sig::SignatureRefusal;
use perun_channel::{BackendId, Invalid};

/// The lists and byte strings that have a limit, see the constants of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`crate::MAX_IDENTITIES`]; none is as wrong as too many.
    Identities,
    /// [`crate::MAX_WIRE_ADDRESS`]; nor may it be empty.
    WireAddress,
    /// [`crate::MAX_PARTY_ADDRESSES`].
    PartyAddresses,
    /// [`perun_channel::MAX_FOREIGN_BYTES`]; nor may it be empty.
    ForeignBytes,
    /// Two to [`crate::MAX_PEERS`].
    Peers,
    /// [`crate::MAX_PEERS`].
    Parents,
    /// [`crate::MAX_PEERS`].
    IndexMaps,
    /// [`perun_channel::MAX_PARTICIPANTS`].
    IndexMap,
    /// [`perun_channel::MAX_PARTICIPANTS`].
    Participants,
    /// [`perun_channel::MAX_ASSETS`].
    Assets,
    /// [`perun_channel::MAX_LOCKED`].
    Locked,
    /// [`perun_channel::MAX_DATA`].
    Data,
    /// [`crate::MAX_AUTH_SIGNATURE`].
    AuthSignature,
    /// [`crate::MAX_REASON`].
    Reason,
    /// 128 bits, as [`perun_channel::Amount`].
    Amount,
    /// 256 bits.
    Nonce,
    /// 64 bits, as [`perun_channel::Asset`].
    ChainNumber,
    /// [`crate::MAX_PROTOBUF_ENVELOPE`] or [`crate::MAX_NATIVE_ENVELOPE`].
    Envelope,
}

/// Why bytes are not an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the envelope does; it has at least `wanted` bytes. More may complete
    /// it.
    Short {
        /// How many bytes there must be, from the envelope's first, for another try.
        wanted: usize,
    },
    /// A number, list or byte string is beyond its limit.
    Limit(Limit),
    /// A message type that does not exist.
    UnknownMessage(u8),
    /// A second spelling of a value: leading zeros, other flags than 0 and 1, unknown or repeated
    /// fields, data without an app.
    NotCanonical,
    /// A field that must be there is missing.
    Missing,
    /// A byte string of fixed length has another one.
    Length,
    /// Text that is not UTF-8.
    Text,
    /// Not protobuf.
    Malformed,
    /// The same ledger twice in one map of addresses.
    RepeatedBackend,
    /// A ledger's number outside of what a map's key can hold.
    Backend,
    /// A participant without an address on Ethereum, with which it signs.
    NoSigner,
    /// An asset of Ethereum that is not one, or whose chain is zero.
    Asset,
    /// A phase that go-perun's machine does not have.
    Phase,
    /// Balances that do not fit the outcome beside them, or signatures that do not fit the state.
    Shape,
    /// A signature that no adjudicator would accept.
    Signature(SignatureRefusal),
    /// The parts decode, but the value they make breaks a law of channels.
    Invalid(Invalid),
}

impl From<Invalid> for DecodeError {
    fn from(reason: Invalid) -> Self {
        Self::Invalid(reason)
    }
}

impl From<SignatureRefusal> for DecodeError {
    fn from(reason: SignatureRefusal) -> Self {
        Self::Signature(reason)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message of a go-perun peer was refused: ")?;
        match self {
            Self::Short { wanted } => write!(f, "it ends before its {wanted} bytes"),
            Self::Limit(limit) => write!(f, "{limit:?} outside of what is allowed here"),
            Self::UnknownMessage(kind) => write!(f, "there is no message of type {kind}"),
            Self::NotCanonical => f.write_str("a value is not in its one spelling"),
            Self::Missing => f.write_str("a field is missing"),
            Self::Length => f.write_str("a field has the wrong length"),
            Self::Text => f.write_str("its text is not UTF-8"),
            Self::Malformed => f.write_str("it is not protobuf"),
            Self::RepeatedBackend => f.write_str("two addresses for one ledger"),
            Self::Backend => f.write_str("a ledger's number is too large"),
            Self::NoSigner => f.write_str("a participant has no address on Ethereum"),
            Self::Asset => f.write_str("an asset is not in Ethereum's form"),
            Self::Phase => f.write_str("no such phase"),
            Self::Shape => f.write_str("balances or signatures do not fit the state"),
            Self::Signature(reason) => write!(f, "{reason}"),
            Self::Invalid(reason) => write!(f, "{reason}"),
        }?;
        f.write_str(". No money moved; close the connection and dial again.")
    }
}

impl std::error::Error for DecodeError {}

/// Why an envelope cannot be sent. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// go-perun has no bytes for this asset: it names no chains off Ethereum.
    Asset(BackendId),
    /// A synchronization without a state: it brings a go-perun node down.
    NothingToSync,
    /// A value that we would refuse from a peer.
    Refused(DecodeError),
}

impl From<DecodeError> for EncodeError {
    fn from(reason: DecodeError) -> Self {
        Self::Refused(reason)
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asset(backend) => write!(
                f,
                "an asset of ledger kind {} cannot be named to a go-perun peer: the message was \
                 not sent and no money moved; agree on another asset.",
                backend.get()
            ),
            Self::NothingToSync => f.write_str(
                "there is no state to tell a go-perun peer, and a message without one would bring \
                 its node down: it was not sent and no money moved; wait for the peer's own.",
            ),
            Self::Refused(reason) => write!(
                f,
                "a message was not sent, and no money moved, since a peer may refuse it \
                 ({reason:?}): send less at once."
            ),
        }
    }
}

impl std::error::Error for EncodeError {}

/// Why a handshake failed. Nothing but our own name was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Another message than the answer that was due.
    UnexpectedMessage,
    /// The other end wants to talk to somebody else.
    NotForUs,
    /// Another peer answered than the one we dialled, or it changed its name between rounds.
    WrongPeer,
    /// The other end bears our own name.
    Ourselves,
    /// A signature does not prove the name.
    NotProven,
    /// An account of ours could not sign.
    CannotSign,
    /// Our own addresses make no name.
    OwnName(DecodeError),
    /// It was already done, or had failed.
    Over,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnexpectedMessage => {
                "The peer does not greet as go-perun does: check the address and the serializer"
            }
            Self::NotForUs => "The peer dialled somebody else: it has a wrong address for us",
            Self::WrongPeer => "Another peer answered than the one we dialled: check its address",
            Self::Ourselves => "We dialled ourselves: check the peer's address",
            Self::NotProven => "The peer did not prove its name: check its key",
            Self::CannotSign => "Our key could not sign: check the key",
            Self::OwnName(_) => "Our addresses make no name: use one to four, of different ledgers",
            Self::Over => "The handshake is over: dial again",
        })?;
        f.write_str(". Nothing was agreed and no money moved.")
    }
}

impl std::error::Error for HandshakeError {}
