//! Calls and batches of calls, whatever their methods are.

use serde_json::{Value, json};

/// Most calls in one batch.
pub const BATCH_MAX: usize = 200;

/// When a batch's reply is long enough: its further calls are refused. As much as clients of this
/// project read; 200 large blocks would come to a gigabyte.
pub const BATCH_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// JSON-RPC's code.
    pub code: i64,
    /// What is wrong, in words.
    pub message: String,
    /// What a program can read about it.
    pub data: Option<Value>,
}

impl Failure {
    /// A failure that says no more than its words.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    fn invalid_request() -> Self {
        Self::new(-32600, "Invalid request")
    }
}

/// Answers one body: one call, or a batch of them. The answer to a method and its parameters, which
/// are an array, an object or null, is the argument.
pub fn respond(body: &[u8], answer: impl Fn(&str, Value) -> Result<Value, Failure>) -> Vec<u8> {
    let reply = match serde_json::from_slice(body) {
        Ok(Value::Array(calls)) if (1..=BATCH_MAX).contains(&calls.len()) => {
            return respond_to_all(calls, answer);
        }
        Ok(call @ Value::Object(_)) => reply(call, &answer),
        Ok(_) => failure(&Value::Null, Failure::invalid_request()),
        Err(_) => failure(&Value::Null, Failure::new(-32700, "Parse error")),
    };
    reply.to_string().into_bytes()
}

fn respond_to_all(
    calls: Vec<Value>,
    answer: impl Fn(&str, Value) -> Result<Value, Failure>,
) -> Vec<u8> {
    let mut replies = String::from("[");
    for (index, call) in calls.into_iter().enumerate() {
        if index > 0 {
            replies.push(',');
        }
        let answered = if replies.len() < BATCH_BYTES_MAX {
            reply(call, &answer)
        } else {
            let id = call.get("id").cloned().unwrap_or(Value::Null);
            failure(&id, Failure::new(-32000, "The batch's reply is too long"))
        };
        replies.push_str(&answered.to_string());
    }
    replies.push(']');
    replies.into_bytes()
}

fn reply(mut call: Value, answer: impl Fn(&str, Value) -> Result<Value, Failure>) -> Value {
    let id = call.get("id").cloned().unwrap_or(Value::Null);
    let params = call.get_mut("params").map(Value::take).unwrap_or(Value::Null);
    let Some(method) = call.get("method").and_then(Value::as_str) else {
        return failure(&id, Failure::invalid_request());
    };
    match answer(method, params) {
        Ok(result) => json!({ "jsonrpc": "2.0", "result": result, "id": id }),
        Err(refused) => failure(&id, refused),
    }
}

fn failure(id: &Value, failure: Failure) -> Value {
    let Failure { code, message, data } = failure;
    let mut error = json!({ "code": code, "message": message });
    if let (Some(data), Some(error)) = (data, error.as_object_mut()) {
        error.insert("data".to_owned(), data);
    }
    json!({ "jsonrpc": "2.0", "error": error, "id": id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(body: &str) -> Value {
        let reply = respond(body.as_bytes(), |method, params| match method {
            "echo" => Ok(params),
            "long" => Ok(Value::String("x".repeat(1024 * 1024))),
            _ => Err(Failure { data: Some(json!("why")), ..Failure::new(7, "no") }),
        });
        serde_json::from_slice(&reply).unwrap()
    }

    #[test]
    fn calls_and_batches_are_answered_in_order() {
        let one = answered(r#"{"id":1,"method":"echo","params":[5]}"#);
        assert_eq!(one, json!({ "jsonrpc": "2.0", "result": [5], "id": 1 }));
        let two = answered(r#"[{"id":1,"method":"echo"},{"id":"b","method":"fail"}]"#);
        assert_eq!(two[0], json!({ "jsonrpc": "2.0", "result": null, "id": 1 }));
        let error = json!({ "code": 7, "message": "no", "data": "why" });
        assert_eq!(two[1], json!({ "jsonrpc": "2.0", "error": error, "id": "b" }));
    }

    #[test]
    fn what_is_no_call_is_refused() {
        let code = |body: &str| answered(body)["error"]["code"].as_i64();
        assert_eq!(code("{"), Some(-32700));
        for body in ["5", "[]", "{}", r#"{"method":5}"#] {
            assert_eq!(code(body), Some(-32600), "{body}");
        }
        let calls = vec![r#"{"method":"echo"}"#; BATCH_MAX + 1].join(",");
        assert_eq!(code(&format!("[{calls}]")), Some(-32600));
    }

    #[test]
    fn a_batch_is_answered_until_its_reply_is_long_enough() {
        let calls = vec![r#"{"method":"long"}"#; BATCH_MAX].join(",");
        let replies = answered(&format!("[{calls}]"));
        let replies = replies.as_array().unwrap();
        let whole = replies.iter().filter(|reply| reply.get("result").is_some()).count();
        assert_eq!(replies.len(), BATCH_MAX);
        assert_eq!(whole, BATCH_BYTES_MAX / (1024 * 1024));
    }
}
