//! What a peer may choose to make our way out dear: rows that it leaves, its payout lock, what it
//! says of a lock.

use crate::world::{
    CHALLENGE, Person, RATE, World, checked, open, propose, signed, terms, witnesses,
};
use ckb_types::{bytes::Bytes, prelude::*};
use perun_backend_ckb::dispute::Step;
use perun_backend_ckb::money::CKB;
use perun_backend_ckb::open::{OpenedChannel, assemble, default_reserves};
use perun_backend_ckb::{Error, Fault};
use perun_channel::Amount;

const COINS: u128 = CKB as u128;

/// What one person's fees of a few transactions stay below.
const FEES: u64 = 20_000;

fn all(world: &World, person: &Person) -> u64 {
    let own = world.holdings(&person.lock()).0;
    if person.payout.as_slice() == person.lock().as_slice() {
        own
    } else {
        own + world.holdings(&person.payout).0
    }
}

/// Somebody who is paid to a lock with arguments of this length.
fn wide(person: Person, args: usize) -> Person {
    let payout = person.lock().as_builder().args(Bytes::from(vec![9; args])).build();
    person.paid_to(payout)
}

/// The peer registers, waits, and concludes with these rows left.
fn leaves(world: &World, peer: &Person, channel: &OpenedChannel, unpaid: u32) {
    let register = world.register(peer, 1, &channel.contract, &channel.state, None);
    world.act(peer, &channel.contract, register).unwrap();
    world.chain.advance(CHALLENGE).unwrap();
    let conclude = Step::Conclude { state: channel.state.clone(), unpaid, decision: None };
    world.act(peer, &channel.contract, conclude).unwrap();
}

/// Two tokens in a channel: Bob leaves both rows, Alice withdraws them one by one.
fn left_rows_are_withdrawn(args: usize, first_left: u32) {
    let world = World::new();
    let (alice, bob) = (world.person(1), wide(world.person(2), args));
    let before = all(&world, &alice);
    let assets = [&world.coin, &world.token, &world.second];
    let balances = [[500 * COINS, 7], [900, 100], [900, 100]];
    let channel = open(&world, &assets, &balances, [&alice, &bob]);
    let rows = channel.contract.setup().token_mask();
    leaves(&world, &bob, &channel, rows);
    let state = channel.state.clone();
    // From her own lock, which is the one that is paid: it lends the fee and nothing else.
    let one = Step::Withdraw { state: state.clone(), unpaid: first_left };
    world.act(&alice, &channel.contract, one).unwrap();
    world.act(&alice, &channel.contract, Step::Withdraw { state, unpaid: 0 }).unwrap();
    assert!(world.is_gone(&channel.contract));
    assert!(before - all(&world, &alice) < FEES, "arguments of {args} bytes");
}

#[test]
fn rows_that_the_peer_left_are_withdrawn_in_either_order_at_nobodys_expense() {
    left_rows_are_withdrawn(20, 0b010);
    left_rows_are_withdrawn(20, 0b100);
}

#[test]
fn a_long_payout_lock_of_the_peer_makes_no_exit_dearer() {
    left_rows_are_withdrawn(300, 0b010);
}

#[test]
fn a_peer_with_a_shannon_of_coins_is_paid_from_its_own_reserve() {
    for coins in [0, 7, 10 * COINS] {
        let world = World::new();
        let (alice, bob) = (world.person(1), world.person(2));
        let before = all(&world, &bob);
        let assets = [&world.coin, &world.token, &world.second];
        let balances = [[coins + 1, 400 * COINS], [2, 1_000], [2, 1_000]];
        let channel = open(&world, &assets, &balances, [&alice, &bob]);
        let outcome = channel.state.outcome().transfer(0, 1, 0, Amount::new(1)).unwrap();
        let last = channel.state.successor(outcome).unwrap().finalized();
        let close = signed(&channel.contract, last, &[&alice, &bob]);
        let step = Step::CloseFinal { signed: close, unpaid: 0 };
        world.act(&bob, &channel.contract, step).unwrap();
        assert!(before - all(&world, &bob) < FEES, "with {coins} shannons");
    }
}

#[test]
fn a_long_payout_lock_without_the_reserve_for_it_is_refused() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let usual = default_reserves(
        &world.deployment,
        &[world.coin.clone(), world.token.clone()],
        &[alice.payout.clone(), bob.payout],
    );
    let usual = usual.unwrap();
    for args in [300, 1_000] {
        let bob = wide(world.person(2), args);
        let assets = [&world.coin, &world.token];
        let terms = terms(&assets, &[[500 * COINS, 0], [900, 1]], [&alice, &bob]);
        let parties = [(&alice, 0), (&bob, 1)];
        let contributions = parties.map(|(person, seat)| {
            person.contribute(&world, &terms, seat, vec![usual[seat]]).unwrap()
        });
        let assembly = assemble(&world.deployment, terms, contributions.to_vec());
        let error = assembly.and_then(|assembly| checked(&world, &assembly, 0)).unwrap_err();
        let payout = Error::Contribution { party: 1, fault: Fault::Payout };
        assert_eq!(error, payout, "arguments of {args} bytes");
    }
}

/// A lock lends the network fee only if all who are paid to it say so: a peer that names ours and
/// says no would leave us without any transaction that we can pay for.
#[test]
fn a_peer_that_names_our_lock_as_its_payout_is_refused() {
    let world = World::new();
    let alice = world.person(1);
    let bob = world.person(2).paid_to(alice.lock());
    let terms = terms(&[&world.coin], &[[500 * COINS, 0]], [&alice, &bob]);
    let assembly = propose(&world, &terms, [&alice, &bob]);
    let refused = checked(&world, &assembly, 0).map(|_| ()).unwrap_err();
    assert_eq!(refused, Error::Contribution { party: 1, fault: Fault::NotItsOwn });
}

#[test]
fn a_contribution_leaves_what_a_dispute_costs() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let plain = 10 * 1_000 * CKB;
    let bring = |deposit: u64| {
        let terms = terms(&[&world.coin], &[[deposit.into(), 0]], [&alice, &bob]);
        alice.contribute(&world, &terms, 0, vec![111 * CKB])
    };
    let error = bring(plain - 111 * CKB - 64 * CKB).unwrap_err();
    let Error::InsufficientCapacity { need, minimum, .. } = error else { panic!("{error}") };
    assert_eq!(minimum, 65 * CKB);
    assert!(need + minimum > plain, "what would be enough is more than there is");
    bring(plain - 111 * CKB - 66 * CKB).unwrap();
}

#[test]
fn a_usual_opening_has_the_usual_costs() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let assets = [&world.coin, &world.token];
    let terms = terms(&assets, &[[500 * COINS, 0], [900, 1]], [&alice, &bob]);
    let assembly = propose(&world, &terms, [&alice, &bob]);
    let own = checked(&world, &assembly, 0).unwrap();
    let all = witnesses(&world, &assembly, &[&alice, &bob]);
    own.dry_run(&*world.chain, &world.deployment, &all, &[None, None], RATE).unwrap();
    let setup = assembly.channels()[0].contract.setup();
    let reserves: Vec<u64> = setup.identities().iter().map(|it| it.reserve / CKB).collect();
    assert_eq!((setup.rows()[1].vault_capacity / CKB, reserves), (154, vec![249, 249]));
}
