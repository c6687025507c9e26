//! Whole-life checks of Perun channels: exhaustive models, and lives drawn from seeds.
//!
//! This crate looks at everything and ships with nothing. What it runs are the real parts: the
//! verdict of [`perun_channel::adjudicator`] as the ledger, the machines of [`perun_protocol`], the
//! journal of [`perun_store`]. The [`ideal`] channel says what an honest party may be shown.
//! Whatever is found here is within the stated bounds and no further.
//!
//! ```
//! use perun_sim::seeded::{Flaw, court, run};
//!
//! let report = run(1, &court(), false, Flaw::None);
//! assert!(report.ended.is_ok(), "{}", report.story.join("\n"));
//! ```
#![forbid(unsafe_code)]

pub mod contention;
pub mod court;
pub mod duel;
pub mod ideal;
pub mod report;
pub mod scene;
pub mod seeded;
pub mod suite;
pub mod swap;
pub mod symbol;
