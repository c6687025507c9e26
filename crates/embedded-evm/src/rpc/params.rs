//! The parameters of a call, by position, and the few JSON forms that several methods share.

use crate::refusal::Refusal;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Longest part of what a parameter's error says.
const ERROR_CHARS_MAX: usize = 200;

pub(super) struct Params(Vec<Value>);

impl Params {
    pub(super) fn new(params: Value) -> Result<Self, Refusal> {
        match params {
            Value::Array(values) => Ok(Self(values)),
            Value::Null => Ok(Self(Vec::new())),
            _ => Err(Refusal::params("non-array args")),
        }
    }

    /// Refuses parameters that would be ignored.
    pub(super) fn at_most(&self, most: usize) -> Result<(), Refusal> {
        if self.0.len() <= most {
            return Ok(());
        }
        Err(Refusal::params(format!("too many arguments, want at most {most}")))
    }

    /// The parameter at this place.
    pub(super) fn get<T: DeserializeOwned>(&self, index: usize) -> Result<T, Refusal> {
        let missing = || Refusal::params(format!("missing value for required argument {index}"));
        self.option(index)?.ok_or_else(missing)
    }

    /// The parameter at this place, if it is there and not null.
    pub(super) fn option<T: DeserializeOwned>(&self, index: usize) -> Result<Option<T>, Refusal> {
        match self.0.get(index) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value).map(Some).map_err(|error| {
                let text: String = error.to_string().chars().take(ERROR_CHARS_MAX).collect();
                Refusal::params(format!("invalid argument {index}: {text}"))
            }),
        }
    }

    /// A number at this place, as a number or in hexadecimal: tools send both.
    pub(super) fn number(&self, index: usize) -> Result<u64, Refusal> {
        let invalid = || Refusal::params(format!("invalid argument {index}: not a number"));
        match self.get::<Value>(index)? {
            Value::Number(number) => number.as_u64().ok_or_else(invalid),
            Value::String(text) => {
                let digits = text.strip_prefix("0x").ok_or_else(invalid)?;
                // Unlike `from_str_radix`, no sign.
                match digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    true => u64::from_str_radix(digits, 16).map_err(|_| invalid()),
                    false => Err(invalid()),
                }
            }
            _ => Err(invalid()),
        }
    }
}

pub(super) fn value(value: impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(|error| Refusal::new(-32603, error.to_string()))
}

pub(super) fn hex(number: impl Into<u128>) -> Value {
    Value::String(format!("{:#x}", number.into()))
}
