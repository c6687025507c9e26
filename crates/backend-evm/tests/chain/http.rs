//! The embedded chain over a real socket.

use alloy_primitives::{Address, U256};
use perun_backend_evm::abi::solidity as sol;
use perun_backend_evm::rpc::{At, HttpRpc, Node, Rpc, RpcError};
use perun_embedded_evm::{Chain, Options, serve};
use serde_json::json;

#[test]
fn a_node_answers_over_http_one_by_one_and_in_batches() {
    let chain = Chain::new(Options::dev());
    chain.mine(3).unwrap();
    let server = serve(chain.clone(), "127.0.0.1:0").unwrap();
    let rpc = HttpRpc::new(server.url());
    let head = Node(&rpc).head().unwrap();
    assert_eq!((head.number, head.hash), (3, chain.head().hash));
    assert_eq!(Node(&rpc).block(At::Hash(head.parent)).unwrap().unwrap().number, 2);
    let number = |height: u64| ("eth_getBlockByNumber", json!([format!("{height:#x}"), false]));
    let answers = rpc.batch(vec![number(2), ("eth_nonsense", json!([])), number(1)]);
    let height = |answer: &Result<serde_json::Value, _>| {
        answer.as_ref().ok().and_then(|block| block["number"].as_str().map(str::to_owned))
    };
    let heights: Vec<_> = answers.iter().map(height).collect();
    assert_eq!(heights, [Some("0x2".to_owned()), None, Some("0x1".to_owned())]);
    assert!(matches!(answers[1], Err(RpcError::Refused { .. })));
    // Where there is no contract, an answer is no number.
    let question = sol::Hub::creditCall { account: Address::ZERO, holder: Address::ZERO };
    let nothing = Node(&rpc).read(Address::repeat_byte(1), &question, At::Latest);
    assert!(nothing.is_err(), "{nothing:?}");
    let balance = Node(&rpc).balance(Address::repeat_byte(1), At::Latest);
    assert_eq!(balance, Ok(U256::ZERO));
    drop(server);
    assert!(matches!(Node(&rpc).head(), Err(RpcError::Transport(_))));
}

/// It takes the question and says nothing: whether an order came is unknown; it may be repeated.
#[test]
fn a_node_that_never_answers_is_given_up_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let rpc = HttpRpc::with_time_limit(url, std::time::Duration::from_millis(200));
    let error = Node(&rpc).head().unwrap_err();
    assert!(matches!(error, RpcError::Transport(_)), "{error:?}");
    assert!(error.to_string().contains("no answer in time"), "{error}");
    let batch = rpc.batch(vec![("eth_chainId", json!([])), ("eth_blockNumber", json!([]))]);
    assert_eq!(batch.len(), 2);
    assert!(batch.iter().all(|answer| matches!(answer, Err(RpcError::Transport(_)))));
}
