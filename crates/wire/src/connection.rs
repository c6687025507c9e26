//! A connection after its handshake: frames in, frames out, sealed under keys of its own.
//!
//! It splits the stream at two-byte lengths and opens what it finds. It does not know what frames
//! mean. The invariant: every frame it yields was sealed by the peer for this connection at this
//! place in the order, since each uses the next number of a cipher that only this handshake made.
//! It never holds more than one incomplete frame.

use core::fmt;

use crate::error::WireError;
use crate::frame::Frame;
use crate::identity::PeerId;

/// The most bytes one sealed frame takes on the wire, after its two bytes of length.
pub const MAX_SEALED_BYTES: usize = 65_535;

const TAG_BYTES: usize = 16;

/// An authenticated, encrypted connection to a known peer. Give it to a [`crate::Session`].
pub struct Connection {
    pub(crate) local: PeerId,
    pub(crate) peer: PeerId,
    pub(crate) dialed_by_us: bool,
    pub(crate) version: u16,
    cipher: snow::TransportState,
    /// What arrived and is not a whole frame yet.
    inbox: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(
        local: PeerId,
        peer: PeerId,
        dialed_by_us: bool,
        version: u16,
        cipher: snow::TransportState,
        inbox: Vec<u8>,
    ) -> Self {
        Self { local, peer, dialed_by_us, version, cipher, inbox }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// The version both ends speak.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version
    }

    /// How many received bytes wait for the rest of their frame.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.inbox.len()
    }

    /// Which of the two ends dialled.
    pub(crate) fn dialer(&self) -> PeerId {
        if self.dialed_by_us { self.local } else { self.peer }
    }

    /// Takes what arrived. Call [`Self::next_frame`] until it has no more.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
    }

    /// Opens the next whole frame, if there is one.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, WireError> {
        let Some((length, rest)) = self.inbox.split_first_chunk::<2>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(*length));
        if length <= TAG_BYTES {
            return Err(WireError::FrameTooShort);
        }
        let Some(sealed) = rest.get(..length) else { return Ok(None) };
        let mut plain = vec![0; length];
        let opened = self.cipher.read_message(sealed, &mut plain);
        let size = opened.map_err(|_| WireError::FrameNotAuthentic)?;
        self.inbox.drain(..length.saturating_add(2));
        Frame::decode(plain.get(..size).unwrap_or_default()).map(Some)
    }

    /// Seals one frame for the wire.
    pub(crate) fn seal(&mut self, frame: &Frame) -> Result<Vec<u8>, WireError> {
        let plain = frame.encode();
        let mut out = vec![0; plain.len().saturating_add(TAG_BYTES).saturating_add(2)];
        let (length, body) = out.split_first_chunk_mut::<2>().ok_or(WireError::Misuse)?;
        let size = self.cipher.write_message(&plain, body).map_err(|_| WireError::Misuse)?;
        *length = u16::try_from(size).map_err(|_| WireError::Misuse)?.to_be_bytes();
        Ok(out)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection(to {}, version {})", self.peer, self.version)
    }
}
