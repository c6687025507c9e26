//! With whom a channel is, as the house and its journal know it.

use perun_channel::BackendId;
use perun_channel::codec::{self, Decode, DecodeError, Encode, Reader};
use perun_channel::hash::keccak256;
use perun_goperun::{Identities, MAX_IDENTITIES, MAX_WIRE_ADDRESS};
use perun_protocol::{Config, Dialect};
use perun_wire::PeerId;

const PERUN: u8 = 0;
const GO_PERUN: u8 = 1;

/// With whom a channel is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    id: PeerId,
    name: Option<Identities>,
}

/// How a node of ours calls a go-perun node in its events and orders.
#[must_use]
pub fn peer_id(name: &Identities) -> PeerId {
    PeerId(keccak256(&[b"go-perun peer 1", &spelled(name)]))
}

impl Peer {
    /// A go-perun node.
    pub(crate) fn go_perun(name: Identities) -> Self {
        Self { id: peer_id(&name), name: Some(name) }
    }

    pub(crate) const fn id(&self) -> PeerId {
        self.id
    }

    /// Its name, if it runs go-perun.
    pub(crate) const fn name(&self) -> Option<&Identities> {
        self.name.as_ref()
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        match self.name {
            Some(_) => Dialect::GoPerun,
            None => Dialect::Perun,
        }
    }

    /// The rules of a channel with it.
    pub(crate) const fn config(&self, config: Config) -> Config {
        Config { dialect: self.dialect(), ..config }
    }
}

impl From<PeerId> for Peer {
    fn from(id: PeerId) -> Self {
        Self { id, name: None }
    }
}

fn spelled(name: &Identities) -> Vec<u8> {
    let mut out = Vec::new();
    out.push(u8::try_from(name.entries().len()).unwrap_or(u8::MAX));
    for (backend, address) in name.entries() {
        out.extend_from_slice(&backend.get().to_le_bytes());
        codec::put_bytes(&mut out, address);
    }
    out
}

impl Encode for Peer {
    fn encode(&self, out: &mut Vec<u8>) {
        match &self.name {
            None => {
                out.push(PERUN);
                out.extend_from_slice(&self.id.0);
            }
            Some(name) => {
                out.push(GO_PERUN);
                out.extend_from_slice(&spelled(name));
            }
        }
    }
}

impl Decode for Peer {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            PERUN => Ok(PeerId(reader.array()?).into()),
            GO_PERUN => {
                let count = usize::from(reader.u8()?);
                if count > MAX_IDENTITIES {
                    return Err(DecodeError::UnknownTag);
                }
                let mut entries = Vec::new();
                for _ in 0..count {
                    let backend = BackendId::new(u32::from_le_bytes(reader.array()?));
                    entries.push((backend, reader.bytes(MAX_WIRE_ADDRESS)?));
                }
                let name = Identities::new(entries).map_err(|_| DecodeError::UnknownTag)?;
                Ok(Self::go_perun(name))
            }
            _ => Err(DecodeError::UnknownTag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kinds: &[u32]) -> Identities {
        let entry = |kind: &u32| (BackendId::new(*kind), vec![7; 40]);
        Identities::new(kinds.iter().map(entry).collect()).unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let peers = [
            PeerId([7; 32]).into(),
            Peer::go_perun(name(&[1])),
            Peer::go_perun(name(&[0, 1, 2, 3])),
        ];
        for peer in peers {
            let bytes = peer.to_bytes();
            assert_eq!(Peer::from_bytes(&bytes), Ok(peer));
            for wrong in [&bytes[..bytes.len() - 1], &[bytes.as_slice(), &[0]].concat(), &[]] {
                assert!(Peer::from_bytes(wrong).is_err());
            }
            let mut other = bytes;
            other[0] = 9;
            assert!(Peer::from_bytes(&other).is_err());
        }
        assert!(Peer::from_bytes(&[GO_PERUN, 0]).is_err(), "a name has an address");
        assert!(Peer::from_bytes(&[GO_PERUN, 200]).is_err());
    }

    #[test]
    fn names_are_told_apart_by_every_address() {
        assert_ne!(peer_id(&name(&[1])), peer_id(&name(&[2])));
        assert_ne!(peer_id(&name(&[1])), peer_id(&name(&[1, 2])));
        assert_eq!(Peer::go_perun(name(&[1])).id(), peer_id(&name(&[1])));
    }
}
