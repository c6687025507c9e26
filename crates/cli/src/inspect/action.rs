//! Actions: taken out of witnesses, named in words, and their signatures read.

use super::{value, words};
use crate::report::{Datum, Report};
use crate::text::hex;
use crate::text::table::Align;
use ckb_types::packed::BytesVec;
use perun_channel::adjudicator::{
    Action, Consent, Decision, Env, Slot, StateBody, WitnessArgs, WitnessField, consent_digest,
    registration_digest,
};
use perun_channel::{Address, Signature, State, Version};

/// The actions that one witness carries, and for which side of the transaction.
pub(super) fn in_witness(witness: &[u8]) -> impl Iterator<Item = (WitnessField, Action)> + '_ {
    [WitnessField::InputType, WitnessField::OutputType].into_iter().filter_map(move |field| {
        let bytes = WitnessArgs::field(witness, field)?;
        Some((field, Action::read(bytes).ok()?))
    })
}

/// The channel actions in the witnesses of a transaction.
pub(crate) fn actions_in(witnesses: &BytesVec) -> Vec<Action> {
    let witnesses = witnesses.clone().into_iter().map(|witness| witness.raw_data());
    witnesses.flat_map(|witness| in_witness(&witness).map(|it| it.1).collect::<Vec<_>>()).collect()
}

/// The action's name for programs.
pub(crate) const fn action_name(action: &Action) -> &'static str {
    named(action).0
}

/// The version of the state that the action carries, if it carries one.
pub(crate) fn version_in(action: &Action) -> Option<Version> {
    body(action).map(|body| body.version)
}

/// The action's name for programs, and what it does for people.
pub(super) const fn named(action: &Action) -> (&'static str, &'static str) {
    match action {
        Action::Create { .. } => ("create", "create: makes the channel and takes deposits in"),
        Action::Fund { .. } => ("fund", "fund: adds deposits"),
        Action::AbortFunding { .. } => {
            ("abort_funding", "abort funding: returns deposits, since others never came")
        }
        Action::Register { .. } => {
            ("register", "register: starts or continues a dispute with this state")
        }
        Action::Conclude { .. } => {
            ("conclude", "conclude: pays the registered state after the challenge")
        }
        Action::Withdraw { .. } => ("withdraw", "withdraw: pays rows that were left unpaid"),
        Action::CloseFinal { .. } => ("close_final", "close: pays a final state at once"),
        Action::CoopSpend { .. } => {
            ("coop_spend", "spend by consent: everybody agrees to the whole")
        }
    }
}

/// The part of the state that the action carries, if it carries one.
pub(super) const fn body(action: &Action) -> Option<&StateBody> {
    match action {
        Action::Create { body, .. }
        | Action::Fund { body, .. }
        | Action::AbortFunding { body, .. }
        | Action::Register { body, .. }
        | Action::Conclude { body, .. }
        | Action::Withdraw { body, .. }
        | Action::CloseFinal { body, .. } => Some(body),
        Action::CoopSpend { .. } => None,
    }
}

/// An action without its transaction.
pub(super) fn alone(action: &Action) -> Report {
    let mut report = Report::new("action", format!("Action on channel {}", action.setup().id()));
    facts(&mut report, action);
    report.note(
        "Who signed, and whether the rules allow it, depends on the transaction; hand in the whole one.",
    );
    report.part("setup", value::setup(action.setup()));
    report
}

/// What is said of every action. Gives the state that it carries, if that can be one of its
/// channel's.
pub(super) fn facts(report: &mut Report, action: &Action) -> Option<State> {
    let (name, text) = named(action);
    report.fact_as("action", "action", text, name);
    if let Action::Register { slot, .. } = action {
        slot_fact(report, *slot);
    }
    if let Action::Conclude { decision: Some(decision), .. } = action {
        let (name, text) = match decision {
            Decision::Claim(preimage) => {
                report.fact("preimage", "secret", hex::full(preimage));
                ("claim", "claimed: its legs on this chain move")
            }
            Decision::Refund => ("refund", "lapsed: its legs on this chain do not move"),
        };
        report.fact_as("swap", "swap", text, name);
    }
    let body = body(action)?;
    let addresses: Vec<Address> = action.setup().addresses().copied().collect();
    match action.setup().state(body.clone()) {
        Ok(state) => {
            value::state_facts(report, &state, &addresses);
            Some(state)
        }
        Err(code) => {
            report.fact("version", "version", body.version.to_string());
            report.note(format!("The state is none of this channel: {code}."));
            None
        }
    }
}

fn slot_fact(report: &mut Report, slot: Slot) {
    let datum = Datum::Record(vec![
        ("participant", u64::from(slot.participant).into()),
        ("number", u64::from(slot.number()).into()),
    ]);
    report.fact_as("slot", "uses the right of", words::slot(slot), datum);
}

/// One line for each signature or consent of the action: whose it should be, and whose it is.
pub(super) fn signers(
    report: &mut Report,
    action: &Action,
    state: Option<&State>,
    env: &Env,
    transaction: &[u8; 32],
) {
    let setup = action.setup();
    let claims: Vec<Claim> = match (action, state) {
        (Action::Register { slot, signatures, .. }, Some(state)) => {
            let registrant = usize::from(slot.participant);
            let registration =
                registration_digest(&env.channel_type, &setup.id(), &state.hash(), *slot);
            // A single signature confirms the state that the cell stores.
            let only = signatures.len() == 1;
            let claims = signatures.iter().enumerate().map(|(index, signature)| {
                let index = if only { registrant } else { index };
                let by_registrant = index == registrant;
                let digest = if by_registrant { registration } else { state.digest() };
                let what = if by_registrant { "registration" } else { "state" };
                Claim::signed(index, what, signature, &digest)
            });
            claims.collect()
        }
        (Action::CloseFinal { signatures, .. }, Some(state)) => {
            let digest = state.digest();
            let claims = signatures.iter().enumerate();
            claims.map(|(index, it)| Claim::signed(index, "state", it, &digest)).collect()
        }
        (Action::CoopSpend { consents, .. }, _) => {
            let digest = consent_digest(&env.channel_type, transaction);
            let claims = consents.iter().enumerate().map(|(index, consent)| match consent {
                Consent::Signature(it) => Claim::signed(index, "transaction", it, &digest),
                Consent::Presence => Claim::by(index, "is present with an input"),
                Consent::Shared => Claim::by(index, "signed for an earlier channel"),
            });
            claims.collect()
        }
        _ => return,
    };
    let addresses: Vec<Address> = setup.addresses().copied().collect();
    let rows = claims.iter().map(|claim| claim.row(&addresses));
    let rows: Vec<_> = rows.collect();
    let data = claims.iter().map(|claim| claim.datum(&addresses)).collect();
    report.table("signers", "signed", &[Align::Left; 3], &rows, data);
}

/// What stands in for one participant's agreement.
struct Claim {
    participant: usize,
    what: &'static str,
    signer: Option<Result<Address, String>>,
}

impl Claim {
    fn signed(
        participant: usize,
        what: &'static str,
        signature: &Signature,
        digest: &[u8; 32],
    ) -> Self {
        let signer = signature.signer(digest).map_err(|refusal| refusal.to_string());
        Self { participant, what, signer: Some(signer) }
    }

    const fn by(participant: usize, what: &'static str) -> Self {
        Self { participant, what, signer: None }
    }

    fn valid(&self, addresses: &[Address]) -> Option<bool> {
        let signer = self.signer.as_ref()?;
        Some(signer.as_ref().ok() == addresses.get(self.participant))
    }

    fn row(&self, addresses: &[Address]) -> Vec<String> {
        let whose = words::participant(self.participant, addresses.get(self.participant));
        let verdict = match (&self.signer, self.valid(addresses)) {
            (_, Some(true)) => "signed by it".to_owned(),
            (Some(Ok(signer)), _) => format!("NOT its signature; {signer} fits"),
            (Some(Err(refusal)), _) => format!("NOT a signature: {refusal}"),
            (None, _) => String::new(),
        };
        vec![whose, self.what.to_owned(), verdict]
    }

    fn datum(&self, addresses: &[Address]) -> Datum {
        let signer = self.signer.as_ref().and_then(|signer| signer.as_ref().ok());
        Datum::Record(vec![
            ("participant", self.participant.into()),
            ("what", self.what.into()),
            ("signer", signer.map(ToString::to_string).into()),
            ("valid", self.valid(addresses).into()),
        ])
    }
}
