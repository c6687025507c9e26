//! One JSON-RPC call over HTTP: bounded, with a time limit, and nothing else.
//!
//! It knows neither the methods nor their types. The invariant: whatever the other side sends, a
//! call ends within its time and holds a bounded amount of memory.
//!
//! The bound follows from the longest reply of a call. Its bytes are held up to twice, since the
//! buffer doubles as it grows, and beside them only what the asked type holds; what does not fit
//! the type ends the reading at once. The types of short replies and blocks keep unknown fields as
//! a tree for a while, of which two bytes of JSON can make 32: with growth, at most 24 times the
//! limit, so 6 MB for a short reply and 200 MB for a block. Lists have no such types; their rows
//! are smaller than their JSON: at most 3 times the limit, so 100 MB.

use super::RpcError;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Longest reply that is one answer: a header, a hash, a number. An honest one is a kilobyte; a
/// refusal may quote a transaction's error.
const SHORT_BYTES_MAX: u64 = 256 * 1024;

/// Longest reply with a block or a transaction. A block of at most 597,000 bytes is below 3 MB as
/// JSON; a first block may be larger, with a cell of a megabyte in hexadecimal.
const BLOCK_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Longest reply with a list. The longest honest one is a full page of cells: a thousand rows of
/// at most a block's bytes between them, in hexadecimal.
const LIST_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Longest request that is sent: a transaction of 512,000 bytes is a little over 1 MB as JSON.
const REQUEST_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long one call may take. A node verifies 70 million cycles in about a second.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);

/// How long the connection may take to open.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// How long an unused connection is kept. Shorter than any server's own limit, so that a request is
/// never written to a connection that the server is just closing.
const IDLE_TIME_MAX: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Transport {
    agent: ureq::Agent,
    url: String,
    calls: AtomicU64,
}

/// How long a reply may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    /// One answer.
    Short,
    /// A block, a transaction or a cell.
    Block,
    /// A list of any of them.
    List,
}

impl Length {
    const fn bytes_max(self) -> u64 {
        match self {
            Self::Short => SHORT_BYTES_MAX,
            Self::Block => BLOCK_BYTES_MAX,
            Self::List => LIST_BYTES_MAX,
        }
    }
}

/// A reply, read as the type that was asked for: a tree of everything would take many times its
/// bytes.
#[derive(Deserialize)]
struct Reply<T> {
    result: Option<T>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: String,
}

impl Transport {
    pub(super) fn new(url: &str) -> Result<Self, RpcError> {
        if !url.starts_with("http://") {
            return Err(RpcError::Misuse(format!(
                "{url:?} is not an http:// address, such as http://127.0.0.1:8114; a distant node \
                 needs a TLS proxy in front of it"
            )));
        }
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(CALL_TIME_MAX))
            .timeout_connect(Some(CONNECT_TIME_MAX))
            .max_idle_age(IDLE_TIME_MAX)
            .max_redirects(0)
            .proxy(None)
            .build()
            .new_agent();
        Ok(Self { agent, url: url.to_owned(), calls: AtomicU64::new(0) })
    }

    /// Calls the method and reads its short result as `T`.
    pub(super) fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &Value,
    ) -> Result<T, RpcError> {
        self.call_for(Length::Short, method, params)
    }

    /// Calls the method and reads its result, which is at most so long, as `T`.
    pub(super) fn call_for<T: DeserializeOwned>(
        &self,
        length: Length,
        method: &str,
        params: &Value,
    ) -> Result<T, RpcError> {
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        let request = json!({ "id": id, "jsonrpc": "2.0", "method": method, "params": params });
        let request = request.to_string();
        if request.len() > REQUEST_BYTES_MAX {
            return Err(RpcError::Misuse(format!(
                "{method}: a request of {} bytes",
                request.len()
            )));
        }
        let bytes = self.post(length, &request).map_err(|error| transport(method, &error))?;
        let unread = |error| reply(method, &error);
        let reply: Reply<T> = serde_json::from_slice(&bytes).map_err(unread)?;
        if let Some(Refusal { code, message }) = reply.error {
            return Err(RpcError::from_node(code, &message));
        }
        // No result and null are one: a type that may be absent is.
        reply.result.map_or_else(|| serde_json::from_value(Value::Null).map_err(unread), Ok)
    }

    fn post(&self, length: Length, request: &str) -> Result<Vec<u8>, ureq::Error> {
        self.agent
            .post(&self.url)
            .header("content-type", "application/json")
            .send(request)?
            .body_mut()
            .with_config()
            .limit(length.bytes_max())
            .read_to_vec()
    }
}

fn transport(method: &str, error: &ureq::Error) -> RpcError {
    match error {
        ureq::Error::Timeout(_) => {
            let seconds = CALL_TIME_MAX.as_secs();
            RpcError::Transport(format!("{method}: no answer within {seconds} s"))
        }
        error => RpcError::Transport(format!("{method}: {error}")),
    }
}

fn reply(method: &str, error: &serde_json::Error) -> RpcError {
    RpcError::Reply(format!("{method}: {error}"))
}
