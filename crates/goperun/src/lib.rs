//! How we talk to nodes that run go-perun: its messages, its two ways of writing them, its
//! handshake, and connections over TCP.
//!
//! ```text
//!  Envelope ── check ──> native | proto ──> bytes          (encode)
//!  bytes ──> native | proto ──> Envelope, within limits    (decode; what is canonical re-encodes)
//!  Handshake: envelopes in, envelopes out                  (no socket, no clock)
//!  tcp: sockets around those                               (the owner brings the clock)
//! ```
//!
//! The codecs are pure. The invariant: whatever bytes arrive, decoding neither panics nor allocates
//! more than a constant times their number, and a decoded envelope encodes to the same bytes, save
//! for the order of addresses in a map, which go-perun draws at random. Channels themselves are
//! [`perun_channel`]'s types; nothing here decides about a channel.
//!
//! What go-perun's own apps and test ledger need is left out: app data are bytes to us, and every
//! participant signs as on Ethereum. The layouts are in `docs/encoding.md`.
//!
//! ```
//! use perun_channel::BackendId;
//! use perun_goperun::{Envelope, Identities, Message, Serializer};
//!
//! let name = |name: &str| {
//!     let address = perun_goperun::simple::Address::named(name).to_bytes();
//!     Identities::new(vec![(BackendId::ETHEREUM, address)])
//! };
//! let envelope = Envelope {
//!     sender: name("alice")?,
//!     recipient: name("bob")?,
//!     message: Message::Ping { created_ns: 1 },
//! };
//! for serializer in [Serializer::Native, Serializer::Protobuf] {
//!     let bytes = serializer.encode(&envelope)?;
//!     let (read, length) = serializer.decode(&bytes)?;
//!     assert_eq!((read, length), (envelope.clone(), bytes.len()));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::as_conversions,
        clippy::float_arithmetic
    )
)]

mod address;
mod asset;
mod error;
mod frames;
mod handshake;
mod limits;
mod message;
mod native;
mod parts;
mod proto;
#[cfg(test)]
mod samples;
pub mod simple;
pub mod tcp;

pub use address::{Identities, Party};
pub use error::{DecodeError, EncodeError, HandshakeError, Limit};
pub use frames::{Inbox, Serializer};
pub use handshake::{Account, Handshake, Own, Step, Verifier, signed_bytes};
pub use limits::*;
pub use message::{
    Accept, Envelope, LedgerAccept, LedgerProposal, Message, Proposal, ProposalFault, SubProposal,
    Update, VirtualAccept, VirtualFunding, VirtualProposal, VirtualSettlement,
};
pub use parts::{AppState, Aux, ChannelParams, ClaimedState, Transaction, nonce};
