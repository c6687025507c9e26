//! Transactions made together: what a peer may not do, ending an opening, changing a channel.

use crate::world::{Person, RATE, World, checked, open, propose, signed, terms, witnesses};
use ckb_types::{core::TransactionView, packed::Script, prelude::*};
use perun_backend_ckb::dispute::Step;
use perun_backend_ckb::fees::Fee;
use perun_backend_ckb::money::{CKB, Made};
use perun_backend_ckb::open::{
    Assembly, Change, Contribution, Ending, OpenedChannel, Party, Terms, abort_open, assemble,
    default_reserves, is_abort,
};
use perun_backend_ckb::rpc::{RpcError, TransactionStatus, View};
use perun_backend_ckb::tx::{Draft, Resolved};
use perun_backend_ckb::wallet::{LockWitness, fill, sign_inputs};
use perun_backend_ckb::{Error, Fault};
use perun_channel::codec::{Decode, Encode};
use perun_channel::{Amount, State};

const COINS: u128 = CKB as u128;

fn scene() -> (World, Person, Person) {
    let world = World::new();
    let (alice, bob) = (world.person(1), world.person(2));
    (world, alice, bob)
}

fn usual(world: &World, alice: &Person, bob: &Person) -> Terms {
    let assets = [&world.coin, &world.token];
    terms(&assets, &[[500 * COINS, 20 * COINS], [1_000, 50]], [alice, bob])
}

/// What Alice says to an assembly in which Bob's contribution was changed like that.
fn spoiled(spoil: impl FnOnce(&World, &Person, &mut Contribution)) -> Error {
    let (world, alice, bob) = scene();
    let terms = usual(&world, &alice, &bob);
    let mut contributions = propose(&world, &terms, [&alice, &bob]).contributions().to_vec();
    spoil(&world, &alice, &mut contributions[1]);
    let ours = contributions[0].clone();
    let assembled = assemble(&world.deployment, terms, contributions);
    assembled
        .and_then(|assembly| assembly.read(&*world.chain, &world.deployment, 0, &ours))
        .map(|_| ())
        .expect_err("a spoiled contribution was taken")
}

fn fault(fault: Fault) -> Error {
    Error::Contribution { party: 1, fault }
}

#[test]
fn both_parties_assemble_the_same_transaction() {
    let (world, alice, bob) = scene();
    let terms = usual(&world, &alice, &bob);
    let one = propose(&world, &terms, [&alice, &bob]);
    let sent: Vec<Contribution> = one
        .contributions()
        .iter()
        .map(|sent| Contribution::from_bytes(&sent.to_bytes()).unwrap())
        .collect();
    let other = assemble(&world.deployment, terms, sent).unwrap();
    assert_eq!(one.tx().data().as_slice(), other.tx().data().as_slice());
    assert_eq!(one.channels()[0].contract, other.channels()[0].contract);
}

#[test]
fn a_peer_that_brings_a_shannon_too_little_or_too_much_is_refused() {
    let spoil = |more: i64| {
        spoiled(move |_, _, bob| {
            let last = bob.change.last_mut().unwrap();
            last.capacity = last.capacity.checked_add_signed(more).unwrap();
        })
    };
    assert_eq!(spoil(1), fault(Fault::Capacity));
    assert_eq!(spoil(-1), fault(Fault::Capacity));
}

#[test]
fn a_peer_that_brings_too_few_tokens_is_refused() {
    let error = spoiled(|_, _, bob| {
        let change = bob.change.iter_mut().find_map(|change| change.token.as_mut()).unwrap();
        change.1 += 1;
    });
    assert_eq!(error, fault(Fault::Token));
}

#[test]
fn a_peer_that_spends_our_cells_or_names_our_lock_is_refused() {
    let ours = spoiled(|world, alice, bob| {
        let cell = world.purse(alice).cells().unwrap()[5].clone();
        bob.inputs[0].out_point = cell.out_point;
    });
    assert_eq!(ours, fault(Fault::WrongLock));
    assert_eq!(spoiled(|_, alice, bob| bob.owner = alice.lock()), fault(Fault::NotItsOwn));
}

#[test]
fn an_input_that_stands_twice_is_refused() {
    let error = spoiled(|_, _, bob| {
        let input = bob.inputs[0].clone();
        bob.inputs.push(input);
    });
    assert_eq!(error, fault(Fault::Twice));
}

#[test]
fn an_input_that_is_spent_or_never_was_is_refused() {
    let spent = spoiled(|world, _, bob| {
        let person = world.person(2);
        let cells = [bob.inputs[0].out_point.clone()]
            .map(|place| world.chain.live_cell(&place, View::Chain).unwrap().unwrap());
        let lock = &person.wallet.locks()[0];
        let moved = abort_open(&world.deployment, lock, &cells, &Fee::rate(RATE)).unwrap();
        world.commit(&finished(&person, &moved.spent));
    });
    assert_eq!(spent, fault(Fault::NotLive));
}

#[test]
fn an_input_with_foreign_data_is_refused() {
    let error = spoiled(|world, _, bob| {
        let person = world.person(2);
        let made = Made::plain(person.lock(), 200 * CKB);
        let made = Made { data: b"not money"[..].to_vec().into(), ..made };
        let mut draft = Draft::default();
        draft.makes.push(made);
        let purse = world.purse(&person);
        let paid = purse.pay(&draft).unwrap();
        world.commit(&paid.spent.tx);
        bob.inputs[0].out_point = ckb_types::packed::OutPoint::new(paid.hash(), 0);
        // The payment took the cells that Bob had offered: he offers others.
        let free = world.purse(&person).cells().unwrap();
        for (input, cell) in bob.inputs.iter_mut().skip(1).zip(free) {
            input.out_point = cell.out_point;
        }
    });
    assert_eq!(error, fault(Fault::NotPlain));
}

#[test]
fn an_input_that_is_locked_until_later_is_refused() {
    assert_eq!(spoiled(|_, _, bob| bob.inputs[0].since = 1_000_000), fault(Fault::Since));
    assert_eq!(spoiled(|_, _, bob| bob.inputs[0].since = 0xc0 << 56), fault(Fault::Since));
}

#[test]
fn change_of_a_type_that_no_channel_uses_is_refused() {
    let error = spoiled(|_, _, bob| bob.change[0].token = Some(([9; 32], 1)));
    assert_eq!(error, fault(Fault::Change));
}

#[test]
fn a_change_cell_below_its_own_size_is_refused() {
    let error = spoiled(|_, _, bob| {
        let lock = bob.change[0].lock.clone();
        bob.fee -= 10;
        bob.change.push(Change { lock, capacity: 10, token: None });
    });
    assert!(matches!(error, Error::CellTooSmall { have: 10, .. }), "{error}");
}

#[test]
fn a_reserve_missing_or_too_small_is_refused() {
    assert_eq!(spoiled(|_, _, bob| bob.reserves.clear()), fault(Fault::Reserves));
    for small in [0, 60 * CKB, 61 * CKB, 200 * CKB] {
        let refused = spoiled(|_, _, bob| bob.reserves[0] = small);
        assert_eq!(refused, fault(Fault::Payout), "{small}");
    }
}

/// The payout lock of a peer is part of every transaction by which we leave: whatever makes its
/// cells impossible, or dearer than what the peer holds in reserve, would hold our money.
#[test]
fn a_payout_lock_that_cannot_be_paid_from_the_reserve_is_refused() {
    let later = spoiled(|_, _, bob| {
        let hash_type = ckb_types::core::ScriptHashType::Data3;
        bob.payout = bob.payout.clone().as_builder().hash_type(hash_type).build();
    });
    assert_eq!(later, fault(Fault::Payout), "the chain makes no cell of a later hash type");
    let long = spoiled(|_, _, bob| {
        let args = ckb_types::bytes::Bytes::from(vec![0; 1_000]);
        bob.payout = bob.payout.clone().as_builder().args(args).build();
    });
    assert_eq!(long, fault(Fault::Payout), "a cell of more than 1,000 CKB");
    let vault = spoiled(|world, _, bob| {
        let id = perun_channel::ChannelId::new([1; 32]);
        bob.payout = world.deployment.vault_lock_script(&id);
    });
    assert_eq!(vault, fault(Fault::Payout), "a vault opens for its own channel alone");
    let change = spoiled(|_, _, bob| {
        let hash_type = ckb_types::core::ScriptHashType::Data3;
        let lock = bob.change[0].lock.clone();
        bob.change[0].lock = lock.as_builder().hash_type(hash_type).build();
    });
    assert_eq!(change, fault(Fault::Change));
}

#[test]
fn our_own_contribution_changed_is_refused() {
    let (world, alice, bob) = scene();
    let assembly = propose(&world, &usual(&world, &alice, &bob), [&alice, &bob]);
    let mut ours = assembly.contributions()[0].clone();
    ours.fee += 1;
    let read = assembly.read(&*world.chain, &world.deployment, 0, &ours);
    let changed = Error::Contribution { party: 0, fault: Fault::Changed };
    assert_eq!(read.map(|_| ()), Err(changed));
}

#[test]
fn a_peers_bad_witness_is_found_before_ours_leaves() {
    let (world, alice, bob) = scene();
    let assembly = propose(&world, &usual(&world, &alice, &bob), [&alice, &bob]);
    let own = checked(&world, &assembly, 0).unwrap();
    let good = witnesses(&world, &assembly, &[&alice, &bob]);
    let run = |witnesses: &[Vec<LockWitness>]| {
        own.dry_run(&*world.chain, &world.deployment, witnesses, &[None, None], RATE).map(|_| ())
    };
    assert_eq!(run(&good), Ok(()));
    let mut flipped = good.clone();
    flipped[1][0].lock[7] ^= 1;
    assert!(matches!(run(&flipped), Err(Error::Rpc(RpcError::Script { .. }))));
    let mut stray = good.clone();
    stray[1][0].input = 0;
    assert_eq!(run(&stray), Err(Error::LockWitness), "a witness over our own input");
    assert_eq!(run(&[good[0].clone(), Vec::new()]), Err(Error::LockWitness), "none at all");
}

fn finished(person: &Person, unsigned: &Resolved) -> TransactionView {
    let signed = sign_inputs(person.wallet.as_ref(), unsigned).unwrap();
    fill(&unsigned.tx, &signed).unwrap()
}

fn own_inputs(
    world: &World,
    assembly: &Assembly,
    party: usize,
) -> Vec<perun_backend_ckb::rpc::Cell> {
    let inputs = assembly.contributions()[party].inputs.iter();
    inputs
        .map(|input| world.chain.live_cell(&input.out_point, View::Chain).unwrap().unwrap())
        .collect()
}

#[test]
fn w26_an_aborted_opening_can_never_be_committed() {
    let (world, alice, bob) = scene();
    let before = world.holdings(&alice.lock());
    let assembly = propose(&world, &usual(&world, &alice, &bob), [&alice, &bob]);
    let witnesses = witnesses(&world, &assembly, &[&alice, &bob]);
    let own = checked(&world, &assembly, 0).unwrap();
    let shared = own.complete(&world.deployment, &witnesses, &[None, None]).unwrap();

    let cells = own_inputs(&world, &assembly, 0);
    let lock = &alice.wallet.locks()[0];
    let abort = abort_open(&world.deployment, lock, &cells, &Fee::rate(RATE)).unwrap();
    let abort_tx = finished(&alice, &abort.spent);
    assert!(is_abort(&assembly, &abort_tx) && !is_abort(&assembly, &shared.tx));
    world.commit(&abort_tx);
    let late = world.chain.send_transaction(&shared.tx).unwrap_err();
    assert!(matches!(late, RpcError::Unknown { .. }), "{late}");
    let after = world.holdings(&alice.lock());
    assert_eq!((before.0 - after.0, before.1 - after.1), (abort.fee, 0));
}

#[test]
fn w26_an_opening_in_the_pool_is_replaced_by_its_abort() {
    let (world, alice, bob) = scene();
    let assembly = propose(&world, &usual(&world, &alice, &bob), [&alice, &bob]);
    let witnesses = witnesses(&world, &assembly, &[&alice, &bob]);
    let own = checked(&world, &assembly, 0).unwrap();
    let shared = own.complete(&world.deployment, &witnesses, &[None, None]).unwrap();
    world.chain.send_transaction(&shared.tx).unwrap();
    let floor = world.chain.transaction(&shared.tx.hash()).unwrap().replace_fee_min.unwrap();
    assert!(floor > shared.fee().unwrap());

    let cells = own_inputs(&world, &assembly, 0);
    let lock = &alice.wallet.locks()[0];
    let low = abort_open(&world.deployment, lock, &cells, &Fee::rate(RATE)).unwrap();
    let refused = world.chain.send_transaction(&finished(&alice, &low.spent)).unwrap_err();
    assert!(matches!(refused, RpcError::Rbf { .. } | RpcError::Dead { .. }), "{refused}");
    let fee = Fee { replaces: Some(shared.fee().unwrap()), ..Fee::rate(RATE) };
    let abort = abort_open(&world.deployment, lock, &cells, &fee).unwrap();
    world.commit(&finished(&alice, &abort.spent));
    let status = world.chain.transaction(&shared.tx.hash()).unwrap().status;
    assert!(!matches!(status, TransactionStatus::Committed { .. }), "{status:?}");
}

fn ending(world: &World, opened: &OpenedChannel, state: &State) -> Ending {
    Ending {
        contract: opened.contract.clone(),
        live: world.live(&opened.contract),
        state: state.clone(),
        parties: vec![0, 1],
    }
}

fn consented(world: &World, assembly: &Assembly, people: [&Person; 2]) -> TransactionView {
    let witnesses = witnesses(world, assembly, &people);
    let own = checked(world, assembly, 0).unwrap();
    let digest = own.consent_digest(&world.deployment);
    let alone = [Some(people[0].session_signature(&digest)), None];
    assert_eq!(
        own.complete(&world.deployment, &witnesses, &alone).map(|_| ()),
        Err(Error::Consent)
    );
    let consents = people.map(|person| Some(person.session_signature(&digest)));
    let completed =
        own.dry_run(&*world.chain, &world.deployment, &witnesses, &consents, RATE).unwrap();
    println!("together: {} bytes, {} cycles", completed.spent.size(), completed.cycles);
    completed.spent.tx
}

#[test]
fn a_channel_closes_by_consent_with_the_fee_from_the_balances() {
    let (world, alice, bob) = scene();
    let before = [world.holdings(&alice.lock()), world.holdings(&bob.lock())];
    let assets = [&world.coin, &world.token];
    let opened = open(&world, &assets, &[[500 * COINS, 20 * COINS], [1_000, 50]], [&alice, &bob]);
    let paid = opened.state.outcome().transfer(0, 1, 0, Amount::new(5)).unwrap();
    let paid = paid.transfer(1, 0, 1, Amount::new(50)).unwrap();
    let state = opened.state.successor(paid).unwrap();
    let middle = [world.holdings(&alice.lock()), world.holdings(&bob.lock())];
    let terms = Terms { channels: Vec::new(), ends: vec![ending(&world, &opened, &state)] };
    let assembly = propose(&world, &terms, [&alice, &bob]);
    assert!(assembly.contributions().iter().all(|it| it.inputs.is_empty()));
    let fees: Vec<u64> = assembly.contributions().iter().map(|it| it.fee).collect();
    world.commit(&consented(&world, &assembly, [&alice, &bob]));
    assert!(world.is_gone(&opened.contract));
    let after = [world.holdings(&alice.lock()), world.holdings(&bob.lock())];
    let reserve = opened.contract.setup().identities()[0].reserve;
    assert_eq!(after[0].0 - middle[0].0, 500 * CKB - 5 + reserve - fees[0]);
    assert_eq!(after[1].0 - middle[1].0, 20 * CKB + 5 + reserve - fees[1]);
    assert_eq!((after[0].1 - before[0].1, before[1].1 - after[1].1), (50, 50));
}

#[test]
fn w20_a_channel_is_replaced_by_a_successor_with_other_balances() {
    let (world, alice, bob) = scene();
    let assets = [&world.coin, &world.token];
    let opened = open(&world, &assets, &[[500 * COINS, 20 * COINS], [1_000, 50]], [&alice, &bob]);
    let before = [world.holdings(&alice.lock()), world.holdings(&bob.lock())];
    // Alice takes 200 CKB out, Bob adds 700 CKB and 10 units.
    let mut terms = terms(&assets, &[[300 * COINS, 720 * COINS], [1_000, 60]], [&alice, &bob]);
    terms.ends.push(ending(&world, &opened, &opened.state));
    let assembly = propose(&world, &terms, [&alice, &bob]);
    let fees: Vec<u64> = assembly.contributions().iter().map(|it| it.fee).collect();
    world.commit(&consented(&world, &assembly, [&alice, &bob]));
    assert!(world.is_gone(&opened.contract));
    let successor = &assembly.channels()[0];
    assert_ne!(successor.contract.id(), opened.contract.id());
    let after = [world.holdings(&alice.lock()), world.holdings(&bob.lock())];
    assert_eq!(after[0].0, before[0].0 + 200 * CKB - fees[0]);
    assert_eq!(after[1].0, before[1].0 - 700 * CKB - fees[1]);
    assert_eq!(before[1].1 - after[1].1, 10);
    // And it can be left like any other.
    let last = successor.state.successor(successor.state.outcome().clone()).unwrap().finalized();
    let close = signed(&successor.contract, last, &[&alice, &bob]);
    world.act(&bob, &successor.contract, Step::CloseFinal { signed: close, unpaid: 0 }).unwrap();
}

#[test]
fn an_end_whose_cells_are_not_the_channels_is_refused() {
    let (world, alice, bob) = scene();
    let opened = open(&world, &[&world.coin], &[[500 * COINS, 0]], [&alice, &bob]);
    let other = open(&world, &[&world.coin], &[[400 * COINS, 0]], [&alice, &bob]);
    let mut end = ending(&world, &opened, &opened.state);
    end.live = world.live(&other.contract);
    let terms = Terms { channels: Vec::new(), ends: vec![end] };
    let assembly = propose(&world, &terms, [&alice, &bob]);
    let refused = checked(&world, &assembly, 0).map(|_| ());
    assert_eq!(refused, Err(Error::WrongCells(opened.contract.id())));
}

#[test]
fn a_hub_opens_many_channels_in_one_transaction_and_signs_once() {
    let world = World::new();
    let people: Vec<Person> = (1..=5).map(|number| world.person(number)).collect();
    let mut all = Terms { channels: Vec::new(), ends: Vec::new() };
    for user in 1..people.len() {
        let pair = [&people[0], &people[user]];
        let mut one =
            terms(&[&world.coin, &world.token], &[[100 * COINS, 50 * COINS], [5, 7]], pair);
        let mut channel = one.channels.remove(0);
        channel.parties[1] = Party { contribution: user, address: people[user].address() };
        all.channels.push(channel);
    }
    let payouts: Vec<Script> = people.iter().take(2).map(|it| it.payout.clone()).collect();
    let reserve =
        default_reserves(&world.deployment, &all.channels[0].assets, &payouts).unwrap()[0];
    let contributions: Vec<_> = (0..people.len())
        .map(|seat| {
            let joined = if seat == 0 { people.len() - 1 } else { 1 };
            people[seat].contribute(&world, &all, seat, vec![reserve; joined]).unwrap()
        })
        .collect();
    let assembly = assemble(&world.deployment, all, contributions).unwrap();
    let everyone: Vec<&Person> = people.iter().collect();
    let witnesses = witnesses(&world, &assembly, &everyone);
    assert!(witnesses.iter().all(|of_one| of_one.len() == 1));
    let own = checked(&world, &assembly, 0).unwrap();
    let done = own.dry_run(&*world.chain, &world.deployment, &witnesses, &[None; 5], RATE).unwrap();
    println!("4 opens: {} bytes, {} cycles", done.spent.size(), done.cycles);
    world.commit(&done.spent.tx);
    for channel in assembly.channels() {
        assert_eq!(world.live(&channel.contract).vaults().len(), 1);
    }
    // The hub's one signature closes two of them; its second consent is the first one, shared.
    let ends = (0..2).map(|index| Ending {
        contract: assembly.channels()[index].contract.clone(),
        live: world.live(&assembly.channels()[index].contract),
        state: assembly.channels()[index].state.clone(),
        parties: vec![0, index + 1],
    });
    let terms = Terms { channels: Vec::new(), ends: ends.collect() };
    let closers = &people[..3];
    let contributions = closers
        .iter()
        .enumerate()
        .map(|(seat, person)| person.contribute(&world, &terms, seat, Vec::new()).unwrap())
        .collect();
    let assembly = assemble(&world.deployment, terms, contributions).unwrap();
    let own = checked(&world, &assembly, 0).unwrap();
    let digest = own.consent_digest(&world.deployment);
    let consents: Vec<_> =
        closers.iter().map(|person| Some(person.session_signature(&digest))).collect();
    let none = vec![Vec::new(); 3];
    let done = own.dry_run(&*world.chain, &world.deployment, &none, &consents, RATE).unwrap();
    println!("2 closes by consent: {} bytes, {} cycles", done.spent.size(), done.cycles);
    world.commit(&done.spent.tx);
}
