//! The chain as a JSON-RPC server, for programs that want a node's address.
//!
//! The door itself is [`perun_loopback`]. Like a node's own RPC it has no passwords, and whoever
//! reaches it can stop time: listen on loopback.

use crate::chain::Chain;
use crate::refusal::Refusal;
use perun_loopback::Failure;
pub use perun_loopback::Server;
use serde_json::json;
use std::io;
use std::net::ToSocketAddrs;

/// Serves this chain at this address. Port 0 takes a free one; ask the [`Server`] which.
pub fn serve(chain: Chain, address: impl ToSocketAddrs) -> io::Result<Server> {
    perun_loopback::serve(address, move |body| {
        perun_loopback::respond(body, |method, params| {
            chain.request(method, params).map_err(failure)
        })
    })
}

fn failure(refusal: Refusal) -> Failure {
    let Refusal { code, message, data } = refusal;
    Failure { code, message, data: data.map(|data| json!(data)) }
}
