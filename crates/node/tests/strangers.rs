//! A peer that keeps to the session's rules and to no other: garbage, replays, other people's
//! channels, proposals without end. The node's honest channel goes on.

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::{CKB, DEPOSIT, PATIENCE, Pair, peer_of, secret};
use perun_channel::Participant;
use perun_channel::codec::Encode;
use perun_embedded_ckb::Commit;
use perun_protocol::{
    Body, DeclineReason, Event, Funding, LedgerBytes, LedgerTerms, Message, OpeningId, PerLedger,
    PhaseName, Terms, Turn,
};
use perun_wire::tcp::{Inbox, Network, NetworkEvent};
use perun_wire::{Expect, Identity, PeerId, SendRefusal};

/// A peer whose every payload the test chooses.
struct Stranger {
    network: Network,
    inbox: Inbox,
    victim: PeerId,
}

impl Stranger {
    fn new(victim: PeerId, address: SocketAddr) -> Self {
        let started = Instant::now();
        let clock = move || perun_wire::Time(u64::try_from(started.elapsed().as_millis()).unwrap());
        let identity = Identity::from_secret(secret());
        let entropy = Box::new(secret);
        let (network, inbox) =
            Network::start(identity, Expect::Exactly(victim), entropy, Box::new(clock));
        network.dial(victim, address).unwrap();
        Self { network, inbox, victim }
    }

    /// Sends, reading nothing but what frees the window.
    fn send(&self, payload: &[u8]) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.network.send(self.victim, payload.to_vec()) {
                Ok(()) => return,
                Err(SendRefusal::Busy) => assert!(Instant::now() < until, "the victim is stuck"),
                Err(error) => panic!("{error}"),
            }
            self.read();
        }
    }

    fn read(&self) {
        while let Some(event) = self.inbox.next_within(Duration::from_millis(1)) {
            if let NetworkEvent::Session {
                peer,
                event: perun_wire::Event::Message { receipt, .. },
            } = event
            {
                self.network.acknowledge(peer, receipt);
            }
        }
    }
}

fn proposal(pair: &Pair, number: u32) -> Message {
    let request = pair.request([DEPOSIT, DEPOSIT]);
    let session = perun_node::SessionKey::from_secret(secret()).unwrap();
    let terms = Terms {
        challenge_secs: request.challenge_secs,
        outcome: request.outcome,
        proposer: Participant::new(session.address(), Vec::new()).unwrap(),
        ledgers: PerLedger::one(LedgerTerms {
            ledger: pair.world.deployment.coin().ledger(),
            funding: Funding::Joint {},
            chain: LedgerBytes::default(),
        }),
    };
    let mut name = [9; 32];
    name[..4].copy_from_slice(&number.to_be_bytes());
    let contributions = PerLedger::one(LedgerBytes::new(vec![7; 40]).unwrap());
    Message { opening: OpeningId::new(name), body: Body::Propose { terms, contributions } }
}

/// Alice and Bob still pay each other, and Alice's newest payment arrives.
fn goes_on(pair: &mut Pair, opening: OpeningId) {
    let before = pair.bob.received(opening).len();
    pair.alice.pay(opening, CKB).unwrap();
    pair.wait("an honest payment", |pair| pair.bob.received(opening).len() == before + 1);
    assert_eq!(pair.bob.phase(opening), PhaseName::Open);
}

#[test]
fn garbage_and_foreign_messages_change_nothing() {
    let mut pair = Pair::new(Commit::Instant);
    let opening = pair.open();
    let stranger = Stranger::new(peer_of(&pair.bob), pair.address);
    let agreed = pair.bob.balances(opening);
    for payload in [vec![], vec![0], vec![1; 33], vec![255; 1 << 20]] {
        stranger.send(&payload);
    }
    // Messages for a channel that the stranger has no part in.
    let bodies = [
        Body::Decline { reason: DeclineReason::User {} },
        Body::RequestTurn { turn: Turn::new(0) },
        Body::YieldTurn { turn: Turn::new(1), wants_back: false },
    ];
    for body in bodies {
        let bytes = Message { opening, body }.to_bytes();
        stranger.send(&bytes);
        // Cut at every length, and once too long.
        (0..bytes.len()).for_each(|cut| stranger.send(&bytes[..cut]));
        stranger.send(&[bytes, vec![0]].concat());
    }
    // Messages keep their order: when the last one has arrived, all have.
    stranger.send(&proposal(&pair, 0).to_bytes());
    let last = |event: &Event| matches!(event, Event::Ended(_));
    pair.wait("the last message", |pair| pair.bob.has(last));
    assert_eq!(pair.bob.balances(opening), agreed);
    goes_on(&mut pair, opening);
    stranger.network.shutdown();
}

#[test]
fn a_message_over_the_limit_cannot_even_be_sent() {
    let pair = Pair::new(Commit::Instant);
    let stranger = Stranger::new(peer_of(&pair.bob), pair.address);
    let refused = stranger.network.send(stranger.victim, vec![0; 64 << 20]);
    assert_eq!(refused, Err(SendRefusal::TooLong));
    stranger.network.shutdown();
}

#[test]
fn proposals_without_end_are_ignored_beyond_the_limit() {
    /// What one peer may have at once.
    const LIMIT: usize = 256;
    let mut pair = Pair::with(Commit::Instant, |_, bob| bob.accept_proposals = true);
    let opening = pair.open();
    pair.bob.node = None;
    pair.bob.accept_proposals = false;
    pair.bob.start(&pair.world);
    pair.bob.node().listen(pair.address).unwrap();
    let stranger = Stranger::new(peer_of(&pair.bob), pair.address);
    let beyond = u32::try_from(LIMIT).unwrap() + 50;
    for number in 0..beyond {
        let bytes = proposal(&pair, number).to_bytes();
        stranger.send(&bytes);
        // The same again, as a peer does that did not hear an answer.
        stranger.send(&bytes);
    }
    let last = OpeningId::new({
        let mut name = [9; 32];
        name[..4].copy_from_slice(&(beyond - 1).to_be_bytes());
        name
    });
    // Messages keep their order: when the last one has arrived, all have.
    let (first, reason) = (proposal(&pair, 0).opening, DeclineReason::User {});
    stranger.send(&Message { opening: first, body: Body::Decline { reason } }.to_bytes());
    pair.wait("the last message", |pair| pair.bob.has(|event| matches!(event, Event::Ended(_))));
    let asked = |pair: &Pair| {
        let asks = |event: &&(OpeningId, Event)| matches!(event.1, Event::ProposalReceived { .. });
        pair.bob.events.iter().filter(asks).count()
    };
    let before = 1;
    pair.wait("the proposals", |pair| asked(pair) >= LIMIT + before);
    goes_on(&mut pair, opening);
    assert_eq!(asked(&pair), LIMIT + before, "each was told once, and none beyond the limit");
    assert!(pair.bob.node().status(last).unwrap().is_none());
    stranger.network.shutdown();
}
