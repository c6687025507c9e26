//! A dispute with its keys: the channel, the states, and signatures as good or bad as they should
//! be. All judges are shown the same ones.

use std::sync::LazyLock;

use perun_channel::adjudicator::{CkbParticipant, Row, Setup};
use perun_channel::hash::ckb_hash;
use perun_channel::sig::sign;
use perun_channel::swap::Swap;
use perun_channel::{
    Address, Allocation, Amount, ChannelId, Params, Participant, State, SubAlloc, Version,
};
use perun_onchain_tests::{CKB, Channel, Party};
use secp256k1::SecretKey;

use crate::dispute::{Data, Dispute, Ink, Leg, List, Paper};
use crate::ledgers::{CKB_CHAIN, Kind};

/// Two or three participants, and one who is none.
static PARTIES: LazyLock<Vec<(Party, Address)>> = LazyLock::new(|| {
    let named = |name| {
        let party = Party::named(name);
        let address = party.address();
        (party, address)
    };
    ["ann", "bob", "cid", "a stranger"].map(named).to_vec()
});

/// A channel inside another, with its only state, signed by all.
#[derive(Clone, Debug)]
pub struct Child {
    /// Its parameters.
    pub params: Params,
    /// Its state.
    pub state: State,
    /// The signatures.
    pub signatures: Vec<Vec<u8>>,
    /// Whether it is shown with the state that locks it.
    pub is_shown: bool,
}

/// The state of a paper.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// The state.
    pub state: State,
    /// Its hash.
    pub hash: [u8; 32],
    /// What is locked in it.
    pub child: Option<Child>,
}

/// A dispute with everything that its participants know.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The dispute.
    pub dispute: Dispute,
    /// The channel as the kit for CKB knows it.
    pub channel: Channel,
    /// The states, paper by paper.
    pub sheets: Vec<Sheet>,
    /// The preimage of every swap.
    pub secret: [u8; 32],
}

impl Scene {
    /// The dispute on this tape.
    #[must_use]
    pub fn of(tape: &[u8]) -> Self {
        let dispute = Dispute::read(tape);
        let channel = channel(&dispute);
        let secret = ckb_hash(&[b"secret", &dispute.name]);
        let mut scene = Self { dispute, channel, sheets: Vec::new(), secret };
        let papers = 0..scene.dispute.papers.len();
        scene.sheets = papers.map(|paper| scene.sheet(paper)).collect();
        scene
    }

    /// The channel's parameters, the same on both ledgers.
    #[must_use]
    pub const fn params(&self) -> &Params {
        self.channel.setup.params()
    }

    /// What everybody deposits into a row.
    #[must_use]
    pub fn opening(&self, row: usize) -> &[u128] {
        &self.dispute.rows[row].opening
    }

    /// The name of a channel that is not this one.
    #[must_use]
    pub fn other_id(&self) -> ChannelId {
        ChannelId::new(ckb_hash(&[b"another channel", &self.dispute.name]))
    }

    fn sheet(&self, position: usize) -> Sheet {
        let paper = &self.dispute.papers[position];
        let id = if paper.is_elsewhere { self.other_id() } else { self.params().id() };
        let child = paper
            .locked
            .as_ref()
            .map(|locked| self.child(position, amounts(&locked.shares), locked.is_shown));
        let entries = child.iter().map(|child| {
            let totals = child.state.outcome().totals().expect("parts of balances");
            SubAlloc::new(child.params.id(), totals, Vec::new())
        });
        let outcome = Allocation::new(self.assets(), amounts(&paper.balances), entries.collect());
        let outcome = outcome.expect("rows of one length, sums in range");
        let version = Version::new(paper.version);
        let state = State::new(id, version, outcome, self.data(paper), paper.is_final);
        let state = state.expect("little data");
        let hash = state.hash();
        Sheet { state, hash, child }
    }

    fn child(&self, position: usize, balances: Vec<Vec<Amount>>, is_shown: bool) -> Child {
        let place = [u8::try_from(position).expect("few papers")];
        let nonce = ckb_hash(&[b"inner channel", &self.dispute.name, &place]);
        let (challenge, parties) = (self.dispute.challenge, self.params().participants().to_vec());
        let params = Params::with_kind(challenge, nonce, parties, Address::ZERO, false, false);
        let params = params.expect("the parent's participants");
        let outcome = Allocation::new(self.assets(), balances, Vec::new()).expect("parts");
        let state = State::new(params.id(), Version::new(1), outcome, Vec::new(), false);
        let state = state.expect("no data");
        let digest = state.digest();
        let signatures =
            self.channel.parties.iter().map(|party| sign(&digest, &party.key).as_bytes().to_vec());
        let signatures = signatures.collect();
        Child { params, state, signatures, is_shown }
    }

    fn assets(&self) -> Vec<perun_channel::Asset> {
        self.channel.setup.rows().iter().map(|row| row.asset.clone()).collect()
    }

    fn data(&self, paper: &Paper) -> Vec<u8> {
        match &paper.data {
            Data::Nothing => Vec::new(),
            Data::Junk(bytes) => bytes.clone(),
            Data::Swap(legs) => swap_data(&Swap::lock_of(&self.secret), legs),
        }
    }

    /// The signatures that go with a paper, where these participants sign, each what `digest` says
    /// of it for a channel of this name.
    #[must_use]
    pub fn signatures(
        &self,
        paper: usize,
        signers: &[usize],
        digest: impl Fn(usize, &State) -> [u8; 32],
    ) -> Vec<Vec<u8>> {
        let Paper { inks, list, .. } = &self.dispute.papers[paper];
        let state = &self.sheets[paper].state;
        let one = |signer: &usize| {
            let ink = inks[*signer];
            let digest = match ink {
                Ink::OtherChannel => digest(*signer, &self.renamed(state)),
                _ => digest(*signer, state),
            };
            signature(ink, &digest, &self.channel.parties[*signer].key)
        };
        let mut all: Vec<Vec<u8>> = signers.iter().map(one).collect();
        match list {
            List::Whole => {}
            List::Reversed => all.reverse(),
            List::Less => {
                all.pop();
            }
            List::More => all.extend(all.last().cloned()),
        }
        all
    }

    /// The same state of another channel.
    fn renamed(&self, state: &State) -> State {
        let (outcome, data) = (state.outcome().clone(), state.data().to_vec());
        let id = ChannelId::new(ckb_hash(&[b"renamed", state.id().as_bytes()]));
        State::new(id, state.version(), outcome, data, state.is_final()).expect("as before")
    }
}

fn amounts(rows: &[Vec<u128>]) -> Vec<Vec<Amount>> {
    rows.iter().map(|row| row.iter().map(|units| Amount::new(*units)).collect()).collect()
}

fn swap_data(lock: &[u8; 32], legs: &[Leg]) -> Vec<u8> {
    let mut data = vec![1];
    data.extend_from_slice(lock);
    for leg in legs {
        data.extend_from_slice(&[leg.row, leg.from, leg.to]);
        data.extend_from_slice(&leg.expiry.to_be_bytes());
        data.extend_from_slice(&leg.amount.to_be_bytes());
    }
    data
}

fn signature(ink: Ink, digest: &[u8; 32], key: &SecretKey) -> Vec<u8> {
    let mut bytes = sign(digest, key).as_bytes().to_vec();
    match ink {
        Ink::Good | Ink::OtherChannel => {}
        Ink::Stranger => bytes = sign(digest, &PARTIES[3].0.key).as_bytes().to_vec(),
        Ink::HighS => {
            // A key's negation is the order less the key, which is what is needed of `s`.
            let s: [u8; 32] = bytes[32..64].try_into().expect("32 bytes");
            let s = SecretKey::from_secret_bytes(s).expect("below the order").negate();
            bytes[32..64].copy_from_slice(&s.to_secret_bytes());
            bytes[64] = 27 + 28 - bytes[64];
        }
        Ink::V(more) => bytes[64] = bytes[64].wrapping_add(more),
        Ink::Short => bytes.truncate(64),
        Ink::Long => bytes.push(0),
        Ink::Zeros => bytes[..64].fill(0),
    }
    bytes
}

fn channel(dispute: &Dispute) -> Channel {
    let parties: Vec<Party> =
        PARTIES.iter().take(dispute.parties).map(|(party, _)| party.clone()).collect();
    let vault_capacity = |kind: Kind| match kind {
        Kind::CkbToken | Kind::CkbOtherToken => (8 + 65 + 33 + 32 + 16) * CKB,
        _ => 0,
    };
    let rows = dispute.rows.iter().map(|row| Row {
        asset: row.kind.asset(),
        total: Amount::new(row.opening.iter().sum()),
        vault_capacity: vault_capacity(row.kind),
    });
    let identities = PARTIES.iter().take(dispute.parties).map(|(party, address)| {
        let lock = party.payout.calc_script_hash().into();
        let identity = CkbParticipant {
            consents_by_presence: false,
            lends_fee: false,
            payout_lock: lock,
            owner_lock: lock,
            reserve: party.reserve,
        };
        Participant::new(*address, identity.to_foreign()).expect("short")
    });
    let origin = ckb_hash(&[b"origin", &dispute.name]);
    let setup =
        Setup::new(origin, CKB_CHAIN, dispute.challenge, identities.collect(), rows.collect());
    let tokens = dispute.rows.iter().filter_map(|row| row.kind.script()).collect();
    Channel { setup: setup.expect("sound terms"), parties, tokens, opening: Vec::new() }
}
