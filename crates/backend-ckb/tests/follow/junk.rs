//! Junk under a channel's vault lock: anybody can put cells there, none of them is the channel.

use crate::scene::{Scene, Watcher};
use ckb_types::{core::ScriptHashType, packed::Script, prelude::*};
use perun_backend_ckb::follow::checkpoint;
use perun_backend_ckb::follow::{Follower, Watch};
use perun_backend_ckb::rpc::DevControl;
use perun_embedded_ckb::testkit::CKB;

/// A type script of somebody else's that accepts everything.
fn stranger(scene: &Scene) -> Script {
    let always = scene.chain.genesis().cell("always").unwrap();
    let builder = Script::new_builder().code_hash(always.data_hash.clone());
    builder.hash_type(ScriptHashType::Data2).build()
}

#[test]
fn cells_of_another_type_or_with_another_id_under_the_vault_lock_are_ignored() {
    let scene = Scene::with_always();
    let (open, pacts) = scene.open(&scene.coin(), 1, true);
    let (elsewhere, others) = scene.open(&scene.coin(), 1, true);
    let pact = &pacts[0];
    let mut watcher = Watcher::new(&scene);
    watcher.0.watch(pact.watch(1, &open)).unwrap();
    let lock = scene.vault_lock(&pact.id());
    let right = pact.cell.data.to_vec();
    let wrong = others[0].cell.data.to_vec();
    let junk = |seed: u64| {
        vec![
            // The right data, of a foreign type; of no type; another id; nothing at all.
            scene.cell(lock.clone(), Some(stranger(&scene)), 300 * CKB + seed, right.clone()),
            scene.cell(lock.clone(), None, 300 * CKB, right.clone()),
            scene.cell(lock.clone(), Some(stranger(&scene)), 300 * CKB, wrong.clone()),
            scene.cell(lock.clone(), None, 300 * CKB, Vec::new()),
        ]
    };
    // Before, with and after the real cell, also in transactions that move the channel's coins.
    scene.commit(&[&scene.build(&[(scene.coin(), 0)], junk(1), &[])]);
    assert_eq!(watcher.told(&scene.chain), Vec::<String>::new());
    scene.commit(&[&elsewhere, &open, &scene.build(&[(scene.coin(), 0)], junk(2), &[])]);
    assert_eq!(watcher.told(&scene.chain), ["settled 1 opened"]);
    scene.commit(&[&scene.build(&[(scene.coin(), 0)], junk(3), &[])]);
    assert_eq!(watcher.told(&scene.chain), Vec::<String>::new());
    assert_eq!(watcher.0.live_cell(&pact.id()), Some(&pact.cell.out_point));
    let (register, disputed) = scene.register(pact, &pact.state(4), 1);
    scene.commit(&[&register, &scene.build(&[(scene.coin(), 0)], junk(4), &[])]);
    assert_eq!(watcher.told(&scene.chain), ["settled 1 registered 4"]);
    assert_eq!(watcher.0.live_cell(&pact.id()), Some(&disputed.cell.out_point));

    // Read late, from the index, among all the junk.
    scene.chain.mine(300).unwrap();
    let mut late = Watcher(Follower::new(scene.env, checkpoint(&scene.chain).unwrap()));
    late.0.watch(Watch { creation: None, ..pact.watch(1, &open) }).unwrap();
    assert_eq!(late.told(&scene.chain), ["settled 307 opened", "settled 301 registered 4"]);
    assert_eq!(scene.vault_lock(&pact.id()), *late.0.vault_lock(&pact.id()).unwrap());
}
