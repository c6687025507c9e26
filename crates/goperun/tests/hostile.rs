//! Bytes that no honest peer sends: whatever they are, no decoder panics, and none allocates more
//! than the stated multiple of their number.
//!
//! `PERUN_HOSTILE_ROUNDS` sets how many messages are tried, 100,000 unless told, and
//! `PERUN_HOSTILE_SEED` which ones; a failure names its seed. `make fuzz` tries ten million.

#[path = "fuzz/mod.rs"]
mod fuzz;
#[path = "random/mod.rs"]
mod random;

use fuzz::{BOTH, counted, decode, spoil};
use perun_goperun::simple::{Address, SimpleVerifier};
use perun_goperun::{
    ALLOCATED_MAX_PER_BYTE, DecodeError, Envelope, Inbox, Message, Serializer, Verifier,
};
use random::Random;

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn h1_no_bytes_bring_a_decoder_down() {
    let rounds = setting("PERUN_HOSTILE_ROUNDS", 100_000);
    let tally = fuzz::run(rounds, setting("PERUN_HOSTILE_SEED", 7));
    // Both outcomes must be common, or the changes were all too rough or too soft.
    let least = rounds / 2 / 20;
    let common = tally.read.iter().chain(&tally.refused).all(|count| *count > least);
    assert!(common && tally.kinds.iter().all(|count| *count > 0), "{tally:?}");
    assert!(tally.greeted.min(tally.left) > rounds / 200, "{tally:?}");
}

/// The longest lists of the smallest elements, at every place where a list may stand.
#[test]
fn h1_a_frame_full_of_empty_elements_stays_within_the_bound() {
    // The field numbers on the way to the list, from the envelope down.
    let lists: [&[u8]; 22] = [
        &[1, 1],
        &[2, 1],
        &[7, 1, 6, 1],
        &[7, 1, 6, 2],
        &[7, 1, 6, 3, 1],
        &[7, 1, 6, 3, 1, 1],
        &[7, 1, 6, 4],
        &[7, 1, 6, 4, 2, 1],
        &[7, 1, 6, 4, 3, 1],
        &[7, 1, 7, 1],
        &[7, 2, 1],
        &[7, 3],
        &[7, 3, 1],
        &[11, 4],
        &[11, 5],
        &[11, 5, 1],
        &[14, 1, 1, 4, 4],
        &[15, 2, 1, 3],
        &[15, 2, 1, 3, 1],
        &[15, 2, 3],
        &[15, 3, 1],
        &[19, 2, 2],
    ];
    let mut worst = 0;
    for path in lists {
        let (list, way) = path.split_last().unwrap();
        // An empty element of the list: its key, and a length of zero.
        let element = [list << 3 | 2, 0];
        for count in [1, 100, 32_000] {
            let mut body = element.repeat(count);
            for field in way.iter().rev() {
                let mut outer = key(*field);
                put_varint(&mut outer, body.len());
                outer.append(&mut body);
                body = outer;
            }
            let length = u16::try_from(body.len()).unwrap();
            let bytes = [&length.to_be_bytes()[..], &body].concat();
            let ((), asked) = counted(|| assert!(decode(Serializer::Protobuf, &bytes).is_err()));
            worst = worst.max(asked / bytes.len());
        }
    }
    assert!(worst > ALLOCATED_MAX_PER_BYTE / 4, "the bound is {worst} at most: state that");
}

fn key(field: u8) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, usize::from(field) << 3 | 2);
    out
}

fn put_varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Claims of huge lists cost nothing: go-perun reserves their memory before it reads them.
#[test]
fn h1_a_huge_count_in_a_few_bytes_asks_for_no_memory() {
    for count in [[0xff, 0xff, 0xff, 0x7f], [0xff; 4], [0, 0, 0, 0x40]] {
        let (refused, asked) = counted(|| Serializer::Native.decode(&count).unwrap_err());
        assert!(matches!(refused, DecodeError::Limit(_)));
        assert_eq!(asked, 0);
    }
}

/// However the bytes arrive, an inbox holds no more than one envelope may have.
#[test]
fn an_inbox_comes_to_an_end_with_every_stream() {
    let mut random = Random::new(3);
    for round in 0..300 {
        let serializer = BOTH[round % 2];
        let mut inbox = Inbox::new(serializer);
        let mut bytes = Vec::new();
        for _ in 0..3 {
            let kind = u8::try_from(random.below(17)).unwrap();
            let envelope = random.envelope(kind);
            bytes.extend(serializer.encode(&envelope).unwrap());
        }
        spoil(&mut random, &mut bytes, &[]);
        let mut envelopes = 0;
        'stream: for part in bytes.chunks(1 + random.below(90)) {
            inbox.put(part);
            loop {
                match inbox.poll() {
                    Ok(Some(_)) => envelopes += 1,
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
        }
        assert!(envelopes <= 6);
    }
}

/// Keys of strangers go to the verifier as they come.
#[test]
fn h3_no_address_brings_its_verifier_down() {
    let mut random = Random::new(11);
    let modulus = [vec![0x80], random.bytes(255)].concat();
    let address = [&[0, 1, b'x', 1, 0][..], &modulus, &[0, 1, 0, 1]].concat();
    assert!(Address::from_bytes(&address).is_some());
    for _ in 0..3_000 {
        let mut bytes = address.clone();
        spoil(&mut random, &mut bytes, &address);
        let length = random.below(300);
        let signature = random.bytes(length);
        assert!(!SimpleVerifier.proves(&bytes, b"message", &signature));
        if let Some(read) = Address::from_bytes(&bytes) {
            assert_eq!(read.to_bytes(), bytes);
        }
    }
}

/// A message that decodes says the same in both formats, so nothing slips through one of them.
#[test]
fn m1_both_formats_carry_the_same() {
    let mut random = Random::new(5);
    for round in 0..1_700_u64 {
        let envelope = random.envelope(u8::try_from(round % 17).unwrap());
        for serializer in BOTH {
            let bytes = serializer.encode(&envelope).unwrap();
            assert_eq!(decode(serializer, &bytes), Ok(envelope.clone()));
        }
    }
    let envelope = random.envelope(0);
    let message = Message::Sync { phase: 0, current: None };
    let nothing = Envelope { message, ..envelope };
    for serializer in BOTH {
        assert_eq!(decode(serializer, &serializer.encode(&nothing).unwrap()), Ok(nothing.clone()));
    }
}
