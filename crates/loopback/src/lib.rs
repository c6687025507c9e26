//! JSON-RPC over HTTP on loopback, for programs that want the address of an embedded chain.
//!
//! HTTP/1.1 with what such clients send and no more: POST, a body of known length, kept
//! connections. It listens where it is told, which should be loopback: like a node's own RPC it has
//! no passwords, and whoever reaches it can stop time. It knows no chain: what a call answers is
//! an argument. The invariant: connections, bodies and batches are bounded, and when the [`Server`]
//! is dropped its port and all its threads are gone.
//!
//! ```
//! use perun_loopback::{Failure, respond, serve};
//! use serde_json::Value;
//!
//! let server = serve("127.0.0.1:0", |body| {
//!     respond(body, |method, _params| match method {
//!         "ping" => Ok(Value::from("pong")),
//!         _ => Err(Failure::new(-32601, "Method not found")),
//!     })
//! })?;
//! assert!(server.url().starts_with("http://127.0.0.1:"));
//! # Ok::<(), std::io::Error>(())
//! ```

mod http;
mod json;

pub use json::{BATCH_BYTES_MAX, BATCH_MAX, Failure, respond};

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Most connections at once. Each has a thread.
pub const CONNECTIONS_MAX: usize = 64;

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    url: String,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    connections: Mutex<HashMap<u64, Connection>>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    thread: Option<JoinHandle<()>>,
}

/// What answers a body.
type Respond = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// Serves at this address with these answers. Port 0 takes a free one; ask the [`Server`] which.
pub fn serve(
    address: impl ToSocketAddrs,
    respond: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
) -> io::Result<Server> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared::default());
    let for_acceptor = Arc::clone(&shared);
    let respond: Respond = Arc::new(respond);
    let acceptor = std::thread::Builder::new()
        .name("rpc-accept".to_owned())
        .spawn(move || accept(&listener, &for_acceptor, &respond))?;
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

fn accept(listener: &TcpListener, shared: &Arc<Shared>, respond: &Respond) {
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
        let respond = Arc::clone(respond);
        let thread = std::thread::Builder::new().name("rpc".to_owned()).spawn(move || {
            http::serve(stream, |body| respond(body));
            for_thread.connections().remove(&id);
        });
        if let Ok(thread) = thread {
            connections.insert(id, Connection { stream: kept, thread: Some(thread) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_connection_over_the_limit_is_closed() {
        let server = serve("127.0.0.1:0", <[u8]>::to_vec).unwrap();
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
