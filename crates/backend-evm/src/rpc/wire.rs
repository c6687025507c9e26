//! The JSON of the answers.
//!
//! Only the fields that are used, so that chains with more of them, or other kinds of transactions,
//! are read as well.

use alloy_primitives::{Address, B256, Bytes, U64, U128, U256};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Block {
    pub(super) number: U64,
    pub(super) hash: B256,
    pub(super) parent_hash: B256,
    pub(super) timestamp: U64,
    pub(super) gas_limit: U64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    pub(super) address: Address,
    pub(super) topics: Vec<B256>,
    pub(super) data: Bytes,
    pub(super) block_number: Option<U64>,
    pub(super) block_hash: Option<B256>,
    pub(super) transaction_hash: Option<B256>,
    pub(super) log_index: Option<U64>,
    #[serde(default)]
    pub(super) removed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    pub(super) transaction_hash: B256,
    pub(super) block_number: U64,
    pub(super) block_hash: B256,
    pub(super) status: U64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Transaction {
    pub(super) hash: B256,
    pub(super) to: Option<Address>,
    pub(super) input: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FeeHistory {
    pub(super) base_fee_per_gas: Vec<U128>,
    #[serde(default)]
    pub(super) gas_used_ratio: Vec<f64>,
    #[serde(default)]
    pub(super) reward: Option<Vec<Vec<U128>>>,
}

#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) id: Option<u64>,
    #[serde(default)]
    pub(super) result: Option<Value>,
    #[serde(default)]
    pub(super) error: Option<Refusal>,
}

#[derive(Deserialize)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) message: String,
    #[serde(default)]
    pub(super) data: Option<Value>,
}

/// What a contract gave back, wherever the node puts it.
pub(super) fn revert_data(data: Option<&Value>) -> Option<Bytes> {
    match data? {
        Value::String(text) => text.trim_start_matches("Reverted ").parse().ok(),
        Value::Object(fields) => {
            let inner = fields.get("data").or_else(|| fields.get("result"));
            revert_data(inner)
        }
        _ => None,
    }
}

/// A number as the RPC writes it.
pub(super) fn hex(number: u64) -> Value {
    Value::String(format!("{number:#x}"))
}

/// A large number as the RPC writes it.
pub(super) fn hex_large(number: U256) -> Value {
    Value::String(format!("{number:#x}"))
}
