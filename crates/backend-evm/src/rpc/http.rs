//! A real node over HTTP or HTTPS.
//!
//! Nothing is cached and nothing is tried twice: callers know what a repeated question means for
//! their money, this does not. The invariant: an answer takes a bounded time and a bounded space.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use ureq::Agent;

use super::{BATCH_MAX, Rpc, RpcError, wire};

/// How long one question may take, if nothing else is said.
const TIME_MAX: Duration = Duration::from_secs(20);
/// Most bytes of an answer: many logs, but no flood.
const ANSWER_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Most characters of a node's words that are kept.
const WORDS_MAX: usize = 400;

/// A node at an `http://` or `https://` address.
#[derive(Debug)]
pub struct HttpRpc {
    agent: Agent,
    url: String,
}

impl HttpRpc {
    /// A client for the node at this address. Nothing is sent yet.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self::with_time_limit(url, TIME_MAX)
    }

    /// A client that waits for one answer no longer than this.
    #[must_use]
    pub fn with_time_limit(url: impl Into<String>, limit: Duration) -> Self {
        let url = url.into();
        let config = Agent::config_builder()
            .timeout_global(Some(limit))
            .http_status_as_error(false)
            // A node that sends elsewhere would be told what only the configured one should know.
            .max_redirects(0);
        // Nobody between us and ourselves, whatever the environment says of proxies.
        let config = if is_loopback(&url) { config.proxy(None) } else { config };
        Self { agent: config.build().into(), url }
    }

    fn post<T: for<'de> Deserialize<'de>>(&self, body: &Value) -> Result<T, RpcError> {
        let request = self.agent.post(&self.url).header("content-type", "application/json");
        // The address may hold a key: it is in no error.
        let broken = |error: ureq::Error| match error {
            ureq::Error::BadUri(_) => RpcError::Transport("its address is no URL".to_owned()),
            ureq::Error::Timeout(_) => RpcError::Transport("no answer in time".to_owned()),
            error => RpcError::Transport(error.to_string()),
        };
        let mut response = request.send(body.to_string()).map_err(broken)?;
        let status = response.status();
        let reader = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let text = reader.read_to_string().map_err(broken)?;
        match serde_json::from_str(&text) {
            Ok(answer) => Ok(answer),
            Err(_) if !status.is_success() => Err(RpcError::Transport(format!("HTTP {status}"))),
            Err(_) => {
                Err(RpcError::Reply { method: "a question".to_owned(), what: "a JSON-RPC answer" })
            }
        }
    }
}

impl Rpc for HttpRpc {
    fn request(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let answer: wire::Answer = self.post(&question(0, method, &params))?;
        result(answer)
    }

    fn batch(&self, calls: Vec<(&'static str, Value)>) -> Vec<Result<Value, RpcError>> {
        if let [(method, params)] = calls.as_slice() {
            return vec![self.request(method, params.clone())];
        }
        let numbered = calls.iter().zip(0_u64..).take(BATCH_MAX);
        let body = numbered.map(|((method, params), id)| question(id, method, params)).collect();
        let answers: Result<Vec<wire::Answer>, _> = self.post(&Value::Array(body));
        match answers {
            Ok(answers) => in_order(answers, calls.len()),
            Err(error @ RpcError::Transport(_)) => vec![Err(error); calls.len()],
            // Not every provider takes batches.
            Err(_) => {
                let one = |(method, params): (&'static str, Value)| self.request(method, params);
                calls.into_iter().map(one).collect()
            }
        }
    }
}

fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    ["127.", "localhost", "[::1]"].iter().any(|name| host.starts_with(name))
}

fn question(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// A batch's answers may come in any order; one that is missing is an error in its place.
fn in_order(answers: Vec<wire::Answer>, count: usize) -> Vec<Result<Value, RpcError>> {
    let missing = || RpcError::Reply { method: "a batch".to_owned(), what: "an answer to each" };
    let mut out: Vec<Result<Value, RpcError>> = (0..count).map(|_| Err(missing())).collect();
    for answer in answers {
        let place = answer.id.and_then(|id| usize::try_from(id).ok());
        if let Some(slot) = place.and_then(|place| out.get_mut(place)) {
            *slot = result(answer);
        }
    }
    out
}

fn result(answer: wire::Answer) -> Result<Value, RpcError> {
    match answer.error {
        None => Ok(answer.result.unwrap_or(Value::Null)),
        Some(refusal) => {
            let words = refusal.message.chars().filter(|one| !one.is_control());
            Err(RpcError::Refused {
                code: refusal.code,
                message: words.take(WORDS_MAX).collect(),
                data: wire::revert_data(refusal.data.as_ref()),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> wire::Answer {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_batch_is_put_in_order_and_holes_are_errors() {
        let answers = vec![answer(r#"{"id":2,"result":"c"}"#), answer(r#"{"id":0,"result":"a"}"#)];
        let ordered = in_order(answers, 3);
        assert_eq!(ordered[0], Ok(json!("a")));
        assert!(matches!(ordered[1], Err(RpcError::Reply { .. })));
        assert_eq!(ordered[2], Ok(json!("c")));
    }

    #[test]
    fn an_address_is_in_no_error() {
        for url in ["http://a b/SECRET", "SECRET", "http://[::1]:1/SECRET", "ftp://x/SECRET"] {
            let error = HttpRpc::new(url).request("eth_chainId", json!([])).unwrap_err();
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn an_answer_to_nothing_is_ignored() {
        assert_eq!(in_order(vec![answer(r#"{"id":9,"result":1}"#)], 1).len(), 1);
    }

    #[test]
    fn what_a_contract_gave_back_is_found_wherever_it_stands() {
        let forms = [
            r#"{"code":3,"message":"execution reverted","data":"0x1234"}"#,
            r#"{"code":-32603,"message":"reverted","data":{"data":"0x1234"}}"#,
            r#"{"code":-32603,"message":"revert","data":{"data":{"result":"0x1234"}}}"#,
        ];
        for form in forms {
            let error = result(answer(&format!(r#"{{"id":0,"error":{form}}}"#))).unwrap_err();
            assert!(error.revert().is_some(), "{form}");
            assert!(matches!(error, RpcError::Refused { data: Some(data), .. } if data.len() == 2));
        }
        let other = r#"{"id":0,"error":{"code":-32000,"message":"nonce too low"}}"#;
        let error = result(answer(other)).unwrap_err();
        assert!(error.revert().is_none() && error.says(&["nonce too low"]));
    }
}
