//! The parameters of a call, by position, and the few JSON forms that several methods share.

use crate::refusal::Refusal;
use ckb_jsonrpc_types::Uint32;
use ckb_types::{H256, packed::Byte32, prelude::*};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

pub(super) struct Params(Vec<Value>);

impl Params {
    pub(super) fn new(params: Value) -> Result<Self, Refusal> {
        match params {
            Value::Array(values) => Ok(Self(values)),
            Value::Null => Ok(Self(Vec::new())),
            _ => Err(Refusal::params("an array is expected")),
        }
    }

    /// The parameter at this place.
    pub(super) fn get<T: DeserializeOwned>(&self, index: usize) -> Result<T, Refusal> {
        self.option(index)?.ok_or_else(|| Refusal::params(format!("parameter {index} is missing")))
    }

    /// The parameter at this place, if it is there and not null.
    pub(super) fn option<T: DeserializeOwned>(&self, index: usize) -> Result<Option<T>, Refusal> {
        match self.0.get(index) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value).map(Some).map_err(Refusal::params),
        }
    }

    pub(super) fn hash(&self, index: usize) -> Result<Byte32, Refusal> {
        Ok(self.get::<H256>(index)?.into())
    }

    /// Whether the caller wants bytes in hexadecimal (0) rather than JSON.
    pub(super) fn raw(&self, index: usize) -> Result<bool, Refusal> {
        Ok(self.option::<Uint32>(index)?.is_some_and(|verbosity| verbosity.value() == 0))
    }
}

pub(super) fn value(value: impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(|error| Refusal::new(-1, error.to_string()))
}

pub(super) fn hex(number: u64) -> Value {
    Value::String(format!("{number:#x}"))
}

pub(super) fn hash(hash: &Byte32) -> Value {
    json!(H256::from_slice(hash.as_slice()).unwrap_or_default())
}

pub(super) fn bytes(entity: &impl Entity) -> Value {
    json!(ckb_jsonrpc_types::JsonBytes::from_bytes(entity.as_bytes()))
}
