//! `eth_call` and `eth_estimateGas`.
//!
//! Both compute on a copy of the state, without holding the chain. The invariant: an estimate is
//! enough on the state that it was made for, and one unit of gas less is not.

use super::Answer;
use super::at::{self, Ground};
use super::params::{Params, hex};
use crate::chain::Chain;
use crate::execute::halt_text;
use crate::refusal::Refusal;
use alloy_primitives::{TxKind, U256};
use alloy_rpc_types_eth::TransactionRequest;
use revm::context::result::{ExecutionResult, HaltReason};
use serde_json::{Value, json};

/// What a plain payment costs.
const PAYMENT_GAS: u64 = 21_000;

/// What a call leaves its caller of the gas that it is given, at least.
const CALL_STIPEND: u64 = 2_300;

/// The request, and the ground to run it on.
fn read(chain: &Chain, params: &Params) -> Result<(TransactionRequest, Ground, u64), Refusal> {
    let request: TransactionRequest = params.get(0)?;
    if params.option::<Value>(2)?.is_some() || params.option::<Value>(3)?.is_some() {
        return Err(Refusal::params("overrides of state or block are not supported"));
    }
    let state = chain.state();
    let at = at::parameter(&state, params, 1)?;
    Ok((request, at::ground(&state, at)?, state.options.limits.call_gas))
}

pub(super) fn call(chain: &Chain, params: &Params) -> Answer {
    let (request, ground, gas_max) = read(chain, params)?;
    let gas = request.gas.unwrap_or(gas_max);
    match ground.ask(&request, gas)? {
        ExecutionResult::Success { output, .. } => Ok(json!(output.into_data())),
        ExecutionResult::Revert { output, .. } => Err(Refusal::reverted(output)),
        ExecutionResult::Halt { reason, .. } => Err(Refusal::refused(halt_text(&reason))),
    }
}

pub(super) fn estimate_gas(chain: &Chain, params: &Params) -> Answer {
    let (request, ground, gas_max) = read(chain, params)?;
    let most = ground.affordable(&request, gas_max)?;
    if ground.is_payment(&request)
        && most >= PAYMENT_GAS
        && matches!(ground.ask(&request, PAYMENT_GAS), Ok(done) if done.is_success())
    {
        return Ok(hex(PAYMENT_GAS));
    }
    let done = match ground.ask(&request, most)? {
        done @ ExecutionResult::Success { .. } => done,
        ExecutionResult::Revert { output, .. } => return Err(Refusal::reverted(output)),
        ExecutionResult::Halt { reason: HaltReason::OutOfGas(_), .. } => {
            return Err(Refusal::refused(format!("gas required exceeds allowance ({most})")));
        }
        ExecutionResult::Halt { reason, .. } => {
            return Err(Refusal::refused(halt_text(&reason)));
        }
    };
    Ok(hex(ground.least(&request, &done, most)))
}

impl Ground {
    fn ask(&self, request: &TransactionRequest, gas: u64) -> Result<ExecutionResult, Refusal> {
        self.rules.ask(&self.header, &self.view, request, gas)
    }

    /// The most gas that the request may have: what it says, what a block has, what its sender can
    /// pay for.
    fn affordable(&self, request: &TransactionRequest, gas_max: u64) -> Result<u64, Refusal> {
        let asked = request.gas.filter(|gas| *gas >= PAYMENT_GAS);
        let mut most = asked.unwrap_or(self.header.gas_limit).min(gas_max);
        if let Some(cap) = self.rules.hardfork.transaction_gas_max() {
            most = most.min(cap);
        }
        let price = request.gas_price.or(request.max_fee_per_gas).unwrap_or_default();
        if price == 0 {
            return Ok(most);
        }
        let balance = self.view.world.balance(&request.from.unwrap_or_default());
        let value = request.value.unwrap_or_default();
        let Some(left) = balance.checked_sub(value) else {
            return Err(Refusal::refused("insufficient funds for transfer"));
        };
        let gas = left / U256::from(price);
        Ok(most.min(u64::try_from(gas).unwrap_or(u64::MAX)))
    }

    /// Whether the request only moves money to an account without code.
    fn is_payment(&self, request: &TransactionRequest) -> bool {
        let Some(TxKind::Call(to)) = request.to else { return false };
        request.input.input().is_none_or(|data| data.is_empty())
            && request.access_list.is_none()
            && request.authorization_list.is_none()
            && self.view.world.code(&to).is_none()
    }

    /// The least gas that the request succeeds with; `most` is enough.
    fn least(&self, request: &TransactionRequest, done: &ExecutionResult, most: u64) -> u64 {
        let enough = |gas: u64| matches!(self.ask(request, gas), Ok(done) if done.is_success());
        // Less than it used is never enough.
        let (mut low, mut high) = (done.tx_gas_used().saturating_sub(1), most);
        // Most calls need what they spent before refunds, and for a call inside a little more: a
        // call gives away at most 63 of 64 parts.
        let spent = done.gas().total_gas_spent().saturating_add(CALL_STIPEND);
        let guess = spent.saturating_mul(64) / 63;
        if guess < high && enough(guess) {
            high = guess;
        }
        while low.saturating_add(1) < high {
            let middle = low + (high - low) / 2;
            if enough(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        high
    }
}
