//! The exceptions from the rules, one line each: `"RULE PLACE" = "reason"`.
//!
//! An exception does not widen a rule, it names one place. One without a reason, or one that
//! excuses nothing any more, is an error.

use super::{EXCEPTIONS_FILE, EXCEPTIONS_MAX, Finding};

/// One line of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exception {
    rule: String,
    place: String,
}

/// Reads the file. Blank lines, comments and table headings are passed over.
pub(super) fn parse(text: &str) -> Result<Vec<Exception>, String> {
    let mut exceptions = Vec::new();
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with(['#', '[']) {
            continue;
        }
        let wrong = || {
            let at = format!("{EXCEPTIONS_FILE}:{}", index + 1);
            format!("{at}: expected \"RULE PLACE\" = \"reason\", and the reason not empty")
        };
        let parts: Vec<&str> = line.split('"').collect();
        let ["", key, equals, reason, ""] = parts.as_slice() else { return Err(wrong()) };
        let (rule, place) = key.split_once(' ').ok_or_else(wrong)?;
        if equals.trim() != "=" || reason.trim().is_empty() {
            return Err(wrong());
        }
        exceptions.push(Exception { rule: rule.to_owned(), place: place.to_owned() });
    }
    Ok(exceptions)
}

/// Takes the excused findings away, adds one for each misuse of the list, and returns its length.
pub(super) fn apply(exceptions: &[Exception], findings: &mut Vec<Finding>) -> usize {
    let excuses = |exception: &Exception, finding: &Finding| {
        exception.rule == finding.rule && exception.place == finding.place
    };
    let misuse = |what: String| {
        let place = EXCEPTIONS_FILE.to_owned();
        Finding { rule: "exceptions", place, line: 0, what }
    };
    let unused: Vec<Finding> = exceptions
        .iter()
        .filter(|exception| !findings.iter().any(|finding| excuses(exception, finding)))
        .map(|e| misuse(format!("nothing to excuse at \"{} {}\": remove it", e.rule, e.place)))
        .collect();
    findings.retain(|finding| !exceptions.iter().any(|exception| excuses(exception, finding)));
    findings.extend(unused);
    if exceptions.len() > EXCEPTIONS_MAX {
        let count = exceptions.len();
        findings.push(misuse(format!("{count} exceptions, the limit is {EXCEPTIONS_MAX}")));
    }
    exceptions.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(place: &str) -> Finding {
        Finding { rule: "file-length", place: place.to_owned(), line: 0, what: String::new() }
    }

    #[test]
    fn an_exception_excuses_its_place_and_no_other() {
        let exceptions = parse("# why\n\"file-length a.rs\" = \"a table\"\n").expect("well formed");
        let mut findings = vec![finding("a.rs"), finding("b.rs")];
        assert_eq!(apply(&exceptions, &mut findings), 1);
        assert_eq!(findings, [finding("b.rs")]);
    }

    #[test]
    fn an_exception_that_excuses_nothing_is_a_finding() {
        let exceptions = parse("\"file-length a.rs\" = \"a table\"").expect("well formed");
        let mut findings = Vec::new();
        apply(&exceptions, &mut findings);
        assert_eq!(findings[0].rule, "exceptions");
    }

    #[test]
    fn a_sixth_exception_is_a_finding() {
        let places: Vec<String> = (0..6).map(|n| format!("{n}.rs")).collect();
        let mut findings: Vec<Finding> = places.iter().map(|place| finding(place)).collect();
        let lines = places.iter().map(|place| format!("\"file-length {place}\" = \"why\"\n"));
        let exceptions = parse(&lines.collect::<String>()).expect("well formed");
        apply(&exceptions, &mut findings);
        assert_eq!(findings.len(), 1);
    }

    #[test]
    fn an_exception_needs_a_reason() {
        assert!(parse("\"file-length a.rs\" = \" \"").is_err());
        assert!(parse("\"file-length\" = \"why\"").is_err());
        assert!(parse("file-length a.rs").is_err());
    }
}
