//! What a house writes into its journal: one stream per channel.
//!
//! A channel's stream begins with whom it is shared with, and what its key is drawn from; every
//! other entry is a record of its machine. A snapshot says both at once.

use perun_channel::codec::{Decode, Encode, Reader};
use perun_protocol::{Config, Machine, OpeningId, Record};
use perun_store::StreamId;

use crate::goperun::Peer;

/// What we drew at random for one channel.
pub(crate) type Salt = [u8; 32];

const PEER: u8 = 0;
const RECORD: u8 = 1;

/// One entry of a channel's stream.
pub(crate) enum Entry {
    /// With whom the channel is, and what its key is drawn from.
    Peer(Box<Peer>, Salt),
    /// What its machine remembers.
    Record(Box<Record>),
}

impl Entry {
    /// Reads an entry; none if it is not one.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (&PEER, rest) => {
                let (salt, peer) = rest.split_first_chunk()?;
                Some(Self::Peer(Box::new(Peer::from_bytes(peer).ok()?), *salt))
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
pub(crate) fn peer_entry(peer: &Peer, salt: &Salt) -> Vec<u8> {
    [&[PEER], salt.as_slice(), &peer.to_bytes()].concat()
}

/// The entry of a record.
pub(crate) fn record_entry(record: &Record) -> Vec<u8> {
    let mut entry = vec![RECORD];
    record.encode(&mut entry);
    entry
}

/// What stands for a channel's stream so far: with whom it is, and all that its machine remembers.
pub(crate) fn snapshot_entry(peer: &Peer, salt: &Salt, machine: &Machine) -> Vec<u8> {
    [salt.as_slice(), &peer.to_bytes(), &machine.snapshot()].concat()
}

/// Reads a snapshot; none if it is not one.
pub(crate) fn read_snapshot(
    opening: OpeningId,
    config: Config,
    bytes: &[u8],
) -> Option<(Peer, Salt, Machine)> {
    let (salt, rest) = bytes.split_first_chunk()?;
    let mut reader = Reader::new(rest);
    let peer = Peer::decode(&mut reader).ok()?;
    let config = peer.config(config);
    let machine =
        Machine::from_snapshot(opening, config, rest.get(peer.to_bytes().len()..)?).ok()?;
    Some((peer, *salt, machine))
}
