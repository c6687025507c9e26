//! Why a node did not do what was asked.
//!
//! A node answers with a code and a sentence; the sentence is the only place where the reason of a
//! refused transaction stands. [`RpcError::from_node`] reads both once, here, so that no other code
//! compares texts. What it does not recognise stays [`RpcError::Rejected`] with the node's own
//! words: the invariant is that an unknown sentence never turns into a known reason.

use ckb_types::{
    packed::{Byte32, OutPoint},
    prelude::*,
};

/// Why a call failed. The first three say nothing about the chain; the others are the node's
/// refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The node was not reached, or did not answer in time or within bounds.
    #[error("the CKB node was not reached: {0}; nothing is known about the call, ask again")]
    Transport(String),
    /// The node's reply is not what the method promises.
    #[error("the CKB node's reply makes no sense: {0}; check that the address is a CKB node's")]
    Reply(String),
    /// The caller asked for something that no node would answer.
    #[error("the call is malformed: {0}; nothing was sent")]
    Misuse(String),
    /// An input's `since` is not reached yet.
    #[error(
        "too early: an input may not be spent yet ({text}); no money moved, send it again later"
    )]
    Immature {
        /// The input, where the node names it.
        input: Option<usize>,
        /// The node's words.
        text: String,
    },
    /// An input or dependency is spent by a pending transaction, or twice by this one.
    #[error("cell {out_point} is being spent already; build on the cells that are left")]
    Dead {
        /// The cell.
        out_point: OutPoint,
    },
    /// An input or dependency is not there: not made yet, or spent by a block. A node keeps live
    /// cells only, so it cannot tell the two apart; look up the transaction that made the cell.
    #[error("cell {out_point} is not on the chain: spent, or not made yet; look it up again")]
    Unknown {
        /// The cell.
        out_point: OutPoint,
    },
    /// A header dependency is not a block of the best chain.
    #[error("header {hash} is not on the best chain; a reorganisation may have removed it")]
    HeaderUnknown {
        /// The block's hash.
        hash: Byte32,
    },
    /// A script ran to its end and said no.
    #[error("{source_cell} refused with code {code}; the transaction is not valid, no money moved")]
    Script {
        /// The script's exit code.
        code: i8,
        /// The cell that carries the script.
        source_cell: ScriptSource,
        /// The node's words.
        text: String,
    },
    /// A script could not run to its end: not found, crashed, or out of cycles.
    #[error("{source_cell} could not be run: {text}; the transaction is not valid, no money moved")]
    ScriptFault {
        /// The cell that carries the script.
        source_cell: ScriptSource,
        /// The node's words.
        text: String,
    },
    /// The outputs hold more than the inputs, or a cell holds less than its own size.
    #[error("the capacities do not add up: {text}; no money moved")]
    Capacity {
        /// The node's words.
        text: String,
    },
    /// The same transaction is in the pool already.
    #[error("the transaction is in the pool already; wait for it")]
    Duplicate,
    /// The fee is below the pool's minimum.
    #[error("the fee is too low: {text}; pay more and send again")]
    Fee {
        /// The node's words.
        text: String,
    },
    /// It spends what a pending transaction spends, and may not take that one's place.
    #[error("a pending transaction spends the same cells and is not replaced: {text}")]
    Rbf {
        /// The node's words.
        text: String,
    },
    /// The pool has no room, or too many unconfirmed transactions lead up to this one.
    #[error("the pool takes no more: {text}; send again after the next block")]
    PoolFull {
        /// The node's words.
        text: String,
    },
    /// The transaction breaks a rule of form, such as its size or its version.
    #[error("the transaction is malformed: {text}; no money moved")]
    Malformed {
        /// The node's words.
        text: String,
    },
    /// Any other refusal.
    #[error("the CKB node refused with code {code}: {text}")]
    Rejected {
        /// The node's code.
        code: i64,
        /// The node's words.
        text: String,
    },
}

/// The two places in a cell where a script stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupKind {
    /// The lock: who may spend.
    Lock,
    /// The type: what may be made of it.
    Type,
}

/// The cell whose script spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScriptSource {
    /// The first input of the script's group.
    Input(usize, GroupKind),
    /// The first output of the script's group, if it has no input.
    Output(usize, GroupKind),
    /// The node did not say.
    Unnamed,
}

impl std::fmt::Display for ScriptSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Input(index, kind) => write!(f, "the {kind} of input {index}"),
            Self::Output(index, kind) => write!(f, "the {kind} of output {index}"),
            Self::Unnamed => f.write_str("a script"),
        }
    }
}

impl std::fmt::Display for GroupKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lock => "lock",
            Self::Type => "type",
        })
    }
}

/// The node's codes that matter here. Everything else is `Rejected`.
mod code {
    pub(super) const RESOLVE: i64 = -301;
    pub(super) const VERIFY: i64 = -302;
    pub(super) const FEE: i64 = -1104;
    pub(super) const ANCESTORS: i64 = -1105;
    pub(super) const FULL: i64 = -1106;
    pub(super) const DUPLICATE: i64 = -1107;
    pub(super) const MALFORMED: i64 = -1108;
    pub(super) const SIZE: i64 = -1110;
    pub(super) const RBF: i64 = -1111;
}

impl RpcError {
    /// Reads a node's refusal.
    #[must_use]
    pub fn from_node(code: i64, message: &str) -> Self {
        // A sentence can quote what the sender wrote; a bound keeps it out of logs in full.
        let text: String = message.chars().take(TEXT_CHARS_MAX).collect();
        match code {
            code::RESOLVE => Self::resolve(message).unwrap_or(Self::Rejected { code, text }),
            code::VERIFY => Self::verify(&text).unwrap_or(Self::Rejected { code, text }),
            code::FEE => Self::Fee { text },
            code::ANCESTORS | code::FULL => Self::PoolFull { text },
            code::DUPLICATE => Self::Duplicate,
            // The pool counts the fee before it verifies: outputs above inputs end here.
            code::MALFORMED if message.contains("Overflow") => Self::Capacity { text },
            code::MALFORMED | code::SIZE => Self::Malformed { text },
            code::RBF => Self::Rbf { text },
            _ => Self::Rejected { code, text },
        }
    }

    fn resolve(message: &str) -> Option<Self> {
        if let Some(out_point) = quoted_hex(message, "Dead(OutPoint(0x") {
            return Some(Self::Dead { out_point: OutPoint::from_slice(&out_point).ok()? });
        }
        if let Some(out_point) = quoted_hex(message, "Unknown(OutPoint(0x") {
            return Some(Self::Unknown { out_point: OutPoint::from_slice(&out_point).ok()? });
        }
        let hash = quoted_hex(message, "InvalidHeader(Byte32(0x")?;
        Some(Self::HeaderUnknown { hash: Byte32::from_slice(&hash).ok()? })
    }

    fn verify(text: &str) -> Option<Self> {
        let owned = text.to_owned();
        // Scripts first: their text may contain any of the other words.
        if let Some(inside) = after(text, "TransactionScriptError {") {
            let source_cell = after(inside, "source: ").map_or(ScriptSource::Unnamed, source);
            return Some(match after(inside, "ValidationFailure: see error code ") {
                Some(rest) => Self::Script { code: number(rest)?, source_cell, text: owned },
                None => Self::ScriptFault { source_cell, text: owned },
            });
        }
        if let Some(rest) = after(text, "Immature(Inputs[") {
            return Some(Self::Immature { input: number(rest), text: owned });
        }
        if text.contains("Immaturity(") {
            return Some(Self::Immature { input: None, text: owned });
        }
        if text.contains("OutputsSumOverflow") || text.contains("InsufficientCellCapacity") {
            return Some(Self::Capacity { text: owned });
        }
        text.contains("Transaction(").then_some(Self::Malformed { text: owned })
    }
}

/// Longest sentence of a node that is kept.
const TEXT_CHARS_MAX: usize = 600;

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark).map(|(_, rest)| rest)
}

/// The number that a text starts with.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '-')).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// The bytes of the hexadecimal that follows the mark.
fn quoted_hex(text: &str, mark: &str) -> Option<Vec<u8>> {
    let rest = after(text, mark)?;
    let digits = rest.split_once(')').map(|(hex, _)| hex)?;
    if digits.len() % 2 != 0 || digits.len() > 2 * 64 {
        return None;
    }
    digits
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Reads `Inputs[0].Lock` and its like.
fn source(text: &str) -> ScriptSource {
    let parsed = || {
        let (side, rest) = text.split_once('[')?;
        let kind = match after(rest, "].")? {
            kind if kind.starts_with("Lock") => GroupKind::Lock,
            kind if kind.starts_with("Type") => GroupKind::Type,
            _ => return None,
        };
        match side {
            "Inputs" => Some(ScriptSource::Input(number(rest)?, kind)),
            "Outputs" => Some(ScriptSource::Output(number(rest)?, kind)),
            _ => None,
        }
    };
    parsed().unwrap_or(ScriptSource::Unnamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scripts_refusal_keeps_its_code_and_its_cell() {
        let message = "TransactionFailedToVerify: Verification failed Script(TransactionScriptError \
            { source: Outputs[2].Type, cause: ValidationFailure: see error code -52 on page \
            https://example/by-data-hash/00.html#-52 })";
        let RpcError::Script { code, source_cell, .. } = RpcError::from_node(-302, message) else {
            panic!("not a script's refusal");
        };
        assert_eq!((code, source_cell), (-52, ScriptSource::Output(2, GroupKind::Type)));
    }

    #[test]
    fn a_script_cannot_pose_as_an_immature_input() {
        let message = "Verification failed Script(TransactionScriptError { source: Inputs[0].Lock, \
            cause: VM Internal Error: Immature(Inputs[0]) })";
        assert!(matches!(
            RpcError::from_node(-302, message),
            RpcError::ScriptFault { source_cell: ScriptSource::Input(0, GroupKind::Lock), .. }
        ));
    }

    #[test]
    fn a_dead_cell_is_named() {
        let out_point = OutPoint::new(Byte32::from_slice(&[7; 32]).unwrap(), 3);
        let message = format!("TransactionFailedToResolve: Resolve failed Dead({out_point:?})");
        assert_eq!(RpcError::from_node(-301, &message), RpcError::Dead { out_point });
    }

    #[test]
    fn an_unknown_sentence_stays_unread() {
        for (code, message) in [(-301, "Dead(OutPoint(0xzz))"), (-302, "who knows"), (-9, "")] {
            assert!(matches!(
                RpcError::from_node(code, message),
                RpcError::Rejected { code: kept, .. } if kept == code
            ));
        }
    }

    #[test]
    fn a_long_sentence_is_cut() {
        let RpcError::Rejected { text, .. } = RpcError::from_node(-9, &"x".repeat(10_000)) else {
            panic!("read as something else");
        };
        assert_eq!(text.len(), TEXT_CHARS_MAX);
    }
}
