//! A real Anvil, one for each test.
#![cfg(feature = "anvil-tests")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use perun_backend_evm::rpc::{HttpRpc, Rpc, RpcError};
use serde_json::{Value, json};

use super::chains::TestChain;

struct Anvil {
    child: Child,
    rpc: HttpRpc,
}

pub(crate) fn anvil() -> Arc<dyn TestChain> {
    let program =
        std::env::var_os("PERUN_ANVIL_BIN").expect("PERUN_ANVIL_BIN must name the program `anvil`");
    let mut child = Command::new(program)
        .args(["--port", "0", "--no-mining", "--order", "fees", "--hardfork", "prague"])
        .args(["--base-fee", "1000000000", "--slots-in-an-epoch", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("PERUN_ANVIL_BIN cannot be started");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| Some(line.strip_prefix("Listening on ")?.trim().to_owned()))
        .expect("Anvil ended before it listened");
    // Whoever stops reading stops the writer.
    std::thread::spawn(move || lines.count());
    Arc::new(Anvil { child, rpc: HttpRpc::new(format!("http://{address}")) })
}

impl Anvil {
    fn does(&self, method: &str, params: Value) {
        self.rpc.request(method, params).unwrap_or_else(|error| panic!("{method}: {error}"));
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
