//! A signed transaction, as nodes take it.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{B256, Bytes, Signature, TxKind};

use super::book::Task;
use crate::Error;
use crate::account::Account;
use crate::fees::Fees;

/// The bytes of a transaction with the account's signature, and their hash.
pub(super) fn signed(
    account: &dyn Account,
    chain_id: u64,
    nonce: u64,
    task: &Task,
    gas_limit: u64,
    fees: Fees,
) -> Result<(Bytes, B256), Error> {
    let transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: fees.max_fee,
        max_priority_fee_per_gas: fees.tip,
        to: TxKind::Call(task.to),
        value: task.value,
        access_list: AccessList::default(),
        input: task.input.clone(),
    };
    let signature = account.sign(&transaction.signature_hash().0)?;
    let signature = Signature::from_raw(signature.as_bytes()).map_err(|_| Error::Key)?;
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    Ok((envelope.encoded_2718().into(), *envelope.tx_hash()))
}
