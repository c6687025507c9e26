//! How much of everything one message may hold. go-perun limits little of it; every limit here is
//! far above what its honest nodes send. Those of channels are `perun_channel`'s.

use perun_channel::{MAX_ASSETS, MAX_DATA, MAX_FOREIGN_BYTES, MAX_LOCKED, MAX_PARTICIPANTS};

/// The most addresses in one identity. go-perun signs them in random order, so a verifier tries all
/// orders: four are 24.
pub const MAX_IDENTITIES: usize = 4;
/// The most bytes of one wire address: a name and an RSA key of 4096 bits are 775.
pub const MAX_WIRE_ADDRESS: usize = 1_024;
/// The most addresses of one participant: the one that signs, and one on another ledger. go-perun's
/// signed bytes have room for no more.
pub const MAX_PARTY_ADDRESSES: usize = 2;
/// The most peers, parents or index maps of one proposal: one for each participant.
pub const MAX_PEERS: usize = MAX_PARTICIPANTS;
/// The most bytes of a handshake's signature: an RSA key of 8192 bits makes 1024.
pub const MAX_AUTH_SIGNATURE: usize = 1_024;
/// The most bytes of a reason in words.
pub const MAX_REASON: usize = 4_096;
/// The most bytes of an envelope in protobuf: its length has two bytes.
pub const MAX_PROTOBUF_ENVELOPE: usize = 65_535;
/// The most bytes of a native envelope. It has no length of its own; the limits of its parts keep
/// it below this (see the assertion), so a reader never holds more.
pub const MAX_NATIVE_ENVELOPE: usize = 128 << 10;

/// Decoding asks for at most so many bytes of memory for each byte that arrived, with all it gives
/// back again on the way. What costs most is a protobuf frame full of empty elements.
pub const ALLOCATED_MAX_PER_BYTE: usize = 96;
/// What decoding may ask for beside that, whatever arrived.
pub const ALLOCATED_MAX_PER_MESSAGE: usize = 1_024;

/// The highest phase of go-perun's machine.
pub(crate) const LAST_PHASE: u8 = 11;

const MAP: usize = 4 + MAX_IDENTITIES * (6 + MAX_WIRE_ADDRESS);
const PARTY: usize = 4 + 2 * 6 + 20 + MAX_FOREIGN_BYTES;
const BALANCES: usize = 4 + MAX_ASSETS * MAX_PARTICIPANTS * 17;
const LOCKED: usize = 32 + 4 + MAX_ASSETS * 17 + MAX_PARTICIPANTS * 2;
const OUTCOME: usize = 6 + MAX_ASSETS * (6 + MAX_FOREIGN_BYTES) + BALANCES + MAX_LOCKED * LOCKED;
const STATE: usize = 32 + 8 + OUTCOME + 1 + 23 + 2 + MAX_DATA;
const PROPOSAL: usize = 72 + 23 + 2 + MAX_DATA + OUTCOME + BALANCES + 256;
const PEERS: usize = 4 + MAX_PEERS * MAP + MAX_PEERS * (32 + 2 + 2 * MAX_PARTICIPANTS) + 4;
const PARAMS: usize = 8 + 4 + MAX_PARTICIPANTS * PARTY + 23 + 33 + 2 + 256;
const SIGNATURES: usize = 2 + MAX_PARTICIPANTS * 65;
// The two largest messages: a proposal with its peers, and an update with a signed state.
const _: () = assert!(2 * MAP + 1 + PROPOSAL + PARTY + PEERS < MAX_NATIVE_ENVELOPE);
const _: () = assert!(
    2 * MAP + 1 + 2 * STATE + 2 + 65 + PARAMS + SIGNATURES + 2 + 2 * MAX_PARTICIPANTS
        < MAX_NATIVE_ENVELOPE
);
