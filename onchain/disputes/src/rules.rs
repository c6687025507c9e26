//! The first judge: the rules as the node knows them, and the whole of what may differ by ledger.
//!
//! Shapes, swaps, versions and signatures are judged by the functions of `perun-channel`; what is
//! added here is the course of a dispute, which is a few lines. [`Law`] is the relation under which
//! verdicts must be equal: every field is one difference that the specifications name. Nothing
//! else may differ.

use std::collections::BTreeSet;

use perun_channel::{
    Address, Allocation, Amount, Asset, LedgerId, Signature, SignedState, State, Swap, transition,
};

use crate::dispute::{Act, End, Step};
use crate::scene::{Scene, Sheet};

/// Why something is refused, in classes that all judges share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The state cannot be one of this channel, or carries what it may not.
    State,
    /// What is locked in the state cannot be settled here.
    Locked,
    /// Its signatures are not everybody's.
    Signature,
    /// Its version is not newer than what is known, or has too many bits.
    Version,
    /// The registrant's right was used already, or is none to begin a dispute with.
    Slot,
    /// The window for newer states is over.
    Late,
    /// The window for newer states is not over.
    Early,
    /// Nothing is registered.
    NotRegistered,
    /// Another state is registered.
    WrongState,
    /// The state is not final.
    NotFinal,
    /// The channel is concluded.
    Over,
    /// A swap is pending here, and its legs have not expired.
    Pending,
    /// No swap is pending here.
    NoSwap,
    /// Not the preimage.
    Preimage,
    /// Somebody is given less than is owed; only asked where somebody is.
    Unpaid,
    /// Nothing of the above: a judge said what it should never say.
    Strange,
}

/// What an accepted step brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This state is registered, and its window ends then.
    Registered {
        /// The first bytes of the state's hash.
        hash: [u8; 21],
        /// Its version.
        version: u64,
        /// From when on it can be concluded, apart from its swap.
        until: u64,
    },
    /// The channel is settled: what everybody got, for every row of this ledger.
    Settled(Vec<Vec<u128>>),
}

/// What a ledger does differently. There is nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    /// Which assets it pays.
    pub ledger: LedgerId,
    /// Each registration begins a new window; else the first one's stays.
    pub window_restarts: bool,
    /// After the window, states can be registered until somebody concludes.
    pub takes_late_states: bool,
    /// A registered final state waits for nothing; else it is closed by another action, or waits.
    pub final_ends_window: bool,
    /// A final state closes whatever is registered; else it must be newer, or what is registered.
    pub final_outranks: bool,
    /// Each participant has two registrations, of which its delegate's cannot be the first.
    pub has_slots: bool,
    /// The channel's cell stores its first state from the beginning: no other of its version
    /// counts, and to register it, the registrant's signature is enough.
    pub stores_opening: bool,
    /// Totals and assets are the channel's, not the state's: another sum is no state of it. Else
    /// a row whose sum is more than what is held is paid back as it was deposited.
    pub knows_totals: bool,
    /// Settles locked channels that are shown; else a state that locks something is no state.
    pub settles_locked: bool,
    /// What is registered may be registered again, by anybody and at any time, without effect.
    pub repeats: bool,
    /// How many bits a version may have.
    pub version_bits: u32,
    /// Knows an asset by its chain's number and its holder alone, whatever kind of ledger it names:
    /// another row with the same two makes a state none.
    pub ignores_kinds: bool,
}

impl Law {
    /// Whether the ledger pays this asset.
    #[must_use]
    pub fn pays(&self, asset: &Asset) -> bool {
        let mimics = self.ignores_kinds && *asset.holder() != Address::ZERO;
        asset.ledger() == self.ledger || (mimics && asset.chain() == self.ledger.chain())
    }
}

/// CKB (`docs/spec/ckb.md`).
pub const CKB_LAW: Law = Law {
    ledger: LedgerId::new(perun_channel::BackendId::CKB, crate::ledgers::CKB_CHAIN),
    window_restarts: true,
    takes_late_states: true,
    final_ends_window: false,
    final_outranks: false,
    has_slots: true,
    stores_opening: true,
    knows_totals: true,
    settles_locked: false,
    repeats: false,
    version_bits: 64,
    ignores_kinds: false,
};

/// Ethereum (`docs/spec/evm.md`).
pub const EVM_LAW: Law = Law {
    ledger: LedgerId::new(perun_channel::BackendId::ETHEREUM, crate::ledgers::EVM_CHAIN),
    window_restarts: false,
    takes_late_states: false,
    final_ends_window: true,
    final_outranks: true,
    has_slots: false,
    stores_opening: false,
    knows_totals: false,
    settles_locked: true,
    repeats: true,
    version_bits: 48,
    ignores_kinds: true,
};

/// Every fault of a step, or what it brings about.
pub type Ruling = Result<Outcome, BTreeSet<Fault>>;

/// What is registered, or was when the channel was concluded.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Registered {
    paper: usize,
    until: u64,
    /// When the window of what is locked in it ends.
    child_until: u64,
    slots: BTreeSet<(u8, bool)>,
}

const NOTHING: Registered =
    Registered { paper: 0, until: 0, child_until: 0, slots: BTreeSet::new() };

/// Where a channel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stand {
    Open,
    Registered(Registered),
    Over(Registered),
}

impl Stand {
    const fn registered(&self) -> Option<&Registered> {
        match self {
            Self::Open => None,
            Self::Registered(known) | Self::Over(known) => Some(known),
        }
    }
}

/// The course of one dispute on one ledger.
pub struct Rules<'a> {
    scene: &'a Scene,
    law: Law,
    stand: Stand,
}

impl<'a> Rules<'a> {
    /// The channel has just been opened.
    #[must_use]
    pub const fn new(scene: &'a Scene, law: Law) -> Self {
        Self { scene, law, stand: Stand::Open }
    }

    /// Judges a step; if nothing is wrong with it, it has happened.
    pub fn step(&mut self, step: &Step) -> Ruling {
        match step.act {
            Act::Register { paper, by, delegate } => self.register(step.at, paper, (by, delegate)),
            Act::Conclude { paper, end } => self.conclude(step.at, paper, end),
            Act::Close { paper } => self.close(step.at, paper),
        }
    }

    fn register(&mut self, at: u64, paper: usize, slot: (u8, bool)) -> Ruling {
        let Sheet { state, child, .. } = &self.scene.sheets[paper];
        if self.law.repeats
            && let Some(registered) = self.stand.registered()
            && self.is_same(paper, registered.paper)
        {
            return Ok(self.shows(registered));
        }
        let mut faults = self.state_faults(paper);
        let confirms = self.confirms(paper);
        if !self.is_signed(paper, confirms.then_some(slot.0)) {
            faults.insert(Fault::Signature);
        }
        let mut next = Registered { paper, until: at + self.scene.dispute.challenge, ..NOTHING };
        if child.is_some() {
            next.child_until = next.until;
        }
        match &self.stand {
            Stand::Open => {
                let first = self.law.stores_opening && state.version().get() == 0 && !confirms;
                let delegate = self.law.has_slots && slot.1;
                faults.extend(first.then_some(Fault::Version));
                faults.extend(delegate.then_some(Fault::Slot));
            }
            Stand::Registered(old) => {
                let is_newer = state.version() > self.scene.sheets[old.paper].state.version();
                let is_late = !self.law.takes_late_states && at >= old.until;
                faults.extend((!is_newer).then_some(Fault::Version));
                faults.extend(is_late.then_some(Fault::Late));
                faults.extend(old.slots.contains(&slot).then_some(Fault::Slot));
                next.slots.clone_from(&old.slots);
                if !self.law.window_restarts {
                    next.until = old.until;
                }
            }
            Stand::Over(_) => {
                faults.insert(Fault::Over);
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        if self.law.final_ends_window && state.is_final() {
            next.until = at;
        }
        if self.law.has_slots {
            next.slots.insert(slot);
        }
        let shown = self.shows(&next);
        self.stand = Stand::Registered(next);
        Ok(shown)
    }

    fn shows(&self, registered: &Registered) -> Outcome {
        let Sheet { state, hash, .. } = &self.scene.sheets[registered.paper];
        let (hash, version) = (*hash.first_chunk().expect("32 bytes"), state.version().get());
        Outcome::Registered { hash, version, until: registered.until }
    }

    fn conclude(&mut self, at: u64, paper: usize, end: End) -> Ruling {
        let Sheet { state, child, .. } = &self.scene.sheets[paper];
        let mut faults = BTreeSet::new();
        match &self.stand {
            Stand::Open => {
                faults.insert(Fault::NotRegistered);
            }
            Stand::Registered(known) => {
                let is_early = at < known.until.max(known.child_until);
                faults.extend(is_early.then_some(Fault::Early));
            }
            Stand::Over(_) => {
                faults.insert(Fault::Over);
            }
        }
        match self.stand.registered() {
            Some(known) if self.is_same(paper, known.paper) => {}
            // What is no state of the channel may be refused for that.
            _ => {
                faults.insert(Fault::WrongState);
                faults.extend(self.state_faults(paper));
            }
        }
        let preimage = match end {
            End::Claim => Some(self.scene.secret),
            End::Guess => Some([7; 32]),
            End::Lapse => None,
        };
        let is_here = |asset: &Asset| self.law.pays(asset);
        let swap = Swap::pending(state).ok().flatten();
        let expiry = swap.as_ref().and_then(|swap| swap.expiry(state.outcome(), is_here));
        let opens = |preimage| swap.as_ref().is_some_and(|swap| swap.opened_by(&preimage));
        faults.extend(match (expiry, preimage) {
            (None, Some(_)) => Some(Fault::NoSwap),
            (Some(expiry), None) if at < expiry => Some(Fault::Pending),
            (Some(_), Some(preimage)) if !opens(preimage) => Some(Fault::Preimage),
            _ => None,
        });
        if !faults.is_empty() {
            return Err(faults);
        }
        let outcome = match swap.filter(|_| preimage.is_some()) {
            Some(swap) => swap.applied(state.outcome(), is_here).expect("it fits"),
            None => state.outcome().clone(),
        };
        let below = child.as_ref().map(|child| child.state.outcome());
        let payouts = self.payouts(&outcome, below);
        self.stand = Stand::Over(self.stand.registered().cloned().unwrap_or(NOTHING));
        Ok(Outcome::Settled(payouts))
    }

    fn close(&mut self, at: u64, paper: usize) -> Ruling {
        let state = &self.scene.sheets[paper].state;
        let mut faults = self.state_faults(paper);
        if !state.is_final() {
            faults.insert(Fault::NotFinal);
        }
        if !self.is_signed(paper, None) {
            faults.insert(Fault::Signature);
        }
        match &self.stand {
            Stand::Over(_) => {
                faults.insert(Fault::Over);
            }
            _ if self.law.final_outranks => {}
            Stand::Open if state.version().get() == 0 => {
                faults.insert(Fault::Version);
            }
            Stand::Registered(known) => {
                let is_newer = state.version() > self.scene.sheets[known.paper].state.version();
                if !is_newer && !self.is_same(paper, known.paper) {
                    faults.insert(Fault::Version);
                }
            }
            Stand::Open => {}
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let payouts = self.payouts(state.outcome(), None);
        self.stand = Stand::Over(Registered { paper, until: at, ..NOTHING });
        Ok(Outcome::Settled(payouts))
    }

    /// What everybody gets of an outcome, and of a locked channel's, on this ledger.
    fn payouts(&self, outcome: &Allocation, below: Option<&Allocation>) -> Vec<Vec<u128>> {
        let rows = outcome.assets().iter().enumerate();
        let here = rows.filter(|(_, asset)| self.law.pays(asset));
        here.map(|(row, _)| {
            let opening = self.scene.opening(row);
            let owed = |index: usize| {
                let of = |outcome: &Allocation| outcome.balance(row, index).map_or(0, Amount::get);
                of(outcome) + below.map_or(0, of)
            };
            let owed: Vec<u128> = (0..opening.len()).map(owed).collect();
            let is_held = owed.iter().sum::<u128>() <= opening.iter().sum();
            if is_held { owed } else { opening.to_vec() }
        })
        .collect()
    }

    fn is_same(&self, one: usize, other: usize) -> bool {
        self.scene.sheets[one].hash == self.scene.sheets[other].hash
    }

    /// Whether the state is the one that the channel's cell stores from the beginning.
    fn confirms(&self, paper: usize) -> bool {
        let is_opening = self.is_same(paper, 0);
        self.law.stores_opening && self.stand == Stand::Open && is_opening
    }

    /// Whether everybody signed, or the only one who has to.
    fn is_signed(&self, paper: usize, only: Option<u8>) -> bool {
        let (params, state) = (self.scene.params(), &self.scene.sheets[paper].state);
        let all: Vec<usize> = (0..params.participants().len()).collect();
        let signers = only.map_or(all, |one| vec![usize::from(one)]);
        let bytes = self.scene.signatures(paper, &signers, |_, state| state.digest());
        let strict: Result<Vec<Signature>, _> =
            bytes.iter().map(|one| Signature::new(one)).collect();
        let Ok(strict) = strict else { return false };
        match (only, strict.as_slice()) {
            (Some(one), [signature]) => {
                let owner = params.participants()[usize::from(one)].address();
                signature.verify(&state.digest(), owner).is_ok()
            }
            (Some(_), _) => false,
            (None, _) => SignedState::new(params, state.clone(), strict).is_ok(),
        }
    }

    /// What is wrong with a state that is to be registered or closed with.
    fn state_faults(&self, paper: usize) -> BTreeSet<Fault> {
        let Sheet { state, child, .. } = &self.scene.sheets[paper];
        let mut faults = self.malformed(state);
        let is_settled = match child {
            None => true,
            Some(child) => self.law.settles_locked && child.is_shown,
        };
        if !is_settled {
            faults.insert(Fault::Locked);
        }
        if state.version().get().checked_shr(self.law.version_bits).unwrap_or(0) != 0 {
            faults.insert(Fault::Version);
        }
        faults
    }

    /// What is wrong with the state alone.
    fn malformed(&self, state: &State) -> BTreeSet<Fault> {
        let mut faults = BTreeSet::new();
        let rows = self.scene.channel.setup.rows();
        if transition::check_state(self.scene.params(), state).is_err() {
            faults.insert(Fault::State);
            // Where totals are the channel's, a state of another shape has no spelling at all.
            if self.law.knows_totals {
                faults.extend([Fault::Signature, Fault::Locked]);
            }
        }
        let totals = state.outcome().totals();
        let fits = totals.is_ok_and(|totals| totals.iter().eq(rows.iter().map(|row| &row.total)));
        if self.law.knows_totals && !fits {
            faults.insert(Fault::State);
        }
        let here = state.outcome().assets().iter().filter(|asset| self.law.pays(asset));
        let holders: Vec<_> = here.map(|asset| (asset.chain(), asset.holder())).collect();
        let distinct: BTreeSet<_> = holders.iter().collect();
        if self.law.ignores_kinds && distinct.len() < holders.len() {
            faults.insert(Fault::State);
        }
        faults
    }
}
