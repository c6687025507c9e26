//! A network as a machine with a seed: it loses, repeats and reorders what it is told to.

use std::collections::VecDeque;

/// Packets on their way, each with its destination.
pub(crate) struct Net {
    packets: VecDeque<(usize, Vec<u8>)>,
    random: Random,
    /// Of 100 packets, how many are lost, repeated and taken out of order.
    pub(crate) trouble: (u64, u64, u64),
    /// All that was ever sent.
    pub(crate) log: Vec<(usize, Vec<u8>)>,
    /// How many more packets are taken before the line is dead.
    pub(crate) left: Option<usize>,
}

impl Net {
    pub(crate) fn perfect() -> Self {
        Self {
            packets: VecDeque::new(),
            random: Random::new(0),
            trouble: (0, 0, 0),
            log: Vec::new(),
            left: None,
        }
    }

    /// A bad network; the seed decides what happens to each packet.
    pub(crate) fn bad(seed: u64, lost: u64, repeated: u64, reordered: u64) -> Self {
        Self { random: Random::new(seed), trouble: (lost, repeated, reordered), ..Self::perfect() }
    }

    pub(crate) fn send(&mut self, to: usize, bytes: Vec<u8>) {
        self.log.push((to, bytes.clone()));
        match &mut self.left {
            Some(0) => return,
            Some(left) => *left -= 1,
            None => {}
        }
        let (lost, repeated, _) = self.trouble;
        if self.dice() < lost {
            return;
        }
        if self.dice() < repeated {
            self.packets.push_back((to, bytes.clone()));
        }
        self.packets.push_back((to, bytes));
    }

    pub(crate) fn next(&mut self) -> Option<(usize, Vec<u8>)> {
        if self.packets.len() > 1 && self.dice() < self.trouble.2 {
            let count = u64::try_from(self.packets.len()).unwrap();
            let pick = usize::try_from(self.random.below(count)).unwrap();
            return self.packets.remove(pick);
        }
        self.packets.pop_front()
    }

    pub(crate) fn drop_all(&mut self) {
        self.packets.clear();
    }

    fn dice(&mut self) -> u64 {
        self.random.below(100)
    }
}

/// A small generator (SplitMix64): the same numbers everywhere for the same seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }
}
