//! The TCP driver on loopback: a thousand messages both ways, and neighbours that misbehave.
#![cfg(feature = "tcp")]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{Dice, id, identity};
use perun_wire::tcp::{
    Clock, DialFailure, Inbox, MAX_HANDSHAKES, MAX_PEERS, Network, NetworkEvent,
};
use perun_wire::{
    Event, Expect, HANDSHAKE_MS_MAX, PeerId, Receipt, SendRefusal, Time, WINDOW_MESSAGES, WireError,
};

const PATIENCE: Duration = Duration::from_secs(60);

#[allow(clippy::disallowed_methods, reason = "real sockets need a real clock")]
fn clock() -> Clock {
    let started = std::time::Instant::now();
    Box::new(move || Time(started.elapsed().as_millis() as u64))
}

struct Node {
    network: Network,
    inbox: Inbox,
}

impl Node {
    fn start(n: u8, admit: Expect) -> Self {
        Self::with_clock(n, admit, clock())
    }

    fn with_clock(n: u8, admit: Expect, clock: Clock) -> Self {
        let mut dice = Dice(u64::from(n));
        let entropy = Box::new(move || dice.bytes());
        let (network, inbox) = Network::start(identity(n), admit, entropy, clock);
        Self { network, inbox }
    }

    fn listen(&self) -> SocketAddr {
        self.network.listen("127.0.0.1:0").unwrap()
    }

    /// Waits for the next event.
    fn next(&self) -> NetworkEvent {
        self.inbox.next_within(PATIENCE).expect("an event in time")
    }

    fn wait_connected(&self) {
        while !matches!(self.next(), NetworkEvent::Session { event: Event::Connected, .. }) {}
    }

    fn wait_message(&self) -> (Receipt, Vec<u8>) {
        loop {
            if let NetworkEvent::Session { event: Event::Message { receipt, payload }, .. } =
                self.next()
            {
                return (receipt, payload);
            }
        }
    }
}

/// A socket that got as far as an exchange of greetings, and so is in its handshake there.
fn greeted(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"PERUNW\x00\x01\x00\x01").unwrap();
    stream.read_exact(&mut [0; 10]).unwrap();
    stream
}

/// Whether the other end closed a socket over which it had no more to say.
fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 1]), Ok(0))
}

/// Sends a thousand numbered messages and takes a thousand, in one thread.
fn exchange(node: Node, peer: u8) -> Node {
    const MESSAGES: u32 = 1_000;
    let (mut sent, mut got) = (0, 0_u32);
    while got < MESSAGES || sent < MESSAGES {
        while sent < MESSAGES {
            match node.network.send(id(peer), sent.to_be_bytes().repeat(20)) {
                Ok(()) => sent += 1,
                Err(SendRefusal::Busy) => break,
                Err(error) => panic!("{error}"),
            }
        }
        if got < MESSAGES {
            let (receipt, payload) = node.wait_message();
            assert_eq!(payload, got.to_be_bytes().repeat(20));
            node.network.acknowledge(id(peer), receipt);
            got += 1;
        } else {
            std::thread::yield_now();
        }
    }
    node
}

#[test]
fn a_thousand_messages_go_both_ways() {
    let (alice, bob) = (Node::start(1, Expect::Anyone), Node::start(2, Expect::Anyone));
    alice.network.dial(id(2), bob.listen()).unwrap();
    let here = std::thread::spawn(|| exchange(alice, 2));
    let there = std::thread::spawn(|| exchange(bob, 1));
    let (alice, bob) = (here.join().unwrap(), there.join().unwrap());
    alice.network.shutdown();
    bob.network.shutdown();
}

#[test]
fn messages_survive_a_disconnect_and_a_redial() {
    let (alice, bob) = (Node::start(1, Expect::Anyone), Node::start(2, Expect::Anyone));
    let address = bob.listen();
    for round in 0..5_u8 {
        alice.network.send(id(2), vec![round]).unwrap();
        alice.network.dial(id(2), address).unwrap();
        let (receipt, payload) = bob.wait_message();
        assert_eq!(payload, [round]);
        bob.network.acknowledge(id(1), receipt);
        alice.network.disconnect(id(2));
        while !matches!(alice.next(), NetworkEvent::Disconnected { .. }) {}
        while !matches!(bob.next(), NetworkEvent::Disconnected { .. }) {}
    }
    alice.network.shutdown();
    bob.network.shutdown();
}

#[test]
fn a_stranger_that_stalls_or_talks_nonsense_blocks_nobody() {
    let (alice, bob) = (Node::start(1, Expect::Anyone), Node::start(2, Expect::Anyone));
    let address = bob.listen();
    let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut noisy = TcpStream::connect(address).unwrap();
    noisy.write_all(&[0xff; 4096]).unwrap();
    alice.network.dial(id(2), address).unwrap();
    alice.network.send(id(2), b"through".to_vec()).unwrap();
    assert_eq!(bob.wait_message().1, b"through");
    let mut rest = Vec::new();
    let _ = noisy.read_to_end(&mut rest);
    assert!(rest.len() <= 10, "the noisy one was closed");
    bob.network.shutdown();
    drop(silent);
    alice.network.shutdown();
}

#[test]
fn an_owner_that_does_not_read_one_peer_can_serve_another() {
    let bob = Node::start(2, Expect::Anyone);
    let (alice, carol) = (Node::start(1, Expect::Anyone), Node::start(3, Expect::Anyone));
    let address = bob.listen();
    alice.network.dial(id(2), address).unwrap();
    alice.wait_connected();
    let mut sent = 0;
    while alice.network.send(id(2), vec![1]).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, WINDOW_MESSAGES, "nobody acknowledges, so the window fills");
    carol.network.dial(id(2), address).unwrap();
    carol.network.send(id(2), b"carol".to_vec()).unwrap();
    while bob.wait_message().1 != b"carol" {}
    for node in [alice, bob, carol] {
        node.network.shutdown();
    }
}

#[test]
fn a_dial_that_fails_says_why() {
    let (alice, bob) = (Node::start(1, Expect::Anyone), Node::start(2, Expect::Anyone));
    let address = bob.listen();
    alice.network.dial(id(9), address).unwrap();
    let NetworkEvent::DialFailed { peer, reason } = alice.next() else { panic!("no failure") };
    assert_eq!(peer, id(9));
    let wrong = WireError::WrongPeer { expected: id(9), found: id(2) };
    assert_eq!(reason, DialFailure::Wire(wrong));
    bob.network.shutdown();
    alice.network.dial(id(2), address).unwrap();
    let NetworkEvent::DialFailed { reason, .. } = alice.next() else { panic!("no failure") };
    assert!(matches!(reason, DialFailure::Socket(_)));
    alice.network.shutdown();
}

#[test]
fn idle_sockets_keep_neither_our_dials_from_going_out_nor_other_peers_from_coming_in() {
    let (victim, bob) = (Node::start(1, Expect::Anyone), Node::start(2, Expect::Anyone));
    let carol = Node::start(3, Expect::Anyone);
    let address = victim.listen();
    let mut idle: Vec<_> = (0..MAX_HANDSHAKES).map(|_| greeted(address)).collect();
    victim.network.dial(id(2), bob.listen()).unwrap();
    let event = victim.next();
    assert!(matches!(event, NetworkEvent::Session { event: Event::Connected, .. }), "{event:?}");
    carol.network.dial(id(1), address).unwrap();
    let event = carol.next();
    assert!(matches!(event, NetworkEvent::Session { event: Event::Connected, .. }), "{event:?}");
    assert!(is_closed(&mut idle[0]), "the oldest made way");
    for node in [victim, bob, carol] {
        node.network.shutdown();
    }
}

#[test]
fn a_handshake_that_trickles_is_closed_when_its_time_is_over() {
    let time = Arc::new(AtomicU64::new(0));
    let late = time.clone();
    let clock = Box::new(move || Time(time.load(Ordering::SeqCst)));
    let bob = Node::with_clock(2, Expect::Anyone, clock);
    let mut slow = greeted(bob.listen());
    slow.write_all(&[1]).unwrap();
    late.store(HANDSHAKE_MS_MAX, Ordering::SeqCst);
    // Wakes the reader, which would wait for the 30 bytes that are missing.
    slow.write_all(&[2]).unwrap();
    assert!(is_closed(&mut slow));
    bob.network.shutdown();
}

#[test]
fn strangers_that_went_away_make_room_and_a_pinned_peer_keeps_its_messages() {
    let victim = Node::start(1, Expect::Anyone);
    let (bob, carol) = (Node::start(2, Expect::Anyone), Node::start(3, Expect::Anyone));
    let address = victim.listen();
    victim.network.pin(id(2));
    victim.network.send(id(2), b"kept".to_vec()).unwrap();
    for number in 0..MAX_PEERS {
        // As after a stranger that asked for a channel and left before it read the refusal.
        let mut stranger = [77; 32];
        stranger[..8].copy_from_slice(&(number as u64).to_be_bytes());
        victim.network.send(PeerId(stranger), vec![1]).unwrap();
    }
    carol.network.dial(id(1), address).unwrap();
    carol.wait_connected();
    victim.network.send(id(3), b"new".to_vec()).unwrap();
    assert_eq!(carol.wait_message().1, b"new");
    bob.network.dial(id(1), address).unwrap();
    assert_eq!(bob.wait_message().1, b"kept");
    for node in [victim, bob, carol] {
        node.network.shutdown();
    }
}
