//! Who is reached over the wire, and who takes part in a channel: maps from a kind of ledger to an
//! address. go-perun writes them in random order; ours are kept, and written, by ascending kind.

use perun_channel::{Address, BackendId, MAX_FOREIGN_BYTES, Participant};

use crate::error::{DecodeError, Limit};
use crate::limits::{MAX_IDENTITIES, MAX_WIRE_ADDRESS};

/// The name of a node: for each kind of ledger a wire address, as opaque bytes. Never empty; one
/// address per ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identities(Vec<(BackendId, Vec<u8>)>);

impl Identities {
    /// A name from its addresses, in any order.
    pub fn new(mut entries: Vec<(BackendId, Vec<u8>)>) -> Result<Self, DecodeError> {
        if !(1..=MAX_IDENTITIES).contains(&entries.len()) {
            return Err(DecodeError::Limit(Limit::Identities));
        }
        if entries.iter().any(|(_, bytes)| !(1..=MAX_WIRE_ADDRESS).contains(&bytes.len())) {
            return Err(DecodeError::Limit(Limit::WireAddress));
        }
        sort(&mut entries, |(backend, _)| *backend)?;
        Ok(Self(entries))
    }

    /// The addresses, by ascending kind of ledger.
    #[must_use]
    pub fn entries(&self) -> &[(BackendId, Vec<u8>)] {
        &self.0
    }
}

/// A participant of a channel as go-perun names it: an address on Ethereum, with which it signs,
/// and possibly one on another ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Party {
    participant: Participant,
    foreign: Option<BackendId>,
}

impl Party {
    /// What go-perun signs in the place of an identity on another ledger when there is none.
    const NOWHERE_ELSE: [u8; 32] = [0; 32];

    /// A participant that is on Ethereum only.
    pub fn ethereum(address: Address) -> Result<Self, DecodeError> {
        let participant = Participant::new(address, Self::NOWHERE_ELSE.to_vec())?;
        Ok(Self { participant, foreign: None })
    }

    /// A participant that is on another ledger too, with that ledger's own bytes.
    pub fn on_two(
        address: Address,
        backend: BackendId,
        bytes: Vec<u8>,
    ) -> Result<Self, DecodeError> {
        if !(1..=MAX_FOREIGN_BYTES).contains(&bytes.len()) {
            return Err(DecodeError::Limit(Limit::ForeignBytes));
        }
        sort(&mut [BackendId::ETHEREUM, backend], |kind| *kind)?;
        Ok(Self { participant: Participant::new(address, bytes)?, foreign: Some(backend) })
    }

    /// A participant from its map of addresses, in any order.
    pub(crate) fn from_entries(mut entries: Vec<(BackendId, &[u8])>) -> Result<Self, DecodeError> {
        sort(&mut entries, |(backend, _)| *backend)?;
        let signer = entries
            .iter()
            .position(|(backend, _)| *backend == BackendId::ETHEREUM)
            .ok_or(DecodeError::NoSigner)?;
        let (_, bytes) = entries.remove(signer);
        let address = Address::new(bytes.try_into().map_err(|_| DecodeError::Length)?);
        match entries.as_slice() {
            [] => Self::ethereum(address),
            [(backend, bytes)] => Self::on_two(address, *backend, bytes.to_vec()),
            _ => Err(DecodeError::Limit(Limit::PartyAddresses)),
        }
    }

    /// Its map of addresses, by ascending kind of ledger.
    pub(crate) fn entries(&self) -> Vec<(BackendId, &[u8])> {
        let signer = (BackendId::ETHEREUM, self.participant.address().as_bytes().as_slice());
        let foreign = self.foreign.map(|backend| (backend, self.participant.foreign()));
        let mut entries: Vec<_> = core::iter::once(signer).chain(foreign).collect();
        entries.sort_unstable();
        entries
    }

    /// The participant in the form that is signed.
    #[must_use]
    pub const fn participant(&self) -> &Participant {
        &self.participant
    }

    /// The other ledger it is on.
    #[must_use]
    pub const fn foreign_backend(&self) -> Option<BackendId> {
        self.foreign
    }
}

/// Sorts a map by its keys, which must differ and fit into go-perun's signed ones.
fn sort<T>(entries: &mut [T], key: impl Fn(&T) -> BackendId) -> Result<(), DecodeError> {
    entries.sort_by_key(&key);
    if entries.iter().any(|entry| i32::try_from(key(entry).get()).is_err()) {
        return Err(DecodeError::Backend);
    }
    let twins = entries.iter().zip(entries.iter().skip(1)).any(|(one, next)| key(one) == key(next));
    if twins { Err(DecodeError::RepeatedBackend) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kinds: &[u32]) -> Result<Identities, DecodeError> {
        let entry = |kind: &u32| (BackendId::new(*kind), kind.to_be_bytes().to_vec());
        Identities::new(kinds.iter().map(entry).collect())
    }

    #[test]
    fn h12_a_name_has_one_to_four_addresses_of_different_ledgers() {
        assert_eq!(name(&[]), Err(DecodeError::Limit(Limit::Identities)));
        assert_eq!(name(&[1, 2, 3, 4, 5]), Err(DecodeError::Limit(Limit::Identities)));
        assert_eq!(name(&[1, 2, 1]), Err(DecodeError::RepeatedBackend));
        assert_eq!(name(&[1 << 31]), Err(DecodeError::Backend));
        assert_eq!(name(&[3, 0, 2, 1]), name(&[0, 1, 2, 3]));
    }

    #[test]
    fn a_wire_address_is_not_empty_and_not_long() {
        let of = |length| Identities::new(vec![(BackendId::CKB, vec![0; length])]);
        let refused = Err(DecodeError::Limit(Limit::WireAddress));
        assert_eq!(of(0), refused);
        assert_eq!(of(MAX_WIRE_ADDRESS + 1), refused);
        assert!(of(MAX_WIRE_ADDRESS).is_ok());
    }

    #[test]
    fn h2_a_party_signs_on_ethereum_and_is_on_one_other_ledger_at_most() {
        let of = |kinds: &[(u32, &'static [u8])]| {
            Party::from_entries(kinds.iter().map(|(k, b)| (BackendId::new(*k), *b)).collect())
        };
        let one = Party::ethereum(Address::new([7; 20])).unwrap();
        assert_eq!(of(&[(1, &[7; 20])]), Ok(one.clone()));
        assert_eq!(one.participant().foreign(), [0; 32]);
        assert_eq!(one.entries().len(), 1);
        let two = of(&[(3, &[5]), (1, &[7; 20])]).unwrap();
        assert_eq!(two.participant().foreign(), [5]);
        assert_eq!(two.entries(), [(BackendId::ETHEREUM, &[7; 20][..]), (BackendId::CKB, &[5])]);
        assert_eq!(of(&[(0, &[5]), (1, &[7; 20])]).unwrap().entries()[0].0, BackendId::new(0));
        assert_eq!(of(&[]), Err(DecodeError::NoSigner));
        assert_eq!(of(&[(3, &[7; 20])]), Err(DecodeError::NoSigner));
        assert_eq!(of(&[(1, &[7; 21])]), Err(DecodeError::Length));
        assert_eq!(of(&[(1, &[7; 20]), (3, &[])]), Err(DecodeError::Limit(Limit::ForeignBytes)));
        let three: &[(u32, &[u8])] = &[(1, &[7; 20]), (3, &[1]), (4, &[1])];
        assert_eq!(of(three), Err(DecodeError::Limit(Limit::PartyAddresses)));
        let twice: &[(u32, &[u8])] = &[(1, &[7; 20]), (1, &[8; 20])];
        assert_eq!(of(twice), Err(DecodeError::RepeatedBackend));
    }

    /// A foreign identity of zeros is not the absence of one.
    #[test]
    fn zeros_elsewhere_are_an_identity() {
        let zeros = Party::on_two(Address::ZERO, BackendId::CKB, vec![0; 32]).unwrap();
        let nowhere = Party::ethereum(Address::ZERO).unwrap();
        assert_eq!(zeros.participant(), nowhere.participant());
        assert_ne!(zeros.entries(), nowhere.entries());
    }
}
