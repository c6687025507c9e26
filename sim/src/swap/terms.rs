//! The bounds of one check, and the deadlines that follow from them.
//!
//! A tick is the time from a block to the honest party's knowledge of it (`Δ_see`). With `R` the
//! honest reaction and `d` the inclusion, `Δ = 1 + R + d` is the time from an event on a ledger to
//! the honest answer to it, surely included.

use core::fmt;

use super::law::Kind;
use super::world::{Message, P, Q, X, Y};

/// From a block to the honest party's knowledge of it. The model has this one built in.
const SEE: u8 = 1;

/// Who is honest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cast {
    /// The holder of the preimage, against a cheating Q.
    HonestP,
    /// The other party, against a cheating P.
    HonestQ,
    /// Both; the network loses messages.
    Both,
}

impl Cast {
    /// Whether this party is honest.
    #[must_use]
    pub const fn honest(self, who: usize) -> bool {
        match self {
            Self::HonestP => who == P,
            Self::HonestQ => who == Q,
            Self::Both => true,
        }
    }

    /// The honest parties.
    pub fn parties(self) -> impl Iterator<Item = usize> {
        [P, Q].into_iter().filter(move |who| self.honest(*who))
    }
}

/// One ledger, seen from the honest party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    /// How its disputes run.
    pub kind: Kind,
    /// `d`: how many blocks may pass by an honest transaction.
    pub inclusion: u8,
    /// By how many ticks its clock may be early.
    pub early: u8,
    /// By how many ticks its clock may be late.
    pub late: u8,
    /// `T`: the challenge.
    pub window: u8,
}

impl Chain {
    /// By how much two readings of its clock may disagree with the time between them.
    #[must_use]
    pub const fn skew(&self) -> u8 {
        self.early + self.late
    }

    /// After how many ticks the challenge is surely over.
    #[must_use]
    pub const fn waits(&self) -> u8 {
        self.window + self.skew()
    }
}

/// What is planted, to see whether the checker would find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// Nothing.
    None,
    /// The swap is one update from `v` to `v+1`; P signs first.
    PlainSwap,
    /// P goes on with the swap off chain although it saw a dispute.
    RevealsDisputed,
    /// P reveals although it signed the cancellation.
    RevealsCancelled,
    /// Q signs `v½` before P did, and completes it only when it sees it on a ledger.
    OffersFirst,
    /// Q, with `v½` pending, consents to paying the old balances on Y at once.
    Consents,
    /// Q signs the cancellation before P did.
    CancelsFirst,
    /// Q signs the cancellation although it saw a dispute.
    CancelsDisputed,
    /// Q signs `v+1` before it has the preimage.
    SignsBlind,
    /// A dispute is answered on its own ledger only.
    OneLedger,
    /// Q goes to the ledgers only if somebody else did.
    NeverGoes,
    /// Ledgers refund as soon as the challenge is over.
    RefundsAtOnce,
    /// Ledgers never refund.
    NeverRefunds,
    /// Ledgers take no claim.
    NeverClaims,
    /// Ledgers take a claim during the challenge.
    ClaimsAtOnce,
    /// Ledgers take no claim after the expiry. Not a flaw: it makes no difference to the money.
    ClaimsExpire,
}

/// The bounds of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Who is honest.
    pub cast: Cast,
    /// X and Y.
    pub chains: [Chain; 2],
    /// `R`: for how long an honest party may do nothing.
    pub reaction: u8,
    /// `k`: how many registrations of the cheater can stand in the way on a cell.
    pub slots: u8,
    /// `A`: for how long P waits for `v+1` after it revealed.
    pub answer: u8,
    /// The last tick in which P reveals.
    pub talk: u8,
    /// By how much the gap between the expiries is smaller than it should be.
    pub gap_short: u8,
    /// By how much Q goes to the ledgers later than it should.
    pub go_late: u8,
    /// By how much P reveals later than it should.
    pub reveal_late: u8,
    /// Whether an honest P that never revealed claims where a claim is sure to be in time.
    pub eager: bool,
    /// Whether the time from leaving to the last payment is measured.
    pub exit: bool,
    /// What is planted.
    pub flaw: Flaw,
}

impl Bounds {
    /// Small bounds: X and Y of these kinds, with these inclusion times, and the least windows.
    #[must_use]
    pub fn small(cast: Cast, kinds: [Kind; 2]) -> Self {
        let chain = |kind| Chain { kind, inclusion: 0, early: 0, late: 0, window: 0 };
        Self {
            cast,
            chains: kinds.map(chain),
            reaction: 0,
            slots: 2,
            answer: 1,
            talk: 2,
            gap_short: 0,
            go_late: 0,
            reveal_late: 0,
            eager: false,
            exit: false,
            flaw: Flaw::None,
        }
        .with_windows([0, 0])
    }

    /// With these inclusion times and this reaction, and the least windows.
    #[must_use]
    pub fn slower(mut self, inclusion: [u8; 2], reaction: u8) -> Self {
        self.reaction = reaction;
        self.chains[X].inclusion = inclusion[X];
        self.chains[Y].inclusion = inclusion[Y];
        self.with_windows([0, 0])
    }

    /// With the clocks of X and Y this early and late, and the least windows.
    #[must_use]
    pub fn clocks(mut self, early: [u8; 2], late: [u8; 2]) -> Self {
        for ledger in [X, Y] {
            self.chains[ledger].early = early[ledger];
            self.chains[ledger].late = late[ledger];
        }
        self.with_windows([0, 0])
    }

    /// With windows longer than the least ones by this much. The least is the timing condition.
    #[must_use]
    pub fn with_windows(mut self, longer: [u8; 2]) -> Self {
        for ledger in [X, Y] {
            let least = self.delta(ledger) + 1 + self.chains[ledger].skew();
            self.chains[ledger].window = least + longer[ledger];
        }
        self
    }

    /// With a window on this ledger one tick shorter than it is.
    #[must_use]
    pub const fn shorter(mut self, ledger: usize) -> Self {
        self.chains[ledger].window -= 1;
        self
    }

    /// `Δ`: from an event on this ledger to the answer, surely included.
    #[must_use]
    pub const fn delta(&self, ledger: usize) -> u8 {
        SEE + self.reaction + self.chains[ledger].inclusion
    }

    /// From sending to including a transaction that the cheater can hinder.
    const fn lands(&self, ledger: usize) -> u8 {
        let chain = &self.chains[ledger];
        let hindrances = match chain.kind {
            Kind::Contract => 0,
            Kind::Cell => self.slots * self.delta(ledger),
        };
        chain.inclusion + hindrances
    }

    /// From the decision to go, or a deadline at which an honest party looks up at the latest `R`
    /// later, to the moment from which the registered state can surely be concluded.
    #[must_use]
    pub const fn ready(&self, ledger: usize) -> u8 {
        self.reaction + self.lands(ledger) + self.chains[ledger].waits()
    }

    /// From a decision to its effect, where nobody can hinder it.
    #[must_use]
    pub const fn acts(&self, ledger: usize) -> u8 {
        self.reaction + self.chains[ledger].inclusion
    }

    /// From P's revealing to its claim on X, surely included.
    #[must_use]
    pub const fn claim(&self) -> u8 {
        self.answer + self.ready(X) + self.acts(X)
    }

    /// `E_Y - E_X`: Q's refund on X is in, or what P's rushing claim showed there is used on Y.
    #[must_use]
    pub const fn gap(&self) -> u8 {
        self.chains[X].late + self.delta(X) + self.delta(Y) + self.chains[Y].early
    }

    /// Whether the gap decides `E_Y`, and not the time that Q needs on a slow Y.
    #[must_use]
    pub const fn gap_binds(&self) -> bool {
        self.least() < self.talk + self.claim() + 1 + self.chains[X].early + self.gap()
    }

    /// The least `E_Y` that lets Q go to Y after P's last chance to reveal.
    const fn least(&self) -> u8 {
        self.talk + 2 + self.ready(Y) + self.acts(Y) + self.chains[Y].early
    }

    /// `E_X` and `E_Y`, with tick 0 as now.
    #[must_use]
    pub fn expiries(&self) -> [u8; 2] {
        let on_x = self.talk + self.claim() + 1 + self.chains[X].early;
        [on_x, self.least().max(on_x + self.gap()) - self.gap_short]
    }

    /// The tick at which Q, holding `v½` unresolved, goes to both ledgers at the latest.
    #[must_use]
    pub fn go(&self) -> u8 {
        let [on_x, on_y] = self.expiries();
        // X is ripe for the refund when it expires.
        let for_x = on_x + self.chains[X].late - self.ready(X);
        // Y is ripe for the claim before it expires.
        let for_y = on_y.saturating_sub(1 + self.chains[Y].early + self.acts(Y) + self.ready(Y));
        for_x.min(for_y) + self.go_late
    }

    /// The last tick at which an honest party stays if nothing forces it to go.
    #[must_use]
    pub fn leave_by(&self) -> u8 {
        self.expiries()[X] + 1
    }

    /// The bound on settling everything after an honest party froze at tick `left`.
    #[must_use]
    pub fn settled_by(&self, left: u8) -> u8 {
        let expiries = self.expiries();
        // Only P signs what it does not hold complete: `v½` and what resolves it.
        let ahead = if self.cast == Cast::HonestQ { 0 } else { 2 };
        let on = |ledger: usize| {
            let chain = &self.chains[ledger];
            let ending = chain.waits() + self.acts(ledger);
            let expired = expiries[ledger] + chain.late + self.acts(ledger);
            if chain.kind == Kind::Contract {
                return expired.max(left + chain.inclusion + ending);
            }
            let most = ahead.min(self.slots);
            let restarting = |restarts: u8| {
                let hindrances = (self.slots - restarts) * self.delta(ledger);
                left + chain.inclusion + hindrances + (1 + restarts) * ending
            };
            let at_once = (0..=most).map(restarting).max().unwrap_or(0);
            // The last restart may wait for the refund.
            let last = if most > 0 { ending } else { 0 };
            at_once.max(expired + last)
        };
        on(X).max(on(Y))
    }

    /// Whose messages these are.
    #[must_use]
    pub const fn sender(message: Message) -> usize {
        match message {
            Message::Offer | Message::Reveal | Message::Leak | Message::Cancel => P,
            Message::Accept | Message::Done | Message::Cancelled => Q,
            // The cheater: whoever it is.
            Message::Pay => 2,
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |chain: &Chain| match chain.kind {
            Kind::Contract => "evm",
            Kind::Cell => "ckb",
        };
        let [x, y] = &self.chains;
        write!(f, "{}/{} d={}/{} R={}", kind(x), kind(y), x.inclusion, y.inclusion, self.reaction)?;
        write!(f, " T={}/{} k={}", x.window, y.window, self.slots)?;
        if x.skew() + y.skew() > 0 {
            write!(f, " skew={}/{}", x.skew(), y.skew())?;
        }
        let [on_x, on_y] = self.expiries();
        write!(f, " E={on_x}/{on_y}")
    }
}
