//! The embedded chain as a JSON-RPC server, for programs that want a node's address.
//!
//! The door itself is [`perun_loopback`]; here are the methods. Like a node's own RPC it has no
//! passwords: listen on loopback.

mod cells;
mod dev;
mod methods;
mod params;

use crate::chain::Chain;
use crate::refusal::Refusal;
use params::Params;
use perun_loopback::Failure;
pub use perun_loopback::Server;
use serde_json::Value;
use std::io;
use std::net::ToSocketAddrs;

/// Serves this chain at this address. Port 0 takes a free one; ask the [`Server`] which.
pub fn serve(chain: Chain, address: impl ToSocketAddrs) -> io::Result<Server> {
    perun_loopback::serve(address, move |body| {
        perun_loopback::respond(body, |method, params| {
            let answered = Params::new(params).and_then(|it| dispatch(&chain, method, &it));
            answered.map_err(|refusal| Failure::new(refusal.code, refusal.message))
        })
    })
}

fn dispatch(chain: &Chain, method: &str, params: &Params) -> Result<Value, Refusal> {
    methods::chain(chain, method, params)
        .or_else(|| methods::pool(chain, method, params))
        .or_else(|| cells::call(chain, method, params))
        .or_else(|| dev::call(chain, method, params))
        .unwrap_or_else(|| Err(Refusal::new(Refusal::NO_METHOD, "Method not found")))
}
