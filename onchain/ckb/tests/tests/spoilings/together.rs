//! Channels in company: cooperative spends and batches.

use perun_channel::adjudicator::{Code, Phase};
use perun_onchain_tests::spoil::{refused, scratch};
use perun_onchain_tests::story::{Stands, Story, own, stranger};
use perun_onchain_tests::{At, CKB, CellSketch, Channel, ConsentKind, Sketch, Terms, token_named};

use crate::{disputed, later, pair, spoilings};

const SPENT: At = At::Spent(0);
use ConsentKind::{Presence, Shared, Signature};

fn agreeing(channel: &Channel, kinds: &[ConsentKind]) -> Story {
    let mut story = Story::default();
    story.agree(channel, &Stands::open(channel), kinds);
    story.pay_out(channel, &channel.initial());
    story.submitted()
}

/// Two channels of one hub, party 0, whose one signature serves both.
fn hub() -> Story {
    let (one, two) = (Terms::of("hub", 2).living("one"), Terms::of("hub", 2).living("two"));
    let mut story = Story::default();
    story.agree(&one, &Stands::open(&one), &[Signature, Signature]);
    story.agree(&two, &Stands::open(&two), &[Shared, Signature]);
    story.submitted()
}

/// The same transaction with a change that was made after the consents.
fn after_consent(change: impl FnOnce(&mut Sketch)) -> Sketch {
    let mut sketch = Sketch::from(agreeing(&pair(), &[Signature, Signature]));
    change(&mut sketch);
    sketch
}

spoilings! {
    /// I13: consent is to this very transaction.
    consent_to_a_transaction_with_other_outputs is WrongSigner {
        after_consent(|sketch| sketch.outputs[0].capacity -= 1)
    }
    consent_to_a_transaction_with_another_input is WrongSigner {
        after_consent(|sketch| sketch.inputs[1].from[0] ^= 1)
    }
    consent_to_a_transaction_with_another_since is WrongSigner {
        after_consent(|sketch| sketch.inputs[0].since = 1)
    }
    consent_to_another_order_of_outputs is WrongSigner {
        after_consent(|sketch| sketch.outputs.swap(0, 1))
    }
    a_consent_too_few is SignatureCount { agreeing(&pair(), &[Signature]) }
    a_consent_too_many is SignatureCount {
        let mut sketch = Sketch::from(agreeing(&pair(), &[Signature, Signature]));
        scratch(&mut sketch, SPENT, |bytes| {
            let count = bytes.len() - 2 * 66 - 1;
            bytes[count] = 3;
            let last = bytes[bytes.len() - 66..].to_vec();
            bytes.extend(last);
        });
        sketch
    }
    no_consent_at_all is SignatureCount { agreeing(&pair(), &[]) }
    a_shared_consent_that_nobody_gave is Consent { agreeing(&pair(), &[Shared, Signature]) }
    a_consent_shared_with_an_earlier_channel_only is Consent {
        // The signature stands behind the channel that wants to share it.
        let mut story = hub();
        story.draft.inputs.swap(0, 1);
        for act in &mut story.draft.acts {
            act.at = if act.at == SPENT { At::Spent(1) } else { SPENT };
        }
        story
    }
    a_consent_shared_by_somebody_else is Consent {
        let (one, two) = (Terms::of("hub", 2).living("one"), Terms::of("mallory", 2).living("two"));
        let mut story = Story::default();
        story.agree(&two, &Stands::open(&two), &[Signature, Signature]);
        story.agree(&one, &Stands::open(&one), &[Signature, Shared]);
        story.submitted()
    }
    presence_that_was_not_allowed is Consent {
        let channel = pair();
        let mut story = agreeing(&channel, &[Signature, Presence]);
        story.add_input(100 * CKB, &channel.parties[1].owner);
        story
    }
    presence_of_nobody is Consent {
        let mut terms = Terms::of("alice", 2);
        terms.parties[1].by_presence = true;
        agreeing(&terms.living("present"), &[Signature, Presence])
    }
    presence_of_the_payout_lock_only is Consent {
        let mut terms = Terms::of("alice", 2);
        terms.parties[1].by_presence = true;
        terms.parties[1].payout = stranger();
        let mut story = agreeing(&terms.living("present"), &[Signature, Presence]);
        story.add_input(100 * CKB, &stranger());
        story
    }
    presence_of_the_other_owner is Consent {
        let mut terms = Terms::of("alice", 2);
        terms.parties[1].by_presence = true;
        let channel = terms.living("present");
        let mut story = agreeing(&channel, &[Signature, Presence]);
        story.add_input(100 * CKB, &channel.parties[0].owner);
        story
    }
    a_state_signature_in_the_place_of_a_consent is WrongSigner {
        let channel = pair();
        let mut sketch = Sketch::from(agreeing(&channel, &[Signature, Signature]));
        let signed = *channel.sign(&channel.initial())[1].as_bytes();
        scratch(&mut sketch, SPENT, |bytes| {
            let start = bytes.len() - 65;
            bytes[start..].copy_from_slice(&signed);
        });
        sketch
    }
    consents_in_the_wrong_order is WrongSigner {
        let mut sketch = Sketch::from(agreeing(&pair(), &[Signature, Signature]));
        scratch(&mut sketch, SPENT, |bytes| {
            let start = bytes.len() - 2 * 66;
            bytes[start..].rotate_left(66);
        });
        sketch
    }
    /// Not even everybody together can rewrite a channel cell in place.
    a_cooperative_spend_that_keeps_the_id is WrongAction {
        let channel = pair();
        let mut story = agreeing(&channel, &[Signature, Signature]);
        story.draft.make(channel.cell(Phase::Open, 0, &channel.initial()));
        story
    }
    a_successor_that_is_not_created_by_the_rules is ChannelCapacity {
        let channel = pair();
        let mut story = Story::default();
        story.agree(&channel, &Stands::open(&channel), &[Signature, Signature]);
        story.create(&Terms::of("alice", 2), None);
        story.draft.outputs[0].capacity -= 1;
        story.submitted()
    }
    /// I13: the others of the transaction stay under the payout rule.
    a_settlement_beside_a_cooperative_spend is Underpaid {
        let (agreed, victim) = (Terms::of("mallory", 2).living("agreed"), pair());
        let mut story = Story::default();
        story.agree(&agreed, &Stands::open(&agreed), &[Signature, Signature]);
        story.conclude(&victim, &disputed(&victim), 0);
        let lock = victim.parties[1].payout.clone();
        story.draft.outputs.retain(|cell| cell.lock != lock);
        story.submitted()
    }
    one_bad_channel_in_a_batch is Since {
        let (one, two) = (pair(), Terms::of("bob", 2).living("two"));
        let mut story = Story::default();
        story.conclude(&one, &disputed(&one), 0);
        story.conclude(&two, &disputed(&two), 0);
        story.draft.inputs[1].since = 0;
        story.submitted()
    }
    /// W30, I9: the rules are fixed by data hash; a channel of other rules is not ours to settle.
    w30_a_channel_under_other_rules_in_the_same_transaction is OtherContract {
        let mut story = Story::default();
        let (one, two) = (pair(), Terms::of("bob", 2).living("two"));
        story.conclude(&one, &disputed(&one), 0);
        let mut foreign = two.cell(Phase::Disputed, 1, &later(&two, 3));
        foreign.kind = Some(token_named("the next version of this script"));
        foreign.lock = stranger();
        story.draft.spend(foreign, 0);
        story.submitted()
    }
    evidence_exchanged_between_two_channels is ChannelId {
        let (one, two) = (pair(), Terms::of("bob", 2).living("two"));
        let mut story = Story::default();
        story.conclude(&one, &disputed(&one), 0);
        story.conclude(&two, &disputed(&two), 0);
        story.draft.acts[0].at = At::Spent(1);
        story.draft.acts[1].at = SPENT;
        story.submitted()
    }
    vaults_exchanged_between_two_channels is VaultInputs {
        // Equal amounts under the other's lock.
        let terms = Terms::of("alice", 2).with_tokens(&["a"]);
        let (one, two) = (terms.living("one"), terms.living("two"));
        let mut story = Story::default();
        story.conclude(&one, &disputed(&one), 0);
        story.register(&two, &Stands::open(&two), &later(&two, 2), own(0));
        story.draft.inputs[1].cell = two.vaults(3).remove(0);
        story.submitted()
    }
}

/// The tricks of the double-satisfaction attack on three channels of one payee.
const TRICKS: [&str; 4] = ["one output", "own cell", "poison", "foreign change"];

/// Three settlements that owe the same payee, honest but for the tricks named.
fn three_channels(tricks: &[&str]) -> Story {
    let plays = |trick: &str| tricks.contains(&trick);
    let channels: Vec<Channel> = ["m", "n", "o"]
        .iter()
        .map(|peer| {
            let mut terms = Terms::of(peer, 2);
            terms.parties[0] = perun_onchain_tests::Party::named("victim");
            terms.living(peer)
        })
        .collect();
    let mut story = Story::default();
    story.conclude(&channels[0], &disputed(&channels[0]), 0);
    let last = later(&channels[1], 9).finalized();
    story.close(&channels[1], &Stands::open(&channels[1]), &last, 0);
    story.conclude(&channels[2], &disputed(&channels[2]), 0);
    let victim = channels[0].parties[0].payout.clone();
    let mine: Vec<usize> = (0..story.draft.outputs.len())
        .filter(|index| story.draft.outputs[*index].lock == victim)
        .collect();
    assert_eq!(mine.len(), 3);
    if plays("own cell") {
        // An anyone-can-pay cell of the payee, given back whole: it looks like a payment.
        story.add_input(700 * CKB, &victim);
        story.draft.outputs[mine[1]].capacity -= 700 * CKB;
        story.draft.make(CellSketch::plain(700 * CKB, victim.clone()));
    }
    if plays("poison") {
        let cell = &mut story.draft.outputs[mine[2]];
        cell.kind = Some(token_named("poison"));
        cell.data = vec![0; 16];
    }
    if plays("foreign change") {
        // The change of somebody else's deal with the payee is passed off as part of a payout.
        story.add_input(300 * CKB, &stranger());
        story.draft.make(CellSketch::plain(300 * CKB, victim.clone()));
        story.draft.outputs[mine[1]].capacity -= 300 * CKB + 1;
    }
    if plays("one output") {
        story.draft.outputs.remove(mine[0]);
    }
    story.submitted()
}

#[test]
fn w02_three_channels_paid_honestly_are_accepted() {
    assert_eq!(three_channels(&[]).trial().verdict, Ok(()));
}

#[test]
fn w02_three_channels_of_one_payee_and_every_trick_alone() {
    for trick in TRICKS {
        let code = if trick == "poison" { Code::OtherContract } else { Code::Underpaid };
        refused(three_channels(&[trick]), code);
    }
}

#[test]
fn w02_three_channels_of_one_payee_and_all_tricks_together() {
    for skipped in TRICKS {
        let tricks: Vec<&str> = TRICKS.into_iter().filter(|trick| *trick != skipped).collect();
        let poisoned = tricks.contains(&"poison");
        let code = if poisoned { Code::OtherContract } else { Code::Underpaid };
        refused(three_channels(&tricks), code);
    }
    refused(three_channels(&TRICKS), Code::OtherContract);
}

/// A poison without a type of its own: data in the cell.
#[test]
fn w02_three_channels_and_a_cell_with_data() {
    let mut story = three_channels(&[]);
    let victim = perun_onchain_tests::lock_named("victim");
    let cells = &mut story.draft.outputs;
    cells.iter_mut().find(|cell| cell.lock == victim).unwrap().data = vec![1];
    refused(story, Code::Underpaid);
}

/// I1, I9: what one channel's participants sign moves no other channel.
#[test]
fn a_hub_signs_once_for_all_its_channels() {
    assert_eq!(hub().trial().verdict, Ok(()));
}
