//! Aligned columns: text to the left, numbers to the right.

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// At the column's left.
    Left,
    /// At the column's right, for numbers.
    Right,
}

/// The space between two columns.
const GAP: &str = "  ";

/// The lines of a table. Short rows are filled with nothing; no line ends in spaces.
#[must_use]
pub fn lines(columns: &[Align], rows: &[Vec<String>]) -> Vec<String> {
    let cell = |row: &[String], column: usize| row.get(column).cloned().unwrap_or_default();
    let width = |column| rows.iter().map(|row| cell(row, column).chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = columns.iter().zip(&widths).enumerate().map(|(column, (align, width))| {
            let text = cell(row, column);
            match align {
                Align::Left => format!("{text:<width$}"),
                Align::Right => format!("{text:>width$}"),
            }
        });
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_do_not_end_in_spaces() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        let rows = [row(&["who", "amount"]), row(&["alice…", "12.5 CKB"]), row(&["b"])];
        let table = lines(&[Align::Left, Align::Right], &rows);
        assert_eq!(table, ["who       amount", "alice…  12.5 CKB", "b"]);
    }

    #[test]
    fn a_table_of_nothing_has_no_lines() {
        assert!(lines(&[Align::Left], &[]).is_empty());
    }
}
