//! Healthy transactions: every action, alone or beside others, with the truth that the oracle
//! needs.

use std::collections::BTreeSet;

use ckb_types::packed::Script;
use perun_channel::State;
use perun_channel::adjudicator::{Action, Decision, Phase, Slot, SlotKind};

use crate::oracle::{Due, Oracle, dues, lapse};
use crate::{
    At, CKB, CellSketch, Channel, ConsentKind, Draft, Evidence, Sketch, Terms, Trial,
    absolute_seconds, lock_named, relative_seconds,
};

/// The network fee of healthy transactions.
pub const FEE: u64 = 10_000;

/// The own slot of a participant.
#[must_use]
pub const fn own(participant: u8) -> Slot {
    Slot { participant, kind: SlotKind::Own }
}

/// The delegate's slot of a participant.
#[must_use]
pub const fn delegate(participant: u8) -> Slot {
    Slot { participant, kind: SlotKind::Delegate }
}

/// The marks that used slots leave.
#[must_use]
pub fn used(slots: &[Slot]) -> u32 {
    slots.iter().map(|slot| 1 << slot.number()).sum()
}

/// Where a channel stands when a transaction finds it.
#[derive(Clone, Debug)]
pub struct Stands {
    /// Its phase.
    pub phase: Phase,
    /// Its marks.
    pub marks: u32,
    /// Its stored state.
    pub state: State,
    /// Whether its swap was claimed when it concluded.
    pub claimed: bool,
}

impl Stands {
    /// Open with version 0.
    #[must_use]
    pub fn open(channel: &Channel) -> Self {
        Self { phase: Phase::Open, marks: 0, state: channel.initial(), claimed: false }
    }

    /// Disputed with a state, these slots used.
    #[must_use]
    pub fn disputed(state: &State, slots: &[Slot]) -> Self {
        Self { phase: Phase::Disputed, marks: used(slots), state: state.clone(), claimed: false }
    }

    /// Concluded with these rows unpaid.
    #[must_use]
    pub fn concluded(state: &State, marks: u32) -> Self {
        Self { phase: Phase::Concluded, marks, state: state.clone(), claimed: false }
    }

    /// The same after a claim.
    #[must_use]
    pub fn claimed(state: &State, marks: u32) -> Self {
        Self { claimed: true, ..Self::concluded(state, marks) }
    }

    /// Funded by these participants.
    #[must_use]
    pub fn funding(channel: &Channel, marks: u32) -> Self {
        Self { phase: Phase::Funding, marks, state: channel.initial(), claimed: false }
    }
}

/// A healthy transaction in the making, and the truth about it.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The transaction.
    pub draft: Draft,
    /// The truth.
    pub oracle: Oracle,
    /// Other evidence that exists: what an attacker could put in the place of what is there.
    pub drawer: Vec<Action>,
}

impl Story {
    /// Opens a channel; all deposits are in, or those of the participants marked.
    pub fn create(&mut self, terms: &Terms, deposited: Option<u32>) -> Channel {
        if self.draft.inputs.is_empty() {
            // Not a payee: what a payee's lock puts in counts against what the transaction pays it.
            self.draft.spend(CellSketch::plain(5_000 * CKB, lock_named("depositor")), 0);
        }
        let output = self.draft.outputs.len();
        let channel = terms.channel(&self.draft.inputs[0].bytes(), output);
        let everybody = u32::MAX >> (32 - channel.parties());
        let (phase, marks) = match deposited {
            Some(marks) if marks != everybody => (Phase::Funding, marks),
            _ => (Phase::Open, 0),
        };
        self.draft.make(channel.cell(phase, marks, &channel.initial()));
        let deposited = deposited.unwrap_or(everybody);
        self.deposit(&channel, 0, deposited);
        let (setup, body) = (channel.setup.clone(), Channel::body(&channel.initial()));
        self.draft.act(At::Made(output), Action::Create { setup, body });
        self.know(&channel, &[]);
        channel
    }

    /// Makes the vaults for deposits that grow from `before` to `after`, out of the depositors'
    /// tokens.
    fn deposit(&mut self, channel: &Channel, before: u32, after: u32) {
        for (token, vault) in channel.tokens.iter().zip(channel.vaults(after)) {
            for (index, party) in channel.parties.iter().enumerate() {
                let amount = channel.opening[index];
                if (after & !before) >> index & 1 == 1 && amount != 0 {
                    let (lock, token) = (party.owner.clone(), token.clone());
                    self.draft.spend(CellSketch::token(300 * CKB, lock, token, amount), 0);
                }
            }
            self.draft.make(vault);
        }
    }

    /// Spends a channel cell.
    pub fn spend(&mut self, channel: &Channel, stands: &Stands, since: u64) -> usize {
        self.know(channel, &[&stands.state]);
        let cell = match stands.claimed {
            true => channel.claimed_cell(stands.marks, &stands.state),
            false => channel.cell(stands.phase, stands.marks, &stands.state),
        };
        self.draft.spend(cell, since)
    }

    fn know(&mut self, channel: &Channel, states: &[&State]) {
        if !self.oracle.channels.iter().any(|known| known.id() == channel.id()) {
            self.oracle.channels.push(channel.clone());
            self.oracle.signed.push(channel.initial());
        }
        for state in states {
            if !self.oracle.signed.contains(state) {
                self.oracle.signed.push((*state).clone());
            }
        }
    }

    /// Adds deposits.
    pub fn fund(&mut self, channel: &Channel, before: u32, after: u32) {
        let input = self.spend(channel, &Stands::funding(channel, before), 0);
        for vault in channel.vaults(before) {
            self.draft.spend(vault, 0);
        }
        let everybody = u32::MAX >> (32 - channel.parties());
        let (phase, marks) =
            if after == everybody { (Phase::Open, 0) } else { (Phase::Funding, after) };
        self.draft.make(channel.cell(phase, marks, &channel.initial()));
        self.deposit(channel, before, after);
        let (setup, body) = (channel.setup.clone(), Channel::body(&channel.initial()));
        self.draft.act(At::Spent(input), Action::Fund { setup, body });
    }

    /// Returns deposits.
    pub fn abort(&mut self, channel: &Channel, deposited: u32) {
        let since = relative_seconds(channel.setup.params().challenge_secs());
        let input = self.spend(channel, &Stands::funding(channel, deposited), since);
        for vault in channel.vaults(deposited) {
            self.draft.spend(vault, 0);
        }
        let mut back = dues(channel, (&channel.initial(), false), None, 0);
        for (index, due) in back.iter_mut().enumerate() {
            if deposited >> index & 1 == 0 {
                *due = Due::default();
            }
        }
        self.draft.pay(channel, &back);
        let (setup, body) = (channel.setup.clone(), Channel::body(&channel.initial()));
        self.draft.act(At::Spent(input), Action::AbortFunding { setup, body });
    }

    /// Registers a state through a slot.
    pub fn register(&mut self, channel: &Channel, stands: &Stands, state: &State, slot: Slot) {
        let input = self.spend(channel, stands, 0);
        self.know(channel, &[state]);
        let marks = if stands.phase == Phase::Disputed { stands.marks } else { 0 };
        self.draft.make(channel.cell(Phase::Disputed, marks | used(&[slot]), state));
        let signatures = if stands.phase == Phase::Open && state.version().get() == 0 {
            vec![channel.sign_registration(state, slot)[usize::from(slot.participant)]]
        } else {
            channel.sign_registration(state, slot)
        };
        let (setup, body) = (channel.setup.clone(), Channel::body(state));
        self.draft.act(At::Spent(input), Action::Register { setup, body, slot, signatures });
        self.oracle.registrations.push((state.hash(), slot));
    }

    /// Evidence that somebody kept: a state with all signatures, registrable through this slot.
    pub fn keep(&mut self, channel: &Channel, state: &State, slot: Slot) {
        self.know(channel, &[state]);
        let (setup, body) = (channel.setup.clone(), Channel::body(state));
        let signatures = channel.sign_registration(state, slot);
        self.oracle.registrations.push((state.hash(), slot));
        self.drawer.push(Action::Register { setup, body, slot, signatures });
    }

    /// Pays the registered state; these token rows stay unpaid.
    pub fn conclude(&mut self, channel: &Channel, stands: &Stands, unpaid: u32) {
        self.decide(channel, stands, unpaid, None);
    }

    /// Pays the registered state, whose swap ends like this here. The submitter's input proves the
    /// time of a refund.
    pub fn decide(
        &mut self,
        channel: &Channel,
        stands: &Stands,
        unpaid: u32,
        decision: Option<Decision>,
    ) {
        let since = relative_seconds(channel.setup.params().challenge_secs());
        let input = self.spend(channel, stands, since);
        let claimed = matches!(decision, Some(Decision::Claim(_)));
        if let (Some(Decision::Refund), Some(time)) = (decision, lapse(channel, &stands.state)) {
            self.draft.clock = self.draft.clock.max(absolute_seconds(time));
        }
        self.settle(channel, (&stands.state, claimed), None, unpaid);
        let (setup, body) = (channel.setup.clone(), Channel::body(&stands.state));
        self.draft.act(At::Spent(input), Action::Conclude { setup, body, decision });
    }

    /// Pays rows that were left unpaid.
    pub fn withdraw(&mut self, channel: &Channel, stands: &Stands, unpaid: u32) {
        let input = self.spend(channel, stands, 0);
        let paid = (&stands.state, stands.claimed);
        self.settle(channel, paid, Some(stands.marks), unpaid);
        let (setup, body) = (channel.setup.clone(), Channel::body(&stands.state));
        self.draft.act(At::Spent(input), Action::Withdraw { setup, body });
    }

    /// Pays a final state at once.
    pub fn close(&mut self, channel: &Channel, stands: &Stands, last: &State, unpaid: u32) {
        let input = self.spend(channel, stands, 0);
        self.know(channel, &[last]);
        self.settle(channel, (last, false), None, unpaid);
        let (setup, body) = (channel.setup.clone(), Channel::body(last));
        let signatures = channel.sign(last);
        self.draft.act(At::Spent(input), Action::CloseFinal { setup, body, signatures });
    }

    fn settle(
        &mut self,
        channel: &Channel,
        (state, claimed): (&State, bool),
        before: Option<u32>,
        unpaid: u32,
    ) {
        if unpaid != 0 {
            self.draft.make(match claimed {
                true => channel.claimed_cell(unpaid, state),
                false => channel.cell(Phase::Concluded, unpaid, state),
            });
        }
        let vaults = channel.token_rows().into_iter().zip(channel.vaults(u32::MAX));
        for (row, vault) in vaults {
            let payable = before.is_none_or(|marks| marks >> row & 1 == 1);
            if payable && unpaid >> row & 1 == 0 {
                self.draft.spend(vault, 0);
            }
        }
        self.draft.pay(channel, &dues(channel, (state, claimed), before, unpaid));
    }

    /// Spends a channel with everybody's consent; pays nobody.
    pub fn agree(&mut self, channel: &Channel, stands: &Stands, kinds: &[ConsentKind]) {
        let input = self.spend(channel, stands, 0);
        for vault in channel.vaults(u32::MAX) {
            self.draft.spend(vault, 0);
        }
        let evidence = Evidence::Consents(Box::new(channel.clone()), kinds.to_vec());
        self.draft.acts.push(crate::Act { at: At::Spent(input), evidence });
    }

    /// Pays everybody what a state says, as a cooperative spend would.
    pub fn pay_out(&mut self, channel: &Channel, state: &State) {
        self.draft.pay(channel, &dues(channel, (state, false), None, 0));
    }

    /// A stranger submits it and pays the fee.
    #[must_use]
    pub fn submitted(mut self) -> Self {
        self.draft.submit("submitter", FEE);
        self
    }

    /// Adds a cell of somebody's to the inputs.
    pub fn add_input(&mut self, capacity: u64, lock: &Script) -> usize {
        self.draft.spend(CellSketch::plain(capacity, lock.clone()), 0)
    }

    /// The sealed transaction. Whoever is asked to consent in it has consented to it.
    #[must_use]
    pub fn seal(&mut self) -> Sketch {
        let sketch = self.draft.seal();
        self.oracle.agreed = BTreeSet::from([sketch.hash()]);
        sketch
    }

    /// Both verdicts; an accepted transaction must not wrong anybody.
    pub fn trial(&mut self) -> Trial {
        let sketch = self.seal();
        let trial = sketch.trial();
        if trial.verdict.is_ok() {
            let review = self.oracle.review(&sketch);
            assert_eq!(review, Ok(()), "accepted, and yet");
        }
        trial
    }
}

/// A lock that is nobody's in the channel.
#[must_use]
pub fn stranger() -> Script {
    lock_named("stranger")
}
