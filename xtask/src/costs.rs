//! Chores that run the measuring programs and keep their result: the simulator crate's for CKB, the
//! contracts' own for Ethereum.
//!
//! The numbers are cycles, bytes and gas, which repeat exactly on every machine. So the committed
//! table is compared for equality: any change of a cost is seen in a review.

mod aims;
mod gas;

use std::path::Path;
use std::process::Command;

use crate::shell;

const TABLE: &str = "docs/costs.json";
/// Says which aims the table meets, in a part that is written here, between prose that is not.
const PAGE: &str = "docs/costs.md";

/// Measures, writes the table and the aims on the page.
pub(crate) fn write(root: &Path) -> Result<(), String> {
    let measured = measure(root)?;
    let page = aims::page(&shell::read_text(&root.join(PAGE))?, &measured)?;
    shell::write(&root.join(TABLE), measured)?;
    shell::write(&root.join(PAGE), page)?;
    println!("written: {TABLE} and the aims in {PAGE}");
    Ok(())
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
    let page = shell::read_text(&root.join(PAGE))?;
    if aims::page(&page, &measured)? != page {
        return Err(format!(
            "the aims in {PAGE} are not those of {TABLE}: run `cargo xtask costs`"
        ));
    }
    println!("{TABLE} is what was measured now, {} lines", committed.lines().count());
    Ok(())
}

/// Runs the model checker.
pub(crate) fn models(root: &Path, arguments: &[&str]) -> Result<(), String> {
    shell::run(program(root, "models").args(arguments))
}

fn measure(root: &Path) -> Result<String, String> {
    let rows = shell::output(&mut program(root, "costs"))?;
    let (ckb, end) = rows
        .trim_end()
        .rsplit_once("\n]")
        .ok_or("the measuring program printed no table of rows")?;
    if !end.is_empty() {
        return Err(format!("the measuring program printed more than a table: {end}"));
    }
    let printed = shell::output(shell::command(root.join("onchain/evm/run.sh"), root).arg("gas"))?;
    Ok(format!("{ckb},\n{}\n]\n", gas::rows(&printed)?.join(",\n")))
}

/// The simulator's programs are examples: `cargo run` at the root must mean the program of users.
fn program(root: &Path, name: &str) -> Command {
    let mut command = shell::command("cargo", root);
    command.args([
        "run",
        "--locked",
        "--quiet",
        "--release",
        "--package",
        "perun-sim",
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
    use super::differences;

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
