//! The last look before a signature leaves or a transaction is sent.
//!
//! It runs the chain's own verdict, the same function as the scripts, over the finished
//! transaction, and adds what consensus and token scripts would check of money: cells that hold
//! their own size, sums that agree, a fee that nodes take. The invariant: what passes is refused by
//! the chain only for what changed since, for witnesses of foreign locks, or for a time lock.

use crate::Error;
use crate::deployment::Deployment;
use crate::fees::{FEE_RATE_MIN, TRANSACTION_BYTES_MAX, fee_of};
use crate::money::script_hash;
use crate::tx::Resolved;
use ckb_types::{core::ScriptHashType, packed::Script, prelude::*};
use perun_channel::adjudicator::{Code, Env, View, judge, vault_opens};
use std::collections::BTreeMap;

/// Judges the finished transaction as the chain will.
pub fn precheck(spent: &Resolved, deployment: &Deployment) -> Result<(), Error> {
    check_money(spent, deployment)?;
    let view = spent.view();
    let env = deployment.env();
    if touches_channels(&view, &env) {
        judge(&view, &env).map_err(|code| explain(code, &view))?;
    }
    check_vaults(spent, deployment)
}

/// Sums, cell sizes and the transaction's own size: what needs no verdict.
pub(crate) fn check_money(spent: &Resolved, deployment: &Deployment) -> Result<(), Error> {
    if spent.tx.inputs().len() != spent.inputs.len() {
        return Err(Error::Conservation("CKB"));
    }
    for (index, made) in spent.makes().iter().enumerate() {
        let (have, need) = (made.capacity(), made.occupied());
        if have < need {
            return Err(Error::CellTooSmall { index, have, need });
        }
    }
    let ours = |token: &[u8; 32]| deployment.token(token).is_ok();
    let tokens = spent.tokens()?;
    if tokens.iter().any(|(token, (spent, made))| ours(token) && spent != made) {
        return Err(Error::Conservation("a token"));
    }
    let (have, size) = (spent.fee()?, spent.size());
    if size > TRANSACTION_BYTES_MAX {
        return Err(Error::TooLarge { size, cycles: 0 });
    }
    let need = fee_of(size, FEE_RATE_MIN)?;
    if have < need { Err(Error::FeeTooLow { have, need }) } else { Ok(()) }
}

fn touches_channels(view: &View, env: &Env) -> bool {
    let spent = view.inputs.iter().map(|input| &input.cell);
    spent.chain(&view.outputs).any(|cell| cell.kind == Some(env.channel_type))
}

/// A cell's type script hash and its data.
type Head<'a> = (Option<[u8; 32]>, &'a [u8]);

/// Runs the vault lock over every group of inputs under one.
fn check_vaults(spent: &Resolved, deployment: &Deployment) -> Result<(), Error> {
    let mut groups: BTreeMap<Vec<u8>, Vec<Head<'_>>> = BTreeMap::new();
    for cell in &spent.inputs {
        let lock = cell.output.lock();
        if is_vault_lock(&lock, deployment) {
            let kind = cell.output.type_().to_opt().map(|kind| script_hash(&kind));
            let args = lock.args().raw_data().to_vec();
            groups.entry(args).or_default().push((kind, cell.data.as_ref()));
        }
    }
    groups.into_iter().try_for_each(|(args, group)| Ok(vault_opens(&args, group)?))
}

pub(crate) fn is_vault_lock(lock: &Script, deployment: &Deployment) -> bool {
    let hash_type: u8 = ScriptHashType::Data2.into();
    lock.code_hash().as_slice() == deployment.vault_lock().data_hash
        && lock.hash_type().as_slice() == [hash_type]
}

/// Names the one refusal that has a remedy of its own: a payee that pays the fee from its own lock
/// shows as an underpayment by no more than the fee.
fn explain(code: Code, view: &View) -> Error {
    let spends_a_payees_lock = view.inputs.iter().any(|input| {
        view.outputs.iter().any(|made| made.lock == input.cell.lock && made.kind.is_none())
    });
    if code == Code::Underpaid && spends_a_payees_lock {
        return Error::FeePayerIsPayee;
    }
    Error::Verdict(code)
}
