//! One loop joining machines, journal, peers and ledgers.
//!
//! A [`House`] works in rounds: it feeds every input that has arrived to the machines, commits all
//! their records in one batch, and then carries out the effects in order; what a ledger answers
//! starts the next round. The invariant that matters: no effect is carried out before the batch
//! with its records is durable, and only here signatures are made.

mod effects;
mod go_perun;
mod room;
mod rounds;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::Sender;

use perun_channel::codec::{Decode, Encode};
use perun_channel::{Address, Amount, ChannelId, LedgerId};
use perun_goperun::Identities;
use perun_protocol::{
    Body, Changes, Command, Config, Draft, Input, Machine, Memo, Message, OpeningId, Payment,
    PaymentId, PhaseName, Sighting, Target, Time,
};
use perun_store::{Journal, Stream};
use perun_wire::{PeerId, Receipt};

use crate::chance::entropy;
use crate::goperun::{Early, Peer};
use crate::journal::{self, Entry, Salt};
use crate::ledgers::Ledgers;
use crate::outbox::Outbox;
use crate::{
    AnyLedger, LedgerError, NodeError, NodeEvent, OpenRequest, SessionKey, Status, UserEvent,
};
pub(crate) use room::CHANNELS_MOST;
use room::{Growing, Growth};
use rounds::Round;

/// How a house reaches its peers.
pub trait Post: Send {
    /// Hands a message to the session with a peer; false if its window is full.
    fn send(&mut self, peer: PeerId, payload: &[u8]) -> bool;
    /// Tells the session that a message was recorded.
    fn acknowledge(&mut self, peer: PeerId, receipt: Receipt);
    /// Ends the connection to a peer that does not read.
    fn hang_up(&mut self, peer: PeerId);
    /// Strangers must not push out this peer: we have a channel with it.
    fn keep(&mut self, _: PeerId) {}
    /// The last channel with this peer is over: it is one among strangers again.
    fn release(&mut self, _: PeerId) {}
    /// Says something to a go-perun peer, if there is a connection to it.
    fn say(&mut self, _: &Identities, _: perun_goperun::Message) {}
    /// [`Post::keep`] for a go-perun peer.
    fn keep_go_perun(&mut self, _: &Identities) {}
    /// [`Post::release`] for a go-perun peer.
    fn release_go_perun(&mut self, _: &Identities) {}
}

struct Seat {
    machine: Machine,
    peer: Peer,
    /// What we drew at random for it, and the key that comes of it.
    salt: Salt,
    key: SessionKey,
    /// The id of the last payment that we gave to the machine since the start.
    last_payment: PaymentId,
    growing: Growing,
}

impl Seat {
    fn new(
        machine: Machine,
        peer: Peer,
        (salt, key): (Salt, SessionKey),
        growing: Growing,
    ) -> Self {
        Self { machine, peer, salt, key, last_payment: PaymentId::new(0), growing }
    }

    /// Whether there is a channel on the ledger that is not settled. Before, an opening may still
    /// come to nothing, and whoever asks for one has paid for nothing.
    fn is_living(&self) -> bool {
        match self.machine.phase() {
            PhaseName::Fresh
            | PhaseName::Proposing
            | PhaseName::Deciding
            | PhaseName::Assembling
            | PhaseName::Awaiting
            | PhaseName::Checking
            | PhaseName::Signing
            | PhaseName::Depositing
            | PhaseName::Released
            | PhaseName::Aborting
            | PhaseName::Settled
            | PhaseName::Over => false,
            PhaseName::Open
            | PhaseName::Updating
            | PhaseName::CloseAsked
            | PhaseName::Resizing
            | PhaseName::ResizeReleased
            | PhaseName::Frozen
            | PhaseName::Closing
            | PhaseName::Disputing
            | PhaseName::Registered
            | PhaseName::Concluding
            | PhaseName::SwapAsked
            | PhaseName::Swapping
            | PhaseName::Unpaid => true,
        }
    }
}

/// One party's channels.
pub struct House {
    config: Config,
    accept_proposals: bool,
    key: SessionKey,
    seats: BTreeMap<OpeningId, Seat>,
    journal: Journal,
    ledgers: Ledgers,
    post: Box<dyn Post>,
    events: Sender<NodeEvent>,
    /// How we are called among go-perun's nodes.
    own_name: Option<Identities>,
    early: Early,
    /// The channels that each ledger reports on, and whose they are.
    watched: BTreeMap<(LedgerId, ChannelId), (OpeningId, Target)>,
    /// How they stood when last reported.
    sightings: BTreeMap<(LedgerId, ChannelId), Sighting>,
    outbox: Outbox,
    /// The openings that came to nothing, the oldest first.
    ended: VecDeque<OpeningId>,
    /// The ledgers of which the user knows that they cannot be read.
    troubled: BTreeSet<LedgerId>,
    round: Round,
}

impl House {
    /// A house over an opened store. `streams` is what the store had.
    pub fn new(
        config: Config,
        accept_proposals: bool,
        key: SessionKey,
        opened: perun_store::Opened,
        ledgers: Vec<AnyLedger>,
        post: Box<dyn Post>,
        events: Sender<NodeEvent>,
    ) -> Result<Self, NodeError> {
        let mut seats = BTreeMap::new();
        for (stream, content) in opened.streams {
            let opening = OpeningId::new(stream.0);
            let seat = replay(opening, config, &key, &content).ok_or(NodeError::Record(opening))?;
            seats.insert(opening, seat);
        }
        Ok(Self {
            config,
            accept_proposals,
            key,
            seats,
            journal: opened.journal,
            ledgers: Ledgers::new(ledgers),
            post,
            events,
            own_name: None,
            early: Early::default(),
            watched: BTreeMap::new(),
            sightings: BTreeMap::new(),
            outbox: Outbox::default(),
            ended: VecDeque::new(),
            troubled: BTreeSet::new(),
            round: Round::default(),
        })
    }

    /// Gives the house a name among go-perun's nodes: without one it talks to none of them.
    #[must_use]
    pub fn named(mut self, name: Identities) -> Self {
        self.own_name = Some(name);
        self
    }

    /// Repeats what may not have happened before the process ended.
    pub fn restart(&mut self, now: Time) -> Result<(), NodeError> {
        self.keep_all();
        self.shorten_all(now)?;
        self.feed_all(now, |_| Some(Input::Restart))?;
        self.finish_round(now)
    }

    /// When [`House::tick`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.seats.values().filter_map(|seat| seat.machine.deadline()).min()
    }

    /// Lets passed deadlines run out.
    pub fn tick(&mut self, now: Time) -> Result<(), NodeError> {
        self.outbox.flush(self.post.as_mut());
        self.feed_all(now, |seat| {
            seat.machine.deadline().filter(|deadline| *deadline <= now).map(|_| Input::Tick)
        })?;
        self.finish_round(now)
    }

    /// Asks every ledger how the channels stand, and tells the machines.
    pub fn sync_ledgers(&mut self, now: Time) -> Result<(), NodeError> {
        for ledger in self.ledgers.ids() {
            self.sync_ledger(now, ledger)?;
        }
        self.finish_round(now)
    }

    fn sync_ledger(&mut self, now: Time, ledger: LedgerId) -> Result<(), NodeError> {
        let sightings = match self.ledgers.get(ledger).and_then(|it| it.sync()) {
            Ok(sightings) => sightings,
            // Whatever is wrong with the ledger's node may pass; the channels must go on without
            // it, and the other ledgers be looked at.
            Err(error) => {
                if self.troubled.insert(ledger) || matches!(error, LedgerError::OtherChain) {
                    self.tell_all(&UserEvent::LedgerTrouble(error.to_string()));
                }
                return Ok(());
            }
        };
        self.troubled.remove(&ledger);
        self.feed_sightings(now, sightings)?;
        for (channel, error) in self.ledgers.get(ledger).map(|it| it.unread()).unwrap_or_default() {
            if let Some((opening, _)) = self.watched.get(&(ledger, channel)) {
                self.tell(*opening, UserEvent::LedgerTrouble(error.to_string()));
            }
        }
        if let Ok(clock) = self.ledgers.get(ledger).and_then(|it| it.clock()) {
            self.feed_all(now, |_| Some(Input::LedgerClock { ledger, now: clock }))?;
        }
        Ok(())
    }

    /// The connection to a peer exists (again).
    pub fn connected(&mut self, now: Time, peer: PeerId) -> Result<(), NodeError> {
        self.outbox.flush(self.post.as_mut());
        let earlier = self.round.effects_count();
        self.feed_all(now, |seat| (seat.peer.id() == peer).then_some(Input::Connected))?;
        self.round.say_once(earlier);
        self.finish_round(now)
    }

    /// Takes in a message without committing yet; call [`House::finish_round`] when no more has
    /// arrived.
    pub fn message(&mut self, now: Time, peer: PeerId, receipt: Receipt, payload: &[u8]) {
        self.round.received(peer, receipt);
        // What is not a message is a peer's fault; it changes nothing here.
        let Ok(message) = Message::from_bytes(payload) else { return };
        let opening = message.opening;
        if !self.admits(&peer.into(), &message, payload.len()) {
            return;
        }
        // A refusal is the machine's answer to a peer's fault, and changes nothing.
        let _ = self.feed(now, opening, Input::Message(message));
    }

    /// Asks for a channel with a peer.
    pub fn open(
        &mut self,
        now: Time,
        opening: OpeningId,
        peer: PeerId,
        request: &OpenRequest,
    ) -> Result<(), NodeError> {
        self.open_with(now, opening, peer.into(), request)
    }

    /// Asks for a channel with a go-perun peer.
    pub fn open_go_perun(
        &mut self,
        now: Time,
        opening: OpeningId,
        name: &Identities,
        request: &OpenRequest,
    ) -> Result<(), NodeError> {
        if self.own_name.is_none() {
            return Err(NodeError::NoName);
        }
        self.open_with(now, opening, Peer::go_perun(name.clone()), request)
    }

    fn open_with(
        &mut self,
        now: Time,
        opening: OpeningId,
        peer: Peer,
        request: &OpenRequest,
    ) -> Result<(), NodeError> {
        let (asked, enough) = (request.challenge_secs, self.config.challenge_secs_min);
        if asked < enough {
            return Err(NodeError::ChallengeTooShort { asked, enough });
        }
        self.check_places()?;
        self.check_room(Growth::Channel)?;
        let salt = entropy()?;
        let address = self.address_for(&salt, &request.outcome.ledgers());
        let (terms, contributions) = self.ledgers.offer(address, request)?;
        let ours = contributions.clone();
        let body = Body::Propose { terms: terms.clone(), contributions: ours.clone() };
        let sized = Self::check_proposal(&Message { opening, body });
        let command = Input::Command(Command::Propose { terms, contributions });
        let tried = Machine::new(opening, peer.config(self.config)).step(now, command.clone());
        // Terms that cannot be must leave neither a channel nor set money aside.
        if let Err(error) = sized.and(tried.map_err(NodeError::Declined)) {
            self.ledgers.release_all(&request.outcome.ledgers(), &ours)?;
            return Err(error);
        }
        self.seat(opening, peer, salt);
        self.feed(now, opening, command).map_err(NodeError::Declined)
    }

    /// Pays the peer of a channel. Payments that wait together go into one update.
    pub fn pay(
        &mut self,
        now: Time,
        opening: OpeningId,
        asset: u8,
        amount: Amount,
        memo: Memo,
    ) -> Result<PaymentId, NodeError> {
        self.check_room(Growth::Wish)?;
        let seat = self.seats.get_mut(&opening).ok_or(NodeError::UnknownChannel(opening))?;
        let lowest = seat.machine.next_payment().unwrap_or(PaymentId::new(1));
        let id = lowest.max(seat.last_payment.next());
        let payment = Payment { id, asset, amount, memo };
        let command = Input::Command(Command::Pay(payment));
        self.feed(now, opening, command).map_err(NodeError::Declined)?;
        if let Some(seat) = self.seats.get_mut(&opening) {
            seat.last_payment = id;
        }
        Ok(id)
    }

    /// Deposits into or takes out of a living channel.
    pub fn resize(
        &mut self,
        now: Time,
        opening: OpeningId,
        changes: Changes,
    ) -> Result<(), NodeError> {
        self.check_room(Growth::Wish)?;
        let (target, state) = self.resizable(opening)?;
        let ledger = self.ledgers.joint(target.ledger)?;
        let (chain, contribution) = ledger.resize_offer(&target, &state, &changes)?;
        let ours = contribution.clone();
        let command = Command::Resize { changes, chain, contribution };
        self.feed(now, opening, Input::Command(command)).or_else(|declined| {
            // What the machine does not take must not keep money set aside.
            self.ledgers.release(target.ledger, &ours)?;
            Err(NodeError::Declined(declined))
        })
    }

    /// Gives a machine one of the user's plain commands: those that need nothing of the ledgers but
    /// their clocks, which are read here.
    pub fn command(
        &mut self,
        now: Time,
        opening: OpeningId,
        command: Command,
    ) -> Result<(), NodeError> {
        if !self.seats.contains_key(&opening) {
            return Err(NodeError::UnknownChannel(opening));
        }
        let command = match command {
            Command::AcceptSwap { .. } => {
                Command::AcceptSwap { clocks: self.clocks(now, opening)? }
            }
            command => command,
        };
        self.feed(now, opening, Input::Command(command)).map_err(NodeError::Declined)
    }

    /// How a channel stands.
    #[must_use]
    pub fn status(&self, opening: OpeningId) -> Option<Status> {
        let machine = &self.seats.get(&opening)?.machine;
        let id = machine.id();
        let of_this = |(ledger, channel): &(LedgerId, ChannelId)| {
            (Some(*channel) == id).then_some((*ledger, *channel))
        };
        let places: Vec<_> = self.watched.keys().filter_map(of_this).collect();
        let target = |place| self.watched.get(place).map(|(_, target)| target.clone());
        Some(Status {
            id,
            phase: machine.phase(),
            waiting_for: machine.waiting_for(),
            agreed: machine.agreed().cloned(),
            queued: machine.queued(),
            targets: places.iter().filter_map(target).collect(),
            sightings: places.iter().filter_map(|at| self.sightings.get(at).cloned()).collect(),
        })
    }

    /// Tells the user of every channel.
    pub(crate) fn tell_all(&self, event: &UserEvent) {
        for opening in self.seats.keys() {
            self.tell(*opening, event.clone());
        }
    }

    fn tell(&self, opening: OpeningId, event: UserEvent) {
        if let Some(seat) = self.seats.get(&opening) {
            // A user who no longer listens misses nothing that the store does not have.
            let _ = self.events.send(NodeEvent { opening, peer: seat.peer.id(), event });
        }
    }

    /// The address that signs for us in a channel on these ledgers: one of its own if version 0 is
    /// signed there; see [`SessionKey::drawn`].
    fn address_for(&self, salt: &Salt, ledgers: &[LedgerId]) -> Address {
        match self.ledgers.have_deposits(ledgers) {
            true => self.key.drawn(salt).address(),
            false => self.key.address(),
        }
    }

    /// The key that signs for us in a channel.
    fn key_of(&self, opening: OpeningId) -> SessionKey {
        let seat = self.seats.get(&opening);
        let drawn = seat.filter(|seat| seat.machine.own_address() == Some(seat.key.address()));
        drawn.map_or(&self.key, |seat| &seat.key).clone()
    }

    fn send_draft(&mut self, opening: OpeningId, draft: Draft) {
        let key = self.key_of(opening);
        let message = draft.sign(|digest| key.sign(digest.as_bytes()));
        self.send(opening, &message);
    }

    fn send(&mut self, opening: OpeningId, message: &Message) {
        let Some(peer) = self.seats.get(&opening).map(|seat| &seat.peer) else { return };
        match peer.name() {
            Some(_) => self.say_for(opening, message),
            None => self.outbox.send(self.post.as_mut(), peer.id(), message.to_bytes()),
        }
    }
}

/// Rebuilds a machine from its stream.
fn replay(opening: OpeningId, config: Config, key: &SessionKey, stream: &Stream) -> Option<Seat> {
    let mut records = stream.records.iter();
    let (peer, salt, mut machine) = match &stream.snapshot {
        Some(snapshot) => journal::read_snapshot(opening, config, snapshot)?,
        None => {
            let Entry::Peer(peer, salt) = Entry::read(records.next()?)? else { return None };
            let machine = Machine::new(opening, peer.config(config));
            (*peer, salt, machine)
        }
    };
    let mut growing = Growing::of(0, stream.snapshot.as_ref().map_or(0, Vec::len));
    for entry in records {
        let Entry::Record(record) = Entry::read(entry)? else { return None };
        machine.apply(&record);
        growing.by(entry.len());
    }
    Some(Seat::new(machine, peer, (salt, key.drawn(&salt)), growing))
}
