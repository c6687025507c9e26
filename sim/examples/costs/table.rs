//! The table of costs, as JSON with a row a line, so that a changed cost is a changed line.
//!
//! The invariant: rows keep the order in which they were measured.

use std::fmt::{self, Display, Formatter};

/// What a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Cycles,
    Bytes,
    Shannons,
    Channels,
}

impl Display for Unit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cycles => "cycles",
            Self::Bytes => "bytes",
            Self::Shannons => "shannons",
            Self::Channels => "channels",
        })
    }
}

/// All rows measured so far.
#[derive(Default)]
pub(crate) struct Table(Vec<(String, Unit, u64)>);

impl Table {
    /// Adds a row. Names are plain words: they need no escapes in JSON.
    pub(crate) fn add(&mut self, operation: &str, unit: Unit, value: u64) {
        self.0.push((operation.to_owned(), unit, value));
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "[")?;
        for (number, (operation, unit, value)) in self.0.iter().enumerate() {
            let comma = if number + 1 == self.0.len() { "" } else { "," };
            write!(f, r#"  {{"ledger":"ckb","operation":"{operation}","#)?;
            writeln!(f, r#""unit":"{unit}","value":{value}}}{comma}"#)?;
        }
        writeln!(f, "]")
    }
}
