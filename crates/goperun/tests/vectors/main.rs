//! Bytes that go-perun wrote, and bytes that go-perun must read.
//!
//! `vectors/goperun-messages.json` comes from go-perun itself. `vectors/goperun-answers.json` is
//! written here; `interop/go-perun` checks that go-perun reads it.

mod describe;
#[path = "../random/mod.rs"]
mod random;

use std::fmt::Write as _;
use std::path::PathBuf;

use describe::{describe, hex};
use perun_channel::Address;
use perun_goperun::{
    AppState, ChannelParams, ClaimedState, DecodeError, Envelope, Message, Serializer, Transaction,
};
use random::Random;
use serde_json::Value;

const BOTH: [(Serializer, &str); 2] =
    [(Serializer::Native, "native"), (Serializer::Protobuf, "protobuf")];

fn path(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors")).join(file)
}

fn unhex(text: &str) -> Vec<u8> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty());
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(|pair| byte(pair.as_slice())).collect()
}

struct Row {
    name: String,
    value: Value,
}

impl Row {
    fn bytes(&self, field: &str) -> Option<Vec<u8>> {
        self.value[field].as_str().map(unhex).filter(|bytes| !bytes.is_empty())
    }

    fn loses_locked(&self) -> bool {
        self.value["loses_locked"].as_bool().unwrap_or(false)
    }

    fn says(&self) -> Option<Vec<String>> {
        let lines = self.value["says"].as_array()?;
        Some(lines.iter().map(|line| line.as_str().unwrap().to_owned()).collect())
    }
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(path("goperun-messages.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let rows = file["rows"].as_array().unwrap();
    let row = |value: &Value| Row {
        name: value["name"].as_str().unwrap().to_owned(),
        value: value.clone(),
    };
    rows.iter().map(row).collect()
}

fn read(serializer: Serializer, bytes: &[u8], name: &str) -> Envelope {
    let (envelope, length) = serializer
        .decode(bytes)
        .unwrap_or_else(|error| panic!("{name}, {serializer:?}: {error:?}"));
    assert_eq!(length, bytes.len(), "{name}, {serializer:?}: left over");
    envelope
}

#[test]
fn what_go_perun_writes_is_read_and_written_in_the_same_bytes() {
    let mut kinds = std::collections::BTreeSet::new();
    for row in rows() {
        for (serializer, field) in BOTH {
            let Some(bytes) = row.bytes(field) else { continue };
            let envelope = read(serializer, &bytes, &row.name);
            assert_eq!(serializer.encode(&envelope).unwrap(), bytes, "{}, {field}", row.name);
            kinds.insert((field, describe(&envelope)[2].clone()));
        }
    }
    assert_eq!(kinds.len(), 34, "17 messages, twice");
}

#[test]
fn both_formats_of_a_message_say_what_go_perun_says_of_it() {
    let mut told = 0;
    for row in rows() {
        let native = read(Serializer::Native, &row.bytes("native").unwrap(), &row.name);
        if let Some(says) = row.says() {
            assert_eq!(describe(&native), says, "{}", row.name);
            told += 1;
        }
        let Some(protobuf) = row.bytes("protobuf") else { continue };
        let protobuf = read(Serializer::Protobuf, &protobuf, &row.name);
        if row.loses_locked() {
            let without = |envelope: &Envelope| -> Vec<String> {
                let lines = describe(envelope).into_iter();
                lines.filter(|line| !line.starts_with("locked ")).collect()
            };
            assert_ne!(native, protobuf, "{}: go-perun writes what is locked now", row.name);
            assert_eq!(without(&native), without(&protobuf), "{}", row.name);
        } else {
            assert_eq!(native, protobuf, "{}", row.name);
        }
    }
    assert!(told > 17, "only {told} rows have words");
}

#[test]
fn maps_are_read_in_any_order_and_written_in_one() {
    let mut seen = 0;
    for row in rows() {
        for (serializer, field) in BOTH {
            let Some(other) = row.bytes(&format!("{field}_other")) else { continue };
            let sorted = row.bytes(field).unwrap();
            assert_ne!(other, sorted);
            let envelope = read(serializer, &other, &row.name);
            assert_eq!(serializer.encode(&envelope).unwrap(), sorted, "{}", row.name);
            seen += 1;
        }
    }
    assert!(seen >= 4, "only {seen}");
}

/// The same signed state beside parameters of another channel of the same participants.
fn of_another_channel(claim: &ClaimedState) -> ClaimedState {
    let (parties, params) = (claim.params().parties(), claim.params().params());
    let other = ChannelParams::new(
        params.challenge_secs(),
        [0x77; 32],
        parties.to_vec(),
        *params.app(),
        (params.is_ledger(), params.is_virtual()),
        *claim.params().aux(),
    );
    ClaimedState::new(other.unwrap(), claim.transaction().clone()).unwrap()
}

/// The same signed state under another app, which its signatures do not cover.
fn of_another_app(claim: &ClaimedState) -> ClaimedState {
    let state = claim.transaction().state().state().clone();
    let state = AppState::new(Address::new([0x66; 20]), state).unwrap();
    let signatures = claim.transaction().signatures().to_vec();
    let transaction = Transaction::new(state, signatures).unwrap();
    ClaimedState::new(claim.params().clone(), transaction).unwrap()
}

/// go-perun's participants signed these states; ours is the judgement.
#[test]
fn states_that_go_perun_signed_are_signed() {
    let mut signed = 0;
    for row in rows() {
        let envelope = read(Serializer::Native, &row.bytes("native").unwrap(), &row.name);
        let claim = match &envelope.message {
            Message::VirtualFunding(message) => &message.initial,
            Message::VirtualSettlement(message) => &message.last,
            _ => continue,
        };
        let sound = row.name != "settlement-odd";
        assert_eq!(claim.check().is_ok(), sound, "{}", row.name);
        if sound {
            assert!(of_another_channel(claim).check().is_err(), "{}", row.name);
            assert!(of_another_app(claim).check().is_err(), "{}", row.name);
        }
        signed += 1;
    }
    assert!(signed > 6);
}

/// Every strict prefix lacks something and says so, without asking for more than the whole.
#[test]
fn prefixes_wait_for_more() {
    for row in rows() {
        for (serializer, field) in BOTH {
            let Some(bytes) = row.bytes(field).filter(|bytes| bytes.len() < 4_000) else {
                continue;
            };
            for length in 0..bytes.len() {
                let refused = serializer.decode(&bytes[..length]).unwrap_err();
                let DecodeError::Short { wanted } = refused else { panic!("{refused:?}") };
                assert!((length + 1..=bytes.len()).contains(&wanted), "{}", row.name);
            }
        }
    }
}

/// Locked amounts come over protobuf, though go-perun cannot send them.
#[test]
fn locked_amounts_survive_our_protobuf() {
    let mut seen = 0;
    for row in rows().into_iter().filter(Row::loses_locked) {
        let native = read(Serializer::Native, &row.bytes("native").unwrap(), &row.name);
        let bytes = Serializer::Protobuf.encode(&native).unwrap();
        assert_eq!(read(Serializer::Protobuf, &bytes, &row.name), native);
        seen += 1;
    }
    assert!(seen >= 3);
}

fn has_locked(envelope: &Envelope) -> bool {
    describe(envelope).iter().any(|line| line.starts_with("locked "))
}

/// One answer per line, as `interop/go-perun` reads them.
fn answers() -> String {
    let mut out = String::from("{\"source\": \"crates/goperun/tests/vectors\", \"rows\": [\n");
    let mut random = Random::new(2_026);
    let mut rows = Vec::new();
    for round in 0..2 {
        for kind in 0..17 {
            let envelope = random.envelope(kind);
            // go-perun's protobuf crashes on it.
            if matches!(envelope.message, Message::Sync { current: None, .. }) {
                continue;
            }
            let mut row = serde_json::json!({
                "name": format!("{kind}-{round}"),
                "says": describe(&envelope),
                "loses_locked": has_locked(&envelope),
            });
            for (serializer, field) in BOTH {
                row[field] = hex(&serializer.encode(&envelope).unwrap()).into();
            }
            rows.push(row.to_string());
        }
    }
    writeln!(out, "{}\n]}}", rows.join(",\n")).unwrap();
    out
}

/// `PERUN_WRITE_VECTORS=1` writes them instead.
#[test]
fn the_committed_answers_are_what_we_write() {
    let path = path("goperun-answers.json");
    let answers = answers();
    if std::env::var_os("PERUN_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &answers).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(committed == answers, "not what is committed: see the comment of this test");
}
