//! Draws of a seeded generator (SplitMix64): the same seed tells the same story.

/// A source of choices.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// The source of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a machine of at most 64 bits");
        usize::try_from(self.bits() % bound).expect("below a usize")
    }

    /// A number between two, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.bits() % (high - low + 1)
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Some bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.bits().to_le_bytes()[0]).collect()
    }

    /// 32 bytes.
    pub fn hash(&mut self) -> [u8; 32] {
        self.bytes(32).try_into().expect("32 bytes")
    }

    /// Splits a total into `parts` amounts, some of them zero now and then.
    pub fn split(&mut self, total: u128, parts: usize) -> Vec<u128> {
        let mut rest = total;
        let mut amounts: Vec<u128> = (1..parts)
            .map(|_| {
                let share = match self.below(4) {
                    0 => 0,
                    1 => rest,
                    _ => rest / 2 + u128::from(self.bits()) % (rest / 4 + 1),
                };
                rest -= share;
                share
            })
            .collect();
        amounts.push(rest);
        let turn = self.below(parts);
        amounts.rotate_left(turn);
        amounts
    }
}
