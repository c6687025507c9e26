//! The session key: what signs states, registrations and consents. It never leaves this type.

use perun_channel::hash::keccak256;
use perun_channel::sig;
use perun_channel::{Address, Signature};
use secp256k1::{PublicKey, SecretKey};
use zeroize::Zeroizing;

/// A session key of one party.
#[derive(Clone)]
pub struct SessionKey {
    secret: Zeroizing<[u8; 32]>,
    address: Address,
}

impl SessionKey {
    /// The key with this secret; none if the bytes are not a key of the curve.
    #[must_use]
    pub fn from_secret(secret: [u8; 32]) -> Option<Self> {
        let key = SecretKey::from_secret_bytes(secret).ok()?;
        let address = Address::of_key(&PublicKey::from_secret_key(&key));
        Some(Self { secret: Zeroizing::new(secret), address })
    }

    /// A key of its own for one channel, drawn from this one and random bytes.
    ///
    /// Where both sign version 0 before there is anything on a ledger, the id of a channel that
    /// came to nothing may come again: a peer can see to that, for its cells decide about the id.
    /// What we signed for the first must not count in the second, so no two have the same key of
    /// ours.
    pub(crate) fn drawn(&self, salt: &[u8; 32]) -> Self {
        let mut count = 0_u8;
        loop {
            let secret = keccak256(&[b"perun channel key 1", &*self.secret, salt, &[count]]);
            // All but one of 2^128 secrets are keys.
            if let Some(key) = Self::from_secret(secret) {
                return key;
            }
            count = count.wrapping_add(1);
        }
    }

    /// The address whose signatures this key makes.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Signs a digest, deterministically. Sign only what was stored before.
    pub fn sign(&self, digest: &[u8; 32]) -> Signature {
        let key = SecretKey::from_secret_bytes(*self.secret);
        // The bytes were a key when this value was made, and they do not change.
        let Ok(key) = key else { unreachable!("a session key was checked when it was made") };
        sig::sign(digest, &key)
    }
}

impl core::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SessionKey({})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_have_keys_of_their_own_and_each_the_same_again() {
        let key = SessionKey::from_secret([7; 32]).unwrap();
        let [one, other] = [[1; 32], [2; 32]].map(|salt| key.drawn(&salt).address());
        assert!(one != other && one != key.address());
        assert_eq!(one, key.drawn(&[1; 32]).address());
        let somebody = SessionKey::from_secret([8; 32]).unwrap();
        assert_ne!(one, somebody.drawn(&[1; 32]).address());
    }
}
