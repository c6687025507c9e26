//! Channels with all their keys: the fixture every story starts from.

use ckb_types::packed::Script;
use perun_channel::adjudicator::{
    ChannelCell, CkbParticipant, Phase, Row, Setup, Slot, StateBody, origin, registration_digest,
};
use perun_channel::hash::ckb_hash;
use perun_channel::sig::sign;
use perun_channel::swap::{Leg, Swap, SwapStep};
use perun_channel::{
    Address, Allocation, Amount, Asset, ChannelId, Participant, Signature, State, Version,
};
use secp256k1::{PublicKey, SecretKey};

use crate::vm::{data2, scripts};
use crate::{CKB, CellSketch};

/// The number of the test ledger in signed assets.
const CHAIN: u64 = 0x7e57;

/// A leg of a swap: row, payer, payee, expiry and amount.
pub type LegTerms = (usize, usize, usize, u64, u128);

/// A lock that nobody runs here, told apart by its name.
#[must_use]
pub fn lock_named(name: &str) -> Script {
    data2(&[0x10; 32], &ckb_hash(&[b"lock", name.as_bytes()])[..20])
}

/// A token that nobody runs here, told apart by its name.
#[must_use]
pub fn token_named(name: &str) -> Script {
    data2(&[0x20; 32], &ckb_hash(&[b"token", name.as_bytes()]))
}

/// What a cell must hold at least, in shannons.
#[must_use]
pub fn occupied(cell: &CellSketch) -> u64 {
    let script = |script: &Script| 33 + script.args().raw_data().len();
    let bytes = 8 + script(&cell.lock) + cell.kind.as_ref().map_or(0, script) + cell.data.len();
    u64::try_from(bytes).expect("a cell is small") * CKB
}

/// One participant with its key and scripts.
#[derive(Clone, Debug)]
pub struct Party {
    /// The session key.
    pub key: SecretKey,
    /// Where it is paid.
    pub payout: Script,
    /// Who owns its share.
    pub owner: Script,
    /// Whether the owner's presence is consent.
    pub by_presence: bool,
    /// Whether its inputs may pay the network fee.
    pub lends_fee: bool,
    /// Its reserve in shannons.
    pub reserve: u64,
}

impl Party {
    /// The party of this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let secret = ckb_hash(&[b"key", name.as_bytes()]);
        Self {
            key: SecretKey::from_secret_bytes(secret).expect("below the order"),
            payout: lock_named(name),
            owner: lock_named(name),
            by_presence: false,
            lends_fee: false,
            reserve: 500 * CKB,
        }
    }

    /// The address of its session key.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::of_key(&PublicKey::from_secret_key(&self.key))
    }

    fn identity(&self) -> CkbParticipant {
        CkbParticipant {
            consents_by_presence: self.by_presence,
            lends_fee: self.lends_fee,
            payout_lock: self.payout.calc_script_hash().into(),
            owner_lock: self.owner.calc_script_hash().into(),
            reserve: self.reserve,
        }
    }
}

/// What a channel is to be made of.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Its participants.
    pub parties: Vec<Party>,
    /// Whether it holds coins.
    pub coin: bool,
    /// Its tokens.
    pub tokens: Vec<Script>,
    /// How many rows of an Ethereum chain it has.
    pub foreign: u64,
    /// The challenge duration in seconds.
    pub challenge_secs: u64,
    /// The version 0 balances of each row; all rows alike.
    pub opening: Vec<u128>,
    /// The capacity of a vault beyond what it occupies.
    pub vault_spare: u64,
}

impl Terms {
    /// `count` parties called `name0`, `name1` … with 1,000 units of each asset each.
    #[must_use]
    pub fn of(name: &str, count: usize) -> Self {
        Self {
            parties: (0..count).map(|index| Party::named(&format!("{name}{index}"))).collect(),
            coin: true,
            tokens: Vec::new(),
            foreign: 0,
            challenge_secs: 86_400,
            opening: vec![u128::from(1_000 * CKB); count],
            vault_spare: 0,
        }
    }

    /// The same with these tokens.
    #[must_use]
    pub fn with_tokens(mut self, names: &[&str]) -> Self {
        self.tokens = names.iter().map(|name| token_named(name)).collect();
        self
    }

    /// The channel whose cell is output `output` of a transaction with this first input.
    #[must_use]
    pub fn channel(&self, first_input: &[u8; 44], output: usize) -> Channel {
        let total = Amount::new(self.opening.iter().sum());
        let mut rows: Vec<Row> = (0..self.foreign)
            .map(|chain| {
                let asset = Asset::ethereum(1 + chain, Address::new([0x77; 20]));
                Row { asset, total, vault_capacity: 0 }
            })
            .collect();
        if self.coin {
            rows.push(Row { asset: Asset::ckb(CHAIN), total, vault_capacity: 0 });
        }
        let mut tokens = self.tokens.clone();
        tokens.sort_by_key(|token| <[u8; 32]>::from(token.calc_script_hash()));
        for token in &tokens {
            // 8 of capacity, 65 of lock, the type script and 16 of data.
            let args = u64::try_from(token.args().raw_data().len()).expect("short");
            let vault_capacity = (8 + 65 + 33 + args + 16) * CKB + self.vault_spare;
            let asset = Asset::ckb_token(CHAIN, &token.calc_script_hash().into());
            rows.push(Row { asset, total, vault_capacity });
        }
        let participants = self.parties.iter().map(|party| {
            Participant::new(party.address(), party.identity().to_foreign()).expect("short")
        });
        let setup = Setup::new(
            origin(first_input, output),
            CHAIN,
            self.challenge_secs,
            participants.collect(),
            rows,
        );
        let opening = self.opening.clone();
        Channel {
            setup: setup.expect("sound terms"),
            parties: self.parties.clone(),
            tokens,
            opening,
        }
    }

    /// A channel that was made long ago, by a transaction of this name.
    #[must_use]
    pub fn living(&self, name: &str) -> Channel {
        let mut input = [0; 44];
        input[8..40].copy_from_slice(&ckb_hash(&[b"maker", name.as_bytes()]));
        self.channel(&input, 0)
    }
}

/// A channel with everything that its participants know.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its setup.
    pub setup: Setup,
    /// Its participants.
    pub parties: Vec<Party>,
    /// Its tokens in the order of its token rows.
    pub tokens: Vec<Script>,
    /// The version 0 balances of each row.
    pub opening: Vec<u128>,
}

impl Channel {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ChannelId {
        self.setup.id()
    }

    /// How many participants it has.
    #[must_use]
    pub fn parties(&self) -> usize {
        self.parties.len()
    }

    /// The lock of its cells.
    #[must_use]
    pub fn lock(&self) -> Script {
        scripts().vault_lock(&self.id())
    }

    /// The version 0 state.
    #[must_use]
    pub fn initial(&self) -> State {
        self.state(0, &self.opening)
    }

    /// A state with these balances in every row.
    #[must_use]
    pub fn state(&self, version: u64, balances: &[u128]) -> State {
        let rows: Vec<Vec<u128>> = self.setup.rows().iter().map(|_| balances.to_vec()).collect();
        self.state_of(version, &rows)
    }

    /// A state with these balances, row by row.
    #[must_use]
    pub fn state_of(&self, version: u64, rows: &[Vec<u128>]) -> State {
        let assets = self.setup.rows().iter().map(|row| row.asset.clone()).collect();
        let amounts = |row: &Vec<u128>| row.iter().map(|units| Amount::new(*units)).collect();
        let outcome = Allocation::new(assets, rows.iter().map(amounts).collect(), Vec::new());
        let outcome = outcome.expect("well-shaped");
        State::new(self.id(), Version::new(version), outcome, Vec::new(), false).expect("short")
    }

    /// The same state with a swap pending: legs (row, from, to, expiry, amount) under the lock that
    /// this secret opens.
    #[must_use]
    pub fn swapping(&self, state: &State, secret: &[u8; 32], legs: &[LegTerms]) -> State {
        let legs = legs.iter().map(|(row, from, to, expiry, amount)| Leg {
            asset: u8::try_from(*row).expect("few rows"),
            from: u8::try_from(*from).expect("few parties"),
            to: u8::try_from(*to).expect("few parties"),
            expiry: *expiry,
            amount: Amount::new(*amount),
        });
        let swap = Swap::new(Swap::lock_of(secret), legs.collect()).expect("sound legs");
        SwapStep::Start(&swap).after(state, state.version()).expect("a swap that fits")
    }

    /// What the setup does not already say about a state.
    #[must_use]
    pub fn body(state: &State) -> StateBody {
        StateBody::of(state)
    }

    /// The channel cell with this state.
    #[must_use]
    pub fn cell(&self, phase: Phase, marks: u32, state: &State) -> CellSketch {
        let (state_hash, version) = (state.hash(), state.version());
        let (id, claimed) = (self.id(), false);
        let data = ChannelCell { phase, marks, id, state_hash, version, claimed }.to_data();
        let capacity = match phase {
            Phase::Concluded => 222 * CKB,
            Phase::Funding => self.deposited_capacity(marks),
            Phase::Open | Phase::Disputed => self.deposited_capacity(u32::MAX),
        };
        CellSketch { capacity, lock: self.lock(), kind: Some(scripts().kind.clone()), data }
    }

    /// The cell that keeps unpaid rows after a claim: its fourth byte says so.
    #[must_use]
    pub fn claimed_cell(&self, marks: u32, state: &State) -> CellSketch {
        let mut cell = self.cell(Phase::Concluded, marks, state);
        cell.data[3] = 1;
        cell
    }

    /// The token vaults, one per token row, with the deposits of these participants.
    #[must_use]
    pub fn vaults(&self, deposited: u32) -> Vec<CellSketch> {
        let amount = self.opening_sum(deposited);
        let rows = self.setup.rows().iter().filter(|row| row.vault_capacity != 0);
        rows.zip(&self.tokens)
            .map(|(row, token)| {
                CellSketch::token(row.vault_capacity, self.lock(), token.clone(), amount)
            })
            .collect()
    }

    /// One signature of every participant on the state.
    #[must_use]
    pub fn sign(&self, state: &State) -> Vec<Signature> {
        self.parties.iter().map(|party| sign(&state.digest(), &party.key)).collect()
    }

    /// The signatures of a registration of this state through this slot.
    #[must_use]
    pub fn sign_registration(&self, state: &State, slot: Slot) -> Vec<Signature> {
        let mut signatures = self.sign(state);
        let registrant = usize::from(slot.participant);
        let (kind, id) = (&scripts().env.channel_type, self.id());
        let digest = registration_digest(kind, &id, &state.hash(), slot);
        signatures[registrant] = sign(&digest, &self.parties[registrant].key);
        signatures
    }

    /// Whether row `row` is of coins.
    #[must_use]
    pub fn coin_row(&self) -> Option<usize> {
        self.setup.rows().iter().position(|row| row.asset.is_ckb_coin())
    }

    /// The positions of the token rows.
    #[must_use]
    pub fn token_rows(&self) -> Vec<usize> {
        let rows = self.setup.rows().iter().enumerate();
        rows.filter(|(_, row)| row.vault_capacity != 0).map(|(position, _)| position).collect()
    }

    fn opening_sum(&self, deposited: u32) -> u128 {
        let amounts = self.opening.iter().enumerate();
        amounts.filter(|(index, _)| deposited >> index & 1 == 1).map(|(_, amount)| amount).sum()
    }

    fn deposited_capacity(&self, deposited: u32) -> u64 {
        let parties = self.parties.iter().enumerate();
        let reserves: u64 = parties
            .filter(|(index, _)| deposited >> index & 1 == 1)
            .map(|(_, party)| party.reserve)
            .sum();
        let coins = self.coin_row().map_or(0, |_| self.opening_sum(deposited));
        let vaults: u64 = self.setup.rows().iter().map(|row| row.vault_capacity).sum();
        u64::try_from(coins).expect("real amounts") + reserves - vaults
    }
}
