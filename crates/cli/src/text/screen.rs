//! What the output can show: whether it is a terminal, colours, and a line that is written over.
//!
//! The decision is made once, in [`Look::of_stdout`]; everybody else asks the [`Look`]. The
//! invariant: a plain look writes no escape codes and no carriage returns.

use std::io::IsTerminal;

/// What may be written beside plain text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Colours and weights.
    pub colour: bool,
    /// Lines that are written over, for progress.
    pub live: bool,
}

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A heading.
    Bold,
    /// Less important than what surrounds it.
    Dim,
    /// Something went well.
    Good,
    /// Something went wrong.
    Bad,
}

impl Look {
    /// Plain text and nothing else.
    pub const PLAIN: Self = Self { colour: false, live: false };

    /// What standard output can show. `NO_COLOR`, if set to anything, takes the colours away.
    #[must_use]
    pub fn of_stdout() -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self::decide(std::io::stdout().is_terminal(), no_colour, dumb)
    }

    const fn decide(terminal: bool, no_colour: bool, dumb: bool) -> Self {
        Self { colour: terminal && !no_colour && !dumb, live: terminal && !dumb }
    }

    /// The text in this style, if there are colours.
    #[must_use]
    pub fn paint(self, style: Style, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Bad => "31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// How many characters the bar is wide. With its numbers it fits into 40 columns: a line that wraps
/// is not written over.
const BAR_WIDTH: u64 = 10;

/// A bar such as `[#####.....]  50 %`. More than all is all.
#[must_use]
pub fn bar(done: u64, total: u64) -> String {
    let done = done.min(total);
    let part = |of: u64| {
        let scaled = u128::from(done) * u128::from(of) / u128::from(total.max(1));
        usize::try_from(scaled).unwrap_or_default()
    };
    let full = if total == 0 { 0 } else { part(BAR_WIDTH) };
    let width = usize::try_from(BAR_WIDTH).unwrap_or_default();
    format!("[{}{}] {:>3} %", "#".repeat(full), ".".repeat(width - full), part(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_gets_colours_and_live_lines() {
        assert_eq!(Look::decide(false, false, false), Look::PLAIN);
        assert_eq!(Look::decide(true, false, true), Look::PLAIN);
        assert_eq!(Look::decide(true, false, false), Look { colour: true, live: true });
    }

    #[test]
    fn no_color_takes_the_colours_and_leaves_the_bar() {
        assert_eq!(Look::decide(true, true, false), Look { colour: false, live: true });
    }

    #[test]
    fn a_plain_look_writes_plain_text() {
        for style in [Style::Bold, Style::Dim, Style::Good, Style::Bad] {
            assert_eq!(Look::PLAIN.paint(style, "text"), "text");
            let painted = Look { colour: true, live: true }.paint(style, "text");
            assert!(painted.starts_with('\u{1b}') && painted.ends_with("text\u{1b}[0m"));
        }
    }

    #[test]
    fn a_bar_goes_from_empty_to_full() {
        assert_eq!(bar(0, 4), format!("[{}]   0 %", ".".repeat(10)));
        assert_eq!(bar(2, 4), format!("[{}{}]  50 %", "#".repeat(5), ".".repeat(5)));
        assert_eq!(bar(9, 4), format!("[{}] 100 %", "#".repeat(10)));
        assert_eq!(bar(0, 0), bar(0, 1));
        assert_eq!(bar(u64::MAX, u64::MAX), bar(1, 1));
    }
}
