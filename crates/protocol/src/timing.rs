//! When a swap may be begun, when its secret may be shown, and when to go to the ledgers with it.
//!
//! The formulas are those of `docs/design/0003-swaps.md`, where a model shows that each is tight.
//! They are applied to what a ledger's own clock shows: a reading may be as old as the time that it
//! takes to see a block, and the clock may run off by its skew, so both are added on the safe side.
//! No two ledgers' clocks are ever compared.

use perun_channel::swap::Swap;
use perun_channel::{Allocation, Amount, Asset, LedgerId};

use crate::ledgers::{PerLedger, Place};
use crate::limits::{MAX_LEDGERS, MAX_PLAIN_SWAPS};
use crate::units::{Index, LedgerTime};

/// How fast one ledger is, and how fast we are on it. All in seconds, each as long as it may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// From a block to our knowledge of it.
    pub see_secs: u64,
    /// From our knowledge to our answer, with all the time that we may be away.
    pub react_secs: u64,
    /// From sending to an inclusion that no reorganisation undoes.
    pub include_secs: u64,
    /// By how much the ledger's clock may be early.
    pub early_secs: u64,
    /// By how much the ledger's clock may be late.
    pub late_secs: u64,
    /// How many registrations of the peer can stand in the way of ours: none on a ledger where they
    /// do not begin the challenge anew; on others two, or three if our watchtower may be corrupt.
    pub slots: u64,
}

/// Which swaps a node takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SwapConfig {
    /// The ledgers on which it does. One without an entry takes part in no swap.
    pub timings: [Option<(LedgerId, Timing)>; MAX_LEDGERS],
    /// For how long the node promises to be awake. A swap that needs it at the ledgers later than
    /// that is not agreed to: a watchtower cannot begin a dispute.
    pub online_secs: u64,
    /// From now to the last expiry, at most: so long a peer can keep the money bound.
    pub longest_secs: u64,
    /// Up to how much of an asset may move in a swap that is a single update, by the asset's
    /// [`SwapConfig::key`]. Whoever signs such an update first can lose this much on one ledger
    /// without its due on the other. What is not here never moves like that.
    pub at_once: [Option<([u8; 32], Amount)>; MAX_PLAIN_SWAPS],
}

/// Why a swap is outside of what is agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapLimit {
    /// It is not between two ledgers, one way on each, with one expiry for each.
    Shape,
    /// A ledger of it is none on which swaps are configured.
    Ledger,
    /// The channel's challenge is too short to answer in.
    Challenge,
    /// The two expiries are too close to each other.
    Gap,
    /// It expires too soon, or the clock of one of its ledgers is not known.
    Soon,
    /// It expires later than its money may be bound.
    Late,
    /// It would need us at the ledgers when nobody promised that we are awake.
    Away,
}

impl core::fmt::Display for SwapLimit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Shape => {
                "a swap gives on one ledger and takes on one other, with one expiry on each"
            }
            Self::Ledger => "no swap is configured on one of its ledgers",
            Self::Challenge => "the channel's challenge is too short for a swap on its ledgers",
            Self::Gap => "its two expiries are too close to each other",
            Self::Soon => "it expires too soon, or a ledger's clock is not known",
            Self::Late => "it would bind its money for longer than allowed",
            Self::Away => "it may need this node after the time for which it is promised to run",
        })
    }
}

impl Timing {
    const fn delta(&self) -> u64 {
        self.acts().saturating_add(self.see_secs)
    }

    const fn skew(&self) -> u64 {
        self.early_secs.saturating_add(self.late_secs)
    }

    /// From a deadline to go to the ledger to the moment at which the registered state is ripe.
    const fn ready(&self, challenge: u64) -> u64 {
        let hindered = self.slots.saturating_mul(self.delta());
        let there = self.acts().saturating_add(hindered);
        there.saturating_add(challenge).saturating_add(self.skew())
    }

    /// From a decision to its effect.
    const fn acts(&self) -> u64 {
        self.react_secs.saturating_add(self.include_secs)
    }

    /// Whether an answer to what is registered at the last moment is surely in time.
    const fn can_answer(&self, challenge: u64) -> bool {
        challenge >= self.delta().saturating_add(self.see_secs).saturating_add(self.skew())
    }
}

impl SwapConfig {
    /// No swaps.
    pub const OFF: Self = Self {
        timings: [None; MAX_LEDGERS],
        online_secs: 0,
        longest_secs: 0,
        at_once: [None; MAX_PLAIN_SWAPS],
    };

    /// The name of an asset in [`SwapConfig::at_once`].
    #[must_use]
    pub fn key(asset: &Asset) -> [u8; 32] {
        perun_channel::hash::keccak256(&[&perun_channel::codec::Encode::to_bytes(asset)])
    }

    fn timing(&self, ledger: LedgerId) -> Result<Timing, SwapLimit> {
        let found = self.timings.iter().flatten().find(|(known, _)| *known == ledger);
        found.map(|(_, timing)| *timing).ok_or(SwapLimit::Ledger)
    }

    /// Up to how much of an asset may move at once.
    pub(crate) fn limit(&self, asset: &Asset) -> Amount {
        let key = Self::key(asset);
        let found = self.at_once.iter().flatten().find(|(known, _)| *known == key);
        found.map_or(Amount::ZERO, |(_, most)| *most)
    }
}

/// One ledger's side of a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Side {
    ledger: LedgerId,
    expiry: u64,
}

/// The two sides: where the holder of the preimage takes, and where it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sides {
    taken: Side,
    given: Side,
}

impl Sides {
    fn of(swap: &Swap, outcome: &Allocation, holder: Index) -> Option<Self> {
        let (mut taken, mut given): (Option<Side>, Option<Side>) = (None, None);
        for leg in swap.legs() {
            let ledger = outcome.assets().get(usize::from(leg.asset))?.ledger();
            let side = Side { ledger, expiry: leg.expiry };
            let place = if leg.to == holder.number() { &mut taken } else { &mut given };
            if *place.get_or_insert(side) != side {
                return None;
            }
        }
        let (taken, given) = (taken?, given?);
        (taken.ledger != given.ledger).then_some(Self { taken, given })
    }
}

/// What a swap's time limits are, each by the clock of its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// Only before this the holder shows the preimage: its claim is then in before any refund.
    pub(crate) reveal: (LedgerId, LedgerTime),
    /// From this on the other side goes to the ledgers, whichever clock says so first.
    pub(crate) go: [(LedgerId, LedgerTime); 2],
    /// When the last leg expires.
    last: u64,
}

impl Deadlines {
    /// The deadlines of a swap whose preimage `holder` has, if it is one that this node could take
    /// part in at some time.
    pub(crate) fn of(
        config: &SwapConfig,
        answer_secs: u64,
        challenge: u64,
        (swap, outcome): (&Swap, &Allocation),
        holder: Index,
    ) -> Result<Self, SwapLimit> {
        let Sides { taken, given } = Sides::of(swap, outcome, holder).ok_or(SwapLimit::Shape)?;
        let (x, y) = (config.timing(taken.ledger)?, config.timing(given.ledger)?);
        if !(x.can_answer(challenge) && y.can_answer(challenge)) {
            return Err(SwapLimit::Challenge);
        }
        let gap = [y.delta(), x.late_secs, y.early_secs];
        let gap = gap.into_iter().fold(x.delta(), u64::saturating_add);
        if given.expiry.checked_sub(taken.expiry).is_none_or(|apart| apart < gap) {
            return Err(SwapLimit::Gap);
        }
        let before = |expiry: u64, needs: &[u64]| {
            LedgerTime::new(needs.iter().fold(expiry, |left, need| left.saturating_sub(*need)))
        };
        let claim = [x.see_secs, x.skew(), answer_secs, x.ready(challenge), x.acts()];
        let ripe = [x.see_secs, x.ready(challenge)];
        let claimed = [y.see_secs, y.see_secs, y.skew(), y.acts(), y.ready(challenge)];
        Ok(Self {
            reveal: (taken.ledger, before(taken.expiry, &claim)),
            go: [
                (taken.ledger, before(taken.expiry, &ripe)),
                (given.ledger, before(given.expiry, &claimed)),
            ],
            last: given.expiry,
        })
    }

    /// Whether the other side should sign now. `clocks` are those of the channel's ledgers.
    pub(crate) fn check(
        &self,
        config: &SwapConfig,
        places: &PerLedger<Place>,
        clocks: &PerLedger<LedgerTime>,
    ) -> Result<(), SwapLimit> {
        let clock = |ledger| places.position(ledger).and_then(|place| clocks.get(place));
        let mut soonest = u64::MAX;
        for (ledger, go) in self.go {
            let now = clock(ledger).ok_or(SwapLimit::Soon)?;
            let left = go.get().checked_sub(now.get()).filter(|left| *left > 0);
            soonest = soonest.min(left.ok_or(SwapLimit::Soon)?);
            if self.last.saturating_sub(now.get()) > config.longest_secs {
                return Err(SwapLimit::Late);
            }
        }
        if soonest > config.online_secs { Err(SwapLimit::Away) } else { Ok(()) }
    }
}
