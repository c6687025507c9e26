//! The two ways of writing envelopes, and cutting a stream of bytes back into them.

use crate::error::{DecodeError, EncodeError};
use crate::limits::{MAX_NATIVE_ENVELOPE, MAX_PROTOBUF_ENVELOPE};
use crate::message::Envelope;
use crate::{native, proto};

/// How a connection writes envelopes. Both ends must be told the same; nothing negotiates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serializer {
    /// go-perun's own format.
    Native,
    /// Protocol buffers, each envelope with its length in two bytes, big-endian.
    Protobuf,
}

impl Serializer {
    /// The most bytes that one envelope takes on the stream.
    const fn longest(self) -> usize {
        match self {
            Self::Native => MAX_NATIVE_ENVELOPE,
            Self::Protobuf => MAX_PROTOBUF_ENVELOPE.saturating_add(2),
        }
    }

    /// The bytes of an envelope on the stream.
    pub fn encode(self, envelope: &Envelope) -> Result<Vec<u8>, EncodeError> {
        envelope.check()?;
        let bytes = match self {
            Self::Native => native::encode(envelope)?,
            Self::Protobuf => proto::encode(envelope)?,
        };
        debug_assert!(bytes.len() <= self.longest(), "the limits of the parts add up to less");
        Ok(bytes)
    }

    /// The envelope at the front of a stream, and how many bytes it took.
    pub fn decode(self, bytes: &[u8]) -> Result<(Envelope, usize), DecodeError> {
        match self {
            Self::Native => native::decode(bytes),
            Self::Protobuf => proto::decode(bytes),
        }
    }
}

/// What arrived on a stream and is not yet an envelope. An error is final: there is no way to find
/// the next envelope.
#[derive(Debug)]
pub struct Inbox {
    serializer: Serializer,
    bytes: Vec<u8>,
    /// How many bytes there must be before another try makes sense. Otherwise a peer that sends one
    /// byte at a time would have each of them cost a reading of all.
    wanted: usize,
}

impl Inbox {
    /// An empty one.
    #[must_use]
    pub const fn new(serializer: Serializer) -> Self {
        Self { serializer, bytes: Vec::new(), wanted: 1 }
    }

    /// Takes bytes from the stream. The owner calls [`Inbox::poll`] until it is `None` before it
    /// brings more, so that no more than one envelope and one reading are held.
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next envelope, if all of it is there.
    pub fn poll(&mut self) -> Result<Option<Envelope>, DecodeError> {
        if self.bytes.len() < self.wanted {
            return Ok(None);
        }
        match self.serializer.decode(&self.bytes) {
            Ok((envelope, length)) => {
                self.bytes.drain(..length.min(self.bytes.len()));
                self.wanted = 1;
                Ok(Some(envelope))
            }
            Err(DecodeError::Short { wanted }) => {
                debug_assert!(wanted <= self.serializer.longest(), "see the limits of the parts");
                self.wanted = wanted;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// How many bytes wait for the rest of their envelope.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the stream may end here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identities, Limit, Message};
    use perun_channel::BackendId;

    fn ping(number: i64) -> Envelope {
        let name = |byte| Identities::new(vec![(BackendId::ETHEREUM, vec![byte; 5])]).unwrap();
        let message = Message::Ping { created_ns: number };
        Envelope { sender: name(1), recipient: name(2), message }
    }

    #[test]
    fn m2_a_stream_is_cut_into_its_envelopes_however_it_arrives() {
        for serializer in [Serializer::Native, Serializer::Protobuf] {
            let sent: Vec<_> = (0..3).map(ping).collect();
            let stream: Vec<u8> =
                sent.iter().flat_map(|envelope| serializer.encode(envelope).unwrap()).collect();
            for size in [1, 2, 7, stream.len()] {
                let (mut inbox, mut got) = (Inbox::new(serializer), Vec::new());
                for bytes in stream.chunks(size) {
                    inbox.put(bytes);
                    while let Some(envelope) = inbox.poll().unwrap() {
                        got.push(envelope);
                    }
                }
                assert_eq!((&got, inbox.is_empty()), (&sent, true), "{size} bytes at a time");
            }
        }
    }

    /// Every list is within its limit, and yet the length in front has two bytes only.
    #[test]
    fn what_does_not_fit_a_protobuf_frame_is_not_sent() {
        let long = |byte: u8| {
            let entry = |kind| (BackendId::new(kind), vec![byte; crate::MAX_WIRE_ADDRESS]);
            Identities::new((0..4).map(entry).collect()).unwrap()
        };
        let mut envelope = crate::samples::ledger_proposal();
        let Message::LedgerProposal(proposal) = &mut envelope.message else { unreachable!() };
        proposal.peers = (0..16).map(long).collect();
        let native = Serializer::Native.encode(&envelope).unwrap();
        assert_eq!(Serializer::Native.decode(&native), Ok((envelope.clone(), native.len())));
        let refused = DecodeError::Limit(Limit::Envelope);
        assert_eq!(Serializer::Protobuf.encode(&envelope), Err(refused.into()));
    }

    #[test]
    fn no_try_is_made_before_the_bytes_that_were_asked_for_are_there() {
        let bytes = Serializer::Native.encode(&ping(1)).unwrap();
        let mut inbox = Inbox::new(Serializer::Native);
        inbox.put(&bytes[..1]);
        assert_eq!(inbox.poll(), Ok(None));
        assert_eq!(inbox.wanted, 4, "a map's length");
        inbox.put(&bytes[1..9]);
        assert_eq!(inbox.poll(), Ok(None));
        assert_eq!(inbox.wanted, 10, "an address's length");
    }
}
