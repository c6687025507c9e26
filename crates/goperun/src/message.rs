//! Every message of go-perun v0.15.0, as values.
//!
//! Their fields are public where every combination can be written; [`Envelope::check`] holds what
//! must fit together, and runs before every encoding and after every decoding.

use perun_channel::{
    Address, Allocation, Amount, ChannelId, MAX_DATA, MAX_PARTICIPANTS, Signature, Version,
};

use crate::address::{Identities, Party};
use crate::error::{DecodeError, Limit};
use crate::limits::{LAST_PHASE, MAX_AUTH_SIGNATURE, MAX_PEERS, MAX_REASON};
use crate::parts::{AppState, Aux, ClaimedState, Transaction};

/// A message with who sends it and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who sends it. Only the handshake proves it.
    pub sender: Identities,
    /// Whom it is for.
    pub recipient: Identities,
    /// What it says.
    pub message: Message,
}

/// A message. The numbers are go-perun's native ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// 0. Nobody answers it.
    Ping {
        /// When it was made, in nanoseconds since 1970.
        created_ns: i64,
    },
    /// 1.
    Pong {
        /// When it was made, in nanoseconds since 1970.
        created_ns: i64,
    },
    /// 2. The sender is going away.
    Shutdown {
        /// Why.
        reason: String,
    },
    /// 3. The handshake's only message.
    AuthResponse {
        /// Over the sender's addresses.
        signature: Vec<u8>,
    },
    /// 4. A channel on a ledger is proposed.
    LedgerProposal(LedgerProposal),
    /// 5. It is accepted.
    LedgerAccept(LedgerAccept),
    /// 6. A channel inside a channel is proposed.
    SubProposal(SubProposal),
    /// 7. It is accepted.
    SubAccept(Accept),
    /// 8. A channel through an intermediary is proposed.
    VirtualProposal(VirtualProposal),
    /// 9. It is accepted.
    VirtualAccept(VirtualAccept),
    /// 10. A proposal of any kind is rejected.
    ProposalReject {
        /// Which.
        proposal: [u8; 32],
        /// Why.
        reason: String,
    },
    /// 11. The next state of a channel is proposed.
    Update(Update),
    /// 12. An update that funds a virtual channel.
    VirtualFunding(VirtualFunding),
    /// 13. An update that takes a virtual channel back.
    VirtualSettlement(VirtualSettlement),
    /// 14. An update is accepted; version 0 opens the channel.
    UpdateAccept {
        /// In which channel.
        channel: ChannelId,
        /// Which version.
        version: Version,
        /// Over that state.
        signature: Signature,
    },
    /// 15. An update is rejected.
    UpdateReject {
        /// In which channel.
        channel: ChannelId,
        /// Which version.
        version: Version,
        /// Why.
        reason: String,
    },
    /// 16. What the sender has of a channel after a restart.
    Sync {
        /// The phase of its machine, 0 to 11.
        phase: u8,
        /// Its current state, if it has one.
        current: Option<Transaction>,
    },
}

impl Message {
    /// The number of its kind, as in go-perun's native format.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Ping { .. } => 0,
            Self::Pong { .. } => 1,
            Self::Shutdown { .. } => 2,
            Self::AuthResponse { .. } => 3,
            Self::LedgerProposal(_) => 4,
            Self::LedgerAccept(_) => 5,
            Self::SubProposal(_) => 6,
            Self::SubAccept(_) => 7,
            Self::VirtualProposal(_) => 8,
            Self::VirtualAccept(_) => 9,
            Self::ProposalReject { .. } => 10,
            Self::Update(_) => 11,
            Self::VirtualFunding(_) => 12,
            Self::VirtualSettlement(_) => 13,
            Self::UpdateAccept { .. } => 14,
            Self::UpdateReject { .. } => 15,
            Self::Sync { .. } => 16,
        }
    }
}

/// What all proposals say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Drawn at random by the proposer; answers repeat it.
    pub id: [u8; 32],
    /// How long a registered state can be refuted, in seconds.
    pub challenge_secs: u64,
    /// The proposer's part of the nonce.
    pub nonce_share: [u8; 32],
    /// The app; zero for none.
    pub app: Address,
    /// The app's first data; empty without an app.
    pub data: Vec<u8>,
    /// Who owns what at first.
    pub outcome: Allocation,
    /// Who deposits what, `[asset][participant]`.
    pub funding: Vec<Vec<Amount>>,
    /// Free bytes.
    pub aux: Aux,
}

/// Why a proposal that could be read must be rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposalFault {
    /// The challenge would last no time.
    NoChallenge,
    /// Amounts are locked before there is a channel.
    Locked,
    /// The deposits of an asset are not what its balances sum up to.
    Funding,
    /// Not one balance per peer.
    Peers,
}

impl Proposal {
    /// What every kind of proposal between `peers` participants must keep to.
    pub fn fault(&self, peers: usize) -> Option<ProposalFault> {
        let sum = |row: &Vec<Amount>| Amount::checked_sum(row.iter().copied());
        let funded = self.funding.iter().map(sum).eq(self.outcome.balances().iter().map(sum));
        if self.challenge_secs == 0 {
            Some(ProposalFault::NoChallenge)
        } else if !self.outcome.locked().is_empty() {
            Some(ProposalFault::Locked)
        } else if !funded {
            Some(ProposalFault::Funding)
        } else if self.outcome.columns() != peers {
            Some(ProposalFault::Peers)
        } else {
            None
        }
    }

    fn check(&self) -> Result<(), DecodeError> {
        within(self.data.len(), MAX_DATA, Limit::Data)?;
        if self.app == Address::ZERO && !self.data.is_empty() {
            return Err(DecodeError::NotCanonical);
        }
        let columns = self.outcome.columns();
        if self.funding.len() != self.outcome.assets().len()
            || self.funding.iter().any(|row| row.len() != columns)
        {
            return Err(DecodeError::Shape);
        }
        Ok(())
    }
}

/// A channel on a ledger is proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerProposal {
    /// What all proposals say.
    pub base: Proposal,
    /// The proposer.
    pub participant: Party,
    /// All participants' names; the proposer's is the first.
    pub peers: Vec<Identities>,
}

/// A channel inside a channel is proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubProposal {
    /// What all proposals say.
    pub base: Proposal,
    /// The channel that pays for it.
    pub parent: ChannelId,
}

/// A channel through an intermediary is proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualProposal {
    /// What all proposals say.
    pub base: Proposal,
    /// The proposer.
    pub proposer: Party,
    /// The two ends' names.
    pub peers: Vec<Identities>,
    /// Each end's channel with the intermediary.
    pub parents: Vec<ChannelId>,
    /// For each end: which participant of its parent stands for each end.
    pub index_maps: Vec<Vec<u16>>,
}

/// What all acceptances say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The proposal's id.
    pub proposal: [u8; 32],
    /// The responder's part of the nonce.
    pub nonce_share: [u8; 32],
}

/// A channel on a ledger is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerAccept {
    /// What all acceptances say.
    pub base: Accept,
    /// The responder.
    pub participant: Party,
}

/// A virtual channel is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualAccept {
    /// What all acceptances say.
    pub base: Accept,
    /// The responder.
    pub responder: Party,
}

/// The next state of a channel, with its proposer's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The proposed state.
    pub state: AppState,
    /// The proposer's index.
    pub actor: u16,
    /// The proposer's signature.
    pub signature: Signature,
}

/// An update that funds a virtual channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualFunding {
    /// The update of the channel with the intermediary.
    pub update: Update,
    /// The virtual channel's first state.
    pub initial: ClaimedState,
    /// Which participant of this channel stands for each end.
    pub index_map: Vec<u16>,
}

/// An update that takes a virtual channel back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualSettlement {
    /// The update of the channel with the intermediary.
    pub update: Update,
    /// The virtual channel's last state.
    pub last: ClaimedState,
}

impl Envelope {
    /// What the types alone do not hold.
    pub fn check(&self) -> Result<(), DecodeError> {
        match &self.message {
            Message::Shutdown { reason }
            | Message::ProposalReject { reason, .. }
            | Message::UpdateReject { reason, .. } => {
                within(reason.len(), MAX_REASON, Limit::Reason)
            }
            Message::AuthResponse { signature } => {
                within(signature.len(), MAX_AUTH_SIGNATURE, Limit::AuthSignature)
            }
            Message::LedgerProposal(proposal) => {
                check_peers(&proposal.peers)?;
                proposal.base.check()
            }
            Message::SubProposal(proposal) => proposal.base.check(),
            Message::VirtualProposal(proposal) => {
                check_peers(&proposal.peers)?;
                within(proposal.parents.len(), MAX_PEERS, Limit::Parents)?;
                within(proposal.index_maps.len(), MAX_PEERS, Limit::IndexMaps)?;
                proposal.index_maps.iter().try_for_each(|map| check_map(map))?;
                proposal.base.check()
            }
            Message::VirtualFunding(funding) => check_map(&funding.index_map),
            Message::Sync { phase, .. } if *phase > LAST_PHASE => Err(DecodeError::Phase),
            Message::Ping { .. }
            | Message::Pong { .. }
            | Message::LedgerAccept(_)
            | Message::SubAccept(_)
            | Message::VirtualAccept(_)
            | Message::Update(_)
            | Message::VirtualSettlement(_)
            | Message::UpdateAccept { .. }
            | Message::Sync { .. } => Ok(()),
        }
    }
}

fn check_peers(peers: &[Identities]) -> Result<(), DecodeError> {
    if (2..=MAX_PEERS).contains(&peers.len()) {
        Ok(())
    } else {
        Err(DecodeError::Limit(Limit::Peers))
    }
}

fn check_map(map: &[u16]) -> Result<(), DecodeError> {
    within(map.len(), MAX_PARTICIPANTS, Limit::IndexMap)
}

fn within(length: usize, most: usize, limit: Limit) -> Result<(), DecodeError> {
    if length > most { Err(DecodeError::Limit(limit)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use perun_channel::Asset;

    fn amounts(numbers: &[u128]) -> Vec<Amount> {
        numbers.iter().copied().map(Amount::new).collect()
    }

    /// A proposal of two assets with these balances and deposits.
    fn proposal(balances: [&[u128]; 2], funding: [&[u128]; 2]) -> Proposal {
        let asset = |byte| Asset::ethereum(1, Address::new([byte; 20]));
        let balances = balances.map(amounts).to_vec();
        let outcome = Allocation::new(vec![asset(1), asset(2)], balances, vec![]).unwrap();
        Proposal { outcome, funding: funding.map(amounts).to_vec(), ..samples::proposal() }
    }

    #[test]
    fn deposits_sum_up_to_the_balances_of_each_asset() {
        let sound = proposal([&[5, 6], &[7, 0]], [&[11, 0], &[3, 4]]);
        assert_eq!(sound.fault(2), None);
        let mixed = proposal([&[5, 6], &[7, 0]], [&[5, 2], &[7, 4]]);
        assert_eq!(mixed.fault(2), Some(ProposalFault::Funding), "only both together do");
        let beyond = proposal([&[5, 6], &[7, 0]], [&[u128::MAX, 12], &[7, 0]]);
        assert_eq!(beyond.fault(2), Some(ProposalFault::Funding));
    }

    #[test]
    fn a_proposal_has_a_challenge_a_balance_per_peer_and_nothing_locked() {
        let sound = samples::proposal();
        assert_eq!(sound.fault(2), None);
        assert_eq!(sound.fault(3), Some(ProposalFault::Peers));
        let hasty = Proposal { challenge_secs: 0, ..sound.clone() };
        assert_eq!(hasty.fault(2), Some(ProposalFault::NoChallenge));
        let locked = Proposal { outcome: samples::outcome(1), ..sound };
        assert_eq!(locked.fault(2), Some(ProposalFault::Locked));
    }

    #[test]
    fn deposits_have_the_shape_of_the_balances() {
        for funding in [vec![], vec![amounts(&[1])], vec![amounts(&[1, 2]); 2]] {
            let base = Proposal { funding, ..samples::proposal() };
            let parent = ChannelId::new([1; 32]);
            let message = Message::SubProposal(SubProposal { base, parent });
            assert_eq!(samples::envelope(message).check(), Err(DecodeError::Shape));
        }
    }
}
