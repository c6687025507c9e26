//! Two ways to sign: with real keys, and with terms that say who signed what.

use perun_channel::sig::{self, SignatureRefusal};
use perun_channel::{Address, Signature, State};
use perun_protocol::{Crypto, Digest, Ethereum};
use secp256k1::{PublicKey, SecretKey};

/// Which cryptography a run uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    Real,
    Symbolic,
}

impl Crypto for Keys {
    fn digest(&self, state: &State) -> Digest {
        Ethereum.digest(state)
    }

    fn verify(
        &self,
        digest: &Digest,
        signature: &Signature,
        address: &Address,
    ) -> Result<(), SignatureRefusal> {
        match self {
            Self::Real => Ethereum.verify(digest, signature, address),
            Self::Symbolic if *signature == term(digest, address) => Ok(()),
            Self::Symbolic => Err(SignatureRefusal::WrongSigner),
        }
    }
}

/// A signature that is nothing but "this address signed this digest".
fn term(digest: &Digest, address: &Address) -> Signature {
    let mut bytes = [0; 65];
    bytes[..32].copy_from_slice(digest.as_bytes());
    bytes[44..64].copy_from_slice(address.as_bytes());
    bytes[64] = 27;
    Signature::new(&bytes).unwrap()
}

/// One side's key.
pub(crate) struct Signer {
    keys: Keys,
    secret: SecretKey,
    address: Address,
}

impl Signer {
    pub(crate) fn new(keys: Keys, seed: u8) -> Self {
        let secret = SecretKey::from_secret_bytes([seed; 32]).unwrap();
        let address = Address::of_key(&PublicKey::from_secret_key(&secret));
        Self { keys, secret, address }
    }

    pub(crate) fn address(&self) -> Address {
        self.address
    }

    pub(crate) fn sign(&self, digest: &Digest) -> Signature {
        match self.keys {
            Keys::Real => sig::sign(digest.as_bytes(), &self.secret),
            Keys::Symbolic => term(digest, &self.address),
        }
    }
}
