//! Bytes that no honest peer sends: whatever they are, no decoder panics, and none allocates more
//! than the stated multiple of their number.
//!
//! `PERUN_HOSTILE_ROUNDS` sets how many messages are tried, 100,000 unless told, and
//! `PERUN_HOSTILE_SEED` which ones; a failure names its seed.

#[path = "random/mod.rs"]
mod random;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use perun_goperun::simple::{Address, SimpleVerifier};
use perun_goperun::{
    ALLOCATED_MAX_PER_BYTE, ALLOCATED_MAX_PER_MESSAGE, DecodeError, Envelope, Inbox, Message,
    Serializer, Verifier,
};
use random::Random;

const BOTH: [Serializer; 2] = [Serializer::Native, Serializer::Protobuf];

/// Counts what this thread asks for, all of it: what was freed again too.
struct Counting;

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: it does what the system's allocator does, and counts in a cell that needs no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.with(|asked| asked.set(asked.get() + layout.size()));
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps to the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.with(|asked| asked.set(asked.get() + size));
        // SAFETY: the caller keeps to the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What `work` gives, and how many bytes it asked for.
fn counted<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ASKED.with(Cell::get);
    let done = work();
    (done, ASKED.with(Cell::get) - before)
}

/// Decodes, within the bound on memory; what decodes, encodes again to as many bytes, and to the
/// same ones unless its maps were in another order.
fn decode(serializer: Serializer, bytes: &[u8]) -> Result<Envelope, DecodeError> {
    let (decoded, asked) = counted(|| serializer.decode(bytes));
    let bound = ALLOCATED_MAX_PER_MESSAGE + ALLOCATED_MAX_PER_BYTE * bytes.len();
    assert!(asked <= bound, "{serializer:?}: {asked} bytes for {} bytes", bytes.len());
    if let Err(DecodeError::Short { wanted }) = decoded {
        assert!(wanted > bytes.len(), "{serializer:?}: {wanted} are there");
    }
    let (envelope, length) = decoded?;
    let again = serializer.encode(&envelope).unwrap();
    assert_eq!(again.len(), length, "{serializer:?}");
    if again != bytes[..length] {
        assert_eq!(serializer.decode(&again), Ok((envelope.clone(), length)), "{serializer:?}");
        assert_eq!(sorted(&again), sorted(&bytes[..length]), "{serializer:?}: more than order");
    }
    Ok(envelope)
}

fn sorted(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.sort_unstable();
    bytes
}

/// One change of the bytes, of a kind that decoders trip over.
fn spoil(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    let place = random.below(bytes.len().max(1));
    match random.below(8) {
        _ if bytes.is_empty() => bytes.push(0),
        0 => bytes[place] ^= 1 << random.below(8),
        1 => bytes[place] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
        2 => bytes.truncate(place),
        3 => bytes.insert(place, random.bytes(1)[0]),
        4 => drop(bytes.remove(place)),
        5 => bytes.iter_mut().skip(place).take(4).for_each(|byte| *byte = 0xff),
        6 => {
            let end = (place + random.below(64)).min(bytes.len());
            let part = bytes[place..end].to_vec();
            bytes.splice(end..end, part);
        }
        _ => {
            let from = random.below(other.len().max(1));
            bytes.truncate(place);
            bytes.extend_from_slice(&other[from.min(other.len())..]);
        }
    }
}

/// A protobuf frame's length is mended, else hardly anything would get past it.
fn mend(serializer: Serializer, bytes: &mut [u8]) {
    if let (Serializer::Protobuf, [high, low, body @ ..]) = (serializer, bytes)
        && let Ok(length) = u16::try_from(body.len())
    {
        [*high, *low] = length.to_be_bytes();
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn no_bytes_bring_a_decoder_down() {
    let rounds = setting("PERUN_HOSTILE_ROUNDS", 100_000);
    let seed = setting("PERUN_HOSTILE_SEED", 7);
    let mut random = Random::new(seed);
    let sound: Vec<Envelope> = (0..68).map(|kind| random.envelope(kind % 17)).collect();
    let sound = BOTH.map(|serializer| {
        sound.iter().map(|one| serializer.encode(one).unwrap()).collect::<Vec<_>>()
    });
    let (mut read, mut refused) = ([0_u64; 2], [0_u64; 2]);
    for round in 0..rounds {
        let mut random = Random::new(seed ^ (round << 20));
        let kind = random.below(2);
        let mut bytes = match random.below(8) {
            0 => {
                let length = random.below(400);
                random.bytes(length)
            }
            _ => sound[kind][random.below(68)].clone(),
        };
        for _ in 0..=random.below(3) {
            let other = random.below(68);
            spoil(&mut random, &mut bytes, &sound[kind][other]);
        }
        if random.below(8) > 0 {
            mend(BOTH[kind], &mut bytes);
        }
        let decoded = std::panic::catch_unwind(|| decode(BOTH[kind], &bytes));
        let Ok(decoded) = decoded else { panic!("round {round} of seed {seed}: {bytes:02x?}") };
        if decoded.is_ok() { read[kind] += 1 } else { refused[kind] += 1 }
    }
    // Both outcomes must be common, or the changes were all too rough or too soft.
    let tenth = rounds / 2 / 20;
    assert!(read.iter().chain(&refused).all(|count| *count > tenth), "{read:?} {refused:?}");
}

/// The longest lists of the smallest elements, at every place where a list may stand.
#[test]
fn a_frame_full_of_empty_elements_stays_within_the_bound() {
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
fn a_huge_count_in_a_few_bytes_asks_for_no_memory() {
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
fn no_address_brings_its_verifier_down() {
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
fn both_formats_carry_the_same() {
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
