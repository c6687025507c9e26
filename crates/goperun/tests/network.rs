//! Many connections at once: both ends keep the same one, and nobody holds up others.

#[path = "random/key.rs"]
mod key;
#[path = "random/network.rs"]
mod network;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use key::own;
use network::{Node, PATIENCE};
use perun_goperun::simple::SimpleVerifier;
use perun_goperun::tcp::{
    DialFailure, Link, LinkError, Local, MAX_HANDSHAKES_PER_ADDRESS, MAX_QUEUED_BYTES,
    MAX_UNREAD_BYTES, MAX_UNREAD_MESSAGES, NetworkEvent, RACE_MAX, Security,
};
use perun_goperun::{Envelope, Handshake, HandshakeError, Identities, Message, Serializer};

fn name(name: &str) -> Identities {
    own(name).name().clone()
}

fn local(name: &str) -> Local {
    network::local(name, Serializer::Native, Security::None, Arc::default())
}

fn start(name: &str) -> Node {
    Node::new(local(name))
}

/// A node whose clock shows these seconds.
fn start_with(name: &str, seconds: &Arc<AtomicU64>) -> Node {
    Node::new(network::local(name, Serializer::Native, Security::None, seconds.clone()))
}

/// A message that an owner gets, with a number.
fn numbered(number: usize) -> Message {
    Message::ProposalReject { proposal: [7; 32], reason: number.to_string() }
}

/// A connection to a node, of an end that a test holds in its hand.
fn dial(from: &str, to: &str, address: SocketAddr) -> Link {
    Arc::new(local(from)).dial(address, &name(to)).unwrap()
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A socket over which this end did its part of the handshake, and sends bytes as it likes.
fn socket(from: &str, to: &str, address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let own = own(from);
    let (mut handshake, first) = Handshake::dial(&own, &SimpleVerifier, name(to)).unwrap();
    stream.write_all(&Serializer::Native.encode(&first).unwrap()).unwrap();
    let (mut inbox, mut byte) = (perun_goperun::Inbox::new(Serializer::Native), [0]);
    loop {
        stream.read_exact(&mut byte).unwrap();
        inbox.put(&byte);
        if let Some(envelope) = inbox.poll().unwrap() {
            assert!(handshake.handle(envelope).unwrap().done.is_some());
            return stream;
        }
    }
}

fn bytes(from: &str, to: &str, message: Message) -> Vec<u8> {
    let envelope = Envelope { sender: name(from), recipient: name(to), message };
    Serializer::Native.encode(&envelope).unwrap()
}

/// As many bytes as a reason may have.
fn long() -> Message {
    Message::ProposalReject { proposal: [1; 32], reason: "x".repeat(4_096) }
}

#[test]
fn one_connection_carries_both_directions() {
    for serializer in [Serializer::Native, Serializer::Protobuf] {
        let [alice, bob] = ["alice", "bob"].map(|name| {
            Node::new(network::local(name, serializer, Security::None, Arc::default()))
        });
        alice.network.dial(name("bob"), bob.listen()).unwrap();
        assert_eq!((alice.connected(), bob.connected()), (name("bob"), name("alice")));
        for number in 0..50 {
            assert!(alice.network.send(&name("bob"), numbered(number)));
            assert!(bob.network.send(&name("alice"), numbered(number + 1_000)));
        }
        for number in 0..50 {
            assert_eq!(bob.message(), numbered(number));
            assert_eq!(alice.message(), numbered(number + 1_000));
        }
        assert_eq!((alice.network.connections(), bob.network.connections()), (1, 1));
        assert!(!alice.network.send(&name("carol"), numbered(0)), "nobody is there");
        let unsaid = Message::Sync { phase: 0, current: None };
        assert!(!alice.network.send(&name("bob"), unsaid), "go-perun would not survive it");
        alice.network.shutdown();
        assert!(bob.disconnected().is_none());
        bob.network.shutdown();
    }
}

/// `m` dials a peer that has accepted and says nothing yet; that peer dials `m` meanwhile.
struct Race {
    node: Node,
    peer: &'static str,
    address: SocketAddr,
    accepted: TcpStream,
}

impl Race {
    fn start(peer: &'static str) -> Self {
        let node = start("m");
        let (listener, there) = listener();
        let address = node.listen();
        node.network.dial(name(peer), there).unwrap();
        Self { node, peer, address, accepted: listener.accept().unwrap().0 }
    }

    /// The peer's own dial gets through.
    fn theirs(&self) -> Link {
        dial(self.peer, "m", self.address)
    }

    /// The handshake that `m` began gets through.
    fn ours(&self) -> Link {
        Arc::new(local(self.peer)).accept(self.accepted.try_clone().unwrap()).unwrap()
    }

    /// Both ends can use this connection, and the network holds no other.
    fn is_kept(&self, link: &mut Link) {
        assert!(self.node.network.send(&name(self.peer), numbered(1)));
        assert_eq!(link.incoming.receive().unwrap(), Some(numbered(1)));
        link.outgoing.send(numbered(2)).unwrap();
        assert_eq!(self.node.message(), numbered(2));
        let again = self.node.network.dial(name(self.peer), self.address);
        assert!(matches!(again, Err(DialFailure::Connected)));
    }
}

/// Whether the node closed this connection, over which it had nothing to say.
fn is_closed(mut link: Link) -> bool {
    let (told, heard) = mpsc::channel();
    thread::spawn(move || {
        let received = link.incoming.receive();
        told.send(matches!(received, Ok(None) | Err(LinkError::Socket(_))))
    });
    heard.recv_timeout(PATIENCE).unwrap_or(false)
}

/// `m` is the larger one: its own dial stays, whichever was first.
#[test]
fn the_connection_that_the_smaller_address_dialled_loses() {
    let race = Race::start("a");
    let theirs = race.theirs();
    race.node.connected();
    let mut ours = race.ours();
    assert!(matches!(race.node.disconnected(), Some(LinkError::Replaced)));
    race.node.connected();
    assert!(is_closed(theirs));
    race.is_kept(&mut ours);

    let race = Race::start("a");
    let mut ours = race.ours();
    race.node.connected();
    assert!(is_closed(race.theirs()));
    race.is_kept(&mut ours);
    assert!(race.node.is_quiet(), "nobody was told of the other one");
}

/// `m` is the smaller one: the peer's dial stays, whichever was first.
#[test]
fn the_connection_that_the_larger_address_dialled_stays() {
    let race = Race::start("z");
    let mut theirs = race.theirs();
    race.node.connected();
    assert!(is_closed(race.ours()));
    let failed = race.node.next();
    assert!(matches!(failed, NetworkEvent::DialFailed { reason: DialFailure::Connected, .. }));
    race.is_kept(&mut theirs);

    let race = Race::start("z");
    let ours = race.ours();
    race.node.connected();
    let mut theirs = race.theirs();
    assert!(matches!(race.node.disconnected(), Some(LinkError::Replaced)));
    race.node.connected();
    assert!(is_closed(ours));
    race.is_kept(&mut theirs);
}

/// What one of two nodes does that dial each other: after its dial it says that it is ready, and
/// from there nothing is lost. The larger one's dial is the one that stays.
fn meet(node: &Node, peer: &Identities, address: SocketAddr, is_larger: bool) {
    const MESSAGES: usize = 100;
    let dialled = node.network.dial(peer.clone(), address);
    assert!(matches!(dialled, Ok(()) | Err(DialFailure::Connected)));
    if is_larger && dialled.is_ok() {
        // Until its own dial is over, and so on the connection that stays.
        while !matches!(node.network.dial(peer.clone(), address), Err(DialFailure::Connected)) {
            thread::yield_now();
        }
    }
    if is_larger {
        (0..MESSAGES).for_each(|number| assert!(node.network.send(peer, numbered(number))));
    }
    let mut expected = 0;
    while expected < MESSAGES {
        match node.next() {
            NetworkEvent::Message { message, .. } => {
                assert_eq!(message, numbered(expected));
                if !is_larger {
                    assert!(node.network.send(peer, numbered(expected)));
                }
                expected += 1;
            }
            NetworkEvent::Connected { .. } | NetworkEvent::DialFailed { .. } => {}
            event => assert_eq!(expected, 0, "{event:?}"),
        }
    }
}

#[test]
fn two_that_dial_each_other_at_once_keep_the_same_connection_and_lose_nothing_on_it() {
    for _ in 0..20 {
        let (small, large) = (start("a"), start("b"));
        let (to_small, to_large) = (small.listen(), large.listen());
        let gate = std::sync::Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                gate.wait();
                meet(&small, &name("b"), to_large, false);
            });
            gate.wait();
            meet(&large, &name("a"), to_small, true);
        });
        small.network.shutdown();
        large.network.shutdown();
    }
}

/// A peer whose machine lost its power dials again, while we hold its old connection.
#[test]
fn a_new_connection_replaces_one_that_is_too_old_for_a_race() {
    let seconds = Arc::default();
    let node = start_with("m", &seconds);
    let address = node.listen();
    let old = dial("a", "m", address);
    node.connected();
    seconds.store(RACE_MAX.as_secs(), Ordering::SeqCst);
    assert!(is_closed(dial("a", "m", address)), "it could be in a race");
    seconds.store(RACE_MAX.as_secs() + 1, Ordering::SeqCst);
    let mut new = dial("a", "m", address);
    assert!(matches!(node.disconnected(), Some(LinkError::Replaced)));
    assert_eq!(node.connected(), name("a"));
    assert!(is_closed(old));
    assert!(node.network.send(&name("a"), numbered(1)));
    assert_eq!(new.incoming.receive().unwrap(), Some(numbered(1)));
    // What is left of the old one does not end the new one.
    new.outgoing.send(numbered(2)).unwrap();
    assert_eq!(node.message(), numbered(2));
    assert!(node.is_quiet());
}

/// The owner reads nothing: of a flood no more is taken than a share and what sockets hold.
#[test]
fn h17_a_flood_is_bounded_and_holds_up_its_own_connection_only() {
    const SOCKETS_HOLD: usize = 24 << 20;
    let node = start("m");
    let address = node.listen();
    let mut flood = socket("greedy", "m", address);
    flood.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let (message, mut written) = (bytes("greedy", "m", long()), 0);
    while written <= MAX_UNREAD_BYTES + SOCKETS_HOLD && flood.write_all(&message).is_ok() {
        written += message.len();
    }
    assert!(written <= MAX_UNREAD_BYTES + SOCKETS_HOLD, "{written}");
    let mut other = dial("other", "m", address);
    other.outgoing.send(numbered(1)).unwrap();
    let mut greedy = 0;
    loop {
        match node.next() {
            NetworkEvent::Message { peer, message } if peer == name("other") => {
                assert_eq!(message, numbered(1));
                break;
            }
            NetworkEvent::Message { .. } => greedy += 1,
            NetworkEvent::Connected { .. } => {}
            event => panic!("{event:?}"),
        }
    }
    // While these were read, as many again may have come in.
    assert!((1..=2 * MAX_UNREAD_MESSAGES).contains(&greedy), "{greedy}");
    node.network.shutdown();
}

/// Else peers that come and go could fill the mailbox without end.
#[test]
fn h18_those_that_come_and_go_keep_their_places_until_the_owner_has_read_of_them() {
    let node = start("m");
    let address = node.listen();
    for _ in 0..10 {
        let mut stream = socket("a", "m", address);
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "the node closed it");
    }
    assert_eq!(node.network.connections(), 10);
    for _ in 0..10 {
        node.connected();
        assert!(node.disconnected().is_none());
    }
    while node.network.connections() > 0 {
        thread::yield_now();
    }
}

#[test]
fn h17_a_peer_that_does_not_read_holds_up_itself_only() {
    let node = start("m");
    let address = node.listen();
    let silent = dial("silent", "m", address);
    node.connected();
    let mut other = dial("other", "m", address);
    node.connected();
    let taken = (0..100_000).take_while(|_| node.network.send(&name("silent"), long())).count();
    assert!((MAX_QUEUED_BYTES / 4_096..100_000).contains(&taken), "{taken}");
    for number in 0..10 {
        assert!(node.network.send(&name("other"), numbered(number)));
        assert_eq!(other.incoming.receive().unwrap(), Some(numbered(number)));
        other.outgoing.send(numbered(number)).unwrap();
        assert_eq!(node.message(), numbered(number));
    }
    node.network.shutdown();
    drop(silent);
}

/// Silent sockets hold all handshakes that one address may have.
#[test]
fn h18_strangers_that_say_nothing_keep_nobody_out() {
    let node = start("m");
    let address = node.listen();
    node.network.pin(&name("pinned"));
    let mut silent: Vec<_> =
        (0..=MAX_HANDSHAKES_PER_ADDRESS).map(|_| TcpStream::connect(address).unwrap()).collect();
    silent[0].set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(silent[0].read(&mut [0]).unwrap(), 0, "the oldest made way");
    let _pinned = dial("pinned", "m", address);
    assert_eq!(node.connected(), name("pinned"));
    node.network.unpin(&name("pinned"));
    node.network.shutdown();
}

#[test]
fn an_end_is_told_once_with_its_reason() {
    let node = start("m");
    let address = node.listen();
    let whole = bytes("a", "m", numbered(1));
    let told = |bytes: &[u8]| {
        let mut stream = socket("a", "m", address);
        node.connected();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let reason = node.disconnected();
        assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap_or(0), 0, "it is closed");
        assert!(!node.network.send(&name("a"), numbered(1)));
        assert!(node.is_quiet());
        reason
    };
    assert!(told(&[]).is_none());
    assert!(matches!(told(&whole[..9]), Some(LinkError::Cut)));
    assert!(matches!(told(&[0xff; 4_096]), Some(LinkError::Decode(_))));
    assert!(matches!(told(&bytes("b", "m", numbered(1))), Some(LinkError::Forged)));
    // Whoever is no peer at all is not told of, and ends nothing.
    TcpStream::connect(address).unwrap().write_all(&[0xff; 4_096]).unwrap();
    let mut last = dial("a", "m", address);
    node.connected();
    last.outgoing.send(numbered(1)).unwrap();
    assert_eq!(node.message(), numbered(1));
}

#[test]
fn what_no_owner_of_a_channel_can_use_is_dropped() {
    let node = start("m");
    let mut peer = dial("a", "m", node.listen());
    node.connected();
    let dropped = [
        Message::Ping { created_ns: 1 },
        Message::Pong { created_ns: 1 },
        Message::Shutdown { reason: "bye".into() },
        Message::AuthResponse { signature: vec![1] },
    ];
    dropped.into_iter().for_each(|message| peer.outgoing.send(message).unwrap());
    peer.outgoing.send(numbered(1)).unwrap();
    assert_eq!(node.message(), numbered(1));
    // Nobody answered the ping.
    assert!(node.network.send(&name("a"), numbered(2)));
    assert_eq!(peer.incoming.receive().unwrap(), Some(numbered(2)));
}

#[test]
fn a_farewell_leaves_after_what_was_said() {
    let node = start("m");
    let mut peer = dial("a", "m", node.listen());
    node.connected();
    (0..100).for_each(|number| assert!(node.network.send(&name("a"), numbered(number))));
    node.network.disconnect(&name("a"));
    for number in 0..100 {
        assert_eq!(peer.incoming.receive().unwrap(), Some(numbered(number)));
    }
    assert!(peer.incoming.receive().unwrap().is_none());
    assert!(node.disconnected().is_none());
    assert!(node.is_quiet());
}

fn failure(node: &Node) -> (Identities, DialFailure) {
    match node.next() {
        NetworkEvent::DialFailed { peer, reason } => (peer, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dial_fails_with_its_reason_and_can_be_tried_again() {
    let node = start("m");
    let (listener, address) = listener();
    let ourselves = node.network.dial(name("m"), address);
    let expected = HandshakeError::Ourselves;
    assert!(matches!(ourselves,
        Err(DialFailure::Link(LinkError::Handshake(error))) if error == expected));
    for _ in 0..2 {
        node.network.dial(name("a"), address).unwrap();
        assert!(matches!(node.network.dial(name("a"), address), Err(DialFailure::UnderWay)));
        // Somebody else is at that address, and has a proof of its own name.
        let mut there = listener.accept().unwrap().0;
        let (signature, other) = (proof("b"), name("b"));
        let message = Message::AuthResponse { signature };
        let envelope = Envelope { sender: other, recipient: name("m"), message };
        there.write_all(&Serializer::Native.encode(&envelope).unwrap()).unwrap();
        let (peer, reason) = failure(&node);
        assert_eq!(peer, name("a"));
        let expected = HandshakeError::WrongPeer;
        assert!(
            matches!(reason, DialFailure::Link(LinkError::Handshake(error)) if error == expected)
        );
    }
    drop(listener);
    node.network.dial(name("a"), address).unwrap();
    let refused = std::io::ErrorKind::ConnectionRefused;
    let (_, reason) = failure(&node);
    assert!(matches!(reason, DialFailure::Link(LinkError::Socket(kind)) if kind == refused));
}

/// The signature with which this end proves its name.
fn proof(from: &str) -> Vec<u8> {
    let own = own(from);
    let (_, first) = Handshake::dial(&own, &SimpleVerifier, name("m")).unwrap();
    let Message::AuthResponse { signature } = first.message else { panic!("no proof") };
    signature
}

/// A node under another name than the one that we dial notices it first.
#[test]
fn a_node_under_another_name_does_not_become_a_peer() {
    let (node, other) = (start("m"), start("b"));
    node.network.dial(name("a"), other.listen()).unwrap();
    let (peer, reason) = failure(&node);
    assert_eq!(peer, name("a"));
    assert!(
        matches!(reason, DialFailure::Link(LinkError::Cut | LinkError::Socket(_))),
        "{reason:?}"
    );
    assert!(other.is_quiet());
}

/// In every state that a thread can wait in.
#[test]
fn a_shutdown_ends_all_threads() {
    let seconds = Arc::default();
    let node = start_with("m", &seconds);
    let address = node.listen();
    let _silent = TcpStream::connect(address).unwrap();
    let _idle = dial("idle", "m", address);
    node.connected();
    let _deaf = dial("deaf", "m", address);
    node.connected();
    while node.network.send(&name("deaf"), long()) {}
    let (_listener, there) = listener();
    node.network.dial(name("slow"), there).unwrap();
    let mut greedy = dial("greedy", "m", address);
    node.connected();
    for _ in 0..=MAX_UNREAD_MESSAGES {
        greedy.outgoing.send(numbered(1)).unwrap();
    }
    let Node { network, mailbox } = node;
    let other = network.clone();
    network.shutdown();
    assert!(matches!(other.dial(name("idle"), address), Err(DialFailure::NoRoom)));
    assert!(!other.send(&name("idle"), numbered(1)));
    assert!(TcpStream::connect(address).is_err(), "nobody listens");
    let left = || core::iter::from_fn(|| mailbox.next_within(PATIENCE));
    let ends = left().filter(|event| matches!(event, NetworkEvent::Disconnected { .. }));
    assert_eq!(ends.count(), 3, "idle, deaf, greedy");
    // Every thread holds the network, which holds the clock.
    drop((network, other, mailbox));
    assert_eq!(Arc::strong_count(&seconds), 1);
}
