//! Both networks of a node, as its house sees them: our own, with sessions that remember, and
//! go-perun's, where what does not arrive is lost.

use std::net::SocketAddr;

use perun_goperun::tcp::Network as GoNetwork;
use perun_goperun::{Identities, Message};
use perun_wire::tcp::Network;
use perun_wire::{PeerId, Receipt};

use crate::Post;

#[derive(Clone)]
pub(crate) struct Networks {
    pub(crate) own: Network,
    pub(crate) go_perun: Option<GoNetwork>,
}

impl Networks {
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
        if let Some(network) = &self.go_perun
            && !network.send(peer, message)
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
