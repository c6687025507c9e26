//! Houses that speak go-perun's language: each believes that the other one runs go-perun, and what
//! they say passes through go-perun's own encoding. The real contracts judge.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/evm.rs"]
mod evm;
mod flood;
mod hostile;
mod story;

use common::CHALLENGE_SECS;
use perun_channel::Version;
use perun_goperun::{AppState, Message, Serializer};
use perun_node::{NodeError, go_perun_peer_id};
use perun_protocol::{Command, Config, DeclineReason, Event, FailureReason, PhaseName};
use story::{OPENING, Story, milli, wrong_signature};

#[test]
fn they_open_pay_and_close_to_the_last_wei() {
    for serializer in [Serializer::Native, Serializer::Protobuf] {
        let mut story = Story::open(serializer);
        for _ in 0..5 {
            story.order(0, 10);
            story.rest();
            story.order(1, 3);
            story.rest();
        }
        assert_eq!([story.received(0), story.received(1)], [15, 50]);
        assert_eq!(story.state(0).version(), Version::new(10));
        story.command(1, Command::Close);
        story.until(PhaseName::Settled);
        assert_eq!(story.evm.gains(0), [milli(-35), 0]);
        assert_eq!(story.evm.gains(1), [milli(35), 0]);
        story.no_troubles();
    }
}

/// go-perun's funder waits for a `Deposited` of each asset's own holder.
#[test]
fn the_name_of_every_asset_tells_of_our_deposits() {
    let story = Story::open(Serializer::Native);
    let event = perun_channel::hash::keccak256(&[b"Deposited(bytes32,uint256)"]);
    let event: String = event.iter().map(|byte| format!("{byte:02x}")).collect();
    for asset in [story.evm.coin(), story.evm.token()] {
        let holder = asset.holder().to_string();
        let query = serde_json::json!([{
            "address": holder, "fromBlock": "0x0", "topics": [format!("0x{event}")],
        }]);
        let logs = story.evm.chain.request("eth_getLogs", query).unwrap();
        assert_eq!(logs.as_array().unwrap().len(), 2, "one for each side: {logs}");
    }
}

#[test]
fn the_nonce_is_go_perun_s() {
    let mut story = Story::new(Serializer::Native);
    story.ask(0).unwrap();
    let Some(Message::LedgerProposal(proposal)) = story.word(0) else { panic!("a proposal") };
    story.hear(1, Message::LedgerProposal(proposal.clone()));
    let Some(Message::LedgerAccept(accept)) = story.word(1) else { panic!("an acceptance") };
    let shares = [proposal.base.nonce_share, accept.base.nonce_share];
    let people = [&proposal.participant, &accept.participant];
    let params = perun_channel::Params::new(
        CHALLENGE_SECS,
        perun_goperun::nonce(&shares),
        people.map(|party| party.participant().clone()).to_vec(),
    );
    let id = story.people[1].house.as_ref().unwrap().status(OPENING).unwrap().id;
    assert_eq!(id, Some(params.unwrap().id()));
}

/// What is ready first says so first: nothing of it may be lost.
#[test]
fn a_first_payment_may_come_before_we_see_the_channel() {
    let mut story = Story::new(Serializer::Native);
    story.ask(0).unwrap();
    story.rest();
    let now = story.now;
    while story.phases()[0] != PhaseName::Open {
        story.house(0).sync_ledgers(now).unwrap();
        if story.phases()[1] == PhaseName::Depositing && story.phases()[0] != PhaseName::Open {
            story.house(1).sync_ledgers(now).unwrap();
        }
        story.evm.chain.mine(1).unwrap();
        if story.phases() == [PhaseName::Open; 2] {
            break;
        }
    }
    if story.phases()[1] == PhaseName::Open {
        // Bob looked last; let Alice be the late one instead.
        story.order(1, 1);
    } else {
        story.order(0, 1);
    }
    story.rest();
    story.until(PhaseName::Open);
    assert_eq!(story.received(0) + story.received(1), 1);
}

#[test]
fn a_refused_payment_leaves_the_channel_as_it_was() {
    let mut story = Story::open(Serializer::Native);
    story.order(0, 10);
    let Some(Message::Update(update)) = story.word(0) else { panic!("an update") };
    let state = update.state.state();
    let (channel, version) = (*state.id(), state.version());
    let reason = "not today".to_owned();
    story.hear(0, Message::UpdateReject { channel, version, reason });
    story.rest();
    let failed =
        |event: &Event| matches!(event, Event::PaymentFailed { why: FailureReason::Refused, .. });
    assert!(story.saw(0, failed));
    // Its version was filled, and payments go on after it.
    assert_eq!([story.state(0).version(), story.state(1).version()], [Version::new(1); 2]);
    story.order(1, 4);
    story.rest();
    story.order(0, 7);
    story.rest();
    assert_eq!([story.received(0), story.received(1)], [4, 7]);
}

#[test]
fn h14_payments_that_cross_are_both_made_in_the_end() {
    let mut story = Story::open(Serializer::Native);
    story.order(0, 10);
    story.order(1, 4);
    story.rest();
    // Both refused the other's, and both filled: the same content is both sides' answer.
    assert_eq!(story.state(0), story.state(1));
    story.order(0, 10);
    story.rest();
    story.order(1, 4);
    story.rest();
    assert_eq!([story.received(0), story.received(1)], [4, 10]);
}

#[test]
fn h14_what_is_no_update_of_this_channel_is_refused_at_once() {
    let mut story = Story::open(Serializer::Native);
    story.order(0, 10);
    let Some(Message::Update(update)) = story.word(0) else { panic!("an update") };
    let wrong = [
        perun_goperun::Update { actor: 1, ..update.clone() },
        perun_goperun::Update {
            state: AppState::new(
                perun_channel::Address::new([1; 20]),
                update.state.state().clone(),
            )
            .unwrap(),
            ..update.clone()
        },
        perun_goperun::Update { signature: wrong_signature(), ..update.clone() },
    ];
    for wrong in wrong {
        story.hear(1, Message::Update(wrong));
        assert!(matches!(story.word(1), Some(Message::UpdateReject { .. })));
    }
    assert_eq!(story.received(1), 0);
    story.hear(1, Message::Update(update));
    story.rest();
    assert_eq!(story.received(1), 10);
}

#[test]
fn what_we_do_not_open_is_rejected_with_a_reason() {
    let mut story = Story::new(Serializer::Native);
    story.ask(0).unwrap();
    let Some(Message::LedgerProposal(proposal)) = story.word(0) else { panic!("a proposal") };
    let of = |change: &dyn Fn(&mut perun_goperun::LedgerProposal)| {
        let mut other = proposal.clone();
        change(&mut other);
        Message::LedgerProposal(other)
    };
    let none = perun_channel::ChannelId::new([1; 32]);
    let wrong = [
        of(&|it| it.peers.reverse()),
        of(&|it| it.base.app = perun_channel::Address::new([1; 20])),
        of(&|it| it.base.funding[0].reverse()),
        of(&|it| it.base.challenge_secs = perun_channel::MIN_CHALLENGE_SECS - 1),
        Message::SubProposal(perun_goperun::SubProposal {
            base: proposal.base.clone(),
            parent: none,
        }),
    ];
    for message in wrong {
        story.hear(1, message);
        let answer = story.word(1);
        let Some(Message::ProposalReject { proposal: id, reason }) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!((id, reason.is_empty()), (proposal.base.id, false));
    }
}

#[test]
fn a_user_who_is_asked_accepts_or_declines() {
    let mut story = Story::new(Serializer::Native);
    story.people[1].accepts = false;
    story.start(1);
    let now = story.now;
    assert!(story.house(1).accept(now, OPENING).is_err(), "nobody has asked");
    story.ask(0).unwrap();
    story.rest();
    assert!(story.saw(1, |event| matches!(event, Event::ProposalReceived { .. })));
    assert_eq!(story.phases()[1], PhaseName::Deciding);
    story.house(1).accept(now, OPENING).unwrap();
    story.house(1).finish_round(now).unwrap();
    assert!(story.house(1).accept(now, OPENING).is_err(), "it was answered");
    story.rest();
    story.until(PhaseName::Open);

    let mut story = Story::new(Serializer::Native);
    story.people[1].accepts = false;
    story.start(1);
    story.ask(0).unwrap();
    story.rest();
    story.command(1, Command::Decline { reason: DeclineReason::User {} });
    assert_eq!(story.phases(), [PhaseName::Over; 2]);
}

#[test]
fn both_restart_at_every_word_of_opening_and_paying() {
    for cut in 0..12 {
        let mut story = Story::new(Serializer::Native);
        story.ask(0).unwrap();
        let mut words = 0;
        let mut paid = false;
        for _ in 0..80 {
            for side in 0..2 {
                while let Some(word) = story.word(side) {
                    words += 1;
                    if words == cut {
                        // The word is lost, and both processes end.
                        (0..2).for_each(|side| story.people[side].house = None);
                        (0..2).for_each(|side| story.start(side));
                        story.connect();
                        break;
                    }
                    story.hear(1 - side, word);
                }
            }
            if !paid && story.phases() == [PhaseName::Open; 2] {
                story.order(0, 10);
                paid = true;
                continue;
            }
            if paid && story.state(1).version() == Version::new(1) {
                break;
            }
            let now = story.now;
            (0..2).for_each(|side| story.house(side).sync_ledgers(now).unwrap());
            story.evm.chain.mine(1).unwrap();
        }
        story.rest();
        assert_eq!(story.phases(), [PhaseName::Open; 2], "cut at {cut}");
        assert_eq!(story.state(0), story.state(1), "cut at {cut}");
        story.command(0, Command::Close);
        story.until(PhaseName::Settled);
        assert_eq!(story.evm.gains(0), [milli(-10), 0], "cut at {cut}");
    }
}

#[test]
fn a_lost_answer_is_found_by_asking_and_silence_ends_on_the_chain() {
    let mut story = Story::open(Serializer::Native);
    story.order(0, 10);
    let update = story.word(0).unwrap();
    story.hear(1, update);
    assert!(matches!(story.word(1), Some(Message::UpdateAccept { .. })), "and it is lost");
    let (now, bob) = (story.now, go_perun_peer_id(&story.people[1].name));
    story.house(0).connected(now, bob).unwrap();
    assert!(matches!(story.word(0), Some(Message::Update(_))), "said again, and lost again");
    assert!(story.word(0).is_none());
    story.now = story.now.after(60);
    let now = story.now;
    story.house(0).tick(now).unwrap();
    let asked = [story.word(0), story.word(0)];
    assert!(matches!(asked[0], Some(Message::Update(_))), "{asked:?}");
    let Some(Message::Sync { current: Some(of_alice), .. }) = &asked[1] else {
        panic!("{asked:?}")
    };
    assert_eq!(of_alice.state().state().version(), Version::ZERO);
    // go-perun answers with where it stands.
    let bob = story.people[1].house.as_ref().unwrap().status(OPENING).unwrap().agreed.unwrap();
    let Some(Message::Update(update)) = &asked[0] else { panic!() };
    let both = vec![Some(update.signature), None];
    let state = AppState::new(perun_channel::Address::ZERO, bob.state).unwrap();
    let half = perun_goperun::Transaction::new(state, both).unwrap();
    story.hear(0, Message::Sync { phase: 3, current: Some(half) });
    assert_eq!(story.phases()[0], PhaseName::Updating, "it proves nothing");
    // The repeated update is answered as well.
    story.hear(1, asked[0].clone().unwrap());
    story.rest();
    assert_eq!(story.phases()[0], PhaseName::Open);
    assert_eq!(story.received(1), 10);
    // Bob is gone: Alice leaves with the newest state.
    story.people[1].house = None;
    story.order(0, 1);
    let user = Config::default();
    story.now = story.now.after(user.user_secs + user.answer_secs);
    let now = story.now;
    story.house(0).tick(now).unwrap();
    let house = story.people[0].house.as_ref().unwrap();
    assert_eq!(house.status(OPENING).unwrap().phase, PhaseName::Disputing);
}

#[test]
fn a_house_without_a_name_opens_nothing() {
    let mut story = Story::new(Serializer::Native);
    story.people[0].is_nameless = true;
    story.start(0);
    assert!(matches!(story.ask(0), Err(NodeError::NoName)));
}

/// To go-perun a proposal that comes twice is two.
#[test]
fn a_proposal_is_said_once_over_a_connection_that_comes_with_it() {
    let mut story = Story::new(Serializer::Native);
    let (now, request) = (story.now, story.request([1, 1]));
    let peer = story.people[1].name.clone();
    story.house(0).open_go_perun(now, OPENING, &peer, &request).unwrap();
    story.house(0).connected(now, go_perun_peer_id(&peer)).unwrap();
    assert!(matches!(story.word(0), Some(Message::LedgerProposal(_))));
    assert_eq!(story.word(0), None);
}
