//! Reorganisations: what a block removed is told as reverted, and then what is true instead.

use crate::scene::{Pact, Scene, Watcher, channel_type};
use perun_backend_ckb::follow::{
    ChannelEvent, FollowError, Follower, Standing, WINDOW_BLOCKS, checkpoint, sync,
};
use perun_backend_ckb::rpc::{DevControl, Rpc};

/// An open channel and its follower.
fn opened(depth: u16) -> (Scene, Pact, Watcher) {
    let scene = Scene::new();
    let (open, mut pacts) = scene.open(&scene.coin(), 1, true);
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pacts[0].watch(depth, &open)).unwrap();
    scene.commit(&[&open]);
    assert_eq!(watcher.told(&scene.chain).len(), 1);
    (scene, pacts.remove(0), watcher)
}

#[test]
fn w27_a_registration_that_a_reorg_removes_is_reverted_and_the_channel_is_open_again() {
    let (scene, pact, mut watcher) = opened(1);
    let fork = scene.chain.tip_header().unwrap().number();
    let (register, _) = scene.register(&pact, &pact.state(2), 0);
    scene.commit(&[&register]);
    assert_eq!(watcher.told(&scene.chain), ["settled 1 registered 2"]);
    scene.chain.rollback(fork).unwrap();
    // A shorter chain of the same blocks looks like a node that is behind; nothing is reverted yet.
    let walk = watcher.walk(&scene.chain);
    assert_eq!((walk.standing, walk.events.len()), (Standing::NodeBehind, 0));
    scene.chain.mine(1).unwrap();
    assert_eq!(watcher.told(&scene.chain), ["reverted registered 2"]);
    assert_eq!(watcher.0.live_cell(&pact.id()), Some(&pact.cell.out_point));
    // The same transaction comes again, in another block: a new truth with the same name.
    scene.commit(&[&register]);
    assert_eq!(watcher.told(&scene.chain), ["settled 1 registered 2"]);
}

#[test]
fn a_registration_that_a_reorg_replaces_is_reverted_first_and_the_other_told_with_its_own_time() {
    let (scene, pact, mut watcher) = opened(6);
    let other = scene.chain.fork();
    let (ours, _) = scene.register(&pact, &pact.state(2), 0);
    let (theirs, _) = scene.register(&pact, &pact.state(5), 1);
    scene.commit(&[&ours]);
    watcher.walk(&scene.chain);
    other.advance(77).unwrap();
    other.send_transaction(&theirs).unwrap();
    other.mine(3).unwrap();
    let events = watcher.events(&other);
    let [.., ChannelEvent::Now(settled), ChannelEvent::Now(now)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(crate::scene::words(&events[0]), "reverted registered 2");
    assert_eq!(settled.confirmations(), 20 + 3);
    assert_eq!(now.key.transaction, <[u8; 32]>::from(theirs.hash()));
    assert_eq!(now.block().unwrap().hash, other.tip_header().unwrap().hash());
    // And back again, when the first branch grows longer.
    scene.chain.mine(40).unwrap();
    assert_eq!(watcher.told(&scene.chain), ["reverted registered 5", "settled 41 registered 2"]);
}

#[test]
fn a_reorg_of_a_whole_window_is_followed_and_a_deeper_one_refused_with_advice() {
    let (scene, pact, mut watcher) = opened(1);
    let fork = scene.chain.fork();
    let deeper = scene.chain.fork();
    let window = u64::from(WINDOW_BLOCKS);
    scene.chain.mine(window - 1).unwrap();
    watcher.walk(&scene.chain);
    assert_eq!(watcher.0.recent_blocks().count(), usize::from(WINDOW_BLOCKS));
    fork.advance(1).unwrap();
    fork.mine(window).unwrap();
    assert_eq!(watcher.told(&fork), Vec::<String>::new());
    assert_eq!(watcher.0.cursor().hash, fork.tip_header().unwrap().hash());

    fork.mine(window).unwrap();
    watcher.walk(&fork);
    let before = watcher.0.clone();
    deeper.advance(2).unwrap();
    deeper.mine(3 * window).unwrap();
    let error = sync(&deeper, &channel_type(), &mut watcher.0).unwrap_err();
    assert!(matches!(error, FollowError::ReorgTooDeep { .. }));
    assert!(error.to_string().contains("restarted"));
    assert_eq!(watcher.0, before, "a refusal changes nothing");
    // The advice works: everything is read anew from the index, however old.
    watcher.0 = before.restarted(checkpoint(&deeper).unwrap());
    let depth = deeper.tip_header().unwrap().number() - 43 + 1;
    assert_eq!(watcher.told(&deeper), [format!("settled {depth} opened")]);
    assert_eq!(watcher.0.live_cell(&pact.id()), Some(&pact.cell.out_point));
}

#[test]
fn w27_a_channel_watched_late_is_read_from_its_beginning() {
    let (scene, pact, watcher) = opened(1);
    let (register, _) = scene.register(&pact, &pact.state(2), 0);
    scene.commit(&[&register]);
    scene.chain.mine(400).unwrap();
    let mut late = Watcher(Follower::new(scene.env, checkpoint(&scene.chain).unwrap()));
    let watch = watcher.0.watched().next().unwrap().clone();
    late.0.watch(perun_backend_ckb::follow::Watch { creation: None, ..watch }).unwrap();
    assert_eq!(late.told(&scene.chain), ["settled 404 opened", "settled 401 registered 2"]);
}

#[test]
fn a_long_absence_is_caught_up_by_the_index_with_the_same_events() {
    let (scene, pact, watcher) = opened(1);
    scene.chain.mine(300).unwrap();
    let (register, disputed) = scene.register(&pact, &pact.state(2), 0);
    scene.commit(&[&register]);
    scene.chain.mine(2_500).unwrap();
    let (refute, _) = scene.register(&disputed, &pact.state(3), 1);
    scene.commit(&[&refute]);
    let mut back = Watcher(watcher.0);
    let told = back.told(&scene.chain);
    assert_eq!(told, ["settled 2504 registered 2", "settled 1 registered 3"]);
    assert_eq!(back.0.median_time(), Some(scene.chain.median_time().unwrap()));
}
