//! Where a machine can stand: one struct for each place in which it waits, holding what is known
//! there.

use alloc::boxed::Box;

use crate::decision::Decision;
use crate::effect::WaitingFor;
use crate::input::Slot;
use crate::ledgers::PerLedger;
use crate::open::Open;
use crate::record::{Ending, PeerProof};
use crate::registrations::Registrations;
use crate::terms::{Assembly, Plan, Terms, Transaction, Witness};
use crate::units::{Index, LedgerBytes, LedgerTime, Time};
use perun_channel::{LedgerId, Signature, State, Version};

/// Where a machine stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// Nothing was said yet.
    Fresh,
    /// We asked for a channel.
    Proposing(Box<Proposal>),
    /// The peer asked for a channel, our user decides.
    Deciding(Box<Proposal>),
    /// Both agreed; the channel is built, and the transaction of both sides released.
    Joining(Box<Joining>),
    /// There are deposits to be made; the peer's signature over version 0 is missing.
    Signing(Box<Joining>),
    /// Version 0 is signed; deposits are made, and then the transaction is released.
    Founding(Box<Founding>),
    /// We try to make the transaction impossible.
    Aborting(Box<Aborting>),
    /// The channel lives.
    Open(Box<Open>),
    /// The ledger settles the channel.
    Court(Box<Court>),
    /// There is no channel.
    Over(Ending),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Proposal {
    pub(crate) terms: Terms,
    pub(crate) contributions: PerLedger<LedgerBytes>,
    pub(crate) deadline: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Joining {
    pub(crate) plan: Plan,
    pub(crate) joint: Joint,
    pub(crate) deadline: Time,
}

/// An opening with deposits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Founding {
    pub(crate) joining: Joining,
    /// The peer's signature over version 0.
    pub(crate) proof: PeerProof,
    /// On which ledgers everything is in and final, in the channel's order.
    pub(crate) ready: PerLedger<bool>,
}

/// How far a transaction of both sides is, in an opening or in a resize.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Joint {
    /// Our backends build it. The peer's may have been faster: with its release, or, where deposits
    /// are to be made, with its signature over version 0.
    Assembling { early: Option<Witness>, signed: Option<Signature> },
    /// Participant 0 waits for participant 1's release. With deposits, both wait for these first.
    Awaiting { assembly: Assembly },
    /// Participant 0's backend checks participant 1's release.
    Checking { assembly: Assembly, witness: Witness },
    /// We released. Participant 0 holds the other part and submits.
    Released { assembly: Assembly, witness: Option<Witness> },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Aborting {
    pub(crate) index: Index,
    pub(crate) assembly: Assembly,
    pub(crate) deadline: Time,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Court {
    /// The channel as it was when it came here; nothing in it is signed any more.
    pub(crate) open: Open,
    /// What each ledger makes of it, in the order of the channel's places.
    pub(crate) cases: PerLedger<Case>,
    /// The transaction of the opening, if we left before it committed and our part of it is out.
    pub(crate) abort: Option<Transaction>,
}

/// The settlement on one ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Case {
    pub(crate) ledger: LedgerId,
    pub(crate) stage: Stage,
    pub(crate) registrations: Registrations,
}

/// How far a ledger's settlement is, the least first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// The opening is given up; its transaction is to become impossible.
    Aborting { attempt: u32, deadline: Time },
    /// Our journal is older than what we signed: only the user can decide to leave.
    Frozen,
    /// The final state is submitted.
    Closing { attempt: u32, deadline: Time },
    /// Our newest state is submitted for registration.
    Disputing { attempt: u32, deadline: Time },
    /// A state is registered. Ours is submitted until it, or a newer one, is confirmed.
    Registered { state: State, by: Slot, until: LedgerTime, attempt: u32, deadline: Time },
    /// The conclusion is submitted, and our state too, until it or a newer one is confirmed.
    Concluding { state: State, decision: Option<Decision>, attempt: u32, deadline: Time },
    /// The outcome stands; a withdrawal is submitted.
    Unpaid { state: State, rows: u32, attempt: u32, deadline: Time },
    /// There is nothing of the channel on this ledger. Without an ending, nothing of ours ever was.
    Void { ending: Option<Ending> },
    /// All is paid, with the legs of the state's swap moved if they were claimed.
    Settled { state: State, claimed: bool },
}

/// The name of a phase or stage, for users and tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PhaseName {
    /// Nothing was said yet.
    Fresh,
    /// We asked for a channel.
    Proposing,
    /// The peer asked for a channel, our user decides.
    Deciding,
    /// Our backend builds the transaction.
    Assembling,
    /// Participant 0 waits for participant 1's release.
    Awaiting,
    /// Participant 0's backend checks participant 1's release.
    Checking,
    /// Version 0 is signed by us and not by the peer.
    Signing,
    /// Version 0 is signed by both; everybody's deposits are to come in.
    Depositing,
    /// We released our part; the transaction should commit.
    Released,
    /// We try to make the transaction impossible.
    Aborting,
    /// The channel lives and nothing is on its way.
    Open,
    /// Our update is on its way.
    Updating,
    /// The peer wants to close, our user decides.
    CloseAsked,
    /// A resize is being agreed or built.
    Resizing,
    /// Our consent to a resize is out; the channel stands still until it commits.
    ResizeReleased,
    /// The peer offers a swap, our user decides.
    SwapAsked,
    /// A swap is pending.
    Swapping,
    /// Our journal is older than what we signed.
    Frozen,
    /// The final state is submitted.
    Closing,
    /// Our newest state is submitted for registration.
    Disputing,
    /// A state is registered.
    Registered,
    /// The conclusion is submitted.
    Concluding,
    /// Some rows are not paid yet.
    Unpaid,
    /// All is paid.
    Settled,
    /// There is no channel.
    Over,
}

impl Phase {
    pub(crate) fn name(&self) -> PhaseName {
        match self {
            Self::Fresh => PhaseName::Fresh,
            Self::Proposing(_) => PhaseName::Proposing,
            Self::Deciding(_) => PhaseName::Deciding,
            Self::Joining(joining) => joining.joint.name(),
            Self::Signing(_) => PhaseName::Signing,
            Self::Founding(founding) => {
                let is_out = founding.joining.joint.is_released();
                match founding.is_funded() || is_out {
                    true => founding.joining.joint.name(),
                    false => PhaseName::Depositing,
                }
            }
            Self::Aborting(_) => PhaseName::Aborting,
            Self::Open(open) => open.name(),
            Self::Court(court) => court.name(),
            Self::Over(_) => PhaseName::Over,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        match self {
            Self::Fresh | Self::Over(_) => None,
            Self::Proposing(proposal) | Self::Deciding(proposal) => Some(proposal.deadline),
            Self::Joining(joining) | Self::Signing(joining) => Some(joining.deadline),
            Self::Founding(founding) => Some(founding.joining.deadline),
            Self::Aborting(aborting) => Some(aborting.deadline),
            Self::Open(open) => open.deadline(),
            Self::Court(court) => court.deadline(),
        }
    }

    pub(crate) fn waiting_for(&self) -> WaitingFor {
        match self {
            Self::Fresh => WaitingFor::Command,
            Self::Proposing(_) => WaitingFor::Peer,
            Self::Deciding(_) => WaitingFor::User,
            Self::Joining(joining) => joining.joint.waiting_for(),
            Self::Signing(_) => WaitingFor::Peer,
            Self::Founding(founding) if !founding.is_funded() => WaitingFor::Ledger,
            Self::Founding(founding) => founding.joining.joint.waiting_for(),
            Self::Aborting(_) => WaitingFor::Ledger,
            Self::Open(open) => open.waiting_for(),
            Self::Court(court) => court.waiting_for(),
            Self::Over(_) => WaitingFor::Nothing,
        }
    }
}

impl Joint {
    /// What the backends built, once they have.
    pub(crate) const fn assembly(&self) -> Option<&Assembly> {
        match self {
            Self::Assembling { .. } => None,
            Self::Awaiting { assembly }
            | Self::Checking { assembly, .. }
            | Self::Released { assembly, .. } => Some(assembly),
        }
    }

    /// Whether our part is out.
    pub(crate) const fn is_released(&self) -> bool {
        matches!(self, Self::Released { .. })
    }

    const fn name(&self) -> PhaseName {
        match self {
            Self::Assembling { .. } => PhaseName::Assembling,
            Self::Awaiting { .. } => PhaseName::Awaiting,
            Self::Checking { .. } => PhaseName::Checking,
            Self::Released { .. } => PhaseName::Released,
        }
    }

    pub(crate) const fn waiting_for(&self) -> WaitingFor {
        match self {
            Self::Assembling { .. } | Self::Checking { .. } => WaitingFor::Backend,
            Self::Awaiting { .. } => WaitingFor::Peer,
            Self::Released { .. } => WaitingFor::Ledger,
        }
    }
}

impl Court {
    /// The least advanced of the cases.
    fn foremost(&self) -> Option<&Case> {
        self.cases.iter().min_by_key(|case| case.stage.name())
    }

    fn name(&self) -> PhaseName {
        self.foremost().map_or(PhaseName::Frozen, |case| case.stage.name())
    }

    fn waiting_for(&self) -> WaitingFor {
        let Some(case) = self.foremost() else { return WaitingFor::User };
        let latest = self.open.channel.state().version();
        match &case.stage {
            Stage::Frozen => WaitingFor::User,
            Stage::Registered { state, until, .. } if state.version() >= latest => {
                WaitingFor::Challenge(*until)
            }
            Stage::Void { .. } | Stage::Settled { .. } => WaitingFor::Nothing,
            _ => WaitingFor::Ledger,
        }
    }

    /// When the next case has something to submit again.
    fn deadline(&self) -> Option<Time> {
        let latest = self.open.channel.state().version();
        self.cases.iter().filter_map(|case| case.deadline(latest)).min()
    }
}

impl Case {
    /// Whether this registered version is one to conclude: as new as our `latest`, or the one that
    /// our own right was used for.
    pub(crate) fn may_conclude(&self, version: Version, latest: Version) -> bool {
        version >= latest || self.registrations.is_ours(version)
    }

    /// Whether a state as new as our `latest` is registered and confirmed.
    pub(crate) fn is_secured(&self, latest: Version) -> bool {
        self.registrations.secures(latest)
    }

    /// When it has something to submit again.
    pub(crate) fn deadline(&self, latest: Version) -> Option<Time> {
        match self.stage {
            Stage::Frozen | Stage::Void { .. } | Stage::Settled { .. } => None,
            Stage::Registered { deadline, .. } => (!self.is_secured(latest)).then_some(deadline),
            Stage::Aborting { deadline, .. }
            | Stage::Closing { deadline, .. }
            | Stage::Disputing { deadline, .. }
            | Stage::Concluding { deadline, .. }
            | Stage::Unpaid { deadline, .. } => Some(deadline),
        }
    }
}

impl Stage {
    const fn name(&self) -> PhaseName {
        match self {
            Self::Aborting { .. } => PhaseName::Aborting,
            Self::Frozen => PhaseName::Frozen,
            Self::Closing { .. } => PhaseName::Closing,
            Self::Disputing { .. } => PhaseName::Disputing,
            Self::Registered { .. } => PhaseName::Registered,
            Self::Concluding { .. } => PhaseName::Concluding,
            Self::Unpaid { .. } => PhaseName::Unpaid,
            Self::Void { .. } | Self::Settled { .. } => PhaseName::Settled,
        }
    }
}
