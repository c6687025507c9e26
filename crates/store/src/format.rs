//! The bytes of the journal: header and entries, encode and decode side by side.
//!
//! It reads and writes slices and knows no disk. Decoding accepts exactly one spelling, and every
//! entry's checksum starts from the journal's id, so an entry of another journal never passes. All
//! numbers are big-endian. `docs/journal-format.md` has the table of offsets.

use crate::batch::StreamId;

/// The largest payload of one entry. States are kilobytes; four megabytes hold the largest snapshot
/// we allow and still let a reader bound its memory before it trusts a length.
pub const MAX_PAYLOAD_BYTES: usize = 4 << 20;

pub(crate) const JOURNAL: &str = "journal";
const MAGIC: [u8; 6] = *b"PRNJNL";
const FORMAT: u16 = 1;
pub(crate) const HEADER_BYTES: usize = 44;
const PREFIX_BYTES: usize = 45;
const CHECK_BYTES: usize = 4;
/// What an entry costs beside its payload.
pub(crate) const ENTRY_OVERHEAD: usize = PREFIX_BYTES + CHECK_BYTES;
/// Set in the kind byte of every entry of a batch but the last.
const CONTINUES: u8 = 0x80;

/// What an entry does to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Record,
    Snapshot,
    End,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::Record => 1,
            Self::Snapshot => 2,
            Self::End => 3,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Record),
            2 => Some(Self::Snapshot),
            3 => Some(Self::End),
            _ => None,
        }
    }
}

/// The head of a journal file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: [u8; 16],
    /// How often the file was rewritten.
    pub(crate) generation: u64,
    /// The number of the first entry in this file.
    pub(crate) base: u64,
}

/// Why a header was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Unreadable,
    TooNew(u16),
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.extend_from_slice(&self.base.to_be_bytes());
        let check = crc32fast::hash(&out);
        out.extend_from_slice(&check.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let mut rest = bytes.get(..HEADER_BYTES).ok_or(HeaderFault::Unreadable)?;
        let body = rest.get(..HEADER_BYTES.saturating_sub(CHECK_BYTES));
        let magic: [u8; 6] = take(&mut rest).ok_or(HeaderFault::Unreadable)?;
        let format = u16::from_be_bytes(take(&mut rest).ok_or(HeaderFault::Unreadable)?);
        if magic != MAGIC {
            return Err(HeaderFault::Unreadable);
        }
        if format > FORMAT {
            return Err(HeaderFault::TooNew(format));
        }
        let mut read = || {
            let id = take(&mut rest)?;
            let generation = u64::from_be_bytes(take(&mut rest)?);
            let base = u64::from_be_bytes(take(&mut rest)?);
            let check = u32::from_be_bytes(take(&mut rest)?);
            (format == FORMAT && check == crc32fast::hash(body?) && base > 0).then_some(Self {
                id,
                generation,
                base,
            })
        };
        read().ok_or(HeaderFault::Unreadable)
    }
}

/// One entry as it lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) kind: Kind,
    /// Whether the next entry belongs to the same batch.
    pub(crate) continues: bool,
    pub(crate) stream: StreamId,
    pub(crate) number: u64,
    pub(crate) payload: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Appends the entry to `out`. The payload must not exceed [`MAX_PAYLOAD_BYTES`].
    pub(crate) fn encode(&self, id: &[u8; 16], out: &mut Vec<u8>) {
        let start = out.len();
        // The caller has checked the limit; saturating keeps the function total.
        let len = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&len.to_be_bytes());
        out.push(self.kind.byte() | if self.continues { CONTINUES } else { 0 });
        out.extend_from_slice(&self.stream.0);
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(self.payload);
        let check = checksum(id, out.get(start..).unwrap_or_default());
        out.extend_from_slice(&check.to_be_bytes());
    }

    /// Reads one entry from the front and moves past it; `None` if it is torn or damaged.
    pub(crate) fn decode(id: &[u8; 16], bytes: &mut &'a [u8]) -> Option<Self> {
        let whole = *bytes;
        let mut rest = whole;
        let len = usize::try_from(u32::from_be_bytes(take(&mut rest)?)).ok()?;
        if len > MAX_PAYLOAD_BYTES {
            return None;
        }
        let [kind] = take(&mut rest)?;
        let stream = StreamId(take(&mut rest)?);
        let number = u64::from_be_bytes(take(&mut rest)?);
        let (payload, mut rest) = rest.split_at_checked(len)?;
        let check = u32::from_be_bytes(take(&mut rest)?);
        if check != checksum(id, whole.get(..PREFIX_BYTES.checked_add(len)?)?) {
            return None;
        }
        let entry = Self {
            kind: Kind::from_byte(kind & !CONTINUES)?,
            continues: kind & CONTINUES != 0,
            stream,
            number,
            payload,
        };
        *bytes = rest;
        Some(entry)
    }
}

fn checksum(id: &[u8; 16], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(id);
    hasher.update(bytes);
    hasher.finalize()
}

/// Takes `N` bytes from the front.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(payload: &[u8]) -> Entry<'_> {
        Entry {
            kind: Kind::Snapshot,
            continues: true,
            stream: StreamId([3; 32]),
            number: 9,
            payload,
        }
    }

    #[test]
    fn an_entry_reads_back_and_leaves_the_rest() {
        let mut bytes = Vec::new();
        entry(b"state").encode(&[1; 16], &mut bytes);
        assert_eq!(bytes.len(), ENTRY_OVERHEAD + 5);
        bytes.push(0xee);
        let mut rest = bytes.as_slice();
        assert_eq!(Entry::decode(&[1; 16], &mut rest), Some(entry(b"state")));
        assert_eq!(rest, [0xee]);
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_seen() {
        let mut bytes = Vec::new();
        entry(b"state").encode(&[1; 16], &mut bytes);
        for cut in 0..bytes.len() {
            assert_eq!(Entry::decode(&[1; 16], &mut &bytes[..cut]), None, "cut at {cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Entry::decode(&[1; 16], &mut bad.as_slice()), None, "bit {bit}");
        }
    }

    #[test]
    fn an_entry_of_another_journal_does_not_pass() {
        let mut bytes = Vec::new();
        entry(b"state").encode(&[1; 16], &mut bytes);
        assert_eq!(Entry::decode(&[2; 16], &mut bytes.as_slice()), None);
    }

    #[test]
    fn a_huge_length_is_refused_before_anything_is_allocated() {
        let mut bytes = u32::MAX.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0; 100]);
        assert_eq!(Entry::decode(&[1; 16], &mut bytes.as_slice()), None);
    }

    #[test]
    fn a_header_reads_back_and_every_flipped_bit_is_seen() {
        let header = Header { id: [5; 16], generation: 2, base: 7 };
        let bytes = header.encode();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(Header::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_format_is_named() {
        let mut bytes = Header { id: [5; 16], generation: 2, base: 7 }.encode();
        bytes[7] = 2;
        assert_eq!(Header::decode(&bytes), Err(HeaderFault::TooNew(2)));
    }
}
