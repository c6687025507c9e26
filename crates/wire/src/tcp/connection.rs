//! The life of one TCP connection: handshake, then a reader and a writer until either fails.
//!
//! The reader is the thread that runs [`run`]; the writer also keeps the timers. Whichever ends
//! first closes the socket, which ends the other.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{DialFailure, NetworkEvent, STACK_BYTES, Shared, WRITE_MS_MAX, peers::Peer};
use crate::{Connection, Event, Handshake, Time, WireError};

const READ_BYTES: usize = 16 << 10;

/// Runs the connection that holds this place to its end, and gives the place back. An error means
/// that it never came to be.
pub(super) fn run(
    shared: &Arc<Shared>,
    stream: &TcpStream,
    place: u64,
    start: impl FnOnce([u8; 32], Time) -> Result<Handshake, WireError>,
) -> Result<(), DialFailure> {
    let done = greet_and_talk(shared, stream, place, start);
    let _ = stream.shutdown(Shutdown::Both);
    shared.leave(place);
    done
}

fn greet_and_talk(
    shared: &Arc<Shared>,
    stream: &TcpStream,
    place: u64,
    start: impl FnOnce([u8; 32], Time) -> Result<Handshake, WireError>,
) -> Result<(), DialFailure> {
    let socket = |error: io::Error| DialFailure::Socket(error.kind());
    stream.set_nodelay(true).map_err(socket)?;
    let handshake = start(shared.fresh(), shared.now()).map_err(DialFailure::Wire)?;
    let connection = greet(shared, stream, handshake)?;
    stream.set_read_timeout(None).map_err(socket)?;
    let id = connection.peer();
    if !shared.greeted(place, id) {
        return Err(DialFailure::NoRoom);
    }
    let peer = shared.peer(id).filter(|peer| peer.has_room()).ok_or(DialFailure::NoRoom)?;
    let generation = attach(shared, &peer, connection).map_err(DialFailure::Wire)?;
    let writer = start_writer(shared, &peer, generation, stream).map_err(socket);
    if writer.is_ok() {
        read_all(shared, &peer, generation, stream);
    } else {
        end(shared, &peer, generation, None);
    }
    let _ = stream.shutdown(Shutdown::Both);
    peer.wake();
    if let Ok(writer) = writer {
        let _ = writer.join();
    }
    Ok(())
}

/// The handshake, by one thread, within its deadline.
fn greet(
    shared: &Shared,
    mut stream: &TcpStream,
    mut handshake: Handshake,
) -> Result<Connection, DialFailure> {
    let socket = |error: io::Error| DialFailure::Socket(error.kind());
    let mut buffer = [0; 256];
    loop {
        while let Some(bytes) = handshake.poll_transmit() {
            write_until(shared, stream, &bytes, handshake.deadline()).map_err(socket)?;
        }
        if handshake.is_done() {
            return handshake.finish().map_err(DialFailure::Wire);
        }
        let patience = left(shared, handshake.deadline());
        if patience.is_zero() || shared.is_stopping() {
            return Err(DialFailure::Wire(WireError::HandshakeTimeout));
        }
        stream.set_read_timeout(Some(patience)).map_err(socket)?;
        let read = match stream.read(&mut buffer) {
            Ok(0) => return Err(DialFailure::Socket(io::ErrorKind::UnexpectedEof)),
            Ok(read) => read,
            Err(error) if is_timeout(&error) => continue,
            Err(error) => return Err(socket(error)),
        };
        if let Err(error) = handshake.handle_bytes(buffer.get(..read).unwrap_or_default()) {
            while let Some(bytes) = handshake.poll_transmit() {
                // A last word, if the other end still listens.
                let _ = write_until(shared, stream, &bytes, handshake.deadline());
            }
            return Err(DialFailure::Wire(error));
        }
    }
}

fn attach(shared: &Shared, peer: &Arc<Peer>, connection: Connection) -> Result<u64, WireError> {
    let id = connection.peer();
    let mut state = peer.lock();
    let mut events = Vec::new();
    let had_one = state.session.is_attached();
    let attached = state.session.attach(connection, shared.now(), &mut events);
    if attached == Err(WireError::Duplicate) {
        return Err(WireError::Duplicate);
    }
    state.generation = state.generation.saturating_add(1);
    if had_one {
        let reason = Some(WireError::Duplicate);
        shared.tell(&peer.unread, NetworkEvent::Disconnected { peer: id, reason });
    }
    tell_all(shared, peer, &mut events, &state.session);
    peer.wake();
    attached.map(|()| state.generation)
}

fn start_writer(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    generation: u64,
    stream: &TcpStream,
) -> io::Result<thread::JoinHandle<()>> {
    let (shared, peer, stream) = (shared.clone(), peer.clone(), stream.try_clone()?);
    let builder = thread::Builder::new().name("perun-write".to_owned()).stack_size(STACK_BYTES);
    builder.spawn(move || {
        write_all(&shared, &peer, generation, &stream);
        // Ends the reader too.
        let _ = stream.shutdown(Shutdown::Both);
    })
}

fn read_all(shared: &Shared, peer: &Arc<Peer>, generation: u64, mut stream: &TcpStream) {
    let mut buffer = vec![0; READ_BYTES];
    let mut events = Vec::new();
    loop {
        let read = match stream.read(&mut buffer) {
            Ok(0) => return end(shared, peer, generation, None),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return end(shared, peer, generation, None),
        };
        let mut state = peer.lock();
        if state.generation != generation {
            return;
        }
        let bytes = buffer.get(..read).unwrap_or_default();
        let handled = state.session.handle_bytes(bytes, shared.now(), &mut events);
        // Under the lock, so that events of one peer keep their order.
        tell_all(shared, peer, &mut events, &state.session);
        drop(state);
        peer.wake();
        if let Err(error) = handled {
            return end(shared, peer, generation, Some(error));
        }
    }
}

fn write_all(shared: &Shared, peer: &Arc<Peer>, generation: u64, stream: &TcpStream) {
    let mut state = peer.lock();
    while state.generation == generation && !shared.is_stopping() {
        if let Err(error) = state.session.handle_timeout(shared.now()) {
            drop(state);
            return end(shared, peer, generation, Some(error));
        }
        let Some(deadline) = state.session.deadline() else { return };
        match state.session.poll_transmit() {
            Some(bytes) => {
                drop(state);
                if write_until(shared, stream, &bytes, shared.now().after(WRITE_MS_MAX)).is_err() {
                    return end(shared, peer, generation, None);
                }
                state = peer.lock();
            }
            None if state.session.said_goodbye() => {
                drop(state);
                return end(shared, peer, generation, None);
            }
            None => state = peer.wait(state, left(shared, deadline)),
        }
    }
}

/// Ends the connection of this generation, once.
fn end(shared: &Shared, peer: &Arc<Peer>, generation: u64, reason: Option<WireError>) {
    let mut state = peer.lock();
    if state.generation == generation {
        state.generation = state.generation.saturating_add(1);
        state.session.detach();
        let id = state.session.peer();
        shared.tell(&peer.unread, NetworkEvent::Disconnected { peer: id, reason });
    }
    drop(state);
    peer.wake();
}

fn tell_all(shared: &Shared, peer: &Peer, events: &mut Vec<Event>, session: &crate::Session) {
    for event in events.drain(..) {
        shared.tell(&peer.unread, NetworkEvent::Session { peer: session.peer(), event });
    }
}

/// Writes everything or fails at the deadline, however slowly the other end reads.
fn write_until(
    shared: &Shared,
    mut stream: &TcpStream,
    mut bytes: &[u8],
    deadline: Time,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let left = left(shared, deadline);
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_write_timeout(Some(left))?;
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn left(shared: &Shared, deadline: Time) -> Duration {
    Duration::from_millis(deadline.0.saturating_sub(shared.now().0))
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
