//! A peer that stops answering, after each message it could have sent: the other side always gets
//! out.

use perun_protocol::{Change, Command, Config, Event, FailureReason, Index, PhaseName};

use crate::keys::Keys;
use crate::pair::Pair;
use crate::resizing::{commit_late, deposit, resize};

/// Runs a story in which `silent` stops after its n-th message, for every n, and checks that the
/// other side ends with at least its floor (P-M2).
fn for_every_silence(silent: usize, story: impl Fn(&mut Pair)) {
    for limit in 0.. {
        let config = Config { accept_close: true, ..Config::default() };
        let mut pair = Pair::with(Keys::Symbolic, [config; 2]);
        pair.nodes[silent].silent_after = Some(limit);
        pair.propose(50, 50).settle();
        let honest = 1 - silent;
        if pair.phases() == [PhaseName::Open; 2] {
            story(&mut pair);
        }
        let fell_silent = pair.nodes[silent].is_silent;
        let floor = match pair.nodes[honest].machine.agreed() {
            Some(_) => pair.floor(honest),
            None => 0,
        };
        pair.wait();
        if pair.phases()[honest] == PhaseName::Open {
            pair.user(honest, Command::Dispute).settle().wait();
        }
        match pair.phases()[honest] {
            PhaseName::Settled => {
                let paid = pair.payout(honest).unwrap();
                assert!(paid >= floor, "after {limit} messages: {paid} of {floor}");
            }
            PhaseName::Over => {
                assert!(!pair.ledger.channels.values().any(|entry| {
                    !matches!(
                        entry.standing,
                        perun_protocol::Standing::Absent | perun_protocol::Standing::Impossible
                    )
                }));
            }
            PhaseName::Fresh => assert_eq!(silent, 0, "nobody ever asked us"),
            other => panic!("after {limit} messages it hangs in {other:?}"),
        }
        if !fell_silent {
            assert!(limit > 3, "the story has more messages than that");
            return;
        }
    }
}

#[test]
fn a_silent_peer_in_an_opening_or_in_payments_keeps_nobodys_money() {
    for silent in 0..2 {
        for_every_silence(silent, |pair| {
            pair.pay(0, 3).pay(1, 3).settle();
            pair.pay(1 - silent, 1).settle();
        });
    }
}

#[test]
fn a_silent_peer_in_a_close_keeps_nobodys_money() {
    for silent in 0..2 {
        for closer in 0..2 {
            for_every_silence(silent, |pair| {
                pair.pay(0, 2).settle().pay(1, 2).settle().user(closer, Command::Close).settle();
            });
        }
    }
}

#[test]
fn a_silent_peer_in_a_resize_keeps_nobodys_money() {
    for silent in 0..2 {
        for asker in 0..2 {
            for_every_silence(silent, |pair| {
                pair.user(asker, resize(deposit(10), deposit(10))).settle();
            });
        }
    }
}

#[test]
fn a_wish_to_leave_that_gets_no_turn_becomes_a_dispute() {
    let mut pair = Pair::open(5, 5);
    assert_eq!(pair.nodes[1].machine.index(), Some(Index::One));
    pair.nodes[0].is_silent = true;
    pair.user(1, Command::Close).settle().wait();
    assert_eq!(pair.payout(1), Some(5));
}

/// A resize stands still, then commits, and by then the peer says nothing any more.
fn resized_without_the_peer(story: impl Fn(&mut Pair)) -> Pair {
    let mut pair = Pair::open(50, 50);
    pair.ledger.is_deaf = true;
    pair.user(0, resize(deposit(10), Change::Keep {})).settle();
    assert_eq!(pair.phases(), [PhaseName::ResizeReleased; 2]);
    story(&mut pair);
    pair.nodes[1].is_silent = true;
    commit_late(&mut pair);
    assert_eq!(pair.phases()[0], PhaseName::Open);
    pair
}

#[test]
fn a_close_that_was_wished_during_a_resize_does_not_wait_for_the_peer_for_ever() {
    let mut pair = resized_without_the_peer(|pair| {
        pair.user(0, Command::Close);
    });
    pair.wait();
    assert_eq!(pair.payout(0), Some(60));
    // A dispute that the resize has overtaken does not make the wish forgotten (P-L1).
    let mut pair = resized_without_the_peer(|pair| {
        pair.user(0, Command::Close).pass_time();
        assert_eq!(pair.phases()[0], PhaseName::Disputing);
    });
    pair.wait();
    assert_eq!(pair.payout(0), Some(60));
}

#[test]
fn a_payment_that_waits_during_a_resize_does_not_wait_for_the_peer_for_ever() {
    let mut pair = resized_without_the_peer(|pair| {
        pair.pay(0, 7).settle();
    });
    let waited =
        |event: &Event| matches!(event, Event::PaymentFailed { why: FailureReason::Waited, .. });
    assert!(!pair.saw(0, waited));
    pair.wait();
    assert!(pair.saw(0, waited));
    assert_eq!((pair.phases()[0], pair.balances(0)), (PhaseName::Open, [60, 50]));
}
