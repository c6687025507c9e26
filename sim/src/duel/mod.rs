//! K1: a ledger channel of two, one honest, against everything the other could do.
//!
//! The honest party is the machine of `perun-protocol` itself, the ledger is the real verdict, and
//! the [`Ideal`] channel says what must not happen. The adversary holds the other key, makes every
//! message that it can build, orders and delays transactions as far as the ledger's promise lets
//! it, and keeps the honest party away for up to `R`. Aims: P-M2, P-A2, P-A3, P-A4, P-L1, P-L2.

mod attack;
pub mod opened;
mod world;

use core::fmt;
use std::collections::BTreeSet;
use std::sync::Arc;

use perun_channel::{Address, Amount, Signature, State};
use perun_protocol::{
    Agreed, Body, Command, Config, Crypto, Digest, Draft, Effect, Event, Index, Input, LedgerTime,
    Memo, Payment, PhaseName, Sighting, Slot, Standing, Time,
};
use stateright::{Model, Property};

use crate::court::{Act, Court, LedgerCell, Outline, Stage};
use crate::ideal::{Breach, Ideal};
use crate::scene::{LEDGER, Scene, TICK_SECS};
use crate::symbol::{self, Symbols};
pub use world::{Pending, Turn, World};

/// From a block to the honest party's knowledge of it.
const SEE: u8 = 1;
/// How often the corrupted participant can stand in the way.
const SLOTS: u8 = 2;

/// The bounds of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Which participant is honest.
    pub honest: Index,
    /// `Δ_in`, in ticks.
    pub inclusion: u8,
    /// `R`, in ticks.
    pub reaction: u8,
    /// How many ticks the challenge is shorter than the timing condition demands.
    pub short: u8,
    /// The highest version that is proposed.
    pub versions: u8,
    /// How many payments of one unit the honest user makes.
    pub payments: u8,
    /// Whether the honest user may ask to close.
    pub closes: bool,
    /// The last tick in which updates are talked about; then the honest user leaves.
    pub talk: u8,
    /// Whether the honest party's watchtower helps the adversary.
    pub tower: bool,
    /// The planted bug.
    pub flaw: Flaw,
}

/// A bug planted beside the machine, to see whether the checker would find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// None.
    None,
    /// Every signature counts.
    BelievesSignatures,
    /// The ledger pays without waiting.
    NoTimer,
    /// The host registers version 0 whatever the machine says.
    RegistersFirst,
}

impl Bounds {
    /// The smallest life with a dispute in it.
    #[must_use]
    pub const fn small(honest: Index) -> Self {
        Self {
            honest,
            inclusion: 1,
            reaction: 0,
            short: 0,
            versions: 2,
            payments: 1,
            closes: true,
            talk: 1,
            tower: false,
            flaw: Flaw::None,
        }
    }

    const fn challenge(&self) -> u8 {
        SEE + self.reaction + self.inclusion + 1 - self.short
    }

    /// `B_close` of K9, for as many states ahead as the honest party really signed.
    fn close(&self, ahead: usize) -> u8 {
        let slots = SLOTS + u8::from(self.tower);
        let ending = self.challenge() + self.reaction + self.inclusion;
        let retry = SEE + self.reaction + self.inclusion;
        let restarting = |restarts: u8| {
            let hindrances = if restarts == SLOTS { 0 } else { slots - restarts };
            self.inclusion + hindrances * retry + (1 + restarts) * ending
        };
        let most = u8::try_from(ahead).unwrap_or(SLOTS).min(SLOTS);
        (0..=most).map(restarting).max().unwrap_or(0)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inclusion, reaction, versions, payments, talk, .. } = self;
        write!(f, "P{} v≤{versions} pay={payments} talk={talk}", self.honest.number())?;
        write!(f, " in={inclusion} R={reaction} T={}", self.challenge())?;
        f.write_str(if self.tower { " tower" } else { "" })
    }
}

/// The model.
#[derive(Clone, Debug)]
pub struct Duel {
    /// Its bounds.
    pub bounds: Bounds,
    court: Arc<Court>,
}

/// One move.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// The honest party does nothing this tick.
    Sleep,
    /// The honest party looks at the ledger and the clock.
    Wake,
    /// The honest user or the connection says something to the machine.
    Own(Input),
    /// The adversary says something to the machine.
    Say(Body<Signature>),
    /// Enough was said.
    Hush,
    /// The block takes the honest transaction at this place in the pool.
    IncludeHonest(usize),
    /// The block takes a transaction of the adversary.
    Include(Act),
    /// The block is complete.
    Seal,
}

/// A verifier that believes everything, for the planted bug.
struct Gullible;

impl Crypto for Gullible {
    fn digest(&self, state: &State) -> Digest {
        Symbols.digest(state)
    }

    fn verify(
        &self,
        _: &Digest,
        _: &Signature,
        _: &Address,
    ) -> Result<(), perun_channel::sig::SignatureRefusal> {
        Ok(())
    }
}

impl Duel {
    /// The model within these bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let total = Self::initial().balances.iter().sum();
        let scene = Scene::new(total, bounds.challenge().into());
        Self { bounds, court: Arc::new(Court::new(scene)) }
    }

    const fn initial() -> Outline {
        Outline { version: 0, balances: [2, 1], is_final: false }
    }

    const fn me(&self) -> usize {
        self.bounds.honest.column()
    }

    const fn config(&self) -> Config {
        Config {
            answer_secs: TICK_SECS,
            user_secs: TICK_SECS,
            commit_secs: TICK_SECS * (self.bounds.inclusion as u64 + 1),
            fund_secs: TICK_SECS,
            patience_secs: TICK_SECS,
            challenge_secs_min: TICK_SECS,
            challenge_secs_max: TICK_SECS * 100,
            accept_close: true,
            on_silence: perun_protocol::OnSilence::Dispute,
            swaps: perun_protocol::SwapConfig::OFF,
            dialect: perun_protocol::Dialect::Perun,
        }
    }

    fn address(&self, who: usize) -> Address {
        *self.court.scene.params().participants()[who].address()
    }

    /// The honest party takes an input: the machine decides, and its effects leave.
    fn drive(&self, world: &mut World, input: Input) {
        let now = Time::new(u64::from(world.tick) * TICK_SECS);
        let crypto: &dyn Crypto = match self.bounds.flaw {
            Flaw::BelievesSignatures => &Gullible,
            _ => &Symbols,
        };
        let Ok(step) = world.machine.step_with(crypto, now, input) else { return };
        step.records.iter().for_each(|record| world.machine.apply(record));
        let phase = world.machine.phase();
        for effect in step.effects {
            if let Err(breach) = self.release(world, effect) {
                world.breach.get_or_insert(breach);
            }
        }
        let held = world.machine.agreed().map(|agreed| Outline::of(&agreed.state));
        if let Some(held) = held.filter(|held| world.ideal.last(self.me()) != Some(*held)) {
            if let Err(breach) = world.ideal.holds(self.me(), held) {
                world.breach.get_or_insert(breach);
            }
            if self.bounds.tower {
                world.carried.insert((self.bounds.honest.number() * 2 + 1, held));
            }
        }
        if phase >= PhaseName::Closing && phase < PhaseName::Over {
            let bound = self.bounds.close(world.ideal.ahead(self.me()));
            world.ideal.leaves(self.me(), world.tick.into(), bound.into());
        }
    }

    fn release(&self, world: &mut World, effect: Effect) -> Result<(), Breach> {
        match effect {
            Effect::Send(draft) => {
                if let Some(digest) = signed(&draft) {
                    let state = symbol::outline(&digest);
                    world.shown.insert(state);
                    world.ideal.signs(self.me(), state)?;
                }
            }
            Effect::Register { agreed, slot, .. } => {
                let agreed = match self.bounds.flaw {
                    Flaw::RegistersFirst => {
                        Agreed::initial(Self::initial().state(&self.court.scene))
                    }
                    _ => agreed,
                };
                let state = Outline::of(&agreed.state);
                let slot = slot_number(&slot);
                world.carried.insert((slot, state));
                self.submit(world, Act::Register { slot, state }, Some(&agreed));
            }
            Effect::SubmitClose { agreed, .. } => {
                let state = Outline::of(&agreed.state);
                self.submit(world, Act::Close { state }, Some(&agreed));
            }
            Effect::Conclude { .. } => {
                self.submit(world, Act::Conclude { waited_secs: 0 }, None);
            }
            Effect::Notify(Event::Settled { outcomes, .. }) => {
                for outcome in outcomes {
                    world.ideal.tells(self.me(), Outline::of(&outcome.state))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The backend makes a transaction on the cell that it knows, unless nothing is to be done.
    fn submit(&self, world: &mut World, act: Act, agreed: Option<&Agreed>) {
        // Without the peer's true signature no ledger takes it.
        let proven = agreed.is_none_or(|agreed| {
            let peer = self.address(self.bounds.honest.other().column());
            agreed
                .proof
                .as_ref()
                .is_none_or(|proof| Symbols.verify(&proof.digest, &proof.signature, &peer).is_ok())
        });
        let sent = world.tick;
        let known = |other: &Pending| other.spends == world.cell && other.act == act;
        if world.cell.stage != Stage::Paid && proven && !world.pool.iter().any(known) {
            world.pool.push(Pending { spends: world.cell, act, sent });
            world.pool.sort_unstable();
        }
    }

    /// The honest party wakes: the ledger as it stands, its clock, our clock.
    fn wake(&self, world: &mut World) {
        world.seen = (world.cell, world.made);
        let (channel, scene) = (self.court.scene.params().id(), &self.court.scene);
        let state = world.cell.state.state(scene);
        let standing = match world.cell.stage {
            Stage::Open => Standing::Open,
            Stage::Disputed => {
                let until = world.made + self.bounds.challenge();
                let until = LedgerTime::new(u64::from(until) * TICK_SECS);
                Standing::Registered { by: self.last_slot(world), state, until, proof: None }
            }
            Stage::Paid => Standing::Concluded { state, unpaid: 0, preimage: None },
        };
        let (ledger, confirmed) = (LEDGER, true);
        self.drive(world, Input::Ledger(Sighting { ledger, channel, standing, confirmed }));
        let now = LedgerTime::new(u64::from(world.tick) * TICK_SECS);
        self.drive(world, Input::LedgerClock { ledger, now });
        self.drive(world, Input::Tick);
        // A frozen machine leaves it to its user, too.
        let undecided = world.machine.phase() <= PhaseName::Frozen;
        if undecided && world.tick > self.bounds.talk {
            self.drive(world, Input::Command(Command::Dispute));
        }
    }

    /// Whose right brought the registered state. The machine asks only whether it was its own.
    fn last_slot(&self, world: &World) -> Slot {
        let own = self.bounds.honest.number() * 2;
        let is_own = world.cell.marks & (1 << own) != 0;
        let participant = if is_own { self.bounds.honest } else { self.bounds.honest.other() };
        Slot { participant, delegate: false }
    }

    /// What the act is in a block at the current height.
    fn timed(&self, world: &World, act: Act) -> Act {
        match act {
            Act::Conclude { .. } if self.bounds.flaw == Flaw::NoTimer => {
                Act::Conclude { waited_secs: u64::from(self.bounds.challenge()) * TICK_SECS }
            }
            Act::Conclude { .. } => {
                let waited = (world.tick - world.made).min(self.bounds.challenge());
                Act::Conclude { waited_secs: u64::from(waited) * TICK_SECS }
            }
            act => act,
        }
    }

    fn is_valid(&self, world: &World, pending: &Pending) -> bool {
        let act = self.timed(world, pending.act);
        pending.spends == world.cell && self.court.allows(&world.cell, &act)
    }

    fn include(&self, world: &mut World, act: Act) -> Option<()> {
        let act = self.timed(world, act);
        world.cell = self.court.after(&world.cell, &act)?;
        world.made = world.tick;
        let told = match act {
            Act::Register { state, .. } => world.ideal.registers(state),
            Act::Conclude { .. } | Act::Close { .. } => world.ideal.pays(world.cell.state),
        };
        if let Err(breach) = told {
            world.breach.get_or_insert(breach);
        }
        Some(())
    }

    fn seal(&self, world: &mut World) -> Option<()> {
        let overdue = |pending: &Pending| {
            pending.sent + self.bounds.inclusion <= world.tick && self.is_valid(world, pending)
        };
        if world.pool.iter().any(overdue) {
            return None;
        }
        let cell = world.cell;
        world.pool.retain(|pending| pending.spends == cell);
        world.tick += 1;
        world.turn = Turn::Honest;
        if let Err(breach) = world.ideal.passes(world.tick.into()) {
            world.breach.get_or_insert(breach);
        }
        // More waiting than the challenge makes no difference.
        world.made = world.made.max(world.tick.saturating_sub(self.bounds.challenge()));
        Some(())
    }

    /// What the honest user may want now.
    fn wishes(&self, world: &World) -> Vec<Input> {
        let mut wishes = vec![Input::Connected];
        if world.machine.phase() >= PhaseName::Frozen {
            return wishes;
        }
        if world.wants > 0
            && let Some(id) = world.machine.next_payment()
        {
            let (amount, memo) = (Amount::new(1), Memo::default());
            let payment = Payment { id, asset: 0, amount, memo };
            wishes.push(Input::Command(Command::Pay(payment)));
        }
        if self.bounds.closes {
            wishes.push(Input::Command(Command::Close));
        }
        wishes.push(Input::Command(Command::Dispute));
        wishes
    }

    fn is_over(world: &World) -> bool {
        let told = world.machine.phase() == PhaseName::Settled;
        world.breach.is_some() || (world.cell.stage == Stage::Paid && told)
    }

    fn play(&self, world: &mut World, action: Move) -> Option<()> {
        match action {
            Move::Sleep => {
                world.asleep += 1;
                world.turn = Turn::Ledger;
            }
            Move::Wake => {
                world.asleep = 0;
                self.wake(world);
                let living = world.machine.phase() < PhaseName::Frozen;
                world.turn = if living { Turn::Talk } else { Turn::Ledger };
            }
            Move::Own(input) => {
                world.wants -= u8::from(matches!(input, Input::Command(Command::Pay(_))));
                self.drive(world, input);
            }
            Move::Say(body) => self.drive(world, opened::message(body)),
            Move::Hush => world.turn = Turn::Ledger,
            Move::IncludeHonest(place) => {
                let pending = *world.pool.get(place)?;
                if !self.is_valid(world, &pending) {
                    return None;
                }
                self.include(world, pending.act)?;
            }
            Move::Include(act) => self.include(world, act)?,
            Move::Seal => self.seal(world)?,
        }
        Some(())
    }
}

/// The digest of a state that the draft carries a signature on.
fn signed(draft: &Draft) -> Option<Digest> {
    match &draft.body {
        Body::Update { signature, .. } | Body::Ack { signature, .. } => Some(*signature),
        Body::Sync { proof: Some(proof), .. } => Some(proof.mine),
        _ => None,
    }
}

const fn slot_number(slot: &Slot) -> u8 {
    slot.participant.number() * 2 + slot.delegate as u8
}

impl Model for Duel {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        let initial = Self::initial();
        let scene = &self.court.scene;
        let mut honest = [false; 2];
        honest[self.me()] = true;
        vec![World {
            tick: 1,
            turn: Turn::Honest,
            machine: opened::opened(scene, &initial, self.bounds.honest, self.config()),
            ideal: Ideal::new(initial, honest),
            cell: LedgerCell { stage: Stage::Open, marks: 0, state: initial },
            made: 0,
            seen: (LedgerCell { stage: Stage::Open, marks: 0, state: initial }, 0),
            pool: Vec::new(),
            shown: BTreeSet::new(),
            carried: BTreeSet::new(),
            asleep: 0,
            wants: self.bounds.payments,
            breach: None,
        }]
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        if Self::is_over(world) {
            return;
        }
        match world.turn {
            Turn::Honest => {
                if world.asleep < self.bounds.reaction {
                    moves.push(Move::Sleep);
                }
                moves.push(Move::Wake);
            }
            Turn::Talk => {
                moves.push(Move::Hush);
                moves.extend(self.wishes(world).into_iter().map(Move::Own));
                moves.extend(self.sayings(world).into_iter().map(Move::Say));
            }
            Turn::Ledger => {
                moves.push(Move::Seal);
                moves.extend((0..world.pool.len()).map(Move::IncludeHonest));
                moves.extend(self.transactions(world).into_iter().map(Move::Include));
            }
        }
    }

    fn next_state(&self, world: &World, action: Move) -> Option<World> {
        let mut next = world.clone();
        self.play(&mut next, action)?;
        (next != *world).then_some(next)
    }

    fn within_boundary(&self, world: &World) -> bool {
        let newest = world.shown.iter().map(|state| state.version).max();
        newest.is_none_or(|version| version <= self.bounds.versions.into())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = promises();
        all.extend(witnesses());
        all
    }
}

/// The promises, each a breach that must not occur.
fn promises() -> Vec<Property<Duel>> {
    vec![
        Property::always("A2 only signed states count", |_: &Duel, world: &World| {
            world.breach != Some(Breach::Unsigned)
        }),
        Property::always("A3 no equivocation", |_: &Duel, world: &World| {
            world.breach != Some(Breach::Equivocation)
        }),
        Property::always("A4 versions never fall", |_: &Duel, world: &World| {
            !matches!(world.breach, Some(Breach::VersionFell | Breach::RegisteredFell))
        }),
        Property::always("A5 one outcome", |_: &Duel, world: &World| {
            world.breach != Some(Breach::OtherOutcome)
        }),
        Property::always("M1 sums are conserved", |_: &Duel, world: &World| {
            !matches!(world.breach, Some(Breach::Conservation | Breach::PaidTwice))
        }),
        Property::always("M2 paid at least the floor", |_: &Duel, world: &World| {
            world.breach != Some(Breach::BelowFloor)
        }),
        Property::always("L1 paid within the bound", |_: &Duel, world: &World| {
            world.breach != Some(Breach::Late)
        }),
    ]
}

/// What must be seen to happen, lest a promise be kept by doing nothing.
fn witnesses() -> Vec<Property<Duel>> {
    vec![
        Property::sometimes("paid an update of ours", |model: &Duel, world: &World| {
            let mine = model.me();
            let paid = world.cell.state;
            let less = paid.balances[mine] < Duel::initial().balances[mine];
            Duel::is_over(world) && less && world.ideal.last(mine) == Some(paid)
        }),
        Property::sometimes("paid an update of the peer", |model: &Duel, world: &World| {
            let mine = model.me();
            let paid = world.cell.state;
            Duel::is_over(world) && paid.balances[mine] > Duel::initial().balances[mine]
        }),
        Property::sometimes("paid a state ahead", |model: &Duel, world: &World| {
            let last = world.ideal.last(model.me()).map_or(0, |last| last.version);
            Duel::is_over(world) && world.cell.state.version > last
        }),
        Property::sometimes("closed with a final state", |_: &Duel, world: &World| {
            Duel::is_over(world) && world.cell.state.is_final && world.cell.marks == 0
        }),
        Property::sometimes("refuted a stale state", |model: &Duel, world: &World| {
            let own = 1 << (model.bounds.honest.number() * 2);
            world.cell.marks & own != 0 && world.cell.marks & !own != 0
        }),
        Property::sometimes("the bound is attained", |model: &Duel, world: &World| {
            let next = u64::from(world.tick) + 1;
            let waits = world.turn == Turn::Honest && world.cell.stage != Stage::Paid;
            waits && world.ideal.ahead(model.me()) > 0 && world.ideal.passes(next).is_err()
        }),
    ]
}
