//! Newtypes for the numbers and names that must not be confused: amounts, versions, channel ids.
//!
//! They carry no unit of a ledger and offer checked operations only.

use core::fmt;

/// A quantity of an asset in its smallest unit (shannons, wei, a token's base unit).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount of `units` smallest units.
    #[must_use]
    pub const fn new(units: u128) -> Self {
        Self(units)
    }

    /// The number of smallest units.
    #[must_use]
    pub const fn get(self) -> u128 {
        self.0
    }

    /// The sum, unless it leaves 128 bits.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, unless it is negative.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// The sum of many amounts, unless it leaves 128 bits.
    #[must_use]
    pub fn checked_sum<I: IntoIterator<Item = Self>>(amounts: I) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a state: 0 for the first one, higher for each later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The version of a channel's first state.
    pub const ZERO: Self = Self(0);

    /// The version with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The version after this one, unless the counter is at its end.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a channel: the hash of its parameters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId([u8; 32]);

impl ChannelId {
    /// The id with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes `0x` and the bytes in lower-case hexadecimal.
pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("0x")?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    const LARGEST: Amount = Amount::new(u128::MAX);
    const ONE: Amount = Amount::new(1);

    #[test]
    fn sums_stop_at_128_bits() {
        assert_eq!(LARGEST.checked_add(ONE), None);
        assert_eq!(LARGEST.checked_add(Amount::ZERO), Some(LARGEST));
        assert_eq!(Amount::checked_sum([LARGEST, Amount::ZERO]), Some(LARGEST));
        assert_eq!(Amount::checked_sum([ONE, LARGEST, Amount::ZERO]), None);
        assert_eq!(Amount::checked_sum([]), Some(Amount::ZERO));
    }

    #[test]
    fn differences_are_never_negative() {
        assert_eq!(Amount::ZERO.checked_sub(ONE), None);
        assert_eq!(ONE.checked_sub(LARGEST), None);
        assert_eq!(LARGEST.checked_sub(LARGEST), Some(Amount::ZERO));
    }

    #[test]
    fn versions_end_and_do_not_wrap() {
        assert_eq!(Version::ZERO.next(), Some(Version::new(1)));
        assert_eq!(Version::new(u64::MAX).next(), None);
    }

    #[test]
    fn versions_are_ordered_by_number() {
        assert!(Version::new(256) > Version::new(255));
        assert!(Version::new(u64::MAX) > Version::ZERO);
    }

    #[test]
    fn ids_are_written_in_full() {
        let mut bytes = [0; 32];
        bytes[0] = 0x0a;
        bytes[31] = 0xf0;
        let written = format!("{}", ChannelId::new(bytes));
        assert_eq!(written, format!("0x0a{}f0", "0".repeat(60)));
        assert_eq!(format!("{:?}", ChannelId::new(bytes)), written);
    }

    #[test]
    fn numbers_are_written_in_decimal_with_the_callers_width() {
        assert_eq!(format!("{:>5}", Amount::new(42)), "   42");
        assert_eq!(format!("{}", Version::new(42)), "42");
        assert_eq!(format!("{LARGEST}"), "340282366920938463463374607431768211455");
    }
}
