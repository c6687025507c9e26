//! What a house keeps of a channel on CKB: the contract, and the cells whose spending made it.

use ckb_types::packed::OutPoint;
use ckb_types::prelude::*;
use perun_backend_ckb::channel::Contract;
use perun_backend_ckb::open::INPUTS_MAX;
use perun_channel::codec::{Decode, DecodeError, Encode, Reader, put_bytes};
use perun_protocol::Target;

use crate::LedgerError;

/// The most inputs of an opening: both sides', and the predecessor's cells.
const PLACES_MAX: u16 = 256;
/// What the contract's bytes may be at most.
const CONTRACT_BYTES_MAX: usize = 32_768;
const _: () = assert!(INPUTS_MAX * 2 + 32 <= PLACES_MAX as usize);

/// The setup of a channel as this ledger writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) contract: Contract,
    /// The inputs of the transaction that creates the channel.
    pub(super) inputs: Vec<OutPoint>,
}

impl Anchor {
    pub(super) fn of(target: &Target) -> Result<Self, LedgerError> {
        Self::read(target.setup.as_bytes())
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, LedgerError> {
        Self::from_bytes(bytes).map_err(|_| LedgerError::Malformed("setup"))
    }
}

impl Encode for Anchor {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.contract.to_bytes());
        let count = u16::try_from(self.inputs.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&count.to_le_bytes());
        self.inputs.iter().for_each(|place| out.extend_from_slice(place.as_slice()));
    }
}

impl Decode for Anchor {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let contract = Contract::from_bytes(&reader.bytes(CONTRACT_BYTES_MAX)?)?;
        let count = reader.u16()?;
        if count > PLACES_MAX {
            return Err(DecodeError::TooLong);
        }
        let place = |reader: &mut Reader<'_>| {
            let bytes: [u8; 36] = reader.array()?;
            OutPoint::from_slice(&bytes).map_err(|_| DecodeError::UnknownTag)
        };
        let inputs = (0..count).map(|_| place(reader)).collect::<Result<_, _>>()?;
        Ok(Self { contract, inputs })
    }
}
