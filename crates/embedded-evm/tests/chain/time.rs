//! Blocks come when a test says so, at the time that it says.

use super::*;
use perun_embedded_evm::testkit::{pass_time, transfer};

#[test]
fn blocks_take_the_clocks_time_and_never_stand_still() {
    let chain = dev_chain();
    let start = chain.head().timestamp;
    assert_eq!(chain.mine(3).unwrap().timestamp, start + 3);
    chain.set_time(start + 100);
    assert_eq!(chain.mine(1).unwrap().timestamp, start + 100);
    assert_eq!(chain.mine(1).unwrap().timestamp, start + 101);
    chain.set_time(start);
    assert_eq!(chain.mine(1).unwrap().timestamp, start + 102, "time does not go back");
    chain.set_time(start);
    assert_eq!(pass_time(&chain, 3_600).unwrap(), start + 102 + 3_600);
    assert_eq!(chain.mine_at(start + 9_000).unwrap().timestamp, start + 9_000);
    assert!(chain.mine_at(start + 9_000).is_err());
    assert!(chain.set_next_timestamp(start).is_err());
    chain.set_next_timestamp(start + 9_500).unwrap();
    assert_eq!(chain.mine(2).unwrap().timestamp, start + 9_501);
}

#[test]
fn the_interval_is_the_least_time_between_blocks() {
    let chain = Chain::new(Options { block_interval: 12, ..Options::dev() });
    let start = chain.head().timestamp;
    chain.advance(5).unwrap();
    assert_eq!(chain.mine(1).unwrap().timestamp, start + 12);
    chain.advance(100).unwrap();
    assert_eq!(chain.mine(2).unwrap().timestamp, start + 124);
}

#[test]
fn the_end_of_time_is_refused() {
    let chain = dev_chain();
    assert!(chain.advance(u64::MAX).is_err());
    chain.set_time(u64::MAX);
    assert_eq!(chain.mine(1).unwrap().timestamp, u64::MAX);
    assert!(chain.mine(1).is_err());
    assert_eq!(chain.head().number, 1);
}

#[test]
fn tools_move_time_by_the_names_that_they_know() {
    let chain = dev_chain();
    let start = chain.head().timestamp;
    assert_eq!(ask(&chain, "evm_increaseTime", json!([60])), json!(60));
    assert_eq!(ask(&chain, "evm_increaseTime", json!(["0x3c"])), json!(120));
    ask(&chain, "evm_mine", json!([]));
    assert_eq!(chain.head().timestamp, start + 120);
    ask(&chain, "evm_setNextBlockTimestamp", json!([start + 500]));
    ask(&chain, "evm_mine", Value::Null);
    assert_eq!(chain.head().timestamp, start + 500);
    ask(&chain, "evm_mine", json!([start + 600]));
    assert_eq!(chain.head().timestamp, start + 600);
    ask(&chain, "anvil_mine", json!(["0x3", "0xa"]));
    assert_eq!((chain.head().number, chain.head().timestamp), (6, start + 630));
    ask(&chain, "evm_mine", json!([{ "blocks": 2 }]));
    assert_eq!(chain.head().number, 8);
    assert_eq!(refusal(&chain, "evm_mine", json!([start])).code, Refusal::BAD_PARAMS);
    assert_eq!(refusal(&chain, "anvil_mine", json!([u64::MAX])).code, Refusal::BAD_PARAMS);
}

#[test]
fn contracts_see_the_time_of_the_block_that_the_call_names() {
    let chain = dev_chain();
    let place = contract(&chain, ENVIRONMENT);
    chain.mine(2).unwrap();
    chain.advance(1_000).unwrap();
    let seen = |tag: &str| {
        let bytes: Bytes =
            serde_json::from_value(ask(&chain, "eth_call", json!([{ "to": place }, tag]))).unwrap();
        let words = bytes.chunks(32).map(|word| U256::from_be_slice(word).to::<u64>());
        words.collect::<Vec<_>>()
    };
    let head = chain.head();
    assert_eq!(seen("latest"), [head.timestamp, 3, 0, 31_337]);
    assert_eq!(seen("0x2")[..2], [head.timestamp - 1, 2]);
    assert_eq!(seen("pending")[..2], [head.timestamp + 1_000, 4]);
    assert_eq!(chain.mine(1).unwrap().timestamp, head.timestamp + 1_000);
}

#[test]
fn auto_mining_mines_what_is_sent_at_once() {
    let chain = Chain::new(Options { auto_mine: true, ..Options::dev() });
    let hash = transfer(&chain, &signer(0), Address::ZERO, U256::from(1)).unwrap();
    assert_eq!(receipt(&chain, &json!(hash))["blockNumber"], "0x1");
    ask(&chain, "evm_setAutomine", json!([false]));
    let hash = transfer(&chain, &signer(0), Address::ZERO, U256::from(1)).unwrap();
    assert_eq!(receipt(&chain, &json!(hash)), Value::Null);
    assert_eq!(chain.pool(), [hash]);
}

#[test]
fn the_same_steps_make_the_same_chain() {
    let run = || {
        let chain = dev_chain();
        let place = contract(&chain, LOGGER);
        send(&chain, 1, place, word(7), 100_000);
        transfer(&chain, &signer(2), place, U256::from(1)).unwrap();
        chain.mine(5).unwrap().hash
    };
    assert_eq!(run(), run());
}
