//! go-perun's protobuf format: two bytes of length, big-endian, then one message.
//!
//! Protobuf has many spellings for a value. What go-perun writes is the one that re-encodes to the
//! same bytes, and no other is read: unknown fields in a message about money are no detail.

mod read;
mod schema;
#[cfg(test)]
mod tests;
mod write;

use prost::Message as _;

use crate::error::{DecodeError, EncodeError, Limit};
use crate::message::Envelope;

/// The envelope at the front, and its length.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Envelope, usize), DecodeError> {
    let Some((head, rest)) = bytes.split_first_chunk::<2>() else {
        return Err(DecodeError::Short { wanted: 2 });
    };
    let length = usize::from(u16::from_be_bytes(*head));
    let wanted = length.saturating_add(2);
    let body = rest.get(..length).ok_or(DecodeError::Short { wanted })?;
    let raw = schema::Envelope::decode(body).map_err(|_| DecodeError::Malformed)?;
    if raw.encoded_len() != body.len() || raw.encode_to_vec() != body {
        return Err(DecodeError::NotCanonical);
    }
    let envelope = read::envelope(raw)?;
    envelope.check()?;
    Ok((envelope, wanted))
}

pub(crate) fn encode(envelope: &Envelope) -> Result<Vec<u8>, EncodeError> {
    let raw = write::envelope(envelope)?;
    let too_long = DecodeError::Limit(Limit::Envelope);
    let length = u16::try_from(raw.encoded_len()).map_err(|_| too_long)?;
    let mut out = length.to_be_bytes().to_vec();
    raw.encode(&mut out).map_err(|_| too_long)?;
    Ok(out)
}
