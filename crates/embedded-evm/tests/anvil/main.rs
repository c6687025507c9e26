//! The same script of requests, asked of the embedded chain and of a real Anvil.
//!
//! Needs the feature `anvil-tests` and `PERUN_ANVIL_BIN`, the program; fails without it. What is
//! compared is everything but what names the chain itself: hashes of blocks and what goes into
//! them, and the wording of refusals, where Anvil and other nodes differ.

mod node;
mod script;

use alloy_primitives::{B256, U256};
use node::{Answer, Node, start_anvil};
use perun_embedded_evm::anvil::Anvil;
use perun_embedded_evm::{Chain, Options};
use serde_json::{Value, json};

/// Both chains, asked the same.
struct Pair {
    embedded: Chain,
    anvil: Anvil,
    time: u64,
}

/// What of a block is the chain's own.
const OF_THE_CHAIN: [&str; 11] = [
    "hash",
    "parentHash",
    "stateRoot",
    "mixHash",
    "extraData",
    "size",
    "miner",
    "totalDifficulty",
    "difficulty",
    "nonce",
    "blobGasUsed",
];

impl Pair {
    fn new() -> Self {
        let options = Options::dev();
        let anvil = start_anvil(&options);
        for (address, balance) in &options.accounts {
            anvil.ask("anvil_setBalance", json!([address, balance])).unwrap();
        }
        let (time, base_fee) = (options.genesis_time, options.base_fee);
        let embedded = Chain::new(options);
        // Anvil starts the course of its base fee at the first block after its genesis.
        embedded.set_next_base_fee(base_fee);
        Self { embedded, anvil, time }
    }

    /// Both answers, which must both be results or both be refusals.
    fn both(&self, method: &str, params: Value) -> (Answer, Answer) {
        let ours = self.embedded.ask(method, params.clone());
        let theirs = self.anvil.ask(method, params.clone());
        let same_kind = ours.is_ok() == theirs.is_ok();
        assert!(same_kind, "{method} {params}\nours:   {ours:?}\nAnvil's: {theirs:?}");
        (ours, theirs)
    }

    /// Asks both and wants the same result.
    fn same(&self, method: &str, params: Value) -> Value {
        let (ours, theirs) = self.both(method, params.clone());
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
        let ignored: &[&str] = match method {
            "eth_getBlockByNumber" => &OF_THE_CHAIN,
            // Anvil tells them of transactions without blobs too.
            "eth_getBlockReceipts" | "eth_getTransactionReceipt" => {
                &["blobGasPrice", "blockTimestamp"]
            }
            // Anvil gives an empty list where nothing was asked for.
            "eth_feeHistory" => &["reward"],
            _ => &[],
        };
        let (a, b) = (compared(&ours, ignored), compared(&theirs, ignored));
        assert_eq!(a, b, "{method} {params}");
        ours
    }

    /// Asks both and wants a refusal, with the same code and bytes if a contract reverted.
    fn refused(&self, method: &str, params: Value) {
        let (ours, theirs) = self.both(method, params.clone());
        let (ours, theirs) = (ours.unwrap_err(), theirs.unwrap_err());
        if ours.code == 3 || theirs.code == 3 {
            assert_eq!((ours.code, &ours.data), (theirs.code, &theirs.data), "{method} {params}");
        }
    }

    /// Mines a block with the same time on both.
    fn mine(&mut self) {
        self.time += 12;
        self.both("evm_setNextBlockTimestamp", json!([self.time])).0.unwrap();
        self.both("evm_mine", json!([])).0.unwrap();
    }

    fn send(&self, raw: impl serde::Serialize) -> B256 {
        let hash = self.same("eth_sendRawTransaction", json!([raw]));
        serde_json::from_value(hash).unwrap()
    }

    /// Asks both for a number that may differ by a hundredth: estimates are searched differently.
    fn near(&self, method: &str, params: Value) {
        let (ours, theirs) = self.both(method, params.clone());
        let number = |answer: Answer| serde_json::from_value::<U256>(answer.unwrap()).unwrap();
        let (ours, theirs) = (number(ours), number(theirs));
        let apart = ours.abs_diff(theirs);
        let near = apart * U256::from(100) <= theirs;
        assert!(near, "{method} {params}: {ours}, Anvil says {theirs}");
    }
}

/// An answer without the fields of these names, at the top or in its items, and without the hashes
/// of blocks. Ratios are compared to twelve digits.
fn compared(answer: &Value, ignored: &[&str]) -> Value {
    let mut answer = answer.clone();
    match &mut answer {
        Value::Array(items) => {
            items.iter_mut().for_each(|item| *item = compared(item, ignored));
        }
        Value::Object(fields) => {
            fields.retain(|name, _| !ignored.contains(&name.as_str()));
        }
        _ => {}
    }
    smooth(&mut answer);
    answer
}

fn smooth(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(hash) = fields.get_mut("blockHash") {
                // Whether there is a block at all is compared.
                *hash = Value::from(!hash.is_null());
            }
            fields.values_mut().for_each(smooth);
        }
        Value::Array(items) => items.iter_mut().for_each(smooth),
        Value::Number(number) if number.is_f64() => {
            let digits = format!("{:.12}", number.as_f64().unwrap());
            *value = Value::from(digits);
        }
        _ => {}
    }
}
