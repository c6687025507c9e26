//! Connections between two of our own ends, and ends that do not keep to the rules.

#[path = "random/key.rs"]
mod key;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use key::{account, own, told};
use perun_goperun::simple::{Address, SimpleVerifier};
use perun_goperun::tcp::{HANDSHAKE_MAX, Link, LinkError, Local, Security};
use perun_goperun::{
    Account as _, DecodeError, EncodeError, Envelope, HandshakeError, Message, Serializer, Verifier,
};

fn local(name: &str, serializer: Serializer) -> Arc<Local> {
    let verifier = Box::new(SimpleVerifier);
    let clock = Box::new(|| Duration::ZERO);
    Arc::new(Local { own: own(name), verifier, serializer, security: Security::None, clock })
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Both ends of a connection.
fn pair(serializer: Serializer) -> (Link, Link) {
    let (listener, address) = listener();
    let (alice, bob) = (local("alice", serializer), local("bob", serializer));
    let name = bob.own.name().clone();
    let dialling = thread::spawn(move || alice.dial(address, &name).unwrap());
    let accepted = bob.accept(listener.accept().unwrap().0).unwrap();
    (dialling.join().unwrap(), accepted)
}

#[test]
fn an_account_is_what_go_perun_makes_of_its_key() {
    let account = account("a node for tests");
    assert_eq!(account.address(), told("address"));
    let signature = account.sign(&told("message")).unwrap();
    assert_eq!(signature, told("signature"));
    assert!(SimpleVerifier.proves(account.address(), &told("message"), &signature));
    let mut other = signature;
    other[100] ^= 1;
    assert!(!SimpleVerifier.proves(account.address(), &told("message"), &other));
    assert!(!account.public().verify(b"other", &told("signature")));
    let long = "x".repeat(1_024);
    assert!(perun_goperun::simple::Account::new(&long, &told("pkcs8")).is_err());
}

#[test]
fn both_ends_learn_the_others_name_and_speak() {
    for serializer in [Serializer::Native, Serializer::Protobuf] {
        let (mut alice, mut bob) = pair(serializer);
        assert_eq!(alice.peer(), own("bob").name());
        assert_eq!(bob.peer(), own("alice").name());
        for number in 0..3 {
            alice.outgoing.send(Message::Ping { created_ns: number }).unwrap();
            let got = bob.incoming.receive().unwrap();
            assert_eq!(got, Some(Message::Ping { created_ns: number }));
        }
        bob.outgoing.send(Message::Shutdown { reason: "done".into() }).unwrap();
        bob.outgoing.close();
        let last = alice.incoming.receive().unwrap();
        assert_eq!(last, Some(Message::Shutdown { reason: "done".into() }));
        assert_eq!(alice.incoming.receive().unwrap(), None, "closed between two envelopes");
    }
}

#[test]
fn what_cannot_be_sent_leaves_the_connection_as_it_was() {
    let (mut alice, mut bob) = pair(Serializer::Native);
    let reason = "x".repeat(5_000);
    let refused = alice.outgoing.send(Message::Shutdown { reason });
    assert!(matches!(refused, Err(LinkError::Encode(_))));
    let nothing = alice.outgoing.send(Message::Sync { phase: 0, current: None });
    assert!(matches!(nothing, Err(LinkError::Encode(EncodeError::NothingToSync))));
    alice.outgoing.send(Message::Pong { created_ns: 1 }).unwrap();
    assert_eq!(bob.incoming.receive().unwrap(), Some(Message::Pong { created_ns: 1 }));
}

/// An end that does the handshake as alice and then sends these bytes.
fn alice_then(bytes: Vec<u8>) -> LinkError {
    let (listener, address) = listener();
    let bob = local("bob", Serializer::Native);
    let name = bob.own.name().clone();
    let mallory = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let alice = own("alice");
        let (_, first) = perun_goperun::Handshake::dial(&alice, &SimpleVerifier, name).unwrap();
        stream.write_all(&Serializer::Native.encode(&first).unwrap()).unwrap();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // Keeps the socket until the other end has read everything.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let mut link = bob.accept(listener.accept().unwrap().0).unwrap();
    let error = link.incoming.receive().unwrap_err();
    drop(link);
    mallory.join().unwrap();
    error
}

#[test]
fn h11_nobody_speaks_under_another_name_or_to_another() {
    let envelope = |sender: &str, recipient: &str| {
        let (sender, recipient) = (own(sender).name().clone(), own(recipient).name().clone());
        let message = Message::Ping { created_ns: 0 };
        Serializer::Native.encode(&Envelope { sender, recipient, message }).unwrap()
    };
    assert!(matches!(alice_then(envelope("carol", "bob")), LinkError::Forged));
    assert!(matches!(alice_then(envelope("alice", "carol")), LinkError::Forged));
    let whole = envelope("alice", "bob");
    assert!(matches!(alice_then(whole[..whole.len() - 1].to_vec()), LinkError::Cut));
    let error = alice_then(vec![0xff; 4]);
    assert!(matches!(error, LinkError::Decode(DecodeError::Limit(_))), "{error:?}");
}

#[test]
fn h3_a_name_without_its_key_does_not_get_in() {
    let (listener, address) = listener();
    let bob = local("bob", Serializer::Native);
    let keyless = Address::named("alice").to_bytes();
    let sender =
        perun_goperun::Identities::new(vec![(perun_channel::BackendId::ETHEREUM, keyless)]);
    let message = Message::AuthResponse { signature: told("signature") };
    let envelope = Envelope { sender: sender.unwrap(), recipient: bob.own.name().clone(), message };
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&Serializer::Native.encode(&envelope).unwrap()).unwrap();
    let refused = bob.accept(listener.accept().unwrap().0).unwrap_err();
    assert!(matches!(refused, LinkError::Handshake(HandshakeError::NotProven)), "{refused:?}");
}

/// The clock jumps while the peer is silent: neither side waits beyond its deadline.
#[test]
fn a_silent_peer_does_not_hold_a_handshake() {
    let (listener, address) = listener();
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    // Just before the end at the second question, so that the real wait is short.
    let clock = move || match count.fetch_add(1, Ordering::SeqCst) {
        0 => Duration::ZERO,
        1 => HANDSHAKE_MAX - Duration::from_millis(20),
        _ => HANDSHAKE_MAX,
    };
    let (own, serializer) = (own("bob"), Serializer::Native);
    let verifier = Box::new(SimpleVerifier);
    let bob = Arc::new(Local {
        own,
        verifier,
        serializer,
        security: Security::None,
        clock: Box::new(clock),
    });
    let silent = TcpStream::connect(address).unwrap();
    let refused = bob.accept(listener.accept().unwrap().0).unwrap_err();
    assert!(matches!(refused, LinkError::Timeout), "{refused:?}");
    assert!(asked.load(Ordering::SeqCst) >= 2);
    drop(silent);
}

#[test]
fn errors_say_what_to_do_and_that_no_money_moved() {
    let errors = [
        LinkError::Timeout,
        LinkError::Cut,
        LinkError::Forged,
        LinkError::Socket(std::io::ErrorKind::ConnectionRefused),
        LinkError::Handshake(HandshakeError::NotProven),
        LinkError::Decode(DecodeError::Missing),
        LinkError::Encode(EncodeError::NothingToSync),
    ];
    for error in errors {
        assert!(error.to_string().contains("o money moved"), "{error}");
    }
}
