//! What a crowd of strangers without money can do to a house: nothing that lasts.

mod scene;

use perun_channel::codec::{Decode, Encode};
use perun_node::{House, LedgerError, NodeError, NodeEvent, UserEvent};
use perun_protocol::{
    Body, Command, DeclineReason, Event, Funding, LedgerTerms, Memo, Message, PerLedger, PhaseName,
    Record, Standing, Terms, Time,
};
use perun_store::{Batch, StreamId};
use scene::{Scene, name, peer, proposal, receipt};

/// What one peer may have at once.
const PER_PEER: u32 = 256;

/// Five strangers, 256 proposals each, whose deadlines pass while the node does one tick. One batch
/// of the store holds fewer records than that.
#[test]
fn many_proposals_that_expire_together_do_not_stop_the_node() {
    let scene = Scene::default();
    let (mut house, _) = scene.house().unwrap();
    let (now, receipt) = (Time::new(1_000), receipt());
    for number in 0..5 * PER_PEER {
        house.message(now, peer(number / PER_PEER), receipt, &proposal(number, 0, 0));
        if house.round_is_full() {
            house.finish_round(now).unwrap();
        }
    }
    house.finish_round(now).unwrap();
    let later = Time::new(1_000 + 601);
    house.restart(later).unwrap();
    house.tick(later).unwrap();
    assert_eq!(house.deadline(), None, "all have run out");
    let declines = scene.letters.lock().unwrap().len();
    assert_eq!(declines, 5 * usize::try_from(PER_PEER).unwrap(), "every peer was told");
    drop(house);
    let (mut house, _) = scene.house().unwrap();
    house.restart(later).unwrap();
    house.tick(later).unwrap();
}

/// A house that is to answer by itself starts on 1,280 questions: the answers make several rounds.
#[test]
fn many_questions_that_are_answered_together_do_not_stop_the_node() {
    let mut scene = Scene::default();
    let (mut house, _) = scene.house().unwrap();
    let (now, receipt) = (Time::new(1_000), receipt());
    for number in 0..5 * PER_PEER {
        house.message(now, peer(number / PER_PEER), receipt, &proposal(number, 0, 0));
        house.finish_round(now).unwrap();
    }
    drop(house);
    scene.answers = true;
    let (mut house, _) = scene.house().unwrap();
    house.restart(now).unwrap();
    assert_eq!(scene.reasons().len(), 5 * usize::try_from(PER_PEER).unwrap());
    assert_eq!(house.deadline(), None, "all are answered");
}

/// What the ledger is to read of a proposal could be 131,070 bytes; a real one has five hundred in
/// all, and one of 60 small cells three thousand.
#[test]
fn a_proposal_of_a_length_that_no_wallet_needs_is_declined_and_not_remembered() {
    let scene = Scene::default();
    let (mut house, _) = scene.house().unwrap();
    let (now, receipt) = (Time::new(1_000), receipt());
    house.message(now, peer(0), receipt, &proposal(0, 65_535, 65_535));
    house.message(now, peer(0), receipt, &proposal(1, 0, 17_000));
    house.message(now, peer(0), receipt, &proposal(2, 0, 12_000));
    house.finish_round(now).unwrap();
    assert_eq!(scene.reasons(), [DeclineReason::Terms {}, DeclineReason::Terms {}]);
    assert_eq!(scene.streams(), 1);
}

/// Strangers propose until the journal is nearly full: then they are declined, and the node goes
/// on. When what they asked for has run out, there is room again.
#[test]
fn proposals_do_not_fill_the_journal() {
    let mut scene = Scene::default();
    scene.limit = Some(1 << 20);
    let (mut house, _) = scene.house().unwrap();
    let (now, receipt) = (Time::new(1_000), receipt());
    for number in 0..150 {
        house.message(now, peer(number), receipt, &proposal(number, 0, 10_000));
        house.finish_round(now).unwrap();
    }
    let declined = scene.reasons();
    assert!(declined.len() > 50, "{} of 150", declined.len());
    assert!(declined.iter().all(|reason| *reason == DeclineReason::Busy {}));
    let wanted = scene.open(&mut house, 7_777);
    assert!(matches!(wanted, Err(NodeError::JournalNearlyFull)), "{wanted:?}");
    let later = Time::new(1_000 + 601);
    house.tick(later).unwrap();
    house.message(later, peer(999), receipt, &proposal(999, 0, 10_000));
    house.finish_round(later).unwrap();
    assert_eq!(house.status(name(999)).unwrap().phase, PhaseName::Deciding);
    let wanted = scene.open(&mut house, 7_777);
    assert!(matches!(wanted, Err(NodeError::Ledger(_))), "it goes on to the ledger: {wanted:?}");
}

/// A journal that is full to the brim still takes what has to be remembered: as snapshots, which
/// replace more than they take.
#[test]
fn a_full_journal_still_takes_what_must_be_remembered() {
    let mut scene = Scene::default();
    let (mut house, _) = scene.house().unwrap();
    let (now, receipt) = (Time::new(1_000), receipt());
    for number in 0..40 {
        house.message(now, peer(number), receipt, &proposal(number, 0, 4_000));
    }
    house.finish_round(now).unwrap();
    drop(house);
    scene.limit = Some(scene.opened().journal.live_bytes() - 1_000);
    let (mut house, _) = scene.house().unwrap();
    let later = Time::new(1_000 + 601);
    house.restart(later).unwrap();
    house.tick(later).unwrap();
    drop(house);
    let (house, _) = scene.house().unwrap();
    assert!((0..40).all(|number| phase(&house, number) == Some(PhaseName::Over)));
}

/// A program that took no snapshots may have left a journal full of records; it has room again as
/// soon as it is opened.
#[test]
fn a_journal_that_was_left_full_of_records_has_room_again() {
    let mut scene = Scene::default();
    let (mut house, _) = scene.house().unwrap();
    let (now, receipt) = (Time::new(1_000), receipt());
    house.message(now, peer(1), receipt, &proposal(1, 0, 100));
    house.finish_round(now).unwrap();
    drop(house);
    let opened = scene.opened();
    let stream = StreamId(*name(1).as_bytes());
    // They say nothing here, like most records of a long life.
    let entry = [vec![1], Record::PeerReady {}.to_bytes()].concat();
    for _ in 0..10 {
        let batch = (0..1_000).fold(Batch::new(), |batch, _| batch.record(stream, entry.clone()));
        let _ = opened.journal.commit(batch, ()).unwrap();
    }
    scene.limit = Some(opened.journal.live_bytes());
    drop(opened);
    let (mut house, _) = scene.house().unwrap();
    house.restart(now).unwrap();
    house.message(now, peer(2), receipt, &proposal(2, 0, 100));
    house.finish_round(now).unwrap();
    assert!(scene.reasons().is_empty());
    drop(house);
    let (house, _) = scene.house().unwrap();
    assert_eq!([1, 2].map(|number| phase(&house, number)), [Some(PhaseName::Deciding); 2]);
}

/// What came to nothing is a hundred bytes, and only the newest of it is kept.
#[test]
fn what_strangers_leave_behind_is_forgotten() {
    const KEPT: usize = 1_024;
    let scene = Scene::default();
    let (mut house, _) = scene.house().unwrap();
    let receipt = receipt();
    for round in 0..3 {
        let now = Time::new(1_000 + 1_000 * u64::from(round));
        for number in 600 * round..600 * (round + 1) {
            house.message(now, peer(number / 200), receipt, &proposal(number, 0, 100));
            house.finish_round(now).unwrap();
        }
        house.tick(now.after(601)).unwrap();
    }
    assert_eq!(scene.letters.lock().unwrap().len(), 1_800, "each was told before it was forgotten");
    assert_eq!((phase(&house, 0), phase(&house, 1_799)), (None, Some(PhaseName::Over)));
    drop(house);
    assert_eq!(scene.streams(), KEPT);
    let bytes = scene.opened().journal.live_bytes();
    assert!(bytes < 150 * u64::try_from(KEPT).unwrap(), "{bytes} bytes");
}

/// A peer with all its places taken gives one up and asks anew in one breath: what it gave up is
/// not forgotten before our user was told.
#[test]
fn a_place_is_free_only_when_everybody_was_told() {
    let scene = Scene::default();
    let (mut house, heard) = scene.house().unwrap();
    let (now, receipt) = (Time::new(1_000), receipt());
    for number in 0..PER_PEER {
        house.message(now, peer(1), receipt, &proposal(number, 0, 0));
        house.finish_round(now).unwrap();
    }
    let body = Body::Decline { reason: DeclineReason::User {} };
    let given_up = Message { opening: name(0), body }.to_bytes();
    house.message(now, peer(1), receipt, &given_up);
    house.message(now, peer(1), receipt, &proposal(PER_PEER, 0, 0));
    house.finish_round(now).unwrap();
    let is_end = |event: &UserEvent| match event {
        UserEvent::Channel(what) => matches!(**what, Event::Ended(_)),
        _ => false,
    };
    assert_eq!(heard.try_iter().filter(|told| is_end(&told.event)).count(), 1);
    house.message(now, peer(1), receipt, &proposal(PER_PEER, 0, 0));
    house.finish_round(now).unwrap();
    assert_eq!(phase(&house, PER_PEER), Some(PhaseName::Deciding));
}

/// Nobody would put anything in on a ledger that we do not have, and a ledger that is funded in
/// another way than the terms say would be opened by the wrong rules.
#[test]
fn terms_of_ledgers_that_we_do_not_have_so_are_declined() {
    let mut scene = Scene::default();
    scene.answers = true;
    let (mut house, heard) = scene.house().unwrap();
    let (now, receipt) = (Time::new(1_000), receipt());
    let spoils: [fn(&mut Terms); 2] = [
        |terms| {
            let assets = vec![perun_channel::Asset::ckb(2)];
            let balances = terms.outcome.balances().to_vec();
            terms.outcome = perun_channel::Allocation::new(assets, balances, vec![]).unwrap();
            let ledger = terms.outcome.ledgers()[0];
            let theirs = terms.ledgers.get(0).unwrap().clone();
            terms.ledgers = PerLedger::one(LedgerTerms { ledger, ..theirs });
        },
        |terms| {
            let theirs = terms.ledgers.get(0).unwrap().clone();
            let funding = Funding::Deposit {};
            terms.ledgers = PerLedger::one(LedgerTerms { funding, ..theirs });
        },
    ];
    for (number, spoil) in (1..).zip(spoils) {
        let mut message = Message::from_bytes(&proposal(number, 0, 0)).unwrap();
        let Body::Propose { terms, .. } = &mut message.body else { panic!("a proposal") };
        spoil(terms);
        house.message(now, peer(number), receipt, &message.to_bytes());
        house.finish_round(now).unwrap();
    }
    assert_eq!(scene.reasons(), [DeclineReason::Terms {}, DeclineReason::Terms {}]);
    let said: Vec<_> = heard.try_iter().filter_map(trouble).collect();
    let [unknown, other] = &said[..] else { panic!("{said:?}") };
    assert!(unknown.contains("not among this node's ledgers"), "{unknown}");
    assert!(other.contains("in another way"), "{other}");
}

fn trouble(event: NodeEvent) -> Option<String> {
    match event.event {
        UserEvent::LedgerTrouble(text) => Some(text),
        _ => None,
    }
}

/// A node that is away is said to be so once. That the chain is another one than before is always
/// said.
#[test]
fn another_chain_is_always_said() {
    let scene = Scene::default();
    let (mut house, heard) = scene.house().unwrap();
    let (now, receipt) = (Time::new(1_000), receipt());
    house.message(now, peer(1), receipt, &proposal(1, 0, 0));
    house.finish_round(now).unwrap();
    let away = || LedgerError::Unavailable("away".into());
    let troubles = [away(), away(), LedgerError::OtherChain, away()];
    scene.troubles.lock().unwrap().extend(troubles);
    for _ in 0..5 {
        house.sync_ledgers(now).unwrap();
    }
    let said: Vec<_> = heard.try_iter().filter_map(trouble).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[1].contains("another chain than before"), "{said:?}");
}

/// In the last sixteenth of the journal no payment is taken, but the user can leave.
#[test]
fn a_nearly_full_journal_takes_no_payments_and_still_takes_a_close() {
    let mut scene = Scene::default();
    let (mut house, _) = scene.house().unwrap();
    let (now, receipt) = (Time::new(1_000), receipt());
    house.message(now, peer(1), receipt, &proposal(1, 0, 10_000));
    house.finish_round(now).unwrap();
    drop(house);
    scene.limit = Some(scene.opened().journal.live_bytes() + 100);
    let (mut house, _) = scene.house().unwrap();
    let paid = house.pay(now, name(1), 0, perun_channel::Amount::new(1), Memo::default());
    assert!(matches!(paid, Err(NodeError::JournalNearlyFull)), "{paid:?}");
    let declined = Command::Decline { reason: DeclineReason::User {} };
    house.command(now, name(1), declined).unwrap();
    house.finish_round(now).unwrap();
    assert_eq!(phase(&house, 1), Some(PhaseName::Over));
}

/// A proposal of our own that every node would decline is not made, and sets nothing aside.
#[test]
fn a_proposal_of_our_own_that_is_too_long_is_refused_before_it_is_sent() {
    let mut scene = Scene::default();
    scene.offers = Some(16 << 10);
    let (mut house, _) = scene.house().unwrap();
    let refused = scene.open(&mut house, 1).unwrap_err().to_string();
    assert!(refused.contains("nodes take 16384"), "{refused}");
    assert_eq!(*scene.released.lock().unwrap(), 1);
    assert!(house.status(name(1)).is_none());
}

/// Strangers take all places but those that are kept for the house's own user.
#[test]
fn strangers_do_not_take_the_users_places() {
    const PLACES: u32 = 4_096;
    const OWN: u32 = 512;
    let mut scene = Scene::default();
    scene.offers = Some(10);
    let (mut house, _) = scene.house().unwrap();
    let (now, receipt) = (Time::new(1_000), receipt());
    for number in 0..PLACES + 10 {
        house.message(now, peer(number / PER_PEER), receipt, &proposal(number, 0, 0));
        house.finish_round(now).unwrap();
    }
    assert_eq!(
        (phase(&house, PLACES - 1), phase(&house, PLACES)),
        (Some(PhaseName::Deciding), None)
    );
    for number in PLACES..PLACES + OWN {
        scene.open(&mut house, number).unwrap();
        house.finish_round(now).unwrap();
    }
    let beyond = scene.open(&mut house, PLACES + OWN);
    assert!(matches!(beyond, Err(NodeError::TooManyChannels { .. })), "{beyond:?}");
}

/// Strangers must not push out those with whom there is a channel; who only ever asked for one, or
/// whose channels are all settled, is a stranger too, or would take the place of the others.
#[test]
fn only_peers_of_living_channels_are_kept_from_being_pushed_out() {
    let scene = Scene::default();
    let kept = || scene.kept.lock().unwrap().iter().copied().collect::<Vec<_>>();
    let [first, second] = [1, 2].map(|number| scene.release(number, peer(1)));
    let aborted = scene.release(3, peer(3));
    let (mut house, _) = scene.house().unwrap();
    house.restart(Time::new(1_000)).unwrap();
    assert_eq!((phase(&house, 3), kept()), (Some(PhaseName::Released), vec![]));
    scene.see(&mut house, &aborted, Standing::Impossible);
    assert_eq!((phase(&house, 3), kept()), (Some(PhaseName::Over), vec![]));
    scene.see(&mut house, &first, Standing::Open);
    scene.see(&mut house, &second, Standing::Open);
    assert_eq!((phase(&house, 2), kept()), (Some(PhaseName::Open), vec![peer(1)]));
    scene.see(&mut house, &first, Standing::Closed { state: first.clone() });
    assert_eq!((phase(&house, 1), kept()), (Some(PhaseName::Settled), vec![peer(1)]));
    drop(house);
    scene.kept.lock().unwrap().clear();
    let (mut house, _) = scene.house().unwrap();
    house.restart(Time::new(1_000)).unwrap();
    assert_eq!(kept(), [peer(1)], "of the one that still lives");
    scene.see(&mut house, &second, Standing::Closed { state: second.clone() });
    assert_eq!((phase(&house, 2), kept()), (Some(PhaseName::Settled), vec![]));
    drop(house);
    let (mut house, _) = scene.house().unwrap();
    house.restart(Time::new(1_000)).unwrap();
    assert_eq!(kept(), []);
}

fn phase(house: &House, number: u32) -> Option<PhaseName> {
    house.status(name(number)).map(|status| status.phase)
}
