//! A running node: a house on a thread of its own, with sockets and the system's clock.
//!
//! The handle sends orders and gets answers; events arrive on a channel. Nothing is decided here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use perun_channel::Amount;
use perun_protocol::{Changes, Command, Config, Memo, OpeningId, PaymentId, Time};
use perun_store::{Durability, OpenMode};
use perun_wire::tcp::{Inbox, Network, NetworkEvent};
use perun_wire::{Event as WireEvent, Expect, Identity, PeerId, Receipt};

use crate::chance::{Chance, entropy};
use crate::redial::Redial;
use crate::timing::with_time_to_answer;
use crate::{
    AnyLedger, House, NodeError, NodeEvent, OpenRequest, Post, SessionKey, Status, UserEvent,
};

/// How long the node waits for an input before it looks at its deadlines.
const PATIENCE: Duration = Duration::from_millis(200);
/// How many inputs one round takes at most before it commits.
const ROUND_INPUTS: usize = 4_096;

/// What says how late it is, in whole seconds.
pub type Clock = Box<dyn Fn() -> Time + Send>;

/// How a node is set up.
pub struct NodeOptions {
    /// The folder of the journal.
    pub journal: PathBuf,
    /// The folder of the mark that recognises an old copy of the journal; outside
    /// the journal's backup.
    pub mark: PathBuf,
    /// How durable a commit is.
    pub durability: Durability,
    /// The secret of the node's identity on the network.
    pub identity: [u8; 32],
    /// The key that signs states.
    pub session: SessionKey,
    /// How patient the node is.
    pub config: Config,
    /// Whether proposals are accepted without asking.
    pub accept_proposals: bool,
    /// How often the ledgers are asked by themselves; never if none.
    pub poll: Option<Duration>,
    /// What measures the waits of the channels: [`system_clock`], unless a test drives another.
    pub clock: Clock,
}

/// A handle to a running node, which any number of threads may use at once. Dropping it stops the
/// node.
pub struct Node {
    orders: Sender<Stimulus>,
    events: Mutex<Receiver<NodeEvent>>,
    thread: Option<JoinHandle<()>>,
    network: Option<Network>,
    peer: PeerId,
}

const _: () = {
    const fn used_by_many_threads<T: Send + Sync>() {}
    used_by_many_threads::<Node>();
};

type Answer<T> = Sender<Result<T, NodeError>>;

enum Stimulus {
    Network(NetworkEvent),
    Dial { peer: PeerId, address: SocketAddr },
    HangUp { peer: PeerId },
    Open { peer: PeerId, request: Box<OpenRequest>, answer: Answer<OpeningId> },
    Pay { opening: OpeningId, asset: u8, amount: Amount, memo: Memo, answer: Answer<PaymentId> },
    Resize { opening: OpeningId, changes: Changes, answer: Answer<()> },
    Command { opening: OpeningId, command: Box<Command>, answer: Answer<()> },
    Status { opening: OpeningId, answer: Sender<Option<Status>> },
    Sync { answer: Answer<()> },
    Stop,
}

impl Node {
    /// Opens the store, replays it, and starts the node.
    pub fn start(options: NodeOptions, ledgers: Vec<AnyLedger>) -> Result<Self, NodeError> {
        let config = with_time_to_answer(options.config, options.poll)?;
        let opened = perun_store::open_folders(
            &options.journal,
            &options.mark,
            entropy()?,
            OpenMode::Strict,
            options.durability,
        )?;
        let identity = Identity::from_secret(options.identity);
        let peer = identity.peer_id();
        let (network, inbox) = network(identity)?;
        let (orders, stimuli) = mpsc::channel();
        let (event_sender, events) = mpsc::channel();
        let post = Box::new(Wires { network: network.clone() });
        let mut house = House::new(
            config,
            options.accept_proposals,
            options.session,
            opened,
            ledgers,
            post,
            event_sender,
        )?;
        house.restart((options.clock)())?;
        let forward = orders.clone();
        thread::spawn(move || {
            while let Some(event) = inbox.next_within(Duration::MAX) {
                if forward.send(Stimulus::Network(event)).is_err() {
                    break;
                }
            }
        });
        let mut service = Service {
            house,
            clock: options.clock,
            network: network.clone(),
            redial: Redial::default(),
            answers: Vec::new(),
        };
        let poll = options.poll;
        let thread = thread::spawn(move || {
            if let Err(error) = service.run(&stimuli, poll) {
                service.house.tell_all(&UserEvent::Stopped(error.to_string()));
            }
        });
        let events = Mutex::new(events);
        Ok(Self { orders, events, thread: Some(thread), network: Some(network), peer })
    }

    /// The node's name on the network.
    #[must_use]
    pub const fn peer_id(&self) -> PeerId {
        self.peer
    }

    /// Listens for peers.
    pub fn listen(&self, address: SocketAddr) -> Result<SocketAddr, NodeError> {
        Ok(self.network()?.listen(address)?)
    }

    /// Keeps a connection to a peer from now on: dials, and dials again whenever it is lost, after
    /// a pause that grows up to a bound. Only one of two nodes should dial the other.
    pub fn dial(&self, peer: PeerId, address: SocketAddr) -> Result<(), NodeError> {
        self.orders.send(Stimulus::Dial { peer, address }).map_err(|_| NodeError::Stopped)
    }

    /// Ends the connection to a peer, and does not dial it again; what was not delivered stays in
    /// its session.
    pub fn disconnect(&self, peer: PeerId) -> Result<(), NodeError> {
        self.orders.send(Stimulus::HangUp { peer }).map_err(|_| NodeError::Stopped)
    }

    /// Asks for a channel.
    pub fn open(&self, peer: PeerId, request: OpenRequest) -> Result<OpeningId, NodeError> {
        let request = Box::new(request);
        self.ask(|answer| Stimulus::Open { peer, request, answer })
    }

    /// Pays the peer of a channel. When this returns, the order is in the store and is not
    /// forgotten; that the peer signed is a later event. Orders of several threads share one sync
    /// of the disk.
    pub fn pay(
        &self,
        opening: OpeningId,
        asset: u8,
        amount: Amount,
        memo: Memo,
    ) -> Result<PaymentId, NodeError> {
        self.ask(|answer| Stimulus::Pay { opening, asset, amount, memo, answer })
    }

    /// Deposits into or takes out of a living channel.
    pub fn resize(&self, opening: OpeningId, changes: Changes) -> Result<(), NodeError> {
        self.ask(|answer| Stimulus::Resize { opening, changes, answer })
    }

    /// Gives a channel one of the plain commands.
    pub fn command(&self, opening: OpeningId, command: Command) -> Result<(), NodeError> {
        let command = Box::new(command);
        self.ask(|answer| Stimulus::Command { opening, command, answer })
    }

    /// Asks the ledgers how the channels stand.
    pub fn sync(&self) -> Result<(), NodeError> {
        self.ask(|answer| Stimulus::Sync { answer })
    }

    /// How a channel stands.
    pub fn status(&self, opening: OpeningId) -> Result<Option<Status>, NodeError> {
        let (answer, status) = mpsc::channel();
        self.orders.send(Stimulus::Status { opening, answer }).map_err(|_| NodeError::Stopped)?;
        status.recv().map_err(|_| NodeError::Stopped)
    }

    /// The next event, if one comes in time. Of several threads that wait, one gets it.
    #[must_use]
    pub fn next_event(&self, patience: Duration) -> Option<NodeEvent> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.recv_timeout(patience).ok()
    }

    fn network(&self) -> Result<&Network, NodeError> {
        self.network.as_ref().ok_or(NodeError::Stopped)
    }

    fn ask<T>(&self, stimulus: impl FnOnce(Answer<T>) -> Stimulus) -> Result<T, NodeError> {
        let (answer, answered) = mpsc::channel();
        self.orders.send(stimulus(answer)).map_err(|_| NodeError::Stopped)?;
        answered.recv().map_err(|_| NodeError::Stopped)?
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.orders.send(Stimulus::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let Some(network) = self.network.take() {
            network.shutdown();
        }
    }
}

/// What runs on the node's own thread.
struct Service {
    house: House,
    clock: Clock,
    network: Network,
    redial: Redial,
    /// Answers that wait until what they say is durable.
    answers: Vec<Box<dyn FnOnce() + Send>>,
}

impl Service {
    /// Takes in what has arrived, finishes the round, and waits for more.
    fn run(
        &mut self,
        stimuli: &Receiver<Stimulus>,
        poll: Option<Duration>,
    ) -> Result<(), NodeError> {
        let mut polled = Instant::now();
        loop {
            let mut stimulus = match stimuli.recv_timeout(self.patience()) {
                Ok(stimulus) => Some(stimulus),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let mut taken = 0;
            while let Some(next) = stimulus {
                if !self.take(next)? {
                    return self.finish_round();
                }
                taken += 1;
                let full = self.house.round_is_full() || taken >= ROUND_INPUTS;
                stimulus = if full { None } else { stimuli.try_recv().ok() };
            }
            self.finish_round()?;
            self.house.tick((self.clock)())?;
            self.redial();
            if poll.is_some_and(|interval| polled.elapsed() >= interval) {
                self.house.sync_ledgers((self.clock)())?;
                polled = Instant::now();
            }
        }
    }

    /// How long to wait for an input: until the next deadline or dial, but not long.
    fn patience(&self) -> Duration {
        let now = (self.clock)().get();
        let until = self.house.deadline().map(|deadline| deadline.get().saturating_sub(now));
        let until = until.map_or(PATIENCE, Duration::from_secs);
        let dial = self.redial.next().map(|at| at.saturating_duration_since(Instant::now()));
        until.min(dial.unwrap_or(PATIENCE)).min(PATIENCE)
    }

    fn redial(&mut self) {
        for (peer, address) in self.redial.due(Instant::now()) {
            // A dial that fails later arrives as an event; one that cannot begin does not.
            if self.network.dial(peer, address).is_err() {
                self.redial.failed(peer, Instant::now());
            }
        }
    }

    fn finish_round(&mut self) -> Result<(), NodeError> {
        self.house.finish_round((self.clock)())?;
        self.answers.drain(..).for_each(|answer| answer());
        Ok(())
    }

    /// Answers when the round is durable. An answer that nobody waits for is dropped.
    fn answer<T: Send + 'static>(&mut self, answer: Answer<T>, result: Result<T, NodeError>) {
        self.answers.push(Box::new(move || {
            let _ = answer.send(result);
        }));
    }

    /// Feeds one stimulus; false when the node shall stop.
    fn take(&mut self, stimulus: Stimulus) -> Result<bool, NodeError> {
        let now = (self.clock)();
        match stimulus {
            Stimulus::Network(event) => self.heard(now, event)?,
            Stimulus::Dial { peer, address } => self.redial.keep(peer, address, Instant::now()),
            Stimulus::HangUp { peer } => {
                self.redial.forget(peer);
                self.network.disconnect(peer);
            }
            Stimulus::Open { peer, request, answer } => {
                let opened = entropy().map(OpeningId::new).and_then(|opening| {
                    self.house.open(now, opening, peer, &request).map(|()| opening)
                });
                self.answer(answer, opened);
            }
            Stimulus::Pay { opening, asset, amount, memo, answer } => {
                let paid = self.house.pay(now, opening, asset, amount, memo);
                self.answer(answer, paid);
            }
            Stimulus::Resize { opening, changes, answer } => {
                let asked = self.house.resize(now, opening, changes);
                self.answer(answer, asked);
            }
            Stimulus::Command { opening, command, answer } => {
                let done = self.house.command(now, opening, *command);
                self.answer(answer, done);
            }
            Stimulus::Status { opening, answer } => {
                self.finish_round()?;
                let _ = answer.send(self.house.status(opening));
            }
            Stimulus::Sync { answer } => {
                self.finish_round()?;
                self.house.sync_ledgers(now)?;
                let _ = answer.send(Ok(()));
            }
            Stimulus::Stop => return Ok(false),
        }
        Ok(true)
    }

    fn heard(&mut self, now: Time, event: NetworkEvent) -> Result<(), NodeError> {
        match event {
            NetworkEvent::Session { peer, event } => match event {
                WireEvent::Message { receipt, payload } => {
                    self.house.message(now, peer, receipt, &payload);
                }
                WireEvent::Connected => {
                    self.redial.connected(peer);
                    self.house.connected(now, peer)?;
                }
                WireEvent::PeerRestarted { .. } => self.house.connected(now, peer)?,
            },
            NetworkEvent::Disconnected { peer, .. } => {
                self.redial.disconnected(peer, Instant::now());
            }
            NetworkEvent::DialFailed { peer, .. } => self.redial.failed(peer, Instant::now()),
        }
        Ok(())
    }
}

/// The network as the house sees it.
struct Wires {
    network: Network,
}

impl Post for Wires {
    fn send(&mut self, peer: PeerId, payload: &[u8]) -> bool {
        self.network.send(peer, payload.to_vec()).is_ok()
    }

    fn hang_up(&mut self, peer: PeerId) {
        self.network.disconnect(peer);
    }

    fn keep(&mut self, peer: PeerId) {
        self.network.pin(peer);
    }

    fn release(&mut self, peer: PeerId) {
        self.network.unpin(peer);
    }

    fn acknowledge(&mut self, peer: PeerId, receipt: Receipt) {
        self.network.acknowledge(peer, receipt);
    }
}

/// A network with this identity, on a steady clock and randomness of its own.
fn network(identity: Identity) -> Result<(Network, Inbox), NodeError> {
    let started = Instant::now();
    let clock =
        move || perun_wire::Time(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
    let mut chance = Chance::new()?;
    let entropy = Box::new(move || chance.draw());
    Ok(Network::start(identity, Expect::Anyone, entropy, Box::new(clock)))
}

/// The clock of the system.
#[must_use]
pub fn system_clock() -> Clock {
    Box::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Time::new(since.map_or(0, |elapsed| elapsed.as_secs()))
    })
}
