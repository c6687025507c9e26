//! Transactions for the channel type script and the vault lock, judged twice: by the committed
//! binaries in the chain's virtual machine, and by the pure verdict in this process.
//!
//! [`Draft`] is a transaction under construction with the actions on its channels, [`Sketch`] the
//! finished one with its witnesses; [`Sketch::trial`] runs both judges and refuses to return unless
//! they agree on the exact code. [`Channel`] makes channels with all their keys, [`story`] makes a
//! healthy transaction of every kind, [`spoil`] and [`mutate`] damage it, and [`Oracle`] says in
//! its own words who was wronged. Only the tests of this crate use it.

mod channel;
mod draft;
mod draw;
pub mod mutate;
mod oracle;
mod sketch;
pub mod spoil;
pub mod story;
mod vm;

pub use channel::{Channel, LegTerms, Party, Terms, lock_named, occupied, token_named};
pub use draft::{Act, At, ConsentKind, Draft, Evidence};
pub use draw::Draw;
pub use oracle::{Oracle, Wrong, dues, lapse};
pub use sketch::{CellSketch, InputSketch, Sketch};
pub use vm::{Scripts, Trial, scripts};

/// Shannons in one CKB.
pub const CKB: u64 = 100_000_000;

/// `since` for a wait until a time in seconds since 1970, by median time.
#[must_use]
pub const fn absolute_seconds(seconds: u64) -> u64 {
    0x40 << 56 | seconds
}

/// `since` for a relative wait of `seconds` by median time.
#[must_use]
pub const fn relative_seconds(seconds: u64) -> u64 {
    0xc0 << 56 | seconds
}
