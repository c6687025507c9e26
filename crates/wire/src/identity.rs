//! Who the ends are: static keys, and the entropy of one handshake.
//!
//! A peer is its X25519 public key and nothing else: no address, no name. The secret key never
//! leaves this module except into the handshake.

use core::fmt;

use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::Random;

/// A peer's static public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 32]);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

/// Our own static key pair.
#[derive(Clone)]
pub struct Identity {
    pub(crate) secret: [u8; 32],
    public: PeerId,
}

impl Identity {
    /// The identity of a secret key. The 32 bytes must come from a good random source.
    #[must_use]
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let mut public = [0; 32];
        if let Some(mut dh) = DefaultResolver.resolve_dh(&snow::params::DHChoice::Curve25519) {
            dh.set(&secret);
            // Both are 32 bytes for this curve.
            public.iter_mut().zip(dh.pubkey()).for_each(|(to, from)| *to = *from);
        }
        Self { secret, public: PeerId(public) }
    }

    /// The name under which peers know us.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        self.public
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret stays out of logs.
        write!(f, "Identity({})", self.public)
    }
}

/// The default primitives with the caller's entropy in place of the system's.
pub(crate) struct SeededResolver(pub(crate) [u8; 32]);

impl CryptoResolver for SeededResolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(OneKey(Some(self.0))))
    }

    fn resolve_dh(&self, choice: &snow::params::DHChoice) -> Option<Box<dyn snow::types::Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(
        &self,
        choice: &snow::params::HashChoice,
    ) -> Option<Box<dyn snow::types::Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(
        &self,
        choice: &snow::params::CipherChoice,
    ) -> Option<Box<dyn snow::types::Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// Gives its 32 bytes once, for the one ephemeral key that a handshake draws. A second draw fails
/// rather than repeat them.
struct OneKey(Option<[u8; 32]>);

impl Random for OneKey {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), snow::Error> {
        match self.0.take() {
            Some(key) if key.len() == out.len() => {
                out.copy_from_slice(&key);
                Ok(())
            }
            _ => Err(snow::Error::Rng),
        }
    }
}
