//! Checks the mechanical part of the house rules: budgets, forbidden words, and which crate may
//! know which.
//!
//! It reads text, and neither compiles nor formats. The invariant: a rule is broken only with a
//! line in `xtask/tidy.toml` that gives the reason, at most [`EXCEPTIONS_MAX`] stand at a time, and
//! a line that excuses nothing is itself a finding.

mod budgets;
mod crates;
mod exceptions;
mod source;
mod words;

use std::path::Path;

use crate::shell;
use source::Source;

/// So few that every new one is discussed.
const EXCEPTIONS_MAX: usize = 5;
const EXCEPTIONS_FILE: &str = "xtask/tidy.toml";

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// The rule's name, as exceptions call it.
    rule: &'static str,
    /// The file, with `::function` where the rule is about one.
    place: String,
    /// The line in the file, or 0 where the whole file is meant.
    line: usize,
    /// What is wrong, and by how much.
    what: String,
}

impl Finding {
    fn shown(&self) -> String {
        let Self { rule, place, line, what } = self;
        match line {
            0 => format!("{place}: {what} [{rule}]"),
            _ => format!("{place}:{line}: {what} [{rule}]"),
        }
    }
}

/// Checks the checkout at `root`.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let sources = read_sources(root)?;
    let mut findings = Vec::new();
    for source in &sources {
        budgets::check(source, &mut findings);
        words::check(source, &mut findings);
    }
    budgets::check_median(&sources, &mut findings);
    crates::check(root, &mut findings)?;

    let text = shell::read_text(&root.join(EXCEPTIONS_FILE))?;
    let exceptions = exceptions::parse(&text)?;
    let standing = exceptions::apply(&exceptions, &mut findings);
    if findings.is_empty() {
        let count = sources.len();
        println!("tidy: {count} files, {standing} of {EXCEPTIONS_MAX} exceptions");
        return Ok(());
    }
    let lines: Vec<String> = findings.iter().map(Finding::shown).collect();
    Err(format!("{}\ntidy: {} rules broken", lines.join("\n"), lines.len()))
}

fn read_sources(root: &Path) -> Result<Vec<Source>, String> {
    let mut sources = Vec::new();
    for path in shell::files_below(root)? {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            sources.push(Source::new(name, &shell::read_text(&path)?));
        }
    }
    source::mark_test_files(&mut sources);
    Ok(sources)
}
