//! Opening where each side deposits for itself: nobody can lose a deposit when the other one does
//! not come.
//!
//! First both sign version 0, which pays every deposit back. Then each deposits. Only when every
//! deposit is final is the transaction of both sides released, if another ledger takes one, so that
//! it never commits without them; and only when every ledger shows the whole channel is anything
//! else signed. What the ledgers show decides, never what the peer says. From the first deposit on
//! there is one way out, by the ledgers: version 0 is registered wherever something of ours may be,
//! and the transaction is made impossible if our part of it is out.
//!
//! An opening that comes to nothing leaves our signature over its version 0 behind, and a machine
//! does not know those before it. So the house must see to it that no two such channels have both
//! one id and one key of ours.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use perun_channel::Signature;

use crate::channel::Channel;
use crate::court;
use crate::effect::{Effect, Event, Step};
use crate::input::{Command, Input, Reply, Sighting, Standing};
use crate::joint::{self, Verdict};
use crate::ledgers::{Funding, Place};
use crate::machine::Context;
use crate::message::{Body, DeclineReason, Message};
use crate::open::Open;
use crate::opening::{self, accept, decline};
use crate::phase::{Case, Court, Founding, Joining, Joint, Phase, Stage};
use crate::record::{PeerProof, Record};
use crate::refusal::{Declined, Misuse, Refusal};
use crate::registrations::Registrations;
use crate::terms::{Assembly, Plan};
use crate::units::{Index, Time};

/// What we say once the channel is built: our signature over version 0.
pub(crate) fn sign(context: &Context<'_>, assembly: &Assembly) -> Effect {
    context.send(Body::Sign { signature: context.crypto.digest(&assembly.initial) })
}

/// The peer's signature over version 0: from here on our deposits may be in.
pub(crate) fn signed(
    context: &Context<'_>,
    plan: &Plan,
    assembly: &Assembly,
    signature: &Signature,
) -> Result<Step, Refusal> {
    let channel = Channel::of(assembly, plan.index);
    let digest = context.crypto.digest(&assembly.initial);
    let peer = channel.address(plan.index.other());
    context.crypto.verify(&digest, signature, &peer).map_err(Refusal::Signature)?;
    let proof = PeerProof { digest, signature: *signature };
    let deposits = channel.places.iter().filter(|place| place.funding == Funding::Deposit {});
    let mut effects: Vec<Effect> =
        deposits.clone().map(|place| Effect::Watch(channel.target(place))).collect();
    effects.extend(deposits.filter_map(|place| deposit(plan, &channel, place)));
    Ok(Step::new(vec![Record::Signed { proof, deadline: context.fund() }], effects))
}

/// Our deposit on a ledger. It is ordered too where version 0 gives us nothing: the ledger may have
/// to be told where it is to pay us later.
fn deposit(plan: &Plan, channel: &Channel, place: &Place) -> Option<Effect> {
    let position = channel.places.position(place.ledger)?;
    let contribution = plan.own_contributions().get(position)?.clone();
    let (target, initial) = (channel.target(place), channel.state().clone());
    Some(Effect::Deposit { target, initial, contribution })
}

/// Decides about an input while the peer's signature over version 0 is missing. Nothing of ours is
/// out yet but our own.
pub(crate) fn signing(
    context: &Context<'_>,
    joining: &Joining,
    input: Input,
) -> Result<Step, Declined> {
    let plan = &joining.plan;
    let own = Some((&plan.ledgers, plan.own_contributions()));
    let Some(assembly) = joining.joint.assembly() else { return Err(Misuse::NotNow.into()) };
    match input {
        Input::Message(Message { body, .. }) => match body {
            Body::Sign { signature } => Ok(signed(context, plan, assembly, &signature)?),
            Body::Decline { reason } => Ok(decline(context, reason, false, own)),
            body => opening::repeats(context, plan, &body),
        },
        Input::Command(Command::Decline { reason }) => Ok(decline(context, reason, true, own)),
        Input::Tick => Ok(decline(context, DeclineReason::TooLate {}, true, own)),
        Input::Connected | Input::Restart => {
            Ok(Step::effects(begun(context, plan, sign(context, assembly))))
        }
        other => opening::idle(other),
    }
}

/// What the peer may not have heard of the beginning.
fn begun(context: &Context<'_>, plan: &Plan, sign: Effect) -> Vec<Effect> {
    let accepts = (plan.index == Index::One).then(|| accept(context, plan));
    accepts.into_iter().chain([sign]).collect()
}

/// Decides about an input while deposits are made and the transaction is released.
pub(crate) fn step(
    context: &Context<'_>,
    founding: &Founding,
    input: Input,
) -> Result<Step, Declined> {
    let joining = &founding.joining;
    let Some(assembly) = joining.joint.assembly() else { return Err(Misuse::NotNow.into()) };
    let verdict = match input {
        Input::Ledger(sighting) => return seen(context, founding, &sighting),
        Input::Message(Message { body: Body::Sign { signature }, .. }) => {
            let same = signature == founding.proof.signature;
            return if same { Ok(Step::nothing()) } else { Err(Refusal::Changed.into()) };
        }
        // go-perun never says that so late, and its names are proven so badly that somebody else
        // may have: it must not make us pay for leaving.
        Input::Message(Message { body: Body::Decline { .. }, .. }) if context.is_goperun() => {
            return Err(Refusal::Unexpected.into());
        }
        Input::Message(Message { body: Body::Decline { reason }, .. }) => {
            return Ok(leave(context, founding, reason, false));
        }
        input @ Input::Message(Message { body: Body::Release { .. }, .. }) => {
            joint::step(context, joining, input)?
        }
        Input::Message(Message { body, .. }) => {
            return opening::repeats(context, &joining.plan, &body);
        }
        Input::Command(Command::Decline { reason }) => {
            return Ok(leave(context, founding, reason, true));
        }
        Input::Tick => return Ok(leave(context, founding, DeclineReason::TooLate {}, true)),
        // It is asked again when the deposits are in.
        Input::Backend(Reply::WitnessGood(_)) if !founding.is_funded() => {
            return Ok(Step::nothing());
        }
        input @ Input::Backend(_) => joint::step(context, joining, input)?,
        Input::LedgerClock { ledger, .. } => {
            let again = founding.deposits().filter(|(place, _)| place.ledger == ledger);
            let effects: Vec<Effect> = again.filter_map(|(_, effect)| effect).collect();
            match assembly.joint.as_ref().is_some_and(|joint| joint.ledger == ledger) {
                true if founding.is_funded() => joint::step(context, joining, input)?,
                _ => Verdict::Step(Step::effects(effects)),
            }
        }
        Input::Connected => return Ok(Step::effects(founding.repeated(context, assembly))),
        Input::Restart => {
            let mut effects: Vec<Effect> =
                founding.deposits().map(|(place, _)| founding.watch(assembly, place)).collect();
            effects.extend(founding.deposits().filter_map(|(_, effect)| effect));
            effects.extend(founding.repeated(context, assembly));
            return Ok(Step::effects(effects));
        }
        other => return opening::idle(other),
    };
    Ok(match verdict {
        Verdict::Step(step) => step,
        Verdict::Fail(reason) => leave(context, founding, reason, true),
        Verdict::Leave => leave(context, founding, DeclineReason::TooLate {}, true),
    })
}

/// What a ledger shows decides how far the opening is.
fn seen(context: &Context<'_>, founding: &Founding, sighting: &Sighting) -> Result<Step, Declined> {
    let Some(assembly) = founding.joining.joint.assembly() else { return Ok(Step::nothing()) };
    let position = assembly.places.position(sighting.ledger);
    let position = position.filter(|_| sighting.channel == *assembly.initial.id());
    let Some(position) = position else { return Ok(Step::nothing()) };
    match sighting.standing {
        Standing::Open if sighting.confirmed => Ok(complete(context, founding, position)),
        // What is not confirmed any more is not in any more.
        Standing::Absent | Standing::Open => Ok(incomplete(founding, position)),
        Standing::Impossible | Standing::Spent { .. } if !sighting.confirmed => Ok(Step::nothing()),
        // It will not come to be, or somebody disputes it already.
        _ => {
            let reason = DeclineReason::Overtaken {};
            let first = leave(context, founding, reason, true);
            let Some(court) = founding.court(context.commit()) else { return Ok(first) };
            Ok(first.and(court::sighted(context, &court.open, Some(&court), sighting)?))
        }
    }
}

/// Everything is in on this ledger, and final.
fn complete(context: &Context<'_>, founding: &Founding, position: usize) -> Step {
    let (joining, mut next) = (&founding.joining, founding.clone());
    let Some(ready) = next.ready.get_mut(position).filter(|ready| !**ready) else {
        return Step::nothing();
    };
    *ready = true;
    let (Some(assembly), Some(open)) = (joining.joint.assembly(), founding.open()) else {
        return Step::nothing();
    };
    let Some(place) = assembly.places.get(position) else { return Step::nothing() };
    let record = Record::Funded { ledger: place.ledger, deadline: context.commit() };
    let first = Step::new(vec![record], vec![]);
    if next.ready.iter().all(|ready| *ready) {
        let sync = open.sync(context);
        return first
            .and(opening::opened(context, &open.channel))
            .and(Step::effects(sync.into_iter().collect()));
    }
    if !next.is_funded() {
        return first;
    }
    match (&joining.joint, joining.plan.index) {
        (Joint::Awaiting { .. }, Index::One) => {
            first.and(joint::release(context, &joining.plan, assembly, None))
        }
        (Joint::Checking { .. }, _) => {
            first.and(Step::effects(joint::repeated(&joining.plan, &joining.joint)))
        }
        _ => first,
    }
}

/// Something is missing on this ledger, perhaps again.
fn incomplete(founding: &Founding, position: usize) -> Step {
    let assembly = founding.joining.joint.assembly();
    let place = assembly.and_then(|assembly| assembly.places.get(position));
    match place {
        Some(place) if founding.ready.get(position) == Some(&true) => {
            let again = founding.deposit(place);
            let record = Record::Unfunded { ledger: place.ledger };
            Step::new(vec![record], again.into_iter().collect())
        }
        _ => Step::nothing(),
    }
}

/// Gives the opening up. Where nothing of ours can be, there is nothing to do.
fn leave(context: &Context<'_>, founding: &Founding, reason: DeclineReason, tell: bool) -> Step {
    let plan = &founding.joining.plan;
    let promised = (&plan.ledgers, plan.own_contributions());
    let deadline = context.commit();
    let Some(court) = founding.court(deadline) else {
        return decline(context, reason, tell, Some(promised));
    };
    let mut effects = Vec::new();
    if tell {
        effects.push(context.send(Body::Decline { reason: reason.clone() }));
    }
    let is_out = founding.joining.joint.is_released();
    effects.extend(
        opening::freed(promised)
            .filter(|(funding, _)| {
                // What our part of the transaction spends is free when the ledger has decided.
                *funding == Funding::Deposit {} || !is_out
            })
            .map(|(_, effect)| effect),
    );
    effects.push(Event::OpeningFailed(reason).effect());
    effects.push(Event::Disputed { version: court.open.channel.state().version() }.effect());
    effects.extend(court.submissions());
    Step::new(vec![Record::Leaving { deadline }], effects)
}

impl Founding {
    /// Whether every deposit is in and final.
    pub(crate) fn is_funded(&self) -> bool {
        let terms = self.joining.plan.ledgers.iter().zip(&self.ready);
        terms.filter(|(terms, _)| terms.funding == Funding::Deposit {}).all(|(_, ready)| *ready)
    }

    fn channel(&self) -> Option<Channel> {
        let mut channel = Channel::of(self.joining.joint.assembly()?, self.joining.plan.index);
        channel.latest.proof = Some(self.proof.clone());
        Some(channel)
    }

    /// The channel, once it is open.
    pub(crate) fn open(&self) -> Option<Open> {
        self.channel().map(Open::new)
    }

    fn deposit(&self, place: &Place) -> Option<Effect> {
        deposit(&self.joining.plan, &self.channel()?, place)
    }

    /// The ledgers where deposits are made, each with ours as long as something is missing there.
    fn deposits(&self) -> impl Iterator<Item = (&Place, Option<Effect>)> {
        let assembly = self.joining.joint.assembly();
        let places = assembly.into_iter().flat_map(|assembly| assembly.places.iter());
        let places = places.zip(&self.ready);
        let deposits = places.filter(|(place, _)| place.funding == Funding::Deposit {});
        deposits.map(|(place, ready)| (place, self.deposit(place).filter(|_| !ready)))
    }

    fn watch(&self, assembly: &Assembly, place: &Place) -> Effect {
        Effect::Watch(Channel::of(assembly, self.joining.plan.index).target(place))
    }

    /// What the peer, and the ledger of the transaction, may not have heard.
    fn repeated(&self, context: &Context<'_>, assembly: &Assembly) -> Vec<Effect> {
        let Joining { plan, joint, .. } = &self.joining;
        let mut effects = begun(context, plan, sign(context, assembly));
        if self.is_funded() || joint.is_released() {
            effects.extend(joint::repeated(plan, joint));
        }
        effects
    }

    /// The way out by the ledgers; none if nothing of ours can be on any.
    fn court(&self, deadline: Time) -> Option<Court> {
        let open = self.open()?;
        let assembly = self.joining.joint.assembly()?;
        let abort = assembly.joint.clone().filter(|_| self.joining.joint.is_released());
        let attempt = 0;
        let mut position = 0_usize;
        let cases = open.channel.places.map(|place| {
            let is_in = self.ready.get(position) == Some(&true);
            position = position.saturating_add(1);
            let stage = match place.funding {
                Funding::Deposit {} if open.channel.has_stake(place.ledger) => {
                    Stage::Disputing { attempt, deadline }
                }
                Funding::Joint {} if is_in => Stage::Disputing { attempt, deadline },
                Funding::Joint {} if abort.is_some() => Stage::Aborting { attempt, deadline },
                _ => Stage::Void { ending: None },
            };
            let (ledger, registrations) = (place.ledger, Registrations::default());
            Case { ledger, stage, registrations }
        });
        let is_void = |case: &Case| matches!(case.stage, Stage::Void { .. });
        let court = Court { open, cases, abort };
        (!court.cases.iter().all(is_void)).then_some(court)
    }

    /// Takes over a record of the opening.
    pub(crate) fn apply(mut self: Box<Self>, record: &Record) -> Phase {
        match record {
            Record::Funded { ledger, deadline } => {
                self.set_ready(*ledger, true);
                if !self.joining.joint.is_released() {
                    self.joining.deadline = self.joining.deadline.max(*deadline);
                }
            }
            Record::Unfunded { ledger } => self.set_ready(*ledger, false),
            Record::Opened {} => {
                if let Some(open) = self.open() {
                    return Phase::Open(Box::new(open));
                }
            }
            Record::Leaving { deadline } => {
                if let Some(court) = self.court(*deadline) {
                    return Phase::Court(Box::new(court));
                }
            }
            Record::Ended { ending } => return Phase::Over(ending.clone()),
            record => self.joining = self.joining.apply(record),
        }
        Phase::Founding(self)
    }

    fn set_ready(&mut self, ledger: perun_channel::LedgerId, is_ready: bool) {
        let position = self.joining.plan.ledgers.position(ledger);
        if let Some(ready) = position.and_then(|position| self.ready.get_mut(position)) {
            *ready = is_ready;
        }
    }
}
