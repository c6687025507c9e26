//! Transactions on the way: a draft that says what must happen, and a transaction with its spent
//! cells.
//!
//! A [`Draft`] is what a channel needs, without fee and change; [`crate::balance::balance`]
//! completes it from a wallet's cells. Only [`Resolved::read`] and [`Resolved::prove`] ask a node.
//! The invariant: inputs, outputs and witnesses that a draft already has keep their places when it
//! is completed.

use crate::Error;
use crate::deployment::Deployment;
use crate::fees::{Fee, TRANSACTION_CYCLES_MAX};
use crate::money::{Made, capacity_of, script_hash, sum, sum_amounts, token_in};
use crate::rpc::{Cell, Rpc, View};
use ckb_types::{
    core::{TransactionBuilder, TransactionView},
    packed::{CellDep, CellInput},
    prelude::*,
};
use perun_channel::adjudicator::{self, WitnessArgs};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// A cell to be spent, and the time lock that its input states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    /// The cell.
    pub cell: Cell,
    /// The `since` field.
    pub since: u64,
}

impl Spend {
    /// Spends a cell at any time.
    #[must_use]
    pub const fn now(cell: Cell) -> Self {
        Self { cell, since: 0 }
    }
}

/// What a transaction must spend, make and show. Fee and change are not in it.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Cells spent, in order.
    pub spends: Vec<Spend>,
    /// Cells made, in order.
    pub makes: Vec<Made>,
    /// Witnesses by position.
    pub witnesses: BTreeMap<usize, WitnessArgs>,
    /// A time in seconds since 1970 that the chain's clock must have reached: an input of the
    /// wallet's, the first, states it as its time lock.
    pub reached: Option<u64>,
    deps: BTreeSet<Vec<u8>>,
}

impl Draft {
    /// Adds dependencies; each is kept once, in one order that does not depend on who adds them.
    pub fn depend_on<'a>(&mut self, deps: impl IntoIterator<Item = &'a CellDep>) {
        self.deps.extend(deps.into_iter().map(|dep| dep.as_slice().to_vec()));
    }

    /// Adds what the channel type script depends on, and the vault lock if vaults are spent.
    pub(crate) fn depend_on_channels(&mut self, deployment: &Deployment, spends: bool) {
        self.depend_on([&deployment.channel_type().dep()]);
        if spends {
            self.depend_on([&deployment.vault_lock().dep()]);
        }
    }

    /// The witness at a position, to be changed.
    pub fn witness(&mut self, position: usize) -> &mut WitnessArgs {
        self.witnesses.entry(position).or_default()
    }

    /// What the outputs hold beyond the inputs, in shannons; negative where the inputs hold more.
    pub(crate) fn lacking(&self) -> Result<i128, Error> {
        let spent = sum(self.spends.iter().map(|spend| capacity_of(&spend.cell.output)))?;
        let made = sum(self.makes.iter().map(Made::capacity))?;
        i128::from(made).checked_sub(i128::from(spent)).ok_or(Error::Amount)
    }

    /// Amounts (spent, made) of every token that the draft moves.
    pub(crate) fn tokens(&self) -> Result<BTreeMap<[u8; 32], (u128, u128)>, Error> {
        tokens(self.spends.iter().map(|spend| &spend.cell), &self.makes)
    }

    /// The transaction as it stands.
    #[must_use]
    pub fn build(&self) -> Resolved {
        let inputs = self
            .spends
            .iter()
            .map(|spend| CellInput::new(spend.cell.out_point.clone(), spend.since));
        let last = self.witnesses.keys().next_back().map_or(0, |last| last.saturating_add(1));
        let witnesses = (0..last.max(self.spends.len())).map(|position| {
            let args = self.witnesses.get(&position);
            args.map(WitnessArgs::serialize).unwrap_or_default().pack()
        });
        // The dependencies were serialized by `depend_on`.
        let deps = self.deps.iter().filter_map(|dep| CellDep::from_slice(dep).ok());
        let tx = TransactionBuilder::default()
            .cell_deps(deps)
            .inputs(inputs)
            .outputs(self.makes.iter().map(|made| made.output.clone()))
            .outputs_data(self.makes.iter().map(|made| made.data.pack()))
            .witnesses(witnesses)
            .build();
        Resolved { tx, inputs: self.spends.iter().map(|spend| spend.cell.clone()).collect() }
    }
}

/// A transaction with the cells that it spends, in the order of its inputs.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The transaction.
    pub tx: TransactionView,
    /// The cells.
    pub inputs: Vec<Cell>,
}

impl Resolved {
    /// Asks the node for the cells. They must be live; cells that only the pool makes count.
    pub fn read(rpc: &dyn Rpc, tx: TransactionView) -> Result<Self, Error> {
        let inputs = tx
            .input_pts_iter()
            .map(|out_point| match rpc.live_cell(&out_point, View::Chain)? {
                Some(cell) => Ok(cell),
                None => rpc
                    .live_cell(&out_point, View::WithPool)?
                    .ok_or(Error::Rpc(crate::rpc::RpcError::Unknown { out_point })),
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { tx, inputs })
    }

    /// Holds every spent cell to the transaction that made it, whose hash is in the out point. To
    /// be done before anything is signed: a signature does not cover what the spent cells hold.
    pub fn prove(&self, rpc: &dyn Rpc) -> Result<(), Error> {
        let mut shown: BTreeMap<Vec<u8>, Option<TransactionView>> = BTreeMap::new();
        for cell in &self.inputs {
            let hash = cell.out_point.tx_hash();
            let known = shown.entry(hash.as_slice().to_vec());
            let origin = match known {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(rpc.transaction(&hash)?.transaction),
            };
            let index: u32 = cell.out_point.index().into();
            let made = origin
                .as_ref()
                .filter(|tx| tx.hash() == hash)
                .and_then(|tx| tx.output_with_data(usize::try_from(index).ok()?));
            let same = made.is_some_and(|(output, data)| {
                output.as_slice() == cell.output.as_slice() && data == cell.data
            });
            if !same {
                return Err(Error::FalseCell(cell.out_point.clone()));
            }
        }
        Ok(())
    }

    /// The cells that the transaction makes.
    #[must_use]
    pub fn makes(&self) -> Vec<Made> {
        self.tx.outputs_with_data_iter().map(|(output, data)| Made { output, data }).collect()
    }

    /// The positions of the inputs under the lock with this hash.
    #[must_use]
    pub fn inputs_under(&self, lock: &[u8; 32]) -> Vec<usize> {
        let positions = self.inputs.iter().enumerate();
        positions
            .filter(|(_, cell)| script_hash(&cell.output.lock()) == *lock)
            .map(|(position, _)| position)
            .collect()
    }

    /// What the network gets.
    pub fn fee(&self) -> Result<u64, Error> {
        let spent = sum(self.inputs.iter().map(|cell| capacity_of(&cell.output)))?;
        let made = sum(self.tx.outputs().into_iter().map(|output| capacity_of(&output)))?;
        spent.checked_sub(made).ok_or(Error::Conservation("CKB"))
    }

    /// Refuses a transaction that nodes would not take: of too many cycles, or without the fee for
    /// them and its bytes at this rate.
    pub fn pays(&self, cycles: u64, rate: u64) -> Result<(), Error> {
        let size = self.size();
        if cycles > TRANSACTION_CYCLES_MAX {
            return Err(Error::TooLarge { size, cycles });
        }
        let need = Fee { cycles, ..Fee::rate(rate) }.of(size)?;
        let have = self.fee()?;
        if have < need { Err(Error::FeeTooLow { have, need }) } else { Ok(()) }
    }

    /// The bytes that the transaction takes in a block.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64::try_from(self.tx.data().serialized_size_in_block()).unwrap_or(u64::MAX)
    }

    /// Amounts (spent, made) of every token that the transaction moves.
    pub fn tokens(&self) -> Result<BTreeMap<[u8; 32], (u128, u128)>, Error> {
        tokens(self.inputs.iter(), &self.makes())
    }

    /// The transaction as the verdict sees it.
    #[must_use]
    pub fn view(&self) -> adjudicator::View {
        view_of(&self.tx, &self.inputs)
    }
}

/// A transaction as the verdict sees it. `inputs` are the spent cells in order.
#[must_use]
pub fn view_of(tx: &TransactionView, inputs: &[Cell]) -> adjudicator::View {
    let first: Option<[u8; 44]> =
        tx.inputs().get(0).and_then(|input| input.as_slice().try_into().ok());
    let seen = |output: &ckb_types::packed::CellOutput, data: &[u8]| {
        let kind = output.type_().to_opt().map(|kind| script_hash(&kind));
        adjudicator::Cell::new(capacity_of(output), script_hash(&output.lock()), kind, data)
    };
    let spent = tx.inputs().into_iter().zip(inputs).map(|(input, cell)| adjudicator::Input {
        since: input.since().into(),
        cell: seen(&cell.output, &cell.data),
    });
    adjudicator::View {
        hash: tx.hash().into(),
        first_input: first.unwrap_or([0; 44]),
        inputs: spent.collect(),
        outputs: tx.outputs_with_data_iter().map(|(output, data)| seen(&output, &data)).collect(),
        witnesses: tx.witnesses().into_iter().map(|it| it.raw_data().to_vec()).collect(),
    }
}

fn tokens<'a>(
    spent: impl Iterator<Item = &'a Cell>,
    made: &[Made],
) -> Result<BTreeMap<[u8; 32], (u128, u128)>, Error> {
    let mut amounts: BTreeMap<[u8; 32], (u128, u128)> = BTreeMap::new();
    for (token, amount) in spent.filter_map(token_in) {
        let (spent, _) = amounts.entry(token).or_default();
        *spent = sum_amounts([*spent, amount])?;
    }
    for made in made {
        let cell = Cell {
            out_point: ckb_types::packed::OutPoint::default(),
            output: made.output.clone(),
            data: made.data.clone(),
        };
        if let Some((token, amount)) = token_in(&cell) {
            let (_, made) = amounts.entry(token).or_default();
            *made = sum_amounts([*made, amount])?;
        }
    }
    Ok(amounts)
}
