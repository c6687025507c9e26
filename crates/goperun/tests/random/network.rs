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

/// What a node under this name has, with a clock that stands unless it is turned.
pub(crate) fn local(
    name: &str,
    serializer: Serializer,
    security: Security,
    seconds: Arc<AtomicU64>,
) -> Local {
    let clock = Box::new(move || Duration::from_secs(seconds.load(Ordering::SeqCst)));
    Local { own: own(name), verifier: Box::new(SimpleVerifier), serializer, security, clock }
}

pub(crate) struct Node {
    pub(crate) network: Network,
    pub(crate) mailbox: Mailbox,
}

impl Node {
    pub(crate) fn new(local: Local) -> Self {
        let (network, mailbox) = Network::start(local);
        Self { network, mailbox }
    }

    pub(crate) fn listen(&self) -> SocketAddr {
        self.network.listen("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    pub(crate) fn next(&self) -> NetworkEvent {
        self.mailbox.next_within(PATIENCE).expect("an event in time")
    }

    pub(crate) fn connected(&self) -> Identities {
        match self.next() {
            NetworkEvent::Connected { peer, .. } => peer,
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
