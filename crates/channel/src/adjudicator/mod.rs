//! The verdict: whether a transaction may do to its channels what it does.
//!
//! For ledgers whose state lives in cells (CKB first). [`judge`] is the whole rule set of the
//! *channel type script* and [`vault_opens`] that of the *vault lock script*, as pure functions
//! over a [`View`] of a transaction. The scripts call them with a view made by syscalls, the
//! transaction builder calls them with a view of what it is about to send, the model checker and
//! the property tests with views they invent. Nothing here knows who submits a transaction:
//! signatures, elapsed time and the owners' consent decide. The numbered rules are explained in
//! `docs/spec/ckb.md`.

mod cell;
mod code;
mod consent;
mod court;
mod funding;
mod molecule;
mod payout;
mod register;
mod settle;
mod setup;
mod view;
mod witness;

pub use cell::{CHANNEL_DATA_LENGTH, ChannelCell, MIN_CHANNEL_CAPACITY, Phase, Slot, SlotKind};
pub use code::Code;
pub use consent::consent_digest;
pub use court::{Env, judge, vault_lock_hash, vault_opens};
pub use molecule::{WitnessArgs, WitnessField};
pub use payout::{Due, Dues, MAX_FEE_SLACK, TokenDue, held, settlement_dues, shortfall};
pub use register::registration_digest;
pub use setup::{CkbParticipant, MIN_RESERVE, Row, Setup, StateBody, origin};
pub use view::{Cell, DATA_PREFIX, Input, MAX_CELLS, View};
pub use witness::{Action, Consent, Decision};
