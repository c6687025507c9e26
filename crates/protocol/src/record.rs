//! What a machine remembers: the only thing that changes its state, and its encoding.
//!
//! A record is stored, and synced, before any effect of its step leaves the process. What we are
//! about to sign is in the record, so a machine rebuilt from its journal knows every version that
//! it may have signed. Deadlines are stored as moments: replaying needs no clock and no
//! configuration.

use alloc::vec::Vec;

use perun_channel::codec::{Decode, DecodeError, Encode, Reader};
use perun_channel::swap::Swap;
use perun_channel::{LedgerId, Participant, Signature, State, Version};

use crate::bytes::{Wire, wire_enum, wire_struct};
use crate::decision::Decision;
use crate::input::Slot;
use crate::ledgers::PerLedger;
use crate::message::{DeclineReason, Handover, Offer, RejectReason};
use crate::payment::Payment;
use crate::terms::{Assembly, Changes, Terms, Witness};
use crate::units::{Digest, Index, LedgerBytes, LedgerTime, Preimage, Time, TransactionId, Turn};

/// The number of this format of records, in front of each.
const FORMAT: u8 = 3;

wire_struct! {
    /// A resize that one side asked for.
    pub struct Resize {
        /// Who deposits and withdraws what.
        pub changes: Changes,
        /// What the ledger's backend needs besides.
        pub chain: LedgerBytes,
        /// What the asking side puts into the transaction.
        pub contribution: LedgerBytes,
    }
}

wire_struct! {
    /// A state that both sides signed, or version 0, which the funding transaction vouches for.
    pub struct Agreed {
        /// The state.
        pub state: State,
        /// Its digest and the peer's signature; none for version 0.
        pub proof: Option<PeerProof>,
    }
}

wire_struct! {
    /// The peer's signature over a state. Our own is made again whenever it is needed.
    pub struct PeerProof {
        /// The state's digest.
        pub digest: Digest,
        /// The peer's signature over it.
        pub signature: Signature,
    }
}

wire_enum! {
    /// What a user wants next, as soon as the turn is ours.
    pub enum Wish {
        /// To close with the balances as they are.
        0 => Close {},
        /// To resize.
        1 => Resize {
            /// How.
            resize: Resize,
        },
        /// To swap.
        2 => Swap {
            /// What.
            swap: Swap,
            /// Its secret.
            preimage: Preimage,
        },
    }
}

wire_enum! {
    /// Why a machine ended without a channel.
    pub enum Ending {
        /// We or the peer declined, or something failed, before our part of the transaction was
        /// out.
        0 => Declined {
            /// Why.
            reason: DeclineReason,
        },
        /// The transaction became impossible; what we put in is ours again.
        1 => Aborted {},
        /// The channel was spent by a transaction of which this machine knows nothing, although
        /// that takes our consent: our journal is older than what we signed, or somebody else has
        /// our session key. Where the money went, only that transaction says.
        2 => Spent {
            /// The transaction.
            transaction: TransactionId,
        },
    }
}

wire_enum! {
    /// One change of a machine's state.
    pub enum Record {
        /// We asked for a channel.
        0 => Proposed {
            /// The terms.
            terms: Terms,
            /// Our part on each ledger.
            contributions: PerLedger<LedgerBytes>,
            /// When an answer is too late.
            deadline: Time,
        },
        /// The peer asked for a channel.
        1 => ProposalReceived {
            /// The terms.
            terms: Terms,
            /// The peer's part on each ledger.
            contributions: PerLedger<LedgerBytes>,
            /// When our user's answer is too late.
            deadline: Time,
        },
        /// The proposal was accepted, by us or by the peer.
        2 => Accepted {
            /// The accepting side.
            participant: Participant,
            /// Its part on each ledger.
            contributions: PerLedger<LedgerBytes>,
            /// When the channel must be built.
            deadline: Time,
        },
        /// The peer released its part while our backend was still building.
        3 => WitnessKept {
            /// The peer's part.
            witness: Witness,
        },
        /// Our backends built the channel, and it is what was agreed.
        4 => Assembled {
            /// What they built.
            assembly: Assembly,
            /// When the peer's next word is too late: its release, or its signature over version 0.
            deadline: Time,
        },
        /// The peer released its part; our backend checks it.
        5 => WitnessReceived {
            /// The peer's part.
            witness: Witness,
        },
        /// We release our part: from here only the ledger decides whether the channel exists.
        6 => Released {
            /// When to stop waiting for the commit.
            deadline: Time,
        },
        /// We spend one of our inputs, so that the opening cannot commit any more.
        7 => Aborting {
            /// When to submit that again.
            deadline: Time,
        },
        /// The opening ended without a channel.
        8 => Ended {
            /// Why.
            ending: Ending,
        },
        /// The channel exists, on every ledger.
        9 => Opened {},
        /// The peer, too, sees that the channel exists.
        10 => PeerReady {},
        /// A payment waits for an update.
        11 => Queued {
            /// The payment.
            payment: Payment,
            /// When it fails if no update takes it up.
            deadline: Time,
        },
        /// The user wants something else than a payment.
        12 => Wished {
            /// What.
            wish: Wish,
            /// When it is given up.
            deadline: Time,
        },
        /// What waited for the turn has waited too long; nothing of it was signed.
        13 => PatienceEnded {},
        /// We sign the next state and propose it.
        14 => UpdateProposed {
            /// The state.
            state: State,
            /// What we sign.
            digest: Digest,
            /// How many waiting payments it takes up.
            count: u16,
            /// What happens to the turn when it is answered.
            after: Handover,
            /// When an answer is too late.
            deadline: Time,
        },
        /// The peer signed what we proposed.
        15 => Completed {
            /// The peer's signature.
            signature: Signature,
            /// Whether the peer wants the turn.
            peer_wants: bool,
            /// When payments that still wait fail, if the turn does not come back.
            deadline: Time,
        },
        /// The peer refused what we proposed; the version is burnt.
        16 => UpdateRefused {
            /// Why.
            reason: RejectReason,
            /// When payments that still wait fail, if the turn does not come back.
            deadline: Time,
        },
        /// We sign what the peer proposed.
        17 => Countersigned {
            /// What.
            offer: Offer,
        },
        /// We refuse what the peer proposed; the version is burnt.
        18 => Rejected {
            /// Which version.
            version: Version,
            /// What happens to the turn.
            after: Handover,
        },
        /// The peer proposes to close, or an exchange; our user decides.
        19 => CloseAsked {
            /// The final state, or the one that the exchange leads to.
            offer: Offer,
            /// When our user's answer is too late.
            deadline: Time,
        },
        /// The turn changed hands outside of an update.
        20 => TurnPassed {
            /// The turn now.
            turn: Turn,
            /// Whether the side that gave it wants it back.
            wants_back: bool,
            /// When payments that still wait fail, if the turn does not come back.
            deadline: Time,
        },
        /// The peer asks for the turn.
        21 => TurnRequested {},
        /// An answer is late, and the configuration says to go on waiting.
        22 => Extended {
            /// Until when.
            deadline: Time,
        },
        /// Versions that we know to be unsafe are skipped.
        23 => VersionsSkipped {
            /// The next version to use or accept.
            next: Version,
        },
        /// Our journal is older than what we signed: nothing is signed any more.
        24 => RolledBack {
            /// A newer complete state, if the peer showed one.
            shown: Option<Agreed>,
        },
        /// The final state is complete; it is submitted.
        25 => Closing {
            /// On which ledger; on all if none is named.
            ledger: Option<LedgerId>,
            /// When to submit again.
            deadline: Time,
        },
        /// We leave without the peer: nothing is signed any more, the newest state is registered.
        26 => Disputing {
            /// On which ledger; on all if none is named.
            ledger: Option<LedgerId>,
            /// When to submit again.
            deadline: Time,
        },
        /// A ledger has a registered state.
        27 => Registered {
            /// Which ledger.
            ledger: LedgerId,
            /// The registered state.
            state: State,
            /// Whose right was used.
            by: Slot,
            /// When it can be concluded.
            until: LedgerTime,
            /// Whether it is confirmed. What is not can be taken back by a reorganisation.
            confirmed: bool,
            /// When to submit our state again; used until it, or a newer one, is confirmed.
            deadline: Time,
        },
        /// The registered state can be concluded; that is submitted.
        28 => Concluding {
            /// On which ledger.
            ledger: LedgerId,
            /// How the swap that it carries is to end there.
            decision: Option<Decision>,
            /// When to submit again.
            deadline: Time,
        },
        /// The outcome stands, and some rows are not paid yet.
        29 => Unpaid {
            /// On which ledger.
            ledger: LedgerId,
            /// The outcome.
            state: State,
            /// A bit for each row that is not paid.
            rows: u32,
            /// When to submit the withdrawal again.
            deadline: Time,
        },
        /// The outcome stands and is paid.
        30 => Settled {
            /// On which ledger.
            ledger: LedgerId,
            /// The outcome.
            state: State,
            /// Whether its swap was claimed there: its legs have moved.
            claimed: bool,
        },
        /// Something was submitted to a ledger once more.
        31 => Resubmitted {
            /// Which ledger.
            ledger: LedgerId,
            /// When to do so again.
            deadline: Time,
        },
        /// One side asked for a resize.
        32 => ResizeProposed {
            /// Who.
            by: Index,
            /// How.
            resize: Resize,
            /// When an answer is too late.
            deadline: Time,
        },
        /// The resize was accepted, by us or by the peer.
        33 => ResizeAccepted {
            /// The accepting side's part.
            contribution: LedgerBytes,
            /// When the transaction must be ready for release.
            deadline: Time,
        },
        /// The resize ended before our consent was out.
        34 => ResizeDropped {
            /// Why.
            reason: DeclineReason,
        },
        /// The resize committed: the machine is the successor channel's from here. Payments that
        /// its balances do not pay for fail.
        35 => Succeeded {
            /// When what waits has waited too long for the peer to see the successor.
            deadline: Time,
        },
        /// The registration that we know is confirmed.
        36 => RegistrationConfirmed {
            /// On which ledger.
            ledger: LedgerId,
            /// The registered version.
            version: Version,
        },
        /// The peer, or a ledger, shows a state that both signed and that we did not know to be
        /// complete: it is the newest.
        37 => Outdone {
            /// The state.
            shown: Agreed,
        },
        /// On one ledger of several there is nothing of the channel.
        38 => Void {
            /// Which ledger.
            ledger: LedgerId,
            /// Why.
            ending: Ending,
        },
        /// The peer signed version 0 while our backends were still building.
        39 => SignatureKept {
            /// Its signature, not checked yet.
            signature: Signature,
        },
        /// Version 0 is signed by both: from here on our deposits may be in.
        40 => Signed {
            /// The peer's signature.
            proof: PeerProof,
            /// When everybody's deposits must be in.
            deadline: Time,
        },
        /// On this ledger everything is in, and final.
        41 => Funded {
            /// Which ledger.
            ledger: LedgerId,
            /// The least time that is left for what comes next.
            deadline: Time,
        },
        /// On this ledger something is missing again.
        42 => Unfunded {
            /// Which ledger.
            ledger: LedgerId,
        },
        /// The opening is given up after our deposits could be in: the ledgers pay them back.
        43 => Leaving {
            /// When to submit again.
            deadline: Time,
        },
        /// We sign the state that carries a swap, and offer it.
        44 => SwapOffered {
            /// The state.
            state: State,
            /// What we sign.
            digest: Digest,
            /// The secret.
            preimage: Preimage,
            /// Before which moment the secret may be shown, by which ledger's clock.
            reveal: (LedgerId, LedgerTime),
            /// When an answer is too late.
            deadline: Time,
        },
        /// The peer offers a swap; our user decides.
        45 => SwapAsked {
            /// The state that carries it.
            state: State,
            /// Its digest.
            digest: Digest,
            /// The peer's signature.
            signature: Signature,
            /// When our user's answer is too late.
            deadline: Time,
        },
        /// The peer signed the state that carries our swap.
        46 => SwapAccepted {
            /// Its signature.
            signature: Signature,
            /// When to take the swap back, if no ledger's clock lets us go on.
            deadline: Time,
        },
        /// We sign the state that carries the peer's swap.
        47 => SwapCountersigned {
            /// From which moment on we go to the ledgers with it, by each clock.
            go: [(LedgerId, LedgerTime); 2],
        },
        /// We show the secret, and sign the state in which the swap has happened.
        48 => SwapRevealed {
            /// The state.
            state: State,
            /// What we sign.
            digest: Digest,
            /// When an answer is too late.
            deadline: Time,
        },
        /// The state in which the swap has happened is complete.
        49 => SwapFinished {
            /// The state.
            agreed: Agreed,
            /// The secret, if the peer showed it.
            preimage: Option<Preimage>,
        },
        /// We sign the state in which our swap is gone. The secret is forgotten.
        50 => SwapCancelling {
            /// The state.
            state: State,
            /// What we sign.
            digest: Digest,
            /// When an answer is too late.
            deadline: Time,
        },
        /// The state in which the swap is gone is complete.
        51 => SwapCancelled {
            /// The state.
            agreed: Agreed,
        },
        /// We ask the peer to take its swap back.
        52 => SwapCancelRequested {},
        /// The secret of a swap that is pending was shown: it is for the ledgers.
        53 => SwapSecret {
            /// The secret.
            preimage: Preimage,
        },
        /// Our swap will not be: the peer refused it, or it was never offered.
        54 => SwapDropped {},
        /// Our update was said again on a new connection to a go-perun peer.
        55 => Repeated {
            /// When to ask the peer where it stands.
            deadline: Time,
        },
    }
}

impl Encode for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        self.put(out);
    }
}

impl Decode for Record {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.u8()? != FORMAT {
            return Err(DecodeError::UnknownTag);
        }
        Self::take(reader)
    }
}

impl Agreed {
    /// Version 0, which needs no signatures.
    #[must_use]
    pub const fn initial(state: State) -> Self {
        Self { state, proof: None }
    }

    /// A state that the peer signed.
    #[must_use]
    pub const fn signed(state: State, digest: Digest, signature: Signature) -> Self {
        Self { state, proof: Some(PeerProof { digest, signature }) }
    }
}
