//! A transaction under construction: cells, and the actions on its channels before they are put
//! into witnesses. Consents are signed when it is sealed, since they sign the transaction's hash.

use ckb_types::packed::Script;
use perun_channel::adjudicator::{Action, Consent, WitnessArgs, consent_digest};
use perun_channel::codec::Encode;
use perun_channel::hash::ckb_hash;
use perun_channel::sig::sign;

use crate::oracle::Due;
use crate::vm::scripts;
use crate::{CKB, CellSketch, Channel, InputSketch, Sketch, lock_named, occupied};

/// The channel cell that an action is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// A spent cell, by input.
    Spent(usize),
    /// A made cell, by output.
    Made(usize),
}

/// How one participant is to consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentKind {
    /// By a signature.
    Signature,
    /// By an input of its owner.
    Presence,
    /// By its signature for an earlier channel.
    Shared,
}

/// What goes into the witness.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// An action that does not depend on the transaction.
    Ready(Box<Action>),
    /// A cooperative spend, to be signed.
    Consents(Box<Channel>, Vec<ConsentKind>),
    /// These bytes.
    Raw(Vec<u8>),
}

/// An action and its place.
#[derive(Clone, Debug)]
pub struct Act {
    /// The cell.
    pub at: At,
    /// The evidence.
    pub evidence: Evidence,
}

/// A transaction under construction.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The inputs so far.
    pub inputs: Vec<InputSketch>,
    /// The outputs so far.
    pub outputs: Vec<CellSketch>,
    /// The actions.
    pub acts: Vec<Act>,
    /// The time lock of the submitter's input.
    pub clock: u64,
}

impl Draft {
    /// Spends a cell of a made-up transaction; gives the input's position.
    pub fn spend(&mut self, cell: CellSketch, since: u64) -> usize {
        let position = self.inputs.len();
        let index = u32::try_from(position).expect("few");
        // The name covers the cell, so that no two transactions spend different cells by one name.
        let from = ckb_hash(&[&cell.lock_hash(), &cell.data, &cell.capacity.to_le_bytes()]);
        self.inputs.push(InputSketch { since, from, index, cell });
        position
    }

    /// Makes a cell; gives the output's position.
    pub fn make(&mut self, cell: CellSketch) -> usize {
        self.outputs.push(cell);
        self.outputs.len() - 1
    }

    /// Adds an action.
    pub fn act(&mut self, at: At, action: Action) {
        self.acts.push(Act { at, evidence: Evidence::Ready(Box::new(action)) });
    }

    /// Pays these dues: a cell per token, as small as it may be, and a plain cell for the rest.
    pub fn pay(&mut self, channel: &Channel, dues: &[Due]) {
        for (party, due) in channel.parties.iter().zip(dues) {
            // Coins are paid in a plain cell; a token cell holds its part of the reserve at most.
            let rooms = u64::try_from(due.tokens.len()).expect("few").max(1);
            let mut in_tokens = 0;
            for (row, amount) in &due.tokens {
                let token =
                    channel.token_rows().iter().position(|at| at == row).expect("a token row");
                let token = channel.tokens[token].clone();
                let mut cell = CellSketch::token(0, party.payout.clone(), token, *amount);
                cell.capacity = occupied(&cell);
                in_tokens += cell.capacity.min(due.reserve / rooms);
                self.make(cell);
            }
            let rest = due.capacity() - in_tokens;
            if rest != 0 {
                self.make_plain(&party.payout, rest);
            }
        }
    }

    /// A plain cell of this capacity, or of the least that a cell holds.
    pub fn make_plain(&mut self, lock: &Script, capacity: u64) -> usize {
        let mut cell = CellSketch::plain(capacity, lock.clone());
        cell.capacity = cell.capacity.max(occupied(&cell));
        self.make(cell)
    }

    /// The submitter adds a cell of its own, takes the change and leaves this fee.
    pub fn submit(&mut self, submitter: &str, fee: u64) {
        let lock = lock_named(submitter);
        self.spend(CellSketch::plain(100_000 * CKB, lock.clone()), self.clock);
        let change = self.fee() - i128::from(fee);
        let change = u64::try_from(change).expect("the submitter is rich enough");
        self.make_plain(&lock, change);
    }

    /// What is left for the miner.
    #[must_use]
    pub fn fee(&self) -> i128 {
        self.bare().fee()
    }

    /// The transaction with its actions in its witnesses.
    #[must_use]
    pub fn seal(&self) -> Sketch {
        let mut sketch = self.bare();
        let hash = sketch.hash();
        let length = self.acts.iter().map(|act| match act.at {
            At::Spent(index) | At::Made(index) => index + 1,
        });
        let length = length.max().unwrap_or(0).max(sketch.inputs.len());
        let mut envelopes = vec![WitnessArgs::default(); length];
        for act in &self.acts {
            let bytes = act.evidence.bytes(&hash);
            match act.at {
                At::Spent(index) => envelopes[index].input_type = Some(bytes),
                At::Made(index) => envelopes[index].output_type = Some(bytes),
            }
        }
        sketch.witnesses = envelopes.iter().map(WitnessArgs::serialize).collect();
        sketch
    }

    fn bare(&self) -> Sketch {
        let (inputs, outputs) = (self.inputs.clone(), self.outputs.clone());
        Sketch { inputs, outputs, witnesses: Vec::new() }
    }
}

impl Evidence {
    fn bytes(&self, hash: &[u8; 32]) -> Vec<u8> {
        match self {
            Self::Ready(action) => action.to_bytes(),
            Self::Raw(bytes) => bytes.clone(),
            Self::Consents(channel, kinds) => {
                let digest = consent_digest(&scripts().env.channel_type, hash);
                let consents = channel.parties.iter().zip(kinds).map(|(party, kind)| match kind {
                    ConsentKind::Signature => Consent::Signature(sign(&digest, &party.key)),
                    ConsentKind::Presence => Consent::Presence,
                    ConsentKind::Shared => Consent::Shared,
                });
                let (setup, consents) = (channel.setup.clone(), consents.collect());
                Action::CoopSpend { setup, consents }.to_bytes()
            }
        }
    }
}
