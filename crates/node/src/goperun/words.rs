//! What our machines say, in go-perun's words, and what go-perun says, in ours.
//!
//! Terms have more in ours: which ledger funds how, and what it wants to know besides. The ledger
//! itself writes that, so that both sides assemble the same channel out of what go-perun tells.

use perun_channel::{Address, ChannelId, LedgerId, Signature, Version};
use perun_goperun::{
    Accept, AppState, Identities, LedgerAccept, LedgerProposal, Message, Party, Proposal,
    Transaction, Update,
};
use perun_protocol::{
    Batch, Body, DeclineReason, Funding, Handover, Index, LedgerBytes, LedgerTerms, PerLedger,
    Proof, RejectReason, Terms,
};

use crate::LedgerError;
use crate::ledgers::Ledgers;

/// The phase that go-perun's machine calls acting.
const ACTING: u8 = 3;

/// What a machine's words are about.
pub(crate) struct Subject<'a> {
    pub(crate) own: &'a Identities,
    pub(crate) peer: &'a Identities,
    /// The opening's name, which go-perun calls the proposal's.
    pub(crate) opening: [u8; 32],
    /// The channel, once there is one.
    pub(crate) channel: Option<ChannelId>,
    /// Our index in it.
    pub(crate) index: Option<Index>,
    /// The ledger that it is on, or is to be.
    pub(crate) ledger: Option<LedgerId>,
}

/// A message in go-perun's words; none if it has none, or needs none.
pub(crate) fn said(
    subject: &Subject<'_>,
    body: &Body<Signature>,
    ledgers: &mut Ledgers,
) -> Option<Message> {
    let proposal = subject.opening;
    Some(match body {
        Body::Propose { terms, contributions } => {
            let nonce_share = share(ledgers, &terms.ledgers, contributions).ok()?;
            let base = Proposal {
                id: proposal,
                challenge_secs: terms.challenge_secs,
                nonce_share,
                app: Address::ZERO,
                data: Vec::new(),
                outcome: terms.outcome.clone(),
                funding: terms.outcome.balances().to_vec(),
                aux: [0; 256],
            };
            let participant = Party::ethereum(*terms.proposer.address()).ok()?;
            let peers = vec![subject.own.clone(), subject.peer.clone()];
            Message::LedgerProposal(LedgerProposal { base, participant, peers })
        }
        Body::Accept { participant, contributions } => {
            let nonce_share = ledgers.share(subject.ledger?, contributions.get(0)?).ok()?;
            let participant = Party::ethereum(*participant.address()).ok()?;
            let base = Accept { proposal, nonce_share };
            Message::LedgerAccept(LedgerAccept { base, participant })
        }
        Body::Decline { reason } => {
            Message::ProposalReject { proposal, reason: declined(reason).to_owned() }
        }
        Body::Sign { signature } => Message::UpdateAccept {
            channel: subject.channel?,
            version: Version::ZERO,
            signature: *signature,
        },
        Body::Update { state, signature, .. } => Message::Update(Update {
            state: AppState::new(Address::ZERO, state.clone()).ok()?,
            actor: u16::try_from(subject.index?.column()).ok()?,
            signature: *signature,
        }),
        Body::Ack { version, signature, .. } => Message::UpdateAccept {
            channel: subject.channel?,
            version: *version,
            signature: *signature,
        },
        Body::Reject { version, reason } => Message::UpdateReject {
            channel: subject.channel?,
            version: *version,
            reason: rejected(reason).to_owned(),
        },
        Body::Sync { state, proof, .. } => {
            let Proof { mine, yours } = proof.as_ref()?;
            let both = match subject.index? {
                Index::Zero => vec![Some(*mine), Some(*yours)],
                Index::One => vec![Some(*yours), Some(*mine)],
            };
            let state = AppState::new(Address::ZERO, state.clone()).ok()?;
            let current = Some(Transaction::new(state, both).ok()?);
            Message::Sync { phase: ACTING, current }
        }
        _ => return None,
    })
}

/// The one part of a proposal that go-perun puts into the nonce.
fn share(
    ledgers: &mut Ledgers,
    terms: &PerLedger<LedgerTerms>,
    contributions: &PerLedger<LedgerBytes>,
) -> Result<[u8; 32], LedgerError> {
    match (terms.get(0), contributions.get(0), terms.len()) {
        (Some(terms), Some(contribution), 1) => ledgers.share(terms.ledger, contribution),
        _ => Err(LedgerError::TooManyLedgers),
    }
}

/// A proposal in our words, or why it cannot be one.
pub(crate) fn proposed(
    own: &Identities,
    from: &Identities,
    proposal: &LedgerProposal,
    ledgers: &mut Ledgers,
) -> Result<Body<Signature>, &'static str> {
    let LedgerProposal { base, participant, peers } = proposal;
    if peers.as_slice() != [from.clone(), own.clone()] {
        return Err("the proposal is not from its sender to this node");
    }
    if base.fault(peers.len()).is_some() || base.funding != base.outcome.balances() {
        return Err("deposits and balances must be the same, with a challenge and nothing locked");
    }
    if base.app != Address::ZERO || !base.data.is_empty() {
        return Err("this node opens channels without an app");
    }
    let [ledger] = base.outcome.ledgers()[..] else {
        return Err("this node opens channels with go-perun on one ledger at a time");
    };
    let Ok((terms, contribution)) = part(ledgers, ledger, base.nonce_share, participant) else {
        return Err("this node does not have the ledger of these assets for go-perun peers");
    };
    let terms = Terms {
        challenge_secs: base.challenge_secs,
        outcome: base.outcome.clone(),
        proposer: participant.participant().clone(),
        ledgers: PerLedger::one(LedgerTerms { ledger, funding: Funding::Deposit {}, chain: terms }),
    };
    Ok(Body::Propose { terms, contributions: PerLedger::one(contribution) })
}

/// An acceptance of a proposal of ours on this ledger, in our words.
pub(crate) fn accepted(
    accept: &LedgerAccept,
    ledger: LedgerId,
    ledgers: &mut Ledgers,
) -> Option<Body<Signature>> {
    let LedgerAccept { base, participant } = accept;
    let (_, contribution) = part(ledgers, ledger, base.nonce_share, participant).ok()?;
    let contributions = PerLedger::one(contribution);
    Some(Body::Accept { participant: participant.participant().clone(), contributions })
}

/// What a ledger's terms say besides, and what a go-perun peer puts in there.
fn part(
    ledgers: &mut Ledgers,
    ledger: LedgerId,
    nonce_share: [u8; 32],
    party: &Party,
) -> Result<(LedgerBytes, LedgerBytes), LedgerError> {
    ledgers.deposit(ledger)?.go_perun_part(nonce_share, *party.participant().address())
}

/// What go-perun says about an open channel, in our words; see [`channel_of`].
pub(crate) fn about(message: Message, index: Option<Index>) -> Option<Body<Signature>> {
    Some(match message {
        Message::Update(Update { state, signature, .. }) => {
            let state = state.state().clone();
            let (payments, after) = (Batch::default(), Handover::Keep {});
            Body::Update { state, payments, after, signature }
        }
        Message::UpdateAccept { version: Version::ZERO, signature, .. } => Body::Sign { signature },
        Message::UpdateAccept { version, signature, .. } => {
            Body::Ack { version, wants_turn: false, signature }
        }
        Message::UpdateReject { version, .. } => {
            Body::Reject { version, reason: RejectReason::User {} }
        }
        Message::Sync { current: Some(current), .. } => {
            let state = current.state().state().clone();
            let proof = match (current.signatures(), index?) {
                ([Some(mine), Some(yours)], Index::One)
                | ([Some(yours), Some(mine)], Index::Zero) => {
                    Some(Proof { mine: *mine, yours: *yours })
                }
                _ => None,
            };
            let next_version = state.version().next()?;
            Body::Sync { state, next_version, proof }
        }
        _ => return None,
    })
}

/// Whether an update is its sender's, and of a channel without an app.
pub(crate) fn fits(update: &Update, own: Option<Index>) -> bool {
    let is_peers = own.is_none_or(|own| usize::from(update.actor) == own.other().column());
    is_peers && *update.state.app() == Address::ZERO
}

/// Of which channel a message speaks, if of one that may exist.
pub(crate) const fn channel_of(message: &Message) -> Option<ChannelId> {
    match message {
        Message::Update(update) => Some(*update.state.state().id()),
        Message::UpdateAccept { channel, .. } | Message::UpdateReject { channel, .. } => {
            Some(*channel)
        }
        Message::Sync { current: Some(current), .. } => Some(*current.state().state().id()),
        _ => None,
    }
}

pub(crate) const fn declined(reason: &DeclineReason) -> &'static str {
    match reason {
        DeclineReason::User {} => "the user declined",
        DeclineReason::Terms {} => "the terms are outside of what this node accepts",
        DeclineReason::TooLate {} => "the answer took too long",
        DeclineReason::Assembly {} => "the channel could not be built",
        DeclineReason::BadWitness {} | DeclineReason::NoResize {} => "the opening failed",
        DeclineReason::Busy {} => "this node has no room for another channel",
        DeclineReason::Overtaken {} => "the ledger shows that the channel cannot come to be",
        DeclineReason::Signature {} => "the signature over version 0 is not valid",
    }
}

const fn rejected(reason: &RejectReason) -> &'static str {
    match reason {
        RejectReason::User {} => "the user declined",
        RejectReason::TooLate {} => "the answer took too long",
        RejectReason::Version {} => "only the version above the newest complete one is signed",
        RejectReason::State {} => "the state does not follow from the one before",
        RejectReason::Payments {} => "the update takes from this node what it did not give",
        RejectReason::Signature {} => "the signature is not valid",
        RejectReason::Swap {} => "this node takes no part in such a swap",
        RejectReason::Crossing {} => "an update of this node comes first; try again after it",
    }
}
