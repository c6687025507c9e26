//! Every way out of a channel, with coins alone and with a token.

use crate::world::{CHALLENGE, Person, TokenKind, World, dev_key_lock, open, signed};
use ckb_types::core::ScriptHashType;
use perun_backend_ckb::Error;
use perun_backend_ckb::dispute::Step;
use perun_backend_ckb::money::CKB;
use perun_backend_ckb::open::OpenedChannel;
use perun_backend_ckb::rpc::RpcError;
use perun_channel::adjudicator::Phase;
use perun_channel::{Amount, State};

const COINS: u128 = CKB as u128;

/// What everybody together has paid to the network, from the holdings before and after.
fn spent(before: &[(u64, u128)], after: &[(u64, u128)]) -> u64 {
    let sum = |all: &[(u64, u128)]| all.iter().map(|(capacity, _)| capacity).sum::<u64>();
    sum(before) - sum(after)
}

fn holdings(world: &World, people: &[&Person]) -> Vec<(u64, u128)> {
    people.iter().map(|person| world.holdings(&person.lock())).collect()
}

/// The state after the first participant paid the second, in the row of this asset.
fn pay(opened: &OpenedChannel, from: &State, row: usize, amount: u128) -> State {
    assert_eq!(from.id(), &opened.contract.id());
    from.successor(from.outcome().transfer(0, 1, row, Amount::new(amount)).unwrap()).unwrap()
}

#[test]
fn w24_a_channel_of_coins_locks_222_ckb_opens_in_one_transaction_and_closes_at_once() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let before = holdings(&world, &[&alice, &bob]);
    let opened = open(&world, &[&world.coin], &[[500 * COINS, 300 * COINS]], [&alice, &bob]);
    let live = world.live(&opened.contract);
    assert_eq!(live.contents().phase, Phase::Open);
    assert_eq!(u64::from(live.cell().output.capacity()), (800 + 222) * CKB);

    let last = pay(&opened, &opened.state, 0, 100 * COINS).finalized();
    let signed = signed(&opened.contract, last, &[&alice, &bob]);
    let paid = world.act(&bob, &opened.contract, Step::CloseFinal { signed, unpaid: 0 }).unwrap();
    assert!(world.is_gone(&opened.contract));
    let after = holdings(&world, &[&alice, &bob]);
    assert!(before[0].0 - after[0].0 > 100 * CKB && before[0].0 - after[0].0 < 100 * CKB + 2_000);
    assert!(after[1].0 - before[1].0 < 100 * CKB && after[1].0 - before[1].0 > 100 * CKB - 5_000);
    println!("close: {} bytes, {} cycles, fee {}", paid.spent.size(), paid.cycles, paid.fee);
    assert!(spent(&before, &after) < 6_000);
}

#[test]
fn w35_a_dispute_with_a_token_is_refuted_and_concluded_after_the_challenge() {
    dispute(&World::new());
}

#[test]
fn the_public_sudt_program_goes_the_same_way() {
    dispute(&World::of_token(&TokenKind("simple_udt", ScriptHashType::Data1, 32)));
}

/// With the flags behind the issuer, as most xUDT have them: the vault is four bytes larger.
#[cfg(feature = "xudt-tests")]
#[test]
fn the_public_xudt_program_goes_the_same_way() {
    let world = World::of_token(&TokenKind("xudt", ScriptHashType::Data1, 36));
    let token = world.token.ckb_type_hash().unwrap();
    assert_eq!(world.deployment.vault_capacity(&token).unwrap(), 158 * CKB);
    dispute(&world);
}

fn dispute(world: &World) {
    let (alice, bob) = (world.person(1), world.person(2));
    let before = holdings(world, &[&alice, &bob]);
    let assets = [&world.coin, &world.token];
    let opened = open(world, &assets, &[[500 * COINS, 0], [1_000, 50]], [&alice, &bob]);
    let [coin, token] = [0, 1];
    assert!(opened.state.outcome().assets()[coin].is_ckb_coin());
    let paid = pay(&opened, &pay(&opened, &opened.state, coin, 7), token, 600);

    // Alice registers the first state; Bob answers with the newest.
    let old = world.register(&alice, 0, &opened.contract, &opened.state, None);
    world.act(&alice, &opened.contract, old).unwrap();
    assert_eq!(world.live(&opened.contract).contents().phase, Phase::Disputed);
    let newest = signed(&opened.contract, paid.clone(), &[&alice, &bob]);
    let step = world.register(&bob, 1, &opened.contract, &paid, Some(&newest));
    let register = world.act(&bob, &opened.contract, step).unwrap();
    println!("register: {} bytes, {} cycles", register.spent.size(), register.cycles);

    let conclude = Step::Conclude { state: paid, unpaid: 0, decision: None };
    let early = world.act(&alice, &opened.contract, conclude.clone()).unwrap_err();
    assert!(matches!(early, Error::Rpc(RpcError::Immature { .. })), "{early}");
    world.chain.advance(CHALLENGE).unwrap();
    // The promise of the refused attempt still stands; another person may conclude as well.
    let carol = world.person(3);
    let concluded = world.act(&carol, &opened.contract, conclude).unwrap();
    println!("conclude: {} bytes, {} cycles", concluded.spent.size(), concluded.cycles);
    assert!(world.is_gone(&opened.contract));

    let after = holdings(world, &[&alice, &bob]);
    assert_eq!((before[0].1 - after[0].1, after[1].1 - before[1].1), (600, 600));
    assert!(after[0].0 + 7 < before[0].0 && before[0].0 - after[0].0 < 10_000);
    assert!(before[1].0 - after[1].0 < 10_000);
}

#[test]
fn a_token_row_is_left_and_withdrawn_later() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let before = holdings(&world, &[&alice, &bob]);
    let assets = [&world.coin, &world.token];
    let opened = open(&world, &assets, &[[0, 90 * COINS], [1_000, 50]], [&alice, &bob]);
    let last = pay(&opened, &opened.state, 1, 1_000).finalized();
    let close = signed(&opened.contract, last.clone(), &[&alice, &bob]);
    world.act(&bob, &opened.contract, Step::CloseFinal { signed: close, unpaid: 0b10 }).unwrap();
    let live = world.live(&opened.contract);
    assert_eq!((live.contents().phase, live.contents().marks), (Phase::Concluded, 0b10));
    world.act(&bob, &opened.contract, Step::Withdraw { state: last, unpaid: 0 }).unwrap();
    assert!(world.is_gone(&opened.contract));
    let after = holdings(&world, &[&alice, &bob]);
    assert_eq!((before[0].1 - after[0].1, after[1].1 - before[1].1), (1_000, 1_000));
    assert!(before[0].0 - after[0].0 < 5_000 && before[1].0.abs_diff(after[1].0) < 15_000);
}

#[test]
fn payouts_go_to_a_foreign_lock_to_the_shannon() {
    let world = World::new();
    let elsewhere = dev_key_lock();
    let alice = world.person(1).paid_to(elsewhere.clone());
    let bob = world.person(2);
    let terms = crate::world::terms(&[&world.coin], &[[500 * COINS, 0]], [&alice, &bob]);
    let assembly = crate::world::propose(&world, &terms, [&alice, &bob]);
    let change: u64 = assembly.contributions()[0].change.iter().map(|it| it.capacity).sum();
    let witnesses = crate::world::witnesses(&world, &assembly, &[&alice, &bob]);
    let own = crate::world::checked(&world, &assembly, 1).unwrap();
    let completed = own.complete(&world.deployment, &witnesses, &[None, None]).unwrap();
    world.commit(&completed.tx);
    let opened = &assembly.channels()[0];
    let last = pay(opened, &opened.state, 0, 123).finalized();
    let close = signed(&opened.contract, last, &[&alice, &bob]);
    world.act(&bob, &opened.contract, Step::CloseFinal { signed: close, unpaid: 0 }).unwrap();
    assert_eq!(world.holdings(&elsewhere), (change + 611 * CKB - 123, 0));
}
