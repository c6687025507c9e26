//! As much HTTP/1.1 as a JSON-RPC client needs.
//!
//! One request after another on one connection. It takes JSON only, which also keeps web pages out:
//! a page of another origin may not send that type without asking first, and nothing here answers
//! such a question. The invariant: at most [`HEAD_BYTES_MAX`] and [`BODY_BYTES_MAX`] are held for a
//! connection, and a client that sends or reads however slowly holds it for a bounded time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Longest request line and headers together.
const HEAD_BYTES_MAX: u64 = 16 * 1024;

/// Longest body. The largest transaction is a little over 1 MB as JSON.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a connection may wait for its next request, a request may take to arrive, and a reply
/// to leave. All of it on loopback takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves a connection until it ends.
pub(crate) fn serve(stream: TcpStream, respond: impl Fn(&[u8]) -> Vec<u8>) {
    // Whatever goes wrong here went wrong with the peer: the connection is closed, the chain
    // stands.
    let _ = serve_until_error(stream, PATIENCE, respond);
}

fn serve_until_error(
    stream: TcpStream,
    patience: Duration,
    respond: impl Fn(&[u8]) -> Vec<u8>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = Timed::new(stream.try_clone()?, patience);
    let mut reader = BufReader::new(Timed::new(stream, patience));
    loop {
        reader.get_mut().restart();
        // The wait for a request does not count as a part of it.
        if reader.fill_buf()?.is_empty() {
            return Ok(());
        }
        reader.get_mut().restart();
        let Some(head) = Head::read(&mut reader)? else { return Ok(()) };
        writer.restart();
        if let Some(status) = head.problem() {
            return write_reply(&mut writer, status, b"", false);
        }
        if head.expects_continue {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut body = vec![0; head.length.unwrap_or_default()];
        reader.read_exact(&mut body)?;
        let reply = respond(&body);
        writer.restart();
        write_reply(&mut writer, "200 OK", &reply, head.keep)?;
        if !head.keep {
            return Ok(());
        }
    }
}

/// A stream whose reads and writes end together at one time. A limit for each of them would let a
/// client that sends a byte now and then hold its connection for days.
struct Timed {
    stream: TcpStream,
    patience: Duration,
    until: Instant,
}

impl Timed {
    fn new(stream: TcpStream, patience: Duration) -> Self {
        Self { stream, patience, until: Instant::now() + patience }
    }

    /// What comes now has all the time again.
    fn restart(&mut self) {
        self.until = Instant::now() + self.patience;
    }

    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn write_reply(writer: &mut Timed, status: &str, body: &[u8], keep: bool) -> io::Result<()> {
    let connection = if keep { "keep-alive" } else { "close" };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: {connection}\r\n\r\n",
        body.len()
    );
    // One write, so that a small reply is one packet.
    writer.write_all(&[head.as_bytes(), body].concat())
}

#[derive(Debug, Default)]
struct Head {
    post: bool,
    json: bool,
    length: Option<usize>,
    expects_continue: bool,
    keep: bool,
}

impl Head {
    /// Reads up to the empty line. Nothing if the connection ended between requests.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut lines = reader.take(HEAD_BYTES_MAX);
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut head = Self {
            post: line.starts_with("POST "),
            keep: line.contains(" HTTP/1.1"),
            ..Self::default()
        };
        loop {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let trimmed = line.trim_end();
            if trimmed.is_empty() {
                return Ok(Some(head));
            }
            if let Some((name, value)) = trimmed.split_once(':') {
                head.field(&name.to_ascii_lowercase(), value.trim());
            }
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        match name {
            "content-length" => self.length = value.parse().ok(),
            "content-type" => {
                self.json = value.to_ascii_lowercase().starts_with("application/json")
            }
            "expect" => self.expects_continue = value.eq_ignore_ascii_case("100-continue"),
            "connection" => self.keep = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }

    fn problem(&self) -> Option<&'static str> {
        if !self.post {
            return Some("405 Method Not Allowed");
        }
        if !self.json {
            return Some("415 Unsupported Media Type");
        }
        match self.length {
            None => Some("411 Length Required"),
            Some(length) if length > BODY_BYTES_MAX => Some("413 Content Too Large"),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A connection to a server with so much patience that answers with so many bytes, and what
    /// serving it came to.
    fn served(
        patience: Duration,
        reply: usize,
    ) -> (TcpStream, std::thread::JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let server =
            std::thread::spawn(move || serve_until_error(stream, patience, |_| vec![b'0'; reply]));
        (client, server)
    }

    fn is_late(result: &io::Result<()>) -> bool {
        let kind = result.as_ref().map_err(io::Error::kind);
        matches!(kind, Err(io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock))
    }

    const HEAD: &str = "POST / HTTP/1.1\r\ncontent-type: application/json\r\n";

    #[test]
    fn a_client_that_sends_a_byte_now_and_then_is_closed() {
        const PAUSE: Duration = Duration::from_millis(10);
        let (mut client, server) = served(PAUSE * 30, 0);
        client.set_read_timeout(Some(PAUSE)).unwrap();
        let mut sent = 0;
        // Each byte comes long before the patience is over; all of them do not.
        while sent < 300 && client.write_all(b"P").is_ok() {
            sent += 1;
            if !client.read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            {
                break;
            }
        }
        assert!(sent < 300, "it was let go on");
        assert!(is_late(&server.join().unwrap()));
    }

    #[test]
    fn a_client_that_does_not_read_its_reply_is_closed() {
        let (mut client, server) = served(Duration::from_millis(300), 64 << 20);
        client.write_all(format!("{HEAD}content-length: 0\r\n\r\n").as_bytes()).unwrap();
        assert!(is_late(&server.join().unwrap()), "no buffer holds so much");
    }

    #[test]
    fn heads_and_bodies_over_their_limit_are_not_read() {
        let (mut client, server) = served(PATIENCE, 0);
        let long = "a".repeat(usize::try_from(HEAD_BYTES_MAX).unwrap());
        client.write_all(format!("{HEAD}name: {long}\r\n").as_bytes()).unwrap();
        let refused = server.join().unwrap().map_err(|error| error.kind());
        assert_eq!(refused, Err(io::ErrorKind::InvalidData));
        let (mut client, server) = served(PATIENCE, 0);
        let length = BODY_BYTES_MAX + 1;
        client.write_all(format!("{HEAD}content-length: {length}\r\n\r\n").as_bytes()).unwrap();
        server.join().unwrap().unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
}
