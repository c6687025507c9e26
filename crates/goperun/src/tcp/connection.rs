//! The life of one connection of a network: handshake, then a reader and a writer until either
//! fails.
//!
//! The reader is the thread that runs [`run`]. Whichever ends first closes the socket, which ends
//! the other.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::network::{STACK_BYTES, Shared};
use super::outbox::Outbox;
use super::{DialFailure, Incoming, Link, LinkError, Outgoing};
use crate::{Identities, Message};

/// Runs the connection that holds this place to its end, and gives the place back. An error means
/// that it never came to be.
pub(super) fn run(
    shared: &Arc<Shared>,
    place: u64,
    dialled: bool,
    greet: impl FnOnce() -> Result<Link, LinkError>,
) -> Result<(), DialFailure> {
    let done = greet_and_talk(shared, place, dialled, greet);
    shared.leave(place);
    done
}

fn greet_and_talk(
    shared: &Arc<Shared>,
    place: u64,
    dialled: bool,
    greet: impl FnOnce() -> Result<Link, LinkError>,
) -> Result<(), DialFailure> {
    let link = greet().map_err(DialFailure::Link)?;
    let peer = link.peer().clone();
    let Link { outgoing, mut incoming } = link;
    let outbox = shared.greeted(place, &peer, dialled)?;
    match start_writer(shared, place, &peer, &outbox, outgoing) {
        Ok(writer) => {
            let reason = read_all(shared, place, &mut incoming);
            shared.end(place, &peer, reason);
            // It ends now: its socket is closed, and nothing is left to write.
            let _ = writer.join();
        }
        Err(error) => shared.end(place, &peer, Some(error.into())),
    }
    shared.letters.wait_until_read(place);
    Ok(())
}

fn start_writer(
    shared: &Arc<Shared>,
    place: u64,
    peer: &Identities,
    outbox: &Arc<Outbox>,
    mut outgoing: Outgoing,
) -> io::Result<JoinHandle<()>> {
    let (shared, peer, outbox) = (shared.clone(), peer.clone(), outbox.clone());
    let builder = thread::Builder::new().name("goperun-write".to_owned()).stack_size(STACK_BYTES);
    builder.spawn(move || {
        let mut reason = None;
        while let (None, Some(bytes)) = (&reason, outbox.next()) {
            reason = outgoing.write(&bytes).err();
        }
        // Ends the reader too.
        shared.end(place, &peer, reason);
    })
}

/// Reads until the connection ends, and tells why.
fn read_all(shared: &Shared, place: u64, incoming: &mut Incoming) -> Option<LinkError> {
    loop {
        let (message, size) = match incoming.receive_sized() {
            Ok(received) => received?,
            Err(error) => return Some(error),
        };
        let is_for_nobody = matches!(
            message,
            Message::Ping { .. }
                | Message::Pong { .. }
                | Message::Shutdown { .. }
                | Message::AuthResponse { .. }
        );
        if !is_for_nobody && !shared.letters.put(place, message, size) {
            return None;
        }
    }
}
