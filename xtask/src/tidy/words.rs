//! Words that must not stand in the sources.
//!
//! Unfinished work, tests that do not run or that wait for time to pass, and, below the top floor,
//! the clock and randomness: there, both are arguments, so that every run can be replayed.

use super::Finding;
use super::source::Source;

/// Never, in code.
const UNFINISHED: [&str; 3] = ["todo!", "unimplemented!", "#[ignore"];
/// Never, in comments.
const PROMISES: [&str; 2] = ["FIXME", "TODO"];
/// Never in tests: a test waits for an event.
const WAITING: [&str; 2] = ["thread::sleep", "time::sleep"];
/// Never in the crates below, outside their tests.
const NOT_REPLAYABLE: [&str; 6] =
    ["SystemTime", "Instant::now", "rand::", "getrandom", "OsRng", "thread_rng"];
/// Of `crates/goperun` all but `simple`, which hides its RSA key behind chance.
const REPLAYABLE: [&str; 11] = [
    "crates/channel/",
    "crates/protocol/",
    "crates/wire/",
    "crates/store/",
    "crates/apps/",
    "crates/goperun/src/native/",
    "crates/goperun/src/proto/",
    "crates/goperun/src/frames",
    "crates/goperun/src/handshake",
    "crates/goperun/src/tcp",
    "onchain/",
];

/// Checks one file.
pub(super) fn check(source: &Source, findings: &mut Vec<Finding>) {
    let replayable = REPLAYABLE.iter().any(|folder| source.path.starts_with(folder));
    for (index, (code, comment)) in source.code.iter().zip(&source.comments).enumerate() {
        let line = index + 1;
        let is_test = source.is_test_line(line);
        let mut search = |rule, words: &[&str], text: &str, why: &str| {
            for word in words.iter().filter(|word| has_word(text, word)) {
                let (place, what) = (source.path.clone(), format!("`{word}`: {why}"));
                findings.push(Finding { rule, place, line, what });
            }
        };
        search("unfinished", &UNFINISHED, code, "finish it or leave it out");
        search("unfinished", &PROMISES, comment, "finish it or leave it out");
        if is_test {
            search("sleep", &WAITING, code, "a test waits for an event, not for time to pass");
        } else if replayable {
            search("replay", &NOT_REPLAYABLE, code, "time and randomness are arguments here");
        }
    }
}

/// Whether `word` stands in `text` and does not begin in the middle of a longer name.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        let mut findings = Vec::new();
        check(&Source::new(path.to_owned(), text), &mut findings);
        findings.iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn unfinished_code_is_found_and_literals_are_not() {
        assert_eq!(rules("a.rs", "todo!()"), ["unfinished"]);
        assert_eq!(rules("a.rs", "#[ignore = \"slow\"]"), ["unfinished"]);
        assert_eq!(rules("a.rs", "// FIXME later"), ["unfinished"]);
        assert!(rules("a.rs", "let a = \"todo!() FIXME\";").is_empty());
        assert!(rules("a.rs", "not_todo!()").is_empty());
    }

    #[test]
    fn sleep_is_found_in_tests_only() {
        assert_eq!(rules("tests/a.rs", "std::thread::sleep(x)"), ["sleep"]);
        assert_eq!(rules("a.rs", "#[cfg(test)]\nmod t {\ntokio::time::sleep(x)\n}"), ["sleep"]);
        assert!(rules("a.rs", "std::thread::sleep(x)").is_empty());
    }

    #[test]
    fn clocks_and_randomness_are_found_below_the_top_floor() {
        let low = "crates/protocol/src/a.rs";
        assert_eq!(rules(low, "Instant::now()"), ["replay"]);
        assert_eq!(rules(low, "use rand::Rng;"), ["replay"]);
        assert!(rules(low, "operand::new()").is_empty());
        assert!(rules(low, "#[cfg(test)]\nmod t {\nrand::Rng\n}").is_empty());
        assert!(rules("crates/node/src/a.rs", "Instant::now()").is_empty());
    }
}
