//! How many events of a network wait for the node at once.
//!
//! go-perun's peers have no window: whatever they say is read. So their events go to the node's
//! thread through a gate. What does not fit waits in the network's mailbox, where each connection
//! has its share, and at last in the peer's own socket.

use std::sync::mpsc::{self, Receiver, SyncSender};

/// How many events may have passed the gate that the node has not taken yet: enough for a round.
pub(crate) const GATE_EVENTS: usize = 64;

/// The end at the network.
pub(crate) struct Gate(SyncSender<()>);

/// The end at the node. When it is dropped, nobody waits any more.
pub(crate) struct Keeper(Receiver<()>);

/// A gate and its keeper.
pub(crate) fn gate() -> (Gate, Keeper) {
    let (gate, keeper) = mpsc::sync_channel(GATE_EVENTS);
    (Gate(gate), Keeper(keeper))
}

impl Gate {
    /// Waits until one event more may pass; false if the node is gone.
    pub(crate) fn pass(&self) -> bool {
        self.0.send(()).is_ok()
    }
}

impl Keeper {
    /// The node takes an event that has passed.
    pub(crate) fn taken(&self) {
        let _ = self.0.try_recv();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn h17_what_the_node_does_not_take_waits_outside() {
        let (gate, keeper) = gate();
        let (passed, events) = mpsc::channel();
        let network = thread::spawn(move || {
            let all = (0_usize..).take_while(|number| gate.pass() && passed.send(*number).is_ok());
            all.count()
        });
        let mut heard = 0;
        let mut next = || {
            assert_eq!(events.recv(), Ok(heard));
            heard += 1;
        };
        (0..GATE_EVENTS).for_each(|_| next());
        for _ in 0..3 {
            let more = events.recv_timeout(Duration::from_millis(30));
            assert!(more.is_err(), "the gate is full");
            keeper.taken();
            next();
        }
        drop(keeper);
        assert_eq!(network.join().unwrap(), GATE_EVENTS + 3, "nobody waits any more");
    }
}
