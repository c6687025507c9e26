//! Durations and dates for people.
//!
//! Times come from the chain, in milliseconds since 1970; nothing here asks a clock.

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A duration by its two largest units: `1 h 30 min`, `3 days`, `45 s`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    let units = [(DAY, "day"), (HOUR, "h"), (MINUTE, "min"), (1, "s")];
    let largest = units.iter().position(|(size, _)| seconds >= *size).unwrap_or(units.len() - 1);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, name) in units.iter().skip(largest).take(2) {
        let count = rest / size;
        rest %= size;
        if count > 0 || parts.is_empty() {
            let plural = if *name == "day" && count != 1 { "s" } else { "" };
            parts.push(format!("{count} {name}{plural}"));
        }
    }
    parts.join(" ")
}

/// A date from milliseconds since 1970, in universal time: `2026-01-01 00:00:00 UTC`.
#[must_use]
pub fn date(timestamp_ms: u64) -> String {
    let seconds = timestamp_ms / 1_000;
    let (days, clock) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (clock / HOUR, clock % HOUR / MINUTE, clock % MINUTE);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day of a day counted from 1970-01-01. The Gregorian calendar repeats after 400
/// years of 146,097 days; counting from a first of March puts the leap day last.
const fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    // From 0000-03-01 to 1970-01-01.
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = 400 * era + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        let cases = [
            (0, "0 s"),
            (45, "45 s"),
            (60, "1 min"),
            (1_800, "30 min"),
            (5_400, "1 h 30 min"),
            (5_401, "1 h 30 min"),
            (86_400, "1 day"),
            (90_000, "1 day 1 h"),
            (31_536_000, "365 days"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(duration(u64::MAX), "213503982334601 days 7 h");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_767_225_599_999, "2025-12-31 23:59:59 UTC"),
            (1_767_225_600_000, "2026-01-01 00:00:00 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00:00 UTC"),
        ];
        for (timestamp, text) in cases {
            assert_eq!(date(timestamp), text);
        }
        // Far from any block, but no reason to stop.
        assert!(date(u64::MAX).ends_with("UTC"));
    }
}
