//! A wire that can be cut: it passes envelopes on, and counts them.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perun_goperun::{DecodeError, Message, Serializer};

use crate::trouble::Result;

/// When a wire is cut, both directions together.
#[derive(Default)]
pub(crate) struct Cut(Mutex<State>);

#[derive(Default)]
struct State {
    /// So many pass before one is lost, and everything is cut.
    left: Option<u64>,
    was_cut: bool,
    sockets: Vec<TcpStream>,
}

impl Cut {
    /// Lets so many envelopes pass from now on; the next is lost with all connections.
    pub(crate) fn after(&self, count: u64) {
        let mut state = self.lock();
        state.left = Some(count);
        state.was_cut = false;
    }

    /// Cuts nothing any more; tells whether it has.
    pub(crate) fn rest(&self) -> bool {
        let mut state = self.lock();
        state.left = None;
        state.was_cut
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an envelope may pass.
    fn passes(&self) -> bool {
        let mut state = self.lock();
        match state.left {
            None => true,
            Some(0) => {
                state.left = None;
                state.was_cut = true;
                for socket in state.sockets.drain(..) {
                    let _ = socket.shutdown(Shutdown::Both);
                }
                false
            }
            Some(count) => {
                state.left = Some(count - 1);
                true
            }
        }
    }
}

/// Listens for one side and connects to the other; it lives as long as the process.
pub(crate) fn relay(to: SocketAddr, serializer: Serializer, cut: &Arc<Cut>) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let here = listener.local_addr()?;
    let cut = cut.clone();
    std::thread::spawn(move || {
        while let Ok((one, _)) = listener.accept() {
            // Whoever is not there is not there for the dialler either.
            if let Ok(other) = TcpStream::connect(to) {
                let _ = join(&one, &other, serializer, &cut);
            }
        }
    });
    Ok(here)
}

fn join(
    one: &TcpStream,
    other: &TcpStream,
    serializer: Serializer,
    cut: &Arc<Cut>,
) -> std::io::Result<()> {
    cut.lock().sockets.extend([one.try_clone()?, other.try_clone()?]);
    for (from, into) in [(one, other), (other, one)] {
        let (from, into, cut) = (from.try_clone()?, into.try_clone()?, cut.clone());
        std::thread::spawn(move || {
            let _ = pass(&from, &into, serializer, &cut);
            for socket in [from, into] {
                let _ = socket.shutdown(Shutdown::Both);
            }
        });
    }
    Ok(())
}

/// Passes whole envelopes on until the stream ends, or is cut.
fn pass(
    mut from: &TcpStream,
    mut into: &TcpStream,
    serializer: Serializer,
    cut: &Cut,
) -> std::io::Result<()> {
    let (mut held, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        match serializer.decode(&held) {
            Ok((envelope, length)) => {
                // Handshakes do not count.
                let is_greeting = matches!(envelope.message, Message::AuthResponse { .. });
                if !is_greeting && !cut.passes() {
                    return Ok(());
                }
                let bytes: Vec<u8> = held.drain(..length).collect();
                into.write_all(&bytes)?;
            }
            Err(DecodeError::Short { .. }) => match from.read(&mut buffer)? {
                0 => return Ok(()),
                count => held.extend(buffer.iter().take(count)),
            },
            Err(error) => return Err(std::io::Error::other(error.to_string())),
        }
    }
}
