//! The demo's bookkeeper: reads every block, tells each transaction of our people, and adds up
//! fees.
//!
//! It knows nothing of channels. What it gives a scene are facts of the chain: for each transaction
//! its fee and what each lock put in and got out. The scene holds them against what should be.

use std::collections::BTreeMap;

use ckb_types::core::TransactionView;
use ckb_types::packed::Script;
use perun_backend_ckb::money::{script_hash, token_in};
use perun_backend_ckb::rpc::Cell;

use super::stage::Stage;
use super::{Failure, words};
use crate::deed::Deed;
use crate::narrate::{Narrator, Transaction};

/// What one lock gained in one transaction: capacity in shannons, and token units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gain {
    pub(super) capacity: i128,
    pub(super) tokens: i128,
    /// Whether it spent a cell.
    pub(super) spends: bool,
}

/// One transaction of our people.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) fee: u64,
    pub(super) cycles: u64,
    /// By the position of the person's lock.
    pub(super) gains: Vec<Gain>,
}

/// Reads the chain from where it stood when the book was opened.
pub(super) struct Book {
    names: Vec<String>,
    locks: Vec<[u8; 32]>,
    next: u64,
    pub(super) entries: Vec<Entry>,
}

impl Book {
    /// The book of these people, each with a name and a lock.
    pub(super) fn open<'a>(
        stage: &Stage,
        people: impl IntoIterator<Item = (&'a str, &'a Script)>,
    ) -> Result<Self, Failure> {
        let tip = stage.rpc.tip_header().map_err(words)?;
        let people = people.into_iter().map(|(name, lock)| (name.to_owned(), script_hash(lock)));
        let (names, locks) = people.unzip();
        Ok(Self { names, locks, next: tip.number() + 1, entries: Vec::new() })
    }

    /// Reads new blocks, and tells the transactions in them.
    pub(super) fn read(
        &mut self,
        stage: &Stage,
        narrator: &mut dyn Narrator,
        name: &str,
    ) -> Result<(), Failure> {
        let tip = stage.rpc.tip_header().map_err(words)?.number();
        while self.next <= tip {
            let block = stage.rpc.block_by_number(self.next).map_err(words)?;
            let block = block.ok_or("the node lost a block while the demo ran")?;
            for tx in block.transactions().iter().skip(1) {
                self.note(stage, narrator, name, tx)?;
            }
            self.next += 1;
        }
        Ok(())
    }

    fn note(
        &mut self,
        stage: &Stage,
        narrator: &mut dyn Narrator,
        name: &str,
        tx: &TransactionView,
    ) -> Result<(), Failure> {
        let mut gains = vec![Gain::default(); self.locks.len()];
        let mut fee: i128 = 0;
        let mut touched = false;
        let mut count = |cell: &Cell, sign: i128, spends: bool| {
            let capacity = i128::from(u64::from(cell.output.capacity()));
            fee -= sign * capacity;
            let lock = script_hash(&cell.output.lock());
            if let Some(position) = self.locks.iter().position(|known| *known == lock) {
                let tokens = token_in(cell).map_or(0, |(_, amount)| amount);
                let gain = &mut gains[position];
                gain.capacity += sign * capacity;
                gain.tokens += sign * i128::try_from(tokens).unwrap_or(i128::MAX);
                gain.spends |= spends;
                touched = true;
            }
        };
        for spent in tx.input_pts_iter() {
            let source = stage.rpc.transaction(&spent.tx_hash()).map_err(words)?.transaction;
            let source = source.ok_or("the node does not know a spent transaction")?;
            count(&output_cell(&source, spent.index().into())?, -1, true);
        }
        for index in 0..tx.outputs().len() {
            count(&output_cell(tx, index)?, 1, false);
        }
        if !touched {
            return Ok(());
        }
        let cycles = stage.rpc.transaction(&tx.hash()).map_err(words)?.cycles.unwrap_or(0);
        let fee = u64::try_from(fee).map_err(|_| "a transaction made money")?;
        let bytes = u64::try_from(tx.data().serialized_size_in_block()).unwrap_or(u64::MAX);
        let spenders = self.names.iter().zip(&gains).filter(|(_, gain)| gain.spends);
        let by = together(&spenders.map(|(name, _)| name.as_str()).collect::<Vec<_>>());
        let (by, does, hash) = (&*by, &*Deed::on_ckb(&tx.witnesses()), tx.hash().into());
        narrator.transaction(&Transaction { name, by, does, hash, fee, bytes, cycles });
        self.entries.push(Entry { fee, cycles, gains });
        Ok(())
    }

    /// What everybody gained in all, by the position of the lock.
    pub(super) fn totals(&self) -> Vec<Gain> {
        let mut totals = vec![Gain::default(); self.locks.len()];
        for entry in &self.entries {
            for (total, gain) in totals.iter_mut().zip(&entry.gains) {
                total.capacity += gain.capacity;
                total.tokens += gain.tokens;
            }
        }
        totals
    }
}

/// Names in a sentence; of many, the first and how many others there are.
fn together(names: &[&str]) -> String {
    match names {
        [] => "nobody of ours".to_owned(),
        [one] => (*one).to_owned(),
        [one, other] => format!("{one} and {other}"),
        [first, others @ ..] => format!("{first} and {} others", others.len()),
    }
}

/// Who paid which fees: all of it where one person made the transaction; in those of both, what
/// each put in beyond what it should have. `shared` are what each should have gained in those, by
/// place.
pub(super) fn fees(
    entries: &[Entry],
    shared: &BTreeMap<usize, Vec<i128>>,
) -> Result<BTreeMap<usize, u64>, Failure> {
    let mut fees: BTreeMap<usize, u64> = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        let Some(expected) = shared.get(&place) else {
            let payer = entry.gains.iter().position(|gain| gain.spends);
            *fees.entry(payer.ok_or("a transaction that nobody paid for")?).or_default() +=
                entry.fee;
            continue;
        };
        let mut sum = 0;
        for (person, (gain, expected)) in entry.gains.iter().zip(expected).enumerate() {
            let share = u64::try_from(expected - gain.capacity);
            let share = share.map_err(|_| "somebody gained on a shared fee")?;
            *fees.entry(person).or_default() += share;
            sum += share;
        }
        if sum != entry.fee {
            return Err(format!("shares of a fee add up to {sum}, not to {}", entry.fee));
        }
    }
    Ok(fees)
}

fn output_cell(tx: &TransactionView, index: usize) -> Result<Cell, Failure> {
    let (output, data) = tx.output_with_data(index).ok_or("an output that does not exist")?;
    let out_point =
        ckb_types::packed::OutPoint::new(tx.hash(), u32::try_from(index).map_err(words)?);
    Ok(Cell { out_point, output, data })
}
