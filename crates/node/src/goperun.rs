//! Peers that run go-perun: who they are, and its words for what our machines say.
//!
//! A machine with such a peer follows [`Dialect::GoPerun`](perun_protocol::Dialect) and speaks of
//! terms, contributions and turns as always; here that becomes go-perun's messages, and back.
//! Nothing of it decides about money: what a message means is checked by the machine. go-perun
//! acknowledges nothing and keeps nothing, so what is not delivered is forgotten here too, and said
//! again by the machines when the connection comes back.

mod peer;
pub(crate) mod words;

pub(crate) use peer::Peer;
pub use peer::peer_id;

use perun_goperun::Message;
use perun_wire::PeerId;

/// What came before the channel was there to take it: go-perun sends its first signature, and its
/// first update, as soon as it is ready itself. All bounded, and not kept over a restart.
#[derive(Debug, Default)]
pub(crate) struct Early(Vec<(PeerId, Message)>);

/// How many such messages are kept for all peers together.
const EARLY_MAX: usize = 64;
/// How many for one of them: a signature and an update for each channel that is being opened, and
/// peers open one at a time.
const EARLY_OF_PEER: usize = 8;

impl Early {
    /// Keeps a message, if there is room for it.
    pub(crate) fn keep(&mut self, peer: PeerId, message: Message) {
        let of_peer = self.0.iter().filter(|(of, _)| *of == peer).count();
        if self.0.len() < EARLY_MAX && of_peer < EARLY_OF_PEER {
            self.0.push((peer, message));
        }
    }

    /// Everything that was kept.
    pub(crate) fn take(&mut self) -> Vec<(PeerId, Message)> {
        core::mem::take(&mut self.0)
    }
}
