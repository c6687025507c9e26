//! A channel's life on the embedded chain, explained at every stop with what the node knows.

use crate::scene::{CHALLENGE, CKB, Ledger, Scene, lock, payment};
use ckb_types::bytes::Bytes;
use ckb_types::core::TransactionView;
use ckb_types::packed::OutPoint;
use ckb_types::prelude::*;
use perun_backend_ckb::rpc::{DevControl, Rpc};
use perun_channel::adjudicator::{Action, Phase, StateBody};
use perun_cli::inspect::{Node, explain_text};
use perun_cli::problem::Problem;
use perun_cli::text::hex;
use perun_embedded_ckb::testkit::plain;
use serde_json::Value;

const PAYEES: [u8; 2] = [0xa1, 0xb2];

fn explain(ledger: &Ledger, text: &str) -> Result<Value, Problem> {
    let node = Node { rpc: &ledger.chain, url: "the test's" };
    let report = explain_text(text, &ledger.programs, Some(&node))?;
    Ok(serde_json::from_str(&report.json()).unwrap())
}

fn explain_tx(ledger: &Ledger, tx: &TransactionView) -> Value {
    explain(ledger, &hex::full(tx.hash().as_slice())).unwrap()
}

/// Opens a channel of coins.
fn opened(ledger: &Ledger) -> (Scene, TransactionView) {
    let first = ckb_types::packed::CellInput::new(ledger.money().out_point, 0);
    let locks = PAYEES.map(|name| lock(name).calc_script_hash().into());
    let scene = Scene::of_coins(first.as_slice().try_into().unwrap(), &locks);
    let body = StateBody::of(&scene.state(0));
    let create = Action::Create { setup: scene.setup.clone(), body };
    let data = Bytes::from(scene.cell(Phase::Open, 0, 0).to_data());
    let output = scene.output(&ledger.programs, scene.capacity());
    let tx = ledger.send(&[], vec![(output, data)], &[create]);
    (scene, tx)
}

fn registered(ledger: &Ledger, scene: &Scene, open: &TransactionView) -> TransactionView {
    let output = scene.output(&ledger.programs, scene.capacity());
    let data = Bytes::from(scene.cell(Phase::Disputed, 0b100, 7).to_data());
    let spent = (OutPoint::new(open.hash(), 0), 0, scene.capacity());
    let action = scene.register(&ledger.programs, 7, 1);
    ledger.send(&[spent], vec![(output, data)], &[action])
}

/// Pays this much to the first payee and the rest to the second.
fn concluding(
    ledger: &Ledger,
    scene: &Scene,
    from: &TransactionView,
    first: u64,
) -> TransactionView {
    let since = 0xc0 << 56 | CHALLENGE;
    let spent = (OutPoint::new(from.hash(), 0), since, scene.capacity());
    let amounts = [first, scene.capacity() - first];
    let outputs = PAYEES.iter().zip(amounts);
    let outputs = outputs.map(|(name, amount)| (plain(lock(*name), amount), Bytes::new()));
    let body = StateBody::of(&scene.state(7));
    let action = Action::Conclude { setup: scene.setup.clone(), body, decision: None };
    ledger.transaction(&[spent], outputs.collect(), &[action])
}

#[test]
fn a_committed_creation_is_accepted_with_its_fee() {
    let ledger = Ledger::new();
    let (scene, tx) = opened(&ledger);
    let json = explain_tx(&ledger, &tx);
    assert_eq!(json["verdict"]["accepted"], true, "{json}");
    assert_eq!(json["fee"], "100000");
    assert_eq!(json["status"], "committed");
    let channel = &json["channels"][0];
    assert_eq!(channel["action"], "create");
    assert_eq!(channel["channel"], scene.setup.id().to_string());
    assert_eq!(channel["phase"]["after"], "open");
}

#[test]
fn an_open_channel_is_found_by_its_id() {
    let ledger = Ledger::new();
    let (scene, tx) = opened(&ledger);
    let by_id = explain(&ledger, &scene.setup.id().to_string()).unwrap();
    let by_place = explain(&ledger, &format!("{}:0", hex::full(tx.hash().as_slice()))).unwrap();
    assert_eq!(by_id, by_place);
    assert_eq!(by_id["phase"], "open");
    assert_eq!(by_id["live"], true);
    assert_eq!(by_id["capacity"], scene.capacity().to_string());
    assert_eq!(by_id["setup"]["challenge_secs"], CHALLENGE);
}

#[test]
fn a_disputed_channel_tells_how_long_until_it_can_be_concluded() {
    let ledger = Ledger::new();
    let (scene, open) = opened(&ledger);
    let tx = registered(&ledger, &scene, &open);
    let json = explain_tx(&ledger, &tx);
    assert_eq!(json["verdict"]["accepted"], true, "{json}");
    assert_eq!(json["channels"][0]["slot"]["participant"], 1);
    assert_eq!(json["channels"][0]["signers"][1]["what"], "registration");
    assert!(
        json["channels"][0]["signers"].as_array().unwrap().iter().all(|it| it["valid"] == true)
    );

    let id = scene.setup.id().to_string();
    let cell = explain(&ledger, &id).unwrap();
    let left = cell["ready_in_secs"].as_u64().unwrap();
    // The median lags behind the block that registered by some blocks of one second.
    assert!((CHALLENGE..CHALLENGE + 40).contains(&left), "{left}");
    let early = concluding(&ledger, &scene, &tx, 204 * CKB);
    assert!(ledger.chain.send_transaction(&early).is_err());
    ledger.chain.advance(left).unwrap();
    assert_eq!(explain(&ledger, &id).unwrap()["ready_in_secs"], 0);
    ledger.chain.send_transaction(&early).unwrap();
}

#[test]
fn a_conclusion_shows_what_is_owed_and_who_gets_what() {
    let ledger = Ledger::new();
    let (scene, open) = opened(&ledger);
    let tx = registered(&ledger, &scene, &open);
    // 100 − 7 CKB of coins and 111 CKB of reserve.
    let json = concluded(&ledger, &concluding(&ledger, &scene, &tx, 204 * CKB));
    assert_eq!(json["verdict"]["accepted"], true, "{json}");
    assert_eq!(json["channels"][0]["owed"][0]["capacity"], (204 * CKB).to_string());
    assert_eq!(json["payouts"][0]["capacity_out"], (204 * CKB).to_string());
    assert_eq!(json["channels"][0]["phase"]["after"], Value::Null);
}

#[test]
fn a_theft_is_refused_with_the_rule_that_it_breaks() {
    let ledger = Ledger::new();
    let (scene, open) = opened(&ledger);
    let tx = registered(&ledger, &scene, &open);
    let json = concluded(&ledger, &concluding(&ledger, &scene, &tx, 203 * CKB));
    assert_eq!(json["verdict"]["accepted"], false);
    assert_eq!(json["verdict"]["code"], 50);
    assert!(json["verdict"]["text"].as_str().unwrap().contains("a payee gets less"));
}

/// Explains a transaction that nobody has sent, with the node's knowledge of its inputs.
fn concluded(ledger: &Ledger, tx: &TransactionView) -> Value {
    explain(ledger, &hex::full(tx.data().as_slice())).unwrap()
}

#[test]
fn a_payment_touches_no_channel_and_gets_no_verdict() {
    let ledger = Ledger::new();
    let tx = payment(&ledger);
    let json = explain(&ledger, &hex::full(tx.data().as_slice())).unwrap();
    assert_eq!(json["channel_count"], 0);
    assert_eq!(json["verdict"], Value::Null);
}

#[test]
fn the_first_transaction_of_the_chain_is_explained_however_long_it_is() {
    let ledger = Ledger::new();
    let tx = ledger.genesis.block().transactions()[0].clone();
    let json = explain_tx(&ledger, &tx);
    assert_eq!(json["status"], "committed", "{json}");
    assert_eq!(json["impossible"], Value::Null);
    assert_eq!(json["fee"], Value::Null);
    let long = Bytes::from(vec![0; 700_000]);
    let tx = payment(&ledger).as_advanced_builder().output_data(long.pack()).build();
    let problem = explain(&ledger, &hex::full(tx.data().as_slice())).unwrap_err();
    assert!(problem.to_string().contains("no block has room"), "{problem}");
}

#[test]
fn what_no_node_takes_is_called_impossible() {
    let ledger = Ledger::new();
    let tx = payment(&ledger);
    let explained = |tx: &TransactionView| concluded(&ledger, tx);
    assert_eq!(explained(&tx)["impossible"], Value::Null);
    let rich = plain(lock(9), u64::MAX);
    let rich = tx.as_advanced_builder().output(rich).output_data(Bytes::new().pack()).build();
    let json = explained(&rich);
    assert_eq!(json["fee"], Value::Null);
    let flaws =
        serde_json::json!(["makes more than it spends", "makes more CKB than there can be"]);
    assert_eq!(json["impossible"], flaws);
    let input = tx.inputs().get(0).unwrap();
    let twice = explained(&tx.as_advanced_builder().input(input).build());
    assert_eq!(twice["impossible"], serde_json::json!(["spends one cell twice"]));
    let none = explained(&tx.as_advanced_builder().set_inputs(vec![]).build());
    assert_eq!(none["impossible"][0], "spends nothing");
}

#[test]
fn names_that_nobody_knows_are_said_to_be_unknown() {
    let ledger = Ledger::new();
    for name in [hex::full(&[0xab; 32]), format!("{}:0", hex::full(&[0xab; 32]))] {
        let problem = explain(&ledger, &name).unwrap_err();
        assert!(matches!(problem, Problem::Unknown { .. }), "{problem}");
    }
}
