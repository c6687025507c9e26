//! One lie at a time: each check of the follower against its node, alone.

use crate::faulty::Faulty;
use crate::scene::{Pact, Scene, Watcher};
use ckb_types::prelude::*;
use perun_backend_ckb::follow::{Block, Inconsistency};
use perun_backend_ckb::rpc::{DevControl, Rpc};

/// An open channel of which a registration and a refutation happen while the follower is away.
fn away() -> (Scene, Pact, Watcher) {
    let scene = Scene::new();
    let (open, mut pacts) = scene.open(&scene.coin(), 1, true);
    let pact = pacts.remove(0);
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pact.watch(1, &open)).unwrap();
    scene.commit(&[&open]);
    assert_eq!(watcher.told(&scene.chain), ["settled 1 opened"]);
    let (register, disputed) = scene.register(&pact, &pact.state(2), 0);
    scene.commit(&[&register]);
    scene.chain.mine(97).unwrap();
    (scene, disputed, watcher)
}

#[test]
fn a_block_with_a_transaction_left_out_or_a_witness_changed_is_refused() {
    let (scene, _, watcher) = away();
    let number = watcher.0.cursor().number + 3;
    let block = scene.chain.block_by_number(number).unwrap().unwrap();
    assert!(Block::new(number, &block).is_ok());
    let first = block.transactions().into_iter().take(1).collect();
    let cut = block.as_advanced_builder().set_transactions(first).build_unchecked();
    let refused = Some(Inconsistency::Transactions { number });
    assert_eq!(Block::new(number, &cut).err(), refused);
    let mut transactions = block.transactions();
    transactions[1] = transactions[1].as_advanced_builder().set_witnesses(vec![]).build();
    let bare = block.as_advanced_builder().set_transactions(transactions).build_unchecked();
    assert_eq!(Block::new(number, &bare).err(), refused);
}

#[test]
fn a_block_that_does_not_follow_the_cursor_is_refused_and_changes_nothing() {
    let (scene, _, mut watcher) = away();
    let first = watcher.0.cursor().number + 1;
    let other = scene.chain.fork();
    other.rollback(first - 1).unwrap();
    other.advance(5).unwrap();
    let before = watcher.0.clone();
    let block = |rpc: &dyn Rpc, number: u64| {
        Block::new(number, &rpc.block_by_number(number).unwrap().unwrap()).unwrap()
    };
    let skipped = watcher.0.extend(&block(&scene.chain, first + 1));
    assert_eq!(skipped, Err(Inconsistency::Parent { number: first + 1 }));
    watcher.0.extend(&block(&scene.chain, first)).unwrap();
    let foreign = watcher.0.extend(&block(&other, first + 1));
    assert_eq!(foreign, Err(Inconsistency::Parent { number: first + 1 }));
    assert_ne!(watcher.0, before);
    assert_eq!(watcher.0.cursor().number, first);
}

#[test]
fn an_index_that_hides_a_registration_is_contradicted_by_the_cell_and_the_blocks_are_read() {
    let (scene, _, mut watcher) = away();
    let node = Faulty { hides_history: true, ..Faulty::steady(&scene.chain) };
    assert_eq!(watcher.told(&node), ["settled 98 registered 2"]);
}

#[test]
fn what_a_node_hid_with_two_lies_is_found_again_when_it_stops_lying() {
    let (scene, _, mut watcher) = away();
    let mut node =
        Faulty { hides_history: true, says_live: Some(true), ..Faulty::steady(&scene.chain) };
    assert_eq!(watcher.told(&node), Vec::<String>::new());
    (node.hides_history, node.says_live) = (false, None);
    // The audit finds the channel's cell gone, the next walk reads its history.
    assert_eq!(watcher.walk(&node).unread.len(), 1);
    assert_eq!(watcher.told(&node), ["settled 98 registered 2"]);
}

#[test]
fn a_step_from_a_cell_that_was_never_seen_has_the_history_read_anew() {
    let (scene, disputed, mut watcher) = away();
    let mut node =
        Faulty { hides_history: true, says_live: Some(true), ..Faulty::steady(&scene.chain) };
    assert_eq!(watcher.told(&node), Vec::<String>::new());
    // The index is honest again, but liveness is still denied: only the step itself tells.
    node.hides_history = false;
    let (refute, _) = scene.register(&disputed, &disputed.state(3), 1);
    scene.commit(&[&refute]);
    assert_eq!(watcher.walk(&node).unread, [disputed.id()]);
    assert_eq!(watcher.told(&node), ["settled 101 registered 2", "settled 1 registered 3"]);
}

#[test]
fn a_rescan_that_forgets_what_blocks_have_shown_is_not_believed() {
    let (scene, disputed, mut watcher) = away();
    watcher.walk(&scene.chain);
    let node =
        Faulty { hides_history: true, says_live: Some(false), ..Faulty::steady(&scene.chain) };
    for _ in 0..3 {
        assert_eq!(watcher.walk(&node).events, []);
        assert_eq!(watcher.0.live_cell(&disputed.id()), Some(&disputed.cell.out_point));
        scene.chain.mine(1).unwrap();
    }
    assert_eq!(watcher.walk(&node).unread, [disputed.id()]);
    watcher.walk(&scene.chain);
    assert_eq!(watcher.walk(&scene.chain).unread, []);
}

#[test]
fn a_channel_cell_with_another_id_under_the_lock_is_not_the_channel() {
    let scene = Scene::new();
    let (open, pacts) = scene.open(&scene.coin(), 1, true);
    let (elsewhere, _) = scene.open(&scene.coin(), 1, true);
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pacts[0].watch(1, &open)).unwrap();
    // The script would refuse this; the follower does not lean on it.
    let (output, data) = elsewhere.output_with_data(0).unwrap();
    let moved = output.as_builder().lock(scene.vault_lock(&pacts[0].id())).build();
    let forged = elsewhere.as_advanced_builder();
    let forged = forged.set_outputs(vec![moved]).set_outputs_data(vec![data.pack()]).build();
    let cursor = watcher.0.cursor().number;
    let tip = scene.chain.block_by_number(cursor).unwrap().unwrap();
    let miner = tip.transactions().remove(0);
    let number = cursor + 1;
    let block = tip.as_advanced_builder().number(number).set_transactions(vec![miner, forged]);
    let block = Block::new(number, &block.build()).unwrap();
    watcher.0.leap(&block).unwrap();
    assert_eq!(watcher.0.report(), []);
}
