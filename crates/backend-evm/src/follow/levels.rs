//! What the contract's storage says of channels at one block.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use perun_channel::{Amount, ChannelId};

use super::Watch;
use super::standing::Fingerprint;
use crate::abi::{eth, funding_id, solidity as sol, word};
use crate::rpc::{At, Block, Node};
use crate::{Deployment, Error};

/// The phase in which newer states can be shown.
pub const DISPUTE: u8 = 0;
pub(super) const FORCED: u8 = 1;
/// The phase in which the outcome stands.
pub const CONCLUDED: u8 = 2;

/// What is recorded of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The state's version.
    pub version: u64,
    /// Dispute, forced execution or concluded.
    pub phase: u8,
    /// When the window ends, in seconds.
    pub timeout: u64,
    /// What is kept of the state's hash; zero for a channel that was ended by consent before
    /// anything was registered.
    pub fingerprint: Fingerprint,
}

/// What is recorded and held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    pub(super) record: Option<Record>,
    /// For each asset of this chain, what is held for each participant.
    pub(super) held: Vec<Vec<Amount>>,
}

/// The record of a channel at a place in the chain.
pub fn record(
    node: Node<'_>,
    deployment: &Deployment,
    id: &ChannelId,
    at: At,
) -> Result<Option<Record>, Error> {
    let shown = node.read(deployment.hub(), &sol::Hub::disputesCall { id: word(id) }, at)?;
    parse(&shown)
}

/// Reads these channels at one block.
pub(super) fn read(
    node: Node<'_>,
    deployment: &Deployment,
    watches: &[&Watch],
    block: Block,
) -> Result<BTreeMap<ChannelId, Levels>, Error> {
    let (hub, at) = (deployment.hub(), At::Hash(block.hash));
    let ids = watches.iter().map(|watch| watch.params.id());
    let questions: Vec<_> = ids.map(|id| (hub, sol::Hub::disputesCall { id: word(&id) })).collect();
    let records = node.read_all(&questions, at)?;
    let questions: Vec<_> = watches.iter().flat_map(|watch| deposits(deployment, watch)).collect();
    let mut held = node.read_all(&questions, at)?.into_iter();
    let mut out = BTreeMap::new();
    for (watch, shown) in watches.iter().zip(&records) {
        let rows = deployment.rows(watch.initial.outcome());
        let count = watch.params.participants().len();
        let mut row = || held.by_ref().take(count).map(at_most).collect();
        let held = rows.iter().map(|_| row()).collect();
        out.insert(watch.params.id(), Levels { record: parse(shown)?, held });
    }
    Ok(out)
}

/// Who makes a token can let the hub hold more of it for one name than any channel can say. It must
/// not hide the other channels.
fn at_most(held: U256) -> Amount {
    Amount::new(u128::try_from(held).unwrap_or(u128::MAX))
}

fn deposits(deployment: &Deployment, watch: &Watch) -> Vec<(Address, sol::Hub::heldCall)> {
    let (hub, id) = (deployment.hub(), watch.params.id());
    let outcome = watch.initial.outcome();
    let rows = deployment.rows(outcome);
    let assets = rows.iter().filter_map(|row| outcome.assets().get(*row));
    let of_asset = |asset: &perun_channel::Asset| {
        let holder = eth(asset.holder());
        let parties = watch.params.participants().iter();
        let one = |one: &perun_channel::Participant| {
            let name = funding_id(&id, one.address());
            (hub, sol::Hub::heldCall { holder, fundingID: name })
        };
        parties.map(one).collect::<Vec<_>>()
    };
    assets.flat_map(of_asset).collect()
}

fn parse(shown: &sol::Hub::disputesReturn) -> Result<Option<Record>, Error> {
    let sol::Hub::disputesReturn { timeout, version, phase, stateHash, .. } = shown;
    let fingerprint = Fingerprint(stateHash.first_chunk().copied().unwrap_or_default());
    if (*timeout, *version, *phase) == (0, 0, 0) && stateHash.is_zero() {
        return Ok(None);
    }
    if *phase > CONCLUDED || stateHash.iter().skip(fingerprint.0.len()).any(|byte| *byte != 0) {
        return Err(Error::Malformed("record of a channel"));
    }
    let (version, phase, timeout) = (*version, *phase, *timeout);
    Ok(Some(Record { version, phase, timeout, fingerprint }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    fn shown(timeout: u64, phase: u8, hash: B256) -> sol::Hub::disputesReturn {
        sol::Hub::disputesReturn {
            timeout,
            challengeDuration: 0,
            version: 0,
            phase,
            stateHash: hash,
            hasApp: false,
        }
    }

    #[test]
    fn only_a_record_reads_as_one() {
        let mut hash = B256::ZERO;
        assert_eq!(parse(&shown(0, 0, hash)), Ok(None));
        hash[..21].fill(9);
        let record = parse(&shown(5, 1, hash)).unwrap().unwrap();
        assert_eq!((record.timeout, record.phase), (5, FORCED));
        assert_eq!(record.fingerprint, Fingerprint([9; 21]));
        assert!(parse(&shown(5, 3, hash)).is_err(), "there is no such phase");
        assert!(parse(&shown(5, 0, B256::repeat_byte(9))).is_err(), "the rest is zero");
        assert!(parse(&shown(5, CONCLUDED, B256::ZERO)).unwrap().is_some(), "ended by consent");
    }
}
