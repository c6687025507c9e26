//! How go-perun names an asset: the kind of its ledger, and bytes of that ledger's own.
//!
//! For Ethereum these bytes hold the chain, the kind again, and the asset holder. Of other ledgers
//! they are opaque, and go-perun signs the ledger's kind in the place of a chain.

use perun_channel::{Address, Asset, BackendId, MAX_FOREIGN_BYTES};

use crate::error::{DecodeError, EncodeError, Limit};
use crate::native::reader::{Source, put_blob, put_integer_blob};

/// The asset with this name.
pub(crate) fn from_wire(backend: BackendId, bytes: &[u8]) -> Result<Asset, DecodeError> {
    if i32::try_from(backend.get()).is_err() {
        return Err(DecodeError::Backend);
    }
    if backend != BackendId::ETHEREUM {
        if !(1..=MAX_FOREIGN_BYTES).contains(&bytes.len()) {
            return Err(DecodeError::Limit(Limit::ForeignBytes));
        }
        let chain = u64::from(backend.get());
        return Ok(Asset::new(backend, chain, Address::ZERO, bytes.to_vec())?);
    }
    ethereum(bytes).map_err(|error| match error {
        // These bytes came whole: more of them would not help.
        DecodeError::Short { .. } => DecodeError::Asset,
        other => other,
    })
}

fn ethereum(bytes: &[u8]) -> Result<Asset, DecodeError> {
    let mut source = Source::new(bytes);
    let chain = source.blob(8, Limit::ChainNumber)?;
    let [first, ..] = chain else { return Err(DecodeError::Asset) };
    if *first == 0 {
        return Err(DecodeError::NotCanonical);
    }
    let chain = chain.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    if source.u32()? != BackendId::ETHEREUM.get() {
        return Err(DecodeError::Asset);
    }
    let holder = source.blob(20, Limit::WireAddress)?;
    let holder = Address::new(holder.try_into().map_err(|_| DecodeError::Length)?);
    if source.is_empty() { Ok(Asset::ethereum(chain, holder)) } else { Err(DecodeError::Asset) }
}

/// The bytes that name an asset beside its ledger's kind.
pub(crate) fn to_wire(asset: &Asset) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    if asset.backend() == BackendId::ETHEREUM {
        put_integer_blob(&mut out, &asset.chain().to_be_bytes());
        out.extend_from_slice(&BackendId::ETHEREUM.get().to_le_bytes());
        put_blob(&mut out, asset.holder().as_bytes());
    } else {
        out.extend_from_slice(asset.foreign());
    }
    // Whatever the bytes do not carry must be what their reader puts there.
    if from_wire(asset.backend(), &out).as_ref() == Ok(asset) {
        Ok(out)
    } else {
        Err(EncodeError::Asset(asset.backend()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_of_ethereum_has_the_known_bytes() {
        let asset = Asset::ethereum(1337, Address::new([0x77; 20]));
        let known = [&[2, 0, 5, 0x39, 1, 0, 0, 0, 20, 0][..], &[0x77; 20]].concat();
        assert_eq!(to_wire(&asset).as_deref(), Ok(known.as_slice()));
        assert_eq!(from_wire(BackendId::ETHEREUM, &known), Ok(asset));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let of = |chain: &[u8], kind: u8, holder: &[u8], tail: &[u8]| {
            let mut bytes = Vec::new();
            put_blob(&mut bytes, chain);
            bytes.extend_from_slice(&[kind, 0, 0, 0]);
            put_blob(&mut bytes, holder);
            bytes.extend_from_slice(tail);
            from_wire(BackendId::ETHEREUM, &bytes).map(|_| ())
        };
        assert_eq!(of(&[1], 1, &[7; 20], &[]), Ok(()));
        assert_eq!(of(&[0xff; 8], 1, &[7; 20], &[]), Ok(()));
        assert_eq!(of(&[1; 9], 1, &[7; 20], &[]), Err(DecodeError::Limit(Limit::ChainNumber)));
        assert_eq!(of(&[], 1, &[7; 20], &[]), Err(DecodeError::Asset), "chain zero");
        assert_eq!(of(&[0, 1], 1, &[7; 20], &[]), Err(DecodeError::NotCanonical));
        assert_eq!(of(&[1], 3, &[7; 20], &[]), Err(DecodeError::Asset), "another kind inside");
        assert_eq!(of(&[1], 1, &[7; 19], &[]), Err(DecodeError::Length));
        assert_eq!(of(&[1], 1, &[7; 20], &[0]), Err(DecodeError::Asset), "left over");
        assert_eq!(from_wire(BackendId::ETHEREUM, &[5]), Err(DecodeError::Asset), "cut off");
    }

    #[test]
    fn an_asset_of_another_ledger_is_bytes() {
        let asset = from_wire(BackendId::CKB, &[9, 8]).unwrap();
        assert_eq!((asset.chain(), asset.foreign()), (3, &[9, 8][..]));
        assert_eq!(to_wire(&asset), Ok(vec![9, 8]));
        let refused = Err(DecodeError::Limit(Limit::ForeignBytes));
        assert_eq!(from_wire(BackendId::CKB, &[]), refused);
        assert_eq!(from_wire(BackendId::CKB, &[0; MAX_FOREIGN_BYTES + 1]), refused);
        assert_eq!(from_wire(BackendId::new(1 << 31), &[1]), Err(DecodeError::Backend));
    }

    /// go-perun could not give back what it has no bytes for.
    #[test]
    fn an_asset_that_does_not_survive_the_wire_is_not_sent() {
        let ckb = Err(EncodeError::Asset(BackendId::CKB));
        assert_eq!(to_wire(&Asset::ckb(7)), ckb, "a chain that is not the kind");
        let held = Asset::new(BackendId::CKB, 3, Address::new([1; 20]), vec![0]).unwrap();
        assert_eq!(to_wire(&held), ckb);
        let ethereum = Err(EncodeError::Asset(BackendId::ETHEREUM));
        assert_eq!(to_wire(&Asset::ethereum(0, Address::ZERO)), ethereum);
        let foreign = Asset::new(BackendId::ETHEREUM, 1, Address::ZERO, vec![]).unwrap();
        assert_eq!(to_wire(&foreign), ethereum);
    }
}
