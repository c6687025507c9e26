//! What a house writes into its journal: one stream per channel.
//!
//! A channel's stream begins with whom it is shared with; every other entry is a record of its
//! machine. A snapshot says both at once.

use perun_channel::codec::{Decode, Encode};
use perun_protocol::{Config, Machine, OpeningId, Record};
use perun_store::StreamId;
use perun_wire::PeerId;

const PEER: u8 = 0;
const RECORD: u8 = 1;

/// One entry of a channel's stream.
pub(crate) enum Entry {
    /// With whom the channel is.
    Peer(PeerId),
    /// What its machine remembers.
    Record(Box<Record>),
}

impl Entry {
    /// Reads an entry; none if it is not one.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&PEER, peer) => Some(Self::Peer(PeerId(peer.try_into().ok()?))),
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
pub(crate) fn peer_entry(peer: PeerId) -> Vec<u8> {
    let mut entry = vec![PEER];
    entry.extend_from_slice(&peer.0);
    entry
}

/// The entry of a record.
pub(crate) fn record_entry(record: &Record) -> Vec<u8> {
    let mut entry = vec![RECORD];
    record.encode(&mut entry);
    entry
}

/// What stands for a channel's stream so far: with whom it is, and all that its machine remembers.
pub(crate) fn snapshot_entry(peer: PeerId, machine: &Machine) -> Vec<u8> {
    let mut entry = peer.0.to_vec();
    entry.append(&mut machine.snapshot());
    entry
}

/// Reads a snapshot; none if it is not one.
pub(crate) fn read_snapshot(
    opening: OpeningId,
    config: Config,
    bytes: &[u8],
) -> Option<(PeerId, Machine)> {
    let (peer, machine) = bytes.split_first_chunk()?;
    Some((PeerId(*peer), Machine::from_snapshot(opening, config, machine).ok()?))
}
