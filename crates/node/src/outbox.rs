//! Messages whose peer's window is full, in order per peer.
//!
//! A peer that never reads must not cost memory without end: one that leaves too much unread loses
//! all of it and its connection. That loses nothing else, since machines repeat what matters when a
//! connection comes back.

use std::collections::{BTreeMap, VecDeque};

use perun_wire::{PeerId, WINDOW_BYTES};

use crate::Post;

/// How many messages wait for one peer beside its window: a few for each of its channels.
pub(crate) const MAX_UNSENT: usize = 1_024;

/// How many bytes wait for one peer beside its window: as many as the window holds, which is a few
/// kilobytes for each of [`MAX_UNSENT`]. The longest messages alone would come to a gigabyte.
pub(crate) const MAX_UNSENT_BYTES: usize = WINDOW_BYTES;

/// What waits for the peers' windows.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: BTreeMap<PeerId, Queue>,
}

/// What waits for one peer.
#[derive(Default)]
struct Queue {
    messages: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Outbox {
    /// Sends after everything that waits for the peer, or lets it wait.
    pub(crate) fn send(&mut self, post: &mut dyn Post, peer: PeerId, payload: Vec<u8>) {
        let queue = self.waiting.entry(peer).or_default();
        queue.bytes = queue.bytes.saturating_add(payload.len());
        queue.messages.push_back(payload);
        if queue.messages.len() > MAX_UNSENT || queue.bytes > MAX_UNSENT_BYTES {
            self.waiting.remove(&peer);
            post.hang_up(peer);
            return;
        }
        if flush(post, peer, queue) {
            self.waiting.remove(&peer);
        }
    }

    /// Hands over what fits into the windows now.
    pub(crate) fn flush(&mut self, post: &mut dyn Post) {
        self.waiting.retain(|peer, queue| !flush(post, *peer, queue));
    }
}

/// Hands over what fits into this peer's window; whether that was everything.
fn flush(post: &mut dyn Post, peer: PeerId, queue: &mut Queue) -> bool {
    while let Some(payload) = queue.messages.front() {
        if !post.send(peer, payload) {
            return false;
        }
        queue.bytes = queue.bytes.saturating_sub(payload.len());
        queue.messages.pop_front();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use perun_wire::Receipt;

    /// A post with a window that never empties by itself.
    #[derive(Default)]
    struct Window {
        room: usize,
        sent: Vec<(PeerId, Vec<u8>)>,
        hung_up: Vec<PeerId>,
    }

    impl Post for Window {
        fn send(&mut self, peer: PeerId, payload: &[u8]) -> bool {
            let fits = self.room > 0;
            if fits {
                self.room -= 1;
                self.sent.push((peer, payload.to_vec()));
            }
            fits
        }

        fn acknowledge(&mut self, _: PeerId, _: Receipt) {}

        fn hang_up(&mut self, peer: PeerId) {
            self.hung_up.push(peer);
        }
    }

    const PEER: PeerId = PeerId([1; 32]);

    #[test]
    fn what_waited_goes_before_what_comes_later() {
        let (mut outbox, mut post) = (Outbox::default(), Window::default());
        outbox.send(&mut post, PEER, vec![1]);
        post.room = 2;
        outbox.send(&mut post, PEER, vec![2]);
        assert_eq!(post.sent, [(PEER, vec![1]), (PEER, vec![2])]);
        outbox.send(&mut post, PEER, vec![3]);
        post.room = 1;
        outbox.flush(&mut post);
        assert_eq!(post.sent.len(), 3);
        assert!(outbox.waiting.is_empty(), "a peer for whom nothing waits costs nothing");
    }

    #[test]
    fn a_peer_that_never_reads_loses_its_connection_and_holds_no_memory() {
        let (mut outbox, mut post) = (Outbox::default(), Window::default());
        for _ in 0..MAX_UNSENT {
            outbox.send(&mut post, PEER, vec![1]);
        }
        assert!(post.hung_up.is_empty());
        outbox.send(&mut post, PEER, vec![1]);
        assert_eq!(post.hung_up, [PEER]);
        assert!(outbox.waiting.is_empty());
    }

    #[test]
    fn what_waits_for_a_peer_is_bounded_in_bytes_too() {
        const MESSAGE: usize = MAX_UNSENT_BYTES / 4;
        let (mut outbox, mut post) = (Outbox::default(), Window::default());
        for _ in 0..4 {
            outbox.send(&mut post, PEER, vec![0; MESSAGE]);
        }
        post.room = 1;
        outbox.flush(&mut post);
        outbox.send(&mut post, PEER, vec![0; MESSAGE]);
        assert!(post.hung_up.is_empty(), "what has left no longer counts");
        outbox.send(&mut post, PEER, vec![0]);
        assert_eq!(post.hung_up, [PEER]);
        assert!(outbox.waiting.is_empty());
    }
}
