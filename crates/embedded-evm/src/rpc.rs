//! Ethereum's JSON-RPC, method by method.
//!
//! One door for the transport and for HTTP. The invariant: whatever the parameters are, the answer
//! is a result or a refusal, and both have a bounded size.

mod at;
mod blocks;
mod calls;
mod dev;
mod fees;
mod logs;
mod params;
mod read;

use crate::chain::Chain;
use crate::refusal::Refusal;
use params::Params;
use serde_json::{Value, json};

/// The answer of a method.
type Answer = Result<Value, Refusal>;

/// Answers one call.
pub(crate) fn dispatch(chain: &Chain, method: &str, params: Value) -> Answer {
    let params = &Params::new(params)?;
    match method {
        "eth_chainId" => Ok(params::hex(chain.state().options.chain_id)),
        "net_version" => Ok(Value::String(chain.state().options.chain_id.to_string())),
        "web3_clientVersion" => {
            Ok(Value::String(concat!("perun-embedded-evm/v", env!("CARGO_PKG_VERSION")).to_owned()))
        }
        "eth_syncing" => Ok(Value::Bool(false)),
        "eth_accounts" => Ok(json!([])),
        "eth_blockNumber" => Ok(params::hex(chain.state().ledger.height())),
        "eth_getBalance" => read::balance(chain, params),
        "eth_getTransactionCount" => read::transaction_count(chain, params),
        "eth_getCode" => read::code(chain, params),
        "eth_getStorageAt" => read::storage_at(chain, params),
        "eth_call" => calls::call(chain, params),
        "eth_estimateGas" => calls::estimate_gas(chain, params),
        "eth_gasPrice" => fees::gas_price(chain),
        "eth_maxPriorityFeePerGas" => fees::max_priority_fee(chain),
        "eth_feeHistory" => fees::history(chain, params),
        "eth_sendRawTransaction" => read::send_raw(chain, params),
        "eth_getTransactionByHash" => blocks::transaction(chain, params),
        "eth_getTransactionReceipt" => blocks::receipt(chain, params),
        "eth_getBlockByNumber" => blocks::by_number(chain, params),
        "eth_getBlockByHash" => blocks::by_hash(chain, params),
        "eth_getBlockReceipts" => blocks::receipts(chain, params),
        "eth_getLogs" => logs::logs(chain, params),
        _ => dev::call(chain, method, params),
    }
}
