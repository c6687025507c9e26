//! Authenticated, encrypted sessions over any stream of bytes, delivering every message once.
//!
//! This crate carries payloads; it does not know what a channel is, opens no socket (outside of
//! [`tcp`]), reads no clock and draws no randomness: bytes, time and entropy are arguments, so
//! every run can be replayed. The invariant that matters: a payload given to the caller comes from
//! the holder of the peer's static key, in the order it was sent, and is given once per incarnation
//! of the two ends; what a peer can make this crate remember is bounded by named constants.
//!
//! Two machines do it. A [`Handshake`] turns bytes into a [`Connection`] to a known [`PeerId`]. A
//! [`Session`] belongs to a peer, outlives connections, and numbers, resends and acknowledges.
//!
//! ```
//! use perun_wire::{Event, Expect, Handshake, Identity, Incarnation, Session, Time};
//!
//! let (alice, bob) = (Identity::from_secret([1; 32]), Identity::from_secret([2; 32]));
//! let now = Time(0);
//! let mut dial = Handshake::dial(&alice, Expect::Exactly(bob.peer_id()), [3; 32], now)?;
//! let mut accept = Handshake::accept(&bob, Expect::Anyone, [4; 32], now)?;
//! while !(dial.is_done() && accept.is_done()) {
//!     while let Some(bytes) = dial.poll_transmit() { accept.handle_bytes(&bytes)?; }
//!     while let Some(bytes) = accept.poll_transmit() { dial.handle_bytes(&bytes)?; }
//! }
//! let mut to_bob = Session::new(bob.peer_id(), Incarnation([5; 16]));
//! let mut to_alice = Session::new(alice.peer_id(), Incarnation([6; 16]));
//! let (mut alice_got, mut bob_got) = (Vec::new(), Vec::new());
//! to_bob.attach(dial.finish()?, now, &mut alice_got)?;
//! to_alice.attach(accept.finish()?, now, &mut bob_got)?;
//! to_bob.send(b"a proposal".to_vec())?;
//! loop {
//!     let from_alice = to_bob.poll_transmit();
//!     let from_bob = to_alice.poll_transmit();
//!     if from_alice.is_none() && from_bob.is_none() { break; }
//!     to_alice.handle_bytes(&from_alice.unwrap_or_default(), now, &mut bob_got)?;
//!     to_bob.handle_bytes(&from_bob.unwrap_or_default(), now, &mut alice_got)?;
//! }
//! assert!(matches!(&bob_got[1], Event::Message { payload, .. } if payload == b"a proposal"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The bytes are described in `docs/wire-format.md`.

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

mod connection;
mod error;
mod frame;
mod handshake;
mod hello;
mod identity;
mod inbound;
mod outbound;
mod session;
#[cfg(feature = "tcp")]
pub mod tcp;

pub use connection::{Connection, MAX_SEALED_BYTES};
pub use error::{SendRefusal, WireError};
pub use frame::{Goodbye, Incarnation, MAX_CHUNK_BYTES};
pub use handshake::{Expect, HANDSHAKE_MS_MAX, Handshake};
pub use hello::{VERSIONS, Versions};
pub use identity::{Identity, PeerId};
pub use inbound::Receipt;
pub use session::{
    Event, MAX_MESSAGE_BYTES, PING_AFTER_MS, SILENT_MS_MAX, Session, WINDOW_BYTES, WINDOW_MESSAGES,
};

/// A moment on the caller's steady clock, in milliseconds. Only differences mean anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    pub(crate) fn after(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }
}
