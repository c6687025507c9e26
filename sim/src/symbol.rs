//! Signatures and digests as terms, for models and seeds that would drown in elliptic curves.
//!
//! A digest names its state outright, so it is injective; a signature names its digest and its
//! signer. They are well-formed values of the real types, and worthless outside of this crate. What
//! makes them unforgeable is discipline: an adversary may only use terms that it has seen, or of
//! its own keys.

use perun_channel::sig::SignatureRefusal;
use perun_channel::{Address, ChannelId, Signature, State};
use perun_protocol::{Crypto, Digest};

use crate::court::Outline;

/// Symbolic cryptography.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Symbols;

impl Crypto for Symbols {
    fn digest(&self, state: &State) -> Digest {
        digest(state.id(), &Outline::of(state))
    }

    fn verify(
        &self,
        digest: &Digest,
        signature: &Signature,
        address: &Address,
    ) -> Result<(), SignatureRefusal> {
        if *signature == sign(digest, address) {
            Ok(())
        } else {
            Err(SignatureRefusal::WrongSigner)
        }
    }
}

/// The digest of a state of this channel.
#[must_use]
pub fn digest(id: &ChannelId, outline: &Outline) -> Digest {
    let mut bytes = [0; 32];
    let [first, second] = outline.balances;
    bytes[..8].copy_from_slice(&outline.version.to_be_bytes());
    bytes[8..16].copy_from_slice(&first.to_be_bytes());
    bytes[16..24].copy_from_slice(&second.to_be_bytes());
    bytes[24] = u8::from(outline.is_final);
    bytes[25..].copy_from_slice(&id.as_bytes()[..7]);
    Digest::new(bytes)
}

/// The state that a digest names.
#[must_use]
pub fn outline(digest: &Digest) -> Outline {
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest.as_bytes()[at..at + 8]);
        u64::from_be_bytes(bytes)
    };
    let is_final = digest.as_bytes()[24] == 1;
    Outline { version: number(0), balances: [number(8), number(16)], is_final }
}

/// The signature of `address` over `digest`.
#[must_use]
pub fn sign(digest: &Digest, address: &Address) -> Signature {
    let mut bytes = [0; 65];
    bytes[..32].copy_from_slice(digest.as_bytes());
    // A small `s` in the strict spelling.
    bytes[44..64].copy_from_slice(address.as_bytes());
    bytes[64] = 27;
    Signature::new(&bytes)
        .unwrap_or_else(|refusal| unreachable!("strict by construction: {refusal}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_is_accepted_only_for_its_signer_and_digest() {
        let id = ChannelId::new([3; 32]);
        let one = Outline { version: 1, balances: [2, 1], is_final: false };
        let other = Outline { is_final: true, ..one };
        let (alice, bob) = (Address::new([1; 20]), Address::new([2; 20]));
        let term = sign(&digest(&id, &one), &alice);
        assert_eq!(outline(&digest(&id, &one)), one);
        assert_eq!(Symbols.verify(&digest(&id, &one), &term, &alice), Ok(()));
        assert!(Symbols.verify(&digest(&id, &other), &term, &alice).is_err());
        assert!(Symbols.verify(&digest(&id, &one), &term, &bob).is_err());
    }
}
