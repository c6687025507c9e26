//! Payments: one update for many, one proposer at a time, and only ever towards the receiver.

use std::cell::Cell;

use perun_channel::sig::SignatureRefusal;
use perun_channel::{Address, Allocation, Amount, Asset, Signature, State, Version};
use perun_protocol::limits::{MAX_BATCH, MAX_QUEUE};
use perun_protocol::{
    Batch, Body, Command, Config, Crypto, Declined, Digest, Effect, Ethereum, Event, FailureReason,
    Handover, Input, Machine, Message, Misuse, Payment, PaymentId, PhaseName, Record, Refusal,
    RejectReason, Time,
};

use crate::keys::Keys;
use crate::net::Net;
use crate::pair::Pair;

fn misuse(pair: &mut Pair, payment: Payment) -> Option<Misuse> {
    match pair.feed(0, Input::Command(Command::Pay(payment))) {
        Err(Declined::Misuse(misuse)) => Some(misuse),
        _ => None,
    }
}

/// What node 0 would say to propose this state.
fn update(pair: &Pair, state: State, payments: &[Payment]) -> Body<Signature> {
    let digest = Ethereum.digest(&state);
    Body::Update {
        state,
        payments: payments.iter().cloned().collect(),
        after: Handover::Keep {},
        signature: pair.nodes[0].signer.sign(&digest),
    }
}

/// The state after node `from` paid, at the version after the current one.
fn paid(pair: &Pair, from: usize, amount: u128) -> State {
    let state = &pair.nodes[0].machine.agreed().unwrap().state;
    let outcome = state.outcome().transfer(from, 1 - from, 0, Amount::new(amount)).unwrap();
    state.successor(outcome).unwrap()
}

/// Node 1's answer to a forged update.
fn answer(pair: &mut Pair, body: Body<Signature>) -> Option<RejectReason> {
    let before = pair.nodes[1].effects.len();
    pair.forge(0, body).unwrap();
    pair.nodes[1].effects[before..].iter().find_map(|effect| match effect {
        Effect::Send(draft) => match &draft.body {
            Body::Reject { reason, .. } => Some(reason.clone()),
            _ => None,
        },
        _ => None,
    })
}

#[test]
fn a_payment_moves_money_on_both_sides_in_one_exchange() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle();
    assert_eq!([pair.balances(0), pair.balances(1)], [[3, 7]; 2]);
    assert_eq!(pair.updates, 1);
    assert!(pair.saw(0, |event| *event == Event::PaymentSent(PaymentId::new(1))));
    assert_eq!(pair.received(1).len(), 1);
    assert_eq!(
        pair.nodes[0].machine.agreed().unwrap().state,
        pair.nodes[1].machine.agreed().unwrap().state
    );
}

#[test]
fn the_one_without_the_turn_asks_for_it_and_pays() {
    let mut pair = Pair::open(5, 5);
    pair.pay(1, 3).settle();
    assert_eq!(pair.balances(0), [8, 2]);
    pair.pay(0, 1).settle();
    assert_eq!(pair.balances(1), [7, 3]);
}

#[test]
fn a_channel_works_with_real_keys() {
    let mut pair = Pair::with(Keys::Real, [Config::default(); 2]);
    pair.propose(5, 5).settle();
    pair.pay(0, 2).settle().pay(1, 4).settle();
    assert_eq!([pair.balances(0), pair.balances(1)], [[7, 3]; 2]);
}

#[test]
fn a_thousand_payments_of_each_side_at_once_all_arrive_in_few_updates() {
    let mut pair = Pair::open(1_000, 1_000);
    for _ in 0..1_000 {
        pair.pay(0, 1).pay(1, 1);
    }
    pair.settle();
    assert_eq!([pair.balances(0), pair.balances(1)], [[1_000, 1_000]; 2]);
    assert_eq!([pair.received(0).len(), pair.received(1).len()], [1_000; 2]);
    assert_eq!([pair.sent(0).len(), pair.sent(1).len()], [1_000; 2]);
    assert!(pair.updates <= 6, "{} updates for 2000 payments", pair.updates);
    let refusals: Vec<_> = pair.nodes.iter().flat_map(|node| &node.refusals).collect();
    assert!(refusals.is_empty(), "no collisions: {refusals:?}");
}

#[test]
fn an_update_takes_up_at_most_the_largest_batch() {
    let mut pair = Pair::open(10_000, 0);
    let count = 3 * MAX_BATCH;
    for _ in 0..count {
        pair.pay(0, 1);
    }
    pair.settle();
    assert_eq!(pair.received(1).len(), count);
    assert_eq!(pair.updates, 4, "the first one alone, then full batches and the rest");
}

#[test]
fn the_turn_alternates_when_both_want_it() {
    let mut pair = Pair::open(100, 100);
    // Both keep their queues filled: every message that arrives is followed by two more payments.
    let mut proposers = Vec::new();
    for _ in 0..10 {
        pair.pay(0, 1).pay(1, 1);
        for _ in 0..4 {
            let Some((place, bytes)) = pair.net.next() else { break };
            let message = <Message as perun_channel::codec::Decode>::from_bytes(&bytes).unwrap();
            if matches!(message.body, Body::Update { .. }) {
                proposers.push(1 - place);
            }
            pair.pay(0, 1).pay(1, 1);
            pair.feed(place, Input::Message(message)).unwrap();
        }
    }
    assert!(proposers.len() >= 8, "{proposers:?}");
    let alternating = proposers[2..].windows(2).all(|two| two[0] != two[1]);
    assert!(alternating, "{proposers:?}");
}

#[test]
fn a_payment_that_cannot_be_made_says_what_could() {
    let mut pair = Pair::open(5, 5);
    let good = pair.payment(0, 3);
    let with = |change: fn(&mut Payment)| {
        let mut payment = good.clone();
        change(&mut payment);
        payment
    };
    let (needed, available) = (Amount::new(6), Amount::new(5));
    let insufficient = Misuse::Insufficient { asset: 0, needed, available };
    assert_eq!(
        misuse(&mut pair, with(|payment| payment.amount = Amount::new(6))),
        Some(insufficient)
    );
    assert!(insufficient.to_string().contains("pay at most 5"));
    let unknown = Misuse::UnknownAsset { asset: 1, assets: 1 };
    assert_eq!(misuse(&mut pair, with(|payment| payment.asset = 1)), Some(unknown));
    assert!(unknown.to_string().contains("the channel has 1"));
    let nothing = with(|payment| payment.amount = Amount::ZERO);
    assert_eq!(misuse(&mut pair, nothing), Some(Misuse::NothingToPay));
    pair.pay(0, 3);
    let again = Misuse::PaymentId { at_least: PaymentId::new(2) };
    assert_eq!(misuse(&mut pair, with(|payment| payment.amount = Amount::new(1))), Some(again));
    assert!(again.to_string().contains("use 2 or higher"));
}

#[test]
fn money_that_waits_or_flies_cannot_be_spent_again() {
    let mut pair = Pair::open(10, 0);
    pair.pay(0, 4).pay(0, 3);
    assert_eq!(pair.phases()[0], PhaseName::Updating);
    let payment = pair.payment(0, 4);
    let (needed, available) = (Amount::new(4), Amount::new(3));
    let misuse = misuse(&mut pair, payment);
    assert_eq!(misuse, Some(Misuse::Insufficient { asset: 0, needed, available }));
    pair.pay(0, 3).settle();
    assert_eq!(pair.balances(1), [0, 10]);
}

#[test]
fn the_queue_has_an_end() {
    let mut pair = Pair::open(1_000_000, 0);
    pair.pay(0, 1);
    let mut machine: Machine = pair.nodes[0].machine.clone();
    let mut pay = |id: u64| {
        let (asset, amount, memo) = (0, Amount::new(1), Default::default());
        let payment = Payment { id: PaymentId::new(id), asset, amount, memo };
        let step = machine.step(Time::new(0), Input::Command(Command::Pay(payment)))?;
        step.records.iter().for_each(|record| machine.apply(record));
        Ok::<_, Declined>(())
    };
    for id in 0..u64::try_from(MAX_QUEUE).unwrap() {
        pay(id + 2).unwrap();
    }
    assert_eq!(pay(1 << 32), Err(Declined::Misuse(Misuse::QueueFull)));
}

#[test]
fn nobody_can_pull() {
    let mut pair = Pair::open(5, 5);
    let (stolen, payment) = (paid(&pair, 1, 2), pair.payment(0, 2));
    let body = update(&pair, stolen, &[payment]);
    assert_eq!(answer(&mut pair, body), Some(RejectReason::State {}));
    assert_eq!(pair.balances(1), [5, 5]);
}

#[test]
fn only_the_one_expected_state_is_signed() {
    let other_data = |state: &State| {
        let (version, outcome) = (state.version(), state.outcome().clone());
        State::new(*state.id(), version, outcome, vec![1], false).unwrap()
    };
    let mut pair = Pair::open(5, 5);
    let (state, payment) = (paid(&pair, 0, 2), pair.payment(0, 2));
    let body = update(&pair, other_data(&state), &[payment]);
    assert_eq!(answer(&mut pair, body), Some(RejectReason::State {}));
}

#[test]
fn a_final_state_carries_no_payment_and_another_one_at_least_one() {
    for (is_final, payments) in [(true, 1), (false, 0)] {
        let mut pair = Pair::open(5, 5);
        let payments = vec![pair.payment(0, 2); payments];
        let state = paid(&pair, 0, 2);
        let state = if is_final { state.finalized() } else { state };
        let body = update(&pair, state, &payments);
        assert_eq!(answer(&mut pair, body), Some(RejectReason::Payments {}));
    }
}

#[test]
fn payments_are_numbered_upwards_and_are_not_nothing() {
    for spoil in [
        |payment: &mut Payment| payment.id = PaymentId::new(0),
        |payment: &mut Payment| payment.amount = Amount::ZERO,
        |payment: &mut Payment| payment.asset = 9,
        |payment: &mut Payment| payment.amount = Amount::new(6),
        |payment: &mut Payment| payment.amount = Amount::new(u128::MAX),
    ] {
        let mut pair = Pair::open(5, 5);
        let mut payment = pair.payment(0, 2);
        spoil(&mut payment);
        let body = update(&pair, paid(&pair, 0, 2), &[payment]);
        assert_eq!(answer(&mut pair, body), Some(RejectReason::Payments {}));
    }
}

#[test]
fn a_payment_is_not_delivered_twice_under_a_new_version() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle();
    let old = pair.received(1).into_values().next().unwrap();
    let body = update(&pair, paid(&pair, 0, 2), &[old]);
    assert_eq!(answer(&mut pair, body), Some(RejectReason::Payments {}));
}

#[test]
fn a_signature_of_somebody_else_is_no_signature() {
    let mut pair = Pair::open(5, 5);
    let (state, payment) = (paid(&pair, 0, 2), pair.payment(0, 2));
    let digest = Ethereum.digest(&state);
    let body = Body::Update {
        state,
        payments: [payment].into_iter().collect(),
        after: Handover::Keep {},
        signature: pair.nodes[1].signer.sign(&digest),
    };
    assert_eq!(answer(&mut pair, body), Some(RejectReason::Signature {}));
}

#[test]
fn an_acknowledgement_counts_only_with_the_peers_signature_on_this_state() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2);
    let digest = Ethereum.digest(&paid(&pair, 0, 1));
    let signature = pair.nodes[1].signer.sign(&digest);
    let ack = Body::Ack { version: Version::new(1), wants_turn: false, signature };
    let refused = pair.forge(1, ack);
    let wrong = Refusal::Signature(SignatureRefusal::WrongSigner);
    assert_eq!(refused, Err(Declined::Refusal(wrong)));
    assert!(pair.sent(0).is_empty());
    pair.settle();
    assert_eq!(pair.sent(0).len(), 1, "the right one still counts");
}

#[test]
fn a_refused_version_is_burnt_on_both_sides() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2);
    let reject = Body::Reject { version: Version::new(1), reason: RejectReason::User {} };
    pair.forge(1, reject).unwrap();
    let (id, why) = (PaymentId::new(1), FailureReason::Refused);
    assert!(pair.saw(0, |event| *event == Event::PaymentFailed { id, why }));
    // Node 0 never uses version 1 again, so nobody ever sees its key under two contents.
    pair.net.drop_all();
    pair.pay(0, 3);
    let next = pair.nodes[0].effects.iter().rev().find_map(|effect| match effect {
        Effect::Send(draft) => match &draft.body {
            Body::Update { state, .. } => Some(state.version()),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(next, Some(Version::new(2)));
}

#[test]
fn after_a_refusal_both_go_on_with_the_same_version() {
    let mut pair = Pair::open(5, 5);
    let body = update(&pair, paid(&pair, 1, 2), &[]);
    assert!(answer(&mut pair, body).is_some());
    pair.net.drop_all();
    // Node 0's machine never proposed that; it learns of the burnt version from where the peer
    // stands.
    pair.reconnect();
    pair.pay(0, 2).settle();
    assert_eq!([pair.version(0), pair.version(1)], [2, 2]);
    assert_eq!(pair.balances(1), [3, 7]);
}

#[test]
fn an_update_that_comes_again_gets_the_same_answer() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle();
    let log = pair.net.log.clone();
    let (acks, updates): (Vec<_>, Vec<_>) = log
        .iter()
        .map(|(to, bytes)| {
            (*to, <Message as perun_channel::codec::Decode>::from_bytes(bytes).unwrap())
        })
        .filter(|(_, message)| matches!(message.body, Body::Update { .. } | Body::Ack { .. }))
        .partition(|(to, _)| *to == 0);
    pair.feed(1, Input::Message(updates[0].1.clone())).unwrap();
    let again = pair.net.next().unwrap();
    assert_eq!(<Message as perun_channel::codec::Decode>::from_bytes(&again.1).unwrap(), acks[0].1);
    assert_eq!(pair.received(1).len(), 1);
}

#[test]
fn who_has_not_the_turn_cannot_propose() {
    let mut pair = Pair::open(5, 5);
    pair.pay(1, 1).settle();
    let (state, payment) = (paid(&pair, 0, 2), pair.payment(0, 2));
    let body = update(&pair, state, &[payment]);
    let refused = pair.forge(0, body);
    assert_eq!(refused, Err(Declined::Refusal(Refusal::NotTheirTurn)));
}

#[test]
fn an_update_of_another_channel_is_refused() {
    let mut other = Pair::new();
    let mut terms = other.terms(5, 5);
    terms.challenge_secs += 1;
    other.user(0, Command::Propose { terms, contributions: crate::pair::parts(0) }).settle();
    let mut pair = Pair::open(5, 5);
    let body = update(&other, paid(&other, 0, 2), &[pair.payment(0, 2)]);
    let refused = pair.forge(0, body);
    assert_eq!(refused, Err(Declined::Refusal(Refusal::OtherChannel)));
}

#[test]
fn old_messages_of_the_same_channel_change_nothing() {
    let mut pair = Pair::open(50, 50);
    for _ in 0..3 {
        pair.pay(0, 2).settle().pay(1, 1).settle();
    }
    let machines = [pair.nodes[0].machine.clone(), pair.nodes[1].machine.clone()];
    for (to, bytes) in pair.net.log.clone() {
        let message = <Message as perun_channel::codec::Decode>::from_bytes(&bytes).unwrap();
        let _ = pair.feed(to, Input::Message(message));
        pair.settle();
    }
    assert!(pair.nodes[0].machine == machines[0] && pair.nodes[1].machine == machines[1]);
    assert_eq!(pair.received(1).len(), 3);
}

#[test]
fn a_bad_network_loses_no_payment_and_doubles_none() {
    for seed in 0..60 {
        let mut pair = Pair::open(1_000, 1_000);
        pair.net = Net::bad(seed, 25, 25, 25);
        for round in 0..10 {
            pair.pay(0, 3).pay(1, 2).pay(round % 2, 5).settle();
            pair.reconnect();
        }
        for _ in 0..60 {
            pair.reconnect();
        }
        assert_eq!([pair.received(0).len(), pair.received(1).len()], [15, 15], "seed {seed}");
        assert_eq!([pair.balances(0), pair.balances(1)], [[990, 1_010]; 2], "seed {seed}");
    }
}

#[test]
fn payments_that_wait_for_the_turn_in_vain_fail_and_were_never_signed() {
    let mut pair = Pair::open(5, 5);
    pair.nodes[0].is_silent = true;
    pair.pay(1, 2).settle();
    pair.wait();
    let (id, why) = (PaymentId::new(1), FailureReason::Waited);
    assert!(pair.saw(1, |event| *event == Event::PaymentFailed { id, why }));
    assert_eq!(pair.phases()[1], PhaseName::Open);
    assert_eq!(pair.nodes[1].machine.queued(), 0);
}

#[test]
fn nobody_proposes_before_the_peer_sees_the_channel() {
    let mut pair = Pair::new();
    pair.propose(5, 5);
    while pair.phases()[0] != PhaseName::Open {
        let (place, bytes) = pair.net.next().unwrap_or_else(|| panic!("stuck"));
        let message = <Message as perun_channel::codec::Decode>::from_bytes(&bytes).unwrap();
        pair.feed(place, Input::Message(message)).unwrap();
        pair.settle_without_net();
    }
    pair.net.drop_all();
    pair.pay(0, 2);
    assert_eq!(pair.updates, 0);
    pair.reconnect();
    assert_eq!(pair.balances(1), [3, 7]);
}

/// Counts what cryptography costs.
#[derive(Default)]
struct Counting {
    digests: Cell<usize>,
    checks: Cell<usize>,
}

impl Crypto for Counting {
    fn digest(&self, state: &State) -> Digest {
        self.digests.set(self.digests.get() + 1);
        Ethereum.digest(state)
    }

    fn verify(
        &self,
        digest: &Digest,
        signature: &Signature,
        address: &Address,
    ) -> Result<(), SignatureRefusal> {
        self.checks.set(self.checks.get() + 1);
        Keys::Symbolic.verify(digest, signature, address)
    }
}

#[test]
fn an_update_costs_one_digest_one_check_and_one_signature_on_each_side() {
    let mut pair = Pair::open(500, 500);
    pair.pay(0, 1).settle();
    let (counting, mut signatures) = (Counting::default(), 0);
    let mut waiting = vec![(0, Input::Command(Command::Pay(pair.payment(0, 1))))];
    while let Some((place, input)) = waiting.pop() {
        let node = &mut pair.nodes[place];
        let step = node.machine.step_with(&counting, pair.now, input).unwrap();
        step.records.iter().for_each(|record: &Record| node.machine.apply(record));
        for effect in step.effects {
            if let Effect::Send(draft) = effect {
                let message = draft.sign(|digest| {
                    signatures += 1;
                    node.signer.sign(digest)
                });
                waiting.push((1 - place, Input::Message(message)));
            }
        }
    }
    assert_eq!(pair.version(1), 2);
    assert_eq!((counting.digests.get(), counting.checks.get(), signatures), (2, 2, 2));
}

#[test]
fn a_batch_is_cut_where_an_update_is_full() {
    let payment = Pair::open(5, 5).payment(0, 1);
    let batch: Batch = std::iter::repeat_n(payment, MAX_BATCH + 1).collect();
    assert_eq!(batch.len(), MAX_BATCH);
}

#[test]
fn the_assets_and_their_columns_are_the_same_in_every_update() {
    let (ckb, other) = (Asset::ckb(1), Asset::ckb(2));
    let amounts = |row: &[u128]| row.iter().copied().map(Amount::new).collect::<Vec<_>>();
    for (assets, rows) in [
        (vec![other.clone()], vec![amounts(&[3, 7])]),
        (vec![ckb.clone()], vec![amounts(&[3, 7, 0])]),
        (vec![ckb, other], vec![amounts(&[3, 7]), amounts(&[0, 0])]),
    ] {
        let mut pair = Pair::open(5, 5);
        let Ok(outcome) = Allocation::new(assets, rows, vec![]) else { panic!("well formed") };
        let state = pair.nodes[0].machine.agreed().unwrap().state.successor(outcome).unwrap();
        let body = update(&pair, state, &[pair.payment(0, 2)]);
        assert_eq!(answer(&mut pair, body), Some(RejectReason::State {}));
        assert_eq!(pair.balances(1), [5, 5]);
    }
}
