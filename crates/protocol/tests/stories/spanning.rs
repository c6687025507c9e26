//! A channel on two ledgers in court: whatever one of them shows, the newest state goes to both,
//! and each row is paid by its own.

use perun_channel::codec::Decode;
use perun_channel::{Amount, LedgerId, State};
use perun_protocol::{
    Agreed, Body, Change, Changes, Command, Config, DeclineReason, Declined, Effect, Ending, Event,
    FailureReason, Input, LedgerBytes, LedgerTime, Message, Misuse, PaymentId, PeerProof,
    PhaseName, Record, Slot, Standing, TransactionId,
};

use crate::keys::Keys;
use crate::ledger::JOINT;
use crate::pair::{CHALLENGE, Pair, index};
use crate::span::{COIN, ETHER};
use crate::vault::VAULT;

/// Version 1: node 1 has paid 10 ether; version 2: node 0, whose turn it is, has paid 2 coins.
fn paid() -> Pair {
    let mut pair = Pair::span([50, 50], [90, 90]);
    pair.pay_in(1, ETHER, 10).settle().pay_in(0, COIN, 2).settle();
    assert_eq!([pair.version(0), pair.version(1)], [2, 2]);
    pair
}

/// What both have when version 2 is paid on both ledgers.
const FAIR: [[i128; 2]; 2] = [[-2, 10], [2, -10]];

fn gains(pair: &Pair) -> [[i128; 2]; 2] {
    [pair.gains(0), pair.gains(1)]
}

/// The versions that a node has ordered to be registered on a ledger.
fn registered(pair: &Pair, place: usize, ledger: LedgerId) -> Vec<u64> {
    let effects = pair.nodes[place].effects.iter();
    let versions = effects.filter_map(|effect| match effect {
        Effect::Register { target, agreed, .. } if target.ledger == ledger => {
            Some(agreed.state.version().get())
        }
        _ => None,
    });
    versions.collect()
}

/// A state that a node once had complete, with the other's signature.
fn complete(pair: &Pair, place: usize, version: u64) -> Agreed {
    let (mut found, mut flying, mut initial) = (None, None, None);
    for record in pair.nodes[place].journal.iter().map(|it| Record::from_bytes(it).unwrap()) {
        let newest = match record {
            Record::Assembled { assembly, .. } => {
                initial = Some(assembly.initial);
                None
            }
            Record::Signed { proof, .. } => {
                Some(Agreed { state: initial.clone().unwrap(), proof: Some(proof) })
            }
            Record::UpdateProposed { state, digest, .. } => {
                flying = Some((state, digest));
                None
            }
            Record::Completed { signature, .. } => {
                let (state, digest) = flying.take().unwrap();
                Some(Agreed { state, proof: Some(PeerProof { digest, signature }) })
            }
            Record::Countersigned { offer } => {
                Some(Agreed::signed(offer.state, offer.digest, offer.signature))
            }
            _ => None,
        };
        found = newest.filter(|it| it.state.version().get() == version).or(found);
    }
    found.unwrap()
}

/// Node `place` registers an old state on one ledger.
fn cheat(pair: &mut Pair, place: usize, ledger: LedgerId, version: u64) {
    let agreed = complete(pair, place, version);
    let id = *agreed.state.id();
    if ledger == VAULT {
        let own = pair.sign(place, &agreed.proof.as_ref().unwrap().digest);
        pair.vault.register(place, id, &agreed, own);
    } else {
        pair.ledger.register(&id, &agreed, &slot(place));
    }
    pair.report();
    pair.settle();
}

fn slot(place: usize) -> Slot {
    Slot { participant: index(place), delegate: false }
}

/// Node 1 signs the update that is on its way and says nothing: what it can put on a ledger.
fn countersigned(pair: &mut Pair) -> Agreed {
    let (place, bytes) = pair.net.next().unwrap();
    let message = Message::from_bytes(&bytes).unwrap();
    assert!(matches!(message.body, Body::Update { .. }));
    pair.feed(place, Input::Message(message)).unwrap();
    pair.net.drop_all();
    pair.nodes[1].machine.agreed().unwrap().clone()
}

#[test]
fn a_dispute_registers_the_newest_state_on_every_ledger() {
    let mut pair = paid();
    pair.nodes[1].is_silent = true;
    pair.user(0, Command::Dispute).settle();
    assert_eq!(registered(&pair, 0, JOINT), [2]);
    assert_eq!(registered(&pair, 0, VAULT), [2]);
    pair.wait();
    assert_eq!(pair.phases()[0], PhaseName::Settled);
    assert_eq!(gains(&pair), FAIR);
}

/// An old state on one ledger, and nothing on the other.
#[test]
fn an_old_state_on_one_ledger_is_answered_on_all() {
    for (ledger, other) in [(VAULT, JOINT), (JOINT, VAULT)] {
        for version in 0..2 {
            let mut pair = paid();
            pair.nodes[1].is_silent = true;
            cheat(&mut pair, 1, ledger, version);
            assert_eq!(registered(&pair, 0, ledger), [2], "it is answered");
            assert_eq!(registered(&pair, 0, other), [2], "and nothing is left to the cheat");
            pair.wait();
            assert_eq!(gains(&pair), FAIR);
        }
    }
}

#[test]
fn the_newest_on_one_ledger_does_not_hide_an_old_one_on_the_other() {
    let mut pair = paid();
    pair.nodes[1].is_silent = true;
    cheat(&mut pair, 1, JOINT, 2);
    cheat(&mut pair, 1, VAULT, 0);
    pair.wait();
    assert_eq!(gains(&pair), FAIR);
}

/// What one ledger publishes completes our update; the other gets it from us.
#[test]
fn a_newer_state_that_one_ledger_publishes_is_registered_on_the_others() {
    for in_court in [false, true] {
        let mut pair = paid();
        pair.pay_in(0, COIN, 3);
        let newer = countersigned(&mut pair);
        assert_eq!([pair.version(0), newer.state.version().get()], [2, 3]);
        pair.nodes[1].is_silent = true;
        if in_court {
            pair.vault.is_deaf = true;
            pair.user(0, Command::Dispute).settle();
            pair.vault.is_deaf = false;
        }
        let own = pair.sign(1, &newer.proof.as_ref().unwrap().digest);
        pair.vault.register(1, *newer.state.id(), &newer, own);
        pair.report();
        pair.settle();
        assert_eq!(pair.version(0), 3);
        assert_eq!(registered(&pair, 0, JOINT).last(), Some(&3));
        assert!(pair.saw(0, |event| *event == Event::PaymentSent(PaymentId::new(2))));
        pair.revive(0);
        pair.settle().wait();
        assert_eq!(gains(&pair), [[-5, 10], [5, -10]]);
    }
}

/// A node of a ledger that lies, and a peer that helps it: what we did not sign is not ours.
#[test]
fn a_state_that_a_ledger_shows_without_both_signatures_is_not_taken_over() {
    let mut pair = paid();
    let base = pair.nodes[0].machine.agreed().unwrap().state.clone();
    let outcome = base.outcome().transfer(0, 1, 0, Amount::new(48)).unwrap();
    let state = base.successor(outcome).unwrap();
    let digest = perun_protocol::Digest::new(state.digest());
    let [ours, theirs] = [0, 1].map(|place| pair.sign(place, &digest));
    let foreign = pair.sign(0, &perun_protocol::Digest::new([7; 32]));
    let until = LedgerTime::new(1 << 40);
    for proof in [None, Some([theirs, theirs]), Some([foreign, theirs]), Some([ours, foreign])] {
        let standing = Standing::Registered { state: state.clone(), by: slot(1), until, proof };
        pair.sees(0, VAULT, standing);
        assert_eq!(pair.version(0), 2);
    }
    assert!(registered(&pair, 0, JOINT).iter().all(|version| *version == 2));
    assert!(registered(&pair, 0, VAULT).is_empty(), "a newer one needs no answer");
}

/// The ledger with the shared transaction publishes no signature that another would take. The peer
/// can so take what we gave it there, and nothing else: a row is never paid from the other side.
#[test]
fn rows_may_be_settled_by_different_states_and_the_payer_loses_what_it_paid_at_most() {
    let mut pair = paid();
    pair.pay_in(0, COIN, 3);
    let newer = countersigned(&mut pair);
    pair.nodes[1].is_silent = true;
    pair.ledger.register(newer.state.id(), &newer, &slot(1));
    pair.report();
    pair.settle().wait();
    assert_eq!(pair.phases()[0], PhaseName::Settled);
    let outcomes = pair.nodes[0].events.iter().find_map(|event| match event {
        Event::Settled { outcomes, own } => Some((outcomes.clone(), own.clone())),
        _ => None,
    });
    let (outcomes, own) = outcomes.unwrap();
    let versions = outcomes.iter().map(|it| (it.ledger, it.state.version().get()));
    assert_eq!(versions.collect::<Vec<_>>(), [(JOINT, 3), (VAULT, 2)]);
    assert_eq!(own, [Amount::new(50 - 2 - 3), Amount::new(90 + 10)]);
    assert!(pair.saw(0, |event| *event == Event::PaymentSent(PaymentId::new(2))));
}

/// One update with a payment on each ledger, of which one ledger settles it and the other the state
/// before: each payment is told by its own ledger.
#[test]
fn each_payment_is_told_by_the_ledger_of_its_asset() {
    let mut pair = Pair::span([50, 50], [90, 90]);
    // The first waits for its answer; the next two go together.
    pair.pay_in(0, COIN, 1).pay_in(0, COIN, 2).pay_in(0, ETHER, 3);
    for _ in 0..2 {
        let (place, bytes) = pair.net.next().unwrap();
        pair.feed(place, Input::Message(Message::from_bytes(&bytes).unwrap())).unwrap();
    }
    let newer = countersigned(&mut pair);
    assert_eq!([pair.version(0), newer.state.version().get()], [1, 2]);
    pair.nodes[1].is_silent = true;
    pair.ledger.register(newer.state.id(), &newer, &slot(1));
    pair.report();
    pair.settle().wait();
    assert_eq!(gains(&pair), [[-3, 0], [3, 0]]);
    assert!(pair.saw(0, |event| *event == Event::PaymentSent(PaymentId::new(2))));
    let (id, why) = (PaymentId::new(3), FailureReason::Superseded);
    assert!(pair.saw(0, |event| *event == Event::PaymentFailed { id, why }));
}

/// Both signed a final state; one ledger has paid it, and the other does not listen.
fn closing() -> Pair {
    let mut pair = paid();
    (pair.ledger.is_deaf, pair.vault.is_deaf) = (true, true);
    pair.user(0, Command::Close).settle();
    assert_eq!(pair.phases(), [PhaseName::Closing; 2]);
    pair.ledger.is_deaf = false;
    pair.pass_time();
    assert_eq!(pair.phases(), [PhaseName::Closing; 2]);
    pair
}

#[test]
fn a_close_is_paid_by_every_ledger_and_told_once() {
    let mut pair = closing();
    let settled = |event: &Event| matches!(event, Event::Settled { .. });
    fn on(ledger: LedgerId) -> impl Fn(&Event) -> bool {
        move |event| match event {
            Event::LedgerSettled(settlement) => settlement.ledger == ledger,
            _ => false,
        }
    }
    assert!(pair.saw(0, on(JOINT)) && !pair.saw(0, on(VAULT)) && !pair.saw(0, settled));
    // The slow one takes none of three submissions, then a dispute with the final state.
    pair.pass_time();
    pair.pass_time();
    assert_eq!(pair.phases(), [PhaseName::Disputing; 2]);
    assert!(registered(&pair, 0, JOINT).is_empty(), "what is settled is not disputed");
    pair.vault.is_deaf = false;
    pair.wait();
    assert_eq!(pair.phases(), [PhaseName::Settled; 2]);
    assert_eq!(gains(&pair), FAIR);
    for place in 0..2 {
        assert_eq!(pair.nodes[place].events.iter().filter(|event| settled(event)).count(), 1);
        pair.nodes[place].events.clear();
        pair.revive(place);
        assert_eq!(pair.nodes[place].events.iter().filter(|event| settled(event)).count(), 1);
        assert!(pair.saw(place, on(JOINT)) && pair.saw(place, on(VAULT)));
    }
}

/// One ledger is reorganised, the other stands.
#[test]
fn a_registration_that_one_ledger_takes_back_is_made_again_there_only() {
    for standing in [Standing::Open, Standing::Absent] {
        let mut pair = paid();
        pair.nodes[1].is_silent = true;
        pair.user(0, Command::Dispute).settle();
        pair.sees(0, VAULT, standing);
        assert_eq!(registered(&pair, 0, VAULT), [2, 2]);
        assert_eq!(registered(&pair, 0, JOINT), [2]);
    }
    let mut pair = paid();
    pair.nodes[1].is_silent = true;
    pair.user(0, Command::Dispute).settle().wait();
    pair.sees(0, VAULT, Standing::Open);
    assert_eq!(pair.phases()[0], PhaseName::Disputing, "even after all was settled");
    assert_eq!(registered(&pair, 0, JOINT), [2]);
}

/// Challenges end by each ledger's own clock.
#[test]
fn a_slow_ledger_holds_up_only_its_own_rows() {
    let mut pair = paid();
    pair.nodes[1].is_silent = true;
    pair.user(0, Command::Dispute).settle();
    let late = LedgerTime::new(pair.ledger.now.get() + CHALLENGE);
    pair.ledger.now = late;
    pair.feed(0, Input::LedgerClock { ledger: JOINT, now: late }).unwrap();
    pair.settle();
    assert_eq!(pair.phases()[0], PhaseName::Registered, "the least advanced of both");
    let concluded = |effect: &Effect| matches!(effect, Effect::Conclude { .. });
    assert_eq!([pair.ordered(0, JOINT, concluded), pair.ordered(0, VAULT, concluded)], [1, 0]);
    assert!(pair.saw(0, |event| matches!(event, Event::LedgerSettled(_))));
    pair.wait();
    assert_eq!(gains(&pair), FAIR);
}

/// We were away for the whole challenge on a ledger where it ends once: what stands there is paid
/// out, for nothing else will ever be.
#[test]
fn an_outcome_that_stands_is_paid_out_even_if_it_is_not_the_newest() {
    let mut pair = paid();
    pair.vault.is_deaf = true;
    pair.nodes[1].is_silent = true;
    cheat(&mut pair, 1, VAULT, 0);
    pair.advance(CHALLENGE + 1);
    pair.vault.is_deaf = false;
    pair.wait();
    assert_eq!(pair.phases()[0], PhaseName::Settled);
    assert_eq!(gains(&pair), [[-2, 0], [2, 0]], "the payment on that ledger is lost");
}

#[test]
fn a_channel_that_is_spent_on_one_ledger_is_disputed_on_the_others() {
    let mut pair = paid();
    pair.nodes[1].is_silent = true;
    let transaction = TransactionId::new([8; 32]);
    pair.sees(0, JOINT, Standing::Spent { transaction });
    let alarm = Event::LedgerVoid { ledger: JOINT, ending: Ending::Spent { transaction } };
    assert!(pair.saw(0, |event| *event == alarm));
    assert_eq!(registered(&pair, 0, VAULT), [2]);
    pair.settle().wait();
    assert_eq!(pair.phases()[0], PhaseName::Settled);
    assert_eq!(pair.gains(0)[1], 10);
    pair.nodes[0].events.clear();
    pair.revive(0);
    assert!(pair.saw(0, |event| *event == alarm), "and again after a restart");
}

#[test]
fn a_frozen_channel_is_defended_on_every_ledger_once_one_shows_a_dispute() {
    let mut pair = paid();
    pair.feed(0, Input::JournalRolledBack).unwrap();
    assert_eq!(pair.phases()[0], PhaseName::Frozen);
    pair.nodes[1].is_silent = true;
    cheat(&mut pair, 1, VAULT, 0);
    assert_eq!([registered(&pair, 0, JOINT), registered(&pair, 0, VAULT)], [[2], [2]]);
    pair.wait();
    assert_eq!(gains(&pair), FAIR);
    let mut pair = paid();
    pair.feed(0, Input::JournalRolledBack).unwrap();
    pair.user(0, Command::Dispute).settle().wait();
    assert_eq!(gains(&pair), FAIR);
}

#[test]
fn a_user_who_does_not_wait_for_a_close_disputes_where_it_is_not_paid() {
    let mut pair = closing();
    pair.user(0, Command::Dispute);
    assert_eq!([registered(&pair, 0, JOINT).len(), registered(&pair, 0, VAULT).len()], [0, 1]);
    let misuse = pair.feed(0, Input::Command(Command::Dispute));
    assert_eq!(misuse, Err(Declined::Misuse(Misuse::NotNow)));
}

#[test]
fn a_late_acknowledgement_improves_what_is_registered_everywhere() {
    let mut pair = paid();
    pair.pay_in(0, COIN, 3);
    let (place, bytes) = pair.net.next().unwrap();
    pair.feed(place, Input::Message(Message::from_bytes(&bytes).unwrap())).unwrap();
    let late = pair.net.next().unwrap().1;
    pair.ledger.is_deaf = true;
    pair.vault.is_deaf = true;
    pair.user(0, Command::Dispute);
    pair.feed(0, Input::Message(Message::from_bytes(&late).unwrap())).unwrap();
    assert_eq!([registered(&pair, 0, JOINT), registered(&pair, 0, VAULT)], [[2, 3], [2, 3]]);
}

#[test]
fn a_channel_on_several_ledgers_is_not_resized() {
    let mut pair = paid();
    let deposit = Change::Deposit { amount: Amount::new(1) };
    let row = || [deposit.clone(), Change::Keep {}];
    let changes = Changes::new(vec![row(), row()]).unwrap();
    let (chain, contribution) = (LedgerBytes::default(), LedgerBytes::default());
    let command = Command::Resize {
        changes: changes.clone(),
        chain: chain.clone(),
        contribution: contribution.clone(),
    };
    let misuse = pair.feed(0, Input::Command(command));
    assert_eq!(misuse, Err(Declined::Misuse(Misuse::Ledgers)));
    pair.forge(0, Body::ProposeResize { changes, chain, contribution }).unwrap();
    let declined = pair.net.log.iter().rev().find_map(|(to, bytes)| {
        match Message::from_bytes(bytes).unwrap().body {
            Body::Decline { reason } => Some((*to, reason)),
            _ => None,
        }
    });
    assert_eq!(declined, Some((0, DeclineReason::Ledgers {})));
}

#[test]
fn a_peer_that_keeps_a_final_state_gains_nothing_on_either_ledger() {
    let config = Config { accept_close: false, ..Config::default() };
    let mut pair = Pair::with(Keys::Symbolic, [config; 2]);
    pair.propose_span([50, 50], [90, 90]).settle();
    pair.pay_in(0, COIN, 2).settle();
    pair.users_answer = false;
    pair.user(0, Command::Close).settle();
    let last: State = match pair.net.log.last().map(|(_, it)| Message::from_bytes(it).unwrap().body)
    {
        Some(Body::Update { state, .. }) => state,
        other => panic!("{other:?}"),
    };
    assert!(last.is_final());
    let signature = pair.sign(0, &perun_protocol::Digest::new(last.digest()));
    pair.nodes[1].is_silent = true;
    pair.pass_time();
    assert_eq!(pair.phases()[0], PhaseName::Registered);
    let digest = perun_protocol::Digest::new(last.digest());
    let final_state = Agreed::signed(last.clone(), digest, signature);
    let own = pair.sign(1, &digest);
    pair.vault.register(1, *last.id(), &final_state, own);
    pair.report();
    pair.settle();
    assert_eq!(registered(&pair, 0, JOINT).last(), Some(&last.version().get()));
    pair.wait();
    assert_eq!(gains(&pair), [[-2, 0], [2, 0]]);
}
