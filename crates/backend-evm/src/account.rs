//! The account that pays for transactions and deposits.
//!
//! It is not a session key: session keys sign states and never hold money. What is asked of an
//! account is one thing, so that a key in memory, a keystore or a device can be one.

use alloy_primitives::Address;
use perun_channel::Signature;
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, SecretKey};

use crate::Error;
use crate::abi::eth;

/// An account with a key.
pub trait Account: Send + Sync {
    /// Its address.
    fn address(&self) -> Address;

    /// Its signature over a digest.
    fn sign(&self, digest: &[u8; 32]) -> Result<Signature, Error>;
}

/// A key in memory. It cannot be printed or compared, and is overwritten when dropped.
pub struct KeyAccount {
    key: SecretKey,
    address: Address,
}

impl KeyAccount {
    /// The account of these bytes, if they are a key.
    pub fn new(mut bytes: [u8; 32]) -> Result<Self, Error> {
        let key = SecretKey::from_secret_bytes(bytes).map_err(|_| Error::Key);
        bytes.fill(0);
        std::hint::black_box(&bytes);
        let key = key?;
        let address = eth(&perun_channel::Address::of_key(&key.public_key()));
        Ok(Self { key, address })
    }
}

impl Account for KeyAccount {
    fn address(&self) -> Address {
        self.address
    }

    fn sign(&self, digest: &[u8; 32]) -> Result<Signature, Error> {
        let message = Message::from_digest(*digest);
        let signature = RecoverableSignature::sign_ecdsa_recoverable(message, &self.key);
        let (recovery, compact) = signature.serialize_compact();
        let mut bytes = [0; perun_channel::sig::SIGNATURE_LENGTH];
        let [head @ .., last] = &mut bytes;
        *head = compact;
        *last = recovery.to_u8().saturating_add(27);
        Signature::new(&bytes).map_err(|_| Error::Key)
    }
}

impl Drop for KeyAccount {
    fn drop(&mut self) {
        self.key.non_secure_erase();
    }
}

impl std::fmt::Debug for KeyAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyAccount({})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_signs_as_its_address_and_shows_no_key() {
        let account = KeyAccount::new([0x11; 32]).unwrap();
        let signature = account.sign(&[7; 32]).unwrap();
        assert_eq!(eth(&signature.signer(&[7; 32]).unwrap()), account.address());
        assert_eq!(
            format!("{account:?}"),
            "KeyAccount(0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A)"
        );
        assert!(matches!(KeyAccount::new([0; 32]), Err(Error::Key)));
    }
}
