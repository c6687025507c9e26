//! People of the demo: each has a wallet, a session key, a store of its own and a node.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ckb_types::packed::Script;
use perun_backend_ckb::follow::Depth;
use perun_backend_ckb::wallet::{Secp256k1, SigningKey, Wallet};
use perun_backend_evm::account::{Account, KeyAccount};
use perun_channel::Amount;
use perun_channel::adjudicator::CkbParticipant;
use perun_node::{
    AnyLedger, CkbLedger, CkbOptions, Node, NodeOptions, SessionKey, Status, UserEvent, entropy,
    system_clock,
};
use perun_protocol::{Agreed, Config, Event, Memo, OpeningId, PhaseName, SwapConfig, Timing};
use perun_store::Durability;

use super::book::Book;
use super::cheater::{Cheater, Instead};
use super::ether_book::EtherBook;
use super::stage::Stage;
use super::{Failure, leftovers, words};
use crate::narrate::{Narrator, Summary};

/// How long the demo waits for two nodes on one machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many blocks a scene may take until something is so.
const BLOCKS_MAX: usize = 60;
/// How many of one side's payments are ordered at the same time: they share syncs of the disk.
const PAYERS: usize = 32;
/// How long a swap may take at most, and for how long its parties promise to be there.
const SWAP_SECS_MAX: u64 = 1_000_000;

/// One person.
pub(super) struct Party {
    pub(super) name: &'static str,
    pub(super) lock: Script,
    /// The demo plays the cheater with Bob's keys; a node never shows its own.
    pub(super) session: [u8; 32],
    pub(super) wallet: [u8; 32],
    /// The wallet on Ethereum of somebody who is there too.
    pub(super) ethereum: Option<Arc<KeyAccount>>,
    pub(super) node: Option<Node>,
    folder: PathBuf,
    events: VecDeque<Event>,
}

impl Party {
    /// Somebody new, with a running node and no money.
    pub(super) fn new(stage: &Stage, name: &'static str) -> Result<Self, Failure> {
        Self::with(stage, name, None, None)
    }

    /// The same, on Ethereum too if there is a wallet for it; and perhaps with a cheater's program.
    fn with(
        stage: &Stage,
        name: &'static str,
        ethereum: Option<Arc<KeyAccount>>,
        cheats: Option<Instead>,
    ) -> Result<Self, Failure> {
        let (session, wallet) = (secret()?, secret()?);
        let keys = wallet_of(stage, wallet)?;
        let lock = keys.locks().first().ok_or("a wallet without a lock")?.script.clone();
        let tag: [u8; 8] = entropy().map_err(words)?;
        let tag = u64::from_le_bytes(tag);
        let folder =
            std::env::temp_dir().join(format!("perun-demo-{}-{tag:x}", std::process::id()));
        let mut ledgers = vec![AnyLedger::joint(ledger(stage, Arc::new(keys))?)];
        if let Some(wallet) = &ethereum {
            let inner = stage.ethereum.ledger(wallet.clone())?;
            ledgers.push(match cheats {
                None => AnyLedger::deposit(inner),
                Some(instead) => AnyLedger::deposit(Cheater { inner, instead }),
            });
        }
        let node = leftovers::folder(&folder, || start(stage, &folder, session, ledgers))?;
        let (node, events) = (Some(node), VecDeque::new());
        Ok(Self { name, lock, session, wallet, ethereum, node, folder, events })
    }

    pub(super) fn node(&self) -> Result<&Node, Failure> {
        self.node.as_ref().ok_or_else(|| format!("{} is gone", self.name))
    }

    /// The node's ledger in other hands: what a cheater has who holds this person's keys.
    pub(super) fn ledger(&self, stage: &Stage) -> Result<CkbLedger, Failure> {
        ledger(stage, Arc::new(wallet_of(stage, self.wallet)?))
    }

    pub(super) fn status(&self, opening: OpeningId) -> Result<Status, Failure> {
        let status = self.node()?.status(opening).map_err(words)?;
        status.ok_or_else(|| format!("{} does not know the channel", self.name))
    }

    /// The newest state that both signed.
    pub(super) fn agreed(&self, opening: OpeningId) -> Result<Agreed, Failure> {
        let agreed = self.status(opening)?.agreed;
        agreed.ok_or_else(|| "a channel without a state".into())
    }

    fn pay(&self, opening: OpeningId, asset: u8, amount: u128) -> Result<(), Failure> {
        let memo = Memo::default();
        self.node()?.pay(opening, asset, Amount::new(amount), memo).map_err(words)?;
        Ok(())
    }

    /// Waits for an event that `wanted` accepts; those before it are passed over.
    pub(super) fn expect<T>(
        &mut self,
        what: &str,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T, Failure> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            while let Some(event) = self.events.pop_front() {
                if let Some(found) = wanted(&event) {
                    return Ok(found);
                }
            }
            self.collect(Duration::from_millis(100));
        }
        Err(format!("{} waited {} s for: {what}", self.name, PATIENCE.as_secs()))
    }

    /// Takes over the events that have arrived; waits for the first one at most so long.
    fn collect(&mut self, patience: Duration) {
        let Some(node) = &self.node else { return };
        let mut wait = patience;
        while let Some(event) = node.next_event(wait) {
            match event.event {
                UserEvent::Channel(event) => self.events.push_back(*event),
                // The machine tries again by itself; a scene that fails for it says so in the end.
                UserEvent::LedgerTrouble(trouble) | UserEvent::Stopped(trouble) => {
                    self.trouble(&trouble);
                }
            }
            wait = Duration::ZERO;
        }
    }

    fn trouble(&self, text: &str) {
        if std::env::var_os("PERUN_DEMO_TROUBLE").is_some() {
            eprintln!("[{}] {text}", self.name);
        }
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.node = None;
        leftovers::remove(&self.folder);
    }
}

/// Two people whose nodes are connected, and the books of what they do on the chains.
pub(super) struct Pair {
    pub(super) alice: Party,
    pub(super) bob: Party,
    pub(super) book: Book,
    /// If they are on Ethereum too.
    pub(super) ether_book: Option<EtherBook>,
}

impl Pair {
    /// Alice and Bob with this much money each: cells of these capacities and of the token.
    pub(super) fn new(
        stage: &Stage,
        capacities: &[u64],
        tokens: [&[u128]; 2],
    ) -> Result<Self, Failure> {
        let (alice, bob) = (Party::new(stage, "Alice")?, Party::new(stage, "Bob")?);
        Self::of(stage, [alice, bob], capacities, tokens)
    }

    /// The same, and on Ethereum so much of the token there, and ether. Bob may have a cheater's
    /// program.
    pub(super) fn across(
        stage: &Stage,
        capacities: &[u64],
        tokens: u128,
        cheats: Option<Instead>,
    ) -> Result<Self, Failure> {
        let wallet = || stage.ethereum.wallet(tokens).map(Some);
        let alice = Party::with(stage, "Alice", wallet()?, None)?;
        let bob = Party::with(stage, "Bob", wallet()?, cheats)?;
        let wallets = [&alice, &bob].into_iter().filter_map(|party| {
            party.ethereum.as_ref().map(|wallet| (party.name, wallet.address()))
        });
        let ether_book = Some(EtherBook::open(&stage.ethereum, wallets)?);
        let pair = Self::of(stage, [alice, bob], capacities, [&[tokens], &[tokens]])?;
        Ok(Self { ether_book, ..pair })
    }

    fn of(
        stage: &Stage,
        [alice, bob]: [Party; 2],
        capacities: &[u64],
        [hers, his]: [&[u128]; 2],
    ) -> Result<Self, Failure> {
        stage.give(&alice.lock, capacities, hers)?;
        stage.give(&bob.lock, capacities, his)?;
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let address = bob.node()?.listen(loopback).map_err(words)?;
        alice.node()?.dial(bob.node()?.peer_id(), address).map_err(words)?;
        let book = Book::open(stage, [(alice.name, &alice.lock), (bob.name, &bob.lock)])?;
        Ok(Self { alice, bob, book, ether_book: None })
    }

    /// One pays the other once, and both know it.
    pub(super) fn pay(
        &mut self,
        opening: OpeningId,
        payer: usize,
        (row, amount): (u8, u128),
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let (alice, bob) = (&mut self.alice, &mut self.bob);
        let (from, to) = if payer == 0 { (alice, bob) } else { (bob, alice) };
        from.pay(opening, row, amount)?;
        to.expect("a payment", received)?;
        let sent = |event: &Event| matches!(event, Event::PaymentSent(_)).then_some(());
        from.expect("an acknowledgement", sent)?;
        summary.payments += 1;
        Ok(())
    }

    /// Both order these payments at once, Alice's and as many of Bob's: row and amount. Returns how
    /// many there were when all have arrived.
    pub(super) fn pay_many(
        &mut self,
        narrator: &mut dyn Narrator,
        opening: OpeningId,
        payments: [&[(u8, u128)]; 2],
        summary: &mut Summary,
    ) -> Result<u64, Failure> {
        self.order_many(opening, payments)?;
        let each = u64::try_from(payments[0].len()).map_err(words)?;
        for done in 1..=each {
            self.alice.expect("a payment", received)?;
            self.bob.expect("a payment", received)?;
            if done % 50 == 0 || done == each {
                narrator.progress(2 * done, 2 * each);
            }
        }
        summary.payments += 2 * each;
        Ok(2 * each)
    }

    /// Returns when all are in the stores, which does not mean that any is done.
    fn order_many(&self, opening: OpeningId, payments: [&[(u8, u128)]; 2]) -> Result<(), Failure> {
        std::thread::scope(|scope| {
            let mut payers = Vec::new();
            for (party, payments) in [&self.alice, &self.bob].into_iter().zip(payments) {
                for part in payments.chunks(payments.len().div_ceil(PAYERS).max(1)) {
                    payers.push(scope.spawn(move || {
                        part.iter().try_for_each(|(row, sum)| party.pay(opening, *row, *sum))
                    }));
                }
            }
            payers.into_iter().try_for_each(|payer| {
                payer.join().map_err(|_| Failure::from("a thread that paid ended by itself"))?
            })
        })
    }

    /// One block on every chain that they use.
    fn mine(&self, stage: &Stage) -> Result<(), Failure> {
        if self.ether_book.is_some() {
            stage.ethereum.mine()?;
        }
        stage.mine()
    }

    /// Waits until both have let go of a transaction of both, and it is on its way.
    pub(super) fn wait_released(&mut self, opening: OpeningId) -> Result<(), Failure> {
        let released = [PhaseName::Released, PhaseName::ResizeReleased];
        self.wait_phase(opening, &released)
    }

    /// Waits, without a block, until Alice's machine is in one of these phases.
    pub(super) fn wait_phase(
        &mut self,
        opening: OpeningId,
        phases: &[PhaseName],
    ) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if phases.contains(&self.alice.status(opening)?.phase) {
                return Ok(());
            }
            self.alice.collect(Duration::from_millis(5));
            self.bob.collect(Duration::ZERO);
        }
        let phase = self.alice.status(opening)?.phase;
        Err(format!("Alice's channel is {phase:?}, and was to be {phases:?}"))
    }

    /// Reads new blocks into the books.
    pub(super) fn read(
        &mut self,
        stage: &Stage,
        narrator: &mut dyn Narrator,
        what: &str,
    ) -> Result<(), Failure> {
        self.book.read(stage, narrator, what)?;
        match &mut self.ether_book {
            Some(book) => book.read(&stage.ethereum, narrator, what),
            None => Ok(()),
        }
    }

    /// Makes blocks until `done` says so; after each one both nodes look at the chain.
    pub(super) fn mine_until(
        &mut self,
        stage: &Stage,
        narrator: &mut dyn Narrator,
        what: &str,
        mut done: impl FnMut(&Self) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        for _ in 0..BLOCKS_MAX {
            for party in [&self.alice, &self.bob] {
                if let Some(node) = &party.node {
                    node.sync().map_err(words)?;
                }
            }
            self.read(stage, narrator, what)?;
            if done(self)? {
                return Ok(());
            }
            self.mine(stage)?;
        }
        Err(format!("after {BLOCKS_MAX} blocks still not so: {what}"))
    }
}

fn received(event: &Event) -> Option<()> {
    matches!(event, Event::PaymentReceived(_)).then_some(())
}

/// What each side lends the cells of a channel on CKB while it lives.
pub(super) fn reserves(status: &Status) -> Result<[u64; 2], Failure> {
    let target = status.targets.first().ok_or("an open channel without a target")?;
    let mut reserves = [0; 2];
    for (reserve, participant) in reserves.iter_mut().zip(target.params.participants()) {
        let identity = CkbParticipant::from_foreign(participant.foreign()).map_err(words)?;
        *reserve = identity.reserve;
    }
    Ok(reserves)
}

/// Which swaps the demo's people take part in: any between the two chains of the stage, whose
/// blocks come when they are asked for.
pub(super) fn config(stage: &Stage) -> Config {
    let timing = |slots| Timing {
        see_secs: 10,
        react_secs: 10,
        include_secs: 60,
        early_secs: 0,
        late_secs: 0,
        slots,
    };
    let (ckb, ethereum) = (stage.deployment.coin().ledger(), stage.ethereum.coin().ledger());
    let timings = [Some((ckb, timing(2))), Some((ethereum, timing(0))), None, None];
    let swaps = SwapConfig {
        timings,
        online_secs: SWAP_SECS_MAX,
        longest_secs: SWAP_SECS_MAX,
        ..SwapConfig::OFF
    };
    Config { swaps, ..Config::default() }
}

pub(super) fn wallet_of(stage: &Stage, secret: [u8; 32]) -> Result<Secp256k1, Failure> {
    let key = SigningKey::new(secret).map_err(words)?;
    Ok(Secp256k1::new(&stage.deployment, key))
}

pub(super) fn ledger(stage: &Stage, wallet: Arc<dyn Wallet>) -> Result<CkbLedger, Failure> {
    let depth = Depth::new(1).ok_or("no depth of one block")?;
    let options = CkbOptions::confirmed_by(depth);
    CkbLedger::new(stage.rpc.clone(), stage.deployment.clone(), wallet, options).map_err(words)
}

fn start(
    stage: &Stage,
    folder: &Path,
    session: [u8; 32],
    ledgers: Vec<AnyLedger>,
) -> Result<Node, Failure> {
    let options = NodeOptions {
        journal: folder.join("journal"),
        mark: folder.join("mark"),
        durability: Durability::Full,
        identity: secret()?,
        session: SessionKey::from_secret(session).ok_or("not a key")?,
        config: config(stage),
        accept_proposals: true,
        poll: None,
        clock: system_clock(),
        go_perun: None,
    };
    Node::start(options, ledgers).map_err(words)
}

/// A fresh secret that is a key of the curve, as all but one in 2^128 are.
pub(super) fn secret() -> Result<[u8; 32], Failure> {
    loop {
        let secret: [u8; 32] = entropy().map_err(words)?;
        if SessionKey::from_secret(secret).is_some() {
            return Ok(secret);
        }
    }
}
