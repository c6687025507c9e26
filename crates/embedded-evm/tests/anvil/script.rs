//! What both chains are asked.

use crate::Pair;
use alloy_consensus::{TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use alloy_signer::SignerSync;
use perun_embedded_evm::testkit::{dev_signer, signed};
use serde_json::{Value, json};

const CHAIN: u64 = 31_337;
const GWEI: u128 = 1_000_000_000;

/// Makes a contract of this code: copies what follows nine bytes, and returns it.
fn making(runtime: &[u8]) -> Bytes {
    let length = u8::try_from(runtime.len()).unwrap();
    [&[0x60, length, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3], runtime].concat().into()
}

/// Logs what it is called with, reverts with it, keeps it, burns all gas, tells its environment.
const LOGGER: &[u8] = &hex!("602036038060205f375f35905fa100");
const REVERTER: &[u8] = &hex!("365f5f37365ffd");
const STORE: &[u8] = &hex!("36600c575f545f5260205ff35b5f355f5500");
const BURNER: &[u8] = &hex!("5b5f56");
const ENVIRONMENT: &[u8] = &hex!("425f5243602052486040524660605260805ff3");

fn word(number: u64) -> Bytes {
    U256::from(number).to_be_bytes_vec().into()
}

fn tx(nonce: u64, to: impl Into<TxKind>, input: impl Into<Bytes>) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 100 * GWEI,
        max_priority_fee_per_gas: 2 * GWEI,
        to: to.into(),
        value: U256::ZERO,
        access_list: Default::default(),
        input: input.into(),
    }
}

fn from(number: u32, tx: TxEip1559) -> Bytes {
    signed(&dev_signer(number), tx)
}

/// Puts the contracts on both chains, in one block.
fn contracts(pair: &mut Pair) -> [Address; 5] {
    let maker = dev_signer(0).address();
    let mut nonce = 0;
    let places = [LOGGER, REVERTER, STORE, BURNER, ENVIRONMENT].map(|code| {
        pair.send(from(0, tx(nonce, TxKind::Create, making(code))));
        nonce += 1;
        maker.create(nonce - 1)
    });
    pair.mine();
    places
}

fn block_is_the_same(pair: &Pair, tag: &str) -> Value {
    pair.same("eth_getBlockByNumber", json!([tag, false]));
    let block = pair.same("eth_getBlockByNumber", json!([tag, true]));
    pair.same("eth_getBlockReceipts", json!([tag]));
    for tx in block["transactions"].as_array().unwrap() {
        pair.same("eth_getTransactionByHash", json!([tx["hash"]]));
        pair.same("eth_getTransactionReceipt", json!([tx["hash"]]));
    }
    block
}

#[test]
fn blocks_receipts_and_transactions_are_the_same() {
    let mut pair = Pair::new();
    let [logger, reverter, store, burner, _] = contracts(&mut pair);
    block_is_the_same(&pair, "0x1");
    pair.send(from(1, tx(0, logger, [word(7), word(8)].concat())));
    pair.send(from(2, tx(0, reverter, word(7))));
    pair.send(from(3, tx(0, store, word(7))));
    pair.send(from(4, tx(0, burner, [])));
    // Anvil orders by the highest price, other nodes by the tip: here both come to the same.
    let (to, gas_price) = (TxKind::Call(store), 2 * GWEI);
    let legacy = TxLegacy {
        chain_id: Some(CHAIN),
        gas_price,
        gas_limit: 90_000,
        to,
        value: U256::ZERO,
        input: word(1),
        nonce: 0,
    };
    pair.send(signed(&dev_signer(5), legacy));
    let listed = TxEip2930 {
        chain_id: CHAIN,
        gas_price: gas_price - GWEI / 2,
        gas_limit: 90_000,
        to,
        input: word(2),
        access_list: vec![alloy_eips::eip2930::AccessListItem {
            address: store,
            storage_keys: vec![U256::ZERO.into()],
        }]
        .into(),
        ..TxEip2930::default()
    };
    pair.send(signed(&dev_signer(6), listed));
    pair.same("eth_blockNumber", json!([]));
    pair.mine();
    let block = block_is_the_same(&pair, "latest");
    assert_eq!(block["transactions"].as_array().unwrap().len(), 6);
    for slot in ["0x0", "0x1"] {
        pair.same("eth_getStorageAt", json!([store, slot, "latest"]));
    }
    pair.same("eth_getCode", json!([store, "latest"]));
    for number in 0..8 {
        let address = dev_signer(number).address();
        pair.same("eth_getBalance", json!([address, "latest"]));
        pair.same("eth_getBalance", json!([address, "0x1"]));
        pair.same("eth_getTransactionCount", json!([address, "latest"]));
    }
    pair.same("eth_chainId", json!([]));
    pair.same("net_version", json!([]));
    pair.same("eth_syncing", json!([]));
}

#[test]
fn fees_follow_the_same_course() {
    let mut pair = Pair::new();
    let [_, _, _, burner, _] = contracts(&mut pair);
    for (nonce, gas) in [(0, 30_000_000), (1, 15_000_000), (2, 1_000_000), (3, 29_000_000)] {
        pair.send(from(1, TxEip1559 { gas_limit: gas, ..tx(nonce, burner, []) }));
        pair.mine();
        pair.same("eth_getBlockByNumber", json!(["latest", false]));
    }
    pair.mine();
    pair.send(from(1, TxEip1559 { max_priority_fee_per_gas: 1, ..tx(4, burner, []) }));
    pair.send(from(2, TxEip1559 { max_priority_fee_per_gas: 9, ..tx(0, burner, []) }));
    pair.mine();
    pair.same("eth_feeHistory", json!(["0x3", "latest", []]));
    pair.same("eth_feeHistory", json!(["0x50", "latest", []]));
}

#[test]
fn calls_estimates_and_reverts_are_the_same() {
    let mut pair = Pair::new();
    let [logger, reverter, store, burner, environment] = contracts(&mut pair);
    pair.send(from(1, tx(0, store, word(5))));
    pair.mine();
    let caller = dev_signer(1).address();
    for tag in ["latest", "0x1"] {
        pair.same("eth_call", json!([{ "to": store }, tag]));
    }
    let price = "0x174876e800";
    pair.same(
        "eth_call",
        json!([{ "from": caller, "to": environment, "gasPrice": price }, "latest"]),
    );
    pair.same("eth_call", json!([{ "to": Address::ZERO }, "latest"]));
    for data in [vec![], vec![1, 2, 3], word(5).to_vec()] {
        let request = json!([{ "to": reverter, "input": Bytes::from(data) }, "latest"]);
        pair.refused("eth_call", request.clone());
        pair.refused("eth_estimateGas", request);
    }
    pair.refused("eth_call", json!([{ "to": burner, "gas": "0x186a0" }, "latest"]));
    pair.refused("eth_estimateGas", json!([{ "to": burner }]));
    for request in [
        json!({ "from": caller, "to": caller, "value": "0x1" }),
        json!({ "from": caller, "to": store, "input": word(6) }),
        json!({ "from": caller, "to": store, "input": word(0) }),
        json!({ "from": caller, "to": logger, "input": word(6) }),
        json!({ "from": caller, "input": making(STORE) }),
    ] {
        pair.near("eth_estimateGas", json!([request]));
    }
}

#[test]
fn the_same_logs_are_found() {
    let mut pair = Pair::new();
    let [logger, ..] = contracts(&mut pair);
    for topic in 0..4 {
        let (sender, place) = (1 + u32::try_from(topic % 2).unwrap(), topic / 2);
        pair.send(from(sender, tx(place, logger, [word(topic), word(9)].concat())));
        pair.mine();
    }
    for filter in [
        json!({}),
        json!({ "fromBlock": "earliest", "toBlock": "latest" }),
        json!({ "fromBlock": "0x2", "toBlock": "0x3" }),
        json!({ "fromBlock": "0x0", "address": logger }),
        json!({ "fromBlock": "0x0", "address": [Address::ZERO] }),
        json!({ "fromBlock": "0x0", "topics": [[word(1), word(3)]] }),
        json!({ "fromBlock": "0x0", "topics": [null] }),
        json!({ "fromBlock": "0x0", "topics": [word(1), word(1)] }),
    ] {
        pair.same("eth_getLogs", json!([filter]));
    }
}

#[test]
fn the_pool_takes_and_refuses_the_same() {
    let mut pair = Pair::new();
    let nobody = Address::repeat_byte(0x77);
    let counts = |pair: &Pair| {
        let address = dev_signer(1).address();
        pair.same("eth_getTransactionCount", json!([address, "latest"]));
        pair.same("eth_getTransactionCount", json!([address, "pending"]));
    };
    let later = pair.send(from(1, tx(1, nobody, [])));
    counts(&pair);
    pair.mine();
    pair.same("eth_getTransactionReceipt", json!([later]));
    let first = tx(0, nobody, []);
    pair.send(from(1, first.clone()));
    counts(&pair);
    let refused = |pair: &Pair, tx: TxEip1559| {
        pair.refused("eth_sendRawTransaction", json!([from(1, tx)]));
    };
    refused(&pair, first.clone());
    // Anvil takes any higher fee, other nodes a tenth more.
    let (fee, tip) = (110 * GWEI, 22 * GWEI / 10);
    let dearer = TxEip1559 { max_fee_per_gas: fee, max_priority_fee_per_gas: tip, ..first.clone() };
    let dearer = pair.send(from(1, dearer));
    pair.mine();
    pair.same("eth_getTransactionReceipt", json!([dearer]));
    pair.same("eth_getTransactionReceipt", json!([later]));
    counts(&pair);
    refused(&pair, first.clone());
    let next = TxEip1559 { nonce: 2, ..first };
    refused(&pair, TxEip1559 { chain_id: 1, ..next.clone() });
    refused(&pair, TxEip1559 { gas_limit: 20_999, ..next.clone() });
    refused(&pair, TxEip1559 { gas_limit: 30_000_001, ..next.clone() });
    refused(&pair, TxEip1559 { value: U256::MAX, ..next.clone() });
    refused(&pair, TxEip1559 { max_priority_fee_per_gas: 200 * GWEI, ..next.clone() });
    pair.refused("eth_sendRawTransaction", json!([from(99, next)]));
    pair.refused("eth_sendRawTransaction", json!(["0x02"]));
    pair.refused("eth_sendRawTransaction", json!(["0x"]));
    // By tip, and where Anvil looks at the price only, by that too.
    for (sender, tip) in [(2, 3), (3, 9), (4, 6)] {
        let (fee, tip) = (tip * 10 * GWEI, tip * GWEI);
        let fees = TxEip1559 { max_fee_per_gas: fee, ..tx(0, nobody, []) };
        let tx = TxEip1559 { max_priority_fee_per_gas: tip, ..fees };
        pair.send(from(sender, tx));
    }
    pair.mine();
    pair.same("eth_getBlockByNumber", json!(["latest", false]));
}

#[test]
fn an_account_lends_its_name_the_same_way() {
    let mut pair = Pair::new();
    let [_, _, store, ..] = contracts(&mut pair);
    let account = dev_signer(3);
    let authorization = Authorization { chain_id: U256::from(CHAIN), address: store, nonce: 0 };
    let signature = account.sign_hash_sync(&authorization.signature_hash()).unwrap();
    let set_code = TxEip7702 {
        chain_id: CHAIN,
        nonce: 0,
        gas_limit: 200_000,
        max_fee_per_gas: 100 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: account.address(),
        authorization_list: vec![authorization.into_signed(signature)],
        input: word(6),
        ..TxEip7702::default()
    };
    pair.send(signed(&dev_signer(1), set_code));
    pair.mine();
    block_is_the_same(&pair, "latest");
    pair.same("eth_getCode", json!([account.address(), "latest"]));
    pair.same("eth_getStorageAt", json!([account.address(), "0x0", "latest"]));
    pair.same("eth_getTransactionCount", json!([account.address(), "latest"]));
    pair.same("eth_call", json!([{ "to": account.address() }, "latest"]));
}

#[test]
fn snapshots_and_bad_questions_are_answered_the_same() {
    let mut pair = Pair::new();
    let nobody = Address::repeat_byte(0x77);
    let id = pair.both("evm_snapshot", json!([])).0.unwrap();
    pair.same("anvil_setBalance", json!([nobody, "0x5"]));
    pair.same("eth_getBalance", json!([nobody, "latest"]));
    pair.mine();
    assert!(id.is_string());
    for (method, params) in [
        ("eth_nothing", json!([])),
        ("eth_getBalance", json!(["0x12", "latest"])),
        ("eth_getBalance", json!([nobody, "newest"])),
        ("eth_getTransactionReceipt", json!(["0x12"])),
        ("eth_call", json!([5])),
        ("eth_getLogs", json!([{ "topics": "all" }])),
    ] {
        let (ours, theirs) = pair.both(method, params.clone());
        assert_eq!(ours.unwrap_err().code, theirs.unwrap_err().code, "{method} {params}");
    }
    let missing = json!([word(1)]);
    pair.same("eth_getTransactionByHash", missing.clone());
    pair.same("eth_getTransactionReceipt", missing);
    pair.same("eth_getBlockByHash", json!([word(1), false]));
    pair.same("eth_getBlockByNumber", json!(["0x77", false]));
}
