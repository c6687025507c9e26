//! Swaps of ether against coins of CKB, with the real scripts on the CKB side.

mod common;
#[path = "common/vault.rs"]
mod vault;

use std::sync::{Arc, Mutex};

use common::{CHALLENGE_SECS, CKB, DEPOSIT, Pair, Party, World, peer_of, swaps_between};
use perun_backend_ckb::rpc::{DevControl, Rpc};
use perun_channel::swap::Leg;
use perun_channel::{Allocation, Amount};
use perun_node::{AnyLedger, OpenRequest};
use perun_protocol::{Command, Event, OpeningId, PerLedger, PhaseName, Preimage};
use vault::{Books, VAULT, Vault, amounts, ether};

type Shared = Arc<Mutex<Books>>;

/// Row 0 is ether, row 1 coins of CKB. Alice gives coins and takes ether.
const ETHER: u128 = 100;
const COINS: u64 = 5 * CKB;
const SECRET: Preimage = Preimage::new([0x5e; 32]);
/// From now to the two expiries.
const EXPIRIES: [u64; 2] = [8_000, 20_000];

fn start(party: &mut Party, world: &World, books: &Shared) {
    let ledgers =
        vec![AnyLedger::joint(party.ledger(world)), AnyLedger::deposit(Vault::new(books))];
    party.config.swaps = swaps_between(VAULT, world.deployment.coin().ledger());
    party.node = Some(party.try_start_on(world, ledgers).unwrap());
}

/// A channel on both ledgers, whose clocks agree.
fn open() -> (Pair, Shared, OpeningId) {
    let books = Shared::default();
    let mut pair = Pair::with_world(|world, alice, bob| {
        start(alice, world, &books);
        start(bob, world, &books);
    });
    let assets = vec![ether(), pair.world.deployment.coin()];
    let rows = vec![amounts([500, 300]), amounts([DEPOSIT; 2])];
    let outcome = Allocation::new(assets, rows, Vec::new()).unwrap();
    let request = OpenRequest { challenge_secs: CHALLENGE_SECS, outcome };
    let opening = pair.alice.node().open(peer_of(&pair.bob), request).unwrap();
    pair.wait("deposits", |pair| pair.both(opening, PhaseName::Depositing));
    pair.mine_until("open", |pair| pair.both(opening, PhaseName::Open));
    books.lock().unwrap().now = now(&pair.world);
    (pair, books, opening)
}

fn now(world: &World) -> u64 {
    world.chain.tip_header().unwrap().timestamp() / 1_000
}

/// Alice asks for it, and Bob agrees.
fn agree(pair: &mut Pair, opening: OpeningId) {
    let start = now(&pair.world);
    let coins = Amount::new(u128::from(COINS));
    let leg = |asset, from, expiry, amount| Leg {
        asset,
        from,
        to: 1 - from,
        expiry: start + expiry,
        amount,
    };
    let legs = vec![leg(0, 1, EXPIRIES[0], Amount::new(ETHER)), leg(1, 0, EXPIRIES[1], coins)];
    pair.alice.node().command(opening, Command::Swap { legs, preimage: SECRET }).unwrap();
    pair.wait("the question", |pair| {
        pair.bob.has(|event| matches!(event, Event::SwapRequested { .. }))
    });
}

fn accept(pair: &Pair, opening: OpeningId) {
    let clocks = PerLedger::default();
    pair.bob.node().command(opening, Command::AcceptSwap { clocks }).unwrap();
}

/// Time goes by on both ledgers.
fn passes(pair: &Pair, books: &Shared, secs: u64) {
    pair.world.chain.advance(secs).unwrap();
    books.lock().unwrap().now += secs;
}

fn claimed(party: &Party) -> [Option<bool>; 2] {
    let on = |is_vault: bool| {
        party.events.iter().rev().find_map(|(_, event)| match event {
            Event::LedgerSettled(one) if (one.ledger == VAULT) == is_vault => Some(one.claimed),
            _ => None,
        })
    };
    [on(true), on(false)]
}

fn own(party: &Party) -> Vec<u128> {
    let found = party.events.iter().find_map(|(_, event)| match event {
        Event::Settled { own, .. } => Some(own.iter().map(|one| one.get()).collect()),
        _ => None,
    });
    found.unwrap_or_default()
}

#[test]
fn two_nodes_swap_without_the_ledgers() {
    let (mut pair, books, opening) = open();
    agree(&mut pair, opening);
    accept(&pair, opening);
    let swapped = |event: &Event| matches!(event, Event::Swapped { .. });
    pair.wait("the swap", |pair| pair.alice.has(swapped) && pair.bob.has(swapped));
    pair.alice.node().command(opening, Command::Close).unwrap();
    pair.mine_until("settled", |pair| pair.both(opening, PhaseName::Settled));
    assert_eq!(books.lock().unwrap().wallets, [100, -100]);
    let coins = u128::from(DEPOSIT) - u128::from(COINS);
    assert_eq!(own(&pair.alice), [600, coins]);
}

/// Alice is about to show the secret, but reads no clock: both hold the state with the swap.
fn held() -> (Pair, Shared, OpeningId) {
    let (mut pair, books, opening) = open();
    agree(&mut pair, opening);
    let half = pair.alice.status(opening).agreed.unwrap().state.version();
    books.lock().unwrap().has_no_clock = [true, false];
    accept(&pair, opening);
    pair.wait("the acceptance", |pair| {
        pair.alice.status(opening).agreed.unwrap().state.version() > half
    });
    assert!(pair.both(opening, PhaseName::Swapping));
    (pair, books, opening)
}

#[test]
fn a_swap_whose_secret_nobody_shows_lapses_on_both_ledgers() {
    let (mut pair, books, opening) = held();
    pair.bob.node().command(opening, Command::Dispute).unwrap();
    pair.mine_until("registered", |pair| pair.both(opening, PhaseName::Registered));
    books.lock().unwrap().has_no_clock = [false; 2];
    passes(&pair, &books, EXPIRIES[1] + 3_600);
    pair.mine_until("settled", |pair| pair.both(opening, PhaseName::Settled));
    assert_eq!(books.lock().unwrap().wallets, [0, 0]);
    assert_eq!(claimed(&pair.alice), [Some(false); 2]);
    assert_eq!(own(&pair.bob), [300, u128::from(DEPOSIT)]);
}

/// Bob's node is away when the secret is sent. It learns it from Alice's claim, and claims on CKB.
#[test]
fn a_secret_that_a_claim_shows_opens_the_other_ledger() {
    let (mut pair, books, opening) = held();
    pair.bob.node = None;
    books.lock().unwrap().has_no_clock = [false; 2];
    pair.alice.node().sync().unwrap();
    pair.world.pass(61);
    pair.wait("Alice leaves", |pair| pair.alice.phase(opening) == PhaseName::Disputing);
    start(&mut pair.bob, &pair.world, &books);
    pair.mine_until("registered", |pair| pair.both(opening, PhaseName::Registered));
    passes(&pair, &books, CHALLENGE_SECS + 60);
    pair.mine_until("settled", |pair| pair.both(opening, PhaseName::Settled));
    assert_eq!(books.lock().unwrap().wallets, [100, -100]);
    for party in [&pair.alice, &pair.bob] {
        assert_eq!(claimed(party), [Some(true); 2]);
    }
    assert_eq!(own(&pair.bob), [200, u128::from(DEPOSIT) + u128::from(COINS)]);
}
