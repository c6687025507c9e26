//! A transaction as the verdict sees it: the fields that decide, and nothing else.

use alloc::vec::Vec;

/// How many bytes of a cell's data the verdict looks at; no rule reads further.
pub const DATA_PREFIX: usize = super::CHANNEL_DATA_LENGTH;

/// The most inputs, and the most outputs, of a transaction that is judged: more than 250
/// settlements need, and well within the memory of a script.
pub const MAX_CELLS: usize = 1_024;

/// One cell, spent or made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cell {
    /// The capacity in shannons.
    pub capacity: u64,
    /// The hash of the lock script.
    pub lock: [u8; 32],
    /// The hash of the type script, if the cell has one.
    pub kind: Option<[u8; 32]>,
    /// The first [`DATA_PREFIX`] bytes of the data, or all of them if there are fewer.
    pub data: Vec<u8>,
    /// How many bytes of data there are.
    pub data_length: u64,
}

impl Cell {
    /// A cell with this data, cut to the prefix that the verdict looks at.
    #[must_use]
    pub fn new(capacity: u64, lock: [u8; 32], kind: Option<[u8; 32]>, data: &[u8]) -> Self {
        let prefix = data.get(..DATA_PREFIX).unwrap_or(data);
        let data_length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        Self { capacity, lock, kind, data: prefix.to_vec(), data_length }
    }

    /// The token amount: the first 16 bytes, little-endian. Tokens may carry more data behind it.
    #[must_use]
    pub fn token_amount(&self) -> Option<u128> {
        self.data.first_chunk().map(|bytes| u128::from_le_bytes(*bytes))
    }
}

/// One input: the cell it spends and the time lock it asks the chain to check.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Input {
    /// The `since` field.
    pub since: u64,
    /// The spent cell.
    pub cell: Cell,
}

/// A transaction with its spent cells resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The transaction hash; it covers everything but the witnesses.
    pub hash: [u8; 32],
    /// The first input as the chain serializes it: `since` and out point, 44 bytes.
    pub first_input: [u8; 44],
    /// The inputs in order.
    pub inputs: Vec<Input>,
    /// The outputs in order.
    pub outputs: Vec<Cell>,
    /// The witnesses in order. A caller may leave those empty that belong to no channel cell.
    pub witnesses: Vec<Vec<u8>>,
}

impl View {
    /// The network fee: what the inputs hold and the outputs do not.
    pub(super) fn fee(&self) -> u128 {
        let sum = |cells: &mut dyn Iterator<Item = u64>| -> u128 {
            cells.fold(0, |sum, capacity| sum.saturating_add(u128::from(capacity)))
        };
        let inputs = sum(&mut self.inputs.iter().map(|input| input.cell.capacity));
        let outputs = sum(&mut self.outputs.iter().map(|cell| cell.capacity));
        inputs.saturating_sub(outputs)
    }
}
