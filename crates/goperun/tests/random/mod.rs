//! Envelopes by chance, the same ones for the same seed.

use perun_channel::sig::sign;
use perun_channel::{
    Address, Allocation, Amount, Asset, BackendId, ChannelId, Signature, State, SubAlloc, Version,
};
use perun_goperun::{
    Accept, AppState, Aux, ChannelParams, ClaimedState, Envelope, Identities, LedgerAccept,
    LedgerProposal, Message, Party, Proposal, SubProposal, Transaction, Update, VirtualAccept,
    VirtualFunding, VirtualProposal, VirtualSettlement,
};

/// A small generator (SplitMix64): fast, and of one sequence everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.number() & 1 == 1
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.number().to_le_bytes()[0]).collect()
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.bytes(N).try_into().unwrap()
    }

    fn id(&mut self) -> ChannelId {
        ChannelId::new(self.array())
    }

    fn words(&mut self) -> String {
        ["", "no", "later, please", "нет ✓"][self.below(4)].to_owned()
    }

    /// A name as `wire/net/simple` spells it, without a key, and never two addresses: go-perun
    /// would write them in another order each time.
    fn name(&mut self) -> Identities {
        let name: String =
            (0..self.below(9)).map(|_| char::from(b'a' + self.array::<1>()[0] % 26)).collect();
        let address = perun_goperun::simple::Address::named(&name).to_bytes();
        Identities::new(vec![(BackendId::ETHEREUM, address)]).unwrap()
    }

    fn address(&mut self) -> Address {
        Address::new(self.array())
    }

    fn party(&mut self) -> Party {
        let address = self.address();
        if self.below(4) > 0 {
            return Party::ethereum(address).unwrap();
        }
        let length = 1 + self.below(40);
        Party::on_two(address, BackendId::CKB, self.bytes(length)).unwrap()
    }

    fn signature(&mut self) -> Signature {
        let mut key = [1; 32];
        key[24..].copy_from_slice(&self.number().to_be_bytes());
        let key = secp256k1::SecretKey::from_secret_bytes(key).unwrap();
        sign(&self.array(), &key)
    }

    fn signatures(&mut self, count: usize) -> Vec<Option<Signature>> {
        (0..count).map(|_| Some(self.signature())).collect()
    }

    fn amount(&mut self) -> Amount {
        let bits = self.below(120);
        let number = u128::from(self.number()) << 64 | u128::from(self.number());
        Amount::new(number & ((1 << bits) - 1))
    }

    fn amounts(&mut self, count: usize) -> Vec<Amount> {
        (0..count).map(|_| self.amount()).collect()
    }

    fn asset(&mut self) -> Asset {
        if self.below(3) > 0 {
            let bits = self.below(64);
            return Asset::ethereum(self.number() >> bits | 1, self.address());
        }
        let length = 1 + self.below(33);
        Asset::new(BackendId::CKB, 3, Address::ZERO, self.bytes(length)).unwrap()
    }

    fn outcome(&mut self, columns: usize, locked: usize) -> Allocation {
        let assets = 1 + self.below(3);
        let balances = (0..assets).map(|_| self.amounts(columns)).collect();
        let mut entry = || {
            let map = if self.coin() { vec![1, 0] } else { vec![] };
            SubAlloc::new(self.id(), self.amounts(assets), map)
        };
        let locked = (0..locked).map(|_| entry()).collect();
        let assets = (0..assets).map(|_| self.asset()).collect();
        Allocation::new(assets, balances, locked).unwrap()
    }

    fn state(&mut self, locked: usize) -> AppState {
        let (id, version) = (self.id(), Version::new(self.number()));
        let outcome = self.outcome(2, locked);
        let (app, data) = self.app();
        let is_final = self.coin();
        AppState::new(app, State::new(id, version, outcome, data, is_final).unwrap()).unwrap()
    }

    fn app(&mut self) -> (Address, Vec<u8>) {
        if self.coin() {
            return (Address::ZERO, Vec::new());
        }
        let length = self.below(50);
        (self.address(), self.bytes(length))
    }

    fn proposal(&mut self) -> Proposal {
        let outcome = self.outcome(2, 0);
        let (app, data) = self.app();
        let mut funding = outcome.balances().to_vec();
        funding.iter_mut().for_each(|row| row.reverse());
        Proposal {
            id: self.array(),
            challenge_secs: self.number(),
            nonce_share: self.array(),
            app,
            data,
            outcome,
            funding,
            aux: self.aux(),
        }
    }

    fn aux(&mut self) -> Aux {
        if self.coin() { [0; 256] } else { self.array() }
    }

    fn accept(&mut self) -> Accept {
        Accept { proposal: self.array(), nonce_share: self.array() }
    }

    fn update(&mut self) -> Update {
        let locked = self.below(3);
        let state = self.state(locked);
        Update { state, actor: self.number() as u16, signature: self.signature() }
    }

    fn claim(&mut self) -> ClaimedState {
        let mut nonce = [0; 32];
        let zeros = self.below(33);
        nonce[zeros..].copy_from_slice(&self.bytes(32 - zeros));
        let parties = vec![self.party(), self.party()];
        let (kind, app) = ((self.coin(), self.coin()), self.app().0);
        let challenge = 1 + self.number() / 2;
        let params = ChannelParams::new(challenge, nonce, parties, app, kind, self.aux()).unwrap();
        let state = self.state(0);
        let signatures = self.signatures(2);
        ClaimedState::new(params, Transaction::new(state, signatures).unwrap()).unwrap()
    }

    fn sync(&mut self) -> Message {
        let phase = u8::try_from(self.below(12)).unwrap();
        let state = self.state(0);
        let signatures = self.signatures(2);
        Message::Sync { phase, current: Some(Transaction::new(state, signatures).unwrap()) }
    }

    fn virtual_proposal(&mut self) -> VirtualProposal {
        VirtualProposal {
            base: self.proposal(),
            proposer: self.party(),
            peers: vec![self.name(), self.name()],
            parents: vec![self.id(), self.id()],
            index_maps: vec![vec![0, 1], vec![1, 0]],
        }
    }

    /// An envelope with a message of this type.
    pub(crate) fn envelope(&mut self, kind: u8) -> Envelope {
        let (sender, recipient) = (self.name(), self.name());
        let message = match kind {
            0 => Message::Ping { created_ns: self.number() as i64 },
            1 => Message::Pong { created_ns: self.number() as i64 },
            2 => Message::Shutdown { reason: self.words() },
            3 => Message::AuthResponse { signature: self.bytes(12) },
            4 => Message::LedgerProposal(LedgerProposal {
                base: self.proposal(),
                participant: self.party(),
                peers: vec![self.name(), self.name()],
            }),
            5 => Message::LedgerAccept(LedgerAccept {
                base: self.accept(),
                participant: self.party(),
            }),
            6 => Message::SubProposal(SubProposal { base: self.proposal(), parent: self.id() }),
            7 => Message::SubAccept(self.accept()),
            8 => Message::VirtualProposal(self.virtual_proposal()),
            9 => {
                let base = self.accept();
                Message::VirtualAccept(VirtualAccept { base, responder: self.party() })
            }
            10 => Message::ProposalReject { proposal: self.array(), reason: self.words() },
            11 => Message::Update(self.update()),
            12 => Message::VirtualFunding(VirtualFunding {
                update: self.update(),
                initial: self.claim(),
                index_map: vec![0, 1],
            }),
            13 => Message::VirtualSettlement(VirtualSettlement {
                update: self.update(),
                last: self.claim(),
            }),
            14 => Message::UpdateAccept {
                channel: self.id(),
                version: Version::new(self.number()),
                signature: self.signature(),
            },
            15 => Message::UpdateReject {
                channel: self.id(),
                version: Version::new(self.number()),
                reason: self.words(),
            },
            _ => self.sync(),
        };
        Envelope { sender, recipient, message }
    }
}
