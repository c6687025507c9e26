//! The story for programs: one JSON object per line, flushed at once.

use super::{Event, Narrator};
use crate::output::Output;
use crate::text::hex;
use serde::Serializer;
use std::io::{self, Write};

/// Writes one JSON object per line.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: Output<W>,
}

impl<W: Write> JsonLines<W> {
    /// A narrator that writes there.
    #[must_use]
    pub const fn new(out: W) -> Self {
        Self { out: Output::new(out) }
    }
}

impl<W: Write> Narrator for JsonLines<W> {
    fn tell(&mut self, event: &Event<'_>) {
        // Nothing in an event can fail to be written as JSON. What cannot be written must not stop
        // what is being told about; the output remembers it.
        let line = serde_json::to_string(event).unwrap_or_default();
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }

    fn trouble(&self) -> Option<&io::Error> {
        self.out.trouble()
    }
}

/// A hash as programs read it.
pub(super) fn hash<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::full(hash))
}

/// A large number as a decimal text.
pub(super) fn decimal<S: Serializer>(
    units: &impl std::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deed::Deed;
    use crate::narrate::{Balance, CutPoint, EthereumTransaction, Summary, Transaction};

    fn told(tell: impl FnOnce(&mut dyn Narrator)) -> String {
        let mut out = Vec::new();
        tell(&mut JsonLines::new(&mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_summary_is_this_line_to_the_letter() {
        let summary = Summary {
            channels_opened: 6,
            payments: 1_000,
            swaps: 4,
            swap_cut_points: 13,
            swap_cut_points_survived: 12,
            disputes_won: 2,
            batch_closes_per_tx: 5,
            balances_ok: true,
            elapsed_ms: 1_234,
        };
        let expected = concat!(
            r#"{"event":"summary","channels_opened":6,"payments":1000,"swaps":4,"#,
            r#""swap_cut_points":13,"swap_cut_points_survived":12,"disputes_won":2,"#,
            r#""batch_closes_per_tx":5,"balances_ok":true,"elapsed_ms":1234}"#,
            "\n"
        );
        assert_eq!(told(|narrator| narrator.summary(&summary)), expected);
    }

    #[test]
    fn every_event_is_one_line_that_starts_with_its_name() {
        let lines = told(|narrator| {
            narrator.step("two\nlines");
            let (name, hash) = ("opens", [0xab; 32]);
            let (by, version) = ("Alice and Bob", Some("7".to_owned()));
            let does = &[Deed { action: "register", channel: None, version }];
            let (fee, bytes, cycles) = (1, 2, 3);
            narrator.transaction(&Transaction { name, by, does, hash, fee, bytes, cycles });
            let (fee, gas) = (u128::MAX, 21_000);
            narrator.ethereum_transaction(&EthereumTransaction { name, by, does, hash, fee, gas });
            narrator.cut_point(&CutPoint {
                plot: "Alice asks",
                message: 1,
                of: 4,
                from: "Alice",
                what: "offer",
                ends_with: "her own money",
                gained_ckb: -1,
                gained_eth: 2,
                whole: true,
            });
            let asset = "CKB".to_owned();
            let who = "alice".to_owned();
            let (before, units, fees, decimals) = (5, u128::MAX, 4, 8);
            narrator.balances("now", &[Balance { who, asset, before, units, fees, decimals }]);
            narrator.progress(1, 2);
            narrator.note("note \"quoted\"");
            narrator.failed("step", "reason");
            narrator.summary(&Summary::default());
        });
        let names = [
            "step",
            "transaction",
            "ethereum_transaction",
            "cut_point",
            "balances",
            "progress",
            "note",
            "failed",
            "summary",
        ];
        assert_eq!(lines.lines().count(), names.len());
        for (line, name) in lines.lines().zip(names) {
            assert!(line.starts_with(&format!("{{\"event\":\"{name}\",")), "{line}");
            let parsed: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(parsed["event"], name);
        }
        assert!(lines.contains(&format!("\"hash\":\"0x{}\",\"fee\":\"1\",", "ab".repeat(32))));
        let does =
            r#""by":"Alice and Bob","does":[{"action":"register","channel":null,"version":"7"}]"#;
        assert_eq!(lines.matches(does).count(), 2, "{lines}");
        assert!(lines.contains(r#""gained_ckb":"-1","gained_eth":"2""#), "{lines}");
        assert!(lines.contains(&format!("\"fee\":\"{}\",\"gas\":21000", u128::MAX)));
        let balance = format!(r#""before":"5","units":"{}","fees":"4""#, u128::MAX);
        assert!(lines.contains(&balance), "{lines}");
    }
}
