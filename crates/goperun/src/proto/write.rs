//! From values to go-perun's schema. It writes `locked`, which go-perun reads but never writes.

use perun_channel::{Address, Allocation, Amount, BackendId, Signature, SubAlloc};

use super::schema as raw;
use crate::address::{Identities, Party};
use crate::asset;
use crate::error::EncodeError;
use crate::message::{
    Accept, Envelope, LedgerAccept, LedgerProposal, Message, Proposal, SubProposal, Update,
    VirtualAccept, VirtualFunding, VirtualProposal, VirtualSettlement,
};
use crate::native::reader::trimmed;
use crate::parts::{AppState, ChannelParams, ClaimedState, Transaction};

pub(super) fn envelope(value: &Envelope) -> Result<raw::Envelope, EncodeError> {
    Ok(raw::Envelope {
        sender: Some(identities(&value.sender)),
        recipient: Some(identities(&value.recipient)),
        msg: Some(message(&value.message)?),
    })
}

fn message(value: &Message) -> Result<raw::Msg, EncodeError> {
    use raw::Msg;
    Ok(match value {
        Message::Ping { created_ns } => Msg::Ping(raw::Created { created_ns: *created_ns }),
        Message::Pong { created_ns } => Msg::Pong(raw::Created { created_ns: *created_ns }),
        Message::Shutdown { reason } => Msg::Shutdown(raw::Shutdown { reason: reason.clone() }),
        Message::AuthResponse { signature } => {
            Msg::AuthResponse(raw::AuthResponse { signature: signature.clone() })
        }
        Message::LedgerProposal(LedgerProposal { base, participant, peers }) => {
            Msg::LedgerProposal(raw::LedgerProposal {
                base: Some(proposal(base)?),
                participant: Some(party(participant)),
                peers: peers.iter().map(identities).collect(),
            })
        }
        Message::LedgerAccept(LedgerAccept { base, participant }) => {
            Msg::LedgerAccept(party_accept(base, participant))
        }
        Message::SubProposal(SubProposal { base, parent }) => Msg::SubProposal(raw::SubProposal {
            base: Some(proposal(base)?),
            parent: parent.as_bytes().to_vec(),
        }),
        Message::SubAccept(base) => Msg::SubAccept(raw::SubAccept { base: Some(accept(base)) }),
        Message::VirtualProposal(value) => Msg::VirtualProposal(virtual_proposal(value)?),
        Message::VirtualAccept(VirtualAccept { base, responder }) => {
            Msg::VirtualAccept(party_accept(base, responder))
        }
        Message::ProposalReject { proposal, reason } => Msg::ProposalReject(raw::ProposalReject {
            proposal: proposal.to_vec(),
            reason: reason.clone(),
        }),
        Message::Update(value) => Msg::Update(update(value)?),
        Message::VirtualFunding(VirtualFunding { update: value, initial, index_map: map }) => {
            Msg::VirtualFunding(raw::VirtualFunding {
                update: Some(update(value)?),
                initial: Some(claim(initial)?),
                index_map: Some(index_map(map)),
            })
        }
        Message::VirtualSettlement(VirtualSettlement { update: value, last }) => {
            Msg::VirtualSettlement(raw::VirtualSettlement {
                update: Some(update(value)?),
                last: Some(claim(last)?),
            })
        }
        Message::UpdateAccept { channel, version, signature } => {
            Msg::UpdateAccept(raw::UpdateAccept {
                channel: channel.as_bytes().to_vec(),
                version: version.get(),
                signature: signature.as_bytes().to_vec(),
            })
        }
        Message::UpdateReject { channel, version, reason } => {
            Msg::UpdateReject(raw::UpdateReject {
                channel: channel.as_bytes().to_vec(),
                version: version.get(),
                reason: reason.clone(),
            })
        }
        Message::Sync { phase, current } => Msg::Sync(raw::Sync {
            phase: u32::from(*phase),
            transaction: Some(current.as_ref().map(transaction).transpose()?.unwrap_or_default()),
        }),
    })
}

fn entry(backend: BackendId, bytes: &[u8]) -> raw::AddressEntry {
    let backend = backend.get().to_be_bytes().to_vec();
    raw::AddressEntry { backend, address: bytes.to_vec() }
}

fn identities(name: &Identities) -> raw::Address {
    let entries = name.entries().iter().map(|(backend, bytes)| entry(*backend, bytes));
    raw::Address { entries: entries.collect() }
}

fn party(party: &Party) -> raw::Address {
    let entries = party.entries().into_iter().map(|(backend, bytes)| entry(backend, bytes));
    raw::Address { entries: entries.collect() }
}

fn app(app: &Address) -> Vec<u8> {
    if *app == Address::ZERO { Vec::new() } else { app.as_bytes().to_vec() }
}

fn amounts(amounts: &[Amount]) -> raw::Balance {
    let bytes = |amount: &Amount| trimmed(&amount.get().to_be_bytes()).to_vec();
    raw::Balance { amounts: amounts.iter().map(bytes).collect() }
}

fn balances(balances: &[Vec<Amount>]) -> raw::Balances {
    raw::Balances { rows: balances.iter().map(|row| amounts(row)).collect() }
}

fn index_map(map: &[u16]) -> raw::IndexMap {
    raw::IndexMap { indices: map.iter().map(|index| u32::from(*index)).collect() }
}

fn sub_alloc(entry: &SubAlloc) -> raw::SubAlloc {
    raw::SubAlloc {
        id: entry.id().as_bytes().to_vec(),
        balance: Some(amounts(entry.balances())),
        index_map: Some(index_map(entry.index_map())),
    }
}

fn allocation(outcome: &Allocation) -> Result<raw::Allocation, EncodeError> {
    let backend = |asset: &perun_channel::Asset| asset.backend().get().to_be_bytes().to_vec();
    Ok(raw::Allocation {
        backends: outcome.assets().iter().map(backend).collect(),
        assets: outcome.assets().iter().map(asset::to_wire).collect::<Result<_, _>>()?,
        balances: Some(balances(outcome.balances())),
        locked: outcome.locked().iter().map(sub_alloc).collect(),
    })
}

fn state(value: &AppState) -> Result<raw::State, EncodeError> {
    let state = value.state();
    Ok(raw::State {
        id: state.id().as_bytes().to_vec(),
        version: state.version().get(),
        app: app(value.app()),
        outcome: Some(allocation(state.outcome())?),
        data: state.data().to_vec(),
        is_final: state.is_final(),
    })
}

fn params(value: &ChannelParams) -> raw::Params {
    let params = value.params();
    raw::Params {
        id: Vec::new(),
        challenge_secs: params.challenge_secs(),
        parties: value.parties().iter().map(party).collect(),
        app: app(params.app()),
        nonce: trimmed(params.nonce()).to_vec(),
        is_ledger: params.is_ledger(),
        is_virtual: params.is_virtual(),
        aux: value.aux().to_vec(),
    }
}

fn signatures(signatures: &[Option<Signature>]) -> Vec<Vec<u8>> {
    let bytes = |place: &Option<Signature>| place.map(|one| one.as_bytes().to_vec());
    signatures.iter().map(|place| bytes(place).unwrap_or_default()).collect()
}

fn transaction(value: &Transaction) -> Result<raw::Transaction, EncodeError> {
    Ok(raw::Transaction {
        state: Some(state(value.state())?),
        signatures: signatures(value.signatures()),
    })
}

fn claim(value: &ClaimedState) -> Result<raw::SignedState, EncodeError> {
    Ok(raw::SignedState {
        params: Some(params(value.params())),
        state: Some(state(value.transaction().state())?),
        signatures: signatures(value.transaction().signatures()),
    })
}

fn proposal(value: &Proposal) -> Result<raw::Proposal, EncodeError> {
    Ok(raw::Proposal {
        id: value.id.to_vec(),
        challenge_secs: value.challenge_secs,
        nonce_share: value.nonce_share.to_vec(),
        app: app(&value.app),
        data: value.data.clone(),
        outcome: Some(allocation(&value.outcome)?),
        funding: Some(balances(&value.funding)),
        aux: value.aux.to_vec(),
    })
}

fn virtual_proposal(value: &VirtualProposal) -> Result<raw::VirtualProposal, EncodeError> {
    Ok(raw::VirtualProposal {
        base: Some(proposal(&value.base)?),
        proposer: Some(party(&value.proposer)),
        peers: value.peers.iter().map(identities).collect(),
        parents: value.parents.iter().map(|parent| parent.as_bytes().to_vec()).collect(),
        index_maps: value.index_maps.iter().map(|map| index_map(map)).collect(),
    })
}

fn accept(value: &Accept) -> raw::Accept {
    raw::Accept { proposal: value.proposal.to_vec(), nonce_share: value.nonce_share.to_vec() }
}

fn party_accept(base: &Accept, responder: &Party) -> raw::PartyAccept {
    raw::PartyAccept { base: Some(accept(base)), party: Some(party(responder)) }
}

fn update(value: &Update) -> Result<raw::Update, EncodeError> {
    Ok(raw::Update {
        proposed: Some(raw::ProposedState {
            state: Some(state(&value.state)?),
            actor: u32::from(value.actor),
        }),
        signature: value.signature.as_bytes().to_vec(),
    })
}
