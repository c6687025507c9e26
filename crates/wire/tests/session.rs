//! What a session promises: every message once, in order, over any number of broken connections.

mod common;

use common::{NOW, Pair, connect, id};
use perun_wire::{
    Goodbye, Incarnation, MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES, MAX_SEALED_BYTES, PING_AFTER_MS,
    SILENT_MS_MAX, SendRefusal, Session, Time, WINDOW_BYTES, WINDOW_MESSAGES, WireError,
};
use proptest::prelude::*;

#[test]
fn messages_of_every_size_arrive_whole() {
    let mut pair = Pair::new(1);
    pair.connect();
    for size in [0, 1, MAX_CHUNK_BYTES, MAX_CHUNK_BYTES + 1, 2 * MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES]
    {
        pair.alice.session.send(vec![size as u8; size]).unwrap();
        pair.settle();
        assert_eq!(pair.bob.got.pop().unwrap(), vec![size as u8; size]);
    }
    assert_eq!(pair.alice.session.unacknowledged(), 0);
    let long = vec![0; MAX_MESSAGE_BYTES + 1];
    assert_eq!(pair.alice.session.send(long), Err(SendRefusal::TooLong));
}

#[test]
fn a_full_window_refuses_and_drops_nothing() {
    let mut pair = Pair::new(2);
    for n in 0..WINDOW_MESSAGES {
        pair.alice.session.send(vec![n as u8]).unwrap();
    }
    assert_eq!(pair.alice.session.send(vec![9]), Err(SendRefusal::Busy));
    pair.connect().settle();
    assert_eq!(pair.bob.got.len(), WINDOW_MESSAGES);
    for _ in 0..WINDOW_BYTES / MAX_MESSAGE_BYTES {
        pair.alice.session.send(vec![0; MAX_MESSAGE_BYTES]).unwrap();
    }
    assert_eq!(pair.alice.session.send(vec![9]), Err(SendRefusal::Busy));
}

#[test]
fn an_unread_message_stays_in_the_window() {
    let mut pair = Pair::new(3);
    pair.connect();
    pair.alice.session.send(b"x".to_vec()).unwrap();
    for _ in 0..3 {
        for bytes in pair.alice.drain() {
            pair.bob.handle(&bytes).unwrap();
        }
        for bytes in pair.bob.drain() {
            pair.alice.handle(&bytes).unwrap();
        }
    }
    assert_eq!(pair.bob.got.len(), 1);
    assert_eq!(pair.alice.session.unacknowledged(), 1, "until the owner acknowledges it");
    pair.settle();
    pair.bob.acknowledge_all();
    pair.settle();
    assert_eq!(pair.alice.session.unacknowledged(), 0);
}

/// Many cuts at random bytes; torn, repeated, swapped and flipped frames. Each seed is a story.
fn rough_crossing(seed: u64) {
    let mut pair = Pair::new(seed);
    let (mut sent_a, mut sent_b) = (Vec::new(), Vec::new());
    for round in 0..40_u64 {
        pair.connect();
        let mut broken = false;
        for _ in 0..pair.dice.roll(6) {
            let size = if pair.dice.roll(8) == 0 { 150_000 } else { pair.dice.roll(50) } as usize;
            let mut payload = round.to_be_bytes().to_vec();
            payload.resize(8 + size, 7);
            if pair.dice.roll(2) == 0 {
                if pair.alice.session.send(payload.clone()).is_ok() {
                    sent_a.push(payload);
                }
            } else if pair.bob.session.send(payload.clone()).is_ok() {
                sent_b.push(payload);
            }
        }
        while !broken {
            let to_bob = pair.dice.roll(2) == 0;
            let (from, to) = if to_bob {
                (&mut pair.alice, &mut pair.bob)
            } else {
                (&mut pair.bob, &mut pair.alice)
            };
            let mut frames = from.drain();
            match pair.dice.roll(30) {
                0 => broken = true,
                1 if !frames.is_empty() => {
                    let torn = frames.pop().unwrap();
                    let keep = pair.dice.roll(torn.len() as u64) as usize;
                    frames.push(torn[..keep].to_vec());
                    broken = true;
                }
                2 if !frames.is_empty() => frames.push(frames[0].clone()),
                3 if frames.len() > 1 => frames.swap(0, 1),
                4 if !frames.is_empty() => {
                    let at = pair.dice.roll(frames[0].len() as u64) as usize;
                    frames[0][at] ^= 1 << pair.dice.roll(8);
                }
                _ => {}
            }
            for bytes in frames {
                broken |= to.handle(&bytes).is_err();
                if broken {
                    break;
                }
            }
            if pair.dice.roll(2) == 0 {
                pair.alice.acknowledge_all();
                pair.bob.acknowledge_all();
            }
        }
    }
    pair.connect().settle();
    pair.alice.acknowledge_all();
    pair.settle();
    assert_eq!(pair.bob.got, sent_a, "seed {seed}");
    assert_eq!(pair.alice.got, sent_b, "seed {seed}");
    assert_eq!(pair.alice.session.unacknowledged() + pair.bob.session.unacknowledged(), 0);
    assert!(pair.alice.restarts.is_empty() && pair.bob.restarts.is_empty());
}

#[test]
fn every_message_arrives_once_and_in_order_however_rough_the_line() {
    (100..140).for_each(rough_crossing);
}

#[test]
fn a_peer_that_lost_its_memory_is_announced_with_what_it_missed() {
    let mut pair = Pair::new(4);
    pair.connect();
    pair.alice.session.send(b"kept".to_vec()).unwrap();
    pair.settle();
    let stale = *pair.bob.receipts.last().unwrap();
    pair.alice.session.send(b"missed".to_vec()).unwrap();
    // Bob restarts with nothing.
    pair.bob = common::End::new(1, pair.dice.bytes());
    pair.connect().settle();
    assert_eq!(pair.alice.restarts, [vec![b"missed".to_vec()]]);
    assert!(pair.bob.restarts.is_empty(), "to a fresh memory this is a first contact");
    assert!(pair.bob.got.is_empty(), "nothing is sent again by itself");
    pair.alice.session.send(b"anew".to_vec()).unwrap();
    pair.bob.session.send(b"too".to_vec()).unwrap();
    pair.settle();
    assert_eq!(
        (&pair.bob.got[..], &pair.alice.got[..]),
        (&[b"anew".to_vec()][..], &[b"too".to_vec()][..])
    );
    // A receipt from before a restart acknowledges nothing.
    let before = pair.bob.session.unacknowledged();
    pair.alice.session.acknowledge(stale);
    assert_eq!(pair.bob.session.unacknowledged(), before);
}

#[test]
fn frames_of_an_old_connection_are_refused() {
    let mut pair = Pair::new(5);
    pair.connect();
    pair.alice.session.send(b"pay 5".to_vec()).unwrap();
    let recorded = pair.alice.drain();
    pair.connect();
    let bytes = recorded.concat();
    assert_eq!(pair.bob.handle(&bytes), Err(WireError::FrameNotAuthentic));
    assert!(pair.bob.got.is_empty());
}

#[test]
fn every_flipped_bit_ends_the_connection_and_delivers_nothing() {
    for bit in 0.. {
        let mut pair = Pair::new(6);
        pair.connect().settle();
        pair.alice.session.send(b"pay 5".to_vec()).unwrap();
        let mut bytes = pair.alice.drain().concat();
        if bit >= bytes.len() * 8 {
            break;
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
        // A longer length waits for more; whatever comes next cannot make it authentic.
        let first = pair.bob.handle(&bytes);
        let more = first.and_then(|()| pair.bob.handle(&[0; MAX_SEALED_BYTES + 2]));
        assert!(more.is_err(), "bit {bit}");
        assert!(pair.bob.got.is_empty());
    }
}

#[test]
fn a_greedy_length_costs_only_what_was_sent() {
    let mut dice = common::Dice(7);
    let (_, accepted) = connect(1, 2, &mut dice);
    assert_eq!(accepted.buffered_bytes(), 0);
    let mut bob = common::End::new(1, dice.bytes());
    bob.attach(accepted).unwrap();
    bob.handle(&[0xff, 0xff]).unwrap();
    for _ in 0..MAX_SEALED_BYTES - 1 {
        bob.handle(&[0]).unwrap();
    }
    assert_eq!(bob.handle(&[0]), Err(WireError::FrameNotAuthentic), "the largest frame ends here");
    assert!(!bob.session.is_attached());
}

#[test]
fn silence_is_noticed_and_a_ping_keeps_the_line() {
    let mut pair = Pair::new(9);
    pair.connect().settle();
    let ping_at = Time(NOW.0 + PING_AFTER_MS);
    assert_eq!(pair.alice.session.deadline(), Some(ping_at));
    pair.alice.session.handle_timeout(ping_at).unwrap();
    let ping = pair.alice.drain();
    assert_eq!(ping.len(), 1);
    pair.bob.handle(&ping[0]).unwrap();
    let pong = pair.bob.drain();
    let mut events = Vec::new();
    pair.alice.session.handle_bytes(&pong[0], ping_at, &mut events).unwrap();
    assert_eq!(pair.alice.session.deadline(), Some(Time(ping_at.0 + PING_AFTER_MS)));
    let silent = Time(NOW.0 + SILENT_MS_MAX);
    assert_eq!(pair.bob.session.handle_timeout(silent), Err(WireError::PeerSilent));
    assert!(!pair.bob.session.is_attached());
    assert_eq!(pair.bob.session.deadline(), None);
}

#[test]
fn several_pings_at_once_make_one_pong() {
    let mut pair = Pair::new(10);
    pair.connect().settle();
    for n in 1..=2 {
        pair.alice.session.handle_timeout(Time(NOW.0 + n * PING_AFTER_MS)).unwrap();
        let pings = pair.alice.drain();
        assert_eq!(pings.len(), 1);
        pair.bob.handle(&pings[0]).unwrap();
    }
    assert_eq!(pair.bob.drain().len(), 1);
}

#[test]
fn when_both_dial_both_keep_the_same_connection() {
    let mut pair = Pair::new(11);
    let (smaller, larger) = if id(1) < id(2) { (1, 2) } else { (2, 1) };
    let (by_small, to_large) = connect(smaller, larger, &mut pair.dice);
    let (by_large, to_small) = connect(larger, smaller, &mut pair.dice);
    let (small, large) = if smaller == 1 {
        (&mut pair.alice, &mut pair.bob)
    } else {
        (&mut pair.bob, &mut pair.alice)
    };
    small.attach(by_small).unwrap();
    assert_eq!(small.attach(to_small), Err(WireError::Duplicate));
    large.attach(by_large).unwrap();
    large.attach(to_large).unwrap();
    pair.alice.session.send(b"x".to_vec()).unwrap();
    pair.settle();
    assert_eq!(pair.bob.got.len(), 1);
    pair.connect().settle();
    assert!(pair.alice.connected >= 2, "a redial by the same end replaces");
}

#[test]
fn a_connection_of_another_peer_is_not_attached() {
    let mut pair = Pair::new(12);
    let (to_carol, _) = connect(1, 3, &mut pair.dice);
    assert_eq!(pair.alice.attach(to_carol), Err(WireError::Misuse));
    assert_eq!(pair.alice.handle(b"x"), Err(WireError::NotConnected));
}

#[test]
fn a_goodbye_is_the_last_word() {
    let mut pair = Pair::new(13);
    pair.connect().settle();
    pair.alice.session.say_goodbye(Goodbye::Closing);
    pair.alice.session.send(b"late".to_vec()).unwrap();
    let last = pair.alice.drain();
    assert_eq!(last.len(), 1);
    assert!(pair.alice.session.said_goodbye());
    assert_eq!(pair.bob.handle(&last[0]), Err(WireError::Goodbye(Goodbye::Closing)));
    pair.connect().settle();
    assert_eq!(pair.bob.got, [b"late".to_vec()]);
}

#[test]
fn a_run_is_its_seed() {
    let run = |seed| {
        let mut pair = Pair::new(seed);
        pair.connect();
        pair.alice.session.send(b"x".to_vec()).unwrap();
        pair.alice.drain()
    };
    assert_eq!(run(14), run(14));
    assert_ne!(run(14), run(15));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_make_an_open_session_panic(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..8),
    ) {
        let mut pair = Pair::new(16);
        pair.connect().settle();
        for piece in pieces {
            if pair.bob.handle(&piece).is_err() {
                break;
            }
        }
        prop_assert!(pair.bob.got.is_empty());
        let _ = Session::new(id(1), Incarnation([0; 16])).poll_transmit();
    }
}
