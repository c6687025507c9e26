//! Crashes: from any stored follower the same events come again, and none is lost.

use crate::scene::{CHALLENGE_SECS, Scene, Watcher, channel_type};
use perun_backend_ckb::follow::{ChannelEvent, EventKey, Follower, Status, sync};
use perun_backend_ckb::rpc::{DevControl, Rpc};
use perun_channel::codec::{Decode, Encode};
use std::collections::BTreeMap;

/// What a house makes of the events: the last word on each change.
fn book(book: &mut BTreeMap<EventKey, String>, events: &[ChannelEvent]) {
    for event in events {
        match event {
            ChannelEvent::Now(change) => {
                let word = match &change.status {
                    Status::Pending => "pending".to_owned(),
                    Status::Included { block, .. } => format!("included in {}", block.hash),
                    Status::Settled { block, .. } => format!("settled in {}", block.hash),
                };
                book.insert(change.key, word);
            }
            ChannelEvent::Reverted(_) | ChannelEvent::Dropped(_) => {
                book.remove(event.key());
            }
        }
    }
}

#[test]
fn a_crash_before_or_after_any_store_changes_nothing_that_is_known_in_the_end() {
    let scene = Scene::new();
    let (open, pacts) = scene.open(&scene.coin(), 1, true);
    let pact = &pacts[0];
    let mut first = Watcher::new(&scene);
    first.0.watch(pact.watch(4, &open)).unwrap();
    let (register, disputed) = scene.register(pact, &pact.state(2), 0);
    let (refute, last) = scene.register(&disputed, &pact.state(3), 1);
    let conclude = scene.conclude(&last, &pact.state(3));

    // The whole life, with the chain as it was after each block, one reorganisation included.
    let mut moments = Vec::new();
    let mine = |blocks: u64, moments: &mut Vec<_>| {
        for _ in 0..blocks {
            scene.chain.mine(1).unwrap();
            moments.push(scene.chain.fork());
        }
    };
    scene.chain.send_transaction(&open).unwrap();
    moments.push(scene.chain.fork());
    mine(4, &mut moments);
    let fork = scene.chain.tip_header().unwrap().number();
    scene.chain.send_transaction(&register).unwrap();
    moments.push(scene.chain.fork());
    mine(4, &mut moments);
    scene.chain.rollback(fork).unwrap();
    mine(6, &mut moments);
    scene.chain.send_transaction(&register).unwrap();
    scene.chain.send_transaction(&refute).unwrap();
    mine(4, &mut moments);
    scene.chain.advance(CHALLENGE_SECS).unwrap();
    scene.chain.send_transaction(&conclude).unwrap();
    mine(8, &mut moments);

    let mut stored = first.0.to_bytes();
    let mut undisturbed = BTreeMap::new();
    let mut stages = Vec::new();
    for moment in &moments {
        stages.push((stored.clone(), undisturbed.clone()));
        let mut follower = Follower::from_bytes(&stored).unwrap();
        let walk = sync(moment, &channel_type(), &mut follower).unwrap();
        // Crashed before the store: the same walk again, with the same events.
        let mut again = Follower::from_bytes(&stored).unwrap();
        assert_eq!(sync(moment, &channel_type(), &mut again).unwrap().events, walk.events);
        book(&mut undisturbed, &walk.events);
        stored = follower.to_bytes();
    }
    assert_eq!(undisturbed.len(), 4);
    assert!(undisturbed.values().all(|word| word.starts_with("settled")));
    // Down from any moment to the end: what is known then is the same.
    let end = moments.last().unwrap();
    for (stored, mut known) in stages {
        let mut follower = Follower::from_bytes(&stored).unwrap();
        book(&mut known, &sync(end, &channel_type(), &mut follower).unwrap().events);
        assert_eq!(known, undisturbed);
    }
}

#[test]
fn a_stored_follower_that_is_cut_or_changed_is_refused_or_means_what_it_says() {
    let scene = Scene::new();
    let (open, pacts) = scene.open(&scene.coin(), 1, true);
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pacts[0].watch(4, &open)).unwrap();
    scene.commit(&[&open]);
    scene.chain.send_transaction(&scene.register(&pacts[0], &pacts[0].state(1), 0).0).unwrap();
    watcher.walk(&scene.chain);
    let stored = watcher.0.to_bytes();
    for length in 0..stored.len() {
        assert!(Follower::from_bytes(&stored[..length]).is_err());
    }
    for position in 0..stored.len() {
        let mut changed = stored.clone();
        changed[position] ^= 1 << (position % 8);
        if let Ok(follower) = Follower::from_bytes(&changed) {
            assert_eq!(follower.to_bytes(), changed, "two spellings at {position}");
        }
    }
}
