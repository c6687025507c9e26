//! What a house writes into its journal: one stream per channel.
//!
//! A channel's stream begins with whom it is shared with, and what its key is drawn from; every
//! other entry is a record of its machine. A snapshot says both at once.

use perun_channel::codec::{Decode, Encode};
use perun_protocol::{Config, Machine, OpeningId, Record};
use perun_store::StreamId;
use perun_wire::PeerId;

/// What we drew at random for one channel.
pub(crate) type Salt = [u8; 32];

const PEER: u8 = 0;
const RECORD: u8 = 1;

/// One entry of a channel's stream.
pub(crate) enum Entry {
    /// With whom the channel is, and what its key is drawn from.
    Peer(PeerId, Salt),
    /// What its machine remembers.
    Record(Box<Record>),
}

impl Entry {
    /// Reads an entry; none if it is not one.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&PEER, rest) => {
                let (peer, salt) = rest.split_first_chunk()?;
                Some(Self::Peer(PeerId(*peer), salt.try_into().ok()?))
            }
            (&RECORD, record) => Some(Self::Record(Box::new(Record::from_bytes(record).ok()?))),
            _ => None,
        }
    }
}

/// The stream of one channel.
pub(crate) const fn stream(opening: OpeningId) -> StreamId {
    StreamId(*opening.as_bytes())
}

/// The first entry of a channel's stream.
pub(crate) fn peer_entry(peer: PeerId, salt: &Salt) -> Vec<u8> {
    [&[PEER], peer.0.as_slice(), salt].concat()
}

/// The entry of a record.
pub(crate) fn record_entry(record: &Record) -> Vec<u8> {
    let mut entry = vec![RECORD];
    record.encode(&mut entry);
    entry
}

/// What stands for a channel's stream so far: with whom it is, and all that its machine remembers.
pub(crate) fn snapshot_entry(peer: PeerId, salt: &Salt, machine: &Machine) -> Vec<u8> {
    [peer.0.as_slice(), salt, &machine.snapshot()].concat()
}

/// Reads a snapshot; none if it is not one.
pub(crate) fn read_snapshot(
    opening: OpeningId,
    config: Config,
    bytes: &[u8],
) -> Option<(PeerId, Salt, Machine)> {
    let (peer, rest) = bytes.split_first_chunk()?;
    let (salt, machine) = rest.split_first_chunk()?;
    Some((PeerId(*peer), *salt, Machine::from_snapshot(opening, config, machine).ok()?))
}
