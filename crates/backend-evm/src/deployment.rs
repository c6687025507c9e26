//! Which contracts on which chain, and whether they are what they should be.
//!
//! A value of this type is configuration, read once. The invariant: money is only sent to a hub
//! whose whole code, both halves and what its facades run, is one that this program knows.

mod code;

pub use code::{Artifact, Code, Codes};

use std::collections::BTreeMap;

use alloy_primitives::Address;
use perun_channel::{Allocation, Asset};

use crate::Error;
use crate::abi::{eth, party, solidity as sol};
use crate::rpc::{At, Node};

/// Most tokens that one deployment knows.
pub const TOKENS_MAX: usize = 4_096;

/// The hub of one chain and the tokens that are used there.
#[derive(Clone, Debug)]
pub struct Deployment {
    chain: u64,
    hub: Address,
    from_block: u64,
    known: Vec<Codes>,
    tokens: BTreeMap<Address, Address>,
}

impl Deployment {
    /// The hub at this address, made in this block or later, whose code must be one of these.
    #[must_use]
    pub const fn new(chain: u64, hub: Address, from_block: u64, known: Vec<Codes>) -> Self {
        Self { chain, hub, from_block, known, tokens: BTreeMap::new() }
    }

    /// The chain's number.
    #[must_use]
    pub const fn chain(&self) -> u64 {
        self.chain
    }

    /// The hub.
    #[must_use]
    pub const fn hub(&self) -> Address {
        self.hub
    }

    /// Before this block there is nothing of the hub.
    #[must_use]
    pub const fn from_block(&self) -> u64 {
        self.from_block
    }

    /// The chain's coin as channels know it.
    #[must_use]
    pub fn coin(&self) -> Asset {
        self.asset(self.hub)
    }

    /// The asset with this holder.
    #[must_use]
    pub fn asset(&self, holder: Address) -> Asset {
        Asset::ethereum(self.chain, party(holder))
    }

    /// Whether the contract pays this asset: of this chain, with a holder, and spelt as we spell
    /// it. The hub has two rows of one holder for one asset that stands twice and registers no
    /// state of theirs, whatever else they say; so nothing may be deposited for such a channel.
    #[must_use]
    pub fn is_ours(&self, asset: &Asset) -> bool {
        let holder = eth(asset.holder());
        holder != Address::ZERO && *asset == self.asset(holder)
    }

    /// The rows of an outcome that are of this chain.
    #[must_use]
    pub fn rows(&self, outcome: &Allocation) -> Vec<usize> {
        let assets = outcome.assets().iter().enumerate();
        assets.filter(|(_, asset)| self.is_ours(asset)).map(|(row, _)| row).collect()
    }

    /// Refuses unless the node is of this chain and the hub is what it should be.
    pub fn check(&self, node: Node<'_>) -> Result<(), Error> {
        let found = node.chain_id()?;
        if found != self.chain {
            return Err(Error::WrongChain { expected: self.chain, found });
        }
        code::check(node, self.hub, &self.known)
    }

    /// The token behind an asset of this chain; nothing for the coin.
    pub fn token(&self, node: Node<'_>, asset: &Asset) -> Result<Option<Address>, Error> {
        let holder = eth(asset.holder());
        if holder == self.hub {
            return Ok(None);
        }
        if let Some(token) = self.tokens.get(&holder) {
            return Ok(Some(*token));
        }
        let token = node.read(self.hub, &sol::Hub::tokenOfCall { facade: holder }, At::Latest)?;
        if token == Address::ZERO { Err(Error::UnknownHolder(holder)) } else { Ok(Some(token)) }
    }

    /// Remembers a token and returns the asset that channels know it by. The hub must have named
    /// it.
    pub fn add_token(&mut self, node: Node<'_>, token: Address) -> Result<Asset, Error> {
        let holder = node.read(self.hub, &sol::Hub::facadeOfCall { token }, At::Latest)?;
        let asset = self.asset(holder);
        if self.token(node, &asset)? != Some(token) {
            return Err(Error::UnknownHolder(holder));
        }
        if self.tokens.len() < TOKENS_MAX {
            self.tokens.insert(holder, token);
        }
        Ok(asset)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use perun_channel::BackendId;

    use super::*;

    pub(crate) fn deployment() -> Deployment {
        Deployment::new(31_337, Address::repeat_byte(0xaa), 0, Vec::new())
    }

    #[test]
    fn only_assets_that_the_contract_pays_are_ours() {
        let here = deployment();
        let holder = party(Address::repeat_byte(1));
        assert!(here.is_ours(&here.coin()) && here.is_ours(&Asset::ethereum(31_337, holder)));
        assert!(!here.is_ours(&Asset::ethereum(1, holder)));
        assert!(!here.is_ours(&Asset::ethereum(31_337, perun_channel::Address::ZERO)));
        assert!(!here.is_ours(&Asset::ckb(31_337)));
        for (kind, foreign) in [(1, vec![]), (1, vec![1; 32]), (2, vec![0; 32])] {
            let kind = BackendId::new(kind);
            assert!(!here.is_ours(&Asset::new(kind, 31_337, holder, foreign).unwrap()));
        }
    }
}
