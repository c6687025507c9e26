//! The node's `IntegrationTest` methods: blocks and time on request, and going back.
//!
//! A template here is a promise about the next block, not the block: `generate_block_with_template`
//! takes its time and its parent, and fills the block anew. The invariant: a template on an old tip
//! is refused, where the node would make a side block that this chain does not have.

use super::params::{Params, hash, hex};
use crate::assembly::assemble;
use crate::chain::Chain;
use crate::refusal::Refusal;
use ckb_jsonrpc_types as wire;
use ckb_types::H256;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn call(chain: &Chain, method: &str, params: &Params) -> Option<Result<Value, Refusal>> {
    match method {
        "get_block_template" => Some(Ok(template(chain))),
        "generate_block" => {
            let mut state = chain.state();
            let time = state.next_time();
            Some(Ok(hash(&state.mine_at(time).hash())))
        }
        "generate_block_with_template" => Some(generate(chain, params)),
        "truncate" => Some(truncate(chain, params)),
        _ => None,
    }
}

fn template(chain: &Chain) -> Value {
    let state = chain.state();
    let consensus = state.ledger.consensus();
    let next = assemble(&state, state.next_time());
    let txs = next.view.transactions();
    let json = |tx: &ckb_types::core::TransactionView| {
        json!({
            "hash": hash(&tx.hash()),
            "required": false,
            "cycles": null,
            "depends": null,
            "data": wire::Transaction::from(tx.data()),
        })
    };
    let proposals = next.view.union_proposal_ids_iter().map(wire::ProposalShortId::from);
    json!({
        "version": "0x0",
        "compact_target": hex(next.view.compact_target().into()),
        "current_time": hex(next.view.timestamp()),
        "number": hex(next.view.number()),
        "epoch": hex(next.view.epoch().full_value()),
        "parent_hash": hash(&next.view.parent_hash()),
        "cycles_limit": hex(consensus.max_block_cycles()),
        "bytes_limit": hex(consensus.max_block_bytes()),
        "uncles_count_limit": "0x0",
        "uncles": [],
        "transactions": txs.iter().skip(1).map(json).collect::<Vec<_>>(),
        "proposals": proposals.collect::<Vec<_>>(),
        "cellbase": txs.first().map(json),
        "work_id": hex(state.mined),
        "dao": hash(&next.view.dao()),
        "extension": null,
    })
}

fn generate(chain: &Chain, params: &Params) -> Result<Value, Refusal> {
    #[derive(Deserialize)]
    struct Template {
        current_time: wire::Timestamp,
        parent_hash: H256,
    }
    let template: Template = params.get(0)?;
    let mut state = chain.state();
    if hash(&state.ledger.tip_header().hash()) != json!(template.parent_hash) {
        return Err(Refusal::new(Refusal::INVALID, "Invalid: the template is not on the tip"));
    }
    Ok(hash(&state.mine_at(template.current_time.into()).hash()))
}

fn truncate(chain: &Chain, params: &Params) -> Result<Value, Refusal> {
    let target = params.hash(0)?;
    let mut state = chain.state();
    let number = state.ledger.block_by_hash(&target).map(|block| block.view.number());
    let unknown = || Refusal::new(Refusal::INVALID, "Invalid: block not found");
    state.rollback(number.ok_or_else(unknown)?)?;
    Ok(Value::Null)
}
