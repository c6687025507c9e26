//! Two machines, a network that can lose, repeat and reorder, one virtual clock, and a ledger that
//! only states facts. A test is a story told with it.
//!
//! Every signature that is ever made passes through one place that remembers it for the whole run,
//! and panics when one key signs two contents for one channel and version (P-A3).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use perun_channel::codec::{Decode, Encode};
use perun_channel::{Address, Allocation, Amount, Asset, ChannelId, Participant, Version};
use perun_protocol::{
    Body, Command, Config, DeclineReason, Declined, Dialect, Digest, Draft, Effect, Event, Funding,
    Index, Input, LedgerBytes, LedgerTerms, LedgerTime, Machine, Memo, Message, OpeningId, Payment,
    PaymentId, PerLedger, PhaseName, Record, Reply, Sighting, Standing, Step, Terms, Time,
    WaitingFor, Witness,
};

use crate::keys::{Keys, Signer};
use crate::ledger::{JOINT, Ledger, own_witness};
use crate::net::Net;
use crate::vault::{VAULT, Vault};

/// A challenge of two hours.
pub(crate) const CHALLENGE: u64 = 7_200;

/// One side: its machine, and what a house would keep for it.
pub(crate) struct Node {
    pub(crate) machine: Machine,
    pub(crate) journal: Vec<Vec<u8>>,
    pub(crate) signer: Signer,
    pub(crate) events: Vec<Event>,
    pub(crate) refusals: Vec<Declined>,
    pub(crate) effects: Vec<Effect>,
    /// A silent node processes nothing any more.
    pub(crate) is_silent: bool,
    /// After how many sent messages it falls silent.
    pub(crate) silent_after: Option<usize>,
    pub(crate) sent: usize,
    config: Config,
}

/// Where a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// Before the records of the step are stored: the input is lost.
    BeforeRecords,
    /// After the records, before any effect.
    BeforeEffects,
    /// After the first effect, before the others.
    BetweenEffects,
}

pub(crate) struct Pair {
    pub(crate) nodes: [Node; 2],
    pub(crate) ledger: Ledger,
    /// Where each side deposits for itself. Channels of one ledger are not on it.
    pub(crate) vault: Vault,
    pub(crate) net: Net,
    pub(crate) now: Time,
    pub(crate) opening: OpeningId,
    pub(crate) keys: Keys,
    /// Which step dies, and how.
    pub(crate) death: Option<(usize, Death)>,
    pub(crate) steps: usize,
    pub(crate) died: bool,
    /// All phase changes seen: from, by which record, to.
    pub(crate) edges: BTreeSet<(PhaseName, String, PhaseName)>,
    pub(crate) updates: usize,
    /// Whether users answer what the other side asks.
    pub(crate) users_answer: bool,
    /// Whose backend's answers are held back, and which those are.
    pub(crate) slow_backend: Option<usize>,
    pub(crate) held: Vec<Reply>,
    /// What each side ever wanted to pay.
    pub(crate) wanted: [BTreeMap<PaymentId, u128>; 2],
    signed: BTreeMap<(usize, ChannelId, Version), Digest>,
    /// What was signed before its version was filled with another content.
    filled: BTreeSet<((usize, ChannelId, Version), Digest)>,
    /// What the newest complete states gave, by side and version.
    complete: BTreeMap<(usize, Version), Allocation>,
    todo: VecDeque<(usize, Input)>,
}

impl Pair {
    /// Two nodes with symbolic signatures, and nothing said yet.
    pub(crate) fn new() -> Self {
        Self::with(Keys::Symbolic, [Config::default(), Config::default()])
    }

    pub(crate) fn with(keys: Keys, configs: [Config; 2]) -> Self {
        let opening = OpeningId::new([9; 32]);
        let node = |place: usize, config: Config| Node {
            machine: Machine::new(opening, config),
            journal: Vec::new(),
            signer: Signer::new(keys, u8::try_from(place).unwrap() + 1),
            events: Vec::new(),
            refusals: Vec::new(),
            effects: Vec::new(),
            is_silent: false,
            silent_after: None,
            sent: 0,
            config,
        };
        let [zero, one] = configs;
        Self {
            nodes: [node(0, zero), node(1, one)],
            ledger: Ledger::new(),
            vault: Vault::new(VAULT),
            net: Net::perfect(),
            now: Time::new(1_000),
            opening,
            keys,
            death: None,
            steps: 0,
            died: false,
            edges: BTreeSet::new(),
            updates: 0,
            users_answer: true,
            slow_backend: None,
            held: Vec::new(),
            wanted: [BTreeMap::new(), BTreeMap::new()],
            signed: BTreeMap::new(),
            filled: BTreeSet::new(),
            complete: BTreeMap::new(),
            todo: VecDeque::new(),
        }
    }

    /// An open channel with these balances.
    pub(crate) fn open(zero: u128, one: u128) -> Self {
        let mut pair = Self::new();
        pair.propose(zero, one).settle();
        assert_eq!(pair.phases(), [PhaseName::Open; 2]);
        pair
    }

    pub(crate) fn terms(&self, zero: u128, one: u128) -> Terms {
        let asset = Asset::ckb(1);
        let balances = vec![vec![Amount::new(zero), Amount::new(one)]];
        Terms {
            challenge_secs: CHALLENGE,
            outcome: Allocation::new(vec![asset], balances, vec![]).unwrap(),
            proposer: self.participant(0),
            ledgers: PerLedger::one(LedgerTerms {
                ledger: JOINT,
                funding: Funding::Joint {},
                chain: LedgerBytes::default(),
            }),
        }
    }

    pub(crate) fn participant(&self, place: usize) -> Participant {
        Participant::new(self.address(place), vec![0; 32]).unwrap()
    }

    pub(crate) fn address(&self, place: usize) -> Address {
        self.nodes[place].signer.address()
    }

    pub(crate) fn propose(&mut self, zero: u128, one: u128) -> &mut Self {
        let terms = self.terms(zero, one);
        self.user(0, Command::Propose { terms, contributions: parts(0) })
    }

    /// Node `from` pays; its machine names the payment.
    pub(crate) fn pay(&mut self, from: usize, amount: u128) -> &mut Self {
        let payment = self.payment(from, amount);
        self.wanted[from].insert(payment.id, amount);
        self.user(from, Command::Pay(payment))
    }

    pub(crate) fn payment(&self, from: usize, amount: u128) -> Payment {
        let id = self.nodes[from].machine.next_payment().unwrap_or_default();
        let memo = Memo::new(id.get().to_le_bytes().to_vec()).unwrap();
        Payment { id, asset: 0, amount: Amount::new(amount), memo }
    }

    /// The user of a node commands, again and again if its process dies meanwhile.
    pub(crate) fn user(&mut self, place: usize, command: Command) -> &mut Self {
        let before = self.died;
        let done = self.feed(place, Input::Command(command.clone()));
        if self.died != before {
            // The user does not know whether it was taken; asking twice must be harmless.
            let _ = self.feed(place, Input::Command(command));
        } else if !self.nodes[place].is_silent {
            done.unwrap();
        }
        self
    }

    /// One input through step, journal, apply and effects.
    pub(crate) fn feed(&mut self, place: usize, input: Input) -> Result<(), Declined> {
        if self.nodes[place].is_silent {
            return Ok(());
        }
        let number = self.steps;
        self.steps += 1;
        let death = self.death.filter(|(at, _)| *at == number).map(|(_, death)| death);
        let node = &mut self.nodes[place];
        let before = node.machine.clone();
        let step = node.machine.step_with(&self.keys, self.now, input);
        assert!(node.machine == before, "step changes nothing");
        let Step { records, effects } = step.inspect_err(|why| node.refusals.push(*why))?;
        if death == Some(Death::BeforeRecords) {
            self.revive(place);
            return Ok(());
        }
        let node = &mut self.nodes[place];
        for record in &records {
            node.journal.push(record.to_bytes());
            let from = node.machine.phase();
            node.machine.apply(record);
            if let Some(agreed) = node.machine.agreed() {
                let (version, outcome) = (agreed.state.version(), agreed.state.outcome());
                self.complete.insert((place, version), outcome.clone());
            }
            crate::snapshots::check(&node.machine, node.config);
            self.edges.insert((from, kind(record), node.machine.phase()));
            self.updates += usize::from(matches!(record, Record::UpdateProposed { .. }));
        }
        let waits = node.machine.waiting_for();
        let on_others = matches!(waits, WaitingFor::Peer | WaitingFor::Turn | WaitingFor::Backend);
        assert!(!on_others || node.machine.deadline().is_some(), "{waits:?} for ever");
        let alive = match death {
            Some(Death::BeforeEffects) => 0,
            Some(_) => 1,
            None => effects.len(),
        };
        for effect in effects.into_iter().take(alive) {
            self.carry_out(place, effect);
        }
        if death.is_some() {
            self.revive(place);
        }
        Ok(())
    }

    /// The process ends and starts again: the machine is what the journal says.
    pub(crate) fn revive(&mut self, place: usize) {
        self.died = true;
        let node = &mut self.nodes[place];
        let mut machine = Machine::new(self.opening, node.config);
        for bytes in &node.journal {
            machine.apply(&Record::from_bytes(bytes).unwrap());
        }
        assert!(machine == node.machine, "the journal holds all that the machine knew (P-D2)");
        node.machine = machine;
        self.todo.retain(|(of, _)| *of != place);
        self.feed(place, Input::Restart).unwrap();
        let _ = self.feed(place, Input::Connected);
        let _ = self.feed(1 - place, Input::Connected);
    }

    fn carry_out(&mut self, place: usize, effect: Effect) {
        self.nodes[place].effects.push(effect.clone());
        match effect {
            Effect::Send(draft) => self.send(place, draft),
            Effect::Notify(event) => self.notify(place, event),
            Effect::Assemble(plan) => {
                let reply = self.assemble(&plan);
                match self.slow_backend == Some(place) {
                    true => self.held.push(reply),
                    false => self.todo.push_back((place, Input::Backend(reply))),
                }
            }
            Effect::SendWitness { transaction } => {
                let consent = transaction.consent.as_ref().map(|digest| self.sign(place, digest));
                let (transaction, locks) = (transaction.id, own_witness(place));
                let witness = Witness { transaction, locks, consent };
                let body = Body::Release { witness };
                self.transmit(place, &Message { opening: self.opening, body });
            }
            Effect::CheckWitness { transaction, witness } => {
                let good = witness.locks == own_witness(1 - place);
                let name = transaction.id;
                let reply = if good { Reply::WitnessGood(name) } else { Reply::WitnessBad(name) };
                self.todo.push_back((place, Input::Backend(reply)));
            }
            Effect::ReadClock { ledger } => {
                let now = if ledger == VAULT { self.vault.now } else { self.ledger.now };
                self.todo.push_back((place, Input::LedgerClock { ledger, now }));
            }
            effect => {
                self.submit(place, &effect);
                self.report();
            }
        }
    }

    /// Tells the nodes what they have not seen of the ledger.
    pub(crate) fn report(&mut self) {
        for (place, sighting) in self.ledger.news().into_iter().chain(self.vault.news()) {
            self.todo.push_back((place, Input::Ledger(sighting)));
        }
    }

    fn notify(&mut self, place: usize, event: Event) {
        self.nodes[place].events.push(event.clone());
        if !self.users_answer {
            return;
        }
        let command = match event {
            Event::ProposalReceived { terms, .. } => {
                let participant = self.participant(place);
                let contributions = terms.ledgers.map(|_| money(place));
                Command::Accept { participant, contributions }
            }
            Event::CloseRequested { .. } => Command::AcceptClose,
            Event::ResizeRequested { .. } => Command::AcceptResize { contribution: money(place) },
            Event::SwapRequested { .. } => Command::AcceptSwap { clocks: self.clocks() },
            _ => return,
        };
        self.todo.push_back((place, Input::Command(command)));
    }

    fn send(&mut self, place: usize, draft: Draft) {
        let version = match &draft.body {
            Body::Update { state, .. }
            | Body::Sync { state, .. }
            | Body::SwapOffer { state, .. } => Some(state.version()),
            Body::Ack { version, .. }
            | Body::SwapAccept { version, .. }
            | Body::SwapReveal { version, .. }
            | Body::SwapDone { version, .. }
            | Body::SwapCancel { version, .. }
            | Body::SwapCancelled { version, .. } => Some(*version),
            Body::Sign { .. } => Some(Version::ZERO),
            _ => None,
        };
        let id = self.nodes[place].machine.id();
        if self.may_fill(place, &draft.body) {
            let key = (place, id.unwrap(), version.unwrap());
            self.filled.extend(self.signed.remove(&key).map(|digest| (key, digest)));
        }
        let message = draft.sign(|digest| {
            let key = (place, id.unwrap(), version.unwrap());
            if self.filled.contains(&(key, *digest)) {
                // The peer has had it since before the version was filled.
                return self.nodes[place].signer.sign(digest);
            }
            let first = *self.signed.entry(key).or_insert(*digest);
            assert_eq!(first, *digest, "one version, two contents (P-A3): {key:?}");
            self.nodes[place].signer.sign(digest)
        });
        self.transmit(place, &message);
    }

    /// Whether this is the one update that may be signed beside another one with its version: to a
    /// go-perun peer, and nothing moves in it.
    fn may_fill<S>(&self, place: usize, body: &Body<S>) -> bool {
        let before = |version: Version| {
            let before = Version::new(version.get().checked_sub(1)?);
            self.complete.get(&(place, before))
        };
        let moves_nothing = match body {
            Body::Update { state, .. } => {
                !state.is_final() && before(state.version()) == Some(state.outcome())
            }
            Body::Ack { version, .. } => {
                let agreed = &self.nodes[place].machine.agreed().unwrap().state;
                agreed.version() == *version
                    && !agreed.is_final()
                    && before(*version) == Some(agreed.outcome())
            }
            _ => false,
        };
        moves_nothing && self.nodes[place].config.dialect == Dialect::GoPerun
    }

    pub(crate) fn sign(&self, place: usize, digest: &Digest) -> perun_channel::Signature {
        self.nodes[place].signer.sign(digest)
    }

    pub(crate) fn transmit(&mut self, place: usize, message: &Message) {
        let node = &mut self.nodes[place];
        if node.silent_after.is_some_and(|limit| node.sent >= limit) {
            node.is_silent = true;
            return;
        }
        node.sent += 1;
        let bytes = message.to_bytes();
        assert_eq!(Message::from_bytes(&bytes).as_ref(), Ok(message));
        self.net.send(1 - place, bytes);
    }

    /// Delivers and carries on until nothing is left to do.
    pub(crate) fn settle(&mut self) -> &mut Self {
        let mut budget = 200_000;
        loop {
            budget -= 1;
            assert!(budget > 0, "the two never come to rest");
            if let Some((place, input)) = self.todo.pop_front() {
                let _ = self.feed(place, input);
            } else if let Some((place, bytes)) = self.net.next() {
                let message = Message::from_bytes(&bytes).unwrap();
                let _ = self.feed(place, Input::Message(message));
            } else {
                return self;
            }
        }
    }

    /// Carries on without delivering anything between the two.
    pub(crate) fn settle_without_net(&mut self) {
        while let Some((place, input)) = self.todo.pop_front() {
            let _ = self.feed(place, input);
        }
    }

    pub(crate) fn reconnect(&mut self) -> &mut Self {
        for place in 0..2 {
            let _ = self.feed(place, Input::Connected);
        }
        self.settle()
    }

    /// Moves both clocks to the next moment at which something is due, if there is one.
    pub(crate) fn pass_time(&mut self) -> bool {
        let alive = self.nodes.iter().filter(|node| !node.is_silent);
        let due = alive.filter_map(|node| node.machine.deadline()).min();
        let (ledger, vault) = (self.ledger.due(), self.vault.due());
        let Some(jump) = due
            .map(|due| due.get().saturating_sub(self.now.get()))
            .into_iter()
            .chain(ledger.map(|due| due.get().saturating_sub(self.ledger.now.get())))
            .chain(vault.map(|due| due.get().saturating_sub(self.vault.now.get())))
            .chain(self.until_swap())
            .min()
        else {
            return false;
        };
        self.advance(jump);
        true
    }

    pub(crate) fn advance(&mut self, secs: u64) -> &mut Self {
        self.now = self.now.after(secs);
        self.ledger.now = LedgerTime::new(self.ledger.now.get() + secs);
        self.vault.now = LedgerTime::new(self.vault.now.get() + secs);
        self.report();
        let clocks = [(JOINT, self.ledger.now), (VAULT, self.vault.now)];
        let known = if self.vault.books.is_empty() { 1 } else { 2 };
        for place in 0..2 {
            for (ledger, now) in clocks.into_iter().take(known) {
                self.todo.push_back((place, Input::LedgerClock { ledger, now }));
            }
            self.todo.push_back((place, Input::Tick));
        }
        self.settle()
    }

    /// Lets time pass until nobody waits for it.
    pub(crate) fn wait(&mut self) -> &mut Self {
        for _ in 0..60 {
            if !self.pass_time() {
                return self;
            }
        }
        panic!("somebody waits for ever: {:?}", self.phases());
    }

    pub(crate) fn phases(&self) -> [PhaseName; 2] {
        [self.nodes[0].machine.phase(), self.nodes[1].machine.phase()]
    }

    pub(crate) fn version(&self, place: usize) -> u64 {
        self.nodes[place].machine.agreed().unwrap().state.version().get()
    }

    /// The balances that a node's newest complete state gives.
    pub(crate) fn balances(&self, place: usize) -> [u128; 2] {
        let state = &self.nodes[place].machine.agreed().unwrap().state;
        [0, 1].map(|column| state.outcome().balance(0, column).unwrap().get())
    }

    pub(crate) fn received(&self, place: usize) -> BTreeMap<PaymentId, Payment> {
        let events = self.nodes[place].events.iter();
        events
            .filter_map(|event| match event {
                Event::PaymentReceived(payment) => Some((payment.id, payment.clone())),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn sent(&self, place: usize) -> BTreeSet<PaymentId> {
        let events = self.nodes[place].events.iter();
        events
            .filter_map(|event| match event {
                Event::PaymentSent(id) => Some(*id),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn failed(&self, place: usize) -> BTreeSet<PaymentId> {
        let events = self.nodes[place].events.iter();
        events
            .filter_map(|event| match event {
                Event::PaymentFailed { id, .. } => Some(*id),
                _ => None,
            })
            .collect()
    }

    /// The least that a node may end with: its newest complete balance, less what it has signed
    /// since.
    pub(crate) fn floor(&self, place: usize) -> u128 {
        let (sent, failed) = (self.sent(place), self.failed(place));
        let wanted = self.wanted[place].iter();
        let flying = wanted.filter(|(id, _)| !sent.contains(id) && !failed.contains(id));
        self.balances(place)[place].saturating_sub(flying.map(|(_, amount)| amount).sum())
    }

    /// What a node says that it got out of the channel.
    pub(crate) fn payout(&self, place: usize) -> Option<u128> {
        self.nodes[place].events.iter().find_map(|event| match event {
            Event::Settled { own, .. } => Some(own[0].get()),
            _ => None,
        })
    }

    pub(crate) fn saw(&self, place: usize, wanted: impl Fn(&Event) -> bool) -> bool {
        self.nodes[place].events.iter().any(wanted)
    }

    pub(crate) fn submitted(&self, place: usize, wanted: impl Fn(&Effect) -> bool) -> usize {
        self.nodes[place].effects.iter().filter(|effect| wanted(effect)).count()
    }

    /// A message from one node's mouth that its machine did not decide.
    pub(crate) fn forge(
        &mut self,
        from: usize,
        body: Body<perun_channel::Signature>,
    ) -> Result<(), Declined> {
        let message = Message { opening: self.opening, body };
        self.feed(1 - from, Input::Message(message))
    }

    /// What the ledger shows, whatever it was before.
    pub(crate) fn show(&mut self, standing: Standing) -> &mut Self {
        let channel = self.nodes[0].machine.id().unwrap();
        for place in 0..2 {
            let sighting =
                Sighting { ledger: JOINT, channel, standing: standing.clone(), confirmed: true };
            let _ = self.feed(place, Input::Ledger(sighting));
        }
        self.settle()
    }
}

/// The contributions of a node.
pub(crate) fn parts(place: usize) -> PerLedger<LedgerBytes> {
    PerLedger::one(money(place))
}

/// The contribution of a node on one ledger.
pub(crate) fn money(place: usize) -> LedgerBytes {
    LedgerBytes::new(vec![u8::try_from(place).unwrap(); 40]).unwrap()
}

pub(crate) fn index(place: usize) -> Index {
    if place == 0 { Index::Zero } else { Index::One }
}

pub(crate) fn user_said_no() -> DeclineReason {
    DeclineReason::User {}
}

/// A record's name.
pub(crate) fn kind(record: &Record) -> String {
    let text = format!("{record:?}");
    text.split([' ', '{']).next().unwrap_or_default().to_owned()
}
