//! Whether the pool takes a transaction.
//!
//! In the order and the words of the node that most clients were written against. The invariant: a
//! transaction that passes can be mined as soon as its nonce and the base fee allow it.

use crate::execute::tx_env;
use crate::pool::{cost, replaces, tip_cap};
use crate::refusal::Refusal;
use crate::state::State;
use alloy_consensus::transaction::{Recovered, SignerRecoverable};
use alloy_consensus::{Transaction, TxEnvelope, Typed2718};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, U256};
use revm::context_interface::cfg::GasParams;

/// Most bytes of code that make a contract (EIP-3860).
const INITCODE_BYTES_MAX: usize = 2 * 24_576;

/// What to do with a transaction that passed.
pub(crate) struct Admission {
    pub(crate) tx: Recovered<TxEnvelope>,
    /// What must leave the pool for it.
    pub(crate) evict: Option<B256>,
}

/// Reads a transaction as `eth_sendRawTransaction` takes it.
pub(crate) fn decode(raw: &[u8], bytes_max: usize) -> Result<TxEnvelope, Refusal> {
    if raw.len() > bytes_max {
        let what = format!("oversized data: transaction size {}, limit {bytes_max}", raw.len());
        return Err(Refusal::refused(what));
    }
    match raw.first() {
        None => return Err(Refusal::refused("typed transaction too short")),
        Some(3) => {
            let what = "transaction type not supported: blob transactions (type 3) have no place \
                        on this chain, which has no blobs";
            return Err(Refusal::refused(what));
        }
        Some(0..=2 | 4 | 0xc0..) => {}
        Some(_) => return Err(Refusal::refused("transaction type not supported")),
    }
    let mut rest = raw;
    let tx = TxEnvelope::decode_2718(&mut rest)
        .map_err(|error| Refusal::refused(format!("rlp: {error}")))?;
    match rest.is_empty() {
        true => Ok(tx),
        false => Err(Refusal::refused("rlp: input contains more than one value")),
    }
}

/// Checks a transaction against the chain and the pool.
pub(crate) fn admit(state: &State, tx: TxEnvelope) -> Result<Admission, Refusal> {
    if state.pool.get(tx.tx_hash()).is_some() {
        return Err(Refusal::refused("already known"));
    }
    let tx = signed(state, tx)?;
    alone(state, &tx)?;
    on_account(state, &tx)?;
    let evict = place(state, &tx)?;
    Ok(Admission { tx, evict })
}

fn signed(state: &State, tx: TxEnvelope) -> Result<Recovered<TxEnvelope>, Refusal> {
    let chain_id = state.options.chain_id;
    match tx.chain_id() {
        Some(id) if id == chain_id => {}
        Some(id) => {
            let what = format!("invalid chain id for signer: have {id} want {chain_id}");
            return Err(Refusal::refused(format!("invalid sender: {what}")));
        }
        None => {
            let what = "only replay-protected (EIP-155) transactions allowed over RPC";
            return Err(Refusal::refused(what));
        }
    }
    let invalid = |_| Refusal::refused("invalid sender: invalid transaction v, r, s values");
    // This also refuses the second form that every signature has (EIP-2).
    let signer = tx.recover_signer().map_err(invalid)?;
    Ok(Recovered::new_unchecked(tx, signer))
}

/// What can be told from the transaction alone.
fn alone(state: &State, tx: &Recovered<TxEnvelope>) -> Result<(), Refusal> {
    let gas = tx.gas_limit();
    if tx.kind().is_create() && tx.input().len() > INITCODE_BYTES_MAX {
        let what = format!("code size {}, limit {INITCODE_BYTES_MAX}", tx.input().len());
        return Err(Refusal::refused(format!("max initcode size exceeded: {what}")));
    }
    if gas > state.options.block_gas_limit {
        return Err(Refusal::refused("exceeds block gas limit"));
    }
    if let Some(cap) = state.options.hardfork.transaction_gas_max().filter(|cap| gas > *cap) {
        let what = format!("transaction gas limit too high (cap: {cap}, tx: {gas})");
        return Err(Refusal::refused(what));
    }
    let (tip, fee) = (tip_cap(tx), tx.max_fee_per_gas());
    if tip > fee {
        let what = "max priority fee per gas higher than max fee per gas";
        let detail = format!("maxPriorityFeePerGas: {tip}, maxFeePerGas: {fee}");
        return Err(Refusal::refused(format!("{what}: {detail}")));
    }
    let least =
        GasParams::new_spec(state.options.hardfork.spec()).initial_tx_gas_for_tx(tx_env(tx), None);
    let (intrinsic, floor) = (least.initial_regular_gas, least.floor_gas);
    if gas < intrinsic {
        let what = format!("intrinsic gas too low: gas {gas}, minimum needed {intrinsic}");
        return Err(Refusal::refused(what));
    }
    if gas < floor {
        let what = "insufficient gas for floor data gas cost";
        return Err(Refusal::refused(format!("{what}: gas {gas}, minimum needed {floor}")));
    }
    if tip < state.options.tip_min {
        let least = state.options.tip_min;
        let what = format!("transaction underpriced: gas tip cap {tip}, minimum needed {least}");
        return Err(Refusal::refused(what));
    }
    if tx.is_eip7702() && tx.authorization_list().is_none_or(<[_]>::is_empty) {
        let what = "set code tx must have at least one authorization tuple";
        return Err(Refusal::refused(what));
    }
    Ok(())
}

/// What the sender's account says.
fn on_account(state: &State, tx: &Recovered<TxEnvelope>) -> Result<(), Refusal> {
    let (world, sender, nonce) = (state.ledger.world(), tx.signer(), tx.nonce());
    let next = world.nonce(&sender);
    if nonce < next {
        let what = format!("nonce too low: next nonce {next}, tx nonce {nonce}");
        return Err(Refusal::refused(what));
    }
    if nonce == u64::MAX {
        return Err(Refusal::refused("nonce has max value"));
    }
    let code = world.code(&sender);
    if code.is_some_and(|code| !code.is_eip7702()) {
        return Err(Refusal::refused(format!("sender not an eoa: address {sender}")));
    }
    if code.is_some() {
        delegated(state, &sender, nonce, next)?;
    }
    let (balance, cost) = (world.balance(&sender), cost(tx));
    let what = "insufficient funds for gas * price + value";
    if balance < cost {
        let over = cost - balance;
        let detail = format!("balance {balance}, tx cost {cost}, overshot {over}");
        return Err(Refusal::refused(format!("{what}: {detail}")));
    }
    let others = state.pool.of(&sender).filter(|(at, _)| *at != nonce);
    let queued = others.fold(U256::ZERO, |sum, (_, entry)| sum.saturating_add(entry.cost()));
    let sum = queued.saturating_add(cost);
    if balance < sum {
        let over = sum - balance;
        let detail =
            format!("balance {balance}, queued cost {queued}, tx cost {cost}, overshot {over}");
        return Err(Refusal::refused(format!("{what}: {detail}")));
    }
    Ok(())
}

/// An account that lends its name to code can lose its money to anybody's transaction, so that
/// pools hold only one of its own at a time.
fn delegated(state: &State, sender: &Address, nonce: u64, next: u64) -> Result<(), Refusal> {
    if nonce > next {
        return Err(Refusal::refused("gapped-nonce tx from delegated accounts"));
    }
    if state.pool.of(sender).any(|(at, _)| at != nonce) {
        let what = "in-flight transaction limit reached for delegated accounts";
        return Err(Refusal::refused(what));
    }
    Ok(())
}

/// Whether there is a place for it, and who must go for that.
fn place(state: &State, tx: &Recovered<TxEnvelope>) -> Result<Option<B256>, Refusal> {
    let (pool, limits) = (&state.pool, &state.options.limits);
    let (sender, nonce) = (tx.signer(), tx.nonce());
    if let Some(old) = pool.at(&sender, nonce) {
        return match replaces(tx, &old.tx) {
            true => Ok(None),
            false => Err(Refusal::refused("replacement transaction underpriced")),
        };
    }
    let next = pool.next_nonce(&sender, state.ledger.world().nonce(&sender));
    let waiting = pool.of(&sender).filter(|(at, _)| *at > next).count();
    if nonce > next && waiting >= limits.pool_queued_per_account {
        let what = format!("{waiting} transactions of {sender} already wait behind nonce {next}");
        return Err(Refusal::refused(format!("txpool is full: {what}")));
    }
    if pool.len() < limits.pool {
        return Ok(None);
    }
    match pool.cheapest() {
        Some(cheapest) if tip_cap(tx) > tip_cap(&cheapest.tx) => Ok(Some(*cheapest.tx.tx_hash())),
        _ => Err(Refusal::refused("transaction underpriced: txpool is full")),
    }
}
