//! An Anvil that the demo starts for itself.
//!
//! The program is named by the variable [`BINARY_VARIABLE`]; nothing is downloaded here. The
//! invariant: the process that was started is stopped when the value goes away.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::Failure;

/// The variable that names Anvil's program.
const BINARY_VARIABLE: &str = "PERUN_ANVIL_BIN";

/// A running Anvil.
pub(super) struct Anvil(Child);

/// What it writes, which tells where it listens.
pub(super) struct Lines {
    program: String,
    output: ChildStdout,
}

impl Anvil {
    /// The program, if the environment names one.
    pub(super) fn program() -> Option<OsString> {
        std::env::var_os(BINARY_VARIABLE).filter(|program| !program.is_empty())
    }

    /// Starts it on a free port; blocks come when they are asked for. Ctrl-C at the terminal is not
    /// for it: whoever started it stops it.
    pub(super) fn start(program: &OsString) -> Result<(Self, Lines), Failure> {
        let mut command = Command::new(program);
        command.args(["--port", "0", "--no-mining", "--hardfork", "prague"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let program = program.to_string_lossy().into_owned();
        let mut child = command.spawn().map_err(|error| cannot(&program, &error.to_string()))?;
        let output = child.stdout.take();
        let this = Self(child);
        let output = output.ok_or_else(|| cannot(&program, "no output"))?;
        Ok((this, Lines { program, output }))
    }
}

impl Lines {
    /// Waits until it listens, and tells where.
    pub(super) fn url(self) -> Result<String, Failure> {
        let mut lines = BufReader::new(self.output).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix("Listening on ")?.trim().to_owned()));
        let address =
            address.ok_or_else(|| cannot(&self.program, "it ended before it listened"))?;
        // Whoever stops reading stops the writer.
        std::thread::spawn(move || lines.count());
        Ok(format!("http://{address}"))
    }
}

fn cannot(program: &str, why: &str) -> Failure {
    format!(
        "Anvil, which {BINARY_VARIABLE} names as {program}, did not start: {why}; unset the \
         variable to use the chain inside this process"
    )
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
