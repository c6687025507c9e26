//! One seed from beginning to end.

use std::sync::Arc;

use perun_channel::codec::{Decode, Encode};
use perun_channel::{Amount, Signature};
use perun_protocol::{
    Agreed, Body, Command, Config, Crypto, Digest, Draft, Effect, Ethereum, Event, Index, Input,
    LedgerTime, Memo, Message, OnSilence, Payment, PhaseName, Reply, Sighting, Slot, Standing,
    Time,
};

use super::chain::{Chain, Deed, INCLUSION, Life, REORG, Transaction};
use super::cheat::Script;
use super::dice::Dice;
use super::faults::{Fault, Faults};
use super::house::{Flaw, House};
use super::net::Net;
use crate::court::{Act, Court, Outline, Stage};
use crate::duel::opened::{OPENING, assembly, no_parts, terms, witness};
use crate::ideal::{Breach, Ideal};
use crate::scene::{LEDGER, Scene, TICK_SECS};
use crate::symbol::{self, Symbols};

/// `R`, in ticks.
const REACTION: u64 = 2;
/// `T`: the timing condition, in ticks.
pub(super) const CHALLENGE: u64 = 1 + REACTION + INCLUSION + 1;
/// How many moments a tick has; messages take moments, blocks take ticks.
const MOMENTS: u64 = 20;
/// How long faults and cheating updates last, in ticks.
const TROUBLE: u64 = 24;
/// How long a leaving party may take: both slots of the peer used for states ahead, and three
/// attempts to close first; the payment buried.
const BOUND: u64 =
    INCLUSION + 3 * (CHALLENGE + REACTION + INCLUSION) + 3 * (COMMIT + REACTION) + REORG;
const COMMIT: u64 = INCLUSION;
/// How long after the healing everybody must have left: whatever waits for an answer first gives
/// up.
const HEALING: u64 = 12 + 2 * COMMIT + BOUND;
const INITIAL: Outline = Outline { version: 0, balances: [500, 500], is_final: false };

/// How a seed ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was no channel: nobody's money is in it.
    NoChannel,
    /// Paid out after a final state.
    Closed,
    /// Paid out after a dispute.
    Disputed,
}

/// What a seed did.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it ended: a broken promise is a failure.
    pub ended: Result<Outcome, Breach>,
    /// How often each kind of fault struck.
    pub faults: [u64; Fault::ALL.len()],
    /// How the peer behaved.
    pub script: Script,
    /// How many updates were completed.
    pub updates: u64,
    /// How many seconds passed.
    pub seconds: u64,
    /// What happened, for a failure.
    pub story: Vec<String>,
}

/// A court that many seeds can share: its answers do not depend on the seed.
#[must_use]
pub fn court() -> Arc<Court> {
    Arc::new(Court::new(Scene::new(INITIAL.balances.iter().sum(), CHALLENGE)))
}

/// Runs a seed. `real`: with real keys instead of symbols.
#[must_use]
pub fn run(seed: u64, court: &Arc<Court>, real: bool, flaw: Flaw) -> Report {
    let mut run = Run::new(seed, Arc::clone(court), real, flaw);
    let ended = run.live();
    Report {
        ended,
        faults: run.faults.struck,
        script: run.script,
        updates: run.houses[0].machine.agreed().map_or(0, |agreed| agreed.state.version().get()),
        seconds: run.now,
        story: run.story,
    }
}

struct Run {
    court: Arc<Court>,
    real: bool,
    dice: Dice,
    faults: Faults,
    net: Net,
    chain: Chain,
    houses: [House; 2],
    /// Party 1's script; party 0 is always honest.
    script: Script,
    sent: u64,
    ideal: Ideal,
    /// The states that the cheat has an honest signature on.
    shown: Vec<Outline>,
    /// Inputs that a host's backend or user owes to its machine.
    owed: [Vec<Input>; 2],
    reported: u64,
    tick: u64,
    now: u64,
    story: Vec<String>,
}

impl Run {
    fn new(seed: u64, court: Arc<Court>, real: bool, flaw: Flaw) -> Self {
        let mut dice = Dice::new(seed);
        let faults = Faults::draw(&mut dice);
        let script = Script::draw(&mut dice);
        let config = Config {
            answer_secs: 2 * TICK_SECS,
            user_secs: 2 * TICK_SECS,
            commit_secs: COMMIT * TICK_SECS,
            fund_secs: 4 * TICK_SECS,
            patience_secs: 4 * TICK_SECS,
            challenge_secs_min: TICK_SECS,
            challenge_secs_max: 100 * TICK_SECS,
            accept_close: script != Script::KeepsFinal,
            on_silence: OnSilence::Dispute,
            swaps: perun_protocol::SwapConfig::OFF,
            dialect: perun_protocol::Dialect::Perun,
        };
        let houses = [flaw, Flaw::None].map(|flaw| House::new(OPENING, config, flaw));
        let propose = Input::Command(Command::Propose {
            terms: terms(&court.scene, &INITIAL),
            contributions: no_parts(),
        });
        Self {
            chain: Chain::new(Arc::clone(&court), INITIAL, CHALLENGE),
            ideal: Ideal::new(INITIAL, [true, script == Script::Honest]),
            court,
            real,
            dice,
            faults,
            net: Net::default(),
            houses,
            script,
            sent: 0,
            shown: Vec::new(),
            owed: [vec![propose], Vec::new()],
            reported: 0,
            tick: 0,
            now: 0,
            story: Vec::new(),
        }
    }

    fn live(&mut self) -> Result<Outcome, Breach> {
        for tick in 1..=TROUBLE + HEALING {
            self.tick = tick;
            if tick == TROUBLE {
                self.faults.heal();
                self.story.push("everything heals".to_owned());
            }
            self.look()?;
            for moment in 0..MOMENTS {
                self.now = tick * TICK_SECS + moment * (TICK_SECS / MOMENTS);
                self.moment()?;
            }
            self.cheat();
            self.chain.advance(&mut self.dice, &mut self.faults, &mut self.story);
            self.settle()?;
            if let Some(outcome) = self.ended() {
                return Ok(outcome);
            }
        }
        Err(Breach::Late)
    }

    fn is_honest(&self, who: usize) -> bool {
        who == 0 || self.script == Script::Honest
    }

    fn ended(&self) -> Option<Outcome> {
        let exists = matches!(self.chain.settled().life, Life::Live { .. });
        let is_done = |who: &usize| {
            let phase = self.houses[*who].machine.phase();
            let is_out = matches!(phase, PhaseName::Over | PhaseName::Settled);
            !self.is_honest(*who) || is_out || (phase == PhaseName::Fresh && !exists)
        };
        if ![0, 1].iter().all(is_done) {
            return None;
        }
        match self.chain.settled().life {
            Life::Live { cell, .. } if cell.stage == Stage::Paid => Some(match cell.marks {
                0 => Outcome::Closed,
                _ => Outcome::Disputed,
            }),
            Life::Absent | Life::Impossible => Some(Outcome::NoChannel),
            Life::Live { .. } => None,
        }
    }

    /// Every party that is up sees the ledger and its clock.
    fn look(&mut self) -> Result<(), Breach> {
        for who in 0..2 {
            if let Some(until) = self.houses[who].down_until
                && (self.tick >= until || self.faults.are_over())
            {
                self.houses[who].down_until = None;
                self.story.push(format!("party {who} is back"));
                self.feed(who, Input::Restart)?;
            }
            if !self.houses[who].looks() || self.houses[who].machine.id().is_none() && self.tick < 2
            {
                continue;
            }
            let sighting = self.sighting();
            let now = LedgerTime::new(self.tick * TICK_SECS);
            let clock = Input::LedgerClock { ledger: LEDGER, now };
            self.feed(who, Input::Ledger(sighting))?;
            self.feed(who, clock)?;
        }
        Ok(())
    }

    fn sighting(&self) -> Sighting {
        let scene = &self.court.scene;
        let standing = match self.chain.tip().life {
            Life::Absent => Standing::Absent,
            Life::Impossible => Standing::Impossible,
            Life::Live { cell, made, by } => {
                let state = cell.state.state(scene);
                match cell.stage {
                    Stage::Open => Standing::Open,
                    Stage::Disputed => Standing::Registered {
                        state,
                        by: slot(by),
                        until: LedgerTime::new((made + CHALLENGE) * TICK_SECS),
                        proof: None,
                    },
                    Stage::Paid if cell.marks == 0 => Standing::Closed { state },
                    Stage::Paid => Standing::Concluded { state, unpaid: 0, preimage: None },
                }
            }
        };
        let confirmed = self.chain.settled().name == self.chain.tip().name;
        Sighting { ledger: LEDGER, channel: scene.params().id(), standing, confirmed }
    }

    /// A moment passes: the network, the users, the clocks.
    fn moment(&mut self) -> Result<(), Breach> {
        if self.net.weather(self.now, &mut self.dice, &mut self.faults) {
            for who in 0..2 {
                self.feed(who, Input::Connected)?;
            }
        }
        for (to, bytes) in self.net.arrive(self.now, &mut self.dice, &mut self.faults) {
            let Ok(message) = Message::from_bytes(&bytes) else { continue };
            self.feed(to, Input::Message(message))?;
        }
        for who in 0..2 {
            for input in core::mem::take(&mut self.owed[who]) {
                self.feed(who, input)?;
            }
            self.wish(who)?;
            let due = self.houses[who].machine.deadline();
            if due.is_some_and(|due| due.get() <= self.now) {
                self.feed(who, Input::Tick)?;
            }
        }
        Ok(())
    }

    /// What a user does of its own accord.
    fn wish(&mut self, who: usize) -> Result<(), Breach> {
        let phase = self.houses[who].machine.phase();
        if phase == PhaseName::Frozen {
            return self.feed(who, Input::Command(Command::Dispute));
        }
        if self.faults.are_over() {
            let asks = phase == PhaseName::Open && self.dice.chance(300);
            return if asks { self.feed(who, Input::Command(Command::Close)) } else { Ok(()) };
        }
        if self.dice.chance(80)
            && let Some(id) = self.houses[who].machine.next_payment()
        {
            let (amount, memo) =
                (Amount::new(1 + u128::from(self.dice.below(40))), Memo::default());
            let payment = Payment { id, asset: 0, amount, memo };
            self.feed(who, Input::Command(Command::Pay(payment)))?;
        }
        if phase == PhaseName::Open && self.dice.below(2 * TROUBLE * MOMENTS) == 0 {
            self.feed(who, Input::Command(Command::Close))?;
        }
        // One moment in some thousand somebody has had enough.
        if phase >= PhaseName::Open && self.dice.below(4 * TROUBLE * MOMENTS) == 0 {
            self.feed(who, Input::Command(Command::Dispute))?;
        }
        Ok(())
    }

    /// A machine takes an input, and its effects get out, unless it crashes on the way.
    fn feed(&mut self, who: usize, input: Input) -> Result<(), Breach> {
        if !self.houses[who].is_up() {
            return Ok(());
        }
        let crypto: &dyn Crypto = if self.real { &Ethereum } else { &Symbols };
        let (dice, faults) = (&mut self.dice, &mut self.faults);
        let outcome = self.houses[who].take(crypto, Time::new(self.now), input, dice, faults);
        for effect in outcome.effects {
            self.release(who, effect)?;
        }
        if outcome.crashed {
            self.story.push(format!("{}: party {who} crashes", self.now));
            self.houses[who].recover(&mut self.dice)?;
            self.net.forget(who);
            self.owed[who].clear();
            let long = self.faults.strike(Fault::Down, &mut self.dice);
            let down = if long { 1 + self.dice.below(REACTION) } else { 0 };
            self.houses[who].down_until = Some(self.tick + down);
            if down == 0 {
                self.houses[who].down_until = None;
                return self.feed(who, Input::Restart);
            }
            return Ok(());
        }
        self.note(who)
    }

    /// Tells the ideal channel where the machine stands now.
    fn note(&mut self, who: usize) -> Result<(), Breach> {
        let machine = &self.houses[who].machine;
        let phase = machine.phase();
        if let Some(agreed) = machine.agreed() {
            let held = Outline::of(&agreed.state);
            if self.is_honest(who) && self.ideal.last(who) != Some(held) {
                self.ideal.holds(who, held)?;
            }
        }
        if phase >= PhaseName::Closing && phase < PhaseName::Over {
            self.ideal.leaves(who, self.tick, BOUND);
        }
        Ok(())
    }

    fn release(&mut self, who: usize, effect: Effect) -> Result<(), Breach> {
        // A transaction carries our signature as well, perhaps for the first time after a crash.
        if let Effect::Register { agreed, .. } | Effect::SubmitClose { agreed, .. } = &effect {
            self.signs(who, Outline::of(&agreed.state))?;
        }
        match effect {
            Effect::Send(draft) => self.send(who, draft)?,
            Effect::Notify(Event::ProposalReceived { .. }) => {
                let participant = self.court.scene.params().participants()[1].clone();
                let accept = Command::Accept { participant, contributions: no_parts() };
                self.owed[who].push(Input::Command(accept));
            }
            // Who is refused a parting in peace leaves without.
            Effect::Notify(Event::CloseRefused(_)) if self.faults.are_over() => {
                self.owed[who].push(Input::Command(Command::Dispute));
            }
            Effect::Notify(Event::CloseRequested { .. }) => {
                self.owed[who].push(Input::Command(Command::DeclineClose));
            }
            Effect::Notify(Event::Settled { outcomes, .. }) if self.is_honest(who) => {
                for outcome in outcomes {
                    self.ideal.tells(who, Outline::of(&outcome.state))?;
                }
            }
            Effect::Assemble(_) => {
                let assembly = assembly(&self.court.scene, &INITIAL);
                self.owed[who].push(Input::Backend(Reply::Assembled(assembly)));
            }
            Effect::SendWitness { .. } => {
                let body = Body::Release { witness: witness() };
                self.post(who, Message { opening: OPENING, body });
            }
            Effect::CheckWitness { transaction, .. } => {
                let good = Reply::WitnessGood(transaction.id);
                self.owed[who].push(Input::Backend(good));
            }
            Effect::SubmitAssembly { .. } => self.submit(who, Deed::Open, None),
            Effect::AbortOpen { .. } => self.submit(who, Deed::Abort, None),
            // The newest state is not what this cheat wants to see.
            Effect::Register { .. } | Effect::SubmitClose { .. }
                if who == 1 && self.script == Script::StaleClose => {}
            Effect::Register { agreed, slot, .. } => {
                let number = slot.participant.number() * 2 + u8::from(slot.delegate);
                let act = Act::Register { slot: number, state: Outline::of(&agreed.state) };
                self.submit(who, Deed::Act(act), Some(&agreed));
            }
            Effect::SubmitClose { agreed, .. } => {
                let act = Act::Close { state: Outline::of(&agreed.state) };
                self.submit(who, Deed::Act(act), Some(&agreed));
            }
            Effect::Conclude { .. } => {
                self.submit(who, Deed::Act(Act::Conclude { waited_secs: 0 }), None);
            }
            _ => {}
        }
        Ok(())
    }

    fn send(&mut self, who: usize, draft: Draft) -> Result<(), Breach> {
        let (real, scene) = (self.real, &self.court.scene);
        let address = *scene.params().participants()[who].address();
        let sign = |digest: &Digest| -> Signature {
            if real {
                scene.sign_digest(who, digest.as_bytes())
            } else {
                symbol::sign(digest, &address)
            }
        };
        let message = draft.sign(sign);
        let agreed = self.houses[who].machine.agreed();
        let signed = match &message.body {
            Body::Update { state, .. } => Some(Outline::of(state)),
            Body::Sync { state, proof: Some(_), .. } => Some(Outline::of(state)),
            Body::Ack { .. } => agreed.map(|agreed| Outline::of(&agreed.state)),
            _ => None,
        };
        if let Some(signed) = signed {
            self.signs(who, signed)?;
        }
        self.post(who, message);
        Ok(())
    }

    /// A signature leaves: the ideal channel is told, and a cheat keeps it.
    fn signs(&mut self, who: usize, state: Outline) -> Result<(), Breach> {
        if !self.is_honest(1 - who) && !self.shown.contains(&state) {
            self.shown.push(state);
        }
        if self.is_honest(who) { self.ideal.signs(who, state) } else { Ok(()) }
    }

    /// A message leaves, as the sender's script has it.
    fn post(&mut self, who: usize, message: Message) {
        let messages = match who {
            0 => vec![message],
            _ => self.script.tamper(message, self.sent, &mut self.dice),
        };
        for message in messages {
            self.sent += u64::from(who == 1);
            self.story.push(format!("{}: party {who} says {}", self.now, told(&message)));
            let bytes = message.to_bytes();
            self.net.send(self.now, 1 - who, bytes, &mut self.dice, &mut self.faults);
        }
    }

    /// The backend makes a transaction, and one for every block that may still become the newest
    /// again.
    fn submit(&mut self, who: usize, deed: Deed, agreed: Option<&Agreed>) {
        let crypto: &dyn Crypto = if self.real { &Ethereum } else { &Symbols };
        let peer = *self.court.scene.params().participants()[1 - who].address();
        let is_proven = agreed
            .and_then(|agreed| agreed.proof.as_ref())
            .is_none_or(|proof| crypto.verify(&proof.digest, &proof.signature, &peer).is_ok());
        if !is_proven {
            return;
        }
        let (sent, honest) = (self.tick, self.is_honest(who));
        let names: Vec<u64> = self.chain.recent().map(|block| block.name).collect();
        for spends in names {
            self.chain.submit(Transaction { spends, deed, sent, honest });
        }
    }

    /// What a cheat puts into the pool: old states, through both of its slots.
    fn cheat(&mut self) {
        if self.script != Script::Honest {
            // Its own machine may be honest about the outcome; the cheat is not.
            let (deed, sent) = (Deed::Act(Act::Conclude { waited_secs: 0 }), self.tick);
            let spends = self.chain.tip().name;
            self.chain.submit(Transaction { spends, deed, sent, honest: false });
        }
        if let (Script::KeepsFinal, Some(floor)) = (self.script, self.ideal.floor(0)) {
            let pays = |state: &&Outline| state.is_final && state.balances[0] < floor;
            if let Some(state) = self.shown.iter().find(pays).copied() {
                let (deed, sent) = (Deed::Act(Act::Close { state }), self.tick);
                let spends = self.chain.tip().name;
                self.chain.submit(Transaction { spends, deed, sent, honest: false });
            }
        }
        let is_stale = self.script == Script::StaleClose && self.dice.chance(150);
        let keeps = matches!(self.script, Script::Refuses | Script::Withholds | Script::Silent(_));
        let is_late = keeps && self.dice.chance(60);
        if !(is_stale || is_late) || self.shown.is_empty() {
            return;
        }
        let state = self.shown[self.dice.place(self.shown.len())];
        let slot = 2 + u8::from(self.dice.chance(400));
        let act = match state.is_final && self.dice.chance(500) {
            true => Act::Close { state },
            false => Act::Register { slot, state },
        };
        self.story.push(format!("{}: the cheat submits {act:?}", self.now));
        let spends = self.chain.tip().name;
        let sent = self.tick;
        self.chain.submit(Transaction { spends, deed: Deed::Act(act), sent, honest: false });
    }

    /// What no reorganisation undoes any more is told to the ideal channel.
    fn settle(&mut self) -> Result<(), Breach> {
        let block = self.chain.settled().clone();
        if let Life::Live { cell, .. } = block.life
            && block.name != self.reported
        {
            self.reported = block.name;
            match cell.stage {
                Stage::Open => {}
                Stage::Disputed => self.ideal.registers(cell.state)?,
                Stage::Paid => self.ideal.pays(cell.state)?,
            }
        }
        let exists = matches!(self.chain.settled().life, Life::Live { .. });
        if exists { self.ideal.passes(self.tick) } else { Ok(()) }
    }
}

const fn slot(number: u8) -> Slot {
    let participant = if number < 2 { Index::Zero } else { Index::One };
    Slot { participant, delegate: number & 1 == 1 }
}

/// A message in one line.
fn told(message: &Message) -> String {
    match &message.body {
        Body::Update { state, .. } => format!("update {:?}", Outline::of(state)),
        Body::Ack { version, .. } => format!("ack {version}"),
        Body::Reject { version, reason } => format!("reject {version} {reason:?}"),
        Body::Sync { state, next_version, .. } => {
            format!("sync {:?} next {next_version}", Outline::of(state))
        }
        Body::Propose { .. } => "propose".to_owned(),
        Body::Accept { .. } => "accept".to_owned(),
        Body::Release { .. } => "release".to_owned(),
        other => format!("{other:?}"),
    }
}
