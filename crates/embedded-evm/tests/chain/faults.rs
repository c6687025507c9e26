//! Faults come as planned, and only then. Asked through alloy's client, as a backend does.

use super::*;
use alloy_rpc_client::RpcClient;
use perun_embedded_evm::testkit::transfer;
use perun_embedded_evm::{Fault, Faults};

struct Scene {
    chain: Chain,
    faults: Faults,
    client: RpcClient,
}

fn scene() -> Scene {
    let (chain, faults) = (dev_chain(), Faults::default());
    let client = RpcClient::new(chain.faulty_transport(&faults), true);
    Scene { chain, faults, client }
}

impl Scene {
    async fn ask(&self, method: &'static str, params: Value) -> Option<Value> {
        self.client.request::<_, Value>(method, params).await.ok()
    }

    async fn height(&self) -> Option<u128> {
        self.ask("eth_blockNumber", json!([])).await.as_ref().map(number)
    }
}

#[tokio::test]
async fn a_fault_is_for_its_method_and_for_so_many_calls() {
    let scene = scene();
    scene.faults.on("eth_blockNumber", Fault::Unreachable, 2);
    assert!(scene.ask("eth_chainId", json!([])).await.is_some());
    assert_eq!((scene.height().await, scene.height().await), (None, None));
    assert_eq!(scene.height().await, Some(0));
    assert_eq!(scene.faults.calls("eth_blockNumber"), 3);
    scene.faults.always(None, Fault::Refuse(-32005, "rate limited".to_owned()));
    assert_eq!((scene.height().await, scene.height().await), (None, None));
    scene.faults.clear();
    assert_eq!(scene.height().await, Some(0));
}

#[tokio::test]
async fn an_unreachable_provider_did_nothing() {
    let scene = scene();
    scene.faults.next(Fault::Unreachable);
    assert_eq!(scene.ask("evm_mine", json!([])).await, None);
    assert_eq!(scene.chain.head().number, 0);
    scene.faults.next(Fault::AnswerLost);
    assert_eq!(scene.ask("evm_mine", json!([])).await, None);
    assert_eq!(scene.chain.head().number, 1);
}

#[tokio::test]
async fn lists_lose_and_repeat_items() {
    let scene = scene();
    let place = contract(&scene.chain, LOGGER);
    for topic in [1, 2] {
        send(&scene.chain, 1, place, word(topic), 100_000);
    }
    scene.chain.mine(1).unwrap();
    let all = scene.ask("eth_getLogs", json!([{}])).await.unwrap();
    let all = all.as_array().unwrap();
    scene.faults.next(Fault::Omit);
    assert_eq!(scene.ask("eth_getLogs", json!([{}])).await, Some(json!([all[0]])));
    scene.faults.next(Fault::Repeat);
    let twice = json!([all[0], all[0], all[1], all[1]]);
    assert_eq!(scene.ask("eth_getLogs", json!([{}])).await, Some(twice));
    scene.faults.next(Fault::Omit);
    let block = json!(["latest", false]);
    assert_eq!(scene.ask("eth_getBlockByNumber", block).await, Some(Value::Null));
    assert_eq!(scene.height().await, Some(2));
    scene.chain.mine(1).unwrap();
    scene.faults.next(Fault::Repeat);
    assert_eq!((scene.height().await, scene.height().await), (Some(2), Some(3)));
}

#[tokio::test]
async fn a_provider_can_be_behind() {
    let scene = scene();
    let target = Address::repeat_byte(9);
    let hash = transfer(&scene.chain, &signer(0), target, U256::from(4)).unwrap();
    scene.chain.mine(5).unwrap();
    scene.faults.always(None, Fault::Behind(5));
    assert_eq!(scene.height().await, Some(0));
    let receipt = json!([hash]);
    assert_eq!(scene.ask("eth_getTransactionReceipt", receipt.clone()).await, Some(Value::Null));
    let balance = scene.ask("eth_getBalance", json!([target, "latest"])).await.unwrap();
    assert_eq!(number(&balance), 0);
    // What is sent through it reaches the chain.
    let from = signer(1);
    let tx = call(&scene.chain, &from, target.into(), U256::ZERO, Bytes::new(), 21_000).unwrap();
    let raw = json!([signed(&from, tx)]);
    assert!(scene.ask("eth_sendRawTransaction", raw).await.is_some());
    assert_eq!(scene.chain.pool().len(), 1);
    scene.faults.clear();
    assert_eq!(scene.height().await, Some(5));
    assert_ne!(scene.ask("eth_getTransactionReceipt", receipt).await, Some(Value::Null));
}
