//! What only a chain for tests answers, under the names that tools know from Anvil.

use super::Answer;
use super::params::{Params, hex};
use crate::chain::Chain;
use crate::refusal::Refusal;
use alloy_primitives::{Address, B256, U256};
use serde_json::{Value, json};

pub(super) fn call(chain: &Chain, method: &str, params: &Params) -> Answer {
    match method {
        "evm_mine" => mine_one(chain, params),
        "anvil_mine" | "hardhat_mine" => mine(chain, params),
        "evm_increaseTime" | "anvil_increaseTime" => {
            let seconds = params.number(0)?;
            let mut state = chain.state();
            state.advance(seconds)?;
            Ok(json!(state.moved))
        }
        "evm_setNextBlockTimestamp" | "anvil_setNextBlockTimestamp" => {
            chain.set_next_timestamp(params.number(0)?)?;
            Ok(Value::Null)
        }
        "anvil_setNextBlockBaseFeePerGas" => {
            chain.set_next_base_fee(params.number(0)?);
            Ok(Value::Null)
        }
        "anvil_setBalance" | "hardhat_setBalance" => {
            let (address, balance): (Address, U256) = (params.get(0)?, params.get(1)?);
            chain.set_balance(address, balance);
            Ok(Value::Null)
        }
        "evm_setAutomine" | "anvil_setAutomine" => {
            chain.set_auto_mine(params.get(0)?);
            Ok(Value::Null)
        }
        "anvil_dropTransaction" => {
            let hash: B256 = params.get(0)?;
            Ok(if chain.evict(&hash) { Value::String(hash.to_string()) } else { Value::Null })
        }
        "evm_snapshot" | "anvil_snapshot" => Ok(hex(chain.snapshot()?)),
        "evm_revert" | "anvil_revert" => Ok(Value::Bool(chain.revert(params.number(0)?))),
        _ => Err(Refusal::no_method(method)),
    }
}

/// One block, at the time that the parameter says, if there is one; or as many as it says.
fn mine_one(chain: &Chain, params: &Params) -> Answer {
    let parameter: Option<Value> = params.option(0)?;
    match parameter {
        None => chain.mine(1)?,
        Some(Value::Object(options)) => {
            let field = |name: &str| match options.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(value) => Params::new(json!([value]))?.number(0).map(Some),
            };
            if let Some(timestamp) = field("timestamp")? {
                chain.set_next_timestamp(timestamp)?;
            }
            chain.mine(field("blocks")?.unwrap_or(1))?
        }
        Some(_) => chain.mine_at(params.number(0)?)?,
    };
    Ok(Value::String("0x0".to_owned()))
}

/// So many blocks, so many seconds apart.
fn mine(chain: &Chain, params: &Params) -> Answer {
    let blocks = match params.option::<Value>(0)? {
        None => 1,
        Some(_) => params.number(0)?,
    };
    match params.option::<Value>(1)? {
        None => chain.mine(blocks)?,
        Some(_) => chain.mine_every(blocks, params.number(1)?)?,
    };
    Ok(Value::Null)
}
