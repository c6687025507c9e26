//! What is not confirmed can be taken back: a registration or a conclusion that somebody else shows
//! in the newest blocks is no reason to wait (P1).

use perun_channel::codec::Decode;
use perun_channel::{State, Version};
use perun_protocol::{
    Body, Command, Effect, Input, LedgerTime, Message, PhaseName, Sighting, Slot, Standing, Time,
};

use crate::ledger::JOINT;
use crate::pair::{CHALLENGE, Pair, index};

const OURS: usize = 1;

fn slot(place: usize, delegate: bool) -> Slot {
    Slot { participant: index(place), delegate }
}

/// Node 1's newest state is version 1, and what it submits is lost.
fn paid() -> Pair {
    let mut pair = Pair::open(5, 5);
    pair.pay(0, 2).settle();
    pair.ledger.is_deaf = true;
    pair
}

/// A state of the channel with this version. The ledger has judged it, so the machine does not.
fn state(pair: &Pair, version: u64) -> State {
    let newest = &pair.nodes[OURS].machine.agreed().unwrap().state;
    newest.at_version(Version::new(version), newest.outcome().clone())
}

fn sees(pair: &mut Pair, standing: Standing, confirmed: bool) {
    let channel = pair.nodes[OURS].machine.id().unwrap();
    pair.feed(OURS, Input::Ledger(Sighting { ledger: JOINT, channel, standing, confirmed }))
        .unwrap();
}

/// Node 1 sees this version registered just now.
fn sees_registered(pair: &mut Pair, version: u64, by: Slot, confirmed: bool) {
    let until = LedgerTime::new(pair.ledger.now.get() + CHALLENGE);
    let state = state(pair, version);
    sees(pair, Standing::Registered { state, by, until, proof: None }, confirmed);
}

/// The peer's old state, in a block that is not confirmed.
fn sees_the_old_one(pair: &mut Pair) {
    sees_registered(pair, 0, slot(0, false), false);
}

/// A state as new as ours on top of it, by the same peer.
fn sees_the_veil(pair: &mut Pair) {
    sees_registered(pair, 1, slot(0, true), false);
}

/// What node 1 has submitted for registration: version, slot, how often before.
fn registrations(pair: &Pair) -> Vec<(u64, Slot, u32)> {
    let effects = pair.nodes[OURS].effects.iter();
    effects
        .filter_map(|effect| match effect {
            Effect::Register { agreed, slot, attempt, .. } => {
                Some((agreed.state.version().get(), slot.clone(), *attempt))
            }
            _ => None,
        })
        .collect()
}

fn conclusions(pair: &Pair) -> usize {
    pair.submitted(OURS, |effect| matches!(effect, Effect::Conclude { .. }))
}

/// The moment that node 1 waits for comes.
fn deadline_passes(pair: &mut Pair) {
    pair.now = pair.nodes[OURS].machine.deadline().unwrap();
    pair.feed(OURS, Input::Tick).unwrap();
}

fn deadline(pair: &Pair) -> Option<Time> {
    pair.nodes[OURS].machine.deadline()
}

#[test]
fn a_registration_is_repeated_until_one_as_new_is_confirmed() {
    let mut pair = paid();
    sees_the_old_one(&mut pair);
    sees_the_veil(&mut pair);
    assert_eq!(pair.phases()[OURS], PhaseName::Registered);
    for _ in 0..3 {
        deadline_passes(&mut pair);
    }
    let own = |attempt| (1, slot(OURS, false), attempt);
    assert_eq!(registrations(&pair), [own(0), own(1), own(2), own(3)]);
    pair.revive(OURS);
    assert_eq!(registrations(&pair).len(), 5, "a new process submits it again");
    let standing = Standing::Registered {
        state: state(&pair, 1),
        by: slot(0, true),
        until: LedgerTime::new(pair.ledger.now.get() + CHALLENGE),
        proof: None,
    };
    sees(&mut pair, standing.clone(), true);
    assert_eq!(deadline(&pair), None, "nothing is left to submit before the challenge is over");
    sees(&mut pair, standing, true);
    pair.revive(OURS);
    assert_eq!(registrations(&pair).len(), 5);
}

#[test]
fn our_own_registration_is_repeated_too_until_it_is_confirmed() {
    let mut pair = paid();
    pair.user(OURS, Command::Dispute);
    sees_registered(&mut pair, 1, slot(OURS, false), false);
    deadline_passes(&mut pair);
    let own = |attempt| (1, slot(OURS, false), attempt);
    assert_eq!(registrations(&pair), [own(0), own(1)], "through the same slot");
    sees_registered(&mut pair, 1, slot(OURS, false), true);
    assert_eq!(deadline(&pair), None);
}

#[test]
fn a_veil_that_is_taken_away_is_answered_at_once_every_time() {
    let mut pair = paid();
    for round in 1..5 {
        sees_the_old_one(&mut pair);
        assert_eq!(registrations(&pair).len(), round);
        sees_the_veil(&mut pair);
        assert_eq!(registrations(&pair).len(), round);
        pair.ledger.now = LedgerTime::new(pair.ledger.now.get() + 8);
    }
    let all_own = registrations(&pair).iter().all(|(_, by, _)| *by == slot(OURS, false));
    assert!(all_own, "what was never on the ledger has used up no slot");
}

#[test]
fn a_veil_that_is_renewed_does_not_put_off_our_registration() {
    let mut pair = paid();
    sees_the_old_one(&mut pair);
    let due = deadline(&pair);
    for _ in 0..5 {
        pair.now = pair.now.after(8);
        pair.ledger.now = LedgerTime::new(pair.ledger.now.get() + 8);
        sees_the_veil(&mut pair);
        assert_eq!(deadline(&pair), due);
    }
    deadline_passes(&mut pair);
    assert_eq!(registrations(&pair).len(), 2);
}

#[test]
fn an_old_state_that_we_never_saw_under_a_veil_is_answered_too() {
    let mut pair = paid();
    sees_the_veil(&mut pair);
    assert_eq!(pair.phases()[OURS], PhaseName::Registered);
    deadline_passes(&mut pair);
    assert_eq!(registrations(&pair).len(), 1);
}

#[test]
fn a_confirmed_registration_of_ours_is_not_repeated_under_a_newer_one() {
    let mut pair = paid();
    sees_registered(&mut pair, 1, slot(OURS, false), true);
    sees_registered(&mut pair, 2, slot(0, false), false);
    assert_eq!(deadline(&pair), None, "whatever becomes of the newer one, ours stays below it");
    sees_the_old_one(&mut pair);
    assert_eq!(registrations(&pair).len(), 1, "but nothing is for ever");
    sees_the_veil(&mut pair);
    assert!(deadline(&pair).is_some());
}

/// Node 1 disputed with version 1, and version 10 was completed late: its own slot may be used by
/// the older one.
fn completed_late(confirmed: bool) -> Pair {
    let mut pair = Pair::open(5, 5);
    pair.pay(OURS, 2).settle();
    let initial = pair.nodes[0].machine.agreed().unwrap().state.clone();
    let next_version = Version::new(10);
    for from in 0..2 {
        let claim = Body::Sync { state: initial.clone(), next_version, proof: None };
        pair.forge(from, claim).unwrap();
    }
    pair.net.drop_all();
    pair.pay(OURS, 1);
    let (place, bytes) = pair.net.next().unwrap();
    pair.feed(place, Input::Message(Message::from_bytes(&bytes).unwrap())).unwrap();
    let late = Message::from_bytes(&pair.net.next().unwrap().1).unwrap();
    pair.ledger.is_deaf = true;
    pair.user(OURS, Command::Dispute);
    sees_registered(&mut pair, 1, slot(OURS, false), confirmed);
    pair.feed(OURS, Input::Message(late)).unwrap();
    assert_eq!(pair.version(OURS), 10);
    let last = registrations(&pair).pop().unwrap();
    assert_eq!((last.0, last.1), (10, slot(OURS, true)), "our own slot is used");
    pair
}

#[test]
fn a_slot_that_was_used_stays_used_whoever_registers_next() {
    for confirmed in [true, false] {
        let mut pair = completed_late(confirmed);
        sees_registered(&mut pair, 5, slot(0, false), false);
        let last = registrations(&pair).pop().unwrap();
        assert_eq!((last.0, last.1), (10, slot(OURS, true)));
        deadline_passes(&mut pair);
        let last = registrations(&pair).pop().unwrap();
        assert_eq!((last.0, last.1), (10, slot(OURS, true)));
        pair.revive(OURS);
        let last = registrations(&pair).pop().unwrap();
        assert_eq!((last.0, last.1), (10, slot(OURS, true)));
    }
}

#[test]
fn a_slot_is_free_again_when_its_use_is_taken_back() {
    let mut pair = completed_late(false);
    sees_the_old_one(&mut pair);
    let last = registrations(&pair).pop().unwrap();
    assert_eq!((last.0, last.1), (10, slot(OURS, false)));
    let mut pair = completed_late(false);
    sees(&mut pair, Standing::Open, true);
    let last = registrations(&pair).pop().unwrap();
    assert_eq!((last.0, last.1), (10, slot(OURS, false)), "a delegate cannot begin a dispute");
    deadline_passes(&mut pair);
    let last = registrations(&pair).pop().unwrap();
    assert_eq!((last.0, last.1), (10, slot(OURS, false)));
}

#[test]
fn a_conclusion_is_repeated_until_it_is_confirmed() {
    for unpaid in [0, 1] {
        let mut pair = paid();
        sees_registered(&mut pair, 1, slot(0, false), true);
        let over = LedgerTime::new(pair.ledger.now.get() + CHALLENGE);
        pair.feed(OURS, Input::LedgerClock { ledger: JOINT, now: over }).unwrap();
        assert_eq!(conclusions(&pair), 1);
        let standing = Standing::Concluded { state: state(&pair, 1), unpaid, preimage: None };
        for repeated in 2..5 {
            sees(&mut pair, standing.clone(), false);
            assert_eq!(pair.phases()[OURS], PhaseName::Concluding);
            deadline_passes(&mut pair);
            assert_eq!(conclusions(&pair), repeated);
        }
        sees(&mut pair, standing, true);
        let end = if unpaid == 0 { PhaseName::Settled } else { PhaseName::Unpaid };
        assert_eq!(pair.phases()[OURS], end);
        assert_eq!(registrations(&pair), [], "a confirmed one as new as ours needs no other");
    }
}

#[test]
fn what_is_concluded_without_being_confirmed_is_registered_by_us_as_well() {
    let mut pair = paid();
    sees_the_veil(&mut pair);
    let until = LedgerTime::new(pair.ledger.now.get() + CHALLENGE);
    pair.feed(OURS, Input::LedgerClock { ledger: JOINT, now: until }).unwrap();
    deadline_passes(&mut pair);
    assert_eq!((conclusions(&pair), registrations(&pair).len()), (2, 1));
    let standing =
        Standing::Registered { state: state(&pair, 1), by: slot(0, true), until, proof: None };
    sees(&mut pair, standing, true);
    assert_eq!(pair.phases()[OURS], PhaseName::Concluding);
    deadline_passes(&mut pair);
    assert_eq!((conclusions(&pair), registrations(&pair).len()), (3, 1));
    sees_the_old_one(&mut pair);
    assert_eq!(registrations(&pair).len(), 2, "an old state is answered even now");
}
