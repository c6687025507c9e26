//! A resize goes on from whatever the channel has become when both get to it.

mod common;

use common::{CKB, Pair, peer_of};
use perun_channel::Amount;
use perun_embedded_ckb::Commit;
use perun_protocol::{Change, Changes, Event};

fn deposit(amount: u64) -> Changes {
    let amount = Amount::new(u128::from(amount));
    Changes::new(vec![[Change::Deposit { amount }, Change::Keep {}]]).unwrap()
}

fn resized(pair: &mut Pair) {
    pair.mine_until("the resize", |pair| {
        [&pair.alice, &pair.bob]
            .iter()
            .all(|party| party.has(|event| matches!(event, Event::Resized { .. })))
    });
    for party in [&pair.alice, &pair.bob] {
        assert!(
            !party.has(|event| matches!(event, Event::Disputed { .. })),
            "{:?}",
            party.troubles
        );
    }
}

/// The payment is still on its way when the resize is asked for.
#[test]
fn a_resize_asked_for_right_after_a_payment_is_of_the_channel_after_it() {
    let mut pair = Pair::new(Commit::Instant);
    let opening = pair.open();
    pair.alice.pay(opening, CKB).unwrap();
    pair.alice.node().resize(opening, deposit(10 * CKB)).unwrap();
    resized(&mut pair);
    pair.wait("the payment", |pair| pair.bob.received(opening).len() == 1);
}

#[test]
fn a_resize_survives_a_restart_of_who_asked_for_it() {
    let mut pair = Pair::new(Commit::Instant);
    let opening = pair.open();
    pair.bob.node = None;
    pair.alice.node().resize(opening, deposit(10 * CKB)).unwrap();
    pair.alice.node = None;
    pair.alice.start(&pair.world);
    pair.bob.start(&pair.world);
    pair.bob.node().listen(pair.address).unwrap();
    pair.alice.node().dial(peer_of(&pair.bob), pair.address).unwrap();
    resized(&mut pair);
}
