//! Channels' values to ABI structs and back.
//!
//! To the ABI everything fits. Back, every number is brought into its range, every list is counted
//! before it is read, and the bytes of a state must be exactly those that its hash is over.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolValue;
use perun_channel::{
    Allocation, Amount, Asset, BackendId, ChannelId, MAX_ASSETS, MAX_LOCKED, MAX_PARTICIPANTS,
    Params, Participant, Signature, SignedState, State, SubAlloc, Version,
};

use super::{eth, party, solidity as sol, word};
use crate::Error;

/// Most bytes of an encoded state: every list full, rounded up.
pub const STATE_BYTES_MAX: usize = 64 * 1024;

const SIGNATURE: usize = perun_channel::sig::SIGNATURE_LENGTH;

/// Parameters for a call.
#[must_use]
pub fn params(params: &Params) -> sol::Params {
    sol::Params {
        challengeDuration: U256::from(params.challenge_secs()),
        nonce: U256::from_be_bytes(*params.nonce()),
        participants: params.participants().iter().map(participant).collect(),
        app: eth(params.app()),
        ledgerChannel: params.is_ledger(),
        virtualChannel: params.is_virtual(),
    }
}

/// A state for a call.
#[must_use]
pub fn state(state: &State) -> sol::State {
    sol::State {
        channelID: word(state.id()),
        version: state.version().get(),
        outcome: allocation(state.outcome()),
        appData: Bytes::copy_from_slice(state.data()),
        isFinal: state.is_final(),
    }
}

/// A state with parameters and all signatures, for a call.
#[must_use]
pub fn signed(parameters: &Params, signed: &SignedState) -> sol::SignedState {
    sol::SignedState {
        params: params(parameters),
        state: state(signed.state()),
        sigs: signatures(signed.signatures()),
    }
}

/// A node of a tree that is registered with this state already, for a call.
#[must_use]
pub fn unsigned(parameters: &Params, known: &State) -> sol::SignedState {
    sol::SignedState { params: params(parameters), state: state(known), sigs: Vec::new() }
}

/// Signatures for a call.
#[must_use]
pub fn signatures(signatures: &[Signature]) -> Vec<Bytes> {
    signatures.iter().map(|one| Bytes::copy_from_slice(one.as_bytes())).collect()
}

fn participant(participant: &Participant) -> sol::Participant {
    sol::Participant {
        ethAddress: eth(participant.address()),
        ccAddress: Bytes::copy_from_slice(participant.foreign()),
    }
}

fn allocation(outcome: &Allocation) -> sol::Allocation {
    let assets = outcome.assets();
    sol::Allocation {
        assets: assets.iter().map(asset).collect(),
        backends: assets.iter().map(|asset| U256::from(asset.backend().get())).collect(),
        balances: outcome.balances().iter().map(|row| amounts(row)).collect(),
        locked: outcome.locked().iter().map(|entry| locked(entry, outcome.columns())).collect(),
    }
}

fn asset(asset: &Asset) -> sol::Asset {
    sol::Asset {
        chainID: U256::from(asset.chain()),
        ethHolder: eth(asset.holder()),
        ccHolder: Bytes::copy_from_slice(asset.foreign()),
    }
}

fn amounts(row: &[Amount]) -> Vec<U256> {
    row.iter().map(|amount| U256::from(amount.get())).collect()
}

/// An empty map is written as the identity and a short one is filled with zeros, as it is hashed.
fn locked(entry: &SubAlloc, columns: usize) -> sol::SubAlloc {
    let map = entry.index_map();
    let index_map = (0..columns).map(|position| match map.get(position) {
        Some(index) => *index,
        None if map.is_empty() => u16::try_from(position).unwrap_or(u16::MAX),
        None => 0,
    });
    sol::SubAlloc {
        ID: word(entry.id()),
        balances: amounts(entry.balances()),
        indexMap: index_map.collect(),
    }
}

/// Parameters that a chain shows.
pub fn read_params(shown: &sol::Params) -> Result<Params, Error> {
    if shown.participants.len() > MAX_PARTICIPANTS {
        return Err(Error::Malformed("list of participants"));
    }
    let participants = shown
        .participants
        .iter()
        .map(|one| Participant::new(party(one.ethAddress), one.ccAddress.to_vec()))
        .collect::<Result<_, _>>()?;
    Ok(Params::with_kind(
        small(shown.challengeDuration, "challenge duration")?,
        shown.nonce.to_be_bytes(),
        participants,
        party(shown.app),
        shown.ledgerChannel,
        shown.virtualChannel,
    )?)
}

/// A state that a chain shows. An index map that is the identity reads as an empty one, since both
/// are written and hashed alike: compare states from a chain by their hash.
pub fn read_state(shown: &sol::State) -> Result<State, Error> {
    let outcome = read_allocation(&shown.outcome)?;
    let id = ChannelId::new(shown.channelID.0);
    let version = Version::new(shown.version);
    Ok(State::new(id, version, outcome, shown.appData.to_vec(), shown.isFinal)?)
}

/// The state whose ABI encoding these bytes are: exactly, with nothing behind and nothing else in
/// its paddings.
pub fn read_state_bytes(bytes: &[u8]) -> Result<State, Error> {
    let malformed = Error::Malformed("encoded state");
    if bytes.len() > STATE_BYTES_MAX {
        return Err(malformed);
    }
    let shown = sol::State::abi_decode_validate(bytes).map_err(|_| malformed.clone())?;
    let state = read_state(&shown)?;
    if perun_channel::abi::state(&state) == bytes { Ok(state) } else { Err(malformed) }
}

/// Signatures that stand one after the other.
pub fn read_signatures(bytes: &[u8]) -> Result<Vec<Signature>, Error> {
    let malformed = Error::Malformed("list of signatures");
    let (whole, rest) = bytes.as_chunks::<SIGNATURE>();
    if !rest.is_empty() || whole.len() > MAX_PARTICIPANTS {
        return Err(malformed);
    }
    whole.iter().map(|one| Signature::new(one).map_err(|_| malformed.clone())).collect()
}

/// A signed state out of a call's arguments or an event, with every signature checked.
pub fn read_signed(
    params: &Params,
    state: State,
    signatures: Vec<Signature>,
) -> Result<SignedState, Error> {
    if *state.id() != params.id() {
        return Err(Error::Malformed("state of this channel"));
    }
    SignedState::new(params, state, signatures).map_err(|_| Error::Malformed("signed state"))
}

fn read_allocation(shown: &sol::Allocation) -> Result<Allocation, Error> {
    let sol::Allocation { assets, backends, balances, locked } = shown;
    if assets.len() > MAX_ASSETS || backends.len() != assets.len() {
        return Err(Error::Malformed("list of assets"));
    }
    if balances.len() != assets.len() {
        return Err(Error::Malformed("matrix of balances"));
    }
    if locked.len() > MAX_LOCKED {
        return Err(Error::Malformed("list of locked channels"));
    }
    let assets = assets.iter().zip(backends).map(|(asset, kind)| read_asset(asset, *kind));
    let assets = assets.collect::<Result<Vec<_>, _>>()?;
    let balances = balances.iter().map(|row| read_amounts(row, MAX_PARTICIPANTS));
    let balances = balances.collect::<Result<Vec<_>, _>>()?;
    let columns = balances.first().map_or(0, Vec::len);
    let locked = locked.iter().map(|entry| read_locked(entry, columns));
    Ok(Allocation::new(assets, balances, locked.collect::<Result<_, _>>()?)?)
}

fn read_asset(shown: &sol::Asset, kind: U256) -> Result<Asset, Error> {
    let kind = u32::try_from(kind).map_err(|_| Error::Malformed("backend number"))?;
    let chain = small(shown.chainID, "chain number")?;
    let holder = party(shown.ethHolder);
    Ok(Asset::new(BackendId::new(kind), chain, holder, shown.ccHolder.to_vec())?)
}

fn read_locked(shown: &sol::SubAlloc, columns: usize) -> Result<SubAlloc, Error> {
    if shown.indexMap.len() != columns {
        return Err(Error::Malformed("index map"));
    }
    let is_identity = shown.indexMap.iter().enumerate().all(|(at, to)| at == usize::from(*to));
    let map = if is_identity { Vec::new() } else { shown.indexMap.clone() };
    let balances = read_amounts(&shown.balances, MAX_ASSETS)?;
    Ok(SubAlloc::new(ChannelId::new(shown.ID.0), balances, map))
}

fn read_amounts(shown: &[U256], most: usize) -> Result<Vec<Amount>, Error> {
    if shown.len() > most {
        return Err(Error::Malformed("list of amounts"));
    }
    shown.iter().map(|amount| read_amount(*amount)).collect()
}

/// An amount that a chain shows. What leaves 128 bits is no amount of a channel.
pub fn read_amount(shown: U256) -> Result<Amount, Error> {
    u128::try_from(shown).map(Amount::new).map_err(|_| Error::Malformed("amount of 128 bits"))
}

fn small(shown: U256, what: &'static str) -> Result<u64, Error> {
    u64::try_from(shown).map_err(|_| Error::Malformed(what))
}

/// Perun's authorisation of a withdrawal, and the digest that is signed for it. It names no asset,
/// chain or contract; [`super::typed::withdrawal`] does.
#[must_use]
pub fn withdrawal_auth(
    id: &ChannelId,
    owner: &Participant,
    receiver: Address,
    amount: U256,
) -> (sol::WithdrawalAuth, B256) {
    let participant = participant(owner);
    let auth = sol::WithdrawalAuth { channelID: word(id), participant, receiver, amount };
    let hash = perun_channel::hash::keccak256(&[&auth.abi_encode()]);
    (auth, B256::new(perun_channel::sig::eip191(&hash)))
}
