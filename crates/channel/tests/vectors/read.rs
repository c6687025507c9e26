//! Reads the JSON of `vectors/README.md` into the crate's types. Panics on anything malformed: the
//! files are ours.

use perun_channel::{
    Address, Allocation, Amount, Asset, BackendId, ChannelId, Invalid, Params, Participant,
    Signature, State, SubAlloc, Version,
};
use serde_json::Value;

/// One of the files in `vectors/`.
pub(crate) fn file(name: &str) -> Value {
    let path = format!("{}/../../vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The elements of a list.
pub(crate) fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().unwrap_or_else(|| panic!("{field} is no list in {value}"))
}

/// The element of a list with this name.
pub(crate) fn named<'a>(value: &'a Value, field: &str, name: &str) -> &'a Value {
    list(value, field).iter().find(|row| row["name"] == name).unwrap()
}

pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is no string in {value}"))
}

pub(crate) fn bytes(value: &Value, field: &str) -> Vec<u8> {
    unhex(text(value, field))
}

pub(crate) fn array<const N: usize>(value: &Value, field: &str) -> [u8; N] {
    bytes(value, field).try_into().unwrap()
}

pub(crate) fn flag(value: &Value, field: &str) -> bool {
    value[field].as_bool().unwrap()
}

pub(crate) fn index(value: &Value, field: &str) -> usize {
    value[field].as_u64().unwrap().try_into().unwrap()
}

pub(crate) fn amount(value: &Value) -> Amount {
    Amount::new(value.as_str().unwrap().parse().unwrap())
}

fn amounts(value: &Value) -> Vec<Amount> {
    value.as_array().unwrap().iter().map(amount).collect()
}

fn unhex(digits: &str) -> Vec<u8> {
    let digits = digits.strip_prefix("0x").unwrap();
    assert!(digits.len().is_multiple_of(2) && digits.is_ascii(), "odd hexadecimal: {digits}");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

pub(crate) fn address(value: &Value, field: &str) -> Address {
    Address::new(array(value, field))
}

pub(crate) fn params(row: &Value) -> Result<Params, Invalid> {
    let participants = list(row, "participants")
        .iter()
        .map(|one| Participant::new(address(one, "address"), bytes(one, "foreign")))
        .collect::<Result<_, _>>()?;
    Params::with_kind(
        text(row, "challenge_secs").parse().unwrap(),
        array(row, "nonce"),
        participants,
        address(row, "app"),
        flag(row, "is_ledger"),
        flag(row, "is_virtual"),
    )
}

fn asset(row: &Value) -> Result<Asset, Invalid> {
    Asset::new(
        BackendId::new(u32::try_from(row["backend"].as_u64().unwrap()).unwrap()),
        text(row, "chain").parse().unwrap(),
        address(row, "holder"),
        bytes(row, "foreign"),
    )
}

fn locked(row: &Value) -> SubAlloc {
    let map = list(row, "index_map");
    SubAlloc::new(
        ChannelId::new(array(row, "id")),
        amounts(&row["balances"]),
        map.iter().map(|one| one.as_u64().unwrap().try_into().unwrap()).collect(),
    )
}

pub(crate) fn state(row: &Value) -> Result<State, Invalid> {
    let outcome = &row["outcome"];
    let outcome = Allocation::new(
        list(outcome, "assets").iter().map(asset).collect::<Result<_, _>>()?,
        list(outcome, "balances").iter().map(amounts).collect(),
        list(outcome, "locked").iter().map(locked).collect(),
    )?;
    let version = Version::new(text(row, "version").parse().unwrap());
    let id = ChannelId::new(array(row, "id"));
    State::new(id, version, outcome, bytes(row, "data"), flag(row, "is_final"))
}

pub(crate) fn signature(value: &Value) -> Signature {
    Signature::new(&unhex(value.as_str().unwrap())).unwrap()
}
