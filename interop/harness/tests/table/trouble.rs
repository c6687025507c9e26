//! Why a scenario failed.

use std::fmt::Debug;

pub(crate) type Result<T> = std::result::Result<T, Trouble>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// A party did not do what it was asked for, and says so.
    #[error("{who} refused to {what}: {kind}: {text}")]
    Refused { who: String, what: String, kind: String, text: String },
    #[error(transparent)]
    Node(#[from] perun_node::NodeError),
    #[error("{0}")]
    Broken(String),
}

impl From<String> for Trouble {
    fn from(text: String) -> Self {
        Self::Broken(text)
    }
}

impl From<&str> for Trouble {
    fn from(text: &str) -> Self {
        Self::Broken(text.to_owned())
    }
}

macro_rules! broken_by {
    ($($error:ty),*) => { $(
        impl From<$error> for Trouble {
            fn from(error: $error) -> Self {
                Self::Broken(error.to_string())
            }
        }
    )* };
}

broken_by!(std::io::Error, serde_json::Error, perun_backend_evm::Error);
broken_by!(perun_backend_evm::rpc::RpcError, rustls::Error);

/// Fails unless both are the same.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, is: T, should: T) -> Result<()> {
    if is == should { Ok(()) } else { Err(format!("{what}: {is:?}, not {should:?}").into()) }
}

/// Fails unless a party refused for a reason of this kind.
pub(crate) fn refused<T: Debug>(wanted: &str, outcome: Result<T>) -> Result<()> {
    match outcome {
        Err(Trouble::Refused { kind, .. }) if kind == wanted => Ok(()),
        Err(other) => Err(format!("not {wanted}, but: {other}").into()),
        Ok(done) => Err(format!("not {wanted}, but done: {done:?}").into()),
    }
}
