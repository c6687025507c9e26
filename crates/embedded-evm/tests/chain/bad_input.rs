//! Whatever comes in, what comes out is a refusal with a code.

use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;

/// Making the keys of a new chain takes most of a case's time.
static FRESH: LazyLock<Chain> = LazyLock::new(dev_chain);

const METHODS: [&str; 29] = [
    "eth_chainId",
    "eth_blockNumber",
    "eth_getBalance",
    "eth_getTransactionCount",
    "eth_getCode",
    "eth_getStorageAt",
    "eth_call",
    "eth_estimateGas",
    "eth_gasPrice",
    "eth_maxPriorityFeePerGas",
    "eth_feeHistory",
    "eth_sendRawTransaction",
    "eth_getTransactionByHash",
    "eth_getTransactionReceipt",
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_getLogs",
    "eth_getBlockReceipts",
    "eth_syncing",
    "net_version",
    "web3_clientVersion",
    "evm_mine",
    "evm_increaseTime",
    "evm_setNextBlockTimestamp",
    "anvil_setBalance",
    "evm_snapshot",
    "evm_revert",
    "anvil_mine",
    "evm_setAutomine",
];

#[test]
fn unknown_methods_and_bad_parameters_have_their_codes() {
    let chain = dev_chain();
    for method in ["eth_sign", "", "eth_getlogs", "debug_traceTransaction"] {
        assert_eq!(refusal(&chain, method, json!([])).code, -32601, "{method}");
    }
    let address = Address::ZERO;
    for (method, params) in [
        ("eth_getBalance", json!([])),
        ("eth_getBalance", json!({ "address": address })),
        ("eth_getBalance", json!(["0x12", "latest"])),
        ("eth_getBalance", json!([address, "newest"])),
        ("eth_getBalance", json!([address, "latest", 1])),
        ("eth_getBalance", json!([address, "0x1ffffffffffffffff"])),
        ("eth_getStorageAt", json!([address, "0xzz", "latest"])),
        ("eth_getTransactionReceipt", json!(["0x1234"])),
        ("eth_getBlockByNumber", json!([{}, true])),
        ("eth_getBlockByNumber", json!(["latest", "yes"])),
        ("eth_sendRawTransaction", json!(["nothing"])),
        ("eth_sendRawTransaction", json!([5])),
        ("eth_call", json!([5])),
        ("eth_call", json!([{ "to": "everybody" }])),
        ("eth_call", json!([{ "to": address }, "latest", { "0x00": {} }])),
        ("eth_call", json!([{ "gasPrice": "0x1", "maxFeePerGas": "0x1" }])),
        ("eth_call", json!([{ "chainId": "0x1" }])),
        ("eth_call", json!([{ "input": "0x01", "data": "0x02" }])),
        ("eth_call", json!([{ "to": address, "blobVersionedHashes": [] }])),
        ("eth_feeHistory", json!(["many", "latest", []])),
        ("eth_feeHistory", json!(["-0x1", "latest", []])),
        ("evm_increaseTime", json!([-5])),
        ("evm_increaseTime", json!([1.5])),
        ("evm_increaseTime", json!([u64::MAX])),
        ("evm_setNextBlockTimestamp", json!([0])),
        ("evm_mine", json!([{ "timestamp": "soon" }])),
        ("anvil_setBalance", json!([address, "-1"])),
        ("evm_revert", json!([])),
        ("eth_getBlockReceipts", json!(["pending"])),
    ] {
        let code = refusal(&chain, method, params.clone()).code;
        assert_eq!(code, -32602, "{method} {params}");
    }
    assert_eq!(chain.head().number, 0);
}

#[test]
fn bad_transactions_are_refused_before_anything_else() {
    let chain = dev_chain();
    let good = {
        let from = signer(0);
        let tx = call(&chain, &from, Address::ZERO.into(), U256::ZERO, Bytes::new(), 21_000);
        signed(&from, tx.unwrap()).to_vec()
    };
    let said = |raw: &[u8]| chain.send_raw(raw).unwrap_err().message;
    assert_eq!(said(&[]), "typed transaction too short");
    assert_eq!(said(&[0x7f, 1]), "transaction type not supported");
    assert_eq!(said(&[5, 0xc0]), "transaction type not supported");
    assert!(said(&good[..good.len() - 1]).starts_with("rlp: "));
    let long = [&good[..], &[0]].concat();
    assert_eq!(said(&long), "rlp: input contains more than one value");
    let huge = vec![2; 128 * 1024 + 1];
    let what = "oversized data: transaction size 131073, limit 131072";
    assert_eq!(said(&huge), what);
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 0x55;
        // It may still be somebody's transaction, but hardly of somebody with money.
        assert!(chain.send_raw(&changed).is_err(), "byte {at}");
    }
    chain.send_raw(&good).unwrap();
}

#[test]
fn the_second_form_of_a_signature_is_refused() {
    use alloy_consensus::{SignableTransaction, TxEnvelope};
    use alloy_eips::eip2718::Encodable2718;
    let chain = dev_chain();
    let from = signer(0);
    let tx = call(&chain, &from, Address::ZERO.into(), U256::ZERO, Bytes::new(), 21_000).unwrap();
    let signature = alloy_signer::SignerSync::sign_hash_sync(&from, &tx.signature_hash()).unwrap();
    let order = U256::from_be_bytes(hex!(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
    ));
    let high =
        alloy_primitives::Signature::new(signature.r(), order - signature.s(), !signature.v());
    let raw = TxEnvelope::from(tx.into_signed(high)).encoded_2718();
    let message = chain.send_raw(&raw).unwrap_err().message;
    assert!(message.starts_with("invalid sender"), "{message}");
}

/// Values as they come: some that mean something, and any others.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9a-fx]{0,70}".prop_map(Value::from),
        any::<u64>().prop_map(|number| Value::from(format!("{number:#x}"))),
        prop::sample::select(vec!["latest", "pending", "earliest", "safe", "finalized", "0x1"])
            .prop_map(Value::from),
        any::<[u8; 20]>().prop_map(|bytes| json!(Address::from(bytes))),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(
                prop::sample::select(vec![
                    "from",
                    "to",
                    "gas",
                    "gasPrice",
                    "value",
                    "input",
                    "data",
                    "fromBlock",
                    "toBlock",
                    "blockHash",
                    "address",
                    "topics",
                    "timestamp",
                    "blocks",
                    "nonce",
                    "accessList",
                    "authorizationList",
                    "maxFeePerGas",
                    "blockNumber",
                ]),
                inner,
                0..6
            )
            .prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_that_comes_in_breaks_the_chain(
        method in prop::sample::select(METHODS.to_vec()),
        params in prop::collection::vec(values(), 0..4),
    ) {
        // Many blocks take long and are tested elsewhere.
        prop_assume!(!method.ends_with("_mine") || params.len() != 1);
        let chain = FRESH.fork();
        let _ = chain.request(method, Value::from(params));
        chain.mine_at(chain.head().timestamp + 1).ok();
        prop_assert!(chain.request("eth_blockNumber", Value::Null).is_ok());
    }

    #[test]
    fn no_bytes_are_taken_for_a_transaction(
        kind in 0_u8..8, bytes in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        let chain = FRESH.fork();
        prop_assert!(chain.send_raw(&bytes).is_err());
        prop_assert!(chain.send_raw(&[&[kind], &bytes[..]].concat()).is_err());
    }
}
