//! go-perun's native format: a plain concatenation without lengths around it.
//!
//! An envelope ends where its decoder ends. Where bytes are missing, the error says how many there
//! must be at least, so that a reader does not try again before they are there.

pub(crate) mod reader;
#[cfg(test)]
mod tests;
mod values;

use perun_channel::{ChannelId, Version};

use self::reader::{Source, put_blob, put_count};
use self::values as v;
use crate::error::{DecodeError, EncodeError, Limit};
use crate::limits::{MAX_AUTH_SIGNATURE, MAX_PEERS, MAX_REASON};
use crate::message::{
    Accept, Envelope, LedgerAccept, LedgerProposal, Message, Proposal, SubProposal, Update,
    VirtualAccept, VirtualFunding, VirtualProposal, VirtualSettlement,
};

/// The envelope at the front, and its length.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Envelope, usize), DecodeError> {
    let mut source = Source::new(bytes);
    let envelope = Envelope {
        sender: v::identities(&mut source)?,
        recipient: v::identities(&mut source)?,
        message: message(&mut source)?,
    };
    envelope.check()?;
    Ok((envelope, source.taken()))
}

pub(crate) fn encode(envelope: &Envelope) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    v::put_identities(&mut out, &envelope.sender);
    v::put_identities(&mut out, &envelope.recipient);
    put_message(&mut out, &envelope.message)?;
    Ok(out)
}

fn message(source: &mut Source<'_>) -> Result<Message, DecodeError> {
    Ok(match source.u8()? {
        0 => Message::Ping { created_ns: source.array().map(i64::from_le_bytes)? },
        1 => Message::Pong { created_ns: source.array().map(i64::from_le_bytes)? },
        2 => Message::Shutdown { reason: reason(source)? },
        3 => Message::AuthResponse { signature: auth_signature(source)? },
        4 => Message::LedgerProposal(LedgerProposal {
            base: proposal(source)?,
            participant: v::party(source)?,
            peers: v::peers(source)?,
        }),
        5 => Message::LedgerAccept(LedgerAccept {
            base: accept(source)?,
            participant: v::party(source)?,
        }),
        6 => Message::SubProposal(SubProposal {
            base: proposal(source)?,
            parent: ChannelId::new(source.array()?),
        }),
        7 => Message::SubAccept(accept(source)?),
        8 => Message::VirtualProposal(virtual_proposal(source)?),
        9 => Message::VirtualAccept(VirtualAccept {
            base: accept(source)?,
            responder: v::party(source)?,
        }),
        10 => Message::ProposalReject { proposal: source.array()?, reason: reason(source)? },
        11 => Message::Update(update(source)?),
        12 => Message::VirtualFunding(virtual_funding(source)?),
        13 => Message::VirtualSettlement(virtual_settlement(source)?),
        14 => Message::UpdateAccept {
            channel: ChannelId::new(source.array()?),
            version: Version::new(source.u64()?),
            signature: v::signature(source)?,
        },
        15 => Message::UpdateReject {
            channel: ChannelId::new(source.array()?),
            version: Version::new(source.u64()?),
            reason: reason(source)?,
        },
        16 => Message::Sync { phase: source.u8()?, current: v::transaction(source)? },
        other => return Err(DecodeError::UnknownMessage(other)),
    })
}

fn put_message(out: &mut Vec<u8>, message: &Message) -> Result<(), EncodeError> {
    out.push(message.kind());
    match message {
        Message::Ping { created_ns } | Message::Pong { created_ns } => {
            out.extend_from_slice(&created_ns.to_le_bytes());
        }
        Message::Shutdown { reason } => put_blob(out, reason.as_bytes()),
        Message::AuthResponse { signature } => put_auth_signature(out, signature),
        Message::LedgerProposal(LedgerProposal { base, participant, peers }) => {
            put_proposal(out, base)?;
            v::put_party(out, participant);
            v::put_peers(out, peers);
        }
        Message::LedgerAccept(LedgerAccept { base, participant: party })
        | Message::VirtualAccept(VirtualAccept { base, responder: party }) => {
            put_accept(out, base);
            v::put_party(out, party);
        }
        Message::SubProposal(SubProposal { base, parent }) => {
            put_proposal(out, base)?;
            out.extend_from_slice(parent.as_bytes());
        }
        Message::SubAccept(accept) => put_accept(out, accept),
        Message::VirtualProposal(proposal) => put_virtual_proposal(out, proposal)?,
        Message::ProposalReject { proposal, reason } => {
            out.extend_from_slice(proposal);
            put_blob(out, reason.as_bytes());
        }
        Message::Update(update) => put_update(out, update)?,
        Message::VirtualFunding(VirtualFunding { update, initial, index_map }) => {
            put_update(out, update)?;
            v::put_claim(out, initial)?;
            v::put_index_map(out, index_map);
            v::put_claimed(out, initial);
        }
        Message::VirtualSettlement(VirtualSettlement { update, last }) => {
            put_update(out, update)?;
            v::put_claim(out, last)?;
            v::put_claimed(out, last);
        }
        Message::UpdateAccept { channel, version, signature } => {
            put_answer(out, channel, *version);
            out.extend_from_slice(signature.as_bytes());
        }
        Message::UpdateReject { channel, version, reason } => {
            put_answer(out, channel, *version);
            put_blob(out, reason.as_bytes());
        }
        Message::Sync { phase, current } => {
            out.push(*phase);
            v::put_transaction(out, current.as_ref())?;
        }
    }
    Ok(())
}

fn reason(source: &mut Source<'_>) -> Result<String, DecodeError> {
    source.text(MAX_REASON, Limit::Reason)
}

/// The one length of this format that is big-endian.
fn auth_signature(source: &mut Source<'_>) -> Result<Vec<u8>, DecodeError> {
    let length = source.array().map(u32::from_be_bytes)?;
    match usize::try_from(length) {
        Ok(length) if length <= MAX_AUTH_SIGNATURE => source.take(length).map(<[u8]>::to_vec),
        _ => Err(DecodeError::Limit(Limit::AuthSignature)),
    }
}

fn put_auth_signature(out: &mut Vec<u8>, signature: &[u8]) {
    debug_assert!(signature.len() <= MAX_AUTH_SIGNATURE, "a signature outgrew its limit");
    out.extend_from_slice(&u32::try_from(signature.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(signature);
}

fn proposal(source: &mut Source<'_>) -> Result<Proposal, DecodeError> {
    Ok(Proposal {
        id: source.array()?,
        challenge_secs: source.u64()?,
        nonce_share: source.array()?,
        app: v::app(source)?,
        data: v::data(source)?,
        outcome: v::allocation(source)?,
        funding: v::balances(source)?,
        aux: source.array()?,
    })
}

fn put_proposal(out: &mut Vec<u8>, proposal: &Proposal) -> Result<(), EncodeError> {
    out.extend_from_slice(&proposal.id);
    out.extend_from_slice(&proposal.challenge_secs.to_le_bytes());
    out.extend_from_slice(&proposal.nonce_share);
    v::put_app(out, &proposal.app);
    put_blob(out, &proposal.data);
    v::put_allocation(out, &proposal.outcome)?;
    v::put_balances(out, &proposal.funding);
    out.extend_from_slice(&proposal.aux);
    Ok(())
}

fn virtual_proposal(source: &mut Source<'_>) -> Result<VirtualProposal, DecodeError> {
    let base = proposal(source)?;
    let proposer = v::party(source)?;
    let peers = v::peers(source)?;
    let count = source.count(MAX_PEERS, Limit::Parents)?;
    let parents =
        (0..count).map(|_| source.array().map(ChannelId::new)).collect::<Result<_, _>>()?;
    let count = source.count(MAX_PEERS, Limit::IndexMaps)?;
    let index_maps = (0..count).map(|_| v::index_map(source)).collect::<Result<_, _>>()?;
    Ok(VirtualProposal { base, proposer, peers, parents, index_maps })
}

fn put_virtual_proposal(out: &mut Vec<u8>, value: &VirtualProposal) -> Result<(), EncodeError> {
    put_proposal(out, &value.base)?;
    v::put_party(out, &value.proposer);
    v::put_peers(out, &value.peers);
    put_count(out, value.parents.len());
    value.parents.iter().for_each(|parent| out.extend_from_slice(parent.as_bytes()));
    put_count(out, value.index_maps.len());
    value.index_maps.iter().for_each(|map| v::put_index_map(out, map));
    Ok(())
}

fn accept(source: &mut Source<'_>) -> Result<Accept, DecodeError> {
    Ok(Accept { proposal: source.array()?, nonce_share: source.array()? })
}

fn put_accept(out: &mut Vec<u8>, accept: &Accept) {
    out.extend_from_slice(&accept.proposal);
    out.extend_from_slice(&accept.nonce_share);
}

fn update(source: &mut Source<'_>) -> Result<Update, DecodeError> {
    Ok(Update { state: v::state(source)?, actor: source.u16()?, signature: v::signature(source)? })
}

fn put_update(out: &mut Vec<u8>, update: &Update) -> Result<(), EncodeError> {
    v::put_state(out, &update.state)?;
    out.extend_from_slice(&update.actor.to_le_bytes());
    out.extend_from_slice(update.signature.as_bytes());
    Ok(())
}

fn virtual_funding(source: &mut Source<'_>) -> Result<VirtualFunding, DecodeError> {
    let update = update(source)?;
    let claim = v::claim(source)?;
    let index_map = v::index_map(source)?;
    Ok(VirtualFunding { update, initial: v::claimed(source, claim)?, index_map })
}

fn virtual_settlement(source: &mut Source<'_>) -> Result<VirtualSettlement, DecodeError> {
    let update = update(source)?;
    let claim = v::claim(source)?;
    Ok(VirtualSettlement { update, last: v::claimed(source, claim)? })
}

fn put_answer(out: &mut Vec<u8>, channel: &ChannelId, version: Version) {
    out.extend_from_slice(channel.as_bytes());
    out.extend_from_slice(&version.get().to_le_bytes());
}
