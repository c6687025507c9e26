//! Registration: a dispute starts, or continues with a newer state.
//!
//! Anybody may submit it. Each registration uses up one of the two rights of the participant whose
//! signature carries it, so a dispute sees at most two registrations per participant, however many
//! old states somebody kept.

use super::court::{Court, Spent};
use super::{ChannelCell, Code, Phase, Setup, Slot, SlotKind, StateBody};
use crate::hash::keccak256;
use crate::sig::eip191;
use crate::{ChannelId, Signature, State};

/// Sets these messages apart from states and from every other kind of message.
const DOMAIN: &[u8; 32] = b"perun ckb channel registration 1";

/// What a participant signs to register one state through one of its slots. It implies the
/// signature on the state itself.
#[must_use]
pub fn registration_digest(
    channel_type: &[u8; 32],
    id: &ChannelId,
    state_hash: &[u8; 32],
    slot: Slot,
) -> [u8; 32] {
    eip191(&keccak256(&[DOMAIN, channel_type, id.as_bytes(), state_hash, &[slot.number()]]))
}

pub(super) fn check(
    court: &Court<'_>,
    spent: &Spent<'_>,
    setup: &Setup,
    body: StateBody,
    slot: Slot,
    signatures: &[Signature],
) -> Result<(), Code> {
    let old = spent.channel;
    let (output, cell, next) = spent.continued()?;
    let state = setup.state(body)?;
    let state_hash = state.hash();

    // The first registration may confirm what the cell stores; any other must be strictly newer.
    let confirms = old.phase == Phase::Open && old.state_hash == state_hash;
    if !confirms && state.version() <= old.version {
        return Err(Code::NotNewer);
    }
    // A tower that turns on its client must not be able to force the channel onto the ledger.
    if old.phase == Phase::Open && slot.kind == SlotKind::Delegate {
        return Err(Code::DelegateStarts);
    }
    let mark = slot_mark(setup, slot)?;
    let used = if old.phase == Phase::Disputed { old.marks } else { 0 };
    if used & mark != 0 {
        return Err(Code::SlotUsed);
    }
    check_signatures(court, setup, &state, &state_hash, slot, signatures, confirms)?;

    let expected = ChannelCell {
        phase: Phase::Disputed,
        marks: used | mark,
        id: old.id,
        state_hash,
        version: state.version(),
        claimed: false,
    };
    if *next != expected {
        return Err(Code::ChannelFrame);
    }
    if cell.capacity != spent.cell.capacity {
        return Err(Code::ChannelCapacity);
    }
    court.vaults_spent(spent, core::iter::empty())?;
    court.vaults_made(&spent.cell.lock, Some(output), core::iter::empty())
}

fn slot_mark(setup: &Setup, slot: Slot) -> Result<u32, Code> {
    if usize::from(slot.participant) >= setup.identities().len() {
        return Err(Code::SlotUnknown);
    }
    slot.mark().ok_or(Code::SlotUnknown)
}

fn check_signatures(
    court: &Court<'_>,
    setup: &Setup,
    state: &State,
    state_hash: &[u8; 32],
    slot: Slot,
    signatures: &[Signature],
    confirms: bool,
) -> Result<(), Code> {
    let registrant = usize::from(slot.participant);
    let state_digest = eip191(state_hash);
    let registration = registration_digest(&court.env.channel_type, state.id(), state_hash, slot);
    if confirms {
        // The funders signed the transaction that made the cell with this state.
        let ([signature], Some(address)) = (signatures, setup.addresses().nth(registrant)) else {
            return Err(Code::SignatureCount);
        };
        return verify(signature, &registration, address);
    }
    if signatures.len() != setup.identities().len() {
        return Err(Code::SignatureCount);
    }
    setup.addresses().zip(signatures).enumerate().try_for_each(|(index, (address, signature))| {
        let digest = if index == registrant { &registration } else { &state_digest };
        verify(signature, digest, address)
    })
}

pub(super) fn verify(
    signature: &Signature,
    digest: &[u8; 32],
    address: &crate::Address,
) -> Result<(), Code> {
    let signer = signature.signer(digest).map_err(|_| Code::Signature)?;
    if signer == *address { Ok(()) } else { Err(Code::WrongSigner) }
}
