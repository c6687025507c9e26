//! Pending swaps on a chain: claimed with their secret, or lapsed when the chain's clock says so.

use crate::world::{CHALLENGE, Person, World, open, signed, start_secs};
use perun_backend_ckb::Error;
use perun_backend_ckb::batch::submit;
use perun_backend_ckb::dispute::{Job, Step};
use perun_backend_ckb::money::CKB;
use perun_backend_ckb::open::OpenedChannel;
use perun_backend_ckb::rpc::RpcError;
use perun_channel::adjudicator::{Code, Decision};
use perun_channel::swap::{Leg, SwapStep};
use perun_channel::{Amount, State, Swap};

const SECRET: [u8; 32] = [0x51; 32];
const COINS: u128 = CKB as u128;
/// From the start of the chain to the expiry of the legs, in seconds.
const LASTS: u64 = 20 * CHALLENGE;

/// The channel's state in which the first participant pays the second for a secret, an amount for
/// each row, until so many seconds after the chain's start.
fn swapping(opened: &OpenedChannel, legs: &[(u8, u128, u64)]) -> State {
    let legs = legs.iter().map(|(asset, amount, lasts)| Leg {
        asset: *asset,
        from: 0,
        to: 1,
        expiry: start_secs() + lasts,
        amount: Amount::new(*amount),
    });
    let swap = Swap::new(Swap::lock_of(&SECRET), legs.collect()).unwrap();
    let next = opened.state.version().next().unwrap();
    SwapStep::Start(&swap).after(&opened.state, next).unwrap()
}

/// Opens a channel of coins and a token, registers a swap in both, and waits out the challenge.
fn disputed(world: &World, alice: &Person, bob: &Person) -> (OpenedChannel, State) {
    let assets = [&world.coin, &world.token];
    let opened = open(world, &assets, &[[500 * COINS, 0], [1_000, 0]], [alice, bob]);
    let state = swapping(&opened, &[(0, 200 * COINS, LASTS), (1, 1_000, LASTS + 60)]);
    register(world, alice, bob, &opened, &state);
    (opened, state)
}

fn register(world: &World, alice: &Person, bob: &Person, opened: &OpenedChannel, state: &State) {
    let all = signed(&opened.contract, state.clone(), &[alice, bob]);
    let step = world.register(bob, 1, &opened.contract, state, Some(&all));
    world.act(bob, &opened.contract, step).unwrap();
    world.chain.advance(CHALLENGE).unwrap();
}

fn conclude(state: &State, unpaid: u32, decision: Option<Decision>) -> Step {
    Step::Conclude { state: state.clone(), unpaid, decision }
}

/// Lets the chain's clock reach this many seconds after its start.
fn wait_until(world: &World, lasts: u64) {
    let wanted = (start_secs() + lasts) * 1_000;
    let missing = wanted.saturating_sub(world.chain.median_time().unwrap());
    world.chain.advance(missing.div_ceil(1_000)).unwrap();
    assert!(world.chain.median_time().unwrap() >= wanted);
}

#[test]
fn who_shows_the_secret_moves_coins_and_tokens() {
    let world = World::new();
    let (alice, bob, carol) = (world.person(1), world.person(2), world.person(3));
    let before = [&alice, &bob].map(|person| world.holdings(&person.lock()));
    let (opened, state) = disputed(&world, &alice, &bob);
    let claim = conclude(&state, 0, Some(Decision::Claim(SECRET)));
    let paid = world.act(&carol, &opened.contract, claim).unwrap();
    println!("claim: {} bytes, {} cycles", paid.spent.size(), paid.cycles);
    assert!(world.is_gone(&opened.contract));
    let after = [&alice, &bob].map(|person| world.holdings(&person.lock()));
    assert_eq!((before[0].1 - after[0].1, after[1].1 - before[1].1), (1_000, 1_000));
    let fees = 20_000;
    assert!((before[0].0 - after[0].0).abs_diff(200 * CKB) < fees);
    assert!((after[1].0 - before[1].0).abs_diff(200 * CKB) < fees);
}

#[test]
fn a_swap_lapses_when_the_clock_has_passed_the_last_expiry_and_not_before() {
    let world = World::new();
    let (alice, bob, carol) = (world.person(1), world.person(2), world.person(3));
    let before = [&alice, &bob].map(|person| world.holdings(&person.lock()));
    let (opened, state) = disputed(&world, &alice, &bob);
    let refund = conclude(&state, 0, Some(Decision::Refund));
    // The coins' leg has expired, the token's has not.
    wait_until(&world, LASTS);
    assert!(world.chain.median_time().unwrap() < (start_secs() + LASTS + 60) * 1_000);
    let early = world.act(&carol, &opened.contract, refund.clone()).unwrap_err();
    assert!(matches!(early, Error::Rpc(RpcError::Immature { .. })), "{early}");
    wait_until(&world, LASTS + 60);
    let dave = world.person(4);
    let paid = world.act(&dave, &opened.contract, refund).unwrap();
    println!("refund: {} bytes, {} cycles", paid.spent.size(), paid.cycles);
    assert!(world.is_gone(&opened.contract));
    let after = [&alice, &bob].map(|person| world.holdings(&person.lock()));
    assert_eq!((before[0].1, before[1].1), (after[0].1, after[1].1));
    let fees = 20_000;
    assert!(before[0].0.abs_diff(after[0].0) < fees && before[1].0.abs_diff(after[1].0) < fees);
}

#[test]
fn a_claim_is_possible_after_the_expiry_until_somebody_lets_the_swap_lapse() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let (opened, state) = disputed(&world, &alice, &bob);
    wait_until(&world, LASTS + 3_600);
    let claim = conclude(&state, 0, Some(Decision::Claim(SECRET)));
    world.act(&bob, &opened.contract, claim).unwrap();
    assert_eq!(world.holdings(&bob.lock()).1, crate::world::TOKENS + 1_000);
}

#[test]
fn rows_that_are_left_are_paid_as_the_swap_has_ended() {
    for claimed in [true, false] {
        let world = World::new();
        let (alice, bob) = (world.person(1), world.person(2));
        let (opened, state) = disputed(&world, &alice, &bob);
        let decision = if claimed { Decision::Claim(SECRET) } else { Decision::Refund };
        wait_until(&world, LASTS + 60);
        world.act(&bob, &opened.contract, conclude(&state, 0b10, Some(decision))).unwrap();
        let live = world.live(&opened.contract);
        assert_eq!((live.contents().marks, live.contents().claimed), (0b10, claimed));
        let before = world.holdings(&bob.lock()).1;
        world.act(&alice, &opened.contract, Step::Withdraw { state, unpaid: 0 }).unwrap();
        let gained = world.holdings(&bob.lock()).1 - before;
        assert_eq!(gained, if claimed { 1_000 } else { 0 });
    }
}

#[test]
fn what_the_script_would_refuse_is_not_sent() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let (opened, state) = disputed(&world, &alice, &bob);
    let refused = |decision| {
        let step = conclude(&state, 0, decision);
        world.act(&alice, &opened.contract, step).unwrap_err()
    };
    assert_eq!(refused(None), Error::Verdict(Code::Undecided));
    assert_eq!(refused(Some(Decision::Claim([0; 32]))), Error::Verdict(Code::Preimage));
    let (carol, dave) = (world.person(3), world.person(4));
    let plain = open(&world, &[&world.coin], &[[500 * COINS, 0]], [&carol, &dave]);
    let next = plain.state.successor(plain.state.outcome().clone()).unwrap();
    register(&world, &carol, &dave, &plain, &next);
    for decision in [Decision::Claim(SECRET), Decision::Refund] {
        let step = conclude(&next, 0, Some(decision));
        let error = world.act(&carol, &plain.contract, step).unwrap_err();
        assert_eq!(error, Error::Verdict(Code::NothingToDecide));
    }
}

/// One time lock proves the expiries of all channels of a transaction.
#[test]
fn many_swaps_lapse_in_one_transaction() {
    let world = World::new();
    let hub = world.person(1);
    let channels: Vec<(OpenedChannel, State)> = (2..=4)
        .map(|number| {
            let other = world.person(number);
            let opened = open(&world, &[&world.coin], &[[500 * COINS, 0]], [&hub, &other]);
            let lasts = LASTS + 600 * u64::from(number);
            let state = swapping(&opened, &[(0, COINS, lasts)]);
            register(&world, &hub, &other, &opened, &state);
            (opened, state)
        })
        .collect();
    wait_until(&world, LASTS + 2_400);
    let jobs: Vec<Job> = channels
        .iter()
        .map(|(opened, state)| Job {
            contract: opened.contract.clone(),
            live: world.live(&opened.contract),
            step: conclude(state, 0, Some(Decision::Refund)),
        })
        .collect();
    let batch = submit(&world.purse(&hub), &jobs);
    assert_eq!(batch.results, vec![Ok(0); 3]);
    world.mined(&batch.sent[0].hash());
    assert!(channels.iter().all(|(opened, _)| world.is_gone(&opened.contract)));
}
