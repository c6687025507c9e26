//! What two machines say to each other, and its encoding.
//!
//! A message that a machine sends has holes where signatures belong: it is a [`Draft`]. The house
//! fills the holes with [`Draft::sign`], and it gets a draft only as an effect, after the record
//! was stored; a machine cannot write a signature at all. Signing is deterministic, so sending a
//! draft again gives the same bytes. Everything here was written by somebody else when it arrives.

use alloc::vec::Vec;

use perun_channel::codec::{Decode, DecodeError, Encode, Reader};
use perun_channel::{Participant, Signature, State, Version};

use crate::bytes::{Wire, wire_enum, wire_struct};
use crate::ledgers::PerLedger;
use crate::payment::Batch;
use crate::terms::{Changes, Terms, Witness};
use crate::units::{Digest, LedgerBytes, OpeningId, Preimage, Turn};

/// The number of this format of messages, in front of each.
const FORMAT: u8 = 2;

/// A message between the two machines of a channel. `S` is what stands where a signature belongs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Message<S = Signature> {
    /// Which machine it is for.
    pub opening: OpeningId,
    /// What it says.
    pub body: Body<S>,
}

/// A message whose signatures are still to be made.
pub type Draft = Message<Digest>;

wire_enum! {
    /// What a message says.
    pub enum Body<S> {
        /// Asks for a channel.
        0 => Propose {
            /// What for.
            terms: Terms,
            /// What the proposer puts in on each ledger.
            contributions: PerLedger<LedgerBytes>,
        },
        /// Agrees to a proposal.
        1 => Accept {
            /// The other side's keys and identity.
            participant: Participant,
            /// What it puts in on each ledger.
            contributions: PerLedger<LedgerBytes>,
        },
        /// Ends an opening or a resize that has not committed.
        2 => Decline {
            /// Why.
            reason: DeclineReason,
        },
        /// Releases the sender's part of a transaction.
        3 => Release {
            /// The part.
            witness: Witness,
        },
        /// Proposes the next state.
        4 => Update {
            /// The next state.
            state: State,
            /// The payments that lead to it.
            payments: Batch,
            /// What happens to the turn when this update is answered.
            after: Handover,
            /// The proposer's signature over the state.
            signature: S,
        },
        /// Agrees to an update.
        5 => Ack {
            /// Which.
            version: Version,
            /// Whether the sender wants the turn.
            wants_turn: bool,
            /// The sender's signature over the state.
            signature: S,
        },
        /// Refuses an update; its version will never be used again.
        6 => Reject {
            /// Which.
            version: Version,
            /// Why.
            reason: RejectReason,
        },
        /// Asks the holder of the turn for it.
        7 => RequestTurn {
            /// The turn as the sender knows it.
            turn: Turn,
        },
        /// Hands the turn over.
        8 => YieldTurn {
            /// The turn after this.
            turn: Turn,
            /// Whether the sender wants it back.
            wants_back: bool,
        },
        /// Where the sender stands. Never an answer to itself.
        9 => Sync {
            /// The sender's newest state that is complete.
            state: State,
            /// The version that the sender would use or accept next.
            next_version: Version,
            /// Both signatures over the state; none for version 0.
            proof: Option<Proof<S>>,
        },
        /// Asks for a resize.
        10 => ProposeResize {
            /// Who deposits and withdraws what.
            changes: Changes,
            /// What the ledger's backend needs besides.
            chain: LedgerBytes,
            /// What the sender puts into the transaction.
            contribution: LedgerBytes,
        },
        /// Agrees to a resize.
        11 => AcceptResize {
            /// What the sender puts into the transaction.
            contribution: LedgerBytes,
        },
        /// Signs version 0, before anybody deposits anything.
        12 => Sign {
            /// The sender's signature over it.
            signature: S,
        },
        /// Offers a swap. Everything that has to do with it is signed by its sender first.
        13 => SwapOffer {
            /// The state that carries it.
            state: State,
            /// The sender's signature over the state.
            signature: S,
        },
        /// Agrees to a swap: the state that carries it is complete.
        14 => SwapAccept {
            /// Its version.
            version: Version,
            /// The sender's signature over it.
            signature: S,
        },
        /// Shows the preimage, and signs the state in which the swap has happened.
        15 => SwapReveal {
            /// The version of that state.
            version: Version,
            /// The preimage.
            preimage: Preimage,
            /// The sender's signature over that state.
            signature: S,
        },
        /// Signs the state in which the swap has happened.
        16 => SwapDone {
            /// Its version.
            version: Version,
            /// The sender's signature over it.
            signature: S,
        },
        /// Asks the side that offered a swap to take it back.
        17 => SwapCancelRequest {
            /// The version of the state that carries the swap.
            version: Version,
        },
        /// Takes the swap back: signs the state in which it is gone.
        18 => SwapCancel {
            /// The version of that state.
            version: Version,
            /// The sender's signature over it.
            signature: S,
        },
        /// Signs the state in which the swap is gone.
        19 => SwapCancelled {
            /// Its version.
            version: Version,
            /// The sender's signature over it.
            signature: S,
        },
    }
}

/// Both signatures over a complete state, from the sender's point of view.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proof<S> {
    /// The sender's.
    pub mine: S,
    /// The receiver's own: what it cannot deny having signed.
    pub yours: Signature,
}

impl<S: Wire> Wire for Proof<S> {
    fn put(&self, out: &mut Vec<u8>) {
        self.mine.put(out);
        self.yours.put(out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { mine: S::take(reader)?, yours: Signature::take(reader)? })
    }
}

wire_enum! {
    /// What happens to the turn when an update is answered.
    pub enum Handover {
        /// The proposer keeps it.
        0 => Keep {},
        /// The other side gets it.
        1 => Yield {
            /// Whether the proposer wants it back.
            wants_back: bool,
        },
    }
}

wire_enum! {
    /// Why an opening or a resize ends without a channel.
    pub enum DeclineReason {
        /// The user said no.
        0 => User {},
        /// The terms are outside of what this node accepts.
        1 => Terms {},
        /// The answer took too long.
        2 => TooLate {},
        /// The backends could not build the agreed channel.
        3 => Assembly {},
        /// The other side's part of the transaction is not valid.
        4 => BadWitness {},
        /// Something else is going on in the channel.
        5 => Busy {},
        /// A channel on these ledgers cannot be resized.
        6 => NoResize {},
        /// A ledger shows that the channel cannot come to be, or that somebody disputes it already.
        7 => Overtaken {},
        /// The other side's signature over version 0 is not valid.
        8 => Signature {},
    }
}

wire_enum! {
    /// Why an update is refused.
    pub enum RejectReason {
        /// The user said no.
        0 => User {},
        /// The answer took too long.
        1 => TooLate {},
        /// The version was refused or used before.
        2 => Version {},
        /// The state is not the one that the payments lead to.
        3 => State {},
        /// The payments break a rule.
        4 => Payments {},
        /// The signature is not the proposer's over the state.
        5 => Signature {},
        /// The swap is outside of what this node takes part in.
        6 => Swap {},
        /// An update of the sender's own is on its way, or has to come first.
        7 => Crossing {},
    }
}

wire_struct! {
    /// An update as it arrived, checked, and not yet agreed to.
    pub struct Offer {
        /// The next state.
        pub state: State,
        /// Its digest.
        pub digest: Digest,
        /// The payments that lead to it.
        pub payments: Batch,
        /// What happens to the turn when it is answered.
        pub after: Handover,
        /// The peer's signature.
        pub signature: Signature,
    }
}

impl Draft {
    /// Fills the holes: `sign` makes the session key's signature over a digest.
    pub fn sign(self, mut sign: impl FnMut(&Digest) -> Signature) -> Message {
        let Self { opening, body } = self;
        let body = match body {
            Body::Propose { terms, contributions } => Body::Propose { terms, contributions },
            Body::Accept { participant, contributions } => {
                Body::Accept { participant, contributions }
            }
            Body::Decline { reason } => Body::Decline { reason },
            Body::Release { witness } => Body::Release { witness },
            Body::Update { state, payments, after, signature } => {
                Body::Update { state, payments, after, signature: sign(&signature) }
            }
            Body::Ack { version, wants_turn, signature } => {
                Body::Ack { version, wants_turn, signature: sign(&signature) }
            }
            Body::Sign { signature } => Body::Sign { signature: sign(&signature) },
            Body::Reject { version, reason } => Body::Reject { version, reason },
            Body::RequestTurn { turn } => Body::RequestTurn { turn },
            Body::YieldTurn { turn, wants_back } => Body::YieldTurn { turn, wants_back },
            Body::Sync { state, next_version, proof } => {
                let proof = proof.map(|Proof { mine, yours }| Proof { mine: sign(&mine), yours });
                Body::Sync { state, next_version, proof }
            }
            Body::ProposeResize { changes, chain, contribution } => {
                Body::ProposeResize { changes, chain, contribution }
            }
            Body::AcceptResize { contribution } => Body::AcceptResize { contribution },
            Body::SwapOffer { state, signature } => {
                Body::SwapOffer { state, signature: sign(&signature) }
            }
            Body::SwapAccept { version, signature } => {
                Body::SwapAccept { version, signature: sign(&signature) }
            }
            Body::SwapReveal { version, preimage, signature } => {
                Body::SwapReveal { version, preimage, signature: sign(&signature) }
            }
            Body::SwapDone { version, signature } => {
                Body::SwapDone { version, signature: sign(&signature) }
            }
            Body::SwapCancelRequest { version } => Body::SwapCancelRequest { version },
            Body::SwapCancel { version, signature } => {
                Body::SwapCancel { version, signature: sign(&signature) }
            }
            Body::SwapCancelled { version, signature } => {
                Body::SwapCancelled { version, signature: sign(&signature) }
            }
        };
        Message { opening, body }
    }
}

impl Encode for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(FORMAT);
        self.opening.put(out);
        self.body.put(out);
    }
}

impl Decode for Message {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.u8()? != FORMAT {
            return Err(DecodeError::UnknownTag);
        }
        Ok(Self { opening: Wire::take(reader)?, body: Wire::take(reader)? })
    }
}
