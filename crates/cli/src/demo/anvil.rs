//! An Anvil that the demo starts for itself.
//!
//! The program is named by the variable [`BINARY_VARIABLE`]; nothing is downloaded here. The
//! invariant: the process that was started is stopped when the value goes away.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::Failure;

/// The variable that names Anvil's program.
const BINARY_VARIABLE: &str = "PERUN_ANVIL_BIN";

/// A running Anvil.
pub(super) struct Anvil {
    child: Child,
    url: String,
}

impl Anvil {
    /// The program, if the environment names one.
    pub(super) fn program() -> Option<OsString> {
        std::env::var_os(BINARY_VARIABLE).filter(|program| !program.is_empty())
    }

    /// Starts it on a free port; blocks come when they are asked for.
    pub(super) fn start(program: &OsString) -> Result<Self, Failure> {
        let cannot = |why: String| {
            let program = program.display();
            format!(
                "Anvil, which {BINARY_VARIABLE} names as {program}, did not start: {why}; unset \
                 the variable to use the chain inside this process"
            )
        };
        let mut child = Command::new(program)
            .args(["--port", "0", "--no-mining", "--hardfork", "prague"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| cannot(error.to_string()))?;
        let output = child.stdout.take();
        let mut this = Self { child, url: String::new() };
        let mut lines = BufReader::new(output.ok_or_else(|| cannot("no output".into()))?).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("Listening on ")?.trim().to_owned()));
        let address = address.ok_or_else(|| cannot("it ended before it listened".into()))?;
        // Whoever stops reading stops the writer.
        std::thread::spawn(move || lines.count());
        this.url = format!("http://{address}");
        Ok(this)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
