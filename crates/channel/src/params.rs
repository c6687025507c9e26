//! What the participants agree on once, before the first state: who takes part, on which ledgers
//! they are reached, and how long a challenge lasts. The channel's id is the hash of it.

use alloc::vec::Vec;

use crate::codec::{self, Decode, DecodeError, Encode, Reader};
use crate::hash::keccak256;
use crate::{Address, ChannelId, Invalid, MAX_FOREIGN_BYTES, MAX_PARTICIPANTS, abi};

/// One participant: the address that signs states, and its identity on one ledger besides Ethereum.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Participant {
    address: Address,
    foreign: Vec<u8>,
}

impl Participant {
    /// A participant that signs with `address`. `foreign` is its identity on the other ledger, as
    /// that ledger defines it; where there is none, go-perun writes 32 zero bytes.
    pub fn new(address: Address, foreign: Vec<u8>) -> Result<Self, Invalid> {
        if foreign.len() > MAX_FOREIGN_BYTES {
            return Err(Invalid::ForeignBytes);
        }
        Ok(Self { address, foreign })
    }

    /// The address that signs states.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The identity on the ledger that is not Ethereum.
    #[must_use]
    pub fn foreign(&self) -> &[u8] {
        &self.foreign
    }
}

impl Encode for Participant {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.address.as_bytes());
        codec::put_bytes(out, &self.foreign);
    }
}

impl Decode for Participant {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let address = Address::new(reader.array()?);
        Ok(Self::new(address, reader.bytes(MAX_FOREIGN_BYTES)?)?)
    }
}

/// The parameters of a channel. Immutable; their hash is the channel's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Params {
    challenge_secs: u64,
    nonce: [u8; 32],
    participants: Vec<Participant>,
    app: Address,
    is_ledger: bool,
    is_virtual: bool,
    /// Computed once, when the parameters are made; they never change.
    id: ChannelId,
}

impl Params {
    /// The parameters of a ledger channel without an app.
    pub fn new(
        challenge_secs: u64,
        nonce: [u8; 32],
        participants: Vec<Participant>,
    ) -> Result<Self, Invalid> {
        Self::with_kind(challenge_secs, nonce, participants, Address::ZERO, true, false)
    }

    /// Parameters with an app reference and explicit kind flags (both false: a sub-channel).
    pub fn with_kind(
        challenge_secs: u64,
        nonce: [u8; 32],
        participants: Vec<Participant>,
        app: Address,
        is_ledger: bool,
        is_virtual: bool,
    ) -> Result<Self, Invalid> {
        if !(2..=MAX_PARTICIPANTS).contains(&participants.len()) {
            return Err(Invalid::ParticipantCount);
        }
        if challenge_secs == 0 {
            return Err(Invalid::ChallengeDuration);
        }
        let twins = participants.iter().enumerate().any(|(position, one)| {
            participants
                .iter()
                .skip(position.saturating_add(1))
                .any(|other| other.address == one.address)
        });
        if twins {
            return Err(Invalid::DuplicateParticipant);
        }
        let id = ChannelId::new([0; 32]);
        let mut params =
            Self { challenge_secs, nonce, participants, app, is_ledger, is_virtual, id };
        params.id = ChannelId::new(keccak256(&[&abi::params(&params)]));
        Ok(params)
    }

    /// How long a registered state can be refuted, in seconds, on every ledger.
    #[must_use]
    pub const fn challenge_secs(&self) -> u64 {
        self.challenge_secs
    }

    /// The number that makes the id unique, big-endian.
    #[must_use]
    pub const fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }

    /// The participants in order; a participant's position is its index everywhere.
    #[must_use]
    pub fn participants(&self) -> &[Participant] {
        &self.participants
    }

    /// The app that judges transitions; zero for none.
    #[must_use]
    pub const fn app(&self) -> &Address {
        &self.app
    }

    /// Whether the channel is funded on a ledger itself.
    #[must_use]
    pub const fn is_ledger(&self) -> bool {
        self.is_ledger
    }

    /// Whether the channel runs through an intermediary.
    #[must_use]
    pub const fn is_virtual(&self) -> bool {
        self.is_virtual
    }

    /// The channel's id: Keccak-256 of the ABI encoding.
    #[must_use]
    pub const fn id(&self) -> ChannelId {
        self.id
    }
}

impl Encode for Params {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.challenge_secs.to_le_bytes());
        out.extend_from_slice(&self.nonce);
        codec::put_list(out, &self.participants);
        out.extend_from_slice(self.app.as_bytes());
        out.push(u8::from(self.is_ledger));
        out.push(u8::from(self.is_virtual));
    }
}

impl Decode for Params {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let challenge_secs = reader.u64()?;
        let nonce = reader.array()?;
        let participants = reader.list(MAX_PARTICIPANTS)?;
        let app = Address::new(reader.array()?);
        let (is_ledger, is_virtual) = (reader.flag()?, reader.flag()?);
        Ok(Self::with_kind(challenge_secs, nonce, participants, app, is_ledger, is_virtual)?)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn party(byte: u8) -> Participant {
        Participant::new(Address::new([byte; 20]), vec![]).unwrap()
    }

    fn parties(count: u8) -> Vec<Participant> {
        (1..=count).map(party).collect()
    }

    #[test]
    fn participants_are_two_to_sixteen() {
        for count in [0, 1, 17, 40] {
            let refused = Params::new(60, [0; 32], parties(count));
            assert_eq!(refused, Err(Invalid::ParticipantCount), "{count}");
        }
        assert!(Params::new(60, [0; 32], parties(2)).is_ok());
        assert!(Params::new(60, [0; 32], parties(16)).is_ok());
    }

    #[test]
    fn a_challenge_lasts_at_least_a_second() {
        assert_eq!(Params::new(0, [0; 32], parties(2)), Err(Invalid::ChallengeDuration));
        assert!(Params::new(1, [0; 32], parties(2)).is_ok());
        assert!(Params::new(u64::MAX, [0; 32], parties(2)).is_ok());
    }

    /// Wherever the twins stand, and whatever else tells them apart: the address is what signs.
    #[test]
    fn one_address_is_one_participant() {
        for (first, second) in [(0, 1), (0, 3), (2, 3)] {
            let mut twins = parties(4);
            twins[second] = Participant::new(*twins[first].address(), vec![1]).unwrap();
            let refused = Params::new(60, [0; 32], twins);
            assert_eq!(refused, Err(Invalid::DuplicateParticipant), "{first} and {second}");
        }
    }

    #[test]
    fn foreign_bytes_are_limited() {
        assert!(Participant::new(Address::ZERO, vec![0; MAX_FOREIGN_BYTES]).is_ok());
        let refused = Participant::new(Address::ZERO, vec![0; MAX_FOREIGN_BYTES + 1]);
        assert_eq!(refused, Err(Invalid::ForeignBytes));
    }

    #[test]
    fn new_makes_a_ledger_channel_without_an_app() {
        let params = Params::new(60, [3; 32], parties(2)).unwrap();
        let spelt = Params::with_kind(60, [3; 32], parties(2), Address::ZERO, true, false);
        assert_eq!(spelt, Ok(params));
    }

    #[test]
    fn the_id_is_the_hash_of_all_parts_and_survives_decoding() {
        let params = Params::new(60, [3; 32], parties(2)).unwrap();
        assert_eq!(*params.id().as_bytes(), keccak256(&[&abi::params(&params)]));
        let decoded = Params::from_bytes(&params.to_bytes()).unwrap();
        assert_eq!(decoded.id(), params.id());
        let other = Params::new(61, [3; 32], parties(2)).unwrap();
        assert_ne!(other.id(), params.id());
    }

    #[test]
    fn the_order_of_participants_matters() {
        let mut turned = parties(2);
        turned.reverse();
        let one = Params::new(60, [3; 32], parties(2)).unwrap();
        assert_ne!(Params::new(60, [3; 32], turned).unwrap().id(), one.id());
    }
}
