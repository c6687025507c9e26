//! One channel on two ledgers: CKB with the real scripts, and one where each side deposits for
//! itself.

mod common;
#[path = "common/vault.rs"]
mod vault;

use std::sync::{Arc, Mutex};

use common::{CHALLENGE_SECS, CKB, DEPOSIT, Pair, Party, World, peer_of};
use perun_backend_ckb::rpc::DevControl;
use perun_channel::{Allocation, Amount};
use perun_node::{AnyLedger, OpenRequest};
use perun_protocol::{Agreed, Command, Event, Memo, OpeningId, PhaseName};
use vault::{Books, VAULT, Vault, amounts, ether};

/// Row 0 is ether, row 1 coins of CKB.
const ETHER: u8 = 0;
const COIN: u8 = 1;

type Shared = Arc<Mutex<Books>>;

fn start(party: &mut Party, world: &World, books: &Shared) {
    let ledgers =
        vec![AnyLedger::joint(party.ledger(world)), AnyLedger::deposit(Vault::new(books))];
    party.node = Some(party.try_start_on(world, ledgers).unwrap());
}

fn pair() -> (Pair, Shared) {
    let books = Shared::default();
    let pair = Pair::with_world(|world, alice, bob| {
        start(alice, world, &books);
        start(bob, world, &books);
    });
    (pair, books)
}

fn request(pair: &Pair) -> OpenRequest {
    let assets = vec![ether(), pair.world.deployment.coin()];
    let rows = vec![amounts([500, 300]), amounts([DEPOSIT; 2])];
    let outcome = Allocation::new(assets, rows, Vec::new()).unwrap();
    OpenRequest { challenge_secs: CHALLENGE_SECS, outcome }
}

fn ask(pair: &Pair) -> OpeningId {
    pair.alice.node().open(peer_of(&pair.bob), request(pair)).unwrap()
}

fn open(pair: &mut Pair) -> OpeningId {
    let opening = ask(pair);
    pair.wait("deposits", |pair| pair.both(opening, PhaseName::Depositing));
    pair.mine_until("open", |pair| pair.both(opening, PhaseName::Open));
    opening
}

fn pay(party: &Party, opening: OpeningId, asset: u8, amount: u64) {
    let amount = Amount::new(u128::from(amount));
    party.node().pay(opening, asset, amount, Memo::default()).unwrap();
}

/// Alice pays 3 CKB, and Bob 100 of ether.
fn pay_both(pair: &mut Pair, opening: OpeningId) {
    pay(&pair.alice, opening, COIN, 3 * CKB);
    pay(&pair.bob, opening, ETHER, 100);
    pair.wait("both payments", |pair| {
        let done =
            |party: &Party| party.received(opening).len() == 1 && party.sent(opening).len() == 1;
        done(&pair.alice) && done(&pair.bob)
    });
}

/// Time goes by on both ledgers and for both nodes.
fn challenge_passes(pair: &Pair, books: &Shared) {
    books.lock().unwrap().now += CHALLENGE_SECS + 60;
    pair.world.chain.advance(CHALLENGE_SECS + 60).unwrap();
}

#[test]
fn a_channel_on_two_ledgers_pays_in_both_and_closes_on_both() {
    let (mut pair, books) = pair();
    let opening = open(&mut pair);
    assert_eq!(books.lock().unwrap().wallets, [-500, -300]);
    let status = pair.alice.status(opening);
    assert_eq!([status.targets.len(), status.sightings.len()], [2, 2]);
    let reserves = pair.reserves(opening);
    pay_both(&mut pair, opening);
    pair.alice.node().command(opening, Command::Close).unwrap();
    pair.mine_until("settled", |pair| pair.both(opening, PhaseName::Settled));
    assert_eq!(books.lock().unwrap().wallets, [100, -100]);
    pair.settle_accounts(opening, reserves, i128::from(3 * CKB));
    for party in [&pair.alice, &pair.bob] {
        assert!(party.has(|event| {
            matches!(event, Event::Settled { outcomes, .. } if outcomes.len() == 2)
        }));
    }
}

/// The node is started again at every stage, and the channel goes on from the folder.
#[test]
fn an_opening_on_two_ledgers_survives_restarts() {
    let (mut pair, books) = pair();
    let opening = ask(&pair);
    pair.wait("deposits", |pair| pair.both(opening, PhaseName::Depositing));
    let restart = |pair: &mut Pair| {
        pair.alice.node = None;
        start(&mut pair.alice, &pair.world, &books);
        pair.alice.node().dial(peer_of(&pair.bob), pair.address).unwrap();
    };
    restart(&mut pair);
    pair.bob.node().sync().unwrap();
    pair.wait("the release", |pair| pair.bob.phase(opening) == PhaseName::Released);
    restart(&mut pair);
    pair.mine_until("open", |pair| pair.both(opening, PhaseName::Open));
    pay_both(&mut pair, opening);
    restart(&mut pair);
    pair.alice.node().command(opening, Command::Dispute).unwrap();
    pair.mine_until("registered", |pair| pair.both(opening, PhaseName::Registered));
    restart(&mut pair);
    challenge_passes(&pair, &books);
    pair.mine_until("settled", |pair| pair.both(opening, PhaseName::Settled));
    assert_eq!(books.lock().unwrap().wallets, [100, -100]);
}

/// Bob registers version 0 on one ledger. Alice's newest state goes to both.
#[test]
fn an_old_state_on_one_ledger_is_answered_on_both() {
    let (mut pair, books) = pair();
    let opening = open(&mut pair);
    let signed = |party: &Party| party.status(opening).agreed.unwrap();
    let old: Agreed = signed(&pair.bob);
    // Each has the other's signature over version 0.
    let signatures = [&pair.bob, &pair.alice].map(|it| signed(it).proof.unwrap().signature);
    let targets = pair.bob.status(opening).targets;
    let target = targets.into_iter().find(|target| target.ledger == VAULT).unwrap();
    pay_both(&mut pair, opening);
    pair.bob.node = None;
    books.lock().unwrap().register(&target.params, &old.state, signatures);
    pair.mine_until("the answers", |pair| {
        pair.alice.phase(opening) == PhaseName::Registered
            && pair.alice.events.iter().any(
                |(_, event)| matches!(event, Event::Registered { ledger, .. } if *ledger != VAULT),
            )
    });
    let newest = pair.alice.status(opening).agreed.unwrap().state;
    let registered = books.lock().unwrap().accounts[&target.id].registered.clone();
    assert_eq!(registered.unwrap().0, newest);
    challenge_passes(&pair, &books);
    pair.mine_until("settled", |pair| pair.alice.phase(opening) == PhaseName::Settled);
    assert_eq!(books.lock().unwrap().wallets, [100, -100]);
}

/// The peer's cells decide about the id of a channel, and an opening that came to nothing leaves
/// our signature over its version 0 behind. In the next opening another key of ours signs.
#[test]
fn what_was_signed_for_an_opening_that_failed_does_not_count_in_the_next() {
    let (mut pair, books) = pair();
    books.lock().unwrap().withholds = [false, true];
    let mut keys = Vec::new();
    for _ in 0..2 {
        let opening = ask(&pair);
        pair.wait("deposits", |pair| pair.both(opening, PhaseName::Depositing));
        let targets = pair.alice.status(opening).targets;
        keys.extend(targets[0].params.participants().iter().map(|one| *one.address()));
        pair.alice.node().command(opening, decline()).unwrap();
        pair.wait("the end", |pair| pair.alice.phase(opening) == PhaseName::Disputing);
    }
    let plain = [&pair.alice, &pair.bob]
        .map(|party| perun_node::SessionKey::from_secret(party.session).unwrap().address());
    keys.extend(plain);
    let all = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), all, "six different ones");
}

fn decline() -> Command {
    Command::Decline { reason: perun_protocol::DeclineReason::User {} }
}

/// Bob never deposits. Alice gets her deposit back, and her cells were never spent.
#[test]
fn a_deposit_that_never_comes_costs_nobody_anything_on_either_ledger() {
    let (mut pair, books) = pair();
    books.lock().unwrap().withholds = [false, true];
    let before = pair.world.holdings(&pair.alice.lock);
    let opening = ask(&pair);
    pair.wait("deposits", |pair| pair.both(opening, PhaseName::Depositing));
    for _ in 0..3 {
        pair.alice.node().sync().unwrap();
    }
    assert_eq!(books.lock().unwrap().wallets, [-500, 0], "ordered often, made once");
    pair.world.pass(3_700);
    pair.mine_until("Alice leaves", |pair| pair.alice.phase(opening) == PhaseName::Registered);
    challenge_passes(&pair, &books);
    pair.mine_until("settled", |pair| pair.both(opening, PhaseName::Settled));
    assert_eq!(books.lock().unwrap().wallets, [0, 0]);
    assert_eq!(pair.world.holdings(&pair.alice.lock), before);
    // What was promised on CKB is free for the next channel.
    let all = pair.world.holdings(&pair.alice.lock) - 1_000 * CKB;
    pair.ask([all, 0]).unwrap();
}

/// A peer without one of the ledgers declines; its user learns which.
#[test]
fn a_user_is_told_of_a_ledger_that_the_node_does_not_have() {
    let books = Shared::default();
    let mut pair = Pair::with_world(|world, alice, _| start(alice, world, &books));
    let opening = ask(&pair);
    pair.wait("the refusal", |pair| pair.alice.phase(opening) == PhaseName::Over);
    assert!(pair.bob.troubles.iter().any(|text| text.contains("Ethereum chain 77")));
    assert_eq!(books.lock().unwrap().wallets, [0, 0]);
}
