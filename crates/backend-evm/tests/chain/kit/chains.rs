//! What a test does with a chain beside asking it, and the embedded one.

use std::sync::Arc;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use perun_backend_evm::account::{Account, KeyAccount};
use perun_backend_evm::rpc::{Node, Rpc, RpcError};
use perun_embedded_evm::{Chain, Dropped, Options};
use serde_json::Value;

/// A chain under a test's control. Blocks come only when it says so.
pub(crate) trait TestChain: Rpc {
    fn mine(&self, blocks: u64);
    /// Moves the clock and mines a block.
    fn advance(&self, seconds: u64);
    /// Takes so many blocks away, and forgets their transactions.
    fn rewind(&self, blocks: u64);
    /// Throws a transaction out of the pool.
    fn evict(&self, hash: B256);
    fn set_balance(&self, account: Address, wei: U256);
    /// What the next block's base fee is.
    fn set_base_fee(&self, wei: u64);
}

struct Embedded(Chain);

pub(crate) fn embedded() -> Arc<dyn TestChain> {
    Arc::new(Embedded(Chain::new(Options { finalized_depth: 3, ..Options::dev() })))
}

impl Rpc for Embedded {
    fn request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.0.request(method, params).map_err(|refusal| RpcError::Refused {
            code: refusal.code,
            message: refusal.message,
            data: refusal.data,
        })
    }
}

impl TestChain for Embedded {
    fn mine(&self, blocks: u64) {
        self.0.mine(blocks).unwrap();
    }

    fn advance(&self, seconds: u64) {
        self.0.advance(seconds).unwrap();
        self.0.mine(1).unwrap();
    }

    fn rewind(&self, blocks: u64) {
        let number = self.0.head().number - blocks;
        self.0.rewind(number, Dropped::Forgotten).unwrap();
    }

    fn evict(&self, hash: B256) {
        assert!(self.0.evict(&hash));
    }

    fn set_balance(&self, account: Address, wei: U256) {
        self.0.set_balance(account, wei);
    }

    fn set_base_fee(&self, wei: u64) {
        self.0.set_next_base_fee(wei);
    }
}

/// Sends a transaction past the crate under test.
pub(crate) fn send(
    chain: &dyn TestChain,
    key: &[u8; 32],
    nonce: u64,
    to: TxKind,
    value: U256,
    input: Bytes,
    max_fee: u128,
) -> B256 {
    let account = KeyAccount::new(*key).unwrap();
    let node = Node(chain);
    let transaction = TxEip1559 {
        chain_id: node.chain_id().unwrap(),
        nonce,
        gas_limit: if input.is_empty() { 21_000 } else { 16_000_000 },
        max_fee_per_gas: max_fee,
        max_priority_fee_per_gas: max_fee / 100,
        to,
        value,
        access_list: alloy_eips::eip2930::AccessList::default(),
        input,
    };
    let signature = account.sign(&transaction.signature_hash().0).unwrap();
    let signature = alloy_primitives::Signature::from_raw(signature.as_bytes()).unwrap();
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    node.send_raw(&envelope.encoded_2718().into()).unwrap()
}
