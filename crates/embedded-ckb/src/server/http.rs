//! As much HTTP/1.1 as a JSON-RPC client needs.
//!
//! One request after another on one connection. It takes JSON only, which also keeps web pages out:
//! a page of another origin may not send that type without asking first, and nothing here answers
//! such a question. The invariant: at most [`HEAD_BYTES_MAX`] and [`BODY_BYTES_MAX`] are held for a
//! connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest request line and headers together.
const HEAD_BYTES_MAX: u64 = 16 * 1024;

/// Longest body. The largest transaction is a little over 1 MB as JSON.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a connection may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Serves a connection until it ends.
pub(super) fn serve(stream: TcpStream, respond: impl Fn(&[u8]) -> Vec<u8>) {
    // Whatever goes wrong here went wrong with the peer: the connection is closed, the chain
    // stands.
    let _ = serve_until_error(stream, respond);
}

fn serve_until_error(stream: TcpStream, respond: impl Fn(&[u8]) -> Vec<u8>) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(head) = Head::read(&mut reader)? {
        if let Some(status) = head.problem() {
            return write_reply(&mut writer, status, b"", false);
        }
        if head.expects_continue {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let mut body = vec![0; head.length.unwrap_or_default()];
        reader.read_exact(&mut body)?;
        write_reply(&mut writer, "200 OK", &respond(&body), head.keep)?;
        if !head.keep {
            break;
        }
    }
    Ok(())
}

fn write_reply(writer: &mut TcpStream, status: &str, body: &[u8], keep: bool) -> io::Result<()> {
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
