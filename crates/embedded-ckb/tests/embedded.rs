//! What only the embedded chain promises: its modes, its copies, the limits of its blocks, its
//! server.

use ckb_types::{bytes::Bytes, core::TransactionView, prelude::*};
use perun_backend_ckb::rpc::{DevControl, HttpRpc, Rpc, RpcError, SearchKey, TransactionStatus};
use perun_embedded_ckb::testkit::{CKB, Key, Payment, plain};
use perun_embedded_ckb::{Chain, Commit, Genesis, Options, START_MS, serve};
use std::io::{Read, Write};
use std::net::TcpStream;

fn chain() -> (Chain, Genesis) {
    let genesis = Genesis::dev().unwrap();
    (Chain::new(&genesis), genesis)
}

fn payment(chain: &Chain, genesis: &Genesis, to: u32) -> TransactionView {
    let lock = Key::number(to).lock(genesis);
    Payment::to(lock, 1_000 * CKB).build(chain, genesis, &Key::dev(false)).unwrap()
}

fn is_committed(chain: &Chain, tx: &TransactionView) -> bool {
    let status = chain.transaction(&tx.hash()).unwrap().status;
    matches!(status, TransactionStatus::Committed { .. })
}

#[test]
fn an_instant_chain_commits_with_the_next_block() {
    let genesis = Genesis::dev().unwrap();
    let options = Options { commit: Commit::Instant, ..Options::new(&genesis) };
    let chain = Chain::with_options(&genesis, options);
    let tx = payment(&chain, &genesis, 7);
    chain.send_transaction(&tx).unwrap();
    let tip = chain.mine(1).unwrap();
    assert!(is_committed(&chain, &tx));
    assert_eq!((tip.number(), tip.timestamp()), (1, START_MS));
}

#[test]
fn a_fork_has_the_past_and_its_own_future() {
    let (chain, genesis) = chain();
    let tx = payment(&chain, &genesis, 7);
    chain.send_transaction(&tx).unwrap();
    let fork = chain.fork();
    fork.mine(3).unwrap();
    assert!(is_committed(&fork, &tx));
    assert_eq!(chain.transaction(&tx.hash()).unwrap().status, TransactionStatus::Pending);
    assert_eq!(chain.tip_header().unwrap().number(), 0);
    let clone = chain.clone();
    clone.mine(3).unwrap();
    assert!(is_committed(&chain, &tx), "a clone is the same chain");
}

#[test]
fn money_and_tokens_can_be_there_from_the_start() {
    let bare = Genesis::dev().unwrap();
    let lock = Key::number(7).lock(&bare);
    let data = Bytes::from_static(b"sixteen bytes...");
    let genesis = Genesis::builder()
        .issue(plain(lock.clone(), 500 * CKB), Bytes::new())
        .issue(plain(lock.clone(), 600 * CKB).as_builder().type_(Some(lock.clone())).build(), data)
        .build()
        .unwrap();
    let chain = Chain::new(&genesis);
    let cells = chain.cells(&SearchKey::lock(lock.clone()), None, 10).unwrap().rows;
    assert_eq!(cells.len(), 2);
    assert_eq!(cells[1].cell.data.as_ref(), b"sixteen bytes...");
    assert_eq!(cells[1].cell.output.type_().to_opt(), Some(lock.clone()));
    let tx = Payment::to(lock, 100 * CKB).build(&chain, &genesis, &Key::number(7)).unwrap();
    chain.send_transaction(&tx).unwrap();
}

#[test]
fn a_block_has_room_for_its_bytes_only() {
    let (chain, genesis) = chain();
    let user = Key::number(7);
    let outputs = vec![(plain(user.lock(&genesis), 300_000 * CKB), Bytes::new()); 3];
    let funding = Payment::new(outputs).build(&chain, &genesis, &Key::dev(false)).unwrap();
    chain.send_transaction(&funding).unwrap();
    chain.mine(3).unwrap();
    let cells = chain.cells(&SearchKey::lock(user.lock(&genesis)), None, 3).unwrap().rows;
    let data = Bytes::from(vec![0; 250_000]);
    let output = (plain(user.lock(&genesis), 260_000 * CKB), data);
    let big = Payment { fee: 400_000, ..Payment::new(vec![output]) };
    let big: Vec<TransactionView> =
        cells.into_iter().map(|row| big.spend(&genesis, &user, &[row.cell])).collect();
    for tx in &big {
        chain.send_transaction(tx).unwrap();
    }
    let committed = || big.iter().filter(|tx| is_committed(&chain, tx)).count();
    chain.mine(3).unwrap();
    assert_eq!(committed(), 2);
    let block = chain.block_by_hash(&chain.tip_header().unwrap().hash()).unwrap().unwrap();
    let bytes = block.data().serialized_size_without_uncle_proposals() as u64;
    assert!(bytes <= genesis.consensus().max_block_bytes());
    chain.mine(1).unwrap();
    assert_eq!(committed(), 3);
}

#[test]
fn a_rolled_back_chain_equals_the_one_it_was() {
    let (chain, genesis) = chain();
    chain.send_transaction(&payment(&chain, &genesis, 7)).unwrap();
    chain.mine(5).unwrap();
    let before = chain.fork();
    for user in 8..12 {
        chain.send_transaction(&payment(&chain, &genesis, user)).unwrap();
        chain.mine(3).unwrap();
    }
    chain.rollback(5).unwrap();
    assert_eq!(chain.tip_header().unwrap(), before.tip_header().unwrap());
    for key in [Key::dev(false), Key::number(7), Key::number(8), Key::number(1)] {
        let key = SearchKey::lock(key.lock(&genesis));
        let [ours, theirs] = [&chain, &before].map(|it| it.cells(&key, None, 100).unwrap().rows);
        assert_eq!(ours, theirs);
        let [ours, theirs] =
            [&chain, &before].map(|it| it.transactions(&key, None, 100).unwrap().rows);
        assert_eq!(ours, theirs);
    }
}

/// Writes bytes to the server and reads its answer to the end.
fn talk(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn post(kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

#[test]
fn the_server_takes_calls_and_batches() {
    let server = serve(chain().0, "127.0.0.1:0").unwrap();
    let call = r#"{"id":7,"jsonrpc":"2.0","method":"get_tip_block_number","params":[]}"#;
    let answer = talk(server.address(), post("application/json", call).as_bytes());
    assert!(answer.ends_with(r#"{"id":7,"jsonrpc":"2.0","result":"0x0"}"#), "{answer}");
    let batch = format!("[{call},{call}]");
    let answer = talk(server.address(), post("application/json", &batch).as_bytes());
    assert_eq!(answer.matches(r#""result":"0x0""#).count(), 2, "{answer}");
    let unknown = call.replace("get_tip_block_number", "sell_the_house");
    let answer = talk(server.address(), post("application/json", &unknown).as_bytes());
    assert!(answer.contains("-32601"), "{answer}");
}

#[test]
fn the_server_refuses_what_a_web_page_could_send() {
    let server = serve(chain().0, "127.0.0.1:0").unwrap();
    let call = r#"{"id":7,"jsonrpc":"2.0","method":"generate_block","params":[]}"#;
    let answer = talk(server.address(), post("text/plain", call).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 415"), "{answer}");
    let answer = talk(server.address(), b"GET / HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    let huge =
        "POST / HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n";
    let answer = talk(server.address(), huge.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[test]
fn a_dropped_server_is_gone() {
    let server = serve(chain().0, "127.0.0.1:0").unwrap();
    let client = HttpRpc::new(server.url()).unwrap();
    client.mine(1).unwrap();
    let idle = TcpStream::connect(server.address()).unwrap();
    drop(server);
    assert!(matches!(client.tip_header(), Err(RpcError::Transport(_))));
    drop(idle);
}

#[test]
fn only_plain_http_addresses_are_taken() {
    for url in ["https://127.0.0.1:1", "127.0.0.1:1", "file:///etc/passwd"] {
        assert!(matches!(HttpRpc::new(url), Err(RpcError::Misuse(_))));
    }
}
