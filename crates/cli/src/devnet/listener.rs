//! What is printed of a running chain: its opening, one line for each block with transactions, its
//! end.

use crate::deed::Deed;
use crate::output::Output;
use crate::problem::Problem;
use crate::report::Report;
use crate::text::screen::{Look, Style};
use crate::text::{hex, time};
use ckb_types::core::BlockView;
use ckb_types::prelude::*;
use serde_json::json;
use std::io::Write;

/// Somebody who reads what happens.
pub struct Listener {
    out: Output<Box<dyn Write>>,
    look: Look,
    json: bool,
}

impl Listener {
    /// A listener that is written to there, for people or as JSON lines.
    pub fn new(out: impl Write + 'static, look: Look, json: bool) -> Self {
        Self { out: Output::new(Box::new(out)), look, json }
    }

    /// The chain runs.
    pub(super) fn opened(&mut self, report: &Report) {
        let text = if self.json {
            report.json()
        } else {
            report.text(self.look) + "\nBlocks with transactions follow. Ctrl-C stops the chain."
        };
        self.line(&text);
    }

    /// A block with transactions was made.
    pub(super) fn block(&mut self, block: &BlockView) {
        let transactions = block.transactions();
        let described = transactions.iter().skip(1).map(|tx| {
            let deeds = Deed::on_ckb(&tx.witnesses());
            (tx.hash(), deeds)
        });
        let described: Vec<_> = described.collect();
        if self.json {
            let transactions = described.iter().map(
                |(hash, deeds)| json!({ "hash": hex::full(hash.as_slice()), "actions": deeds }),
            );
            let line = json!({
                "event": "block",
                "number": block.number(),
                "hash": hex::full(block.hash().as_slice()),
                "timestamp": block.timestamp(),
                "transactions": transactions.collect::<Vec<_>>(),
            });
            return self.line(&line.to_string());
        }
        let transactions = described.iter().map(|(hash, deeds)| {
            let hash = hex::short(hash.as_slice());
            let deeds: Vec<_> = deeds.iter().map(Deed::sentence).collect();
            if deeds.is_empty() { hash } else { format!("{hash} ({})", deeds.join(", ")) }
        });
        let number = self.look.paint(Style::Bold, &format!("block {}", block.number()));
        let transactions = transactions.collect::<Vec<_>>().join(", ");
        self.line(&format!("{number}  {}  {transactions}", time::date(block.timestamp())));
    }

    /// A client undid blocks.
    pub(super) fn rolled_back(&mut self, number: u64) {
        if self.json {
            return self.line(&json!({ "event": "rolled_back", "number": number }).to_string());
        }
        self.line(&format!("a client undid blocks; the chain stands at block {number}"));
    }

    /// The chain has stopped.
    pub(super) fn closed(&mut self, number: u64) {
        if self.json {
            return self.line(&json!({ "event": "stopped", "number": number }).to_string());
        }
        self.line(&format!("stopped at block {number}; the chain is gone, nothing was kept"));
    }

    /// Whether everything could be written.
    pub(super) fn check(&self) -> Result<(), Problem> {
        self.out.trouble().map_or(Ok(()), |error| Err(Problem::Output(error.to_string())))
    }

    fn line(&mut self, text: &str) {
        // What cannot be written must not stop the chain that others use.
        let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }
}
