//! A swap from the offer to its end: both sides or none, whoever falls silent, whatever is lost.

use perun_channel::Amount;
use perun_channel::swap::SwapError;
use perun_protocol::{
    Command, Config, Decision, Effect, Event, Misuse, PhaseName, Preimage, SwapConfig, SwapLimit,
};

use crate::ledger::JOINT;
use crate::pair::{Death, Pair};
use crate::span::{COIN, ETHER};
use crate::swaps::{ALL, NOTHING, SECRET, START, config, legs, moved, other, timing};
use crate::vault::VAULT;

#[test]
fn a_swap_moves_both_sides() {
    for (p, x) in ALL {
        let mut pair = Pair::swapping();
        let before = pair.agreed(0).state;
        pair.swap(p, x).settle();
        assert_eq!(pair.phases(), [PhaseName::Open; 2], "{p} {x}");
        for place in 0..2 {
            assert!(pair.saw(place, |event| matches!(event, Event::Swapped { .. })));
            assert!(!pair.saw(place, |event| matches!(event, Event::Disputed { .. })));
        }
        assert_eq!(pair.agreed(0).state, pair.agreed(1).state);
        pair.pay_in(0, ETHER, 1).settle().pay_in(1, ETHER, 1).settle();
        pair.user(1 - p, Command::Close).settle().wait();
        assert_eq!(pair.gained(&before), moved(p, x), "{p} {x}");
    }
}

/// The line dies after each message. Both are awake, and hear no more of each other.
#[test]
fn a_dead_line_ends_a_swap_on_both_ledgers_alike() {
    for (p, x) in ALL {
        for messages in 0..4 {
            let mut pair = Pair::cut_at(p, x, messages);
            let before = pair.agreed(1 - p).state;
            let before = if before.data().is_empty() && messages < 3 { before } else { origin(p) };
            pair.leave();
            assert_eq!(pair.phases(), [PhaseName::Settled; 2], "{p} {x} {messages}");
            let expected = if messages < 2 { NOTHING } else { moved(p, x) };
            assert_eq!(pair.gained(&before), expected, "{p} {x} after {messages} messages");
        }
    }
}

/// The state that all these swaps begin with.
fn origin(p: usize) -> perun_channel::State {
    let mut pair = Pair::swapping();
    pair.give_turn(p);
    pair.agreed(p).state
}

/// A process that is gone for good: whoever stays has at least the old balances, or at least the
/// new ones, on both ledgers.
#[test]
fn whoever_stays_loses_nothing_when_the_other_is_gone() {
    for (p, x) in ALL {
        for gone in 0..2 {
            for said in 0..3 {
                let mut pair = Pair::swapping();
                pair.give_turn(p);
                pair.nodes[gone].sent = 0;
                pair.nodes[gone].silent_after = Some(said);
                pair.swap(p, x).settle();
                pair.leave();
                let stays = 1 - gone;
                let gained = pair.gained(&origin(p))[stays];
                let is_whole = |least: [i128; 2]| gained[0] >= least[0] && gained[1] >= least[1];
                let story = format!("{p} takes on {x}, {gone} is gone after {said}: {gained:?}");
                assert!(is_whole([0, 0]) || is_whole(moved(p, x)[stays]), "{story}");
                assert_eq!(pair.phases()[stays], PhaseName::Settled, "{story}");
            }
        }
    }
}

#[test]
fn what_was_lost_is_said_again_and_the_swap_goes_on() {
    for (p, x) in ALL {
        for messages in 0..4 {
            let mut pair = Pair::cut_at(p, x, messages);
            pair.net.left = None;
            pair.reconnect();
            assert_eq!(pair.phases(), [PhaseName::Open; 2], "{p} {x} after {messages} messages");
            assert_eq!(pair.agreed(0).state, pair.agreed(1).state);
            for place in 0..2 {
                assert!(pair.saw(place, |event| matches!(event, Event::Swapped { .. })));
            }
            pair.leave();
            assert_eq!(pair.gained(&origin(p)), moved(p, x));
        }
    }
}

#[test]
fn a_bad_line_changes_nothing() {
    for seed in 0..40 {
        let (p, x) = ALL[usize::try_from(seed % 4).unwrap()];
        let mut pair = Pair::swapping();
        pair.give_turn(p);
        let mut bad = crate::net::Net::bad(seed, 25, 30, 30);
        core::mem::swap(&mut pair.net, &mut bad);
        pair.swap(p, x).settle();
        for _ in 0..30 {
            pair.reconnect();
        }
        pair.net = crate::net::Net::perfect();
        pair.reconnect().reconnect();
        assert_eq!(pair.phases(), [PhaseName::Open; 2], "seed {seed}");
        pair.leave();
        assert_eq!(pair.gained(&origin(p)), moved(p, x), "seed {seed}");
    }
}

#[test]
fn a_swap_survives_a_death_anywhere() {
    for (p, x) in [(0, JOINT), (1, VAULT)] {
        for death in [Death::BeforeRecords, Death::BeforeEffects, Death::BetweenEffects] {
            for at in 0.. {
                let mut pair = Pair::swapping();
                pair.give_turn(p);
                pair.death = Some((pair.steps + at, death));
                let command = pair.swap_command(p, x);
                pair.user(p, command).settle();
                pair.reconnect().reconnect();
                let story = format!("{p} takes on {x}, {death:?} at {at}");
                assert_eq!(pair.phases(), [PhaseName::Open; 2], "{story}");
                let died = pair.died;
                pair.death = None;
                pair.leave();
                assert_eq!(pair.gained(&origin(p)), moved(p, x), "{story}");
                if !died {
                    assert!(at > 5, "the story has more steps than that");
                    break;
                }
            }
        }
    }
}

/// The same with a dead line, so that everything ends on the ledgers.
#[test]
fn a_disputed_swap_survives_a_death_anywhere() {
    for messages in 1..4 {
        for at in 0..60 {
            let mut pair = Pair::cut_at(0, JOINT, messages);
            pair.death = Some((pair.steps + at, Death::BeforeEffects));
            pair.leave();
            pair.leave();
            let expected = if messages < 2 { NOTHING } else { moved(0, JOINT) };
            let story = format!("{messages} messages, dead at {at}");
            assert_eq!(pair.gained(&origin(0)), expected, "{story}");
        }
    }
}

#[test]
fn nothing_else_is_signed_while_a_swap_is_pending() {
    for messages in 0..4 {
        let mut pair = Pair::cut_at(0, JOINT, messages);
        let places: &[usize] = match messages {
            0 => &[0],
            3 => &[0],
            _ => &[0, 1],
        };
        for place in places {
            let phase = pair.phases()[*place];
            assert_eq!(phase, PhaseName::Swapping, "{messages}");
            let pending = Err(Misuse::SwapPending.into());
            let payment = perun_protocol::Payment { asset: COIN, ..pair.payment(*place, 1) };
            let give = |pair: &mut Pair, command| {
                pair.feed(*place, perun_protocol::Input::Command(command))
            };
            assert_eq!(give(&mut pair, Command::Pay(payment)), pending);
            assert_eq!(give(&mut pair, Command::Close), pending);
            let resize =
                crate::resizing::resize(crate::resizing::deposit(1), crate::resizing::deposit(1));
            assert_eq!(give(&mut pair, resize), pending);
            let again = Command::Swap {
                legs: legs(*place, [VAULT, JOINT], START),
                preimage: Preimage::new([9; 32]),
            };
            assert_eq!(give(&mut pair, again), pending);
        }
    }
}

/// P's own program refuses what can never be a swap here.
#[test]
fn a_swap_that_cannot_be_is_not_asked_for() {
    let ask = |config: Config, bend: fn(&mut Vec<perun_channel::swap::Leg>)| {
        let mut pair = Pair::swapping_with(config);
        let mut legs = legs(0, [JOINT, VAULT], START);
        bend(&mut legs);
        let command = Command::Swap { legs, preimage: SECRET };
        let done = pair.feed(0, perun_protocol::Input::Command(command));
        assert_eq!(pair.phases(), [PhaseName::Open; 2]);
        done.unwrap_err()
    };
    let limit = |limit| perun_protocol::Declined::from(Misuse::SwapLimit(limit));
    assert_eq!(ask(config(), |legs| legs[1].expiry = legs[0].expiry), limit(SwapLimit::Gap));
    assert_eq!(ask(config(), |legs| legs.truncate(1)), limit(SwapLimit::Shape));
    assert_eq!(ask(config(), |legs| (legs[1].from, legs[1].to) = (1, 0)), limit(SwapLimit::Shape));
    let off = Config { swaps: SwapConfig::OFF, ..config() };
    assert_eq!(ask(off, |_| {}), limit(SwapLimit::Ledger));
    let mut slow = config();
    slow.swaps.timings[0] =
        Some((JOINT, perun_protocol::Timing { include_secs: 9_000, ..timing(2) }));
    assert_eq!(ask(slow, |_| {}), limit(SwapLimit::Challenge));
    let broken = Misuse::Swap(SwapError::Balance).into();
    assert_eq!(ask(config(), |legs| legs[0].amount = Amount::new(1_000)), broken);
    assert_eq!(ask(config(), Vec::clear), Misuse::Swap(SwapError::Length).into());
}

#[test]
fn a_secret_is_good_for_one_swap() {
    let mut pair = Pair::swapping();
    pair.swap(0, JOINT).settle();
    let again = pair.swap_command(0, JOINT);
    let done = pair.feed(0, perun_protocol::Input::Command(again));
    assert_eq!(done, Err(Misuse::UsedSecret.into()));
    let legs = legs(1, [VAULT, JOINT], START);
    pair.user(1, Command::Swap { legs, preimage: Preimage::new([7; 32]) }).settle();
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
}

/// A process that registers the state with the swap and then is gone: the other concludes alone.
#[test]
fn each_side_decides_its_own_ledgers() {
    for (p, x) in ALL {
        let mut pair = Pair::cut_at(p, x, 2);
        pair.leave();
        assert!(pair.decisions(p, x).contains(&Decision::Claim { preimage: SECRET }));
        assert!(pair.decisions(1 - p, other(x)).contains(&Decision::Claim { preimage: SECRET }));
        let refunds = |place, ledger| pair.decisions(place, ledger).contains(&Decision::Refund {});
        assert!(!refunds(p, x), "who has shown the secret never refunds what it takes");
        assert!(pair.submitted(p, |it| matches!(it, Effect::Register { .. })) >= 2);
        for place in 0..2 {
            let told = pair.nodes[place].events.iter().find_map(|event| match event {
                Event::Settled { outcomes, own } => Some((outcomes, own)),
                _ => None,
            });
            let (outcomes, own) = told.unwrap();
            assert!(outcomes.iter().all(|outcome| outcome.claimed));
            let (before, moves) = (origin(p), moved(p, x)[place]);
            for row in 0..2 {
                let then = before.outcome().balance(row, place).unwrap().get();
                let due = i128::try_from(then).unwrap() + moves[row];
                assert_eq!(i128::try_from(own[row].get()), Ok(due), "the user is told");
            }
        }
    }
}
