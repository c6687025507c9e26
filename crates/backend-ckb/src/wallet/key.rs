//! One secret key, and the standard lock of one key.

use super::{OwnedLock, Wallet, sighash_all};
use crate::Error;
use crate::deployment::{Deployment, LockCode};
use ckb_types::core::TransactionView;
use perun_channel::Address;
use perun_channel::hash::{ckb_hash, keccak256};
use secp256k1::ecdsa::RecoverableSignature;
use secp256k1::{Message, SecretKey};

/// The bytes of a signature in a lock's witness: r, s and the recovery id.
pub(crate) const SIGNATURE: usize = 65;

/// A key that opens locks. It cannot be printed or compared, and is overwritten when dropped.
pub struct SigningKey(SecretKey);

impl SigningKey {
    /// The key with these bytes, if they are one.
    pub fn new(mut bytes: [u8; 32]) -> Result<Self, Error> {
        let key = SecretKey::from_secret_bytes(bytes).map(Self).map_err(|_| Error::Key);
        bytes.fill(0);
        std::hint::black_box(&bytes);
        key
    }

    /// The name of the key in system locks: 20 bytes of the hash of its compressed public key.
    #[must_use]
    pub fn hash(&self) -> [u8; 20] {
        first_20(ckb_hash(&[&self.0.public_key().serialize()]))
    }

    /// The name of the key on Ethereum.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::of_key(&self.0.public_key())
    }

    /// A recoverable signature as locks on CKB read it.
    pub(crate) fn sign(&self, digest: [u8; 32]) -> [u8; SIGNATURE] {
        let message = Message::from_digest(digest);
        let signature = RecoverableSignature::sign_ecdsa_recoverable(message, &self.0);
        let (recovery, compact) = signature.serialize_compact();
        let mut bytes = [0; SIGNATURE];
        let [head @ .., last] = &mut bytes;
        *head = compact;
        *last = recovery.to_u8();
        bytes
    }
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(secret)")
    }
}

/// The standard lock of one key.
#[derive(Debug)]
pub struct Secp256k1 {
    key: SigningKey,
    locks: [OwnedLock; 1],
}

impl Secp256k1 {
    /// The owner of this key's lock on the deployment's chain.
    #[must_use]
    pub fn new(deployment: &Deployment, key: SigningKey) -> Self {
        let LockCode { deps, .. } = deployment.secp256k1();
        let lock = OwnedLock {
            script: deployment.secp256k1().script(&key.hash()),
            since: 0,
            witness_length: SIGNATURE,
            deps: deps.clone(),
            signs_all: true,
        };
        Self { key, locks: [lock] }
    }
}

impl Wallet for Secp256k1 {
    fn locks(&self) -> &[OwnedLock] {
        &self.locks
    }

    fn sign(&self, lock: usize, tx: &TransactionView, group: &[usize]) -> Result<Vec<u8>, Error> {
        if lock != 0 {
            return Err(Error::NotOurs);
        }
        Ok(self.key.sign(sighash_all(tx, group)).to_vec())
    }
}

pub(crate) fn first_20(hash: [u8; 32]) -> [u8; 20] {
    hash.first_chunk().copied().unwrap_or_default()
}

/// What names an Ethereum key, and a message of 32 bytes as Ethereum wallets sign it.
pub(crate) fn ethereum_message(digest: &[u8; 32]) -> [u8; 32] {
    keccak256(&[b"\x19Ethereum Signed Message:\n32", digest])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_prints_nothing_of_itself() {
        let key = SigningKey::new([7; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(secret)");
    }

    #[test]
    fn bytes_that_are_no_key_are_refused() {
        assert_eq!(SigningKey::new([0; 32]).unwrap_err(), Error::Key);
        assert_eq!(SigningKey::new([0xff; 32]).unwrap_err(), Error::Key);
    }

    #[test]
    fn a_key_has_the_name_that_the_chain_computes() {
        // The first key of the public dev chain and its published lock argument.
        let key = SigningKey::new([
            0xd0, 0x0c, 0x06, 0xbf, 0xd8, 0x00, 0xd2, 0x73, 0x97, 0x00, 0x2d, 0xca, 0x6f, 0xb0,
            0x99, 0x3d, 0x5b, 0xa6, 0x39, 0x9b, 0x42, 0x38, 0xb2, 0xf2, 0x9e, 0xe9, 0xde, 0xb9,
            0x75, 0x93, 0xd2, 0xbc,
        ]);
        assert_eq!(
            crate::error::hex(&key.unwrap().hash()),
            "0xc8328aabcd9b9e8e64fbc566c4385c3bdeb219d7"
        );
    }
}
