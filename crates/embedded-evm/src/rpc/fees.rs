//! What gas costs and has cost.

use super::Answer;
use super::at::{self, At};
use super::params::{Params, hex, value};
use crate::chain::Chain;
use crate::ledger::Block;
use crate::refusal::Refusal;
use crate::state::State;
use alloy_eips::BlockNumberOrTag;
use alloy_rpc_types_eth::FeeHistory;

/// How many blocks a suggestion looks back.
const BLOCKS: u64 = 20;
/// How many of the lowest tips of each it looks at.
const TIPS_PER_BLOCK: usize = 3;
/// How many per cent of them are lower than the suggestion.
const PERCENTILE: usize = 60;
/// Most percentiles of one question.
const PERCENTILES_MAX: usize = 100;

pub(super) fn gas_price(chain: &Chain) -> Answer {
    let state = chain.state();
    let base_fee = u128::from(state.ledger.head().base_fee());
    Ok(hex(suggested_tip(&state).saturating_add(base_fee)))
}

pub(super) fn max_priority_fee(chain: &Chain) -> Answer {
    Ok(hex(suggested_tip(&chain.state())))
}

/// A tip that most of the latest blocks would have taken.
fn suggested_tip(state: &State) -> u128 {
    let height = state.ledger.height();
    let latest =
        (height.saturating_sub(BLOCKS - 1)..=height).filter_map(|at| state.ledger.block(at));
    let mut tips: Vec<u128> = Vec::new();
    for block in latest {
        let mut of_block: Vec<_> = block.transactions.iter().map(|tx| block.tip(tx)).collect();
        of_block.sort_unstable();
        tips.extend(of_block.iter().take(TIPS_PER_BLOCK));
    }
    tips.sort_unstable();
    let place = tips.len().saturating_sub(1) * PERCENTILE / 100;
    let tip = tips.get(place).copied().unwrap_or(state.options.tip_suggested);
    tip.max(state.options.tip_min)
}

pub(super) fn history(chain: &Chain, params: &Params) -> Answer {
    let count = params.number(0)?;
    let newest: BlockNumberOrTag = params.get(1)?;
    let percentiles: Vec<f64> = params.option(2)?.unwrap_or_default();
    params.at_most(3)?;
    check_percentiles(&percentiles)?;
    let state = chain.state();
    let newest = match at::tagged(&state, newest) {
        Some(At::Number(number)) => number,
        Some(At::Pending) => state.ledger.height(),
        None => {
            let what = "request beyond head block";
            return Err(Refusal::refused(format!("{what}: head {}", state.ledger.height())));
        }
    };
    let count = count.min(state.options.limits.fee_history).min(newest.saturating_add(1));
    let oldest = newest.saturating_add(1) - count;
    let mut history = FeeHistory { oldest_block: oldest, ..FeeHistory::default() };
    let mut rewards = Vec::new();
    for block in (oldest..=newest).filter_map(|number| state.ledger.block(number)) {
        history.base_fee_per_gas.push(block.base_fee().into());
        let header = &block.header;
        history.gas_used_ratio.push(header.gas_used as f64 / header.gas_limit as f64);
        history.base_fee_per_blob_gas.push(1);
        history.blob_gas_used_ratio.push(0.0);
        rewards.push(percentiles.iter().map(|percentile| reward(block, *percentile)).collect());
    }
    if count > 0 {
        let next = match state.ledger.block(newest) {
            Some(_) if newest == state.ledger.height() => state.next_base_fee(),
            Some(block) => block.next_base_fee(),
            None => 0,
        };
        history.base_fee_per_gas.push(next.into());
        history.base_fee_per_blob_gas.push(1);
    }
    history.reward = (!percentiles.is_empty()).then_some(rewards);
    value(history)
}

fn check_percentiles(percentiles: &[f64]) -> Result<(), Refusal> {
    if percentiles.len() > PERCENTILES_MAX {
        let what = format!("over the query limit {PERCENTILES_MAX}");
        return Err(Refusal::refused(format!("invalid reward percentile: {what}")));
    }
    let mut before = 0.0;
    for &percentile in percentiles {
        if !(before..=100.0).contains(&percentile) {
            let what = format!("invalid reward percentile: {percentile}");
            return Err(Refusal::refused(what));
        }
        before = percentile;
    }
    Ok(())
}

/// The tip that this part of the block's gas did not pay more than.
fn reward(block: &Block, percentile: f64) -> u128 {
    let mut paid: Vec<(u128, u64)> = block
        .transactions
        .iter()
        .zip(&block.done)
        .map(|(tx, done)| (block.tip(tx), done.gas_used))
        .collect();
    paid.sort_unstable();
    let wanted = (block.header.gas_used as f64 * percentile / 100.0) as u64;
    let mut sum = 0_u64;
    for (tip, gas) in &paid {
        sum = sum.saturating_add(*gas);
        if sum >= wanted {
            return *tip;
        }
    }
    paid.last().map_or(0, |(tip, _)| *tip)
}
