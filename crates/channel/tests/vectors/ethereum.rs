//! What Ethereum hashes and signs: every row of `vectors/ethereum.json`.

use perun_channel::hash::keccak256;
use perun_channel::{Address, Signature, abi, sig};
use secp256k1::{PublicKey, SecretKey};
use serde_json::Value;

use crate::read;

fn vectors() -> Value {
    read::file("ethereum.json")
}

fn key(all: &Value, name: &str) -> (SecretKey, Address) {
    let row = read::named(all, "keys", name);
    let secret = SecretKey::from_secret_bytes(read::array(row, "secret")).unwrap();
    (secret, read::address(row, "address"))
}

/// Signs afresh, compares every byte, and recovers the signer.
fn check_signature(digest: &[u8; 32], (secret, address): (SecretKey, Address), expected: &Value) {
    let expected = read::signature(expected);
    assert_eq!(sig::sign(digest, &secret), expected, "RFC 6979 leaves one right answer");
    assert_eq!(expected.signer(digest), Ok(address));
    assert_eq!(expected.verify(digest, &address), Ok(()));
}

#[test]
fn addresses_of_keys() {
    let all = vectors();
    for row in read::list(&all, "keys") {
        let (secret, address) = key(&all, read::text(row, "name"));
        assert_eq!(Address::of_key(&PublicKey::from_secret_key(&secret)), address, "{row}");
    }
}

#[test]
fn w29_params_encode_and_name_their_channel() {
    let all = vectors();
    for row in read::list(&all, "params") {
        let params = read::params(row).unwrap();
        assert_eq!(abi::params(&params), read::bytes(row, "abi"), "{}", row["name"]);
        assert_eq!(params.id().as_bytes(), &read::array(row, "id"), "{}", row["name"]);
    }
}

#[test]
fn the_offset_word_is_part_of_the_encoding() {
    let all = vectors();
    let row = read::named(&all, "params", "bobaface");
    let params = read::params(row).unwrap();
    let wrong: [u8; 32] = read::array(row, "id_without_offset_word");
    assert_ne!(params.id().as_bytes(), &wrong);
    let encoded = abi::params(&params);
    assert_eq!(keccak256(&[&encoded[32..]]), wrong, "the row describes the wrong encoder");
}

#[test]
fn w29_states_encode_hash_and_sign() {
    let all = vectors();
    for row in read::list(&all, "states") {
        let name = &row["name"];
        let state = read::state(row).unwrap();
        let params = read::params(read::named(&all, "params", read::text(row, "params"))).unwrap();
        assert_eq!(*state.id(), params.id(), "{name}");
        assert_eq!(abi::state(&state), read::bytes(row, "abi"), "{name}");
        assert_eq!(state.hash(), read::array(row, "hash"), "{name}");
        assert_eq!(state.digest(), read::array(row, "digest"), "{name}");
        let signatures = read::list(row, "signatures");
        assert!(!signatures.is_empty(), "{name}");
        for one in signatures {
            let key = key(&all, read::text(one, "key"));
            check_signature(&state.digest(), key, &one["signature"]);
        }
    }
}

#[test]
fn an_empty_index_map_signs_like_the_identity_and_a_short_one_like_zeros() {
    let all = vectors();
    let encoded = |name| {
        let state = read::state(read::named(&all, "states", name)).unwrap();
        (state.clone(), abi::state(&state))
    };
    let (empty, empty_bytes) = encoded("v1-map-empty");
    let (identity, identity_bytes) = encoded("v1-map-identity");
    let (short, short_bytes) = encoded("v1-map-short");
    let (swapped, swapped_bytes) = encoded("v1-map-swapped");
    assert_eq!(empty_bytes, identity_bytes);
    assert_eq!(short_bytes, swapped_bytes);
    assert_ne!(empty_bytes, swapped_bytes);
    assert!(empty != identity && short != swapped, "as values they stay apart");
}

#[test]
fn deposits_have_their_names() {
    let all = vectors();
    for row in read::list(&all, "funding") {
        let params = read::params(read::named(&all, "params", read::text(row, "params"))).unwrap();
        let owner = params.participants()[read::index(row, "participant")].address();
        let encoded = abi::funding(&params.id(), owner);
        assert_eq!(encoded, read::bytes(row, "abi"), "{}", row["name"]);
        assert_eq!(keccak256(&[&encoded]), read::array(row, "id"), "{}", row["name"]);
    }
}

/// The crate has no type for an authorisation to withdraw; its words are spelt out here, so that
/// the rows are known to be right before the Ethereum backend reads them.
#[test]
fn withdrawal_authorisations_hash_and_sign() {
    let word = |content: &[u8]| [vec![0; 32 - content.len()], content.to_vec()].concat();
    let number = |number: u128| word(&number.to_be_bytes());
    let all = vectors();
    for row in read::list(&all, "withdrawals") {
        assert!(read::bytes(row, "foreign").is_empty(), "the words below have no foreign bytes");
        let params = read::named(&all, "params", read::text(row, "params"));
        let (secret, address) = key(&all, read::text(row, "key"));
        let encoded = [
            number(0x20),
            read::bytes(params, "id"),
            number(0x80),
            word(&read::bytes(row, "receiver")),
            number(read::amount(&row["amount"]).get()),
            word(address.as_bytes()),
            number(0x40),
            number(0),
        ]
        .concat();
        assert_eq!(encoded, read::bytes(row, "abi"), "{}", row["name"]);
        let hash = keccak256(&[&encoded]);
        assert_eq!(hash, read::array(row, "hash"), "{}", row["name"]);
        let digest = sig::eip191(&hash);
        assert_eq!(digest, read::array(row, "digest"), "{}", row["name"]);
        check_signature(&digest, (secret, address), &row["signature"]);
    }
}

#[test]
fn every_golden_signature_is_spelt_strictly() {
    let all = vectors();
    let of_states = read::list(&all, "states").iter().flat_map(|row| read::list(row, "signatures"));
    for row in of_states.chain(read::list(&all, "withdrawals")) {
        Signature::new(&read::bytes(row, "signature")).unwrap();
    }
}
