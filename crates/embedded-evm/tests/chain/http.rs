//! The server, as other programs use it.

use super::*;
use perun_embedded_evm::{Server, serve};

fn post(server: &Server, body: &str) -> Value {
    let reply = ureq::post(server.url())
        .header("content-type", "application/json")
        .send(body)
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    serde_json::from_str(&reply).unwrap()
}

#[test]
fn calls_batches_and_errors_go_over_http() {
    let chain = dev_chain();
    let place = contract(&chain, REVERTER);
    let server = serve(chain.clone(), "127.0.0.1:0").unwrap();
    let one = post(&server, r#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}"#);
    assert_eq!(one, json!({ "jsonrpc": "2.0", "id": 1, "result": "0x1" }));
    let call =
        json!({ "id": 2, "method": "eth_call", "params": [{ "to": place, "input": "0xab" }] });
    let error = json!({ "code": 3, "message": "execution reverted", "data": "0xab" });
    assert_eq!(post(&server, &call.to_string())["error"], error);
    let batch = post(&server, r#"[{"id":1,"method":"evm_mine"},{"id":2,"method":"nothing"}]"#);
    assert_eq!(batch[0]["result"], "0x0");
    assert_eq!(batch[1]["error"]["code"], -32601);
    assert_eq!(chain.head().number, 2);
    assert_eq!(post(&server, "nonsense")["error"]["code"], -32700);
}

#[test]
fn a_transaction_goes_over_http_and_the_server_goes_away_when_dropped() {
    let chain = dev_chain();
    let server = serve(chain.clone(), "127.0.0.1:0").unwrap();
    let from = signer(0);
    let tx =
        call(&chain, &from, Address::ZERO.into(), U256::from(1), Bytes::new(), 21_000).unwrap();
    let raw = signed(&from, tx);
    let sent = json!({ "id": 1, "method": "eth_sendRawTransaction", "params": [raw] });
    let hash = post(&server, &sent.to_string())["result"].clone();
    assert_eq!(json!(chain.pool()), json!([hash]));
    let address = server.address();
    drop(server);
    assert!(std::net::TcpStream::connect(address).is_err());
}
