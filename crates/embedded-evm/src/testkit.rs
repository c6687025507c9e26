//! Keys, contracts and time for tests and demonstrations.
//!
//! The invariant: what it signs and sends is complete, so that a refusal is about what the test
//! changed.

use crate::chain::Chain;
use crate::refusal::Refusal;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_signer_local::PrivateKeySigner;
use serde_json::json;

/// How many accounts [`crate::Options::dev`] funds.
pub const DEV_SIGNERS: u32 = 10;

/// One ether in wei.
pub const ETHER: u64 = 1_000_000_000_000_000_000;

/// The gas price that [`transfer`] and [`deploy`] offer: enough for many full blocks.
const FEE_MAX: u128 = 100_000_000_000;

const TIP: u128 = 1_000_000_000;

/// The test key with this number. The first [`DEV_SIGNERS`] have money on a chain with
/// [`crate::Options::dev`]. Everybody knows these keys.
#[must_use]
pub fn dev_signer(number: u32) -> PrivateKeySigner {
    let mut seed = keccak256(format!("perun development key {number}"));
    loop {
        // All but one in 2^128 hashes are a key.
        match PrivateKeySigner::from_bytes(&seed) {
            Ok(signer) => return signer,
            Err(_) => seed = keccak256(seed),
        }
    }
}

/// All keys that have money on a chain with [`crate::Options::dev`].
pub fn dev_signers() -> impl Iterator<Item = PrivateKeySigner> {
    (0..DEV_SIGNERS).map(dev_signer)
}

/// Signs a transaction and gives its bytes, as a node takes them.
#[must_use]
pub fn signed<T>(signer: &PrivateKeySigner, mut transaction: T) -> Bytes
where
    T: SignableTransaction<alloy_primitives::Signature>,
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    let signature =
        signer.sign_transaction_sync(&mut transaction).expect("a key in memory signs everything");
    TxEnvelope::from(transaction.into_signed(signature)).encoded_2718().into()
}

/// A transaction of this signer with fees that suffice, ready to be changed and signed. Its nonce
/// follows what the chain and the pool have.
pub fn call(
    chain: &Chain,
    signer: &PrivateKeySigner,
    to: TxKind,
    value: U256,
    input: Bytes,
    gas_limit: u64,
) -> Result<TxEip1559, Refusal> {
    let state = chain.state();
    let address = signer.address();
    let nonce = state.pool.next_nonce(&address, state.ledger.world().nonce(&address));
    Ok(TxEip1559 {
        chain_id: state.options.chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas: FEE_MAX,
        max_priority_fee_per_gas: TIP,
        to,
        value,
        access_list: alloy_eips::eip2930::AccessList::default(),
        input,
    })
}

/// Sends money. Mines nothing.
pub fn transfer(
    chain: &Chain,
    signer: &PrivateKeySigner,
    to: Address,
    value: U256,
) -> Result<B256, Refusal> {
    let transaction = call(chain, signer, to.into(), value, Bytes::new(), 21_000)?;
    chain.send_raw(&signed(signer, transaction))
}

/// Puts a contract on the chain, mines a block for it and says where it is. The bytecode is what
/// makes the contract, with its encoded arguments behind it.
pub fn deploy(
    chain: &Chain,
    signer: &PrivateKeySigner,
    bytecode: impl Into<Bytes>,
) -> Result<Address, Refusal> {
    let input = bytecode.into();
    let request = json!({ "from": signer.address(), "input": input });
    let estimate = chain.request("eth_estimateGas", json!([request]))?;
    let gas = serde_json::from_value::<U256>(estimate).unwrap_or_default().saturating_to();
    let transaction = call(chain, signer, TxKind::Create, U256::ZERO, input, gas)?;
    let address = signer.address().create(transaction.nonce);
    let hash = chain.send_raw(&signed(signer, transaction))?;
    if chain.pool().contains(&hash) {
        chain.mine(1)?;
    }
    let state = chain.state();
    match state.ledger.world().code(&address) {
        Some(_) => Ok(address),
        None => Err(Refusal::refused(format!("the contract was not made: see receipt of {hash}"))),
    }
}

/// Moves the clock so far and mines a block that has the new time.
pub fn pass_time(chain: &Chain, seconds: u64) -> Result<u64, Refusal> {
    chain.advance(seconds)?;
    Ok(chain.mine(1)?.timestamp)
}
