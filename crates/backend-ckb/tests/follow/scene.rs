//! A chain with the channel programs, coins to pay with, and two people with a channel.

use ckb_types::{
    bytes::Bytes,
    core::{ScriptHashType, TransactionBuilder, TransactionView},
    packed::{Byte32, CellDep, CellInput, CellOutput, Script},
    prelude::*,
};
use perun_backend_ckb::follow::{
    Cause, Change, ChannelEvent, Creation, Depth, Follower, Standing, Status, Walk, Watch,
    checkpoint, sync,
};
use perun_backend_ckb::rpc::{Cell, DevControl, Rpc};
use perun_channel::adjudicator::{
    Action, ChannelCell, CkbParticipant, Consent, Decision, Env, Phase, Row, Setup, Slot, SlotKind,
    StateBody, WitnessArgs, WitnessField, consent_digest, origin, registration_digest,
};
use perun_channel::codec::{Decode, Encode};
use perun_channel::hash::ckb_hash;
use perun_channel::sig::sign;
use perun_channel::swap::{Leg, Swap, SwapStep};
use perun_channel::{
    Address, Allocation, Amount, Asset, ChannelId, Participant, Signature, State, Version,
};
use perun_embedded_ckb::testkit::{CKB, FEE, Key, Payment, output_cell, plain, shannons};
use perun_embedded_ckb::{Chain, Genesis, GenesisBuilder};
use secp256k1::{PublicKey, SecretKey};
use std::cell::RefCell;

pub(crate) const CHALLENGE_SECS: u64 = 1_800;
const LEDGER: u64 = 3;
const RESERVE: u64 = 150 * CKB;
const BALANCE: u64 = 100 * CKB;
const COIN: u64 = 50_000 * CKB;
const COINS: usize = 60;

/// The chain, and coins that nobody else spends.
pub(crate) struct Scene {
    pub(crate) chain: Chain,
    pub(crate) env: Env,
    channel_type: Script,
    deps: Vec<CellDep>,
    payer: Key,
    coins: RefCell<Vec<Cell>>,
}

/// A channel of two people, and where its cell is.
#[derive(Clone)]
pub(crate) struct Pact {
    pub(crate) setup: Setup,
    pub(crate) cell: Cell,
    keys: [SecretKey; 2],
}

/// An input's or output's action.
type Acts<'a> = &'a [(usize, WitnessField, Action)];

impl Scene {
    pub(crate) fn new() -> Self {
        Self::on(Self::programs().build().unwrap())
    }

    /// A chain that also has a program which accepts everything.
    pub(crate) fn with_always() -> Self {
        Self::on(Self::programs().cell("always", always()).build().unwrap())
    }

    fn programs() -> GenesisBuilder {
        Genesis::builder()
            .cell("channel-type", artifact("channel-type"))
            .cell("vault-lock", artifact("vault-lock"))
    }

    fn on(genesis: Genesis) -> Self {
        let chain = Chain::new(&genesis);
        let (kind, vault) =
            (genesis.cell("channel-type").unwrap(), genesis.cell("vault-lock").unwrap());
        let channel_type = channel_type();
        let env = Env {
            channel_type: channel_type.calc_script_hash().into(),
            vault_code: vault.data_hash.clone().into(),
        };
        let mut deps = vec![genesis.sighash_dep(), kind.dep(), vault.dep()];
        deps.extend(genesis.cell("always").map(|always| always.dep()));
        let payer = Key::number(77);
        let coin = (plain(payer.lock(&genesis), COIN), Bytes::new());
        let split = Payment::new(vec![coin; COINS]).build(&chain, &genesis, &Key::dev(false));
        let split = split.unwrap();
        chain.send_transaction(&split).unwrap();
        chain.mine(40).unwrap();
        let coins = (0..COINS as u32).map(|index| output_cell(&split, index).unwrap()).collect();
        Self { chain, env, channel_type, deps, payer, coins: RefCell::new(coins) }
    }

    pub(crate) fn coin(&self) -> Cell {
        self.coins.borrow_mut().pop().unwrap()
    }

    pub(crate) fn vault_lock(&self, id: &ChannelId) -> Script {
        let args = ckb_hash(&[&self.env.channel_type, id.as_bytes()]);
        script(Byte32::new(self.env.vault_code), &args)
    }

    /// A cell of the channel type or another one.
    pub(crate) fn cell(
        &self,
        lock: Script,
        kind: Option<Script>,
        capacity: u64,
        data: Vec<u8>,
    ) -> (CellOutput, Bytes) {
        let output = CellOutput::new_builder().capacity(capacity).lock(lock).type_(kind.pack());
        (output.build(), data.into())
    }

    fn channel_output(&self, content: &ChannelCell, capacity: u64) -> (CellOutput, Bytes) {
        let lock = self.vault_lock(&content.id);
        self.cell(lock, Some(self.channel_type.clone()), capacity, content.to_data())
    }

    /// Builds a transaction; the payer signs for its coins and gets the change.
    pub(crate) fn build(
        &self,
        inputs: &[(Cell, u64)],
        mut outputs: Vec<(CellOutput, Bytes)>,
        acts: Acts<'_>,
    ) -> TransactionView {
        let have: u64 = inputs.iter().map(|(cell, _)| shannons(&cell.output)).sum();
        let made: u64 = outputs.iter().map(|(output, _)| shannons(output)).sum();
        let payer = self.payer.lock(self.chain.genesis());
        outputs.push((plain(payer.clone(), have - made - 20 * FEE), Bytes::new()));
        let mut witnesses = vec![WitnessArgs::default(); inputs.len().max(outputs.len())];
        for (index, field, action) in acts {
            let witness = &mut witnesses[*index];
            match field {
                WitnessField::InputType => witness.input_type = Some(action.to_bytes()),
                _ => witness.output_type = Some(action.to_bytes()),
            }
        }
        let (outputs, data): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        let tx = TransactionBuilder::default()
            .cell_deps(self.deps.clone())
            .inputs(
                inputs.iter().map(|(cell, since)| CellInput::new(cell.out_point.clone(), *since)),
            )
            .outputs(outputs)
            .outputs_data(data.into_iter().map(|data| data.pack()))
            .witnesses(witnesses.iter().map(|args| Bytes::from(args.serialize()).pack()))
            .build();
        let ours: Vec<usize> =
            (0..inputs.len()).filter(|it| inputs[*it].0.output.lock() == payer).collect();
        self.payer.sign(&tx, &ours)
    }

    /// Opens this many channels in one transaction from this coin; `deposited` is for the first
    /// participant alone, or for both.
    pub(crate) fn open(
        &self,
        coin: &Cell,
        count: usize,
        complete: bool,
    ) -> (TransactionView, Vec<Pact>) {
        self.create(&[(coin.clone(), 0)], count, complete, &[])
    }

    fn create(
        &self,
        inputs: &[(Cell, u64)],
        count: usize,
        complete: bool,
        acts: Acts<'_>,
    ) -> (TransactionView, Vec<Pact>) {
        let first = CellInput::new(inputs[0].0.out_point.clone(), inputs[0].1);
        let first: [u8; 44] = first.as_slice().try_into().unwrap();
        let (mut outputs, mut all, mut setups) = (Vec::new(), acts.to_vec(), Vec::new());
        for output in 0..count {
            let (setup, keys) = setup(origin(&first, output), output);
            let state = Pact::initial(&setup);
            let content = ChannelCell {
                phase: if complete { Phase::Open } else { Phase::Funding },
                marks: if complete { 0 } else { 1 },
                id: setup.id(),
                state_hash: state.hash(),
                version: Version::ZERO,
                claimed: false,
            };
            let capacity = (BALANCE + RESERVE) * if complete { 2 } else { 1 };
            outputs.push(self.channel_output(&content, capacity));
            let action = Action::Create { setup: setup.clone(), body: StateBody::of(&state) };
            all.push((output, WitnessField::OutputType, action));
            setups.push((setup, keys));
        }
        let tx = self.build(inputs, outputs, &all);
        let pacts = setups.into_iter().enumerate().map(|(output, (setup, keys))| {
            let cell = output_cell(&tx, output as u32).unwrap();
            Pact { setup, keys, cell }
        });
        let pacts = pacts.collect();
        (tx, pacts)
    }

    /// Adds the second deposit.
    pub(crate) fn fund(&self, pact: &Pact) -> (TransactionView, Pact) {
        let state = Pact::initial(&pact.setup);
        let content = ChannelCell { phase: Phase::Open, marks: 0, ..pact.content() };
        let output = self.channel_output(&content, (BALANCE + RESERVE) * 2);
        let action = Action::Fund { setup: pact.setup.clone(), body: StateBody::of(&state) };
        self.spend(pact, 0, vec![output], action)
    }

    /// Takes the first deposit back.
    pub(crate) fn abort_funding(&self, pact: &Pact) -> TransactionView {
        let body = StateBody::of(&Pact::initial(&pact.setup));
        let action = Action::AbortFunding { setup: pact.setup.clone(), body };
        let deposit = (plain(self.payout(0), BALANCE + RESERVE), Bytes::new());
        self.spend(pact, since(), vec![deposit], action).0
    }

    /// Registers a state by the own right of a participant, paid by this coin.
    pub(crate) fn register(&self, pact: &Pact, state: &State, by: u8) -> (TransactionView, Pact) {
        let slot = Slot { participant: by, kind: SlotKind::Own };
        let content = pact.content();
        let used = if content.phase == Phase::Disputed { content.marks } else { 0 };
        let next = ChannelCell {
            phase: Phase::Disputed,
            marks: used | 1 << slot.number(),
            id: content.id,
            state_hash: state.hash(),
            version: state.version(),
            claimed: false,
        };
        let output = self.channel_output(&next, shannons(&pact.cell.output));
        let action = Action::Register {
            setup: pact.setup.clone(),
            body: StateBody::of(state),
            slot,
            signatures: pact.registration(&self.env, state, slot),
        };
        self.spend(pact, 0, vec![output], action)
    }

    /// Pays the registered state.
    pub(crate) fn conclude(&self, pact: &Pact, state: &State) -> TransactionView {
        let (setup, body) = (pact.setup.clone(), StateBody::of(state));
        let action = Action::Conclude { setup, body, decision: None };
        self.spend(pact, since(), self.payouts(state), action).0
    }

    /// Pays the registered state, whose swap this secret opens.
    pub(crate) fn claim(&self, pact: &Pact, state: &State, secret: [u8; 32]) -> TransactionView {
        let (setup, body) = (pact.setup.clone(), StateBody::of(state));
        let outcome = setup.outcome(state, true).unwrap();
        let action = Action::Conclude { setup, body, decision: Some(Decision::Claim(secret)) };
        let paid = state.at_version(state.version(), outcome);
        self.spend(pact, since(), self.payouts(&paid), action).0
    }

    /// Pays a final state.
    pub(crate) fn close_final(&self, pact: &Pact, state: &State) -> TransactionView {
        let signatures = pact.keys.iter().map(|key| sign(&state.digest(), key)).collect();
        let (setup, body) = (pact.setup.clone(), StateBody::of(state));
        let action = Action::CloseFinal { setup, body, signatures };
        self.spend(pact, 0, self.payouts(state), action).0
    }

    /// Ends the channel by consent and opens another one in the same transaction.
    pub(crate) fn succeed(&self, pact: &Pact) -> (TransactionView, Pact) {
        let inputs = [(pact.cell.clone(), 0), (self.coin(), 0)];
        let consented = |consents: Vec<Consent>| {
            let action = Action::CoopSpend { setup: pact.setup.clone(), consents };
            self.create(&inputs, 1, true, &[(0, WitnessField::InputType, action)])
        };
        // The hash does not cover the witnesses, so it is known before the consents to it are.
        let hash = consented(Vec::new()).0.hash().into();
        let digest = consent_digest(&self.env.channel_type, &hash);
        let consents = pact.keys.iter().map(|key| Consent::Signature(sign(&digest, key)));
        let (tx, mut pacts) = consented(consents.collect());
        (tx, pacts.remove(0))
    }

    fn spend(
        &self,
        pact: &Pact,
        since: u64,
        outputs: Vec<(CellOutput, Bytes)>,
        action: Action,
    ) -> (TransactionView, Pact) {
        let inputs = [(pact.cell.clone(), since), (self.coin(), 0)];
        let tx = self.build(&inputs, outputs, &[(0, WitnessField::InputType, action)]);
        let cell = output_cell(&tx, 0).unwrap();
        (tx, Pact { cell, ..pact.clone() })
    }

    fn payouts(&self, state: &State) -> Vec<(CellOutput, Bytes)> {
        let pay = |index: usize| {
            let share = state.outcome().balance(0, index).unwrap().get() as u64 + RESERVE;
            (plain(self.payout(index), share), Bytes::new())
        };
        vec![pay(0), pay(1)]
    }

    fn payout(&self, index: usize) -> Script {
        Key::number(index as u32 + 1).lock(self.chain.genesis())
    }

    /// Sends and commits.
    pub(crate) fn commit(&self, txs: &[&TransactionView]) {
        for tx in txs {
            self.chain.send_transaction(tx).unwrap();
        }
        self.chain.mine(3).unwrap();
    }
}

fn artifact(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../onchain/ckb/artifacts/");
    std::fs::read(format!("{folder}{name}")).unwrap()
}

/// The channel type script of every scene.
pub(crate) fn channel_type() -> Script {
    script(CellOutput::calc_data_hash(&artifact("channel-type")), &[])
}

/// A program that accepts everything: a RISC-V executable of one segment and three instructions.
fn always() -> Vec<u8> {
    const BASE: u64 = 0x1_0000;
    const HEADERS: u64 = 64 + 56;
    // li a7, 93 (exit); li a0, 0; ecall.
    let code: [u32; 3] = [0x05d0_0893, 0x0000_0513, 0x0000_0073];
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2u16, 243].map(u16::to_le_bytes).concat());
    elf.extend(1u32.to_le_bytes());
    elf.extend([BASE + HEADERS, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0u32.to_le_bytes());
    elf.extend([64u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    // One loaded segment, readable and executable.
    elf.extend([1u32, 5].map(u32::to_le_bytes).concat());
    let size = HEADERS + 12;
    elf.extend([0, BASE, BASE, size, size, 0x1000].map(u64::to_le_bytes).concat());
    elf.extend(code.map(u32::to_le_bytes).concat());
    elf
}

fn script(code_hash: Byte32, args: &[u8]) -> Script {
    let builder = Script::new_builder().code_hash(code_hash).hash_type(ScriptHashType::Data2);
    builder.args(args).build()
}

fn since() -> u64 {
    0xc0 << 56 | CHALLENGE_SECS
}

fn setup(origin: [u8; 32], number: usize) -> (Setup, [SecretKey; 2]) {
    let key = |who: u8| {
        let mut bytes = [who; 32];
        bytes[31] = number as u8;
        SecretKey::from_secret_bytes(bytes).unwrap()
    };
    let keys = [key(1), key(2)];
    let genesis = Genesis::dev().unwrap();
    let people = keys.iter().zip([1, 2]).map(|(key, number)| {
        let lock = Key::number(number).lock(&genesis).calc_script_hash().into();
        let identity = CkbParticipant {
            consents_by_presence: false,
            lends_fee: false,
            payout_lock: lock,
            owner_lock: lock,
            reserve: RESERVE,
        };
        let address = Address::of_key(&PublicKey::from_secret_key(key));
        Participant::new(address, identity.to_foreign()).unwrap()
    });
    let total = Amount::new(u128::from(BALANCE) * 2);
    let row = Row { asset: Asset::ckb(LEDGER), total, vault_capacity: 0 };
    (Setup::new(origin, LEDGER, CHALLENGE_SECS, people.collect(), vec![row]).unwrap(), keys)
}

impl Pact {
    pub(crate) fn id(&self) -> ChannelId {
        self.setup.id()
    }

    fn initial(setup: &Setup) -> State {
        let share = Amount::new(u128::from(BALANCE));
        let assets = setup.rows().iter().map(|row| row.asset.clone()).collect();
        let outcome = Allocation::new(assets, vec![vec![share, share]], vec![]).unwrap();
        State::initial(setup.id(), outcome)
    }

    /// The state with this version, in which the first one has paid the second that many shannons.
    pub(crate) fn state(&self, version: u64) -> State {
        let initial = Self::initial(&self.setup);
        let paid = initial.outcome().transfer(0, 1, 0, Amount::new(u128::from(version))).unwrap();
        initial.at_version(Version::new(version), paid)
    }

    /// The state with this version, in which the first one pays the second for this secret.
    pub(crate) fn swapping(&self, version: u64, secret: &[u8; 32]) -> State {
        let leg = Leg { asset: 0, from: 0, to: 1, expiry: 1, amount: Amount::new(9_000) };
        let swap = Swap::new(Swap::lock_of(secret), vec![leg]).unwrap();
        SwapStep::Start(&swap).after(&Self::initial(&self.setup), Version::new(version)).unwrap()
    }

    fn content(&self) -> ChannelCell {
        ChannelCell::from_data(&self.cell.data).unwrap()
    }

    pub(crate) fn registration(&self, env: &Env, state: &State, slot: Slot) -> Vec<Signature> {
        let signed = |(index, key): (usize, &SecretKey)| {
            let own = index == usize::from(slot.participant);
            let registration =
                registration_digest(&env.channel_type, &self.id(), &state.hash(), slot);
            sign(&if own { registration } else { state.digest() }, key)
        };
        let all: Vec<_> = self.keys.iter().enumerate().map(signed).collect();
        if state.version() == Version::ZERO {
            return vec![all[usize::from(slot.participant)]];
        }
        all
    }

    pub(crate) fn watch(&self, depth: u16, creation: &TransactionView) -> Watch {
        let inputs = creation.input_pts_iter().collect();
        let creation = Some(Creation { transaction: creation.hash(), inputs });
        Watch { id: self.id(), depth: Depth::new(depth).unwrap(), creation }
    }
}

/// A follower that goes through its stored form before each step.
pub(crate) struct Watcher(pub(crate) Follower);

impl Watcher {
    pub(crate) fn new(scene: &Scene) -> Self {
        Self(Follower::new(scene.env, checkpoint(&scene.chain).unwrap()))
    }

    pub(crate) fn walk(&mut self, rpc: &dyn Rpc) -> Walk {
        let stored = self.0.to_bytes();
        self.0 = Follower::from_bytes(&stored).unwrap();
        assert_eq!(self.0.to_bytes(), stored, "a stored follower has one spelling");
        sync(rpc, &channel_type(), &mut self.0).unwrap()
    }

    pub(crate) fn events(&mut self, rpc: &dyn Rpc) -> Vec<ChannelEvent> {
        let walk = self.walk(rpc);
        assert_eq!(walk.standing, Standing::Current);
        walk.events
    }

    /// The events as short words, for stories.
    pub(crate) fn told(&mut self, rpc: &dyn Rpc) -> Vec<String> {
        self.events(rpc).iter().map(words).collect()
    }
}

/// An event in a few words.
pub(crate) fn words(event: &ChannelEvent) -> String {
    match event {
        ChannelEvent::Now(change) => format!("{} {}", status(change), cause(change)),
        ChannelEvent::Reverted(change) => format!("reverted {}", cause(change)),
        ChannelEvent::Dropped(_) => "dropped".to_owned(),
    }
}

fn status(change: &Change) -> String {
    match &change.status {
        Status::Pending => "pending".to_owned(),
        Status::Included { depth, .. } => format!("included {depth}"),
        Status::Settled { depth, .. } => format!("settled {depth}"),
    }
}

fn cause(change: &Change) -> String {
    match &change.cause {
        Cause::Opened { .. } => "opened".to_owned(),
        Cause::Funding { .. } => "funding".to_owned(),
        Cause::Registered { state, .. } => format!("registered {}", state.version()),
        Cause::Concluded { state, .. } => format!("concluded {}", state.version()),
        Cause::Withdrawn { .. } => "withdrawn".to_owned(),
        Cause::ClosedFinal { state, .. } => format!("closed {}", state.version()),
        Cause::Cooperative { .. } => "cooperative".to_owned(),
        Cause::FundingAborted => "aborted".to_owned(),
        Cause::OpenImpossible { .. } => "impossible".to_owned(),
    }
}
