//! The simulated ledger: one channel's cell under the real verdict, blocks, a pool,
//! reorganisations.
//!
//! Its promise is the one of the assurance plan: an honest transaction that stays valid is in a
//! block that no reorganisation undoes within `Δ_in`. Everything else is up to the dice.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::dice::Dice;
use super::faults::{Fault, Faults};
use crate::court::{Act, Court, LedgerCell, Outline, Stage};
use crate::scene::TICK_SECS;

/// `Δ_in`, in ticks.
pub(super) const INCLUSION: u64 = 4;
/// `r`: how many blocks a reorganisation replaces.
pub(super) const REORG: u64 = 2;
/// How long a block maker may leave out an honest transaction.
const DELAY: u64 = INCLUSION - REORG;

/// How the channel stands after a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Life {
    /// The opening transaction has not committed.
    Absent,
    /// It never will.
    Impossible,
    /// The cell exists, or did until it was paid out.
    Live {
        /// The cell.
        cell: LedgerCell,
        /// The height of the block that made it.
        made: u64,
        /// The slot of the last registration.
        by: u8,
    },
}

/// What a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Deed {
    /// Opens the channel.
    Open,
    /// Spends an input of the opening transaction.
    Abort,
    /// Acts on the channel's cell.
    Act(Act),
}

/// A transaction. It spends one thing and is worthless once that is spent otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transaction {
    /// The name of what it spends.
    pub(super) spends: u64,
    /// What it does.
    pub(super) deed: Deed,
    /// When it was sent.
    pub(super) sent: u64,
    /// Whether the ledger's promise covers it.
    pub(super) honest: bool,
}

/// A block, with the channel after it.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The channel.
    pub(super) life: Life,
    /// The name of what the next transaction on the channel spends.
    pub(super) name: u64,
    transactions: Vec<Transaction>,
}

/// The ledger.
#[derive(Debug)]
pub(super) struct Chain {
    court: Arc<Court>,
    initial: Outline,
    challenge: u64,
    blocks: Vec<Block>,
    pool: Vec<Transaction>,
}

impl Chain {
    /// A ledger on which the channel could be opened.
    #[must_use]
    pub(super) fn new(court: Arc<Court>, initial: Outline, challenge: u64) -> Self {
        let genesis = Block { life: Life::Absent, name: 1, transactions: Vec::new() };
        Self { court, initial, challenge, blocks: vec![genesis], pool: Vec::new() }
    }

    /// The height of the newest block.
    #[must_use]
    pub(super) const fn height(&self) -> u64 {
        self.blocks.len() as u64 - 1
    }

    /// The newest block.
    #[must_use]
    pub(super) fn tip(&self) -> &Block {
        &self.blocks[self.blocks.len() - 1]
    }

    /// The newest block that no reorganisation can reach.
    #[must_use]
    pub(super) fn settled(&self) -> &Block {
        let reach = usize::try_from(REORG).unwrap_or(0);
        &self.blocks[self.blocks.len().saturating_sub(reach + 1)]
    }

    /// The blocks that may still become the newest one again, and the newest settled one.
    pub(super) fn recent(&self) -> impl Iterator<Item = &Block> {
        let reach = usize::try_from(REORG).unwrap_or(0);
        self.blocks[self.blocks.len().saturating_sub(reach + 1)..].iter()
    }

    /// Takes a transaction into the pool, once.
    pub(super) fn submit(&mut self, transaction: Transaction) {
        let same = |other: &Transaction| {
            (other.spends, other.deed, other.honest)
                == (transaction.spends, transaction.deed, transaction.honest)
        };
        if !self.pool.iter().any(same) {
            self.pool.push(transaction);
        }
    }

    /// One tick: perhaps a reorganisation, then blocks up to one more than before.
    pub(super) fn advance(
        &mut self,
        dice: &mut Dice,
        faults: &mut Faults,
        story: &mut Vec<String>,
    ) {
        let target = self.height() + 1;
        if self.height() > REORG && faults.strike(Fault::Reorg, dice) {
            let depth = 1 + dice.below(REORG);
            story.push(format!("reorganisation, {depth} deep"));
            for _ in 0..depth {
                if let Some(block) = self.blocks.pop() {
                    self.pool.extend(block.transactions);
                }
            }
        }
        while self.height() < target {
            self.mine(dice, faults, story);
        }
    }

    fn mine(&mut self, dice: &mut Dice, faults: &mut Faults, story: &mut Vec<String>) {
        let height = self.height() + 1;
        let mut block = Block { transactions: Vec::new(), ..self.tip().clone() };
        // Whatever comes first spoils the rest: strangers overtake, honest transactions wait, both
        // up to the ledger's promise.
        let overtaken = faults.strike(Fault::FrontRun, dice);
        let mut order = self.pool.clone();
        order.sort_by_key(|transaction| {
            let overdue = transaction.honest && transaction.sent + DELAY <= height;
            (!overdue || overtaken, transaction.honest == overtaken)
        });
        for transaction in order {
            let overdue = transaction.sent + DELAY <= height;
            let Some((life, name)) = self.after(&block, &transaction, height) else { continue };
            let must = transaction.honest && overdue;
            let mut delayed = |fault| !must && faults.strike(fault, dice);
            if delayed(Fault::Late) || delayed(Fault::Evict) {
                continue;
            }
            story.push(format!("block {height}: {:?}", transaction.deed));
            block = Block { life, name, transactions: block.transactions };
            block.transactions.push(transaction);
            self.pool.retain(|other| *other != transaction);
        }
        self.blocks.push(block);
    }

    /// The channel after a transaction, if the ledger accepts it.
    fn after(&self, block: &Block, transaction: &Transaction, height: u64) -> Option<(Life, u64)> {
        if transaction.spends != block.name {
            return None;
        }
        let life = match (transaction.deed, block.life) {
            (Deed::Open, Life::Absent) => {
                let cell = LedgerCell { stage: Stage::Open, marks: 0, state: self.initial };
                Life::Live { cell, made: height, by: 0 }
            }
            (Deed::Abort, Life::Absent) => Life::Impossible,
            (Deed::Act(act), Life::Live { cell, made, .. }) => {
                let (act, by) = match act {
                    Act::Conclude { .. } => {
                        let waited = (height - made).min(self.challenge);
                        (Act::Conclude { waited_secs: waited * TICK_SECS }, 0)
                    }
                    Act::Register { slot, .. } => (act, slot),
                    Act::Close { .. } => (act, 0),
                };
                let cell = self.court.after(&cell, &act)?;
                Life::Live { cell, made: height, by }
            }
            _ => return None,
        };
        let mut hasher = DefaultHasher::new();
        (block.name, transaction.deed).hash(&mut hasher);
        Some((life, hasher.finish()))
    }
}
