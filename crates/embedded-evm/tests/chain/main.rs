//! What the embedded chain does, seen from outside.

mod accounts;
mod bad_input;
mod calls;
mod faults;
mod fees;
mod http;
mod logs;
mod parts;
mod pool;
mod provider;
mod reorganisation;
mod time;

use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use alloy_signer_local::PrivateKeySigner;
use perun_embedded_evm::testkit::{call, deploy, signed};
use perun_embedded_evm::{Chain, Options, Refusal};
use serde_json::{Value, json};

/// Logs what it is called with: the first word is the topic.
const LOGGER: &[u8] = &hex!("602036038060205f375f35905fa100");
/// Reverts with what it is called with.
const REVERTER: &[u8] = &hex!("365f5f37365ffd");
/// Keeps the word that it is called with; called with nothing, it gives it back.
const STORE: &[u8] = &hex!("36600c575f545f5260205ff35b5f355f5500");
/// Uses up all gas that it is given.
const BURNER: &[u8] = &hex!("5b5f56");
/// Gives back time, number, base fee and chain id.
const ENVIRONMENT: &[u8] = &hex!("425f5243602052486040524660605260805ff3");

fn dev_chain() -> Chain {
    Chain::new(Options::dev())
}

fn signer(number: u32) -> PrivateKeySigner {
    perun_embedded_evm::testkit::dev_signer(number)
}

/// The code that makes a contract of this code.
fn making(runtime: &[u8]) -> Bytes {
    let length = u8::try_from(runtime.len()).unwrap();
    // Copies what follows these nine bytes, and returns it.
    let mut code = vec![0x60, length, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3];
    code.extend_from_slice(runtime);
    code.into()
}

fn contract(chain: &Chain, runtime: &[u8]) -> Address {
    deploy(chain, &signer(0), making(runtime)).unwrap()
}

fn ask(chain: &Chain, method: &str, params: Value) -> Value {
    chain.request(method, params).unwrap_or_else(|refusal| panic!("{method}: {refusal}"))
}

fn refusal(chain: &Chain, method: &str, params: Value) -> Refusal {
    match chain.request(method, params) {
        Ok(answer) => panic!("{method} was answered: {answer}"),
        Err(refusal) => refusal,
    }
}

fn number(value: &Value) -> u128 {
    serde_json::from_value::<U256>(value.clone()).unwrap().to()
}

/// Sends a call with this much gas, and mines nothing.
fn send(chain: &Chain, from: u32, to: Address, input: impl Into<Bytes>, gas: u64) -> Value {
    let from = signer(from);
    let tx = call(chain, &from, TxKind::Call(to), U256::ZERO, input.into(), gas).unwrap();
    json!(chain.send_raw(&signed(&from, tx)).unwrap())
}

fn word(number: u64) -> Bytes {
    U256::from(number).to_be_bytes_vec().into()
}

fn receipt(chain: &Chain, hash: &Value) -> Value {
    ask(chain, "eth_getTransactionReceipt", json!([hash]))
}
