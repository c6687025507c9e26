//! The composite values of the native format: maps of addresses, balances, outcomes, states,
//! parameters, signatures. Reading and writing stand side by side.

use perun_channel::sig::SIGNATURE_LENGTH;
use perun_channel::{
    Address, Allocation, Amount, BackendId, ChannelId, MAX_ASSETS, MAX_DATA, MAX_FOREIGN_BYTES,
    MAX_LOCKED, MAX_PARTICIPANTS, Signature, State, SubAlloc, Version,
};

use super::reader::{Source, put_blob, put_count, put_integer, put_long_count};
use crate::address::{Identities, Party};
use crate::asset;
use crate::error::{DecodeError, EncodeError, Limit};
use crate::limits::{MAX_IDENTITIES, MAX_PARTY_ADDRESSES, MAX_PEERS, MAX_WIRE_ADDRESS};
use crate::parts::{AppState, ChannelParams, ClaimedState, Transaction};

/// The most bytes of a marshaled asset: of Ethereum they are 36 at most.
const MAX_ASSET_BYTES: usize = MAX_FOREIGN_BYTES;

fn entries<'a>(
    source: &mut Source<'a>,
    (most, too_many): (usize, Limit),
    (longest, too_long): (usize, Limit),
) -> Result<Vec<(BackendId, &'a [u8])>, DecodeError> {
    let count = source.long_count(most, too_many)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push((BackendId::new(source.u32()?), source.blob(longest, too_long)?));
    }
    Ok(entries)
}

fn put_entry(out: &mut Vec<u8>, backend: BackendId, bytes: &[u8]) {
    out.extend_from_slice(&backend.get().to_le_bytes());
    put_blob(out, bytes);
}

pub(super) fn identities(source: &mut Source<'_>) -> Result<Identities, DecodeError> {
    let many = (MAX_IDENTITIES, Limit::Identities);
    let entries = entries(source, many, (MAX_WIRE_ADDRESS, Limit::WireAddress))?;
    let owned = |(backend, bytes): (BackendId, &[u8])| (backend, bytes.to_vec());
    Identities::new(entries.into_iter().map(owned).collect())
}

pub(super) fn put_identities(out: &mut Vec<u8>, name: &Identities) {
    put_long_count(out, name.entries().len());
    name.entries().iter().for_each(|(backend, bytes)| put_entry(out, *backend, bytes));
}

pub(super) fn peers(source: &mut Source<'_>) -> Result<Vec<Identities>, DecodeError> {
    let count = source.long_count(MAX_PEERS, Limit::Peers)?;
    (0..count).map(|_| identities(source)).collect()
}

pub(super) fn put_peers(out: &mut Vec<u8>, peers: &[Identities]) {
    put_long_count(out, peers.len());
    peers.iter().for_each(|peer| put_identities(out, peer));
}

pub(super) fn party(source: &mut Source<'_>) -> Result<Party, DecodeError> {
    let many = (MAX_PARTY_ADDRESSES, Limit::PartyAddresses);
    Party::from_entries(entries(source, many, (MAX_FOREIGN_BYTES, Limit::ForeignBytes))?)
}

pub(super) fn put_party(out: &mut Vec<u8>, party: &Party) {
    let entries = party.entries();
    put_long_count(out, entries.len());
    entries.into_iter().for_each(|(backend, bytes)| put_entry(out, backend, bytes));
}

/// An app's address; zero for none.
pub(super) fn app(source: &mut Source<'_>) -> Result<Address, DecodeError> {
    if !source.flag()? {
        return Ok(Address::ZERO);
    }
    let bytes = source.blob(20, Limit::ForeignBytes)?;
    let app = Address::new(bytes.try_into().map_err(|_| DecodeError::Length)?);
    if app == Address::ZERO { Err(DecodeError::NotCanonical) } else { Ok(app) }
}

pub(super) fn put_app(out: &mut Vec<u8>, app: &Address) {
    out.push(u8::from(*app != Address::ZERO));
    if *app != Address::ZERO {
        put_blob(out, app.as_bytes());
    }
}

fn amount(source: &mut Source<'_>) -> Result<Amount, DecodeError> {
    source.integer(Limit::Amount).map(|bytes| Amount::new(u128::from_be_bytes(bytes)))
}

fn put_amount(out: &mut Vec<u8>, amount: Amount) {
    put_integer(out, &amount.get().to_be_bytes());
}

pub(super) fn balances(source: &mut Source<'_>) -> Result<Vec<Vec<Amount>>, DecodeError> {
    let rows = source.count(MAX_ASSETS, Limit::Assets)?;
    let columns = source.count(MAX_PARTICIPANTS, Limit::Participants)?;
    (0..rows).map(|_| (0..columns).map(|_| amount(source)).collect()).collect()
}

pub(super) fn put_balances(out: &mut Vec<u8>, balances: &[Vec<Amount>]) {
    put_count(out, balances.len());
    put_count(out, balances.first().map_or(0, Vec::len));
    balances.iter().flatten().for_each(|amount| put_amount(out, *amount));
}

pub(super) fn index_map(source: &mut Source<'_>) -> Result<Vec<u16>, DecodeError> {
    let count = source.count(MAX_PARTICIPANTS, Limit::IndexMap)?;
    (0..count).map(|_| source.u16()).collect()
}

pub(super) fn put_index_map(out: &mut Vec<u8>, map: &[u16]) {
    put_count(out, map.len());
    map.iter().for_each(|index| out.extend_from_slice(&index.to_le_bytes()));
}

fn sub_alloc(source: &mut Source<'_>) -> Result<SubAlloc, DecodeError> {
    let id = ChannelId::new(source.array()?);
    let count = source.count(MAX_ASSETS, Limit::Assets)?;
    let balances = (0..count).map(|_| amount(source)).collect::<Result<_, _>>()?;
    Ok(SubAlloc::new(id, balances, index_map(source)?))
}

fn put_sub_alloc(out: &mut Vec<u8>, entry: &SubAlloc) {
    out.extend_from_slice(entry.id().as_bytes());
    put_count(out, entry.balances().len());
    entry.balances().iter().for_each(|amount| put_amount(out, *amount));
    put_index_map(out, entry.index_map());
}

/// The dimensions stand in front and again before the balances; both must agree.
pub(super) fn allocation(source: &mut Source<'_>) -> Result<Allocation, DecodeError> {
    let rows = source.count(MAX_ASSETS, Limit::Assets)?;
    let columns = source.count(MAX_PARTICIPANTS, Limit::Participants)?;
    let locked = source.count(MAX_LOCKED, Limit::Locked)?;
    let mut assets = Vec::new();
    for _ in 0..rows {
        let backend = BackendId::new(source.u32()?);
        let bytes = source.blob(MAX_ASSET_BYTES, Limit::ForeignBytes)?;
        assets.push(asset::from_wire(backend, bytes)?);
    }
    let balances = balances(source)?;
    // Whether there are as many rows as assets is the outcome's own law.
    if balances.iter().any(|row| row.len() != columns) {
        return Err(DecodeError::Shape);
    }
    let locked = (0..locked).map(|_| sub_alloc(source)).collect::<Result<_, _>>()?;
    Ok(Allocation::new(assets, balances, locked)?)
}

pub(super) fn put_allocation(out: &mut Vec<u8>, outcome: &Allocation) -> Result<(), EncodeError> {
    put_count(out, outcome.assets().len());
    put_count(out, outcome.columns());
    put_count(out, outcome.locked().len());
    for asset in outcome.assets() {
        put_entry(out, asset.backend(), &asset::to_wire(asset)?);
    }
    put_balances(out, outcome.balances());
    outcome.locked().iter().for_each(|entry| put_sub_alloc(out, entry));
    Ok(())
}

pub(super) fn data(source: &mut Source<'_>) -> Result<Vec<u8>, DecodeError> {
    source.blob(MAX_DATA, Limit::Data).map(<[u8]>::to_vec)
}

pub(super) fn state(source: &mut Source<'_>) -> Result<AppState, DecodeError> {
    let id = ChannelId::new(source.array()?);
    let version = Version::new(source.u64()?);
    let outcome = allocation(source)?;
    let is_final = source.flag()?;
    let app = app(source)?;
    AppState::new(app, State::new(id, version, outcome, data(source)?, is_final)?)
}

pub(super) fn put_state(out: &mut Vec<u8>, value: &AppState) -> Result<(), EncodeError> {
    let state = value.state();
    out.extend_from_slice(state.id().as_bytes());
    out.extend_from_slice(&state.version().get().to_le_bytes());
    put_allocation(out, state.outcome())?;
    out.push(u8::from(state.is_final()));
    put_app(out, value.app());
    put_blob(out, state.data());
    Ok(())
}

fn params(source: &mut Source<'_>) -> Result<ChannelParams, DecodeError> {
    let challenge_secs = source.u64()?;
    let count = source.long_count(MAX_PARTICIPANTS, Limit::Participants)?;
    let parties = (0..count).map(|_| party(source)).collect::<Result<_, _>>()?;
    let app = app(source)?;
    let nonce = source.integer(Limit::Nonce)?;
    let kind = (source.flag()?, source.flag()?);
    ChannelParams::new(challenge_secs, nonce, parties, app, kind, source.array()?)
}

fn put_params(out: &mut Vec<u8>, value: &ChannelParams) {
    let params = value.params();
    out.extend_from_slice(&params.challenge_secs().to_le_bytes());
    put_long_count(out, value.parties().len());
    value.parties().iter().for_each(|party| put_party(out, party));
    put_app(out, params.app());
    put_integer(out, params.nonce());
    out.push(u8::from(params.is_ledger()));
    out.push(u8::from(params.is_virtual()));
    out.extend_from_slice(value.aux());
}

pub(super) fn signature(source: &mut Source<'_>) -> Result<Signature, DecodeError> {
    Ok(Signature::new(source.take(SIGNATURE_LENGTH)?)?)
}

/// A mask with a bit for each participant, the lowest first, then the signatures that there are.
fn signatures(
    source: &mut Source<'_>,
    places: usize,
) -> Result<Vec<Option<Signature>>, DecodeError> {
    let mask = source.take(places.div_ceil(8))?.to_vec();
    let bit = |place: usize| {
        let byte = mask.get(place.wrapping_div(8)).copied().unwrap_or_default();
        byte.checked_shr(u32::try_from(place.wrapping_rem(8)).unwrap_or(0)).unwrap_or(0) & 1 == 1
    };
    if (places..mask.len().saturating_mul(8)).any(bit) {
        return Err(DecodeError::NotCanonical);
    }
    (0..places).map(|place| bit(place).then(|| signature(source)).transpose()).collect()
}

fn put_signatures(out: &mut Vec<u8>, signatures: &[Option<Signature>]) {
    for places in signatures.chunks(8) {
        let byte =
            places.iter().rev().fold(0_u8, |byte, place| (byte << 1) | u8::from(place.is_some()));
        out.push(byte);
    }
    signatures.iter().flatten().for_each(|one| out.extend_from_slice(one.as_bytes()));
}

pub(super) fn transaction(source: &mut Source<'_>) -> Result<Option<Transaction>, DecodeError> {
    if !source.flag()? {
        return Ok(None);
    }
    let state = state(source)?;
    let signatures = signatures(source, state.state().outcome().columns())?;
    Transaction::new(state, signatures).map(Some)
}

pub(super) fn put_transaction(
    out: &mut Vec<u8>,
    value: Option<&Transaction>,
) -> Result<(), EncodeError> {
    out.push(u8::from(value.is_some()));
    if let Some(transaction) = value {
        put_state(out, transaction.state())?;
        put_signatures(out, transaction.signatures());
    }
    Ok(())
}

/// A claim in two parts, since an index map may stand between them.
pub(super) fn claim(source: &mut Source<'_>) -> Result<(ChannelParams, AppState), DecodeError> {
    Ok((params(source)?, state(source)?))
}

/// The second part of a claim.
pub(super) fn claimed(
    source: &mut Source<'_>,
    (params, state): (ChannelParams, AppState),
) -> Result<ClaimedState, DecodeError> {
    let signatures = signatures(source, state.state().outcome().columns())?;
    ClaimedState::new(params, Transaction::new(state, signatures)?)
}

pub(super) fn put_claim(out: &mut Vec<u8>, value: &ClaimedState) -> Result<(), EncodeError> {
    put_params(out, value.params());
    put_state(out, value.transaction().state())
}

pub(super) fn put_claimed(out: &mut Vec<u8>, value: &ClaimedState) {
    put_signatures(out, value.transaction().signatures());
}
