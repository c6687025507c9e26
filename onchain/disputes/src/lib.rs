//! Verdict equality: the same random disputes for three judges that know nothing of each other.
//!
//! A [`Dispute`] is a channel with rows on CKB, on Ethereum and elsewhere, states of it with
//! signatures good and bad, and a few steps in time: register, refute, conclude, close, claim,
//! refund. The judges:
//!
//! 1. [`rules`]: the Rust rules that nodes go by.
//! 2. [`evm`]: the committed contracts, in `revm`.
//! 3. [`ckb`]: the committed scripts, in CKB's virtual machine, beside the pure verdict that nodes
//!    ask before they send anything.
//!
//! What may differ between the ledgers is one value, [`Law`]; under the law of its ledger, each of
//! the two courts must give the first judge's verdict for every step:
//!
//! * it is accepted or refused; a refusal's class is one of the faults that the step has (each
//!   court reports the first that it meets, and they look in different orders);
//! * a registration leaves the same state, version and end of the window;
//! * a settlement gives everybody the same, row by row, so swaps are decided alike.
//!
//! A step that is accepted has happened, so later ones find what it left. Everything random comes
//! from a tape of bytes ([`tape`]), which is what is shrunk, printed and kept in `corpus.txt`.

pub mod ckb;
mod clerk;
pub mod dispute;
pub mod evm;
mod ledgers;
pub mod rules;
pub mod scene;
pub mod tape;
mod trial;

pub use clerk::{Clerk, Clerks};
pub use dispute::Dispute;
pub use ledgers::{CKB_CHAIN, EVM_CHAIN, Kind};
pub use rules::{CKB_LAW, EVM_LAW, Fault, Law, Outcome};
pub use scene::Scene;
pub use trial::{Bench, Census, Committed, Difference, report, search, trial};

/// What a court says of a step: what it brought about, or the class of the refusal (several where
/// the court's answer does not tell them apart) and its own words for it.
pub type Verdict = Result<Outcome, (Vec<Fault>, String)>;

/// A court with one channel in it.
pub trait Judge {
    /// Judges a step; if nothing is wrong with it, it has happened.
    fn step(&mut self, step: &dispute::Step) -> Verdict;
}
