//! Questions: calls, their errors, and estimates.

use super::*;
use alloy_sol_types::{Panic, Revert, SolError};
use perun_embedded_evm::testkit::transfer;

#[test]
fn a_revert_comes_with_its_bytes_and_its_reason() {
    let chain = dev_chain();
    let place = contract(&chain, REVERTER);
    let refused = |data: Vec<u8>| {
        let data = Bytes::from(data);
        let request = json!([{ "to": place, "input": data }, "latest"]);
        let refusal = refusal(&chain, "eth_call", request.clone());
        assert_eq!(refusal.code, 3);
        assert_eq!(refusal.data, Some(data));
        let estimate = super::refusal(&chain, "eth_estimateGas", request);
        assert_eq!((estimate.code, &estimate.data), (3, &refusal.data));
        refusal.message
    };
    let reason = Revert::from("no such channel").abi_encode();
    assert_eq!(refused(reason), "execution reverted: no such channel");
    let panic = Panic { code: U256::from(0x12) }.abi_encode();
    assert_eq!(refused(panic), "execution reverted: division or modulo by zero");
    assert_eq!(refused(vec![0xde, 0xad, 0xbe, 0xef]), "execution reverted");
    assert_eq!(refused(Vec::new()), "execution reverted");
}

#[test]
fn a_reverted_transaction_is_in_its_block_and_paid_for() {
    let chain = dev_chain();
    let place = contract(&chain, REVERTER);
    let before = chain.balance(&signer(1).address());
    let hash = send(&chain, 1, place, word(1), 50_000);
    chain.mine(1).unwrap();
    let receipt = receipt(&chain, &hash);
    assert_eq!(receipt["status"], "0x0");
    let paid = number(&receipt["gasUsed"]) * number(&receipt["effectiveGasPrice"]);
    assert_eq!(before - chain.balance(&signer(1).address()), U256::from(paid));
}

#[test]
fn failures_without_bytes_are_named() {
    let chain = dev_chain();
    let burner = contract(&chain, BURNER);
    let spent = refusal(&chain, "eth_call", json!([{ "to": burner, "gas": "0x186a0" }, "latest"]));
    assert_eq!((spent.code, spent.message.as_str()), (-32000, "out of gas"));
    let endless = refusal(&chain, "eth_estimateGas", json!([{ "to": burner }]));
    assert_eq!(endless.message, "gas required exceeds allowance (30000000)");
    let invalid = contract(&chain, &[0xfe]);
    let refused = refusal(&chain, "eth_call", json!([{ "to": invalid }]));
    assert_eq!(refused.message, "invalid opcode: INVALID");
    let jump = contract(&chain, &[0x5f, 0x56]);
    let refused = refusal(&chain, "eth_call", json!([{ "to": jump }]));
    assert_eq!(refused.message, "invalid jump destination");
    let poor = json!([{ "from": Address::repeat_byte(5), "to": burner, "value": "0x1" }]);
    let message = refusal(&chain, "eth_call", poor).message;
    assert!(message.starts_with("insufficient funds for gas * price + value: address 0x0505"));
    assert!(message.ends_with("have 0 want 1"), "{message}");
}

#[test]
fn a_call_changes_nothing_and_sees_the_block_that_it_names() {
    let chain = dev_chain();
    let store = contract(&chain, STORE);
    ask(&chain, "eth_call", json!([{ "to": store, "data": word(9) }, "latest"]));
    send(&chain, 1, store, word(5), 100_000);
    let read = |tag: Value| number(&ask(&chain, "eth_call", json!([{ "to": store }, tag])));
    assert_eq!((read(json!("latest")), read(json!("pending"))), (0, 5));
    chain.mine(1).unwrap();
    assert_eq!((read(json!("latest")), read(json!("0x1"))), (5, 0));
    let block = ask(&chain, "eth_getBlockByNumber", json!(["0x1", false]));
    assert_eq!(read(json!({ "blockHash": block["hash"] })), 0);
    let missing = refusal(&chain, "eth_call", json!([{ "to": store }, "0x77"]));
    assert_eq!(missing.message, "header not found");
}

/// A contract that calls another one with all that it is called with, and reverts if that fails.
fn forwarder(to: Address) -> Vec<u8> {
    let mut code = hex!("365f5f375f5f365f5f73").to_vec();
    code.extend(to);
    code.extend(hex!("5af115602557005b5f5ffd"));
    code
}

#[test]
fn an_estimate_is_enough_and_one_less_is_not() {
    let chain = dev_chain();
    let store = contract(&chain, STORE);
    let forward = contract(&chain, &forwarder(store));
    let outer = contract(&chain, &forwarder(forward));
    let logger = contract(&chain, LOGGER);
    for (to, input) in [(store, word(1)), (outer, word(2)), (logger, word(3))] {
        let request = json!([{ "from": signer(1).address(), "to": to, "input": input }]);
        let gas = u64::try_from(number(&ask(&chain, "eth_estimateGas", request))).unwrap();
        let fork = chain.fork();
        for (gas, status) in [(gas - 1, "0x0"), (gas, "0x1")] {
            let hash = send(&fork, 1, to, input.clone(), gas);
            fork.mine(1).unwrap();
            assert_eq!(receipt(&fork, &hash)["status"], status, "{to} with {gas}");
        }
    }
}

#[test]
fn an_estimate_leaves_room_for_refunds() {
    let chain = dev_chain();
    let store = contract(&chain, STORE);
    send(&chain, 1, store, word(5), 100_000);
    chain.mine(1).unwrap();
    let request = json!([{ "from": signer(1).address(), "to": store, "input": word(0) }]);
    let gas = u64::try_from(number(&ask(&chain, "eth_estimateGas", request))).unwrap();
    let hash = send(&chain, 1, store, word(0), gas);
    chain.mine(1).unwrap();
    let receipt = receipt(&chain, &hash);
    assert_eq!(receipt["status"], "0x1");
    assert!(number(&receipt["gasUsed"]) < u128::from(gas), "clearing a slot pays back");
}

#[test]
fn a_payment_is_estimated_at_what_it_costs() {
    let chain = dev_chain();
    let (from, to) = (signer(0).address(), Address::repeat_byte(1));
    let estimate = |request: Value| chain.request("eth_estimateGas", json!([request]));
    assert_eq!(estimate(json!({ "from": from, "to": to, "value": "0x1" })).unwrap(), "0x5208");
    let create = estimate(json!({ "from": from, "input": making(STORE) })).unwrap();
    assert!(number(&create) > 53_000);
    let poor = json!({ "from": to, "to": from, "value": "0x5", "maxFeePerGas": "0x1" });
    let message = estimate(poor).unwrap_err().message;
    assert_eq!(message, "insufficient funds for transfer");
    let cheap = json!({ "from": from, "to": to, "maxFeePerGas": "0x1" });
    let message = estimate(cheap).unwrap_err().message;
    assert!(message.starts_with("max fee per gas less than block base fee"), "{message}");
    let price = 2_000_000_000_u64;
    let price_hex = format!("{price:#x}");
    let little = json!({ "from": to, "to": from, "gasPrice": price_hex });
    chain.set_balance(to, U256::from(price) * U256::from(20_999));
    assert!(estimate(little.clone()).is_err(), "the sender can pay for 20999 gas only");
    chain.set_balance(to, U256::from(price) * U256::from(21_000));
    assert_eq!(estimate(little).unwrap(), "0x5208");
    // Not a whole block's gas has to be paid for, only what is needed.
    let store = contract(&chain, STORE);
    chain.set_balance(to, U256::from(price) * U256::from(50_000));
    let request = json!({ "from": to, "to": store, "input": word(1), "gasPrice": price_hex });
    assert!((43_000..50_000).contains(&number(&estimate(request).unwrap())));
}

#[test]
fn a_call_may_have_as_much_gas_as_the_provider_gives() {
    let limits = perun_embedded_evm::Limits { call_gas: 100_000, ..Default::default() };
    let chain = Chain::new(Options { limits, ..Options::dev() });
    let gas = contract(&chain, &hex!("5a5f5260205ff3"));
    let left = number(&ask(&chain, "eth_call", json!([{ "to": gas, "gas": "0xffffffff" }])));
    assert!((70_000..100_000).contains(&left), "{left}");
}

#[test]
fn a_block_hash_is_seen_by_contracts() {
    let chain = dev_chain();
    let place = contract(&chain, &hex!("5f35405f5260205ff3"));
    transfer(&chain, &signer(0), place, U256::from(0)).unwrap();
    chain.mine(300).unwrap();
    let seen = |number: u64| {
        ask(&chain, "eth_call", json!([{ "to": place, "input": word(number) }, "latest"]))
    };
    let hash = |at: u64| {
        ask(&chain, "eth_getBlockByNumber", json!([format!("{at:#x}"), false]))["hash"].clone()
    };
    let head = chain.head().number;
    assert_eq!(seen(head - 1), hash(head - 1));
    assert_eq!(seen(head - 255), hash(head - 255));
    assert_eq!(number(&seen(head - 257)), 0);
}
