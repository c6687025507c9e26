//! Transactions of both sides: openings and resizes.

use ckb_types::packed::OutPoint;
use ckb_types::prelude::*;
use perun_backend_ckb::channel::LiveChannel;
use perun_backend_ckb::fees::{Fee, RateBounds};
use perun_backend_ckb::open::{
    Checked, Completed, Contribution, Ending, Offer, Terms as JointTerms, abort_open, contribute,
    default_reserves,
};
use perun_backend_ckb::rpc::{RpcError, TransactionStatus, View};
use perun_backend_ckb::wallet::{LockWitness, fill, sign_inputs};
use perun_channel::adjudicator::CkbParticipant;
use perun_channel::codec::{Decode, Encode, Reader, put_length};
use perun_channel::{Address, Participant, Signature, State};
use perun_protocol::{
    Changes, Digest, LedgerBytes, Plan, Target, Terms, Transaction, TransactionId, Witness,
};

use super::anchor::Anchor;
use super::blueprint::{Blueprint, channel_terms};
use super::{CkbLedger, ledger_bytes, refused};
use crate::{JointAssembly, JointOffer, Ledger, LedgerError, OpenRequest, Signer};

/// The most lock witnesses of one side.
const WITNESSES_MAX: usize = 16;

impl CkbLedger {
    pub(super) fn make_offer(
        &mut self,
        session: Address,
        request: &OpenRequest,
    ) -> Result<JointOffer, LedgerError> {
        let OpenRequest { challenge_secs, outcome } = request.clone();
        // The peer's address is not known yet, and what we contribute does not depend on it.
        let channel = channel_terms(challenge_secs, &outcome, [session, Address::ZERO]);
        let joint = JointTerms { channels: vec![channel], ends: Vec::new() };
        let reserves = self.reserves(&outcome)?;
        let (ours, contribution) = self.contribute(&joint, 0, reserves)?;
        let participant = identity(session, &ours)?;
        Ok(JointOffer { participant, chain: LedgerBytes::default(), contribution })
    }

    pub(super) fn make_answer(
        &mut self,
        session: Address,
        terms: &Terms,
    ) -> Result<(Participant, LedgerBytes), LedgerError> {
        let addresses = [*terms.proposer.address(), session];
        let channel = channel_terms(terms.challenge_secs, &terms.outcome, addresses);
        let joint = JointTerms { channels: vec![channel], ends: Vec::new() };
        let reserves = self.reserves(&terms.outcome)?;
        let (contribution, bytes) = self.contribute(&joint, 1, reserves)?;
        Ok((identity(session, &contribution)?, bytes))
    }

    pub(super) fn contribute_to_resize(
        &mut self,
        target: &Target,
        state: &State,
        changes: &Changes,
    ) -> Result<LedgerBytes, LedgerError> {
        let contract = Anchor::of(target)?.contract;
        let outcome = changes
            .outcome(state.outcome())
            .map_err(|error| LedgerError::Refused(error.to_string()))?;
        let mut addresses = target.params.participants().iter().map(|one| *one.address());
        let addresses = match (addresses.next(), addresses.next()) {
            (Some(one), Some(other)) => [one, other],
            _ => return Err(LedgerError::Malformed("parameters")),
        };
        let live = LiveChannel::find(self.rpc.as_ref(), &self.deployment, &contract);
        let joint = JointTerms {
            channels: vec![channel_terms(target.params.challenge_secs(), &outcome, addresses)],
            ends: vec![Ending {
                contract: contract.clone(),
                live: live.map_err(refused)?,
                state: state.clone(),
                parties: vec![0, 1],
            }],
        };
        let own = target.index.column();
        // The participants stay as they are, so their reserves do.
        let reserve = contract.setup().identities().get(own).map(|identity| identity.reserve);
        let reserve = reserve.ok_or(LedgerError::Malformed("setup"))?;
        // What we bring is the change alone: it stays right when the channel pays on.
        Ok(self.contribute(&joint, own, vec![reserve])?.1)
    }

    pub(super) fn assemble_plan(
        &mut self,
        plan: &Plan,
        ended: Option<State>,
    ) -> Result<JointAssembly, LedgerError> {
        let place = plan.ledgers.position(self.id()).ok_or(LedgerError::Malformed("plan"))?;
        let blueprint = Blueprint::of(plan, place, ended)?;
        let checked = blueprint.checked(self.rpc.as_ref(), &self.deployment)?;
        let assembly = checked.assembly();
        let opened = assembly.channels().first().ok_or(LedgerError::Malformed("plan"))?;
        let channel = opened.contract.id();
        let contribution = ledger_bytes(blueprint.ours().to_bytes(), "contribution")?;
        // After a restart nobody else has promised these cells.
        self.promise(contribution.as_bytes(), &places(blueprint.ours()))?;
        self.openings.insert(channel, contribution);
        let consent = checked.consent_digest(&self.deployment);
        let inputs = assembly.tx().input_pts_iter().collect();
        let anchor = Anchor { contract: opened.contract.clone(), inputs };
        Ok(JointAssembly {
            params: opened.contract.setup().params().clone(),
            setup: ledger_bytes(anchor.to_bytes(), "setup")?,
            initial: opened.state.clone(),
            transaction: Transaction {
                ledger: self.id(),
                channel,
                id: TransactionId::new(assembly.hash()),
                abort: ledger_bytes(blueprint.to_bytes(), "blueprint")?,
                consent: blueprint.predecessor.is_some().then(|| Digest::new(consent)),
            },
        })
    }

    pub(super) fn our_witness(
        &mut self,
        joint: &Transaction,
        sign: Signer<'_>,
    ) -> Result<Witness, LedgerError> {
        let (_, checked) = self.rebuild(joint)?;
        self.sign_joint(joint, &checked, sign)
    }

    /// Puts both parts together and judges the whole in this process. The node sees none of it,
    /// for the machine may still give the transaction up, and a node that kept it could commit it
    /// all the same. A lock witness that only the lock's own script can tell to be bad is found
    /// when the transaction is submitted; the machine's way out is then that of any transaction
    /// that was released and does not commit.
    pub(super) fn check_joint(
        &mut self,
        joint: &Transaction,
        theirs: &Witness,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        let (blueprint, checked) = self.rebuild(joint)?;
        let ours = self.sign_joint(joint, &checked, sign)?;
        let Parts { locks, consents } = Parts::of(&blueprint, &ours, theirs)?;
        let complete = checked.complete(&self.deployment, &locks, &consents).map_err(refused)?;
        // Its cycles are known when it is run; its length is, and a peer that pays too little for
        // its part must not have our release.
        complete.pays(0, RateBounds::default().min).map_err(refused)
    }

    /// The complete transaction, run by the node: only after the machine has recorded our release.
    fn dry_run(
        &mut self,
        joint: &Transaction,
        theirs: &Witness,
        sign: Signer<'_>,
    ) -> Result<Completed, LedgerError> {
        let (blueprint, checked) = self.rebuild(joint)?;
        let ours = self.sign_joint(joint, &checked, sign)?;
        let Parts { locks, consents } = Parts::of(&blueprint, &ours, theirs)?;
        let rate = RateBounds::default().min;
        checked
            .dry_run(self.rpc.as_ref(), &self.deployment, &locks, &consents, rate)
            .map_err(refused)
    }

    pub(super) fn submit_joint(
        &mut self,
        joint: &Transaction,
        theirs: &Witness,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        if self.is_known(joint)? {
            return Ok(());
        }
        let completed = self.dry_run(joint, theirs, sign)?;
        match self.rpc.send_transaction(&completed.spent.tx) {
            Ok(_) | Err(RpcError::Duplicate) => Ok(()),
            Err(error) => Err(refused(error.into())),
        }
    }

    pub(super) fn abort_joint(&mut self, joint: &Transaction) -> Result<(), LedgerError> {
        let blueprint = blueprint_of(joint)?;
        let mut cells = Vec::new();
        for input in &blueprint.ours().inputs {
            let cell = self.rpc.live_cell(&input.out_point, View::Chain);
            cells.extend(cell.map_err(|error| refused(error.into()))?);
        }
        let lookup = self.rpc.transaction(&joint.id.as_bytes().pack());
        let lookup = lookup.map_err(|error| refused(error.into()))?;
        let rate = RateBounds::default().ask(self.rpc.as_ref()).map_err(refused)?;
        let floor = lookup.replace_fee_min.unwrap_or(0);
        let replaces = (floor != 0).then_some(blueprint.fee());
        let fee = Fee { floor, replaces, cap: self.options.fee_cap, ..Fee::rate(rate) };
        let built = abort_open(&self.deployment, &self.owner, &cells, &fee).map_err(refused)?;
        built.spent.prove(self.rpc.as_ref()).map_err(refused)?;
        let locks = sign_inputs(self.wallet.as_ref(), &built.spent).map_err(refused)?;
        let tx = fill(&built.spent.tx, &locks).map_err(refused)?;
        match self.rpc.send_transaction(&tx) {
            Ok(_) | Err(RpcError::Duplicate) => Ok(()),
            Err(error) => Err(refused(error.into())),
        }
    }

    fn reserves(&self, outcome: &perun_channel::Allocation) -> Result<Vec<u64>, LedgerError> {
        let payouts = [self.payout(), self.payout()];
        let reserves = default_reserves(&self.deployment, outcome.assets(), &payouts);
        reserves.map(|all| all.into_iter().take(1).collect()).map_err(refused)
    }

    fn contribute(
        &mut self,
        terms: &JointTerms,
        party: usize,
        reserves: Vec<u64>,
    ) -> Result<(Contribution, LedgerBytes), LedgerError> {
        let cells = self.purse().cells().map_err(refused)?;
        let offer = Offer {
            owner: &self.owner,
            cells: &cells,
            payout: self.payout(),
            change: self.owner.script.clone(),
            consents_by_presence: false,
            reserves,
        };
        let rate = RateBounds::default().ask(self.rpc.as_ref()).map_err(refused)?;
        let contribution =
            contribute(&self.deployment, terms, party, &offer, rate).map_err(refused)?;
        let bytes = ledger_bytes(contribution.to_bytes(), "contribution")?;
        self.promise(bytes.as_bytes(), &places(&contribution))?;
        Ok((contribution, bytes))
    }

    fn sign_joint(
        &self,
        joint: &Transaction,
        checked: &Checked,
        sign: Signer<'_>,
    ) -> Result<Witness, LedgerError> {
        let locks = checked.sign(self.wallet.as_ref()).map_err(refused)?;
        let consent = joint.consent.map(|digest| sign(digest.as_bytes()));
        let locks = ledger_bytes(write_locks(&locks), "witness")?;
        Ok(Witness { transaction: joint.id, locks, consent })
    }

    /// The transaction of an assembly, made and checked anew.
    fn rebuild(&mut self, joint: &Transaction) -> Result<(Blueprint, Checked), LedgerError> {
        let blueprint = blueprint_of(joint)?;
        let ours = ledger_bytes(blueprint.ours().to_bytes(), "contribution")?;
        self.promise(ours.as_bytes(), &places(blueprint.ours()))?;
        self.openings.insert(joint.channel, ours);
        let checked = blueprint.checked(self.rpc.as_ref(), &self.deployment)?;
        let same = checked.assembly().hash() == *joint.id.as_bytes();
        if same { Ok((blueprint, checked)) } else { Err(LedgerError::Malformed("transaction")) }
    }

    /// Whether the node has the transaction already.
    fn is_known(&self, joint: &Transaction) -> Result<bool, LedgerError> {
        let lookup = self.rpc.transaction(&joint.id.as_bytes().pack());
        let status = lookup.map_err(|error| refused(error.into()))?.status;
        use TransactionStatus::{Committed, Pending, Proposed};
        Ok(matches!(status, Pending | Proposed | Committed { .. }))
    }
}

/// The witnesses of both sides in the order of their contributions.
struct Parts {
    locks: [Vec<LockWitness>; 2],
    consents: [Option<Signature>; 2],
}

impl Parts {
    fn of(blueprint: &Blueprint, ours: &Witness, theirs: &Witness) -> Result<Self, LedgerError> {
        let [zero, one] = if blueprint.own == 0 { [ours, theirs] } else { [theirs, ours] };
        let locks = [read_locks(zero)?, read_locks(one)?];
        Ok(Self { locks, consents: [zero.consent, one.consent] })
    }
}

fn blueprint_of(joint: &Transaction) -> Result<Blueprint, LedgerError> {
    Blueprint::from_bytes(joint.abort.as_bytes()).map_err(|_| LedgerError::Malformed("blueprint"))
}

fn places(contribution: &Contribution) -> Vec<OutPoint> {
    contribution.inputs.iter().map(|input| input.out_point.clone()).collect()
}

/// Our participant: what the assembly will make of our contribution.
fn identity(session: Address, contribution: &Contribution) -> Result<Participant, LedgerError> {
    let reserve = contribution.reserves.first().copied();
    let identity = CkbParticipant {
        consents_by_presence: contribution.consents_by_presence,
        lends_fee: contribution.lends_fee,
        payout_lock: perun_backend_ckb::money::script_hash(&contribution.payout),
        owner_lock: perun_backend_ckb::money::script_hash(&contribution.owner),
        reserve: reserve.ok_or(LedgerError::Malformed("contribution"))?,
    };
    Participant::new(session, identity.to_foreign())
        .map_err(|error| LedgerError::Refused(error.to_string()))
}

fn write_locks(locks: &[LockWitness]) -> Vec<u8> {
    let mut out = Vec::new();
    put_length(&mut out, locks.len());
    locks.iter().for_each(|lock| lock.encode(&mut out));
    out
}

fn read_locks(witness: &Witness) -> Result<Vec<LockWitness>, LedgerError> {
    let malformed = |_| LedgerError::Malformed("witness");
    let mut reader = Reader::new(witness.locks.as_bytes());
    let locks = reader.list(WITNESSES_MAX).map_err(malformed)?;
    reader.finish().map_err(malformed)?;
    Ok(locks)
}
