//! Capacities as people write them, and what a cell must hold to exist.
//!
//! Inside the crate a capacity is a plain `u64` of shannons, as in the verdict; [`Shannons`] is
//! only how it is shown. The invariant: no sum of capacities or amounts is taken unchecked.

use crate::Error;
use crate::rpc::Cell;
use ckb_types::{
    bytes::Bytes,
    core::Capacity,
    packed::{CellOutput, Script},
    prelude::*,
};

/// Shannons in one CKB.
pub const CKB: u64 = 100_000_000;

/// The bytes of data of a token cell: its amount and nothing else.
pub const TOKEN_DATA: usize = 16;

/// A capacity, shown in CKB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shannons(pub u64);

impl std::fmt::Display for Shannons {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.0 / CKB, self.0 % CKB);
        if rest == 0 {
            return write!(f, "{whole} CKB");
        }
        let digits = format!("{rest:08}");
        write!(f, "{whole}.{} CKB", digits.trim_end_matches('0'))
    }
}

/// What a cell with this lock, type and length of data occupies, in shannons: the least it can
/// hold.
#[must_use]
pub fn occupied(lock: &Script, kind: Option<&Script>, data: usize) -> u64 {
    let output = CellOutput::new_builder().lock(lock.clone()).type_(kind.cloned().pack()).build();
    let data = Capacity::bytes(data).unwrap_or_else(|_| Capacity::shannons(u64::MAX));
    // A cell too big to be counted can never be made; no balance is as large as this.
    output.occupied_capacity(data).map_or(u64::MAX, Capacity::as_u64)
}

/// The hash that names a script.
#[must_use]
pub fn script_hash(script: &Script) -> [u8; 32] {
    script.calc_script_hash().into()
}

/// The token of a cell that holds an amount and nothing else: the hash of its type script, the
/// amount.
#[must_use]
pub fn token_in(cell: &Cell) -> Option<([u8; 32], u128)> {
    let kind = cell.output.type_().to_opt()?;
    let amount: [u8; TOKEN_DATA] = cell.data.as_ref().try_into().ok()?;
    Some((script_hash(&kind), u128::from_le_bytes(amount)))
}

/// Whether a cell is money and nothing else: no type and no data.
#[must_use]
pub fn is_plain(cell: &Cell) -> bool {
    cell.data.is_empty() && cell.output.type_().is_none()
}

pub(crate) fn capacity_of(output: &CellOutput) -> u64 {
    output.capacity().into()
}

/// A cell to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Capacity, lock and type.
    pub output: CellOutput,
    /// Its data.
    pub data: Bytes,
}

impl Made {
    /// Money and nothing else.
    #[must_use]
    pub fn plain(lock: Script, capacity: u64) -> Self {
        let output = CellOutput::new_builder().capacity(capacity).lock(lock).build();
        Self { output, data: Bytes::new() }
    }

    /// An amount of a token.
    #[must_use]
    pub fn token(lock: Script, kind: Script, capacity: u64, amount: u128) -> Self {
        let data = Bytes::copy_from_slice(&amount.to_le_bytes());
        Self::typed(lock, kind, capacity, data)
    }

    pub(crate) fn typed(lock: Script, kind: Script, capacity: u64, data: Bytes) -> Self {
        let output =
            CellOutput::new_builder().capacity(capacity).lock(lock).type_(Some(kind).pack());
        Self { output: output.build(), data }
    }

    /// Its capacity in shannons.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        capacity_of(&self.output)
    }

    pub(crate) fn occupied(&self) -> u64 {
        occupied(&self.output.lock(), self.output.type_().to_opt().as_ref(), self.data.len())
    }

    pub(crate) fn with_capacity(self, capacity: u64) -> Self {
        Self { output: self.output.as_builder().capacity(capacity).build(), ..self }
    }
}

pub(crate) fn add(one: u64, other: u64) -> Result<u64, Error> {
    one.checked_add(other).ok_or(Error::Amount)
}

pub(crate) fn sum(parts: impl IntoIterator<Item = u64>) -> Result<u64, Error> {
    parts.into_iter().try_fold(0, add)
}

pub(crate) fn sum_amounts(parts: impl IntoIterator<Item = u128>) -> Result<u128, Error> {
    parts.into_iter().try_fold(0, |sum: u128, part| sum.checked_add(part).ok_or(Error::Amount))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities_are_shown_as_people_write_them() {
        let shown = |shannons| Shannons(shannons).to_string();
        assert_eq!(shown(0), "0 CKB");
        assert_eq!(shown(222 * CKB), "222 CKB");
        assert_eq!(shown(1), "0.00000001 CKB");
        assert_eq!(shown(61 * CKB + 50_000_000), "61.5 CKB");
    }

    #[test]
    fn a_plain_cell_of_the_standard_lock_occupies_61_ckb_and_a_token_cell_142() {
        let lock = Script::new_builder().args(Bytes::from(vec![0; 20])).build();
        let token = Script::new_builder().args(Bytes::from(vec![0; 32])).build();
        assert_eq!(occupied(&lock, None, 0), 61 * CKB);
        assert_eq!(occupied(&lock, Some(&token), TOKEN_DATA), 142 * CKB);
    }
}
