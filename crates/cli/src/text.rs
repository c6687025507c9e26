//! How values look to people, and how people's spellings become values.
//!
//! Amounts, times, hashes, tables, and what a terminal can do. Nothing here knows what a channel
//! is. The invariant: text for people and bytes for programs never mix, so no escape code is
//! written where no terminal reads it, and an amount that is parsed is exactly the amount that was
//! typed.

pub mod amount;
pub mod hex;
pub mod screen;
pub mod table;
pub mod time;

/// The text with everything taken out that would move a terminal's cursor or change its colours.
/// For texts that come from a node or a file; line ends stay.
#[must_use]
pub fn clean(text: &str) -> String {
    let safe = |c: char| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_texts_cannot_steer_a_terminal() {
        assert_eq!(clean("a\u{1b}[31m\r\nb\u{9b}"), "a\u{fffd}[31m\u{fffd}\nb\u{fffd}");
        assert_eq!(clean("1 → 2 CKB"), "1 → 2 CKB");
    }
}
