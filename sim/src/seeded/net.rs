//! The link between the two parties: it loses, repeats, delays and is cut, as the dice say.

use super::dice::Dice;
use super::faults::{Fault, Faults};

/// The unit of delays, in seconds.
const DELAY_SECS: u64 = 60;
/// The unit in which the link is cut, in seconds.
const CUT_SECS: u64 = 600;

/// Packets on their way.
#[derive(Debug, Default)]
pub(super) struct Net {
    packets: Vec<Packet>,
    /// Until when the link is cut.
    cut_until: u64,
    /// Whether the parties must still be told that there is a connection again.
    reconnect: bool,
}

#[derive(Debug)]
struct Packet {
    due: u64,
    to: usize,
    bytes: Vec<u8>,
}

impl Net {
    /// Sends a packet into the trouble that `faults` allow. A delayed packet may be overtaken.
    pub(super) fn send(
        &mut self,
        now: u64,
        to: usize,
        bytes: Vec<u8>,
        dice: &mut Dice,
        faults: &mut Faults,
    ) {
        if now < self.cut_until || faults.strike(Fault::Loss, dice) {
            self.reconnect = true;
            return;
        }
        if faults.strike(Fault::Duplication, dice) {
            let due = now + dice.below(6) * DELAY_SECS;
            self.packets.push(Packet { due, to, bytes: bytes.clone() });
        }
        let delay = if faults.strike(Fault::Delay, dice) { dice.below(12) * DELAY_SECS } else { 1 };
        self.packets.push(Packet { due: now + delay, to, bytes });
    }

    /// The packets that arrive now.
    pub(super) fn arrive(
        &mut self,
        now: u64,
        dice: &mut Dice,
        faults: &mut Faults,
    ) -> Vec<(usize, Vec<u8>)> {
        let due = |packet: &mut Packet| packet.due <= now;
        let mut arrived: Vec<Packet> = self.packets.extract_if(.., due).collect();
        if arrived.len() > 1 && faults.strike(Fault::Reorder, dice) {
            arrived.reverse();
        }
        arrived.into_iter().map(|packet| (packet.to, packet.bytes)).collect()
    }

    /// The link is cut now and then; returns whether it has just come back.
    pub(super) fn weather(&mut self, now: u64, dice: &mut Dice, faults: &mut Faults) -> bool {
        if now >= self.cut_until && faults.strike(Fault::Cut, dice) {
            self.cut_until = now + (1 + dice.below(4)) * CUT_SECS;
            self.packets.clear();
            self.reconnect = true;
        }
        // Somebody notices a lost packet after a while.
        let notices = faults.are_over() || dice.chance(200);
        let back = self.reconnect && now >= self.cut_until && notices;
        self.reconnect &= !back;
        back
    }

    /// One side went away: what was on its way to it is lost.
    pub(super) fn forget(&mut self, to: usize) {
        self.packets.retain(|packet| packet.to != to);
        self.reconnect = true;
    }
}
