//! The pool takes, orders, replaces and refuses as nodes do.

use super::*;
use alloy_consensus::{TxEip1559, TxEip2930, TxEip4844, TxLegacy};
use perun_embedded_evm::testkit::transfer;
use perun_embedded_evm::{Hardfork, Limits};

fn payment(chain: &Chain, from: u32) -> TxEip1559 {
    let to = Address::repeat_byte(0x99).into();
    call(chain, &signer(from), to, U256::from(1), Bytes::new(), 21_000).unwrap()
}

fn refused(chain: &Chain, from: u32, change: impl FnOnce(&mut TxEip1559)) -> String {
    let mut tx = payment(chain, from);
    change(&mut tx);
    let refusal = chain.send_raw(&signed(&signer(from), tx)).unwrap_err();
    assert_eq!(refusal.code, Refusal::REFUSED);
    refusal.message
}

#[test]
fn what_is_wrong_is_said_in_the_words_that_clients_know() {
    let chain = dev_chain();
    transfer(&chain, &signer(0), Address::ZERO, U256::from(1)).unwrap();
    chain.mine(1).unwrap();
    let message = refused(&chain, 0, |tx| tx.nonce = 0);
    assert_eq!(message, "nonce too low: next nonce 1, tx nonce 0");
    let message = refused(&chain, 0, |tx| tx.chain_id = 5);
    assert_eq!(message, "invalid sender: invalid chain id for signer: have 5 want 31337");
    let message = refused(&chain, 0, |tx| tx.gas_limit = 20_999);
    assert_eq!(message, "intrinsic gas too low: gas 20999, minimum needed 21000");
    let message = refused(&chain, 0, |tx| tx.gas_limit = 30_000_001);
    assert_eq!(message, "exceeds block gas limit");
    let message = refused(&chain, 0, |tx| tx.max_priority_fee_per_gas = 0);
    assert_eq!(message, "transaction underpriced: gas tip cap 0, minimum needed 1");
    let message = refused(&chain, 0, |tx| tx.max_fee_per_gas = 1);
    assert!(message.starts_with("max priority fee per gas higher than max fee per gas"));
    let message = refused(&chain, 0, |tx| tx.value = U256::MAX >> 8);
    assert!(message.starts_with("insufficient funds for gas * price + value: balance 9999"));
    let message = refused(&chain, 77, |_| {});
    assert!(message.contains("balance 0, tx cost 2100000000000001, overshot 2100000000000001"));
    let message = refused(&chain, 0, |tx| tx.nonce = u64::MAX);
    assert_eq!(message, "nonce has max value");
    // A thousand bytes of data cost 40 each at least.
    let data = |tx: &mut TxEip1559| {
        tx.input = vec![1; 1_000].into();
        tx.gas_limit = 50_000;
    };
    let message = refused(&chain, 0, data);
    let what = "insufficient gas for floor data gas cost: gas 50000, minimum needed 61000";
    assert_eq!(message, what);
    let message = refused(&chain, 0, |tx| {
        tx.to = TxKind::Create;
        tx.gas_limit = 10_000_000;
        tx.input = vec![0; 2 * 24_576 + 1].into();
    });
    assert_eq!(message, "max initcode size exceeded: code size 49153, limit 49152");
    assert!(chain.pool().is_empty());
}

#[test]
fn a_transaction_is_taken_once() {
    let chain = dev_chain();
    let raw = signed(&signer(0), payment(&chain, 0));
    chain.send_raw(&raw).unwrap();
    assert_eq!(chain.send_raw(&raw).unwrap_err().message, "already known");
    chain.mine(1).unwrap();
    let message = chain.send_raw(&raw).unwrap_err().message;
    assert_eq!(message, "nonce too low: next nonce 1, tx nonce 0");
}

#[test]
fn a_nonce_gap_waits_until_it_is_filled() {
    let chain = dev_chain();
    let mut later = payment(&chain, 0);
    later.nonce = 1;
    let later = json!(chain.send_raw(&signed(&signer(0), later)).unwrap());
    let count = |tag: &str| {
        number(&ask(&chain, "eth_getTransactionCount", json!([signer(0).address(), tag])))
    };
    chain.mine(2).unwrap();
    assert_eq!(receipt(&chain, &later), Value::Null);
    assert_eq!((count("latest"), count("pending")), (0, 0));
    let first = json!(chain.send_raw(&signed(&signer(0), payment(&chain, 0))).unwrap());
    assert_eq!((count("latest"), count("pending")), (0, 2));
    chain.mine(1).unwrap();
    assert_eq!(receipt(&chain, &first)["transactionIndex"], "0x0");
    assert_eq!(receipt(&chain, &later)["transactionIndex"], "0x1");
    assert_eq!((count("latest"), count("pending")), (2, 2));
}

#[test]
fn a_replacement_pays_a_tenth_more_of_both_fees() {
    let chain = dev_chain();
    let first = payment(&chain, 0);
    let old = chain.send_raw(&signed(&signer(0), first.clone())).unwrap();
    let (fee, tip) = (first.max_fee_per_gas, first.max_priority_fee_per_gas);
    let bumped = |fee: u128, tip: u128| {
        let tx = TxEip1559 { max_fee_per_gas: fee, max_priority_fee_per_gas: tip, ..first.clone() };
        chain.send_raw(&signed(&signer(0), tx))
    };
    let enough = |fee: u128| fee + fee / 10;
    for (fee, tip) in [
        (fee, enough(tip)),
        (enough(fee), tip),
        (enough(fee), enough(tip) - 1),
        (enough(fee) - 1, enough(tip)),
    ] {
        let message = bumped(fee, tip).unwrap_err().message;
        assert_eq!(message, "replacement transaction underpriced");
    }
    let new = bumped(enough(fee), enough(tip)).unwrap();
    assert_eq!(chain.pool(), [new]);
    chain.mine(1).unwrap();
    assert_eq!(receipt(&chain, &json!(old)), Value::Null);
    assert_eq!(receipt(&chain, &json!(new))["status"], "0x1");
}

#[test]
fn the_highest_tip_comes_first_and_then_the_first_that_came() {
    let chain = dev_chain();
    let hashes: Vec<Value> = [(1, 5_u128), (2, 9), (3, 5), (4, 7)]
        .into_iter()
        .map(|(from, tip)| {
            let tx = TxEip1559 { max_priority_fee_per_gas: tip, ..payment(&chain, from) };
            json!(chain.send_raw(&signed(&signer(from), tx)).unwrap())
        })
        .collect();
    chain.mine(1).unwrap();
    let block = ask(&chain, "eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(block["transactions"], json!([hashes[1], hashes[3], hashes[0], hashes[2]]));
}

#[test]
fn what_cannot_pay_the_base_fee_waits_for_it_to_fall() {
    let chain = dev_chain();
    let fee = u128::from(chain.head().header.base_fee_per_gas.unwrap()) * 3 / 4;
    let tx = TxEip1559 { max_fee_per_gas: fee, max_priority_fee_per_gas: 1, ..payment(&chain, 0) };
    let hash = json!(chain.send_raw(&signed(&signer(0), tx)).unwrap());
    chain.mine(2).unwrap();
    assert_eq!(receipt(&chain, &hash), Value::Null);
    chain.mine(1).unwrap();
    assert_eq!(receipt(&chain, &hash)["blockNumber"], "0x3");
}

#[test]
fn a_full_block_leaves_the_rest_to_the_next() {
    let chain = dev_chain();
    let burner = contract(&chain, BURNER);
    let first = send(&chain, 1, burner, [], 20_000_000);
    let second = send(&chain, 2, burner, [], 20_000_000);
    chain.mine(2).unwrap();
    assert_eq!(receipt(&chain, &first)["blockNumber"], "0x2");
    assert_eq!(receipt(&chain, &second)["blockNumber"], "0x3");
    assert_eq!(receipt(&chain, &second)["status"], "0x0");
}

#[test]
fn a_full_pool_takes_only_what_pays_more_than_its_cheapest() {
    let limits = Limits { pool: 2, ..Limits::default() };
    let chain = Chain::new(Options { limits, ..Options::dev() });
    let with_tip = |from: u32, tip: u128| {
        let tx = TxEip1559 { max_priority_fee_per_gas: tip, ..payment(&chain, from) };
        chain.send_raw(&signed(&signer(from), tx))
    };
    let (cheap, dear) = (with_tip(0, 5).unwrap(), with_tip(1, 9).unwrap());
    assert!(with_tip(2, 5).unwrap_err().message.starts_with("transaction underpriced"));
    let new = with_tip(2, 6).unwrap();
    assert_eq!(chain.pool(), [dear, new]);
    assert_ne!(chain.pool()[0], cheap);
    // Of two that pay the same, the first that came stays.
    let newest = with_tip(3, 9).unwrap();
    assert_eq!(chain.pool(), [dear, newest]);
    let dearest = with_tip(4, 10).unwrap();
    assert_eq!(chain.pool(), [dear, dearest]);
}

#[test]
fn only_so_many_wait_behind_a_gap() {
    let limits = Limits { pool_queued_per_account: 2, ..Limits::default() };
    let chain = Chain::new(Options { limits, ..Options::dev() });
    let at = |nonce: u64| {
        let tx = TxEip1559 { nonce, ..payment(&chain, 0) };
        chain.send_raw(&signed(&signer(0), tx))
    };
    at(5).unwrap();
    at(7).unwrap();
    assert!(at(9).unwrap_err().message.starts_with("txpool is full"));
    at(0).unwrap();
}

#[test]
fn an_accounts_waiting_transactions_must_be_affordable_together() {
    let chain = dev_chain();
    let from = signer(0).address();
    let cost = U256::from(21_000 * 100_000_000_000_u64) + U256::from(1);
    chain.set_balance(from, cost * U256::from(2) - U256::from(1));
    chain.send_raw(&signed(&signer(0), payment(&chain, 0))).unwrap();
    let message = refused(&chain, 0, |_| {});
    let what = format!("queued cost {cost}, tx cost {cost}, overshot 1");
    assert!(message.contains(&what), "{message}");
}

#[test]
fn a_test_can_throw_transactions_out() {
    let chain = dev_chain();
    let one = transfer(&chain, &signer(0), Address::ZERO, U256::from(1)).unwrap();
    let two = transfer(&chain, &signer(1), Address::ZERO, U256::from(1)).unwrap();
    assert!(chain.evict(&one));
    assert!(!chain.evict(&one));
    assert_eq!(chain.pool(), [two]);
    assert_eq!(ask(&chain, "anvil_dropTransaction", json!([two])), json!(two));
    assert_eq!(ask(&chain, "anvil_dropTransaction", json!([two])), Value::Null);
    transfer(&chain, &signer(0), Address::ZERO, U256::from(1)).unwrap();
    chain.evict_all();
    chain.mine(1).unwrap();
    assert_eq!(chain.head().header.gas_used, 0);
}

#[test]
fn what_became_worthless_falls_out_when_a_block_is_made() {
    let chain = dev_chain();
    let hash = transfer(&chain, &signer(0), Address::ZERO, U256::from(1)).unwrap();
    chain.set_balance(signer(0).address(), U256::from(5));
    chain.mine(1).unwrap();
    assert!(chain.pool().is_empty());
    assert_eq!(receipt(&chain, &json!(hash)), Value::Null);
}

#[test]
fn older_types_are_taken_and_blobs_are_not() {
    let chain = dev_chain();
    let (from, to) = (signer(0), TxKind::Call(Address::ZERO));
    let (chain_id, gas_price, gas_limit) = (31_337, 2_000_000_000, 30_000);
    let legacy =
        TxLegacy { chain_id: Some(chain_id), gas_price, gas_limit, to, ..TxLegacy::default() };
    let listed = TxEip2930 { chain_id, nonce: 1, gas_price, gas_limit, to, ..TxEip2930::default() };
    let hashes = [signed(&from, legacy.clone()), signed(&from, listed)]
        .map(|raw| json!(chain.send_raw(&raw).unwrap()));
    chain.mine(1).unwrap();
    assert_eq!(receipt(&chain, &hashes[0])["type"], "0x0");
    assert_eq!(receipt(&chain, &hashes[1])["type"], "0x1");
    let unprotected = signed(&from, TxLegacy { chain_id: None, nonce: 2, ..legacy });
    let message = chain.send_raw(&unprotected).unwrap_err().message;
    assert_eq!(message, "only replay-protected (EIP-155) transactions allowed over RPC");
    let blob = TxEip4844 { chain_id, nonce: 2, ..TxEip4844::default() };
    let raw = signed(&from, blob);
    assert_eq!(raw[0], 3);
    let message = chain.send_raw(&raw).unwrap_err().message;
    assert!(message.starts_with("transaction type not supported: blob"), "{message}");
}

#[test]
fn osaka_limits_the_gas_of_one_transaction() {
    let chain = Chain::new(Options { hardfork: Hardfork::Osaka, ..Options::dev() });
    let message = refused(&chain, 0, |tx| tx.gas_limit = 16_777_217);
    assert_eq!(message, "transaction gas limit too high (cap: 16777216, tx: 16777217)");
    let tx = TxEip1559 { gas_limit: 16_777_216, ..payment(&chain, 0) };
    let hash = json!(chain.send_raw(&signed(&signer(0), tx)).unwrap());
    chain.mine(1).unwrap();
    assert_eq!(receipt(&chain, &hash)["status"], "0x1");
}
