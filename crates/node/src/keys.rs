//! The session key: what signs states, registrations and consents. It never leaves this type.

use perun_channel::sig;
use perun_channel::{Address, Signature};
use secp256k1::{PublicKey, SecretKey};
use zeroize::Zeroizing;

/// A session key of one party.
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
