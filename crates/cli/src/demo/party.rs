//! People of the demo: each has a wallet, a session key, a store of its own and a node.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ckb_types::packed::Script;
use perun_backend_ckb::follow::Depth;
use perun_backend_ckb::wallet::{Secp256k1, SigningKey, Wallet};
use perun_channel::Amount;
use perun_node::{
    AnyLedger, CkbLedger, CkbOptions, Node, NodeOptions, SessionKey, Status, UserEvent, entropy,
    system_clock,
};
use perun_protocol::{Config, Event, Memo, OpeningId, PhaseName};
use perun_store::Durability;

use super::book::Book;
use super::stage::Stage;
use super::{Failure, leftovers, words};
use crate::narrate::Narrator;

/// How long the demo waits for two nodes on one machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many blocks a scene may take until something is so.
const BLOCKS_MAX: usize = 60;

/// One person.
pub(super) struct Party {
    pub(super) name: &'static str,
    pub(super) lock: Script,
    /// The demo plays the cheater with Bob's keys; a node never shows its own.
    pub(super) session: [u8; 32],
    pub(super) wallet: [u8; 32],
    pub(super) node: Option<Node>,
    folder: PathBuf,
    events: VecDeque<Event>,
}

impl Party {
    /// Somebody new, with a running node and no money.
    pub(super) fn new(stage: &Stage, name: &'static str) -> Result<Self, Failure> {
        let (session, wallet) = (secret()?, secret()?);
        let keys = wallet_of(stage, wallet)?;
        let lock = keys.locks().first().ok_or("a wallet without a lock")?.script.clone();
        let tag: [u8; 8] = entropy().map_err(words)?;
        let tag = u64::from_le_bytes(tag);
        let folder =
            std::env::temp_dir().join(format!("perun-demo-{}-{tag:x}", std::process::id()));
        leftovers::folder(&folder);
        let node = start(stage, &folder, session, Arc::new(keys))?;
        let (node, events) = (Some(node), VecDeque::new());
        Ok(Self { name, lock, session, wallet, node, folder, events })
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

    pub(super) fn pay(&self, opening: OpeningId, asset: u8, amount: u128) -> Result<(), Failure> {
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

/// Two people whose nodes are connected, and the book of what they do on the chain.
pub(super) struct Pair {
    pub(super) alice: Party,
    pub(super) bob: Party,
    pub(super) book: Book,
}

impl Pair {
    /// Alice and Bob with this much money each: cells of these capacities and of the token.
    pub(super) fn new(
        stage: &Stage,
        capacities: &[u64],
        tokens: [&[u128]; 2],
    ) -> Result<Self, Failure> {
        let (alice, bob) = (Party::new(stage, "Alice")?, Party::new(stage, "Bob")?);
        let [hers, his] = tokens;
        stage.give(&alice.lock, capacities, hers)?;
        stage.give(&bob.lock, capacities, his)?;
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let address = bob.node()?.listen(loopback).map_err(words)?;
        alice.node()?.dial(bob.node()?.peer_id(), address).map_err(words)?;
        let book = Book::open(stage, &[alice.lock.clone(), bob.lock.clone()])?;
        Ok(Self { alice, bob, book })
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
            self.book.read(stage, narrator, what)?;
            if done(self)? {
                return Ok(());
            }
            stage.mine()?;
        }
        Err(format!("after {BLOCKS_MAX} blocks still not so: {what}"))
    }
}

fn wallet_of(stage: &Stage, secret: [u8; 32]) -> Result<Secp256k1, Failure> {
    let key = SigningKey::new(secret).map_err(words)?;
    Ok(Secp256k1::new(&stage.deployment, key))
}

fn ledger(stage: &Stage, wallet: Arc<dyn Wallet>) -> Result<CkbLedger, Failure> {
    let depth = Depth::new(1).ok_or("no depth of one block")?;
    let options = CkbOptions::confirmed_by(depth);
    CkbLedger::new(stage.rpc.clone(), stage.deployment.clone(), wallet, options).map_err(words)
}

fn start(
    stage: &Stage,
    folder: &Path,
    session: [u8; 32],
    wallet: Arc<dyn Wallet>,
) -> Result<Node, Failure> {
    let options = NodeOptions {
        journal: folder.join("journal"),
        mark: folder.join("mark"),
        durability: Durability::Full,
        identity: secret()?,
        session: SessionKey::from_secret(session).ok_or("not a key")?,
        config: Config::default(),
        accept_proposals: true,
        poll: None,
        clock: system_clock(),
    };
    Node::start(options, vec![AnyLedger::joint(ledger(stage, wallet)?)]).map_err(words)
}

/// A fresh secret that is a key of the curve, as all but one in 2^128 are.
fn secret() -> Result<[u8; 32], Failure> {
    loop {
        let secret: [u8; 32] = entropy().map_err(words)?;
        if SessionKey::from_secret(secret).is_some() {
            return Ok(secret);
        }
    }
}
