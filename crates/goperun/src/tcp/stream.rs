//! The bytes of one connection, plain or under TLS, with a deadline for each step.
//!
//! Two threads may use one stream: one reads, one writes. Under TLS both need the same keys; a lock
//! is held while bytes are turned, never while a socket is waited for, but by writers among
//! themselves.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::{ClientConnection, Connection, ServerConnection};

use super::{LinkError, Security};

const SEALED_BYTES: usize = 16 << 10;

/// What is left of the time for something; `None` is for ever.
pub(super) type Left<'a> = &'a dyn Fn() -> Result<Option<Duration>, LinkError>;

/// A connection, for both of its halves.
#[derive(Clone, Debug)]
pub(super) struct Stream(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    socket: TcpStream,
    tls: Option<Tls>,
}

#[derive(Debug)]
struct Tls {
    connection: Mutex<Connection>,
    /// Sealed bytes that arrived and were not opened yet. Only the reader uses it.
    sealed: Mutex<Vec<u8>>,
    /// Held while sealed bytes leave, so that they leave in their order.
    leaving: Mutex<()>,
}

impl Stream {
    /// Makes a stream of a fresh connection that we dialled.
    pub(super) fn dialled(
        socket: TcpStream,
        security: &Security,
        left: Left<'_>,
    ) -> Result<Self, LinkError> {
        let connection = match security {
            Security::None => None,
            Security::Tls { client, server_name, .. } => {
                let connection = ClientConnection::new(client.clone(), server_name.clone());
                Some(connection.map_err(|_| LinkError::Insecure)?.into())
            }
        };
        Self::greet(socket, connection, left)
    }

    /// Makes a stream of a fresh connection that a listener took.
    pub(super) fn accepted(
        socket: TcpStream,
        security: &Security,
        left: Left<'_>,
    ) -> Result<Self, LinkError> {
        let connection = match security {
            Security::None => None,
            Security::Tls { server, .. } => {
                let connection = ServerConnection::new(server.clone());
                Some(connection.map_err(|_| LinkError::Insecure)?.into())
            }
        };
        Self::greet(socket, connection, left)
    }

    fn greet(
        socket: TcpStream,
        connection: Option<Connection>,
        left: Left<'_>,
    ) -> Result<Self, LinkError> {
        socket.set_nodelay(true)?;
        let tls = connection.map(|connection| Tls {
            connection: Mutex::new(connection),
            sealed: Mutex::default(),
            leaving: Mutex::default(),
        });
        let stream = Self(Arc::new(Shared { socket, tls }));
        if let Some(tls) = &stream.0.tls {
            let mut done = false;
            while !done {
                stream.flush(tls, left)?;
                done = !lock(&tls.connection).is_handshaking();
                if !done && !stream.fill(tls, left)? {
                    return Err(LinkError::Cut);
                }
            }
            stream.flush(tls, left)?;
        }
        Ok(stream)
    }

    /// Reads some bytes; none when the stream has ended.
    pub(super) fn read(&self, buffer: &mut [u8], left: Left<'_>) -> Result<usize, LinkError> {
        let Some(tls) = &self.0.tls else { return self.read_socket(buffer, left) };
        loop {
            let opened = lock(&tls.connection).reader().read(buffer);
            match opened {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Ended without a farewell: no more than a plain stream says.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) => return Err(error.into()),
            }
            if !self.fill(tls, left)? {
                return Ok(0);
            }
            // What TLS has to say itself. A writer that is at it takes it along later; if a reader
            // waited for that, both ends might wait for each other.
            if let Ok(order) = tls.leaving.try_lock() {
                self.flush_in_order(tls, left, &order)?;
            }
        }
    }

    /// Writes all bytes.
    pub(super) fn write(&self, mut bytes: &[u8], left: Left<'_>) -> Result<(), LinkError> {
        let Some(tls) = &self.0.tls else { return self.write_socket(bytes, left) };
        while !bytes.is_empty() {
            let count = lock(&tls.connection).writer().write(bytes)?;
            bytes = bytes.get(count..).unwrap_or_default();
            self.flush(tls, left)?;
        }
        Ok(())
    }

    /// Closes it, both ways; whoever reads or writes it stops.
    pub(super) fn close(&self) {
        let _ = self.0.socket.shutdown(Shutdown::Both);
    }

    /// Opens sealed bytes, after waiting for some if there are none; false at the stream's end.
    fn fill(&self, tls: &Tls, left: Left<'_>) -> Result<bool, LinkError> {
        let mut sealed = lock(&tls.sealed);
        if sealed.is_empty() {
            let mut buffer = [0; SEALED_BYTES];
            let count = self.read_socket(&mut buffer, left)?;
            if count == 0 {
                return Ok(false);
            }
            sealed.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
        let mut connection = lock(&tls.connection);
        let mut rest = sealed.as_slice();
        connection.read_tls(&mut rest)?;
        let taken = sealed.len().saturating_sub(rest.len());
        sealed.drain(..taken);
        let opened = connection.process_new_packets();
        drop(connection);
        if opened.is_err() {
            // The reason goes to the peer as an alert, if it still listens.
            if let Ok(order) = tls.leaving.try_lock() {
                let _ = self.flush_in_order(tls, left, &order);
            }
            return Err(LinkError::Insecure);
        }
        Ok(true)
    }

    /// Sends what is sealed.
    fn flush(&self, tls: &Tls, left: Left<'_>) -> Result<(), LinkError> {
        let order = lock(&tls.leaving);
        self.flush_in_order(tls, left, &order)
    }

    fn flush_in_order(
        &self,
        tls: &Tls,
        left: Left<'_>,
        _order: &MutexGuard<'_, ()>,
    ) -> Result<(), LinkError> {
        let mut out = Vec::new();
        {
            let mut connection = lock(&tls.connection);
            while connection.wants_write() {
                connection.write_tls(&mut out)?;
            }
        }
        self.write_socket(&out, left)
    }

    fn read_socket(&self, buffer: &mut [u8], left: Left<'_>) -> Result<usize, LinkError> {
        loop {
            self.0.socket.set_read_timeout(left()?)?;
            match (&self.0.socket).read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Ok(result?),
            }
        }
    }

    fn write_socket(&self, mut bytes: &[u8], left: Left<'_>) -> Result<(), LinkError> {
        while !bytes.is_empty() {
            self.0.socket.set_write_timeout(left()?)?;
            match (&self.0.socket).write(bytes) {
                Ok(0) => return Err(LinkError::Cut),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
