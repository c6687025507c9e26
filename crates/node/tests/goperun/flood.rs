//! A running node, flooded over a real socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use perun_channel::{Address, Allocation, Amount, Asset, BackendId, ChannelId};
use perun_goperun::tcp::{Local, MAX_UNREAD_BYTES, Security};
use perun_goperun::{
    Account, Envelope, Handshake, Identities, Inbox, Message, Own, Proposal, Serializer,
    SubProposal, Verifier,
};
use perun_node::{Node, NodeOptions, SessionKey};
use perun_protocol::{Config, Time};
use perun_store::Durability;

use crate::common::PATIENCE;

const NATIVE: Serializer = Serializer::Native;

/// A key whose signatures are its address and the message.
struct Plain(Vec<u8>);

impl Account for Plain {
    fn address(&self) -> &[u8] {
        &self.0
    }
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        Some([&self.0, message].concat())
    }
}

struct Plainly;

impl Verifier for Plainly {
    fn proves(&self, address: &[u8], message: &[u8], signature: &[u8]) -> bool {
        signature == [address, message].concat()
    }
}

fn own(name: &str) -> Own {
    Own::new(&[(BackendId::ETHEREUM, &Plain(name.as_bytes().to_vec()))]).unwrap()
}

/// A peer that holds its socket in its own hands.
struct Peer {
    own: Own,
    node: Identities,
    stream: TcpStream,
    inbox: Inbox,
}

impl Peer {
    fn dial(name: &str, address: SocketAddr) -> Self {
        let (own, node) = (own(name), own("node").name().clone());
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (mut handshake, first) = Handshake::dial(&own, &Plainly, node.clone()).unwrap();
        let mut peer = Self { own: own.clone(), node, stream, inbox: Inbox::new(NATIVE) };
        peer.stream.write_all(&NATIVE.encode(&first).unwrap()).unwrap();
        let answer = peer.next();
        assert!(handshake.handle(answer).unwrap().done.is_some());
        peer
    }

    fn bytes(&self, message: Message) -> Vec<u8> {
        let (sender, recipient) = (self.own.name().clone(), self.node.clone());
        NATIVE.encode(&Envelope { sender, recipient, message }).unwrap()
    }

    fn next(&mut self) -> Envelope {
        let mut buffer = [0; 4_096];
        loop {
            if let Some(envelope) = self.inbox.poll().unwrap() {
                return envelope;
            }
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the node closed the connection");
            self.inbox.put(&buffer[..count]);
        }
    }
}

/// What a node answers whoever asks it.
fn question() -> Message {
    let rows = vec![vec![Amount::new(1); 2]];
    let outcome =
        Allocation::new(vec![Asset::ethereum(1, Address::new([1; 20]))], rows.clone(), vec![])
            .unwrap();
    Message::SubProposal(SubProposal {
        base: Proposal {
            id: [7; 32],
            challenge_secs: 3_600,
            nonce_share: [1; 32],
            app: Address::ZERO,
            data: vec![],
            outcome,
            funding: rows,
            aux: [0; 256],
        },
        parent: ChannelId::new([1; 32]),
    })
}

fn start(folder: &std::path::Path, busy: &Arc<Mutex<()>>) -> Node {
    let busy = busy.clone();
    let options = NodeOptions {
        journal: folder.join("journal"),
        mark: folder.join("mark"),
        durability: Durability::Relaxed,
        identity: [3; 32],
        session: SessionKey::from_secret([4; 32]).unwrap(),
        config: Config::default(),
        accept_proposals: true,
        poll: None,
        clock: Box::new(move || {
            drop(busy.lock().unwrap());
            Time::new(1_800_000_000)
        }),
        go_perun: Some(Local {
            own: own("node"),
            verifier: Box::new(Plainly),
            serializer: NATIVE,
            security: Security::None,
            clock: Box::new(|| Duration::ZERO),
        }),
    };
    Node::start(options, vec![]).unwrap()
}

/// While the node's own thread is busy, a flood waits in its sender's socket, not in our memory.
/// After that the node goes on, for others and for the sender too.
#[test]
fn h17_h18_a_flood_waits_outside_while_the_node_is_busy() {
    const SOCKETS_HOLD: usize = 24 << 20;
    const PASSED: usize = 2 << 20;
    let folder = std::env::temp_dir().join(format!("perun-flood-{}", std::process::id()));
    let busy = Arc::default();
    let node = start(&folder, &busy);
    let address = node.listen_go_perun("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut greedy = Peer::dial("greedy", address);
    let reason = "x".repeat(4_000);
    let flood = greedy.bytes(Message::ProposalReject { proposal: [9; 32], reason });
    let held = busy.lock().unwrap();
    greedy.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let (most, mut written) = (MAX_UNREAD_BYTES + PASSED + SOCKETS_HOLD, 0);
    while written <= most && greedy.stream.write_all(&flood).is_ok() {
        written += flood.len();
    }
    assert!(written <= most, "{written} bytes lie in the node's memory");
    drop(held);
    let mut other = Peer::dial("other", address);
    let asked = other.bytes(question());
    for _ in 0..300 {
        other.stream.write_all(&asked).unwrap();
        let answer = other.next().message;
        assert!(matches!(answer, Message::ProposalReject { .. }), "{answer:?}");
    }
    drop(node);
    std::fs::remove_dir_all(folder).unwrap();
}
