//! What `perun inspect` says: fixed inputs against fixed texts, a channel's life on a chain, and
//! garbage.
//!
//! The texts are in `golden`. After a wanted change, run the tests with `PERUN_UPDATE_GOLDEN=1` and
//! read the difference before it is committed.

mod chain;
mod garbage;
mod scene;

use ckb_types::prelude::*;
use perun_channel::adjudicator::{Action, ChannelCell, Decision, Phase, StateBody};
use perun_channel::codec::Encode;
use perun_cli::inspect::explain_text;
use perun_cli::programs::Programs;
use perun_cli::report::Report;
use perun_cli::text::{hex, screen::Look};
use scene::Scene;

fn explain(text: &str) -> Report {
    explain_text(text, &Programs::built_in(), None).unwrap_or_else(|problem| panic!("{problem}"))
}

fn explain_bytes(value: &impl Encode) -> Report {
    explain(&hex::full(&value.to_bytes()))
}

/// Compares what people and what programs see with the committed texts.
fn golden(name: &str, report: &Report, changing: &[(String, &str)]) {
    let mut text = format!("{}\n{}\n", report.text(Look::PLAIN), report.json());
    for (found, placeholder) in changing {
        text = text.replace(found, placeholder);
    }
    let path = format!("{}/tests/inspect/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("PERUN_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name} is not what {path} says");
}

#[test]
fn a_state_is_shown_with_all_its_fields() {
    let state = Scene::with_token().state(3).finalized();
    golden("state", &explain_bytes(&state), &[]);
}

#[test]
fn a_signed_state_names_who_signed() {
    let scene = Scene::with_token();
    let report = explain_bytes(&scene.signed(scene.state(3)));
    let json = report.json();
    for party in 0..2 {
        assert!(json.contains(&scene::address(party).to_string()));
    }
    golden("signed-state", &report, &[]);
}

#[test]
fn a_state_with_too_few_signatures_is_called_so() {
    let scene = Scene::with_token();
    let mut bytes = scene.signed(scene.state(3)).to_bytes();
    bytes.truncate(bytes.len() - 65);
    let count = bytes.len() - 65 - 1;
    bytes[count] = 1;
    assert!(explain(&hex::full(&bytes)).text(Look::PLAIN).contains("1 of 2 signatures"));
}

#[test]
fn parameters_and_setups_are_shown_with_their_participants() {
    let scene = Scene::with_token();
    golden("params", &explain_bytes(scene.setup.params()), &[]);
    golden("setup", &explain_bytes(&scene.setup), &[]);
}

#[test]
fn the_marks_of_a_cell_are_told_by_its_phase() {
    let scene = Scene::with_token();
    let cases = [
        (Phase::Funding, 0b01, "participant 0"),
        (Phase::Open, 0, "none"),
        (
            Phase::Disputed,
            0b1001,
            "participant 0, its own right (slot 0) and participant 1, its delegate's right (slot 3)",
        ),
        (Phase::Concluded, 0b10, "row 1"),
    ];
    for (phase, marks, words) in cases {
        let report = explain(&hex::full(&scene.cell(phase, marks, 4).to_data()));
        let text = report.text(Look::PLAIN);
        assert!(text.contains(words), "{words} is not in:\n{text}");
    }
    let report = explain(&hex::full(&scene.cell(Phase::Disputed, 0b1001, 4).to_data()));
    golden("channel-cell", &report, &[]);
}

#[test]
fn a_claim_is_told_by_the_cell_and_by_the_action() {
    let scene = Scene::with_token();
    let mut cell = scene.cell(Phase::Concluded, 0b10, 4);
    let told = |cell: &ChannelCell| explain(&hex::full(&cell.to_data())).text(Look::PLAIN);
    assert!(!told(&cell).contains("claimed"));
    cell.claimed = true;
    assert!(told(&cell).contains("claimed: its legs move"), "{}", told(&cell));
    let report = |decision| {
        let (setup, body) = (scene.setup.clone(), StateBody::of(&scene.state(4)));
        explain_bytes(&Action::Conclude { setup, body, decision }).text(Look::PLAIN)
    };
    let claim = report(Some(Decision::Claim([0x5e; 32])));
    assert!(claim.contains("claimed") && claim.contains(&"5e".repeat(32)), "{claim}");
    assert!(report(Some(Decision::Refund)).contains("lapsed"));
    assert!(!report(None).contains("swap"));
}

#[test]
fn a_registration_is_explained_without_a_node() {
    let (scene, programs) = (Scene::with_token(), Programs::built_in());
    let tx = scene::registration(&scene, &programs);
    let hash = hex::full(tx.hash().as_slice());
    let json = serde_json::to_string(&ckb_jsonrpc_types::TransactionView::from(tx)).unwrap();
    // The hash of a transaction changes with the scripts; nothing else of the text does.
    golden("registration", &explain(&json), &[(hash, "HASH")]);
}

#[test]
fn a_transaction_is_found_in_requests_replies_and_bytes() {
    let (scene, programs) = (Scene::with_token(), Programs::built_in());
    let tx = scene::registration(&scene, &programs);
    let json: ckb_jsonrpc_types::Transaction = tx.data().into();
    let view = ckb_jsonrpc_types::TransactionView::from(tx.clone());
    let wrapped = [
        serde_json::json!(json),
        serde_json::json!({ "method": "send_transaction", "params": [json, "passthrough"] }),
        serde_json::json!({ "result": { "transaction": view, "tx_status": { "status": "pending" } } }),
        serde_json::json!({ "result": { "transaction": hex::full(tx.data().as_slice()) } }),
        serde_json::json!(hex::full(tx.data().as_slice())),
    ];
    let expected = explain(&wrapped[0].to_string());
    assert!(expected.json().contains("\"register\""));
    for wrapped in wrapped {
        assert_eq!(explain(&wrapped.to_string()), expected, "{wrapped}");
    }
}

#[test]
fn a_signature_of_somebody_else_is_called_so() {
    let (scene, programs) = (Scene::with_token(), Programs::built_in());
    // Signed for the first party's slot, handed in for the second's.
    let other = scene.register(&programs, 3, 0);
    let Action::Register { setup, body, signatures, .. } = other else {
        panic!("a registration is a registration");
    };
    let slot = perun_channel::adjudicator::Slot::from_number(2);
    let action = Action::Register { setup, body, slot, signatures };
    let tx = scene::registration(&scene, &programs).as_advanced_builder();
    let tx = tx.set_witnesses(vec![scene::witness(&action).pack()]);
    let text = explain(&hex::full(tx.build().data().as_slice())).text(Look::PLAIN);
    assert_eq!(text.matches("NOT its signature").count(), 2, "{text}");
}

#[test]
fn a_cell_with_an_impossible_capacity_is_refused() {
    let cell = hex::full(&Scene::with_token().cell(Phase::Open, 0, 4).to_data());
    for capacity in ["0xffffffffffffffffff", "12", "0x"] {
        let json = serde_json::json!({ "output": { "capacity": capacity }, "output_data": cell });
        let problem = explain_text(&json.to_string(), &Programs::built_in(), None).unwrap_err();
        assert!(problem.to_string().contains("its capacity is no number of 64 bits"), "{problem}");
    }
}

#[test]
fn an_action_alone_says_what_it_cannot_know() {
    let scene = Scene::with_token();
    let action = scene.register(&Programs::built_in(), 3, 1);
    let from_witness = explain(&hex::full(&scene::witness(&action)));
    assert_eq!(from_witness, explain_bytes(&action));
    let text = from_witness.text(Look::PLAIN);
    assert!(text.contains("hand in the whole one"), "{text}");
}
