//! One state of a channel: which version, who owns what, the app's data, and whether it is the
//! last.

use alloc::vec::Vec;

use crate::codec::{self, Decode, DecodeError, Encode, Reader};
use crate::hash::keccak256;
use crate::{Allocation, ChannelId, Invalid, MAX_DATA, Version, abi};

/// A state of a channel. What the participants sign is [`State::digest`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    id: ChannelId,
    version: Version,
    outcome: Allocation,
    data: Vec<u8>,
    is_final: bool,
}

impl State {
    /// A state with all its fields.
    pub fn new(
        id: ChannelId,
        version: Version,
        outcome: Allocation,
        data: Vec<u8>,
        is_final: bool,
    ) -> Result<Self, Invalid> {
        if data.len() > MAX_DATA {
            return Err(Invalid::DataLength);
        }
        Ok(Self { id, version, outcome, data, is_final })
    }

    /// The first state of a channel without an app.
    #[must_use]
    pub const fn initial(id: ChannelId, outcome: Allocation) -> Self {
        Self { id, version: Version::ZERO, outcome, data: Vec::new(), is_final: false }
    }

    /// The next state: one version higher, with this outcome, same data, not final.
    pub fn successor(&self, outcome: Allocation) -> Result<Self, Invalid> {
        let version = self.version.next().ok_or(Invalid::Version)?;
        Ok(self.at_version(version, outcome))
    }

    /// A later state with this version and outcome, same data, not final. Versions that a peer
    /// rejected are skipped, never signed twice; hence the explicit version.
    #[must_use]
    pub fn at_version(&self, version: Version, outcome: Allocation) -> Self {
        Self { id: self.id, version, outcome, data: self.data.clone(), is_final: false }
    }

    /// The same state, marked as the last.
    #[must_use]
    pub fn finalized(mut self) -> Self {
        self.is_final = true;
        self
    }

    /// The channel this state belongs to.
    #[must_use]
    pub const fn id(&self) -> &ChannelId {
        &self.id
    }

    /// The state's number.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Who owns what.
    #[must_use]
    pub const fn outcome(&self) -> &Allocation {
        &self.outcome
    }

    /// The app's data; empty without an app.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Whether no state may follow.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        self.is_final
    }

    /// The state's hash: Keccak-256 of its ABI encoding. Adjudicators store it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        keccak256(&[&abi::state(self)])
    }

    /// The 32 bytes that participants sign.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        crate::sig::eip191(&self.hash())
    }
}

impl Encode for State {
    fn encode(&self, out: &mut Vec<u8>) {
        self.id.encode(out);
        out.extend_from_slice(&self.version.get().to_le_bytes());
        self.outcome.encode(out);
        codec::put_bytes(out, &self.data);
        out.push(u8::from(self.is_final));
    }
}

impl Decode for State {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = ChannelId::decode(reader)?;
        let version = Version::new(reader.u64()?);
        let outcome = Allocation::decode(reader)?;
        let data = reader.bytes(MAX_DATA)?;
        Ok(Self::new(id, version, outcome, data, reader.flag()?)?)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{Amount, Asset};

    fn outcome(one: u128, other: u128) -> Allocation {
        let row = vec![Amount::new(one), Amount::new(other)];
        Allocation::new(vec![Asset::ckb(1)], vec![row], vec![]).unwrap()
    }

    fn state(version: u64, data: Vec<u8>) -> Result<State, Invalid> {
        let id = ChannelId::new([4; 32]);
        State::new(id, Version::new(version), outcome(1, 2), data, false)
    }

    #[test]
    fn data_is_limited() {
        assert!(state(0, vec![0; MAX_DATA]).is_ok());
        assert_eq!(state(0, vec![0; MAX_DATA + 1]), Err(Invalid::DataLength));
    }

    #[test]
    fn the_first_state_has_version_zero_and_no_data() {
        let first = State::initial(ChannelId::new([4; 32]), outcome(1, 2));
        assert_eq!(Ok(first), state(0, vec![]));
    }

    #[test]
    fn a_successor_keeps_the_channel_and_the_data_and_is_not_final() {
        let before = state(8, vec![5]).unwrap().finalized();
        let after = before.successor(outcome(0, 3)).unwrap();
        assert_eq!((after.id(), after.data()), (before.id(), before.data()));
        assert_eq!(after.version(), Version::new(9));
        assert_eq!(after.outcome(), &outcome(0, 3));
        assert!(!after.is_final());
    }

    #[test]
    fn the_last_version_has_no_successor() {
        let last = state(u64::MAX, vec![]).unwrap();
        assert_eq!(last.successor(outcome(1, 2)), Err(Invalid::Version));
    }

    #[test]
    fn versions_may_be_skipped_by_name() {
        let before = state(8, vec![5]).unwrap();
        let skipped = before.at_version(Version::new(11), outcome(0, 3));
        assert_eq!(skipped.version(), Version::new(11));
        assert_eq!((skipped.id(), skipped.data()), (before.id(), before.data()));
        assert!(!before.finalized().at_version(Version::new(11), outcome(0, 3)).is_final());
    }

    #[test]
    fn finalizing_changes_the_flag_alone_and_the_digest() {
        let open = state(8, vec![5]).unwrap();
        let last = open.clone().finalized();
        assert!(last.is_final());
        assert_ne!(last.digest(), open.digest());
        assert_eq!(last.at_version(Version::new(8), outcome(1, 2)), open);
    }

    #[test]
    fn what_is_signed_is_the_wrapped_hash() {
        let state = state(8, vec![5]).unwrap();
        assert_eq!(state.hash(), keccak256(&[&abi::state(&state)]));
        assert_eq!(state.digest(), crate::sig::eip191(&state.hash()));
        assert_ne!(state.digest(), state.hash());
    }
}
