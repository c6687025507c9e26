//! Omnilock with a single key, in CKB's or in Ethereum's way of signing.

use super::key::{SIGNATURE, SigningKey, ethereum_message};
use super::{OwnedLock, Wallet, sighash_all};
use crate::Error;
use crate::deployment::LockCode;
use ckb_types::core::TransactionView;

/// How the lock names its key and what the key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OmnilockAuth {
    /// The key's hash, signing as the standard lock does.
    Ckb,
    /// The key's Ethereum address, signing as Ethereum wallets sign a message of 32 bytes.
    Ethereum,
}

impl OmnilockAuth {
    const fn flag(self) -> u8 {
        match self {
            Self::Ckb => 0x00,
            Self::Ethereum => 0x01,
        }
    }
}

/// The owner of an Omnilock.
#[derive(Debug)]
pub struct Omnilock {
    key: SigningKey,
    auth: OmnilockAuth,
    locks: [OwnedLock; 1],
}

/// The witness: a table of three optional fields, of which the first, the signature, is there.
const HEADER: [u32; 5] = [85, 16, 85, 85, 65];
const WITNESS: usize = HEADER.len() * 4 + SIGNATURE;

impl Omnilock {
    /// The lock of this key, without any of Omnilock's modes.
    #[must_use]
    pub fn new(code: &LockCode, key: SigningKey, auth: OmnilockAuth) -> Self {
        let mut args = vec![auth.flag()];
        match auth {
            OmnilockAuth::Ckb => args.extend_from_slice(&key.hash()),
            OmnilockAuth::Ethereum => args.extend_from_slice(key.address().as_bytes()),
        }
        args.push(0);
        let lock = OwnedLock {
            script: code.script(&args),
            since: 0,
            witness_length: WITNESS,
            deps: code.deps.clone(),
            signs_all: true,
        };
        Self { key, auth, locks: [lock] }
    }
}

impl Wallet for Omnilock {
    fn locks(&self) -> &[OwnedLock] {
        &self.locks
    }

    fn sign(&self, lock: usize, tx: &TransactionView, group: &[usize]) -> Result<Vec<u8>, Error> {
        if lock != 0 {
            return Err(Error::NotOurs);
        }
        // The lock clears its whole witness before it hashes: the placeholder of zeros is right.
        let digest = sighash_all(tx, group);
        let signature = match self.auth {
            OmnilockAuth::Ckb => self.key.sign(digest),
            OmnilockAuth::Ethereum => self.key.sign(ethereum_message(&digest)),
        };
        let mut bytes: Vec<u8> = HEADER.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend_from_slice(&signature);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ckb_types::core::{ScriptHashType, TransactionBuilder};
    use ckb_types::packed::CellInput;

    #[test]
    fn the_witness_is_a_table_with_a_signature_and_two_empty_fields() {
        let code =
            LockCode { code_hash: [1; 32], hash_type: ScriptHashType::Type, deps: Vec::new() };
        let key = SigningKey::new([3; 32]).unwrap();
        let wallet = Omnilock::new(&code, key, OmnilockAuth::Ckb);
        let tx = TransactionBuilder::default().input(CellInput::default()).build();
        let witness = wallet.sign(0, &tx, &[0]).unwrap();
        assert_eq!(witness.len(), wallet.locks()[0].witness_length);
        // Full size, then the offsets of signature, identity and preimage, then the signature's
        // length.
        assert_eq!(witness[..4], 85u32.to_le_bytes());
        assert_eq!(witness[4..8], 16u32.to_le_bytes());
        assert_eq!(witness[16..20], 65u32.to_le_bytes());
    }
}
