//! Whole lives: every cause is decoded from the transaction that made it.

use crate::scene::{CHALLENGE_SECS, Scene, Watcher};
use perun_backend_ckb::follow::{Cause, Change, ChannelEvent, deadline_reached};
use perun_backend_ckb::rpc::{DevControl, Rpc, RpcError};
use perun_channel::State;
use perun_channel::adjudicator::{Decision, Slot, SlotKind};

fn only(events: Vec<ChannelEvent>) -> Change {
    let [ChannelEvent::Now(change)] = events.as_slice() else { panic!("not one: {events:?}") };
    change.clone()
}

#[test]
fn a_dispute_is_told_from_the_pool_to_its_end_with_what_was_signed() {
    let scene = Scene::new();
    let (open, pacts) = scene.open(&scene.coin(), 1, true);
    let pact = &pacts[0];
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pact.watch(3, &open)).unwrap();
    assert!(watcher.told(&scene.chain).len() == 1 - 1);

    scene.chain.send_transaction(&open).unwrap();
    assert_eq!(watcher.told(&scene.chain), ["pending opened"]);
    assert_eq!(watcher.told(&scene.chain), Vec::<String>::new());
    scene.chain.mine(3).unwrap();
    let opened = only(watcher.events(&scene.chain));
    assert_eq!(opened.confirmations(), 1);
    assert_eq!(opened.key.transaction, <[u8; 32]>::from(open.hash()));
    let Cause::Opened { setup, state, cell } = opened.cause else { panic!() };
    assert_eq!((setup, state), (pact.setup.clone(), pact.state(0)));
    assert_eq!((&cell.out_point, cell.capacity), (&pact.cell.out_point, 500 * 100_000_000));
    scene.chain.mine(1).unwrap();
    assert_eq!(watcher.told(&scene.chain), Vec::<String>::new());
    scene.chain.mine(1).unwrap();
    assert_eq!(watcher.told(&scene.chain), ["settled 3 opened"]);

    let old = pact.state(2);
    let (register, disputed) = scene.register(pact, &old, 0);
    scene.chain.send_transaction(&register).unwrap();
    let pending = only(watcher.events(&scene.chain));
    assert_eq!((pending.block(), pending.confirmations()), (None, 0));
    scene.chain.mine(3).unwrap();
    let registered = only(watcher.events(&scene.chain));
    let block = scene.chain.tip_header().unwrap();
    let stamp = registered.block().unwrap();
    assert_eq!((stamp.number, &stamp.hash), (block.number(), &block.hash()));
    let slot = Slot { participant: 0, kind: SlotKind::Own };
    let Cause::Registered { state, slot: used, signatures, deadline_ms, .. } = registered.cause
    else {
        panic!()
    };
    assert_eq!((&state, used), (&old, slot));
    assert_eq!(signatures, pact.registration(&scene.env, &old, slot));
    assert_eq!(deadline_ms, Some(block.timestamp() + CHALLENGE_SECS * 1_000));

    let (refute, disputed) = scene.register(&disputed, &pact.state(7), 1);
    scene.commit(&[&refute]);
    assert_eq!(watcher.told(&scene.chain), ["settled 4 registered 2", "included 1 registered 7"]);
    conclude_when_the_deadline_is_reached(&scene, &mut watcher, &disputed);
}

fn conclude_when_the_deadline_is_reached(
    scene: &Scene,
    watcher: &mut Watcher,
    disputed: &crate::scene::Pact,
) {
    let state = disputed.state(7);
    let at = scene.chain.tip_header().unwrap().timestamp();
    let conclude = scene.conclude(disputed, &state);
    let mut refused = 0;
    // The median passes the deadline somewhere among these blocks; the node must turn just there.
    for _ in 0..60 {
        let later = scene.chain.tip_header().unwrap().timestamp() + CHALLENGE_SECS * 1_000 / 25;
        scene.chain.mine_at(later).unwrap();
        watcher.walk(&scene.chain);
        let median = scene.chain.median_time().unwrap();
        assert_eq!(watcher.0.median_time(), Some(median));
        let reached = deadline_reached(median, at, CHALLENGE_SECS);
        match scene.chain.send_transaction(&conclude) {
            Ok(_) => {
                assert!(reached, "the node takes it before the deadline was said to be reached");
                break;
            }
            Err(RpcError::Immature { .. }) => assert!(!reached, "reached, but immature"),
            Err(error) => panic!("{error}"),
        }
        refused += 1;
    }
    assert!(refused > 0);
    scene.chain.mine(3).unwrap();
    let told = watcher.told(&scene.chain);
    assert_eq!(told, ["included 1 concluded 7"]);
    scene.chain.mine(300).unwrap();
    assert_eq!(watcher.told(&scene.chain), ["settled 301 concluded 7"]);
    assert_eq!(watcher.0.live_cell(&disputed.id()), None);
}

/// Whoever claims on this ledger tells everybody the secret that opens the other ledgers' legs,
/// from the pool on.
#[test]
fn a_claim_tells_its_secret_before_it_is_committed() {
    let (scene, secret) = (Scene::new(), [0x5e; 32]);
    let (open, pacts) = scene.open(&scene.coin(), 1, true);
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pacts[0].watch(1, &open)).unwrap();
    scene.commit(&[&open]);
    let state = pacts[0].swapping(4, &secret);
    let (register, disputed) = scene.register(&pacts[0], &state, 0);
    scene.commit(&[&register]);
    watcher.told(&scene.chain);
    scene.chain.advance(CHALLENGE_SECS).unwrap();
    let claim = scene.claim(&disputed, &state, secret);
    scene.chain.send_transaction(&claim).unwrap();
    for blocks in [0, 3] {
        scene.chain.mine(blocks).unwrap();
        let change = only(watcher.events(&scene.chain));
        assert_eq!(change.confirmations() != 0, blocks != 0);
        assert_eq!(change.cause.secret(), Some(&secret), "after {blocks} blocks");
    }
}

/// A node can show a transaction that the chain would never take.
#[test]
fn a_secret_that_does_not_open_the_lock_is_none() {
    let scene = Scene::new();
    let (_, pacts) = scene.open(&scene.coin(), 1, true);
    let state = pacts[0].swapping(4, &[0x5e; 32]);
    let told = |state: State, secret: [u8; 32]| {
        let decision = Some(Decision::Claim(secret));
        let cause = Cause::Concluded { state, decision, unpaid: 0, cell: None };
        cause.secret().copied()
    };
    assert_eq!(told(state.clone(), [0x5e; 32]), Some([0x5e; 32]));
    assert_eq!(told(state, [0x5f; 32]), None);
    assert_eq!(told(pacts[0].state(4), [0x5e; 32]), None);
}

#[test]
fn w27_a_final_state_closes_at_once_and_is_not_taken_for_a_conclusion() {
    let scene = Scene::new();
    let (open, pacts) = scene.open(&scene.coin(), 1, true);
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pacts[0].watch(1, &open)).unwrap();
    let last = pacts[0].state(9).finalized();
    scene.commit(&[&open]);
    scene.commit(&[&scene.close_final(&pacts[0], &last)]);
    assert_eq!(watcher.told(&scene.chain), ["settled 4 opened", "settled 1 closed 9"]);
}

#[test]
fn a_cooperative_end_names_its_successor_which_is_followed_too() {
    let scene = Scene::new();
    let (open, pacts) = scene.open(&scene.coin(), 1, true);
    let (succeed, heir) = scene.succeed(&pacts[0]);
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pacts[0].watch(1, &open)).unwrap();
    watcher.0.watch(heir.watch(1, &succeed)).unwrap();
    scene.commit(&[&open]);
    assert_eq!(watcher.told(&scene.chain), ["settled 1 opened"]);
    scene.commit(&[&succeed]);
    let events = watcher.events(&scene.chain);
    let causes: Vec<_> = events
        .iter()
        .map(|event| match event {
            ChannelEvent::Now(change) => (change.key.channel, change.cause.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(causes.contains(&(pacts[0].id(), Cause::Cooperative { successors: vec![heir.id()] })));
    assert!(causes.iter().any(|(id, it)| *id == heir.id() && matches!(it, Cause::Opened { .. })));
    assert_eq!(causes.len(), 2);
}

#[test]
fn funding_in_two_steps_is_told_step_by_step() {
    let scene = Scene::new();
    let (create, pacts) = scene.open(&scene.coin(), 1, false);
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pacts[0].watch(1, &create)).unwrap();
    scene.commit(&[&create]);
    let Cause::Funding { cell, deadline_ms, .. } = only(watcher.events(&scene.chain)).cause else {
        panic!()
    };
    let at = scene.chain.tip_header().unwrap().timestamp();
    assert_eq!((cell.content.marks, deadline_ms), (1, Some(at + CHALLENGE_SECS * 1_000)));
    let unfunded = scene.chain.fork();
    scene.commit(&[&scene.fund(&pacts[0]).0]);
    assert_eq!(watcher.told(&scene.chain), ["settled 1 opened"]);

    // On the other branch nobody adds anything, and the deposit goes back.
    unfunded.advance(CHALLENGE_SECS).unwrap();
    unfunded.send_transaction(&scene.abort_funding(&pacts[0])).unwrap();
    unfunded.mine(3).unwrap();
    assert_eq!(watcher.told(&unfunded), ["reverted opened", "settled 1 aborted"]);
}

#[test]
fn an_opening_whose_input_went_elsewhere_is_impossible_only_once_that_is_settled() {
    let scene = Scene::new();
    let coin = scene.coin();
    let (open, pacts) = scene.open(&coin, 1, true);
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pacts[0].watch(4, &open)).unwrap();
    let other = scene.build(&[(coin.clone(), 0)], vec![], &[]);
    scene.commit(&[&other]);
    assert_eq!(watcher.told(&scene.chain), Vec::<String>::new());
    scene.chain.mine(3).unwrap();
    let impossible = only(watcher.events(&scene.chain));
    assert_eq!(impossible.confirmations(), 4);
    let expected = Cause::OpenImpossible { by: other.hash(), input: coin.out_point };
    assert_eq!(impossible.cause, expected);
}

#[test]
fn w27_a_pending_answer_that_leaves_the_pool_is_told_as_dropped() {
    let scene = Scene::new();
    let (open, pacts) = scene.open(&scene.coin(), 1, true);
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pacts[0].watch(1, &open)).unwrap();
    scene.commit(&[&open]);
    assert_eq!(watcher.told(&scene.chain), ["settled 1 opened"]);
    let before = scene.chain.fork();
    // An answer to a pending registration spends a cell that no block has: both are seen.
    let (register, disputed) = scene.register(&pacts[0], &pacts[0].state(2), 0);
    let (refute, _) = scene.register(&disputed, &pacts[0].state(3), 1);
    scene.chain.send_transaction(&register).unwrap();
    scene.chain.send_transaction(&refute).unwrap();
    let told = watcher.told(&scene.chain);
    assert_eq!(told, ["pending registered 2", "pending registered 3"]);
    assert_eq!(watcher.told(&before), ["dropped", "dropped"]);
    assert_eq!(watcher.told(&before), Vec::<String>::new());
}
