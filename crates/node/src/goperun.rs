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
/// first update, as soon as it is ready itself. All bounded, and not kept over a restart. Names
/// cost nothing, so who says much makes way for who says little.
#[derive(Debug, Default)]
pub(crate) struct Early(Vec<(PeerId, Message)>);

/// How many such messages are kept for all peers together.
const EARLY_MAX: usize = 64;
/// How many for one of them: a signature and an update for each channel that is being opened, and
/// peers open one at a time.
const EARLY_OF_PEER: usize = 8;

impl Early {
    /// Keeps a message, unless this peer has enough. If all together have, the oldest message of
    /// the one with the most goes.
    pub(crate) fn keep(&mut self, peer: PeerId, message: Message) {
        if self.count(peer) >= EARLY_OF_PEER {
            return;
        }
        if self.0.len() >= EARLY_MAX {
            let counts: Vec<usize> = self.0.iter().map(|(of, _)| self.count(*of)).collect();
            let most = counts.iter().max();
            let oldest = counts.iter().position(|count| Some(count) == most);
            oldest.into_iter().for_each(|position| drop(self.0.remove(position)));
        }
        self.0.push((peer, message));
    }

    /// Everything that was kept.
    pub(crate) fn take(&mut self) -> Vec<(PeerId, Message)> {
        core::mem::take(&mut self.0)
    }

    fn count(&self, peer: PeerId) -> usize {
        self.0.iter().filter(|(of, _)| *of == peer).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(early: &mut Early, peer: u8, count: usize) {
        (0..count).for_each(|_| early.keep(PeerId([peer; 32]), Message::Ping { created_ns: 0 }));
    }

    #[test]
    fn h18_a_crowd_that_says_too_much_too_early_keeps_nobody_out() {
        let mut early = Early::default();
        (0..100).for_each(|peer| keep(&mut early, peer, 100));
        assert_eq!(early.0.len(), EARLY_MAX);
        assert!((0..100).all(|peer| early.count(PeerId([peer; 32])) <= EARLY_OF_PEER));
        keep(&mut early, 200, 2);
        assert_eq!((early.0.len(), early.count(PeerId([200; 32]))), (EARLY_MAX, 2));
        assert_eq!(early.take().len(), EARLY_MAX);
        assert_eq!(early.0.len(), 0);
    }
}
