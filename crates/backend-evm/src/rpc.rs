//! What is asked of a node, and what can go wrong with it.
//!
//! One door, [`Rpc`], with the words of Ethereum's JSON-RPC, so that a node over HTTP, an embedded
//! chain and one that misbehaves on purpose are the same to everything above. [`Node`] gives the
//! answers types. The invariant: an answer that is not what was asked for is an error here, not a
//! surprise above.

mod http;
mod node;
mod wire;

pub use http::HttpRpc;
pub use node::{At, Block, CallRequest, Fate, Log, LogQuery, Node};

use alloy_primitives::Bytes;
use serde_json::Value;

use crate::revert::Revert;

/// Most calls in one batch.
pub const BATCH_MAX: usize = 100;

/// A node of an Ethereum chain.
pub trait Rpc: Send + Sync {
    /// Asks one thing. `params` is a JSON array.
    fn request(&self, method: &str, params: Value) -> Result<Value, RpcError>;

    /// Asks many things; the answers stand in the order of the questions. One by one, unless the
    /// node can do better.
    fn batch(&self, calls: Vec<(&'static str, Value)>) -> Vec<Result<Value, RpcError>> {
        calls.into_iter().map(|(method, params)| self.request(method, params)).collect()
    }
}

impl<T: Rpc + ?Sized> Rpc for std::sync::Arc<T> {
    fn request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        (**self).request(method, params)
    }

    fn batch(&self, calls: Vec<(&'static str, Value)>) -> Vec<Result<Value, RpcError>> {
        (**self).batch(calls)
    }
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The node was not reached, or its answer was not. What was asked may have been done.
    #[error(
        "the node cannot be reached ({0}); what was sent may have arrived all the same, and is looked for \
         when the node is back"
    )]
    Transport(String),
    /// The node says no.
    #[error("the node refuses: {message} (code {code}); nothing was sent")]
    Refused {
        /// The JSON-RPC code.
        code: i64,
        /// The node's words.
        message: String,
        /// What a contract gave back, if one was run.
        data: Option<Bytes>,
    },
    /// The answer is not what was asked for.
    #[error(
        "the node's answer to {method} is not {what}; nothing is believed of it; use another node"
    )]
    Reply {
        /// What was asked.
        method: String,
        /// What should have come.
        what: &'static str,
    },
}

impl RpcError {
    /// What a contract gave back, if the refusal is a contract's.
    #[must_use]
    pub fn revert(&self) -> Option<Revert> {
        let Self::Refused { code, message, data } = self else { return None };
        let is_revert = *code == 3 || message.to_ascii_lowercase().contains("revert");
        match data {
            Some(data) if is_revert => Some(Revert::read(data)),
            None if is_revert => Some(Revert::read(&[])),
            _ => None,
        }
    }

    /// Whether the node's refusal of a transaction has this meaning.
    pub(crate) fn says(&self, words: &[&str]) -> bool {
        let Self::Refused { message, .. } = self else { return false };
        let message = message.to_ascii_lowercase();
        words.iter().any(|word| message.contains(word))
    }
}
