//! `eth_getLogs`, with the limits that real providers have.
//!
//! The invariant: what is found is in the chain as it is now, in the chain's order; the logs of
//! blocks that were taken away are gone.

use super::Answer;
use super::at::{self, At};
use super::blocks::log_view;
use super::params::{Params, value};
use crate::chain::Chain;
use crate::refusal::Refusal;
use crate::state::State;
use alloy_eips::BlockNumberOrTag;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use std::ops::RangeInclusive;

pub(super) fn logs(chain: &Chain, params: &Params) -> Answer {
    let filter: Filter = params.get(0)?;
    params.at_most(1)?;
    let state = chain.state();
    let range = range(&state, &filter)?;
    let mut found: Vec<Log> = Vec::new();
    let most = state.options.limits.log_results;
    for number in range {
        let Some(block) = state.ledger.block(number) else { continue };
        if !filter.matches_bloom(block.header.logs_bloom) {
            continue;
        }
        for (index, done) in block.done.iter().enumerate() {
            for (log_index, log) in (done.first_log..).zip(done.receipt.logs()) {
                if !filter.matches(log) {
                    continue;
                }
                if found.len() >= most {
                    let what = format!("query returned more than {most} results");
                    return Err(Refusal::new(Refusal::LIMIT, what));
                }
                found.push(log_view(block, index, log_index, log.clone()));
            }
        }
    }
    value(found)
}

/// The blocks to search.
fn range(state: &State, filter: &Filter) -> Result<RangeInclusive<u64>, Refusal> {
    let (from, to) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let unknown = || Refusal::refused("unknown block");
            let number = state.ledger.number_of(&hash).ok_or_else(unknown)?;
            return Ok(number..=number);
        }
        FilterBlockOption::Range { from_block, to_block } => {
            let latest = BlockNumberOrTag::Latest;
            (from_block.unwrap_or(latest), to_block.unwrap_or(latest))
        }
    };
    let height = state.ledger.height();
    // A number that no block has yet stands for itself: there are simply no logs so far up.
    let place = |tag| match (at::tagged(state, tag), tag) {
        (Some(At::Number(number)), _) | (None, BlockNumberOrTag::Number(number)) => number,
        _ => height,
    };
    if let (BlockNumberOrTag::Number(from), BlockNumberOrTag::Number(to)) = (from, to)
        && from > to
    {
        return Err(Refusal::params("invalid block range params"));
    }
    // From a number on which the chain does not have, or has no longer, to a tag: nothing is there.
    let (from, to) = (place(from), place(to));
    let most = state.options.limits.log_blocks;
    if to.saturating_sub(from) >= most {
        let what = format!("block range is too large: {most} blocks at most");
        return Err(Refusal::new(Refusal::LIMIT, what));
    }
    Ok(from..=to.min(height))
}
