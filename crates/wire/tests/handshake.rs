//! What a handshake refuses: wrong peers, wrong versions, garbage at every byte.

mod common;

use common::{Dice, NOW, connect, id, identity, shake};
use std::sync::Arc;

use perun_wire::{
    Event, Expect, Goodbye, HANDSHAKE_MS_MAX, Handshake, Incarnation, Session, Time, Versions,
    WireError,
};
use proptest::prelude::*;

fn ends(dial: Expect, accept: Expect) -> (Handshake, Handshake) {
    let dial = Handshake::dial(&identity(1), dial, [11; 32], NOW).unwrap();
    let accept = Handshake::accept(&identity(2), accept, [12; 32], NOW).unwrap();
    (dial, accept)
}

#[test]
fn both_ends_learn_who_the_other_is() {
    let (dialed, accepted) = connect(1, 2, &mut Dice(1));
    assert_eq!((dialed.peer(), accepted.peer()), (id(2), id(1)));
    assert_eq!((dialed.version(), accepted.version()), (1, 1));
}

#[test]
fn a_wrong_peer_is_found_out_before_it_learns_who_dialled() {
    let (mut dial, mut accept) = ends(Expect::Exactly(id(3)), Expect::Anyone);
    let error = shake(&mut dial, &mut accept).unwrap_err();
    assert_eq!(error, WireError::WrongPeer { expected: id(3), found: id(2) });
    assert!(dial.poll_transmit().is_none(), "the third message, with our key, is not sent");
    assert!(!accept.is_done());
    assert_eq!(dial.finish().unwrap_err(), error);
}

#[test]
fn a_peer_that_is_not_admitted_is_told_so() {
    let rule = Expect::Matching(Arc::new(|peer| peer == id(9)));
    let (mut dial, mut accept) = ends(Expect::Exactly(id(2)), rule);
    assert_eq!(shake(&mut dial, &mut accept), Err(WireError::NotAdmitted { peer: id(1) }));
    let last_word = accept.poll_transmit().unwrap();
    let mut session = Session::new(id(2), Incarnation([1; 16]));
    let mut events: Vec<Event> = Vec::new();
    session.attach(dial.finish().unwrap(), NOW, &mut events).unwrap();
    let told = session.handle_bytes(&last_word, NOW, &mut events);
    assert_eq!(told, Err(WireError::Goodbye(Goodbye::NotAdmitted)));
}

#[test]
fn without_a_common_version_both_ends_can_say_why() {
    let old = Versions { oldest: 1, newest: 2 };
    let new = Versions { oldest: 3, newest: 9 };
    let end = |n, dialing, versions| {
        let entropy = [n; 32];
        Handshake::with_versions(&identity(n), Expect::Anyone, entropy, NOW, dialing, versions)
            .unwrap()
    };
    let (mut dial, mut accept) = (end(1, true, old), end(2, false, new));
    let hello = dial.poll_transmit().unwrap();
    let refused = accept.handle_bytes(&hello);
    assert_eq!(refused, Err(WireError::NoCommonVersion { ours: new, theirs: old }));
    let answer = accept.poll_transmit().unwrap();
    let refused = dial.handle_bytes(&answer);
    assert_eq!(refused, Err(WireError::NoCommonVersion { ours: old, theirs: new }));
}

#[test]
fn a_lowered_version_range_breaks_the_handshake() {
    let range = Versions { oldest: 1, newest: 9 };
    let end = |n, dialing| {
        let entropy = [n; 32];
        Handshake::with_versions(&identity(n), Expect::Anyone, entropy, NOW, dialing, range)
            .unwrap()
    };
    let (mut dial, mut accept) = (end(1, true), end(2, false));
    let mut hello = dial.poll_transmit().unwrap();
    hello[9] = 4;
    accept.handle_bytes(&hello).unwrap();
    assert_eq!(shake(&mut dial, &mut accept), Err(WireError::HandshakeFailed));
}

#[test]
fn every_flipped_bit_of_the_handshake_is_refused_by_one_end() {
    for message in 0..5 {
        for bit in 0.. {
            let (mut dial, mut accept) = ends(Expect::Exactly(id(2)), Expect::Anyone);
            let mut index = 0;
            let mut length = 0;
            let mut run = || -> Result<(), WireError> {
                loop {
                    let mut moved = false;
                    for turn in 0..2 {
                        let (from, to) = if turn == 0 {
                            (&mut dial, &mut accept)
                        } else {
                            (&mut accept, &mut dial)
                        };
                        while let Some(mut bytes) = from.poll_transmit() {
                            if index == message {
                                length = bytes.len() * 8;
                                if bit < length {
                                    bytes[bit / 8] ^= 1 << (bit % 8);
                                }
                            }
                            index += 1;
                            to.handle_bytes(&bytes)?;
                            moved = true;
                        }
                    }
                    if !moved {
                        return Ok(());
                    }
                }
            };
            let done = run();
            if bit >= length {
                assert_eq!(done, Ok(()));
                break;
            }
            // The top bit of an ephemeral key is ignored by the curve, not by the transcript.
            assert!(done.is_err(), "message {message}, bit {bit}");
        }
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let (mut dial, mut accept) = ends(Expect::Exactly(id(2)), Expect::Anyone);
    while !(dial.is_done() && accept.is_done()) {
        while let Some(bytes) = dial.poll_transmit() {
            bytes.iter().for_each(|byte| accept.handle_bytes(&[*byte]).unwrap());
        }
        while let Some(bytes) = accept.poll_transmit() {
            bytes.iter().for_each(|byte| dial.handle_bytes(&[*byte]).unwrap());
        }
    }
}

#[test]
fn an_unfinished_handshake_gives_no_connection_and_has_a_deadline() {
    let (dial, accept) = ends(Expect::Anyone, Expect::Anyone);
    assert_eq!(accept.deadline(), Time(NOW.0 + HANDSHAKE_MS_MAX));
    assert_eq!(dial.finish().unwrap_err(), WireError::Misuse);
    assert_eq!(accept.finish().unwrap_err(), WireError::Misuse);
}

#[test]
fn a_failed_handshake_stays_failed() {
    let (_, mut accept) = ends(Expect::Anyone, Expect::Anyone);
    assert_eq!(accept.handle_bytes(b"GET / HTTP/1.1"), Err(WireError::NotPerun));
    assert_eq!(accept.handle_bytes(&[0; 5000]), Err(WireError::NotPerun));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn garbage_at_any_point_is_refused_without_a_panic(
        point in 0..4_usize,
        garbage in proptest::collection::vec(any::<u8>(), 1..400),
    ) {
        let (mut dial, mut accept) = ends(Expect::Exactly(id(2)), Expect::Anyone);
        let hello = dial.poll_transmit().unwrap();
        if point > 0 {
            accept.handle_bytes(&hello).unwrap();
            dial.handle_bytes(&accept.poll_transmit().unwrap()).unwrap();
        }
        if point > 1 {
            accept.handle_bytes(&dial.poll_transmit().unwrap()).unwrap();
        }
        let victim = if point == 3 { &mut dial } else { &mut accept };
        let _ = victim.handle_bytes(&garbage);
        prop_assert!(!victim.is_done());
    }
}
