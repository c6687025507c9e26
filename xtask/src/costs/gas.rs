//! Rows of the table out of what the contracts' measuring tests print.
//!
//! A row is printed under `Logs:` as its name, a colon and a number. The invariant: a line there
//! that is not a row is an error, so nothing measured is lost.

/// The rows, by name: tests are printed in no order.
pub(super) fn rows(printed: &str) -> Result<Vec<String>, String> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in printed.lines() {
        match line.strip_prefix("  ") {
            Some(log) if inside => rows.push(row(log)?),
            _ => inside = line == "Logs:",
        }
    }
    if rows.is_empty() {
        return Err("the contracts' measuring tests printed no rows".to_owned());
    }
    rows.sort();
    Ok(rows)
}

fn row(log: &str) -> Result<String, String> {
    let parts = log.rsplit_once(": ");
    let (operation, value) = parts
        .and_then(|(operation, value)| Some((operation, value.parse::<u64>().ok()?)))
        .ok_or_else(|| format!("not a row of gas: {log:?}"))?;
    Ok(format!(
        r#"  {{"ledger":"ethereum","operation":"{operation}","unit":"gas","value":{value}}}"#
    ))
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn rows_are_read_by_name_whatever_stands_around_them() {
        let printed = "Compiling\n[PASS] b()\nLogs:\n  b: each: 2\n\n  not a log: 9\n[PASS] a()\nLogs:\n  a: 1\n";
        assert_eq!(
            rows(printed).unwrap(),
            [
                r#"  {"ledger":"ethereum","operation":"a","unit":"gas","value":1}"#,
                r#"  {"ledger":"ethereum","operation":"b: each","unit":"gas","value":2}"#
            ]
        );
    }

    #[test]
    fn what_is_no_row_is_an_error() {
        assert!(rows("Logs:\n  words\n").is_err());
        assert!(rows("nothing\n").is_err());
    }
}
