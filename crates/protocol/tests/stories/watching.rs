//! A tower: it answers older registrations with what it was given, once, and can do nothing else.

use perun_channel::{Amount, SignedState, State};
use perun_protocol::watch::{Mandate, Watch, WatchEffect, WatchInput, WatchRefusal};
use perun_protocol::{Digest, Effect, LedgerTime, Sighting, Slot, Standing, Target, Time};

use crate::ledger::JOINT;
use crate::pair::{Pair, index};

const RETRY: u64 = 60;

fn target(pair: &Pair) -> Target {
    let watch = pair.nodes[1].effects.iter().find_map(|effect| match effect {
        Effect::Watch(target) => Some(target.clone()),
        _ => None,
    });
    watch.unwrap()
}

fn state(pair: &Pair, version: u64) -> State {
    let base = &pair.nodes[1].machine.agreed().unwrap().state;
    let outcome = base.outcome().transfer(0, 1, 0, Amount::new(version.into())).unwrap();
    base.at_version(perun_channel::Version::new(version), outcome)
}

fn mandate(pair: &Pair, version: u64) -> Mandate {
    let state = state(pair, version);
    let digest = Digest::new(state.digest());
    let signatures = pair.nodes.iter().map(|node| node.signer.sign(&digest)).collect();
    let authorisation = pair.nodes[1].signer.sign(&digest);
    Mandate { signed: SignedState::from_checked(state, signatures), authorisation }
}

fn registered(pair: &Pair, version: u64) -> WatchInput {
    let state = state(pair, version);
    let by = Slot { participant: index(0), delegate: false };
    let standing =
        Standing::Registered { state: state.clone(), by, until: LedgerTime::new(9), proof: None };
    WatchInput::Ledger(Sighting { ledger: JOINT, channel: *state.id(), standing, confirmed: false })
}

/// Steps and applies; gives the versions that are submitted, each with its attempt.
fn feed(watch: &mut Watch, now: u64, input: WatchInput) -> Result<Vec<(u64, u32)>, WatchRefusal> {
    let step = watch.step(Time::new(now), RETRY, input)?;
    step.records.iter().for_each(|record| watch.apply(record));
    let submitted = step.effects.into_iter().filter_map(|effect| match effect {
        WatchEffect::Register { mandate, slot, attempt, .. } => {
            assert!(slot.delegate && slot.participant == index(1), "only the client's other right");
            Some((mandate.signed.state().version().get(), attempt))
        }
        WatchEffect::Watch(_) => None,
    });
    Ok(submitted.collect())
}

#[test]
fn an_older_registration_is_answered_with_the_newest_mandate() {
    let pair = Pair::open(50, 50);
    let mut watch = Watch::new(target(&pair));
    assert_eq!(feed(&mut watch, 0, registered(&pair, 0)), Ok(vec![]), "nothing to answer with");
    assert_eq!(feed(&mut watch, 0, WatchInput::Entrust(mandate(&pair, 3))), Ok(vec![]));
    assert_eq!(feed(&mut watch, 0, WatchInput::Entrust(mandate(&pair, 5))), Ok(vec![]));
    assert_eq!(feed(&mut watch, 0, registered(&pair, 4)), Ok(vec![(5, 0)]));
    assert_eq!(feed(&mut watch, 1, registered(&pair, 4)), Ok(vec![]), "said once");
}

#[test]
fn an_answer_is_repeated_until_it_shows_and_after_a_restart() {
    let pair = Pair::open(50, 50);
    let mut watch = Watch::new(target(&pair));
    feed(&mut watch, 0, WatchInput::Entrust(mandate(&pair, 5))).unwrap();
    feed(&mut watch, 0, registered(&pair, 4)).unwrap();
    assert_eq!(watch.deadline(), Some(Time::new(RETRY)));
    assert_eq!(feed(&mut watch, RETRY - 1, WatchInput::Tick), Ok(vec![]));
    assert_eq!(feed(&mut watch, RETRY, WatchInput::Tick), Ok(vec![(5, 1)]));
    assert_eq!(feed(&mut watch, RETRY, WatchInput::Restart), Ok(vec![(5, 1)]));
    assert_eq!(feed(&mut watch, RETRY, registered(&pair, 5)), Ok(vec![]));
    assert_eq!(watch.deadline(), None);
}

#[test]
fn a_mandate_that_comes_during_a_dispute_is_used() {
    let pair = Pair::open(50, 50);
    let mut watch = Watch::new(target(&pair));
    feed(&mut watch, 0, WatchInput::Entrust(mandate(&pair, 3))).unwrap();
    feed(&mut watch, 0, registered(&pair, 2)).unwrap();
    assert_eq!(feed(&mut watch, 0, WatchInput::Entrust(mandate(&pair, 5))), Ok(vec![(5, 0)]));
}

#[test]
fn a_newer_registration_is_left_alone() {
    let pair = Pair::open(50, 50);
    let mut watch = Watch::new(target(&pair));
    feed(&mut watch, 0, WatchInput::Entrust(mandate(&pair, 3))).unwrap();
    assert_eq!(feed(&mut watch, 0, registered(&pair, 3)), Ok(vec![]));
    assert_eq!(feed(&mut watch, 0, registered(&pair, 4)), Ok(vec![]));
}

#[test]
fn a_tower_takes_only_newer_states_of_its_channel() {
    let pair = Pair::open(50, 50);
    let mut watch = Watch::new(target(&pair));
    feed(&mut watch, 0, WatchInput::Entrust(mandate(&pair, 3))).unwrap();
    let older = feed(&mut watch, 0, WatchInput::Entrust(mandate(&pair, 3)));
    assert_eq!(older, Err(WatchRefusal::NotNewer));
    let mut other = target(&pair);
    other.id = perun_channel::ChannelId::new([3; 32]);
    let mut other = Watch::new(other);
    let foreign = feed(&mut other, 0, WatchInput::Entrust(mandate(&pair, 4)));
    assert_eq!(foreign, Err(WatchRefusal::OtherChannel));
}
