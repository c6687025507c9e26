//! Logs are found by what they are, and by nothing else.

use super::*;
use perun_embedded_evm::{Dropped, Limits};

/// Two contracts that have logged topics 1, 2 and 3: one block for each, the second contract in
/// the same block.
fn scene(options: Options) -> (Chain, Address, Address) {
    let chain = Chain::new(options);
    let (one, two) = (contract(&chain, LOGGER), contract(&chain, LOGGER));
    for topic in 1..=3 {
        send(&chain, 1, one, [word(topic), word(100 + topic)].concat(), 100_000);
        send(&chain, 1, two, word(topic), 100_000);
        chain.mine(1).unwrap();
    }
    (chain, one, two)
}

fn found(chain: &Chain, filter: Value) -> Vec<Value> {
    ask(chain, "eth_getLogs", json!([filter])).as_array().unwrap().clone()
}

fn topic(number: u64) -> Value {
    json!(alloy_primitives::B256::from(U256::from(number)))
}

#[test]
fn logs_are_found_by_range_address_and_topic() {
    let (chain, one, two) = scene(Options::dev());
    let all = found(&chain, json!({ "fromBlock": "earliest", "toBlock": "latest" }));
    assert_eq!(all.len(), 6);
    assert_eq!(all[1]["logIndex"], "0x1");
    assert_eq!(all[1]["transactionIndex"], "0x1");
    assert_eq!(all[0]["data"], json!(word(101)));
    assert_eq!(all[0]["removed"], json!(false));
    let range = found(&chain, json!({ "fromBlock": "0x4", "toBlock": "0x5" }));
    assert_eq!(range.len(), 4);
    let newest = found(&chain, json!({}));
    assert_eq!(newest.len(), 2, "the newest block only, if nothing is said");
    let of_one = found(&chain, json!({ "fromBlock": "0x0", "address": one }));
    assert_eq!(of_one.len(), 3);
    let of_both = found(&chain, json!({ "fromBlock": "0x0", "address": [one, two] }));
    assert_eq!(of_both.len(), 6);
    let filter = json!({ "fromBlock": "0x0", "address": two, "topics": [[topic(1), topic(3)]] });
    assert_eq!(found(&chain, filter).len(), 2);
    let more_topics = json!({ "fromBlock": "0x0", "topics": [null, topic(1)] });
    assert!(found(&chain, more_topics).is_empty());
    let block = ask(&chain, "eth_getBlockByNumber", json!(["0x4", false]));
    let by_hash = found(&chain, json!({ "blockHash": block["hash"], "topics": [topic(2)] }));
    assert_eq!(by_hash.len(), 2);
    assert_eq!(by_hash[0]["blockNumber"], "0x4");
    assert!(found(&chain, json!({ "fromBlock": "0x50", "toBlock": "0x60" })).is_empty());
}

#[test]
fn after_a_reorganisation_only_the_logs_of_the_new_branch_are_found() {
    let (chain, one, _) = scene(Options::dev());
    let old = found(&chain, json!({ "fromBlock": "0x5", "address": one }));
    chain.rewind(4, Dropped::Forgotten).unwrap();
    let unknown = json!([{ "blockHash": old[0]["blockHash"] }]);
    assert_eq!(refusal(&chain, "eth_getLogs", unknown).message, "unknown block");
    assert!(found(&chain, json!({ "fromBlock": "0x5" })).is_empty());
    send(&chain, 2, one, word(9), 100_000);
    chain.mine(1).unwrap();
    let new = found(&chain, json!({ "fromBlock": "0x5", "address": one }));
    assert_eq!(new.len(), 1);
    assert_eq!(new[0]["topics"], json!([topic(9)]));
    assert_ne!(new[0]["blockHash"], old[0]["blockHash"]);
    assert_eq!(found(&chain, json!({ "fromBlock": "0x0" })).len(), 5);
}

#[test]
fn a_transaction_that_fails_logs_nothing() {
    let (chain, one, _) = scene(Options::dev());
    // Enough to start, too little to log.
    let hash = send(&chain, 1, one, word(5), 21_700);
    chain.mine(1).unwrap();
    let receipt = receipt(&chain, &hash);
    assert_eq!((&receipt["status"], &receipt["logs"]), (&json!("0x0"), &json!([])));
    assert!(found(&chain, json!({})).is_empty());
}

#[test]
fn wide_questions_are_refused() {
    let limits = Limits { log_blocks: 4, log_results: 3, ..Limits::default() };
    let (chain, one, _) = scene(Options { limits, ..Options::dev() });
    let code = |filter: Value| refusal(&chain, "eth_getLogs", json!([filter])).code;
    let wide = json!([{ "fromBlock": "0x1", "toBlock": "0x5", "address": Address::ZERO }]);
    let wide = refusal(&chain, "eth_getLogs", wide);
    assert_eq!(wide.code, Refusal::LIMIT);
    assert_eq!(wide.message, "block range is too large: 4 blocks at most");
    assert_eq!(code(json!({ "fromBlock": "0x2", "toBlock": "0x5" })), Refusal::LIMIT);
    let three = json!({ "fromBlock": "0x2", "toBlock": "0x5", "address": one });
    assert_eq!(found(&chain, three).len(), 3);
    assert_eq!(code(json!({ "fromBlock": "0x5", "toBlock": "0x2" })), Refusal::BAD_PARAMS);
    let both = json!({ "blockHash": topic(1), "fromBlock": "0x2" });
    assert_eq!(code(both), Refusal::BAD_PARAMS);
    assert_eq!(code(json!({ "topics": "everything" })), Refusal::BAD_PARAMS);
    assert_eq!(code(json!({ "topics": [null, null, null, null, null] })), Refusal::BAD_PARAMS);
}
