//! The payout rule: nobody is one shannon or one unit short, in cells that are worth something to
//! it.
//!
//! `b1` to `b6` are attacks found on this verdict while it was written (see the bug zoo), `wNN`
//! those known from earlier generations of Perun on CKB:
//!
//! | weakness | where |
//! |---|---|
//! | W1, W7, W8, W9, W11–W18, W21, W22, W28, W30, W32–W34 | tests named after them in this crate |
//! | W2 | here, and `together` with all tricks at once |
//! | W5 unsigned locked entries | not admitted; signed all the same: `w05` in `perun-channel` |
//! | W10 rows of other ledgers | `w10`: carried and summed, never paid |
//! | W19 permissionless actions | every healthy transaction is submitted by a stranger |
//! | W20 batching, W36 defence in one place | tests named after them in this crate |
//! | W24 size of cells | `w24` in `perun-backend-ckb`, and the cost tables |
//! | W31 flags that default to true | `w31`: integers, one spelling; W33 DER likewise |
//! | W20, W25–W27, W35 the client | `w20` to `w35` in `perun-backend-ckb` and `perun-protocol` |
//! | W29 encoders that disagree | `w29` in `perun-channel`: the vectors |
//! | W3, W4, W6, W23 virtual channels | not in this script |

use perun_onchain_tests::story::{Stands, Story, own, stranger};
use perun_onchain_tests::{CKB, CellSketch, Channel, Terms, lock_named, token_named};

use crate::{closing, concluding, disputed, later, pair, spoilings, tokens};

/// Where a party's first plain output is.
fn output(story: &Story, channel: &Channel, party: usize) -> usize {
    let lock = &channel.parties[party].payout;
    let outputs = &story.draft.outputs;
    outputs.iter().position(|cell| cell.lock == *lock && cell.kind.is_none()).unwrap()
}

/// Spoils the plain payout of a party when the pair's dispute ends.
fn payout(party: usize, change: impl FnOnce(&mut CellSketch)) -> Story {
    let channel = pair();
    let mut story = concluding(&channel);
    let position = output(&story, &channel, party);
    change(&mut story.draft.outputs[position]);
    story
}

/// Spoils the first token payout of party 1.
fn token_payout(change: impl FnOnce(&mut CellSketch)) -> Story {
    let channel = tokens();
    let mut story = concluding(&channel);
    let lock = &channel.parties[1].payout;
    let mut cells = story.draft.outputs.iter_mut();
    change(cells.find(|cell| cell.lock == *lock && cell.kind.is_some()).unwrap());
    story
}

/// A victim's dispute and that of puppets end together. The puppets' only row is a sale, in these
/// shares; its outputs are changed.
fn beside_puppets(shares: &[u128; 2], change: impl FnOnce(&mut Vec<CellSketch>)) -> Story {
    let victim = pair();
    let terms = Terms { coin: false, ..Terms::of("mallory", 2).with_tokens(&["sale"]) };
    let puppets = Terms { opening: shares.to_vec(), ..terms }.living("puppets");
    let mut story = Story::default();
    story.conclude(&victim, &disputed(&victim), 0);
    story.conclude(&puppets, &Stands::disputed(&puppets.initial(), &[own(0)]), 0);
    change(&mut story.draft.outputs);
    story.submitted()
}

/// The first token cell.
fn token(cells: &mut [CellSketch]) -> &mut CellSketch {
    cells.iter_mut().find(|cell| cell.kind.is_some()).unwrap()
}

fn amount(cell: &CellSketch) -> u128 {
    u128::from_le_bytes(cell.data[..16].try_into().unwrap())
}

/// Two channels of one payee, each concluding.
fn two(one: &Channel, two: &Channel) -> Story {
    let mut story = Story::default();
    story.conclude(one, &disputed(one), 0);
    story.conclude(two, &disputed(two), 0);
    story.submitted()
}

spoilings! {
    a_payout_a_shannon_short is Underpaid { payout(0, |cell| cell.capacity -= 1) }
    the_others_payout_a_shannon_short is Underpaid { payout(1, |cell| cell.capacity -= 1) }
    a_close_a_shannon_short is Underpaid {
        let channel = pair();
        let mut story = closing(&channel);
        let position = output(&story, &channel, 1);
        story.draft.outputs[position].capacity -= 1;
        story
    }
    a_payout_that_is_missing is Underpaid {
        let channel = pair();
        let mut story = concluding(&channel);
        let position = output(&story, &channel, 1);
        story.draft.outputs.remove(position);
        story
    }
    a_payout_to_another_lock is Underpaid { payout(1, |cell| cell.lock = stranger()) }
    /// Poisoned cells: a payee cannot use what lies under a type or data that somebody else made
    /// up.
    a_payout_with_data is Underpaid { payout(1, |cell| cell.data = vec![0]) }
    a_payout_with_a_type is OtherContract {
        payout(1, |cell| cell.kind = Some(token_named("poison")))
    }
    /// W22: the type of a channel cell cannot be abused as a poison either.
    a_payout_in_a_second_rest is CellData {
        payout(1, |cell| cell.kind = Some(perun_onchain_tests::scripts().kind.clone()))
    }
    a_token_payout_a_unit_short is OtherContract {
        token_payout(|cell| cell.data = (amount(cell) - 1).to_le_bytes().to_vec())
    }
    a_token_payout_to_the_other_party is Underpaid {
        let channel = tokens();
        let mut story = concluding(&channel);
        for cell in &mut story.draft.outputs {
            if cell.kind.is_some() && cell.lock == channel.parties[1].payout {
                cell.lock = channel.parties[0].payout.clone();
            }
        }
        story
    }
    a_unit_moved_from_one_payee_to_the_other is Underpaid {
        let channel = tokens();
        let mut story = concluding(&channel);
        let kind = Some(channel.tokens[0].clone());
        for (index, party) in channel.parties.iter().enumerate() {
            let mut cells = story.draft.outputs.iter_mut();
            let cell = cells.find(|c| c.kind == kind && c.lock == party.payout).unwrap();
            let units = if index == 0 { amount(cell) + 1 } else { amount(cell) - 1 };
            cell.data = units.to_le_bytes().to_vec();
        }
        story
    }
    a_token_payout_with_more_data is OtherContract { token_payout(|cell| cell.data.push(0)) }
    a_token_payout_with_less_data is OtherContract { token_payout(|cell| cell.data.truncate(15)) }
    a_token_payout_of_another_token is OtherContract {
        token_payout(|cell| cell.kind = Some(token_named("worthless")))
    }
    one_channel_token_in_the_place_of_the_other is Underpaid {
        let channel = tokens();
        let mut story = concluding(&channel);
        for cell in &mut story.draft.outputs {
            if cell.lock == channel.parties[1].payout && cell.kind.is_some() {
                let first = cell.kind == Some(channel.tokens[0].clone());
                cell.kind = Some(channel.tokens[usize::from(first)].clone());
                if first { cell.data = (amount(cell) + 1).to_le_bytes().to_vec() }
                else { cell.data = (amount(cell) - 1).to_le_bytes().to_vec() }
            }
        }
        for cell in &mut story.draft.outputs {
            if cell.lock == channel.parties[0].payout && cell.kind.is_some() {
                let first = cell.kind == Some(channel.tokens[0].clone());
                let units = if first { amount(cell) + 1 } else { amount(cell) - 1 };
                cell.data = units.to_le_bytes().to_vec();
            }
        }
        story
    }
    /// W2: one output for two channels.
    w02_double_satisfaction_two_channels_one_output is Underpaid {
        let terms = Terms::of("victim", 2);
        let (one, other) = (terms.living("one"), terms.living("other"));
        let mut story = two(&one, &other);
        let lock = one.parties[0].payout.clone();
        let second = story.draft.outputs.iter().rposition(|cell| cell.lock == lock).unwrap();
        story.draft.outputs.remove(second);
        story
    }
    w02_double_satisfaction_of_tokens is OtherContract {
        let terms = Terms::of("victim", 2).with_tokens(&["a"]);
        let (one, other) = (terms.living("one"), terms.living("other"));
        let mut story = two(&one, &other);
        let lock = one.parties[0].payout.clone();
        let cells = &story.draft.outputs;
        let second = cells.iter().rposition(|c| c.lock == lock && c.kind.is_some()).unwrap();
        story.draft.outputs.remove(second);
        story
    }
    w02_double_satisfaction_of_a_close_and_an_abort is Underpaid {
        let terms = Terms::of("victim", 2);
        let (one, other) = (terms.living("one"), terms.living("other"));
        let mut story = Story::default();
        story.close(&one, &Stands::open(&one), &later(&one, 2).finalized(), 0);
        story.abort(&other, 1);
        let lock = one.parties[0].payout.clone();
        let second = story.draft.outputs.iter().rposition(|cell| cell.lock == lock).unwrap();
        story.draft.outputs.remove(second);
        story.submitted()
    }
    /// W2: the payee's own cell, spent by a lock that anybody can satisfy, is no payment.
    w02_payment_by_an_anyone_can_pay_cell_of_the_payee is Underpaid {
        let channel = pair();
        let mut story = concluding(&channel);
        story.add_input(500 * CKB, &channel.parties[0].payout);
        story
    }
    w02_payment_hidden_in_the_payees_change is Underpaid {
        let channel = pair();
        let mut story = concluding(&channel);
        let position = output(&story, &channel, 1);
        let due = story.draft.outputs[position].capacity;
        story.add_input(due + 100 * CKB, &channel.parties[1].payout);
        story.draft.outputs[position].capacity = due + 99 * CKB;
        story
    }
    w02_a_typed_cell_of_the_payee_among_the_inputs is OtherContract {
        let channel = tokens();
        let mut story = concluding(&channel);
        let party = &channel.parties[0];
        let token = channel.tokens[0].clone();
        story.draft.spend(CellSketch::token(200 * CKB, party.payout.clone(), token, 5), 0);
        story
    }
    /// The payee's own tokens, from a cell that anybody can move, are no payment of tokens.
    w02_payment_of_tokens_by_a_cell_of_the_payee is OtherContract {
        let channel = tokens();
        let mut story = concluding(&channel);
        let lock = channel.parties[0].payout.clone();
        let token = channel.tokens[0].clone();
        let own = CellSketch::token(200 * CKB, lock, token.clone(), 5);
        story.draft.spend(own, 0);
        // The thief takes as many; no token is made or burnt.
        story.draft.make(CellSketch::token(200 * CKB, stranger(), token, 5));
        story
    }
    another_contracts_cell_among_the_inputs is OtherContract {
        let mut story = concluding(&pair());
        let contract = CellSketch::token(200 * CKB, stranger(), token_named("contract"), 0);
        story.draft.spend(contract, 0);
        story
    }
    /// B4: a sale that appears in outputs only can claim the same output as its price.
    b4_another_contracts_cell_among_the_outputs is OtherContract {
        let mut story = concluding(&pair());
        story.draft.make(CellSketch::token(200 * CKB, stranger(), token_named("sale"), 1));
        story
    }
    /// A puppet's channel names the sale as its token. Its cells must still be what a token's are,
    /// or the output that pays the victim's channel is the price of a sale as well.
    b4_another_contract_admitted_as_the_token_of_a_puppet is OtherContract {
        beside_puppets(&[0, 0], |cells| {
            let mut cell = CellSketch::token(200 * CKB, stranger(), token_named("sale"), 0);
            cell.data.extend([1; 20]);
            cells.push(cell);
        })
    }
    b4_a_puppets_token_of_which_there_is_nothing is OtherContract {
        beside_puppets(&[0, 0], |cells| {
            let lock = lock_named("mallory0");
            cells.push(CellSketch::token(200 * CKB, lock, token_named("sale"), 0));
        })
    }
    b4_a_puppets_token_that_goes_to_nobody_who_is_owed_it is OtherContract {
        beside_puppets(&[5, 0], |cells| token(cells).lock = stranger())
    }
    b4_a_puppets_token_with_more_data_than_an_amount is OtherContract {
        beside_puppets(&[5, 0], |cells| token(cells).data.push(0))
    }
    b4_a_token_of_the_channel_that_is_minted_beside_the_payout is OtherContract {
        let channel = tokens();
        let mut story = concluding(&channel);
        let token = channel.tokens[0].clone();
        story.draft.make(CellSketch::token(200 * CKB, stranger(), token, 1));
        story
    }
    b4_a_token_of_the_channel_that_is_burnt_beside_the_payout is OtherContract {
        let channel = Terms { opening: vec![5, 0], ..Terms::of("alice", 2) };
        let channel = channel.with_tokens(&["a"]).living("small");
        let mut story = Story::default();
        story.conclude(&channel, &Stands::disputed(&channel.initial(), &[own(0)]), 0);
        let cells = &mut story.draft.outputs;
        cells.retain(|cell| cell.kind.is_none());
        story.submitted()
    }
    /// B5: a cell under the lock of a channel that is spent by consent is not ours for that.
    b5_another_contract_under_the_lock_of_an_agreed_channel is OtherContract {
        let channel = pair();
        let agreed = Terms::of("mallory", 2).living("agreed");
        let mut story = concluding(&channel);
        let kinds = [perun_onchain_tests::ConsentKind::Signature; 2];
        story.agree(&agreed, &Stands::open(&agreed), &kinds);
        let contract = CellSketch::token(200 * CKB, agreed.lock(), token_named("contract"), 0);
        story.draft.spend(contract, 0);
        story
    }
    /// B1: the token of a channel that is the attacker's alone holds the victim's coins hostage.
    b1_coins_in_a_token_of_another_channel is OtherContract {
        let victim = pair();
        let puppets = Terms::of("mallory", 2).with_tokens(&["hostage"]).living("puppets");
        let mut story = two(&victim, &puppets);
        captive(&mut story, &victim, &puppets);
        story
    }
    /// B1: and it does not help to owe the victim a unit of it.
    b1_coins_in_a_token_that_another_channel_owes_the_victim is Underpaid {
        let victim = pair();
        let mut terms = Terms::of("mallory", 2).with_tokens(&["hostage"]);
        terms.parties[1].payout = victim.parties[1].payout.clone();
        let puppets = terms.living("puppets");
        let mut story = two(&victim, &puppets);
        captive(&mut story, &victim, &puppets);
        story
    }
    /// B2: coins in a cell of the channel's own token, which its issuer may freeze.
    b2_coins_in_a_token_of_the_same_channel is Underpaid {
        let channel = Terms::of("alice", 2).with_tokens(&["frozen"]).living("one token");
        let mut story = concluding(&channel);
        let plain = output(&story, &channel, 1);
        let capacity = story.draft.outputs.remove(plain).capacity;
        let lock = &channel.parties[1].payout;
        let mut cells = story.draft.outputs.iter_mut();
        cells.find(|cell| cell.lock == *lock).unwrap().capacity += capacity;
        story
    }
    /// W14: nothing is forfeited, however small.
    w14_a_share_of_one_shannon_that_is_not_paid is Underpaid {
        let channel = Terms { opening: vec![1, 5], ..Terms::of("alice", 2) }.living("tiny");
        let mut story = Story::default();
        story.conclude(&channel, &Stands::disputed(&channel.initial(), &[own(0)]), 0);
        let position = output(&story, &channel, 0);
        story.draft.outputs[position].capacity -= 1;
        story.submitted()
    }
    w14_reserves_that_go_to_whoever_submits is Underpaid {
        let channel = pair();
        let mut story = Story::default();
        story.conclude(&channel, &disputed(&channel), 0);
        let (from, to) = (output(&story, &channel, 1), output(&story, &channel, 0));
        let reserve = channel.parties[1].reserve;
        story.draft.outputs[from].capacity -= reserve;
        story.draft.outputs[to].capacity += reserve;
        story.submitted()
    }
    /// B6: after rows were skipped, everybody still gets the capacity of a plain cell.
    b6_a_reserve_that_vanishes_with_the_unpaid_rows is Underpaid {
        let channel = tokens();
        let mut story = Story::default();
        let all = channel.token_rows().iter().map(|row| 1 << row).sum();
        story.conclude(&channel, &disputed(&channel), all);
        let position = output(&story, &channel, 1);
        story.draft.outputs[position].capacity -= 61 * CKB;
        story.submitted()
    }
    the_fee_at_the_cost_of_a_payee_that_does_not_lend is Underpaid {
        let channel = pair();
        let mut story = Story::default();
        story.conclude(&channel, &disputed(&channel), 0);
        story.draft.submit("alice0", 1_000);
        story
    }
    a_lender_that_is_not_there is Underpaid {
        let mut terms = Terms::of("alice", 2);
        terms.parties[0].lends_fee = true;
        let channel = terms.living("lender");
        let mut story = concluding(&channel);
        let position = output(&story, &channel, 0);
        story.draft.outputs[position].capacity -= 1;
        story
    }
    more_than_the_slack is Underpaid { lending(1_000_001, 1_000_001) }
    more_than_the_fee is Underpaid {
        // The lender is short by more than the miner gets: a stranger has the rest.
        lending(10_000, 10_001)
    }
    /// A lock lends only if every channel says so.
    a_lock_that_lends_for_one_channel_only is Underpaid {
        let mut terms = Terms::of("alice", 2);
        let careful = terms.living("careful");
        terms.parties[0].lends_fee = true;
        let generous = terms.living("generous");
        let mut story = Story::default();
        story.conclude(&careful, &disputed(&careful), 0);
        story.conclude(&generous, &disputed(&generous), 0);
        story.draft.submit("alice0", 1_000);
        story
    }
    a_lender_short_of_a_token is Underpaid {
        let mut terms = Terms::of("alice", 2).with_tokens(&["a"]);
        terms.parties[0].lends_fee = true;
        let channel = terms.living("lender");
        let mut story = Story::default();
        story.conclude(&channel, &disputed(&channel), 0);
        for cell in story.draft.outputs.iter_mut().filter(|cell| cell.kind.is_some()) {
            let first = cell.lock == channel.parties[0].payout;
            let units = if first { amount(cell) - 1 } else { amount(cell) + 1 };
            cell.data = units.to_le_bytes().to_vec();
        }
        story.draft.submit("alice0", 1_000);
        story
    }
}

/// Puts all that the victim's channel owes its party 1 into a cell of the puppets' token.
fn captive(story: &mut Story, victim: &Channel, puppets: &Channel) {
    let position = output(story, victim, 1);
    let capacity = story.draft.outputs[position].capacity;
    let token = puppets.tokens[0].clone();
    let lock = victim.parties[1].payout.clone();
    let cells = &mut story.draft.outputs;
    cells.remove(position);
    match cells.iter_mut().find(|cell| cell.lock == lock && cell.kind == Some(token.clone())) {
        Some(cell) => cell.capacity += capacity,
        None => cells.push(CellSketch::token(capacity, lock, token, 0)),
    }
}

/// Party 0 pays the network fee of a conclusion and is short by `short`; a stranger has what is
/// left.
fn lending(fee: u64, short: u64) -> Story {
    let mut terms = Terms::of("alice", 2);
    terms.parties[0].lends_fee = true;
    let channel = terms.living("lender");
    let mut story = Story::default();
    story.conclude(&channel, &disputed(&channel), 0);
    story.draft.submit("alice0", fee);
    let change = story.draft.outputs.last_mut().unwrap();
    change.capacity -= short - fee.min(short);
    if short > fee {
        story.add_input(100 * CKB, &stranger());
        story.draft.make(CellSketch::plain(100 * CKB + short - fee, stranger()));
    }
    story
}

#[test]
fn what_a_lender_may_lend_is_accepted_to_the_shannon() {
    assert_eq!(lending(1_000_000, 1_000_000).trial().verdict, Ok(()));
    assert_eq!(lending(10_000, 10_000).trial().verdict, Ok(()));
}

#[test]
fn more_than_is_owed_is_accepted() {
    let channel = pair();
    let mut story = concluding(&channel);
    story.draft.make(CellSketch::plain(100 * CKB, channel.parties[1].payout.clone()));
    assert_eq!(story.trial().verdict, Ok(()));
    assert_ne!(lock_named("alice0"), stranger());
}

/// W22: a token that does not move keeps nobody's coins.
#[test]
fn w22_a_frozen_token_is_left_for_later() {
    let channel = tokens();
    let frozen = 1 << channel.token_rows()[0];
    let mut story = Story::default();
    story.conclude(&channel, &disputed(&channel), frozen);
    let mut story = story.submitted();
    assert_eq!(story.trial().verdict, Ok(()));
    let moved =
        story.draft.inputs.iter().filter(|i| i.cell.kind == Some(channel.tokens[0].clone()));
    assert_eq!(moved.count(), 0);
}
