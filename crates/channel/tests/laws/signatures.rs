//! A2: a signature has one spelling and counts for one digest and one signer.

use perun_channel::sig::{self, SIGNATURE_LENGTH, SignatureRefusal};
use perun_channel::{Address, Signature};
use proptest::prelude::*;
use secp256k1::{PublicKey, SecretKey};

use crate::config;

/// The order of secp256k1, big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

fn key() -> impl Strategy<Value = (SecretKey, Address)> {
    any::<[u8; 32]>().prop_filter_map("no secret key", |bytes| {
        let secret = SecretKey::from_secret_bytes(bytes).ok()?;
        Some((secret, Address::of_key(&PublicKey::from_secret_key(&secret))))
    })
}

/// The order minus `s`.
fn negated(s: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    let mut borrow = 0_i16;
    for at in (0..32).rev() {
        let digit = i16::from(ORDER[at]) - i16::from(s[at]) - borrow;
        borrow = i16::from(digit < 0);
        out[at] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    assert_eq!(borrow, 0, "s is below the order");
    out
}

/// The other spelling of the same signature: `n - s`, and the other parity.
fn twin(signature: &Signature) -> [u8; SIGNATURE_LENGTH] {
    let mut bytes = *signature.as_bytes();
    let other = negated(&bytes[32..64]);
    bytes[32..64].copy_from_slice(&other);
    bytes[64] = 55 - bytes[64];
    bytes
}

/// What the channel makes of raw bytes as a signature of `address` over `digest`.
fn accept(bytes: &[u8], digest: &[u8; 32], address: &Address) -> Result<(), SignatureRefusal> {
    Signature::new(bytes)?.verify(digest, address)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_signed_verifies_and_is_deterministic(key in key(), digest in any::<[u8; 32]>()) {
        let signature = sig::sign(&digest, &key.0);
        prop_assert_eq!(accept(signature.as_bytes(), &digest, &key.1), Ok(()));
        prop_assert_eq!(sig::sign(&digest, &key.0), signature);
    }

    #[test]
    fn a_flipped_bit_of_the_digest_is_refused(
        key in key(),
        digest in any::<[u8; 32]>(),
        bit in 0..256_usize,
    ) {
        let signature = sig::sign(&digest, &key.0);
        let mut other = digest;
        other[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(signature.verify(&other, &key.1).is_err());
    }

    #[test]
    fn a_flipped_bit_of_the_signature_is_refused(
        key in key(),
        digest in any::<[u8; 32]>(),
        bit in 0..520_usize,
    ) {
        let mut bytes = *sig::sign(&digest, &key.0).as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(accept(&bytes, &digest, &key.1).is_err());
    }

    #[test]
    fn a_flipped_bit_of_the_address_is_refused(
        key in key(),
        digest in any::<[u8; 32]>(),
        bit in 0..160_usize,
    ) {
        let mut address = *key.1.as_bytes();
        address[bit / 8] ^= 1 << (bit % 8);
        let signature = sig::sign(&digest, &key.0);
        let verdict = signature.verify(&digest, &Address::new(address));
        prop_assert_eq!(verdict, Err(SignatureRefusal::WrongSigner));
    }

    #[test]
    fn the_negated_twin_is_refused(key in key(), digest in any::<[u8; 32]>()) {
        let signature = sig::sign(&digest, &key.0);
        let twin = twin(&signature);
        prop_assert_eq!(accept(&twin, &digest, &key.1), Err(SignatureRefusal::HighS));
        prop_assert_eq!(recover_leniently(&twin, &digest), Some(key.1), "it is a true twin");
    }

    #[test]
    fn another_length_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if bytes.len() != SIGNATURE_LENGTH {
            prop_assert_eq!(Signature::new(&bytes), Err(SignatureRefusal::Length));
        }
    }

    #[test]
    fn noise_never_panics_and_never_verifies(
        mut noise in any::<[u8; 65]>(),
        digest in any::<[u8; 32]>(),
        key in key(),
    ) {
        prop_assert!(accept(&noise, &digest, &key.1).is_err());
        noise[64] = 27 + noise[64] % 2;
        noise[32] &= 0x7f;
        prop_assert!(accept(&noise, &digest, &key.1).is_err());
    }
}

/// Recovers as a lax verifier would, to show that the twin is dangerous and not merely malformed.
fn recover_leniently(bytes: &[u8; SIGNATURE_LENGTH], digest: &[u8; 32]) -> Option<Address> {
    use secp256k1::Message;
    use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
    let compact = bytes[..64].try_into().unwrap();
    let recovery = RecoveryId::from_u8_masked(bytes[64] - 27);
    let signature = RecoverableSignature::from_compact(compact, recovery).ok()?;
    let key = signature.recover_ecdsa(Message::from_digest(*digest)).ok()?;
    Some(Address::of_key(&key))
}
