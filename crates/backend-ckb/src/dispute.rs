//! Leaving a channel by the rules: register, conclude, withdraw, close at once, and end a funding.
//!
//! A [`Job`] is one step of one channel; [`draft`] puts any number of them into one transaction,
//! payouts of one lock in one place. It signs nothing and sends nothing, and it does not decide
//! which step is right; the verdict does, before anything is sent. The invariant: job number i is
//! input number i, where its evidence is.

use crate::Error;
use crate::channel::{Contract, LiveChannel, mark};
use crate::deployment::Deployment;
use crate::money::{Made, add, capacity_of, sum};
use crate::payout::Payouts;
use crate::tx::{Draft, Spend};
use ckb_types::bytes::Bytes;
use perun_channel::adjudicator::{
    Action, ChannelCell, Code, Decision, Due, MIN_CHANNEL_CAPACITY, Phase, Row, Slot, StateBody,
    settlement_dues,
};
use perun_channel::codec::Encode;
use perun_channel::{Signature, SignedState, State};

/// The top byte of a `since` that waits relative to the cell, by median time in seconds.
const RELATIVE_SECONDS: u64 = 0xc0 << 56;

/// One step of one channel.
#[derive(Clone, Debug)]
pub struct Job {
    /// What was agreed.
    pub contract: Contract,
    /// The channel's cells.
    pub live: LiveChannel,
    /// What happens to it.
    pub step: Step,
}

/// What happens to a channel.
#[derive(Clone, Debug)]
pub enum Step {
    /// A dispute starts, or continues with a newer state.
    Register {
        /// The state.
        state: State,
        /// Whose right to register is used.
        slot: Slot,
        /// From [`registration_signatures`].
        signatures: Vec<Signature>,
    },
    /// The registered state is paid, after the challenge. `unpaid` marks token rows left for later.
    Conclude {
        /// The registered state.
        state: State,
        /// Rows left, as a bitmap.
        unpaid: u32,
        /// How the state's swap ends on this chain; none if it has no legs here.
        decision: Option<Decision>,
    },
    /// Rows that were left are paid.
    Withdraw {
        /// The concluded state.
        state: State,
        /// Rows still left, as a bitmap.
        unpaid: u32,
    },
    /// A final state is paid at once.
    CloseFinal {
        /// The state with everybody's signature.
        signed: SignedState,
        /// Rows left, as a bitmap.
        unpaid: u32,
    },
    /// Further participants deposit into a channel that is being funded.
    Fund {
        /// The state of version 0.
        state: State,
        /// The participants who have deposited afterwards, as a bitmap.
        marks: u32,
    },
    /// The deposits of a channel that was not funded in time are returned.
    AbortFunding {
        /// The state of version 0.
        state: State,
    },
}

/// The signatures of a registration. `signed` carries everybody's over the state, of which the
/// slot's participant's is replaced by the `registration`; nothing if the state is version 0 and
/// unsigned.
pub fn registration_signatures(
    signed: Option<&SignedState>,
    slot: Slot,
    registration: Signature,
) -> Vec<Signature> {
    let Some(signed) = signed else { return vec![registration] };
    let mut signatures = signed.signatures().to_vec();
    if let Some(own) = signatures.get_mut(usize::from(slot.participant)) {
        *own = registration;
    }
    signatures
}

/// One transaction for all these steps, without fee and change.
pub fn draft(jobs: &[Job], deployment: &Deployment) -> Result<Draft, Error> {
    let mut draft = Draft::default();
    draft.depend_on_channels(deployment, true);
    let mut payouts = Payouts::default();
    for (input, job) in jobs.iter().enumerate() {
        let action = job.action().to_bytes();
        draft.witness(input).input_type = Some(action);
        draft.spends.push(Spend { cell: job.live.cell().clone(), since: job.since() });
        draft.reached = draft.reached.max(job.expired()?);
    }
    for job in jobs {
        job.settle(&mut draft, &mut payouts, deployment)?;
    }
    draft.makes.extend(payouts.cells(deployment)?);
    Ok(draft)
}

impl Job {
    fn since(&self) -> u64 {
        match self.step {
            Step::Conclude { .. } | Step::AbortFunding { .. } => {
                RELATIVE_SECONDS | self.contract.setup().params().challenge_secs()
            }
            _ => 0,
        }
    }

    /// The time that the chain's clock must have reached before legs of a swap may lapse.
    fn expired(&self) -> Result<Option<u64>, Error> {
        match &self.step {
            Step::Conclude { state, decision: Some(Decision::Refund), .. } => {
                Ok(self.contract.setup().expiry(state)?)
            }
            _ => Ok(None),
        }
    }

    fn action(&self) -> Action {
        let setup = self.contract.setup().clone();
        match &self.step {
            Step::Register { state, slot, signatures } => Action::Register {
                setup,
                body: StateBody::of(state),
                slot: *slot,
                signatures: signatures.clone(),
            },
            Step::Conclude { state, decision, .. } => {
                Action::Conclude { setup, body: StateBody::of(state), decision: *decision }
            }
            Step::Withdraw { state, .. } => Action::Withdraw { setup, body: StateBody::of(state) },
            Step::CloseFinal { signed, .. } => Action::CloseFinal {
                setup,
                body: StateBody::of(signed.state()),
                signatures: signed.signatures().to_vec(),
            },
            Step::Fund { state, .. } => Action::Fund { setup, body: StateBody::of(state) },
            Step::AbortFunding { state } => {
                Action::AbortFunding { setup, body: StateBody::of(state) }
            }
        }
    }

    fn settle(
        &self,
        draft: &mut Draft,
        payouts: &mut Payouts,
        deployment: &Deployment,
    ) -> Result<(), Error> {
        match &self.step {
            Step::Register { state, slot, .. } => {
                let old = self.live.contents();
                let used = if old.phase == Phase::Disputed { old.marks } else { 0 };
                let marks = used | mark(usize::from(slot.number()));
                let capacity = capacity_of(&self.live.cell().output);
                let contents = self.contents(Phase::Disputed, marks, state);
                draft.makes.push(channel_cell(&contents, capacity, deployment));
                Ok(())
            }
            Step::Conclude { state, unpaid, decision } => {
                let claimed = matches!(decision, Some(Decision::Claim(_)));
                self.pay((state, claimed), None, *unpaid, draft, payouts, deployment)
            }
            Step::CloseFinal { signed, unpaid } => {
                self.pay((signed.state(), false), None, *unpaid, draft, payouts, deployment)
            }
            Step::Withdraw { state, unpaid } => {
                let ChannelCell { marks, claimed, .. } = self.live.contents();
                self.pay((state, *claimed), Some(*marks), *unpaid, draft, payouts, deployment)
            }
            Step::Fund { state, marks } => self.fund(state, *marks, draft, deployment),
            Step::AbortFunding { state } => self.abort(state, payouts),
        }
    }

    /// Spends the vaults of the rows that are paid now, and notes what everybody is owed: the
    /// state, with the legs of its swap on this chain moved if they are `claimed`.
    fn pay(
        &self,
        (state, claimed): (&State, bool),
        before: Option<u32>,
        unpaid: u32,
        draft: &mut Draft,
        payouts: &mut Payouts,
        deployment: &Deployment,
    ) -> Result<(), Error> {
        let setup = self.contract.setup();
        let payable = before.unwrap_or(setup.token_mask()) & !unpaid;
        for (row, token, _) in self.contract.token_rows() {
            if payable & mark(row) != 0 {
                draft.spends.push(Spend::now(self.live.vault(row)?.clone()));
                draft.depend_on(&deployment.token(&token)?.deps);
            }
        }
        if unpaid != 0 {
            let phase = Phase::Concluded;
            let rest = ChannelCell { claimed, ..self.contents(phase, unpaid, state) };
            draft.makes.push(channel_cell(&rest, MIN_CHANNEL_CAPACITY, deployment));
        }
        let outcome = setup.outcome(state, claimed)?;
        let dues = settlement_dues(setup, &outcome, before, unpaid)?;
        let owed = self.contract.payouts().iter().zip(&dues);
        owed.into_iter().try_for_each(|(lock, due)| payouts.add(lock, due))
    }

    fn fund(
        &self,
        state: &State,
        marks: u32,
        draft: &mut Draft,
        deployment: &Deployment,
    ) -> Result<(), Error> {
        draft.makes.push(funded_cell(&self.contract, state, marks, deployment)?);
        Ok(())
    }

    fn abort(&self, state: &State, payouts: &mut Payouts) -> Result<(), Error> {
        let marks = self.live.contents().marks;
        for (index, lock) in self.contract.payouts().iter().enumerate() {
            if marks & mark(index) != 0 {
                let (capacity, tokens) = (deposit(&self.contract, state, index)?, Vec::new());
                payouts.add(lock, &Due { capacity, tokens })?;
            }
        }
        Ok(())
    }

    fn contents(&self, phase: Phase, marks: u32, state: &State) -> ChannelCell {
        ChannelCell {
            phase,
            marks,
            id: self.contract.id(),
            state_hash: state.hash(),
            version: state.version(),
            claimed: false,
        }
    }
}

/// A channel cell with these contents.
pub(crate) fn channel_cell(contents: &ChannelCell, capacity: u64, deployment: &Deployment) -> Made {
    let lock = deployment.vault_lock_script(&contents.id);
    let data = Bytes::from(contents.to_data());
    Made::typed(lock, deployment.channel_type_script(), capacity, data)
}

/// The capacity that one participant deposits: its coins and its reserve.
pub(crate) fn deposit(contract: &Contract, state: &State, index: usize) -> Result<u64, Error> {
    let setup = contract.setup();
    let coin = setup.rows().iter().position(|row| row.asset.is_ckb_coin());
    let coins = coin.and_then(|row| state.outcome().balance(row, index)).map_or(0, |it| it.get());
    let reserve = setup.identities().get(index).map_or(0, |identity| identity.reserve);
    add(u64::try_from(coins).map_err(|_| Error::Amount)?, reserve)
}

/// The channel cell when the marked participants have deposited.
pub(crate) fn funded_cell(
    contract: &Contract,
    state: &State,
    marks: u32,
    deployment: &Deployment,
) -> Result<Made, Error> {
    let count = contract.setup().identities().len();
    let everyone = (0..count).fold(0, |all, index| all | mark(index));
    let complete = marks == everyone;
    let depositors = (0..count).filter(|index| marks & mark(*index) != 0);
    let deposits =
        depositors.map(|index| deposit(contract, state, index)).collect::<Result<Vec<_>, _>>()?;
    let capacity = sum(deposits)?.checked_sub(contract.vault_capacities()?);
    // What the first depositors bring does not even hold the cells.
    let capacity = capacity.ok_or(Error::Verdict(Code::ChannelCapacity))?;
    let contents = ChannelCell {
        phase: if complete { Phase::Open } else { Phase::Funding },
        marks: if complete { 0 } else { marks },
        id: contract.id(),
        state_hash: state.hash(),
        version: state.version(),
        claimed: false,
    };
    Ok(channel_cell(&contents, capacity, deployment))
}

/// The vaults of a whole channel, in the order of their rows.
pub(crate) fn vault_cells(
    contract: &Contract,
    deployment: &Deployment,
) -> Result<Vec<Made>, Error> {
    let lock = deployment.vault_lock_script(&contract.id());
    let vault = |(_, token, terms): (usize, [u8; 32], &Row)| {
        let kind = deployment.token(&token)?.script.clone();
        Ok(Made::token(lock.clone(), kind, terms.vault_capacity, terms.total.get()))
    };
    contract.token_rows().map(vault).collect()
}
