//! What the costs should be, and the part of the page that says whether they are.
//!
//! It reads the table as text: a row is a line. The invariant: an aim whose row is not in the table
//! is an error, so no aim is lost when a row is renamed.

use super::{between, grouped};

const BEGIN: &str = "<!-- aims: written by `cargo xtask costs` -->\n";
const END: &str = "<!-- end of the aims -->";

/// The side of the aim on which a cost should lie.
#[derive(Clone, Copy)]
enum Side {
    AtMost,
    AtLeast,
}

struct Aim {
    operation: &'static str,
    unit: &'static str,
    side: Side,
    value: u64,
}

const fn aim(operation: &'static str, unit: &'static str, side: Side, value: u64) -> Aim {
    Aim { operation, unit, side, value }
}

const fn gas(operation: &'static str, value: u64) -> Aim {
    aim(operation, "gas", Side::AtMost, value)
}

const AIMS: &[Aim] = &[
    aim("2 parties, CKB: open", "cycles", Side::AtMost, 3_900_000),
    aim("2 parties, CKB: open", "bytes", Side::AtMost, 1_400),
    aim("2 parties, CKB: register from open", "cycles", Side::AtMost, 4_600_000),
    aim("2 parties, CKB: refute", "cycles", Side::AtMost, 4_600_000),
    aim(
        "2 parties, CKB: channel cell beside the balances",
        "shannons",
        Side::AtMost,
        22_200_000_000,
    ),
    aim("batch, 2 parties, CKB: close final", "channels", Side::AtLeast, 25),
    aim("batch, 2 parties, CKB: close by consent", "channels", Side::AtLeast, 40),
    gas("2 parties, coin: deposit", 46_000),
    gas("2 parties, coin: life cycle: all deposits, close and pay", 190_000),
    gas("2 parties, coin: close and pay", 99_000),
    gas("batch of 10, 2 parties, coin: close and pay, each", 74_000),
    gas("2 parties, coin: register", 80_000),
    gas("2 parties, coin: refute", 60_000),
    gas("2 parties, token: life cycle: open by EIP-3009, close and pay", 260_000),
];

/// The page with the aims as this table meets them.
pub(super) fn page(page: &str, table: &str) -> Result<String, String> {
    let rows = AIMS.iter().map(|aim| row(aim, table)).collect::<Result<String, String>>()?;
    let head = "| operation | unit | aim | measured | met |\n|---|---|---:|---:|---|\n";
    between(page, BEGIN, END, &format!("{head}{rows}"))
}

fn row(aim: &Aim, table: &str) -> Result<String, String> {
    let Aim { operation, unit, side, value } = aim;
    let key = format!(r#""operation":"{operation}","unit":"{unit}","value":"#);
    let found = table.lines().find_map(|line| line.split_once(&key));
    let digits = found.map(|(_, rest)| rest.trim_end_matches(['}', ',']));
    let measured: u64 = digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| format!("the table of costs has no row {operation:?} in {unit}"))?;
    let (sign, met) = match side {
        Side::AtMost => ("≤", measured <= *value),
        Side::AtLeast => ("≥", measured >= *value),
    };
    let (aimed, measured, met) =
        (grouped(*value), grouped(measured), if met { "yes" } else { "no" });
    Ok(format!("| {operation} | {unit} | {sign} {aimed} | {measured} | {met} |\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(change: impl Fn(&Aim) -> u64) -> String {
        let rows = AIMS.iter().map(|aim| {
            let (operation, unit, value) = (aim.operation, aim.unit, change(aim));
            format!(
                r#"  {{"ledger":"ckb","operation":"{operation}","unit":"{unit}","value":{value}}},"#
            ) + "\n"
        });
        rows.collect()
    }

    fn written(table: &str) -> String {
        page(&format!("before\n{BEGIN}old\n{END}\nafter\n"), table).unwrap()
    }

    #[test]
    fn an_aim_that_is_just_met_is_met() {
        let page = written(&table(|aim| aim.value));
        assert_eq!(page.matches("| yes |").count(), AIMS.len());
        assert!(page.starts_with("before\n") && page.ends_with("\nafter\n"));
        assert!(!page.contains("old"));
    }

    #[test]
    fn an_aim_missed_by_one_is_missed() {
        let missed = written(&table(|aim| match aim.side {
            Side::AtMost => aim.value + 1,
            Side::AtLeast => aim.value - 1,
        }));
        assert_eq!(missed.matches("| no |").count(), AIMS.len());
    }

    #[test]
    fn an_aim_without_a_row_is_an_error() {
        let all = table(|aim| aim.value);
        let (_, fewer) = all.split_once('\n').unwrap();
        assert!(page(&format!("{BEGIN}{END}"), fewer).is_err());
    }

    #[test]
    fn a_page_without_the_marks_is_an_error() {
        assert!(page("prose alone", &table(|aim| aim.value)).is_err());
    }
}
