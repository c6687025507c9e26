//! A running node: a house on a thread of its own, with sockets and the system's clock.
//!
//! The handle sends orders and gets answers; events arrive on a channel. Nothing is decided here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use perun_channel::Amount;
use perun_goperun::Identities;
use perun_goperun::tcp::{DialFailure, Network as GoNetwork, NetworkEvent as GoEvent};
use perun_protocol::{Changes, Command, Config, Memo, OpeningId, PaymentId, Time};
use perun_store::{Durability, OpenMode};
use perun_wire::tcp::{Inbox, Network, NetworkEvent};
use perun_wire::{Event as WireEvent, Expect, Identity, PeerId};

use crate::chance::{Chance, entropy};
use crate::gate::{self, Keeper};
use crate::goperun::peer_id;
use crate::networks::Networks;
use crate::redial::Redial;
use crate::timing::with_time_to_answer;
use crate::{AnyLedger, House, NodeError, NodeEvent, OpenRequest, SessionKey, Status, UserEvent};

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
    /// Our name and manners among go-perun's nodes, if the node is to talk to them.
    pub go_perun: Option<perun_goperun::tcp::Local>,
}

/// A handle to a running node, which any number of threads may use at once. Dropping it stops the
/// node.
pub struct Node {
    orders: Sender<Stimulus>,
    events: Mutex<Receiver<NodeEvent>>,
    thread: Option<JoinHandle<()>>,
    networks: Option<Networks>,
    peer: PeerId,
}

const _: () = {
    const fn used_by_many_threads<T: Send + Sync>() {}
    used_by_many_threads::<Node>();
};

type Answer<T> = Sender<Result<T, NodeError>>;

enum Stimulus {
    Network(NetworkEvent),
    GoPerun(Box<GoEvent>),
    Dial { peer: PeerId, address: SocketAddr },
    DialGoPerun { name: Identities, address: SocketAddr },
    HangUp { peer: PeerId },
    Open { peer: PeerId, request: Box<OpenRequest>, answer: Answer<OpeningId> },
    OpenGoPerun { name: Identities, request: Box<OpenRequest>, answer: Answer<OpeningId> },
    Accept { opening: OpeningId, answer: Answer<()> },
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
        let (gate, keeper) = gate::gate();
        let go_perun = options.go_perun.map(GoNetwork::start).map(|(network, mailbox)| {
            forward(
                orders.clone(),
                move || gate.pass().then(|| mailbox.next_within(Duration::MAX)).flatten(),
                |event| Stimulus::GoPerun(Box::new(event)),
            );
            network
        });
        let networks = Networks::new(network, go_perun);
        let post = Box::new(networks.clone());
        let house = House::new(
            config,
            options.accept_proposals,
            options.session,
            opened,
            ledgers,
            post,
            event_sender,
        )?;
        let mut house = match &networks.go_perun {
            Some(network) => house.named(network.name().clone()),
            None => house,
        };
        house.restart((options.clock)())?;
        forward(orders.clone(), move || inbox.next_within(Duration::MAX), Stimulus::Network);
        let mut service = Service {
            house,
            clock: options.clock,
            networks: networks.clone(),
            redial: Redial::default(),
            go_perun_names: BTreeMap::new(),
            keeper,
            answers: Vec::new(),
        };
        let poll = options.poll;
        let thread = thread::spawn(move || {
            if let Err(error) = service.run(&stimuli, poll) {
                service.house.tell_all(&UserEvent::Stopped(error.to_string()));
            }
        });
        let events = Mutex::new(events);
        Ok(Self { orders, events, thread: Some(thread), networks: Some(networks), peer })
    }

    /// The node's name on the network.
    #[must_use]
    pub const fn peer_id(&self) -> PeerId {
        self.peer
    }

    /// Listens for peers.
    pub fn listen(&self, address: SocketAddr) -> Result<SocketAddr, NodeError> {
        Ok(self.networks()?.own.listen(address)?)
    }

    /// Listens for peers that run go-perun.
    pub fn listen_go_perun(&self, address: SocketAddr) -> Result<SocketAddr, NodeError> {
        let network = self.networks()?.go_perun.as_ref().ok_or(NodeError::NoName)?;
        Ok(network.listen(address)?)
    }

    /// [`Node::dial`] for a peer that runs go-perun; returns how events will name it.
    pub fn dial_go_perun(
        &self,
        name: Identities,
        address: SocketAddr,
    ) -> Result<PeerId, NodeError> {
        self.networks()?.go_perun.as_ref().ok_or(NodeError::NoName)?;
        let peer = peer_id(&name);
        let dial = Stimulus::DialGoPerun { name, address };
        self.orders.send(dial).map_err(|_| NodeError::Stopped)?;
        Ok(peer)
    }

    /// Asks for a channel with a peer that runs go-perun: on one ledger where each side deposits
    /// for itself.
    pub fn open_go_perun(
        &self,
        name: Identities,
        request: OpenRequest,
    ) -> Result<OpeningId, NodeError> {
        let request = Box::new(request);
        self.ask(|answer| Stimulus::OpenGoPerun { name, request, answer })
    }

    /// Agrees to a channel that the peer asked for, where proposals are not accepted without
    /// asking. Our part of it is set aside; what a ledger cannot do is declined, and told as an
    /// event.
    pub fn accept(&self, opening: OpeningId) -> Result<(), NodeError> {
        self.ask(|answer| Stimulus::Accept { opening, answer })
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

    fn networks(&self) -> Result<&Networks, NodeError> {
        self.networks.as_ref().ok_or(NodeError::Stopped)
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
        if let Some(networks) = self.networks.take() {
            networks.shutdown();
        }
    }
}

/// What runs on the node's own thread.
struct Service {
    house: House,
    clock: Clock,
    networks: Networks,
    redial: Redial,
    /// The names of the go-perun peers that are dialled.
    go_perun_names: BTreeMap<PeerId, Identities>,
    /// Lets in what these say.
    keeper: Keeper,
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
            let name = self.go_perun_names.get(&peer);
            // A dial that fails later arrives as an event; one that cannot begin does not.
            if !self.networks.dial(peer, name, address) {
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
            Stimulus::GoPerun(event) => {
                self.keeper.taken();
                self.heard_go_perun(now, *event)?;
            }
            Stimulus::DialGoPerun { name, address } => {
                let peer = peer_id(&name);
                self.go_perun_names.insert(peer, name);
                self.redial.keep(peer, address, Instant::now());
            }
            Stimulus::Dial { peer, address } => self.redial.keep(peer, address, Instant::now()),
            Stimulus::HangUp { peer } => {
                self.redial.forget(peer);
                self.networks.hang_up(peer, self.go_perun_names.remove(&peer));
            }
            Stimulus::Open { peer, request, answer } => {
                let opened = entropy().map(OpeningId::new).and_then(|opening| {
                    self.house.open(now, opening, peer, &request).map(|()| opening)
                });
                self.answer(answer, opened);
            }
            Stimulus::OpenGoPerun { name, request, answer } => {
                let opened = entropy().map(OpeningId::new).and_then(|opening| {
                    self.house.open_go_perun(now, opening, &name, &request).map(|()| opening)
                });
                self.answer(answer, opened);
            }
            Stimulus::Accept { opening, answer } => {
                let accepted = self.house.accept(now, opening);
                self.answer(answer, accepted);
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

    fn heard_go_perun(&mut self, now: Time, event: GoEvent) -> Result<(), NodeError> {
        let id = |peer: &Identities| peer_id(peer);
        match event {
            GoEvent::Connected { peer, link } => {
                self.networks.connected(&peer, link);
                self.redial.connected(id(&peer));
                self.house.connected(now, id(&peer))?;
            }
            GoEvent::Message { peer, message } => self.house.hear_go_perun(now, &peer, message),
            GoEvent::Disconnected { peer, .. } => {
                self.networks.disconnected(&peer);
                self.redial.disconnected(id(&peer), Instant::now());
            }
            GoEvent::DialFailed { peer, reason: DialFailure::Connected } => {
                self.redial.connected(id(&peer));
            }
            GoEvent::DialFailed { peer, .. } => self.redial.failed(id(&peer), Instant::now()),
        }
        Ok(())
    }
}

/// Hands what a network tells to the node's thread, until either ends.
fn forward<T: Send + 'static>(
    orders: Sender<Stimulus>,
    next: impl Fn() -> Option<T> + Send + 'static,
    stimulus: impl Fn(T) -> Stimulus + Send + 'static,
) {
    thread::spawn(move || {
        while let Some(event) = next() {
            if orders.send(stimulus(event)).is_err() {
                break;
            }
        }
    });
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
