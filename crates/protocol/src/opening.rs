//! Opening a channel: propose, accept, one joint transaction, and the way out when it does not
//! commit.
//!
//! Until our part of the transaction is out, giving up is free. From then on only the ledger
//! decides: when the deadline passes, one of our own inputs is spent otherwise, and whichever of
//! the two transactions commits is the truth. Nothing is assumed.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use perun_channel::{Address, Participant};

use crate::channel::Channel;
use crate::config::Config;
use crate::court;
use crate::effect::{Effect, Event, Step};
use crate::input::{Command, Input, Sighting, Standing};
use crate::joint::{self, Verdict};
use crate::machine::Context;
use crate::message::{Body, DeclineReason, Message};
use crate::open::Open;
use crate::phase::{Aborting, Joining, Joint, Phase, Proposal};
use crate::record::{Ending, Record};
use crate::refusal::{Declined, Misuse, Refusal};
use crate::terms::{Assembly, Plan, Terms};
use crate::units::{Index, LedgerBytes};

/// Decides about an input before the channel exists.
pub(crate) fn step(context: &Context<'_>, phase: &Phase, input: Input) -> Result<Step, Declined> {
    match phase {
        Phase::Fresh => fresh(context, input),
        Phase::Proposing(proposal) => proposing(context, proposal, input),
        Phase::Deciding(proposal) => deciding(context, proposal, input),
        Phase::Joining(joining) => joined(context, joining, input),
        Phase::Aborting(aborting) => aborted(context, aborting, input),
        Phase::Over(ending) => over(context, ending, input),
        Phase::Open(_) | Phase::Court(_) => idle(input),
    }
}

fn fresh(context: &Context<'_>, input: Input) -> Result<Step, Declined> {
    match input {
        Input::Command(Command::Propose { terms, contribution }) => {
            if !acceptable(context.config, &terms) {
                return Err(Misuse::Terms.into());
            }
            let (said_terms, said) = (terms.clone(), contribution.clone());
            let deadline = context.peer_user();
            Ok(Step::new(
                vec![Record::Proposed { terms, contribution, deadline }],
                vec![context.send(Body::Propose { terms: said_terms, contribution: said })],
            ))
        }
        Input::Message(Message { body: Body::Propose { terms, contribution }, .. }) => {
            if !acceptable(context.config, &terms) {
                return Ok(decline(context, DeclineReason::Terms {}, true, None));
            }
            let deadline = context.user();
            let event = Event::ProposalReceived { terms: terms.clone(), deadline };
            let record = Record::ProposalReceived { terms, contribution, deadline };
            Ok(Step::new(vec![record], vec![event.effect()]))
        }
        other => idle(other),
    }
}

fn proposing(context: &Context<'_>, proposal: &Proposal, input: Input) -> Result<Step, Declined> {
    let own = Some(&proposal.contribution);
    match input {
        Input::Message(Message { body, .. }) => match body {
            Body::Accept { participant, contribution } => {
                if participant.address() == proposal.terms.proposer.address() {
                    return Ok(decline(context, DeclineReason::Terms {}, true, own));
                }
                let plan = proposal.plan(Index::Zero, &participant, &contribution);
                let deadline = context.answer();
                let record = Record::Accepted { participant, contribution, deadline };
                Ok(Step::new(vec![record], vec![Effect::Assemble(plan)]))
            }
            Body::Decline { reason } => Ok(decline(context, reason, false, own)),
            _ => Err(Refusal::Unexpected.into()),
        },
        Input::Command(Command::Decline { reason }) => Ok(decline(context, reason, true, own)),
        Input::Tick => Ok(decline(context, DeclineReason::TooLate {}, true, own)),
        Input::Connected | Input::Restart => {
            let terms = proposal.terms.clone();
            let contribution = proposal.contribution.clone();
            Ok(Step::effects(vec![context.send(Body::Propose { terms, contribution })]))
        }
        other => idle(other),
    }
}

fn deciding(context: &Context<'_>, proposal: &Proposal, input: Input) -> Result<Step, Declined> {
    match input {
        Input::Command(Command::Accept { participant, contribution }) => {
            if participant.address() == proposal.terms.proposer.address() {
                return Err(Misuse::Terms.into());
            }
            let plan = proposal.plan(Index::One, &participant, &contribution);
            let accept = context.send(Body::Accept {
                participant: participant.clone(),
                contribution: contribution.clone(),
            });
            let deadline = context.answer();
            Ok(Step::new(
                vec![Record::Accepted { participant, contribution, deadline }],
                vec![accept, Effect::Assemble(plan)],
            ))
        }
        Input::Message(Message { body, .. }) => match body {
            Body::Propose { terms, contribution } => {
                let same = terms == proposal.terms && contribution == proposal.contribution;
                if same { Ok(Step::nothing()) } else { Err(Refusal::Changed.into()) }
            }
            Body::Decline { reason } => Ok(decline(context, reason, false, None)),
            _ => Err(Refusal::Unexpected.into()),
        },
        Input::Command(Command::Decline { reason }) => Ok(decline(context, reason, true, None)),
        Input::Tick => Ok(decline(context, DeclineReason::TooLate {}, true, None)),
        Input::Restart => {
            let (terms, deadline) = (proposal.terms.clone(), proposal.deadline);
            Ok(Step::effects(vec![Event::ProposalReceived { terms, deadline }.effect()]))
        }
        other => idle(other),
    }
}

fn joined(context: &Context<'_>, joining: &Joining, input: Input) -> Result<Step, Declined> {
    let plan = &joining.plan;
    let own = plan.contributions.get(plan.index.column());
    let input = match (&joining.joint, input) {
        (Joint::Released { assembly, .. }, Input::Ledger(sighting)) => {
            return committed(context, plan.index, assembly, &sighting);
        }
        (_, Input::Message(Message { body: Body::Propose { terms, contribution }, .. }))
            if plan.index == Index::One =>
        {
            return repeated_propose(context, plan, &terms, &contribution);
        }
        (_, Input::Message(Message { body: Body::Accept { participant, contribution }, .. }))
            if plan.index == Index::Zero =>
        {
            let [_, peer] = &plan.participants;
            let [_, theirs] = &plan.contributions;
            let same = participant == *peer && contribution == *theirs;
            return if same { Ok(Step::nothing()) } else { Err(Refusal::Changed.into()) };
        }
        (Joint::Released { .. }, Input::Command(Command::Decline { .. })) => {
            Input::Message(context.declined())
        }
        (_, Input::Command(Command::Decline { reason })) => {
            return Ok(decline(context, reason, true, own));
        }
        (_, input @ (Input::Ledger(_) | Input::JournalRolledBack)) => {
            return idle(input);
        }
        (_, input @ (Input::Connected | Input::Restart)) if plan.index == Index::One => {
            let Verdict::Step(step) = joint::step(context, joining, input)? else {
                return Ok(Step::nothing());
            };
            return Ok(Step::effects(vec![accept(context, plan)]).and(step));
        }
        (_, input) => input,
    };
    match joint::step(context, joining, input)? {
        Verdict::Step(step) => Ok(step),
        Verdict::Fail(reason) => Ok(decline(context, reason, true, own)),
        Verdict::Leave => {
            let Joint::Released { assembly, .. } = &joining.joint else {
                return Err(Refusal::Unexpected.into());
            };
            Ok(Step::new(
                vec![Record::Aborting { deadline: context.commit() }],
                vec![Effect::AbortOpen { assembly: assembly.clone() }],
            ))
        }
    }
}

/// The proposer says the same again, perhaps because it did not hear our acceptance.
fn repeated_propose(
    context: &Context<'_>,
    plan: &Plan,
    terms: &Terms,
    contribution: &LedgerBytes,
) -> Result<Step, Declined> {
    let [zero, _] = &plan.participants;
    let [theirs, _] = &plan.contributions;
    let same = terms.proposer == *zero
        && terms.outcome == plan.outcome
        && terms.challenge_secs == plan.challenge_secs
        && terms.chain == plan.chain
        && contribution == theirs;
    if !same {
        return Err(Refusal::Changed.into());
    }
    Ok(Step::effects(vec![accept(context, plan)]))
}

fn accept(context: &Context<'_>, plan: &Plan) -> Effect {
    let ([_, one], [_, ours]) = (&plan.participants, &plan.contributions);
    let (participant, contribution) = (one.clone(), ours.clone());
    context.send(Body::Accept { participant, contribution })
}

fn aborted(context: &Context<'_>, aborting: &Aborting, input: Input) -> Result<Step, Declined> {
    let assembly = &aborting.assembly;
    let abort = Effect::AbortOpen { assembly: assembly.clone() };
    match input {
        Input::Ledger(sighting) => committed(context, aborting.index, assembly, &sighting),
        Input::Tick => {
            Ok(Step::new(vec![Record::Resubmitted { deadline: context.commit() }], vec![abort]))
        }
        Input::Restart => {
            let watch = Effect::Watch(Channel::of(assembly, aborting.index).target());
            Ok(Step::effects(vec![watch, abort]))
        }
        Input::Message(_) => Err(Refusal::Unexpected.into()),
        other => idle(other),
    }
}

/// What the ledger shows of the opening transaction decides.
fn committed(
    context: &Context<'_>,
    index: Index,
    assembly: &Assembly,
    sighting: &Sighting,
) -> Result<Step, Declined> {
    let channel = Channel::of(assembly, index);
    let id = channel.id;
    if sighting.channel != id {
        return Ok(Step::nothing());
    }
    let opened = Step::new(vec![Record::Opened {}], vec![Event::Opened { id }.effect()]);
    match sighting.standing {
        Standing::Impossible if sighting.confirmed => Ok(ended(Ending::Aborted {})),
        Standing::Spent { transaction } if sighting.confirmed => {
            Ok(ended(Ending::Spent { transaction }))
        }
        Standing::Open if sighting.confirmed => {
            Ok(opened.and(Step::effects(vec![Open::new(channel).sync(context)])))
        }
        Standing::Absent | Standing::Impossible | Standing::Open | Standing::Spent { .. } => {
            Ok(Step::nothing())
        }
        // It exists, for somebody could already dispute or close it.
        _ => {
            let settling = court::sighted(context, &Open::new(channel), None, sighting)?;
            Ok(if settling.records.is_empty() { settling } else { opened.and(settling) })
        }
    }
}

fn ended(ending: Ending) -> Step {
    let event = Event::Ended(ending.clone()).effect();
    Step::new(vec![Record::Ended { ending }], vec![event])
}

fn over(context: &Context<'_>, ending: &Ending, input: Input) -> Result<Step, Declined> {
    match input {
        Input::Restart => Ok(Step::effects(vec![Event::Ended(ending.clone()).effect()])),
        // The peer may not have heard that it is over.
        Input::Message(Message { body: Body::Propose { .. } | Body::Accept { .. }, .. }) => {
            let reason = DeclineReason::TooLate {};
            Ok(Step::effects(vec![context.send(Body::Decline { reason })]))
        }
        Input::Message(_) => Err(Refusal::Unexpected.into()),
        other => idle(other),
    }
}

/// Inputs that need nothing done, and those that cannot come here.
fn idle(input: Input) -> Result<Step, Declined> {
    match input {
        Input::Message(_) => Err(Refusal::Unexpected.into()),
        Input::Command(_) => Err(Misuse::NotNow.into()),
        Input::Backend(_) => Err(Misuse::Reply.into()),
        _ => Ok(Step::nothing()),
    }
}

/// Ends an opening of which nothing is out.
fn decline(
    context: &Context<'_>,
    reason: DeclineReason,
    tell_peer: bool,
    contribution: Option<&LedgerBytes>,
) -> Step {
    let ending = Ending::Declined { reason: reason.clone() };
    let mut effects: Vec<Effect> = Vec::new();
    if tell_peer {
        effects.push(context.send(Body::Decline { reason }));
    }
    if let Some(contribution) = contribution {
        effects.push(Effect::ReleaseFunds { contribution: contribution.clone() });
    }
    effects.push(Event::Ended(ending.clone()).effect());
    Step::new(vec![Record::Ended { ending }], effects)
}

/// Whether the terms can be a channel here: two columns, nothing locked, a sane challenge (TC).
fn acceptable(config: &Config, terms: &Terms) -> bool {
    terms.outcome.columns() == 2
        && terms.outcome.locked().is_empty()
        && *terms.proposer.address() != Address::ZERO
        && (config.challenge_secs_min..=config.challenge_secs_max).contains(&terms.challenge_secs)
}

impl Context<'_> {
    fn declined(&self) -> Message {
        let reason = DeclineReason::User {};
        Message { opening: self.opening, body: Body::Decline { reason } }
    }
}

impl Proposal {
    fn plan(&self, index: Index, participant: &Participant, contribution: &LedgerBytes) -> Plan {
        Plan {
            index,
            challenge_secs: self.terms.challenge_secs,
            participants: [self.terms.proposer.clone(), participant.clone()],
            outcome: self.terms.outcome.clone(),
            chain: self.terms.chain.clone(),
            contributions: [self.contribution.clone(), contribution.clone()],
            predecessor: None,
        }
    }
}

/// Takes over a record of a phase before the channel exists, if it is one that fits.
pub(crate) fn apply(phase: Phase, record: &Record) -> Phase {
    match (phase, record) {
        (Phase::Fresh, Record::Proposed { terms, contribution, deadline }) => {
            Phase::Proposing(Proposal::boxed(terms, contribution, *deadline))
        }
        (Phase::Fresh, Record::ProposalReceived { terms, contribution, deadline }) => {
            Phase::Deciding(Proposal::boxed(terms, contribution, *deadline))
        }
        (Phase::Proposing(own), Record::Accepted { participant, contribution, deadline }) => {
            joining(own.plan(Index::Zero, participant, contribution), *deadline)
        }
        (Phase::Deciding(theirs), Record::Accepted { participant, contribution, deadline }) => {
            joining(theirs.plan(Index::One, participant, contribution), *deadline)
        }
        (Phase::Joining(joining), Record::Aborting { deadline }) => match joining.joint {
            Joint::Released { assembly, .. } => {
                let index = joining.plan.index;
                Phase::Aborting(Box::new(Aborting { index, assembly, deadline: *deadline }))
            }
            joint => Phase::Joining(Box::new(Joining { joint, ..*joining })),
        },
        (Phase::Joining(joining), Record::Opened {}) => match joining.joint {
            Joint::Released { assembly, .. } => opened(&assembly, joining.plan.index),
            joint => Phase::Joining(Box::new(Joining { joint, ..*joining })),
        },
        (Phase::Aborting(aborting), Record::Opened {}) => {
            opened(&aborting.assembly, aborting.index)
        }
        (Phase::Aborting(mut aborting), Record::Resubmitted { deadline }) => {
            aborting.deadline = *deadline;
            Phase::Aborting(aborting)
        }
        (
            Phase::Fresh
            | Phase::Proposing(_)
            | Phase::Deciding(_)
            | Phase::Joining(_)
            | Phase::Aborting(_),
            Record::Ended { ending },
        ) => Phase::Over(ending.clone()),
        (Phase::Joining(joining), record) => Phase::Joining(Box::new(joining.apply(record))),
        (phase, _) => phase,
    }
}

fn joining(plan: Plan, deadline: crate::units::Time) -> Phase {
    let joint = Joint::Assembling { early: None };
    Phase::Joining(Box::new(Joining { plan, joint, deadline }))
}

fn opened(assembly: &Assembly, index: Index) -> Phase {
    Phase::Open(Box::new(Open::new(Channel::of(assembly, index))))
}

impl Proposal {
    fn boxed(terms: &Terms, contribution: &LedgerBytes, deadline: crate::units::Time) -> Box<Self> {
        Box::new(Self { terms: terms.clone(), contribution: contribution.clone(), deadline })
    }
}
