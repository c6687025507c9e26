//! What the chain refuses, as it goes over the wire: a code, a sentence and sometimes bytes.
//!
//! Codes and sentences are those that clients of real nodes already look for. The invariant: there
//! is one kind of refusal, so that nothing is told in the process that HTTP would lose.

use alloy_primitives::Bytes;
use alloy_sol_types::{Panic, Revert, SolError};

/// A refusal of the chain, as a JSON-RPC error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct Refusal {
    /// The JSON-RPC code.
    pub code: i64,
    /// What is wrong.
    pub message: String,
    /// What a contract gave back when it reverted.
    pub data: Option<Bytes>,
}

impl Refusal {
    /// The method is not known.
    pub const NO_METHOD: i64 = -32601;
    /// The parameters are not what the method takes.
    pub const BAD_PARAMS: i64 = -32602;
    /// The chain says no.
    pub const REFUSED: i64 = -32000;
    /// A limit of the provider.
    pub const LIMIT: i64 = -32005;
    /// A contract reverted.
    pub const REVERTED: i64 = 3;

    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(Self::REFUSED, message)
    }

    pub(crate) fn params(message: impl Into<String>) -> Self {
        Self::new(Self::BAD_PARAMS, message)
    }

    pub(crate) fn no_method(method: &str) -> Self {
        // Whoever sends a megabyte as a name does not get it back.
        let name: String = method.chars().take(64).collect();
        let message = format!("the method {name} does not exist/is not available");
        Self::new(Self::NO_METHOD, message)
    }

    /// A contract reverted with these bytes.
    pub(crate) fn reverted(data: Bytes) -> Self {
        let message = match reason(&data) {
            Some(reason) => format!("execution reverted: {reason}"),
            None => "execution reverted".to_owned(),
        };
        Self { code: Self::REVERTED, message, data: Some(data) }
    }
}

/// The reason in the two forms that Solidity itself makes. Errors of a contract's own stay bytes:
/// only the contract's interface can name them.
fn reason(data: &[u8]) -> Option<String> {
    if let Ok(revert) = Revert::abi_decode(data) {
        return Some(revert.reason);
    }
    let panic = Panic::abi_decode(data).ok()?;
    Some(match panic_text(&panic) {
        Some(text) => text.to_owned(),
        None => format!("unknown panic code: {:#x}", panic.code),
    })
}

fn panic_text(panic: &Panic) -> Option<&'static str> {
    Some(match u8::try_from(panic.code).ok()? {
        0x00 => "generic panic",
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;

    #[test]
    fn the_reason_is_told_where_solidity_gave_one() {
        let said = Revert::from("too late").abi_encode();
        let refusal = Refusal::reverted(said.clone().into());
        assert_eq!(refusal.message, "execution reverted: too late");
        assert_eq!(refusal.code, Refusal::REVERTED);
        assert_eq!(refusal.data, Some(said.into()));
        let panicked = Panic { code: U256::from(0x11) }.abi_encode();
        let message = Refusal::reverted(panicked.into()).message;
        assert_eq!(message, "execution reverted: arithmetic underflow or overflow");
        let strange = Panic { code: U256::from(0x77) }.abi_encode();
        let message = Refusal::reverted(strange.into()).message;
        assert_eq!(message, "execution reverted: unknown panic code: 0x77");
        assert_eq!(Refusal::reverted(Bytes::new()).message, "execution reverted");
        assert_eq!(Refusal::reverted(vec![8, 0x79, 0xa0].into()).message, "execution reverted");
    }

    #[test]
    fn a_long_name_does_not_come_back() {
        assert!(Refusal::no_method(&"x".repeat(1_000_000)).message.len() < 200);
    }
}
