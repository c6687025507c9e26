//! What the two sides tell each other about a channel on Ethereum, and what a house keeps of it.
//!
//! All of it comes from a peer or from disk, so it is read by bounded code with one spelling.

use alloy_primitives::Address;
use perun_channel::codec::{Decode, DecodeError, Encode, Reader};
use perun_channel::{Amount, State};
use perun_protocol::{LedgerBytes, Target};

use crate::LedgerError;

/// The version of these bytes.
const FORMAT: u8 = 1;
/// The same, where the peer runs go-perun.
const FORMAT_GO_PERUN: u8 = 2;

/// What the terms say besides: which hub. The assets name it too, but not in words for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HubTerms {
    pub(super) hub: Address,
}

/// One side's part: something drawn at random, and who is to be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contribution {
    pub(super) drawn: [u8; 32],
    pub(super) payee: Address,
    /// Whether that side runs go-perun.
    pub(super) go_perun: bool,
}

/// The setup of a channel as this ledger writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Whom each side named to be paid. Each binds its own at the hub.
    pub(super) payees: [Address; 2],
    /// Version 0: what must be deposited.
    pub(super) initial: State,
    /// Whether the peer runs go-perun, and so has to be told of deposits in its way.
    pub(super) go_perun: bool,
}

impl Place {
    pub(super) fn of(target: &Target) -> Result<Self, LedgerError> {
        let place: Self = read(&target.setup, "setup")?;
        match *place.initial.id() == target.id {
            true => Ok(place),
            false => Err(LedgerError::Malformed("setup")),
        }
    }

    /// What one side has to deposit of an asset row.
    pub(super) fn share(&self, row: usize, side: usize) -> Amount {
        self.initial.outcome().balance(row, side).unwrap_or_default()
    }
}

/// Reads bytes that this module wrote, here or in the peer's program.
pub(super) fn read<T: Decode>(bytes: &LedgerBytes, what: &'static str) -> Result<T, LedgerError> {
    T::from_bytes(bytes.as_bytes()).map_err(|_| LedgerError::Malformed(what))
}

/// Bytes for the protocol to carry.
pub(super) fn written(value: &impl Encode, what: &'static str) -> Result<LedgerBytes, LedgerError> {
    LedgerBytes::new(value.to_bytes()).map_err(|_| LedgerError::Malformed(what))
}

fn format(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    if reader.u8()? == FORMAT { Ok(()) } else { Err(DecodeError::UnknownTag) }
}

/// Writes which of both it is.
const fn kind(go_perun: bool) -> u8 {
    if go_perun { FORMAT_GO_PERUN } else { FORMAT }
}

/// Whether it is about a side that runs go-perun.
fn is_go_perun(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match reader.u8()? {
        FORMAT => Ok(false),
        FORMAT_GO_PERUN => Ok(true),
        _ => Err(DecodeError::UnknownTag),
    }
}

fn address(reader: &mut Reader<'_>) -> Result<Address, DecodeError> {
    reader.array().map(Address::new)
}

impl Encode for HubTerms {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        out.extend_from_slice(self.hub.as_slice());
    }
}

impl Decode for HubTerms {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        format(reader)?;
        Ok(Self { hub: address(reader)? })
    }
}

impl Encode for Contribution {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(kind(self.go_perun));
        out.extend_from_slice(&self.drawn);
        out.extend_from_slice(self.payee.as_slice());
    }
}

impl Decode for Contribution {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let go_perun = is_go_perun(reader)?;
        Ok(Self { drawn: reader.array()?, payee: address(reader)?, go_perun })
    }
}

impl Encode for Place {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(kind(self.go_perun));
        self.payees.iter().for_each(|payee| out.extend_from_slice(payee.as_slice()));
        self.initial.encode(out);
    }
}

impl Decode for Place {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let go_perun = is_go_perun(reader)?;
        let payees = [address(reader)?, address(reader)?];
        Ok(Self { payees, initial: State::decode(reader)?, go_perun })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perun_channel::{Allocation, Asset, ChannelId};

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let asset = Asset::ethereum(1, perun_channel::Address::new([7; 20]));
        let row = vec![Amount::new(5), Amount::new(6)];
        let outcome = Allocation::new(vec![asset], vec![row], vec![]).unwrap();
        let initial = State::initial(ChannelId::new([9; 32]), outcome);
        let payees = [1, 2].map(Address::repeat_byte);
        let place = Place { payees, initial, go_perun: false };
        let payee = Address::repeat_byte(4);
        let contribution = Contribution { drawn: [3; 32], payee, go_perun: false };
        let terms = HubTerms { hub: Address::repeat_byte(5) };
        for go_perun in [false, true] {
            let place = Place { go_perun, ..place.clone() };
            assert_eq!(Place::from_bytes(&place.to_bytes()), Ok(place));
            let contribution = Contribution { go_perun, ..contribution };
            assert_eq!(Contribution::from_bytes(&contribution.to_bytes()), Ok(contribution));
        }
        assert_eq!(HubTerms::from_bytes(&terms.to_bytes()), Ok(terms));
        for bytes in [place.to_bytes(), contribution.to_bytes(), terms.to_bytes()] {
            let mut other = bytes.clone();
            other[0] = FORMAT_GO_PERUN + 1;
            let longer = [bytes.as_slice(), &[0]].concat();
            for wrong in [&other[..], &longer, &bytes[..bytes.len() - 1], &[]] {
                assert!(Place::from_bytes(wrong).is_err());
                assert!(Contribution::from_bytes(wrong).is_err());
                assert!(HubTerms::from_bytes(wrong).is_err());
            }
        }
        assert_eq!([0, 1].map(|side| place.share(0, side).get()), [5, 6]);
    }
}
