//! Two-step funding: deposits grow, and go back whole.

use perun_channel::Version;
use perun_channel::adjudicator::{Action, Phase};
use perun_onchain_tests::spoil::body_of;
use perun_onchain_tests::story::{Stands, Story};
use perun_onchain_tests::{At, CKB, CellSketch, Channel, ConsentKind, Terms, relative_seconds};

use crate::{pair, spoilings};

const SPENT: At = At::Spent(0);

fn three() -> Channel {
    Terms::of("alice", 3).living("three")
}

/// Party 1 adds its deposit to that of party 0, in a channel of three.
fn funding() -> Story {
    let mut story = Story::default();
    story.fund(&three(), 0b001, 0b011);
    story.submitted()
}

/// The deposits of parties 0 and 2 go back.
fn aborting() -> Story {
    let mut story = Story::default();
    story.abort(&three(), 0b101);
    story.submitted()
}

fn since(value: u64) -> Story {
    let mut story = aborting();
    story.draft.inputs[0].since = value;
    story
}

spoilings! {
    /// B3: a token's issuer could hold the others' deposits hostage.
    b3_first_deposits_of_a_channel_with_tokens is FundingTokens {
        let mut story = Story::default();
        story.create(&Terms::of("alice", 2).with_tokens(&["a"]), Some(1));
        story.submitted()
    }
    a_channel_without_deposits is Deposits {
        let mut story = Story::default();
        story.create(&Terms::of("alice", 2), Some(1));
        story.rewrite(0, |cell| cell.marks = 0);
        story.submitted()
    }
    a_deposit_of_a_third_of_two is Deposits {
        let mut story = Story::default();
        story.create(&Terms::of("alice", 2), Some(1));
        story.rewrite(0, |cell| cell.marks = 0b101);
        story.submitted()
    }
    a_complete_channel_that_says_it_is_being_funded is ChannelFrame {
        let mut story = Story::default();
        story.create(&Terms::of("alice", 2), None);
        story.rewrite(0, |cell| (cell.phase, cell.marks) = (Phase::Funding, 0b11));
        story.submitted()
    }
    a_deposit_marked_but_not_made is ChannelCapacity {
        let mut story = funding();
        story.rewrite(0, |cell| (cell.phase, cell.marks) = (Phase::Open, 0));
        story
    }
    a_deposit_that_is_a_shannon_short is ChannelCapacity {
        let mut story = funding();
        story.draft.outputs[0].capacity -= 1;
        story
    }
    a_deposit_that_is_taken_out_again is Deposits {
        let mut story = funding();
        story.rewrite(0, |cell| cell.marks = 0b010);
        let cell = three().cell(Phase::Funding, 0b010, &three().initial());
        story.draft.outputs[0].capacity = cell.capacity;
        story
    }
    funding_that_adds_nothing is Deposits {
        let mut story = funding();
        story.rewrite(0, |cell| cell.marks = 0b001);
        story
    }
    funding_by_a_stranger is Deposits {
        let mut story = funding();
        story.rewrite(0, |cell| cell.marks = 0b1001);
        story
    }
    funding_that_starts_a_dispute is ChannelFrame {
        let mut story = funding();
        story.rewrite(0, |cell| cell.phase = Phase::Disputed);
        story
    }
    funding_that_changes_the_first_state is ChannelFrame {
        let mut story = funding();
        story.rewrite(0, |cell| cell.state_hash[0] ^= 1);
        story
    }
    funding_that_changes_the_version is ChannelFrame {
        let mut story = funding();
        story.rewrite(0, |cell| cell.version = Version::new(1));
        story
    }
    funding_for_another_first_state is StateDigest {
        let mut story = funding();
        story.change(SPENT, |action| {
            let row = &mut body_of(action).balances[0];
            let unit = perun_channel::Amount::new(1);
            row[0] = row[0].checked_add(unit).unwrap();
            row[1] = row[1].checked_sub(unit).unwrap();
        });
        story
    }
    funding_with_a_state_that_is_not_the_first is InitialState {
        let mut story = funding();
        story.change(SPENT, |action| body_of(action).version = Version::new(1));
        story
    }
    funding_that_ends_the_channel is WrongAction {
        let mut story = funding();
        story.draft.outputs.remove(0);
        story
    }
    funding_of_an_open_channel is WrongAction {
        let mut story = funding();
        story.rewrite_spent(0, |cell| (cell.phase, cell.marks) = (Phase::Open, 0));
        story
    }
    funding_with_a_junk_cell_under_the_lock is VaultInputs {
        let mut story = funding();
        story.draft.spend(CellSketch::plain(100 * CKB, three().lock()), 0);
        story
    }
    funding_that_leaves_a_junk_cell_under_the_lock is VaultOutputs {
        let mut story = funding();
        story.draft.make(CellSketch::plain(100 * CKB, three().lock()));
        story
    }
    /// I7: every way to spoil a relative wait in seconds.
    an_abort_at_once is Since { since(0) }
    an_abort_a_second_early is Since { since(relative_seconds(86_399)) }
    an_abort_by_absolute_time is Since { since(0x40 << 56 | 86_400) }
    an_abort_by_relative_blocks is Since { since(0x80 << 56 | 86_400) }
    an_abort_by_relative_epochs is Since { since(0xa0 << 56 | 86_400) }
    an_abort_with_a_flag_that_means_nothing is Since { since(0xc1 << 56 | 86_400) }
    an_abort_that_keeps_the_channel is WrongAction {
        let mut story = aborting();
        story.draft.make(three().cell(Phase::Funding, 0b101, &three().initial()));
        story
    }
    an_abort_of_an_open_channel is WrongAction {
        let mut story = aborting();
        story.rewrite_spent(0, |cell| (cell.phase, cell.marks) = (Phase::Open, 0));
        story
    }
    /// W1: the old Abort paid one side only.
    w01_an_abort_that_pays_one_depositor is Underpaid {
        let mut story = aborting();
        let lock = three().parties[2].payout.clone();
        story.draft.outputs.retain(|cell| cell.lock != lock);
        story
    }
    an_abort_that_is_a_shannon_short is Underpaid {
        let mut story = aborting();
        story.draft.outputs[0].capacity -= 1;
        story
    }
    an_abort_with_another_first_state is StateDigest {
        let mut story = aborting();
        story.change(SPENT, |action| {
            let row = &mut body_of(action).balances[0];
            let unit = perun_channel::Amount::new(1);
            row[0] = row[0].checked_add(unit).unwrap();
            row[2] = row[2].checked_sub(unit).unwrap();
        });
        story
    }
    an_abort_with_a_later_state is InitialState {
        let mut story = aborting();
        story.change(SPENT, |action| body_of(action).version = Version::new(1));
        story
    }
    a_conclusion_while_funding is WrongAction {
        let mut story = aborting();
        let channel = three();
        let (setup, body) = (channel.setup.clone(), Channel::body(&channel.initial()));
        story.change(SPENT, |action| *action = Action::Conclude { setup, body, decision: None });
        story
    }
    an_abort_that_spends_a_junk_cell is VaultInputs {
        let mut story = aborting();
        story.draft.spend(CellSketch::plain(100 * CKB, three().lock()), 0);
        story
    }
    an_abort_that_leaves_a_cell_under_the_lock is VaultOutputs {
        let mut story = aborting();
        story.draft.make(CellSketch::plain(100 * CKB, three().lock()));
        story
    }
}

#[test]
fn deposits_go_back_together_with_everybodys_consent_at_once() {
    let channel = pair();
    let mut story = Story::default();
    story.agree(&channel, &Stands::funding(&channel, 1), &[ConsentKind::Signature; 2]);
    assert_eq!(story.submitted().trial().verdict, Ok(()));
}
