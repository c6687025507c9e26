//! Whole lives of channels between two nodes: as planned, with a restart, with a lost connection.

mod common;

use common::{CKB, DEPOSIT, Pair};
use perun_embedded_ckb::Commit;
use perun_protocol::PhaseName;

#[test]
fn a_channel_pays_both_ways_and_out_to_the_shannon() {
    let mut pair = Pair::new(Commit::Proposed);
    let opening = pair.open();
    let reserves = pair.reserves(opening);
    for _ in 0..50 {
        pair.alice.pay(opening, 3 * CKB + 7).unwrap();
        pair.bob.pay(opening, CKB + 1).unwrap();
    }
    pair.wait("all payments", |pair| {
        pair.alice.received(opening).len() == 50 && pair.bob.received(opening).len() == 50
    });
    pair.close(opening);
    pair.settle_accounts(opening, reserves, 50 * i128::from(2 * CKB + 6));
}

#[test]
fn a_node_that_restarts_amid_payments_loses_none_and_doubles_none() {
    const COUNT: u64 = 60;
    let mut pair = Pair::new(Commit::Instant);
    let opening = pair.open();
    let reserves = pair.reserves(opening);
    let mut ids = Vec::new();
    for round in 0..3 {
        for step in 0..COUNT / 3 {
            ids.push(pair.alice.pay(opening, CKB + round * 100 + step).unwrap().get());
            pair.bob.pay(opening, CKB / 2).unwrap();
        }
        // Whatever is on its way now is cut off; only the folder remains.
        pair.alice.collect();
        pair.alice.node = None;
        pair.alice.start(&pair.world);
        pair.alice.node().dial(common::peer_of(&pair.bob), pair.address).unwrap();
    }
    let expected: Vec<u64> = (1..=COUNT).collect();
    assert_eq!(ids, expected, "an id is never given twice");
    pair.wait("every payment", |pair| {
        let bobs = pair.bob.received(opening);
        bobs.len() == expected.len()
            && pair.alice.balances(opening) == pair.bob.balances(opening)
            && pair.bob.sent(opening).len() == expected.len()
            && pair.alice.sent(opening).len() == expected.len()
    });
    let paid: u64 =
        (0..3).map(|round| (0..COUNT / 3).map(|step| CKB + round * 100 + step).sum::<u64>()).sum();
    let back = COUNT * CKB / 2;
    let left = u128::from(DEPOSIT - paid + back);
    assert_eq!(pair.alice.balances(opening), [left, u128::from(2 * DEPOSIT) - left]);
    pair.close(opening);
    pair.settle_accounts(opening, reserves, i128::from(paid) - i128::from(back));
}

#[test]
fn a_lost_connection_is_dialled_again_by_its_dialler() {
    let mut pair = Pair::new(Commit::Instant);
    let opening = pair.open();
    for round in 1..=3 {
        pair.bob.node().disconnect(common::peer_of(&pair.alice)).unwrap();
        pair.alice.pay(opening, CKB).unwrap();
        pair.wait("the payment", |pair| pair.bob.received(opening).len() == round);
    }
    // Bob's node goes away for a while, and comes back at the same address.
    pair.bob.node = None;
    pair.alice.pay(opening, CKB).unwrap();
    pair.bob.start(&pair.world);
    pair.bob.node().listen(pair.address).unwrap();
    pair.wait("the payment", |pair| pair.bob.received(opening).len() == 4);
    // Bob's answer may still be on its way back.
    pair.wait("the answer", |pair| pair.alice.phase(opening) == PhaseName::Open);
}

/// A channel's stream is as long after a thousand payments as after fifty: a snapshot takes the
/// place of the records before it.
#[test]
fn what_an_update_costs_in_the_journal_is_given_back() {
    let mut pair = Pair::new(Commit::Instant);
    let opening = pair.open();
    for round in 1..=20 {
        for _ in 0..10 {
            pair.alice.pay(opening, 1_000).unwrap();
            pair.bob.pay(opening, 1_000).unwrap();
        }
        pair.wait("the payments", |pair| {
            let received = [pair.alice.received(opening), pair.bob.received(opening)];
            received.iter().all(|payments| payments.len() == 10 * round)
        });
    }
    // The last answer may still be on its way back.
    pair.wait("the last answer", |pair| {
        [&pair.alice, &pair.bob].iter().all(|party| party.phase(opening) == PhaseName::Open)
    });
    let states = [pair.alice.balances(opening), pair.bob.balances(opening)];
    for party in [&mut pair.alice, &mut pair.bob] {
        party.node = None;
        let (journal, mark) = (party.folder.join("journal"), party.folder.join("mark"));
        let mode = perun_store::OpenMode::Strict;
        let level = perun_store::Durability::Relaxed;
        let opened = perun_store::open_folders(&journal, &mark, [0; 16], mode, level).unwrap();
        let bytes = opened.journal.live_bytes();
        assert!(bytes < 32 << 10, "{bytes} bytes");
        drop(opened);
        party.start(&pair.world);
    }
    assert_eq!([pair.alice.balances(opening), pair.bob.balances(opening)], states);
}
