//! A real Anvil, one for each test.
#![cfg(feature = "anvil-tests")]

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use perun_backend_evm::rpc::{HttpRpc, Rpc, RpcError};
use perun_embedded_evm::anvil::Anvil as Process;
use serde_json::{Value, json};

use super::chains::TestChain;

struct Anvil {
    /// It ends with this.
    _process: Process,
    rpc: HttpRpc,
}

pub(crate) fn anvil() -> Arc<dyn TestChain> {
    let program = Process::program().expect("PERUN_ANVIL_BIN must name the program `anvil`");
    let mining = ["--no-mining", "--order", "fees", "--hardfork", "prague"];
    let fees = ["--base-fee", "1000000000", "--slots-in-an-epoch", "1"];
    let process = Process::start(&program, &[&mining[..], &fees[..]].concat())
        .expect("PERUN_ANVIL_BIN cannot be started");
    let rpc = HttpRpc::new(process.url());
    Arc::new(Anvil { _process: process, rpc })
}

impl Anvil {
    fn does(&self, method: &str, params: Value) {
        self.rpc.request(method, params).unwrap_or_else(|error| panic!("{method}: {error}"));
    }
}

impl Rpc for Anvil {
    fn request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.rpc.request(method, params)
    }

    fn batch(&self, calls: Vec<(&'static str, Value)>) -> Vec<Result<Value, RpcError>> {
        self.rpc.batch(calls)
    }
}

impl TestChain for Anvil {
    fn mine(&self, blocks: u64) {
        for _ in 0..blocks {
            self.does("evm_increaseTime", json!([1]));
            self.does("evm_mine", json!([]));
        }
    }

    fn advance(&self, seconds: u64) {
        self.does("evm_increaseTime", json!([seconds]));
        self.does("evm_mine", json!([]));
    }

    fn rewind(&self, blocks: u64) {
        self.does("anvil_rollback", json!([blocks]));
        self.does("anvil_dropAllTransactions", json!([]));
        // The next block differs from the one that was there.
        self.does("evm_increaseTime", json!([7]));
    }

    fn evict(&self, hash: B256) {
        self.does("anvil_dropTransaction", json!([hash]));
    }

    fn set_balance(&self, account: Address, wei: U256) {
        self.does("anvil_setBalance", json!([account, wei]));
    }

    fn set_base_fee(&self, wei: u64) {
        self.does("anvil_setNextBlockBaseFeePerGas", json!([format!("{wei:#x}")]));
    }
}
