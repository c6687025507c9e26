//! The system's lock of several keys, closed until a time if wanted.

use super::key::{SIGNATURE, SigningKey, first_20};
use super::{OwnedLock, Wallet, sighash_all, with_placeholder};
use crate::Error;
use crate::deployment::LockCode;
use ckb_types::core::TransactionView;
use perun_channel::hash::ckb_hash;

/// The owner of enough keys of a multi-key lock.
#[derive(Debug)]
pub struct Multisig {
    /// The keys to sign with, as many as the threshold, in the order of the lock's list.
    keys: Vec<SigningKey>,
    script: Vec<u8>,
    locks: [OwnedLock; 1],
}

impl Multisig {
    /// The lock that `threshold` of the keys named in `hashes` open, the first `required` of them
    /// always among those. `keys` are the ones at hand: at least `threshold` of the named. `since`
    /// closes the lock until then; zero does not. `code` is the deployment's, or the one of a later
    /// version.
    pub fn new(
        code: &LockCode,
        hashes: &[[u8; 20]],
        required: u8,
        threshold: u8,
        keys: Vec<SigningKey>,
        since: u64,
    ) -> Result<Self, Error> {
        let count = u8::try_from(hashes.len()).map_err(|_| Error::Key)?;
        if threshold == 0 || threshold > count || required > threshold {
            return Err(Error::Key);
        }
        let mut script = vec![0, required, threshold, count];
        hashes.iter().for_each(|hash| script.extend_from_slice(hash));
        let keys = select(hashes, usize::from(required), usize::from(threshold), keys)?;
        let mut args = first_20(ckb_hash(&[&script])).to_vec();
        if since != 0 {
            args.extend_from_slice(&since.to_le_bytes());
        }
        let lock = OwnedLock {
            script: code.script(&args),
            since,
            witness_length: script.len().saturating_add(SIGNATURE.saturating_mul(keys.len())),
            deps: code.deps.clone(),
            signs_all: true,
        };
        Ok(Self { keys, script, locks: [lock] })
    }
}

/// The keys to sign with: the required ones, then the first others, in the order of the list.
fn select(
    hashes: &[[u8; 20]],
    required: usize,
    threshold: usize,
    keys: Vec<SigningKey>,
) -> Result<Vec<SigningKey>, Error> {
    let place = |key: &SigningKey| hashes.iter().position(|hash| *hash == key.hash());
    let mut placed: Vec<(usize, SigningKey)> =
        keys.into_iter().filter_map(|key| Some((place(&key)?, key))).collect();
    placed.sort_by_key(|(position, _)| *position);
    placed.dedup_by_key(|(position, _)| *position);
    let has_required = placed.iter().take(required).map(|(position, _)| *position).eq(0..required);
    if !has_required || placed.len() < threshold {
        return Err(Error::Key);
    }
    Ok(placed.into_iter().take(threshold).map(|(_, key)| key).collect())
}

impl Wallet for Multisig {
    fn locks(&self) -> &[OwnedLock] {
        &self.locks
    }

    fn sign(&self, lock: usize, tx: &TransactionView, group: &[usize]) -> Result<Vec<u8>, Error> {
        if lock != 0 {
            return Err(Error::NotOurs);
        }
        let mut bytes = self.script.clone();
        bytes.resize(self.locks[0].witness_length, 0);
        let digest = sighash_all(&with_placeholder(tx, group, &bytes)?, group);
        bytes.truncate(self.script.len());
        self.keys.iter().for_each(|key| bytes.extend_from_slice(&key.sign(digest)));
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ckb_types::core::ScriptHashType;

    fn key(number: u8) -> SigningKey {
        SigningKey::new([number; 32]).unwrap()
    }

    fn code() -> LockCode {
        LockCode { code_hash: [1; 32], hash_type: ScriptHashType::Type, deps: Vec::new() }
    }

    #[test]
    fn too_few_keys_or_a_missing_required_one_is_refused() {
        let hashes = [key(1).hash(), key(2).hash(), key(3).hash()];
        let made = |required, threshold, keys| {
            Multisig::new(&code(), &hashes, required, threshold, keys, 0).map(|_| ())
        };
        assert_eq!(made(0, 2, vec![key(1)]), Err(Error::Key));
        assert_eq!(made(1, 2, vec![key(2), key(3)]), Err(Error::Key));
        assert_eq!(made(0, 2, vec![key(2), key(2)]), Err(Error::Key));
        assert_eq!(made(0, 2, vec![key(3), key(2)]), Ok(()));
        assert_eq!(made(1, 2, vec![key(3), key(1)]), Ok(()));
        assert_eq!(made(0, 4, vec![key(1), key(2), key(3)]), Err(Error::Key));
    }
}
