//! What one party brings into a transaction that is made together: cells, change, locks and a fee
//! share.
//!
//! A contribution comes from the peer and is not believed; it only decodes within bounds. The
//! invariant: a contribution has one spelling, so both parties assemble the same bytes.

use crate::channel::{put_script, read_script};
use ckb_types::{
    packed::{CellDep, OutPoint, Script},
    prelude::*,
};
use perun_channel::codec::{Decode, DecodeError, Encode, Reader, put_length};

/// Most inputs of one contribution: about 3 KB.
pub const INPUTS_MAX: usize = 64;
/// Most change cells of one contribution: one per asset, and some to be kept apart for later fees.
pub const CHANGE_MAX: usize = 32;
/// Most dependencies that the locks of one contribution need.
pub const DEPS_MAX: usize = 16;
/// Most channels that one party opens in one transaction; cycles end it far earlier.
pub const CHANNELS_MAX: usize = 64;

const FORMAT: u8 = 1;

/// One cell that a party spends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContributedInput {
    /// The cell.
    pub out_point: OutPoint,
    /// The `since` field, for locks that are closed until a time.
    pub since: u64,
}

/// One cell that a party gets back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its lock.
    pub lock: Script,
    /// Its capacity in shannons.
    pub capacity: u64,
    /// A token by the hash of its type script, and the amount.
    pub token: Option<([u8; 32], u128)>,
}

/// What one party brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// The cells that it spends, all under its owner lock.
    pub inputs: Vec<ContributedInput>,
    /// The cells that it gets.
    pub change: Vec<Change>,
    /// What its lock depends on.
    pub deps: Vec<CellDep>,
    /// The lock that channels pay it to.
    pub payout: Script,
    /// The lock that owns its share and its inputs.
    pub owner: Script,
    /// Whether inputs under the payout lock may pay the fee of a settlement. Only for locks that
    /// sign the whole transaction.
    pub lends_fee: bool,
    /// Whether an input under the owner lock counts as consent to any transaction. Only for owners
    /// that cannot sign with a session key.
    pub consents_by_presence: bool,
    /// Its reserve in each channel that it takes part in, in the order of the channels.
    pub reserves: Vec<u64>,
    /// Its part of the network fee.
    pub fee: u64,
}

impl Encode for Contribution {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        put_length(out, self.inputs.len());
        for input in &self.inputs {
            out.extend_from_slice(input.out_point.as_slice());
            out.extend_from_slice(&input.since.to_le_bytes());
        }
        put_length(out, self.change.len());
        for change in &self.change {
            put_script(out, &change.lock);
            out.extend_from_slice(&change.capacity.to_le_bytes());
            out.push(u8::from(change.token.is_some()));
            if let Some((token, amount)) = change.token {
                out.extend_from_slice(&token);
                out.extend_from_slice(&amount.to_le_bytes());
            }
        }
        put_length(out, self.deps.len());
        self.deps.iter().for_each(|dep| out.extend_from_slice(dep.as_slice()));
        put_script(out, &self.payout);
        put_script(out, &self.owner);
        out.push(u8::from(self.lends_fee));
        out.push(u8::from(self.consents_by_presence));
        put_length(out, self.reserves.len());
        self.reserves.iter().for_each(|reserve| out.extend_from_slice(&reserve.to_le_bytes()));
        out.extend_from_slice(&self.fee.to_le_bytes());
    }
}

impl Decode for Contribution {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.u8()? != FORMAT {
            return Err(DecodeError::UnknownTag);
        }
        let inputs = list(reader, INPUTS_MAX, |reader| {
            let out_point = OutPoint::from_slice(&reader.array::<36>()?);
            let out_point = out_point.map_err(|_| DecodeError::UnknownTag)?;
            Ok(ContributedInput { out_point, since: reader.u64()? })
        })?;
        let change = list(reader, CHANGE_MAX, |reader| {
            let lock = read_script(reader)?;
            let capacity = reader.u64()?;
            let token = match reader.flag()? {
                true => Some((reader.array()?, reader.u128()?)),
                false => None,
            };
            Ok(Change { lock, capacity, token })
        })?;
        let deps = list(reader, DEPS_MAX, |reader| {
            let bytes: [u8; 37] = reader.array()?;
            // Molecule takes any last byte; the chain knows two.
            if bytes[36] > 1 {
                return Err(DecodeError::UnknownTag);
            }
            CellDep::from_slice(&bytes).map_err(|_| DecodeError::UnknownTag)
        })?;
        Ok(Self {
            inputs,
            change,
            deps,
            payout: read_script(reader)?,
            owner: read_script(reader)?,
            lends_fee: reader.flag()?,
            consents_by_presence: reader.flag()?,
            reserves: list(reader, CHANNELS_MAX, |reader| reader.u64())?,
            fee: reader.u64()?,
        })
    }
}

fn list<T>(
    reader: &mut Reader<'_>,
    limit: usize,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let length = reader.length(limit)?;
    (0..length).map(|_| read(reader)).collect()
}

impl Contribution {
    /// Whether every list is within its bound; a decoded contribution always is.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        self.inputs.len() <= INPUTS_MAX
            && self.change.len() <= CHANGE_MAX
            && self.deps.len() <= DEPS_MAX
            && self.reserves.len() <= CHANNELS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Contribution {
        Contribution {
            inputs: vec![ContributedInput { out_point: OutPoint::default(), since: 7 }],
            change: vec![Change {
                lock: Script::default(),
                capacity: 1,
                token: Some(([3; 32], u128::MAX)),
            }],
            deps: vec![CellDep::default()],
            payout: Script::default(),
            owner: Script::default(),
            lends_fee: true,
            consents_by_presence: false,
            reserves: vec![111],
            fee: 9,
        }
    }

    #[test]
    fn a_contribution_survives_its_encoding() {
        assert_eq!(Contribution::from_bytes(&sample().to_bytes()), Ok(sample()));
    }

    #[test]
    fn every_cut_and_every_extra_byte_is_refused() {
        let bytes = sample().to_bytes();
        for end in 0..bytes.len() {
            assert!(Contribution::from_bytes(&bytes[..end]).is_err());
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(Contribution::from_bytes(&longer), Err(DecodeError::Trailing));
    }

    #[test]
    fn a_list_above_its_bound_is_refused() {
        let mut long = sample();
        long.inputs = vec![long.inputs[0].clone(); INPUTS_MAX + 1];
        assert_eq!(Contribution::from_bytes(&long.to_bytes()), Err(DecodeError::TooLong));
        assert!(!long.is_bounded());
    }
}
