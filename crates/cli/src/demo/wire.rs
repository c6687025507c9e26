//! Two houses in one thread, with the real wire between them, held so that every message is seen
//! and the wire can be cut after any of them.
//!
//! A house is everything that a node is but its thread, sockets, clock and disk. Its messages go
//! through encrypted sessions here as well; what arrives is counted where the receiver's session
//! hands it over. The invariant: once cut, nothing that the one side does reaches the other.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perun_channel::codec::Decode;
use perun_node::{AnyLedger, House, NodeEvent, Post, SessionKey, UserEvent, entropy};
use perun_protocol::{Body, Config, Event, Message, Time};
use perun_store::{Durability, MemoryDisk, OpenMode};
use perun_wire::{
    Event as WireEvent, Expect, Handshake, Identity, Incarnation, PeerId, Receipt, Session,
};

use super::party::secret;
use super::{Failure, words};

/// How often bytes may go back and forth before two houses are done.
const EXCHANGES_MAX: usize = 10_000;
/// The wire's own clock stands still: nothing here takes time.
const NOW: perun_wire::Time = perun_wire::Time(1);

/// What a message says, with its signatures.
type Said = Body<perun_channel::Signature>;

/// One end of a wire, as its house sees it.
#[derive(Clone)]
struct End(Arc<Mutex<Session>>);

impl End {
    fn session(&self) -> MutexGuard<'_, Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Post for End {
    fn send(&mut self, _: PeerId, payload: &[u8]) -> bool {
        self.session().send(payload.to_vec()).is_ok()
    }
    fn acknowledge(&mut self, _: PeerId, receipt: Receipt) {
        self.session().acknowledge(receipt);
    }
    fn hang_up(&mut self, _: PeerId) {
        self.session().detach();
    }
}

/// A house with its end of the wire.
pub(super) struct Home {
    pub(super) house: House,
    pub(super) peer: PeerId,
    end: End,
    heard: Receiver<NodeEvent>,
    events: VecDeque<Event>,
}

impl Home {
    fn new(config: Config, ledgers: Vec<AnyLedger>, session: Session) -> Result<Self, Failure> {
        // Nobody is started again in this scene: who falls silent stays so.
        let (journal, mark) = (Box::<MemoryDisk>::default(), Box::<MemoryDisk>::default());
        let fresh = entropy().map_err(words)?;
        let opened = perun_store::open(journal, mark, fresh, OpenMode::Strict, Durability::Relaxed);
        let (events, heard) = mpsc::channel();
        let (peer, end) = (session.peer(), End(Arc::new(Mutex::new(session))));
        let house = House::new(
            config,
            true,
            SessionKey::from_secret(secret()?).ok_or("not a key")?,
            opened.map_err(words)?,
            ledgers,
            Box::new(end.clone()),
            events,
        );
        let (house, events) = (house.map_err(words)?, VecDeque::new());
        Ok(Self { house, peer, end, heard, events })
    }

    /// The first event that `wanted` accepts; those before it are passed over.
    pub(super) fn find<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> Option<T> {
        while let Ok(event) = self.heard.try_recv() {
            match event.event {
                UserEvent::Channel(event) => self.events.push_back(*event),
                UserEvent::LedgerTrouble(trouble) | UserEvent::Stopped(trouble) => {
                    if std::env::var_os("PERUN_DEMO_TROUBLE").is_some() {
                        eprintln!("[{:?}] {trouble}", self.peer);
                    }
                }
            }
        }
        while let Some(event) = self.events.pop_front() {
            if let Some(found) = wanted(&event) {
                return Some(found);
            }
        }
        None
    }

    fn take(&mut self, now: Time, events: Vec<WireEvent>) -> Result<Vec<Said>, Failure> {
        let mut bodies = Vec::new();
        for event in events {
            match event {
                WireEvent::Message { receipt, payload } => {
                    bodies.push(Message::from_bytes(&payload).map_err(words)?.body);
                    self.house.message(now, self.peer, receipt, &payload);
                }
                WireEvent::Connected | WireEvent::PeerRestarted { .. } => {
                    self.house.connected(now, self.peer).map_err(words)?;
                }
            }
        }
        self.house.finish_round(now).map_err(words)?;
        Ok(bodies)
    }
}

/// A message that went over the wire: from whom, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// 0 is Alice.
    pub(super) from: usize,
    pub(super) what: &'static str,
}

/// Alice's house, Bob's, and the wire between them.
pub(super) struct Link {
    pub(super) homes: [Home; 2],
    /// Every message that arrived since [`Link::cut_after`] or the beginning.
    pub(super) passed: Vec<Passed>,
    /// After how many of these nothing passes any more.
    cut: Option<usize>,
}

impl Link {
    pub(super) fn new(config: Config, ledgers: [Vec<AnyLedger>; 2]) -> Result<Self, Failure> {
        let [alice, bob] = sessions()?;
        let [hers, his] = ledgers;
        let homes = [Home::new(config, hers, alice)?, Home::new(config, his, bob)?];
        Ok(Self { homes, passed: Vec::new(), cut: None })
    }

    /// From now on so many messages arrive, and none after them.
    pub(super) fn cut_after(&mut self, messages: Option<usize>) {
        self.passed.clear();
        self.cut = messages;
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_some_and(|messages| self.passed.len() >= messages)
    }

    /// Lets everything pass that wants to, until both have nothing to say.
    pub(super) fn run(&mut self, now: Time) -> Result<(), Failure> {
        for _ in 0..EXCHANGES_MAX {
            let mut quiet = true;
            for from in [0, 1] {
                // One sealed piece at a time, and so at most one message between two looks at the
                // count.
                let Some(bytes) = self.homes[from].end.session().poll_transmit() else { continue };
                quiet = false;
                if self.is_cut() {
                    continue;
                }
                let mut events = Vec::new();
                let to = &mut self.homes[1 - from];
                to.end.session().handle_bytes(&bytes, NOW, &mut events).map_err(words)?;
                let bodies = to.take(now, events)?;
                let passed = bodies.iter().map(|body| Passed { from, what: name(body) });
                self.passed.extend(passed);
            }
            if quiet {
                return Ok(());
            }
        }
        Err(format!("two nodes still talk after {EXCHANGES_MAX} pieces"))
    }
}

/// Two ends of one connection, past its handshake.
fn sessions() -> Result<[Session; 2], Failure> {
    let fresh = || entropy().map_err(words);
    let [alice, bob] = [Identity::from_secret(secret()?), Identity::from_secret(secret()?)];
    let expect = Expect::Exactly(bob.peer_id());
    let mut dial = Handshake::dial(&alice, expect, fresh()?, NOW).map_err(words)?;
    let mut accept = Handshake::accept(&bob, Expect::Anyone, fresh()?, NOW).map_err(words)?;
    while !(dial.is_done() && accept.is_done()) {
        while let Some(bytes) = dial.poll_transmit() {
            accept.handle_bytes(&bytes).map_err(words)?;
        }
        while let Some(bytes) = accept.poll_transmit() {
            dial.handle_bytes(&bytes).map_err(words)?;
        }
    }
    let life = || -> Result<Incarnation, Failure> { Ok(Incarnation(entropy().map_err(words)?)) };
    let mut hers = Session::new(bob.peer_id(), life()?);
    let mut his = Session::new(alice.peer_id(), life()?);
    let mut events = Vec::new();
    hers.attach(dial.finish().map_err(words)?, NOW, &mut events).map_err(words)?;
    his.attach(accept.finish().map_err(words)?, NOW, &mut events).map_err(words)?;
    Ok([hers, his])
}

/// What people call a message.
const fn name(body: &Said) -> &'static str {
    match body {
        Body::RequestTurn { .. } => "wish for the turn",
        Body::YieldTurn { .. } => "turn",
        Body::SwapOffer { .. } => "offer",
        Body::SwapAccept { .. } => "acceptance",
        Body::SwapReveal { .. } => "secret",
        Body::SwapDone { .. } => "last signature",
        Body::SwapCancelRequest { .. } => "wish to take it back",
        Body::SwapCancel { .. } => "taking back",
        Body::SwapCancelled { .. } => "consent to that",
        Body::Reject { .. } => "refusal",
        Body::Sync { .. } => "comparison of states",
        _ => "message",
    }
}
