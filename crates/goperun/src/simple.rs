//! The wire addresses of go-perun's `wire/net/simple`: a name, and an RSA key that proves it.
//!
//! Signatures are PKCS #1 v1.5 with SHA-256. A name without a key proves nothing and is refused.

use core::cmp::Ordering;
use core::fmt;

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaPublicKeyComponents};

use crate::handshake::{self, Verifier};

/// A name and the public key that stands for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    name: Vec<u8>,
    key: Option<PublicKey>,
}

/// An RSA key, big-endian.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PublicKey {
    modulus: Vec<u8>,
    exponent: u32,
}

impl Address {
    /// A name that nobody can prove, for tests and tables. Longer ones than 65,535 bytes are cut.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let length = name.len().min(usize::from(u16::MAX));
        let name = name.as_bytes().get(..length).unwrap_or_default().to_vec();
        Self { name, key: None }
    }

    /// The address that these bytes spell, if they spell one and nothing else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (name, rest) = short_string(bytes)?;
        let name = name.to_vec();
        if rest.is_empty() {
            return Some(Self { name, key: None });
        }
        let (modulus, exponent) = short_string(rest)?;
        let exponent = u32::from_be_bytes(exponent.try_into().ok()?);
        if modulus.first() == Some(&0) || i32::try_from(exponent).is_err() {
            return None;
        }
        Some(Self { name, key: Some(PublicKey { modulus: modulus.to_vec(), exponent }) })
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_short_string(&mut out, &self.name);
        if let Some(PublicKey { modulus, exponent }) = &self.key {
            put_short_string(&mut out, modulus);
            out.extend_from_slice(&exponent.to_be_bytes());
        }
        out
    }

    /// The name. go-perun does not ask that it be text.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether this address's key signed `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some(PublicKey { modulus, exponent }) = &self.key else { return false };
        let exponent = exponent.to_be_bytes();
        let zeros = exponent.iter().take_while(|byte| **byte == 0).count();
        let e = exponent.get(zeros..).unwrap_or_default();
        let key = RsaPublicKeyComponents { n: modulus.as_slice(), e };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
    }
}

/// A length of two bytes, big-endian, and so many bytes; then what is left.
fn short_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn put_short_string(out: &mut Vec<u8>, bytes: &[u8]) {
    debug_assert!(bytes.len() <= usize::from(u16::MAX), "its makers bound it");
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Verifies signatures of such addresses.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimpleVerifier;

impl Verifier for SimpleVerifier {
    fn proves(&self, address: &[u8], message: &[u8], signature: &[u8]) -> bool {
        Address::from_bytes(address).is_some_and(|address| address.verify(message, signature))
    }

    /// By name alone, without its length and whatever the keys.
    fn order(&self, one: &[u8], other: &[u8]) -> Ordering {
        let name = |bytes| Address::from_bytes(bytes).map(|address| address.name);
        name(one).cmp(&name(other))
    }
}

/// A key that is not an RSA key of 2048 to 4096 bits in PKCS #8, or a name that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKey;

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "The wire key is no RSA key of 2048 to 4096 bits in PKCS #8; nothing was sent and no \
             money moved. Make another one: this key names the node, it holds no funds.",
        )
    }
}

impl std::error::Error for BadKey {}

/// An address with its private key. It names the node on the wire and holds no funds.
pub struct Account {
    bytes: Vec<u8>,
    address: Address,
    pair: ring::rsa::KeyPair,
}

impl Account {
    /// The account with this name and this RSA key, in PKCS #8.
    pub fn new(name: &str, pkcs8: &[u8]) -> Result<Self, BadKey> {
        let pair = ring::rsa::KeyPair::from_pkcs8(pkcs8).map_err(|_| BadKey)?;
        let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
        let exponent = public
            .e
            .iter()
            .try_fold(0_u32, |number, byte| number.checked_mul(256)?.checked_add(u32::from(*byte)));
        let key = PublicKey { modulus: public.n, exponent: exponent.ok_or(BadKey)? };
        let address = Address { key: Some(key), ..Address::named(name) };
        let bytes = address.to_bytes();
        if bytes.len() > crate::MAX_WIRE_ADDRESS {
            return Err(BadKey);
        }
        Ok(Self { bytes, address, pair })
    }

    /// Its public address.
    #[must_use]
    pub const fn public(&self) -> &Address {
        &self.address
    }
}

impl handshake::Account for Account {
    fn address(&self) -> &[u8] {
        &self.bytes
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        // Chance hides the key from who measures time; the signature does not depend on it.
        let chance = ring::rand::SystemRandom::new();
        self.pair.sign(&RSA_PKCS1_SHA256, &chance, message, &mut signature).ok()?;
        Some(signature)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        let key = |tail: &[u8]| [&[0, 1, b'a', 0, 2, 9, 8][..], tail].concat();
        let address = Address::from_bytes(&key(&[0, 1, 0, 1])).unwrap();
        assert_eq!(address.name(), b"a");
        assert_eq!(address.to_bytes(), key(&[0, 1, 0, 1]));
        let named = Address::from_bytes(&[0, 1, b'a']).unwrap();
        assert_eq!((named.to_bytes(), named), (vec![0, 1, b'a'], Address::named("a")));
        let wrong: [&[u8]; 6] = [
            &[],
            &[0, 2, b'a'],
            &[0, 1, b'a', 0],
            &key(&[0, 1, 0]),
            &key(&[0, 1, 0, 1, 0]),
            &key(&[0xff, 1, 0, 1]),
        ];
        for bytes in wrong {
            assert_eq!(Address::from_bytes(bytes), None, "{bytes:?}");
        }
        assert_eq!(Address::from_bytes(&[0, 0, 0, 2, 0, 8, 0, 1, 0, 1]), None, "a leading zero");
    }

    #[test]
    fn h3_a_name_without_a_key_proves_nothing() {
        assert!(!Address::named("a").verify(b"", b""));
        assert!(!SimpleVerifier.proves(&Address::named("a").to_bytes(), b"", b""));
        assert!(!SimpleVerifier.proves(&[9], b"", b""));
    }

    /// The bytes begin with the name's length, which does not count.
    #[test]
    fn addresses_are_ordered_by_name_alone() {
        let order = |one: &[u8], other: &[u8]| SimpleVerifier.order(one, other);
        let named = |name| Address::named(name).to_bytes();
        assert_eq!(order(&named("b"), &named("aa")), Ordering::Greater);
        assert_eq!(order(&named("a"), &named("aa")), Ordering::Less);
        let keys = [1, 2].map(|byte| [&[0, 1, b'a', 0, 1, byte][..], &[0, 1, 0, 1]].concat());
        assert_eq!(order(&keys[0], &keys[1]), Ordering::Equal);
    }

    #[test]
    fn a_key_that_is_none_is_refused_in_words() {
        assert_eq!(Account::new("a", &[1, 2, 3]).err(), Some(BadKey));
        assert!(BadKey.to_string().contains("no money moved"));
    }
}
