//! Resizing: more money in, money out, and a channel that goes on under a new id, or is settled.

use perun_channel::Amount;
use perun_protocol::{
    Body, Change, Changes, Command, DeclineReason, Declined, Effect, Event, FailureReason, Input,
    LedgerBytes, Misuse, PhaseName, Record, Refusal, Standing,
};

use crate::pair::{Pair, money};

pub(crate) fn resize(zero: Change, one: Change) -> Command {
    let changes = Changes::new(vec![[zero, one]]).unwrap();
    let contribution = LedgerBytes::new(vec![7; 10]).unwrap();
    Command::Resize { changes, chain: LedgerBytes::default(), contribution }
}

pub(crate) fn deposit(amount: u128) -> Change {
    Change::Deposit { amount: Amount::new(amount) }
}

fn withdraw(amount: u128) -> Change {
    Change::Withdraw { amount: Amount::new(amount) }
}

/// Both consents are out, and the ledger does not take the transaction.
fn released() -> Pair {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle();
    pair.ledger.is_deaf = true;
    pair.user(0, resize(deposit(10), Change::Keep {})).settle();
    assert_eq!(pair.phases(), [PhaseName::ResizeReleased; 2]);
    pair
}

/// The ledger takes the transaction of the resize after all.
pub(crate) fn commit_late(pair: &mut Pair) {
    pair.ledger.is_deaf = false;
    let submission = pair.nodes[0].effects.iter().rev();
    let mut submission = submission.filter(|e| matches!(e, Effect::SubmitAssembly { .. }));
    let submission = submission.next().unwrap().clone();
    pair.ledger.submit(0, &submission);
    pair.report();
    pair.settle();
}

/// How often a node gave back what it had set aside.
fn freed(pair: &Pair, place: usize) -> usize {
    pair.submitted(place, |effect| matches!(effect, Effect::ReleaseFunds { .. }))
}

#[test]
fn money_goes_in_and_out_and_payments_go_on() {
    for by in 0..2 {
        let mut pair = Pair::open(5, 5);
        pair.pay(0, 2).settle();
        let before = pair.nodes[0].machine.id();
        pair.user(by, resize(deposit(10), withdraw(4))).settle();
        assert_eq!(pair.phases(), [PhaseName::Open; 2]);
        assert_eq!([pair.balances(0), pair.balances(1)], [[13, 3]; 2]);
        assert_ne!(pair.nodes[0].machine.id(), before);
        assert_eq!(pair.nodes[0].machine.id(), pair.nodes[1].machine.id());
        pair.pay(0, 12).settle().pay(1, 1).settle();
        assert_eq!([pair.balances(0), pair.balances(1)], [[2, 14]; 2]);
        pair.user(1, Command::Close).settle();
        assert_eq!([pair.payout(0), pair.payout(1)], [Some(2), Some(14)]);
    }
}

/// One question to the ledger that fails must not end the channel.
#[test]
fn a_submission_that_failed_is_repeated_while_there_is_time() {
    let mut pair = released();
    pair.ledger.is_deaf = false;
    pair.advance(10);
    pair.report();
    pair.settle();
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
    assert_eq!([pair.balances(0), pair.balances(1)], [[13, 7]; 2]);
    for node in &pair.nodes {
        assert!(!node.events.iter().any(|event| matches!(event, Event::Disputed { .. })));
    }
}

#[test]
fn payments_that_wait_during_a_resize_are_paid_in_the_successor() {
    let mut pair = Pair::open(5, 5);
    pair.user(0, resize(deposit(10), Change::Keep {}));
    pair.pay(0, 1).pay(1, 1).pay(1, 1).settle();
    assert_eq!([pair.balances(0), pair.balances(1)], [[16, 4]; 2]);
    assert_eq!([pair.received(0).len(), pair.received(1).len()], [2, 1]);
}

#[test]
fn more_than_the_balance_cannot_be_withdrawn() {
    let mut pair = Pair::open(5, 5);
    let command = resize(withdraw(6), Change::Keep {});
    assert_eq!(pair.feed(0, Input::Command(command)), Err(Declined::Misuse(Misuse::Changes)));
    let changes = Changes::new(vec![[withdraw(6), Change::Keep {}]]).unwrap();
    let (chain, contribution) = (LedgerBytes::default(), money(0));
    pair.forge(0, Body::ProposeResize { changes, chain, contribution }).unwrap();
    assert_eq!(pair.phases()[1], PhaseName::Open);
}

#[test]
fn a_user_may_refuse_a_resize_and_the_channel_goes_on() {
    let mut pair = Pair::open(5, 5);
    pair.users_answer = false;
    pair.user(0, resize(deposit(10), Change::Keep {})).settle();
    pair.user(1, Command::DeclineResize).settle();
    let reason = DeclineReason::User {};
    assert!(pair.saw(0, |event| *event == Event::ResizeFailed(reason.clone())));
    pair.pay(0, 2).settle();
    assert_eq!(pair.balances(1), [3, 7]);
    assert_eq!(pair.submitted(0, |effect| matches!(effect, Effect::ReleaseFunds { .. })), 1);
}

#[test]
fn a_resize_that_nobody_answers_ends_and_the_channel_goes_on() {
    let mut pair = Pair::open(5, 5);
    pair.users_answer = false;
    pair.user(0, resize(deposit(10), Change::Keep {})).settle().wait();
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
    pair.pay(0, 2).settle();
    assert_eq!(pair.balances(1), [3, 7]);
}

#[test]
fn a_resize_that_is_not_built_as_agreed_is_not_released() {
    let mut pair = Pair::open(5, 5);
    pair.ledger.bends = true;
    pair.user(0, resize(deposit(10), Change::Keep {})).settle();
    for place in 0..2 {
        let out = pair.submitted(place, |effect| {
            matches!(effect, Effect::SendWitness { transaction } if transaction.consent.is_some())
        });
        assert_eq!(out, 0);
    }
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
}

#[test]
fn nothing_is_signed_while_consent_is_out() {
    let mut pair = released();
    pair.pay(0, 1).settle();
    assert_eq!(pair.updates, 1, "only the payment before");
    assert_eq!(pair.version(0), 1);
}

#[test]
fn a_resize_that_does_not_commit_is_settled_by_the_newest_state() {
    let mut pair = released();
    pair.pass_time();
    pair.ledger.is_deaf = false;
    pair.wait();
    assert_eq!([pair.payout(0), pair.payout(1)], [Some(3), Some(7)]);
}

#[test]
fn a_resize_that_commits_while_we_dispute_is_the_channel() {
    let mut pair = released();
    pair.pass_time();
    assert_eq!(pair.phases(), [PhaseName::Disputing; 2]);
    commit_late(&mut pair);
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
    assert_eq!([pair.balances(0), pair.balances(1)], [[13, 7]; 2]);
}

#[test]
fn a_resize_that_became_impossible_lets_the_channel_go_on() {
    let mut pair = released();
    let old = pair.nodes[0].machine.id().unwrap();
    let successor = *pair.ledger.channels.keys().find(|id| **id != old).unwrap();
    pair.ledger.change(&successor, |_| Some(Standing::Impossible));
    pair.report();
    pair.settle();
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
    pair.pay(1, 1).settle();
    assert_eq!(pair.balances(0), [4, 6]);
}

#[test]
fn a_dispute_before_our_consent_is_out_gives_back_what_the_resize_set_aside() {
    for is_asked_only in [true, false] {
        let mut pair = Pair::open(5, 5);
        pair.users_answer = !is_asked_only;
        if !is_asked_only {
            // The peer accepts and never releases: participant 0 waits for it.
            pair.nodes[1].silent_after = Some(pair.nodes[1].sent + 1);
        }
        pair.user(0, resize(deposit(10), Change::Keep {})).settle();
        assert_eq!(pair.phases()[0], PhaseName::Resizing);
        pair.user(0, Command::Dispute);
        let effects = &pair.nodes[0].effects;
        let at = |wanted: fn(&Effect) -> bool| effects.iter().position(wanted).unwrap();
        let released = at(|effect| matches!(effect, Effect::ReleaseFunds { .. }));
        let registered = at(|effect| matches!(effect, Effect::Register { .. }));
        assert!(released < registered, "the dispute's fee may be paid from it");
        pair.settle().wait();
        assert_eq!(freed(&pair, 0), 1);
    }
}

#[test]
fn an_old_state_on_the_ledger_gives_back_what_the_resize_set_aside() {
    let mut pair = Pair::open(5, 5);
    let initial = pair.nodes[0].machine.agreed().unwrap().clone();
    pair.pay(0, 1).settle();
    pair.users_answer = false;
    pair.user(0, resize(deposit(10), Change::Keep {})).settle();
    let id = pair.nodes[0].machine.id().unwrap();
    let slot = perun_protocol::Slot { participant: crate::pair::index(1), delegate: false };
    pair.ledger.register(&id, &initial, &slot);
    pair.report();
    pair.settle();
    assert_eq!(freed(&pair, 0), 1);
    pair.wait();
    assert_eq!(pair.payout(0), Some(4));
}

#[test]
fn a_dispute_after_our_consent_is_out_may_pay_its_fee_from_the_resize() {
    let mut pair = released();
    pair.pass_time();
    assert_eq!(pair.phases(), [PhaseName::Disputing; 2]);
    assert_eq!([freed(&pair, 0), freed(&pair, 1)], [1, 1]);
}

#[test]
fn a_wish_for_a_resize_that_is_given_up_gives_its_money_back() {
    let mut pair = Pair::open(5, 5);
    pair.nodes[0].is_silent = true;
    pair.user(1, resize(Change::Keep {}, deposit(10))).settle().wait();
    assert!(pair.saw(1, |event| matches!(event, Event::ResizeFailed(_))));
    assert_eq!(freed(&pair, 1), 1);
    // The same if the user leaves before, or finds that the journal is an old one.
    for input in [Input::Command(Command::Dispute), Input::JournalRolledBack] {
        let mut pair = Pair::open(5, 5);
        pair.nodes[0].is_silent = true;
        pair.user(1, resize(Change::Keep {}, deposit(10))).settle();
        pair.feed(1, input).unwrap();
        assert_eq!(freed(&pair, 1), 1);
        let _ = pair.feed(1, Input::Command(Command::Dispute));
        pair.settle().wait();
        assert_eq!(freed(&pair, 1), 1);
    }
}

#[test]
fn a_payment_that_was_reported_as_failed_is_not_made_after_the_resize_commits() {
    for dies in [false, true] {
        let mut pair = released();
        // It waits, for the channel stands still, until the resize is too late.
        pair.pay(0, 1).settle().pass_time();
        assert_eq!(pair.phases(), [PhaseName::Disputing; 2]);
        let closed = |event: &Event| {
            matches!(event, Event::PaymentFailed { why: FailureReason::Closed, .. })
        };
        assert!(pair.saw(0, closed));
        commit_late(&mut pair);
        if dies {
            // It is told again, by whatever the machine is then.
            pair.nodes[0].events.clear();
            pair.revive(0);
            pair.settle();
            assert!(pair.saw(0, closed));
        }
        assert_eq!(pair.phases(), [PhaseName::Open; 2]);
        assert_eq!([pair.balances(0), pair.balances(1)], [[13, 7]; 2]);
        assert_eq!(pair.nodes[0].machine.queued(), 0);
        assert_eq!(pair.received(1).len(), 1, "only the payment before");
    }
}

/// Node 0 has one payment too many in wait when a resize takes 30 of its 50.
fn overdrawn(by: usize) -> Pair {
    let mut pair = Pair::open(50, 50);
    if by == 1 {
        pair.pay(1, 1).settle();
    }
    pair.users_answer = false;
    pair.user(by, resize(withdraw(30), Change::Keep {})).settle();
    pair.pay(0, 15).pay(0, 10).pay(0, 5).settle();
    pair.users_answer = true;
    pair.user(1 - by, Command::AcceptResize { contribution: money(1 - by) }).settle();
    pair
}

#[test]
fn payments_that_a_resize_made_impossible_do_not_wedge_the_channel() {
    for by in 0..2 {
        let mut pair = overdrawn(by);
        let unfunded = |event: &Event| {
            matches!(event, Event::PaymentFailed { why: FailureReason::Unfunded, .. })
        };
        assert_eq!(pair.nodes[0].events.iter().filter(|event| unfunded(event)).count(), 1);
        assert_eq!(pair.sent(0).len(), 2, "those that fit are made");
        pair.reconnect().pay(1, 1).settle();
        let payments = if by == 1 { 2 } else { 1 };
        assert_eq!(pair.received(0).len(), payments, "and the peer pays");
        assert_eq!([pair.nodes[0].refusals.len(), pair.nodes[1].refusals.len()], [0, 0]);
        pair.nodes[0].events.clear();
        pair.revive(0);
        assert!(pair.saw(0, unfunded), "told again after a restart");
        pair.user(0, Command::Close).settle();
        let left = if by == 1 { 2 } else { 1 };
        assert_eq!(pair.payout(0), Some(u128::try_from(left).unwrap()));
    }
}

#[test]
fn a_word_of_the_peer_counts_even_if_we_can_do_nothing_next() {
    let mut pair = Pair::open(50, 50);
    pair.pay(1, 1);
    pair.net.drop_all();
    // Node 0 has no version left for what waits: the request for the turn is heard all the same.
    let payment = pair.payment(0, 1);
    let (next, deadline) = (perun_channel::Version::new(u64::MAX), pair.now.after(100));
    for record in [Record::VersionsSkipped { next }, Record::Queued { payment, deadline }] {
        pair.nodes[0].machine.apply(&record);
    }
    let body = Body::RequestTurn { turn: perun_protocol::Turn::default() };
    let word = Input::Message(perun_protocol::Message { opening: pair.opening, body });
    let step = pair.nodes[0].machine.step_with(&pair.keys, pair.now, word).unwrap();
    assert_eq!(step.records, [Record::TurnRequested {}]);
}

#[test]
fn a_peer_cannot_make_us_build_and_sign_the_same_witness_again_and_again() {
    let mut pair = released();
    pair.net.drop_all();
    let built = |pair: &Pair, place: usize| {
        pair.submitted(place, |effect| {
            matches!(effect, Effect::SendWitness { .. } | Effect::SubmitAssembly { .. })
        })
    };
    for place in 0..2 {
        let before = built(&pair, place);
        let state = pair.nodes[place].machine.agreed().unwrap().state.clone();
        for _ in 0..100 {
            let (state, next_version) = (state.clone(), perun_channel::Version::new(1));
            pair.forge(1 - place, Body::Sync { state, next_version, proof: None }).unwrap();
        }
        assert_eq!(built(&pair, place), before);
        pair.feed(place, Input::Connected).unwrap();
        assert_eq!(built(&pair, place), before + 1, "a connection is a reason");
    }
}

#[test]
fn consent_counts_only_with_the_peers_signature() {
    let mut pair = Pair::open(5, 5);
    pair.nodes[1].silent_after = Some(pair.nodes[1].sent + 1);
    pair.user(0, resize(deposit(10), Change::Keep {})).settle();
    let assembly = pair.nodes[1].effects.iter().rev().find_map(|effect| match effect {
        Effect::SendWitness { transaction } => Some(transaction.clone()),
        _ => None,
    });
    let assembly = assembly.unwrap();
    let digest = assembly.consent.unwrap();
    let (transaction, locks) = (assembly.id, crate::ledger::own_witness(1));
    for consent in [None, Some(pair.nodes[0].signer.sign(&digest))] {
        let witness = perun_protocol::Witness { transaction, locks: locks.clone(), consent };
        let refused = pair.forge(1, Body::Release { witness });
        assert!(matches!(refused, Err(Declined::Refusal(Refusal::Signature(_)))));
    }
}

#[test]
fn only_the_holder_of_the_turn_asks_for_a_resize() {
    let mut pair = Pair::open(5, 5);
    let changes = Changes::new(vec![[deposit(1), Change::Keep {}]]).unwrap();
    let (chain, contribution) = (LedgerBytes::default(), money(1));
    let refused = pair.forge(1, Body::ProposeResize { changes, chain, contribution });
    assert_eq!(refused, Err(Declined::Refusal(Refusal::NotTheirTurn)));
}

#[test]
fn a_resize_survives_a_bad_network() {
    for seed in 0..40 {
        let mut pair = Pair::open(5, 5);
        pair.net = crate::net::Net::bad(seed, 30, 20, 20);
        pair.user(1, resize(deposit(10), withdraw(1))).settle();
        for _ in 0..60 {
            pair.reconnect();
        }
        assert_eq!([pair.balances(0), pair.balances(1)], [[15, 4]; 2], "seed {seed}");
    }
}
