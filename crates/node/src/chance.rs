//! Randomness: of the system, and drawn from a seed of it.
//!
//! Keys and names come straight from the system. Handshakes happen on threads that have nobody to
//! report a failure to, so their randomness is drawn from a seed that was there when the node
//! started, with the system's mixed in as long as it gives any: it cannot fail, and is never
//! predictable.

use perun_channel::hash::keccak256;
use zeroize::Zeroizing;

use crate::NodeError;

/// Random bytes of the system.
pub fn entropy<const N: usize>() -> Result<[u8; N], NodeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NodeError::Entropy)?;
    Ok(bytes)
}

/// Draws from a secret seed; one draw says nothing about those before and after it.
pub(crate) struct Chance(Zeroizing<[u8; 32]>);

impl Chance {
    /// With a seed of the system; without one there is none.
    pub(crate) fn new() -> Result<Self, NodeError> {
        entropy().map(|seed| Self(Zeroizing::new(seed)))
    }

    /// The next 32 bytes.
    pub(crate) fn draw(&mut self) -> [u8; 32] {
        let fresh = Zeroizing::new(entropy::<32>().unwrap_or_default());
        self.stir(&fresh)
    }

    fn stir(&mut self, fresh: &[u8; 32]) -> [u8; 32] {
        let drawn = keccak256(&[b"draw", &*self.0, fresh]);
        *self.0 = keccak256(&[b"next", &*self.0, fresh]);
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ_although_the_system_gives_nothing_any_more() {
        let mut chance = Chance::new().unwrap();
        let draws: Vec<_> = (0..3).map(|_| chance.stir(&[0; 32])).collect();
        assert!(draws[0] != draws[1] && draws[1] != draws[2] && draws[0] != draws[2]);
    }

    #[test]
    fn draws_of_two_nodes_differ() {
        let (mut one, mut other) = (Chance::new().unwrap(), Chance::new().unwrap());
        assert_ne!(one.stir(&[0; 32]), other.stir(&[0; 32]));
    }
}
