//! From go-perun's schema to values. Lists are bounded before they are turned into anything.

use perun_channel::{
    Address, Allocation, Amount, BackendId, ChannelId, MAX_ASSETS, MAX_DATA, MAX_LOCKED,
    MAX_PARTICIPANTS, Signature, State, SubAlloc, Version,
};

use super::schema as raw;
use crate::address::{Identities, Party};
use crate::asset;
use crate::error::{DecodeError, Limit};
use crate::limits::{MAX_IDENTITIES, MAX_PARTY_ADDRESSES, MAX_PEERS};
use crate::message::{
    Accept, Envelope, LedgerAccept, LedgerProposal, Message, Proposal, SubProposal, Update,
    VirtualAccept, VirtualFunding, VirtualProposal, VirtualSettlement,
};
use crate::native::reader::padded;
use crate::parts::{AppState, ChannelParams, ClaimedState, Transaction};

pub(super) fn envelope(raw: raw::Envelope) -> Result<Envelope, DecodeError> {
    Ok(Envelope {
        sender: identities(must(raw.sender)?)?,
        recipient: identities(must(raw.recipient)?)?,
        message: message(must(raw.msg)?)?,
    })
}

fn message(raw: raw::Msg) -> Result<Message, DecodeError> {
    use raw::Msg;
    Ok(match raw {
        Msg::Ping(raw) => Message::Ping { created_ns: raw.created_ns },
        Msg::Pong(raw) => Message::Pong { created_ns: raw.created_ns },
        Msg::Shutdown(raw) => Message::Shutdown { reason: raw.reason },
        Msg::AuthResponse(raw) => Message::AuthResponse { signature: raw.signature },
        Msg::LedgerProposal(raw) => Message::LedgerProposal(LedgerProposal {
            base: proposal(must(raw.base)?)?,
            participant: party(&must(raw.participant)?)?,
            peers: peers(raw.peers)?,
        }),
        Msg::LedgerAccept(raw) => Message::LedgerAccept(LedgerAccept {
            base: accept(&must(raw.base)?)?,
            participant: party(&must(raw.party)?)?,
        }),
        Msg::SubProposal(raw) => Message::SubProposal(SubProposal {
            base: proposal(must(raw.base)?)?,
            parent: id(&raw.parent)?,
        }),
        Msg::SubAccept(raw) => Message::SubAccept(accept(&must(raw.base)?)?),
        Msg::VirtualProposal(raw) => Message::VirtualProposal(virtual_proposal(raw)?),
        Msg::VirtualAccept(raw) => Message::VirtualAccept(VirtualAccept {
            base: accept(&must(raw.base)?)?,
            responder: party(&must(raw.party)?)?,
        }),
        Msg::ProposalReject(raw) => {
            Message::ProposalReject { proposal: exact(&raw.proposal)?, reason: raw.reason }
        }
        Msg::Update(raw) => Message::Update(update(raw)?),
        Msg::VirtualFunding(raw) => Message::VirtualFunding(VirtualFunding {
            update: update(must(raw.update)?)?,
            initial: claim(must(raw.initial)?)?,
            index_map: index_map(&must(raw.index_map)?)?,
        }),
        Msg::VirtualSettlement(raw) => Message::VirtualSettlement(VirtualSettlement {
            update: update(must(raw.update)?)?,
            last: claim(must(raw.last)?)?,
        }),
        Msg::UpdateAccept(raw) => Message::UpdateAccept {
            channel: id(&raw.channel)?,
            version: Version::new(raw.version),
            signature: Signature::new(&raw.signature)?,
        },
        Msg::UpdateReject(raw) => Message::UpdateReject {
            channel: id(&raw.channel)?,
            version: Version::new(raw.version),
            reason: raw.reason,
        },
        Msg::Sync(raw) => Message::Sync {
            phase: u8::try_from(raw.phase).map_err(|_| DecodeError::Phase)?,
            current: current(must(raw.transaction)?)?,
        },
    })
}

fn must<T>(field: Option<T>) -> Result<T, DecodeError> {
    field.ok_or(DecodeError::Missing)
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::Length)
}

fn id(bytes: &[u8]) -> Result<ChannelId, DecodeError> {
    exact(bytes).map(ChannelId::new)
}

fn within<T>(list: &[T], most: usize, limit: Limit) -> Result<&[T], DecodeError> {
    if list.len() > most { Err(DecodeError::Limit(limit)) } else { Ok(list) }
}

fn backend(bytes: &[u8]) -> Result<BackendId, DecodeError> {
    exact(bytes).map(|bytes| BackendId::new(u32::from_be_bytes(bytes)))
}

fn identities(raw: raw::Address) -> Result<Identities, DecodeError> {
    within(&raw.entries, MAX_IDENTITIES, Limit::Identities)?;
    let entry = |entry: raw::AddressEntry| Ok((backend(&entry.backend)?, entry.address));
    Identities::new(raw.entries.into_iter().map(entry).collect::<Result<_, DecodeError>>()?)
}

fn peers(raw: Vec<raw::Address>) -> Result<Vec<Identities>, DecodeError> {
    within(&raw, MAX_PEERS, Limit::Peers)?;
    raw.into_iter().map(identities).collect()
}

fn party(raw: &raw::Address) -> Result<Party, DecodeError> {
    let entries = within(&raw.entries, MAX_PARTY_ADDRESSES, Limit::PartyAddresses)?.iter();
    let entries = entries.map(|entry| Ok((backend(&entry.backend)?, entry.address.as_slice())));
    Party::from_entries(entries.collect::<Result<_, DecodeError>>()?)
}

fn app(bytes: &[u8]) -> Result<Address, DecodeError> {
    if bytes.is_empty() {
        return Ok(Address::ZERO);
    }
    let app = Address::new(exact(bytes)?);
    if app == Address::ZERO { Err(DecodeError::NotCanonical) } else { Ok(app) }
}

fn amounts(raw: &raw::Balance, most: usize, limit: Limit) -> Result<Vec<Amount>, DecodeError> {
    let number = |bytes: &Vec<u8>| padded(bytes, Limit::Amount).map(u128::from_be_bytes);
    within(&raw.amounts, most, limit)?.iter().map(|bytes| number(bytes).map(Amount::new)).collect()
}

fn balances(raw: &raw::Balances) -> Result<Vec<Vec<Amount>>, DecodeError> {
    let rows = within(&raw.rows, MAX_ASSETS, Limit::Assets)?;
    rows.iter().map(|row| amounts(row, MAX_PARTICIPANTS, Limit::Participants)).collect()
}

fn index_map(raw: &raw::IndexMap) -> Result<Vec<u16>, DecodeError> {
    let index =
        |index: &u32| u16::try_from(*index).map_err(|_| DecodeError::Limit(Limit::IndexMap));
    within(&raw.indices, MAX_PARTICIPANTS, Limit::IndexMap)?.iter().map(index).collect()
}

fn sub_alloc(raw: raw::SubAlloc) -> Result<SubAlloc, DecodeError> {
    let balances = amounts(&must(raw.balance)?, MAX_ASSETS, Limit::Assets)?;
    Ok(SubAlloc::new(id(&raw.id)?, balances, index_map(&must(raw.index_map)?)?))
}

fn allocation(raw: raw::Allocation) -> Result<Allocation, DecodeError> {
    within(&raw.assets, MAX_ASSETS, Limit::Assets)?;
    within(&raw.locked, MAX_LOCKED, Limit::Locked)?;
    if raw.backends.len() != raw.assets.len() {
        return Err(DecodeError::Shape);
    }
    let assets = raw.backends.iter().zip(&raw.assets);
    let assets = assets.map(|(kind, bytes)| asset::from_wire(backend(kind)?, bytes));
    let assets = assets.collect::<Result<_, DecodeError>>()?;
    let balances = balances(&must(raw.balances)?)?;
    let locked = raw.locked.into_iter().map(sub_alloc).collect::<Result<_, _>>()?;
    Ok(Allocation::new(assets, balances, locked)?)
}

fn state(raw: raw::State) -> Result<AppState, DecodeError> {
    within(&raw.data, MAX_DATA, Limit::Data)?;
    let (id, version) = (id(&raw.id)?, Version::new(raw.version));
    let outcome = allocation(must(raw.outcome)?)?;
    AppState::new(app(&raw.app)?, State::new(id, version, outcome, raw.data, raw.is_final)?)
}

fn params(raw: &raw::Params) -> Result<ChannelParams, DecodeError> {
    if !raw.id.is_empty() {
        return Err(DecodeError::NotCanonical);
    }
    let parties = within(&raw.parties, MAX_PARTICIPANTS, Limit::Participants)?;
    let parties = parties.iter().map(party).collect::<Result<_, _>>()?;
    let nonce = padded(&raw.nonce, Limit::Nonce)?;
    let kind = (raw.is_ledger, raw.is_virtual);
    ChannelParams::new(raw.challenge_secs, nonce, parties, app(&raw.app)?, kind, exact(&raw.aux)?)
}

/// An empty byte string stands for a signature that is not there.
fn signatures(raw: &[Vec<u8>]) -> Result<Vec<Option<Signature>>, DecodeError> {
    let one = |bytes: &Vec<u8>| match bytes.as_slice() {
        [] => Ok(None),
        bytes => Ok(Some(Signature::new(bytes)?)),
    };
    within(raw, MAX_PARTICIPANTS, Limit::Participants)?.iter().map(one).collect()
}

fn current(raw: raw::Transaction) -> Result<Option<Transaction>, DecodeError> {
    match raw.state {
        None if raw.signatures.is_empty() => Ok(None),
        None => Err(DecodeError::Missing),
        Some(raw_state) => {
            let signatures = signatures(&raw.signatures)?;
            Transaction::new(state(raw_state)?, signatures).map(Some)
        }
    }
}

fn claim(raw: raw::SignedState) -> Result<ClaimedState, DecodeError> {
    let params = params(&must(raw.params)?)?;
    let signatures = signatures(&raw.signatures)?;
    ClaimedState::new(params, Transaction::new(state(must(raw.state)?)?, signatures)?)
}

fn proposal(raw: raw::Proposal) -> Result<Proposal, DecodeError> {
    Ok(Proposal {
        id: exact(&raw.id)?,
        challenge_secs: raw.challenge_secs,
        nonce_share: exact(&raw.nonce_share)?,
        app: app(&raw.app)?,
        data: raw.data,
        outcome: allocation(must(raw.outcome)?)?,
        funding: balances(&must(raw.funding)?)?,
        aux: exact(&raw.aux)?,
    })
}

fn virtual_proposal(raw: raw::VirtualProposal) -> Result<VirtualProposal, DecodeError> {
    let parents = within(&raw.parents, MAX_PEERS, Limit::Parents)?;
    let maps = within(&raw.index_maps, MAX_PEERS, Limit::IndexMaps)?;
    Ok(VirtualProposal {
        base: proposal(must(raw.base)?)?,
        proposer: party(&must(raw.proposer)?)?,
        peers: peers(raw.peers)?,
        parents: parents.iter().map(|bytes| id(bytes)).collect::<Result<_, _>>()?,
        index_maps: maps.iter().map(index_map).collect::<Result<_, _>>()?,
    })
}

fn accept(raw: &raw::Accept) -> Result<Accept, DecodeError> {
    Ok(Accept { proposal: exact(&raw.proposal)?, nonce_share: exact(&raw.nonce_share)? })
}

fn update(raw: raw::Update) -> Result<Update, DecodeError> {
    let proposed = must(raw.proposed)?;
    Ok(Update {
        state: state(must(proposed.state)?)?,
        actor: u16::try_from(proposed.actor)
            .map_err(|_| DecodeError::Limit(Limit::Participants))?,
        signature: Signature::new(&raw.signature)?,
    })
}
