//! The table of costs, as JSON with a row a line, so that a changed cost is a changed line.
//!
//! The invariant: rows keep the order in which they were measured.

use std::fmt::{self, Display, Formatter};

use perun_embedded_evm::GasParts;

/// All rows measured so far.
#[derive(Default)]
pub(crate) struct Table(Vec<(String, u64)>);

impl Table {
    /// Adds a row. Names are plain words: they need no escapes in JSON.
    pub(crate) fn add(&mut self, operation: &str, gas: u64) {
        self.0.push((operation.to_owned(), gas));
    }

    /// Adds what the gas of a row is for. What is given back is taken off their sum.
    pub(crate) fn add_parts(&mut self, operation: &str, parts: &GasParts) {
        for (part, gas) in [
            ("transaction and its bytes", parts.transaction),
            ("storage", parts.storage),
            ("signatures", parts.signatures),
            ("logs", parts.logs),
            ("coins sent and tokens' code", parts.calls),
            ("the hub's code", parts.code),
            ("given back", parts.refund),
        ] {
            self.add(&format!("{operation} / {part}"), gas);
        }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "[")?;
        for (number, (operation, gas)) in self.0.iter().enumerate() {
            let comma = if number + 1 == self.0.len() { "" } else { "," };
            write!(f, r#"  {{"ledger":"ethereum","operation":"{operation}","#)?;
            writeln!(f, r#""unit":"gas","value":{gas}}}{comma}"#)?;
        }
        writeln!(f, "]")
    }
}
