//! A process that dies anywhere: nothing is signed twice, nothing that was acknowledged is lost.

use perun_protocol::{Command, PhaseName};

use crate::pair::{Death, Pair};
use crate::resizing::{deposit, resize};

/// Tells a story again and again, with a death at each of its steps, and checks how it ends. That
/// no version is signed with two contents is checked at every signature.
fn with_a_death_everywhere(story: impl Fn(&mut Pair), end: impl Fn(&Pair)) {
    for death in [Death::BeforeRecords, Death::BeforeEffects, Death::BetweenEffects] {
        for at in 0.. {
            let mut pair = Pair::new();
            pair.death = Some((at, death));
            pair.propose(100, 100).settle();
            pair.reconnect().reconnect();
            if pair.phases() == [PhaseName::Fresh; 2] {
                // The user's wish died with the process, and the user asks again.
                pair.propose(100, 100).settle();
            }
            assert_eq!(pair.phases(), [PhaseName::Open; 2], "{death:?} at {at}");
            story(&mut pair);
            pair.reconnect().reconnect();
            end(&pair);
            if !pair.died {
                assert!(at > 10, "the story has more steps than that");
                break;
            }
        }
    }
}

#[test]
fn payments_survive_a_death_anywhere() {
    with_a_death_everywhere(
        |pair| {
            pair.pay(0, 3).pay(0, 4).pay(1, 5).settle();
            pair.reconnect();
            pair.pay(1, 6).settle();
        },
        |pair| {
            assert_eq!([pair.balances(0), pair.balances(1)], [[104, 96]; 2]);
            for (payer, payee, count) in [(0, 1, 2), (1, 0, 2)] {
                assert_eq!(pair.received(payee).len(), count);
                assert_eq!(pair.sent(payer).len(), count, "acknowledged means told");
            }
        },
    );
}

#[test]
fn a_close_survives_a_death_anywhere() {
    with_a_death_everywhere(
        |pair| {
            pair.pay(0, 3).settle();
            pair.user(1, Command::Close).settle();
        },
        |pair| {
            assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
            assert_eq!([pair.payout(0), pair.payout(1)], [Some(97), Some(103)]);
        },
    );
}

#[test]
fn a_dispute_survives_a_death_anywhere() {
    with_a_death_everywhere(
        |pair| {
            pair.pay(0, 3).settle();
            pair.reconnect();
            pair.user(1, Command::Dispute).settle().wait();
        },
        |pair| assert_eq!([pair.payout(0), pair.payout(1)], [Some(97), Some(103)]),
    );
}

#[test]
fn a_resize_survives_a_death_anywhere() {
    with_a_death_everywhere(
        |pair| {
            pair.pay(0, 3).settle();
            pair.reconnect();
            pair.user(1, resize(deposit(10), deposit(20))).settle();
        },
        |pair| {
            assert_eq!(pair.phases(), [PhaseName::Open; 2]);
            assert_eq!([pair.balances(0), pair.balances(1)], [[107, 123]; 2]);
        },
    );
}

#[test]
fn a_refusal_is_remembered_by_both_sides_after_a_death() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2);
    // Node 1 refuses, dies before the refusal is out, and hears the update again.
    let reason = perun_protocol::RejectReason::Version {};
    let after = perun_protocol::Handover::Keep {};
    let version = perun_channel::Version::new(1);
    let record = perun_protocol::Record::Rejected { version, after };
    pair.nodes[1].machine.apply(&record);
    pair.nodes[1].journal.push(perun_channel::codec::Encode::to_bytes(&record));
    pair.net.drop_all();
    pair.revive(1);
    pair.settle();
    assert_eq!([pair.version(0), pair.version(1)], [0, 0]);
    assert_eq!(pair.failed(0).len(), 1, "{reason:?}");
    pair.pay(0, 1).settle();
    assert_eq!([pair.version(0), pair.version(1)], [2, 2]);
}
