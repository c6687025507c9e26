//! The compact encoding: every row of `vectors/codec.json`, taken and refused.

use std::collections::BTreeMap;

use perun_channel::codec::{Decode, DecodeError, Encode};
use perun_channel::sig::UncheckedState;
use perun_channel::{Params, Signature, SignedState, State};
use serde_json::Value;

use crate::read;

fn vectors() -> Value {
    read::file("codec.json")
}

/// Takes the golden bytes; refuses every strict prefix and a byte more.
fn check_bytes<T: Decode + PartialEq + std::fmt::Debug>(row: &Value, value: &T) {
    let golden = read::bytes(row, "bytes");
    assert_eq!(T::from_bytes(&golden).as_ref(), Ok(value), "{}", row["name"]);
    // All prefixes of the short ones, and a stride through the long ones.
    for end in (0..golden.len()).step_by(golden.len() / 600 + 1) {
        let outcome = T::from_bytes(&golden[..end]).map(|_| ());
        assert_eq!(outcome, Err(DecodeError::Short), "{} up to {end}", row["name"]);
    }
    for byte in [0, 1, 255] {
        let longer = [golden.as_slice(), &[byte]].concat();
        let outcome = T::from_bytes(&longer).map(|_| ());
        assert_eq!(outcome, Err(DecodeError::Trailing), "{}", row["name"]);
    }
}

#[test]
fn params_have_their_golden_bytes() {
    for row in read::list(&vectors(), "params") {
        let params = read::params(row).unwrap();
        assert_eq!(params.to_bytes(), read::bytes(row, "bytes"), "{}", row["name"]);
        assert_eq!(params.id().as_bytes(), &read::array(row, "id"), "{}", row["name"]);
        check_bytes(row, &params);
    }
}

#[test]
fn states_have_their_golden_bytes() {
    for row in read::list(&vectors(), "states") {
        let state = read::state(row).unwrap();
        assert_eq!(state.to_bytes(), read::bytes(row, "bytes"), "{}", row["name"]);
        assert_eq!(state.hash(), read::array(row, "hash"), "{}", row["name"]);
        check_bytes(row, &state);
    }
}

#[test]
fn signed_states_have_their_golden_bytes() {
    let ethereum = read::file("ethereum.json");
    for row in read::list(&vectors(), "signed") {
        let params = read::named(&ethereum, "params", read::text(row, "params"));
        let state = read::named(&ethereum, "states", read::text(row, "state"));
        let params = read::params(params).unwrap();
        let signatures = read::list(row, "signatures").iter().map(read::signature).collect();
        let unchecked = UncheckedState { state: read::state(state).unwrap(), signatures };
        check_bytes(row, &unchecked);
        let signed = unchecked.check(&params).unwrap();
        assert_eq!(signed.to_bytes(), read::bytes(row, "bytes"), "{}", row["name"]);
    }
}

/// The reason for which this crate refuses the row, spelt as in the files.
fn refusal(row: &Value, ethereum: &Value) -> Option<String> {
    let bytes = read::bytes(row, "bytes");
    let decoding = |refusal| match refusal {
        DecodeError::Invalid(law) => format!("Invalid:{law:?}"),
        other => format!("{other:?}"),
    };
    match read::text(row, "kind") {
        "params" => Params::from_bytes(&bytes).err().map(decoding),
        "state" => State::from_bytes(&bytes).err().map(decoding),
        "signed" => UncheckedState::from_bytes(&bytes).err().map(decoding),
        "signature" => Signature::new(&bytes).err().map(|reason| format!("{reason:?}")),
        "signature-check" => {
            let signature = Signature::new(&bytes).unwrap();
            let address = read::address(row, "address");
            let verdict = signature.verify(&read::array(row, "digest"), &address);
            verdict.err().map(|reason| format!("{reason:?}"))
        }
        "signed-check" => {
            let params = read::named(ethereum, "params", read::text(row, "params"));
            let params = read::params(params).unwrap();
            let unchecked = UncheckedState::from_bytes(&bytes).unwrap();
            let verdict = SignedState::new(&params, unchecked.state, unchecked.signatures);
            verdict.err().map(|reason| format!("{reason:?}"))
        }
        other => panic!("no such kind: {other}"),
    }
}

#[test]
fn refusals_name_their_reason() {
    let ethereum = read::file("ethereum.json");
    for row in read::list(&vectors(), "refusals") {
        let reason = refusal(row, &ethereum);
        assert_eq!(reason.as_deref(), Some(read::text(row, "reason")), "{}", row["name"]);
    }
}

/// Every reason that bytes can meet stands in the file, at least twice. The others (for example
/// `Invalid:LockedCount`) belong to constructors; a decoder says `TooLong` before they are reached.
#[test]
fn every_reason_has_two_rows() {
    let mut seen = BTreeMap::new();
    let all = vectors();
    for row in read::list(&all, "refusals") {
        *seen.entry(read::text(row, "reason")).or_insert(0) += 1;
    }
    let reasons = [
        "Short",
        "Trailing",
        "TooLong",
        "UnknownTag",
        "Length",
        "RecoveryByte",
        "HighS",
        "Unrecoverable",
        "WrongSigner",
        "Count",
        "Invalid:ParticipantCount",
        "Invalid:DuplicateParticipant",
        "Invalid:ChallengeDuration",
        "Invalid:AssetCount",
        "Invalid:DuplicateAsset",
        "Invalid:BalanceShape",
        "Invalid:DuplicateLocked",
        "Invalid:LockedShape",
        "Invalid:Amount",
    ];
    for reason in reasons {
        assert!(seen.get(reason).is_some_and(|rows| *rows >= 2), "{reason}");
    }
    assert_eq!(seen.len(), reasons.len(), "{seen:?}");
}
