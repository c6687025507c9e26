//! Opening a channel: propose, accept, one joint transaction, and the way out when it does not
//! commit.
//!
//! Until our part of the transaction is out, giving up is free. From then on only the ledger
//! decides: when the deadline passes, one of our own inputs is spent otherwise, and whichever of
//! the two transactions commits is the truth. Nothing is assumed.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use perun_channel::{Address, Participant, Signature};

use crate::channel::Channel;
use crate::config::{Config, Dialect};
use crate::effect::{Effect, Event, Step};
use crate::input::{Command, Input, Sighting, Standing};
use crate::joint::{self, Verdict};
use crate::ledgers::{Funding, LedgerTerms, PerLedger};
use crate::machine::Context;
use crate::message::{Body, DeclineReason, Message};
use crate::open::Open;
use crate::phase::{Aborting, Founding, Joining, Joint, Phase, Proposal};
use crate::record::{Ending, Record};
use crate::refusal::{Declined, Misuse, Refusal};
use crate::terms::{Assembly, Plan, Terms};
use crate::units::{Index, LedgerBytes, Time};
use crate::{court, goperun};

/// Decides about an input before the channel exists.
pub(crate) fn step(context: &Context<'_>, phase: &Phase, input: Input) -> Result<Step, Declined> {
    match phase {
        Phase::Fresh => fresh(context, input),
        Phase::Proposing(proposal) => proposing(context, proposal, input),
        Phase::Deciding(proposal) => deciding(context, proposal, input),
        Phase::Joining(joining) => joined(context, joining, input),
        Phase::Aborting(aborting) => aborted(context, aborting, input),
        Phase::Over(ending) => over(context, ending, input),
        Phase::Open(_) | Phase::Court(_) | Phase::Signing(_) | Phase::Founding(_) => idle(input),
    }
}

fn fresh(context: &Context<'_>, input: Input) -> Result<Step, Declined> {
    match input {
        Input::Command(Command::Propose { terms, contributions }) => {
            if !acceptable(context.config, &terms, &contributions) {
                return Err(Misuse::Terms.into());
            }
            let (said_terms, said) = (terms.clone(), contributions.clone());
            let deadline = context.peer_user();
            Ok(Step::new(
                vec![Record::Proposed { terms, contributions, deadline }],
                vec![context.send(Body::Propose { terms: said_terms, contributions: said })],
            ))
        }
        Input::Message(Message { body: Body::Propose { terms, contributions }, .. }) => {
            if !acceptable(context.config, &terms, &contributions) {
                return Ok(decline(context, DeclineReason::Terms {}, true, None));
            }
            let deadline = context.user();
            let event = Event::ProposalReceived { terms: terms.clone(), deadline };
            let record = Record::ProposalReceived { terms, contributions, deadline };
            Ok(Step::new(vec![record], vec![event.effect()]))
        }
        other => idle(other),
    }
}

fn proposing(context: &Context<'_>, proposal: &Proposal, input: Input) -> Result<Step, Declined> {
    let own = Some((&proposal.terms.ledgers, &proposal.contributions));
    match input {
        Input::Message(Message { body, .. }) => match body {
            Body::Accept { participant, contributions } => {
                if !proposal.fits(&participant, &contributions) {
                    return Ok(decline(context, DeclineReason::Terms {}, true, own));
                }
                let plan = proposal.plan(Index::Zero, &participant, &contributions);
                let deadline = context.answer();
                let record = Record::Accepted { participant, contributions, deadline };
                Ok(Step::new(vec![record], vec![Effect::Assemble(plan)]))
            }
            Body::Decline { reason } => Ok(decline(context, reason, false, own)),
            _ => Err(Refusal::Unexpected.into()),
        },
        Input::Command(Command::Decline { reason }) => Ok(decline(context, reason, true, own)),
        Input::Tick => Ok(decline(context, DeclineReason::TooLate {}, true, own)),
        Input::Connected | Input::Restart => {
            let terms = proposal.terms.clone();
            let contributions = proposal.contributions.clone();
            Ok(Step::effects(vec![context.send(Body::Propose { terms, contributions })]))
        }
        other => idle(other),
    }
}

fn deciding(context: &Context<'_>, proposal: &Proposal, input: Input) -> Result<Step, Declined> {
    match input {
        Input::Command(Command::Accept { participant, contributions }) => {
            if !proposal.fits(&participant, &contributions) {
                return Err(Misuse::Terms.into());
            }
            let plan = proposal.plan(Index::One, &participant, &contributions);
            let accept = context.send(Body::Accept {
                participant: participant.clone(),
                contributions: contributions.clone(),
            });
            let deadline = context.answer();
            Ok(Step::new(
                vec![Record::Accepted { participant, contributions, deadline }],
                vec![accept, Effect::Assemble(plan)],
            ))
        }
        Input::Message(Message { body, .. }) => match body {
            Body::Propose { terms, contributions } => {
                let same = terms == proposal.terms && contributions == proposal.contributions;
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
    let own = Some((&plan.ledgers, plan.own_contributions()));
    let input = match (&joining.joint, input) {
        (Joint::Released { assembly, .. }, Input::Ledger(sighting)) => {
            return committed(context, plan.index, assembly, &sighting);
        }
        (
            _,
            Input::Message(Message {
                body: body @ (Body::Propose { .. } | Body::Accept { .. }),
                ..
            }),
        ) => return repeats(context, plan, &body),
        (
            Joint::Assembling { signed, .. },
            Input::Message(Message { body: Body::Sign { signature }, .. }),
        ) if plan.has_deposits() => {
            let record = Record::SignatureKept { signature };
            return match signed {
                None => Ok(Step::new(vec![record], vec![])),
                Some(known) if *known == signature => Ok(Step::nothing()),
                Some(_) => Err(Refusal::Changed.into()),
            };
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
            let deadline = context.commit();
            Ok(Step::new(vec![Record::Aborting { deadline }], abort(assembly)))
        }
    }
}

/// The peer repeats how the opening began, perhaps because it did not hear our answer.
pub(crate) fn repeats(
    context: &Context<'_>,
    plan: &Plan,
    body: &Body<Signature>,
) -> Result<Step, Declined> {
    match (body, plan.index) {
        (Body::Propose { terms, contributions }, Index::One) => {
            repeated_propose(context, plan, terms, contributions)
        }
        (Body::Accept { participant, contributions }, Index::Zero) => {
            let ([_, peer], [_, theirs]) = (&plan.participants, &plan.contributions);
            let same = participant == peer && contributions == theirs;
            if same { Ok(Step::nothing()) } else { Err(Refusal::Changed.into()) }
        }
        _ => Err(Refusal::Unexpected.into()),
    }
}

/// The proposer says the same again, perhaps because it did not hear our acceptance.
fn repeated_propose(
    context: &Context<'_>,
    plan: &Plan,
    terms: &Terms,
    contributions: &PerLedger<LedgerBytes>,
) -> Result<Step, Declined> {
    let [zero, _] = &plan.participants;
    let [theirs, _] = &plan.contributions;
    let same = terms.proposer == *zero
        && terms.outcome == plan.outcome
        && terms.challenge_secs == plan.challenge_secs
        && terms.ledgers == plan.ledgers
        && contributions == theirs;
    if !same {
        return Err(Refusal::Changed.into());
    }
    Ok(Step::effects(vec![accept(context, plan)]))
}

pub(crate) fn accept(context: &Context<'_>, plan: &Plan) -> Effect {
    let ([_, one], [_, ours]) = (&plan.participants, &plan.contributions);
    let (participant, contributions) = (one.clone(), ours.clone());
    context.send(Body::Accept { participant, contributions })
}

fn aborted(context: &Context<'_>, aborting: &Aborting, input: Input) -> Result<Step, Declined> {
    let assembly = &aborting.assembly;
    match input {
        Input::Ledger(sighting) => committed(context, aborting.index, assembly, &sighting),
        Input::Tick => {
            let deadline = context.commit();
            let again = assembly.joint.as_ref().map(|joint| joint.ledger);
            let again = again.map(|ledger| Record::Resubmitted { ledger, deadline });
            Ok(Step::new(again.into_iter().collect(), abort(assembly)))
        }
        Input::Restart => {
            let channel = Channel::of(assembly, aborting.index);
            let watches = channel.targets().map(Effect::Watch);
            Ok(Step::effects(watches.chain(abort(assembly)).collect()))
        }
        Input::Message(_) => Err(Refusal::Unexpected.into()),
        other => idle(other),
    }
}

/// Spends one of our inputs of the opening transaction.
fn abort(assembly: &Assembly) -> Vec<Effect> {
    let transaction = assembly.joint.clone();
    transaction.map(|transaction| Effect::AbortOpen { transaction }).into_iter().collect()
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
    let opened = opened(context, &channel);
    match sighting.standing {
        Standing::Impossible if sighting.confirmed => Ok(ended(Ending::Aborted {})),
        Standing::Spent { transaction } if sighting.confirmed => {
            Ok(ended(Ending::Spent { transaction }))
        }
        Standing::Open if sighting.confirmed => {
            let sync = Open::new(channel).sync(context);
            Ok(opened.and(Step::effects(sync.into_iter().collect())))
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

/// The channel lives. A go-perun peer never says when it sees that, and keeps our first update
/// until it does.
pub(crate) fn opened(context: &Context<'_>, channel: &Channel) -> Step {
    let ready = context.is_goperun().then_some(Record::PeerReady {});
    let records = [Record::Opened {}].into_iter().chain(ready).collect();
    Step::new(records, vec![Event::Opened { id: channel.id }.effect()])
}

fn ended(ending: Ending) -> Step {
    let event = Event::Ended(ending.clone()).effect();
    Step::new(vec![Record::Ended { ending }], vec![event])
}

fn over(context: &Context<'_>, ending: &Ending, input: Input) -> Result<Step, Declined> {
    match input {
        Input::Restart => Ok(Step::effects(vec![Event::Ended(ending.clone()).effect()])),
        // The peer may not have heard that it is over.
        Input::Message(Message {
            body: Body::Propose { .. } | Body::Accept { .. } | Body::Sign { .. },
            ..
        }) => {
            let reason = DeclineReason::TooLate {};
            Ok(Step::effects(vec![context.send(Body::Decline { reason })]))
        }
        Input::Message(_) => Err(Refusal::Unexpected.into()),
        other => idle(other),
    }
}

/// Inputs that need nothing done, and those that cannot come here.
pub(crate) fn idle(input: Input) -> Result<Step, Declined> {
    match input {
        Input::Message(_) => Err(Refusal::Unexpected.into()),
        Input::Command(_) => Err(Misuse::NotNow.into()),
        Input::Backend(_) => Err(Misuse::Reply.into()),
        _ => Ok(Step::nothing()),
    }
}

/// What we have set aside, and on which ledgers.
type Promised<'a> = (&'a PerLedger<LedgerTerms>, &'a PerLedger<LedgerBytes>);

/// Gives back what we have set aside, ledger by ledger.
pub(crate) fn freed(
    (ledgers, contributions): Promised<'_>,
) -> impl Iterator<Item = (Funding, Effect)> {
    ledgers.iter().zip(contributions).map(|(terms, contribution)| {
        let (ledger, contribution) = (terms.ledger, contribution.clone());
        (terms.funding, Effect::ReleaseFunds { ledger, contribution })
    })
}

/// Ends an opening of which nothing is out.
pub(crate) fn decline(
    context: &Context<'_>,
    reason: DeclineReason,
    tell_peer: bool,
    promised: Option<Promised<'_>>,
) -> Step {
    let ending = Ending::Declined { reason: reason.clone() };
    let mut effects: Vec<Effect> = Vec::new();
    if tell_peer {
        effects.push(context.send(Body::Decline { reason }));
    }
    effects.extend(promised.into_iter().flat_map(freed).map(|(_, effect)| effect));
    effects.push(Event::Ended(ending.clone()).effect());
    Step::new(vec![Record::Ended { ending }], effects)
}

/// Whether the terms can be a channel here: two columns, nothing locked, a sane challenge (TC), and
/// on each of its ledgers a contribution.
fn acceptable(config: &Config, terms: &Terms, contributions: &PerLedger<LedgerBytes>) -> bool {
    contributions.len() == terms.ledgers.len()
        && terms.outcome.columns() == 2
        && terms.outcome.locked().is_empty()
        && terms.has_its_ledgers()
        && *terms.proposer.address() != Address::ZERO
        && (config.dialect == Dialect::Perun || goperun::has_such(terms))
        && (config.challenge_secs_min..=config.challenge_secs_max).contains(&terms.challenge_secs)
}

impl Context<'_> {
    fn declined(&self) -> Message {
        let reason = DeclineReason::User {};
        Message { opening: self.opening, body: Body::Decline { reason } }
    }
}

impl Proposal {
    /// Whether an acceptance can be one: another key than the proposer's, a part on each ledger.
    fn fits(&self, participant: &Participant, contributions: &PerLedger<LedgerBytes>) -> bool {
        participant.address() != self.terms.proposer.address()
            && contributions.len() == self.terms.ledgers.len()
    }

    fn plan(
        &self,
        index: Index,
        participant: &Participant,
        contributions: &PerLedger<LedgerBytes>,
    ) -> Plan {
        Plan {
            index,
            challenge_secs: self.terms.challenge_secs,
            participants: [self.terms.proposer.clone(), participant.clone()],
            outcome: self.terms.outcome.clone(),
            ledgers: self.terms.ledgers.clone(),
            contributions: [self.contributions.clone(), contributions.clone()],
            predecessor: None,
        }
    }
}

/// Takes over a record of a phase before the channel exists, if it is one that fits.
pub(crate) fn apply(phase: Phase, record: &Record) -> Phase {
    match (phase, record) {
        (Phase::Fresh, Record::Proposed { terms, contributions, deadline }) => {
            Phase::Proposing(Proposal::boxed(terms, contributions, *deadline))
        }
        (Phase::Fresh, Record::ProposalReceived { terms, contributions, deadline }) => {
            Phase::Deciding(Proposal::boxed(terms, contributions, *deadline))
        }
        (Phase::Proposing(own), Record::Accepted { participant, contributions, deadline }) => {
            joining(own.plan(Index::Zero, participant, contributions), *deadline)
        }
        (Phase::Deciding(theirs), Record::Accepted { participant, contributions, deadline }) => {
            joining(theirs.plan(Index::One, participant, contributions), *deadline)
        }
        (Phase::Joining(joining), Record::Aborting { deadline }) => match joining.joint {
            Joint::Released { assembly, .. } => {
                let index = joining.plan.index;
                Phase::Aborting(Box::new(Aborting { index, assembly, deadline: *deadline }))
            }
            joint => Phase::Joining(Box::new(Joining { joint, ..*joining })),
        },
        (Phase::Joining(joining), record @ Record::Assembled { .. })
            if joining.plan.has_deposits() =>
        {
            Phase::Signing(Box::new(joining.apply(record)))
        }
        (Phase::Signing(joining), Record::Signed { proof, .. }) => {
            let ready = joining.plan.ledgers.map(|_| false);
            let (joining, proof) = (joining.apply(record), proof.clone());
            Phase::Founding(Box::new(Founding { joining, proof, ready }))
        }
        (Phase::Founding(founding), record) => founding.apply(record),
        (Phase::Joining(joining), Record::Opened {}) => match joining.joint {
            Joint::Released { assembly, .. } => living(&assembly, joining.plan.index),
            joint => Phase::Joining(Box::new(Joining { joint, ..*joining })),
        },
        (Phase::Aborting(aborting), Record::Opened {}) => {
            living(&aborting.assembly, aborting.index)
        }
        (Phase::Aborting(mut aborting), Record::Resubmitted { deadline, .. }) => {
            aborting.deadline = *deadline;
            Phase::Aborting(aborting)
        }
        (
            Phase::Fresh
            | Phase::Proposing(_)
            | Phase::Deciding(_)
            | Phase::Joining(_)
            | Phase::Signing(_)
            | Phase::Aborting(_),
            Record::Ended { ending },
        ) => Phase::Over(ending.clone()),
        (Phase::Joining(joining), record) => Phase::Joining(Box::new(joining.apply(record))),
        (phase, _) => phase,
    }
}

fn joining(plan: Plan, deadline: Time) -> Phase {
    let joint = Joint::Assembling { early: None, signed: None };
    Phase::Joining(Box::new(Joining { plan, joint, deadline }))
}

fn living(assembly: &Assembly, index: Index) -> Phase {
    Phase::Open(Box::new(Open::new(Channel::of(assembly, index))))
}

impl Proposal {
    fn boxed(terms: &Terms, contributions: &PerLedger<LedgerBytes>, deadline: Time) -> Box<Self> {
        Box::new(Self { terms: terms.clone(), contributions: contributions.clone(), deadline })
    }
}
