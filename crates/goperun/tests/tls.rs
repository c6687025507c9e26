//! Connections under TLS, between two of our own ends.

#[path = "random/key.rs"]
mod key;
#[path = "random/network.rs"]
mod network;
#[path = "random/tls.rs"]
mod tls;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use key::own;
use network::Node;
use perun_goperun::simple::SimpleVerifier;
use perun_goperun::tcp::{HANDSHAKE_MAX, Link, LinkError, Local, Security};
use perun_goperun::{Message, Serializer};

/// The security of an end with certificate `own` that knows certificate `peer`.
fn security(peer: usize, own: usize) -> Security {
    let text = include_str!("random/tls.json");
    let file: serde_json::Value = serde_json::from_str(text).unwrap();
    let bytes = |list: &str, place: usize| key::unhex(file[list][place].as_str().unwrap());
    tls::security(&bytes("certificates", peer), &bytes("certificates", own), &bytes("keys", own))
}

fn plain_local(name: &str, security: Security) -> Local {
    network::local(name, Serializer::Protobuf, security, Arc::default())
}

fn local(name: &str, security: Security) -> Arc<Local> {
    Arc::new(plain_local(name, security))
}

/// What comes of a connection between two ends with these.
fn meet(
    dialling: Security,
    accepting: Security,
) -> (Result<Link, LinkError>, Result<Link, LinkError>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (alice, bob) = (local("alice", dialling), local("bob", accepting));
    let name = bob.own.name().clone();
    let dialled = thread::spawn(move || alice.dial(address, &name));
    let accepted = bob.accept(listener.accept().unwrap().0);
    (dialled.join().unwrap(), accepted)
}

#[test]
fn two_ends_that_know_each_other_speak() {
    let (alice, bob) = meet(security(1, 0), security(0, 1));
    let (mut alice, mut bob) = (alice.unwrap(), bob.unwrap());
    alice.outgoing.send(Message::Ping { created_ns: 5 }).unwrap();
    assert_eq!(bob.incoming.receive().unwrap(), Some(Message::Ping { created_ns: 5 }));
    bob.outgoing.send(Message::Pong { created_ns: 6 }).unwrap();
    assert_eq!(alice.incoming.receive().unwrap(), Some(Message::Pong { created_ns: 6 }));
    bob.outgoing.close();
    assert_eq!(alice.incoming.receive().unwrap(), None);
}

/// A proposal of nearly 50,000 bytes.
fn long_message() -> Message {
    use perun_channel::{Address, Allocation, Amount, Asset, BackendId};
    let entry = |kind| (BackendId::new(kind), vec![7; 1_024]);
    let peer = perun_goperun::Identities::new((0..3).map(entry).collect()).unwrap();
    let balances = vec![vec![Amount::ZERO; 16]];
    let asset = Asset::ethereum(1, Address::ZERO);
    let base = perun_goperun::Proposal {
        id: [1; 32],
        challenge_secs: 1,
        nonce_share: [2; 32],
        app: Address::ZERO,
        data: vec![],
        outcome: Allocation::new(vec![asset], balances.clone(), vec![]).unwrap(),
        funding: balances,
        aux: [0; 256],
    };
    let participant = perun_goperun::Party::ethereum(Address::ZERO).unwrap();
    let peers = vec![peer; 16];
    Message::LedgerProposal(perun_goperun::LedgerProposal { base, participant, peers })
}

/// More than sockets and records hold, both ways at once: neither end waits for the other.
#[test]
fn both_directions_run_at_once() {
    const COUNT: usize = 1_000;
    let (alice, bob) = meet(security(1, 0), security(0, 1));
    let ends = [alice.unwrap(), bob.unwrap()].map(|Link { mut outgoing, mut incoming, .. }| {
        let sender = thread::spawn(move || {
            let message = long_message();
            (0..COUNT).for_each(|_| outgoing.send(message.clone()).unwrap());
            outgoing
        });
        let receiver = thread::spawn(move || {
            let message = long_message();
            for _ in 0..COUNT {
                assert!(incoming.receive().unwrap().as_ref() == Some(&message));
            }
        });
        (sender, receiver)
    });
    for (sender, receiver) in ends {
        receiver.join().unwrap();
        drop(sender.join().unwrap());
    }
}

#[test]
fn an_end_with_another_certificate_does_not_get_in() {
    let (alice, bob) = meet(security(0, 0), security(0, 1));
    assert!(matches!(alice, Err(LinkError::Insecure)), "{alice:?}");
    assert!(bob.is_err());
    let (_, bob) = meet(security(1, 1), security(0, 1));
    assert!(matches!(bob, Err(LinkError::Insecure)), "{bob:?}");
}

#[test]
fn an_end_without_tls_does_not_get_in() {
    let (_, bob) = meet(Security::None, security(0, 1));
    assert!(matches!(bob, Err(LinkError::Insecure)), "{bob:?}");
}

/// Nothing of what is said can be read between the two.
#[test]
fn what_is_said_is_not_on_the_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let front = TcpListener::bind("127.0.0.1:0").unwrap();
    let (behind, address) = (listener.local_addr().unwrap(), front.local_addr().unwrap());
    let tap = thread::spawn(move || {
        let near = front.accept().unwrap().0;
        let far = TcpStream::connect(behind).unwrap();
        let (mut back_from, mut back_to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
        let back = thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
        let (mut near, mut far, mut seen) = (near, far, Vec::new());
        let mut buffer = [0; 4_096];
        while let Ok(count @ 1..) = near.read(&mut buffer) {
            seen.extend_from_slice(&buffer[..count]);
            far.write_all(&buffer[..count]).unwrap();
        }
        let _ = far.shutdown(std::net::Shutdown::Both);
        let _ = back.join();
        seen
    });
    let (alice, bob) = (local("alice", security(1, 0)), local("bob", security(0, 1)));
    let name = bob.own.name().clone();
    let dialled = thread::spawn(move || alice.dial(address, &name).unwrap());
    let mut bob = bob.accept(listener.accept().unwrap().0).unwrap();
    let mut alice = dialled.join().unwrap();
    let reason = "a secret between two".to_owned();
    alice.outgoing.send(Message::Shutdown { reason: reason.clone() }).unwrap();
    let got = bob.incoming.receive().unwrap();
    assert_eq!(got, Some(Message::Shutdown { reason: reason.clone() }));
    alice.outgoing.close();
    let seen = tap.join().unwrap();
    assert!(seen.len() > 1_000);
    assert!(!seen.windows(reason.len()).any(|part| part == reason.as_bytes()));
}

/// A peer that does the TCP part only is given up at the deadline.
#[test]
fn a_peer_that_is_silent_before_tls_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let asked = std::sync::atomic::AtomicU64::new(0);
    let clock = move || match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Duration::ZERO,
        1 => HANDSHAKE_MAX - Duration::from_millis(20),
        _ => HANDSHAKE_MAX,
    };
    let bob = Arc::new(Local {
        own: own("bob"),
        verifier: Box::new(SimpleVerifier),
        serializer: Serializer::Native,
        security: security(0, 1),
        clock: Box::new(clock),
    });
    let silent = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let refused = bob.accept(listener.accept().unwrap().0).unwrap_err();
    assert!(matches!(refused, LinkError::Timeout), "{refused:?}");
    drop(silent);
}

#[test]
fn a_network_speaks_under_tls_and_takes_nobody_without_it() {
    let node = |name, security| Node::new(plain_local(name, security));
    let (alice, bob) = (node("alice", security(1, 0)), node("bob", security(0, 1)));
    let address = bob.listen();
    alice.network.dial(own("bob").name().clone(), address).unwrap();
    assert_eq!(&alice.connected(), own("bob").name());
    assert_eq!(&bob.connected(), own("alice").name());
    assert!(bob.network.send(own("alice").name(), long_message()));
    assert_eq!(alice.message(), long_message());
    let carol = local("carol", Security::None);
    assert!(carol.dial(address, own("bob").name()).is_err());
    alice.network.disconnect(own("bob").name());
    assert!(bob.disconnected().is_none());
    assert!(alice.disconnected().is_none());
    assert!(bob.is_quiet());
    bob.network.shutdown();
}
