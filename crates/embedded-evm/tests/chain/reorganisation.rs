//! Going back, and what becomes of what was there.

use super::*;
use perun_embedded_evm::testkit::transfer;
use perun_embedded_evm::{Dropped, Limits};

#[test]
fn dropped_transactions_wait_again_and_the_new_blocks_are_others() {
    let chain = dev_chain();
    let target = Address::repeat_byte(0x42);
    let hash = transfer(&chain, &signer(0), target, U256::from(7)).unwrap();
    chain.mine(3).unwrap();
    let old = chain.head();
    let first = ask(&chain, "eth_getBlockByNumber", json!(["0x1", false]));
    chain.rewind(0, Dropped::ToPool).unwrap();
    assert_eq!(chain.head().number, 0);
    assert_eq!(chain.balance(&target), U256::ZERO);
    assert_eq!(receipt(&chain, &json!(hash)), Value::Null);
    assert_eq!(ask(&chain, "eth_getBlockByHash", json!([first["hash"], false])), Value::Null);
    assert_eq!(chain.pool(), [hash]);
    chain.set_time(
        first["timestamp"].as_str().map_or(0, |text| u64::from_str_radix(&text[2..], 16).unwrap()),
    );
    chain.mine(3).unwrap();
    let again = ask(&chain, "eth_getBlockByNumber", json!(["0x1", false]));
    assert_eq!(again["transactions"], first["transactions"]);
    assert_eq!(again["stateRoot"], first["stateRoot"]);
    assert_ne!(again["hash"], first["hash"], "even with the same content and time");
    assert_ne!(chain.head().hash, old.hash);
    assert_eq!(receipt(&chain, &json!(hash))["blockHash"], again["hash"]);
    assert_eq!(chain.balance(&target), U256::from(7));
}

#[test]
fn dropped_transactions_can_be_forgotten() {
    let chain = dev_chain();
    let hash = transfer(&chain, &signer(0), Address::ZERO, U256::from(7)).unwrap();
    chain.mine(1).unwrap();
    let waits = transfer(&chain, &signer(1), Address::ZERO, U256::from(7)).unwrap();
    chain.rewind(0, Dropped::Forgotten).unwrap();
    assert_eq!(chain.pool(), [waits]);
    assert_eq!(ask(&chain, "eth_getTransactionByHash", json!([hash])), Value::Null);
    chain.mine(1).unwrap();
    assert_eq!(receipt(&chain, &json!(hash)), Value::Null);
}

#[test]
fn another_transaction_can_take_the_nonce_on_the_new_branch() {
    let chain = dev_chain();
    let from = signer(0);
    let old = transfer(&chain, &from, Address::repeat_byte(1), U256::from(7)).unwrap();
    chain.mine(1).unwrap();
    chain.rewind(0, Dropped::Forgotten).unwrap();
    let new = transfer(&chain, &from, Address::repeat_byte(2), U256::from(7)).unwrap();
    chain.mine(1).unwrap();
    assert_ne!(old, new);
    assert_eq!(receipt(&chain, &json!(old)), Value::Null);
    assert_eq!(receipt(&chain, &json!(new))["status"], "0x1");
}

#[test]
fn storage_and_contracts_go_back_too() {
    let chain = dev_chain();
    let store = contract(&chain, STORE);
    for value in [5, 6] {
        send(&chain, 1, store, word(value), 100_000);
        chain.mine(1).unwrap();
    }
    let slot = |tag: &str| ask(&chain, "eth_getStorageAt", json!([store, "0x0", tag]));
    assert_eq!(number(&slot("latest")), 6);
    assert_eq!(number(&slot("0x2")), 5);
    assert_eq!(number(&slot("0x1")), 0);
    chain.rewind(2, Dropped::Forgotten).unwrap();
    assert_eq!(number(&slot("latest")), 5);
    chain.rewind(0, Dropped::Forgotten).unwrap();
    assert_eq!(ask(&chain, "eth_getCode", json!([store, "latest"])), "0x");
}

#[test]
fn going_back_is_as_deep_as_states_are_kept() {
    let limits = Limits { states: 3, ..Limits::default() };
    let chain = Chain::new(Options { limits, ..Options::dev() });
    chain.mine(5).unwrap();
    assert!(chain.rewind(2, Dropped::ToPool).is_err());
    assert!(chain.rewind(6, Dropped::ToPool).is_err());
    let balance = |tag: &str| chain.request("eth_getBalance", json!([Address::ZERO, tag]));
    assert!(balance("0x2").unwrap_err().message.starts_with("missing trie node"));
    assert!(balance("0x3").is_ok());
    assert_eq!(chain.rewind(3, Dropped::ToPool).unwrap().number, 3);
    assert!(chain.rewind(2, Dropped::ToPool).is_err());
    chain.mine(1).unwrap();
    assert_eq!(chain.head().number, 4);
}

#[test]
fn a_fork_is_another_chain_with_the_same_past() {
    let chain = dev_chain();
    transfer(&chain, &signer(0), Address::repeat_byte(1), U256::from(7)).unwrap();
    let fork = chain.fork();
    assert_eq!(fork.pool(), chain.pool());
    fork.mine(2).unwrap();
    assert_eq!((chain.head().number, fork.head().number), (0, 2));
    assert_eq!(chain.balance(&Address::repeat_byte(1)), U256::ZERO);
}

#[test]
fn a_snapshot_brings_everything_back_once() {
    let chain = dev_chain();
    let waits = transfer(&chain, &signer(0), Address::repeat_byte(1), U256::from(7)).unwrap();
    let id = ask(&chain, "evm_snapshot", json!([]));
    let later = chain.snapshot().unwrap();
    let target = Address::repeat_byte(2);
    ask(&chain, "anvil_setBalance", json!([target, "0x5"]));
    let time = chain.time();
    chain.advance(50).unwrap();
    let old = chain.mine(2).unwrap();
    assert_eq!(chain.balance(&target), U256::from(5));
    assert_eq!(ask(&chain, "evm_revert", json!([id])), json!(true));
    assert_eq!((chain.head().number, chain.time()), (0, time));
    assert_eq!(chain.balance(&target), U256::ZERO);
    assert_eq!(chain.pool(), [waits]);
    assert_eq!(ask(&chain, "evm_revert", json!([id])), json!(false));
    assert!(!chain.revert(later));
    assert_ne!(chain.mine(2).unwrap().hash, old.hash);
    let id = chain.snapshot().unwrap();
    let once = chain.mine(1).unwrap();
    assert!(chain.revert(id));
    let again = chain.mine(1).unwrap();
    assert_eq!((again.number, again.timestamp), (once.number, once.timestamp));
    assert_ne!(again.hash, once.hash, "even with the same content and time");
    let limits = Limits { snapshots: 1, ..Limits::default() };
    let chain = Chain::new(Options { limits, ..Options::dev() });
    chain.snapshot().unwrap();
    assert_eq!(chain.snapshot().unwrap_err().code, Refusal::LIMIT);
}

#[test]
fn safe_and_finalized_are_as_far_back_as_chosen() {
    let chain = Chain::new(Options { safe_depth: 2, finalized_depth: 4, ..Options::dev() });
    let tagged =
        |tag: &str| number(&ask(&chain, "eth_getBlockByNumber", json!([tag, false]))["number"]);
    assert_eq!((tagged("safe"), tagged("finalized")), (0, 0));
    chain.mine(10).unwrap();
    assert_eq!((tagged("safe"), tagged("finalized")), (8, 6));
    assert_eq!((tagged("earliest"), tagged("latest"), tagged("pending")), (0, 10, 11));
}
