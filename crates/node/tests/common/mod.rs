//! A world for stories: an embedded chain with the real scripts, a clock that the test turns, and
//! people with money whose nodes talk over TCP on the loopback interface.
//!
//! Nothing here sleeps: it waits for events of the nodes, and gives up after [`PATIENCE`].
#![allow(dead_code, reason = "each story uses its part")]
#![allow(unreachable_pub, reason = "a module of several test programs")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ckb_types::core::{DepType, ScriptHashType};
use ckb_types::packed::{CellOutput, OutPoint, Script};
use ckb_types::prelude::*;
use perun_backend_ckb::deployment::{CodeCell, Deployment, Token};
use perun_backend_ckb::follow::Depth;
use perun_backend_ckb::rpc::{DevControl, Rpc};
use perun_backend_ckb::wallet::{Secp256k1, SigningKey, Wallet};
use perun_channel::adjudicator::CkbParticipant;
use perun_channel::{Allocation, Amount, Asset, LedgerId};
use perun_embedded_ckb::testkit::{Key, Payment, plain};
use perun_embedded_ckb::{Chain, Commit, Genesis, Options};
use perun_node::{
    AnyLedger, CkbLedger, CkbOptions, Node, NodeError, NodeOptions, OpenRequest, SessionKey,
    Status, UserEvent, entropy,
};
use perun_protocol::{
    Config, Event, Memo, OpeningId, PaymentId, PhaseName, SwapConfig, Time, Timing,
};
use perun_store::Durability;

pub const CKB: u64 = 100_000_000;
/// What each side brings into a channel.
pub const DEPOSIT: u64 = 1_000 * CKB;
pub const CHALLENGE_SECS: u64 = 3_600;
/// The capacity of a cell with tokens that is given.
pub const TOKEN_CELL: u64 = 200 * CKB;
/// How long a story waits for something to happen.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long one look for events takes if there is none.
const GLANCE: Duration = Duration::from_millis(2);

/// Chain, scripts and time.
pub struct World {
    pub chain: Chain,
    pub deployment: Deployment,
    /// A token, which nobody has before it is given.
    pub token: Asset,
    token_script: Script,
    clock: Arc<AtomicU64>,
}

impl World {
    pub fn new(commit: Commit) -> Self {
        let artifact = |name: &str| match name {
            "channel-type" => {
                include_bytes!("../../../../onchain/ckb/artifacts/channel-type").as_slice()
            }
            "simple-udt" => {
                include_bytes!("../../../../onchain/ckb/artifacts/simple-udt").as_slice()
            }
            _ => include_bytes!("../../../../onchain/ckb/artifacts/vault-lock").as_slice(),
        };
        let names = ["channel-type", "vault-lock", "simple-udt"];
        let builder = names
            .iter()
            .fold(Genesis::builder(), |builder, name| builder.cell(name, artifact(name).to_vec()));
        let genesis = builder.build().unwrap();
        let chain = Chain::with_options(&genesis, Options { commit, ..Options::new(&genesis) });
        let code = |name: &str| {
            let cell = genesis.cell(name).unwrap();
            let data_hash = cell.data_hash.clone().into();
            CodeCell { out_point: cell.out_point.clone(), dep_type: DepType::Code, data_hash }
        };
        let mut deployment =
            Deployment::new(genesis.block(), code("channel-type"), code("vault-lock")).unwrap();
        let program = genesis.cell("simple-udt").unwrap();
        let issuer = Key::dev(false).lock(&genesis).calc_script_hash();
        let token_script = Script::new_builder()
            .code_hash(program.data_hash.clone())
            .hash_type(ScriptHashType::Data2)
            .args(issuer.as_bytes())
            .build();
        let token = Token { script: token_script.clone(), deps: vec![program.dep()] };
        let token = deployment.add_token(token).unwrap();
        let clock = Arc::new(AtomicU64::new(1_800_000_000));
        Self { chain, deployment, token, token_script, clock }
    }

    /// Lets the nodes' clock run on; they notice when they are asked next.
    pub fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Gives a lock cells of these capacities.
    pub fn give(&self, lock: &Script, capacities: &[u64]) {
        let cell = |capacity: &u64| (plain(lock.clone(), *capacity), Default::default());
        let gift = Payment::new(capacities.iter().map(cell).collect());
        let tx = gift.build(&self.chain, self.chain.genesis(), &Key::dev(false)).unwrap();
        self.chain.send_transaction(&tx).unwrap();
        self.chain.mine(5).unwrap();
    }

    /// Gives a lock a cell with units of the token; the issuer makes them.
    pub fn give_tokens(&self, lock: &Script, amount: u128) {
        let cell = plain(lock.clone(), TOKEN_CELL).as_builder();
        let cell = cell.type_(Some(self.token_script.clone()).pack()).build();
        let mut gift = Payment::new(vec![(cell, amount.to_le_bytes().to_vec().into())]);
        gift.deps = vec![self.chain.genesis().cell("simple-udt").unwrap().dep()];
        let tx = gift.build(&self.chain, self.chain.genesis(), &Key::dev(false)).unwrap();
        self.chain.send_transaction(&tx).unwrap();
        self.chain.mine(5).unwrap();
    }

    /// How many units of the token the cells of a lock hold together.
    pub fn tokens(&self, lock: &Script) -> u128 {
        let key = perun_backend_ckb::rpc::SearchKey::lock(lock.clone());
        let page = self.chain.cells(&key, None, 1_000).unwrap();
        let amounts =
            page.rows.iter().filter_map(|row| perun_backend_ckb::money::token_in(&row.cell));
        amounts.map(|(_, amount)| amount).sum()
    }

    /// What the cells of a lock hold together.
    pub fn holdings(&self, lock: &Script) -> u64 {
        let key = perun_backend_ckb::rpc::SearchKey::lock(lock.clone());
        let page = self.chain.cells(&key, None, 1_000).unwrap();
        page.rows.iter().map(|row| u64::from(row.cell.output.capacity())).sum()
    }

    /// Every transaction that spends cells of these locks: what each lock gained by it, and its
    /// fee.
    pub fn flows(&self, locks: &[Script]) -> Vec<Flow> {
        let mut made: HashMap<OutPoint, CellOutput> = HashMap::new();
        let mut flows = Vec::new();
        let tip = self.chain.tip_header().unwrap().number();
        for number in 0..=tip {
            let block = self.chain.block_by_number(number).unwrap().unwrap();
            for tx in block.transactions() {
                let spent: Vec<_> =
                    tx.input_pts_iter().filter_map(|point| made.remove(&point)).collect();
                let outputs: Vec<_> = tx.outputs().into_iter().collect();
                made.extend(tx.output_pts_iter().zip(outputs.iter().cloned()));
                let sum = |cells: &[CellOutput], lock: Option<&Script>| -> i128 {
                    let ours = cells.iter().filter(|cell| lock.is_none_or(|it| cell.lock() == *it));
                    ours.map(|cell| i128::from(u64::from(cell.capacity()))).sum()
                };
                if !spent.iter().any(|cell| locks.contains(&cell.lock())) {
                    continue;
                }
                let gain = |lock| sum(&outputs, Some(lock)) - sum(&spent, Some(lock));
                let spends = locks.iter().map(|lock| spent.iter().any(|cell| cell.lock() == *lock));
                flows.push(Flow {
                    gains: locks.iter().map(gain).collect(),
                    spends: spends.collect(),
                    fee: sum(&spent, None) - sum(&outputs, None),
                });
            }
        }
        flows
    }
}

/// What one transaction did to some locks.
#[derive(Debug)]
pub struct Flow {
    pub gains: Vec<i128>,
    /// Whose cells it spent.
    pub spends: Vec<bool>,
    pub fee: i128,
}

/// Somebody with money and a node.
pub struct Party {
    pub lock: Script,
    pub session: [u8; 32],
    pub identity: [u8; 32],
    pub folder: PathBuf,
    pub config: Config,
    pub accept_proposals: bool,
    pub node: Option<Node>,
    /// Everything that the node has told since the story began.
    pub events: Vec<(OpeningId, Event)>,
    pub troubles: Vec<String>,
    wallet: [u8; 32],
}

impl Party {
    /// Somebody with cells of these capacities, and no node yet.
    pub fn new(world: &World, capacities: &[u64]) -> Self {
        let wallet = secret();
        let keys = Secp256k1::new(&world.deployment, SigningKey::new(wallet).unwrap());
        let lock = keys.locks()[0].script.clone();
        if !capacities.is_empty() {
            world.give(&lock, capacities);
        }
        let tag: u64 = u64::from_le_bytes(entropy().unwrap());
        let name = format!("perun-node-{}-{tag:x}", std::process::id());
        Self {
            lock,
            session: secret(),
            identity: secret(),
            folder: std::env::temp_dir().join(name),
            config: Config::default(),
            accept_proposals: true,
            node: None,
            events: Vec::new(),
            troubles: Vec::new(),
            wallet,
        }
    }

    pub fn ledger(&self, world: &World) -> CkbLedger {
        self.ledger_on(world, Arc::new(world.chain.clone()))
    }

    /// The same through another node of the chain.
    pub fn ledger_on(&self, world: &World, rpc: Arc<dyn Rpc>) -> CkbLedger {
        let wallet = Secp256k1::new(&world.deployment, SigningKey::new(self.wallet).unwrap());
        let options = CkbOptions::confirmed_by(Depth::new(1).unwrap());
        CkbLedger::new(rpc, world.deployment.clone(), Arc::new(wallet), options).unwrap()
    }

    /// Starts the node on the folder, with the usual ledger.
    pub fn start(&mut self, world: &World) {
        let ledger = AnyLedger::joint(self.ledger(world));
        self.node = Some(self.try_start(world, ledger).unwrap());
    }

    pub fn try_start(&self, world: &World, ledger: AnyLedger) -> Result<Node, NodeError> {
        self.try_start_on(world, vec![ledger])
    }

    pub fn try_start_on(&self, world: &World, ledgers: Vec<AnyLedger>) -> Result<Node, NodeError> {
        let clock = world.clock.clone();
        let options = NodeOptions {
            journal: self.folder.join("journal"),
            mark: self.folder.join("mark"),
            durability: Durability::Relaxed,
            identity: self.identity,
            session: SessionKey::from_secret(self.session).unwrap(),
            config: self.config,
            accept_proposals: self.accept_proposals,
            poll: None,
            clock: Box::new(move || Time::new(clock.load(Ordering::SeqCst))),
            go_perun: None,
        };
        Node::start(options, ledgers)
    }

    pub fn node(&self) -> &Node {
        self.node.as_ref().expect("a node that runs")
    }

    pub fn status(&self, opening: OpeningId) -> Status {
        self.node().status(opening).unwrap().expect("a channel")
    }

    pub fn phase(&self, opening: OpeningId) -> PhaseName {
        self.status(opening).phase
    }

    pub fn pay(&self, opening: OpeningId, amount: u64) -> Result<PaymentId, NodeError> {
        self.node().pay(opening, 0, Amount::new(u128::from(amount)), Memo::default())
    }

    /// What the newest complete state says is ours and the peer's, by columns.
    pub fn balances(&self, opening: OpeningId) -> [u128; 2] {
        let state = self.status(opening).agreed.expect("a state").state;
        [0, 1].map(|column| state.outcome().balance(0, column).unwrap().get())
    }

    /// Takes over the events that have arrived; waits a little for the first.
    pub fn collect(&mut self) {
        let Some(node) = &self.node else { return };
        let mut wait = GLANCE;
        while let Some(event) = node.next_event(wait) {
            match event.event {
                UserEvent::Channel(what) => self.events.push((event.opening, *what)),
                UserEvent::LedgerTrouble(text) | UserEvent::Stopped(text) => {
                    self.troubles.push(text);
                }
            }
            wait = Duration::ZERO;
        }
    }

    /// The peer's payments in a channel, as told since the story began, each once.
    pub fn received(&self, opening: OpeningId) -> Vec<(u64, u128)> {
        let mut all: Vec<_> = self
            .events
            .iter()
            .filter(|(of, _)| *of == opening)
            .filter_map(|(_, event)| match event {
                Event::PaymentReceived(payment) => Some((payment.id.get(), payment.amount.get())),
                _ => None,
            })
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The payments of ours that the peer signed, as told since the story began, each once.
    pub fn sent(&self, opening: OpeningId) -> Vec<u64> {
        let mut all: Vec<_> = self
            .events
            .iter()
            .filter(|(of, _)| *of == opening)
            .filter_map(|(_, event)| match event {
                Event::PaymentSent(id) => Some(id.get()),
                _ => None,
            })
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    pub fn has(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(|(_, event)| wanted(event))
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.node = None;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Alice, who dials and proposes, and Bob.
pub struct Pair {
    pub world: World,
    pub alice: Party,
    pub bob: Party,
    pub address: SocketAddr,
}

/// What everybody has unless said otherwise.
pub const CELLS: [u64; 2] = [5_000 * CKB, 500 * CKB];

impl Pair {
    pub fn new(commit: Commit) -> Self {
        Self::with(commit, |_, _| {})
    }

    /// Two people whose nodes start after `prepare` had its hands on them, and are connected.
    pub fn with(commit: Commit, prepare: impl FnOnce(&mut Party, &mut Party)) -> Self {
        Self::of(World::new(commit), |_, alice, bob| prepare(alice, bob))
    }

    /// Two people on a chain that commits at once; `prepare` may start nodes of its own.
    pub fn with_world(prepare: impl FnOnce(&World, &mut Party, &mut Party)) -> Self {
        Self::of(World::new(Commit::Instant), prepare)
    }

    fn of(world: World, prepare: impl FnOnce(&World, &mut Party, &mut Party)) -> Self {
        let (mut alice, mut bob) = (Party::new(&world, &CELLS), Party::new(&world, &CELLS));
        prepare(&world, &mut alice, &mut bob);
        for party in [&mut alice, &mut bob] {
            if party.node.is_none() {
                party.start(&world);
            }
        }
        let address = bob.node().listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        alice.node().dial(bob.node().peer_id(), address).unwrap();
        Self { world, alice, bob, address }
    }

    /// Looks for events until it is so.
    pub fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < until, "waited in vain: {what}{}", self.report());
            self.alice.collect();
            self.bob.collect();
        }
    }

    /// Makes blocks, and lets both look at them, until it is so.
    pub fn mine_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            self.look();
            if done(self) {
                return;
            }
            assert!(Instant::now() < until, "mined in vain: {what}{}", self.report());
            self.world.chain.mine(1).unwrap();
        }
    }

    /// Both look at all their chains.
    pub fn look(&mut self) {
        for party in [&mut self.alice, &mut self.bob] {
            if let Some(node) = &party.node {
                node.sync().unwrap();
            }
            party.collect();
        }
    }

    /// Whether everybody who is there is in this phase.
    pub fn both(&self, opening: OpeningId, phase: PhaseName) -> bool {
        let mut there = [&self.alice, &self.bob].into_iter().filter(|party| party.node.is_some());
        there.all(|party| party.phase(opening) == phase)
    }

    fn report(&self) -> String {
        let last = |party: &Party| {
            let from = party.events.len().saturating_sub(5);
            format!("\n{:?}\n{:?}", party.events.get(from..), party.troubles)
        };
        format!("{}{}", last(&self.alice), last(&self.bob))
    }

    /// Alice asks Bob for a channel with these deposits.
    pub fn ask(&self, deposits: [u64; 2]) -> Result<OpeningId, NodeError> {
        let request = self.request(deposits);
        self.alice.node().open(peer_of(&self.bob), request)
    }

    pub fn request(&self, deposits: [u64; 2]) -> OpenRequest {
        let balances = deposits.map(|deposit| Amount::new(u128::from(deposit)));
        let coin = self.world.deployment.coin();
        let outcome = Allocation::new(vec![coin], vec![balances.to_vec()], Vec::new()).unwrap();
        OpenRequest { challenge_secs: CHALLENGE_SECS, outcome }
    }

    /// A channel with the usual deposits, open on both sides.
    pub fn open(&mut self) -> OpeningId {
        let opening = self.ask([DEPOSIT; 2]).unwrap();
        self.wait("both released", |pair| pair.alice.phase(opening) == PhaseName::Released);
        self.mine_until("open", |pair| {
            [&pair.alice, &pair.bob].iter().all(|one| one.phase(opening) == PhaseName::Open)
        });
        opening
    }

    /// Alice closes, and everything is paid out.
    pub fn close(&mut self, opening: OpeningId) {
        self.alice.node().command(opening, perun_protocol::Command::Close).unwrap();
        self.wait("closing", |pair| {
            [&pair.alice, &pair.bob].iter().all(|one| one.phase(opening) == PhaseName::Closing)
        });
        self.mine_until("settled", |pair| {
            [&pair.alice, &pair.bob].iter().all(|one| one.phase(opening) == PhaseName::Settled)
        });
    }

    /// Holds the chain against what both should have after one channel with the usual deposits:
    /// what they began with, what was paid from Alice to Bob on balance, and every fee of the
    /// chain.
    pub fn settle_accounts(&self, opening: OpeningId, reserves: [u64; 2], alice_paid: i128) {
        let _ = opening;
        let locks = [self.alice.lock.clone(), self.bob.lock.clone()];
        let flows = self.world.flows(&locks);
        let began = i128::from(CELLS.iter().sum::<u64>());
        let mut fees = [0_i128; 2];
        for flow in &flows {
            let shares: Vec<i128> = match flow.spends[..] {
                // The opening: what left a wallet beyond deposit and reserve is its part of the
                // fee.
                [true, true] => (0..2)
                    .map(|side| {
                        let put = i128::from(DEPOSIT) + i128::from(reserves[side]);
                        -flow.gains[side] - put
                    })
                    .collect(),
                [true, false] => vec![flow.fee, 0],
                _ => vec![0, flow.fee],
            };
            assert_eq!(shares.iter().sum::<i128>(), flow.fee, "{flow:?}");
            assert!(shares.iter().all(|share| *share >= 0), "{shares:?} {flow:?}");
            fees.iter_mut().zip(shares).for_each(|(fee, share)| *fee += share);
        }
        for (side, paid) in [(0, alice_paid), (1, -alice_paid)] {
            let holds = i128::from(self.world.holdings(&locks[side]));
            assert_eq!(holds, began - paid - fees[side], "side {side}: {flows:?}");
        }
    }

    /// What each side lent the channel's cells.
    pub fn reserves(&self, opening: OpeningId) -> [u64; 2] {
        let target = self.alice.status(opening).targets.pop().expect("an open channel");
        let mut reserves = [0; 2];
        for (reserve, participant) in reserves.iter_mut().zip(target.params.participants()) {
            *reserve = CkbParticipant::from_foreign(participant.foreign()).unwrap().reserve;
        }
        reserves
    }
}

pub fn peer_of(party: &Party) -> perun_wire::PeerId {
    perun_wire::Identity::from_secret(party.identity).peer_id()
}

/// A fresh secret that is a key of the curve.
pub fn secret() -> [u8; 32] {
    loop {
        let secret = entropy().unwrap();
        if SessionKey::from_secret(secret).is_some() {
            return secret;
        }
    }
}

/// Swaps between a ledger of deposits and CKB, whose blocks come when they are asked for.
pub fn swaps_between(deposits: LedgerId, ckb: LedgerId) -> SwapConfig {
    let timing = |slots| Timing {
        see_secs: 10,
        react_secs: 10,
        include_secs: 60,
        early_secs: 0,
        late_secs: 0,
        slots,
    };
    let timings = [Some((deposits, timing(0))), Some((ckb, timing(2))), None, None];
    SwapConfig { timings, online_secs: 1_000_000, longest_secs: 1_000_000, ..SwapConfig::OFF }
}
