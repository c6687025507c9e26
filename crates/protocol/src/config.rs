//! How patient a node is, and what it does without asking. Set by the house, not part of the
//! journal: a changed configuration holds from the next deadline on.

use crate::limits::MAX_WAIT_SECS;
use crate::timing::SwapConfig;

/// The waits, in seconds, and the choices of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// For an answer of the peer's machine, which asks nobody.
    pub answer_secs: u64,
    /// For an answer of a user, ours or the peer's.
    pub user_secs: u64,
    /// For a submitted transaction, before it is submitted again or given up.
    pub commit_secs: u64,
    /// For the deposits of both sides to be final on every ledger, before an opening is given up.
    pub fund_secs: u64,
    /// For the turn, before payments that wait for it fail.
    pub patience_secs: u64,
    /// The shortest challenge duration that is accepted: it must leave time to see, react and
    /// commit.
    pub challenge_secs_min: u64,
    /// The longest challenge duration that is accepted.
    pub challenge_secs_max: u64,
    /// Whether a peer's wish to close is granted without asking.
    pub accept_close: bool,
    /// What happens when the peer leaves an update unanswered.
    pub on_silence: OnSilence,
    /// Which swaps are taken part in.
    pub swaps: SwapConfig,
    /// Which program the peer runs. It belongs to a peer for good: a channel keeps to one.
    pub dialect: Dialect,
}

/// Which program the peer runs, and so which rules updates follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Ours: one side at a time may propose, and refused versions are never used again.
    #[default]
    Perun,
    /// go-perun: anybody may propose at any time, and only the version above the newest one.
    GoPerun,
}

/// What happens when the peer leaves an update unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnSilence {
    /// Leave through the ledger.
    Dispute,
    /// Tell the user and go on waiting.
    Wait,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            answer_secs: 60,
            user_secs: 600,
            commit_secs: 600,
            fund_secs: 3_600,
            patience_secs: 120,
            challenge_secs_min: perun_channel::MIN_CHALLENGE_SECS,
            challenge_secs_max: MAX_WAIT_SECS,
            accept_close: true,
            on_silence: OnSilence::Dispute,
            swaps: SwapConfig::OFF,
            dialect: Dialect::Perun,
        }
    }
}
