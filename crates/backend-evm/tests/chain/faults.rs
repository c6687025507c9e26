//! Wrong chains, wrong contracts, and nodes that are not to be believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::{Address, B256};
use perun_backend_evm::follow::{Cursor, Depth, DepthTable, Follower, Standing};
use perun_backend_evm::orders::TokenSource;
use perun_backend_evm::rpc::{Node, RpcError};
use perun_backend_evm::{Deployment, Error};
use serde_json::{Value, json};

use crate::kit::{Channel, Faulty, Stage, TestChain, known, look_at, paid, watch};

fn is_unavailable(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_))
}

/// A channel with a registered state, and a follower that has not looked.
fn disputed(stage: &mut Stage) -> (Channel, Follower) {
    let channel = stage.channel(&[(stage.coin(), [100, 0])]);
    stage.fund(&channel, TokenSource::Allowance);
    let signed = stage.signed(&channel, &paid(&channel, 1, 7));
    stage.until_done(0, |desk| desk.register(&channel.params, &signed, &[]));
    let follower = stage.follower(1, &[&channel]);
    (channel, follower)
}

/// What a follower says of its one channel through this node.
fn unread(follower: &mut Follower, node: &Faulty) -> Error {
    let look = follower.look(Node(node)).unwrap();
    assert_eq!(look.reports, [], "nothing is told");
    look.unread.into_iter().next().expect("the channel could not be read").1
}

pub(crate) fn another_chain_is_refused(chain: Arc<dyn TestChain>) {
    let stage = Stage::new(chain);
    let (found, hub) = (stage.deployment.chain(), stage.deployment.hub());
    let other = Deployment::new(1, hub, 0, known());
    assert_eq!(other.check(stage.node()), Err(Error::WrongChain { expected: 1, found }));
}

pub(crate) fn other_code_is_refused(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain);
    let (id, hub) = (stage.deployment.chain(), stage.deployment.hub());
    let nobody = Address::repeat_byte(0x99);
    let none = Deployment::new(id, nobody, 0, known()).check(stage.node());
    assert_eq!(none, Err(Error::NoCode(nobody)));
    let (token, _) = stage.token("StrictToken", 1);
    // The halves that the constructor made are looked at as well.
    for address in [hub.create(1), hub.create(2), hub] {
        let other = Faulty::new(stage.chain.clone(), move |method, params, inner| {
            let is_asked = method == "eth_getCode" && params[0] == json!(address);
            is_asked.then(|| {
                let code = inner.request(method, params.clone())?;
                Ok(format!("{}00", code.as_str().unwrap()).into())
            })
        });
        let refused = stage.deployment.check(Node(&other));
        let is_named =
            matches!(&refused, Err(Error::UnknownCode { address: at, .. }) if *at == address);
        assert!(is_named, "{refused:?}");
    }
    assert_eq!(stage.deployment.check(stage.node()), Ok(()));
    let other = Deployment::new(id, token, 0, known()).check(stage.node());
    assert!(matches!(other, Err(Error::NoCode(_) | Error::UnknownCode { .. })), "{other:?}");
    let unknown = Deployment::new(id, hub, 0, vec![]).check(stage.node());
    assert!(matches!(unknown, Err(Error::UnknownCode { what: "hub", .. })), "{unknown:?}");
}

pub(crate) fn a_node_that_goes_backwards_is_not_believed(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let (_, mut follower) = disputed(&mut stage);
    look_at(&mut follower, stage.node());
    let old = stage.node().head().unwrap().number - 2;
    let behind = Faulty::new(chain, move |method, params, inner| {
        let asks_head = method == "eth_getBlockByNumber" && params[0] == "latest";
        asks_head.then(|| inner.request(method, json!([format!("{old:#x}"), false])))
    });
    let error = follower.look(Node(&behind)).unwrap_err();
    assert!(is_unavailable(&error), "{error:?}");
    assert!(follower.look(stage.node()).unwrap().reports.is_empty(), "what was told stands");
}

/// The record says that something is registered, and the logs are silent.
pub(crate) fn a_node_that_omits_a_log_is_not_believed(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let (channel, mut follower) = disputed(&mut stage);
    let silent =
        Faulty::new(chain, |method, _, _| (method == "eth_getLogs").then_some(Ok(json!([]))));
    assert!(is_unavailable(&unread(&mut follower, &silent)));
    let report = look_at(&mut follower, stage.node());
    assert!(report.head.standing.signed().is_some());

    // It leaves out only the newest, so that an older state seems to stand.
    let newer = stage.signed(&channel, &paid(&channel, 2, 7));
    stage.until_done(1, |desk| desk.register(&channel.params, &newer, &[]));
    let forgetful = Faulty::new(stage.chain.clone(), |method, params, inner| {
        (method == "eth_getLogs").then(|| {
            let mut logs = inner.request(method, params.clone())?;
            let logs_of = logs.as_array_mut().unwrap();
            let newest = logs_of.iter().map(|log| log["blockNumber"].to_string()).max();
            logs_of.retain(|log| Some(log["blockNumber"].to_string()) != newest);
            Ok(logs)
        })
    });
    let mut follower = stage.follower(1, &[&channel]);
    assert!(is_unavailable(&unread(&mut follower, &forgetful)));
    assert_eq!(look_at(&mut follower, stage.node()).head.standing.signed(), Some(newer));
}

pub(crate) fn a_node_that_shows_another_chains_logs_is_not_believed(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let (_, mut follower) = disputed(&mut stage);
    let elsewhere = Faulty::new(chain, |method, params, inner| {
        (method == "eth_getLogs").then(|| {
            let mut logs = inner.request(method, params.clone())?;
            for log in logs.as_array_mut().unwrap() {
                log["blockHash"] = json!(B256::repeat_byte(9));
            }
            Ok(logs)
        })
    });
    assert!(is_unavailable(&unread(&mut follower, &elsewhere)));
}

/// Every spoilt answer is an error; none is another standing.
pub(crate) fn a_node_that_forges_a_state_is_not_believed(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let (channel, _) = disputed(&mut stage);
    let spoils: [fn(&mut Value); 6] = [
        |log| log["address"] = json!(Address::repeat_byte(1)),
        |log| log["topics"][1] = json!(B256::repeat_byte(1)),
        |log| log["removed"] = json!(true),
        |log| log["blockNumber"] = json!("0x7fffffff"),
        // A bit of the state, so that it is not the one that the record names.
        |log| flip(log, 200),
        // The last byte of the signatures.
        |log| flip(log, usize::MAX),
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let mut follower = stage.follower(1, &[&channel]);
        let forger = Faulty::new(chain.clone(), move |method, params, inner| {
            (method == "eth_getLogs").then(|| {
                let mut logs = inner.request(method, params.clone())?;
                let is_registration = |log: &&mut Value| log["data"].as_str().unwrap().len() > 400;
                logs.as_array_mut().unwrap().iter_mut().filter(is_registration).for_each(spoil);
                Ok(logs)
            })
        });
        let look = follower.look(Node(&forger)).unwrap();
        assert_eq!(look.reports, [], "spoil {number}");
        assert_eq!(look.unread.len(), 1, "spoil {number}");
    }
}

/// Flips a bit in a log's data: at this byte, or in the last that is not padding.
fn flip(log: &mut Value, at: usize) {
    let data: alloy_primitives::Bytes = serde_json::from_value(log["data"].clone()).unwrap();
    let mut data = data.to_vec();
    let last = data.iter().rposition(|byte| *byte != 0).unwrap();
    data[at.min(last)] ^= 1;
    log["data"] = json!(alloy_primitives::Bytes::from(data));
}

pub(crate) fn a_node_that_takes_back_what_is_final_is_not_believed(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let channel = stage.channel(&[(stage.coin(), [100, 0])]);
    stage.fund(&channel, TokenSource::Allowance);
    stage.chain.mine(20);
    let table = DepthTable::uniform(Depth::Finalized);
    let mut follower = Follower::new(stage.deployment.clone(), table);
    follower.watch(watch(&channel)).unwrap();
    let report = look_at(&mut follower, stage.node());
    assert!(report.is_settled(), "{report:?}");
    stage.chain.rewind(15);
    stage.chain.mine(30);
    let error = follower.look(stage.node()).unwrap_err();
    assert!(is_unavailable(&error), "{error:?}");
    follower.start_over();
    assert!(look_at(&mut follower, stage.node()).is_settled());
}

pub(crate) fn a_node_that_does_not_answer_reports_nothing(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let (_, mut follower) = disputed(&mut stage);
    for method in ["eth_getBlockByNumber", "eth_call"] {
        let broken = Faulty::without(chain.clone(), method);
        let error = follower.look(Node(&broken)).unwrap_err();
        assert!(matches!(error, Error::Rpc(RpcError::Transport(_))), "{method}: {error:?}");
    }
    let broken = Faulty::without(chain, "eth_getLogs");
    let error = unread(&mut follower, &broken);
    assert!(matches!(error, Error::Rpc(RpcError::Transport(_))), "{error:?}");
    look_at(&mut follower, stage.node());
}

pub(crate) fn a_limit_on_logs_is_halved_until_it_fits(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let (_, mut follower) = disputed(&mut stage);
    stage.chain.mine(300);
    let refused = Arc::new(AtomicU64::new(0));
    let counter = refused.clone();
    let limited = Faulty::new(chain, move |method, params, _| {
        let block = |name: &str| {
            let text = params[0][name].as_str().unwrap_or("0x0");
            u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
        };
        let is_wide = method == "eth_getLogs" && block("toBlock") - block("fromBlock") >= 7;
        is_wide.then(|| {
            counter.fetch_add(1, Ordering::Relaxed);
            let message = "query exceeds max block range".to_owned();
            Err(RpcError::Refused { code: -32_005, message, data: None })
        })
    });
    let report = look_at(&mut follower, Node(&limited));
    assert!(report.head.standing.signed().is_some(), "found 300 blocks back");
    assert!(refused.load(Ordering::Relaxed) >= 4);
}

pub(crate) fn a_cursor_remembers_how_far_was_seen(chain: Arc<dyn TestChain>) {
    let mut stage = Stage::new(chain.clone());
    let (channel, mut follower) = disputed(&mut stage);
    look_at(&mut follower, stage.node());
    let cursor = follower.cursor().unwrap();
    let head = stage.node().head().unwrap();
    assert_eq!(cursor, Cursor { number: head.number, hash: head.hash });
    let resumed = |bytes: &[u8]| {
        let table = DepthTable::uniform(Depth::Blocks(1));
        let mut follower = Follower::resume(stage.deployment.clone(), table, bytes)?;
        follower.watch(watch(&channel))?;
        Ok::<_, Error>(follower)
    };
    let mut after = resumed(&cursor.to_bytes()).unwrap();
    assert_eq!(after.cursor(), Some(cursor), "before it has looked");
    assert!(look_at(&mut after, stage.node()).head.standing.signed().is_some());
    let ahead = Cursor { number: head.number + 1, hash: B256::repeat_byte(1) };
    let mut waits = resumed(&ahead.to_bytes()).unwrap();
    let error = waits.look(stage.node()).unwrap_err();
    assert!(is_unavailable(&error), "the node is not as far as was seen: {error:?}");
    stage.chain.mine(1);
    let report = look_at(&mut waits, stage.node());
    assert!(matches!(report.head.standing, Standing::Registered { .. }));
    assert!(matches!(resumed(&[1, 2, 3]), Err(Error::Cursor)));
}
