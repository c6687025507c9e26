//! The canonical compact encoding, for storage, for witnesses and between our own peers.
//!
//! Every value has exactly one spelling: integers are little-endian and of fixed width, lists carry
//! their length in front, nothing is padded, and a decoder that has bytes left over refuses.
//! Decoding never panics and allocates no more than the bytes that it was given. It is not what is
//! signed; that is [`crate::abi`].

use alloc::vec::Vec;

use crate::Invalid;

/// Why bytes are not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end before the value does.
    Short,
    /// Bytes are left over behind the value.
    Trailing,
    /// A list is longer than its limit.
    TooLong,
    /// A tag, flag or format number that has no meaning.
    UnknownTag,
    /// The parts decode, but the value they make breaks a law.
    Invalid(Invalid),
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Short => f.write_str("the bytes end too early"),
            Self::Trailing => f.write_str("bytes are left over"),
            Self::TooLong => f.write_str("a list is longer than its limit"),
            Self::UnknownTag => f.write_str("an unknown tag, flag or format number"),
            Self::Invalid(reason) => reason.fmt(f),
        }
    }
}

impl core::error::Error for DecodeError {}

impl From<Invalid> for DecodeError {
    fn from(reason: Invalid) -> Self {
        Self::Invalid(reason)
    }
}

/// A value with a canonical encoding.
pub trait Encode {
    /// Appends the value's bytes.
    fn encode(&self, out: &mut Vec<u8>);

    /// The value's bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// A value that can be read back from its canonical encoding.
pub trait Decode: Sized {
    /// Reads the value from the front of the reader.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads the value from all of the bytes; left-over bytes are an error.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// Bytes being read from the front.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over all of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Takes the next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(head)
    }

    /// Takes a fixed number of bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(*head)
    }

    /// Takes one byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Takes a 16-bit number.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    /// Takes a 32-bit number.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Takes a 64-bit number.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Takes a 128-bit number.
    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        self.array().map(u128::from_le_bytes)
    }

    /// Takes a byte that must be 0 or 1.
    pub fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::UnknownTag),
        }
    }

    /// Takes a one-byte list length of at most `limit`.
    pub fn length(&mut self, limit: usize) -> Result<usize, DecodeError> {
        let length = usize::from(self.u8()?);
        if length > limit { Err(DecodeError::TooLong) } else { Ok(length) }
    }

    /// Takes a byte string with a two-byte length of at most `limit`.
    pub fn bytes(&mut self, limit: usize) -> Result<Vec<u8>, DecodeError> {
        let length = usize::from(self.u16()?);
        if length > limit {
            return Err(DecodeError::TooLong);
        }
        self.take(length).map(<[u8]>::to_vec)
    }

    /// Takes a list with a one-byte length of at most `limit`.
    pub fn list<T: Decode>(&mut self, limit: usize) -> Result<Vec<T>, DecodeError> {
        let length = self.length(limit)?;
        (0..length).map(|_| T::decode(self)).collect()
    }

    /// Ends the reading; left-over bytes are an error.
    pub const fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }
}

/// Appends a list length. Lists are bounded by their owner's constructor far below 256.
pub fn put_length(out: &mut Vec<u8>, length: usize) {
    debug_assert!(length <= usize::from(u8::MAX), "a list outgrew its length field");
    out.push(u8::try_from(length).unwrap_or(u8::MAX));
}

/// Appends a byte string with its two-byte length. Byte strings are bounded by their owner.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= usize::from(u16::MAX), "a byte string outgrew its length field");
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a list with its one-byte length.
pub fn put_list<T: Encode>(out: &mut Vec<u8>, items: &[T]) {
    put_length(out, items.len());
    items.iter().for_each(|item| item.encode(out));
}

impl Encode for crate::Amount {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.get().to_le_bytes());
    }
}

impl Decode for crate::Amount {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u128().map(Self::new)
    }
}

impl Encode for crate::ChannelId {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Decode for crate::ChannelId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array().map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{Amount, ChannelId};

    #[test]
    fn integers_are_little_endian_and_of_fixed_width() {
        let bytes: Vec<u8> = (1..=31).collect();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(0x0302));
        assert_eq!(reader.u32(), Ok(0x0706_0504));
        assert_eq!(reader.u64(), Ok(0x0f0e_0d0c_0b0a_0908));
        assert_eq!(reader.u128(), Ok(0x1f1e_1d1c_1b1a_1918_1716_1514_1312_1110));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_short_read_takes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32(), Err(DecodeError::Short));
        assert_eq!(reader.take(4), Err(DecodeError::Short));
        assert_eq!(reader.take(usize::MAX), Err(DecodeError::Short));
        assert_eq!(reader.array(), Ok([1, 2, 3]));
        assert_eq!(reader.u8(), Err(DecodeError::Short));
    }

    #[test]
    fn left_over_bytes_are_refused() {
        assert_eq!(Reader::new(&[0]).finish(), Err(DecodeError::Trailing));
        assert_eq!(Amount::from_bytes(&[0; 17]), Err(DecodeError::Trailing));
        assert_eq!(ChannelId::from_bytes(&[0; 33]), Err(DecodeError::Trailing));
    }

    #[test]
    fn a_flag_is_zero_or_one() {
        for byte in 0..=u8::MAX {
            let expected = match byte {
                0 => Ok(false),
                1 => Ok(true),
                _ => Err(DecodeError::UnknownTag),
            };
            assert_eq!(Reader::new(&[byte]).flag(), expected);
        }
    }

    #[test]
    fn a_list_above_its_limit_is_refused_before_it_is_read() {
        assert_eq!(Reader::new(&[3]).length(3), Ok(3));
        assert_eq!(Reader::new(&[4]).length(3), Err(DecodeError::TooLong));
        assert_eq!(Reader::new(&[4]).list::<Amount>(3), Err(DecodeError::TooLong));
        assert_eq!(Reader::new(&[3]).list::<Amount>(3), Err(DecodeError::Short));
    }

    #[test]
    fn a_byte_string_above_its_limit_is_refused_before_it_is_read() {
        assert_eq!(Reader::new(&[2, 0, 7, 8]).bytes(2), Ok(vec![7, 8]));
        assert_eq!(Reader::new(&[3, 0]).bytes(2), Err(DecodeError::TooLong));
        assert_eq!(Reader::new(&[0xff, 0xff]).bytes(1_024), Err(DecodeError::TooLong));
        assert_eq!(Reader::new(&[2, 0, 7]).bytes(2), Err(DecodeError::Short));
    }

    #[test]
    fn what_is_put_is_read_back() {
        let mut out = Vec::new();
        put_bytes(&mut out, &[7; 300]);
        put_list(&mut out, &[Amount::new(1), Amount::new(u128::MAX)]);
        put_length(&mut out, 255);
        let mut reader = Reader::new(&out);
        assert_eq!(reader.bytes(300), Ok(vec![7; 300]));
        assert_eq!(reader.list(2), Ok(vec![Amount::new(1), Amount::new(u128::MAX)]));
        assert_eq!(reader.length(255), Ok(255));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_broken_law_is_told_by_its_own_words() {
        use std::string::ToString;
        let error = DecodeError::from(Invalid::DuplicateAsset);
        assert_eq!(error.to_string(), Invalid::DuplicateAsset.to_string());
    }
}
