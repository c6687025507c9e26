//! Conclusion, withdrawal and final close: what is paid, when, and what stays behind.

use perun_channel::adjudicator::{Action, Phase};
use perun_channel::{MAX_CHALLENGE_SECS, Version};
use perun_onchain_tests::spoil::body_of;
use perun_onchain_tests::story::{Stands, Story, own};
use perun_onchain_tests::{At, CKB, CellSketch, Channel, Terms, relative_seconds};

use crate::{closing, concluding, disputed, later, pair, spoilings, tokens};

const SPENT: At = At::Spent(0);

fn since(value: u64) -> Story {
    let mut story = concluding(&pair());
    story.draft.inputs[0].since = value;
    story
}

/// A dispute ends, and both token rows stay unpaid; the rest is output 0.
fn skipping() -> (Story, Channel) {
    let channel = tokens();
    let mut story = Story::default();
    story.conclude(&channel, &disputed(&channel), rows(&channel));
    (story.submitted(), channel)
}

/// Both token rows are withdrawn.
fn withdrawing() -> (Story, Channel) {
    let channel = tokens();
    let mut story = Story::default();
    story.withdraw(&channel, &Stands::concluded(&later(&channel, 3), rows(&channel)), 0);
    (story.submitted(), channel)
}

/// One of two token rows is withdrawn; the rest is output 0.
fn withdrawing_one() -> (Story, Channel) {
    let channel = tokens();
    let all = rows(&channel);
    let mut story = Story::default();
    let first = 1 << channel.token_rows()[0];
    story.withdraw(&channel, &Stands::concluded(&later(&channel, 3), all), first);
    (story.submitted(), channel)
}

fn rows(channel: &Channel) -> u32 {
    channel.token_rows().iter().map(|row| 1 << row).sum()
}

spoilings! {
    /// I7, W16: time is counted by the chain, relative to the dispute's own cell.
    w16_a_conclusion_at_once is Since { since(0) }
    a_conclusion_a_second_early is Since { since(relative_seconds(86_399)) }
    /// Nodes multiply it by a thousand: one that let the product wrap would wait for a moment.
    a_conclusion_after_so_long_that_milliseconds_wrap is Since {
        since(relative_seconds(u64::MAX / 1_000 + 1))
    }
    a_conclusion_after_more_than_a_year is Since { since(relative_seconds(MAX_CHALLENGE_SECS + 1)) }
    a_conclusion_by_absolute_time is Since { since(0x40 << 56 | 0xff_ffff_ffff) }
    a_conclusion_by_relative_blocks is Since { since(0x80 << 56 | 86_400) }
    a_conclusion_by_relative_epochs is Since { since(0xa0 << 56 | 86_400) }
    a_conclusion_by_milliseconds_without_the_metric is Since { since(86_400_000) }
    /// W8: another channel's clock does not count.
    w08_a_wait_on_another_input is Since {
        let mut story = concluding(&pair());
        story.draft.inputs[0].since = 0;
        story.draft.inputs[1].since = relative_seconds(86_400);
        story
    }
    a_conclusion_of_a_state_that_is_not_stored is StateDigest {
        let channel = pair();
        let mut story = concluding(&channel);
        story.change(SPENT, |action| *body_of(action) = Channel::body(&later(&channel, 4)));
        story
    }
    a_conclusion_of_the_stored_state_with_another_version is StateDigest {
        let mut story = concluding(&pair());
        story.change(SPENT, |action| body_of(action).version = Version::new(4));
        story
    }
    a_conclusion_of_the_stored_state_as_final is StateDigest {
        let mut story = concluding(&pair());
        story.change(SPENT, |action| body_of(action).is_final = true);
        story
    }
    a_conclusion_of_an_open_channel is WrongAction {
        let channel = pair();
        let mut story = Story::default();
        story.conclude(&channel, &Stands::open(&channel), 0);
        story.submitted()
    }
    a_conclusion_of_a_concluded_channel is WrongAction {
        let channel = tokens();
        let mut story = Story::default();
        story.conclude(&channel, &Stands::concluded(&later(&channel, 3), rows(&channel)), 0);
        story.submitted()
    }
    a_withdrawal_from_a_dispute is WrongAction {
        let channel = tokens();
        let mut story = Story::default();
        story.withdraw(&channel, &disputed(&channel), 0);
        story.submitted()
    }
    /// W34: no vault is forgotten.
    w34_a_conclusion_that_leaves_a_vault_behind is VaultInputs {
        let mut story = concluding(&tokens());
        story.draft.inputs.remove(1);
        story
    }
    a_vault_with_more_than_the_rules_put_there is VaultInputs {
        let mut story = concluding(&tokens());
        let data = &mut story.draft.inputs[1].cell.data;
        data[0] ^= 1;
        story
    }
    a_vault_input_with_longer_data is VaultInputs {
        let mut story = concluding(&tokens());
        story.draft.inputs[1].cell.data.push(0);
        story
    }
    a_junk_cell_under_the_vault_lock is VaultInputs {
        let channel = pair();
        let mut story = concluding(&channel);
        story.draft.spend(CellSketch::plain(100 * CKB, channel.lock()), 0);
        story
    }
    a_second_cell_of_the_same_token_under_the_vault_lock is VaultInputs {
        let channel = tokens();
        let mut story = concluding(&channel);
        story.draft.spend(channel.vaults(3).remove(0), 0);
        story
    }
    a_conclusion_that_leaves_a_cell_under_the_vault_lock is VaultOutputs {
        let channel = pair();
        let mut story = concluding(&channel);
        story.draft.make(CellSketch::plain(100 * CKB, channel.lock()));
        story
    }
    a_conclusion_that_returns_tokens_to_the_vault is VaultOutputs {
        let channel = tokens();
        let mut story = concluding(&channel);
        story.draft.make(channel.vaults(3).remove(0));
        story
    }
    a_conclusion_with_an_unpaid_row_whose_vault_is_spent is VaultInputs {
        let (mut story, channel) = skipping();
        story.draft.spend(channel.vaults(3).remove(0), 0);
        story
    }
    a_rest_without_unpaid_rows is UnpaidRows {
        let (mut story, _) = skipping();
        story.rewrite(0, |cell| cell.marks = 0);
        story
    }
    a_rest_with_the_coins_row is UnpaidRows {
        let (mut story, channel) = skipping();
        story.rewrite(0, |cell| cell.marks |= 1 << channel.coin_row().unwrap());
        story
    }
    a_rest_with_a_row_that_is_not_there is UnpaidRows {
        let (mut story, _) = skipping();
        story.rewrite(0, |cell| cell.marks |= 1 << 31);
        story
    }
    w10_a_rest_with_a_foreign_row is UnpaidRows {
        let channel = Terms { foreign: 1, ..Terms::of("alice", 2) }.living("swap");
        let mut story = Story::default();
        story.conclude(&channel, &disputed(&channel), 0b1);
        story.submitted()
    }
    a_channel_without_tokens_that_lives_on is UnpaidRows {
        let channel = pair();
        let mut story = concluding(&channel);
        story.draft.make(channel.cell(Phase::Concluded, 0, &later(&channel, 3)));
        story
    }
    a_rest_in_a_dispute is ChannelFrame {
        let (mut story, _) = skipping();
        story.rewrite(0, |cell| cell.phase = Phase::Disputed);
        story
    }
    a_rest_with_another_digest is ChannelFrame {
        let (mut story, _) = skipping();
        story.rewrite(0, |cell| cell.state_hash[5] ^= 1);
        story
    }
    a_rest_with_another_version is ChannelFrame {
        let (mut story, _) = skipping();
        story.rewrite(0, |cell| cell.version = Version::new(2));
        story
    }
    a_rest_of_less_capacity is ChannelCapacity {
        let (mut story, _) = skipping();
        story.draft.outputs[0].capacity -= 1;
        story
    }
    a_rest_of_more_capacity is ChannelCapacity {
        let (mut story, _) = skipping();
        story.draft.outputs[0].capacity += 1;
        story
    }
    a_rest_under_another_lock is ChannelLock {
        let (mut story, _) = skipping();
        story.draft.outputs[0].lock = perun_onchain_tests::story::stranger();
        story
    }
    a_withdrawal_of_nothing is UnpaidRows {
        let channel = tokens();
        let mut story = Story::default();
        let all = rows(&channel);
        story.withdraw(&channel, &Stands::concluded(&later(&channel, 3), all), all);
        story.submitted()
    }
    a_withdrawal_that_brings_back_a_paid_row is UnpaidRows {
        let channel = tokens();
        let mut story = Story::default();
        let positions = channel.token_rows();
        let stands = Stands::concluded(&later(&channel, 3), 1 << positions[0]);
        story.withdraw(&channel, &stands, 1 << positions[1]);
        story.submitted()
    }
    a_withdrawal_of_another_state is StateDigest {
        let (mut story, channel) = withdrawing();
        story.change(SPENT, |action| *body_of(action) = Channel::body(&later(&channel, 4)));
        story
    }
    a_withdrawal_that_keeps_the_rent is Underpaid {
        let channel = Terms::of("alice", 2).with_tokens(&["a"]).living("one token");
        let mut story = Story::default();
        let stands = Stands::concluded(&later(&channel, 3), rows(&channel));
        story.withdraw(&channel, &stands, 0);
        let lock = channel.parties[1].payout.clone();
        story.draft.outputs.retain(|cell| cell.lock != lock || cell.kind.is_some());
        story.submitted()
    }
    a_withdrawal_that_leaves_its_vault is VaultInputs {
        let (mut story, _) = withdrawing_one();
        story.draft.inputs.remove(1);
        story
    }
    a_withdrawal_of_the_other_vault is VaultInputs {
        let (mut story, channel) = withdrawing_one();
        story.draft.inputs[1].cell = channel.vaults(3).remove(0);
        story
    }
    /// W15: the closing state itself is judged.
    w15_a_close_of_a_state_that_is_not_final is NotFinal {
        let channel = pair();
        let mut story = Story::default();
        story.close(&channel, &Stands::open(&channel), &later(&channel, 8), 0);
        story.submitted()
    }
    w15_a_close_that_underallocates is StateTotals {
        let channel = pair();
        let mut story = Story::default();
        let last = channel.state(8, &[5, 5]).finalized();
        story.close(&channel, &Stands::open(&channel), &last, 0);
        story.submitted()
    }
    w15_a_close_of_an_older_state_than_the_registered is NotNewer {
        let channel = pair();
        let mut story = Story::default();
        let last = later(&channel, 2).finalized();
        story.close(&channel, &disputed(&channel), &last, 0);
        story.submitted()
    }
    w15_a_close_of_the_registered_version_with_another_state is NotNewer {
        let channel = pair();
        let mut story = Story::default();
        let last = channel.state(3, &channel.opening).finalized();
        story.close(&channel, &disputed(&channel), &last, 0);
        story.submitted()
    }
    a_close_in_version_zero is NotNewer {
        let channel = pair();
        let mut story = Story::default();
        story.close(&channel, &Stands::open(&channel), &channel.initial().finalized(), 0);
        story.submitted()
    }
    a_close_with_a_registration_instead_of_a_signature is WrongSigner {
        let channel = pair();
        let mut story = closing(&channel);
        let last = later(&channel, 8).finalized();
        let registered = channel.sign_registration(&last, own(1));
        story.change(SPENT, |action| {
            if let Action::CloseFinal { signatures, .. } = action {
                *signatures = registered;
            }
        });
        story
    }
    a_close_without_a_signature is SignatureCount {
        let mut story = closing(&pair());
        story.change(SPENT, |action| {
            if let Action::CloseFinal { signatures, .. } = action {
                signatures.pop();
            }
        });
        story
    }
    a_close_with_one_participants_signature_twice is WrongSigner {
        let mut story = closing(&pair());
        story.change(SPENT, |action| {
            if let Action::CloseFinal { signatures, .. } = action {
                signatures[1] = signatures[0];
            }
        });
        story
    }
    a_close_of_a_concluded_channel is WrongAction {
        let channel = tokens();
        let mut story = Story::default();
        let stands = Stands::concluded(&later(&channel, 3), rows(&channel));
        story.close(&channel, &stands, &later(&channel, 8).finalized(), 0);
        story.submitted()
    }
    a_close_while_funding is WrongAction {
        let channel = pair();
        let mut story = Story::default();
        let last = later(&channel, 8).finalized();
        story.close(&channel, &Stands::funding(&channel, 1), &last, 0);
        story.submitted()
    }
    w05_a_close_with_a_locked_entry is LockedUnsupported {
        let mut story = closing(&pair());
        story.change(SPENT, |action| {
            let id = perun_channel::ChannelId::new([1; 32]);
            let none = vec![perun_channel::Amount::ZERO];
            body_of(action).locked = vec![perun_channel::SubAlloc::new(id, none, vec![])];
        });
        story
    }
}

#[test]
fn the_last_second_of_the_challenge_is_enough() {
    for value in [86_400, 86_401, MAX_CHALLENGE_SECS] {
        assert_eq!(since(relative_seconds(value)).trial().verdict, Ok(()), "{value}");
    }
}
