//! Inputs that mean nothing, or nearly something: an answer or a refusal, never a stop.

use crate::scene::{self, Scene};
use ckb_types::prelude::*;
use perun_channel::adjudicator::Phase;
use perun_channel::codec::Encode;
use perun_cli::inspect::explain_text;
use perun_cli::programs::Programs;
use perun_cli::text::{hex, screen::Look};
use proptest::prelude::*;

/// Explains, and shows what came of it in both spellings.
fn shown(text: &str) -> String {
    match explain_text(text, &Programs::built_in(), None) {
        Ok(report) => report.text(Look::PLAIN) + &report.json(),
        Err(problem) => problem.to_string(),
    }
}

/// Everything that can be explained, as bytes.
fn samples() -> Vec<Vec<u8>> {
    let (scene, programs) = (Scene::with_token(), Programs::built_in());
    vec![
        scene.state(1).to_bytes(),
        scene.signed(scene.state(2)).to_bytes(),
        scene.setup.params().to_bytes(),
        scene.setup.to_bytes(),
        scene.cell(Phase::Disputed, 1, 1).to_data(),
        scene.register(&programs, 1, 0).to_bytes(),
        scene::witness(&scene.register(&programs, 1, 0)).to_vec(),
        scene::registration(&scene, &programs).data().as_slice().to_vec(),
    ]
}

#[test]
fn every_prefix_of_everything_is_answered() {
    for sample in samples() {
        for length in 0..sample.len() {
            assert!(!shown(&hex::full(&sample[..length])).is_empty());
        }
    }
}

#[test]
fn json_that_is_no_transaction_says_what_was_expected() {
    for json in ["{}", "[]", "[[[[[[1]]]]]]", r#"{"result":null}"#, r#"{"params":[{}]}"#] {
        assert!(shown(json).contains("holds no transaction"), "{json}");
    }
    let json = r#"{"inputs":[],"witnesses":[]}"#;
    assert!(shown(json).contains("looks like a transaction"), "{}", shown(json));
    let json = r#"{"output":{"capacity":"0x1"},"output_data":"0x00"}"#;
    assert!(shown(json).contains("looks like a cell"), "{}", shown(json));
}

#[test]
fn a_transaction_that_fits_in_no_block_is_refused() {
    let tx = scene::registration(&Scene::with_token(), &Programs::built_in());
    let large = ckb_types::bytes::Bytes::from(vec![0; 600_000]);
    let tx = tx.as_advanced_builder().witness(large.pack()).build();
    assert!(
        shown(&hex::full(tx.data().as_slice())).contains("no block has room for more than 600000")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_stop_it(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(!shown(&hex::full(&bytes)).is_empty());
    }

    #[test]
    fn no_text_stops_it(text: String) {
        prop_assert!(!shown(&text).is_empty());
    }

    #[test]
    fn damaged_values_do_not_stop_it(which in 0..8_usize, at: proptest::sample::Index, to: u8) {
        let mut sample = samples().swap_remove(which);
        let at = at.index(sample.len());
        sample[at] = to;
        prop_assert!(!shown(&hex::full(&sample)).is_empty());
    }
}
