//! Houses that speak go-perun's language: each believes that the other one runs go-perun, and what
//! they say passes through go-perun's own encoding. The real contracts judge.

mod common;
#[path = "common/evm.rs"]
mod evm;

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use common::CHALLENGE_SECS;
use evm::{ETHER, Ethereum, row};
use perun_channel::{Allocation, Amount, BackendId, State, Version};
use perun_goperun::{AppState, Envelope, Identities, Message, Serializer, simple};
use perun_node::{
    AnyLedger, House, NodeError, NodeEvent, OpenRequest, Post, SessionKey, UserEvent,
    go_perun_peer_id,
};
use perun_protocol::{
    Command, Config, DeclineReason, Event, FailureReason, Memo, OpeningId, PhaseName, Time,
};
use perun_store::{Durability, MemoryDisk, OpenMode};
use perun_wire::{PeerId, Receipt};

const OPENING: OpeningId = OpeningId::new([7; 32]);

type Letters = Arc<Mutex<VecDeque<Message>>>;

/// A connection that writes as go-perun does.
struct Line {
    own: Identities,
    peer: Identities,
    serializer: Serializer,
    letters: Letters,
    kept: Arc<Mutex<bool>>,
}

impl Post for Line {
    fn send(&mut self, _: PeerId, _: &[u8]) -> bool {
        panic!("our own words are not for go-perun")
    }
    fn acknowledge(&mut self, _: PeerId, _: Receipt) {}
    fn hang_up(&mut self, _: PeerId) {}
    fn say(&mut self, peer: &Identities, message: Message) {
        assert_eq!(*peer, self.peer);
        let (sender, recipient) = (self.own.clone(), peer.clone());
        let bytes = self.serializer.encode(&Envelope { sender, recipient, message }).unwrap();
        let (read, length) = self.serializer.decode(&bytes).unwrap();
        assert_eq!(length, bytes.len());
        self.letters.lock().unwrap().push_back(read.message);
    }
    fn keep_go_perun(&mut self, _: &Identities) {
        *self.kept.lock().unwrap() = true;
    }
    fn release_go_perun(&mut self, _: &Identities) {
        *self.kept.lock().unwrap() = false;
    }
}

struct Person {
    name: Identities,
    disks: [MemoryDisk; 2],
    config: Config,
    /// Whether its user answers proposals.
    asks: bool,
    /// Whether it has no name among go-perun's nodes.
    is_nameless: bool,
    house: Option<House>,
    events: Receiver<NodeEvent>,
    told: Vec<Event>,
    troubles: Vec<String>,
    /// What it has said and nobody has heard yet.
    said: Letters,
    kept: Arc<Mutex<bool>>,
}

struct Story {
    people: [Person; 2],
    evm: Ethereum,
    now: Time,
    serializer: Serializer,
}

fn name(of: &str) -> Identities {
    Identities::new(vec![(BackendId::ETHEREUM, simple::Address::named(of).to_bytes())]).unwrap()
}

impl Story {
    fn new(serializer: Serializer) -> Self {
        let person = |of: &str| Person {
            name: name(of),
            disks: [MemoryDisk::new(), MemoryDisk::new()],
            config: Config::default(),
            asks: false,
            is_nameless: false,
            house: None,
            events: mpsc::channel().1,
            told: Vec::new(),
            troubles: Vec::new(),
            said: Letters::default(),
            kept: Arc::default(),
        };
        let people = [person("alice"), person("bob")];
        let now = Time::new(1_800_000_000);
        let mut story = Self { people, evm: Ethereum::buried_by(2), now, serializer };
        (0..2).for_each(|side| story.start(side));
        story
    }

    /// Starts a house on what it has stored.
    fn start(&mut self, side: usize) {
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
            kept: person.kept.clone(),
        });
        let key = SessionKey::from_secret([u8::try_from(side).unwrap() + 9; 32]).unwrap();
        let house =
            House::new(person.config, !person.asks, key, opened, ledgers, line, events).unwrap();
        let mut house = match person.is_nameless {
            true => house,
            false => house.named(person.name.clone()),
        };
        house.restart(self.now).unwrap();
        person.events = heard;
        person.house = Some(house);
    }

    fn house(&mut self, side: usize) -> &mut House {
        self.people[side].house.as_mut().unwrap()
    }

    /// The connection is there again.
    fn connect(&mut self) {
        for side in 0..2 {
            let (now, peer) = (self.now, go_perun_peer_id(&self.people[1 - side].name));
            self.house(side).connected(now, peer).unwrap();
        }
        self.rest();
    }

    /// One person's next words.
    fn word(&self, side: usize) -> Option<Message> {
        self.people[side].said.lock().unwrap().pop_front()
    }

    fn hear(&mut self, side: usize, message: Message) {
        let (now, from) = (self.now, self.people[1 - side].name.clone());
        self.house(side).hear_go_perun(now, &from, message);
        self.house(side).finish_round(now).unwrap();
    }

    /// Delivers until nobody says anything any more.
    fn rest(&mut self) {
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

    fn collect(&mut self) {
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
    fn until(&mut self, phase: PhaseName) {
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

    fn look(&mut self) {
        let now = self.now;
        for side in 0..2 {
            if self.people[side].house.is_some() {
                self.house(side).sync_ledgers(now).unwrap();
            }
        }
        self.rest();
    }

    fn phases(&self) -> [PhaseName; 2] {
        self.people.each_ref().map(|person| {
            person.house.as_ref().unwrap().status(OPENING).map_or(PhaseName::Fresh, |it| it.phase)
        })
    }

    fn state(&self, side: usize) -> State {
        let house = self.people[side].house.as_ref().unwrap();
        house.status(OPENING).unwrap().agreed.unwrap().state
    }

    fn request(&self, balances: [u128; 2]) -> OpenRequest {
        let assets = vec![self.evm.coin(), self.evm.token()];
        let outcome = Allocation::new(assets, vec![row(balances), row([500, 800])], vec![]);
        OpenRequest { challenge_secs: CHALLENGE_SECS, outcome: outcome.unwrap() }
    }

    fn ask(&mut self, side: usize) -> Result<(), NodeError> {
        let (now, request) = (self.now, self.request([2 * ETHER, ETHER]));
        let peer = self.people[1 - side].name.clone();
        self.house(side).open_go_perun(now, OPENING, &peer, &request)?;
        self.house(side).finish_round(now)
    }

    fn open(serializer: Serializer) -> Self {
        let mut story = Self::new(serializer);
        story.ask(0).unwrap();
        story.rest();
        story.until(PhaseName::Open);
        story
    }

    /// Orders a payment of thousandths of an ether, and delivers nothing.
    fn order(&mut self, side: usize, milli: u128) {
        let (now, amount) = (self.now, Amount::new(milli * ETHER / 1_000));
        self.house(side).pay(now, OPENING, 0, amount, Memo::default()).unwrap();
        self.house(side).finish_round(now).unwrap();
    }

    fn command(&mut self, side: usize, command: Command) {
        let now = self.now;
        self.house(side).command(now, OPENING, command).unwrap();
        self.house(side).finish_round(now).unwrap();
        self.rest();
    }

    fn saw(&self, side: usize, wanted: impl Fn(&Event) -> bool) -> bool {
        self.people[side].told.iter().any(wanted)
    }

    fn received(&self, side: usize) -> u128 {
        let payments = self.people[side].told.iter().filter_map(|event| match event {
            Event::PaymentReceived(payment) => Some(payment.amount.get()),
            _ => None,
        });
        payments.sum::<u128>() * 1_000 / ETHER
    }

    fn no_troubles(&self) {
        for person in &self.people {
            assert_eq!(person.troubles, Vec::<String>::new());
        }
    }
}

/// A signature of nobody, in the right spelling.
fn wrong_signature() -> perun_channel::Signature {
    let mut bytes = [1; 65];
    bytes[64] = 27;
    perun_channel::Signature::new(&bytes).unwrap()
}

fn milli(amount: i128) -> i128 {
    amount * i128::try_from(ETHER).unwrap() / 1_000
}

#[test]
fn they_open_pay_and_close_to_the_last_wei() {
    for serializer in [Serializer::Native, Serializer::Protobuf] {
        let mut story = Story::open(serializer);
        for _ in 0..5 {
            story.order(0, 10);
            story.rest();
            story.order(1, 3);
            story.rest();
        }
        assert_eq!([story.received(0), story.received(1)], [15, 50]);
        assert_eq!(story.state(0).version(), Version::new(10));
        story.command(1, Command::Close);
        story.until(PhaseName::Settled);
        assert_eq!(story.evm.gains(0), [milli(-35), 0]);
        assert_eq!(story.evm.gains(1), [milli(35), 0]);
        story.no_troubles();
    }
}

/// go-perun's funder waits for a `Deposited` of each asset's own holder.
#[test]
fn the_name_of_every_asset_tells_of_our_deposits() {
    let story = Story::open(Serializer::Native);
    let event = perun_channel::hash::keccak256(&[b"Deposited(bytes32,uint256)"]);
    let event: String = event.iter().map(|byte| format!("{byte:02x}")).collect();
    for asset in [story.evm.coin(), story.evm.token()] {
        let holder = asset.holder().to_string();
        let query = serde_json::json!([{
            "address": holder, "fromBlock": "0x0", "topics": [format!("0x{event}")],
        }]);
        let logs = story.evm.chain.request("eth_getLogs", query).unwrap();
        assert_eq!(logs.as_array().unwrap().len(), 2, "one for each side: {logs}");
    }
}

#[test]
fn the_nonce_is_go_perun_s() {
    let mut story = Story::new(Serializer::Native);
    story.ask(0).unwrap();
    let Some(Message::LedgerProposal(proposal)) = story.word(0) else { panic!("a proposal") };
    story.hear(1, Message::LedgerProposal(proposal.clone()));
    let Some(Message::LedgerAccept(accept)) = story.word(1) else { panic!("an acceptance") };
    let shares = [proposal.base.nonce_share, accept.base.nonce_share];
    let people = [&proposal.participant, &accept.participant];
    let params = perun_channel::Params::new(
        CHALLENGE_SECS,
        perun_goperun::nonce(&shares),
        people.map(|party| party.participant().clone()).to_vec(),
    );
    let id = story.people[1].house.as_ref().unwrap().status(OPENING).unwrap().id;
    assert_eq!(id, Some(params.unwrap().id()));
}

/// What is ready first says so first: nothing of it may be lost.
#[test]
fn a_first_payment_may_come_before_we_see_the_channel() {
    let mut story = Story::new(Serializer::Native);
    story.ask(0).unwrap();
    story.rest();
    let now = story.now;
    while story.phases()[0] != PhaseName::Open {
        story.house(0).sync_ledgers(now).unwrap();
        if story.phases()[1] == PhaseName::Depositing && story.phases()[0] != PhaseName::Open {
            story.house(1).sync_ledgers(now).unwrap();
        }
        story.evm.chain.mine(1).unwrap();
        if story.phases() == [PhaseName::Open; 2] {
            break;
        }
    }
    if story.phases()[1] == PhaseName::Open {
        // Bob looked last; let Alice be the late one instead.
        story.order(1, 1);
    } else {
        story.order(0, 1);
    }
    story.rest();
    story.until(PhaseName::Open);
    assert_eq!(story.received(0) + story.received(1), 1);
}

#[test]
fn a_refused_payment_leaves_the_channel_as_it_was() {
    let mut story = Story::open(Serializer::Native);
    story.order(0, 10);
    let Some(Message::Update(update)) = story.word(0) else { panic!("an update") };
    let state = update.state.state();
    let (channel, version) = (*state.id(), state.version());
    let reason = "not today".to_owned();
    story.hear(0, Message::UpdateReject { channel, version, reason });
    story.rest();
    let failed =
        |event: &Event| matches!(event, Event::PaymentFailed { why: FailureReason::Refused, .. });
    assert!(story.saw(0, failed));
    // Its version was filled, and payments go on after it.
    assert_eq!([story.state(0).version(), story.state(1).version()], [Version::new(1); 2]);
    story.order(1, 4);
    story.rest();
    story.order(0, 7);
    story.rest();
    assert_eq!([story.received(0), story.received(1)], [4, 7]);
}

#[test]
fn payments_that_cross_are_both_made_in_the_end() {
    let mut story = Story::open(Serializer::Native);
    story.order(0, 10);
    story.order(1, 4);
    story.rest();
    // Both refused the other's, and both filled: the same content is both sides' answer.
    assert_eq!(story.state(0), story.state(1));
    story.order(0, 10);
    story.rest();
    story.order(1, 4);
    story.rest();
    assert_eq!([story.received(0), story.received(1)], [4, 10]);
}

#[test]
fn what_is_no_update_of_this_channel_is_refused_at_once() {
    let mut story = Story::open(Serializer::Native);
    story.order(0, 10);
    let Some(Message::Update(update)) = story.word(0) else { panic!("an update") };
    let wrong = [
        perun_goperun::Update { actor: 1, ..update.clone() },
        perun_goperun::Update {
            state: AppState::new(
                perun_channel::Address::new([1; 20]),
                update.state.state().clone(),
            )
            .unwrap(),
            ..update.clone()
        },
        perun_goperun::Update { signature: wrong_signature(), ..update.clone() },
    ];
    for wrong in wrong {
        story.hear(1, Message::Update(wrong));
        assert!(matches!(story.word(1), Some(Message::UpdateReject { .. })));
    }
    assert_eq!(story.received(1), 0);
    story.hear(1, Message::Update(update));
    story.rest();
    assert_eq!(story.received(1), 10);
}

#[test]
fn what_we_do_not_open_is_rejected_with_a_reason() {
    let mut story = Story::new(Serializer::Native);
    story.ask(0).unwrap();
    let Some(Message::LedgerProposal(proposal)) = story.word(0) else { panic!("a proposal") };
    let of = |change: &dyn Fn(&mut perun_goperun::LedgerProposal)| {
        let mut other = proposal.clone();
        change(&mut other);
        Message::LedgerProposal(other)
    };
    let none = perun_channel::ChannelId::new([1; 32]);
    let wrong = [
        of(&|it| it.peers.reverse()),
        of(&|it| it.base.app = perun_channel::Address::new([1; 20])),
        of(&|it| it.base.funding[0].reverse()),
        of(&|it| it.base.challenge_secs = perun_channel::MIN_CHALLENGE_SECS - 1),
        Message::SubProposal(perun_goperun::SubProposal {
            base: proposal.base.clone(),
            parent: none,
        }),
    ];
    for message in wrong {
        story.hear(1, message);
        let answer = story.word(1);
        let Some(Message::ProposalReject { proposal: id, reason }) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!((id, reason.is_empty()), (proposal.base.id, false));
    }
}

#[test]
fn a_user_who_is_asked_accepts_or_declines() {
    let mut story = Story::new(Serializer::Native);
    story.people[1].asks = true;
    story.start(1);
    let now = story.now;
    assert!(story.house(1).accept(now, OPENING).is_err(), "nobody has asked");
    story.ask(0).unwrap();
    story.rest();
    assert!(story.saw(1, |event| matches!(event, Event::ProposalReceived { .. })));
    assert_eq!(story.phases()[1], PhaseName::Deciding);
    story.house(1).accept(now, OPENING).unwrap();
    story.house(1).finish_round(now).unwrap();
    assert!(story.house(1).accept(now, OPENING).is_err(), "it was answered");
    story.rest();
    story.until(PhaseName::Open);

    let mut story = Story::new(Serializer::Native);
    story.people[1].asks = true;
    story.start(1);
    story.ask(0).unwrap();
    story.rest();
    story.command(1, Command::Decline { reason: DeclineReason::User {} });
    assert_eq!(story.phases(), [PhaseName::Over; 2]);
}

#[test]
fn both_restart_at_every_word_of_opening_and_paying() {
    for cut in 0..12 {
        let mut story = Story::new(Serializer::Native);
        story.ask(0).unwrap();
        let mut words = 0;
        let mut paid = false;
        for _ in 0..80 {
            for side in 0..2 {
                while let Some(word) = story.word(side) {
                    words += 1;
                    if words == cut {
                        // The word is lost, and both processes end.
                        (0..2).for_each(|side| story.people[side].house = None);
                        (0..2).for_each(|side| story.start(side));
                        story.connect();
                        break;
                    }
                    story.hear(1 - side, word);
                }
            }
            if !paid && story.phases() == [PhaseName::Open; 2] {
                story.order(0, 10);
                paid = true;
                continue;
            }
            if paid && story.state(1).version() == Version::new(1) {
                break;
            }
            let now = story.now;
            (0..2).for_each(|side| story.house(side).sync_ledgers(now).unwrap());
            story.evm.chain.mine(1).unwrap();
        }
        story.rest();
        assert_eq!(story.phases(), [PhaseName::Open; 2], "cut at {cut}");
        assert_eq!(story.state(0), story.state(1), "cut at {cut}");
        story.command(0, Command::Close);
        story.until(PhaseName::Settled);
        assert_eq!(story.evm.gains(0), [milli(-10), 0], "cut at {cut}");
    }
}

#[test]
fn a_lost_answer_is_found_by_asking_and_silence_ends_on_the_chain() {
    let mut story = Story::open(Serializer::Native);
    story.order(0, 10);
    let update = story.word(0).unwrap();
    story.hear(1, update);
    assert!(matches!(story.word(1), Some(Message::UpdateAccept { .. })), "and it is lost");
    story.now = story.now.after(60);
    let now = story.now;
    story.house(0).tick(now).unwrap();
    let asked = [story.word(0), story.word(0)];
    assert!(matches!(asked[0], Some(Message::Update(_))), "{asked:?}");
    let Some(Message::Sync { current: Some(of_alice), .. }) = &asked[1] else {
        panic!("{asked:?}")
    };
    assert_eq!(of_alice.state().state().version(), Version::ZERO);
    // go-perun answers with where it stands.
    let bob = story.people[1].house.as_ref().unwrap().status(OPENING).unwrap().agreed.unwrap();
    let Some(Message::Update(update)) = &asked[0] else { panic!() };
    let both = vec![Some(update.signature), None];
    let state = AppState::new(perun_channel::Address::ZERO, bob.state).unwrap();
    let half = perun_goperun::Transaction::new(state, both).unwrap();
    story.hear(0, Message::Sync { phase: 3, current: Some(half) });
    assert_eq!(story.phases()[0], PhaseName::Updating, "it proves nothing");
    // The repeated update is answered as well.
    story.hear(1, asked[0].clone().unwrap());
    story.rest();
    assert_eq!(story.phases()[0], PhaseName::Open);
    assert_eq!(story.received(1), 10);
    // Bob is gone: Alice leaves with the newest state.
    story.people[1].house = None;
    story.order(0, 1);
    for _ in 0..2 {
        story.now = story.now.after(60);
        let now = story.now;
        story.house(0).tick(now).unwrap();
    }
    let house = story.people[0].house.as_ref().unwrap();
    assert_eq!(house.status(OPENING).unwrap().phase, PhaseName::Disputing);
}

#[test]
fn a_house_without_a_name_opens_nothing() {
    let mut story = Story::new(Serializer::Native);
    story.people[0].is_nameless = true;
    story.start(0);
    assert!(matches!(story.ask(0), Err(NodeError::NoName)));
}

/// To go-perun a proposal that comes twice is two.
#[test]
fn a_proposal_is_said_once_over_a_connection_that_comes_with_it() {
    let mut story = Story::new(Serializer::Native);
    let (now, request) = (story.now, story.request([1, 1]));
    let peer = story.people[1].name.clone();
    story.house(0).open_go_perun(now, OPENING, &peer, &request).unwrap();
    story.house(0).connected(now, go_perun_peer_id(&peer)).unwrap();
    assert!(matches!(story.word(0), Some(Message::LedgerProposal(_))));
    assert_eq!(story.word(0), None);
}
