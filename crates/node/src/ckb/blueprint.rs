//! Everything that a shared transaction is made of, in bytes that survive a restart.
//!
//! The backend makes the same transaction from it again and again; nothing of it is believed
//! without being checked anew against the chain.

use perun_backend_ckb::channel::{Contract, LiveChannel};
use perun_backend_ckb::deployment::Deployment;
use perun_backend_ckb::open::{
    Assembly, ChannelTerms, Checked, Contribution, Ending, Party, Terms, assemble,
};
use perun_backend_ckb::rpc::Rpc;
use perun_channel::codec::{Decode, DecodeError, Encode, Reader, put_bytes};
use perun_channel::{Address, Allocation, State};
use perun_protocol::Plan;

use super::anchor::Anchor;
use super::refused;
use crate::LedgerError;

/// What a blueprint's own byte strings may be at most; the whole must fit into a message.
const PART_BYTES_MAX: usize = 60_000;

/// A shared transaction: an opening, or a resize if it has a predecessor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Blueprint {
    /// Our place, 0 or 1.
    pub(super) own: u8,
    pub(super) challenge_secs: u64,
    pub(super) outcome: Allocation,
    pub(super) addresses: [Address; 2],
    pub(super) contributions: [Contribution; 2],
    /// The channel that ends in the transaction, and the state that it ends with.
    pub(super) predecessor: Option<(Contract, State)>,
}

impl Blueprint {
    /// The blueprint of a plan in which this ledger stands at `place`. `ended` is what we know to
    /// be the predecessor's newest state.
    pub(super) fn of(plan: &Plan, place: usize, ended: Option<State>) -> Result<Self, LedgerError> {
        let predecessor = match (&plan.predecessor, ended) {
            (None, _) => None,
            (Some(setup), Some(state)) => Some((Anchor::read(setup.as_bytes())?.contract, state)),
            (Some(_), None) => return Err(LedgerError::Malformed("resize")),
        };
        let contribution = |side: usize| {
            let bytes = plan.contributions.get(side).and_then(|parts| parts.get(place));
            let bytes = bytes.map_or(&[][..], |bytes| bytes.as_bytes());
            Contribution::from_bytes(bytes).map_err(|_| LedgerError::Malformed("contribution"))
        };
        let [one, other] = &plan.participants;
        Ok(Self {
            own: plan.index.number(),
            challenge_secs: plan.challenge_secs,
            outcome: plan.outcome.clone(),
            addresses: [*one.address(), *other.address()],
            contributions: [contribution(0)?, contribution(1)?],
            predecessor,
        })
    }

    /// Our own contribution.
    pub(super) fn ours(&self) -> &Contribution {
        let [one, other] = &self.contributions;
        if self.own == 0 { one } else { other }
    }

    /// What both sides pay for the transaction.
    pub(super) fn fee(&self) -> u64 {
        self.contributions.iter().fold(0, |sum, part| sum.saturating_add(part.fee))
    }

    /// The transaction, assembled by the fixed rules and not checked.
    pub(super) fn assemble(
        &self,
        rpc: &dyn Rpc,
        deployment: &Deployment,
    ) -> Result<Assembly, LedgerError> {
        let ends = match &self.predecessor {
            None => Vec::new(),
            Some((contract, state)) => vec![Ending {
                contract: contract.clone(),
                live: LiveChannel::find(rpc, deployment, contract).map_err(refused)?,
                state: state.clone(),
                parties: vec![0, 1],
            }],
        };
        let terms = Terms { channels: vec![self.channel_terms()], ends };
        assemble(deployment, terms, self.contributions.to_vec()).map_err(refused)
    }

    /// The transaction, checked against the chain: everybody's money goes where it was agreed.
    pub(super) fn checked(
        &self,
        rpc: &dyn Rpc,
        deployment: &Deployment,
    ) -> Result<Checked, LedgerError> {
        let assembly = self.assemble(rpc, deployment)?;
        assembly.read(rpc, deployment, usize::from(self.own), self.ours()).map_err(refused)
    }

    fn channel_terms(&self) -> ChannelTerms {
        channel_terms(self.challenge_secs, &self.outcome, self.addresses)
    }
}

/// The terms of a channel of two, whose contributions stand in their order.
pub(super) fn channel_terms(
    challenge_secs: u64,
    outcome: &Allocation,
    addresses: [Address; 2],
) -> ChannelTerms {
    let parties = addresses.into_iter().enumerate();
    ChannelTerms {
        challenge_secs,
        assets: outcome.assets().to_vec(),
        balances: outcome.balances().to_vec(),
        parties: parties.map(|(contribution, address)| Party { contribution, address }).collect(),
    }
}

impl Encode for Blueprint {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.own);
        out.extend_from_slice(&self.challenge_secs.to_le_bytes());
        self.outcome.encode(out);
        self.addresses.iter().for_each(|address| out.extend_from_slice(address.as_bytes()));
        self.contributions.iter().for_each(|part| put_bytes(out, &part.to_bytes()));
        out.push(u8::from(self.predecessor.is_some()));
        if let Some((contract, state)) = &self.predecessor {
            put_bytes(out, &contract.to_bytes());
            state.encode(out);
        }
    }
}

impl Decode for Blueprint {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let own = u8::from(reader.flag()?);
        let challenge_secs = reader.u64()?;
        let outcome = Allocation::decode(reader)?;
        let addresses = [Address::new(reader.array()?), Address::new(reader.array()?)];
        let one = Contribution::from_bytes(&reader.bytes(PART_BYTES_MAX)?)?;
        let other = Contribution::from_bytes(&reader.bytes(PART_BYTES_MAX)?)?;
        let predecessor = if reader.flag()? {
            let contract = Contract::from_bytes(&reader.bytes(PART_BYTES_MAX)?)?;
            Some((contract, State::decode(reader)?))
        } else {
            None
        };
        let contributions = [one, other];
        Ok(Self { own, challenge_secs, outcome, addresses, contributions, predecessor })
    }
}
