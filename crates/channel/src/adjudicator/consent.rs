//! Consent: with every participant agreeing to this very transaction, anything may happen to a
//! channel.

use super::court::{Court, Spent};
use super::{Code, Consent, Setup};
use crate::hash::keccak256;
use crate::sig::eip191;

/// Sets these messages apart from states, whose encoding starts with the word 32, and from every
/// other kind of message.
const DOMAIN: &[u8; 32] = b"perun ckb transaction consent 1\0";

/// What a session key signs to consent to a whole transaction. It names no channel: one signature
/// of a hub serves all its channels in the transaction, whose hash covers them all.
#[must_use]
pub fn consent_digest(channel_type: &[u8; 32], transaction: &[u8; 32]) -> [u8; 32] {
    eip191(&keccak256(&[DOMAIN, channel_type, transaction]))
}

pub(super) fn check(
    court: &mut Court<'_>,
    spent: &Spent<'_>,
    setup: &Setup,
    consents: &[Consent],
) -> Result<(), Code> {
    // The channel ends here; a successor has an id of its own and is judged as a creation.
    if spent.continued.is_some() {
        return Err(Code::WrongAction);
    }
    let identities = setup.identities();
    if consents.len() != identities.len() {
        return Err(Code::SignatureCount);
    }
    let digest = consent_digest(&court.env.channel_type, &court.view.hash);
    for ((address, identity), consent) in setup.addresses().zip(identities).zip(consents) {
        match consent {
            Consent::Signature(signature) => {
                let signer = signature.signer(&digest).map_err(|_| Code::Signature)?;
                if signer != *address {
                    return Err(Code::WrongSigner);
                }
                court.consenting.push(signer);
            }
            Consent::Presence => {
                let mut owners = court.view.inputs.iter().map(|input| &input.cell.lock);
                let present = owners.any(|lock| *lock == identity.owner_lock);
                if !(identity.consents_by_presence && present) {
                    return Err(Code::Consent);
                }
            }
            Consent::Shared => {
                if !court.consenting.contains(address) {
                    return Err(Code::Consent);
                }
            }
        }
    }
    Ok(())
}
