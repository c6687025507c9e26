//! A refusal changes nothing, and no input makes a machine panic.

use perun_channel::codec::{Decode, Encode};
use perun_channel::swap::Swap;
use perun_channel::{Amount, ChannelId, Signature, State, Version};
use perun_protocol::{
    Batch, Body, Command, Config, DeclineReason, Digest, Handover, Input, LedgerTime, Machine,
    Message, Proof, RejectReason, Sighting, Slot, Standing, Time, TransactionId, Turn, Witness,
};
use proptest::prelude::*;

use crate::keys::Keys;
use crate::ledger::JOINT;
use crate::pair::{Pair, index, money, parts};
use crate::resizing::{deposit, resize};
use crate::span::COIN;
use crate::swaps::{SECRET, START, legs};
use crate::vault::VAULT;

/// Machines in as many places as the stories lead to.
pub(crate) fn places() -> Vec<(Pair, usize)> {
    let mut places = Vec::new();
    let mut add = |story: fn(&mut Pair)| {
        for place in 0..2 {
            let mut pair = Pair::new();
            story(&mut pair);
            places.push((pair, place));
        }
    };
    add(|_| {});
    add(|pair| {
        pair.users_answer = false;
        pair.propose(50, 50).settle();
    });
    add(|pair| {
        pair.slow_backend = Some(0);
        pair.propose(50, 50).settle();
    });
    add(|pair| {
        pair.ledger.is_deaf = true;
        pair.propose(50, 50).settle();
    });
    add(|pair| {
        pair.propose(50, 50).settle().pay(0, 3).settle();
    });
    add(|pair| {
        pair.propose(50, 50).settle().pay(0, 3);
    });
    add(|pair| {
        pair.propose(50, 50).settle();
        pair.users_answer = false;
        pair.user(0, resize(deposit(1), deposit(2))).settle();
    });
    add(|pair| {
        pair.propose(50, 50).settle().pay(0, 3).settle().user(0, Command::Dispute).settle();
    });
    add(|pair| {
        pair.propose(50, 50).settle().user(0, Command::Close).settle();
    });
    add(|pair| {
        pair.ledger.is_deaf = true;
        pair.propose(50, 50).settle();
        pair.pass_time();
    });
    add(|pair| {
        pair.propose(50, 50).settle();
        pair.ledger.is_deaf = true;
        pair.user(0, Command::Close).settle();
    });
    add(|pair| {
        let config = Config { accept_close: false, ..Config::default() };
        *pair = Pair::with(Keys::Symbolic, [config; 2]);
        pair.propose(50, 50).settle();
        pair.users_answer = false;
        pair.user(0, Command::Close).settle();
    });
    add_spans(&mut add);
    places
}

/// Places of channels on two ledgers.
fn add_spans(add: &mut impl FnMut(fn(&mut Pair))) {
    add(|pair| {
        pair.slow_backend = Some(0);
        pair.propose_span([50, 50], [50, 50]).settle();
    });
    add(|pair| {
        pair.vault.pays[1] = 0;
        pair.propose_span([50, 50], [50, 50]).settle();
    });
    add(|pair| {
        pair.ledger.is_deaf = true;
        pair.propose_span([50, 50], [50, 50]).settle();
    });
    add(|pair| {
        pair.ledger.is_deaf = true;
        pair.propose_span([50, 50], [50, 50]).settle();
        pair.pass_time();
    });
    add(|pair| {
        pair.propose_span([50, 50], [50, 50]).settle().pay_in(0, COIN, 3);
    });
    add(|pair| {
        pair.propose_span([50, 50], [50, 50]).settle().user(0, Command::Dispute).settle();
    });
    add(|pair| {
        *pair = Pair::swapping();
        pair.users_answer = false;
        pair.swap(0, JOINT).settle();
    });
    add(|pair| *pair = Pair::cut_at(0, JOINT, 1));
    add(|pair| *pair = Pair::cut_at(0, VAULT, 2));
    add(|pair| *pair = Pair::cut_at(0, JOINT, 3));
    add(|pair| {
        *pair = Pair::cut_at(0, JOINT, 1);
        pair.user(0, Command::CancelSwap);
    });
    add(|pair| {
        *pair = Pair::cut_at(0, JOINT, 2);
        pair.user(0, Command::Dispute).settle();
    });
}

/// How many kinds of inputs [`input`] makes.
pub(crate) const KINDS: u8 = 49;

/// Anything that a peer, a user or a ledger could come up with, near enough to be interesting.
pub(crate) fn input(machine: &Machine, pair: &Pair, kind: u8, number: u64, flag: bool) -> Input {
    let base = machine
        .agreed()
        .map(|agreed| agreed.state.clone())
        .unwrap_or_else(|| State::initial(ChannelId::new([1; 32]), pair.terms(50, 50).outcome));
    let from = usize::from(flag);
    let paid = base.outcome().transfer(from, 1 - from, 0, Amount::new(u128::from(number % 60)));
    let version = Version::new(base.version().get() + number % 4);
    let state = base.at_version(version, paid.unwrap_or_else(|_| base.outcome().clone()));
    let signer = &pair.nodes[usize::from(number.is_multiple_of(3))].signer;
    let signature: Signature = signer.sign(&Digest::new(state.digest()));
    let turn = Turn::new(number % 5);
    let message = |body| Input::Message(Message { opening: machine.opening(), body });
    let channel = pair.ledger.channels.keys().next().copied().unwrap_or(*state.id());
    let sighted =
        |standing| Input::Ledger(Sighting { ledger: JOINT, channel, standing, confirmed: flag });
    let by = Slot { participant: index(from), delegate: number.is_multiple_of(2) };
    let payments: Batch = [pair.payment(0, u128::from(number % 60))].into_iter().collect();
    let after = if flag { Handover::Keep {} } else { Handover::Yield { wants_back: true } };
    let transaction = TransactionId::new([7; 32]);
    let proof = flag.then_some(Proof { mine: signature, yours: signature });
    match kind {
        0 => message(Body::Update { state, payments, after, signature }),
        1 => message(Body::Update {
            state: state.finalized(),
            payments: Batch::default(),
            after,
            signature,
        }),
        2 => message(Body::Ack { version, wants_turn: flag, signature }),
        3 => message(Body::Reject { version, reason: RejectReason::User {} }),
        4 => message(Body::RequestTurn { turn }),
        5 => message(Body::YieldTurn { turn, wants_back: flag }),
        6 => message(Body::Sync { state, next_version: Version::new(number), proof }),
        7 => message(Body::Decline { reason: DeclineReason::Busy {} }),
        8 => message(Body::Release {
            witness: Witness { transaction, locks: money(1), consent: None },
        }),
        9 => message(Body::Propose { terms: pair.terms(1, 2), contributions: parts(0) }),
        10 => {
            message(Body::Accept { participant: pair.participant(from), contributions: parts(1) })
        }
        11 => message(Body::AcceptResize { contribution: money(from) }),
        12 => Input::Command(Command::Pay(pair.payment(0, u128::from(number)))),
        13 => Input::Command(Command::Close),
        14 => Input::Command(Command::Dispute),
        15 => Input::Command(resize(deposit(u128::from(number)), deposit(u128::MAX))),
        16 => Input::Command(Command::AcceptClose),
        17 => Input::Command(Command::DeclineResize),
        18 => sighted(Standing::Registered {
            state,
            by,
            until: LedgerTime::new(number),
            proof: flag.then_some([signature; 2]),
        }),
        19 => sighted(Standing::Concluded { state, unpaid: u32::from(flag), preimage: None }),
        20 => sighted(Standing::Closed { state }),
        21 => sighted(Standing::Open),
        22 => sighted(Standing::Impossible),
        23 => sighted(Standing::Spent { transaction }),
        24 => Input::LedgerClock { ledger: JOINT, now: LedgerTime::new(number) },
        25 => Input::JournalRolledBack,
        26 => Input::Connected,
        27 => Input::Restart,
        28 => message(Body::Sign { signature }),
        29..=34 => shown_on_two(kind, number, (channel, state, by), flag),
        35..=47 => about_swaps(pair, kind, number, (state, signature), flag),
        _ => Input::Tick,
    }
}

/// The same about swaps.
fn about_swaps(
    pair: &Pair,
    kind: u8,
    number: u64,
    (state, signature): (State, Signature),
    flag: bool,
) -> Input {
    let message = |body| Input::Message(Message { opening: pair.opening, body });
    let version = state.version();
    match kind {
        35 => message(Body::SwapOffer { state: carrying(&state, flag), signature }),
        36 => message(Body::SwapAccept { version, signature }),
        37 => message(Body::SwapReveal { version, preimage: SECRET, signature }),
        38 => message(Body::SwapDone { version, signature }),
        39 => message(Body::SwapCancelRequest { version }),
        40 => message(Body::SwapCancel { version, signature }),
        41 => message(Body::SwapCancelled { version, signature }),
        42 => {
            let x = if number.is_multiple_of(2) { JOINT } else { VAULT };
            Input::Command(pair.swap_command(usize::from(flag), x))
        }
        43 => Input::Command(Command::AcceptSwap { clocks: pair.clocks() }),
        44 => Input::Command(Command::DeclineSwap),
        45 => Input::Command(Command::CancelSwap),
        46 => {
            Input::LedgerClock { ledger: JOINT, now: LedgerTime::new(START + number % 8 * 4_500) }
        }
        _ => Input::LedgerClock { ledger: VAULT, now: LedgerTime::new(START + number % 8 * 4_500) },
    }
}

/// The state with a swap that it may or may not be able to carry.
fn carrying(state: &State, flag: bool) -> State {
    let [x, y] = if flag { [JOINT, VAULT] } else { [VAULT, JOINT] };
    let swap = Swap::new(Swap::lock_of(SECRET.as_bytes()), legs(0, [x, y], START)).unwrap();
    let (id, version, outcome) = (*state.id(), state.version(), state.outcome().clone());
    State::new(id, version, outcome, swap.to_data(), false).unwrap()
}

/// The same for what a second ledger shows.
fn shown_on_two(
    kind: u8,
    number: u64,
    (channel, state, by): (ChannelId, State, Slot),
    confirmed: bool,
) -> Input {
    let on = |ledger, standing| Input::Ledger(Sighting { ledger, channel, standing, confirmed });
    let until = LedgerTime::new(number);
    match kind {
        29 => on(VAULT, Standing::Registered { state, by, until, proof: None }),
        30 => on(VAULT, Standing::Open),
        31 => on(VAULT, Standing::Absent),
        32 => {
            let (unpaid, preimage) = (u32::from(confirmed) << 1, Some(SECRET));
            on(VAULT, Standing::Concluded { state, unpaid, preimage })
        }
        33 => Input::LedgerClock { ledger: VAULT, now: until },
        _ => on(JOINT, Standing::Absent),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_input_panics_and_a_refusal_changes_nothing(
        script in prop::collection::vec(
            (0u8..KINDS, any::<u64>(), any::<bool>(), 0u64..900), 1..12,
        ),
    ) {
        for (mut pair, place) in places() {
            for (kind, number, flag, secs) in &script {
                let number = if number.is_multiple_of(3) { *number } else { number % 8 };
                let input = input(&pair.nodes[place].machine, &pair, *kind, number, *flag);
                pair.now = pair.now.after(*secs);
                // `feed` checks that a step changes nothing, and records decide alone.
                let before = (pair.nodes[place].machine.clone(), pair.nodes[place].journal.len());
                if pair.feed(place, input).is_err() {
                    let node = &pair.nodes[place];
                    let after = (node.machine.clone(), node.journal.len());
                    prop_assert!(before == after);
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_a_message_or_a_record_with_two_spellings(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Some(format) = bytes.first_mut() {
            *format = 2;
        }
        if let Ok(message) = Message::from_bytes(&bytes) {
            prop_assert_eq!(message.to_bytes(), bytes.clone());
        }
        if let Ok(record) = perun_protocol::Record::from_bytes(&bytes) {
            prop_assert_eq!(record.to_bytes(), bytes);
        }
    }

    #[test]
    fn spoilt_messages_decode_to_their_own_spelling_or_not_at_all(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let mut pair = Pair::open(50, 50);
        pair.pay(0, 3).pay(1, 2).settle();
        let (_, mut bytes) = pair.net.log[which.index(pair.net.log.len())].clone();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(message) = Message::from_bytes(&bytes) {
            prop_assert_eq!(message.to_bytes(), bytes);
        }
    }
}

#[test]
fn a_record_that_does_not_fit_freezes_a_living_channel() {
    let mut pair = Pair::open(5, 5);
    let record = perun_protocol::Record::Opened {};
    pair.nodes[0].machine.apply(&record);
    assert_eq!(pair.phases()[0], perun_protocol::PhaseName::Frozen);
    assert_eq!(pair.nodes[0].machine.step(Time::new(0), Input::Connected).unwrap().effects, []);
}
