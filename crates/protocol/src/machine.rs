//! The machine of one channel, from the first proposal to the last payout.
//!
//! [`Machine::step`] decides and changes nothing; [`Machine::apply`] changes and decides nothing.
//! The house journals a step's records, applies them, and only then carries out its effects. After
//! a crash it replays the journal through `apply` and steps once with [`Input::Restart`].

use alloc::vec::Vec;

use perun_channel::{Address, ChannelId, LedgerId, Params};

use crate::channel::Channel;
use crate::config::{Config, Dialect};
use crate::crypto::{Crypto, Ethereum};
use crate::effect::{Effect, Event, Step, WaitingFor};
use crate::input::Input;
use crate::message::{Body, Draft};
use crate::payment::PaymentId;
use crate::phase::{Phase, PhaseName};
use crate::record::{Agreed, Record};
use crate::refusal::{Declined, Refusal};
use crate::terms::{Plan, Terms};
use crate::units::{Digest, Index, OpeningId, Time};
use crate::{court, founding, open, opening};

/// One channel's machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    pub(crate) opening: OpeningId,
    pub(crate) config: Config,
    pub(crate) phase: Phase,
}

/// What every decision knows besides the state.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) crypto: &'a dyn Crypto,
    pub(crate) config: &'a Config,
    pub(crate) opening: OpeningId,
}

impl Machine {
    /// A machine that has done nothing yet. The proposer draws `opening` at random; the other side
    /// takes it from the first message.
    #[must_use]
    pub const fn new(opening: OpeningId, config: Config) -> Self {
        Self { opening, config, phase: Phase::Fresh }
    }

    /// Decides what to do about an input.
    pub fn step(&self, now: Time, input: Input) -> Result<Step, Declined> {
        self.step_with(&Ethereum, now, input)
    }

    /// [`Machine::step`] with another cryptography.
    pub fn step_with(
        &self,
        crypto: &dyn Crypto,
        now: Time,
        input: Input,
    ) -> Result<Step, Declined> {
        let context = Context { now, crypto, config: &self.config, opening: self.opening };
        if matches!(&input, Input::Message(message) if message.opening != self.opening) {
            return Err(Refusal::OtherOpening.into());
        }
        let is_early = self.deadline().is_none_or(|deadline| now < deadline);
        if matches!(input, Input::Tick) && is_early {
            return Ok(Step::default());
        }
        match &self.phase {
            Phase::Open(open) => open::step(&context, open, input),
            Phase::Court(court) => court::step(&context, court, input),
            Phase::Signing(joining) => founding::signing(&context, joining, input),
            Phase::Founding(founding) => founding::step(&context, founding, input),
            phase => opening::step(&context, phase, input),
        }
    }

    /// Takes over what a step decided.
    pub fn apply(&mut self, record: &Record) {
        let phase = core::mem::replace(&mut self.phase, Phase::Fresh);
        self.phase = phase.apply(record);
    }

    /// When to step with [`Input::Tick`], if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.phase.deadline()
    }

    /// What has to happen next.
    #[must_use]
    pub fn waiting_for(&self) -> WaitingFor {
        self.phase.waiting_for()
    }

    /// Where the machine stands.
    #[must_use]
    pub fn phase(&self) -> PhaseName {
        self.phase.name()
    }

    /// The machine's name.
    #[must_use]
    pub const fn opening(&self) -> OpeningId {
        self.opening
    }

    /// The channel's id, once there is one.
    #[must_use]
    pub fn id(&self) -> Option<ChannelId> {
        let founded = match &self.phase {
            Phase::Signing(joining) => joining.joint.assembly(),
            Phase::Founding(founding) => founding.joining.joint.assembly(),
            _ => None,
        };
        let founded = founded.map(|assembly| *assembly.initial.id());
        founded.or_else(|| self.open().map(|open| open.channel.id))
    }

    /// Our index in the channel, once there is one.
    #[must_use]
    pub fn index(&self) -> Option<Index> {
        self.open().map(|open| open.channel.index)
    }

    /// The address that signs for us, once it was said.
    #[must_use]
    pub fn own_address(&self) -> Option<Address> {
        let of_plan = |plan: &Plan| {
            let [zero, one] = &plan.participants;
            *if plan.index == Index::Zero { zero } else { one }.address()
        };
        match &self.phase {
            Phase::Fresh | Phase::Deciding(_) | Phase::Over(_) => None,
            Phase::Proposing(proposal) => Some(*proposal.terms.proposer.address()),
            Phase::Joining(joining) | Phase::Signing(joining) => Some(of_plan(&joining.plan)),
            Phase::Founding(founding) => Some(of_plan(&founding.joining.plan)),
            Phase::Aborting(aborting) => {
                let channel = Channel::of(&aborting.assembly, aborting.index);
                Some(channel.address(aborting.index))
            }
            Phase::Open(_) | Phase::Court(_) => {
                self.open().map(|open| open.channel.address(open.channel.index))
            }
        }
    }

    /// The first ledger of a channel that is being opened.
    #[must_use]
    pub fn planned_on(&self) -> Option<LedgerId> {
        let ledgers = match &self.phase {
            Phase::Proposing(proposal) | Phase::Deciding(proposal) => &proposal.terms.ledgers,
            Phase::Joining(joining) | Phase::Signing(joining) => &joining.plan.ledgers,
            Phase::Founding(founding) => &founding.joining.plan.ledgers,
            _ => return None,
        };
        ledgers.get(0).map(|terms| terms.ledger)
    }

    /// What the peer asks for, while our user decides about it.
    #[must_use]
    pub fn asked_for(&self) -> Option<&Terms> {
        match &self.phase {
            Phase::Deciding(proposal) => Some(&proposal.terms),
            _ => None,
        }
    }

    /// The channel's parameters, once there is one.
    #[must_use]
    pub fn params(&self) -> Option<&Params> {
        self.open().map(|open| &open.channel.params)
    }

    /// The newest complete state: what a dispute would begin with, and what a watchtower should
    /// have.
    #[must_use]
    pub fn agreed(&self) -> Option<&Agreed> {
        self.open().map(|open| &open.channel.latest)
    }

    /// The lowest id that our next payment can have.
    #[must_use]
    pub fn next_payment(&self) -> Option<PaymentId> {
        self.open().map(|open| open.paid_last.next())
    }

    /// How many of our payments wait for an update.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.open().map_or(0, |open| open.queue.len())
    }

    fn open(&self) -> Option<&open::Open> {
        match &self.phase {
            Phase::Open(open) => Some(open),
            Phase::Court(court) => Some(&court.open),
            _ => None,
        }
    }
}

impl Context<'_> {
    pub(crate) fn send(&self, body: Body<Digest>) -> Effect {
        Effect::Send(Draft { opening: self.opening, body })
    }

    /// Whether the peer is one that knows neither turns nor our `Sync`.
    pub(crate) const fn is_goperun(&self) -> bool {
        matches!(self.config.dialect, Dialect::GoPerun)
    }

    /// When the peer's machine must have answered.
    pub(crate) const fn answer(&self) -> Time {
        self.now.after(self.config.answer_secs)
    }

    /// When our own user must have answered.
    pub(crate) const fn user(&self) -> Time {
        self.now.after(self.config.user_secs)
    }

    /// When the peer's user must have answered: a round trip more than our own would have.
    pub(crate) const fn peer_user(&self) -> Time {
        self.user().after(self.config.answer_secs)
    }

    /// When a submitted transaction must have committed.
    pub(crate) const fn commit(&self) -> Time {
        self.now.after(self.config.commit_secs)
    }

    /// When everybody's deposits must be in.
    pub(crate) const fn fund(&self) -> Time {
        self.now.after(self.config.fund_secs)
    }

    /// When what waits for the turn has waited too long.
    pub(crate) const fn patience(&self) -> Time {
        self.now.after(self.config.patience_secs)
    }
}

impl Step {
    /// Does nothing.
    pub(crate) fn nothing() -> Self {
        Self::default()
    }

    pub(crate) fn new(records: Vec<Record>, effects: Vec<Effect>) -> Self {
        Self { records, effects }
    }

    pub(crate) fn effects(effects: Vec<Effect>) -> Self {
        Self { records: Vec::new(), effects }
    }

    /// Does this, and then `more`.
    pub(crate) fn and(mut self, more: Self) -> Self {
        self.records.extend(more.records);
        self.effects.extend(more.effects);
        self
    }
}

impl Event {
    pub(crate) const fn effect(self) -> Effect {
        Effect::Notify(self)
    }
}
