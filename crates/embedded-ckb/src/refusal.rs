//! The node's words for what it refuses.
//!
//! The embedded chain refuses with the node's own type, [`Reject`]. Here that becomes the code and
//! the sentence that the node would send, and from them, by the same reading as for a real node,
//! the [`RpcError`]. The invariant: a reason that gets lost over HTTP gets lost in the process too,
//! so no test can pass on one and fail on the other for that.

use ckb_types::core::tx_pool::Reject;
use perun_backend_ckb::rpc::RpcError;

/// A refusal as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: i64,
    pub(crate) message: String,
}

impl Refusal {
    /// The method is not known.
    pub(crate) const NO_METHOD: i64 = -32601;
    /// The parameters are not what the method takes.
    pub(crate) const BAD_PARAMS: i64 = -32602;
    /// Anything the integration test module refuses.
    pub(crate) const INVALID: i64 = -3;
    /// A dependency or input that is not there.
    pub(crate) const RESOLVE: i64 = -301;
    /// A script or rule that says no.
    pub(crate) const VERIFY: i64 = -302;

    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn params(message: impl std::fmt::Display) -> Self {
        Self::new(Self::BAD_PARAMS, format!("InvalidParams: {message}"))
    }
}

impl From<&Reject> for Refusal {
    fn from(reject: &Reject) -> Self {
        let (code, name) = match reject {
            Reject::Resolve(_) => (Self::RESOLVE, "TransactionFailedToResolve"),
            Reject::Verification(_) => (Self::VERIFY, "TransactionFailedToVerify"),
            Reject::LowFeeRate(..) => (-1104, "PoolRejectedTransactionByMinFeeRate"),
            Reject::ExceededMaximumAncestorsCount => {
                (-1105, "PoolRejectedTransactionByMaxAncestorsCountLimit")
            }
            Reject::Full(_) => (-1106, "PoolIsFull"),
            Reject::Duplicated(_) => (-1107, "PoolRejectedDuplicatedTransaction"),
            Reject::Malformed(..) | Reject::DeclaredWrongCycles(..) => {
                (-1108, "PoolRejectedMalformedTransaction")
            }
            Reject::Expiry(_) => (-1109, "TransactionExpired"),
            Reject::ExceededTransactionSizeLimit(..) => {
                (-1110, "PoolRejectedTransactionBySizeLimit")
            }
            Reject::RBFRejected(_) => (-1111, "PoolRejectedRBF"),
            Reject::Invalidated(_) => (-1112, "PoolRejectedInvalidated"),
        };
        Self::new(code, format!("{name}: {reject}"))
    }
}

impl From<Refusal> for RpcError {
    fn from(refusal: Refusal) -> Self {
        Self::from_node(refusal.code, &refusal.message)
    }
}
