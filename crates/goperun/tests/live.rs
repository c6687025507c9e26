//! Real go-perun nodes: their client, bus and handshake, in another process. Needs Go.
#![cfg(feature = "goperun-tests")]

#[path = "random/key.rs"]
mod key;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use key::own;
use perun_channel::{Address, Allocation, Amount, Asset, BackendId};
use perun_goperun::simple::SimpleVerifier;
use perun_goperun::tcp::{LinkError, Local};
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
        Self { child, output, host: host.to_owned(), name }
    }

    fn line_with(&mut self, start: &str) -> String {
        line_with(&mut self.output, start)
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

fn unhex(text: &str) -> Vec<u8> {
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(|pair| byte(pair.as_slice())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[allow(clippy::disallowed_methods, reason = "real sockets need a real clock")]
fn local(serializer: Serializer, verifier: impl Verifier + Send + Sync + 'static) -> Arc<Local> {
    let start = Instant::now();
    let clock = Box::new(move || start.elapsed());
    Arc::new(Local { own: own("rust"), verifier: Box::new(verifier), serializer, clock })
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

#[test]
fn go_perun_takes_our_handshake_and_rejects_our_proposal() {
    for serializer in BOTH {
        let mut peer = GoPeer::start(&["listen", argument(serializer)]);
        let us = local(serializer, SimpleVerifier);
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
}

#[test]
fn we_take_go_peruns_handshake_and_reject_its_proposal() {
    for serializer in BOTH {
        let us = local(serializer, SimpleVerifier);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let address = hex(&us.own.name().entries()[0].1);
        let mut peer = GoPeer::start(&["dial", argument(serializer), &host, &address]);
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
}

#[test]
fn a_go_perun_node_under_another_name_is_found_out() {
    let peer = GoPeer::start(&["listen", "native"]);
    let us = local(Serializer::Native, SimpleVerifier);
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
    let us = local(Serializer::Native, Nobody);
    let refused = us.dial(peer.host.parse().unwrap(), &peer.name).unwrap_err();
    assert!(matches!(refused, LinkError::Handshake(HandshakeError::NotProven)), "{refused:?}");
}
