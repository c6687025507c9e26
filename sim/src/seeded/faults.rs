//! Which faults a seed injects, how often, and how many it has injected.

use super::dice::Dice;

macro_rules! faults {
    ($($name:ident $text:literal $chance:literal,)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $(#[doc = $text] $name,)*
        }

        impl Fault {
            /// All kinds, their names, and how often of a thousand they strike in a seed that has
            /// them.
            pub const ALL: &'static [(Self, &'static str, u64)] =
                &[$((Self::$name, $text, $chance),)*];
        }
    };
}

faults! {
    Loss "message lost" 60,
    Duplication "message repeated" 60,
    Delay "message delayed" 120,
    Reorder "messages reordered" 150,
    Cut "link cut" 4,
    CrashEffect "crash between two effects" 4,
    CrashRecord "crash while recording, torn tail" 4,
    Down "down for a while after a crash" 500,
    Reorg "reorganisation" 120,
    Late "inclusion at the last moment" 400,
    Evict "transaction evicted from the pool" 80,
    FrontRun "transaction overtaken" 500,
}

/// The faults of one seed: a random subset, until they are over.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    enabled: u64,
    over: bool,
    /// How often each kind struck.
    pub(super) struck: [u64; Fault::ALL.len()],
}

impl Faults {
    /// A random subset, about two of three.
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let enabled = dice.roll() | dice.roll();
        Self { enabled, over: false, struck: [0; Fault::ALL.len()] }
    }

    /// Whether the fault strikes now.
    pub(super) fn strike(&mut self, fault: Fault, dice: &mut Dice) -> bool {
        let kind = fault as usize;
        let (_, _, chance) = Fault::ALL[kind];
        let strikes = !self.over && self.enabled & (1 << kind) != 0 && dice.chance(chance);
        self.struck[kind] += u64::from(strikes);
        strikes
    }

    /// From here on nothing breaks.
    pub(super) const fn heal(&mut self) {
        self.over = true;
    }

    /// Whether nothing breaks any more.
    #[must_use]
    pub(super) const fn are_over(&self) -> bool {
        self.over
    }
}
