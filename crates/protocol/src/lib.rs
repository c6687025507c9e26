//! The off-chain machines of a two-party channel on one or several ledgers: open, pay, close,
//! dispute, resize, swap, watch.
//!
//! Everything here is pure. There is no clock, no disk, no network, no randomness and no key: time
//! and facts come in as an [`Input`], and a [`Step`] comes out, with records to store and effects
//! to carry out. The invariant that matters: an effect that carries a signature exists only behind
//! the record that says so, and no two states with one version are ever signed.
//!
//! The house (a node, a simulator, a model checker) does the same four things for each input:
//!
//! ```
//! use perun_protocol::{Config, Declined, Input, Machine, Effect, Time};
//!
//! fn drive(
//!     machine: &mut Machine,
//!     now: Time,
//!     input: Input,
//!     journal: &mut Vec<Vec<u8>>,
//! ) -> Result<Vec<Effect>, Declined> {
//!     use perun_channel::codec::Encode;
//!     let step = machine.step(now, input)?; // 1. decide; nothing has changed yet
//!     for record in &step.records {
//!         journal.push(record.to_bytes()); // 2. store, and wait for the disk
//!         machine.apply(record); // 3. change
//!     }
//!     Ok(step.effects) // 4. carry out: sign, send, submit, tell the user
//! }
//! # let mut machine = Machine::new(perun_protocol::OpeningId::new([1; 32]), Config::default());
//! # drive(&mut machine, Time::new(0), Input::Connected, &mut Vec::new())?;
//! # Ok::<(), Declined>(())
//! ```
//!
//! After a crash it replays the journal with [`Machine::apply`] and steps once with
//! [`Input::Restart`].
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

mod apply;
mod bytes;
mod case;
mod channel;
mod config;
mod court;
mod crypto;
mod decision;
mod effect;
mod exchange;
mod founding;
mod goperun;
mod hearing;
mod input;
mod joint;
mod ledgers;
pub mod limits;
mod machine;
mod message;
mod open;
mod opening;
mod payment;
mod phase;
mod recent;
mod record;
mod refusal;
mod registrations;
mod resize;
mod snapshot;
mod swap;
mod swapping;
mod terms;
mod timing;
mod units;
mod update;
pub mod watch;

pub use config::{Config, Dialect, OnSilence};
pub use crypto::{Crypto, Ethereum};
pub use decision::Decision;
pub use effect::{Effect, Event, FailureReason, Settlement, Step, Target, WaitingFor};
pub use input::{Command, Input, Reply, Sighting, Slot, Standing};
pub use ledgers::{Funding, LedgerTerms, PerLedger, Place};
pub use machine::Machine;
pub use message::{Body, DeclineReason, Draft, Handover, Message, Offer, Proof, RejectReason};
pub use payment::{Batch, Memo, Payment, PaymentId};
pub use phase::PhaseName;
pub use record::{Agreed, Ending, PeerProof, Record, Resize, Wish};
pub use refusal::{Declined, Misuse, Refusal};
pub use terms::{Assembly, Change, Changes, Plan, Terms, Transaction, Witness};
pub use timing::{SwapConfig, SwapLimit, Timing};
pub use units::{
    Digest, Index, LedgerBytes, LedgerTime, OpeningId, Preimage, Time, TooLong, TransactionId, Turn,
};
