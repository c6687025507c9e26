//! A real Anvil in a process of its own, for tests and demos that want a node.
//!
//! Nothing is downloaded: the environment names the program. The invariant: the process ends with
//! the value that started it.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The variable that names Anvil's program.
pub const PROGRAM_VARIABLE: &str = "PERUN_ANVIL_BIN";

/// A running Anvil.
#[derive(Debug)]
pub struct Anvil {
    child: Child,
    address: String,
}

impl Anvil {
    /// The program, if the environment names one.
    #[must_use]
    pub fn program() -> Option<OsString> {
        std::env::var_os(PROGRAM_VARIABLE).filter(|program| !program.is_empty())
    }

    /// Starts it with these arguments on a free port. Ctrl-C at the terminal is not for it: whoever
    /// started it stops it.
    pub fn launch(program: &OsStr, arguments: &[&str]) -> io::Result<(Self, Starting)> {
        let mut command = Command::new(program);
        command.args(["--port", "0"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let output = child.stdout.take();
        let this = Self { child, address: String::new() };
        Ok((this, Starting(output.ok_or(io::ErrorKind::BrokenPipe)?)))
    }

    /// The same, and waits until it listens.
    pub fn start(program: &OsStr, arguments: &[&str]) -> io::Result<Self> {
        let (mut this, starting) = Self::launch(program, arguments)?;
        this.address = starting.address()?;
        Ok(this)
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it answers and sends news.
    #[must_use]
    pub fn socket_url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

/// An Anvil that does not listen yet.
#[derive(Debug)]
pub struct Starting(ChildStdout);

impl Starting {
    /// Waits until it listens, and tells where it answers.
    pub fn url(self) -> io::Result<String> {
        self.address().map(|address| format!("http://{address}"))
    }

    fn address(self) -> io::Result<String> {
        let mut lines = BufReader::new(self.0).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("Listening on ")?.trim().to_owned()));
        let address = address.ok_or_else(|| io::Error::other("it ended before it listened"))?;
        // Whoever stops reading stops the writer.
        std::thread::spawn(move || lines.count());
        Ok(address)
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
