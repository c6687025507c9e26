//! Every action, alone and in company, is accepted by both judges, and the oracle finds nobody
//! wronged.

use perun_channel::State;
use perun_channel::adjudicator::Decision;
use perun_onchain_tests::story::{Stands, Story, delegate, own, used};
use perun_onchain_tests::{CKB, CellSketch, Channel, ConsentKind, LegTerms, Terms, Trial};

/// All kinds of channels that the actions are tried on: parties, coins, tokens, Ethereum rows.
const KINDS: &[(usize, bool, usize, u64)] = &[
    (2, true, 0, 0),
    (2, true, 1, 0),
    (2, true, 3, 0),
    (2, false, 1, 0),
    (2, true, 0, 2),
    (3, true, 2, 1),
    (5, true, 0, 0),
    (16, true, 0, 0),
    (16, true, 1, 1),
];

const NAMES: [&str; 15] =
    ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o"];

fn terms(kind: &(usize, bool, usize, u64), name: &str) -> Terms {
    let (parties, coin, tokens, foreign) = *kind;
    let terms = Terms { coin, foreign, ..Terms::of(name, parties) };
    terms.with_tokens(&NAMES[..tokens])
}

/// Runs a story on every kind of channel.
fn everywhere(tell: impl Fn(&mut Story, &Channel)) {
    on(KINDS.iter(), tell);
}

/// Runs a story on every kind of channel without tokens.
fn without_tokens(tell: impl Fn(&mut Story, &Channel)) {
    on(KINDS.iter().filter(|(_, _, tokens, _)| *tokens == 0), tell);
}

fn on<'a>(
    kinds: impl Iterator<Item = &'a (usize, bool, usize, u64)>,
    tell: impl Fn(&mut Story, &Channel),
) {
    for kind in kinds {
        let channel = terms(kind, "alice").living("a channel");
        let mut story = Story::default();
        tell(&mut story, &channel);
        accepted(&mut story.submitted(), &format!("{kind:?}"));
    }
}

fn accepted(story: &mut Story, what: &str) -> Trial {
    let trial = story.trial();
    assert_eq!(trial.verdict, Ok(()), "{what}");
    trial
}

/// Party 0 paid party 1, once per version.
fn later(channel: &Channel, version: u64) -> State {
    let mut balances = channel.opening.clone();
    balances[0] -= u128::from(version) * 7;
    balances[1] += u128::from(version) * 7;
    channel.state(version, &balances)
}

#[test]
fn create_with_all_deposits() {
    for kind in KINDS {
        let mut story = Story::default();
        story.create(&terms(kind, "alice"), None);
        accepted(&mut story.submitted(), &format!("{kind:?}"));
    }
}

#[test]
fn create_with_the_first_deposits() {
    for kind in KINDS.iter().filter(|(_, _, tokens, _)| *tokens == 0) {
        for deposited in [1, 2] {
            let mut story = Story::default();
            story.create(&terms(kind, "alice"), Some(deposited));
            accepted(&mut story.submitted(), &format!("{kind:?}, {deposited}"));
        }
    }
}

#[test]
fn fund_the_rest_or_a_part() {
    without_tokens(|story, channel| story.fund(channel, 1, u32::MAX >> (32 - channel.parties())));
    without_tokens(|story, channel| story.fund(channel, 2, 3));
}

#[test]
fn abort_funding() {
    without_tokens(|story, channel| story.abort(channel, 1));
    without_tokens(|story, channel| {
        let marks = if channel.parties() > 2 { 0b110 } else { 0b10 };
        story.abort(channel, marks);
    });
}

#[test]
fn register_version_zero_from_open() {
    everywhere(|story, channel| {
        story.register(channel, &Stands::open(channel), &channel.initial(), own(1));
    });
}

#[test]
fn register_a_newer_state_from_open() {
    everywhere(|story, channel| {
        story.register(channel, &Stands::open(channel), &later(channel, 5), own(0));
    });
}

#[test]
fn w19_refute_through_each_slot() {
    everywhere(|story, channel| {
        let last = u8::try_from(channel.parties()).unwrap() - 1;
        let stands = Stands::disputed(&later(channel, 3), &[own(0), own(1)]);
        story.register(channel, &stands, &later(channel, 9), delegate(last));
    });
    everywhere(|story, channel| {
        let stands = Stands::disputed(&channel.initial(), &[own(0), delegate(1)]);
        story.register(channel, &stands, &later(channel, 9), own(1));
    });
}

#[test]
fn register_a_final_state() {
    everywhere(|story, channel| {
        let last = later(channel, 4).finalized();
        story.register(channel, &Stands::open(channel), &last, own(0));
    });
}

#[test]
fn conclude_in_full() {
    everywhere(|story, channel| {
        story.conclude(channel, &Stands::disputed(&later(channel, 3), &[own(0)]), 0);
    });
}

#[test]
fn conclude_without_some_rows_and_withdraw_them() {
    for kind in KINDS.iter().filter(|(_, _, tokens, _)| *tokens != 0) {
        let channel = terms(kind, "alice").living("a channel");
        let rows = channel.token_rows();
        let all: u32 = rows.iter().map(|row| 1 << row).sum();
        let state = later(&channel, 3);
        for unpaid in [all, 1 << rows[0]] {
            let mut story = Story::default();
            story.conclude(&channel, &Stands::disputed(&state, &[own(0)]), unpaid);
            accepted(&mut story.submitted(), &format!("{kind:?} without {unpaid:b}"));
            let mut story = Story::default();
            story.withdraw(&channel, &Stands::concluded(&state, unpaid), 0);
            accepted(&mut story.submitted(), &format!("{kind:?} with {unpaid:b}"));
        }
        if rows.len() > 1 {
            let mut story = Story::default();
            story.withdraw(&channel, &Stands::concluded(&state, all), 1 << rows[1]);
            accepted(&mut story.submitted(), &format!("{kind:?} one by one"));
        }
    }
}

/// Every party but one gives some of each asset to the next one.
fn swapping(channel: &Channel) -> State {
    let parties = channel.parties();
    let legs = (0..channel.setup.rows().len()).map(|row| {
        let (from, late) = (row % (parties - 1), u64::try_from(row).unwrap());
        (row, from, from + 1, 2_000_000_000 + late, 40)
    });
    channel.swapping(&later(channel, 3), &SECRET, &legs.collect::<Vec<_>>())
}

const SECRET: [u8; 32] = [5; 32];
const ENDS: [Decision; 2] = [Decision::Claim(SECRET), Decision::Refund];

#[test]
fn register_a_swap_and_refute_it() {
    everywhere(|story, channel| {
        story.register(channel, &Stands::open(channel), &swapping(channel), own(0));
    });
    everywhere(|story, channel| {
        let stands = Stands::disputed(&swapping(channel), &[own(0)]);
        story.register(channel, &stands, &later(channel, 4), own(1));
    });
}

#[test]
fn claim_a_swap_or_let_it_lapse() {
    for end in ENDS {
        everywhere(|story, channel| {
            let stands = Stands::disputed(&swapping(channel), &[own(0)]);
            story.decide(channel, &stands, 0, Some(end));
        });
    }
}

#[test]
fn withdraw_rows_of_a_swap_that_ended() {
    for kind in KINDS.iter().filter(|(_, _, tokens, _)| *tokens != 0) {
        let channel = terms(kind, "alice").living("a channel");
        let (state, rows) = (swapping(&channel), channel.token_rows());
        let all: u32 = rows.iter().map(|row| 1 << row).sum();
        for end in ENDS {
            let mut story = Story::default();
            let stands = Stands::disputed(&state, &[own(0)]);
            story.decide(&channel, &stands, all, Some(end));
            accepted(&mut story.submitted(), &format!("{kind:?}, rows stay, {end:?}"));
            let claimed = end == ENDS[0];
            let stands = Stands { claimed, ..Stands::concluded(&state, all) };
            let first = 1 << rows[0];
            for (before, after) in [(all, 0), (all, all & !first), (first, 0)] {
                if before == after {
                    continue;
                }
                let mut story = Story::default();
                let stands = Stands { marks: before, ..stands.clone() };
                story.withdraw(&channel, &stands, after);
                accepted(&mut story.submitted(), &format!("{kind:?} {before:b} {end:?}"));
            }
        }
    }
}

/// Its first tokens come to a payee by a claim, its last ones leave another: reserves suffice for
/// both, because they must for any state.
#[test]
fn claim_all_of_an_asset() {
    let channel = Terms::of("alice", 2).with_tokens(&["a", "b"]).living("a channel");
    let all: u128 = channel.opening.iter().sum();
    let rows: Vec<usize> = (0..channel.setup.rows().len()).collect();
    let legs: Vec<LegTerms> = rows.iter().map(|row| (*row, 0, 1, 2_000_000_000, all)).collect();
    let state = channel.swapping(&channel.state(4, &[all, 0]), &SECRET, &legs);
    for end in ENDS {
        for unpaid in [0, 1 << channel.token_rows()[0]] {
            let mut story = Story::default();
            story.decide(&channel, &Stands::disputed(&state, &[own(0)]), unpaid, Some(end));
            accepted(&mut story.submitted(), &format!("{end:?} {unpaid:b}"));
        }
    }
}

#[test]
fn a_swap_on_other_ledgers_is_not_decided_here() {
    let channel = Terms { foreign: 2, ..Terms::of("alice", 2) }.living("a channel");
    let legs = [(0, 0, 1, 2_000_000_000, 40), (1, 1, 0, 2_000_000_000, 40)];
    let state = channel.swapping(&later(&channel, 3), &SECRET, &legs);
    let mut story = Story::default();
    story.conclude(&channel, &Stands::disputed(&state, &[own(0)]), 0);
    accepted(&mut story.submitted(), "nothing to decide");
}

/// One lock in two channels: each is decided for itself, also in one transaction.
#[test]
fn two_channels_under_one_lock() {
    for ends in [[ENDS[0], ENDS[0]], [ENDS[0], ENDS[1]], [ENDS[1], ENDS[1]]] {
        let mut story = Story::default();
        for (name, end) in ["one", "two"].into_iter().zip(ends) {
            let channel = Terms::of("hub", 2).living(name);
            let stands = Stands::disputed(&swapping(&channel), &[own(0)]);
            story.decide(&channel, &stands, 0, Some(end));
        }
        accepted(&mut story.submitted(), &format!("{ends:?}"));
    }
}

#[test]
fn close_a_final_state() {
    everywhere(|story, channel| {
        let last = later(channel, 8).finalized();
        story.close(channel, &Stands::open(channel), &last, 0);
    });
    everywhere(|story, channel| {
        let last = later(channel, 8).finalized();
        story.close(channel, &Stands::disputed(&later(channel, 7), &[own(1)]), &last, 0);
    });
    everywhere(|story, channel| {
        let last = later(channel, 8).finalized();
        story.close(channel, &Stands::disputed(&last, &[own(1)]), &last, 0);
    });
}

#[test]
fn close_without_a_frozen_token() {
    let channel = Terms::of("alice", 2).with_tokens(&["a", "b"]).living("a channel");
    let mut story = Story::default();
    let last = later(&channel, 8).finalized();
    story.close(&channel, &Stands::open(&channel), &last, 1 << channel.token_rows()[1]);
    accepted(&mut story.submitted(), "one row waits");
}

#[test]
fn agree_in_every_phase() {
    for kind in KINDS {
        let channel = terms(kind, "alice").living("a channel");
        let state = later(&channel, 6);
        let kinds = vec![ConsentKind::Signature; channel.parties()];
        let mut phases = vec![
            Stands::open(&channel),
            Stands::disputed(&state, &[own(0)]),
            Stands::funding(&channel, 1),
        ];
        if let Some(row) = channel.token_rows().first() {
            phases.push(Stands::concluded(&state, 1 << row));
        }
        for stands in phases {
            let mut story = Story::default();
            story.agree(&channel, &stands, &kinds);
            story.pay_out(&channel, &state);
            accepted(&mut story.submitted(), &format!("{kind:?} {stands:?}"));
        }
    }
}

#[test]
fn consent_by_presence_and_by_an_earlier_signature() {
    let mut terms = Terms::of("alice", 2);
    terms.parties[1].by_presence = true;
    let one = terms.living("one");
    let two = terms.living("two");
    let mut story = Story::default();
    story.agree(&one, &Stands::open(&one), &[ConsentKind::Signature, ConsentKind::Presence]);
    story.agree(&two, &Stands::open(&two), &[ConsentKind::Shared, ConsentKind::Presence]);
    story.add_input(100 * CKB, &terms.parties[1].owner);
    story.pay_out(&one, &one.initial());
    story.pay_out(&two, &two.initial());
    accepted(&mut story.submitted(), "presence, and one signature for two channels");
}

#[test]
fn w20_succeed_a_channel_by_another() {
    // A rollover, a top-up and a partial withdrawal differ in what the successor holds.
    for opening in [vec![1_000, 1_000], vec![1_500, 1_000], vec![300, 1_000]] {
        let old = Terms::of("alice", 2).with_tokens(&["a"]).living("old");
        let mut story = Story::default();
        story.agree(&old, &Stands::open(&old), &[ConsentKind::Signature; 2]);
        let mut terms = Terms::of("alice", 2).with_tokens(&["a"]);
        terms.opening = opening.iter().map(|ckb| ckb * u128::from(CKB)).collect();
        terms.challenge_secs = 7_200;
        story.create(&terms, None);
        accepted(&mut story.submitted(), &format!("{opening:?}"));
    }
}

#[test]
fn w20_several_channels_in_one_transaction() {
    let mut story = Story::default();
    for (index, kind) in KINDS.iter().take(5).enumerate() {
        let channel = terms(kind, "hub").living(NAMES[index]);
        let state = later(&channel, 2);
        match index {
            0 => story.conclude(&channel, &Stands::disputed(&state, &[own(0)]), 0),
            1 => story.close(&channel, &Stands::open(&channel), &state.finalized(), 0),
            2 => {
                let all = channel.token_rows().iter().map(|row| 1 << row).sum();
                story.withdraw(&channel, &Stands::concluded(&state, all), 0);
            }
            3 => story.register(&channel, &Stands::open(&channel), &state, own(1)),
            _ => story.abort(&channel, 1),
        }
    }
    let trial = accepted(&mut story.submitted(), "a batch of different actions");
    assert_eq!(trial.groups, 6, "one group for all channels, one vault lock each");
}

#[test]
fn a_payee_pays_the_fee_out_of_its_own_cells() {
    let mut terms = Terms::of("alice", 2);
    terms.parties[0].lends_fee = true;
    let channel = terms.living("a channel");
    let mut story = Story::default();
    story.conclude(&channel, &Stands::disputed(&channel.initial(), &[own(0)]), 0);
    story.draft.submit("alice0", 1_000_000);
    accepted(&mut story, "0.01 CKB of slack");
}

#[test]
fn the_smallest_reserves_are_enough() {
    let mut terms = Terms::of("alice", 4);
    terms.parties.iter_mut().for_each(|party| party.reserve = 61 * CKB);
    terms.opening = vec![1, 0, 3, u128::from(CKB)];
    let channel = terms.living("a channel");
    let mut story = Story::default();
    story.conclude(&channel, &Stands::disputed(&channel.initial(), &[own(0)]), 0);
    accepted(&mut story.submitted(), "shares of a few shannons are paid");
}

#[test]
fn the_largest_channel_can_always_be_settled() {
    let names: Vec<&str> = NAMES.to_vec();
    let mut terms = Terms::of("alice", 16).with_tokens(&names);
    terms.parties.iter_mut().for_each(|party| party.reserve = 3_000 * CKB);
    let channel = terms.living("a channel");
    let state = later(&channel, 3);
    let mut story = Story::default();
    story.conclude(&channel, &Stands::disputed(&state, &[own(0)]), 0);
    let trial = accepted(&mut story.submitted(), "16 parties and 16 assets");
    assert!(trial.channel_cycles + trial.vault_cycles < 60_000_000, "{trial:?}");
    let mut story = Story::default();
    story.close(&channel, &Stands::open(&channel), &state.finalized(), 0);
    let trial = accepted(&mut story.submitted(), "16 parties and 16 assets");
    assert!(trial.channel_cycles + trial.vault_cycles < 60_000_000, "{trial:?}");
}

#[test]
fn netted_payouts_are_accepted() {
    let mut story = Story::default();
    let terms = Terms::of("hub", 2);
    let (one, two) = (terms.living("one"), terms.living("two"));
    story.conclude(&one, &Stands::disputed(&later(&one, 1), &[own(0)]), 0);
    story.conclude(&two, &Stands::disputed(&later(&two, 2), &[own(0)]), 0);
    let mut netted: Vec<CellSketch> = Vec::new();
    for cell in story.draft.outputs.drain(..) {
        match netted.iter_mut().find(|other| other.lock == cell.lock) {
            Some(other) => other.capacity += cell.capacity,
            None => netted.push(cell),
        }
    }
    story.draft.outputs = netted;
    accepted(&mut story.submitted(), "one output for both channels, holding both dues");
    assert_eq!(used(&[own(0), delegate(1)]), 0b1001);
}

#[test]
fn tokens_of_128_bits() {
    let terms = Terms {
        coin: false,
        opening: vec![u128::MAX - 1_000, 1_000],
        ..Terms::of("alice", 2).with_tokens(&["a", "b", "c"])
    };
    let mut story = Story::default();
    story.create(&terms, None);
    accepted(&mut story.submitted(), "the whole range of a token is deposited");
    let channel = terms.living("large");
    let mut story = Story::default();
    story.close(&channel, &Stands::open(&channel), &later(&channel, 5).finalized(), 0);
    accepted(&mut story.submitted(), "and paid out");
}

#[test]
fn assets_of_which_there_is_nothing() {
    let terms = Terms { opening: vec![0, 0], ..Terms::of("alice", 2).with_tokens(&["a"]) };
    let mut story = Story::default();
    story.create(&terms, None);
    accepted(&mut story.submitted(), "an empty channel");
    let channel = terms.living("empty");
    let stands = Stands::disputed(&channel.state(4, &[0, 0]), &[own(1)]);
    let mut story = Story::default();
    story.conclude(&channel, &stands, 0);
    accepted(&mut story.submitted(), "returns its reserves");
    let mut story = Story::default();
    story.conclude(&channel, &stands, 1 << channel.token_rows()[0]);
    accepted(&mut story.submitted(), "even if its token is frozen");
}

#[test]
fn all_to_one_side() {
    everywhere(|story, channel| {
        let mut balances = vec![0; channel.parties()];
        balances[1] = channel.opening.iter().sum();
        let state = channel.state(4, &balances);
        story.conclude(channel, &Stands::disputed(&state, &[own(0)]), 0);
    });
}
