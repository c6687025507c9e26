//! Many channels at once.

use crate::scene::{Scene, Watcher};
use perun_backend_ckb::follow::Cause;
use perun_backend_ckb::follow::ChannelEvent;
use perun_backend_ckb::rpc::{DevControl, Rpc};
use std::collections::BTreeSet;

#[test]
fn w27_two_hundred_channels_opened_in_one_block_are_each_told_once() {
    let scene = Scene::new();
    let mut watcher = Watcher::new(&scene);
    let (mut ids, mut first) = (BTreeSet::new(), Vec::new());
    for _ in 0..10 {
        let (open, mut pacts) = scene.open(&scene.coin(), 20, true);
        for pact in &pacts {
            watcher.0.watch(pact.watch(2, &open)).unwrap();
            ids.insert(pact.id());
        }
        scene.chain.send_transaction(&open).unwrap();
        first.push(pacts.remove(0));
    }
    assert_eq!(watcher.events(&scene.chain).len(), 200, "all are pending");
    scene.chain.mine(3).unwrap();
    let events = watcher.events(&scene.chain);
    let block = scene.chain.tip_header().unwrap().hash();
    let mut told = BTreeSet::new();
    for event in &events {
        let ChannelEvent::Now(change) = event else { panic!("{event:?}") };
        assert_eq!(change.block().unwrap().hash, block);
        assert!(matches!(change.cause, Cause::Opened { .. }));
        assert!(told.insert(change.key.channel));
    }
    assert_eq!(told, ids);

    // One transaction each on ten of them, all in one block, tells ten events and settles the rest.
    for pact in &first {
        let (register, _) = scene.register(pact, &pact.state(1), 0);
        scene.chain.send_transaction(&register).unwrap();
    }
    scene.chain.mine(3).unwrap();
    let words = watcher.told(&scene.chain);
    assert_eq!(words.iter().filter(|it| *it == "settled 4 opened").count(), 200);
    assert_eq!(words.iter().filter(|it| *it == "included 1 registered 1").count(), 10);
    assert_eq!(words.len(), 210);
}
