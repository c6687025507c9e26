//! One transaction of both sides: build it from the same plan, release in order, submit.
//!
//! Used by the opening and by the resize of a channel. Participant 1 releases first and participant
//! 0 submits, so that the one who could hold back is the one whose money is in as well. The
//! invariant that matters: before our part is out, everything needed to dispute and to withdraw is
//! recorded, and after it is out, only the ledger's word ends the wait.

use alloc::vec;

use perun_channel::Signature;

use crate::channel::Channel;
use crate::effect::{Effect, Step};
use crate::founding;
use crate::input::{Input, Reply};
use crate::ledgers::Funding;
use crate::machine::Context;
use crate::message::{Body, DeclineReason};
use crate::phase::{Joining, Joint};
use crate::record::Record;
use crate::refusal::{Declined, Misuse, Refusal};
use crate::terms::{Assembly, Plan, Witness};
use crate::units::Index;

/// What a joint transaction wants from the opening or the resize that it belongs to.
pub(crate) enum Verdict {
    /// Go on with this.
    Step(Step),
    /// Give up before our part was out.
    Fail(DeclineReason),
    /// Our part is out, and the peer or the clock says that it will not commit.
    Leave,
}

/// Decides about an input. What is no business of the transaction comes back as
/// `Refusal::Unexpected`.
pub(crate) fn step(
    context: &Context<'_>,
    joining: &Joining,
    input: Input,
) -> Result<Verdict, Declined> {
    let plan = &joining.plan;
    match (&joining.joint, input) {
        (Joint::Released { .. }, Input::Tick) => Ok(Verdict::Leave),
        (_, Input::Tick) => Ok(Verdict::Fail(DeclineReason::TooLate {})),
        (Joint::Assembling { signed, .. }, Input::Backend(Reply::Assembled(assembly)))
            if plan.has_deposits() =>
        {
            Ok(to_be_founded(context, plan, signed.as_ref(), assembly))
        }
        (Joint::Assembling { early, .. }, Input::Backend(Reply::Assembled(assembly))) => {
            assembled(context, plan, early.as_ref(), assembly)
        }
        (Joint::Assembling { .. }, Input::Backend(Reply::AssemblyFailed)) => {
            Ok(Verdict::Fail(DeclineReason::Assembly {}))
        }
        (Joint::Checking { assembly, witness }, Input::Backend(Reply::WitnessGood(name)))
            if Some(name) == assembly.transaction() =>
        {
            Ok(Verdict::Step(release(context, plan, assembly, Some(witness))))
        }
        (Joint::Checking { assembly, .. }, Input::Backend(Reply::WitnessBad(name)))
            if Some(name) == assembly.transaction() =>
        {
            Ok(Verdict::Fail(DeclineReason::BadWitness {}))
        }
        (_, Input::Backend(_)) => Err(Misuse::Reply.into()),
        (joint, Input::Message(message)) => match message.body {
            Body::Release { witness } => witnessed(context, plan, joint, witness),
            Body::Decline { reason } => Ok(match joint {
                Joint::Released { .. } => Verdict::Leave,
                _ => Verdict::Fail(reason),
            }),
            _ => Err(Refusal::Unexpected.into()),
        },
        (joint, Input::Connected | Input::Restart) => {
            Ok(Verdict::Step(Step::effects(repeated(plan, joint))))
        }
        // One failed question to the ledger must not end a channel: what we ask of it is asked
        // again until it is there, or the wait is over.
        (
            joint @ (Joint::Checking { .. } | Joint::Released { witness: Some(_), .. }),
            Input::LedgerClock { .. },
        ) => Ok(Verdict::Step(Step::effects(repeated(plan, joint)))),
        (_, Input::LedgerClock { .. }) => Ok(Verdict::Step(Step::nothing())),
        _ => Err(Misuse::NotNow.into()),
    }
}

/// Our backend built the transaction: it must be exactly what the plan implies (D5).
fn assembled(
    context: &Context<'_>,
    plan: &Plan,
    early: Option<&Witness>,
    assembly: Assembly,
) -> Result<Verdict, Declined> {
    if !plan.matches(&assembly) {
        return Ok(Verdict::Fail(DeclineReason::Assembly {}));
    }
    let record = Record::Assembled { assembly: assembly.clone(), deadline: context.commit() };
    let first = Step::new(vec![record], vec![]);
    match (plan.index, early) {
        (Index::One, _) => Ok(Verdict::Step(first.and(release(context, plan, &assembly, None)))),
        (Index::Zero, None) => Ok(Verdict::Step(first)),
        (Index::Zero, Some(witness)) => match received(context, plan, &assembly, witness) {
            Ok(step) => Ok(Verdict::Step(first.and(step))),
            Err(_) => Ok(Verdict::Fail(DeclineReason::BadWitness {})),
        },
    }
}

/// The same, where deposits are to be made first: version 0 is signed, and nothing else.
fn to_be_founded(
    context: &Context<'_>,
    plan: &Plan,
    theirs: Option<&Signature>,
    assembly: Assembly,
) -> Verdict {
    if !plan.matches(&assembly) {
        return Verdict::Fail(DeclineReason::Assembly {});
    }
    let signed = theirs.map(|theirs| founding::signed(context, plan, &assembly, theirs));
    let Ok(signed) = signed.transpose() else { return Verdict::Fail(DeclineReason::Signature {}) };
    let sign = founding::sign(context, &assembly);
    let record = Record::Assembled { assembly, deadline: context.commit() };
    Verdict::Step(Step::new(vec![record], vec![sign]).and(signed.unwrap_or_default()))
}

/// Participant 1's part arrived.
fn witnessed(
    context: &Context<'_>,
    plan: &Plan,
    joint: &Joint,
    witness: Witness,
) -> Result<Verdict, Declined> {
    if plan.index == Index::One {
        return Err(Refusal::ReleaseOrder.into());
    }
    let step = match joint {
        // With deposits, nobody releases before both have built the channel.
        Joint::Assembling { .. } if plan.has_deposits() => return Err(Refusal::Unexpected.into()),
        Joint::Assembling { early: None, .. } => {
            Step::new(vec![Record::WitnessKept { witness }], vec![])
        }
        Joint::Awaiting { assembly } => received(context, plan, assembly, &witness)?,
        Joint::Assembling { early: Some(known), .. }
        | Joint::Checking { witness: known, .. }
        | Joint::Released { witness: Some(known), .. }
            if *known == witness =>
        {
            Step::nothing()
        }
        _ => return Err(Refusal::Changed.into()),
    };
    Ok(Verdict::Step(step))
}

fn received(
    context: &Context<'_>,
    plan: &Plan,
    assembly: &Assembly,
    witness: &Witness,
) -> Result<Step, Refusal> {
    let Some(joint) = &assembly.joint else { return Err(Refusal::OtherTransaction) };
    if witness.transaction != joint.id {
        return Err(Refusal::OtherTransaction);
    }
    if let Some(digest) = &joint.consent {
        let missing = Refusal::Signature(perun_channel::sig::SignatureRefusal::Count);
        let signature = witness.consent.as_ref().ok_or(missing)?;
        let [_, one] = &plan.participants;
        context.crypto.verify(digest, signature, one.address()).map_err(Refusal::Signature)?;
    }
    let record = Record::WitnessReceived { witness: witness.clone() };
    let (transaction, witness) = (joint.clone(), witness.clone());
    Ok(Step::new(vec![record], vec![Effect::CheckWitness { transaction, witness }]))
}

/// Our part goes out, after the record.
pub(crate) fn release(
    context: &Context<'_>,
    plan: &Plan,
    assembly: &Assembly,
    witness: Option<&Witness>,
) -> Step {
    let record = Record::Released { deadline: context.commit() };
    Step::new(vec![record], released(plan, assembly, witness))
}

fn released(plan: &Plan, assembly: &Assembly, witness: Option<&Witness>) -> vec::Vec<Effect> {
    let Some(transaction) = assembly.joint.clone() else { return vec![] };
    let mut effects = watches(plan, assembly);
    effects.push(match witness.cloned() {
        Some(witness) => Effect::SubmitAssembly { transaction, witness },
        None => Effect::SendWitness { transaction },
    });
    effects
}

/// The channel is looked for on the ledger of its transaction from now on.
fn watches(plan: &Plan, assembly: &Assembly) -> vec::Vec<Effect> {
    let channel = Channel::of(assembly, plan.index);
    let joint = channel.places.iter().filter(|place| place.funding == Funding::Joint {});
    joint.map(|place| Effect::Watch(channel.target(place))).collect()
}

pub(crate) fn repeated(plan: &Plan, joint: &Joint) -> vec::Vec<Effect> {
    match joint {
        Joint::Assembling { .. } => vec![Effect::Assemble(plan.clone())],
        Joint::Awaiting { .. } => vec![],
        Joint::Checking { assembly, witness } => {
            let (transaction, witness) = (assembly.joint.clone(), witness.clone());
            let check = |transaction| Effect::CheckWitness { transaction, witness };
            transaction.map(check).into_iter().collect()
        }
        Joint::Released { assembly, witness } => released(plan, assembly, witness.as_ref()),
    }
}

impl Joining {
    /// Takes over a record of the transaction, if it is one that fits.
    pub(crate) fn apply(mut self, record: &Record) -> Self {
        self.joint = match (self.joint, record) {
            (Joint::Assembling { early: None, signed }, Record::WitnessKept { witness }) => {
                Joint::Assembling { early: Some(witness.clone()), signed }
            }
            (Joint::Assembling { early, .. }, Record::SignatureKept { signature }) => {
                Joint::Assembling { early, signed: Some(*signature) }
            }
            (Joint::Assembling { .. }, Record::Assembled { assembly, deadline }) => {
                self.deadline = *deadline;
                Joint::Awaiting { assembly: assembly.clone() }
            }
            (Joint::Awaiting { assembly }, Record::WitnessReceived { witness }) => {
                Joint::Checking { assembly, witness: witness.clone() }
            }
            (Joint::Awaiting { assembly }, Record::Released { deadline }) => {
                self.deadline = *deadline;
                Joint::Released { assembly, witness: None }
            }
            (Joint::Checking { assembly, witness }, Record::Released { deadline }) => {
                self.deadline = *deadline;
                Joint::Released { assembly, witness: Some(witness) }
            }
            (joint, Record::Signed { deadline, .. }) => {
                self.deadline = *deadline;
                joint
            }
            (joint, _) => joint,
        };
        self
    }
}
