//! Newtypes for what must not be swapped: two clocks, two participants, names and opaque bytes.
//!
//! The node's clock ([`Time`]) and the ledger's ([`LedgerTime`]) never mix: no operation takes
//! both.

use alloc::vec::Vec;
use core::fmt;

use crate::limits::MAX_LEDGER_BYTES;

/// The node's own clock, in seconds. It runs out waits for the peer and for the node's own backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The moment with this number of seconds.
    #[must_use]
    pub const fn new(secs: u64) -> Self {
        Self(secs)
    }

    /// Its number of seconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The moment `secs` later; the end of time stays the end of time.
    #[must_use]
    pub const fn after(self, secs: u64) -> Self {
        Self(self.0.saturating_add(secs))
    }
}

/// The ledger's clock, in seconds, as the ledger's rules measure it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerTime(u64);

impl LedgerTime {
    /// The moment with this number of seconds.
    #[must_use]
    pub const fn new(secs: u64) -> Self {
        Self(secs)
    }

    /// Its number of seconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// One of the two participants of a ledger channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Index {
    /// The one who proposed the channel.
    Zero,
    /// The one who accepted it.
    One,
}

impl Index {
    /// The other participant.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Zero => Self::One,
            Self::One => Self::Zero,
        }
    }

    /// The column of balances and the place in lists.
    #[must_use]
    pub const fn column(self) -> usize {
        match self {
            Self::Zero => 0,
            Self::One => 1,
        }
    }

    /// The index as ledgers write it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Zero => 0,
            Self::One => 1,
        }
    }
}

/// How many times the right to propose has changed hands. It belongs to participant 0 at even
/// counts and to participant 1 at odd ones, so both sides name its holder by one number that only
/// rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Turn(u64);

impl Turn {
    /// The turn with this count.
    #[must_use]
    pub const fn new(count: u64) -> Self {
        Self(count)
    }

    /// Its count.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Who may propose.
    #[must_use]
    pub const fn holder(self) -> Index {
        if self.0 & 1 == 0 { Index::Zero } else { Index::One }
    }

    /// The turn after the right changed hands once more.
    #[must_use]
    pub const fn passed(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

macro_rules! name_of_32_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The name with these bytes.
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

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0x")?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

name_of_32_bytes! {
    /// The name of one machine: chosen at random by the proposer, the same on both sides, and kept
    /// when a resize gives the channel a new id. Every message carries it.
    OpeningId
}
name_of_32_bytes! {
    /// The name of a ledger's transaction.
    TransactionId
}
name_of_32_bytes! {
    /// Thirty-two bytes that are signed with the session key.
    Digest
}

/// The secret of a swap. It is not printed: before it is shown, who knows it can take both sides.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Preimage([u8; 32]);

impl Preimage {
    /// The secret with these bytes, drawn at random for one swap only.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether it opens the swap that a state carries.
    pub(crate) fn opens(&self, state: &perun_channel::State) -> bool {
        let swap = perun_channel::swap::Swap::pending(state).ok().flatten();
        swap.is_some_and(|swap| swap.opened_by(&self.0))
    }
}

impl fmt::Debug for Preimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preimage(..)")
    }
}

/// Bytes that a ledger's backend wrote and only a backend reads; the protocol carries them.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct LedgerBytes(Vec<u8>);

impl LedgerBytes {
    /// The bytes, unless there are more than [`MAX_LEDGER_BYTES`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, TooLong> {
        if bytes.len() > MAX_LEDGER_BYTES { Err(TooLong) } else { Ok(Self(bytes)) }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for LedgerBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerBytes({} bytes)", self.0.len())
    }
}

/// Bytes are longer than the named limit of their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes are longer than their kind may be; nothing was stored or sent")
    }
}

impl core::error::Error for TooLong {}
