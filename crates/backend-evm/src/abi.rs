//! What is said to the contracts and what they say: bindings, checked conversions, signed messages.
//!
//! The invariant: what a chain says becomes a value of `perun-channel` only if it is one, spelt the
//! one way that is hashed; anything else is an error and never a panic.

pub mod call;
pub mod convert;
pub mod packed;
pub mod solidity;
pub mod typed;

use alloy_primitives::{Address, B256, keccak256};
use perun_channel::ChannelId;

/// An address as alloy has it.
#[must_use]
pub const fn eth(address: &perun_channel::Address) -> Address {
    Address::new(*address.as_bytes())
}

/// An address as channels have it.
#[must_use]
pub const fn party(address: Address) -> perun_channel::Address {
    perun_channel::Address::new(address.into_array())
}

/// A channel's name as alloy has it.
#[must_use]
pub const fn word(id: &ChannelId) -> B256 {
    B256::new(*id.as_bytes())
}

/// The name of a participant's deposits for a channel.
#[must_use]
pub fn funding_id(id: &ChannelId, participant: &perun_channel::Address) -> B256 {
    keccak256(perun_channel::abi::funding(id, participant))
}
