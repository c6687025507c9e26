//! The story for people: headings, indented lines, aligned balances, and a bar that grows on a
//! terminal.

use super::{Balance, CutPoint, EthereumTransaction, Event, Narrator, Summary, Transaction};
use crate::deed::{self, Deed};
use crate::output::Output;
use crate::text::amount::{CKB_DECIMALS, show_ckb, show_units};
use crate::text::screen::{Look, Style, bar};
use crate::text::table::{self, Align};
use crate::text::{hex, time};
use std::io::{self, Write};

const WEI_PER_GWEI: u128 = 1_000_000_000;
const GWEI_DECIMALS: u32 = 9;
const ETH_DECIMALS: u32 = 18;

/// Writes text.
#[derive(Debug)]
pub struct Human<W> {
    out: Output<W>,
    look: Look,
    steps: u32,
    /// Whether the last line is a bar that the next one writes over.
    bar_stands: bool,
}

impl<W: Write> Human<W> {
    /// A narrator that writes there, as the look allows.
    #[must_use]
    pub const fn new(out: W, look: Look) -> Self {
        Self { out: Output::new(out), look, steps: 0, bar_stands: false }
    }

    fn write(&mut self, event: &Event<'_>) -> io::Result<()> {
        if let Event::Progress { done, total } = event {
            return self.progress_bar(*done, *total);
        }
        if core::mem::take(&mut self.bar_stands) {
            writeln!(self.out)?;
        }
        match event {
            Event::Step { title } => {
                self.steps = self.steps.saturating_add(1);
                let heading = format!("{}. {title}", self.steps);
                writeln!(self.out, "\n{}", self.look.paint(Style::Bold, &heading))?;
            }
            Event::Transaction(transaction) => self.transaction_line(transaction)?,
            Event::EthereumTransaction(transaction) => self.ethereum_line(transaction)?,
            Event::Balances { title, rows } => self.balance_table(title, rows)?,
            Event::CutPoint(cut) => self.cut_line(cut)?,
            Event::Note { text } => writeln!(self.out, "   {text}")?,
            Event::Failed { step, reason } => {
                let failed = self.look.paint(Style::Bad, "FAILED");
                writeln!(self.out, "\n{failed}: {step}\n   {reason}")?;
            }
            Event::Summary(summary) => self.summary_lines(summary)?,
            Event::Progress { .. } => {}
        }
        self.out.flush()
    }

    fn progress_bar(&mut self, done: u64, total: u64) -> io::Result<()> {
        if self.look.live {
            self.bar_stands = done < total;
            write!(self.out, "\r   {} {done} of {total}", bar(done, total))?;
            if !self.bar_stands {
                writeln!(self.out)?;
            }
            return self.out.flush();
        }
        // Without a terminal nobody waits: the end is enough.
        if done >= total {
            writeln!(self.out, "   {done} of {total}")?;
        }
        self.out.flush()
    }

    fn transaction_line(&mut self, transaction: &Transaction<'_>) -> io::Result<()> {
        let Transaction { name, by, does, hash, fee, bytes, cycles } = transaction;
        let costs = format!(
            "{} · fee {} · {bytes} bytes · {:.1} M cycles",
            hex::short(hash),
            show_ckb((*fee).into()),
            *cycles as f64 / 1e6
        );
        self.deed_line("CKB", by, name, does, &costs)
    }

    /// Who did what on which chain, and what it cost.
    fn deed_line(
        &mut self,
        chain: &str,
        by: &str,
        name: &str,
        does: &[Deed],
        costs: &str,
    ) -> io::Result<()> {
        // A transaction by consent is whatever both wanted: the story knows what.
        let consent = does.iter().any(Deed::is_consent);
        let does = if does.is_empty() || consent { name.to_owned() } else { deed::words(does) };
        let costs = self.look.paint(Style::Dim, costs);
        writeln!(self.out, "   {chain}, {by}: {does}  {costs}")
    }

    fn ethereum_line(&mut self, transaction: &EthereumTransaction<'_>) -> io::Result<()> {
        let EthereumTransaction { name, by, does, hash, fee, gas } = transaction;
        // People want no eighteen decimals of a fee; programs get every wei.
        let fee = show_units(fee / WEI_PER_GWEI, GWEI_DECIMALS);
        let costs = format!("{} · fee {fee} ETH · {gas} gas", hex::short(hash));
        self.deed_line("Ethereum", by, name, does, &costs)
    }

    fn cut_line(&mut self, cut: &CutPoint<'_>) -> io::Result<()> {
        let CutPoint { plot, message, of, from, what, ends_with, whole, .. } = cut;
        let gained = [(cut.gained_ckb, CKB_DECIMALS, "CKB"), (cut.gained_eth, ETH_DECIMALS, "ETH")];
        let gained = gained.map(|(units, decimals, name)| show_gain(units, decimals) + " " + name);
        if *message == 1 {
            writeln!(self.out, "   {plot}:")?;
        }
        let style = if *whole { Style::Good } else { Style::Bad };
        let ends_with = self.look.paint(style, ends_with);
        let last = format!("{message} of {of}, {from}'s {what}");
        writeln!(self.out, "     {last:<32} Alice has {ends_with} ({})", gained.join(", "))
    }

    fn balance_table(&mut self, title: &str, rows: &[Balance]) -> io::Result<()> {
        writeln!(self.out, "   {title}:")?;
        let cells = rows.iter().map(|Balance { who, asset, before, units, fees, decimals }| {
            let [before, units, paid] =
                [before, units, fees].map(|units| show_units(*units, *decimals));
            let fees = if *fees == 0 { String::new() } else { format!("fees {paid}") };
            vec![who.clone(), before, "→".to_owned(), units, asset.clone(), fees]
        });
        let cells: Vec<_> = cells.collect();
        let [left, right] = [Align::Left, Align::Right];
        let columns = [left, right, left, right, left, left];
        table::lines(&columns, &cells).iter().try_for_each(|line| writeln!(self.out, "     {line}"))
    }

    fn summary_lines(&mut self, summary: &Summary) -> io::Result<()> {
        let (style, verdict) = if summary.balances_ok {
            (Style::Good, "everybody has exactly what the last states say")
        } else {
            (Style::Bad, "the balances are NOT what the last states say")
        };
        let elapsed = if summary.elapsed_ms < 10_000 {
            format!("{} ms", summary.elapsed_ms)
        } else {
            time::duration(summary.elapsed_ms / 1_000)
        };
        let cuts = match (summary.swap_cut_points, summary.swap_cut_points_survived) {
            (0, _) => "0".to_owned(),
            (total, whole) => format!("{total}, {whole} ended whole"),
        };
        let rows = [
            ("channels opened", summary.channels_opened.to_string()),
            ("payments", summary.payments.to_string()),
            ("swaps between two chains", summary.swaps.to_string()),
            ("swaps whose partner fell silent", cuts),
            ("disputes won", summary.disputes_won.to_string()),
            ("channels closed by one transaction", summary.batch_closes_per_tx.to_string()),
            ("time", elapsed),
        ];
        let rows = rows.map(|(label, value)| vec![label.to_owned(), value]);
        writeln!(self.out, "\n{}", self.look.paint(Style::Bold, "Summary"))?;
        for line in table::lines(&[Align::Left, Align::Right], &rows) {
            writeln!(self.out, "   {line}")?;
        }
        writeln!(self.out, "   {}", self.look.paint(style, verdict))
    }
}

impl<W: Write> Narrator for Human<W> {
    fn tell(&mut self, event: &Event<'_>) {
        // What cannot be written must not stop what is being told about; the output remembers it.
        let _ = self.write(event);
    }

    fn trouble(&self) -> Option<&io::Error> {
        self.out.trouble()
    }
}

/// A gain with its sign.
fn show_gain(units: i128, decimals: u32) -> String {
    let sign = match units.signum() {
        0 => "±",
        1 => "+",
        _ => "−",
    };
    format!("{sign}{}", show_units(units.unsigned_abs(), decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: Look = Look { colour: true, live: true };

    fn told(look: Look, tell: impl FnOnce(&mut dyn Narrator)) -> String {
        let mut out = Vec::new();
        tell(&mut Human::new(&mut out, look));
        String::from_utf8(out).unwrap()
    }

    fn whole_story(narrator: &mut dyn Narrator) {
        narrator.step("Open");
        let (name, hash) = ("top up", [0xab; 32]);
        let (by, fee, bytes, cycles) = ("Alice and Bob", 1_500, 900, 3_440_000);
        narrator.transaction(&Transaction { name, by, does: &[], hash, fee, bytes, cycles });
        let does = &[Deed { action: "register", channel: None, version: Some("3".to_owned()) }];
        let (by, fee, gas) = ("Bob", 292_918_000_000_001, 204_146);
        narrator.ethereum_transaction(&EthereumTransaction { name, by, does, hash, fee, gas });
        narrator.progress(1, 2);
        narrator.progress(2, 2);
        for (message, whole) in [(1, true), (2, false)] {
            narrator.cut_point(&CutPoint {
                plot: "Bob asks for the swap",
                message,
                of: 2,
                from: "Bob",
                what: "offer",
                ends_with: if whole { "her own money" } else { "LESS" },
                gained_ckb: if whole { 0 } else { -1 },
                gained_eth: 500_000_000_000_000_000,
                whole,
            });
        }
        let balance = |who: &str, units| Balance {
            who: who.to_owned(),
            asset: "CKB".to_owned(),
            before: 1_000_000_000,
            units,
            fees: units / 10,
            decimals: 8,
        };
        narrator.balances("now", &[balance("alice", 1_250_000_000), balance("bob", 0)]);
        narrator.note("Nothing was on the chain.");
        narrator.failed("Close", "The node stopped; no money moved; start it again.");
        narrator.summary(&Summary {
            swap_cut_points: 2,
            swap_cut_points_survived: 1,
            balances_ok: true,
            elapsed_ms: 61_000,
            ..Summary::default()
        });
    }

    #[test]
    fn the_story_without_a_terminal_is_plain_text() {
        let expected = "
1. Open
   CKB, Alice and Bob: top up  0xababab…ababab · fee 0.000015 CKB · 900 bytes · 3.4 M cycles
   Ethereum, Bob: registers version 3  0xababab…ababab · fee 0.000292918 ETH · 204146 gas
   2 of 2
   Bob asks for the swap:
     1 of 2, Bob's offer              Alice has her own money (±0 CKB, +0.5 ETH)
     2 of 2, Bob's offer              Alice has LESS (−0.00000001 CKB, +0.5 ETH)
   now:
     alice  10  →  12.5  CKB  fees 1.25
     bob    10  →     0  CKB
   Nothing was on the chain.

FAILED: Close
   The node stopped; no money moved; start it again.

Summary
   channels opened                                    0
   payments                                           0
   swaps between two chains                           0
   swaps whose partner fell silent     2, 1 ended whole
   disputes won                                       0
   channels closed by one transaction                 0
   time                                       1 min 1 s
   everybody has exactly what the last states say
";
        assert_eq!(told(Look::PLAIN, whole_story), expected);
    }

    #[test]
    fn a_terminal_sees_colours_and_a_bar_in_place() {
        let text = told(LIVE, whole_story);
        assert!(text.contains("\u{1b}[1m1. Open\u{1b}[0m"));
        assert!(text.contains("\r   [#####.....]  50 % 1 of 2"));
    }

    #[test]
    fn what_all_consent_to_is_called_what_the_story_calls_it() {
        let text = told(Look::PLAIN, |narrator| {
            let does = ["coop_spend", "create"].map(|action| Deed {
                action,
                channel: None,
                version: None,
            });
            let (name, by, hash, fee, bytes, cycles) = ("top up", "Alice", [1; 32], 1, 2, 3);
            narrator.transaction(&Transaction { name, by, does: &does, hash, fee, bytes, cycles });
        });
        assert!(text.starts_with("   CKB, Alice: top up  "), "{text}");
    }

    #[test]
    fn a_bar_fits_into_forty_columns() {
        let text = told(LIVE, |narrator| narrator.progress(2_000, 2_000));
        assert!(text.trim_matches(['\r', '\n']).len() <= 40, "{text:?}");
    }

    #[test]
    fn a_bar_that_stands_is_left_before_the_next_line() {
        let text = told(LIVE, |narrator| {
            narrator.progress(1, 2);
            narrator.note("stopped");
        });
        assert!(text.ends_with("1 of 2\n   stopped\n"), "{text:?}");
    }

    #[test]
    fn progress_without_a_terminal_is_one_line() {
        let text = told(Look::PLAIN, |narrator| {
            (0..=1_000).for_each(|done| narrator.progress(done, 1_000));
        });
        assert_eq!(text, "   1000 of 1000\n");
    }
}
