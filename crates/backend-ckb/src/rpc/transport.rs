//! One JSON-RPC call over HTTP: bounded, with a time limit, and nothing else.
//!
//! It knows neither the methods nor their types. The invariant: whatever the other side sends, a
//! call ends within its time and holds at most [`REPLY_BYTES_MAX`] in memory.

use super::RpcError;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Longest reply that is read. The longest honest one is a full page of cells: a thousand rows of
/// at most a block's bytes between them, in hexadecimal.
const REPLY_BYTES_MAX: u64 = 32 * 1024 * 1024;

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

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    result: Value,
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
                "{url} is not an http:// address; put a TLS proxy in front of a distant node"
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

    /// Calls the method and reads its result as `T`.
    pub(super) fn call<T: DeserializeOwned>(
        &self,
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
        let bytes = self.post(&request).map_err(|error| transport(method, &error))?;
        let reply: Reply = serde_json::from_slice(&bytes).map_err(|error| reply(method, &error))?;
        if let Some(Refusal { code, message }) = reply.error {
            return Err(RpcError::from_node(code, &message));
        }
        serde_json::from_value(reply.result).map_err(|error| self::reply(method, &error))
    }

    fn post(&self, request: &str) -> Result<Vec<u8>, ureq::Error> {
        self.agent
            .post(&self.url)
            .header("content-type", "application/json")
            .send(request)?
            .body_mut()
            .with_config()
            .limit(REPLY_BYTES_MAX)
            .read_to_vec()
    }
}

fn transport(method: &str, error: &ureq::Error) -> RpcError {
    RpcError::Transport(format!("{method}: {error}"))
}

fn reply(method: &str, error: &serde_json::Error) -> RpcError {
    RpcError::Reply(format!("{method}: {error}"))
}
