//! How a running story is told: to people, or to programs.
//!
//! Whoever runs something tells a [`Narrator`] what happens, as [`Event`]s; it does not know who
//! listens. [`Human`] writes text, [`JsonLines`] one JSON object per line. The invariant: every
//! event is exactly one line of JSON whose first field is `event`, and the summary is the last.

mod human;
mod json;

pub use human::Human;
pub use json::JsonLines;

use crate::deed::Deed;
use serde::Serialize;
use std::io;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A new part of the story begins.
    Step {
        /// What it is about.
        title: &'a str,
    },
    /// A transaction was committed on CKB.
    Transaction(Transaction<'a>),
    /// A transaction was mined on Ethereum.
    EthereumTransaction(EthereumTransaction<'a>),
    /// A swap's partner fell silent, and what that led to.
    CutPoint(CutPoint<'a>),
    /// Who has what.
    Balances {
        /// Of what: a channel, a wallet.
        title: &'a str,
        /// The rows, in the order they are to be shown.
        rows: &'a [Balance],
    },
    /// Part of a long step is done.
    Progress {
        /// How many are done.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// Something worth knowing.
    Note {
        /// One sentence or a few.
        text: &'a str,
    },
    /// A step failed.
    Failed {
        /// Which one.
        step: &'a str,
        /// What happened, what it means for the money, what to do next.
        reason: &'a str,
    },
    /// The end, with the numbers that count.
    Summary(Summary),
}

/// A transaction that was mined on Ethereum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EthereumTransaction<'a> {
    /// What the story wanted of it, in a few words.
    pub name: &'a str,
    /// Who sent it.
    pub by: &'a str,
    /// What it does to channels.
    pub does: &'a [Deed],
    /// Its hash.
    #[serde(serialize_with = "json::hash")]
    pub hash: [u8; 32],
    /// What its sender paid for its gas, in wei, as a decimal text.
    #[serde(serialize_with = "json::decimal")]
    pub fee: u128,
    /// How much gas it took.
    pub gas: u64,
}

/// A transaction that was committed on CKB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Transaction<'a> {
    /// What the story wanted of it, in a few words.
    pub name: &'a str,
    /// Those whose cells it spends.
    pub by: &'a str,
    /// What it does to channels.
    pub does: &'a [Deed],
    /// Its hash.
    #[serde(serialize_with = "json::hash")]
    pub hash: [u8; 32],
    /// What the miner got, in shannons, as a decimal text.
    #[serde(serialize_with = "json::decimal")]
    pub fee: u64,
    /// Its size.
    pub bytes: u64,
    /// What its scripts took.
    pub cycles: u64,
}

/// A swap in which Bob fell silent after one message, and what Alice ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CutPoint<'a> {
    /// How the swap would have gone.
    pub plot: &'a str,
    /// The number of the last message that passed, from 1 on.
    pub message: usize,
    /// How many there are if nobody falls silent.
    pub of: usize,
    /// Who sent the last one.
    pub from: &'a str,
    /// What it was.
    pub what: &'a str,
    /// What Alice has in the end, fees aside.
    pub ends_with: &'a str,
    /// What she gained on CKB, in shannons, fees aside: a decimal text, below zero if she lost.
    #[serde(serialize_with = "json::decimal")]
    pub gained_ckb: i128,
    /// What she gained on Ethereum, in wei, as that.
    #[serde(serialize_with = "json::decimal")]
    pub gained_eth: i128,
    /// Whether that is at least her own money, or at least what the swap gives.
    pub whole: bool,
}

/// What somebody has of one asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Whose.
    pub who: String,
    /// Of what: `CKB`, `ETH`, a token's name.
    pub asset: String,
    /// What it was before the channel, in smallest units, as a decimal text.
    #[serde(serialize_with = "json::decimal")]
    pub before: u128,
    /// What it is now, in smallest units, as a decimal text: JSON readers lose digits of large
    /// numbers.
    #[serde(serialize_with = "json::decimal")]
    pub units: u128,
    /// How much of the difference went to fees of the chain.
    #[serde(serialize_with = "json::decimal")]
    pub fees: u128,
    /// How many decimals people write.
    pub decimals: u32,
}

/// The numbers at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Channels that were opened on the chain.
    pub channels_opened: u64,
    /// Payments that both sides signed.
    pub payments: u64,
    /// Swaps between two ledgers that both sides signed to the end.
    pub swaps: u64,
    /// Messages of a swap after which the partner fell silent for good.
    pub swap_cut_points: u64,
    /// How many of these left the other side with its own money, or with what the swap gave it.
    pub swap_cut_points_survived: u64,
    /// Disputes in which the newest state won over an older one.
    pub disputes_won: u64,
    /// The most channels closed by one transaction.
    pub batch_closes_per_tx: u64,
    /// Whether everybody ended with exactly what the last states say.
    pub balances_ok: bool,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// Somebody who is told what happens.
pub trait Narrator {
    /// Tells one event.
    fn tell(&mut self, event: &Event<'_>);

    /// Why nothing more can be told, if that is so.
    fn trouble(&self) -> Option<&io::Error> {
        None
    }

    /// A new part of the story begins.
    fn step(&mut self, title: &str) {
        self.tell(&Event::Step { title });
    }

    /// A transaction was mined on Ethereum.
    fn ethereum_transaction(&mut self, transaction: &EthereumTransaction<'_>) {
        self.tell(&Event::EthereumTransaction(*transaction));
    }

    /// A transaction was committed on CKB.
    fn transaction(&mut self, transaction: &Transaction<'_>) {
        self.tell(&Event::Transaction(*transaction));
    }

    /// A swap's partner fell silent, and what that led to.
    fn cut_point(&mut self, cut: &CutPoint<'_>) {
        self.tell(&Event::CutPoint(*cut));
    }

    /// Who has what.
    fn balances(&mut self, title: &str, rows: &[Balance]) {
        self.tell(&Event::Balances { title, rows });
    }

    /// Part of a long step is done.
    fn progress(&mut self, done: u64, total: u64) {
        self.tell(&Event::Progress { done, total });
    }

    /// Something worth knowing.
    fn note(&mut self, text: &str) {
        self.tell(&Event::Note { text });
    }

    /// A step failed.
    fn failed(&mut self, step: &str, reason: &str) {
        self.tell(&Event::Failed { step, reason });
    }

    /// The end.
    fn summary(&mut self, summary: &Summary) {
        self.tell(&Event::Summary(*summary));
    }
}

/// A narrator for what would be too much to tell.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl Narrator for Quiet {
    fn tell(&mut self, _: &Event<'_>) {}
}
