//! A house on a disk in memory, whose peers say what the story says, and whose ledger is away.

use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use perun_channel::codec::{Decode, Encode};
use perun_channel::{
    Address, Allocation, Amount, Asset, BackendId, LedgerId, Params, Participant, State,
};
use perun_node::{
    AnyLedger, House, JointAssembly, JointLedger, JointOffer, Ledger, LedgerError, NodeError,
    NodeEvent, OpenRequest, Post, SessionKey, Signer,
};
use perun_protocol::{
    Agreed, Assembly, Body, Changes, Config, Decision, DeclineReason, Funding, LedgerBytes,
    LedgerTerms, LedgerTime, Message, OpeningId, PerLedger, Place, Plan, Record, Sighting, Slot,
    Standing, Target, Terms, Time, Transaction, TransactionId, Witness,
};
use perun_store::{Batch, Durability, MemoryDisk, OpenMode, Opened, StreamId};
use perun_wire::{Event, Expect, Handshake, Identity, Incarnation, PeerId, Receipt, Session};

/// The ledger of the house.
const LEDGER: LedgerId = LedgerId::new(BackendId::CKB, 1);

/// What the house has sent, by peer.
type Letters = Arc<Mutex<Vec<(PeerId, Message)>>>;
type Troubles = Arc<Mutex<VecDeque<LedgerError>>>;

/// A post that delivers to the story.
struct Letterbox {
    letters: Letters,
    kept: Arc<Mutex<BTreeSet<PeerId>>>,
}

impl Post for Letterbox {
    fn send(&mut self, peer: PeerId, payload: &[u8]) -> bool {
        self.letters.lock().unwrap().push((peer, Message::from_bytes(payload).unwrap()));
        true
    }
    fn acknowledge(&mut self, _: PeerId, _: Receipt) {}
    fn hang_up(&mut self, _: PeerId) {}
    fn keep(&mut self, peer: PeerId) {
        self.kept.lock().unwrap().insert(peer);
    }
    fn release(&mut self, peer: PeerId) {
        self.kept.lock().unwrap().remove(&peer);
    }
}

/// A ledger that is never there, but for offers of this many bytes, if any.
struct Nothing {
    offers: Option<usize>,
    /// How many offers it was to take back.
    released: Arc<Mutex<usize>>,
    troubles: Troubles,
    sightings: Arc<Mutex<Vec<Sighting>>>,
}

fn no<T>() -> Result<T, LedgerError> {
    Err(LedgerError::Unavailable("nothing".into()))
}

impl JointLedger for Nothing {
    fn offer(&mut self, session: Address, _: &OpenRequest) -> Result<JointOffer, LedgerError> {
        let Some(length) = self.offers else { return no() };
        Ok(JointOffer {
            participant: Participant::new(session, Vec::new()).unwrap(),
            chain: LedgerBytes::default(),
            contribution: LedgerBytes::new(vec![0; length]).unwrap(),
        })
    }
    fn answer(&mut self, _: Address, _: &Terms) -> Result<(Participant, LedgerBytes), LedgerError> {
        no()
    }
    fn resize_offer(
        &mut self,
        _: &Target,
        _: &State,
        _: &Changes,
    ) -> Result<(LedgerBytes, LedgerBytes), LedgerError> {
        no()
    }
    fn resize_answer(
        &mut self,
        _: &Target,
        _: &State,
        _: &Changes,
    ) -> Result<LedgerBytes, LedgerError> {
        no()
    }
    fn assemble(&mut self, _: &Plan, _: Option<State>) -> Result<JointAssembly, LedgerError> {
        no()
    }
    fn witness(&mut self, _: &Transaction, _: Signer<'_>) -> Result<Witness, LedgerError> {
        no()
    }
    fn check_witness(
        &mut self,
        _: &Transaction,
        _: &Witness,
        _: Signer<'_>,
    ) -> Result<(), LedgerError> {
        no()
    }
    fn submit_assembly(
        &mut self,
        _: &Transaction,
        _: &Witness,
        _: Signer<'_>,
    ) -> Result<(), LedgerError> {
        no()
    }
    fn abort_open(&mut self, _: &Transaction) -> Result<(), LedgerError> {
        no()
    }
}

impl Ledger for Nothing {
    fn id(&self) -> LedgerId {
        LEDGER
    }
    fn release_funds(&mut self, _: &LedgerBytes) -> Result<(), LedgerError> {
        *self.released.lock().unwrap() += 1;
        Ok(())
    }
    fn watch(&mut self, _: &Target) -> Result<(), LedgerError> {
        Ok(())
    }
    fn close(&mut self, _: &Target, _: &Agreed, _: u32, _: Signer<'_>) -> Result<(), LedgerError> {
        no()
    }
    fn register(
        &mut self,
        _: &Target,
        _: &Agreed,
        _: Slot,
        _: u32,
        _: Signer<'_>,
    ) -> Result<(), LedgerError> {
        no()
    }
    fn conclude(
        &mut self,
        _: &Target,
        _: &State,
        _: Option<Decision>,
        _: u32,
    ) -> Result<(), LedgerError> {
        no()
    }
    fn withdraw(
        &mut self,
        _: &Target,
        _: &State,
        _: u32,
        _: u32,
        _: Signer<'_>,
    ) -> Result<(), LedgerError> {
        no()
    }
    fn sync(&mut self) -> Result<Vec<Sighting>, LedgerError> {
        let sightings = || Ok(self.sightings.lock().unwrap().split_off(0));
        self.troubles.lock().unwrap().pop_front().map_or_else(sightings, Err)
    }
    fn clock(&mut self) -> Result<LedgerTime, LedgerError> {
        Ok(LedgerTime::new(1))
    }
}

/// Some receipt; what it names does not matter to the house.
pub(crate) fn receipt() -> Receipt {
    let now = perun_wire::Time(1);
    let (alice, bob) = (Identity::from_secret([1; 32]), Identity::from_secret([2; 32]));
    let expect = Expect::Exactly(bob.peer_id());
    let mut dial = Handshake::dial(&alice, expect, [3; 32], now).unwrap();
    let mut accept = Handshake::accept(&bob, Expect::Anyone, [4; 32], now).unwrap();
    for _ in 0..5 {
        while let Some(bytes) = dial.poll_transmit() {
            accept.handle_bytes(&bytes).unwrap();
        }
        while let Some(bytes) = accept.poll_transmit() {
            dial.handle_bytes(&bytes).unwrap();
        }
    }
    let mut one = Session::new(bob.peer_id(), Incarnation([5; 16]));
    let mut other = Session::new(alice.peer_id(), Incarnation([6; 16]));
    let mut events = Vec::new();
    one.attach(dial.finish().unwrap(), now, &mut events).unwrap();
    other.attach(accept.finish().unwrap(), now, &mut events).unwrap();
    one.send(vec![1]).unwrap();
    for _ in 0..3 {
        while let Some(bytes) = one.poll_transmit() {
            other.handle_bytes(&bytes, now, &mut events).unwrap();
        }
        while let Some(bytes) = other.poll_transmit() {
            one.handle_bytes(&bytes, now, &mut events).unwrap();
        }
    }
    let found = events.iter().find_map(|event| match event {
        Event::Message { receipt, .. } => Some(*receipt),
        _ => None,
    });
    found.unwrap()
}

/// Where the house keeps what it must not forget.
#[derive(Default)]
pub(crate) struct Scene {
    journal: MemoryDisk,
    mark: MemoryDisk,
    pub(crate) letters: Letters,
    /// The most bytes of the journal, if it is to be a small one.
    pub(crate) limit: Option<u64>,
    /// Whether proposals are answered without asking.
    pub(crate) answers: bool,
    /// How many bytes the ledger's offers have, if it makes any.
    pub(crate) offers: Option<usize>,
    pub(crate) released: Arc<Mutex<usize>>,
    /// What the ledger says when it is asked how channels stand, before it has nothing to say.
    pub(crate) troubles: Troubles,
    /// What it sees when it is asked the next time.
    pub(crate) sightings: Arc<Mutex<Vec<Sighting>>>,
    /// The peers that strangers must not push out.
    pub(crate) kept: Arc<Mutex<BTreeSet<PeerId>>>,
}

impl Scene {
    pub(crate) fn opened(&self) -> Opened {
        let disk = Box::new(self.journal.clone());
        let mark = Box::new(self.mark.clone());
        let mode = OpenMode::Strict;
        let opened = perun_store::open(disk, mark, [1; 16], mode, Durability::Relaxed).unwrap();
        if let Some(limit) = self.limit {
            opened.journal.limit_to(limit);
        }
        opened
    }

    pub(crate) fn house(&self) -> Result<(House, Receiver<NodeEvent>), NodeError> {
        let (events, heard) = mpsc::channel();
        let house = House::new(
            Config::default(),
            self.answers,
            SessionKey::from_secret([9; 32]).unwrap(),
            self.opened(),
            vec![AnyLedger::joint(Nothing {
                offers: self.offers,
                released: self.released.clone(),
                troubles: self.troubles.clone(),
                sightings: self.sightings.clone(),
            })],
            Box::new(Letterbox { letters: self.letters.clone(), kept: self.kept.clone() }),
            events,
        )?;
        Ok((house, heard))
    }

    /// Leaves in the journal an opening by a peer to which the house has released its part, as
    /// before it was started again. Returns the first state of the channel to be.
    pub(crate) fn release(&self, number: u32, peer: PeerId) -> State {
        let message = Message::from_bytes(&proposal(number, 0, 0)).unwrap();
        let Body::Propose { terms, contributions } = message.body else { panic!("no proposal") };
        let ours = SessionKey::from_secret([9; 32]).unwrap().address();
        let participant = Participant::new(ours, Vec::new()).unwrap();
        let people = vec![terms.proposer.clone(), participant.clone()];
        let params = Params::new(terms.challenge_secs, *name(number).as_bytes(), people).unwrap();
        let initial = State::initial(params.id(), terms.outcome.clone());
        let joint = Transaction {
            ledger: LEDGER,
            channel: params.id(),
            id: TransactionId::new([3; 32]),
            abort: LedgerBytes::default(),
            consent: None,
        };
        let place =
            Place { ledger: LEDGER, funding: Funding::Joint {}, setup: LedgerBytes::default() };
        let assembly = Assembly {
            params,
            initial: initial.clone(),
            places: PerLedger::one(place),
            joint: Some(joint),
        };
        let (deadline, parts) = (Time::new(2_000), contributions.clone());
        let records = [
            Record::ProposalReceived { terms, contributions, deadline },
            Record::Accepted { participant, contributions: parts, deadline },
            Record::Assembled { assembly, deadline },
            Record::Released { deadline },
        ];
        let stream = StreamId(*name(number).as_bytes());
        // What its key is drawn from, and a peer that runs our program.
        let with = [vec![0], vec![5; 32], vec![0], peer.0.to_vec()].concat();
        let batch = Batch::new().record(stream, with);
        let batch = records.iter().fold(batch, |batch, record| {
            batch.record(stream, [vec![1], record.to_bytes()].concat())
        });
        let _ = self.opened().journal.commit(batch, ()).unwrap();
        initial
    }

    /// The ledger sees that a channel stands like this.
    pub(crate) fn see(&self, house: &mut House, channel: &State, standing: Standing) {
        let channel = *channel.id();
        let sighting = Sighting { ledger: LEDGER, channel, standing, confirmed: true };
        self.sightings.lock().unwrap().push(sighting);
        house.sync_ledgers(Time::new(1_000)).unwrap();
    }

    /// Asks for a channel with somebody.
    pub(crate) fn open(&self, house: &mut House, number: u32) -> Result<(), NodeError> {
        let balances = vec![vec![Amount::new(1), Amount::new(0)]];
        let outcome = Allocation::new(vec![Asset::ckb(1)], balances, Vec::new()).unwrap();
        let request = OpenRequest { challenge_secs: 3_600, outcome };
        house.open(Time::new(1_000), name(number), peer(number), &request)
    }

    /// Why the house declined, in order.
    pub(crate) fn reasons(&self) -> Vec<DeclineReason> {
        let letters = self.letters.lock().unwrap();
        let declines = letters.iter().map(|(_, message)| match &message.body {
            Body::Decline { reason } => reason.clone(),
            other => panic!("{other:?}"),
        });
        declines.collect()
    }

    /// How many streams the journal has.
    pub(crate) fn streams(&self) -> usize {
        self.opened().streams.len()
    }
}

/// A stranger's proposal with this much for the ledger to read.
pub(crate) fn proposal(name: u32, chain: usize, contribution: usize) -> Vec<u8> {
    let session = SessionKey::from_secret([7; 32]).unwrap();
    let balances = vec![vec![Amount::new(1), Amount::new(0)]];
    let terms = Terms {
        challenge_secs: 3_600,
        outcome: Allocation::new(vec![Asset::ckb(1)], balances, Vec::new()).unwrap(),
        proposer: Participant::new(session.address(), Vec::new()).unwrap(),
        ledgers: PerLedger::one(LedgerTerms {
            ledger: LEDGER,
            funding: Funding::Joint {},
            chain: LedgerBytes::new(vec![0; chain]).unwrap(),
        }),
    };
    let contributions = PerLedger::one(LedgerBytes::new(vec![0; contribution]).unwrap());
    Message { opening: self::name(name), body: Body::Propose { terms, contributions } }.to_bytes()
}

/// The name of a stranger's proposal.
pub(crate) fn name(number: u32) -> OpeningId {
    let mut opening = [9; 32];
    opening[..4].copy_from_slice(&number.to_be_bytes());
    OpeningId::new(opening)
}

pub(crate) fn peer(number: u32) -> PeerId {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    PeerId(id)
}
