//! The primitives of go-perun's native format ("perunio"), reading and writing side by side.

use perun_channel::codec::Reader;

use crate::error::{DecodeError, Limit};

/// Bytes being read from the front, with how many were read: where they end too early, the error
/// says how many there must be.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    reader: Reader<'a>,
    length: usize,
    taken: usize,
}

impl<'a> Source<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), length: bytes.len(), taken: 0 }
    }

    /// How many bytes were read.
    pub(crate) const fn taken(&self) -> usize {
        self.taken
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.taken == self.length
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let wanted = self.taken.saturating_add(count);
        let bytes = self.reader.take(count).map_err(|_| DecodeError::Short { wanted })?;
        self.taken = wanted;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError::Length)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::NotCanonical),
        }
    }

    /// The length of a list, in two bytes.
    pub(crate) fn count(&mut self, most: usize, limit: Limit) -> Result<usize, DecodeError> {
        bounded(usize::from(self.u16()?), most, limit)
    }

    /// The length of a map or of a list of maps: four bytes, signed. Negative ones are too large.
    pub(crate) fn long_count(&mut self, most: usize, limit: Limit) -> Result<usize, DecodeError> {
        bounded(usize::try_from(self.u32()?).unwrap_or(usize::MAX), most, limit)
    }

    /// The bytes of a value that marshals itself: two bytes of length in front.
    pub(crate) fn blob(&mut self, most: usize, limit: Limit) -> Result<&'a [u8], DecodeError> {
        let length = self.count(most, limit)?;
        self.take(length)
    }

    /// A number of at most `N` bytes, padded on the left: one byte of length, no leading zeros.
    pub(crate) fn integer<const N: usize>(&mut self, limit: Limit) -> Result<[u8; N], DecodeError> {
        let length = bounded(usize::from(self.u8()?), N, limit)?;
        padded(self.take(length)?, limit)
    }

    pub(crate) fn text(&mut self, most: usize, limit: Limit) -> Result<String, DecodeError> {
        let bytes = self.blob(most, limit)?;
        core::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DecodeError::Text)
    }
}

fn bounded(length: usize, most: usize, limit: Limit) -> Result<usize, DecodeError> {
    if length > most { Err(DecodeError::Limit(limit)) } else { Ok(length) }
}

/// A big-endian number without leading zeros, in `N` bytes.
pub(crate) fn padded<const N: usize>(bytes: &[u8], limit: Limit) -> Result<[u8; N], DecodeError> {
    if bytes.first() == Some(&0) {
        return Err(DecodeError::NotCanonical);
    }
    let mut number = [0; N];
    let start = N.checked_sub(bytes.len()).ok_or(DecodeError::Limit(limit))?;
    let end = number.get_mut(start..).ok_or(DecodeError::Limit(limit))?;
    end.copy_from_slice(bytes);
    Ok(number)
}

/// A big-endian number without its leading zeros.
pub(crate) fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Appends a number with its length in one byte. Numbers here have at most 32 bytes.
pub(crate) fn put_integer(out: &mut Vec<u8>, number: &[u8]) {
    let bytes = trimmed(number);
    debug_assert!(bytes.len() <= 32, "a number outgrew its limit");
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

/// Appends a number as a blob, as go-perun's Ethereum backend writes a chain.
pub(crate) fn put_integer_blob(out: &mut Vec<u8>, number: &[u8]) {
    put_blob(out, trimmed(number));
}

/// Appends bytes with their length in two bytes. What is written was checked against its limit.
pub(crate) fn put_blob(out: &mut Vec<u8>, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends a length of two bytes. Every list here has a limit far below.
pub(crate) fn put_count(out: &mut Vec<u8>, count: usize) {
    debug_assert!(count <= usize::from(u16::MAX), "a list outgrew its limit");
    out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
}

/// Appends a length of four bytes.
pub(crate) fn put_long_count(out: &mut Vec<u8>, count: usize) {
    debug_assert!(count <= usize::from(u16::MAX), "a list outgrew its limit");
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_counted_from_the_first_byte() {
        let mut source = Source::new(&[2, 0, 7]);
        assert_eq!(source.blob(9, Limit::Reason), Err(DecodeError::Short { wanted: 4 }));
        let mut source = Source::new(&[1, 2, 3]);
        assert_eq!(source.u16(), Ok(0x0201));
        assert_eq!(source.u64(), Err(DecodeError::Short { wanted: 10 }));
        assert_eq!((source.taken(), source.is_empty()), (2, false));
    }

    #[test]
    fn a_count_beyond_its_limit_is_refused_before_the_list_is_there() {
        let refused = Err(DecodeError::Limit(Limit::Peers));
        assert_eq!(Source::new(&[3, 0]).count(2, Limit::Peers), refused);
        assert_eq!(Source::new(&[0xff; 4]).long_count(2, Limit::Peers), refused, "negative");
        assert_eq!(
            Source::new(&[3, 0]).blob(2, Limit::Peers),
            Err(DecodeError::Limit(Limit::Peers))
        );
        assert_eq!(Source::new(&[2, 0, 0, 0]).long_count(2, Limit::Peers), Ok(2));
    }

    #[test]
    fn a_number_has_one_spelling() {
        let read = |bytes: &[u8]| Source::new(bytes).integer::<2>(Limit::Amount);
        assert_eq!(read(&[0]), Ok([0, 0]));
        assert_eq!(read(&[1, 7]), Ok([0, 7]));
        assert_eq!(read(&[2, 7, 8]), Ok([7, 8]));
        assert_eq!(read(&[1, 0]), Err(DecodeError::NotCanonical));
        assert_eq!(read(&[2, 0, 8]), Err(DecodeError::NotCanonical));
        assert_eq!(read(&[3, 7, 8, 9]), Err(DecodeError::Limit(Limit::Amount)));
        for number in [0_u16, 1, 255, 256, u16::MAX] {
            let mut out = Vec::new();
            put_integer(&mut out, &number.to_be_bytes());
            assert_eq!(read(&out).map(u16::from_be_bytes), Ok(number));
        }
    }

    /// The bytes that the spec of the format gives.
    #[test]
    fn numbers_have_the_known_bytes() {
        let integer = |number: u128| {
            let mut out = Vec::new();
            put_integer(&mut out, &number.to_be_bytes());
            out
        };
        assert_eq!(integer(0), [0]);
        assert_eq!(integer(123_456), [3, 1, 0xe2, 0x40]);
        assert_eq!(integer(0x1234_5678_9012_3456)[..2], [8, 0x12]);
    }

    #[test]
    fn flags_and_text_are_strict() {
        assert_eq!(Source::new(&[2]).flag(), Err(DecodeError::NotCanonical));
        assert_eq!(Source::new(&[1]).flag(), Ok(true));
        let mut out = Vec::new();
        put_blob(&mut out, b"perun");
        assert_eq!(out, [5, 0, b'p', b'e', b'r', b'u', b'n']);
        assert_eq!(Source::new(&out).text(5, Limit::Reason).as_deref(), Ok("perun"));
        assert_eq!(Source::new(&[1, 0, 0xff]).text(5, Limit::Reason), Err(DecodeError::Text));
    }
}
