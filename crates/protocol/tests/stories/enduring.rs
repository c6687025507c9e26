//! Words that are lost, a peer that falls silent and a process that dies, anywhere on the way to a
//! channel on two ledgers.

use perun_channel::{Allocation, Amount};
use perun_protocol::{Command, PerLedger, PhaseName};

use crate::founding::nobody_lost;
use crate::keys::Keys;
use crate::net::Net;
use crate::pair::{Death, Pair, money};
use crate::span::{COIN, ETHER, ether};

/// The one who brings all sees the channel before its signature reached the other side.
#[test]
fn a_signature_that_was_lost_is_said_again_by_one_who_is_open_already() {
    for (seed, balances) in (0..40).flat_map(|seed| [(seed, [9, 0]), (seed, [0, 9])]) {
        let mut pair = Pair::new();
        pair.net = Net::bad(seed, 50, 20, 20);
        let row = balances.map(Amount::new).to_vec();
        let terms = pair.terms_of(Allocation::new(vec![ether()], vec![row], vec![]).unwrap());
        pair.user(0, Command::Propose { terms, contributions: PerLedger::one(money(0)) }).settle();
        for _ in 0..100 {
            pair.reconnect();
        }
        assert_eq!(pair.phases(), [PhaseName::Open; 2], "seed {seed}");
    }
}

#[test]
fn an_opening_on_two_ledgers_survives_every_loss() {
    for seed in 0..60 {
        let mut pair = Pair::new();
        pair.net = Net::bad(seed, 40, 20, 20);
        pair.propose_span([5, 5], [9, 9]).settle();
        for _ in 0..100 {
            pair.reconnect();
        }
        assert_eq!(pair.phases(), [PhaseName::Open; 2], "seed {seed}");
    }
}

/// A peer that falls silent after each of its messages, in both roles.
#[test]
fn a_silent_peer_keeps_nobodys_deposit() {
    for silent in 0..2 {
        for limit in 0.. {
            let mut pair = Pair::new();
            pair.nodes[silent].silent_after = Some(limit);
            pair.propose_span([50, 50], [90, 90]).settle();
            let honest = 1 - silent;
            let opened = pair.phases() == [PhaseName::Open; 2];
            if opened {
                pair.pay_in(silent, COIN, 3).pay_in(silent, ETHER, 4).settle();
            }
            let floor = pair.nodes[honest]
                .machine
                .agreed()
                .map(|_| [pair.row(honest, COIN)[honest], pair.row(honest, ETHER)[honest]]);
            let fell_silent = pair.nodes[silent].is_silent;
            pair.wait();
            if pair.phases()[honest] == PhaseName::Open {
                pair.user(honest, Command::Dispute).settle().wait();
            }
            let least = floor.filter(|_| opened).unwrap_or([50, 90]);
            let least = [0, 1].map(|row| i128::try_from(least[row]).unwrap() - [50, 90][row]);
            let gains = pair.gains(honest);
            let phase = pair.phases()[honest];
            assert!(
                gains[0] >= least[0] && gains[1] >= least[1],
                "{silent} silent after {limit}: {gains:?} of {least:?} in {phase:?}"
            );
            let ends = [PhaseName::Settled, PhaseName::Over, PhaseName::Fresh];
            assert!(ends.contains(&phase), "{silent} silent after {limit} hangs us in {phase:?}");
            if !fell_silent {
                assert!(limit > 4, "the story has more messages than that");
                break;
            }
        }
    }
}

/// A process that dies anywhere on the way to a channel on two ledgers, and in it.
#[test]
fn a_channel_on_two_ledgers_survives_a_death_anywhere() {
    for death in [Death::BeforeRecords, Death::BeforeEffects, Death::BetweenEffects] {
        for at in 0.. {
            let mut pair = Pair::new();
            pair.death = Some((at, death));
            pair.propose_span([50, 50], [90, 90]).settle();
            pair.reconnect().reconnect();
            if pair.phases() == [PhaseName::Fresh; 2] {
                pair.propose_span([50, 50], [90, 90]).settle();
            }
            pair.advance(1);
            assert_eq!(pair.phases(), [PhaseName::Open; 2], "{death:?} at {at}");
            pair.pay_in(0, COIN, 5).pay_in(1, ETHER, 7).settle();
            pair.reconnect().reconnect();
            pair.user(1, Command::Dispute).settle().wait();
            assert_eq!([pair.gains(0), pair.gains(1)], [[-5, 7], [5, -7]], "{death:?} at {at}");
            if !pair.died {
                assert!(at > 20, "the story has more steps than that");
                break;
            }
        }
    }
}

/// The same when the opening fails after the release.
#[test]
fn an_opening_that_fails_survives_a_death_anywhere() {
    for death in [Death::BeforeRecords, Death::BeforeEffects, Death::BetweenEffects] {
        for at in 0.. {
            let mut pair = Pair::new();
            pair.death = Some((at, death));
            pair.ledger.is_deaf = true;
            pair.propose_span([50, 50], [90, 90]).settle();
            pair.reconnect().reconnect();
            pair.pass_time();
            pair.ledger.is_deaf = false;
            pair.wait();
            nobody_lost(&pair);
            let ends = [PhaseName::Settled, PhaseName::Over, PhaseName::Fresh];
            assert!(pair.phases().iter().all(|phase| ends.contains(phase)), "{death:?} at {at}");
            if !pair.died {
                assert!(at > 20, "the story has more steps than that");
                break;
            }
        }
    }
}

#[test]
fn real_signatures_open_a_channel_on_two_ledgers_too() {
    let configs = [perun_protocol::Config::default(); 2];
    let mut pair = Pair::with(Keys::Real, configs);
    pair.propose_span([5, 5], [9, 9]).settle();
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
    pair.user(0, Command::Dispute).settle().wait();
    nobody_lost(&pair);
}
