//! Registration: what a dispute may change, who may carry it on, and how often.

use perun_channel::Version;
use perun_channel::adjudicator::{Action, Phase, Slot, SlotKind};
use perun_onchain_tests::story::{Stands, Story, delegate, own};
use perun_onchain_tests::{At, CKB, CellSketch, Channel, Terms, relative_seconds};

use crate::{closing, disputed, later, pair, refuting, registering, spoilings, tokens};

const SPENT: At = At::Spent(0);

/// A registration of `state` by `slot`, on a dispute of version 3 in which party 0 used its own
/// slot.
fn through(version: u64, slot: Slot) -> Story {
    let channel = pair();
    let mut story = Story::default();
    story.register(&channel, &disputed(&channel), &later(&channel, version), slot);
    story.submitted()
}

fn from_open(version: u64, slot: Slot) -> Story {
    let channel = pair();
    let mut story = Story::default();
    story.register(&channel, &Stands::open(&channel), &later(&channel, version), slot);
    story.submitted()
}

spoilings! {
    /// W7, I4: a dispute goes on only with a newer state, so its clock ends.
    w07_the_same_version_again is NotNewer { through(3, own(1)) }
    w07_another_state_of_the_same_version is NotNewer {
        let channel = pair();
        let mut story = Story::default();
        let state = channel.state(3, &channel.opening);
        story.register(&channel, &disputed(&channel), &state, own(1));
        story.submitted()
    }
    an_older_version is NotNewer { through(2, own(1)) }
    version_zero_again_in_a_dispute is NotNewer { through(0, own(1)) }
    another_version_zero_from_open is NotNewer {
        let channel = pair();
        let mut story = Story::default();
        let mut balances = channel.opening.clone();
        balances.swap(0, 1);
        balances[0] += 1;
        balances[1] -= 1;
        let state = channel.state(0, &balances);
        story.register(&channel, &Stands::open(&channel), &state, own(0));
        story.submitted()
    }
    /// P-L3: each slot once in a dispute.
    a_slot_used_twice is SlotUsed { through(4, own(0)) }
    a_delegates_slot_used_twice is SlotUsed {
        let channel = pair();
        let mut story = Story::default();
        let stands = Stands::disputed(&later(&channel, 3), &[own(0), delegate(1)]);
        story.register(&channel, &stands, &later(&channel, 5), delegate(1));
        story.submitted()
    }
    a_slot_of_nobody is SlotUnknown {
        let mut story = refuting(&pair());
        story.change(SPENT, |action| {
            if let Action::Register { slot, .. } = action {
                *slot = Slot { participant: 2, kind: SlotKind::Own };
            }
        });
        story
    }
    a_slot_beyond_the_marks is SlotUnknown {
        let mut story = refuting(&pair());
        story.change(SPENT, |action| {
            if let Action::Register { slot, .. } = action {
                *slot = Slot { participant: 127, kind: SlotKind::Delegate };
            }
        });
        story
    }
    a_delegate_starts_a_dispute is DelegateStarts { from_open(5, delegate(0)) }
    a_delegate_starts_a_dispute_of_version_zero is DelegateStarts { from_open(0, delegate(0)) }
    /// A registration through one slot is none through another.
    a_registration_passed_off_as_the_delegates is WrongSigner {
        let mut story = refuting(&pair());
        story.change(SPENT, |action| {
            if let Action::Register { slot, .. } = action {
                *slot = delegate(1);
            }
        });
        story.rewrite(0, |cell| cell.marks = 0b1001);
        story
    }
    /// A state's signatures alone register nothing.
    a_registration_that_nobody_asked_for is WrongSigner {
        let channel = pair();
        let mut story = refuting(&channel);
        let signed = channel.sign(&later(&channel, 5));
        story.change(SPENT, |action| {
            if let Action::Register { signatures, .. } = action {
                *signatures = signed;
            }
        });
        story
    }
    /// A registration is no signature on the state for somebody else's slot.
    a_registration_in_the_place_of_a_state_signature is WrongSigner {
        let channel = pair();
        let mut story = refuting(&channel);
        let other = channel.sign_registration(&later(&channel, 5), own(0));
        story.change(SPENT, |action| {
            if let Action::Register { signatures, .. } = action {
                signatures[0] = other[0];
            }
        });
        story
    }
    /// I9: a signature for one channel is none for another.
    w18_the_signatures_of_another_instance is WrongSigner {
        let mut story = registering(&pair());
        let twin = Terms::of("alice", 2).living("twin");
        let others = twin.sign_registration(&later(&twin, 5), own(0));
        story.change(SPENT, |action| {
            if let Action::Register { signatures, .. } = action {
                *signatures = others;
            }
        });
        story
    }
    w18_the_witness_of_another_instance is ChannelId {
        let mut story = registering(&pair());
        let twin = Terms::of("alice", 2).living("twin");
        let mut other = registering(&twin);
        other.change(SPENT, |theirs| story.change(SPENT, |ours| *ours = theirs.clone()));
        story
    }
    a_signature_on_an_older_state is WrongSigner {
        let channel = pair();
        let mut story = registering(&channel);
        let old = channel.sign(&later(&channel, 4));
        story.change(SPENT, |action| {
            if let Action::Register { signatures, .. } = action {
                signatures[1] = old[1];
            }
        });
        story
    }
    signatures_in_the_wrong_order is WrongSigner {
        let mut story = registering(&pair());
        story.change(SPENT, |action| {
            if let Action::Register { signatures, .. } = action {
                signatures.swap(0, 1);
            }
        });
        story
    }
    a_signature_too_few is SignatureCount {
        let mut story = registering(&pair());
        story.change(SPENT, |action| {
            if let Action::Register { signatures, .. } = action {
                signatures.pop();
            }
        });
        story
    }
    a_signature_too_many is SignatureCount {
        let mut story = registering(&pair());
        story.change(SPENT, |action| {
            if let Action::Register { signatures, .. } = action {
                signatures.push(signatures[0]);
            }
        });
        story
    }
    all_signatures_for_version_zero_from_open is SignatureCount {
        let channel = pair();
        let mut story = from_open(0, own(0));
        let all = channel.sign_registration(&channel.initial(), own(0));
        story.change(SPENT, |action| {
            if let Action::Register { signatures, .. } = action {
                *signatures = all;
            }
        });
        story
    }
    no_signature_for_version_zero_from_open is SignatureCount {
        let mut story = from_open(0, own(0));
        story.change(SPENT, |action| {
            if let Action::Register { signatures, .. } = action {
                signatures.clear();
            }
        });
        story
    }
    /// W1: no field is the disputer's to choose. Clearing "funded" has become the phase.
    w01_a_dispute_that_makes_the_channel_unfunded is ChannelFrame {
        let mut story = registering(&pair());
        story.rewrite(0, |cell| cell.phase = Phase::Funding);
        story
    }
    w01_a_dispute_that_concludes is ChannelFrame {
        let mut story = registering(&pair());
        story.rewrite(0, |cell| cell.phase = Phase::Concluded);
        story
    }
    w01_a_dispute_that_leaves_the_channel_open is ChannelFrame {
        let mut story = registering(&pair());
        story.rewrite(0, |cell| (cell.phase, cell.marks) = (Phase::Open, 0));
        story
    }
    a_registration_that_marks_no_slot is ChannelFrame {
        let mut story = registering(&pair());
        story.rewrite(0, |cell| cell.marks = 0);
        story
    }
    a_registration_that_marks_another_slot is ChannelFrame {
        let mut story = registering(&pair());
        story.rewrite(0, |cell| cell.marks = 0b100);
        story
    }
    a_registration_that_frees_a_slot is ChannelFrame {
        let mut story = refuting(&pair());
        story.rewrite(0, |cell| cell.marks = 0b100);
        story
    }
    a_registration_that_stores_another_digest is ChannelFrame {
        let channel = pair();
        let mut story = registering(&channel);
        story.rewrite(0, |cell| cell.state_hash = later(&channel, 6).hash());
        story
    }
    a_registration_that_stores_another_version is ChannelFrame {
        let mut story = registering(&pair());
        story.rewrite(0, |cell| cell.version = Version::new(6));
        story
    }
    /// W11: the disputer keeps nothing of the channel cell's capacity.
    w11_the_channel_cell_made_smaller is ChannelCapacity {
        let mut story = registering(&pair());
        story.draft.outputs[0].capacity -= CKB;
        story
    }
    w11_the_channel_cell_made_larger is ChannelCapacity {
        let mut story = registering(&pair());
        story.draft.outputs[0].capacity += 1;
        story
    }
    a_registration_that_ends_the_channel is WrongAction {
        let mut story = registering(&pair());
        story.draft.outputs.remove(0);
        story
    }
    a_registration_that_spends_a_vault is VaultInputs {
        let channel = tokens();
        let mut story = registering(&channel);
        story.draft.spend(channel.vaults(3).remove(0), 0);
        story
    }
    a_registration_that_replaces_a_vault is VaultInputs {
        let channel = tokens();
        let mut story = registering(&channel);
        let vault = channel.vaults(3).remove(0);
        story.draft.spend(vault.clone(), 0);
        story.draft.make(vault);
        story
    }
    a_registration_that_makes_a_vault is VaultOutputs {
        let channel = tokens();
        let mut story = registering(&channel);
        story.draft.make(channel.vaults(3).remove(0));
        story
    }
    a_registration_that_makes_a_plain_cell_under_the_vault_lock is VaultOutputs {
        let channel = pair();
        let mut story = registering(&channel);
        story.draft.make(CellSketch::plain(100 * CKB, channel.lock()));
        story
    }
    a_registration_of_a_concluded_channel is WrongAction {
        let channel = tokens();
        let mut story = Story::default();
        let row = 1 << channel.token_rows()[0];
        let stands = Stands::concluded(&later(&channel, 3), row);
        story.register(&channel, &stands, &later(&channel, 5), own(1));
        story.submitted()
    }
    a_registration_while_funding is WrongAction {
        let channel = pair();
        let mut story = Story::default();
        let stands = Stands::funding(&channel, 1);
        story.register(&channel, &stands, &later(&channel, 5), own(1));
        story.submitted()
    }
    /// Inflated balances, each signed by everybody.
    inflated_balances is StateTotals {
        let channel = pair();
        let mut story = Story::default();
        let state = channel.state(5, &[u128::from(1_001 * CKB), u128::from(1_000 * CKB)]);
        story.register(&channel, &Stands::open(&channel), &state, own(0));
        story.submitted()
    }
    w10_deflated_balances_in_the_foreign_row is StateTotals {
        let channel = Terms { foreign: 1, ..Terms::of("alice", 2) }.living("swap");
        let mut story = Story::default();
        let state = channel.state_of(5, &[vec![1, 1], channel.opening.clone()]);
        story.register(&channel, &Stands::open(&channel), &state, own(0));
        story.submitted()
    }
    a_registration_of_what_the_cell_does_not_hold_any_more is WrongAction {
        let channel = pair();
        let mut story = closing(&channel);
        story.draft.outputs.insert(0, channel.cell(Phase::Disputed, 1, &later(&channel, 8)));
        story.change(SPENT, |action| {
            let (setup, body) = (channel.setup.clone(), Channel::body(&later(&channel, 8)));
            *action = Action::Fund { setup, body };
        });
        story
    }
}

#[test]
fn the_input_s_since_does_not_matter() {
    let mut story = registering(&pair());
    story.draft.inputs[0].since = relative_seconds(5);
    assert_eq!(story.trial().verdict, Ok(()));
}

/// P-L3: whoever kept a thousand old states can use two of them, and a delegate of theirs none
/// first.
#[test]
fn a_dispute_sees_two_registrations_of_each_participant_at_most() {
    let channel = Terms::of("alice", 3).living("three");
    let mut stands = Stands::open(&channel);
    let mut steps = 0;
    for version in 1..=40 {
        let slots = [own(0), delegate(0), own(1), delegate(1), own(2), delegate(2)];
        let state = later(&channel, version);
        let accepted = slots.iter().find(|slot| {
            let mut story = Story::default();
            story.register(&channel, &stands, &state, **slot);
            story.submitted().trial().verdict.is_ok()
        });
        let Some(slot) = accepted else { break };
        let marks = stands.marks | 1 << slot.number();
        stands = Stands { phase: Phase::Disputed, marks, state, claimed: false };
        steps += 1;
    }
    assert_eq!(steps, 6);
}
