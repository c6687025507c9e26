//! The base fee, and what is told about it.

use super::*;
use perun_embedded_evm::testkit::transfer;

fn base_fee(chain: &Chain) -> u64 {
    chain.head().header.base_fee_per_gas.unwrap()
}

/// Mines a block that uses this much gas.
fn burn(chain: &Chain, burner: Address, gas: u64) {
    send(chain, 1, burner, [], gas);
    chain.mine(1).unwrap();
    assert_eq!(chain.head().header.gas_used, gas);
}

#[test]
fn an_empty_block_lowers_the_base_fee_by_an_eighth_and_a_full_one_raises_it_as_much() {
    let chain = dev_chain();
    let fees: Vec<u64> = (0..4)
        .map(|_| {
            chain.mine(1).unwrap();
            base_fee(&chain)
        })
        .collect();
    assert_eq!(fees, [875_000_000, 765_625_000, 669_921_875, 586_181_641]);
    let burner = contract(&chain, BURNER);
    chain.set_next_base_fee(875_000_000);
    burn(&chain, burner, 30_000_000);
    burn(&chain, burner, 15_000_000);
    assert_eq!(base_fee(&chain), 984_375_000);
    chain.mine(1).unwrap();
    assert_eq!(base_fee(&chain), 984_375_000, "half full is what the fee aims at");
    chain.mine(1).unwrap();
    assert_eq!(base_fee(&chain), 861_328_125);
}

#[test]
fn the_base_fee_follows_the_sequences_that_clients_are_tested_with() {
    for (used, next) in
        [(10_000_000, 1_000_000_000), (9_000_000, 987_500_000), (11_000_000, 1_012_500_000)]
    {
        let chain = Chain::new(Options { block_gas_limit: 20_000_000, ..Options::dev() });
        let burner = contract(&chain, BURNER);
        chain.set_next_base_fee(1_000_000_000);
        burn(&chain, burner, used);
        chain.mine(1).unwrap();
        assert_eq!(base_fee(&chain), next, "after {used}");
    }
}

#[test]
fn the_base_fee_is_burnt_and_the_tip_paid() {
    let beneficiary = Address::repeat_byte(0xbe);
    let chain = Chain::new(Options { beneficiary, ..Options::dev() });
    let before = chain.balance(&signer(0).address());
    transfer(&chain, &signer(0), Address::repeat_byte(1), U256::from(5)).unwrap();
    chain.mine(1).unwrap();
    let tip = U256::from(1_000_000_000_u64) * U256::from(21_000);
    assert_eq!(chain.balance(&beneficiary), tip);
    let burnt = U256::from(base_fee(&chain)) * U256::from(21_000);
    assert_eq!(chain.balance(&signer(0).address()), before - tip - burnt - U256::from(5));
}

#[test]
fn the_fee_history_tells_fees_use_and_tips() {
    let chain = dev_chain();
    let burner = contract(&chain, BURNER);
    chain.set_next_base_fee(1_000_000_000);
    let payer = signer(1);
    for (tip, gas) in [(3_u128, 3_000_000), (7, 9_000_000)] {
        let mut tx = call(&chain, &payer, burner.into(), U256::ZERO, Bytes::new(), gas).unwrap();
        tx.max_priority_fee_per_gas = tip;
        chain.send_raw(&signed(&payer, tx)).unwrap();
    }
    chain.mine(1).unwrap();
    let history = ask(&chain, "eth_feeHistory", json!(["0x2", "latest", [0, 25, 26, 100]]));
    assert_eq!(history["oldestBlock"], "0x1");
    let fees = history["baseFeePerGas"].as_array().unwrap();
    // 12 of 30 million: one fifth below the aim, so a fifth of an eighth less.
    assert_eq!(fees.len(), 3);
    assert_eq!(number(&fees[1]), 1_000_000_000);
    assert_eq!(number(&fees[2]), 975_000_000);
    assert_eq!(history["gasUsedRatio"][1], json!(0.4));
    assert_eq!(history["reward"][1], json!(["0x3", "0x3", "0x7", "0x7"]));
    chain.mine(1).unwrap();
    assert_eq!(u128::from(base_fee(&chain)), number(&fees[2]), "what was announced came");
    let all = ask(&chain, "eth_feeHistory", json!([2_000, "latest", null]));
    assert_eq!(all["oldestBlock"], "0x0");
    assert_eq!(all.get("reward").and_then(Value::as_array), None);
    for params in [
        json!(["0x1", "latest", [50, 40]]),
        json!(["0x1", "latest", [101]]),
        json!(["0x1", "latest", [-1]]),
        json!(["0x1", "0x7", []]),
        json!(["0x1", "latest", vec![1; 101]]),
    ] {
        assert_eq!(refusal(&chain, "eth_feeHistory", params).code, Refusal::REFUSED);
    }
}

#[test]
fn the_suggested_tip_is_what_the_latest_blocks_took() {
    let chain = dev_chain();
    assert_eq!(number(&ask(&chain, "eth_maxPriorityFeePerGas", json!([]))), 1_000_000_000);
    let payer = signer(1);
    for tip in [5_u128, 2, 3] {
        let mut tx =
            call(&chain, &payer, Address::ZERO.into(), U256::ZERO, Bytes::new(), 21_000).unwrap();
        tx.max_priority_fee_per_gas = tip;
        chain.send_raw(&signed(&payer, tx)).unwrap();
    }
    chain.mine(1).unwrap();
    assert_eq!(number(&ask(&chain, "eth_maxPriorityFeePerGas", json!([]))), 3);
    let price = number(&ask(&chain, "eth_gasPrice", json!([])));
    assert_eq!(price, 3 + u128::from(base_fee(&chain)));
    // After twenty blocks without them, they are forgotten.
    chain.mine(20).unwrap();
    assert_eq!(number(&ask(&chain, "eth_maxPriorityFeePerGas", json!([]))), 1_000_000_000);
}
