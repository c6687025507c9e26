//! Two houses that speak go-perun's language, and what a test does with them.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use perun_channel::{Allocation, Amount, BackendId, State};
use perun_goperun::{Envelope, Identities, Message, Serializer, simple};
use perun_node::{
    AnyLedger, House, NodeError, NodeEvent, OpenRequest, Post, SessionKey, UserEvent,
    go_perun_peer_id,
};
use perun_protocol::{Command, Config, Event, Memo, OpeningId, PhaseName, Time};
use perun_store::{Durability, MemoryDisk, OpenMode};
use perun_wire::{PeerId, Receipt};

use crate::common::CHALLENGE_SECS;
use crate::evm::{ETHER, Ethereum, row};

pub(crate) const OPENING: OpeningId = OpeningId::new([7; 32]);

pub(crate) type Letters = Arc<Mutex<VecDeque<Message>>>;

/// A connection that writes as go-perun does.
pub(crate) struct Line {
    pub(crate) own: Identities,
    pub(crate) peer: Identities,
    pub(crate) serializer: Serializer,
    pub(crate) letters: Letters,
    /// What is said to anybody else.
    pub(crate) aside: Letters,
    pub(crate) kept: Arc<Mutex<bool>>,
}

impl Post for Line {
    fn send(&mut self, _: PeerId, _: &[u8]) -> bool {
        panic!("our own words are not for go-perun")
    }
    fn acknowledge(&mut self, _: PeerId, _: Receipt) {}
    fn hang_up(&mut self, _: PeerId) {}
    fn say(&mut self, peer: &Identities, message: Message) {
        let (sender, recipient) = (self.own.clone(), peer.clone());
        let bytes = self.serializer.encode(&Envelope { sender, recipient, message }).unwrap();
        let (read, length) = self.serializer.decode(&bytes).unwrap();
        assert_eq!(length, bytes.len());
        let letters = if *peer == self.peer { &self.letters } else { &self.aside };
        letters.lock().unwrap().push_back(read.message);
    }
    fn keep_go_perun(&mut self, _: &Identities) {
        *self.kept.lock().unwrap() = true;
    }
    fn release_go_perun(&mut self, _: &Identities) {
        *self.kept.lock().unwrap() = false;
    }
}

pub(crate) struct Person {
    pub(crate) name: Identities,
    pub(crate) disks: [MemoryDisk; 2],
    pub(crate) config: Config,
    pub(crate) house: Option<House>,
    pub(crate) events: Receiver<NodeEvent>,
    pub(crate) told: Vec<Event>,
    pub(crate) troubles: Vec<String>,
    /// What it has said and nobody has heard yet.
    pub(crate) said: Letters,
    /// What it has said to strangers.
    pub(crate) aside: Letters,
    /// Whether its house accepts proposals by itself.
    pub(crate) accepts: bool,
    /// Whether it has no name among go-perun's nodes.
    pub(crate) is_nameless: bool,
    pub(crate) kept: Arc<Mutex<bool>>,
}

pub(crate) struct Story {
    pub(crate) people: [Person; 2],
    pub(crate) evm: Ethereum,
    pub(crate) now: Time,
    pub(crate) serializer: Serializer,
}

pub(crate) fn name(of: &str) -> Identities {
    Identities::new(vec![(BackendId::ETHEREUM, simple::Address::named(of).to_bytes())]).unwrap()
}

impl Story {
    pub(crate) fn new(serializer: Serializer) -> Self {
        let person = |of: &str| Person {
            name: name(of),
            disks: [MemoryDisk::new(), MemoryDisk::new()],
            config: Config::default(),
            house: None,
            events: mpsc::channel().1,
            told: Vec::new(),
            troubles: Vec::new(),
            said: Letters::default(),
            aside: Letters::default(),
            accepts: true,
            is_nameless: false,
            kept: Arc::default(),
        };
        let people = [person("alice"), person("bob")];
        let now = Time::new(1_800_000_000);
        let mut story = Self { people, evm: Ethereum::buried_by(2), now, serializer };
        (0..2).for_each(|side| story.start(side));
        story
    }

    /// Starts a house on what it has stored.
    pub(crate) fn start(&mut self, side: usize) {
        let (events, heard) = mpsc::channel();
        let peer = self.people[1 - side].name.clone();
        let ledgers = vec![AnyLedger::deposit(self.evm.ledger(side))];
        let person = &mut self.people[side];
        person.said.lock().unwrap().clear();
        let [journal, mark] = person.disks.clone().map(Box::new);
        let (mode, durability) = (OpenMode::Strict, Durability::Relaxed);
        let opened = perun_store::open(journal, mark, [1; 16], mode, durability).unwrap();
        let line = Box::new(Line {
            own: person.name.clone(),
            peer,
            serializer: self.serializer,
            letters: person.said.clone(),
            aside: person.aside.clone(),
            kept: person.kept.clone(),
        });
        let key = SessionKey::from_secret([u8::try_from(side).unwrap() + 9; 32]).unwrap();
        let house =
            House::new(person.config, person.accepts, key, opened, ledgers, line, events).unwrap();
        let mut house = match person.is_nameless {
            true => house,
            false => house.named(person.name.clone()),
        };
        house.restart(self.now).unwrap();
        person.events = heard;
        person.house = Some(house);
    }

    pub(crate) fn house(&mut self, side: usize) -> &mut House {
        self.people[side].house.as_mut().unwrap()
    }

    /// The connection is there again.
    pub(crate) fn connect(&mut self) {
        for side in 0..2 {
            let (now, peer) = (self.now, go_perun_peer_id(&self.people[1 - side].name));
            self.house(side).connected(now, peer).unwrap();
        }
        self.rest();
    }

    /// One person's next words.
    pub(crate) fn word(&self, side: usize) -> Option<Message> {
        self.people[side].said.lock().unwrap().pop_front()
    }

    pub(crate) fn hear(&mut self, side: usize, message: Message) {
        let from = self.people[1 - side].name.clone();
        self.hear_from(side, &from, message);
    }

    pub(crate) fn hear_from(&mut self, side: usize, from: &Identities, message: Message) {
        let now = self.now;
        self.house(side).hear_go_perun(now, from, message);
        self.house(side).finish_round(now).unwrap();
    }

    /// Delivers until nobody says anything any more.
    pub(crate) fn rest(&mut self) {
        loop {
            let words = [0, 1].map(|side| self.word(side));
            if words.iter().all(Option::is_none) {
                break;
            }
            for (side, word) in words.into_iter().enumerate() {
                word.into_iter().for_each(|word| self.hear(1 - side, word));
            }
        }
        self.collect();
    }

    pub(crate) fn collect(&mut self) {
        for person in &mut self.people {
            for event in person.events.try_iter() {
                match event.event {
                    UserEvent::Channel(event) => person.told.push(*event),
                    UserEvent::LedgerTrouble(text) | UserEvent::Stopped(text) => {
                        person.troubles.push(text);
                    }
                }
            }
        }
    }

    /// Lets both look at the chain and makes a block, until both are in this phase.
    pub(crate) fn until(&mut self, phase: PhaseName) {
        for _ in 0..60 {
            if self.phases() == [phase; 2] {
                return;
            }
            self.look();
            self.evm.chain.mine(1).unwrap();
        }
        let troubles = self.people.each_ref().map(|person| person.troubles.clone());
        panic!("{:?} instead of {phase:?}: {troubles:?}", self.phases());
    }

    pub(crate) fn look(&mut self) {
        let now = self.now;
        for side in 0..2 {
            if self.people[side].house.is_some() {
                self.house(side).sync_ledgers(now).unwrap();
            }
        }
        self.rest();
    }

    pub(crate) fn phases(&self) -> [PhaseName; 2] {
        self.people.each_ref().map(|person| {
            person.house.as_ref().unwrap().status(OPENING).map_or(PhaseName::Fresh, |it| it.phase)
        })
    }

    pub(crate) fn state(&self, side: usize) -> State {
        let house = self.people[side].house.as_ref().unwrap();
        house.status(OPENING).unwrap().agreed.unwrap().state
    }

    pub(crate) fn request(&self, balances: [u128; 2]) -> OpenRequest {
        let assets = vec![self.evm.coin(), self.evm.token()];
        let outcome = Allocation::new(assets, vec![row(balances), row([500, 800])], vec![]);
        OpenRequest { challenge_secs: CHALLENGE_SECS, outcome: outcome.unwrap() }
    }

    pub(crate) fn ask(&mut self, side: usize) -> Result<(), NodeError> {
        let (now, request) = (self.now, self.request([2 * ETHER, ETHER]));
        let peer = self.people[1 - side].name.clone();
        self.house(side).open_go_perun(now, OPENING, &peer, &request)?;
        self.house(side).finish_round(now)
    }

    pub(crate) fn open(serializer: Serializer) -> Self {
        let mut story = Self::new(serializer);
        story.ask(0).unwrap();
        story.rest();
        story.until(PhaseName::Open);
        story
    }

    /// Orders a payment of thousandths of an ether, and delivers nothing.
    pub(crate) fn order(&mut self, side: usize, milli: u128) {
        let (now, amount) = (self.now, Amount::new(milli * ETHER / 1_000));
        self.house(side).pay(now, OPENING, 0, amount, Memo::default()).unwrap();
        self.house(side).finish_round(now).unwrap();
    }

    pub(crate) fn command(&mut self, side: usize, command: Command) {
        let now = self.now;
        self.house(side).command(now, OPENING, command).unwrap();
        self.house(side).finish_round(now).unwrap();
        self.rest();
    }

    pub(crate) fn saw(&self, side: usize, wanted: impl Fn(&Event) -> bool) -> bool {
        self.people[side].told.iter().any(wanted)
    }

    pub(crate) fn received(&self, side: usize) -> u128 {
        let payments = self.people[side].told.iter().filter_map(|event| match event {
            Event::PaymentReceived(payment) => Some(payment.amount.get()),
            _ => None,
        });
        payments.sum::<u128>() * 1_000 / ETHER
    }

    pub(crate) fn no_troubles(&self) {
        for person in &self.people {
            assert_eq!(person.troubles, Vec::<String>::new());
        }
    }
}

/// A signature of nobody, in the right spelling.
pub(crate) fn wrong_signature() -> perun_channel::Signature {
    let mut bytes = [1; 65];
    bytes[64] = 27;
    perun_channel::Signature::new(&bytes).unwrap()
}

pub(crate) fn milli(amount: i128) -> i128 {
    amount * i128::try_from(ETHER).unwrap() / 1_000
}
