//! Owners with other locks than the standard one, and deposits one after another.

use crate::world::{
    CHALLENGE, Owned, Person, RATE, World, checked, key, lock_code, open, propose, sighash_lock,
    signed, start_secs, terms,
};
use ckb_types::packed::Script;
use perun_backend_ckb::deployment::LockCode;
use perun_backend_ckb::dispute::Step;
use perun_backend_ckb::funding::{FundingTerms, create_funding};
use perun_backend_ckb::money::{CKB, script_hash};
use perun_backend_ckb::open::OpenedChannel;
use perun_backend_ckb::rpc::RpcError;
use perun_backend_ckb::tx::Spend;
use perun_backend_ckb::wallet::{Multisig, Omnilock, OmnilockAuth, SigningKey, Wallet};
use perun_backend_ckb::{Error, Fault};
use perun_channel::adjudicator::{CkbParticipant, Code, Phase};
use perun_channel::{Amount, Participant};
use perun_embedded_ckb::{Genesis, well_known};

const COINS: u128 = CKB as u128;

/// The multisig lock of every chain's first block.
const MULTISIG: &str = "secp256k1_blake160_multisig_all";

/// Two of the keys 21 to 23, key 21 always.
fn multisig(code: &LockCode, since: u64) -> Multisig {
    let hashes = [21, 22, 23].map(|number| key(number).hash());
    let keys: Vec<SigningKey> = vec![key(23), key(21)];
    Multisig::new(code, &hashes, 1, 2, keys, since).unwrap()
}

fn world_of(lock: &Script) -> World {
    let standard = sighash_lock(key(2).hash());
    let owned = (0..6).flat_map(|_| {
        [Owned(lock.clone(), 1_000 * CKB, 0), Owned(standard.clone(), 1_000 * CKB, 0)]
    });
    let tokens = [Owned(lock.clone(), 300 * CKB, 77), Owned(standard.clone(), 300 * CKB, 88)];
    World::with(owned.chain(tokens).collect::<Vec<_>>())
}

fn close(world: &World, opened: &OpenedChannel, by: &Person, people: [&Person; 2]) {
    let last = opened.state.successor(opened.state.outcome().clone()).unwrap().finalized();
    let signed = signed(&opened.contract, last, &people);
    world.act(by, &opened.contract, Step::CloseFinal { signed, unpaid: 0 }).unwrap();
}

/// Alice, whose cells are under another lock, opens a channel with Bob, pays the fee of its end and
/// is paid to the shannon.
fn lives_under(wallet: impl Fn(&Genesis) -> Box<dyn Wallet>) {
    // Which lock it is does not depend on the chain; where its program is does.
    let lock = wallet(&well_known::builder().unwrap().build().unwrap()).locks()[0].script.clone();
    let world = world_of(&lock);
    let alice = Person::new(1, wallet(&world.genesis));
    assert_eq!(script_hash(&alice.lock()), script_hash(&lock));
    let bob = world.person(2);
    let before = world.holdings(&lock);
    let assets = [&world.coin, &world.token];
    let opened = open(&world, &assets, &[[500 * COINS, 0], [70, 80]], [&alice, &bob]);
    close(&world, &opened, &alice, [&alice, &bob]);
    let after = world.holdings(&lock);
    assert!(before.0 - after.0 < 6_000 && before.1 == after.1);
}

#[test]
fn a_multi_key_owner_opens_pays_fees_and_is_paid() {
    lives_under(|genesis| Box::new(multisig(&lock_code(genesis, MULTISIG), 0)));
}

#[test]
fn an_owner_of_the_second_multi_key_lock_does_too() {
    lives_under(|genesis| Box::new(multisig(&lock_code(genesis, "multisig_v2"), 0)));
}

#[test]
fn an_owner_of_an_omnilock_signs_as_ckb_does_or_as_ethereum_does() {
    for auth in [OmnilockAuth::Ckb, OmnilockAuth::Ethereum] {
        let omnilock =
            |genesis: &Genesis| Omnilock::new(&lock_code(genesis, "omni_lock"), key(31), auth);
        lives_under(|genesis| Box::new(omnilock(genesis)));
    }
}

#[test]
fn a_lock_that_is_closed_until_a_time_opens_after_it() {
    // Absolute, by median time in seconds: half an hour after the chain's start.
    let since = (0x40 << 56) | (start_secs() + 1_800);
    let dev = Genesis::dev().unwrap();
    let lock = multisig(&lock_code(&dev, MULTISIG), since).locks()[0].script.clone();
    let world = world_of(&lock);
    let alice = Person::new(1, Box::new(multisig(world.deployment.multisig(), since)));
    let bob = world.person(2);
    let terms = terms(&[&world.coin], &[[500 * COINS, 0]], [&alice, &bob]);
    let assembly = propose(&world, &terms, [&alice, &bob]);
    let early = checked(&world, &assembly, 1).map(|_| ()).unwrap_err();
    assert_eq!(early, Error::Contribution { party: 0, fault: Fault::Since });
    world.chain.advance(1_800).unwrap();
    let opened = open(&world, &[&world.coin], &[[500 * COINS, 0]], [&alice, &bob]);
    close(&world, &opened, &alice, [&alice, &bob]);
}

/// A funding one after another between persons 1 and 2, and the first deposit made.
fn begun(world: &World, alice: &Person, bob: &Person) -> OpenedChannel {
    let identity = |person: &Person, reserve: u64| CkbParticipant {
        consents_by_presence: false,
        lends_fee: true,
        payout_lock: script_hash(&person.payout),
        owner_lock: script_hash(&person.lock()),
        reserve,
    };
    let participant = |person: &Person, reserve| {
        Participant::new(person.address(), identity(person, reserve).to_foreign()).unwrap()
    };
    let terms = FundingTerms {
        challenge_secs: CHALLENGE,
        assets: vec![world.coin.clone()],
        balances: vec![vec![Amount::new(500 * COINS), Amount::new(40 * COINS)]],
        participants: vec![participant(alice, 161 * CKB), participant(bob, 61 * CKB)],
        payouts: vec![alice.payout.clone(), bob.payout.clone()],
    };
    let purse = world.purse(alice);
    let first = Spend::now(purse.cells().unwrap()[0].clone());
    let (draft, opened) = create_funding(&world.deployment, &terms, first, 0b01).unwrap();
    let paid = purse.pay(&draft).unwrap();
    purse.send(&paid).unwrap();
    assert!(purse.book().holds(&paid.taken[0].out_point), "the first input is promised too");
    world.mined(&paid.hash());
    assert_eq!(world.live(&opened.contract).contents().phase, Phase::Funding);
    opened
}

#[test]
fn deposits_one_after_another_open_the_channel() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let opened = begun(&world, &alice, &bob);
    let before = world.holdings(&bob.lock()).0;
    let fund = Step::Fund { state: opened.state.clone(), marks: 0b11 };
    let paid = world.act(&bob, &opened.contract, fund).unwrap();
    assert_eq!(before - world.holdings(&bob.lock()).0, 101 * CKB + paid.fee);
    assert_eq!(world.live(&opened.contract).contents().phase, Phase::Open);
    close(&world, &opened, &bob, [&alice, &bob]);
}

#[test]
fn a_deposit_that_nobody_joins_returns_after_the_challenge() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let opened = begun(&world, &alice, &bob);
    let before = world.holdings(&alice.lock()).0;
    let abort = Step::AbortFunding { state: opened.state.clone() };
    let early = world.act(&bob, &opened.contract, abort.clone()).unwrap_err();
    assert!(matches!(early, Error::Rpc(RpcError::Immature { .. })), "{early}");
    world.chain.advance(CHALLENGE).unwrap();
    let carol = world.person(3);
    world.act(&carol, &opened.contract, abort).unwrap();
    assert_eq!(world.holdings(&alice.lock()).0 - before, 661 * CKB);
    assert!(world.is_gone(&opened.contract));
}

#[test]
fn a_first_deposit_too_small_for_the_cell_is_refused() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let opened = begun(&world, &alice, &bob);
    let fund = Step::Fund { state: opened.state.clone(), marks: 0b01 };
    let error = world.act(&bob, &opened.contract, fund).unwrap_err();
    assert_eq!(error, Error::Verdict(Code::Deposits), "no new deposit");
    assert_eq!(RATE, world.chain.fee_rate().unwrap());
}
