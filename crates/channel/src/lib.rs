//! The ground floor of Perun: what a channel *is*, and what a ledger decides about it.
//!
//! Types ([`Params`], [`State`], [`Allocation`]), their one canonical encoding ([`codec`]), the
//! bytes that are signed ([`abi`], exactly go-perun's Ethereum encoding), strict signatures
//! ([`sig`]), the rules for going from one state to the next ([`transition`]), swaps across ledgers
//! ([`swap`]) and the adjudicator's verdict over a transaction ([`adjudicator`]). All of it is
//! pure: no clock, no disk, no network, no randomness. The same functions run in the node, in the
//! CKB script and in the browser; a rule exists once.
//!
//! ```
//! use perun_channel::{Address, Allocation, Amount, Asset, Params, Participant, State};
//!
//! let params = Params::new(
//!     60,
//!     [7; 32],
//!     vec![
//!         Participant::new(Address::new([1; 20]), vec![0; 32])?,
//!         Participant::new(Address::new([2; 20]), vec![0; 32])?,
//!     ],
//! )?;
//! let asset = Asset::ethereum(1337, Address::new([0x77; 20]));
//! let balances = vec![vec![Amount::new(100), Amount::new(200)]];
//! let outcome = Allocation::new(vec![asset], balances, vec![])?;
//! let state = State::initial(params.id(), outcome);
//! let paid = state.outcome().transfer(0, 1, 0, Amount::new(10))?;
//! let next = state.successor(paid)?;
//! assert_eq!(next.version().get(), 1);
//! # Ok::<(), perun_channel::Invalid>(())
//! ```
#![no_std]
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

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod abi;
pub mod adjudicator;
mod allocation;
pub mod codec;
pub mod hash;
mod ledger;
mod params;
pub mod sig;
mod state;
pub mod swap;
pub mod transition;
mod units;

pub use allocation::{Allocation, Asset, BackendId, SubAlloc};
pub use ledger::LedgerId;
pub use params::{Params, Participant};
pub use sig::{Address, Signature, SignedState};
pub use state::State;
pub use swap::Swap;
pub use units::{Amount, ChannelId, Version};

/// The most participants one channel may have. The script's signature checks of 16 parties fit well
/// into one transaction of 70 M cycles, and registration marks of two slots each fill 32 bits.
pub const MAX_PARTICIPANTS: usize = 16;
/// The most assets one channel may have; the bitmap of unpaid rows has 32 bits, half are kept free.
pub const MAX_ASSETS: usize = 16;
/// The most locked entries (sub- and virtual channels) of one state; one bitmap of 32 bits tells
/// them.
pub const MAX_LOCKED: usize = 32;
/// The most bytes of app data in one state: a few hash blocks on chain.
pub const MAX_DATA: usize = 1024;
/// The most bytes of a participant's or an asset's identity on a ledger that is not Ethereum.
pub const MAX_FOREIGN_BYTES: usize = 128;
/// The shortest challenge duration that a cell ledger accepts, in seconds: long enough for the
/// ledger's clock (a median of block times) and one honest reaction.
pub const MIN_CHALLENGE_SECS: u64 = 1_800;
/// The longest challenge duration, in seconds (one year): a longer one is a frozen channel.
pub const MAX_CHALLENGE_SECS: u64 = 31_536_000;

/// Why a value cannot exist: the first limit or law that its parts break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Fewer than two participants, or more than [`MAX_PARTICIPANTS`].
    ParticipantCount,
    /// Two participants have the same signing address; one key could then speak for two.
    DuplicateParticipant,
    /// The challenge duration is zero.
    ChallengeDuration,
    /// No asset, or more than [`MAX_ASSETS`].
    AssetCount,
    /// The same asset stands in two rows.
    DuplicateAsset,
    /// The balance matrix is not one row per asset and one column per participant.
    BalanceShape,
    /// More than [`MAX_LOCKED`] locked entries.
    LockedCount,
    /// Two locked entries name the same channel.
    DuplicateLocked,
    /// A locked entry has not one amount per asset, or an index map that points outside.
    LockedShape,
    /// More than [`MAX_DATA`] bytes of app data.
    DataLength,
    /// More than [`MAX_FOREIGN_BYTES`] bytes in a ledger-specific identity.
    ForeignBytes,
    /// A sum or a difference of amounts leaves the range of 128 bits.
    Amount,
    /// The version counter is at its end.
    Version,
    /// An index points past the last asset or participant.
    Index,
}

impl core::fmt::Display for Invalid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::ParticipantCount => "a channel has 2 to 16 participants",
            Self::DuplicateParticipant => "two participants share one signing address",
            Self::ChallengeDuration => "the challenge duration must not be zero",
            Self::AssetCount => "a channel has 1 to 16 assets",
            Self::DuplicateAsset => "the same asset is listed twice",
            Self::BalanceShape => "balances are not one row per asset, one column per participant",
            Self::LockedCount => "a state has at most 32 locked entries",
            Self::DuplicateLocked => "two locked entries name the same channel",
            Self::LockedShape => "a locked entry does not fit the channel's assets or participants",
            Self::DataLength => "app data is longer than 1024 bytes",
            Self::ForeignBytes => "a ledger identity is longer than 128 bytes",
            Self::Amount => "an amount leaves the range of 128 bits, or a balance is too small",
            Self::Version => "the version counter is at its end; close the channel",
            Self::Index => "no such asset or participant",
        })
    }
}

impl core::error::Error for Invalid {}
