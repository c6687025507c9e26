//! What spoils messages, and sees to it that whoever reads them neither panics nor asks for more
//! memory than it may. For the test and for the example that runs it longer.
#![allow(dead_code, reason = "each program uses its part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use perun_channel::BackendId;
use perun_goperun::{
    ALLOCATED_MAX_PER_BYTE, ALLOCATED_MAX_PER_MESSAGE, Account, DecodeError, Envelope, Handshake,
    Identities, Message, Own, Serializer, Verifier,
};

use crate::random::Random;

pub(crate) const BOTH: [Serializer; 2] = [Serializer::Native, Serializer::Protobuf];
const KINDS: u8 = 17;
/// How many sound messages of each kind are spoilt.
const OF_A_KIND: u8 = 4;
/// A handshake may copy a name's addresses into all their orders, once for each.
const HANDSHAKE_MAX_PER_BYTE: usize = 512;

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
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ASKED.with(Cell::get);
    let done = work();
    (done, ASKED.with(Cell::get) - before)
}

/// Decodes, within the bound on memory; what decodes, encodes again to as many bytes, and to the
/// same ones unless its maps were in another order.
pub(crate) fn decode(serializer: Serializer, bytes: &[u8]) -> Result<Envelope, DecodeError> {
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

/// One change of the bytes, of a kind that decoders trip over: flipped bits, other lengths, cuts,
/// chunks that are missing, repeated, or another message's.
pub(crate) fn spoil(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    let place = random.below(bytes.len().max(1));
    match random.below(11) {
        _ if bytes.is_empty() => bytes.push(0),
        0 => bytes[place] ^= 1 << random.below(8),
        1 => bytes[place] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
        2 => bytes.truncate(place),
        3 => bytes.insert(place, random.bytes(1)[0]),
        4 => drop(bytes.remove(place)),
        5 => bytes.iter_mut().skip(place).take(4).for_each(|byte| *byte = 0xff),
        6 => repeat(random, bytes, place),
        7 | 8 => write_length(random, bytes, place),
        9 => {
            let end = (place + random.below(64)).min(bytes.len());
            let from = random.below(other.len().max(1)).min(other.len());
            let to = (from + random.below(64)).min(other.len());
            bytes.splice(place..end, other[from..to].iter().copied());
        }
        _ => {
            let from = random.below(other.len().max(1));
            bytes.truncate(place);
            bytes.extend_from_slice(&other[from.min(other.len())..]);
        }
    }
}

/// A chunk once more, or very often.
fn repeat(random: &mut Random, bytes: &mut Vec<u8>, place: usize) {
    let end = (place + random.below(64)).min(bytes.len());
    let times = [1, 1, 2, 17, 300][random.below(5)];
    let part = bytes[place..end].repeat(times);
    bytes.splice(end..end, part);
}

/// Another number where a length or a count may stand.
fn write_length(random: &mut Random, bytes: &mut [u8], place: usize) {
    let near =
        u32::try_from(bytes.len() - place).unwrap().wrapping_add([0, 1, u32::MAX][random.below(3)]);
    let number = [0, 1, 2, near, 0xffff, 0x1_0000, 0x7fff_ffff, u32::MAX][random.below(8)];
    let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
    let written = match random.below(4) {
        0 => &little[..],
        1 => &big[..],
        2 => &little[..2],
        _ => &big[2..],
    };
    bytes.iter_mut().skip(place).zip(written).for_each(|(byte, new)| *byte = *new);
}

/// A protobuf frame's length is mended, else hardly anything would get past it.
fn mend(serializer: Serializer, bytes: &mut [u8]) {
    if let (Serializer::Protobuf, [high, low, body @ ..]) = (serializer, bytes)
        && let Ok(length) = u16::try_from(body.len())
    {
        [*high, *low] = length.to_be_bytes();
    }
}

/// What came of the messages.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// By serializer: those that were messages all the same, and those that were refused.
    pub(crate) read: [u64; 2],
    pub(crate) refused: [u64; 2],
    /// Which kinds were read.
    pub(crate) kinds: [u64; KINDS as usize],
    /// Handshakes that went on, and those that ended.
    pub(crate) greeted: u64,
    pub(crate) left: u64,
}

/// Spoils so many messages. A panic names its round and its seed.
pub(crate) fn run(rounds: u64, seed: u64) -> Tally {
    let mut random = Random::new(seed);
    let all = KINDS * OF_A_KIND;
    let sound: Vec<Envelope> = (0..all).map(|kind| random.envelope(kind % KINDS)).collect();
    let sound = BOTH.map(|serializer| {
        sound.iter().map(|one| serializer.encode(one).unwrap()).collect::<Vec<_>>()
    });
    let people = People::new();
    let mut tally = Tally::default();
    for round in 0..rounds {
        let mut random = Random::new(seed ^ (round << 20));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if round % 16 == 0 {
                people.meet(&mut random, &mut tally);
            } else {
                read(&mut random, &sound, &mut tally);
            }
        }));
        assert!(done.is_ok(), "round {round} of seed {seed}");
    }
    tally
}

fn read(random: &mut Random, sound: &[Vec<Vec<u8>>; 2], tally: &mut Tally) {
    let kind = random.below(2);
    let count = sound[kind].len();
    let mut bytes = match random.below(16) {
        0 => {
            let length = random.below(400);
            random.bytes(length)
        }
        _ => sound[kind][random.below(count)].clone(),
    };
    for _ in 0..=random.below(3) {
        let other = random.below(count);
        spoil(random, &mut bytes, &sound[kind][other]);
    }
    if random.below(8) > 0 {
        mend(BOTH[kind], &mut bytes);
    }
    match decode(BOTH[kind], &bytes) {
        Ok(envelope) => {
            tally.read[kind] += 1;
            tally.kinds[usize::from(envelope.message.kind())] += 1;
        }
        Err(_) => tally.refused[kind] += 1,
    }
}

/// A key whose signatures are its address's first byte and the message.
struct Plain(Vec<u8>);

impl Account for Plain {
    fn address(&self) -> &[u8] {
        &self.0
    }
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        Some([&self.0[..1], message].concat())
    }
}

struct Plainly;

impl Verifier for Plainly {
    fn proves(&self, address: &[u8], message: &[u8], signature: &[u8]) -> bool {
        signature == [&address[..1], message].concat()
    }
}

/// Two nodes, by how many addresses each has.
struct People(Vec<[Own; 2]>);

impl People {
    fn new() -> Self {
        let own = |letter: u8, count: u8| {
            let accounts: Vec<Plain> = (0..count).map(|it| Plain(vec![letter, it, 7])).collect();
            let entry = |(kind, account)| (BackendId::new(kind), account as &dyn Account);
            let accounts: Vec<_> = (0..).zip(&accounts).map(entry).collect();
            Own::new(&accounts).unwrap()
        };
        Self((1..=4).map(|count| [own(b'a', count), own(b'b', count)]).collect())
    }

    /// A handshake in which the words of the one who dials are spoilt on their way, or not. Whoever
    /// is taken for a peer has shown a signature over all its addresses.
    fn meet(&self, random: &mut Random, tally: &mut Tally) {
        let serializer = BOTH[random.below(2)];
        let [alice, bob] = &self.0[random.below(self.0.len())];
        let (mut dial, first) = Handshake::dial(alice, &Plainly, bob.name().clone()).unwrap();
        let mut accept = Handshake::accept(bob, &Plainly);
        let mut send = Some(first);
        while let Some(envelope) = send.take() {
            let mut bytes = serializer.encode(&envelope).unwrap();
            let other = bytes.clone();
            if random.below(3) == 0 {
                spoil(random, &mut bytes, &other);
                mend(serializer, &mut bytes);
            }
            let Ok(heard) = decode(serializer, &bytes) else { break };
            let Message::AuthResponse { signature } = heard.message.clone() else {
                assert!(accept.handle(heard).is_err());
                break;
            };
            let sender = heard.sender.clone();
            let (answer, asked) = counted(|| accept.handle(heard));
            let bound = ALLOCATED_MAX_PER_MESSAGE + HANDSHAKE_MAX_PER_BYTE * bytes.len();
            assert!(asked <= bound, "{asked} bytes for {} bytes", bytes.len());
            let Ok(answer) = answer else { break };
            assert!(is_shown(&sender, &signature), "{sender:?} has proven nothing");
            if let Some(peer) = answer.done {
                assert_eq!(peer, sender);
                tally.greeted += 1;
                return;
            }
            // The kinds of addresses are not signed: a name with others is another one's.
            send = dial.handle(answer.send.unwrap()).ok().and_then(|step| step.send);
        }
        tally.left += 1;
    }
}

/// Whether this is a signature over just these addresses, in whatever order.
fn is_shown(name: &Identities, signature: &[u8]) -> bool {
    let mut parts: Vec<&[u8]> = name.entries().iter().map(|(_, it)| it.as_slice()).collect();
    let count = u8::try_from(parts.len()).unwrap();
    let own = parts[0][0];
    let Some(mut rest) = signature.strip_prefix(&[own, count]) else { return false };
    while !rest.is_empty() {
        let Some(at) = parts.iter().position(|part| rest.starts_with(part)) else { return false };
        rest = &rest[parts.remove(at).len()..];
    }
    parts.is_empty() && name.entries().iter().all(|(_, address)| address[0] == own)
}
