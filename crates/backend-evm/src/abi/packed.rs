//! States as the contract logs them: without what follows from the rest.
//!
//! Logs are paid by the byte, and most of an encoded state is offsets and lengths. Here they are
//! written again. The invariant: nothing that is read takes more room than the largest state;
//! whether it is a state, its hash says.

use alloy_primitives::{B256, U256};

use perun_channel::sig::SIGNATURE_LENGTH;

use super::convert::STATE_BYTES_MAX;

const WORD: usize = 32;
/// Where the number of participants stands.
const COLUMNS: usize = 8;
/// Says that an asset is of no other ledger: 32 zeros.
const NO_FOREIGN: usize = 255;
/// Bytes of an asset's holder, and of a balance.
const HOLDER: usize = 20;
const BALANCE: usize = 16;

/// A packed state, and the signatures behind it: as many as there are participants.
#[must_use]
pub fn split(signed: &[u8]) -> Option<(&[u8], &[u8])> {
    let signatures = usize::from(*signed.get(COLUMNS)?).checked_mul(SIGNATURE_LENGTH)?;
    signed.split_at_checked(signed.len().checked_sub(signatures)?)
}

/// A state's bytes as they are hashed; nothing if this is not the whole of a packed one.
#[must_use]
pub fn state(id: &B256, packed: &[u8]) -> Option<Vec<u8>> {
    let mut reader = packed;
    let version = number(&mut reader, 6)?;
    let is_final = number(&mut reader, 1)?;
    let count = number(&mut reader, 1)?;
    let columns = number(&mut reader, 1)?;
    let locked = number(&mut reader, 1)?;
    let size = number(&mut reader, 2)?;
    let words = count.checked_mul(WORD)?;
    let assets = (0..count).map(|_| asset(&mut reader)).collect::<Option<Vec<_>>>()?;
    let backends = take(&mut reader, words)?;
    let rows = (0..count).map(|_| row(&mut reader, columns)).collect::<Option<Vec<_>>>()?;
    let (entries, data) = reader.split_at_checked(reader.len().checked_sub(size)?)?;

    let parts = [
        list(&assets)?,
        [&word(count)[..], backends].concat(),
        list(&rows)?,
        [&word(locked)[..], entries].concat(),
    ];
    let outcome = tuple(&parts)?;
    let data_at = outcome.len().checked_add(5 * WORD)?;
    let heads = [word(WORD), id.0, word(version), word(5 * WORD), word(data_at), word(is_final)];
    let bytes = [heads.concat(), outcome, blob(data)].concat();
    (bytes.len() <= STATE_BYTES_MAX).then_some(bytes)
}

fn asset(reader: &mut &[u8]) -> Option<Vec<u8>> {
    let chain = take(reader, WORD)?;
    let holder = padded(take(reader, HOLDER)?);
    let foreign = match number(reader, 1)? {
        NO_FOREIGN => &[0; WORD],
        size => take(reader, size)?,
    };
    Some([chain, &holder, &word(3 * WORD), &blob(foreign)].concat())
}

fn row(reader: &mut &[u8], columns: usize) -> Option<Vec<u8>> {
    let mut bytes = word(columns).to_vec();
    for _ in 0..columns {
        bytes.extend_from_slice(&padded(take(reader, BALANCE)?));
    }
    Some(bytes)
}

/// A list of what has no fixed size: how many, the offset of each, and they.
fn list(parts: &[Vec<u8>]) -> Option<Vec<u8>> {
    Some([&word(parts.len())[..], &tuple(parts)?].concat())
}

/// The offset of each part, and they.
fn tuple(parts: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut at = parts.len().checked_mul(WORD)?;
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&word(at));
        at = at.checked_add(part.len())?;
    }
    bytes.extend(parts.iter().flatten());
    Some(bytes)
}

/// Bytes with their length, filled up to whole words.
fn blob(content: &[u8]) -> Vec<u8> {
    let mut bytes = [&word(content.len())[..], content].concat();
    bytes.resize(bytes.len().next_multiple_of(WORD), 0);
    bytes
}

/// A word that ends with these bytes.
fn padded(tail: &[u8]) -> [u8; WORD] {
    U256::try_from_be_slice(tail).unwrap_or_default().to_be_bytes()
}

fn word(number: usize) -> [u8; WORD] {
    U256::from(number).to_be_bytes()
}

fn number(reader: &mut &[u8], size: usize) -> Option<usize> {
    let mut digits = take(reader, size)?.iter();
    digits.try_fold(0_usize, |sum, digit| sum.checked_mul(256)?.checked_add(usize::from(*digit)))
}

fn take<'a>(reader: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (taken, rest) = reader.split_at_checked(size)?;
    *reader = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use perun_channel::{
        Address, Allocation, Amount, Asset, BackendId, ChannelId, State, SubAlloc, Version,
    };

    /// Two assets, one of another ledger, three participants, a locked channel and some data.
    fn full() -> State {
        let here = Asset::ethereum(31_337, Address::new([0x11; 20]));
        let there = Asset::new(BackendId::CKB, 3, Address::ZERO, vec![0xee; 40]).unwrap();
        let amounts = |row: [u128; 3]| row.map(Amount::new).to_vec();
        let locked = [ChannelId::new([9; 32]), ChannelId::new([8; 32])]
            .map(|id| SubAlloc::new(id, amounts([5, 6, 7])[..2].to_vec(), vec![]));
        let balances = vec![amounts([1, 2, 3]), amounts([4, 0, u128::MAX >> 1])];
        let outcome = Allocation::new(vec![here, there], balances, locked.to_vec()).unwrap();
        let version = Version::new((1 << 48) - 1);
        State::new(ChannelId::new([7; 32]), version, outcome, vec![0xdd; 33], false).unwrap()
    }

    /// As the contract does it, but out of a state.
    fn packed(state: &State) -> Vec<u8> {
        let outcome = state.outcome();
        let byte = |count: usize| vec![u8::try_from(count).unwrap()];
        let mut bytes = state.version().get().to_be_bytes()[2..].to_vec();
        bytes.push(u8::from(state.is_final()));
        bytes.extend(byte(outcome.assets().len()));
        bytes.extend(byte(outcome.columns()));
        bytes.extend(byte(outcome.locked().len()));
        bytes.extend(u16::try_from(state.data().len()).unwrap().to_be_bytes());
        for asset in outcome.assets() {
            bytes.extend(U256::from(asset.chain()).to_be_bytes::<32>());
            bytes.extend(asset.holder().as_bytes());
            if asset.foreign() == [0; WORD] {
                bytes.extend(byte(NO_FOREIGN));
            } else {
                bytes.extend(byte(asset.foreign().len()));
                bytes.extend(asset.foreign());
            }
        }
        let backends = outcome.assets().iter().map(|asset| U256::from(asset.backend().get()));
        bytes.extend(backends.flat_map(|word| word.to_be_bytes::<32>()));
        bytes.extend(outcome.balances().iter().flatten().flat_map(|one| one.get().to_be_bytes()));
        let encoded = perun_channel::abi::state(state);
        let offset = |at: usize| U256::try_from_be_slice(&encoded[at..at + 32]).unwrap().to();
        // The list of locked entries: the last of the outcome's four, up to the data.
        let outcome_at = 0x20 + 0xa0;
        let (from, to): (usize, usize) = (offset(outcome_at + 0x60), offset(0x20 + 0x60));
        bytes.extend(&encoded[outcome_at + from + 32..0x20 + to]);
        bytes.extend(state.data());
        bytes
    }

    #[test]
    fn a_packed_state_is_the_one_that_was_signed() {
        let full = full();
        let plain = State::initial(*full.id(), full.outcome().clone());
        for one in [full, plain.finalized()] {
            let id = super::super::word(one.id());
            assert_eq!(state(&id, &packed(&one)), Some(perun_channel::abi::state(&one)));
        }
    }

    #[test]
    fn signatures_stand_behind_the_state() {
        let (packed, sigs) = (packed(&full()), [1; 3 * SIGNATURE_LENGTH]);
        let signed = [&packed[..], &sigs].concat();
        assert_eq!(split(&signed), Some((&packed[..], &sigs[..])));
        assert_eq!(split(&signed[..9]), None);
        assert_eq!(split(&[]), None);
    }

    #[test]
    fn what_is_cut_or_too_long_is_no_state() {
        let full = full();
        let (id, bytes) = (super::super::word(full.id()), packed(&full));
        let encoded = perun_channel::abi::state(&full);
        for length in 0..bytes.len() {
            assert_ne!(state(&id, &bytes[..length]), Some(encoded.clone()), "{length}");
        }
        assert_eq!(state(&id, &bytes[..100]), None);
        assert_eq!(state(&id, &[&bytes[..], &[0; STATE_BYTES_MAX]].concat()), None);
    }
}
