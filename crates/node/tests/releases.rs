//! What leaves a node before a transaction of both sides is released, and what is set aside for it.

mod common;
#[path = "common/keeper.rs"]
mod keeper;
#[path = "common/mute.rs"]
mod mute;

use common::{CELLS, CHALLENGE_SECS, CKB, DEPOSIT, Pair, World, secret};
use keeper::Keeper;
use mute::{Mute, Step as Fault};
use perun_backend_ckb::channel::{Contract, LiveChannel};
use perun_backend_ckb::dispute::{Job, Step, draft, registration_signatures};
use perun_backend_ckb::purse::Purse;
use perun_backend_ckb::rpc::{DevControl, Rpc};
use perun_backend_ckb::wallet::{Secp256k1, SigningKey, Wallet};
use perun_channel::adjudicator::{Slot, SlotKind, registration_digest};
use perun_channel::codec::{Decode, Reader};
use perun_channel::{Amount, State};
use perun_embedded_ckb::Commit;
use perun_node::SessionKey;
use perun_protocol::{Change, Changes, Event, OpeningId, PhaseName, Target};

/// Longer than any wait for a transaction.
const LONG: u64 = 700;

fn deposit(amount: u64) -> Changes {
    let amount = Amount::new(u128::from(amount));
    Changes::new(vec![[Change::Deposit { amount }, Change::Keep {}]]).unwrap()
}

/// Somebody without a node registers an old state by the right of one participant.
fn register_old(world: &World, target: &Target, initial: &State, session: [u8; 32], seat: u8) {
    let wallet = Secp256k1::new(&world.deployment, SigningKey::new(secret()).unwrap());
    world.give(&wallet.locks()[0].script, &[5_000 * CKB]);
    let mut reader = Reader::new(target.setup.as_bytes());
    let contract = Contract::from_bytes(&reader.bytes(32_768).unwrap()).unwrap();
    let live = LiveChannel::find(&world.chain, &world.deployment, &contract).unwrap();
    let slot = Slot { participant: seat, kind: SlotKind::Own };
    let channel_type = world.deployment.env().channel_type;
    let digest = registration_digest(&channel_type, &contract.id(), &initial.hash(), slot);
    let key = SessionKey::from_secret(session).unwrap();
    let signatures = registration_signatures(None, slot, key.sign(&digest));
    let step = Step::Register { state: initial.clone(), slot, signatures };
    let book = std::sync::Mutex::default();
    let purse = Purse::new(&world.chain, &world.deployment, &wallet, &book);
    let job = Job { contract, live, step };
    let paid = purse.pay(&draft(&[job], &world.deployment).unwrap()).unwrap();
    purse.send(&paid).unwrap();
}

/// Two whose one, Alice, asks the ledger through a node that keeps what it is shown.
fn kept_pair() -> (Pair, std::sync::Arc<Keeper>) {
    let mut node = None;
    let pair = Pair::with_world(|world, alice, _| node = Some(Keeper::between(world, alice)));
    (pair, node.unwrap())
}

#[test]
fn an_opening_is_not_shown_to_the_ledgers_node_before_it_is_released() {
    let (mut pair, node) = kept_pair();
    node.keep(true);
    let opening = pair.ask([DEPOSIT; 2]).unwrap();
    pair.wait("the node has it", |_| !node.kept().is_empty());
    assert_eq!(pair.alice.phase(opening), PhaseName::Released);
    // What the node makes of it on its own is a channel that Alice's node knows of.
    pair.world.chain.send_transaction(&node.kept()[0]).unwrap();
    node.keep(false);
    pair.mine_until("open", |pair| pair.alice.phase(opening) == PhaseName::Open);
}

#[test]
fn an_opening_that_the_ledgers_node_keeps_is_made_impossible_before_it_is_given_up() {
    let (mut pair, node) = kept_pair();
    node.keep(true);
    let opening = pair.ask([DEPOSIT; 2]).unwrap();
    pair.wait("the node has it", |_| !node.kept().is_empty());
    pair.bob.node = None;
    node.keep(false);
    pair.world.pass(LONG);
    pair.wait("Alice aborts", |pair| pair.alice.phase(opening) == PhaseName::Aborting);
    pair.mine_until("the end", |pair| pair.alice.phase(opening) == PhaseName::Over);
    assert!(pair.world.chain.send_transaction(&node.kept()[0]).is_err());
}

#[test]
fn a_consent_is_not_shown_to_the_ledgers_node_before_it_is_released() {
    let (mut pair, node) = kept_pair();
    let opening = pair.open();
    let before = pair.alice.status(opening).id;
    node.keep(true);
    pair.alice.node().resize(opening, deposit(10 * CKB)).unwrap();
    pair.wait("the node has it", |_| !node.kept().is_empty());
    assert_eq!(pair.alice.phase(opening), PhaseName::ResizeReleased);
    // The node commits it when it likes: Alice's node goes where her money went.
    pair.world.chain.send_transaction(&node.kept()[0]).unwrap();
    node.keep(false);
    pair.mine_until("resized", |pair| pair.alice.status(opening).id != before);
    assert_eq!(pair.alice.balances(opening)[0], u128::from(DEPOSIT + 10 * CKB));
}

/// Alice was paid, and then puts all but a little of her wallet into a resize.
fn all_in(pair: &mut Pair, opening: OpeningId) {
    pair.bob.pay(opening, 900 * CKB).unwrap();
    pair.wait("the payment", |pair| pair.alice.received(opening).len() == 1);
    pair.wait("its acknowledgement", |pair| pair.bob.sent(opening).len() == 1);
    let rest = pair.world.holdings(&pair.alice.lock);
    pair.alice.node().resize(opening, deposit(rest - 70 * CKB)).unwrap();
}

/// Alice's newest state counts, whatever her wallet had promised: time and blocks go by for her
/// alone, until it stands on the ledger.
fn answers(pair: &mut Pair) {
    pair.bob.node = None;
    pair.world.pass(LONG);
    pair.mine_until("Alice's answer", |pair| {
        let newest =
            |event: &Event| matches!(event, Event::Registered { version, .. } if version.get() > 0);
        pair.alice.has(newest)
    });
}

#[test]
fn an_unanswered_resize_does_not_take_away_the_money_for_the_dispute() {
    let mut pair = Pair::new(Commit::Instant);
    let opening = pair.open();
    let initial = pair.alice.status(opening).agreed.unwrap().state;
    let target = pair.alice.status(opening).targets.pop().unwrap();
    let bob = pair.bob.session;
    // From here on Bob's users answer nothing.
    pair.bob.accept_proposals = false;
    pair.bob.node = None;
    pair.bob.start(&pair.world);
    pair.bob.node().listen(pair.address).unwrap();
    all_in(&mut pair, opening);
    pair.wait("the request", |pair| {
        pair.bob.has(|event| matches!(event, Event::ResizeRequested { .. }))
    });
    pair.bob.node = None;
    register_old(&pair.world, &target, &initial, bob, 1);
    answers(&mut pair);
}

#[test]
fn a_release_that_is_no_good_does_not_take_away_the_money_for_the_dispute() {
    let mut pair = Pair::with_world(|world, _, bob| {
        bob.node = Some(bob.try_start(world, Mute::of(bob, world, Fault::Forge)).unwrap());
    });
    let opening = pair.open();
    all_in(&mut pair, opening);
    pair.wait("Alice's release", |pair| pair.alice.phase(opening) == PhaseName::ResizeReleased);
    answers(&mut pair);
    pair.world.chain.advance(CHALLENGE_SECS + 60).unwrap();
    pair.mine_until("settled", |pair| pair.alice.phase(opening) == PhaseName::Settled);
    let holds = pair.world.holdings(&pair.alice.lock);
    assert!(holds + CKB > CELLS.iter().sum::<u64>() + 900 * CKB, "{holds}");
}
