//! Everything that can end the program before it is done, in words for its user.
//!
//! Each text says what happened, what it means for money where there is any, and what to do next.
//! None of the commands that end like this has moved money: they only read, or run a chain that is
//! a toy.

use crate::programs::SCRIPTS_DIR;
use perun_backend_ckb::rpc::RpcError;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The input is longer than anything that can be explained.
    #[error(
        "the input is longer than {limit} bytes, which no transaction is; hand in one transaction, cell \
         or state"
    )]
    TooLong {
        /// The bound.
        limit: usize,
    },
    /// The input is nothing that is known.
    #[error("{0}")]
    NotUnderstood(String),
    /// Only a node can say.
    #[error(
        "{what} is only a name; a node must be asked for what it names: add --ckb-rpc URL, for example \
         --ckb-rpc http://127.0.0.1:8114"
    )]
    NeedsNode {
        /// What was given.
        what: String,
    },
    /// The node knows nothing of that name.
    #[error(
        "the CKB node at {url} does not know {what}; nothing was sent or changed; if it is a \
         channel's id, the channel may have ended; else check that the node is on the right chain \
         and has caught up with it"
    )]
    Unknown {
        /// The node.
        url: String,
        /// What was asked for.
        what: String,
    },
    /// The node did not answer, or refused.
    #[error("{}", node_words(.0))]
    Node(#[from] RpcError),
    /// A file could not be read.
    #[error("{path} could not be read: {error}; check the path and its permissions")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        error: std::io::Error,
    },
    /// Standard input could not be read.
    #[error("standard input could not be read: {0}")]
    Stdin(std::io::Error),
    /// A program of ours could not be read.
    #[error(
        "the on-chain program {path} could not be read: {error}; {SCRIPTS_DIR} must name a folder with \
         `channel-type`, `vault-lock` and `simple-udt`, or be unset"
    )]
    Program {
        /// The file.
        path: PathBuf,
        /// The system's words.
        error: std::io::Error,
    },
    /// The chain could not be made.
    #[error("the chain could not be started: {0}")]
    Chain(String),
    /// The port is taken or may not be used.
    #[error(
        "cannot listen on {address}: {error}; another node may be running there; choose another address \
         with --listen, port 0 takes a free one"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's words.
        error: std::io::Error,
    },
    /// What was to be told could not be written.
    #[error(
        "standard output could not be written: {0}; what is missing there is lost, and nothing else \
         was changed; make room, or write elsewhere"
    )]
    Output(String),
    /// Ctrl-C could not be caught.
    #[error(
        "signals cannot be caught here: {0}; without them the chain could not be stopped cleanly"
    )]
    Signals(String),
}

/// The JSON-RPC code for a method that is not there.
const NO_SUCH_METHOD: i64 = -32601;

/// What a CKB node's error means to somebody who may have named another node.
#[must_use]
pub fn node_words(error: &RpcError) -> String {
    match error {
        RpcError::Rejected { code: NO_SUCH_METHOD, text } => format!(
            "the node does not speak as a CKB node does ({text}); nothing was sent; check that \
             the address is that of a CKB node"
        ),
        error => error.to_string(),
    }
}

/// The code after Ctrl-C, for commands that do not wait for it.
pub const INTERRUPTED: u8 = 5;

/// The code that the program ends with. 0 is success, 1 a failed step of the demo, and 2 is given
/// by the reader of the command line.
#[must_use]
pub const fn exit_code(problem: &Problem) -> u8 {
    match problem {
        Problem::TooLong { .. } | Problem::NotUnderstood(_) | Problem::NeedsNode { .. } => 3,
        Problem::Unknown { .. } | Problem::Node(_) => 4,
        Problem::File { .. }
        | Problem::Stdin(_)
        | Problem::Program { .. }
        | Problem::Chain(_)
        | Problem::Listen { .. }
        | Problem::Output(_)
        | Problem::Signals(_) => 5,
    }
}
