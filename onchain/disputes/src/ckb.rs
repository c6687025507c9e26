//! The third judge: the committed scripts, run by CKB's virtual machine.
//!
//! Every step becomes the transaction that somebody would send to get it through, in time locks
//! the longest wait that the chain would admit then. The pure verdict judges each transaction too,
//! and must give the same code. What a settlement owes is what it is accepted with, and refused
//! with a unit less for anybody.

use perun_channel::adjudicator::{
    Action, ChannelCell, Code, Decision, Phase, Slot, SlotKind, registration_digest,
};
use perun_channel::codec::Encode;
use perun_channel::swap::EXPIRY_END;
use perun_channel::{MAX_CHALLENGE_SECS, State};
use perun_onchain_tests::{
    Act as OnChain, At, CellSketch, Channel, Draft, Evidence, absolute_seconds, dues, lapse,
    relative_seconds, scripts, story,
};

use crate::dispute::{Act, End, OPENING, Step};
use crate::rules::{Fault, Outcome};
use crate::scene::Scene;
use crate::{Judge, Verdict};

/// The cell of one channel, and when it was made.
pub struct Ckb<'a> {
    scene: &'a Scene,
    cell: Option<ChannelCell>,
    since: u64,
}

impl<'a> Ckb<'a> {
    /// The channel is open, with all deposits.
    #[must_use]
    pub fn new(scene: &'a Scene) -> Self {
        let cell = ChannelCell {
            phase: Phase::Open,
            marks: 0,
            id: scene.channel.id(),
            state_hash: scene.sheets[0].hash,
            version: scene.sheets[0].state.version(),
            claimed: false,
        };
        Self { scene, cell: Some(cell), since: OPENING }
    }

    fn sketch(&self, cell: &ChannelCell) -> CellSketch {
        let channel = &self.scene.channel;
        let coins: u128 = channel.coin_row().map_or(0, |row| self.scene.opening(row).iter().sum());
        let reserves: u64 = channel.parties.iter().map(|party| party.reserve).sum();
        let vaults: u64 = channel.setup.rows().iter().map(|row| row.vault_capacity).sum();
        let capacity = u64::try_from(coins).expect("real coins") + reserves - vaults;
        let (lock, kind) = (channel.lock(), Some(scripts().kind.clone()));
        CellSketch { capacity, lock, kind, data: cell.to_data() }
    }

    fn vaults(&self) -> Vec<CellSketch> {
        let channel = &self.scene.channel;
        let rows = channel.token_rows().into_iter().zip(&channel.tokens);
        let vault = |(row, token): (usize, &ckb_types::packed::Script)| {
            let capacity = channel.setup.rows()[row].vault_capacity;
            let amount = self.scene.opening(row).iter().sum();
            CellSketch::token(capacity, channel.lock(), token.clone(), amount)
        };
        rows.map(vault).collect()
    }

    fn register(&mut self, old: &ChannelCell, at: u64, paper: usize, slot: Slot) -> Verdict {
        let sheet = &self.scene.sheets[paper];
        let used = if old.phase == Phase::Disputed { old.marks } else { 0 };
        let next = ChannelCell {
            phase: Phase::Disputed,
            marks: used | 1 << slot.number(),
            id: old.id,
            state_hash: sheet.hash,
            version: sheet.state.version(),
            claimed: false,
        };
        let registrant = usize::from(slot.participant);
        let kind = &scripts().env.channel_type;
        let confirms = old.phase == Phase::Open && old.state_hash == sheet.hash;
        let signers: Vec<usize> =
            if confirms { vec![registrant] } else { (0..self.scene.dispute.parties).collect() };
        let signatures =
            self.scene.signatures(paper, &signers, |signer, state| match signer == registrant {
                true => registration_digest(kind, state.id(), &state.hash(), slot),
                false => state.digest(),
            });
        let mut draft = Draft::default();
        draft.spend(self.sketch(old), 0);
        draft.make(self.sketch(&next));
        let (setup, body) = (self.scene.channel.setup.clone(), Channel::body(&sheet.state));
        let action = Action::Register { setup, body, slot, signatures: Vec::new() };
        draft.acts.push(witness(&action, &signatures));
        draft.submit("submitter", story::FEE);
        try_draft(&draft, old)?;
        self.since = at;
        let hash = *next.state_hash.first_chunk().expect("32 bytes");
        let version = next.version.get();
        self.cell = Some(next);
        let until = at + self.scene.dispute.challenge;
        Ok(Outcome::Registered { hash, version, until })
    }

    fn conclude(&mut self, old: &ChannelCell, at: u64, paper: usize, end: End) -> Verdict {
        let state = &self.scene.sheets[paper].state;
        let channel = &self.scene.channel;
        let waits = relative_seconds((at - self.since).min(MAX_CHALLENGE_SECS));
        let lapses = self.is_shaped(state).then(|| lapse(channel, state)).flatten();
        let decision = match end {
            End::Claim => Some(Decision::Claim(self.scene.secret)),
            End::Guess => Some(Decision::Claim([7; 32])),
            End::Lapse => lapses.map(|_| Decision::Refund),
        };
        let (setup, body) = (channel.setup.clone(), Channel::body(state));
        let action = Action::Conclude { setup, body, decision };
        let clock = absolute_seconds(at.min(EXPIRY_END - 1));
        let claims = lapses.is_some() && end == End::Claim;
        self.settle(old, (waits, clock), (state, claims), &witness(&action, &[]))
    }

    fn close(&mut self, old: &ChannelCell, paper: usize) -> Verdict {
        let state = &self.scene.sheets[paper].state;
        let (setup, body) = (self.scene.channel.setup.clone(), Channel::body(state));
        let action = Action::CloseFinal { setup, body, signatures: Vec::new() };
        let all: Vec<usize> = (0..self.scene.dispute.parties).collect();
        let signatures = self.scene.signatures(paper, &all, |_, state| state.digest());
        self.settle(old, (0, 0), (state, false), &witness(&action, &signatures))
    }

    /// Whether payouts of the state can be written down at all.
    fn is_shaped(&self, state: &State) -> bool {
        let rows = self.scene.channel.setup.rows().iter().map(|row| row.total);
        let has_totals = state.outcome().totals().is_ok_and(|totals| totals.into_iter().eq(rows));
        let no_data = Vec::new();
        let body =
            State::new(*state.id(), state.version(), state.outcome().clone(), no_data, false);
        let plain = body.expect("no data");
        let shape = perun_channel::transition::check_state(self.scene.params(), &plain).is_ok();
        let sound = perun_channel::Swap::pending(state);
        let fits =
            sound.is_ok_and(|swap| swap.is_none_or(|swap| swap.fits(state.outcome()).is_ok()));
        has_totals && shape && fits && state.outcome().locked().is_empty()
    }

    fn settle(
        &mut self,
        old: &ChannelCell,
        (waits, clock): (u64, u64),
        (state, claims): (&State, bool),
        act: &OnChain,
    ) -> Verdict {
        let channel = &self.scene.channel;
        let mut draft = Draft { clock, ..Draft::default() };
        draft.spend(self.sketch(old), waits);
        self.vaults().into_iter().for_each(|vault| {
            draft.spend(vault, 0);
        });
        let made = draft.outputs.len();
        // What cannot be paid out is refused before that is looked at.
        let paid = if self.is_shaped(state) { state } else { &self.scene.sheets[0].state };
        draft.pay(channel, &dues(channel, (paid, claims), None, 0));
        let payouts = made..draft.outputs.len();
        draft.acts.push(act.clone());
        draft.submit("submitter", story::FEE);
        try_draft(&draft, old)?;
        let outcome = self.paid(&draft.outputs[payouts.clone()]);
        self.haggle(&draft, payouts, old)?;
        self.cell = None;
        Ok(outcome)
    }

    /// What everybody got, besides the reserves: coins and tokens, row by row.
    fn paid(&self, outputs: &[CellSketch]) -> Outcome {
        let channel = &self.scene.channel;
        let rows = channel.setup.rows().iter().enumerate();
        let here = rows.filter(|(row, _)| {
            channel.coin_row() == Some(*row) || channel.token_rows().contains(row)
        });
        let payouts = here.map(|(_, terms)| {
            let parties = channel.parties.iter().map(|party| {
                let theirs = outputs.iter().filter(|cell| cell.lock == party.payout);
                if terms.asset.is_ckb_coin() {
                    let capacity: u128 = theirs.map(|cell| u128::from(cell.capacity)).sum();
                    return capacity.saturating_sub(party.reserve.into());
                }
                let kind = terms.token();
                let tokens = theirs.filter(|cell| cell.kind_hash() == kind);
                tokens
                    .map(|cell| u128::from_le_bytes(cell.data[..].try_into().unwrap_or([0; 16])))
                    .sum()
            });
            parties.collect()
        });
        Outcome::Settled(payouts.collect())
    }

    /// Nobody may be given less: the same settlement, with a unit of one payee's less.
    fn haggle(
        &self,
        draft: &Draft,
        payouts: std::ops::Range<usize>,
        old: &ChannelCell,
    ) -> Result<(), (Vec<Fault>, String)> {
        let whim = usize::from(self.scene.dispute.whim >> 1);
        let victim = payouts.start + whim % payouts.len();
        let mut draft = draft.clone();
        let Some(kind) = draft.outputs[victim].kind.clone() else {
            draft.outputs[victim].capacity -= 1;
            let change = draft.outputs.last_mut().expect("the change");
            change.capacity += 1;
            return must_refuse(&draft, old);
        };
        let mut twins = payouts.filter(|place| *place != victim);
        let twin = twins.find(|place| draft.outputs[*place].kind.as_ref() == Some(&kind));
        let amount = |cell: &CellSketch| u128::from_le_bytes(cell.data[..].try_into().expect("16"));
        let less = amount(&draft.outputs[victim]) - 1;
        draft.outputs[victim].data = less.to_le_bytes().to_vec();
        if let Some(twin) = twin {
            let more = amount(&draft.outputs[twin]) + 1;
            draft.outputs[twin].data = more.to_le_bytes().to_vec();
        }
        must_refuse(&draft, old)
    }
}

fn must_refuse(draft: &Draft, old: &ChannelCell) -> Result<(), (Vec<Fault>, String)> {
    match try_draft(draft, old) {
        Err((faults, _)) if faults == [Fault::Unpaid] => Ok(()),
        other => Err((vec![Fault::Strange], format!("a unit less for a payee: {other:?}"))),
    }
}

/// The witness of the channel's cell: the action with these signatures at its end.
fn witness(action: &Action, signatures: &[Vec<u8>]) -> OnChain {
    let mut bytes = action.to_bytes();
    if matches!(action, Action::Register { .. } | Action::CloseFinal { .. }) {
        // An empty list was written: its length stands at the end.
        let mut count = Vec::new();
        perun_channel::codec::put_length(&mut count, 0);
        bytes.truncate(bytes.len() - count.len());
        perun_channel::codec::put_length(&mut bytes, signatures.len());
        signatures.iter().for_each(|one| bytes.extend_from_slice(one));
    }
    OnChain { at: At::Spent(0), evidence: Evidence::Raw(bytes) }
}

fn try_draft(draft: &Draft, old: &ChannelCell) -> Result<(), (Vec<Fault>, String)> {
    match draft.seal().verdicts() {
        Err(difference) => Err((vec![Fault::Strange], difference)),
        Ok(trial) => {
            trial.verdict.map_err(|code| (faults(code, old.phase), format!("refused: {code}")))
        }
    }
}

impl Judge for Ckb<'_> {
    fn step(&mut self, step: &Step) -> Verdict {
        let Some(old) = self.cell.clone() else {
            return Err((vec![Fault::Over], "there is no cell".to_owned()));
        };
        match step.act {
            Act::Register { paper, by, delegate } => {
                let kind = if delegate { SlotKind::Delegate } else { SlotKind::Own };
                self.register(&old, step.at, paper, Slot { participant: by, kind })
            }
            Act::Conclude { paper, end } => self.conclude(&old, step.at, paper, end),
            Act::Close { paper } => self.close(&old, paper),
        }
    }
}

/// The classes of a code; of a witness that cannot be read, nobody can tell which of its parts.
fn faults(code: Code, phase: Phase) -> Vec<Fault> {
    let one = match code {
        Code::Witness => return vec![Fault::State, Fault::Signature],
        Code::WrongAction if phase == Phase::Open => Fault::NotRegistered,
        Code::StateShape | Code::StateTotals | Code::Overflow | Code::Swap => Fault::State,
        Code::LockedUnsupported => Fault::Locked,
        Code::Signature | Code::WrongSigner | Code::SignatureCount => Fault::Signature,
        Code::NotNewer => Fault::Version,
        Code::SlotUsed | Code::DelegateStarts => Fault::Slot,
        Code::Since => Fault::Early,
        Code::StateDigest => Fault::WrongState,
        Code::NotFinal => Fault::NotFinal,
        Code::Undecided | Code::Unexpired => Fault::Pending,
        Code::NothingToDecide => Fault::NoSwap,
        Code::Preimage => Fault::Preimage,
        Code::Underpaid | Code::OtherContract => Fault::Unpaid,
        _ => Fault::Strange,
    };
    vec![one]
}
