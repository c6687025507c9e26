//! A peer that runs go-perun: it may propose at any time, takes only the next version, and leaves
//! without an answer what it does not like. Here the test speaks for it.

use perun_channel::{Allocation, Amount, Signature, State, Version};
use perun_protocol::{
    Body, Command, Config, Crypto, Declined, Dialect, Digest, Effect, Event, FailureReason,
    Handover, Input, Misuse, OnSilence, PaymentId, PhaseName, Proof, Record, Refusal, RejectReason,
};

use crate::keys::Keys;
use crate::pair::{Pair, money, parts};
use crate::span::ether;

pub(crate) fn go_perun() -> Config {
    Config { dialect: Dialect::GoPerun, ..Config::default() }
}

pub(crate) fn terms_of(pair: &Pair, balances: [u128; 2]) -> perun_protocol::Terms {
    let row = balances.map(Amount::new).to_vec();
    pair.terms_of(Allocation::new(vec![ether()], vec![row], vec![]).unwrap())
}

/// An open channel of two nodes, each of which believes that the other one runs go-perun.
pub(crate) fn open_with(config: Config, balances: [u128; 2]) -> Pair {
    let mut pair = Pair::with(Keys::Symbolic, [config, config]);
    let terms = terms_of(&pair, balances);
    let contributions = terms.ledgers.map(|_| money(0));
    pair.user(0, Command::Propose { terms, contributions }).settle();
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
    pair
}

pub(crate) fn open(balances: [u128; 2]) -> Pair {
    open_with(go_perun(), balances)
}

/// The state after the newest one of node 0, with these balances.
pub(crate) fn next(pair: &Pair, balances: [u128; 2]) -> State {
    let state = &pair.nodes[0].machine.agreed().unwrap().state;
    let row = balances.map(Amount::new).to_vec();
    let outcome = Allocation::new(state.outcome().assets().to_vec(), vec![row], vec![]).unwrap();
    state.at_version(state.version().next().unwrap(), outcome)
}

pub(crate) fn signature(pair: &Pair, place: usize, state: &State) -> Signature {
    pair.sign(place, &pair.keys.digest(state))
}

/// An update as go-perun writes it: it says no payments.
pub(crate) fn update(pair: &Pair, state: &State) -> Body<Signature> {
    Body::Update {
        state: state.clone(),
        payments: Default::default(),
        after: Handover::Keep {},
        signature: signature(pair, 1, state),
    }
}

/// Node 1's program proposes this to node 0.
pub(crate) fn proposes(pair: &mut Pair, state: &State) -> Result<(), Declined> {
    let body = update(pair, state);
    pair.forge(1, body)
}

/// It proposes that these are the balances.
pub(crate) fn offers(pair: &mut Pair, balances: [u128; 2]) {
    let state = next(pair, balances);
    proposes(pair, &state).unwrap();
}

pub(crate) fn answers(pair: &mut Pair, state: &State) {
    let (version, signature) = (state.version(), signature(pair, 1, state));
    pair.forge(1, Body::Ack { version, wants_turn: false, signature }).unwrap();
}

pub(crate) fn refuses(pair: &mut Pair, version: u64) {
    let version = Version::new(version);
    pair.forge(1, Body::Reject { version, reason: RejectReason::User {} }).unwrap();
}

/// Everything that node 0 has said since the last call.
pub(crate) fn said(pair: &mut Pair) -> Vec<Body<Signature>> {
    let mut said = Vec::new();
    while let Some((_, bytes)) = pair.net.next() {
        let message = <perun_protocol::Message as perun_channel::codec::Decode>::from_bytes(&bytes);
        said.push(message.unwrap().body);
    }
    said
}

pub(crate) fn proposed(bodies: &[Body<Signature>]) -> Option<State> {
    bodies.iter().rev().find_map(|body| match body {
        Body::Update { state, .. } => Some(state.clone()),
        _ => None,
    })
}

pub(crate) fn refused(bodies: &[Body<Signature>]) -> Option<RejectReason> {
    bodies.iter().rev().find_map(|body| match body {
        Body::Reject { reason, .. } => Some(reason.clone()),
        _ => None,
    })
}

pub(crate) fn acked(bodies: &[Body<Signature>]) -> Option<u64> {
    bodies.iter().rev().find_map(|body| match body {
        Body::Ack { version, .. } => Some(version.get()),
        _ => None,
    })
}

#[test]
fn both_pay_without_turns_and_close() {
    let mut pair = open([10, 10]);
    for _ in 0..3 {
        pair.pay(0, 2).settle().pay(1, 1).settle();
    }
    assert_eq!([pair.balances(0), pair.balances(1)], [[7, 13]; 2]);
    assert_eq!(pair.received(1).len(), 3);
    assert_eq!(pair.version(0), 6, "every version is the one above the last");
    pair.user(1, Command::Close).settle();
    assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
    assert_eq!([pair.gains(0)[1], pair.gains(1)[1]], [-3, 3]);
}

#[test]
fn nothing_is_said_that_go_perun_does_not_know() {
    let mut pair = open([10, 10]);
    pair.pay(0, 2).pay(1, 2).pay(0, 1).settle().reconnect();
    pair.user(0, Command::Close).settle();
    for (_, bytes) in &pair.net.log {
        let message = <perun_protocol::Message as perun_channel::codec::Decode>::from_bytes(bytes);
        let body = message.unwrap().body;
        assert!(
            matches!(
                body,
                Body::Propose { .. }
                    | Body::Accept { .. }
                    | Body::Sign { .. }
                    | Body::Update { .. }
                    | Body::Ack { .. }
                    | Body::Reject { .. }
            ),
            "{body:?}"
        );
    }
}

#[test]
fn what_the_peer_gives_is_a_payment_and_nobody_can_pull() {
    let mut pair = open([10, 10]);
    offers(&mut pair, [13, 7]);
    assert_eq!(acked(&said(&mut pair)), Some(1));
    let received = pair.received(0);
    let payment = &received[&PaymentId::new(1)];
    assert_eq!((payment.asset, payment.amount), (0, Amount::new(3)));
    for balances in [[12, 8], [0, 20]] {
        offers(&mut pair, balances);
        assert_eq!(refused(&said(&mut pair)), Some(RejectReason::Payments {}));
    }
    for balances in [[14, 7], [20, 7]] {
        offers(&mut pair, balances);
        let why = refused(&said(&mut pair));
        assert!(matches!(why, Some(RejectReason::Payments {} | RejectReason::State {})), "{why:?}");
    }
    assert_eq!(pair.balances(0), [13, 7]);
    offers(&mut pair, [14, 6]);
    assert_eq!(pair.received(0)[&PaymentId::new(2)].amount, Amount::new(1), "numbered upwards");
}

#[test]
fn a_state_that_moves_nothing_is_signed_and_is_no_payment() {
    let mut pair = open([10, 10]);
    offers(&mut pair, [10, 10]);
    assert_eq!(acked(&said(&mut pair)), Some(1));
    assert!(pair.received(0).is_empty());
}

#[test]
fn a_last_payment_may_come_with_the_close() {
    let mut pair = open([10, 10]);
    let last = next(&pair, [15, 5]).finalized();
    proposes(&mut pair, &last).unwrap();
    assert_eq!(pair.received(0).len(), 1);
    pair.nodes[1].is_silent = true;
    pair.settle().wait();
    assert_eq!(pair.payout(0), Some(15));
    let mut pair = open([10, 10]);
    let last = next(&pair, [5, 15]).finalized();
    proposes(&mut pair, &last).unwrap();
    assert_eq!(refused(&said(&mut pair)), Some(RejectReason::Payments {}));
}

#[test]
fn only_the_version_above_is_signed() {
    let mut pair = open([10, 10]);
    for version in [2, 3, u64::MAX] {
        let state = next(&pair, [11, 9]);
        let state = state.at_version(Version::new(version), state.outcome().clone());
        proposes(&mut pair, &state).unwrap();
        assert_eq!(refused(&said(&mut pair)), Some(RejectReason::Version {}));
    }
    assert_eq!(pair.version(0), 0);
}

#[test]
fn h14_of_two_updates_that_cross_ours_comes_first() {
    let mut pair = open([10, 10]);
    pair.pay(0, 2);
    let ours = proposed(&said(&mut pair)).unwrap();
    offers(&mut pair, [13, 7]);
    assert_eq!(refused(&said(&mut pair)), Some(RejectReason::Crossing {}));
    // It waited for our answer to its own update, and now looks at ours.
    answers(&mut pair, &ours);
    assert_eq!((pair.balances(0), pair.sent(0).len()), ([8, 12], 1));
    offers(&mut pair, [11, 9]);
    assert_eq!(acked(&said(&mut pair)), Some(2));
}

#[test]
fn two_of_one_content_are_each_other_s_answer() {
    let mut pair = open([10, 10]);
    pair.user(0, Command::Close);
    let ours = proposed(&said(&mut pair)).unwrap();
    proposes(&mut pair, &ours).unwrap();
    assert_eq!(acked(&said(&mut pair)), Some(1));
    assert_eq!(pair.phases()[0], PhaseName::Closing);
}

/// The peer keeps our signature on what it refused. The next version is that one's, so nothing that
/// moves money is signed with it.
#[test]
fn h15_after_a_refusal_the_version_is_filled_before_anything_else() {
    let mut pair = open([10, 10]);
    pair.pay(0, 2);
    let first = proposed(&said(&mut pair)).unwrap();
    refuses(&mut pair, 1);
    let failed = Event::PaymentFailed { id: PaymentId::new(1), why: FailureReason::Refused };
    assert!(pair.saw(0, |event| *event == failed));
    let filler = proposed(&said(&mut pair)).unwrap();
    assert_eq!(filler, next(&pair, [10, 10]));
    assert_ne!(filler, first);
    pair.pay(0, 3);
    assert_eq!(proposed(&said(&mut pair)), None, "one thing at a time");
    offers(&mut pair, [11, 9]);
    assert_eq!(refused(&said(&mut pair)), Some(RejectReason::Crossing {}));
    answers(&mut pair, &filler);
    let second = proposed(&said(&mut pair)).unwrap();
    assert_eq!(second.version(), Version::new(2));
    answers(&mut pair, &second);
    assert_eq!(pair.balances(0), [7, 13]);
    // And after that, updates are as before.
    offers(&mut pair, [8, 12]);
    assert_eq!(acked(&said(&mut pair)), Some(3));
}

#[test]
fn a_peer_that_takes_no_filler_gets_no_payment_either() {
    let mut pair = open([10, 10]);
    pair.pay(0, 2);
    refuses(&mut pair, 1);
    pair.pay(0, 3);
    refuses(&mut pair, 1);
    assert_eq!(pair.failed(0).len(), 2);
    said(&mut pair);
    // Nothing moves, whoever asks.
    offers(&mut pair, [12, 8]);
    let bodies = said(&mut pair);
    assert_eq!(refused(&bodies), Some(RejectReason::Crossing {}));
    assert_eq!(proposed(&bodies), Some(next(&pair, [10, 10])), "the filler is tried again");
    refuses(&mut pair, 1);
    assert_eq!(proposed(&said(&mut pair)), None, "and not for ever");
    offers(&mut pair, [10, 10]);
    assert_eq!(acked(&said(&mut pair)), Some(1), "the peer's own is as good");
    pair.pay(0, 4);
    assert_eq!(proposed(&said(&mut pair)), Some(next(&pair, [6, 14])));
}

#[test]
fn who_wants_to_leave_leaves_although_no_filler_is_taken() {
    let mut pair = open([10, 10]);
    pair.pay(0, 2);
    refuses(&mut pair, 1);
    pair.user(0, Command::Close);
    refuses(&mut pair, 1);
    assert_eq!(pair.phases()[0], PhaseName::Disputing);
    pair.nodes[1].is_silent = true;
    pair.settle().wait();
    assert_eq!(pair.payout(0), Some(10));
}

/// What a filler cannot prevent: the refused state is registered with the version that it shares.
#[test]
fn the_refused_state_costs_no_more_than_it_gave() {
    let mut pair = open([10, 10]);
    pair.pay(0, 2);
    let refused = proposed(&said(&mut pair)).unwrap();
    refuses(&mut pair, 1);
    let filler = proposed(&said(&mut pair)).unwrap();
    answers(&mut pair, &filler);
    let agreed = |pair: &Pair, state: &State, of: usize| perun_protocol::Agreed {
        state: state.clone(),
        proof: Some(perun_protocol::PeerProof {
            digest: pair.keys.digest(state),
            signature: signature(pair, of, state),
        }),
    };
    let id = *filler.id();
    let (old, own) = (agreed(&pair, &refused, 0), signature(&pair, 1, &refused));
    pair.vault.register(1, id, &old, own);
    pair.report();
    pair.nodes[1].is_silent = true;
    pair.settle().wait();
    assert_eq!(pair.payout(0), Some(8));
    // The version after the filler outdoes it.
    let mut pair = open([10, 10]);
    pair.pay(0, 2);
    refuses(&mut pair, 1);
    answers(&mut pair, &filler);
    offers(&mut pair, [11, 9]);
    let (old, own) = (agreed(&pair, &refused, 0), signature(&pair, 1, &refused));
    pair.vault.register(1, id, &old, own);
    pair.report();
    pair.nodes[1].is_silent = true;
    pair.settle().wait();
    assert_eq!(pair.payout(0), Some(11));
}

#[test]
fn a_close_that_the_user_declines_leaves_the_version_free() {
    let mut pair = open_with(Config { accept_close: false, ..go_perun() }, [10, 10]);
    pair.users_answer = false;
    let last = next(&pair, [10, 10]).finalized();
    proposes(&mut pair, &last).unwrap();
    assert_eq!(pair.phases()[0], PhaseName::CloseAsked);
    // Meanwhile nothing else is signed.
    offers(&mut pair, [12, 8]);
    assert_eq!(refused(&said(&mut pair)), Some(RejectReason::Crossing {}));
    pair.user(0, Command::DeclineClose);
    assert_eq!(refused(&said(&mut pair)), Some(RejectReason::User {}));
    offers(&mut pair, [12, 8]);
    assert_eq!(acked(&said(&mut pair)), Some(1));
}

#[test]
fn a_peer_that_missed_our_answer_gets_it_again_for_the_same_state_only() {
    let mut pair = open([10, 10]);
    let state = next(&pair, [12, 8]);
    proposes(&mut pair, &state).unwrap();
    said(&mut pair);
    proposes(&mut pair, &state).unwrap();
    assert_eq!(acked(&said(&mut pair)), Some(1));
    let other = state.at_version(state.version(), next(&pair, [13, 7]).outcome().clone());
    proposes(&mut pair, &other).unwrap();
    assert_eq!(refused(&said(&mut pair)), Some(RejectReason::Version {}));
    assert_eq!(pair.balances(0), [12, 8]);
    assert_eq!(pair.received(0).len(), 1);
}

/// What the peer shows of itself, with node 0's signature on it.
pub(crate) fn standing(pair: &Pair, state: &State) -> Body<Signature> {
    let (mine, yours) = (signature(pair, 1, state), signature(pair, 0, state));
    let next_version = state.version().next().unwrap();
    Body::Sync { state: state.clone(), next_version, proof: Some(Proof { mine, yours }) }
}

#[test]
fn h13_h14_a_lost_answer_is_asked_for_once_and_found() {
    let mut pair = open([10, 10]);
    pair.pay(0, 2);
    let ours = proposed(&said(&mut pair)).unwrap();
    pair.feed(0, Input::Connected).unwrap();
    let bodies = said(&mut pair);
    assert_eq!(proposed(&bodies), Some(ours.clone()));
    assert_eq!(bodies.len(), 1, "only repeated: a question hurts");
    pair.now = pair.now.after(60);
    pair.feed(0, Input::Tick).unwrap();
    let bodies = said(&mut pair);
    assert!(bodies.iter().any(|body| matches!(body, Body::Sync { .. })));
    assert_eq!(proposed(&bodies), Some(ours.clone()));
    assert_eq!(pair.phases()[0], PhaseName::Updating);
    let shown = standing(&pair, &ours);
    pair.forge(1, shown).unwrap();
    assert_eq!((pair.phases()[0], pair.balances(0)), (PhaseName::Open, [8, 12]));
    assert_eq!(said(&mut pair), [], "an answer is not answered");
}

#[test]
fn who_still_does_not_answer_is_left() {
    for (on_silence, phase) in
        [(OnSilence::Dispute, PhaseName::Registered), (OnSilence::Wait, PhaseName::Updating)]
    {
        let mut pair = open_with(Config { on_silence, ..go_perun() }, [10, 10]);
        pair.nodes[1].is_silent = true;
        pair.pay(0, 2);
        pair.advance(659);
        assert_eq!(pair.phases()[0], PhaseName::Updating, "its user may still think");
        pair.advance(1);
        assert_eq!(pair.phases()[0], phase);
        let is_question = |body: &Body<Digest>| matches!(body, Body::Sync { .. });
        let asked =
            |effect: &Effect| matches!(effect, Effect::Send(draft) if is_question(&draft.body));
        assert_eq!(pair.submitted(0, asked), 0, "H10: a question can end who is still thinking");
    }
}

#[test]
fn a_lie_about_where_the_peer_stands_makes_nobody_sign() {
    let mut pair = open([10, 10]);
    pair.pay(0, 2);
    said(&mut pair);
    let other = next(&pair, [0, 20]);
    let (mine, digest) = (signature(&pair, 1, &other), pair.keys.digest(&other));
    for yours in [mine, pair.sign(1, &digest)] {
        let next_version = Version::new(9);
        let proof = Some(Proof { mine, yours });
        let shown = Body::Sync { state: other.clone(), next_version, proof };
        assert!(pair.forge(1, shown).is_err());
    }
    let bare = Body::Sync { state: other, next_version: Version::new(2), proof: None };
    assert_eq!(pair.forge(1, bare), Err(Refusal::Unproven.into()));
    assert_eq!((pair.phases()[0], pair.balances(0)), (PhaseName::Updating, [10, 10]));
    assert_eq!(said(&mut pair), []);
}

#[test]
fn a_refused_state_that_the_peer_shows_complete_is_taken_to_the_ledger() {
    let mut pair = open([10, 10]);
    pair.pay(0, 2);
    let first = proposed(&said(&mut pair)).unwrap();
    refuses(&mut pair, 1);
    let shown = standing(&pair, &first);
    pair.forge(1, shown).unwrap();
    assert_eq!((pair.phases()[0], pair.balances(0)), (PhaseName::Disputing, [8, 12]));
}

#[test]
fn a_node_that_dies_knows_what_it_may_have_signed() {
    let mut pair = open([10, 10]);
    pair.pay(0, 2);
    refuses(&mut pair, 1);
    let filler = proposed(&said(&mut pair)).unwrap();
    pair.revive(0);
    assert_eq!(proposed(&said(&mut pair)), Some(filler.clone()));
    refuses(&mut pair, 1);
    pair.revive(0);
    said(&mut pair);
    offers(&mut pair, [12, 8]);
    let bodies = said(&mut pair);
    assert_eq!(refused(&bodies), Some(RejectReason::Crossing {}), "it is still burnt");
    assert_eq!(proposed(&bodies), Some(filler));
    let burnt = |bytes: &Vec<u8>| {
        let record = <Record as perun_channel::codec::Decode>::from_bytes(bytes).unwrap();
        matches!(record, Record::UpdateRefused { .. })
    };
    assert_eq!(pair.nodes[0].journal.iter().filter(|bytes| burnt(bytes)).count(), 2);
}

#[test]
fn what_go_perun_does_not_know_is_not_asked_of_it() {
    let mut pair = open([10, 10]);
    let swap = Command::Swap { legs: vec![], preimage: perun_protocol::Preimage::new([1; 32]) };
    assert_eq!(pair.feed(0, Input::Command(swap)), Err(Misuse::NoSwap.into()));
    assert!(Misuse::NoSwap.to_string().contains("go-perun"));
    let mut pair = Pair::with(Keys::Symbolic, [go_perun(), go_perun()]);
    let (terms, contributions) = (pair.terms(5, 5), parts(0));
    let joint = Command::Propose { terms, contributions };
    assert_eq!(pair.feed(0, Input::Command(joint)), Err(Misuse::Terms.into()));
    for body in [
        Body::RequestTurn { turn: Default::default() },
        Body::YieldTurn { turn: Default::default(), wants_back: false },
        Body::SwapCancelRequest { version: Version::new(1) },
    ] {
        let mut pair = open([1, 1]);
        assert_eq!(pair.forge(1, body), Err(Refusal::Unexpected.into()));
    }
}
