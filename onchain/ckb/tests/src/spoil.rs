//! Damage to a healthy transaction, one labelled piece at a time.

use perun_channel::adjudicator::{
    Action, ChannelCell, CkbParticipant, Code, StateBody, WitnessArgs, WitnessField,
};
use perun_channel::codec::{Encode, put_bytes, put_length, put_list};
use perun_channel::{Address, Participant};

use crate::story::Story;
use crate::{Act, At, Channel, Evidence, Sketch};

/// Both judges refuse the transaction, with exactly this code.
pub fn refused(spoiled: impl Into<Sketch>, code: Code) {
    assert_eq!(spoiled.into().trial().verdict, Err(code));
}

impl From<Story> for Sketch {
    fn from(mut story: Story) -> Self {
        story.seal()
    }
}

impl Story {
    /// Changes the finished action at a place.
    pub fn change(&mut self, at: At, change: impl FnOnce(&mut Action)) {
        match &mut self.evidence(at).evidence {
            Evidence::Ready(action) => change(action),
            other => panic!("{other:?} is signed when it is sealed"),
        }
    }

    /// Changes the bytes of the finished action at a place.
    pub fn scratch(&mut self, at: At, change: impl FnOnce(&mut Vec<u8>)) {
        let act = self.evidence(at);
        let Evidence::Ready(action) = &act.evidence else { panic!("not finished") };
        let mut bytes = action.to_bytes();
        change(&mut bytes);
        act.evidence = Evidence::Raw(bytes);
    }

    fn evidence(&mut self, at: At) -> &mut Act {
        self.draft.acts.iter_mut().find(|act| act.at == at).expect("an action there")
    }

    /// Changes the data of a channel cell that is made.
    pub fn rewrite(&mut self, output: usize, change: impl FnOnce(&mut ChannelCell)) {
        let data = &mut self.draft.outputs[output].data;
        let mut cell = ChannelCell::from_data(data).expect("a channel cell");
        change(&mut cell);
        *data = cell.to_data();
    }

    /// Changes the data of a channel cell that is spent.
    pub fn rewrite_spent(&mut self, input: usize, change: impl FnOnce(&mut ChannelCell)) {
        let data = &mut self.draft.inputs[input].cell.data;
        let mut cell = ChannelCell::from_data(data).expect("a channel cell");
        change(&mut cell);
        *data = cell.to_data();
    }
}

/// Changes the bytes of a sealed action.
pub fn scratch(sketch: &mut Sketch, at: At, change: impl FnOnce(&mut Vec<u8>)) {
    let index = match at {
        At::Spent(index) | At::Made(index) => index,
    };
    let field = |field| WitnessArgs::field(&sketch.witnesses[index], field).map(<[u8]>::to_vec);
    let mut envelope = WitnessArgs {
        lock: field(WitnessField::Lock),
        input_type: field(WitnessField::InputType),
        output_type: field(WitnessField::OutputType),
    };
    let bytes = match at {
        At::Spent(_) => &mut envelope.input_type,
        At::Made(_) => &mut envelope.output_type,
    };
    change(bytes.as_mut().expect("an action there"));
    sketch.witnesses[index] = envelope.serialize();
}

/// The state's body in an action that has one.
pub fn body_of(action: &mut Action) -> &mut StateBody {
    match action {
        Action::Create { body, .. }
        | Action::Fund { body, .. }
        | Action::AbortFunding { body, .. }
        | Action::Register { body, .. }
        | Action::Conclude { body, .. }
        | Action::Withdraw { body, .. }
        | Action::CloseFinal { body, .. } => body,
        Action::CoopSpend { .. } => panic!("a cooperative spend has no state"),
    }
}

/// A setup as its bytes, which need not be sound.
#[derive(Clone, Debug)]
pub struct LooseSetup {
    /// What made it unique.
    pub origin: [u8; 32],
    /// The ledger's number.
    pub chain: u64,
    /// The challenge duration.
    pub challenge_secs: u64,
    /// Addresses and identities.
    pub participants: Vec<(Address, Vec<u8>)>,
    /// The rows, each as its bytes.
    pub rows: Vec<Vec<u8>>,
}

impl LooseSetup {
    /// The setup of a channel.
    #[must_use]
    pub fn of(channel: &Channel) -> Self {
        let setup = &channel.setup;
        let participants = setup.params().participants().iter();
        Self {
            origin: *setup.origin(),
            chain: setup.chain(),
            challenge_secs: setup.params().challenge_secs(),
            participants: participants
                .map(|one: &Participant| (*one.address(), one.foreign().to_vec()))
                .collect(),
            rows: setup.rows().iter().map(row_bytes).collect(),
        }
    }

    /// Changes one participant's identity.
    pub fn identity(&mut self, participant: usize, change: impl FnOnce(&mut CkbParticipant)) {
        let foreign = &mut self.participants[participant].1;
        let mut identity = CkbParticipant::from_foreign(foreign).expect("sound so far");
        change(&mut identity);
        *foreign = identity.to_foreign();
    }

    /// Puts it into the action at a place, in the place of the channel's.
    pub fn put(&self, story: &mut Story, at: At) {
        let mut setup = Vec::new();
        story.change(at, |action| action.setup().encode(&mut setup));
        story.scratch(at, |bytes| {
            let rest = bytes.split_off(1 + setup.len());
            bytes.truncate(1);
            self.encode(bytes);
            bytes.extend(rest);
        });
    }
}

impl Encode for LooseSetup {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.origin);
        out.extend_from_slice(&self.chain.to_le_bytes());
        out.extend_from_slice(&self.challenge_secs.to_le_bytes());
        put_length(out, self.participants.len());
        for (address, foreign) in &self.participants {
            out.extend_from_slice(address.as_bytes());
            put_bytes(out, foreign);
        }
        put_length(out, self.rows.len());
        self.rows.iter().for_each(|row| out.extend_from_slice(row));
    }
}

/// The bytes of a row: coin, token or foreign asset, and its total.
#[must_use]
pub fn row_bytes(row: &perun_channel::adjudicator::Row) -> Vec<u8> {
    let mut out = Vec::new();
    if row.asset.is_ckb_coin() {
        out.push(0);
    } else if let Some(token) = row.token() {
        out.push(1);
        out.extend_from_slice(&token);
        out.extend_from_slice(&row.vault_capacity.to_le_bytes());
    } else {
        out.push(2);
        row.asset.encode(&mut out);
    }
    row.total.encode(&mut out);
    out
}

/// The bytes of a list with a length that need not be true.
#[must_use]
pub fn list_bytes<T: Encode>(items: &[T]) -> Vec<u8> {
    let mut out = Vec::new();
    put_list(&mut out, items);
    out
}
