//! Whether a contract's code is one that is known.
//!
//! The hub is two contracts and a model for facades: its constructor makes the other two, so their
//! addresses follow from its own, and stand in its code. Everything else in the code is the same
//! wherever it is deployed. So the code is compared with those addresses taken out, and they must
//! be the right ones.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use serde::Deserialize;

use crate::Error;
use crate::rpc::{At, Node};

/// An address in code is pushed as a whole word.
const WORD: usize = 32;
/// The constructor makes the facades' model first, then the second half.
const FACADE_NONCE: u64 = 1;
const DESK_NONCE: u64 = 2;

/// A known code: its hash with the words at some places set to zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    hash: B256,
    holes: Vec<usize>,
}

impl Code {
    /// The code of this template. The words at these places are addresses, each deployment's own;
    /// in the template they are zero.
    #[must_use]
    pub fn new(template: &[u8], holes: Vec<usize>) -> Self {
        Self { hash: keccak256(template), holes }
    }

    /// Whether this is the code, with `word` in each of its places.
    fn is(&self, code: &[u8], word: Address) -> bool {
        let mut blank = code.to_vec();
        for place in &self.holes {
            let end = place.saturating_add(WORD);
            let Some(hole) = blank.get_mut(*place..end) else { return false };
            if *hole != *word.into_word() {
                return false;
            }
            hole.fill(0);
        }
        keccak256(blank) == self.hash
    }
}

/// The codes of one version of the contracts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes {
    /// The hub's own; its places hold the second half's address.
    pub hub: Code,
    /// The second half's; its places hold the address of the facades' model.
    pub desk: Code,
    /// The code of the facades' model.
    pub facade: Code,
}

impl Codes {
    /// The codes of three compiled contracts, as they are committed beside their sources.
    #[must_use]
    pub fn of(hub: &Artifact, desk: &Artifact, facade: &Artifact) -> Self {
        Self { hub: hub.code(), desk: desk.code(), facade: facade.code() }
    }
}

/// What the compiler made of one contract, as it is committed beside the sources.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    bytecode: Section,
    deployed_bytecode: Section,
}

#[derive(Clone, Debug, Deserialize)]
struct Section {
    bytes: Bytes,
    #[serde(default)]
    immutables: Vec<Place>,
}

/// Where the constructor writes into the code.
#[derive(Clone, Debug, Deserialize)]
struct Place {
    start: usize,
}

impl Artifact {
    /// Reads a file of `onchain/evm/artifacts`.
    pub fn parse(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|_| Error::Malformed("compiled contract"))
    }

    /// What makes the contract.
    #[must_use]
    pub const fn creation(&self) -> &Bytes {
        &self.bytecode.bytes
    }

    /// The code to look for.
    #[must_use]
    pub fn code(&self) -> Code {
        let Section { bytes, immutables } = &self.deployed_bytecode;
        Code::new(bytes, immutables.iter().map(|place| place.start).collect())
    }
}

/// Refuses unless the hub and what its constructor made have codes that are known together.
pub(super) fn check(node: Node<'_>, hub: Address, known: &[Codes]) -> Result<(), Error> {
    let (facade, desk) = (hub.create(FACADE_NONCE), hub.create(DESK_NONCE));
    let read = |address| {
        let code = node.code(address, At::Latest)?;
        if code.is_empty() { Err(Error::NoCode(address)) } else { Ok(code) }
    };
    let shown = read(hub)?;
    let refused = |address, what, code: &[u8]| {
        Err(Error::UnknownCode { address, what, found: keccak256(code) })
    };
    let Some(codes) = known.iter().find(|codes| codes.hub.is(&shown, desk)) else {
        return refused(hub, "hub", &shown);
    };
    let shown = read(desk)?;
    if !codes.desk.is(&shown, facade) {
        return refused(desk, "second half of the hub", &shown);
    }
    let shown = read(facade)?;
    if codes.facade.is(&shown, facade) { Ok(()) } else { refused(facade, "facade", &shown) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_with_its_addresses_and_no_others() {
        let template: Vec<u8> = (0..200).map(|byte| if byte < 40 { 0 } else { byte }).collect();
        let code = Code::new(&template, vec![4]);
        let right = Address::repeat_byte(7);
        let mut there = template.clone();
        there[4..36].copy_from_slice(right.into_word().as_slice());
        assert!(code.is(&there, right));
        assert!(!code.is(&there, Address::repeat_byte(8)), "another second half");
        assert!(!code.is(&template, right), "none");
        let mut other = there.clone();
        other[100] ^= 1;
        assert!(!code.is(&other, right), "another code");
        assert!(!code.is(&there[..30], right), "too short");
        assert!(!code.is(&[&there[..], &[0]].concat(), right), "something behind it");
    }
}
