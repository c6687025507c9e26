//! Anybody can put cells under a channel's lock. They hide nothing.

use crate::world::{CHALLENGE, Owned, Person, World, key, open, sighash_lock, signed};
use ckb_types::packed::Script;
use perun_backend_ckb::dispute::Step;
use perun_backend_ckb::money::{CKB, Made};
use perun_backend_ckb::open::OpenedChannel;
use perun_backend_ckb::tx::Draft;
use perun_channel::{Amount, State};

const COINS: u128 = CKB as u128;

/// As many as a page of a node's index has.
const JUNK: usize = 1_000;

fn rich_world() -> World {
    let persons = (1..=2).flat_map(|number| {
        let lock = sighash_lock(key(number).hash());
        let plain = (0..6).map({
            let lock = lock.clone();
            move |_| Owned(lock.clone(), 1_000 * CKB, 0)
        });
        plain.chain([Owned(lock, 200 * CKB, 1_000)]).collect::<Vec<_>>()
    });
    World::with(persons.chain([Owned(sighash_lock(key(1).hash()), 80_000 * CKB, 0)]))
}

fn give(world: &World, by: &Person, makes: Vec<Made>) {
    let mut draft = Draft::default();
    for made in makes {
        if let Some(kind) = made.output.type_().to_opt() {
            let kind = perun_backend_ckb::money::script_hash(&kind);
            draft.depend_on(&world.deployment.token(&kind).unwrap().deps);
        }
        draft.makes.push(made);
    }
    let purse = world.purse(by);
    let paid = purse.pay(&draft).unwrap();
    purse.send(&paid).unwrap();
    world.mined(&paid.hash());
    purse.release(&paid).unwrap();
}

fn paid_all(channel: &OpenedChannel) -> State {
    let outcome = channel.state.outcome();
    let outcome = outcome.transfer(0, 1, 0, Amount::new(900 * COINS)).unwrap();
    channel.state.successor(outcome).unwrap()
}

#[test]
fn a_thousand_cells_under_the_vault_lock_do_not_hide_a_dispute() {
    let world = rich_world();
    let (mallory, bob) = (world.person(1), world.person(2));
    let channel = open(&world, &[&world.coin], &[[900 * COINS, 100 * COINS]], [&mallory, &bob]);
    let newest = paid_all(&channel);
    let kept = signed(&channel.contract, newest.clone(), &[&mallory, &bob]);
    let lock = world.deployment.vault_lock_script(&channel.contract.id());
    give(&world, &mallory, vec![Made::plain(lock, 73 * CKB); JUNK]);
    // The registration makes the channel's cell anew: it stands behind the junk now.
    let old = world.register(&mallory, 0, &channel.contract, &channel.state, None);
    world.act(&mallory, &channel.contract, old).unwrap();
    let refute = world.register(&bob, 1, &channel.contract, &newest, Some(&kept));
    world.act(&bob, &channel.contract, refute).unwrap();
    world.chain.advance(CHALLENGE).unwrap();
    let conclude = Step::Conclude { state: newest, unpaid: 0, decision: None };
    world.act(&bob, &channel.contract, conclude).unwrap();
    assert!(world.is_gone(&channel.contract));
}

#[test]
fn tokens_under_the_vault_lock_are_not_taken_for_the_vault() {
    let world = rich_world();
    let (mallory, bob) = (world.person(1), world.person(2));
    let assets = [&world.coin, &world.token];
    let channel = open(&world, &assets, &[[900 * COINS, 0], [300, 200]], [&mallory, &bob]);
    let lock = world.deployment.vault_lock_script(&channel.contract.id());
    let kind: Script =
        world.deployment.token(&world.token.ckb_type_hash().unwrap()).unwrap().script.clone();
    // She has 700 left of her token cell.
    let junk = [(154, 499), (155, 201)]
        .map(|(capacity, amount)| Made::token(lock.clone(), kind.clone(), capacity * CKB, amount));
    give(&world, &mallory, junk.to_vec());
    let live = world.live(&channel.contract);
    let vault = live.vault(1).unwrap();
    assert_eq!(u64::from(vault.output.capacity()), 154 * CKB);
    assert_eq!(vault.data.as_ref(), 500u128.to_le_bytes());
    let last = channel.state.successor(channel.state.outcome().clone()).unwrap().finalized();
    let close = signed(&channel.contract, last, &[&mallory, &bob]);
    world.act(&bob, &channel.contract, Step::CloseFinal { signed: close, unpaid: 0 }).unwrap();
}
