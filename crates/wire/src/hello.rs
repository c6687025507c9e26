//! The greeting before the handshake: ten bytes that say which versions an end speaks.
//!
//! It is sent in the clear and trusted for nothing: both greetings go into the handshake's
//! prologue, so whoever changes one on the way makes the handshake fail instead of lowering the
//! version.

use crate::error::WireError;

const MAGIC: [u8; 6] = *b"PERUNW";
/// The length of a greeting on the wire.
pub(crate) const HELLO_BYTES: usize = 10;

/// A range of protocol versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest version spoken, at least 1.
    pub oldest: u16,
    /// The newest version spoken.
    pub newest: u16,
}

/// What this crate speaks.
pub const VERSIONS: Versions = Versions { oldest: 1, newest: 1 };

impl Versions {
    pub(crate) fn encode(self) -> [u8; HELLO_BYTES] {
        let mut out = [0; HELLO_BYTES];
        let fields = [&MAGIC[..], &self.oldest.to_be_bytes(), &self.newest.to_be_bytes()];
        let bytes = fields.into_iter().flatten();
        out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        out
    }

    pub(crate) fn decode(bytes: &[u8; HELLO_BYTES]) -> Result<Self, WireError> {
        let [m0, m1, m2, m3, m4, m5, o0, o1, n0, n1] = *bytes;
        if [m0, m1, m2, m3, m4, m5] != MAGIC {
            return Err(WireError::NotPerun);
        }
        let oldest = u16::from_be_bytes([o0, o1]);
        let newest = u16::from_be_bytes([n0, n1]);
        if oldest == 0 || newest < oldest {
            return Err(WireError::MalformedHello);
        }
        Ok(Self { oldest, newest })
    }

    /// The newest version both speak.
    pub(crate) fn common(self, theirs: Self) -> Result<u16, WireError> {
        let newest = self.newest.min(theirs.newest);
        if newest < self.oldest.max(theirs.oldest) {
            return Err(WireError::NoCommonVersion { ours: self, theirs });
        }
        Ok(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn versions(oldest: u16, newest: u16) -> Versions {
        Versions { oldest, newest }
    }

    #[test]
    fn the_newest_common_version_is_taken() {
        assert_eq!(versions(1, 4).common(versions(2, 3)), Ok(3));
        assert_eq!(versions(2, 3).common(versions(3, 9)), Ok(3));
        let refused = versions(1, 2).common(versions(3, 4));
        let (ours, theirs) = (versions(1, 2), versions(3, 4));
        assert_eq!(refused, Err(WireError::NoCommonVersion { ours, theirs }));
    }

    #[test]
    fn a_greeting_reads_back_and_nonsense_is_refused() {
        assert_eq!(Versions::decode(&versions(2, 7).encode()), Ok(versions(2, 7)));
        assert_eq!(Versions::decode(&versions(0, 7).encode()), Err(WireError::MalformedHello));
        assert_eq!(Versions::decode(&versions(8, 7).encode()), Err(WireError::MalformedHello));
        assert_eq!(Versions::decode(b"GET / HTTP"), Err(WireError::NotPerun));
    }
}
