//! K11: the hash-locked swap in a channel of two parties over two ledgers.
//!
//! P knows a preimage. On ledger X it receives from Q, on ledger Y it gives. The update is
//! `v → v½ → v+1`, where `v½` makes both legs wait for the preimage. The adversary is the other
//! party: it registers any state that the honest one signed, on either ledger, at any time, within
//! the rules of that ledger; says anything or nothing; sees honest transactions before their block
//! and goes first; and keeps them and the honest party waiting up to the bounds. Aims: P-X2 and
//! P-M2 over both ledgers, P-A3, P-L1, and that no deadline is longer than it must be.

pub mod aims;
pub mod law;
mod party;
pub mod terms;
pub mod world;

use stateright::{Model, Property};

use self::law::{Decision, Kind, decision, may_register};
use self::terms::{Bounds, Cast, Flaw};
use self::world::{Act, Ledger, Message, P, Paper, Party, Phase, Q, Stage, Turn, World, X, Y};

/// The model.
#[derive(Clone, Debug)]
pub struct Swap {
    /// Its bounds.
    pub bounds: Bounds,
    expiries: [u8; 2],
    go: u8,
    leave_by: u8,
}

/// One move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// The party does nothing this tick.
    Sleep,
    /// The party looks at the ledgers and the clock.
    Wake,
    /// The party decides to end the channel.
    Leave(usize),
    /// Honest P says something of its own accord.
    Say(Message),
    /// A message arrives.
    Deliver(Message),
    /// Enough was said.
    Hush,
    /// The block takes the transaction of this honest party.
    IncludeHonest(usize),
    /// The block takes a transaction of the cheater.
    Include(Act),
    /// The block takes a registration of this honest party out of the transaction that carried it.
    Carry(usize),
    /// The block is complete.
    Seal,
}

/// A reading of a ledger's clock: as far from the time as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Early,
    Late,
}

impl Swap {
    /// The model within these bounds.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let (expiries, go, leave_by) = (bounds.expiries(), bounds.go(), bounds.leave_by());
        Self { bounds, expiries, go, leave_by }
    }

    /// Whether the cheater can register this state: it has the honest signature.
    fn has(&self, world: &World, paper: Paper) -> bool {
        self.bounds.cast != Cast::Both
            && self.bounds.cast.parties().all(|who| world.parties[who].signed & paper.bit() != 0)
    }

    /// What a ledger's phase becomes by `act`, if its rules allow that at this reading of its
    /// clock.
    fn after(&self, world: &World, ledger: usize, act: Act, clock: Clock) -> Option<Phase> {
        let chain = &self.bounds.chains[ledger];
        let phase = world.ledgers[ledger].phase;
        let (now, shift) = match clock {
            Clock::Early => (i16::from(chain.early), i16::from(chain.skew())),
            Clock::Late => (-i16::from(chain.late), -i16::from(chain.skew())),
        };
        let now = i16::from(world.tick) + now;
        if act == Act::Spend {
            let (paper, how) = (Paper::Agreed, Decision::AsWritten);
            let settled = matches!(phase, Phase::Settled { .. });
            return (!settled).then_some(Phase::Settled { paper, how });
        }
        let Act::Register(paper) = act else {
            let Phase::Disputed { paper, waited } = phase else { return None };
            let expiry = i16::from(self.expiries[ledger]);
            let over = i16::from(waited) + shift >= i16::from(chain.window);
            let how = self.decide(paper, expiry, over, act == Act::Claim, now)?;
            return Some(Phase::Settled { paper, how });
        };
        let waited = match phase {
            Phase::Disputed { waited, .. } => waited,
            _ => 0,
        };
        let elapsed = i16::from(waited) + shift;
        let allowed = may_register(chain.kind, phase, paper, elapsed, chain.window.into());
        let waited = if chain.kind == Kind::Contract { waited } else { 0 };
        allowed.then_some(Phase::Disputed { paper, waited })
    }

    /// The rule of conclusion, or what the planted bug makes of it.
    fn decide(
        &self,
        paper: Paper,
        expiry: i16,
        over: bool,
        preimage: bool,
        now: i16,
    ) -> Option<Decision> {
        let half = paper == Paper::Half;
        let (expiry, over) = match self.bounds.flaw {
            Flaw::RefundsAtOnce => (0, over),
            Flaw::NeverRefunds => (i16::MAX, over),
            Flaw::ClaimsAtOnce if preimage => (expiry, half || over),
            Flaw::NeverClaims if preimage => return None,
            Flaw::ClaimsExpire if preimage && now >= expiry => return None,
            _ => (expiry, over),
        };
        decision(half.then_some(expiry), over, preimage, now)
    }

    /// What the block of this ledger may make of `act`, its clock being as the block's maker likes.
    fn may(&self, world: &World, ledger: usize, act: Act) -> Option<Phase> {
        let early = self.after(world, ledger, act, Clock::Early);
        early.or_else(|| self.after(world, ledger, act, Clock::Late))
    }

    /// Whether the block must take what this honest party sent: it waited long enough, and is valid
    /// whatever the clock says.
    fn overdue(&self, world: &World, ledger: usize) -> bool {
        let chain = &self.bounds.chains[ledger];
        let valid = |act, clock| self.after(world, ledger, act, clock).is_some();
        world.ledgers[ledger].pool.iter().flatten().any(|pending| {
            pending.age >= chain.inclusion
                && valid(pending.act, Clock::Early)
                && valid(pending.act, Clock::Late)
        })
    }

    fn include(&self, world: &mut World, ledger: usize, next: Phase) {
        let cell = &mut world.ledgers[ledger];
        cell.phase = next;
        if Self::spoils(self.bounds.chains[ledger].kind) {
            cell.pool = [None; 2];
        }
        if let Phase::Settled { .. } = next {
            cell.pool = [None; 2];
            cell.used = 0;
        }
    }

    /// Every transaction that the cheater can make for this block.
    fn crimes(&self, world: &World, ledger: usize) -> Vec<Act> {
        if self.bounds.cast == Cast::Both {
            return Vec::new();
        }
        let slots_left = match self.bounds.chains[ledger].kind {
            Kind::Contract => true,
            Kind::Cell => world.ledgers[ledger].used < self.bounds.slots,
        };
        let mut acts = Vec::new();
        if slots_left {
            let papers = Paper::ALL.into_iter().filter(|paper| self.has(world, *paper));
            acts.extend(papers.map(Act::Register));
        }
        acts.push(Act::Conclude);
        if self.bounds.cast == Cast::HonestQ || world.leaked {
            acts.push(Act::Claim);
        }
        let consented = self.bounds.flaw == Flaw::Consents
            && ledger == Y
            && world.parties[Q].stage == Stage::Pending;
        acts.extend(consented.then_some(Act::Spend));
        acts
    }

    /// The messages that may arrive now.
    fn arriving(&self, world: &World) -> impl Iterator<Item = (Message, usize)> {
        Message::ALL.into_iter().filter_map(move |message| {
            let sender = Bounds::sender(message);
            let hearer = match self.bounds.cast {
                Cast::Both => 1 - sender.min(1),
                Cast::HonestP => P,
                Cast::HonestQ => Q,
            };
            let sent = self.bounds.cast != Cast::Both || world.flying & message.bit() != 0;
            (sent && hearer != sender && world.parties[hearer].asleep == 0)
                .then_some((message, hearer))
        })
    }

    fn first(&self) -> usize {
        self.bounds.cast.parties().next().unwrap_or(P)
    }

    fn next_look(&self, who: usize) -> Turn {
        let next = self.bounds.cast.parties().find(|other| *other > who);
        next.map_or(Turn::Talk, Turn::Look)
    }

    fn play(&self, world: &mut World, action: Move) -> Option<()> {
        match (world.turn, action) {
            (Turn::Look(who), Move::Sleep) => {
                world.parties[who].asleep += 1;
                world.turn = self.next_look(who);
            }
            (Turn::Look(who), Move::Wake) => {
                self.look(world, who);
                world.turn = self.next_look(who);
            }
            (Turn::Talk, Move::Leave(who)) => {
                let tick = world.tick;
                self.freeze(&mut world.parties[who], tick);
            }
            (Turn::Talk, Move::Say(message)) => self.say(world, message),
            (Turn::Talk, Move::Deliver(message)) => self.deliver(world, message)?,
            (Turn::Talk, Move::Hush) => {
                for who in self.bounds.cast.parties() {
                    if world.parties[who].asleep == 0 {
                        self.act(world, who);
                    }
                }
                world.turn = Turn::Block(X);
            }
            (Turn::Block(ledger), Move::IncludeHonest(who)) => {
                let pending = world.ledgers[ledger].pool[who]?;
                let next = self.may(world, ledger, pending.act)?;
                world.ledgers[ledger].pool[who] = None;
                self.include(world, ledger, next);
            }
            (Turn::Block(ledger), Move::Include(act)) => {
                let next = self.may(world, ledger, act)?;
                if matches!((act, self.bounds.chains[ledger].kind), (Act::Register(_), Kind::Cell))
                {
                    world.ledgers[ledger].used += 1;
                }
                self.include(world, ledger, next);
            }
            (Turn::Block(ledger), Move::Carry(who)) => {
                let act = Act::Register(world.parties[who].holds);
                let next = self.may(world, ledger, act)?;
                self.include(world, ledger, next);
            }
            (Turn::Block(ledger), Move::Seal) => {
                if self.overdue(world, ledger) {
                    return None;
                }
                self.seal(world, ledger);
            }
            _ => return None,
        }
        Some(())
    }

    fn deliver(&self, world: &mut World, message: Message) -> Option<()> {
        let (_, hearer) = self.arriving(world).find(|(arriving, _)| *arriving == message)?;
        let answer = self.hear(&mut world.parties[hearer], world.tick, message)?;
        if self.bounds.cast == Cast::Both {
            world.flying &= !message.bit();
            world.flying |= answer.map_or(0, Message::bit);
        }
        Some(())
    }

    fn seal(&self, world: &mut World, ledger: usize) {
        let chain = &self.bounds.chains[ledger];
        for pending in world.ledgers[ledger].pool.iter_mut().flatten() {
            pending.age = (pending.age + 1).min(chain.inclusion);
        }
        if let Phase::Disputed { waited, .. } = &mut world.ledgers[ledger].phase {
            *waited = (*waited + 1).min(chain.waits());
        }
        if ledger == X {
            world.turn = Turn::Block(Y);
            return;
        }
        world.tick += 1;
        world.turn = Turn::Look(self.first());
        for party in &mut world.parties {
            if party.stage == Stage::Revealed {
                party.since = (party.since + 1).min(self.bounds.answer);
            }
        }
    }

    /// Whether a block at `bound` ticks is complete.
    fn past(&self, world: &World, bound: u8) -> bool {
        world.turn == Turn::Look(self.first()) && world.tick > bound
    }
}

impl Model for Swap {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        let ledger = Ledger { phase: Phase::Open, used: 0, pool: [None; 2] };
        vec![World {
            tick: 0,
            turn: Turn::Look(self.first()),
            parties: [Party::NEW; 2],
            ledgers: [ledger; 2],
            flying: 0,
            leaked: false,
        }]
    }

    fn actions(&self, world: &World, moves: &mut Vec<Move>) {
        if world.settled().is_some() {
            return;
        }
        match world.turn {
            Turn::Look(who) => {
                if world.parties[who].asleep < self.bounds.reaction {
                    moves.push(Move::Sleep);
                }
                moves.push(Move::Wake);
            }
            Turn::Talk => {
                for who in self.bounds.cast.parties() {
                    if !world.parties[who].frozen && world.parties[who].asleep == 0 {
                        moves.push(Move::Leave(who));
                    }
                }
                if self.bounds.cast.honest(P) && world.parties[P].asleep == 0 {
                    moves.extend(self.sayings(world).into_iter().map(Move::Say));
                }
                moves.extend(self.arriving(world).map(|(message, _)| Move::Deliver(message)));
                moves.push(Move::Hush);
            }
            Turn::Block(ledger) => {
                moves.extend(self.bounds.cast.parties().map(Move::IncludeHonest));
                moves.extend(self.crimes(world, ledger).into_iter().map(Move::Include));
                let gone =
                    |who: &usize| world.parties[*who].frozen && self.bounds.cast != Cast::Both;
                moves.extend(self.bounds.cast.parties().filter(gone).map(Move::Carry));
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
        self.aims()
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.tick <= self.horizon()
    }
}
