//! Where the input comes from, and what kind of text it is. What it means is not decided here.

use super::INPUT_MAX;
use crate::problem::Problem;
use crate::text::hex;
use ckb_types::{
    packed::{Byte32, OutPoint},
    prelude::*,
};
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// The input, read and bounded.
#[derive(Debug)]
pub(super) enum Input {
    /// The name of a cell.
    OutPoint(OutPoint),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Anything in JSON but a text.
    Json(Value),
}

/// Reads what was named on the command line.
pub(super) fn read(what: &str) -> Result<Input, Problem> {
    if what == "-" {
        let contents = bounded(std::io::stdin().lock()).map_err(Problem::Stdin)?;
        return of_contents(&checked(contents)?);
    }
    let path = Path::new(what);
    // Something that starts like hexadecimal is never taken for a file.
    if !what.starts_with("0x") && path.exists() {
        let file = |error| Problem::File { path: path.to_owned(), error };
        let contents = std::fs::File::open(path).and_then(bounded).map_err(file)?;
        return of_contents(&checked(contents)?);
    }
    if what.len() > INPUT_MAX {
        return Err(Problem::TooLong { limit: INPUT_MAX });
    }
    of_text(what, "is no file, and no hexadecimal either")
}

/// Reads the name of a cell, or bytes in hexadecimal.
fn of_text(text: &str, refusal: &str) -> Result<Input, Problem> {
    let shown = abbreviated(text);
    let refused = |why: &str| Err(Problem::NotUnderstood(format!("`{shown}` {why}")));
    if text.trim().is_empty() {
        return Err(Problem::NotUnderstood("the input is empty; nothing was explained".to_owned()));
    }
    if text.contains('…') {
        return refused(
            "was shortened for people's eyes; the whole of it stands in what the same command \
             says with --json",
        );
    }
    match out_point(text) {
        Some(Ok(out_point)) => return Ok(Input::OutPoint(out_point)),
        Some(Err(index)) => {
            return refused(&format!(
                "names a cell by its transaction and {index:?}, which is no number of an output; \
                 an out point is such as 0x…:0"
            ));
        }
        None => {}
    }
    match hex::parse(text) {
        Ok(bytes) => Ok(Input::Bytes(bytes)),
        Err(error) => refused(&format!(
            "{refusal}: {error}; hand in a file, `-` for standard input, or bytes such as 0x12ab"
        )),
    }
}

/// Tells JSON, hexadecimal text and plain bytes apart.
pub(super) fn of_contents(contents: &[u8]) -> Result<Input, Problem> {
    if contents.len() > INPUT_MAX {
        return Err(Problem::TooLong { limit: INPUT_MAX });
    }
    let Ok(text) = std::str::from_utf8(contents) else {
        return Ok(Input::Bytes(contents.to_vec()));
    };
    // Some editors begin every text with a byte order mark.
    let text = text.trim_start_matches('\u{feff}').trim();
    let text = match serde_json::from_str(text) {
        Ok(json @ (Value::Object(_) | Value::Array(_))) => return Ok(Input::Json(json)),
        Ok(Value::String(text)) => text,
        Err(error) if text.starts_with(['{', '[']) => {
            return Err(Problem::NotUnderstood(format!(
                "the input starts like JSON, but is not: {error}; nothing was explained"
            )));
        }
        _ => text.to_owned(),
    };
    // Our encodings have zeros everywhere: bytes that happen to be UTF-8 are no text for that.
    if text.contains(|c: char| c.is_control() && !c.is_whitespace()) {
        return Ok(Input::Bytes(contents.to_vec()));
    }
    of_text(&text, "is neither JSON nor hexadecimal")
}

/// One byte more than allowed is read, so that too much can be told from just enough.
fn bounded(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let limit = u64::try_from(INPUT_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut contents = Vec::new();
    reader.take(limit).read_to_end(&mut contents)?;
    Ok(contents)
}

fn checked(contents: Vec<u8>) -> Result<Vec<u8>, Problem> {
    if contents.len() > INPUT_MAX {
        return Err(Problem::TooLong { limit: INPUT_MAX });
    }
    Ok(contents)
}

/// `0x…:0`, with the index in decimal or as `0x0`; or the index if that is none. Nothing if it is
/// no hash with something behind it.
fn out_point(text: &str) -> Option<Result<OutPoint, String>> {
    let (hash, index) = text.trim().split_once([':', '#'])?;
    let hash: [u8; 32] = hex::parse(hash).ok()?.try_into().ok()?;
    let number = match index.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => index.parse(),
    };
    let hash = Byte32::from_slice(&hash).ok()?;
    Some(number.map(|number| OutPoint::new(hash, number)).map_err(|_| abbreviated(index)))
}

fn abbreviated(text: &str) -> String {
    const SHOWN: usize = 40;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn out_points_are_read_in_both_spellings() {
        let hash = format!("0x{}", "ab".repeat(32));
        for index in ["7", "0x7"] {
            assert!(matches!(
                of_contents(format!("{hash}:{index}\n").as_bytes()),
                Ok(Input::OutPoint(_))
            ));
        }
        for index in ["", "x", "-1", "99999999999"] {
            let problem = read(&format!("{hash}:{index}")).unwrap_err().to_string();
            assert!(problem.contains("no number of an output"), "{problem}");
        }
        assert!(out_point("0xab:0").is_none());
    }

    #[test]
    fn quoted_plain_and_wrapped_hexadecimal_is_the_same() {
        for text in ["0x0102", "\"0x0102\"", "01 02", "0x01\n02\n"] {
            let Ok(Input::Bytes(bytes)) = of_contents(text.as_bytes()) else { panic!("{text}") };
            assert_eq!(bytes, [1, 2], "{text}");
        }
    }

    #[test]
    fn text_that_is_no_hexadecimal_is_not_taken_for_bytes() {
        for text in ["0x12zz", "a typo", "0x123"] {
            let problem = of_contents(text.as_bytes()).unwrap_err().to_string();
            assert!(problem.contains("neither JSON nor hexadecimal"), "{problem}");
        }
        let bytes = [0, 1, b'a', 0];
        assert!(matches!(of_contents(&bytes), Ok(Input::Bytes(found)) if found == bytes));
        let marked = "\u{feff}0x0102".as_bytes();
        assert!(matches!(of_contents(marked), Ok(Input::Bytes(found)) if found == [1, 2]));
        for empty in ["", "\"\""] {
            assert!(of_contents(empty.as_bytes()).unwrap_err().to_string().contains("is empty"));
        }
        assert!(read("").unwrap_err().to_string().contains("is empty"));
    }

    #[test]
    fn what_was_shortened_is_said_to_be_so() {
        let problem = read("0x635113…0a7bc1").unwrap_err().to_string();
        assert!(problem.contains("shortened") && problem.contains("--json"), "{problem}");
    }

    #[test]
    fn broken_json_is_told_apart_from_bytes() {
        let problem = of_contents(b"{\"inputs\": [").unwrap_err().to_string();
        assert!(problem.starts_with("the input starts like JSON, but is not"), "{problem}");
    }

    #[test]
    fn empty_and_oversized_inputs_are_refused() {
        assert!(matches!(of_contents(b" \n"), Err(Problem::NotUnderstood(_))));
        let large = vec![b'0'; INPUT_MAX + 1];
        assert!(matches!(of_contents(&large), Err(Problem::TooLong { .. })));
        assert!(matches!(of_contents(&large[1..]), Ok(Input::Bytes(_))));
    }

    #[test]
    fn what_is_neither_a_file_nor_bytes_says_so() {
        let problem = read("no-such-file").unwrap_err().to_string();
        assert!(problem.starts_with("`no-such-file` is no file"), "{problem}");
    }

    proptest! {
        #[test]
        fn no_contents_make_it_stop(contents: Vec<u8>) {
            let _ = of_contents(&contents);
        }
    }
}
