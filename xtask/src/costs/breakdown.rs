//! What the gas of each operation is for, as the page shows it.
//!
//! Rows named after an operation, a slash and a part belong together. The invariant: the parts that
//! are shown are all parts, so that they add up to the operation.

use super::{between, grouped};

const BEGIN: &str = "<!-- gas: written by `cargo xtask costs` -->\n";
const END: &str = "<!-- end of the gas -->";
/// Where the name of a row of gas begins and ends.
const NAME: &str = r#"{"ledger":"ethereum","operation":""#;
const VALUE: &str = r#"","unit":"gas","value":"#;

/// One operation: all of it, and its parts in order.
struct Operation<'a> {
    name: &'a str,
    gas: u64,
    parts: Vec<(&'a str, u64)>,
}

/// The page with the parts as this table has them.
pub(super) fn page(page: &str, table: &str) -> Result<String, String> {
    let operations = operations(table)?;
    let first = operations.first().ok_or("the table of costs says of no gas what it is for")?;
    let names: Vec<&str> = first.parts.iter().map(|(part, _)| *part).collect();
    let rule = "---:|".repeat(names.len());
    let mut lines = format!("| operation | all | {} |\n|---|---:|{rule}\n", names.join(" | "));
    for Operation { name, gas, parts } in &operations {
        if !parts.iter().map(|(part, _)| *part).eq(names.iter().copied()) {
            return Err(format!("{name:?} has other parts than {:?}", first.name));
        }
        let cells: Vec<String> = parts.iter().map(|(_, gas)| grouped(*gas)).collect();
        lines.push_str(&format!("| {name} | {} | {} |\n", grouped(*gas), cells.join(" | ")));
    }
    between(page, BEGIN, END, &lines)
}

fn operations(table: &str) -> Result<Vec<Operation<'_>>, String> {
    let mut found: Vec<Operation<'_>> = Vec::new();
    let rows = table.lines().filter_map(|line| line.trim().strip_prefix(NAME)?.split_once(VALUE));
    for (name, value) in rows {
        let digits = value.trim_end_matches(['}', ',']);
        let gas = digits.parse().map_err(|_| format!("{name:?} costs {digits:?}"))?;
        match name.split_once(" / ") {
            None => found.push(Operation { name, gas, parts: Vec::new() }),
            Some((whole, part)) => {
                let operation = found.last_mut().filter(|operation| operation.name == whole);
                let operation = operation.ok_or_else(|| format!("{name:?} stands alone"))?;
                operation.parts.push((part, gas));
            }
        }
    }
    found.retain(|operation| !operation.parts.is_empty());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, gas: u64) -> String {
        format!("  {NAME}{name}{VALUE}{gas}}},\n")
    }

    fn written(rows: &[(&str, u64)]) -> Result<String, String> {
        let table: String = rows.iter().map(|(name, gas)| row(name, *gas)).collect();
        page(&format!("before\n{BEGIN}old\n{END}\nafter\n"), &table)
    }

    #[test]
    fn parts_stand_beside_the_whole() {
        let rows = [("alone", 7), ("a", 3_000), ("a / x", 1_000), ("a / y", 2_000)];
        let page = written(&rows).unwrap();
        assert!(page.contains("| operation | all | x | y |\n|---|---:|---:|---:|\n"), "{page}");
        assert!(page.contains("| a | 3,000 | 1,000 | 2,000 |\n"), "{page}");
        assert!(!page.contains("alone") && !page.contains("old") && page.ends_with("after\n"));
    }

    #[test]
    fn a_part_that_is_missing_or_alone_is_an_error() {
        assert!(written(&[("a", 3), ("a / x", 1), ("b", 1), ("b / y", 1)]).is_err());
        assert!(written(&[("a", 3), ("b / x", 1)]).is_err());
        assert!(written(&[("a", 3)]).is_err());
    }
}
