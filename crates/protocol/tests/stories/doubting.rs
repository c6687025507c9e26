//! What is claimed, early, foreign or not yet certain: nothing of it counts.

use perun_channel::sig::SignatureRefusal;
use perun_channel::{
    Address, Allocation, Amount, BackendId, ChannelId, LedgerId, Params, Signature, State,
    SubAlloc, Version,
};
use perun_protocol::{
    Assembly, Body, Command, DeclineReason, Declined, Digest, Effect, Ending, Event, Funding,
    Handover, Input, LedgerTime, Misuse, PerLedger, PhaseName, Place, Proof, Record, Refusal,
    Reply, Sighting, Standing, Transaction, Turn,
};

use crate::ledger::JOINT;
use crate::pair::{Pair, parts};
use crate::resizing::{deposit, resize};

fn declined(refusal: Refusal) -> Result<(), Declined> {
    Err(Declined::Refusal(refusal))
}

const WRONG: Refusal = Refusal::Signature(SignatureRefusal::WrongSigner);

/// A state after the newest one in which node 0 has paid, with this version.
fn paid(pair: &Pair, amount: u128, version: u64) -> State {
    let state = &pair.nodes[0].machine.agreed().unwrap().state;
    let outcome = state.outcome().transfer(0, 1, 0, Amount::new(amount)).unwrap();
    state.at_version(Version::new(version), outcome)
}

fn signed(pair: &Pair, place: usize, state: &State) -> Signature {
    pair.nodes[place].signer.sign(&Digest::new(state.digest()))
}

fn update(pair: &Pair, state: State) -> Body<Signature> {
    let payments = [pair.payment(0, 1)].into_iter().collect();
    let signature = signed(pair, 0, &state);
    Body::Update { state, payments, after: Handover::Keep {}, signature }
}

fn sync(state: State, mine: Signature, yours: Signature) -> Body<Signature> {
    let next_version = state.version();
    Body::Sync { state, next_version, proof: Some(Proof { mine, yours }) }
}

#[test]
fn a_version_beyond_the_next_one_is_not_signed() {
    let mut pair = Pair::open(5, 5);
    for version in [2, 9, u64::MAX] {
        let body = update(&pair, paid(&pair, 1, version));
        assert_eq!(pair.forge(0, body), declined(Refusal::Unproven));
    }
}

#[test]
fn another_state_with_an_agreed_version_is_not_acknowledged() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle();
    let fork = paid(&pair, 1, 1);
    let body = update(&pair, fork.clone());
    assert_eq!(pair.forge(0, body), declined(Refusal::Fork));
    let (mine, yours) = (signed(&pair, 0, &fork), signed(&pair, 1, &fork));
    assert_eq!(pair.forge(0, sync(fork, mine, yours)), declined(Refusal::Fork));
}

#[test]
fn the_last_version_is_never_used() {
    let mut pair = Pair::open(5, 5);
    let next = Version::new(u64::MAX);
    pair.nodes[0].machine.apply(&Record::VersionsSkipped { next });
    let payment = pair.payment(0, 1);
    let misuse = pair.feed(0, Input::Command(Command::Pay(payment)));
    assert_eq!(misuse, Err(Declined::Misuse(Misuse::VersionsUsedUp)));
    pair.nodes[1].machine.apply(&Record::VersionsSkipped { next });
    let body = update(&pair, paid(&pair, 1, u64::MAX));
    assert_eq!(pair.forge(0, body), declined(Refusal::Unproven));
}

#[test]
fn a_turn_that_comes_again_is_no_news() {
    let mut pair = Pair::open(5, 5);
    pair.pay(1, 1).settle();
    let again = Body::YieldTurn { turn: Turn::new(1), wants_back: false };
    assert_eq!(pair.forge(0, again), Ok(()));
    let leap = Body::YieldTurn { turn: Turn::new(5), wants_back: false };
    assert_eq!(pair.forge(0, leap), declined(Refusal::Unproven));
}

#[test]
fn a_lost_request_for_the_turn_is_repeated_when_the_peer_shows_up() {
    let mut pair = Pair::open(5, 5);
    pair.pay(1, 1);
    pair.net.drop_all();
    pair.feed(0, Input::Connected).unwrap();
    pair.settle();
    assert_eq!(pair.balances(0), [6, 4]);
}

#[test]
fn only_the_peers_signature_completes_our_update_whatever_brings_it() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2);
    let state = paid(&pair, 2, 1);
    let own = signed(&pair, 0, &state);
    assert_eq!(pair.forge(1, sync(state.clone(), own, own)), declined(WRONG));
    pair.user(0, Command::Dispute);
    let ack = |signature| Body::Ack { version: Version::new(1), wants_turn: false, signature };
    assert_eq!(pair.forge(1, ack(own)), declined(WRONG));
    assert_eq!(pair.version(0), 0);
    let theirs = signed(&pair, 1, &state);
    assert_eq!(pair.forge(1, ack(theirs)), Ok(()));
    assert_eq!(pair.version(0), 1);
}

#[test]
fn a_proof_of_rollback_needs_both_signatures() {
    let mut pair = Pair::open(5, 5);
    let newer = paid(&pair, 1, 4);
    let (mine, yours) = (signed(&pair, 0, &newer), signed(&pair, 1, &newer));
    assert_eq!(pair.forge(0, sync(newer.clone(), yours, yours)), declined(WRONG));
    assert_eq!(pair.forge(0, sync(newer.clone(), mine, mine)), declined(Refusal::Unproven));
    assert_eq!(pair.phases()[1], PhaseName::Open);
    assert_eq!(pair.forge(0, sync(newer, mine, yours)), Ok(()));
    assert_eq!(pair.phases()[1], PhaseName::Frozen);
}

/// Both have released, and nothing has committed.
fn released() -> (Pair, ChannelId) {
    let mut pair = Pair::new();
    pair.ledger.is_deaf = true;
    pair.propose(5, 5).settle();
    let channel = *pair.ledger.channels.keys().next().unwrap();
    (pair, channel)
}

#[test]
fn what_is_not_confirmed_or_not_ours_opens_and_ends_nothing() {
    let (mut pair, channel) = released();
    let other = ChannelId::new([4; 32]);
    for (channel, standing, confirmed) in [
        (channel, Standing::Impossible, false),
        (channel, Standing::Open, false),
        (other, Standing::Impossible, true),
        (other, Standing::Open, true),
    ] {
        pair.feed(0, Input::Ledger(Sighting { ledger: JOINT, channel, standing, confirmed }))
            .unwrap();
        assert_eq!(pair.phases()[0], PhaseName::Released);
    }
}

#[test]
fn an_unconfirmed_resize_changes_nothing() {
    let mut pair = Pair::open(5, 5);
    let old = pair.nodes[0].machine.id().unwrap();
    pair.ledger.is_deaf = true;
    pair.user(0, resize(deposit(1), deposit(1))).settle();
    let channel = *pair.ledger.channels.keys().find(|id| **id != old).unwrap();
    for standing in [Standing::Open, Standing::Impossible] {
        pair.feed(
            0,
            Input::Ledger(Sighting { ledger: JOINT, channel, standing, confirmed: false }),
        )
        .unwrap();
        assert_eq!(pair.phases()[0], PhaseName::ResizeReleased);
    }
}

#[test]
fn terms_are_for_two_and_lock_nothing() {
    let mut pair = Pair::new();
    let good = pair.terms(5, 5);
    let assets = good.outcome.assets().to_vec();
    let three = vec![vec![Amount::new(1); 3]];
    let locked = SubAlloc::new(ChannelId::new([1; 32]), vec![Amount::new(1)], vec![]);
    let rows = good.outcome.balances().to_vec();
    for outcome in [
        Allocation::new(assets.clone(), three, vec![]).unwrap(),
        Allocation::new(assets, rows, vec![locked]).unwrap(),
    ] {
        let terms = perun_protocol::Terms { outcome, ..good.clone() };
        let propose = Command::Propose { terms, contributions: parts(0) };
        let misuse = pair.feed(0, Input::Command(propose));
        assert_eq!(misuse, Err(Declined::Misuse(Misuse::Terms)));
    }
}

#[test]
fn an_assembly_must_be_the_agreed_one_in_every_part() {
    type Spoil = fn(&Pair, &mut Assembly);
    fn with(assembly: &mut Assembly, params: Params) {
        assembly.initial = State::initial(params.id(), assembly.initial.outcome().clone());
        assembly.joint.as_mut().unwrap().channel = params.id();
        assembly.params = params;
    }
    fn joint(assembly: &mut Assembly) -> &mut Transaction {
        assembly.joint.as_mut().unwrap()
    }
    fn place(assembly: &Assembly) -> Place {
        assembly.places.get(0).unwrap().clone()
    }
    const OTHER: LedgerId = LedgerId::new(BackendId::CKB, 2);
    let spoils: [Spoil; 12] = [
        |pair, assembly| {
            let peers = assembly.params.participants().to_vec();
            with(
                assembly,
                Params::new(pair.terms(5, 5).challenge_secs + 1, [1; 32], peers).unwrap(),
            );
        },
        |_, assembly| {
            let mut peers = assembly.params.participants().to_vec();
            peers.reverse();
            let secs = assembly.params.challenge_secs();
            with(assembly, Params::new(secs, [1; 32], peers).unwrap());
        },
        |_, assembly| {
            let (secs, peers) =
                (assembly.params.challenge_secs(), assembly.params.participants().to_vec());
            let app = Address::new([5; 20]);
            with(assembly, Params::with_kind(secs, [1; 32], peers, app, true, false).unwrap());
        },
        |_, assembly| {
            let (secs, peers) =
                (assembly.params.challenge_secs(), assembly.params.participants().to_vec());
            let app = Address::ZERO;
            with(assembly, Params::with_kind(secs, [1; 32], peers, app, true, true).unwrap());
        },
        |_, assembly| {
            let (secs, peers) =
                (assembly.params.challenge_secs(), assembly.params.participants().to_vec());
            let app = Address::ZERO;
            with(assembly, Params::with_kind(secs, [1; 32], peers, app, false, false).unwrap());
        },
        |_, assembly| joint(assembly).consent = Some(Digest::new([1; 32])),
        |_, assembly| joint(assembly).ledger = OTHER,
        |_, assembly| joint(assembly).channel = ChannelId::new([1; 32]),
        |_, assembly| assembly.joint = None,
        |_, assembly| assembly.places = PerLedger::default(),
        |_, assembly| assembly.places = PerLedger::one(Place { ledger: OTHER, ..place(assembly) }),
        |_, assembly| {
            let funding = Funding::Deposit {};
            assembly.places = PerLedger::one(Place { funding, ..place(assembly) });
        },
    ];
    for spoil in spoils {
        let mut pair = Pair::new();
        pair.slow_backend = Some(0);
        pair.propose(5, 5).settle();
        let Reply::Assembled(mut assembly) = pair.held.pop().unwrap() else { panic!("built") };
        spoil(&pair, &mut assembly);
        pair.feed(0, Input::Backend(Reply::Assembled(assembly))).unwrap();
        let reason = DeclineReason::Assembly {};
        let ending = Ending::Declined { reason };
        assert!(pair.saw(0, |event| *event == Event::Ended(ending.clone())));
    }
}

#[test]
fn an_outcome_is_reported_once() {
    let mut pair = Pair::open(5, 5);
    pair.user(0, Command::Close).settle();
    let state = pair.nodes[1].machine.agreed().unwrap().state.clone();
    pair.show(Standing::Closed { state });
    let settled = pair.nodes[1].events.iter().filter(|e| matches!(e, Event::Settled { .. }));
    assert_eq!(settled.count(), 1);
}

#[test]
fn nothing_is_concluded_before_the_challenge_is_over() {
    let mut pair = Pair::open(5, 5);
    pair.user(0, Command::Dispute).settle();
    let early = LedgerTime::new(pair.ledger.now.get() + crate::pair::CHALLENGE - 1);
    pair.feed(0, Input::LedgerClock { ledger: JOINT, now: early }).unwrap();
    assert_eq!(pair.phases()[0], PhaseName::Registered);
    let now = LedgerTime::new(early.get() + 1);
    pair.feed(0, Input::LedgerClock { ledger: JOINT, now }).unwrap();
    assert_eq!(pair.phases()[0], PhaseName::Concluding);
}

#[test]
fn a_final_state_is_acknowledged_again_while_it_is_being_settled() {
    let mut pair = Pair::open(5, 5);
    pair.ledger.is_deaf = true;
    pair.user(0, Command::Close);
    let (place, bytes) = pair.net.next().unwrap();
    let message = <perun_protocol::Message as perun_channel::codec::Decode>::from_bytes(&bytes);
    pair.feed(place, Input::Message(message.unwrap())).unwrap();
    pair.net.drop_all();
    assert_eq!(pair.phases(), [PhaseName::Updating, PhaseName::Closing]);
    pair.reconnect();
    assert_eq!(pair.phases(), [PhaseName::Closing; 2]);
    assert_eq!(pair.submitted(0, |effect| matches!(effect, Effect::SubmitClose { .. })), 1);
}

#[test]
fn a_tick_before_the_deadline_does_nothing() {
    for story in [
        (|pair: &mut Pair| {
            pair.users_answer = false;
            pair.propose(5, 5).settle();
        }) as fn(&mut Pair),
        |pair| {
            pair.ledger.is_deaf = true;
            pair.propose(5, 5).settle();
        },
        |pair| {
            pair.propose(5, 5).settle().pay(0, 1);
        },
        |pair| {
            pair.propose(5, 5).settle().user(0, Command::Dispute).settle();
        },
    ] {
        let mut pair = Pair::new();
        story(&mut pair);
        let phases = pair.phases();
        for place in 0..2 {
            let before = pair.nodes[place].effects.len();
            pair.feed(place, Input::Tick).unwrap();
            assert_eq!(pair.nodes[place].effects.len(), before);
        }
        assert_eq!(pair.phases(), phases);
    }
}
