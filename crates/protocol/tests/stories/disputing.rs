//! Leaving: by a final state, or through the ledger. Newer beats older, whatever the other side
//! tries.

use perun_channel::{Amount, State, Version};
use perun_protocol::{
    Agreed, Body, Command, Config, Declined, Effect, Ending, Event, FailureReason, Input,
    LedgerTime, Misuse, OnSilence, PaymentId, PhaseName, Proof, Refusal, RejectReason, Sighting,
    Slot, Standing, TransactionId,
};

use crate::keys::Keys;
use crate::ledger::JOINT;
use crate::pair::{CHALLENGE, Pair, index};

fn own_slot(place: usize) -> Slot {
    Slot { participant: index(place), delegate: false }
}

/// Node `place` registers version 0, as if it had kept nothing newer.
fn cheat(pair: &mut Pair, place: usize, slot: Slot) {
    let id = pair.nodes[place].machine.id().unwrap();
    let initial = pair.nodes[place].journal.iter().find_map(|bytes| {
        match <perun_protocol::Record as perun_channel::codec::Decode>::from_bytes(bytes).unwrap() {
            perun_protocol::Record::Assembled { assembly, .. } => Some(assembly.initial),
            _ => None,
        }
    });
    pair.ledger.register(&id, &Agreed::initial(initial.unwrap()), &slot);
    pair.report();
    pair.settle();
}

fn registrations(pair: &Pair, place: usize) -> Vec<(u64, Slot)> {
    let effects = pair.nodes[place].effects.iter();
    effects
        .filter_map(|effect| match effect {
            Effect::Register { agreed, slot, .. } => {
                Some((agreed.state.version().get(), slot.clone()))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn two_who_agree_close_at_once() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle().user(0, Command::Close).settle();
    assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
    assert_eq!([pair.payout(0), pair.payout(1)], [Some(3), Some(7)]);
}

#[test]
fn the_one_without_the_turn_can_close_too() {
    let mut pair = Pair::open(5, 5);
    pair.user(1, Command::Close).settle();
    assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
}

#[test]
fn both_may_close_at_once() {
    let mut pair = Pair::open(5, 5);
    pair.user(1, Command::Close).user(0, Command::Close).settle();
    assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
}

#[test]
fn what_waits_is_paid_before_a_close_and_nothing_is_taken_after_it() {
    let mut pair = Pair::open(9, 5);
    pair.pay(0, 1).pay(0, 1).pay(0, 1).user(0, Command::Close);
    let late = pair.payment(0, 1);
    let misuse = pair.feed(0, Input::Command(Command::Pay(late)));
    assert_eq!(misuse, Err(Declined::Misuse(Misuse::Closing)));
    pair.settle();
    assert_eq!([pair.payout(0), pair.payout(1)], [Some(6), Some(8)]);
}

/// Whoever refuses to close keeps the other's signature on a final state, which a ledger pays at
/// once. If the channel went on, every later payment to the one who wanted to close could be undone
/// with it.
#[test]
fn a_refused_close_is_settled_by_the_ledger_and_nothing_is_signed_after_it() {
    let config = Config { accept_close: false, ..Config::default() };
    let mut pair = Pair::with(Keys::Symbolic, [config; 2]);
    pair.propose(5, 5).settle();
    pair.users_answer = false;
    pair.user(0, Command::Close).settle();
    assert_eq!(pair.phases(), [PhaseName::Updating, PhaseName::CloseAsked]);
    pair.user(1, Command::DeclineClose).settle();
    assert!(pair.saw(0, |event| *event == Event::CloseRefused(RejectReason::User {})));
    let payment = pair.payment(0, 2);
    let misuse = pair.feed(0, Input::Command(Command::Pay(payment)));
    assert_eq!(misuse, Err(Declined::Misuse(Misuse::Closing)));
    pair.wait();
    assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
    assert_eq!([pair.payout(0), pair.payout(1)], [Some(5), Some(5)]);
}

#[test]
fn a_close_that_no_user_answers_is_settled_by_the_ledger() {
    let config = Config { accept_close: false, ..Config::default() };
    let mut pair = Pair::with(Keys::Symbolic, [config; 2]);
    pair.propose(5, 5).settle();
    pair.users_answer = false;
    pair.user(0, Command::Close).settle().wait();
    assert!(pair.saw(0, |event| *event == Event::CloseRefused(RejectReason::TooLate {})));
    assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
    assert_eq!([pair.payout(0), pair.payout(1)], [Some(5), Some(5)]);
}

/// Waiting for a silent peer is the user's choice, but not with a final state of ours in its hands.
#[test]
fn a_silent_peer_is_not_waited_for_with_a_final_state() {
    let config = Config { on_silence: OnSilence::Wait, ..Config::default() };
    let mut pair = Pair::with(Keys::Symbolic, [config; 2]);
    pair.propose(5, 5).settle();
    pair.nodes[1].is_silent = true;
    pair.user(0, Command::Close).settle().wait();
    assert_eq!(pair.phases()[0], PhaseName::Settled);
    assert_eq!(pair.payout(0), Some(5));
}

#[test]
fn a_close_that_does_not_commit_is_submitted_again_and_then_disputed() {
    let mut pair = Pair::open(5, 5);
    pair.ledger.is_deaf = true;
    pair.user(0, Command::Close).settle();
    for _ in 0..4 {
        pair.pass_time();
    }
    let closes = pair.submitted(0, |effect| matches!(effect, Effect::SubmitClose { .. }));
    assert_eq!(closes, 3);
    assert_eq!(pair.phases()[0], PhaseName::Disputing);
    pair.ledger.is_deaf = false;
    pair.wait();
    assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
    assert_eq!([pair.payout(0), pair.payout(1)], [Some(5), Some(5)]);
}

#[test]
fn one_alone_gets_its_money_in_one_challenge() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle();
    pair.nodes[0].is_silent = true;
    pair.user(1, Command::Dispute).settle();
    assert_eq!(pair.phases()[1], PhaseName::Registered);
    pair.wait();
    assert_eq!(pair.phases()[1], PhaseName::Settled);
    assert_eq!(pair.payout(1), Some(7));
    assert_eq!(
        registrations(&pair, 1),
        [(1, own_slot(1))],
        "one registration, of the newest state"
    );
}

#[test]
fn a_channel_without_any_update_is_disputed_with_version_0() {
    let mut pair = Pair::open(5, 5);
    pair.nodes[1].is_silent = true;
    pair.user(0, Command::Dispute).settle().wait();
    assert_eq!(pair.payout(0), Some(5));
    assert_eq!(registrations(&pair, 0), [(0, own_slot(0))]);
}

#[test]
fn an_old_state_on_the_ledger_is_answered_with_ours() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle();
    cheat(&mut pair, 0, own_slot(0));
    assert_eq!(registrations(&pair, 1), [(1, own_slot(1))]);
    pair.wait();
    assert_eq!(pair.payout(1), Some(7));
}

#[test]
fn an_old_state_that_is_still_in_the_pool_is_answered_at_once() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle();
    let state = State::initial(pair.nodes[0].machine.id().unwrap(), pair.terms(5, 5).outcome);
    let standing = Standing::Registered {
        state,
        by: own_slot(0),
        until: LedgerTime::new(1 << 40),
        proof: None,
    };
    let channel = pair.nodes[1].machine.id().unwrap();
    pair.feed(1, Input::Ledger(Sighting { ledger: JOINT, channel, standing, confirmed: false }))
        .unwrap();
    assert_eq!(registrations(&pair, 1), [(1, own_slot(1))]);
}

#[test]
fn a_tower_with_an_old_state_does_not_use_up_our_own_right() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle();
    cheat(&mut pair, 1, Slot { participant: index(1), delegate: true });
    assert_eq!(registrations(&pair, 1), [(1, own_slot(1))]);
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle();
    cheat(&mut pair, 1, own_slot(1));
    let delegate = Slot { participant: index(1), delegate: true };
    assert_eq!(registrations(&pair, 1), [(1, delegate)], "the other right is still there");
}

#[test]
fn an_outdated_state_is_never_concluded_by_us() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle();
    pair.ledger.is_deaf = true;
    cheat(&mut pair, 0, own_slot(0));
    pair.nodes[0].is_silent = true;
    pair.advance(CHALLENGE + 1);
    let concluded = |effect: &Effect| matches!(effect, Effect::Conclude { .. });
    assert_eq!(pair.submitted(1, concluded), 0);
    pair.ledger.is_deaf = false;
    pair.wait();
    assert_eq!(pair.payout(1), Some(7), "a late answer is better than none");
}

#[test]
fn the_state_that_only_the_peer_completed_is_accepted_as_the_outcome() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2);
    // Node 1 signs and tells the ledger instead of us.
    let (place, bytes) = pair.net.next().unwrap();
    let message = <perun_protocol::Message as perun_channel::codec::Decode>::from_bytes(&bytes);
    pair.feed(place, Input::Message(message.unwrap())).unwrap();
    pair.net.drop_all();
    pair.user(1, Command::Dispute).settle();
    assert_eq!(registrations(&pair, 0), [], "ours is older: nothing to answer");
    pair.wait();
    assert_eq!([pair.payout(0), pair.payout(1)], [Some(3), Some(7)]);
    assert!(pair.saw(0, |event| *event == Event::PaymentSent(PaymentId::new(1))));
}

#[test]
fn a_payment_on_its_way_that_the_outcome_leaves_out_is_reported_as_failed() {
    let mut pair = Pair::open(5, 5);
    pair.nodes[1].is_silent = true;
    pair.pay(0, 2).settle().wait();
    assert_eq!(pair.payout(0), Some(5));
    let (id, why) = (PaymentId::new(1), FailureReason::Superseded);
    assert!(pair.saw(0, |event| *event == Event::PaymentFailed { id, why }));
}

#[test]
fn nothing_is_signed_once_the_ledger_settles() {
    let mut pair = Pair::open(5, 5);
    pair.pay(1, 1);
    pair.user(0, Command::Dispute);
    let before = pair.net.log.len();
    pair.settle();
    assert_eq!(pair.version(0), 0);
    let payment = pair.payment(0, 1);
    let misuse = pair.feed(0, Input::Command(Command::Pay(payment)));
    assert_eq!(misuse, Err(Declined::Misuse(Misuse::Closing)));
    let state = &pair.nodes[0].machine.agreed().unwrap().state;
    let outcome = state.outcome().transfer(1, 0, 0, Amount::new(1)).unwrap();
    let next = state.successor(outcome).unwrap();
    let signature = pair.nodes[1].signer.sign(&perun_protocol::Digest::new(next.digest()));
    let body = Body::Update {
        state: next,
        payments: [pair.payment(1, 1)].into_iter().collect(),
        after: perun_protocol::Handover::Keep {},
        signature,
    };
    assert_eq!(pair.forge(1, body), Err(Declined::Refusal(Refusal::Settling)));
    let said = pair.net.log[before..].iter().filter(|(to, _)| *to == 1).count();
    assert_eq!(said, 0);
}

#[test]
fn what_waits_fails_when_the_channel_is_disputed() {
    let mut pair = Pair::open(5, 5);
    pair.nodes[0].is_silent = true;
    pair.pay(1, 2).user(1, Command::Dispute);
    let (id, why) = (PaymentId::new(1), FailureReason::Closed);
    assert!(pair.saw(1, |event| *event == Event::PaymentFailed { id, why }));
}

#[test]
fn a_registration_that_a_reorganisation_takes_back_is_made_again() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle().user(1, Command::Dispute).settle();
    assert_eq!(pair.phases(), [PhaseName::Registered; 2]);
    let before = registrations(&pair, 1).len();
    pair.show(Standing::Open);
    assert_eq!(pair.phases(), [PhaseName::Disputing; 2]);
    assert_eq!(registrations(&pair, 1).len(), before + 1);
}

#[test]
fn even_an_outcome_that_a_reorganisation_takes_back_is_fought_for_again() {
    let mut pair = Pair::open(5, 5);
    pair.user(0, Command::Close).settle();
    assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
    pair.show(Standing::Open);
    assert_eq!(pair.phases(), [PhaseName::Closing; 2]);
}

#[test]
fn an_unconfirmed_outcome_is_not_settled() {
    let mut pair = Pair::open(5, 5);
    let channel = pair.nodes[0].machine.id().unwrap();
    let state = pair.nodes[0].machine.agreed().unwrap().state.clone();
    let standing = Standing::Closed { state };
    pair.feed(0, Input::Ledger(Sighting { ledger: JOINT, channel, standing, confirmed: false }))
        .unwrap();
    assert_eq!(pair.phases()[0], PhaseName::Open);
}

#[test]
fn rows_that_are_not_paid_are_withdrawn_until_they_are() {
    let mut pair = Pair::open(5, 5);
    pair.ledger.unpaid = 1;
    pair.user(0, Command::Dispute).settle();
    while pair.phases() != [PhaseName::Unpaid; 2] {
        assert!(pair.pass_time());
    }
    pair.pass_time();
    assert_eq!(pair.phases(), [PhaseName::Unpaid; 2]);
    let withdrawals = pair.submitted(0, |effect| matches!(effect, Effect::Withdraw { .. }));
    assert!(withdrawals >= 2, "{withdrawals}");
    pair.ledger.unpaid = 0;
    pair.wait();
    assert_eq!([pair.payout(0), pair.payout(1)], [Some(5), Some(5)]);
}

#[test]
fn both_report_the_same_outcome() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle().pay(1, 1).settle();
    pair.user(0, Command::Dispute).user(1, Command::Dispute).settle().wait();
    assert_eq!([pair.payout(0), pair.payout(1)], [Some(4), Some(6)]);
}

#[test]
fn who_prefers_to_wait_is_told_and_can_still_leave() {
    let config = Config { on_silence: OnSilence::Wait, ..Config::default() };
    let mut pair = Pair::with(Keys::Symbolic, [config; 2]);
    pair.propose(5, 5).settle();
    pair.nodes[1].is_silent = true;
    pair.pay(0, 2).settle();
    pair.pass_time();
    assert!(pair.saw(0, |event| *event == Event::PeerSilent));
    assert_eq!(pair.phases()[0], PhaseName::Updating);
    pair.user(0, Command::Dispute).settle().wait();
    assert_eq!(pair.payout(0), Some(5));
}

#[test]
fn a_journal_that_is_too_old_is_found_out_by_the_peers_proof() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle();
    let backup = (pair.nodes[1].machine.clone(), pair.nodes[1].journal.clone());
    pair.pay(0, 1).settle();
    (pair.nodes[1].machine, pair.nodes[1].journal) = backup;
    pair.reconnect();
    assert_eq!(pair.phases()[1], PhaseName::Frozen);
    assert!(pair.saw(1, |event| *event == Event::RolledBack));
    assert_eq!(pair.version(1), 2, "what the peer showed is better than what we had");
    let payment = pair.payment(1, 1);
    let misuse = pair.feed(1, Input::Command(Command::Pay(payment)));
    assert_eq!(misuse, Err(Declined::Misuse(Misuse::RolledBack)));
    pair.user(1, Command::Dispute).settle().wait();
    assert_eq!(pair.payout(1), Some(8));
}

#[test]
fn a_claim_to_be_ahead_without_our_signature_proves_nothing() {
    let mut pair = Pair::open(5, 5);
    let state = &pair.nodes[0].machine.agreed().unwrap().state;
    let outcome = state.outcome().transfer(1, 0, 0, Amount::new(5)).unwrap();
    let state = state.successor(outcome).unwrap();
    let signature = pair.nodes[0].signer.sign(&perun_protocol::Digest::new(state.digest()));
    let proof = Some(Proof { mine: signature, yours: signature });
    let next_version = Version::new(2);
    let claim = Body::Sync { state, next_version, proof };
    assert_eq!(pair.forge(0, claim), Err(Declined::Refusal(Refusal::Unproven)));
    assert_eq!(pair.phases()[1], PhaseName::Open);
}

#[test]
fn a_store_that_finds_its_journal_too_old_stops_all_signing() {
    let mut pair = Pair::open(5, 5);
    pair.feed(0, Input::JournalRolledBack).unwrap();
    assert_eq!(pair.phases()[0], PhaseName::Frozen);
    pair.user(0, Command::Dispute).settle().wait();
    assert_eq!(pair.payout(0), Some(5));
}

#[test]
fn a_peer_cannot_use_up_the_versions_by_claiming_high_ones() {
    let mut pair = Pair::open(5, 5);
    let state = pair.nodes[0].machine.agreed().unwrap().state.clone();
    let claim = |next: u64| Body::Sync {
        state: state.clone(),
        next_version: Version::new(next),
        proof: None,
    };
    assert_eq!(pair.forge(0, claim(u64::MAX)), Err(Declined::Refusal(Refusal::Unproven)));
    assert_eq!(pair.forge(0, claim(10)), Ok(()));
}

#[test]
fn where_the_peer_stands_is_not_answered_with_where_we_stand() {
    let mut pair = Pair::open(5, 5);
    pair.net.drop_all();
    let state = pair.nodes[0].machine.agreed().unwrap().state.clone();
    let sync = Body::Sync { state, next_version: Version::new(1), proof: None };
    for _ in 0..3 {
        pair.forge(0, sync.clone()).unwrap();
    }
    assert!(pair.net.next().is_none());
}

#[test]
fn a_late_acknowledgement_improves_what_we_register() {
    let mut pair = Pair::open(5, 5);
    pair.pay(1, 2).settle();
    pair.pay(1, 1);
    let (place, bytes) = pair.net.next().unwrap();
    let message = <perun_protocol::Message as perun_channel::codec::Decode>::from_bytes(&bytes);
    pair.feed(place, Input::Message(message.unwrap())).unwrap();
    let late = pair.net.next().unwrap().1;
    pair.ledger.is_deaf = true;
    pair.user(1, Command::Dispute);
    let late = <perun_protocol::Message as perun_channel::codec::Decode>::from_bytes(&late);
    pair.feed(1, Input::Message(late.unwrap())).unwrap();
    assert_eq!(registrations(&pair, 1), [(1, own_slot(1)), (2, own_slot(1))]);
    assert_eq!(pair.sent(1).len(), 2);
    pair.ledger.is_deaf = false;
    pair.wait();
    assert_eq!([pair.payout(0), pair.payout(1)], [Some(8), Some(2)]);
}

#[test]
fn a_channel_that_is_spent_takes_no_more_payments() {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 1).settle();
    let transaction = TransactionId::new([8; 32]);
    let spent = Event::Ended(Ending::Spent { transaction });
    // What may still be taken back is no reason to give the channel up.
    let channel = pair.nodes[0].machine.id().unwrap();
    let standing = Standing::Spent { transaction };
    let sighting =
        Sighting { ledger: JOINT, channel, standing: standing.clone(), confirmed: false };
    pair.feed(0, Input::Ledger(sighting)).unwrap();
    assert_eq!(pair.phases()[0], PhaseName::Open);
    // One payment is signed already, and one waits for it.
    pair.pay(0, 1).pay(0, 1);
    pair.net.drop_all();
    pair.show(standing);
    assert_eq!(pair.phases(), [PhaseName::Over; 2]);
    assert_eq!(pair.failed(0).len(), 2);
    for place in 0..2 {
        assert!(pair.saw(place, |event| *event == spent), "the user is alarmed");
        let payment = pair.payment(place, 1);
        assert!(pair.feed(place, Input::Command(Command::Pay(payment))).is_err());
        pair.nodes[place].events.clear();
        pair.revive(place);
        assert!(pair.saw(place, |event| *event == spent), "and again after a restart");
    }
}

#[test]
fn a_channel_that_is_spent_before_it_was_seen_is_over() {
    let mut pair = Pair::new();
    pair.ledger.is_deaf = true;
    pair.propose(5, 5).settle();
    let channel = *pair.ledger.channels.keys().next().unwrap();
    let standing = Standing::Spent { transaction: TransactionId::new([8; 32]) };
    for (confirmed, phase) in [(false, PhaseName::Released), (true, PhaseName::Over)] {
        let sighting = Sighting { ledger: JOINT, channel, standing: standing.clone(), confirmed };
        pair.feed(0, Input::Ledger(sighting)).unwrap();
        assert_eq!(pair.phases()[0], phase);
    }
}

/// Node 1 refuses the one payment of node 0, and signs it all the same: what it can show then.
fn refused_and_signed(pair: &mut Pair) -> Body<perun_channel::Signature> {
    pair.pay(0, 2);
    let (_, bytes) = pair.net.next().unwrap();
    let message = <perun_protocol::Message as perun_channel::codec::Decode>::from_bytes(&bytes);
    let Body::Update { state, signature, .. } = message.unwrap().body else { panic!("an update") };
    let version = state.version();
    pair.forge(1, Body::Reject { version, reason: RejectReason::User {} }).unwrap();
    let digest = perun_protocol::Crypto::digest(&pair.keys, &state);
    let proof = Some(Proof { mine: pair.nodes[1].signer.sign(&digest), yours: signature });
    Body::Sync { state, next_version: version.next().unwrap(), proof }
}

#[test]
fn a_refused_update_that_the_peer_completes_is_no_rollback() {
    let mut pair = Pair::open(5, 5);
    let shown = refused_and_signed(&mut pair);
    assert_eq!((pair.phases()[0], pair.version(0)), (PhaseName::Open, 0));
    pair.forge(1, shown).unwrap();
    assert_eq!((pair.phases()[0], pair.version(0)), (PhaseName::Disputing, 1));
    pair.nodes[1].is_silent = true;
    pair.settle().wait();
    assert_eq!(pair.payout(0), Some(3), "the newest state that both signed");
}

#[test]
fn a_refused_update_that_a_newer_one_replaced_is_no_news() {
    let mut pair = Pair::open(5, 5);
    let shown = refused_and_signed(&mut pair);
    // The user pays again in this channel; the real node 1 missed the version, and learns of it.
    pair.reconnect();
    pair.pay(0, 2).settle();
    assert_eq!([pair.balances(0), pair.balances(1)], [[3, 7]; 2], "paid once");
    pair.forge(1, shown).unwrap();
    assert_eq!(pair.phases()[0], PhaseName::Open);
    assert_eq!(pair.balances(0), [3, 7]);
}

#[test]
fn a_refused_update_that_is_shown_while_the_next_is_on_its_way_pays_once() {
    for finishes in [false, true] {
        let mut pair = Pair::open(5, 5);
        let shown = refused_and_signed(&mut pair);
        pair.pay(0, 2);
        pair.forge(1, shown).unwrap();
        assert_eq!(pair.phases()[0], PhaseName::Disputing);
        if finishes {
            let (_, bytes) = pair.net.next().unwrap();
            let message =
                <perun_protocol::Message as perun_channel::codec::Decode>::from_bytes(&bytes);
            let Body::Update { state, .. } = message.unwrap().body else { panic!("an update") };
            let signature =
                pair.nodes[1].signer.sign(&perun_protocol::Crypto::digest(&pair.keys, &state));
            let version = state.version();
            pair.forge(1, Body::Ack { version, wants_turn: false, signature }).unwrap();
        }
        pair.nodes[1].is_silent = true;
        pair.settle().wait();
        assert_eq!(pair.payout(0), Some(3));
    }
}
