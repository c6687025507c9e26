//! Swaps: what may be pending, who decides its end on this ledger, and what is paid then.

use perun_channel::State;
use perun_channel::adjudicator::{Action, Decision, Phase};
use perun_channel::swap::EXPIRY_END;
use perun_onchain_tests::spoil::body_of;
use perun_onchain_tests::story::{Stands, Story, own};
use perun_onchain_tests::{At, CKB, Channel, LegTerms, Terms, absolute_seconds, relative_seconds};

use crate::{later, pair, spoilings, tokens};

const SPENT: At = At::Spent(0);
const SECRET: [u8; 32] = [0x5e; 32];
const EXPIRY: u64 = 2_000_000_000;
const CLAIM: Option<Decision> = Some(Decision::Claim(SECRET));
const REFUND: Option<Decision> = Some(Decision::Refund);

/// Party 0 gives 50 of every asset to party 1; of each, an hour later than of the one before.
fn legs(channel: &Channel) -> Vec<LegTerms> {
    let rows = 0..channel.setup.rows().len();
    rows.map(|row| (row, 0, 1, EXPIRY + 3_600 * u64::try_from(row).unwrap(), 50)).collect()
}

fn swapping(channel: &Channel) -> State {
    channel.swapping(&later(channel, 3), &SECRET, &legs(channel))
}

fn disputed(channel: &Channel) -> Stands {
    Stands::disputed(&swapping(channel), &[own(0)])
}

/// An Ethereum row and coins.
fn mixed() -> Channel {
    Terms { foreign: 1, ..Terms::of("alice", 2) }.living("mixed")
}

fn deciding(channel: &Channel, unpaid: u32, decision: Option<Decision>) -> Story {
    let mut story = Story::default();
    story.decide(channel, &disputed(channel), unpaid, decision);
    story.submitted()
}

/// A conclusion that decides other than what its outputs pay.
fn paying_otherwise(channel: &Channel, paid: Option<Decision>, said: Option<Decision>) -> Story {
    let mut story = Story::default();
    story.decide(channel, &disputed(channel), 0, paid);
    story.draft.clock = absolute_seconds(EXPIRY + 7_200);
    let mut story = story.submitted();
    story.change(SPENT, |action| decide(action, said));
    story
}

fn decide(action: &mut Action, said: Option<Decision>) {
    match action {
        Action::Conclude { decision, .. } => *decision = said,
        other => panic!("{other:?} decides nothing"),
    }
}

/// A refund of the mixed channel, whose submitter's input has this time lock.
fn refund_since(value: u64) -> Story {
    let mut story = Story::default();
    story.decide(&mixed(), &disputed(&mixed()), 0, REFUND);
    story.draft.clock = value;
    story.submitted()
}

/// The mixed channel's coins expire an hour after its Ethereum leg.
const COINS_EXPIRE: u64 = EXPIRY + 3_600;

/// Only the Ethereum row is swapped, and the channel is concluded like this.
fn foreign_only(decision: Option<Decision>) -> Story {
    let channel = mixed();
    let state = channel.swapping(&later(&channel, 3), &SECRET, &legs(&channel)[..1]);
    let mut story = Story::default();
    story.conclude(&channel, &Stands::disputed(&state, &[own(0)]), 0);
    story.draft.clock = absolute_seconds(EXPIRY);
    let mut story = story.submitted();
    story.change(SPENT, |action| decide(action, decision));
    story
}

/// All token rows stay unpaid when the swap has ended like this; the rest is output 0.
fn leaving(decision: Option<Decision>) -> Story {
    deciding(&tokens(), rows(&tokens()), decision)
}

fn rows(channel: &Channel) -> u32 {
    channel.token_rows().iter().map(|row| 1 << row).sum()
}

/// The token rows but the first are withdrawn; the rest is output 0.
fn withdrawing(claimed: bool) -> Story {
    let channel = tokens();
    let stands = Stands { claimed, ..Stands::concluded(&swapping(&channel), rows(&channel)) };
    let mut story = Story::default();
    story.withdraw(&channel, &stands, 1 << channel.token_rows()[0]);
    story.submitted()
}

/// Registers the mixed channel's state with a swap, whose bytes are changed before anybody signs.
fn registering(change: impl FnOnce(&mut Vec<u8>)) -> Story {
    let channel = mixed();
    let mut story = Story::default();
    story.register(&channel, &Stands::open(&channel), &swapping(&channel), own(0));
    let mut story = story.submitted();
    story.change(SPENT, |action| change(&mut body_of(action).data));
    story
}

/// Where a leg's bytes begin: asset, from, to, 8 of expiry, 16 of amount.
const FIRST: usize = 33;
const SECOND: usize = FIRST + 27;

spoilings! {
    a_swap_that_nobody_decides is Undecided { deciding(&pair(), 0, None) }
    a_swap_of_tokens_alone_that_nobody_decides is Undecided {
        let channel = tokens();
        let row = channel.token_rows()[0];
        let state = channel.swapping(&later(&channel, 3), &SECRET, &[(row, 0, 1, EXPIRY, 50)]);
        let mut story = Story::default();
        story.conclude(&channel, &Stands::disputed(&state, &[own(0)]), rows(&channel));
        story.submitted()
    }
    /// One spelling: a preimage that decides nothing must not be shown, nor a wait be claimed.
    a_preimage_where_no_swap_is_pending is NothingToDecide {
        let mut story = crate::concluding(&pair());
        story.change(SPENT, |action| decide(action, CLAIM));
        story
    }
    a_refund_where_no_swap_is_pending is NothingToDecide {
        let mut story = crate::concluding(&pair());
        story.change(SPENT, |action| decide(action, REFUND));
        story
    }
    a_claim_of_legs_on_other_ledgers is NothingToDecide { foreign_only(CLAIM) }
    a_refund_of_legs_on_other_ledgers is NothingToDecide { foreign_only(REFUND) }

    a_claim_with_another_secret is Preimage {
        paying_otherwise(&pair(), CLAIM, Some(Decision::Claim([0; 32])))
    }
    a_claim_with_the_lock_itself is Preimage {
        let lock = perun_channel::Swap::lock_of(&SECRET);
        paying_otherwise(&pair(), CLAIM, Some(Decision::Claim(lock)))
    }
    /// Two channels in one transaction: each has its own lock, and each decides for itself.
    a_claim_with_the_secret_of_the_channel_beside_it is Preimage {
        let (one, two) = (Terms::of("alice", 2).living("one"), Terms::of("bob", 2).living("two"));
        let other = two.swapping(&later(&two, 3), &[1; 32], &legs(&two));
        let mut story = Story::default();
        story.decide(&one, &disputed(&one), 0, CLAIM);
        story.decide(&two, &Stands::disputed(&other, &[own(0)]), 0, CLAIM);
        story.submitted()
    }
    /// One claims, and the other one under the same lock pretends that its time is over.
    a_refund_beside_a_claim_under_the_same_lock is Unexpired {
        let (one, two) = (Terms::of("alice", 2).living("one"), Terms::of("bob", 2).living("two"));
        let mut story = Story::default();
        story.decide(&one, &disputed(&one), 0, CLAIM);
        story.decide(&two, &disputed(&two), 0, REFUND);
        story.draft.clock = 0;
        story.submitted()
    }

    a_refund_at_once is Unexpired { refund_since(0) }
    a_refund_a_second_early is Unexpired { refund_since(absolute_seconds(COINS_EXPIRE - 1)) }
    /// The Ethereum leg's expiry is Ethereum's matter, and it is not the latest here.
    a_refund_when_only_another_ledgers_leg_has_expired is Unexpired {
        refund_since(absolute_seconds(EXPIRY))
    }
    a_refund_when_only_the_first_leg_here_has_expired is Unexpired {
        let channel = tokens();
        let mut story = Story::default();
        story.decide(&channel, &disputed(&channel), 0, REFUND);
        story.draft.clock = absolute_seconds(EXPIRY + 7_199);
        story.submitted()
    }
    a_refund_by_a_relative_wait is Unexpired { refund_since(relative_seconds(COINS_EXPIRE)) }
    a_refund_by_a_block_number is Unexpired { refund_since(COINS_EXPIRE) }
    a_refund_by_an_epoch is Unexpired { refund_since(0x20 << 56 | COINS_EXPIRE) }
    a_refund_by_a_time_lock_with_an_unknown_flag is Unexpired {
        refund_since(0x41 << 56 | COINS_EXPIRE)
    }
    /// Nodes multiply it by a thousand: one that let the product wrap would wait for a moment.
    a_refund_after_so_long_that_milliseconds_wrap is Unexpired {
        refund_since(absolute_seconds(u64::MAX / 1_000 + 1))
    }
    a_refund_at_a_time_that_no_expiry_has is Unexpired {
        refund_since(absolute_seconds(EXPIRY_END))
    }
    /// The channel's own input waits out the challenge; it cannot wait for two things.
    a_refund_by_the_wait_of_the_channel_itself is Since {
        let mut story = refund_since(0);
        story.draft.inputs[0].since = absolute_seconds(COINS_EXPIRE);
        story
    }
    /// The challenge comes first: a newer state may have replaced the swap.
    a_claim_before_the_challenge_is_over is Since {
        let mut story = deciding(&pair(), 0, CLAIM);
        story.draft.inputs[0].since = relative_seconds(86_399);
        story
    }
    a_claim_on_an_open_channel is WrongAction {
        let channel = pair();
        let open = Stands { phase: Phase::Open, marks: 0, ..disputed(&channel) };
        let mut story = Story::default();
        story.decide(&channel, &open, 0, CLAIM);
        story.submitted()
    }

    a_claim_that_pays_as_if_the_swap_had_lapsed is Underpaid {
        paying_otherwise(&pair(), REFUND, CLAIM)
    }
    a_refund_that_pays_as_if_the_swap_were_claimed is Underpaid {
        paying_otherwise(&pair(), CLAIM, REFUND)
    }
    a_claim_that_moves_no_tokens is Underpaid { paying_otherwise(&tokens(), REFUND, CLAIM) }
    a_refund_that_moves_tokens is Underpaid { paying_otherwise(&tokens(), CLAIM, REFUND) }

    /// Else a withdrawal could undo in one row what the conclusion did in another.
    a_rest_that_forgets_the_claim is ChannelFrame {
        let mut story = leaving(CLAIM);
        story.rewrite(0, |cell| cell.claimed = false);
        story
    }
    a_rest_that_remembers_a_claim_that_was_none is ChannelFrame {
        let mut story = leaving(REFUND);
        story.rewrite(0, |cell| cell.claimed = true);
        story
    }
    a_rest_without_swap_that_remembers_a_claim is ChannelFrame {
        let channel = tokens();
        let mut story = Story::default();
        story.conclude(&channel, &crate::disputed(&channel), rows(&channel));
        let mut story = story.submitted();
        story.rewrite(0, |cell| cell.claimed = true);
        story
    }
    a_rest_of_a_close_that_remembers_a_claim is ChannelFrame {
        let channel = tokens();
        let last = later(&channel, 8).finalized();
        let mut story = Story::default();
        story.close(&channel, &disputed(&channel), &last, rows(&channel));
        let mut story = story.submitted();
        story.rewrite(0, |cell| cell.claimed = true);
        story
    }
    a_withdrawal_that_forgets_the_claim_for_the_rest is ChannelFrame {
        let mut story = withdrawing(true);
        story.rewrite(0, |cell| cell.claimed = false);
        story
    }
    a_withdrawal_that_claims_the_rest_late is ChannelFrame {
        let mut story = withdrawing(false);
        story.rewrite(0, |cell| cell.claimed = true);
        story
    }
    a_withdrawal_after_a_claim_that_moves_nothing is Underpaid {
        let mut story = withdrawing(false);
        story.rewrite_spent(0, |cell| cell.claimed = true);
        story.rewrite(0, |cell| cell.claimed = true);
        story
    }
    a_withdrawal_after_a_refund_that_moves_tokens is Underpaid {
        let mut story = withdrawing(true);
        story.rewrite_spent(0, |cell| cell.claimed = false);
        story.rewrite(0, |cell| cell.claimed = false);
        story
    }
    a_dispute_that_remembers_a_claim is CellData {
        let mut story = registering(|_| {});
        story.draft.outputs[0].data[3] = 1;
        story
    }
    a_rest_with_another_fourth_byte is CellData {
        let mut story = leaving(CLAIM);
        story.draft.outputs[0].data[3] = 2;
        story
    }

    a_decision_of_an_unknown_kind is Witness {
        let mut story = deciding(&pair(), 0, REFUND);
        story.scratch(SPENT, |bytes| *bytes.last_mut().unwrap() = 3);
        story
    }
    a_preimage_a_byte_short is Witness {
        let mut story = deciding(&pair(), 0, CLAIM);
        story.scratch(SPENT, |bytes| bytes.truncate(bytes.len() - 1));
        story
    }
    a_preimage_a_byte_long is Witness {
        let mut story = deciding(&pair(), 0, CLAIM);
        story.scratch(SPENT, |bytes| bytes.push(0));
        story
    }
    a_conclusion_without_a_word_on_swaps is Witness {
        let mut story = crate::concluding(&pair());
        story.scratch(SPENT, |bytes| bytes.truncate(bytes.len() - 1));
        story
    }

    a_swap_of_another_format is Swap { registering(|data| data[0] = 2) }
    a_swap_without_legs is Swap { registering(|data| data.truncate(FIRST)) }
    a_swap_with_half_a_leg is Swap { registering(|data| data.truncate(data.len() - 1)) }
    a_swap_with_a_byte_behind_its_legs is Swap { registering(|data| data.push(0)) }
    a_swap_with_two_legs_of_one_asset is Swap { registering(|data| data[SECOND] = 0) }
    a_swap_whose_legs_descend is Swap { registering(|data| data[FIRST] = 2) }
    a_leg_to_its_payer is Swap { registering(|data| data[FIRST + 2] = 0) }
    a_leg_of_a_participant_that_does_not_exist is Swap {
        registering(|data| data[SECOND + 1] = 2)
    }
    a_leg_to_a_participant_that_does_not_exist is Swap {
        registering(|data| data[SECOND + 2] = 2)
    }
    a_leg_of_an_asset_that_does_not_exist is Swap { registering(|data| data[SECOND] = 2) }
    a_leg_of_nothing is Swap {
        registering(|data| data[SECOND + 11..SECOND + 27].fill(0))
    }
    a_leg_of_more_than_its_payer_has is Swap { registering(|data| data[SECOND + 11] = 1) }
    /// Both ledgers must take the same states, so legs on the other one are judged as well.
    a_leg_on_another_ledger_of_more_than_its_payer_has is Swap {
        registering(|data| data[FIRST + 11] = 1)
    }
    a_leg_without_an_expiry is Swap { registering(|data| data[SECOND + 3..SECOND + 11].fill(0)) }
    /// No time lock could name it, so the channel would wait for the preimage forever.
    a_leg_that_never_expires is Swap {
        registering(|data| data[SECOND + 3..SECOND + 11].copy_from_slice(&EXPIRY_END.to_be_bytes()))
    }
    a_final_state_with_a_swap is Swap {
        let channel = pair();
        let mut story = Story::default();
        story.close(&channel, &Stands::open(&channel), &swapping(&channel).finalized(), 0);
        story.submitted()
    }
    a_registration_of_a_final_state_with_a_swap is Swap {
        let channel = pair();
        let mut story = Story::default();
        let last = swapping(&channel).finalized();
        story.register(&channel, &Stands::open(&channel), &last, own(0));
        story.submitted()
    }
    a_first_state_with_a_swap is InitialState {
        let terms = Terms::of("alice", 2);
        let mut story = Story::default();
        let channel = story.create(&terms, None);
        let first = channel.swapping(&channel.initial(), &SECRET, &legs(&channel));
        let mut story = story.submitted();
        story.change(At::Made(0), |action| *body_of(action) = Channel::body(&first));
        story.draft.outputs[0] = channel.cell(Phase::Open, 0, &first);
        story
    }
}

/// The submitter need not be the one who waits: any input's time lock is the chain's word.
#[test]
fn the_time_is_proved_by_any_input_from_the_last_expiry_on() {
    for value in [COINS_EXPIRE, COINS_EXPIRE + 1, EXPIRY_END - 1] {
        let mut story = refund_since(absolute_seconds(value));
        assert_eq!(story.trial().verdict, Ok(()), "{value}");
    }
    let mut story = refund_since(0);
    story.draft.spend(
        perun_onchain_tests::CellSketch::plain(100 * CKB, perun_onchain_tests::story::stranger()),
        absolute_seconds(COINS_EXPIRE),
    );
    assert_eq!(story.trial().verdict, Ok(()), "another input's");
}
