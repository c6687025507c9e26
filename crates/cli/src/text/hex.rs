//! Bytes in hexadecimal: in full for programs, shortened for people's eyes.

/// Why a text is not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// A character that is no hexadecimal digit, counted from 1 on.
    #[error("character {0} is not a hexadecimal digit")]
    Digit(usize),
    /// Half a byte is left over.
    #[error("the number of hexadecimal digits is odd")]
    Odd,
}

/// How many characters [`short`] keeps on each side.
const KEPT: usize = 6;

/// `0x` and all bytes.
#[must_use]
pub fn full(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 0xf)]);
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]);
    "0x".chars().chain(digits).collect()
}

/// `0x`, the first and the last few characters. Enough to tell two things apart at a glance, never
/// enough to copy: names that somebody needs again are shown in full.
#[must_use]
pub fn short(bytes: &[u8]) -> String {
    let whole = full(bytes);
    // Every character is ASCII, so every position is the start of one.
    if whole.len() <= 2 + 2 * KEPT + 1 {
        return whole;
    }
    format!("{}…{}", &whole[..2 + KEPT], &whole[whole.len() - KEPT..])
}

/// Reads bytes with or without `0x`; spaces and line ends between digits are skipped.
pub fn parse(text: &str) -> Result<Vec<u8>, HexError> {
    let whole = text.trim();
    let text = whole.strip_prefix("0x").or_else(|| whole.strip_prefix("0X")).unwrap_or(whole);
    let before = whole.len() - text.len() + 1;
    let mut nibbles = Vec::with_capacity(text.len());
    for (position, c) in text.chars().enumerate().filter(|(_, c)| !c.is_ascii_whitespace()) {
        let digit = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        nibbles.push(digit.ok_or(HexError::Digit(position + before))?);
    }
    let (pairs, []) = nibbles.as_chunks::<2>() else { return Err(HexError::Odd) };
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_names_keep_both_ends() {
        assert_eq!(short(&[0xab; 32]), "0xababab…ababab");
        assert_eq!(short(&[0xab; 6]), "0xabababababab");
        assert_eq!(short(&[]), "0x");
    }

    #[test]
    fn half_bytes_and_strange_characters_are_refused() {
        assert_eq!(parse("0x123"), Err(HexError::Odd));
        assert_eq!(parse("0x12zz"), Err(HexError::Digit(5)));
        assert_eq!(parse("12\n34 "), Ok(vec![0x12, 0x34]));
        assert_eq!(parse(""), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn bytes_survive(bytes: Vec<u8>) {
            let text = full(&bytes);
            prop_assert_eq!(parse(&text), Ok(bytes.clone()));
            prop_assert_eq!(parse(&text[2..].to_uppercase()), Ok(bytes));
        }

        #[test]
        fn no_text_makes_the_parser_stop(text: String) {
            let _ = parse(&text);
        }
    }
}
