//! A network of ours with its mailbox, and what tests ask of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use perun_goperun::simple::SimpleVerifier;
use perun_goperun::tcp::{LinkError, Local, Mailbox, Network, NetworkEvent, Security};
use perun_goperun::{Identities, Message, Serializer};

use crate::key::own;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A node under this name, whose clock stands unless it is turned.
pub(crate) struct Node {
    pub(crate) network: Network,
    pub(crate) mailbox: Mailbox,
    pub(crate) seconds: Arc<AtomicU64>,
}

pub(crate) fn local(
    name: &str,
    serializer: Serializer,
    security: Security,
) -> (Local, Arc<AtomicU64>) {
    let seconds = Arc::new(AtomicU64::new(0));
    let told = seconds.clone();
    let clock = Box::new(move || Duration::from_secs(told.load(Ordering::SeqCst)));
    let verifier = Box::new(SimpleVerifier);
    (Local { own: own(name), verifier, serializer, security, clock }, seconds)
}

impl Node {
    pub(crate) fn start(name: &str) -> Self {
        Self::with(name, Serializer::Native, Security::None)
    }

    pub(crate) fn with(name: &str, serializer: Serializer, security: Security) -> Self {
        let (local, seconds) = local(name, serializer, security);
        let (network, mailbox) = Network::start(local);
        Self { network, mailbox, seconds }
    }

    pub(crate) fn listen(&self) -> SocketAddr {
        self.network.listen("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    pub(crate) fn next(&self) -> NetworkEvent {
        self.mailbox.next_within(PATIENCE).expect("an event in time")
    }

    pub(crate) fn connected(&self) -> Identities {
        match self.next() {
            NetworkEvent::Connected { peer } => peer,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn disconnected(&self) -> Option<LinkError> {
        match self.next() {
            NetworkEvent::Disconnected { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn message(&self) -> Message {
        match self.next() {
            NetworkEvent::Message { message, .. } => message,
            other => panic!("{other:?}"),
        }
    }

    /// Whether there is nothing to read now.
    pub(crate) fn is_quiet(&self) -> bool {
        self.mailbox.next_within(Duration::ZERO).is_none()
    }
}

/// A message that an owner gets, with a number.
pub(crate) fn numbered(number: usize) -> Message {
    Message::ProposalReject { proposal: [7; 32], reason: number.to_string() }
}
