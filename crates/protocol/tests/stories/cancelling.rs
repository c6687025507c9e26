//! Taking a swap back, refusing one, and being late: nothing moves, and no end of a swap is signed
//! beside the other.

use perun_channel::codec::Decode;
use perun_channel::swap::{Leg, Swap};
use perun_channel::{Amount, State, Version};
use perun_protocol::{
    Agreed, Body, Command, Config, Declined, Digest, Effect, Event, FailureReason, Input, Message,
    Misuse, PerLedger, PhaseName, Preimage, Refusal, RejectReason, SwapConfig, SwapLimit,
};

use crate::ledger::JOINT;
use crate::pair::Pair;
use crate::span::ETHER;
use crate::swaps::{ALL, NOTHING, SECRET, START, config, legs, moved, other};
use crate::vault::VAULT;

/// The last message to a node that was ever sent.
fn last_to(pair: &Pair, place: usize) -> Message {
    let (_, bytes) = pair.net.log.iter().rev().find(|(to, _)| *to == place).unwrap();
    Message::from_bytes(bytes).unwrap()
}

fn was_said(pair: &Pair, wanted: impl Fn(&Body<perun_channel::Signature>) -> bool) -> bool {
    pair.net.log.iter().any(|(_, bytes)| wanted(&Message::from_bytes(bytes).unwrap().body))
}

fn is_reveal(body: &Body<perun_channel::Signature>) -> bool {
    matches!(body, Body::SwapReveal { .. })
}

/// Both are as before, and nothing of the swap can come back.
fn nothing_moved(mut pair: Pair) {
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
    assert_eq!(pair.agreed(0).state, pair.agreed(1).state);
    let state = pair.agreed(0).state;
    assert!(state.data().is_empty());
    assert!(!was_said(&pair, is_reveal));
    pair.pay_in(0, ETHER, 1).settle().pay_in(1, ETHER, 1).settle();
    pair.leave();
    assert_eq!(pair.gained(&state), NOTHING);
}

fn was_cancelled(pair: &Pair) {
    for place in 0..2 {
        assert!(pair.saw(place, |event| matches!(event, Event::SwapCancelled { .. })));
        assert!(!pair.saw(place, |event| matches!(event, Event::Swapped { .. })));
    }
}

/// `p` has offered, and the other's user has not answered.
fn asked(p: usize, config: Config) -> Pair {
    let mut pair = Pair::swapping_with(config);
    pair.give_turn(p);
    pair.users_answer = false;
    pair.swap(p, JOINT).settle();
    assert_eq!(pair.phases()[1 - p], PhaseName::SwapAsked);
    pair
}

#[test]
fn an_offer_is_taken_back_before_it_is_answered() {
    for p in 0..2 {
        let mut pair = asked(p, config());
        pair.user(p, Command::CancelSwap).settle();
        let clocks = pair.clocks();
        let late = pair.feed(1 - p, Input::Command(Command::AcceptSwap { clocks }));
        assert_eq!(late, Err(Misuse::NotNow.into()));
        was_cancelled(&pair);
        nothing_moved(pair);
    }
}

#[test]
fn an_acceptance_that_crosses_the_cancellation_does_not_bring_the_swap_back() {
    for (p, x) in ALL {
        let mut pair = Pair::cut_at(p, x, 1);
        let accept = last_to(&pair, p);
        pair.net.left = None;
        pair.user(p, Command::CancelSwap);
        pair.feed(p, Input::Message(accept)).unwrap();
        pair.settle();
        was_cancelled(&pair);
        nothing_moved(pair);
    }
}

/// The acceptance is here, and the clock that must be read before the secret is shown is not.
#[test]
fn a_swap_is_taken_back_at_the_last_moment() {
    let mut pair = Pair::cut_at(0, JOINT, 1);
    let accept = last_to(&pair, 0);
    pair.net.left = None;
    pair.feed(0, Input::Message(accept)).unwrap();
    pair.user(0, Command::CancelSwap).settle();
    was_cancelled(&pair);
    nothing_moved(pair);
}

#[test]
fn the_other_side_asks_and_signs_nothing_first() {
    for (p, x) in ALL {
        let mut pair = Pair::cut_at(p, x, 1);
        pair.net.left = Some(1);
        pair.user(1 - p, Command::CancelSwap).settle();
        // Its word arrived, and the answer was lost: nobody but P has signed the cancellation.
        assert!(matches!(last_to(&pair, p).body, Body::SwapCancelRequest { .. }));
        assert_eq!(pair.phases(), [PhaseName::Swapping; 2]);
        pair.net.left = None;
        pair.reconnect();
        was_cancelled(&pair);
        nothing_moved(pair);
    }
}

/// The request comes when P has everything but the clock.
#[test]
fn a_request_is_granted_until_the_secret_is_out() {
    let mut pair = Pair::cut_at(0, JOINT, 1);
    let accept = last_to(&pair, 0);
    pair.net.left = None;
    pair.feed(0, Input::Message(accept)).unwrap();
    let version = pair.agreed(0).state.version();
    pair.forge(1, Body::SwapCancelRequest { version }).unwrap();
    pair.settle();
    was_cancelled(&pair);
    nothing_moved(pair);
}

/// P's journal is older than its offer: the other side shows the signature that it has forgotten.
#[test]
fn a_journal_that_lost_an_offer_is_recognised() {
    let mut pair = Pair::swapping();
    let (old, entries) = (pair.nodes[0].machine.clone(), pair.nodes[0].journal.len());
    pair.net.left = Some(1);
    pair.swap(0, JOINT).settle();
    pair.nodes[0].machine = old;
    pair.nodes[0].journal.truncate(entries);
    pair.net.left = None;
    pair.reconnect();
    assert!(pair.saw(0, |event| *event == Event::RolledBack));
    assert_eq!(pair.phases()[0], PhaseName::Frozen);
    assert!(!was_said(&pair, is_reveal));
}

#[test]
fn whoever_has_shown_the_secret_takes_nothing_back() {
    for (p, x) in ALL {
        let mut pair = Pair::cut_at(p, x, 2);
        pair.net.left = None;
        let own = pair.feed(p, Input::Command(Command::CancelSwap));
        assert_eq!(own, Err(Misuse::NotNow.into()));
        pair.user(1 - p, Command::CancelSwap).settle();
        assert!(!was_said(&pair, |body| matches!(body, Body::SwapCancel { .. })));
        pair.reconnect();
        assert_eq!(pair.phases(), [PhaseName::Open; 2]);
        assert!(pair.saw(p, |event| matches!(event, Event::Swapped { .. })));
        assert!(!was_said(&pair, |body| matches!(body, Body::SwapCancel { .. })));
    }
}

#[test]
fn a_cancellation_that_nobody_answers_ends_on_the_ledgers() {
    for (p, x) in ALL {
        for messages in 0..2 {
            let mut pair = Pair::cut_at(p, x, 1);
            let since = pair.agreed(p).state;
            pair.net.left = Some(messages);
            pair.user(p, Command::CancelSwap).settle();
            pair.leave();
            assert_eq!(pair.phases(), [PhaseName::Settled; 2], "{p} {x} {messages}");
            assert_eq!(pair.gained(&since), NOTHING, "{p} {x} {messages}");
        }
    }
}

#[test]
fn a_swap_that_is_declined_or_not_answered_did_not_happen() {
    for is_answered in [true, false] {
        let mut pair = asked(0, config());
        if is_answered {
            pair.user(1, Command::DeclineSwap).settle();
        } else {
            pair.advance(Config::default().user_secs);
        }
        let failed = Event::SwapFailed(FailureReason::Refused);
        assert!(pair.saw(0, |event| *event == failed));
        nothing_moved(pair);
    }
}

/// Who declined holds the other's signature on the state with the swap, and nothing to claim with.
#[test]
fn a_declined_offer_that_is_registered_later_gives_nothing_to_anybody() {
    for (p, x) in ALL {
        let mut pair = Pair::swapping();
        pair.give_turn(p);
        let since = pair.agreed(p).state;
        pair.users_answer = false;
        pair.swap(p, x).settle();
        let Body::SwapOffer { state, signature } = last_to(&pair, 1 - p).body else {
            panic!("the offer is the last message");
        };
        pair.user(1 - p, Command::DeclineSwap).settle();
        let half = Agreed::signed(state.clone(), Digest::new(state.digest()), signature);
        pair.nodes[1 - p].is_silent = true;
        for ledger in [JOINT, VAULT] {
            pair.registers(1 - p, ledger, &half);
        }
        pair.leave();
        assert_eq!(pair.gained(&since), NOTHING, "{p} {x}");
        assert!(pair.decisions(p, x).iter().all(|it| *it == perun_protocol::Decision::Refund {}));
    }
}

/// Between the last moment to show the secret and the first at which the other goes to the ledgers.
#[test]
fn a_secret_that_could_not_be_claimed_in_time_is_not_shown() {
    let mut pair = asked(0, config());
    pair.clocks_pass(12_000 - 10_480);
    let clocks = pair.clocks();
    pair.user(1, Command::AcceptSwap { clocks }).settle();
    was_cancelled(&pair);
    nothing_moved(pair);
    let mut pair = asked(0, config());
    pair.clocks_pass(12_000 - 10_480 - 1);
    let clocks = pair.clocks();
    pair.user(1, Command::AcceptSwap { clocks }).settle();
    assert!(pair.saw(0, |event| matches!(event, Event::Swapped { .. })), "one second earlier");
}

#[test]
fn an_offer_is_not_signed_too_late_too_far_ahead_or_for_a_time_of_absence() {
    let limits = |change: fn(&mut SwapConfig), passed: u64| {
        let mut config = config();
        change(&mut config.swaps);
        let mut pair = asked(0, config);
        pair.clocks_pass(passed);
        let clocks = pair.clocks();
        let done = pair.feed(1, Input::Command(Command::AcceptSwap { clocks }));
        assert_eq!(done.is_ok(), pair.phases()[1] == PhaseName::Swapping);
        done
    };
    let refused = |limit| Err(Declined::from(Misuse::SwapLimit(limit)));
    assert_eq!(limits(|_| {}, 12_000 - 9_560), refused(SwapLimit::Soon));
    assert_eq!(limits(|_| {}, 12_000 - 9_561), Ok(()));
    assert_eq!(limits(|swaps| swaps.online_secs = 2_439, 0), refused(SwapLimit::Away));
    assert_eq!(limits(|swaps| swaps.online_secs = 2_440, 0), Ok(()));
    assert_eq!(limits(|swaps| swaps.longest_secs = 23_999, 0), refused(SwapLimit::Late));
    assert_eq!(limits(|swaps| swaps.longest_secs = 24_000, 0), Ok(()));
    let mut pair = asked(0, config());
    let clocks = PerLedger::new(vec![pair.ledger.now]).unwrap();
    let unknown = pair.feed(1, Input::Command(Command::AcceptSwap { clocks }));
    assert_eq!(unknown, refused(SwapLimit::Soon));
}

/// An offer that P's key signs and its machine would not make.
fn offer(pair: &mut Pair, p: usize, state: State) -> Result<Option<RejectReason>, Declined> {
    let signature = pair.sign(p, &Digest::new(state.digest()));
    pair.forge(p, Body::SwapOffer { state, signature })?;
    Ok(match last_to(pair, p).body {
        Body::Reject { reason, .. } => Some(reason),
        _ => None,
    })
}

fn carrying(base: &State, version: u64, legs: Vec<Leg>) -> State {
    let swap = Swap::new(Swap::lock_of(SECRET.as_bytes()), legs).unwrap();
    let outcome = base.outcome().clone();
    State::new(*base.id(), Version::new(version), outcome, swap.to_data(), false).unwrap()
}

#[test]
fn an_offer_that_breaks_a_rule_is_refused() {
    let offers = |make: fn(&State) -> State| {
        let mut pair = Pair::swapping();
        pair.users_answer = false;
        let base = pair.agreed(0).state;
        let answer = offer(&mut pair, 0, make(&base));
        let is_asked = pair.phases()[1] == PhaseName::SwapAsked;
        assert_eq!(is_asked, answer == Ok(None), "{answer:?}");
        answer
    };
    let good = || legs(0, [JOINT, VAULT], START);
    fn next(base: &State) -> u64 {
        base.version().get() + 1
    }
    fn with(base: &State, bend: impl FnOnce(&mut Vec<Leg>)) -> State {
        let mut legs = legs(0, [JOINT, VAULT], START);
        bend(&mut legs);
        carrying(base, next(base), legs)
    }
    assert_eq!(good().len(), 2);
    assert_eq!(offers(|base| with(base, |_| {})), Ok(None));
    let state = Ok(Some(RejectReason::State {}));
    let swap = Ok(Some(RejectReason::Swap {}));
    assert_eq!(offers(|base| with(base, |legs| legs[0].amount = Amount::new(999))), state);
    assert_eq!(
        offers(|base| base.at_version(Version::new(next(base)), base.outcome().clone())),
        state
    );
    let richer = |base: &State| {
        let outcome = base.outcome().transfer(1, 0, 0, Amount::new(1)).unwrap();
        let swap = with(base, |_| {});
        State::new(*base.id(), swap.version(), outcome, swap.data().to_vec(), false).unwrap()
    };
    assert_eq!(offers(richer), state);
    assert_eq!(offers(|base| with(base, |legs| legs.truncate(1))), swap);
    assert_eq!(offers(|base| with(base, |legs| (legs[1].from, legs[1].to) = (1, 0))), swap);
    assert_eq!(offers(|base| with(base, |legs| legs[1].expiry = legs[0].expiry + 1_639)), swap);
    assert_eq!(offers(|base| with(base, |legs| legs[1].expiry = legs[0].expiry + 1_640)), Ok(None));
    let old = |base: &State| carrying(base, 0, legs(0, [JOINT, VAULT], START));
    assert_eq!(offers(old), Ok(Some(RejectReason::Version {})));
    let ahead = |base: &State| carrying(base, next(base) + 1, legs(0, [JOINT, VAULT], START));
    assert_eq!(offers(ahead), Err(Refusal::Unproven.into()));
}

#[test]
fn an_offer_out_of_turn_unsigned_or_of_another_channel_is_refused() {
    let mut pair = Pair::swapping();
    let base = pair.agreed(0).state;
    let state = carrying(&base, base.version().get() + 1, legs(1, [JOINT, VAULT], START));
    assert_eq!(offer(&mut pair, 1, state.clone()), Err(Refusal::NotTheirTurn.into()));
    let strange = pair.sign(1, &Digest::new(state.digest()));
    pair.forge(0, Body::SwapOffer { state: state.clone(), signature: strange }).unwrap();
    let Body::Reject { reason, .. } = last_to(&pair, 0).body else { panic!("it is refused") };
    assert_eq!(reason, RejectReason::Signature {});
    let id = perun_channel::ChannelId::new([9; 32]);
    let other = State::new(id, state.version(), base.outcome().clone(), vec![], false).unwrap();
    assert_eq!(offer(&mut pair, 0, other), Err(Refusal::OtherChannel.into()));
    let mut pair = Pair::cut_at(0, JOINT, 1);
    let update = Body::Update {
        state: base,
        payments: perun_protocol::Batch::default(),
        after: perun_protocol::Handover::Keep {},
        signature: strange,
    };
    assert!(pair.forge(0, update).is_err(), "no update while a swap is pending");
}

/// Words of a swap that do not belong where it stands, or that a wrong key signed.
#[test]
fn a_wrong_word_or_signature_in_a_swap_changes_nothing() {
    let wrong = |pair: &Pair| pair.sign(0, &Digest::new([9; 32]));
    let mut pair = Pair::cut_at(0, JOINT, 0);
    let version = Version::new(pair.version(0) + 1);
    let signature = wrong(&pair);
    assert!(pair.forge(1, Body::SwapAccept { version, signature }).is_err());
    assert_eq!(
        pair.forge(0, Body::SwapReveal { version, preimage: SECRET, signature }),
        Err(Refusal::Unexpected.into()),
        "nothing was offered"
    );
    let mut pair = Pair::cut_at(0, JOINT, 1);
    let version = Version::new(pair.version(1) + 1);
    let other = Preimage::new([1; 32]);
    let reveal = Body::SwapReveal { version, preimage: other, signature };
    assert_eq!(pair.forge(0, reveal), Err(Refusal::Preimage.into()));
    assert!(pair.forge(0, Body::SwapCancel { version, signature }).is_err());
    let mut pair = Pair::cut_at(0, JOINT, 2);
    let version = Version::new(pair.version(0) + 1);
    assert!(pair.forge(1, Body::SwapDone { version, signature }).is_err());
    let before = pair.nodes[0].machine.clone();
    let _ = pair.forge(1, Body::SwapCancelled { version, signature });
    assert!(pair.nodes[0].machine == before);
    assert_eq!(pair.phases(), [PhaseName::Swapping; 2]);
}

/// The secret comes without the signature that belongs to it: it is used on the ledgers.
#[test]
fn a_secret_that_comes_with_a_wrong_signature_is_kept() {
    for (p, x) in ALL {
        let mut pair = Pair::cut_at(p, x, 1);
        let since = pair.agreed(p).state;
        let version = Version::new(pair.version(1 - p) + 1);
        let signature = pair.sign(p, &Digest::new([9; 32]));
        let reveal = Body::SwapReveal { version, preimage: SECRET, signature };
        pair.forge(p, reveal).unwrap();
        assert!(!was_said(&pair, |body| matches!(body, Body::SwapDone { .. })));
        pair.nodes[p].is_silent = true;
        pair.leave();
        let claims = pair.decisions(1 - p, other(x));
        assert!(claims.iter().any(|it| matches!(it, perun_protocol::Decision::Claim { .. })));
        let given = pair.gained(&since)[1 - p][usize::from(x == JOINT)];
        assert_eq!(given, moved(p, x)[1 - p][usize::from(x == JOINT)]);
    }
}

/// While the swap waited for its turn, the other side paid away what it was to give.
#[test]
fn a_swap_that_became_impossible_is_not_offered() {
    let mut pair = Pair::swapping();
    pair.pay_in(0, 0, 40);
    pair.swap(1, JOINT).settle();
    assert!(pair.saw(1, |event| *event == Event::SwapFailed(FailureReason::Unfunded)));
    assert!(!was_said(&pair, |body| matches!(body, Body::SwapOffer { .. })));
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
    pair.swap(0, JOINT).settle();
    assert!(pair.saw(1, |event| matches!(event, Event::Swapped { .. })));
}

/// What waits to be paid, and what is on its way, is not promised in a swap as well.
#[test]
fn nobody_promises_what_it_has_spent() {
    let mut pair = Pair::swapping();
    pair.net.left = Some(0);
    let own = pair.row(0, 1)[0];
    pair.pay_in(0, ETHER, own - 29);
    let refused = |needed, available| {
        let (needed, available) = (Amount::new(needed), Amount::new(available));
        Err(Misuse::Insufficient { asset: ETHER, needed, available }.into())
    };
    let command = pair.swap_command(0, JOINT);
    assert_eq!(pair.feed(0, Input::Command(command)), refused(30, 29));
    let mut pair = Pair::swapping();
    pair.users_answer = false;
    let own = pair.row(1, 0)[1];
    pair.net.left = Some(0);
    pair.pay_in(1, 0, own - 19);
    let base = pair.agreed(0).state;
    let state = carrying(&base, base.version().get() + 1, legs(0, [JOINT, VAULT], START));
    assert_eq!(offer(&mut pair, 0, state), Ok(None));
    let clocks = pair.clocks();
    let done = pair.feed(1, Input::Command(Command::AcceptSwap { clocks }));
    let (needed, available) = (Amount::new(20), Amount::new(19));
    assert_eq!(done, Err(Misuse::Insufficient { asset: 0, needed, available }.into()));
}

/// A wish that waits for the turn for too long is given up, and says so.
#[test]
fn a_swap_that_never_gets_its_turn_fails() {
    let mut pair = Pair::swapping();
    pair.net.left = Some(0);
    pair.swap(1, JOINT).settle();
    pair.advance(Config::default().patience_secs);
    assert!(pair.saw(1, |event| *event == Event::SwapFailed(FailureReason::Waited)));
    assert_eq!(pair.phases(), [PhaseName::Open; 2]);
    let mut pair = Pair::swapping();
    pair.net.left = Some(0);
    pair.swap(1, JOINT).user(1, Command::Dispute);
    assert!(pair.saw(1, |event| *event == Event::SwapFailed(FailureReason::Closed)));
    assert_eq!(pair.submitted(1, |it| matches!(it, Effect::Register { .. })), 2);
}
