//! Blocks, transactions and receipts in their JSON forms.

use super::Answer;
use super::at::{self, At};
use super::params::{Params, value};
use crate::chain::Chain;
use crate::ledger::Block;
use crate::refusal::Refusal;
use alloy_consensus::transaction::TransactionInfo;
use alloy_consensus::{BlockBody, Transaction as _};
use alloy_eips::eip4895::Withdrawals;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth as wire;
use serde_json::Value;

pub(super) fn by_number(chain: &Chain, params: &Params) -> Answer {
    let tag: BlockNumberOrTag = params.get(0)?;
    let full = params.option(1)?.unwrap_or(false);
    params.at_most(2)?;
    let state = chain.state();
    match at::tagged(&state, tag) {
        None => Ok(Value::Null),
        Some(At::Number(number)) => {
            state.ledger.block(number).map_or(Ok(Value::Null), |block| block_json(block, full))
        }
        Some(At::Pending) => {
            let mut json = block_json(&state.pending().block, full)?;
            // It has no hash before it is a block.
            for name in ["hash", "nonce"] {
                if let Some(field) = json.get_mut(name) {
                    *field = Value::Null;
                }
            }
            Ok(json)
        }
    }
}

pub(super) fn by_hash(chain: &Chain, params: &Params) -> Answer {
    let hash: B256 = params.get(0)?;
    let full = params.option(1)?.unwrap_or(false);
    params.at_most(2)?;
    let state = chain.state();
    let block = state.ledger.number_of(&hash).and_then(|number| state.ledger.block(number));
    block.map_or(Ok(Value::Null), |block| block_json(block, full))
}

fn block_json(block: &Block, full: bool) -> Answer {
    let consensus = alloy_consensus::Block {
        header: block.header.inner().clone(),
        body: BlockBody {
            transactions: block.transactions.iter().map(|tx| tx.inner().clone()).collect(),
            ommers: Vec::new(),
            withdrawals: Some(Withdrawals::default()),
        },
    };
    let size =
        U256::from(alloy_consensus::Block::rlp_length_for(&consensus.header, &consensus.body));
    let transactions = match full {
        false => {
            let hashes = block.transactions.iter().map(|tx| *tx.tx_hash());
            wire::BlockTransactions::Hashes(hashes.collect())
        }
        true => {
            let indices = 0..block.transactions.len();
            let all = indices.filter_map(|index| transaction_view(block, index));
            wire::BlockTransactions::Full(all.collect())
        }
    };
    value(wire::Block {
        header: wire::Header::from_consensus(block.header.clone(), None, Some(size)),
        uncles: Vec::new(),
        transactions,
        withdrawals: Some(Withdrawals::default()),
    })
}

fn transaction_view(block: &Block, index: usize) -> Option<wire::Transaction> {
    let tx = block.transactions.get(index)?;
    let info = TransactionInfo {
        hash: Some(*tx.tx_hash()),
        index: Some(index as u64),
        block_hash: Some(block.header.hash()),
        block_number: Some(block.header.number),
        base_fee: Some(block.base_fee()),
        block_timestamp: Some(block.header.timestamp),
    };
    Some(wire::Transaction::from_transaction(tx.clone(), info))
}

pub(super) fn transaction(chain: &Chain, params: &Params) -> Answer {
    let hash: B256 = params.get(0)?;
    params.at_most(1)?;
    let state = chain.state();
    if let Some((block, index)) = state.ledger.transaction(&hash) {
        return value(transaction_view(block, index));
    }
    value(state.pool.get(&hash).map(|entry| {
        wire::Transaction::from_transaction(entry.tx.clone(), TransactionInfo::default())
    }))
}

pub(super) fn receipt(chain: &Chain, params: &Params) -> Answer {
    let hash: B256 = params.get(0)?;
    params.at_most(1)?;
    let state = chain.state();
    value(state.ledger.transaction(&hash).and_then(|(block, index)| receipt_view(block, index)))
}

pub(super) fn receipts(chain: &Chain, params: &Params) -> Answer {
    let id: BlockId = params.get(0)?;
    params.at_most(1)?;
    let state = chain.state();
    let block = match at::identified(&state, id) {
        None => return Ok(Value::Null),
        Some(At::Pending) => return Err(Refusal::params("pending blocks have no receipts")),
        Some(At::Number(number)) => state.ledger.block(number),
    };
    value(block.map(|block| {
        let indices = 0..block.transactions.len();
        indices.filter_map(|index| receipt_view(block, index)).collect::<Vec<_>>()
    }))
}

fn receipt_view(block: &Block, index: usize) -> Option<wire::TransactionReceipt> {
    let (tx, done) = (block.transactions.get(index)?, block.done.get(index)?);
    let mut log_index = done.first_log;
    let inner = done.receipt.clone().map_logs(|log| {
        let log = log_view(block, index, log_index, log);
        log_index += 1;
        log
    });
    Some(wire::TransactionReceipt {
        inner,
        transaction_hash: *tx.tx_hash(),
        transaction_index: Some(index as u64),
        block_hash: Some(block.header.hash()),
        block_number: Some(block.header.number),
        gas_used: done.gas_used,
        effective_gas_price: tx.effective_gas_price(Some(block.base_fee())),
        blob_gas_used: None,
        blob_gas_price: None,
        from: tx.signer(),
        to: tx.to(),
        contract_address: done.contract,
    })
}

/// A log of the transaction at this place in its block.
pub(super) fn log_view(
    block: &Block,
    index: usize,
    log_index: u64,
    log: alloy_primitives::Log,
) -> wire::Log {
    wire::Log {
        inner: log,
        block_hash: Some(block.header.hash()),
        block_number: Some(block.header.number),
        block_timestamp: Some(block.header.timestamp),
        transaction_hash: block.transactions.get(index).map(|tx| *tx.tx_hash()),
        transaction_index: Some(index as u64),
        log_index: Some(log_index),
        removed: false,
    }
}
