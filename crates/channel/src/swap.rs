//! The pending swap: a payment in several assets that happens on all ledgers or on none, depending
//! on whether a secret becomes known.
//!
//! A channel without an app may carry one in a state's app data. The balances of that state are
//! those without the swap; whoever shows the preimage of its lock on a ledger moves that ledger's
//! legs, and after their expiry anybody may let them lapse there. Every ledger decides for its own
//! legs only, so what another ledger's rows say never changes what this one pays. The invariant: a
//! [`Swap`] obeys every law that needs no balances; [`Swap::fits`] asks for the rest.

use alloc::vec::Vec;

use crate::codec::{DecodeError, Reader};
use crate::hash::sha256;
use crate::{Allocation, Amount, Asset, State, Version};

/// The first expiry that no leg may have, in seconds since 1970: far beyond any clock, and so small
/// that every ledger's time lock can name each expiry below it, in milliseconds too.
pub const EXPIRY_END: u64 = 1 << 38;

/// The number of this layout.
const FORMAT: u8 = 1;
/// Bytes before the legs: the format and the lock.
const HEAD_LENGTH: usize = 33;
/// Bytes of one leg: asset, from, to, expiry, amount.
const LEG_LENGTH: usize = 27;

/// One payment of a swap, in one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Leg {
    /// The asset's row.
    pub asset: u8,
    /// Who pays.
    pub from: u8,
    /// Who is paid.
    pub to: u8,
    /// From when on the leg may lapse, in seconds since 1970 by its ledger's clock.
    pub expiry: u64,
    /// How much.
    pub amount: Amount,
}

/// A swap: its lock, and its legs in the order of their assets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Swap {
    lock: [u8; 32],
    legs: Vec<Leg>,
}

/// Why data is no swap, or why a swap does not fit a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapError {
    /// The first byte is not the number of a known layout.
    Format,
    /// The bytes are not a lock and one or more whole legs.
    Length,
    /// The legs do not ascend strictly by asset.
    Order,
    /// A leg pays from a participant to itself.
    SamePayee,
    /// A leg's expiry is zero, or so late that no clock will reach it.
    Expiry,
    /// A leg's amount is zero.
    NoAmount,
    /// A leg names an asset that the channel does not have.
    NoAsset,
    /// A leg names a participant that the channel does not have.
    NoParticipant,
    /// A leg pays more than its payer has.
    Balance,
    /// The channel has an app, whose data this is.
    App,
    /// The state is final.
    Final,
    /// A swap is pending; there is one at a time.
    Pending,
    /// No swap is pending.
    NotPending,
}

impl core::fmt::Display for SwapError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Format => "the app data is no swap of a known format",
            Self::Length => "the swap's bytes are not a lock and whole legs",
            Self::Order => "the swap's legs do not ascend by asset",
            Self::SamePayee => "a leg of the swap pays from a participant to itself",
            Self::Expiry => "a leg of the swap expires never, or has no expiry",
            Self::NoAmount => "a leg of the swap pays nothing",
            Self::NoAsset => "a leg of the swap names an asset that the channel does not have",
            Self::NoParticipant => "a leg of the swap names a participant that does not exist",
            Self::Balance => "a leg of the swap pays more than its payer has",
            Self::App => "a channel with an app carries no swap",
            Self::Final => "a final state carries no swap",
            Self::Pending => "a swap is pending already",
            Self::NotPending => "no swap is pending",
        })
    }
}

impl core::error::Error for SwapError {}

impl Swap {
    /// A swap of these legs under the lock [`Swap::lock_of`] a preimage.
    pub fn new(lock: [u8; 32], legs: Vec<Leg>) -> Result<Self, SwapError> {
        if legs.is_empty() {
            return Err(SwapError::Length);
        }
        if !legs.iter().zip(legs.iter().skip(1)).all(|(one, next)| one.asset < next.asset) {
            return Err(SwapError::Order);
        }
        for leg in &legs {
            if leg.from == leg.to {
                return Err(SwapError::SamePayee);
            }
            if !(1..EXPIRY_END).contains(&leg.expiry) {
                return Err(SwapError::Expiry);
            }
            if leg.amount == Amount::ZERO {
                return Err(SwapError::NoAmount);
            }
        }
        Ok(Self { lock, legs })
    }

    /// The lock that this preimage opens: its SHA-256.
    #[must_use]
    pub fn lock_of(preimage: &[u8; 32]) -> [u8; 32] {
        sha256(preimage)
    }

    /// Reads a swap from app data. Each has one spelling.
    pub fn from_data(data: &[u8]) -> Result<Self, SwapError> {
        match data.split_first() {
            Some((&FORMAT, _)) => {}
            Some(_) => return Err(SwapError::Format),
            None => return Err(SwapError::Length),
        }
        let (lock, legs) = read(data).map_err(|_| SwapError::Length)?;
        Self::new(lock, legs)
    }

    /// The swap as app data.
    #[must_use]
    pub fn to_data(&self) -> Vec<u8> {
        let legs = self.legs.len().saturating_mul(LEG_LENGTH);
        let mut out = Vec::with_capacity(HEAD_LENGTH.saturating_add(legs));
        out.push(FORMAT);
        out.extend_from_slice(&self.lock);
        for leg in &self.legs {
            out.extend_from_slice(&[leg.asset, leg.from, leg.to]);
            out.extend_from_slice(&leg.expiry.to_be_bytes());
            out.extend_from_slice(&leg.amount.get().to_be_bytes());
        }
        out
    }

    /// The swap that a state of a channel without an app carries, if it carries one.
    pub fn pending(state: &State) -> Result<Option<Self>, SwapError> {
        if state.data().is_empty() { Ok(None) } else { Self::from_data(state.data()).map(Some) }
    }

    /// The SHA-256 of the secret.
    #[must_use]
    pub const fn lock(&self) -> &[u8; 32] {
        &self.lock
    }

    /// The legs, ascending by asset.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// Whether this is the preimage of the lock.
    #[must_use]
    pub fn opened_by(&self, preimage: &[u8; 32]) -> bool {
        sha256(preimage) == self.lock
    }

    /// Whether the swap can be carried beside this outcome: its assets and participants exist, and
    /// every payer has what it would pay.
    pub fn fits(&self, outcome: &Allocation) -> Result<(), SwapError> {
        self.legs.iter().try_for_each(|leg| {
            let row = outcome.balances().get(usize::from(leg.asset)).ok_or(SwapError::NoAsset)?;
            let payer = row.get(usize::from(leg.from)).ok_or(SwapError::NoParticipant)?;
            row.get(usize::from(leg.to)).ok_or(SwapError::NoParticipant)?;
            if leg.amount <= *payer { Ok(()) } else { Err(SwapError::Balance) }
        })
    }

    /// The outcome after the legs in assets that `moves` names. Every sum stays as it was.
    pub fn applied(
        &self,
        outcome: &Allocation,
        moves: impl Fn(&Asset) -> bool,
    ) -> Result<Allocation, SwapError> {
        self.fits(outcome)?;
        self.legs_in(outcome, moves).try_fold(outcome.clone(), |outcome, leg| {
            let (from, to) = (usize::from(leg.from), usize::from(leg.to));
            let moved = outcome.transfer(from, to, usize::from(leg.asset), leg.amount);
            moved.map_err(|_| SwapError::Balance)
        })
    }

    /// When the last of the legs in assets that `on` names has expired; none if there is no such
    /// leg.
    #[must_use]
    pub fn expiry(&self, outcome: &Allocation, on: impl Fn(&Asset) -> bool) -> Option<u64> {
        self.legs_in(outcome, on).map(|leg| leg.expiry).max()
    }

    fn legs_in<'a>(
        &'a self,
        outcome: &'a Allocation,
        on: impl Fn(&Asset) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Leg> {
        self.legs.iter().filter(move |leg| {
            let asset = outcome.assets().get(usize::from(leg.asset));
            asset.is_some_and(&on)
        })
    }

    /// Whether a party should sign this swap now, by the clock of the one who asks. `holder` knows
    /// the preimage, or will.
    pub fn check_expiries(&self, holder: u8, now: u64, leads: &Leads) -> Result<(), ExpiryRefusal> {
        let expiries = || self.legs.iter().map(|leg| leg.expiry);
        let soonest = now.checked_add(leads.lead).ok_or(ExpiryRefusal::Soon)?;
        if expiries().any(|expiry| expiry < soonest) {
            return Err(ExpiryRefusal::Soon);
        }
        if expiries().any(|expiry| expiry.saturating_sub(now) > leads.longest) {
            return Err(ExpiryRefusal::Late);
        }
        // What the holder gives lapses later than what it takes, by enough for those whom it pays
        // with to use the preimage that it shows at the last moment.
        let taken = self.legs.iter().filter(|leg| leg.to == holder).map(|leg| leg.expiry).max();
        let given = self.legs.iter().filter(|leg| leg.from == holder).map(|leg| leg.expiry).min();
        let apart = match (taken, given) {
            (Some(taken), Some(given)) => given.checked_sub(taken),
            _ => return Err(ExpiryRefusal::OneSided),
        };
        if apart.is_some_and(|apart| apart >= leads.gap) { Ok(()) } else { Err(ExpiryRefusal::Gap) }
    }
}

fn read(data: &[u8]) -> Result<([u8; 32], Vec<Leg>), DecodeError> {
    let mut reader = Reader::new(data);
    reader.u8()?;
    let lock = reader.array()?;
    let mut rest = data.len().saturating_sub(HEAD_LENGTH);
    let mut legs = Vec::with_capacity(rest.checked_div(LEG_LENGTH).unwrap_or(0));
    while rest > 0 {
        let [asset, from, to] = reader.array()?;
        let expiry = u64::from_be_bytes(reader.array()?);
        let amount = Amount::new(u128::from_be_bytes(reader.array()?));
        legs.push(Leg { asset, from, to, expiry, amount });
        rest = rest.saturating_sub(LEG_LENGTH);
    }
    reader.finish()?;
    Ok((lock, legs))
}

/// What a party asks of the expiries of a swap before it signs, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leads {
    /// From now to the first expiry, at least.
    pub lead: u64,
    /// From the last expiry of what the holder of the preimage takes to the first of what it gives,
    /// at least.
    pub gap: u64,
    /// From now to the last expiry, at most: so long, a dispute can keep the money away.
    pub longest: u64,
}

/// Why a swap should not be signed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryRefusal {
    /// A leg expires too soon.
    Soon,
    /// A leg expires too late.
    Late,
    /// What the holder of the preimage gives could lapse too soon after what it takes.
    Gap,
    /// The holder of the preimage only gives, or only takes.
    OneSided,
}

impl core::fmt::Display for ExpiryRefusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Soon => "a leg of the swap expires too soon to be claimed",
            Self::Late => "a leg of the swap expires later than its money should be bound",
            Self::Gap => "the swap's expiries leave too little time between its two sides",
            Self::OneSided => "the holder of the swap's secret does not give and take",
        })
    }
}

impl core::error::Error for ExpiryRefusal {}

/// A step of a swap's own: what no ordinary update does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapStep<'a> {
    /// The agreed swap becomes pending; nothing else changes.
    Start(&'a Swap),
    /// All legs of the pending swap move, and it is gone.
    Finish,
    /// The pending swap is gone; nothing else changes.
    Cancel,
}

impl SwapStep<'_> {
    /// The one state that follows `current` by this step, with this version.
    pub fn after(&self, current: &State, version: Version) -> Result<State, SwapError> {
        if current.is_final() {
            return Err(SwapError::Final);
        }
        let outcome = current.outcome();
        let (outcome, data) = match (self, Swap::pending(current)?) {
            (Self::Start(_), Some(_)) => return Err(SwapError::Pending),
            (Self::Finish | Self::Cancel, None) => return Err(SwapError::NotPending),
            (Self::Start(swap), None) => {
                swap.fits(outcome)?;
                (outcome.clone(), swap.to_data())
            }
            (Self::Finish, Some(swap)) => (swap.applied(outcome, |_| true)?, Vec::new()),
            (Self::Cancel, Some(_)) => (outcome.clone(), Vec::new()),
        };
        // A swap that fits has at most one leg for each asset, which is far below the limit.
        State::new(*current.id(), version, outcome, data, false).map_err(|_| SwapError::Length)
    }
}

#[cfg(test)]
mod tests;
