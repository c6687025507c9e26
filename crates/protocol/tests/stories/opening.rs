//! Opening: one transaction of both sides, released in order, and never a deposit without a way
//! back.

use perun_channel::Version;
use perun_channel::codec::Decode;
use perun_protocol::{
    Body, Command, DeclineReason, Declined, Effect, Ending, Event, Input, LedgerBytes, Message,
    Misuse, PhaseName, Refusal, Reply, Sighting, Standing, TransactionId, Witness,
};

use crate::ledger::{JOINT, own_witness};
use crate::pair::{Pair, index, parts, user_said_no};

/// Participant 1 has accepted and fallen silent; participant 0 waits for its release.
fn awaiting() -> Pair {
    let mut pair = Pair::new();
    pair.nodes[1].silent_after = Some(1);
    pair.propose(5, 5).settle();
    assert_eq!(pair.phases()[0], PhaseName::Awaiting);
    pair
}

fn agreed_transaction(pair: &Pair) -> TransactionId {
    let plan = pair.nodes[0].effects.iter().find_map(|effect| match effect {
        Effect::Assemble(plan) => Some(plan.clone()),
        _ => None,
    });
    let mut ledger = crate::ledger::Ledger::new();
    match ledger.assemble(&plan.unwrap()) {
        Reply::Assembled(assembly) => assembly.joint.unwrap().id,
        _ => unreachable!("this ledger can build"),
    }
}

fn ended(pair: &Pair, place: usize) -> Option<Ending> {
    pair.nodes[place].events.iter().find_map(|event| match event {
        Event::Ended(ending) => Some(ending.clone()),
        _ => None,
    })
}

#[test]
fn two_who_agree_have_one_channel() {
    let pair = Pair::open(5, 7);
    let [zero, one] = &pair.nodes;
    assert_eq!(zero.machine.id(), one.machine.id());
    assert_eq!(zero.machine.params(), one.machine.params());
    assert_eq!(zero.machine.agreed(), one.machine.agreed());
    assert_eq!([zero, one].map(|node| node.machine.index()), [Some(index(0)), Some(index(1))]);
    assert_eq!([pair.balances(0), pair.balances(1)], [[5, 7]; 2]);
    assert!(pair.saw(0, |event| matches!(event, Event::Opened { .. })));
    assert!(pair.saw(1, |event| matches!(event, Event::Opened { .. })));
}

#[test]
fn participant_1_releases_first_and_participant_0_submits() {
    let pair = Pair::open(5, 5);
    assert_eq!(pair.submitted(1, |effect| matches!(effect, Effect::SendWitness { .. })), 1);
    assert_eq!(pair.submitted(0, |effect| matches!(effect, Effect::SubmitAssembly { .. })), 1);
    assert_eq!(pair.submitted(0, |effect| matches!(effect, Effect::SendWitness { .. })), 0);
}

#[test]
fn participant_0_does_not_take_a_release_for_its_own() {
    let mut pair = Pair::new();
    pair.slow_backend = Some(1);
    pair.propose(5, 5).settle();
    let (transaction, locks) = (agreed_transaction(&pair), own_witness(0));
    let witness = Witness { transaction, locks, consent: None };
    let refused = pair.forge(0, Body::Release { witness });
    assert_eq!(refused, Err(Declined::Refusal(Refusal::ReleaseOrder)));
}

#[test]
fn a_release_that_comes_before_our_backend_is_ready_is_kept() {
    let mut pair = Pair::new();
    pair.slow_backend = Some(0);
    pair.propose(5, 5).settle();
    assert_eq!(pair.phases(), [PhaseName::Assembling, PhaseName::Released]);
    let reply = pair.held.pop().unwrap();
    pair.feed(0, Input::Backend(reply)).unwrap();
    pair.settle();
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
}

#[test]
fn a_release_for_another_transaction_is_refused() {
    let mut pair = awaiting();
    let (transaction, locks) = (TransactionId::new([3; 32]), own_witness(1));
    let witness = Witness { transaction, locks, consent: None };
    let refused = pair.forge(1, Body::Release { witness });
    assert_eq!(refused, Err(Declined::Refusal(Refusal::OtherTransaction)));
    assert_eq!(pair.phases()[0], PhaseName::Awaiting);
}

#[test]
fn a_release_that_the_backend_finds_wrong_ends_the_opening() {
    let mut pair = awaiting();
    let locks = LedgerBytes::new(vec![1]).unwrap();
    let witness = Witness { transaction: agreed_transaction(&pair), locks, consent: None };
    pair.forge(1, Body::Release { witness }).unwrap();
    pair.settle();
    let reason = DeclineReason::BadWitness {};
    assert_eq!(ended(&pair, 0), Some(Ending::Declined { reason }));
    assert_eq!(pair.submitted(0, |effect| matches!(effect, Effect::ReleaseFunds { .. })), 1);
    assert_eq!(pair.submitted(0, |effect| matches!(effect, Effect::SubmitAssembly { .. })), 0);
}

#[test]
fn a_transaction_that_is_not_what_was_agreed_is_not_released() {
    let mut pair = Pair::new();
    pair.ledger.bends = true;
    pair.propose(5, 5).settle();
    assert_eq!(pair.phases(), [PhaseName::Over; 2]);
    for place in 0..2 {
        let out = pair.submitted(place, |effect| matches!(effect, Effect::SendWitness { .. }));
        assert_eq!(out, 0);
    }
}

#[test]
fn a_transaction_that_cannot_be_built_ends_the_opening_on_both_sides() {
    let mut pair = Pair::new();
    pair.ledger.cannot_build = true;
    pair.propose(5, 5).settle();
    assert_eq!(pair.phases(), [PhaseName::Over; 2]);
    assert_eq!(pair.submitted(0, |effect| matches!(effect, Effect::ReleaseFunds { .. })), 1);
    assert_eq!(pair.submitted(1, |effect| matches!(effect, Effect::ReleaseFunds { .. })), 1);
}

#[test]
fn terms_outside_of_what_we_accept_are_declined_and_not_sent() {
    let mut pair = Pair::new();
    let mut terms = pair.terms(5, 5);
    terms.challenge_secs = perun_channel::MIN_CHALLENGE_SECS - 1;
    let propose = Command::Propose { terms: terms.clone(), contributions: parts(0) };
    let misuse = pair.feed(0, Input::Command(propose));
    assert_eq!(misuse, Err(Declined::Misuse(Misuse::Terms)));
    pair.forge(0, Body::Propose { terms, contributions: parts(0) }).unwrap();
    let reason = DeclineReason::Terms {};
    assert_eq!(ended(&pair, 1), Some(Ending::Declined { reason }));
}

#[test]
fn a_peer_with_our_own_key_is_declined() {
    let mut pair = Pair::new();
    pair.users_answer = false;
    pair.propose(5, 5).settle();
    let (participant, contributions) = (pair.participant(0), parts(1));
    let accept = Command::Accept { participant: participant.clone(), contributions };
    assert_eq!(pair.feed(1, Input::Command(accept)), Err(Declined::Misuse(Misuse::Terms)));
    pair.forge(1, Body::Accept { participant, contributions: parts(1) }).unwrap();
    assert_eq!(pair.phases()[0], PhaseName::Over);
}

#[test]
fn a_user_may_say_no() {
    let mut pair = Pair::new();
    pair.users_answer = false;
    pair.propose(5, 5).settle();
    pair.user(1, Command::Decline { reason: user_said_no() }).settle();
    assert_eq!(pair.phases(), [PhaseName::Over; 2]);
    assert_eq!(ended(&pair, 0), Some(Ending::Declined { reason: user_said_no() }));
}

#[test]
fn a_proposal_that_nobody_answers_ends_by_its_deadline() {
    let mut pair = Pair::new();
    pair.users_answer = false;
    pair.propose(5, 5).settle();
    pair.wait();
    assert_eq!(pair.phases(), [PhaseName::Over; 2]);
    assert_eq!(pair.submitted(0, |effect| matches!(effect, Effect::ReleaseFunds { .. })), 1);
}

#[test]
fn w26_an_opening_that_does_not_commit_is_made_impossible_and_never_assumed_so() {
    let mut pair = Pair::new();
    pair.ledger.is_deaf = true;
    pair.propose(5, 5).settle();
    assert_eq!(pair.phases(), [PhaseName::Released; 2]);
    assert!(pair.pass_time());
    assert_eq!(pair.phases(), [PhaseName::Aborting; 2]);
    assert!(pair.pass_time(), "the abort is submitted again until the ledger shows it");
    assert_eq!(pair.phases(), [PhaseName::Aborting; 2]);
    pair.ledger.is_deaf = false;
    pair.wait();
    assert_eq!(pair.phases(), [PhaseName::Over; 2]);
    assert_eq!(ended(&pair, 0), Some(Ending::Aborted {}));
    assert_eq!(ended(&pair, 1), Some(Ending::Aborted {}));
}

#[test]
fn an_opening_that_commits_while_we_abort_is_a_channel_like_any_other() {
    let mut pair = Pair::new();
    pair.ledger.is_deaf = true;
    pair.propose(5, 5).settle();
    pair.pass_time();
    pair.ledger.is_deaf = false;
    let submission = pair.nodes[0].effects.iter();
    let submission =
        submission.rev().find(|effect| matches!(effect, Effect::SubmitAssembly { .. })).cloned();
    pair.ledger.submit(0, &submission.unwrap());
    pair.report();
    pair.settle();
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
    pair.pay(0, 2).settle();
    assert_eq!(pair.balances(1), [3, 7]);
}

#[test]
fn w26_an_unconfirmed_opening_is_no_channel_yet() {
    let mut pair = Pair::new();
    pair.ledger.is_deaf = true;
    pair.propose(5, 5).settle();
    let channel = *pair.ledger.channels.keys().next().unwrap();
    let sighting = Sighting { ledger: JOINT, channel, standing: Standing::Open, confirmed: false };
    pair.feed(0, Input::Ledger(sighting)).unwrap();
    assert_eq!(pair.phases()[0], PhaseName::Released);
}

#[test]
fn every_message_of_an_opening_may_come_twice() {
    let mut pair = Pair::new();
    pair.net = crate::net::Net::bad(1, 0, 100, 0);
    pair.propose(5, 5).settle();
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
    assert!(pair.nodes.iter().all(|node| node.refusals.is_empty()
        || node.refusals.iter().all(|why| *why == Declined::Refusal(Refusal::Unexpected))));
}

#[test]
fn an_opening_survives_every_loss_once_the_two_are_connected_again() {
    for seed in 0..60 {
        let mut pair = Pair::new();
        pair.net = crate::net::Net::bad(seed, 40, 20, 20);
        pair.propose(5, 5).settle();
        for _ in 0..100 {
            pair.reconnect();
        }
        assert_eq!(pair.phases(), [PhaseName::Open; 2], "seed {seed}");
        assert_eq!(pair.version(0), Version::ZERO.get());
    }
}

#[test]
fn a_second_proposal_with_other_terms_is_refused() {
    let mut pair = Pair::new();
    pair.users_answer = false;
    pair.propose(5, 5).settle();
    let terms = pair.terms(5, 6);
    let refused = pair.forge(0, Body::Propose { terms, contributions: parts(0) });
    assert_eq!(refused, Err(Declined::Refusal(Refusal::Changed)));
}

#[test]
fn a_message_for_another_machine_is_refused() {
    use perun_protocol::{Message, OpeningId};
    let mut pair = Pair::open(5, 5);
    let body = Body::Decline { reason: user_said_no() };
    let message = Message { opening: OpeningId::new([8; 32]), body };
    let refused = pair.feed(0, Input::Message(message));
    assert_eq!(refused, Err(Declined::Refusal(Refusal::OtherOpening)));
}

/// Both released, the transaction committed, and nobody was told.
fn committed_unseen() -> Pair {
    let mut pair = Pair::new();
    pair.ledger.is_deaf = true;
    pair.propose(5, 5).settle();
    assert_eq!(pair.phases(), [PhaseName::Released; 2]);
    pair.ledger.is_deaf = false;
    let channel = *pair.ledger.channels.keys().next().unwrap();
    pair.ledger.change(&channel, |_| Some(Standing::Open));
    pair
}

/// One node sees that the channel exists; its message is on its way.
fn sees_the_channel(pair: &mut Pair, place: usize) {
    let channel = *pair.ledger.channels.keys().next().unwrap();
    let sighting = Sighting { ledger: JOINT, channel, standing: Standing::Open, confirmed: true };
    pair.feed(place, Input::Ledger(sighting)).unwrap();
    assert_eq!(pair.phases()[place], PhaseName::Open);
}

fn syncs(pair: &Pair) -> usize {
    let heard = pair.net.log.iter().map(|(_, bytes)| Message::from_bytes(bytes).unwrap());
    heard.filter(|message| matches!(message.body, Body::Sync { .. })).count()
}

#[test]
fn a_channel_that_one_side_sees_first_is_ready_on_both() {
    for first in 0..2 {
        let mut pair = committed_unseen();
        sees_the_channel(&mut pair, first);
        pair.settle();
        let refused = !pair.nodes[1 - first].refusals.is_empty();
        assert!(refused, "the other side knows no channel yet, so it refuses to hear of one");
        sees_the_channel(&mut pair, 1 - first);
        pair.settle().pay(0, 2).pay(1, 1).settle();
        assert_eq!([pair.balances(0), pair.balances(1)], [[4, 6]; 2], "first: {first}");
        assert_eq!([pair.received(0).len(), pair.received(1).len()], [1, 1]);
    }
}

#[test]
fn a_payment_that_waited_for_the_other_side_to_see_the_channel_is_made() {
    for (first, payer) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let mut pair = committed_unseen();
        sees_the_channel(&mut pair, first);
        pair.settle();
        if payer == first {
            pair.pay(payer, 2).settle();
        }
        sees_the_channel(&mut pair, 1 - first);
        if payer != first {
            pair.pay(payer, 2);
        }
        pair.settle();
        assert_eq!(pair.received(1 - payer).len(), 1, "first: {first}, payer: {payer}");
    }
}

#[test]
fn two_who_tell_each_other_at_once_come_to_rest() {
    let mut pair = committed_unseen();
    sees_the_channel(&mut pair, 0);
    sees_the_channel(&mut pair, 1);
    pair.settle();
    assert_eq!(syncs(&pair), 4, "each says it once and answers once");
    pair.reconnect();
    assert_eq!(syncs(&pair), 6, "from then on it is said and not answered");
    pair.pay(1, 1).settle();
    assert_eq!(pair.balances(0), [6, 4]);
}
