//! Making sure that a shared transaction can never be committed: one of our inputs is spent
//! elsewhere.

use super::assemble::Assembly;
use crate::Error;
use crate::balance::{Balanced, Funds, balance};
use crate::deployment::Deployment;
use crate::fees::Fee;
use crate::money::{capacity_of, is_plain};
use crate::rpc::Cell;
use crate::tx::{Draft, Spend};
use crate::wallet::OwnedLock;
use ckb_types::{core::TransactionView, prelude::*};

/// Spends one of our inputs of the shared transaction back to its lock. `cells` are those inputs.
/// If the shared transaction is in the pool already, the fee must say which one it replaces.
///
/// Whichever of the two is committed decides; until one is, the opening is neither done nor over.
pub fn abort_open(
    deployment: &Deployment,
    owner: &OwnedLock,
    cells: &[Cell],
    fee: &Fee,
) -> Result<Balanced, Error> {
    // The largest plain one needs no other to pay the fee; a token cell can always follow it.
    let plain = cells.iter().filter(|cell| is_plain(cell));
    let largest = plain.max_by_key(|cell| capacity_of(&cell.output)).or_else(|| cells.first());
    let cell = largest.ok_or(Error::NotOurs)?.clone();
    let mut draft = Draft::default();
    draft.spends.push(Spend { cell, since: owner.since });
    balance(&draft, &Funds { lock: owner, cells }, deployment, fee)
}

/// Whether a committed transaction makes the shared one impossible: it spends one of its inputs.
#[must_use]
pub fn is_abort(assembly: &Assembly, committed: &TransactionView) -> bool {
    let shared: Vec<_> = assembly.tx().input_pts_iter().collect();
    committed.hash() != assembly.tx().hash()
        && committed
            .input_pts_iter()
            .any(|spent| shared.iter().any(|input| input.as_slice() == spent.as_slice()))
}
