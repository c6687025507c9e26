//! Real go-perun nodes: their client, bus and handshake, in another process. Needs Go.
#![cfg(feature = "goperun-tests")]

#[path = "random/key.rs"]
mod key;
#[path = "random/network.rs"]
mod network;
#[path = "random/tls.rs"]
mod tls;

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Instant;

use key::{own, unhex};
use network::Node;
use perun_channel::{Address, Allocation, Amount, Asset, BackendId};
use perun_goperun::simple::SimpleVerifier;
use perun_goperun::tcp::{DialFailure, LinkError, Local, NetworkEvent, Security};
use perun_goperun::{
    HandshakeError, Identities, LedgerProposal, Message, Party, Proposal, Serializer, Verifier,
};

const BOTH: [Serializer; 2] = [Serializer::Native, Serializer::Protobuf];

fn argument(serializer: Serializer) -> &'static str {
    match serializer {
        Serializer::Native => "native",
        Serializer::Protobuf => "protobuf",
    }
}

fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/go-perun");
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("go-perun-peer");
        let mut go = Command::new("go");
        let build = go.args(["build", "-o"]).arg(&program).arg("./peer").current_dir(folder);
        let status = build.status().expect("Go is installed");
        assert!(status.success(), "the go-perun peer does not build");
        program
    })
}

/// A go-perun node in a process; it is ended with this value.
struct GoPeer {
    child: Child,
    output: BufReader<ChildStdout>,
    host: String,
    name: Identities,
    /// Plain unless it was started with TLS.
    security: Security,
}

impl GoPeer {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let line = line_with(&mut output, "here ");
        let (host, address) = line.split_once(' ').unwrap();
        let name = Identities::new(vec![(BackendId::ETHEREUM, unhex(address))]).unwrap();
        let security = if arguments.last() == Some(&"tls") {
            // Its certificate, then one for us with its key.
            let line = line_with(&mut output, "tls ");
            let parts: Vec<_> = line.split(' ').map(unhex).collect();
            tls::security(&parts[0], &parts[1], &parts[2])
        } else {
            Security::None
        };
        Self { child, output, host: host.to_owned(), name, security }
    }

    fn line_with(&mut self, start: &str) -> String {
        line_with(&mut self.output, start)
    }

    /// Has the node dial and propose, if it waits for that.
    fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }
}

impl Drop for GoPeer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The rest of the next line that begins like this.
fn line_with(output: &mut impl BufRead, start: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "no line with {start}");
        assert!(!line.starts_with("error"), "{line}");
        if let Some(rest) = line.trim_end().strip_prefix(start) {
            return rest.to_owned();
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[allow(clippy::disallowed_methods, reason = "real sockets need a real clock")]
fn local(
    serializer: Serializer,
    verifier: impl Verifier + Send + Sync + 'static,
    security: Security,
) -> Arc<Local> {
    let start = Instant::now();
    let clock = Box::new(move || start.elapsed());
    let verifier = Box::new(verifier);
    Arc::new(Local { own: own("rust"), verifier, serializer, security, clock })
}

fn proposal(us: &Identities, them: &Identities) -> Message {
    let balances = vec![vec![Amount::new(100), Amount::new(200)]];
    let asset = Asset::ethereum(1337, Address::new([0x77; 20]));
    let base = Proposal {
        id: [0x33; 32],
        challenge_secs: 60,
        nonce_share: [0x44; 32],
        app: Address::ZERO,
        data: vec![],
        outcome: Allocation::new(vec![asset], balances.clone(), vec![]).unwrap(),
        funding: balances,
        aux: [0; 256],
    };
    let participant = Party::ethereum(Address::new([0x11; 20])).unwrap();
    Message::LedgerProposal(LedgerProposal {
        base,
        participant,
        peers: vec![us.clone(), them.clone()],
    })
}

/// We dial; the node's own client rejects our proposal.
fn rejected_by_go_perun(serializer: Serializer, security: &[&str]) {
    let arguments = [&["listen", argument(serializer)], security].concat();
    let mut peer = GoPeer::start(&arguments);
    let us = local(serializer, SimpleVerifier, peer.security.clone());
    let mut link = us.dial(peer.host.parse().unwrap(), &peer.name).unwrap();
    assert_eq!(link.peer(), &peer.name);
    // Nobody answers a ping; the connection lives on.
    link.outgoing.send(Message::Ping { created_ns: 1 }).unwrap();
    link.outgoing.send(proposal(us.own.name(), &peer.name)).unwrap();
    let said = peer.line_with("proposal ");
    assert_eq!(said, format!("{} [[100 200]]", hex(&[0x33; 32])));
    let answer = link.incoming.receive().unwrap();
    let reason = "not today".to_owned();
    assert_eq!(answer, Some(Message::ProposalReject { proposal: [0x33; 32], reason }));
}

/// The node dials; its client is told that we reject.
fn rejecting_go_perun(serializer: Serializer, security: &[&str]) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let address = hex(&own("rust").name().entries()[0].1);
    let arguments = [&["dial", argument(serializer), &host, &address], security].concat();
    let mut peer = GoPeer::start(&arguments);
    let us = local(serializer, SimpleVerifier, peer.security.clone());
    let mut link = us.accept(listener.accept().unwrap().0).unwrap();
    assert_eq!(link.peer(), &peer.name);
    let Some(Message::LedgerProposal(proposal)) = link.incoming.receive().unwrap() else {
        panic!("no proposal")
    };
    assert_eq!(proposal.base.fault(proposal.peers.len()), None);
    assert_eq!(proposal.base.challenge_secs, 60);
    assert_eq!(proposal.peers, [peer.name.clone(), us.own.name().clone()]);
    let amounts = [Amount::new(100), Amount::new(200)];
    assert_eq!(proposal.base.outcome.balances(), [amounts]);
    let reason = "we are only a test".to_owned();
    link.outgoing.send(Message::ProposalReject { proposal: proposal.base.id, reason }).unwrap();
    assert_eq!(peer.line_with("rejected "), "channel proposal: we are only a test");
}

#[test]
fn go_perun_takes_our_handshake_and_rejects_our_proposal() {
    BOTH.into_iter().for_each(|serializer| rejected_by_go_perun(serializer, &[]));
}

#[test]
fn we_take_go_peruns_handshake_and_reject_its_proposal() {
    BOTH.into_iter().for_each(|serializer| rejecting_go_perun(serializer, &[]));
}

/// With go-perun's own dialer and listener, which know nothing else.
#[test]
fn both_work_under_tls() {
    for serializer in BOTH {
        rejected_by_go_perun(serializer, &["tls"]);
        rejecting_go_perun(serializer, &["tls"]);
    }
}

#[test]
fn a_go_perun_node_under_another_name_is_found_out() {
    let peer = GoPeer::start(&["listen", "native"]);
    let us = local(Serializer::Native, SimpleVerifier, Security::None);
    let other = own("somebody else").name().clone();
    let refused = us.dial(peer.host.parse().unwrap(), &other).unwrap_err();
    assert!(matches!(refused, LinkError::Cut | LinkError::Socket(_)), "{refused:?}");
}

/// A verifier that believes nobody shows that the right answer is what lets the peer in.
#[test]
fn a_go_perun_node_that_is_not_believed_does_not_get_in() {
    struct Nobody;
    impl Verifier for Nobody {
        fn proves(&self, _: &[u8], _: &[u8], _: &[u8]) -> bool {
            false
        }
    }
    let peer = GoPeer::start(&["listen", "native"]);
    let us = local(Serializer::Native, Nobody, Security::None);
    let refused = us.dial(peer.host.parse().unwrap(), &peer.name).unwrap_err();
    assert!(matches!(refused, LinkError::Handshake(HandshakeError::NotProven)), "{refused:?}");
}

/// An address at which nothing moves before it is opened.
struct Gate(TcpListener);

impl Gate {
    fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Waits for whoever dials; the result opens the way to that address.
    fn dialled(&self, to: SocketAddr) -> mpsc::Sender<()> {
        let near = self.0.accept().unwrap().0;
        let (open, opened) = mpsc::channel();
        thread::spawn(move || {
            if opened.recv().is_err() {
                return;
            }
            let far = TcpStream::connect(to).unwrap();
            let ends = (near.try_clone().unwrap(), far.try_clone().unwrap());
            let copy = |(mut from, mut into): (TcpStream, TcpStream)| {
                let _ = std::io::copy(&mut from, &mut into);
                let _ = into.shutdown(Shutdown::Both);
            };
            thread::spawn(move || copy(ends));
            copy((far, near));
        });
        open
    }
}

/// go-perun dials us, and we send back over the same connection.
#[test]
fn a_network_answers_go_perun_over_the_connection_that_it_dialled() {
    for serializer in BOTH {
        let node = Node::new(standing(serializer, Security::None));
        let host = node.listen().to_string();
        let address = hex(&node.network.name().entries()[0].1);
        let mut peer = GoPeer::start(&["dial", argument(serializer), &host, &address]);
        assert_eq!(node.connected(), peer.name);
        reject(&node, &peer);
        assert_eq!(peer.line_with("rejected "), "channel proposal: so be it");
        // Its process ends after that.
        assert!(node.disconnected().is_none());
        node.network.shutdown();
    }
}

/// The peer's proposal arrives and is rejected.
fn reject(node: &Node, peer: &GoPeer) {
    let Message::LedgerProposal(proposal) = node.message() else { panic!("no proposal") };
    let reason = "so be it".to_owned();
    let reject = Message::ProposalReject { proposal: proposal.base.id, reason };
    assert!(node.network.send(&peer.name, reject));
}

/// Our proposal arrives and is rejected.
fn rejected(node: &Node, peer: &mut GoPeer) {
    assert!(node.network.send(&peer.name, proposal(node.network.name(), &peer.name)));
    peer.line_with("proposal ");
    let reason = "not today".to_owned();
    assert_eq!(node.message(), Message::ProposalReject { proposal: [0x33; 32], reason });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Ours,
    Theirs,
}

/// Us, with a clock that stands.
fn standing(serializer: Serializer, security: Security) -> Local {
    network::local("rust", serializer, security, Arc::default())
}

/// Both dial before either is connected, and one handshake is done before the other begins. Each
/// then has something to say, which arrives only if both keep the same connection.
fn both_dial(serializer: Serializer, security: &[&str], theirs: &str, first: First) {
    let (gate_in, gate_out) = (Gate::new(), Gate::new());
    let (host, address) = (gate_in.address().to_string(), hex(&own("rust").name().entries()[0].1));
    let meet = ["meet", argument(serializer), theirs, &host, &address];
    let mut peer = GoPeer::start(&[&meet, security].concat());
    let node = Node::new(standing(serializer, peer.security.clone()));
    let inside = node.listen();

    node.network.dial(peer.name.clone(), gate_out.address()).unwrap();
    let ours = gate_out.dialled(peer.host.parse().unwrap());
    peer.go();
    let their = gate_in.dialled(inside);
    let we_are_larger = "rust" > theirs;
    match first {
        First::Ours => {
            ours.send(()).unwrap();
            assert_eq!(node.connected(), peer.name);
            rejected(&node, &mut peer);
            their.send(()).unwrap();
            if !we_are_larger {
                replaced(&node, &peer);
            }
            reject(&node, &peer);
        }
        First::Theirs => {
            their.send(()).unwrap();
            assert_eq!(node.connected(), peer.name);
            let Message::LedgerProposal(theirs) = node.message() else { panic!("no proposal") };
            ours.send(()).unwrap();
            if we_are_larger {
                replaced(&node, &peer);
            } else {
                let NetworkEvent::DialFailed { reason, .. } = node.next() else { panic!("no end") };
                assert!(matches!(reason, DialFailure::Connected), "{reason:?}");
            }
            let reason = "so be it".to_owned();
            let reject = Message::ProposalReject { proposal: theirs.base.id, reason };
            assert!(node.network.send(&peer.name, reject));
        }
    }
    assert_eq!(peer.line_with("rejected "), "channel proposal: so be it");
    rejected(&node, &mut peer);
    assert!(node.is_quiet(), "nothing happened to the connection that both keep");
    node.network.shutdown();
}

fn replaced(node: &Node, peer: &GoPeer) {
    let reason = node.disconnected();
    assert!(matches!(reason, Some(LinkError::Replaced) | None), "{reason:?}");
    assert_eq!(node.connected(), peer.name);
}

/// "rust" lies between these names.
#[test]
fn we_and_go_perun_keep_the_same_connection_when_both_dial() {
    for (serializer, security) in [(Serializer::Native, &[][..]), (Serializer::Protobuf, &["tls"])]
    {
        for theirs in ["a", "zz"] {
            both_dial(serializer, security, theirs, First::Ours);
            both_dial(serializer, security, theirs, First::Theirs);
        }
    }
}

/// Without gates: which handshake is first is up to the system. Whoever is larger says something
/// once its own dial is over, and so over the connection that stays; what the other end said
/// before that may be lost.
#[test]
fn we_and_go_perun_dial_each_other_at_once() {
    for theirs in ["a", "zz"].into_iter().cycle().take(6) {
        let node = Node::new(standing(Serializer::Native, Security::None));
        let (host, name) = (node.listen().to_string(), node.network.name().clone());
        let address = hex(&name.entries()[0].1);
        let mut peer = GoPeer::start(&["meet", "native", theirs, &host, &address]);
        let there: SocketAddr = peer.host.parse().unwrap();
        peer.go();
        // It may be too late for that.
        let _ = node.network.dial(peer.name.clone(), there);
        if theirs == "a" {
            let dial = || node.network.dial(peer.name.clone(), there);
            while !matches!(dial(), Err(DialFailure::Connected)) {
                thread::yield_now();
            }
            assert!(node.network.send(&peer.name, proposal(&name, &peer.name)));
            let answered = |event| {
                let NetworkEvent::Message { message, .. } = event else { return false };
                matches!(message, Message::ProposalReject { .. })
            };
            while !answered(node.next()) {}
        } else {
            let id = loop {
                if let NetworkEvent::Message { message: Message::LedgerProposal(said), .. } =
                    node.next()
                {
                    break said.base.id;
                }
            };
            let reject = Message::ProposalReject { proposal: id, reason: "so be it".to_owned() };
            assert!(node.network.send(&peer.name, reject));
            assert_eq!(peer.line_with("rejected "), "channel proposal: so be it");
        }
        node.network.shutdown();
    }
}
