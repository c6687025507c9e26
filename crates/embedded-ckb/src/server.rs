//! The embedded chain as a JSON-RPC server, for programs that want a node's address.
//!
//! HTTP/1.1 with what such clients send and no more: POST, a body of known length, kept
//! connections. It listens where it is told, which should be loopback: like a node's own RPC it has
//! no passwords, and whoever reaches it can stop time. The invariant: connections, bodies and
//! batches are bounded, and when the [`Server`] is dropped its port and all its threads are gone.

mod cells;
mod dev;
mod http;
mod methods;
mod params;

use crate::chain::Chain;
use crate::refusal::Refusal;
use params::Params;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Most connections at once. Each has a thread.
const CONNECTIONS_MAX: usize = 64;

/// Most calls in one batch.
const BATCH_MAX: usize = 200;

/// When a batch's reply is long enough: its further calls are refused. As much as clients of this
/// project read; 200 large blocks would come to a gigabyte.
const BATCH_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    url: String,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    chain: Chain,
    stopping: AtomicBool,
    connections: Mutex<HashMap<u64, Connection>>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    thread: Option<JoinHandle<()>>,
}

/// Serves this chain at this address. Port 0 takes a free one; ask the [`Server`] which.
pub fn serve(chain: Chain, address: impl ToSocketAddrs) -> io::Result<Server> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    let shared =
        Arc::new(Shared { chain, stopping: AtomicBool::new(false), connections: Mutex::default() });
    let for_acceptor = Arc::clone(&shared);
    let acceptor = std::thread::Builder::new()
        .name("ckb-rpc-accept".to_owned())
        .spawn(move || accept(&listener, &for_acceptor))?;
    let url = format!("http://{address}");
    Ok(Server { address, url, shared, acceptor: Some(acceptor) })
}

impl Server {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as an address for clients.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // The acceptor sleeps in `accept`: one more connection wakes it. If that fails, the
        // listener is broken and `accept` has returned by itself.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let connections = std::mem::take(&mut *self.shared.connections());
        for (_, mut connection) in connections {
            let _ = connection.stream.shutdown(Shutdown::Both);
            if let Some(thread) = connection.thread.take() {
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn connections(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (id, stream) in (0u64..).zip(listener.incoming()) {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let mut connections = shared.connections();
        if connections.len() >= CONNECTIONS_MAX {
            // Dropping it closes it; a client tries again.
            continue;
        }
        let Ok(kept) = stream.try_clone() else { continue };
        let for_thread = Arc::clone(shared);
        let thread = std::thread::Builder::new().name("ckb-rpc".to_owned()).spawn(move || {
            http::serve(stream, |body| respond(&for_thread.chain, body));
            for_thread.connections().remove(&id);
        });
        if let Ok(thread) = thread {
            connections.insert(id, Connection { stream: kept, thread: Some(thread) });
        }
    }
}

/// Answers one body: one call, or a batch of them.
fn respond(chain: &Chain, body: &[u8]) -> Vec<u8> {
    let reply = match serde_json::from_slice(body) {
        Ok(Value::Array(calls)) if (1..=BATCH_MAX).contains(&calls.len()) => {
            return respond_to_all(chain, calls);
        }
        Ok(call @ Value::Object(_)) => answer(chain, call),
        Ok(_) => failure(&Value::Null, &Refusal::new(-32600, "Invalid request")),
        Err(_) => failure(&Value::Null, &Refusal::new(-32700, "Parse error")),
    };
    reply.to_string().into_bytes()
}

fn respond_to_all(chain: &Chain, calls: Vec<Value>) -> Vec<u8> {
    let mut reply = String::from("[");
    for (index, call) in calls.into_iter().enumerate() {
        if index > 0 {
            reply.push(',');
        }
        let answered = if reply.len() < BATCH_BYTES_MAX {
            answer(chain, call)
        } else {
            let id = call.get("id").cloned().unwrap_or(Value::Null);
            failure(&id, &Refusal::new(-32000, "The batch's reply is too long"))
        };
        reply.push_str(&answered.to_string());
    }
    reply.push(']');
    reply.into_bytes()
}

fn answer(chain: &Chain, mut call: Value) -> Value {
    let id = call.get("id").cloned().unwrap_or(Value::Null);
    let params = call.get_mut("params").map(Value::take).unwrap_or(Value::Null);
    let Some(method) = call.get("method").and_then(Value::as_str) else {
        return failure(&id, &Refusal::new(-32600, "Invalid request"));
    };
    match Params::new(params).and_then(|params| dispatch(chain, method, &params)) {
        Ok(result) => json!({ "jsonrpc": "2.0", "result": result, "id": id }),
        Err(refusal) => failure(&id, &refusal),
    }
}

fn failure(id: &Value, refusal: &Refusal) -> Value {
    let Refusal { code, message } = refusal;
    json!({ "jsonrpc": "2.0", "error": { "code": code, "message": message }, "id": id })
}

fn dispatch(chain: &Chain, method: &str, params: &Params) -> Result<Value, Refusal> {
    methods::chain(chain, method, params)
        .or_else(|| methods::pool(chain, method, params))
        .or_else(|| cells::call(chain, method, params))
        .or_else(|| dev::call(chain, method, params))
        .unwrap_or_else(|| Err(Refusal::new(Refusal::NO_METHOD, "Method not found")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Genesis;
    use std::io::{Read, Write};

    fn chain() -> Chain {
        Chain::new(&Genesis::dev().unwrap())
    }

    #[test]
    fn a_batch_is_answered_until_its_reply_is_long_enough() {
        let call = r#"{"id":7,"method":"get_block_by_number","params":["0x0"]}"#;
        let body = format!("[{}]", vec![call; BATCH_MAX].join(","));
        let chain = chain();
        let one = respond(&chain, call.as_bytes()).len();
        assert!(one > BATCH_BYTES_MAX / BATCH_MAX, "too small a block for this test");
        let reply = respond(&chain, body.as_bytes());
        assert!(reply.len() < BATCH_BYTES_MAX + one + BATCH_MAX * 100);
        let calls: Vec<Value> = serde_json::from_slice(&reply).unwrap();
        let answered = calls.iter().filter(|call| call.get("result").is_some()).count();
        assert_eq!(calls.len(), BATCH_MAX);
        assert_eq!(answered, BATCH_BYTES_MAX.div_ceil(one));
    }

    #[test]
    fn a_connection_over_the_limit_is_closed() {
        let server = serve(chain(), "127.0.0.1:0").unwrap();
        let call =
            b"POST / HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        let open = || {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.write_all(call).unwrap();
            // Once it is answered it counts.
            stream.read_exact(&mut [0; 12]).unwrap();
            stream
        };
        let held: Vec<_> = (0..CONNECTIONS_MAX).map(|_| open()).collect();
        let mut over = TcpStream::connect(server.address()).unwrap();
        assert!(matches!(over.read(&mut [0]), Ok(0)));
        assert_eq!(server.shared.connections().len(), held.len());
    }
}
