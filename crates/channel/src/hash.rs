//! The hash functions: Keccak-256 for everything that is signed, CKB's Blake2b-256 for names of
//! scripts and cells, and SHA-256 for the locks of swaps, which other ledgers can compute as well.

use blake2b_ref::Blake2bBuilder;
use sha2::Sha256;
use sha3::{Digest, Keccak256};

/// Keccak-256, as Ethereum uses it (not FIPS-202 SHA3).
#[must_use]
pub fn keccak256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Blake2b-256 with CKB's personalization, the hash of its scripts, cells and transactions.
#[must_use]
pub fn ckb_hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Blake2bBuilder::new(32).personal(b"ckb-default-hash").build();
    for part in parts {
        hasher.update(part);
    }
    let mut digest = [0; 32];
    hasher.finalize(&mut digest);
    digest
}

/// SHA-256.
#[must_use]
pub fn sha256(content: &[u8]) -> [u8; 32] {
    Sha256::digest(content).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digest: [u8; 32]) -> std::string::String {
        digest.iter().map(|byte| std::format!("{byte:02x}")).collect()
    }

    #[test]
    fn keccak_is_the_one_before_the_standard() {
        let empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
        let abc = "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45";
        assert_eq!(hex(keccak256(&[])), empty);
        assert_eq!(hex(keccak256(&[b"abc"])), abc);
    }

    /// The empty hash is CKB's published constant `BLANK_HASH`.
    #[test]
    fn ckb_hash_is_personalized() {
        let blank = "44f4c69744d5f8c55d642062949dcae49bc4e7ef43d388c5a12f42b5633d163e";
        assert_eq!(hex(ckb_hash(&[])), blank);
        assert_ne!(ckb_hash(&[b"abc"]), ckb_hash(&[b"abd"]));
    }

    /// FIPS 180-2, appendix B.1.
    #[test]
    fn sha256_is_the_standard_one() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(sha256(b"abc")), abc);
    }

    #[test]
    fn parts_are_hashed_as_one_string() {
        assert_eq!(keccak256(&[b"a", b"", b"bc"]), keccak256(&[b"abc"]));
        assert_eq!(ckb_hash(&[b"a", b"", b"bc"]), ckb_hash(&[b"abc"]));
    }
}
