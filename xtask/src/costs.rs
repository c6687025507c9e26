//! Chores that run the measuring programs, one for each ledger, and keep their result.
//!
//! The numbers are cycles, bytes and gas, which repeat exactly on every machine. So the committed
//! table is compared for equality: any change of a cost is seen in a review.

mod aims;
mod breakdown;

use std::path::Path;
use std::process::Command;

use crate::shell;

const TABLE: &str = "docs/costs.json";
/// The measuring programs, examples of these packages. Each prints a table, a row a line.
const PROGRAMS: [(&str, &str); 2] = [("perun-sim", "costs"), ("perun-backend-evm", "gas")];
/// Says which aims the table meets, in a part that is written here, between prose that is not.
const PAGE: &str = "docs/costs.md";

/// Measures, writes the table and the aims on the page.
pub(crate) fn write(root: &Path) -> Result<(), String> {
    let measured = measure(root)?;
    let page = page(&shell::read_text(&root.join(PAGE))?, &measured)?;
    shell::write(&root.join(TABLE), measured)?;
    shell::write(&root.join(PAGE), page)?;
    println!("written: {TABLE} and the tables in {PAGE}");
    Ok(())
}

/// The page with its tables as this table of costs has them.
fn page(page: &str, table: &str) -> Result<String, String> {
    breakdown::page(&aims::page(page, table)?, table)
}

/// The page with other lines between two that mark where they stand.
fn between(page: &str, begin: &str, end: &str, lines: &str) -> Result<String, String> {
    let outside = |part: &str| format!("the page of costs has no line {:?}", part.trim_end());
    let (before, rest) = page.split_once(begin).ok_or_else(|| outside(begin))?;
    let (_, after) = rest.split_once(end).ok_or_else(|| outside(end))?;
    Ok(format!("{before}{begin}{lines}{end}{after}"))
}

/// A number with a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let grouped = digits.chars().enumerate().flat_map(|(position, digit)| {
        let comma = position != 0 && (digits.len() - position).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    });
    grouped.collect()
}

/// Measures and compares with the committed table and page.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let committed = shell::read_text(&root.join(TABLE)).map_err(|reason| {
        format!("{reason}\n`cargo xtask costs` makes the table; then commit it")
    })?;
    let measured = measure(root)?;
    let differences = differences(&committed, &measured);
    if !differences.is_empty() {
        let differences = differences.join("\n");
        return Err(format!(
            "costs changed (- {TABLE}, + measured now):\n{differences}\n\
             If the change is meant, run `cargo xtask costs` and commit the table with its reason."
        ));
    }
    let committed_page = shell::read_text(&root.join(PAGE))?;
    if page(&committed_page, &measured)? != committed_page {
        return Err(format!(
            "the tables in {PAGE} are not those of {TABLE}: run `cargo xtask costs`"
        ));
    }
    println!("{TABLE} is what was measured now, {} lines", committed.lines().count());
    Ok(())
}

/// Runs the model checker.
pub(crate) fn models(root: &Path, arguments: &[&str]) -> Result<(), String> {
    shell::run(program(root, "perun-sim", "models").args(arguments))
}

fn measure(root: &Path) -> Result<String, String> {
    let mut tables = Vec::new();
    for (package, name) in PROGRAMS {
        tables.push(shell::output(&mut program(root, package, name))?);
    }
    joined(&tables)
}

/// One table with the rows of all.
fn joined(tables: &[String]) -> Result<String, String> {
    let mut rows = Vec::new();
    for table in tables {
        let before = rows.len();
        let lines = table.lines().filter(|line| line.starts_with("  {"));
        rows.extend(lines.map(|line| line.trim_end_matches(',')));
        if rows.len() == before {
            return Err("a measuring program printed no rows".to_owned());
        }
    }
    Ok(format!("[\n{}\n]\n", rows.join(",\n")))
}

/// The programs are examples: `cargo run` at the root must mean the program of users.
fn program(root: &Path, package: &str, name: &str) -> Command {
    let mut command = shell::command("cargo", root);
    command.args([
        "run",
        "--locked",
        "--quiet",
        "--release",
        "--package",
        package,
        "--example",
        name,
    ]);
    command
}

/// Lines of only one of the two texts, marked; a row of the table is a line.
fn differences(committed: &str, measured: &str) -> Vec<String> {
    let only = |mark: &str, of: &str, not_in: &str| -> Vec<String> {
        let missing = of.lines().filter(|line| !not_in.lines().any(|other| other == *line));
        missing.map(|line| format!("{mark} {line}")).collect()
    };
    let mut lines = only("-", committed, measured);
    lines.extend(only("+", measured, committed));
    if lines.is_empty() && committed != measured {
        lines.push("the same rows in another order or number".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{differences, grouped, joined};

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [1, 999, 1_000, 22_200_000_000].map(grouped),
            ["1", "999", "1,000", "22,200,000,000"]
        );
    }

    #[test]
    fn tables_are_joined_row_by_row() {
        let (one, two) = ("[\n  {1},\n  {2}\n]\n".to_owned(), "[\n  {3}\n]\n".to_owned());
        assert_eq!(joined(&[one.clone(), two]).unwrap(), "[\n  {1},\n  {2},\n  {3}\n]\n");
        assert!(joined(&[one, "[\n]\n".to_owned()]).is_err(), "nothing was measured");
    }

    #[test]
    fn equal_tables_have_no_differences() {
        assert!(differences("a\nb\n", "a\nb\n").is_empty());
    }

    #[test]
    fn a_changed_row_is_shown_from_both_sides() {
        assert_eq!(differences("a\nb\n", "a\nc\n"), ["- b", "+ c"]);
    }

    #[test]
    fn another_order_is_a_difference() {
        assert_eq!(differences("a\nb\n", "b\na\n").len(), 1);
    }
}
