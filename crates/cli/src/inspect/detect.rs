//! Which kind of thing the input is, by trying each and keeping what every one of them said.

use super::action;
use crate::problem::Problem;
use ckb_jsonrpc_types as wire;
use ckb_types::{core::TransactionView, packed, prelude::*};
use perun_channel::adjudicator::{Action, CHANNEL_DATA_LENGTH, ChannelCell, Setup};
use perun_channel::codec::Decode;
use perun_channel::sig::UncheckedState;
use perun_channel::{Params, State};
use serde_json::Value;

/// What the input is.
#[derive(Debug)]
pub(super) enum Found {
    /// The name of something.
    Name([u8; 32]),
    /// A transaction.
    Transaction(TransactionView),
    /// The data of a channel's cell, and the cell's capacity if it is known.
    ChannelCell(ChannelCell, Option<u64>),
    /// A state.
    State(State),
    /// A state with signatures.
    SignedState(UncheckedState),
    /// Parameters.
    Params(Params),
    /// A setup.
    Setup(Setup),
    /// An action, perhaps taken out of its witness.
    Action(Action),
}

/// The most levels of wrapping around what is looked for in JSON, such as a reply's `result`.
const WRAPPINGS_MAX: usize = 4;

/// Tells what bytes are. The encodings are strict, so that hardly any bytes are two things at once;
/// the ones with a fixed length or a checked structure come first.
pub(super) fn bytes(bytes: &[u8]) -> Result<Found, Problem> {
    if let Ok(name) = bytes.try_into() {
        return Ok(Found::Name(name));
    }
    let mut tried = Vec::new();
    let mut keep = |kind: &str, reason: String| tried.push(format!("not {kind}: {reason}"));
    if bytes.len() == CHANNEL_DATA_LENGTH {
        match ChannelCell::from_data(bytes) {
            Ok(cell) => return Ok(Found::ChannelCell(cell, None)),
            Err(code) => keep("a channel cell's data", code.to_string()),
        }
    }
    match packed::Transaction::from_slice(bytes) {
        Ok(tx) => return Ok(Found::Transaction(tx.into_view())),
        Err(_) => keep("a transaction", "not of the chain's form".to_owned()),
    }
    if let Some(found) = action::in_witness(bytes).next() {
        return Ok(Found::Action(found.1));
    }
    match UncheckedState::from_bytes(bytes) {
        Ok(signed) => return Ok(Found::SignedState(signed)),
        Err(error) => keep("a signed state", error.to_string()),
    }
    match State::from_bytes(bytes) {
        Ok(state) => return Ok(Found::State(state)),
        Err(error) => keep("a state", error.to_string()),
    }
    match Params::from_bytes(bytes) {
        Ok(params) => return Ok(Found::Params(params)),
        Err(error) => keep("parameters", error.to_string()),
    }
    match Setup::from_bytes(bytes) {
        Ok(setup) => return Ok(Found::Setup(setup)),
        Err(error) => keep("a channel's setup", error.to_string()),
    }
    match Action::read(bytes) {
        Ok(action) => return Ok(Found::Action(action)),
        Err(code) => keep("a witness or its action", code.to_string()),
    }
    Err(Problem::NotUnderstood(format!(
        "these {} bytes are nothing that can be explained; nothing was assumed about them.\n  {}",
        bytes.len(),
        tried.join("\n  ")
    )))
}

/// Tells what JSON is: a transaction or a cell, alone or inside a request or reply.
pub(super) fn json(json: &Value) -> Result<Found, Problem> {
    let mut inner = json;
    for _ in 0..WRAPPINGS_MAX {
        if inner.get("inputs").is_some() && inner.get("witnesses").is_some() {
            return transaction(inner);
        }
        if inner.get("output").is_some() {
            return cell(inner);
        }
        let wrapped = ["result", "params", "transaction", "tx", "cell"];
        let wrapped = wrapped.iter().find_map(|key| inner.get(key)).or_else(|| inner.get(0));
        match wrapped {
            // A node may answer in hexadecimal.
            Some(Value::String(text)) => {
                let text = crate::text::hex::parse(text).unwrap_or_default();
                return bytes(&text);
            }
            Some(next) => inner = next,
            None => break,
        }
    }
    Err(Problem::NotUnderstood(
        "the JSON holds no transaction (an object with `inputs` and `witnesses`) and no cell (an object \
         with `output` and its data), not inside `result`, `params` or `transaction` either; \
         hand in what `get_transaction` or `get_live_cell` answers"
            .to_owned(),
    ))
}

fn transaction(json: &Value) -> Result<Found, Problem> {
    let mut json = json.clone();
    // What a node adds for its readers; the hash is computed from the rest.
    if let Some(fields) = json.as_object_mut() {
        fields.remove("hash");
    }
    let tx: wire::Transaction = serde_json::from_value(json).map_err(|error| {
        Problem::NotUnderstood(format!(
            "the JSON looks like a transaction, but is none of the chain's form: {error}"
        ))
    })?;
    Ok(Found::Transaction(packed::Transaction::from(tx).into_view()))
}

fn cell(json: &Value) -> Result<Found, Problem> {
    let malformed =
        |what: &str| Problem::NotUnderstood(format!("the JSON looks like a cell, but {what}"));
    let data = json.pointer("/data/content").or_else(|| json.get("output_data"));
    let data = data.and_then(Value::as_str).ok_or_else(|| malformed("has no data"))?;
    let data = crate::text::hex::parse(data).map_err(|error| malformed(&error.to_string()))?;
    let channel = ChannelCell::from_data(&data)
        .map_err(|code| malformed(&format!("it is not a channel's: {code}")))?;
    let number = |shown: &Value| -> Option<u64> {
        u64::from_str_radix(shown.as_str()?.strip_prefix("0x")?, 16).ok()
    };
    let capacity = match json.pointer("/output/capacity") {
        None => None,
        Some(shown) => match number(shown) {
            None => return Err(malformed("its capacity is no number of 64 bits")),
            capacity => capacity,
        },
    };
    Ok(Found::ChannelCell(channel, capacity))
}
