//! A ledger that fails at one step of a transaction of both sides, so that its node falls silent
//! there, or says what is not true.
#![allow(dead_code, reason = "each story uses its part")]

use perun_channel::{Address, Participant, State};
use perun_node::{
    AnyLedger, CkbLedger, JointAssembly, JointLedger, JointOffer, Ledger, LedgerError, OpenRequest,
    Signer,
};
use perun_protocol::{Changes, LedgerBytes, Plan, Target, Terms, Transaction, Witness};

use crate::common::{Pair, Party, World};

/// Where the node falls silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Before it releases its part.
    Witness,
    /// Before it submits the transaction.
    Submit,
    /// Never, but what it releases for a resize is signed with nothing.
    Forge,
}

/// The usual ledger, but for one step.
pub(crate) struct Mute {
    inner: CkbLedger,
    at: Step,
}

impl Mute {
    pub(crate) fn of(party: &Party, world: &World, at: Step) -> AnyLedger {
        AnyLedger::joint(Self { inner: party.ledger(world), at })
    }

    fn check(&self, step: Step) -> Result<(), LedgerError> {
        if self.at == step { Err(LedgerError::Unavailable("silence".into())) } else { Ok(()) }
    }
}

impl Pair {
    pub(crate) fn new_with_bob(at: Step) -> Self {
        Self::with_world(|world, _, bob| {
            bob.node = Some(bob.try_start(world, Mute::of(bob, world, at)).unwrap());
        })
    }

    pub(crate) fn new_with_alice(at: Step) -> Self {
        Self::with_world(|world, alice, _| {
            alice.node = Some(alice.try_start(world, Mute::of(alice, world, at)).unwrap());
        })
    }
}

impl JointLedger for Mute {
    fn witness(&mut self, joint: &Transaction, sign: Signer<'_>) -> Result<Witness, LedgerError> {
        self.check(Step::Witness)?;
        let mut witness = self.inner.witness(joint, sign)?;
        if self.at == Step::Forge && joint.consent.is_some() {
            let mut locks = witness.locks.as_bytes().to_vec();
            *locks.last_mut().unwrap() ^= 1;
            witness.locks = LedgerBytes::new(locks).unwrap();
        }
        Ok(witness)
    }
    fn submit_assembly(
        &mut self,
        joint: &Transaction,
        theirs: &Witness,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        self.check(Step::Submit)?;
        self.inner.submit_assembly(joint, theirs, sign)
    }
    fn offer(
        &mut self,
        session: Address,
        request: &OpenRequest,
    ) -> Result<JointOffer, LedgerError> {
        self.inner.offer(session, request)
    }
    fn answer(
        &mut self,
        session: Address,
        terms: &Terms,
    ) -> Result<(Participant, LedgerBytes), LedgerError> {
        self.inner.answer(session, terms)
    }
    fn resize_offer(
        &mut self,
        target: &Target,
        state: &State,
        changes: &Changes,
    ) -> Result<(LedgerBytes, LedgerBytes), LedgerError> {
        self.inner.resize_offer(target, state, changes)
    }
    fn resize_answer(
        &mut self,
        target: &Target,
        state: &State,
        changes: &Changes,
    ) -> Result<LedgerBytes, LedgerError> {
        self.inner.resize_answer(target, state, changes)
    }
    fn assemble(
        &mut self,
        plan: &Plan,
        ended: Option<State>,
    ) -> Result<JointAssembly, LedgerError> {
        self.inner.assemble(plan, ended)
    }
    fn check_witness(
        &mut self,
        joint: &Transaction,
        witness: &Witness,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        self.inner.check_witness(joint, witness, sign)
    }
    fn abort_open(&mut self, joint: &Transaction) -> Result<(), LedgerError> {
        self.inner.abort_open(joint)
    }
}

impl Ledger for Mute {
    perun_node::forward_ledger! {
        id release_funds watch unwatch unread close register conclude withdraw sync clock
    }
}
