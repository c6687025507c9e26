//! How long files, functions and lines may be.
//!
//! Tests do not count for the length of a file, so that nobody saves on them. A line may be longer
//! than its budget only through what cannot be broken: an address or a literal.

use super::Finding;
use super::source::Source;

const FILE_LINES_MAX: usize = 600;
/// The middle file must be shorter than this.
const FILE_LINES_MEDIAN: usize = 200;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;

/// Checks one file.
pub(super) fn check(source: &Source, findings: &mut Vec<Finding>) {
    let length = source.length();
    if length > FILE_LINES_MAX {
        findings.push(Finding {
            rule: "file-length",
            place: source.path.clone(),
            line: 0,
            what: format!("{length} lines without tests, the limit is {FILE_LINES_MAX}"),
        });
    }
    for function in source.functions() {
        if function.length > FUNCTION_LINES_MAX {
            let (name, length) = (&function.name, function.length);
            findings.push(Finding {
                rule: "function-length",
                place: format!("{}::{name}", source.path),
                line: function.line,
                what: format!("{name} has {length} lines, the limit is {FUNCTION_LINES_MAX}"),
            });
        }
    }
    for (index, line) in source.lines.iter().enumerate() {
        if line.chars().count() > COLUMNS_MAX && !is_unbreakable(line, &source.code[index]) {
            findings.push(Finding {
                rule: "line-length",
                place: source.path.clone(),
                line: index + 1,
                what: format!("{} columns, the limit is {COLUMNS_MAX}", line.chars().count()),
            });
        }
    }
}

/// Checks that most files are short.
pub(super) fn check_median(sources: &[Source], findings: &mut Vec<Finding>) {
    let files = sources.iter().filter(|source| !source.is_test);
    let mut lengths: Vec<usize> = files.map(Source::length).collect();
    lengths.sort_unstable();
    let Some(median) = lengths.get(lengths.len() / 2) else { return };
    if *median >= FILE_LINES_MEDIAN {
        findings.push(Finding {
            rule: "file-median",
            place: "the workspace".to_owned(),
            line: 0,
            what: format!(
                "the median file has {median} lines, it should be below {FILE_LINES_MEDIAN}"
            ),
        });
    }
}

fn is_unbreakable(line: &str, code: &str) -> bool {
    let visible = code.chars().filter(|c| !c.is_whitespace()).count();
    let indent = line.chars().take_while(|c| c.is_whitespace()).count();
    let is_comment = line.trim_start().starts_with("//");
    line.contains("://") || (!is_comment && indent + visible <= COLUMNS_MAX && line.contains('"'))
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
    fn a_file_may_have_600_lines() {
        assert!(rules("a.rs", &"x\n".repeat(600)).is_empty());
        assert_eq!(rules("a.rs", &"x\n".repeat(601)), ["file-length"]);
        assert!(rules("tests/a.rs", &"x\n".repeat(601)).is_empty());
    }

    #[test]
    fn a_function_may_have_70_lines() {
        let function = |lines: usize| format!("fn a() {{\n{}}}\n", "x\n".repeat(lines - 2));
        assert!(rules("a.rs", &function(70)).is_empty());
        assert_eq!(rules("a.rs", &function(71)), ["function-length"]);
    }

    #[test]
    fn a_line_may_have_100_columns() {
        assert!(rules("a.rs", &"x".repeat(100)).is_empty());
        assert_eq!(rules("a.rs", &"x".repeat(101)), ["line-length"]);
        assert_eq!(rules("a.rs", &format!("// \"{}", "x ".repeat(50))), ["line-length"]);
    }

    #[test]
    fn literals_and_addresses_may_pass_100_columns() {
        assert!(rules("a.rs", &format!("let a = \"{}\";", "x".repeat(100))).is_empty());
        assert!(rules("a.rs", &format!("// https://{}", "x".repeat(100))).is_empty());
    }

    #[test]
    fn the_median_file_is_shorter_than_200_lines() {
        let file = |lines: usize| Source::new("a.rs".to_owned(), &"x\n".repeat(lines));
        let mut findings = Vec::new();
        check_median(&[file(10), file(199), file(500)], &mut findings);
        assert!(findings.is_empty());
        check_median(&[file(10), file(200), file(500)], &mut findings);
        assert_eq!(findings.len(), 1);
    }
}
