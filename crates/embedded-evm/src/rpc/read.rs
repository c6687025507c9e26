//! What accounts are and have, and the door for transactions.

use super::Answer;
use super::at::{self, At};
use super::params::{Params, hex};
use crate::chain::Chain;
use crate::refusal::Refusal;
use crate::world::World;
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::{Value, json};

/// The state that the parameter at this place names.
fn world(chain: &Chain, params: &Params, index: usize) -> Result<World, Refusal> {
    params.at_most(index + 1)?;
    let state = chain.state();
    let at = at::parameter(&state, params, index)?;
    Ok(at::ground(&state, at)?.view.world)
}

pub(super) fn balance(chain: &Chain, params: &Params) -> Answer {
    let address: Address = params.get(0)?;
    Ok(json!(world(chain, params, 1)?.balance(&address)))
}

pub(super) fn code(chain: &Chain, params: &Params) -> Answer {
    let address: Address = params.get(0)?;
    let world = world(chain, params, 1)?;
    let code = world.code(&address).map(revm::state::Bytecode::original_bytes);
    Ok(json!(code.unwrap_or_default()))
}

pub(super) fn storage_at(chain: &Chain, params: &Params) -> Answer {
    let (address, slot): (Address, U256) = (params.get(0)?, params.get(1)?);
    let value = world(chain, params, 2)?.slot(&address, &slot);
    Ok(json!(B256::from(value)))
}

pub(super) fn transaction_count(chain: &Chain, params: &Params) -> Answer {
    let address: Address = params.get(0)?;
    params.at_most(2)?;
    let state = chain.state();
    let id: BlockId = params.option(1)?.unwrap_or_else(BlockId::latest);
    if at::identified(&state, id) == Some(At::Pending) {
        // What the account would use next, even if the next block has no room for it.
        let nonce = state.ledger.world().nonce(&address);
        return Ok(hex(state.pool.next_nonce(&address, nonce)));
    }
    drop(state);
    Ok(hex(world(chain, params, 1)?.nonce(&address)))
}

pub(super) fn send_raw(chain: &Chain, params: &Params) -> Answer {
    let raw: Bytes = params.get(0)?;
    let hash = chain.send_raw(&raw)?;
    Ok(Value::String(hash.to_string()))
}
