//! `perun inspect`: say in words what a transaction does to its channels, where a channel stands,
//! or what encoded bytes mean.
//!
//! It reads and computes; it never sends. What the input does not contain is asked of a node, if
//! one is named. The invariant: nothing handed in, however damaged, makes it stop without an
//! answer, and nothing is said of money that was not read from the bytes themselves.

mod action;
mod cell;
mod detect;
mod lookup;
mod site;
mod source;
mod transaction;
mod value;
mod words;

pub(crate) use action::{action_name, actions_in, version_in};

use crate::problem::Problem;
use crate::programs::Programs;
use crate::report::Report;
use crate::text::hex;
use ckb_types::{packed::Byte32, prelude::*};
use detect::Found;
use perun_backend_ckb::rpc::{HttpRpc, Rpc};
use perun_channel::ChannelId;
use source::Input;

/// The most bytes of input that are read: a transaction of the largest size, as JSON, twice over.
pub const INPUT_MAX: usize = 4 * 1024 * 1024;

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// A file, `-`, hexadecimal bytes, or a name.
    pub what: String,
    /// The node to ask.
    pub ckb_rpc: Option<String>,
}

/// A node and its address.
pub struct Node<'a> {
    /// The node.
    pub rpc: &'a dyn Rpc,
    /// Where it is, for error texts.
    pub url: &'a str,
}

/// Explains what was asked for.
pub fn answer(question: &Question) -> Result<Report, Problem> {
    let programs = Programs::of_environment()?;
    let input = source::read(&question.what)?;
    match &question.ckb_rpc {
        None => explain(&input, &programs, None),
        Some(url) => {
            let rpc = HttpRpc::new(url)?;
            explain(&input, &programs, Some(&Node { rpc: &rpc, url }))
        }
    }
}

/// Explains a text as if it were the contents of a file.
pub fn explain_text(
    text: &str,
    programs: &Programs,
    node: Option<&Node<'_>>,
) -> Result<Report, Problem> {
    explain(&source::of_contents(text.as_bytes())?, programs, node)
}

fn explain(input: &Input, programs: &Programs, node: Option<&Node<'_>>) -> Result<Report, Problem> {
    let env = &programs.env();
    let found = match input {
        Input::OutPoint(out_point) => {
            let Some(node) = node else {
                return Err(Problem::NeedsNode { what: "an out point".to_owned() });
            };
            return cell::at(out_point, env, node);
        }
        Input::Bytes(bytes) => detect::bytes(bytes)?,
        Input::Json(json) => detect::json(json)?,
    };
    match found {
        Found::Name(name) => by_name(&name, programs, node),
        Found::Transaction(tx) => transaction::report_given(&tx, env, node),
        Found::ChannelCell(cell, capacity) => Ok(cell::report(&cell, capacity, None, None)),
        Found::State(state) => Ok(value::state(&state)),
        Found::SignedState(signed) => Ok(value::signed_state(&signed)),
        Found::Params(params) => Ok(value::params(&params)),
        Found::Setup(setup) => Ok(value::setup(&setup)),
        Found::Action(found) => Ok(action::alone(&found)),
    }
}

/// Thirty-two bytes name a transaction or a channel; only a node can say which.
fn by_name(
    name: &[u8; 32],
    programs: &Programs,
    node: Option<&Node<'_>>,
) -> Result<Report, Problem> {
    let env = &programs.env();
    let Some(node) = node else {
        let what = "a hash of 32 bytes (a transaction's, or a channel's id)".to_owned();
        return Err(Problem::NeedsNode { what });
    };
    let lookup = node.rpc.transaction(&Byte32::from_slice(name).unwrap_or_default())?;
    if let Some(tx) = &lookup.transaction {
        return transaction::report_looked_up(tx, &lookup, env, node);
    }
    match lookup::channel_cell(&ChannelId::new(*name), programs, node.rpc)? {
        Some(out_point) => cell::at(&out_point, env, node),
        None => {
            let hash = hex::full(name);
            let what = format!("a transaction or an open channel named {hash}");
            Err(Problem::Unknown { url: node.url.to_owned(), what })
        }
    }
}
