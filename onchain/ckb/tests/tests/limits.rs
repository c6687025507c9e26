//! I14: however large or odd a transaction is, the scripts end with a code. And the envelope of
//! witnesses is the chain's own.

use ckb_types::packed;
use ckb_types::prelude::{Entity, Reader};
use perun_channel::adjudicator::{Code, MAX_CELLS, WitnessArgs, WitnessField};
use perun_onchain_tests::spoil::refused;
use perun_onchain_tests::story::{Stands, Story, own};
use perun_onchain_tests::{At, CKB, CellSketch, Draw, Terms, lock_named};

fn registering() -> Story {
    let channel = Terms::of("alice", 2).living("a channel");
    let mut story = Story::default();
    story.register(&channel, &Stands::open(&channel), &channel.initial(), own(0));
    story.submitted()
}

/// Registers beside so many cells with data that the transaction has `count` inputs.
fn with_inputs(count: usize) -> Story {
    let mut story = registering();
    while story.draft.inputs.len() < count {
        let plain = CellSketch::plain(300 * CKB, lock_named("somebody"));
        story.draft.spend(CellSketch { data: vec![1; 200], ..plain }, 0);
    }
    story
}

fn with_outputs(count: usize) -> Story {
    let mut story = registering();
    while story.draft.outputs.len() < count {
        story.draft.make(CellSketch::plain(300 * CKB, lock_named("somebody")));
    }
    story
}

#[test]
fn as_many_cells_as_are_judged() {
    assert_eq!(with_inputs(MAX_CELLS).trial().verdict, Ok(()));
    assert_eq!(with_outputs(MAX_CELLS).trial().verdict, Ok(()));
}

#[test]
fn one_cell_more_than_is_judged() {
    refused(with_inputs(MAX_CELLS + 1), Code::TooManyCells);
    refused(with_outputs(MAX_CELLS + 1), Code::TooManyCells);
}

#[test]
fn four_thousand_cells_do_not_exhaust_the_memory() {
    refused(with_inputs(4_000), Code::TooManyCells);
}

#[test]
fn nine_hundred_cells_under_the_vault_lock() {
    let channel = Terms::of("alice", 2).living("a channel");
    let mut story = Story::default();
    let kinds = [perun_onchain_tests::ConsentKind::Signature; 2];
    story.agree(&channel, &Stands::open(&channel), &kinds);
    for index in 0..900 {
        story.draft.spend(CellSketch::plain((100 + index) * CKB, channel.lock()), 0);
    }
    assert_eq!(story.submitted().trial().verdict, Ok(()));
}

#[test]
fn the_largest_witness() {
    for size in [1_000, 100_000, 500_000] {
        let mut story = registering();
        story.scratch(At::Spent(0), |bytes| bytes.resize(size, 0));
        refused(story, Code::Witness);
    }
}

#[test]
fn the_largest_state() {
    let channel = Terms::of("alice", 16).living("wide");
    let mut story = Story::default();
    story.register(&channel, &Stands::open(&channel), &channel.initial(), own(0));
    story.change(At::Spent(0), |action| {
        let body = perun_onchain_tests::spoil::body_of(action);
        body.data = vec![7; perun_channel::MAX_DATA];
    });
    refused(story, Code::Swap);
}

/// What the chain's strict reader refuses carries nothing for us, and the other way round.
#[test]
fn the_envelope_is_the_chain_s_own() {
    let mut draw = Draw::new(7);
    let (mut sound, mut odd) = (0, 0);
    for _ in 0..20_000 {
        let mut part = || draw.one_in(2).then(|| draw.bytes(6));
        let envelope = WitnessArgs { lock: part(), input_type: part(), output_type: part() };
        let mut bytes = envelope.serialize();
        if draw.one_in(3) {
            let position = draw.below(bytes.len());
            bytes[position] = [0, 1, 4, 6, 10, 16, 20, 26, 0xff][draw.below(9)];
        }
        if draw.one_in(6) {
            bytes.truncate(draw.below(bytes.len() + 1));
        }
        match packed::WitnessArgsReader::from_slice(&bytes) {
            Ok(reader) => {
                sound += 1;
                let theirs = [reader.lock(), reader.input_type(), reader.output_type()]
                    .map(|field| field.to_opt().map(|bytes| bytes.raw_data().to_vec()));
                let fields =
                    [WitnessField::Lock, WitnessField::InputType, WitnessField::OutputType];
                let ours =
                    fields.map(|field| WitnessArgs::field(&bytes, field).map(<[u8]>::to_vec));
                assert_eq!(ours, theirs, "{bytes:?}");
                assert_eq!(packed::WitnessArgs::from_slice(&bytes).unwrap().as_slice(), bytes);
            }
            Err(_) => {
                odd += 1;
                for field in [WitnessField::Lock, WitnessField::InputType, WitnessField::OutputType]
                {
                    assert_eq!(WitnessArgs::field(&bytes, field), None, "{bytes:?}");
                }
            }
        }
    }
    assert!(sound > 1_000 && odd > 1_000, "{sound} sound, {odd} odd");
}
