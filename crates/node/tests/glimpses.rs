//! What a ledger's node shows, hides and takes back: nothing of it is missed for good.

mod common;
#[path = "common/liar.rs"]
mod liar;
#[path = "common/mute.rs"]
mod mute;
#[path = "common/outlaw.rs"]
mod outlaw;

use std::sync::atomic::Ordering;

use common::Pair;
use liar::Liar;
use mute::Step;
use outlaw::{Outlaw, contract_of, register_old};
use perun_backend_ckb::follow::CHANNELS_MAX;
use perun_backend_ckb::rpc::{DevControl, Rpc};
use perun_channel::adjudicator::Setup;
use perun_channel::codec::{Encode, put_bytes};
use perun_embedded_ckb::Commit;
use perun_node::{Ledger, LedgerError};
use perun_protocol::{LedgerBytes, PhaseName, Sighting, Standing, Target};

fn is_registered(seen: &[Sighting]) -> bool {
    seen.iter().any(|one| matches!(one.standing, Standing::Registered { .. }))
}

/// The node answers one walk and is away for the next: what the first one read is told later.
#[test]
fn a_moment_without_the_node_does_not_swallow_a_registration() {
    let mut pair = Pair::new(Commit::Instant);
    let outlaw = Outlaw::new(&pair.world);
    let [first, second] = [pair.open(), pair.open()];
    let initial = pair.alice.status(first).agreed.unwrap().state;
    let target = pair.bob.status(first).targets.pop().unwrap();
    let node = Liar::new(&pair.world);
    let mut ledger = node.ledger(&pair.world);
    ledger.watch(&target).unwrap();
    assert!(matches!(ledger.sync().unwrap()[0].standing, Standing::Open));
    // The peer registers an old state; just then another channel is new, and the node's index
    // trails its tip, as it does after every block.
    register_old(&pair.world, &outlaw, &contract_of(&target), &initial, pair.alice.session, 0);
    pair.world.chain.mine(3).unwrap();
    ledger.watch(&pair.bob.status(second).targets.pop().unwrap()).unwrap();
    node.index_lag.store(6, Ordering::SeqCst);
    node.tips.store(1, Ordering::SeqCst);
    ledger.sync().unwrap_err();
    node.tips.store(usize::MAX, Ordering::SeqCst);
    let seen = ledger.sync().unwrap();
    assert!(is_registered(&seen), "{seen:?}");
    assert_eq!(seen.len(), 1, "a channel that was not read is not said to be absent");
    node.index_lag.store(0, Ordering::SeqCst);
    let seen = ledger.sync().unwrap();
    assert!(matches!(seen[0].standing, Standing::Open), "{seen:?}");
}

/// One look at 400 blocks that nobody worked for. Shorter than the truth, the node is waited for at
/// first; then all is read anew, and it is said what that means.
#[test]
fn a_node_that_lied_once_does_not_blind_us_for_good() {
    let mut pair = Pair::new(Commit::Instant);
    let outlaw = Outlaw::new(&pair.world);
    let opening = pair.open();
    let initial = pair.alice.status(opening).agreed.unwrap().state;
    let target = pair.bob.status(opening).targets.pop().unwrap();
    // Once the truth stays shorter than the lie, once it is longer.
    for blocks in [1, 60] {
        let node = Liar::new(&pair.world);
        let mut ledger = node.ledger(&pair.world);
        ledger.watch(&target).unwrap();
        ledger.sync().unwrap();
        node.other.mine_at(node.other.tip_header().unwrap().timestamp() + 7_777).unwrap();
        node.other.mine(400).unwrap();
        node.shows_other.store(true, Ordering::SeqCst);
        ledger.sync().unwrap();
        node.shows_other.store(false, Ordering::SeqCst);
        if blocks == 1 {
            let contract = contract_of(&target);
            register_old(&pair.world, &outlaw, &contract, &initial, pair.alice.session, 0);
        }
        let (mut saw, mut alarms) = (false, 0);
        for _ in 0..20 {
            pair.world.chain.mine(blocks).unwrap();
            match ledger.sync() {
                Ok(seen) => saw |= is_registered(&seen),
                Err(error) => alarms += u32::from(matches!(error, LedgerError::OtherChain)),
            }
        }
        assert!(saw, "the registration is seen");
        assert_eq!(alarms, 1, "and it is said once that the chain was another");
    }
}

/// A node that has only fallen behind is waited for, and after a while that is said.
#[test]
fn a_node_that_stays_behind_is_said_to_be_so() {
    let mut pair = Pair::new(Commit::Instant);
    let opening = pair.open();
    let node = Liar::new(&pair.world);
    let mut ledger = node.ledger(&pair.world);
    ledger.watch(&pair.bob.status(opening).targets.pop().unwrap()).unwrap();
    node.other.mine(20).unwrap();
    node.shows_other.store(true, Ordering::SeqCst);
    assert!(matches!(ledger.sync().unwrap()[0].standing, Standing::Open));
    node.shows_other.store(false, Ordering::SeqCst);
    let errors: Vec<_> = (0..20).filter_map(|_| ledger.sync().err()).collect();
    assert!((1..15).contains(&errors.len()), "not at once: {errors:?}");
    let behind = |error: &LedgerError| error.to_string().contains("has shown");
    assert!(errors.iter().all(behind), "{errors:?}");
    pair.world.chain.mine(30).unwrap();
    ledger.sync().unwrap();
}

/// Channels that a process once had, by the name of another.
fn another(target: &Target, number: u32) -> Target {
    let contract = contract_of(target);
    let (setup, mut origin) = (contract.setup(), [1; 32]);
    origin[..4].copy_from_slice(&number.to_be_bytes());
    let (params, rows) = (setup.params(), setup.rows().to_vec());
    let people = params.participants().to_vec();
    let setup = Setup::new(origin, setup.chain(), params.challenge_secs(), people, rows).unwrap();
    let other =
        perun_backend_ckb::channel::Contract::new(setup, contract.payouts().to_vec()).unwrap();
    let mut bytes = Vec::new();
    put_bytes(&mut bytes, &other.to_bytes());
    bytes.extend_from_slice(&0_u16.to_le_bytes());
    let (id, params) = (other.id(), other.setup().params().clone());
    Target { id, params, setup: LedgerBytes::new(bytes).unwrap(), ..target.clone() }
}

/// It takes the place of the first that closes for good.
#[test]
fn a_channel_beyond_what_can_be_watched_is_said_to_be_so_and_waits_for_a_place() {
    let mut pair = Pair::new(Commit::Instant);
    let [closed, opening] = [pair.open(), pair.open()];
    let [first, target] = [closed, opening].map(|one| pair.bob.status(one).targets.pop().unwrap());
    pair.close(closed);
    let mut ledger = pair.bob.ledger(&pair.world);
    ledger.watch(&first).unwrap();
    for number in 1..u32::try_from(CHANNELS_MAX).unwrap() {
        ledger.watch(&another(&target, number)).unwrap();
    }
    ledger.sync().unwrap();
    let beyond = ledger.watch(&target).unwrap_err().to_string();
    assert!(beyond.contains("not watched yet"), "{beyond}");
    ledger.sync().unwrap();
    pair.world.chain.mine(300).unwrap();
    let mut saw = Vec::new();
    for _ in 0..2 {
        saw.extend(ledger.sync().unwrap().into_iter().filter(|seen| seen.channel == target.id));
    }
    assert!(saw.iter().any(|seen| matches!(seen.standing, Standing::Open)), "{saw:?}");
}

/// A channel that was paid out, and lies deeper than any reorganisation is followed, takes no place
/// any more; one that is watched anew is read anew all the same.
#[test]
fn a_closed_channel_is_let_go_of_when_nothing_can_bring_it_back() {
    let mut pair = Pair::new(Commit::Instant);
    let opening = pair.open();
    let target = pair.bob.status(opening).targets.pop().unwrap();
    let mut ledger = pair.bob.ledger(&pair.world);
    ledger.watch(&target).unwrap();
    ledger.sync().unwrap();
    pair.close(opening);
    let seen = ledger.sync().unwrap();
    assert!(matches!(seen[0].standing, Standing::Closed { .. }), "{seen:?}");
    pair.world.chain.mine(300).unwrap();
    ledger.sync().unwrap();
    // Its place is free: so many others fit.
    for number in 0..u32::try_from(CHANNELS_MAX).unwrap() {
        ledger.watch(&another(&target, number)).unwrap();
    }
    let mut ledger = pair.bob.ledger(&pair.world);
    ledger.watch(&target).unwrap();
    let seen = ledger.sync().unwrap();
    assert!(matches!(seen[0].standing, Standing::Closed { .. }), "{seen:?}");
}

/// The opening was made impossible while the process was down: what did it lies below the block at
/// which the new process begins to read.
#[test]
fn an_abort_that_commits_while_the_node_is_down_ends_the_opening() {
    let mut pair = Pair::new_with_alice(Step::Submit);
    let opening = pair.ask([common::DEPOSIT; 2]).unwrap();
    pair.wait("Alice released", |pair| pair.alice.phase(opening) == PhaseName::Released);
    pair.wait("Bob released", |pair| pair.bob.phase(opening) == PhaseName::Released);
    pair.alice.node = None;
    pair.bob.node().sync().unwrap();
    pair.world.pass(700);
    pair.wait("Bob aborts", |pair| pair.bob.phase(opening) == PhaseName::Aborting);
    pair.bob.node = None;
    pair.world.chain.mine(5).unwrap();
    pair.bob.start(&pair.world);
    pair.mine_until("the end", |pair| pair.bob.phase(opening) == PhaseName::Over);
}
