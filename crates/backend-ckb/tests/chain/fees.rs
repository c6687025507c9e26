//! Who pays the network, how a fee is raised, and what many channels in one transaction do to each
//! other.

use crate::world::{CHALLENGE, Owned, Person, World, key, open, sighash_lock, signed};
use perun_backend_ckb::Error;
use perun_backend_ckb::batch::{submit, submit_by};
use perun_backend_ckb::dispute::{Job, Step, draft};
use perun_backend_ckb::fees::replacement_fee;
use perun_backend_ckb::money::{CKB, Made};
use perun_backend_ckb::open::OpenedChannel;
use perun_backend_ckb::rpc::TransactionStatus;
use perun_backend_ckb::tx::Draft;
use perun_channel::adjudicator::{Code, MAX_FEE_SLACK};

const COINS: u128 = CKB as u128;

fn closing(world: &World, opened: &OpenedChannel, people: [&Person; 2]) -> Job {
    let last = opened.state.successor(opened.state.outcome().clone()).unwrap().finalized();
    Job {
        contract: opened.contract.clone(),
        live: world.live(&opened.contract),
        step: Step::CloseFinal { signed: signed(&opened.contract, last, &people), unpaid: 0 },
    }
}

/// A hub with one channel to each of the persons 2 to `last`.
fn hub(world: &World, last: u8) -> (Person, Vec<Person>, Vec<OpenedChannel>) {
    let hub = world.person(1);
    let users: Vec<Person> = (2..=last).map(|number| world.person(number)).collect();
    let channels = users
        .iter()
        .map(|user| open(world, &[&world.coin], &[[50 * COINS, 20 * COINS]], [&hub, user]))
        .collect();
    (hub, users, channels)
}

#[test]
fn w25_a_payee_pays_the_fee_of_its_own_payout_to_the_shannon() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let opened = open(&world, &[&world.coin], &[[500 * COINS, 0]], [&alice, &bob]);
    let before = [world.holdings(&alice.lock()).0, world.holdings(&bob.lock()).0];
    let Job { step, .. } = closing(&world, &opened, [&alice, &bob]);
    let paid = world.act(&alice, &opened.contract, step).unwrap();
    assert!(paid.fee < MAX_FEE_SLACK);
    let after = [world.holdings(&alice.lock()).0, world.holdings(&bob.lock()).0];
    assert_eq!(after[0] - before[0], 611 * CKB - paid.fee);
    assert_eq!(after[1] - before[1], 111 * CKB);
}

#[test]
fn a_fee_above_what_payees_lend_is_refused_before_it_is_sent() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let opened = open(&world, &[&world.coin], &[[500 * COINS, 0]], [&alice, &bob]);
    let job = closing(&world, &opened, [&alice, &bob]);
    let mut purse = world.purse(&alice);
    purse.bounds.min = 2_000_000;
    purse.bounds.max = 2_000_000;
    let error = purse.pay(&draft(&[job], &world.deployment).unwrap()).unwrap_err();
    assert_eq!(error, Error::FeePayerIsPayee);
    assert_eq!(purse.book().tickets().count(), 0, "nothing stays promised");
}

#[test]
fn w25_a_fee_is_raised_with_the_same_cells_and_never_above_the_cap() {
    let world = World::new();
    let (alice, bob, carol) = (world.person(1), world.person(2), world.person(3));
    let opened = open(&world, &[&world.coin], &[[500 * COINS, 0]], [&alice, &bob]);
    let job = closing(&world, &opened, [&alice, &bob]);
    let purse = world.purse(&carol);
    let first = purse.pay(&draft(&[job], &world.deployment).unwrap()).unwrap();
    purse.send(&first).unwrap();
    assert_eq!(purse.send(&first).unwrap(), first.hash(), "sent twice, pending once");

    let least = replacement_fee(first.fee, first.spent.size()).unwrap();
    let error = purse.bump(&first, least - 1).unwrap_err();
    assert!(matches!(error, Error::FeeCap { need, .. } if need >= least), "{error}");
    let second = purse.bump(&first, CKB).unwrap();
    assert!(second.fee >= least && second.taken == first.taken);
    purse.send(&second).unwrap();
    world.mined(&second.hash());
    let old = world.chain.transaction(&first.hash()).unwrap().status;
    assert!(matches!(old, TransactionStatus::Rejected(_)), "{old:?}");
    purse.release(&second).unwrap();
    assert_eq!(purse.release(&first), Err(Error::ReservationUnknown));
}

#[test]
fn w25_a_raised_fee_takes_another_cell_when_the_change_is_used_up() {
    let lock = sighash_lock(key(9).hash());
    let people = (1..=2).flat_map(|number| {
        let lock = sighash_lock(key(number).hash());
        (0..3).map(move |_| Owned(lock.clone(), 1_000 * CKB, 0))
    });
    // The first cell just holds fee and change; the second is there for later.
    let poor = [Owned(lock.clone(), 61 * CKB + 2_000, 0), Owned(lock, 62 * CKB, 0)];
    let world = World::with(people.chain(poor));
    let (alice, bob, poor) = (world.person(1), world.person(2), world.person(9));
    let opened = open(&world, &[&world.coin], &[[500 * COINS, 0]], [&alice, &bob]);
    let purse = world.purse(&poor);
    let job = closing(&world, &opened, [&alice, &bob]);
    let first = purse.pay(&draft(&[job], &world.deployment).unwrap()).unwrap();
    assert_eq!(first.taken.len(), 1);
    purse.send(&first).unwrap();
    let second = purse.bump(&first, CKB).unwrap();
    assert_eq!((second.taken.len(), second.tickets.len()), (2, 2));
    purse.send(&second).unwrap();
    world.mined(&second.hash());
}

#[test]
fn a_replacement_spends_all_that_the_replaced_payment_spends() {
    let world = World::new();
    let alice = world.person(1);
    let purse = world.purse(&alice);
    let mut payment = Draft::default();
    payment.makes.push(Made::plain(world.person(2).lock(), 938 * CKB));
    let first = purse.pay(&payment).unwrap();
    let second = purse.bump(&first, CKB).unwrap();
    assert_eq!(second.taken[..first.taken.len()], first.taken[..]);
    purse.send(&second).unwrap();
    assert!(purse.send(&first).is_err(), "both payments could be committed");
}

#[test]
fn w25_no_two_builds_take_one_cell() {
    let world = World::new();
    let (hub, users, channels) = hub(&world, 4);
    let carol = world.person(6);
    let purse = world.purse(&carol);
    let mut taken = Vec::new();
    for (user, channel) in users.iter().zip(&channels) {
        let job = closing(&world, channel, [&hub, user]);
        let paid = purse.pay(&draft(&[job], &world.deployment).unwrap()).unwrap();
        taken.extend(paid.taken.iter().map(|cell| cell.out_point.clone()));
    }
    let count = taken.len();
    taken.sort_by_key(|it| format!("{it}"));
    taken.dedup();
    assert_eq!((count, taken.len()), (3, 3));
}

#[test]
fn w20_a_hub_closes_many_channels_in_one_transaction_with_one_payout() {
    let world = World::new();
    let (hub, users, channels) = hub(&world, 6);
    let before = world.holdings(&hub.lock()).0;
    let jobs: Vec<Job> = users
        .iter()
        .zip(&channels)
        .map(|(user, channel)| closing(&world, channel, [&hub, user]))
        .collect();
    let batch = submit(&world.purse(&hub), &jobs);
    assert_eq!(batch.results, vec![Ok(0); 5]);
    let paid = &batch.sent[0];
    println!("5 closes: {} bytes, {} cycles, fee {}", paid.spent.size(), paid.cycles, paid.fee);
    // One output for the hub, its change in it, and one for each user.
    assert_eq!(paid.spent.makes().len(), 6);
    world.mined(&paid.hash());
    assert_eq!(world.holdings(&hub.lock()).0 - before, 5 * 161 * CKB - paid.fee);
    assert!(channels.iter().all(|channel| world.is_gone(&channel.contract)));
}

#[test]
fn w20_a_contested_channel_is_isolated_and_the_others_go_on() {
    let world = World::new();
    let (hub, users, channels) = hub(&world, 6);
    let jobs: Vec<Job> = users
        .iter()
        .zip(&channels)
        .map(|(user, channel)| closing(&world, channel, [&hub, user]))
        .collect();
    // The third user starts a dispute: the cell that the hub read is gone.
    let step = world.register(&users[2], 1, &channels[2].contract, &channels[2].state, None);
    world.act(&users[2], &channels[2].contract, step).unwrap();
    let batch = submit(&world.purse(&hub), &jobs);
    let done: Vec<bool> = batch.results.iter().map(Result::is_ok).collect();
    assert_eq!(done, [true, true, false, true, true]);
    assert!(matches!(batch.results[2], Err(Error::Rpc(_))), "{:?}", batch.results[2]);
    world.chain.mine(3).unwrap();
    let gone: Vec<bool> = channels.iter().map(|it| world.is_gone(&it.contract)).collect();
    assert_eq!(gone, done);
    // What the refused attempts had promised is free again.
    let tickets = world.purse(&hub).book().tickets().count();
    assert_eq!(tickets, batch.sent.len());
}

#[test]
fn many_disputes_are_registered_and_concluded_together() {
    let world = World::new();
    let (hub, _users, channels) = hub(&world, 5);
    let jobs = |step: &dyn Fn(&OpenedChannel) -> Step| -> Vec<Job> {
        let job = |channel: &OpenedChannel| Job {
            contract: channel.contract.clone(),
            live: world.live(&channel.contract),
            step: step(channel),
        };
        channels.iter().map(job).collect()
    };
    let purse = world.purse(&hub);
    let register =
        jobs(&|channel| world.register(&hub, 0, &channel.contract, &channel.state, None));
    let batch = submit_by(&purse, &register, 2);
    assert_eq!(batch.results, [Ok(0), Ok(0), Ok(1), Ok(1)]);
    world.chain.mine(3).unwrap();
    world.chain.advance(CHALLENGE).unwrap();
    let conclude =
        jobs(&|channel| Step::Conclude { state: channel.state.clone(), unpaid: 0, decision: None });
    let batch = submit(&purse, &conclude);
    assert_eq!(batch.results, vec![Ok(0); 4]);
    world.mined(&batch.sent[0].hash());
}

#[test]
fn a_step_that_the_verdict_refuses_is_not_sent() {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    let opened = open(&world, &[&world.coin], &[[500 * COINS, 0]], [&alice, &bob]);
    let conclude = Step::Conclude { state: opened.state.clone(), unpaid: 0, decision: None };
    let error = world.act(&alice, &opened.contract, conclude).unwrap_err();
    assert_eq!(error, Error::Verdict(Code::WrongAction));
    assert!(error.to_string().contains("nothing was sent"));
    // A signature of another key.
    let step = world.register(&bob, 0, &opened.contract, &opened.state, None);
    let error = world.act(&alice, &opened.contract, step).unwrap_err();
    assert_eq!(error, Error::Verdict(Code::WrongSigner));
    assert_eq!(world.purse(&alice).book().tickets().count(), 0);
}
