//! Both networks of a node, as its house sees them: our own, with sessions that remember, and
//! go-perun's, where what does not arrive is lost.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perun_goperun::tcp::Network as GoNetwork;
use perun_goperun::{Identities, Message};
use perun_wire::tcp::Network;
use perun_wire::{PeerId, Receipt};

use crate::Post;

#[derive(Clone)]
pub(crate) struct Networks {
    pub(crate) own: Network,
    pub(crate) go_perun: Option<GoNetwork>,
    /// The connections with go-perun peers of which the house has heard.
    links: Arc<Mutex<BTreeMap<Identities, u64>>>,
}

impl Networks {
    pub(crate) fn new(own: Network, go_perun: Option<GoNetwork>) -> Self {
        Self { own, go_perun, links: Arc::default() }
    }

    /// The house hears that there is this connection with a go-perun peer, and will say over it
    /// what it has to say. Not before: go-perun takes nothing twice, and a proposal that comes
    /// again is another one to it.
    pub(crate) fn connected(&self, peer: &Identities, link: u64) {
        self.links().insert(peer.clone(), link);
    }

    /// The house hears that it ended.
    pub(crate) fn disconnected(&self, peer: &Identities) {
        self.links().remove(peer);
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<Identities, u64>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to dial a peer, which runs go-perun if it has a name there; false if that cannot be.
    pub(crate) fn dial(&self, peer: PeerId, name: Option<&Identities>, at: SocketAddr) -> bool {
        match (name, &self.go_perun) {
            (Some(name), Some(network)) => network.dial(name.clone(), at).is_ok(),
            (Some(_), None) => false,
            (None, _) => self.own.dial(peer, at).is_ok(),
        }
    }

    /// Ends the connection to a peer.
    pub(crate) fn hang_up(&self, peer: PeerId, name: Option<Identities>) {
        match (name, &self.go_perun) {
            (Some(name), Some(network)) => network.disconnect(&name),
            _ => self.own.disconnect(peer),
        }
    }

    pub(crate) fn shutdown(self) {
        self.own.shutdown();
        if let Some(network) = self.go_perun {
            network.shutdown();
        }
    }
}

impl Post for Networks {
    fn send(&mut self, peer: PeerId, payload: &[u8]) -> bool {
        self.own.send(peer, payload.to_vec()).is_ok()
    }

    fn hang_up(&mut self, peer: PeerId) {
        self.own.disconnect(peer);
    }

    fn keep(&mut self, peer: PeerId) {
        self.own.pin(peer);
    }

    fn release(&mut self, peer: PeerId) {
        self.own.unpin(peer);
    }

    fn acknowledge(&mut self, peer: PeerId, receipt: Receipt) {
        self.own.acknowledge(peer, receipt);
    }

    fn say(&mut self, peer: &Identities, message: Message) {
        // What finds no connection, or no room, is said again when a connection is there.
        let link = self.links().get(peer).copied();
        if let (Some(network), Some(link)) = (&self.go_perun, link)
            && !network.send_over(link, peer, message)
        {
            network.disconnect(peer);
        }
    }

    fn keep_go_perun(&mut self, peer: &Identities) {
        self.go_perun.iter().for_each(|network| network.pin(peer));
    }

    fn release_go_perun(&mut self, peer: &Identities) {
        self.go_perun.iter().for_each(|network| network.unpin(peer));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use perun_channel::BackendId;
    use perun_goperun::simple::{Account, SimpleVerifier};
    use perun_goperun::tcp::{Local, Mailbox, NetworkEvent, Security};
    use perun_goperun::{Own, Serializer};
    use perun_wire::{Expect, Identity, Time};

    use super::*;

    fn local(name: &str) -> Local {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/goperun-wire-key.json");
        let file: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let (pairs, _) = file["pkcs8"].as_str().unwrap().as_bytes().as_chunks::<2>();
        let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let key: Vec<u8> = pairs.iter().map(|pair| byte(pair.as_slice())).collect();
        let own = Own::new(&[(BackendId::ETHEREUM, &Account::new(name, &key).unwrap())]).unwrap();
        let (began, security) = (Instant::now(), Security::None);
        let (verifier, clock) = (Box::new(SimpleVerifier), Box::new(move || began.elapsed()));
        Local { own, verifier, serializer: Serializer::Native, security, clock }
    }

    fn next(mailbox: &Mailbox) -> NetworkEvent {
        mailbox.next_within(Duration::from_secs(20)).expect("something happens")
    }

    fn rejection(proposal: u8) -> Message {
        Message::ProposalReject { proposal: [proposal; 32], reason: "not today".to_owned() }
    }

    /// The network may have a connection of which the house has not heard: what it says now it will
    /// say again when it does.
    #[test]
    fn nothing_is_said_over_a_connection_before_the_house_hears_of_it() {
        let (peer, letters) = GoNetwork::start(local("peer"));
        let at = peer.listen(([127, 0, 0, 1], 0).into()).unwrap();
        let (ours, news) = GoNetwork::start(local("ours"));
        let (own, _inbox) = Network::start(
            Identity::from_secret([1; 32]),
            Expect::Anyone,
            Box::new(|| [0; 32]),
            Box::new(|| Time(0)),
        );
        let mut networks = Networks::new(own, Some(ours));
        assert!(networks.dial(PeerId([0; 32]), Some(peer.name()), at));
        let NetworkEvent::Connected { link, .. } = next(&news) else { panic!("no connection") };
        assert!(matches!(next(&letters), NetworkEvent::Connected { .. }));
        networks.say(peer.name(), rejection(1));
        networks.connected(peer.name(), link + 1);
        networks.say(peer.name(), rejection(2));
        networks.connected(peer.name(), link);
        networks.say(peer.name(), rejection(3));
        let said = next(&letters);
        assert!(
            matches!(&said, NetworkEvent::Message { message, .. } if *message == rejection(3)),
            "{said:?}"
        );
        networks.disconnected(peer.name());
        networks.say(peer.name(), rejection(4));
        networks.shutdown();
        peer.shutdown();
        let ends = next(&letters);
        assert!(matches!(ends, NetworkEvent::Disconnected { .. }), "{ends:?}");
    }
}
