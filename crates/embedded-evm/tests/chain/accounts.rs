//! Accounts that lend their name to code, blocks as they are told, and their roots.

use super::*;
use alloy_consensus::{TxEip7702, TxEnvelope};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{B256, Bloom};
use alloy_rpc_types_eth::{Block, Transaction, TransactionReceipt};
use alloy_signer::SignerSync;
use perun_embedded_evm::testkit::transfer;

/// Sends a transaction of signer 0 that lends this signer's name to this code.
fn delegate(chain: &Chain, account: u32, code: Address) -> Value {
    let (from, account) = (signer(0), signer(account));
    let plain = call(chain, &from, TxKind::Create, U256::ZERO, Bytes::new(), 200_000).unwrap();
    let nonce = chain_nonce(chain, account.address());
    let authorization = Authorization { chain_id: U256::from(31_337), address: code, nonce };
    let signature = account.sign_hash_sync(&authorization.signature_hash()).unwrap();
    let tx = TxEip7702 {
        chain_id: plain.chain_id,
        nonce: plain.nonce,
        gas_limit: plain.gas_limit,
        max_fee_per_gas: plain.max_fee_per_gas,
        max_priority_fee_per_gas: plain.max_priority_fee_per_gas,
        to: account.address(),
        value: U256::ZERO,
        access_list: Default::default(),
        authorization_list: vec![authorization.into_signed(signature)],
        input: Bytes::new(),
    };
    json!(chain.send_raw(&signed(&from, tx)).unwrap())
}

fn chain_nonce(chain: &Chain, address: Address) -> u64 {
    let count = ask(chain, "eth_getTransactionCount", json!([address, "latest"]));
    u64::try_from(number(&count)).unwrap()
}

#[test]
fn an_account_can_lend_its_name_to_code_and_take_it_back() {
    let chain = dev_chain();
    let store = contract(&chain, STORE);
    let account = signer(3).address();
    let hash = delegate(&chain, 3, store);
    chain.mine(1).unwrap();
    assert_eq!(receipt(&chain, &hash)["type"], "0x4");
    let code = ask(&chain, "eth_getCode", json!([account, "latest"]));
    assert_eq!(code, json!(Bytes::from([&hex!("ef0100")[..], store.as_slice()].concat())));
    assert_eq!(chain_nonce(&chain, account), 1, "the authorization used a nonce");
    send(&chain, 1, account, word(8), 100_000);
    chain.mine(1).unwrap();
    assert_eq!(number(&ask(&chain, "eth_call", json!([{ "to": account }]))), 8);
    let slot = ask(&chain, "eth_getStorageAt", json!([account, "0x0", "latest"]));
    assert_eq!(number(&slot), 8, "what it keeps, it keeps in the account");
    // Its owner still signs for it.
    transfer(&chain, &signer(3), Address::ZERO, U256::from(1)).unwrap();
    chain.mine(1).unwrap();
    assert_eq!(chain_nonce(&chain, account), 2);
    delegate(&chain, 3, Address::ZERO);
    chain.mine(1).unwrap();
    assert_eq!(ask(&chain, "eth_getCode", json!([account, "latest"])), "0x");
}

#[test]
fn an_account_that_lent_its_name_has_one_transaction_in_the_pool() {
    let chain = dev_chain();
    let store = contract(&chain, STORE);
    delegate(&chain, 3, store);
    chain.mine(1).unwrap();
    let owner = signer(3);
    let mut gapped = call(&chain, &owner, store.into(), U256::ZERO, Bytes::new(), 50_000).unwrap();
    gapped.nonce += 1;
    let message = chain.send_raw(&signed(&owner, gapped)).unwrap_err().message;
    assert_eq!(message, "gapped-nonce tx from delegated accounts");
    transfer(&chain, &owner, Address::ZERO, U256::from(1)).unwrap();
    let message = transfer(&chain, &owner, Address::ZERO, U256::from(1)).unwrap_err().message;
    assert_eq!(message, "gapped-nonce tx from delegated accounts");
    chain.mine(1).unwrap();
    transfer(&chain, &owner, Address::ZERO, U256::from(1)).unwrap();
}

#[test]
fn what_waited_before_the_name_was_lent_counts() {
    let chain = dev_chain();
    let store = contract(&chain, STORE);
    let owner = signer(3);
    let mut waiting = call(&chain, &owner, store.into(), U256::ZERO, Bytes::new(), 50_000).unwrap();
    waiting.nonce = 5;
    chain.send_raw(&signed(&owner, waiting)).unwrap();
    delegate(&chain, 3, store);
    chain.mine(1).unwrap();
    let message = transfer(&chain, &owner, Address::ZERO, U256::from(1)).unwrap_err().message;
    assert_eq!(message, "in-flight transaction limit reached for delegated accounts");
}

#[test]
fn a_set_code_transaction_without_authorizations_is_refused() {
    let chain = dev_chain();
    let plain = call(&chain, &signer(0), TxKind::Create, U256::ZERO, Bytes::new(), 0).unwrap();
    let tx = TxEip7702 {
        chain_id: plain.chain_id,
        gas_limit: 100_000,
        max_fee_per_gas: plain.max_fee_per_gas,
        max_priority_fee_per_gas: plain.max_priority_fee_per_gas,
        ..TxEip7702::default()
    };
    let message = chain.send_raw(&signed(&signer(0), tx)).unwrap_err().message;
    assert_eq!(message, "set code tx must have at least one authorization tuple");
}

#[test]
fn blocks_are_what_their_roots_and_hashes_say() {
    let chain = dev_chain();
    let logger = contract(&chain, LOGGER);
    for from in 1..=3 {
        send(&chain, from, logger, word(u64::from(from)), 100_000);
    }
    chain.mine(1).unwrap();
    let head = chain.head();
    let json = ask(&chain, "eth_getBlockByNumber", json!(["latest", true]));
    let block: Block = serde_json::from_value(json).unwrap();
    assert_eq!(block.header.inner.hash_slow(), head.hash);
    assert_eq!(block.header.hash, head.hash);
    let envelopes: Vec<_> = block.transactions.txns().map(|tx| tx.inner.inner()).collect();
    let root = alloy_consensus::proofs::calculate_transaction_root(&envelopes);
    assert_eq!(root, head.header.transactions_root);
    assert_eq!(block.transactions.len(), 3);
    let receipts = ask(&chain, "eth_getBlockReceipts", json!(["latest"]));
    let receipts: Vec<TransactionReceipt> = serde_json::from_value(receipts).unwrap();
    let consensus: Vec<_> =
        receipts.iter().map(|it| it.inner.clone().map_logs(|log| log.inner)).collect();
    let root = alloy_consensus::proofs::calculate_receipt_root(&consensus);
    assert_eq!(root, head.header.receipts_root);
    assert_eq!(
        head.header.logs_bloom,
        consensus.iter().fold(Bloom::ZERO, |sum, it| sum | *it.logs_bloom())
    );
    let places: Vec<_> =
        receipts.iter().flat_map(|it| it.inner.logs()).map(|log| log.log_index).collect();
    assert_eq!(places, [Some(0), Some(1), Some(2)]);
    let used: u64 = receipts.iter().map(|it| it.gas_used).sum();
    assert_eq!(used, head.header.gas_used);
    for (index, tx) in block.transactions.txns().enumerate() {
        let alone = ask(&chain, "eth_getTransactionByHash", json!([tx.inner.tx_hash()]));
        let alone: Transaction<TxEnvelope> = serde_json::from_value(alone).unwrap();
        assert_eq!(&alone, tx);
        assert_eq!(receipts[index].transaction_hash, *tx.inner.tx_hash());
    }
}

/// Computed by another implementation: the chain's genesis in `alloy-trie`'s own way of building a
/// trie from all accounts, not from the chain's maps.
#[test]
fn the_state_root_is_that_of_the_accounts_and_their_storage() {
    use alloy_trie::root::{state_root_unhashed, storage_root_unhashed};
    use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, TrieAccount};
    let account = signer(0).address();
    let accounts = [(account, U256::from(10).pow(U256::from(20)))].into();
    let chain = Chain::new(Options { accounts, ..Options::default() });
    let store = contract(&chain, STORE);
    for value in [5, 6] {
        send(&chain, 0, store, word(value), 100_000);
        chain.mine(1).unwrap();
    }
    let tips = chain.balance(&Address::ZERO);
    let plain = |nonce: u64, balance: U256| TrieAccount {
        nonce,
        balance,
        storage_root: EMPTY_ROOT_HASH,
        code_hash: KECCAK_EMPTY,
    };
    let code_hash = alloy_primitives::keccak256(STORE);
    let storage_root = storage_root_unhashed([(B256::ZERO, U256::from(6))]);
    let expected = state_root_unhashed([
        (account, plain(3, chain.balance(&account))),
        (Address::ZERO, plain(0, tips)),
        (store, TrieAccount { nonce: 1, balance: U256::ZERO, storage_root, code_hash }),
    ]);
    assert_eq!(chain.head().header.state_root, expected);
}

#[test]
fn the_pending_block_has_what_waits_and_no_hash() {
    let chain = dev_chain();
    let hash = transfer(&chain, &signer(0), Address::repeat_byte(1), U256::from(5)).unwrap();
    let pending = ask(&chain, "eth_getBlockByNumber", json!(["pending", false]));
    assert_eq!((&pending["hash"], &pending["number"]), (&Value::Null, &json!("0x1")));
    assert_eq!(pending["transactions"], json!([hash]));
    let waiting = ask(&chain, "eth_getTransactionByHash", json!([hash]));
    assert_eq!(waiting["blockHash"], Value::Null);
    let balance =
        |tag: &str| number(&ask(&chain, "eth_getBalance", json!([Address::repeat_byte(1), tag])));
    assert_eq!((balance("latest"), balance("pending")), (0, 5));
    assert_eq!(chain.head().number, 0);
}

#[test]
fn the_little_questions_are_answered() {
    let chain = Chain::new(Options { chain_id: 4_242, ..Options::dev() });
    assert_eq!(ask(&chain, "eth_chainId", json!([])), "0x1092");
    assert_eq!(ask(&chain, "net_version", Value::Null), "4242");
    assert_eq!(ask(&chain, "eth_syncing", json!([])), json!(false));
    assert_eq!(ask(&chain, "eth_blockNumber", json!([])), "0x0");
    let version = ask(&chain, "web3_clientVersion", json!([]));
    assert!(version.as_str().unwrap().starts_with("perun-embedded-evm/v"));
}
