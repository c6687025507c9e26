//! A finished transaction with the cells it spends, and the three things made of it: the chain's
//! own resolved transaction, the verdict's view, and a size in bytes.

use ckb_types::bytes::Bytes;
use ckb_types::core::cell::{CellMetaBuilder, ResolvedTransaction};
use ckb_types::core::{Capacity, TransactionBuilder, TransactionView};
use ckb_types::packed::{Byte32, CellInput, CellOutput, OutPoint, Script, ScriptOpt};
use ckb_types::prelude::{Builder, Entity};
use perun_channel::adjudicator::{Cell, Input, View};

use crate::vm::{Trial, scripts, try_transaction};

/// A cell with its scripts in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellSketch {
    /// Capacity in shannons.
    pub capacity: u64,
    /// The lock script.
    pub lock: Script,
    /// The type script.
    pub kind: Option<Script>,
    /// The data.
    pub data: Vec<u8>,
}

impl CellSketch {
    /// A cell of coins.
    #[must_use]
    pub const fn plain(capacity: u64, lock: Script) -> Self {
        Self { capacity, lock, kind: None, data: Vec::new() }
    }

    /// A cell of a token.
    #[must_use]
    pub fn token(capacity: u64, lock: Script, token: Script, amount: u128) -> Self {
        Self { capacity, lock, kind: Some(token), data: amount.to_le_bytes().to_vec() }
    }

    /// Its lock's hash.
    #[must_use]
    pub fn lock_hash(&self) -> [u8; 32] {
        self.lock.calc_script_hash().into()
    }

    /// Its type's hash.
    #[must_use]
    pub fn kind_hash(&self) -> Option<[u8; 32]> {
        self.kind.as_ref().map(|kind| kind.calc_script_hash().into())
    }

    fn output(&self) -> CellOutput {
        CellOutput::new_builder()
            .capacity(Capacity::shannons(self.capacity))
            .lock(self.lock.clone())
            .type_(ScriptOpt::new_builder().set(self.kind.clone()).build())
            .build()
    }

    fn seen(&self) -> Cell {
        Cell::new(self.capacity, self.lock_hash(), self.kind_hash(), &self.data)
    }
}

/// One input and the cell it spends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputSketch {
    /// The time lock.
    pub since: u64,
    /// The transaction that made the cell.
    pub from: [u8; 32],
    /// Its output.
    pub index: u32,
    /// The cell.
    pub cell: CellSketch,
}

impl InputSketch {
    /// As the chain serializes it: 44 bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; 44] {
        self.packed().as_slice().try_into().expect("a cell input has 44 bytes")
    }

    fn out_point(&self) -> OutPoint {
        OutPoint::new_builder().tx_hash(Byte32::from(self.from)).index(self.index).build()
    }

    fn packed(&self) -> CellInput {
        CellInput::new_builder().previous_output(self.out_point()).since(self.since).build()
    }
}

/// A finished transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sketch {
    /// The inputs in order.
    pub inputs: Vec<InputSketch>,
    /// The outputs in order.
    pub outputs: Vec<CellSketch>,
    /// The witnesses in order.
    pub witnesses: Vec<Vec<u8>>,
}

impl Sketch {
    /// The chain's transaction.
    #[must_use]
    pub fn transaction(&self) -> TransactionView {
        let packed = |bytes: &Vec<u8>| Bytes::from(bytes.clone()).into();
        TransactionBuilder::default()
            .cell_deps(scripts().deps())
            .inputs(self.inputs.iter().map(InputSketch::packed))
            .outputs(self.outputs.iter().map(CellSketch::output))
            .outputs_data(self.outputs.iter().map(|cell| packed(&cell.data)))
            .witnesses(self.witnesses.iter().map(packed))
            .build()
    }

    /// The hash, which covers everything but the witnesses.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.transaction().hash().into()
    }

    /// The transaction with its spent cells.
    #[must_use]
    pub fn resolved(&self) -> ResolvedTransaction {
        let inputs = self.inputs.iter().map(|input| {
            let data = Bytes::from(input.cell.data.clone());
            CellMetaBuilder::from_cell_output(input.cell.output(), data)
                .out_point(input.out_point())
                .build()
        });
        ResolvedTransaction {
            transaction: self.transaction(),
            resolved_cell_deps: scripts().cells(),
            resolved_inputs: inputs.collect(),
            resolved_dep_groups: Vec::new(),
        }
    }

    /// The transaction as the verdict sees it.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            hash: self.hash(),
            first_input: self.inputs.first().map_or([0; 44], InputSketch::bytes),
            inputs: self
                .inputs
                .iter()
                .map(|input| Input { since: input.since, cell: input.cell.seen() })
                .collect(),
            outputs: self.outputs.iter().map(CellSketch::seen).collect(),
            witnesses: self.witnesses.clone(),
        }
    }

    /// How many bytes the transaction has on the chain.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.transaction().data().serialized_size_in_block()
    }

    /// Inputs less outputs, which is what the miner gets; negative if it cannot be.
    #[must_use]
    pub fn fee(&self) -> i128 {
        let sum = |sum: i128, cell: &CellSketch| sum + i128::from(cell.capacity);
        self.inputs.iter().map(|input| &input.cell).fold(0, sum) - self.outputs.iter().fold(0, sum)
    }

    /// Runs every script of ours and the pure verdict, and panics unless they agree on each code.
    #[must_use]
    pub fn trial(&self) -> Trial {
        self.verdicts().unwrap_or_else(|difference| panic!("{difference}\n{self:?}"))
    }

    /// Runs every script of ours and the pure verdict, and says where they do not agree.
    pub fn verdicts(&self) -> Result<Trial, String> {
        try_transaction(self)
    }
}
