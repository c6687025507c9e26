//! K9: the dispute cell of a CKB channel under contention.
//!
//! Every transaction on a channel spends its one cell, so any registration that commits first makes
//! a pending one worthless. Here one honest party wants its newest state registered and paid,
//! against a rushing adversary who holds the other key (and, if asked, the honest party's
//! watchtower), has kept many old fully signed states, orders the blocks, delays honest
//! transactions as long as the ledger's promise lets him, and reorganises. The rules are the real
//! verdict (see [`ruling`]). The invariants are P-L3, P-A4, P-L1, P-M2; liveness is checked as
//! safety: "by that tick it is paid".

pub mod ruling;
mod world;

use core::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use stateright::{Model, Property};

use self::ruling::{Act, DisputeCell, Flaw, Ruling, Stage};
pub use self::world::{Block, Pending, Purpose, Turn, World};

/// From a block to the honest party's knowledge of it. The model has this one built in.
const SEE: u8 = 1;
/// The slots of the corrupted participant, of the honest one, and of the honest one's watchtower.
const CORRUPTED: [u8; 2] = [0, 1];
const OWN: u8 = 2;
const TOWER: u8 = 3;

/// The bounds of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// How many old states the adversary kept, besides version 0 and the newest complete one.
    pub old: u8,
    /// `Δ_in`: from sending to an inclusion that no reorganisation undoes, in ticks.
    pub inclusion: u8,
    /// `R`: how long the honest party may do nothing.
    pub reaction: u8,
    /// `r`: how many blocks a reorganisation may replace; at most `inclusion`.
    pub reorg: u8,
    /// How many ticks the challenge is shorter than the timing condition demands.
    pub short: u8,
    /// `q`: how many states the honest party signed beyond its last complete one. More than one,
    /// if the peer refused some: it keeps the signatures.
    pub ahead: u8,
    /// Whether the honest party's watchtower helps the adversary.
    pub tower: bool,
    /// The last tick at which the honest party decides to leave.
    pub decide_by: u8,
    /// The planted bug.
    pub flaw: Flaw,
}

impl Bounds {
    /// Small bounds, with everything else as the promise has it.
    #[must_use]
    pub const fn small() -> Self {
        Self {
            old: 3,
            inclusion: 2,
            reaction: 1,
            reorg: 0,
            short: 0,
            ahead: 0,
            tower: false,
            decide_by: 2,
            flaw: Flaw::None,
        }
    }

    /// The timing condition: the smallest safe challenge.
    #[must_use]
    pub const fn challenge(&self) -> u8 {
        self.retry() + 1 - self.short
    }

    /// From the block that hinders an honest transaction to the one that has the next attempt.
    const fn retry(&self) -> u8 {
        SEE + self.reaction + self.inclusion
    }

    /// `k`: how often the adversary can stand in the way.
    #[must_use]
    pub const fn slots(&self) -> u8 {
        if self.tower { 3 } else { 2 }
    }

    /// How long a block maker may leave out an honest transaction.
    const fn delay(&self) -> u8 {
        self.inclusion - self.reorg
    }

    /// `B_close`, from the decision to the block that pays: the first registration; one more try
    /// for each hindrance; then wait, react, conclude. A state ahead makes a hindrance worth more:
    /// it spoils the conclusion and begins another challenge. No watchtower ever holds a state
    /// ahead, and none can begin the dispute: if both slots of the corrupted are kept for such, it
    /// comes too late.
    #[must_use]
    pub fn close(&self) -> u8 {
        let ending = self.challenge() + self.reaction + self.delay();
        let restarting = |restarts: u8| {
            let hindrances = if restarts == 2 { 0 } else { self.slots() - restarts };
            self.delay() + hindrances * self.retry() + (1 + restarts) * ending
        };
        (0..=self.ahead.min(2)).map(restarting).max().unwrap_or(0)
    }

    const fn last(&self) -> u8 {
        self.old + 1
    }

    /// Balances by version. The honest party is participant 1: poor in old states, rich in the
    /// newest, and it was about to pay one unit.
    fn balances(&self) -> Vec<[u64; 2]> {
        let old = (0..=self.old).map(|version| u64::from(version % 2));
        let mut honest: Vec<u64> = old.chain([3]).collect();
        honest.extend((0..self.ahead).map(|_| 2));
        honest.into_iter().map(|amount| [3 - amount, amount]).collect()
    }

    const fn floor(&self) -> u64 {
        if self.ahead > 0 { 2 } else { 3 }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { old, ahead, inclusion, reaction, reorg, .. } = self;
        let challenge = self.challenge();
        write!(f, "old={old} q={ahead} in={inclusion} R={reaction} r={reorg} T={challenge}")?;
        write!(f, " k={} B={}", self.slots(), self.close())?;
        f.write_str(if self.tower { " tower" } else { "" })
    }
}

/// The largest numbers met in a run; they guide nothing.
#[derive(Debug, Default)]
pub struct Measured {
    /// The most hindrances on one chain.
    pub hindered: AtomicU8,
    /// The longest time from decision to payment.
    pub close: AtomicU8,
}

/// The model.
#[derive(Clone, Debug)]
pub struct Contention {
    /// Its bounds.
    pub bounds: Bounds,
    /// What it met.
    pub measured: Arc<Measured>,
    ruling: Arc<Ruling>,
    balances: Vec<[u64; 2]>,
}

/// One move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// The honest party does nothing this tick.
    Sleep,
    /// The honest party looks and acts.
    Wake {
        /// Whether it decides to leave now.
        leave: bool,
    },
    /// The adversary undoes this many blocks.
    Reorg(u8),
    /// The block takes the honest transaction at this place in the pool.
    IncludeHonest(usize),
    /// The block takes a transaction of the adversary.
    Include(Act),
    /// The block is complete.
    Seal,
}

impl Contention {
    /// The model within these bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let balances = bounds.balances();
        let ruling = Arc::new(Ruling::new(&balances, bounds.challenge(), bounds.flaw));
        Self { bounds, measured: Arc::default(), ruling, balances }
    }

    const fn forks(&self) -> bool {
        self.bounds.reorg > 0
    }

    /// The honest policy: register the newest state on every cell that holds an older one, conclude
    /// when the time is over, and go by every block that may still become the last one. What
    /// somebody else did in the newest blocks counts for nothing until no reorganisation can undo
    /// it: he could show us what we want to see, and take it back, until the time is over.
    fn react(&self, world: &mut World) {
        let seen = if self.bounds.flaw == Flaw::TrustsTip { world.blocks.len() - 1 } else { 0 };
        for block in world.blocks.clone().into_iter().skip(seen) {
            let purpose = match block.cell.stage {
                Stage::Open if world.leaving.is_some() => Purpose::Register,
                Stage::Disputed if block.cell.version < self.registers() => Purpose::Register,
                Stage::Disputed if world.tick >= block.made + self.bounds.challenge() => {
                    Purpose::Conclude
                }
                _ => continue,
            };
            let pending = Pending { spends: block.name, purpose, sent: world.tick };
            let known = |other: &Pending| other.spends == block.name && other.purpose == purpose;
            if !world.pool.iter().any(known) {
                world.pool.push(pending);
                world.revealed |= purpose == Purpose::Register;
            }
        }
        world.pool.sort_unstable();
    }

    /// The version that the honest party registers: its newest complete one.
    const fn registers(&self) -> u8 {
        match self.bounds.flaw {
            Flaw::StaleRefute => self.bounds.old,
            _ => self.bounds.last(),
        }
    }

    /// What an honest transaction does to the cell of `draft` at this height, if it is valid there.
    fn honest_act(
        &self,
        pending: &Pending,
        draft: &Block,
        height: u8,
    ) -> Option<(Act, DisputeCell)> {
        if draft.name != pending.spends {
            return None;
        }
        let act = match pending.purpose {
            Purpose::Register => Act::Register { slot: OWN, version: self.registers() },
            Purpose::Conclude => Act::Conclude { waited: self.waited(draft, height) },
        };
        Some((act, self.ruling.rule(draft.cell, act)?))
    }

    /// How long the cell has lain there; more than the challenge makes no difference.
    const fn waited(&self, draft: &Block, height: u8) -> u8 {
        let waited = height - draft.made;
        let enough = self.bounds.challenge();
        if waited < enough { waited } else { enough }
    }

    /// Whether leaving the block as it is would break the ledger's promise to an honest
    /// transaction.
    fn overdue(&self, world: &World, draft: &Block) -> bool {
        let height = world.height + 1;
        world.pool.iter().any(|pending| {
            pending.sent + self.bounds.delay() <= height
                && self.honest_act(pending, draft, height).is_some()
        })
    }

    /// Every transaction that the adversary can build.
    fn adversary_acts(&self, world: &World, draft: &Block) -> Vec<Act> {
        let register = |slot, version| Act::Register { slot, version };
        let newest = self.bounds.last() + self.bounds.ahead;
        let mut acts: Vec<Act> = CORRUPTED
            .iter()
            .flat_map(|slot| (0..=newest).map(move |version| register(*slot, version)))
            .collect();
        if self.bounds.tower {
            acts.extend((1..=self.bounds.last()).map(|version| register(TOWER, version)));
        }
        if world.revealed {
            acts.push(register(OWN, self.registers()));
        }
        acts.push(Act::Conclude { waited: self.waited(draft, world.height + 1) });
        acts
    }

    fn apply(
        &self,
        world: &World,
        draft: &Block,
        act: Act,
        next: DisputeCell,
        honest: bool,
    ) -> Block {
        let Act::Register { slot, .. } = act else { return Block { cell: next, ..draft.clone() } };
        let waiting = world.pool.iter().any(|pending| pending.spends == draft.name);
        let hinders = waiting && !honest && next.version != self.bounds.last();
        let hindered = draft.hindered + u8::from(hinders);
        self.measured.hindered.fetch_max(hindered, Ordering::Relaxed);
        let name = draft.name_after(self.forks(), slot, next);
        Block { cell: next, made: world.height + 1, name, hindered }
    }

    fn seal(&self, world: &mut World, draft: Block) {
        let paid = |block: &Block| block.cell.stage == Stage::Paid;
        let first_paid = paid(&draft) && world.blocks.last().is_some_and(|block| !paid(block));
        world.blocks.push(draft);
        world.height += 1;
        let reach = usize::from(self.bounds.reorg) + 1;
        if world.blocks.len() > reach {
            world.blocks.remove(0);
        }
        self.forget(world);
        if let (true, Some(leaving)) = (first_paid, world.leaving) {
            let took = world.height.saturating_sub(leaving);
            self.measured.close.fetch_max(took, Ordering::Relaxed);
        }
        if world.height == world.tick {
            world.tick += 1;
            world.turn = Turn::Honest;
        } else {
            let draft = world.blocks[world.blocks.len() - 1].clone();
            world.turn = Turn::Ledger { may_reorg: false, draft };
        }
    }

    /// Drops what no future block can depend on, so that worlds with one future are one world.
    fn forget(&self, world: &mut World) {
        let settled = world.blocks[0].clone();
        let settled_height = world.height + 1 - world.blocks.len() as u8;
        let forks = self.forks();
        world.pool.retain(|pending| settled.leads_to(forks, pending.spends));
        // In any block that can still be made these are overdue, whenever they were sent.
        let overdue = (settled_height + 1).saturating_sub(self.bounds.delay());
        world.pool.iter_mut().for_each(|pending| pending.sent = pending.sent.max(overdue));
        world.pool.sort_unstable();
        let waited = (settled_height + 1).saturating_sub(self.bounds.challenge());
        world.blocks.iter_mut().for_each(|block| block.made = block.made.max(waited));
    }

    fn play(&self, world: &mut World, action: Move) -> Option<()> {
        match (world.turn.clone(), action) {
            (Turn::Honest, Move::Sleep) => {
                world.asleep += 1;
                world.turn = Turn::Ledger { may_reorg: true, draft: world.blocks.last()?.clone() };
            }
            (Turn::Honest, Move::Wake { leave }) => {
                world.asleep = 0;
                let disputed = world.blocks.last()?.cell.stage == Stage::Disputed;
                if leave || disputed {
                    world.leaving = world.leaving.or(Some(world.tick));
                }
                self.react(world);
                world.turn = Turn::Ledger { may_reorg: true, draft: world.blocks.last()?.clone() };
            }
            (Turn::Ledger { .. }, Move::Reorg(depth)) => {
                let keep = world.blocks.len() - usize::from(depth);
                world.blocks.truncate(keep);
                world.height -= depth;
                let draft = world.blocks.last()?.clone();
                world.turn = Turn::Ledger { may_reorg: false, draft };
            }
            (Turn::Ledger { draft, .. }, Move::IncludeHonest(place)) => {
                let pending = world.pool.get(place)?;
                let (act, next) = self.honest_act(pending, &draft, world.height + 1)?;
                let draft = self.apply(world, &draft, act, next, true);
                world.turn = Turn::Ledger { may_reorg: false, draft };
            }
            (Turn::Ledger { draft, .. }, Move::Include(act)) => {
                let next = self.ruling.rule(draft.cell, act)?;
                let draft = self.apply(world, &draft, act, next, false);
                world.turn = Turn::Ledger { may_reorg: false, draft };
            }
            (Turn::Ledger { draft, .. }, Move::Seal) => {
                if self.overdue(world, &draft) {
                    return None;
                }
                self.seal(world, draft);
            }
            (Turn::Honest, _) | (Turn::Ledger { .. }, Move::Sleep | Move::Wake { .. }) => {
                return None;
            }
        }
        Some(())
    }

    /// The chain as far as it is decided, with the block that is being made.
    fn chain(world: &World) -> impl Iterator<Item = &Block> {
        let draft = match &world.turn {
            Turn::Honest => None,
            Turn::Ledger { draft, .. } => Some(draft),
        };
        world.blocks.iter().chain(draft)
    }

    fn tip_paid(world: &World) -> bool {
        world.blocks.last().is_some_and(|block| block.cell.stage == Stage::Paid)
    }

    /// Whether this many ticks have passed since the honest party decided.
    fn late(world: &World, ticks: u8) -> bool {
        let complete = world.turn == Turn::Honest;
        complete && world.leaving.is_some_and(|decided| world.height >= decided + ticks)
    }
}

impl Model for Contention {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        let open = Block { cell: DisputeCell::OPEN, made: 0, name: 1, hindered: 0 };
        vec![World {
            tick: 1,
            height: 0,
            blocks: vec![open],
            turn: Turn::Honest,
            pool: Vec::new(),
            asleep: 0,
            leaving: None,
            revealed: false,
        }]
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        if world.blocks[0].cell.stage == Stage::Paid {
            return;
        }
        match &world.turn {
            Turn::Honest => {
                if world.asleep < self.bounds.reaction {
                    moves.push(Move::Sleep);
                }
                if world.leaving.is_none() {
                    moves.push(Move::Wake { leave: true });
                }
                if world.leaving.is_some() || world.tick < self.bounds.decide_by {
                    moves.push(Move::Wake { leave: false });
                }
            }
            Turn::Ledger { may_reorg, draft } => {
                if *may_reorg {
                    let reach = world.blocks.len() - 1;
                    moves.extend((1..=self.bounds.reorg.min(reach as u8)).map(Move::Reorg));
                }
                moves.extend((0..world.pool.len()).map(Move::IncludeHonest));
                moves.extend(self.adversary_acts(world, draft).into_iter().map(Move::Include));
                moves.push(Move::Seal);
            }
        }
    }

    fn next_state(&self, world: &World, action: Move) -> Option<World> {
        let mut next = world.clone();
        self.play(&mut next, action)?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("L3 hindered at most k times", |model: &Self, world: &World| {
                Self::chain(world).all(|block| block.hindered <= model.bounds.slots())
            }),
            Property::sometimes("L3 hindered k times", |model: &Self, world: &World| {
                Self::chain(world).any(|block| block.hindered == model.bounds.slots())
            }),
            Property::always("A4 versions never fall", |_: &Self, world: &World| {
                let chain: Vec<&Block> = Self::chain(world).collect();
                chain.windows(2).all(|pair| {
                    let (before, after) = (pair[0].cell, pair[1].cell);
                    let rises = (before.stage, before.version) <= (after.stage, after.version)
                        && before.version <= after.version;
                    rises && (before.stage != Stage::Paid || before == after)
                })
            }),
            Property::sometimes("A4 a version is superseded", |_: &Self, world: &World| {
                let chain: Vec<&Block> = Self::chain(world).collect();
                chain.windows(2).any(|pair| {
                    pair[0].cell.stage == Stage::Disputed
                        && pair[0].cell.version < pair[1].cell.version
                })
            }),
            Property::always("M2 paid at least the floor", |model: &Self, world: &World| {
                Self::chain(world).all(|block| {
                    let [_, honest] = model.balances[usize::from(block.cell.version)];
                    block.cell.stage != Stage::Paid || honest >= model.bounds.floor()
                })
            }),
            Property::sometimes("M2 paid the newest state", |model: &Self, world: &World| {
                Self::tip_paid(world)
                    && world.blocks[0].cell.version == model.bounds.last()
                    && world.blocks[0].cell.stage == Stage::Paid
            }),
            Property::always("L1 paid within the bound", |model: &Self, world: &World| {
                !Self::late(world, model.bounds.close()) || Self::tip_paid(world)
            }),
            Property::sometimes("L1 the bound is attained", |model: &Self, world: &World| {
                Self::late(world, model.bounds.close() - 1) && !Self::tip_paid(world)
            }),
        ]
    }

    fn within_boundary(&self, world: &World) -> bool {
        // Past the bound there is nothing to learn, and a planted bug could wedge for ever.
        !Self::late(world, self.horizon())
    }
}

impl Contention {
    /// One tick past the bound; with slots that are not used up, as far as every old state carries.
    fn horizon(&self) -> u8 {
        let retry = self.bounds.retry();
        let extra = match self.bounds.flaw {
            Flaw::NewerSuffices | Flaw::DelegateReuse => (self.bounds.old + 2) * retry,
            _ => 0,
        };
        self.bounds.close().saturating_add(1).saturating_add(extra)
    }
}
