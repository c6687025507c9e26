//! The plaintext of a frame: six kinds, encode and decode side by side.
//!
//! Decoding takes all bytes or fails, and every frame has one spelling. It does not judge whether a
//! frame is allowed now; the session does.

use crate::error::WireError;

/// The most payload one frame carries. With its header and tag it stays below the 65,535 bytes of a
/// Noise message, so the length on the wire is two bytes and cannot ask for more.
pub const MAX_CHUNK_BYTES: usize = 60 << 10;

/// A random name for one life of a session's memory. A peer with another one has forgotten us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incarnation(pub [u8; 16]);

/// Why the other end closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// It stops, or has no more use for the connection.
    Closing,
    /// It does not admit us.
    NotAdmitted,
    /// It keeps another connection to us.
    Duplicate,
    /// It has no room, or its owner is behind with reading.
    Busy,
}

/// What both ends say first on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resume {
    pub(crate) ours: Incarnation,
    /// Whose messages `received` counts; `None` before the first contact.
    pub(crate) theirs: Option<Incarnation>,
    pub(crate) received: u64,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Resume(Resume),
    Chunk { number: u64, last: bool, bytes: Vec<u8> },
    Ack { number: u64 },
    Ping { token: u64 },
    Pong { token: u64 },
    Goodbye(Goodbye),
}

impl Frame {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Resume(Resume { ours, theirs, received }) => {
                let (known, theirs) = theirs.map_or((0, [0; 16]), |theirs| (1, theirs.0));
                [&[1], &ours.0[..], &[known], &theirs, &received.to_be_bytes()].concat()
            }
            Self::Chunk { number, last, bytes } => {
                [&[2], &number.to_be_bytes()[..], &[u8::from(*last)], bytes].concat()
            }
            Self::Ack { number } => [&[3], &number.to_be_bytes()[..]].concat(),
            Self::Ping { token } => [&[4], &token.to_be_bytes()[..]].concat(),
            Self::Pong { token } => [&[5], &token.to_be_bytes()[..]].concat(),
            Self::Goodbye(reason) => vec![6, reason.byte()],
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        Self::read(bytes).ok_or(WireError::MalformedFrame)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, mut rest) = bytes.split_first()?;
        let rest = &mut rest;
        let frame = match kind {
            1 => {
                let ours = Incarnation(take(rest)?);
                let [known] = take(rest)?;
                let theirs: [u8; 16] = take(rest)?;
                let theirs = match known {
                    0 if theirs == [0; 16] => None,
                    1 => Some(Incarnation(theirs)),
                    _ => return None,
                };
                Self::Resume(Resume { ours, theirs, received: number(rest)? })
            }
            2 => {
                let number = number(rest)?;
                let last = match take(rest)? {
                    [0] => false,
                    [1] => true,
                    _ => return None,
                };
                let bytes = core::mem::take(rest).to_vec();
                (bytes.len() <= MAX_CHUNK_BYTES).then_some(Self::Chunk { number, last, bytes })?
            }
            3 => Self::Ack { number: number(rest)? },
            4 => Self::Ping { token: number(rest)? },
            5 => Self::Pong { token: number(rest)? },
            6 => Self::Goodbye(Goodbye::from_byte(take(rest)?)?),
            _ => return None,
        };
        rest.is_empty().then_some(frame)
    }
}

impl Goodbye {
    fn byte(self) -> u8 {
        match self {
            Self::Closing => 1,
            Self::NotAdmitted => 2,
            Self::Duplicate => 3,
            Self::Busy => 4,
        }
    }

    fn from_byte([byte]: [u8; 1]) -> Option<Self> {
        match byte {
            1 => Some(Self::Closing),
            2 => Some(Self::NotAdmitted),
            3 => Some(Self::Duplicate),
            4 => Some(Self::Busy),
            _ => None,
        }
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    take(bytes).map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples() -> Vec<Frame> {
        let ours = Incarnation([7; 16]);
        let theirs = Some(Incarnation([8; 16]));
        vec![
            Frame::Resume(Resume { ours, theirs: None, received: 0 }),
            Frame::Resume(Resume { ours, theirs, received: u64::MAX }),
            Frame::Chunk { number: 1, last: false, bytes: vec![9; MAX_CHUNK_BYTES] },
            Frame::Chunk { number: 2, last: true, bytes: Vec::new() },
            Frame::Ack { number: 3 },
            Frame::Ping { token: 4 },
            Frame::Pong { token: 5 },
            Frame::Goodbye(Goodbye::Closing),
            Frame::Goodbye(Goodbye::NotAdmitted),
            Frame::Goodbye(Goodbye::Duplicate),
            Frame::Goodbye(Goodbye::Busy),
        ]
    }

    #[test]
    fn frames_read_back_and_leave_nothing_over() {
        for frame in samples() {
            let mut bytes = frame.encode();
            assert_eq!(Frame::decode(&bytes), Ok(frame.clone()));
            if !matches!(frame, Frame::Chunk { .. }) {
                bytes.push(0);
                assert_eq!(Frame::decode(&bytes), Err(WireError::MalformedFrame));
                let short = &bytes[..bytes.len() - 2];
                assert_eq!(Frame::decode(short), Err(WireError::MalformedFrame));
            }
        }
    }

    #[test]
    fn a_chunk_over_the_limit_is_refused() {
        let bytes = vec![0; MAX_CHUNK_BYTES + 1];
        let encoded = Frame::Chunk { number: 1, last: true, bytes }.encode();
        assert_eq!(Frame::decode(&encoded), Err(WireError::MalformedFrame));
    }

    proptest! {
        #[test]
        fn whatever_decodes_has_one_spelling(bytes in proptest::collection::vec(0..9_u8, 0..60)) {
            if let Ok(frame) = Frame::decode(&bytes) {
                prop_assert_eq!(frame.encode(), bytes);
            }
        }
    }
}
