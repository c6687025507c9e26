//! Amounts as people write them: `12.5 CKB`, `1_000 shannons`, `250.75` of a token with two
//! decimals.
//!
//! There is no floating point: every amount is a whole number of smallest units, and a text that
//! names more decimals than the asset has is refused instead of rounded. The invariant: what is
//! shown can be parsed again, to the same number.

use perun_channel::Amount;

/// Decimals of the native coin: one CKB is 10^8 shannons.
pub const CKB_DECIMALS: u32 = 8;

/// The most decimals that an asset can have: 10^38 is the last power of ten within 128 bits.
const DECIMALS_MAX: u32 = 38;

/// The longest text that is read as an amount; 128 bits have 39 digits, the rest is for separators.
const TEXT_MAX: usize = 100;

/// Why a text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Nothing, or nothing but a unit.
    #[error("an amount is missing; write for example `12.5 CKB` or `1_000 shannons`")]
    Empty,
    /// Longer than any amount.
    #[error("the amount is longer than {TEXT_MAX} characters; no amount is")]
    TooLong,
    /// A minus sign.
    #[error(
        "`{0}` is negative; an amount is zero or more, turn the direction of the payment round"
    )]
    Negative(String),
    /// Something that is no digit, point or separator.
    #[error(
        "`{0}` is not a number; write digits with one point and `_` between groups, like `1_000.5`"
    )]
    Digits(String),
    /// More decimals than the unit has.
    #[error(
        "`{text}` has more decimals than {unit} has ({most}); nothing is rounded, leave them out"
    )]
    Decimals {
        /// The number as it was typed.
        text: String,
        /// The unit.
        unit: String,
        /// How many it has.
        most: u32,
    },
    /// A unit that is not known here.
    #[error("`{0}` is not a unit that is known here; use `CKB` or `shannons`")]
    Unit(String),
    /// Larger than the ledger can hold.
    #[error("`{0}` is more than can exist; check the number and its unit")]
    TooLarge(String),
}

/// Shows shannons in CKB: `12.5 CKB`.
#[must_use]
pub fn show_ckb(shannons: u128) -> String {
    format!("{} CKB", show_units(shannons, CKB_DECIMALS))
}

/// Shows smallest units of an asset with this many decimals, without a unit: `12.5`.
#[must_use]
pub fn show_units(units: u128, decimals: u32) -> String {
    let decimals = decimals.min(DECIMALS_MAX);
    let one = 10_u128.pow(decimals);
    let (whole, rest) = (units / one, units % one);
    if rest == 0 {
        return whole.to_string();
    }
    let width = usize::try_from(decimals).unwrap_or_default();
    let digits = format!("{rest:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

/// Reads an amount of the native coin. Without a unit the number is CKB.
pub fn parse_ckb(text: &str) -> Result<Amount, AmountError> {
    let text = bounded(text)?;
    let start_of_unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(start_of_unit);
    let (decimals, name) = match unit.to_ascii_lowercase().as_str() {
        "" | "ckb" | "ckbytes" => (CKB_DECIMALS, "CKB"),
        "shannon" | "shannons" => (0, "a shannon"),
        _ => return Err(AmountError::Unit(unit.to_owned())),
    };
    let amount = parse(number.trim(), decimals, name)?;
    // Every capacity on the chain is a 64-bit number of shannons.
    if amount.get() > u128::from(u64::MAX) {
        return Err(AmountError::TooLarge(text.to_owned()));
    }
    Ok(amount)
}

/// Reads an amount of an asset with this many decimals, without a unit.
pub fn parse_units(text: &str, decimals: u32) -> Result<Amount, AmountError> {
    parse(bounded(text)?, decimals.min(DECIMALS_MAX), "the asset")
}

fn bounded(text: &str) -> Result<&str, AmountError> {
    if text.len() > TEXT_MAX { Err(AmountError::TooLong) } else { Ok(text.trim()) }
}

fn parse(number: &str, decimals: u32, unit: &str) -> Result<Amount, AmountError> {
    if number.is_empty() {
        return Err(AmountError::Empty);
    }
    if number.starts_with(['-', '\u{2212}']) {
        return Err(AmountError::Negative(number.to_owned()));
    }
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !whole.is_empty() && !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(AmountError::Digits(number.to_owned())),
        None => (number, ""),
    };
    let (whole, fraction) = (digits(whole, number)?, digits(fraction, number)?);
    // Zeros at the end say nothing, so `1.50` is one and a half for every unit that has a half.
    let fraction = fraction.trim_end_matches('0');
    let missing = usize::try_from(decimals).unwrap_or_default().checked_sub(fraction.len());
    let Some(missing) = missing else {
        return Err(AmountError::Decimals {
            text: number.to_owned(),
            unit: unit.to_owned(),
            most: decimals,
        });
    };
    let units = format!("{whole}{fraction}{}", "0".repeat(missing));
    let too_large = |_| AmountError::TooLarge(number.to_owned());
    units.parse().map(Amount::new).map_err(too_large)
}

/// The digits without their separators, which stand between digits only.
fn digits(part: &str, number: &str) -> Result<String, AmountError> {
    let malformed = part.starts_with('_')
        || part.ends_with('_')
        || part.contains("__")
        || !part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if malformed { Err(AmountError::Digits(number.to_owned())) } else { Ok(part.replace('_', "")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ckb(text: &str) -> Result<u128, AmountError> {
        parse_ckb(text).map(Amount::get)
    }

    #[test]
    fn capacities_are_shown_without_superfluous_zeros() {
        assert_eq!(show_ckb(0), "0 CKB");
        assert_eq!(show_ckb(1), "0.00000001 CKB");
        assert_eq!(show_ckb(1_250_000_000), "12.5 CKB");
        assert_eq!(show_ckb(22_200_000_000), "222 CKB");
        assert_eq!(show_units(25_075, 2), "250.75");
        assert_eq!(show_units(u128::MAX, 0), "340282366920938463463374607431768211455");
        assert_eq!(show_units(5, u32::MAX), show_units(5, DECIMALS_MAX));
    }

    #[test]
    fn people_may_write_units_separators_and_zeros() {
        for text in ["12.5 CKB", "12.5", "12.50ckb", " 1_2.5_0 CKBytes ", "1_250_000_000 shannons"]
        {
            assert_eq!(ckb(text), Ok(1_250_000_000), "{text}");
        }
        assert_eq!(ckb("1_000"), Ok(100_000_000_000));
        assert_eq!(ckb("1 shannon"), Ok(1));
        assert_eq!(parse_units("250.75", 2), Ok(Amount::new(25_075)));
    }

    #[test]
    fn decimals_are_never_rounded_away() {
        assert_eq!(ckb("0.00000001"), Ok(1));
        assert!(matches!(ckb("0.000000001"), Err(AmountError::Decimals { most: 8, .. })));
        assert!(matches!(ckb("1.5 shannons"), Err(AmountError::Decimals { most: 0, .. })));
        assert!(matches!(parse_units("1.005", 2), Err(AmountError::Decimals { most: 2, .. })));
    }

    #[test]
    fn amounts_are_not_negative() {
        for text in ["-1", "-0.5 CKB", "\u{2212}1 CKB"] {
            assert!(matches!(ckb(text), Err(AmountError::Negative(_))), "{text}");
        }
    }

    #[test]
    fn unknown_units_are_named_in_the_refusal() {
        assert_eq!(ckb("1 BTC"), Err(AmountError::Unit("BTC".to_owned())));
        assert_eq!(ckb("1e5"), Err(AmountError::Unit("e5".to_owned())));
        assert!(ckb("1 BTC").unwrap_err().to_string().contains("use `CKB`"));
    }

    #[test]
    fn malformed_numbers_are_refused() {
        for text in ["1..2", ".5", "5.", "1,5", "_1", "1_", "1__0", "1 2", "+1", "1.2.3"] {
            assert!(matches!(ckb(text), Err(AmountError::Digits(_))), "{text}");
        }
        for text in ["", "  ", "CKB"] {
            assert_eq!(ckb(text), Err(AmountError::Empty), "{text}");
        }
        assert_eq!(ckb(&"1".repeat(TEXT_MAX + 1)), Err(AmountError::TooLong));
    }

    #[test]
    fn nothing_larger_than_the_ledger_is_an_amount() {
        assert_eq!(ckb("184467440737.09551615"), Ok(u128::from(u64::MAX)));
        assert!(matches!(ckb("184467440737.09551616"), Err(AmountError::TooLarge(_))));
        assert!(matches!(parse_units(&"9".repeat(39), 0), Err(AmountError::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_parsed_to_the_same_number(
            shannons: u64,
            units: u128,
            decimals in 0..50_u32,
        ) {
            prop_assert_eq!(ckb(&show_ckb(shannons.into())), Ok(shannons.into()));
            let shown = show_units(units, decimals);
            prop_assert_eq!(parse_units(&shown, decimals), Ok(Amount::new(units)));
        }

        #[test]
        fn no_text_makes_the_parser_stop(text: String, decimals: u32) {
            let _ = parse_ckb(&text);
            let _ = parse_units(&text, decimals);
        }

        #[test]
        fn digits_alone_are_themselves(units: u128) {
            prop_assert_eq!(parse_units(&units.to_string(), 0), Ok(Amount::new(units)));
        }
    }
}
