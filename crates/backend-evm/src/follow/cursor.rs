//! How far a follower has seen, in bytes that its caller keeps.

use alloy_primitives::B256;

const FORMAT: u8 = 1;
/// Format, height, hash.
const LENGTH: usize = 1 + 8 + 32;

/// A block that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

impl Cursor {
    /// The bytes.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        [&[FORMAT][..], &self.number.to_be_bytes(), self.hash.as_slice()].concat()
    }

    /// The cursor that these bytes are, in their one spelling.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
        let ([format], rest) = bytes.split_first_chunk::<1>()?;
        let (number, hash) = rest.split_first_chunk::<8>()?;
        let hash = B256::try_from(hash).ok()?;
        (*format == FORMAT).then_some(Self { number: u64::from_be_bytes(*number), hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_bytes_and_nothing_else_is_one() {
        let cursor = Cursor { number: 0x0102, hash: B256::repeat_byte(7) };
        let bytes = cursor.to_bytes();
        assert_eq!(Cursor::from_bytes(&bytes), Some(cursor));
        for length in 0..bytes.len() {
            assert_eq!(Cursor::from_bytes(&bytes[..length]), None);
        }
        assert_eq!(Cursor::from_bytes(&[&bytes[..], &[0]].concat()), None);
        let other = [&[2][..], &bytes[1..]].concat();
        assert_eq!(Cursor::from_bytes(&other), None);
    }
}
