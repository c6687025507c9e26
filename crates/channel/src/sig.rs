//! Strict signatures, the same on and off chain.
//!
//! A signature is 65 bytes `r ‖ s ‖ v` over secp256k1 with `v` of 27 or 28 and `s` in the lower
//! half of the order; any other spelling is refused here, so a signature that a peer shows us and
//! we accept is one that every adjudicator accepts as well.

use alloc::vec::Vec;

use core::fmt;

use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

use crate::codec::{self, Decode, DecodeError, Encode, Reader};
use crate::hash::keccak256;
use crate::units::write_hex;
use crate::{MAX_PARTICIPANTS, Params, State};

/// The number of bytes of a signature.
pub const SIGNATURE_LENGTH: usize = 65;

/// Half of the order of secp256k1, big-endian: the largest `s` that is accepted.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureRefusal {
    /// Not exactly 65 bytes.
    Length,
    /// The last byte is neither 27 nor 28.
    RecoveryByte,
    /// `s` is in the upper half of the order: a second spelling of another signature.
    HighS,
    /// No public key fits the signature and the digest.
    Unrecoverable,
    /// The signature is somebody else's, or over other bytes.
    WrongSigner,
    /// There are more or fewer signatures than participants.
    Count,
}

impl fmt::Display for SignatureRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a signature has 65 bytes",
            Self::RecoveryByte => "the recovery byte of a signature is 27 or 28",
            Self::HighS => "the signature has a high s; no adjudicator would accept it",
            Self::Unrecoverable => "the signature fits no public key",
            Self::WrongSigner => "the signature is not the participant's over these bytes",
            Self::Count => "not exactly one signature for each participant",
        })
    }
}

impl core::error::Error for SignatureRefusal {}

/// The last 20 bytes of the Keccak-256 hash of a public key, as Ethereum names accounts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 20]);

impl Address {
    /// The address of nobody.
    pub const ZERO: Self = Self([0; 20]);

    /// The address with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The address of a public key.
    #[must_use]
    pub fn of_key(key: &secp256k1::PublicKey) -> Self {
        let uncompressed = key.serialize_uncompressed();
        let hash = keccak256(&[uncompressed.get(1..).unwrap_or_default()]);
        Self(hash.last_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A signature in its one accepted spelling.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; SIGNATURE_LENGTH]);

impl Signature {
    /// A signature from its bytes; every spelling but the strict one is refused.
    pub fn new(bytes: &[u8]) -> Result<Self, SignatureRefusal> {
        let bytes: [u8; SIGNATURE_LENGTH] =
            bytes.try_into().map_err(|_| SignatureRefusal::Length)?;
        let [.., v] = bytes;
        if !matches!(v, 27 | 28) {
            return Err(SignatureRefusal::RecoveryByte);
        }
        if bytes.get(32..64).is_none_or(|s| s > HALF_ORDER.as_slice()) {
            return Err(SignatureRefusal::HighS);
        }
        Ok(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SIGNATURE_LENGTH] {
        &self.0
    }

    /// The address whose key made this signature over `digest`.
    pub fn signer(&self, digest: &[u8; 32]) -> Result<Address, SignatureRefusal> {
        let unrecoverable = |_| SignatureRefusal::Unrecoverable;
        let [compact @ .., v] = &self.0;
        let recovery = RecoveryId::from_u8_masked(v.saturating_sub(27));
        RecoverableSignature::from_compact(compact, recovery)
            .map_err(unrecoverable)?
            .recover_ecdsa(Message::from_digest(*digest))
            .map_err(unrecoverable)
            .map(|key| Address::of_key(&key))
    }

    /// Whether `address` made this signature over `digest`.
    pub fn verify(&self, digest: &[u8; 32], address: &Address) -> Result<(), SignatureRefusal> {
        if self.signer(digest)? == *address { Ok(()) } else { Err(SignatureRefusal::WrongSigner) }
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl Encode for Signature {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Decode for Signature {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(reader.take(SIGNATURE_LENGTH)?).map_err(|_| DecodeError::UnknownTag)
    }
}

/// The digest that wallets sign for a 32-byte message: Keccak-256 with the EIP-191 prefix.
#[must_use]
pub fn eip191(message: &[u8; 32]) -> [u8; 32] {
    keccak256(&[b"\x19Ethereum Signed Message:\n32", message])
}

/// Signs a digest with a session key, in the strict spelling.
#[cfg(feature = "sign")]
#[must_use]
pub fn sign(digest: &[u8; 32], key: &secp256k1::SecretKey) -> Signature {
    let signature =
        RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(*digest), key);
    let (recovery, compact) = signature.serialize_compact();
    let mut bytes = [0; SIGNATURE_LENGTH];
    let [head @ .., v] = &mut bytes;
    *head = compact;
    *v = recovery.to_u8().saturating_add(27);
    Signature(bytes)
}

/// A state with one valid signature of every participant, in order. It exists only checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SignedState {
    state: State,
    signatures: Vec<Signature>,
}

impl SignedState {
    /// Checks every signature and binds them to the state.
    pub fn new(
        params: &Params,
        state: State,
        signatures: Vec<Signature>,
    ) -> Result<Self, SignatureRefusal> {
        if signatures.len() != params.participants().len() {
            return Err(SignatureRefusal::Count);
        }
        let digest = state.digest();
        params.participants().iter().zip(&signatures).try_for_each(
            |(participant, signature)| signature.verify(&digest, participant.address()),
        )?;
        Ok(Self { state, signatures })
    }

    /// Binds signatures that were each checked when they arrived or were made here.
    ///
    /// The caller vouches for them; the adjudicator checks again before money moves.
    #[must_use]
    pub const fn from_checked(state: State, signatures: Vec<Signature>) -> Self {
        Self { state, signatures }
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// One signature per participant, in order.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }
}

impl Encode for SignedState {
    fn encode(&self, out: &mut Vec<u8>) {
        self.state.encode(out);
        codec::put_list(out, &self.signatures);
    }
}

/// A signed state as it lies in a file or message: decoded, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UncheckedState {
    /// The state.
    pub state: State,
    /// The claimed signatures.
    pub signatures: Vec<Signature>,
}

impl UncheckedState {
    /// Checks the signatures against the participants.
    pub fn check(self, params: &Params) -> Result<SignedState, SignatureRefusal> {
        SignedState::new(params, self.state, self.signatures)
    }
}

impl Decode for UncheckedState {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let state = State::decode(reader)?;
        Ok(Self { state, signatures: reader.list(MAX_PARTICIPANTS)? })
    }
}

#[cfg(all(test, feature = "sign"))]
mod tests {
    use alloc::vec;

    use secp256k1::{PublicKey, SecretKey};

    use super::{SignatureRefusal as R, *};
    use crate::{Allocation, Amount, Asset, Participant};

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_secret_bytes([byte; 32]).unwrap()
    }

    fn address(byte: u8) -> Address {
        Address::of_key(&PublicKey::from_secret_key(&key(byte)))
    }

    fn scene() -> (Params, State) {
        let party = |byte| Participant::new(address(byte), vec![]).unwrap();
        let params = Params::new(60, [7; 32], vec![party(1), party(2)]).unwrap();
        let row = vec![Amount::new(3), Amount::new(4)];
        let outcome = Allocation::new(vec![Asset::ckb(1)], vec![row], vec![]).unwrap();
        let state = State::initial(params.id(), outcome);
        (params, state)
    }

    fn spelt(s: [u8; 32], v: u8) -> Result<Signature, R> {
        Signature::new(&[&[1; 32][..], &s, &[v]].concat())
    }

    #[test]
    fn a_signature_has_65_bytes() {
        for length in [0, 1, 64, 66, 130] {
            assert_eq!(Signature::new(&vec![27; length]), Err(R::Length), "{length}");
        }
    }

    #[test]
    fn v_is_27_or_28() {
        for v in 0..=u8::MAX {
            let expected = if matches!(v, 27 | 28) { Ok(()) } else { Err(R::RecoveryByte) };
            assert_eq!(spelt([1; 32], v).map(|_| ()), expected, "{v}");
        }
    }

    #[test]
    fn s_is_at_most_half_the_order() {
        let mut above = HALF_ORDER;
        above[31] += 1;
        assert!(spelt(HALF_ORDER, 27).is_ok());
        assert_eq!(spelt(above, 27), Err(R::HighS));
        assert_eq!(spelt([0xff; 32], 28), Err(R::HighS));
    }

    #[test]
    fn a_signature_of_zeros_is_nobodys() {
        let zeros = spelt([0; 32], 27).unwrap();
        assert_eq!(zeros.signer(&[5; 32]), Err(R::Unrecoverable));
        assert_eq!(zeros.verify(&[5; 32], &Address::ZERO), Err(R::Unrecoverable));
    }

    #[test]
    fn signing_gives_the_strict_spelling_and_the_signer() {
        for byte in 1..=64 {
            let signature = sign(&[byte; 32], &key(byte));
            assert_eq!(Signature::new(signature.as_bytes()), Ok(signature));
            assert_eq!(signature.signer(&[byte; 32]), Ok(address(byte)));
            assert_eq!(signature.verify(&[byte; 32], &address(byte + 1)), Err(R::WrongSigner));
        }
    }

    #[test]
    fn a_signed_state_needs_every_participant_once_and_in_order() {
        let (params, state) = scene();
        let digest = state.digest();
        let (one, two) = (sign(&digest, &key(1)), sign(&digest, &key(2)));
        let make = |signatures| SignedState::new(&params, state.clone(), signatures).map(|_| ());
        assert_eq!(make(vec![one, two]), Ok(()));
        for count in [vec![], vec![one], vec![one, two, two]] {
            assert_eq!(make(count), Err(R::Count));
        }
        for wrong in [vec![two, one], vec![one, one], vec![two, two]] {
            assert_eq!(make(wrong), Err(R::WrongSigner));
        }
        let stranger = sign(&digest, &key(3));
        assert_eq!(make(vec![one, stranger]), Err(R::WrongSigner));
    }

    #[test]
    fn signatures_count_for_their_state_alone() {
        let (params, state) = scene();
        let digest = state.digest();
        let signatures = vec![sign(&digest, &key(1)), sign(&digest, &key(2))];
        let unchecked = UncheckedState { state: state.clone().finalized(), signatures };
        assert_eq!(unchecked.clone().check(&params), Err(R::WrongSigner));
        let signed = UncheckedState { state, ..unchecked }.check(&params).unwrap();
        let bytes = signed.to_bytes();
        assert_eq!(UncheckedState::from_bytes(&bytes).unwrap().check(&params), Ok(signed));
    }
}
