//! What the machines ask of cryptography: the digest of a state, and whether a signature is right.
//!
//! The machines take it as an argument, so that a model checker can run them with signatures that
//! are terms instead of curve points. It holds no key: signing is the house's, after the record is
//! durable.

use perun_channel::sig::SignatureRefusal;
use perun_channel::{Address, Signature, State};

use crate::units::Digest;

/// Digests and signature checks.
pub trait Crypto {
    /// The bytes that participants sign for `state`.
    fn digest(&self, state: &State) -> Digest;

    /// Whether `address` made `signature` over `digest`.
    fn verify(
        &self,
        digest: &Digest,
        signature: &Signature,
        address: &Address,
    ) -> Result<(), SignatureRefusal>;
}

/// The real thing: Keccak-256 over Ethereum's encoding, secp256k1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ethereum;

impl Crypto for Ethereum {
    fn digest(&self, state: &State) -> Digest {
        Digest::new(state.digest())
    }

    fn verify(
        &self,
        digest: &Digest,
        signature: &Signature,
        address: &Address,
    ) -> Result<(), SignatureRefusal> {
        signature.verify(digest.as_bytes(), address)
    }
}
