//! What a channel's witness says: which action, and the evidence for it.

use alloc::vec::Vec;

use super::{Code, Setup, Slot, StateBody};
use crate::codec::{self, Encode, Reader};
use crate::sig::SIGNATURE_LENGTH;
use crate::{MAX_PARTICIPANTS, Signature};

/// How one participant consents to a whole transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consent {
    /// A session-key signature over [`super::consent_digest`].
    Signature(Signature),
    /// An input under the participant's owner lock, where the parameters allow that.
    Presence,
    /// The same key already signed for an earlier channel of this transaction.
    Shared,
}

impl Encode for Consent {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Signature(signature) => {
                out.push(0);
                signature.encode(out);
            }
            Self::Presence => out.push(1),
            Self::Shared => out.push(2),
        }
    }
}

impl Consent {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Code> {
        match reader.u8().map_err(|_| Code::Witness)? {
            0 => read_signature(reader).map(Self::Signature),
            1 => Ok(Self::Presence),
            2 => Ok(Self::Shared),
            _ => Err(Code::Witness),
        }
    }
}

/// How the legs that a registered state's swap has on this ledger end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// They move: this is the preimage.
    Claim([u8; 32]),
    /// They lapse: an input's time lock proves that the last of them has expired.
    Refund,
}

impl Decision {
    fn encode(decision: Option<&Self>, out: &mut Vec<u8>) {
        match decision {
            None => out.push(0),
            Some(Self::Claim(preimage)) => {
                out.push(1);
                out.extend_from_slice(preimage);
            }
            Some(Self::Refund) => out.push(2),
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Option<Self>, Code> {
        match reader.u8().map_err(|_| Code::Witness)? {
            0 => Ok(None),
            1 => reader.array().map(|it| Some(Self::Claim(it))).map_err(|_| Code::Witness),
            2 => Ok(Some(Self::Refund)),
            _ => Err(Code::Witness),
        }
    }
}

/// An action on one channel, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes the channel cell, with all deposits in or the first ones.
    Create {
        /// The channel's setup.
        setup: Setup,
        /// Its state, version 0.
        body: StateBody,
    },
    /// Adds deposits to a channel that is still being funded.
    Fund {
        /// The channel's setup.
        setup: Setup,
        /// Its state, version 0.
        body: StateBody,
    },
    /// Returns the deposits of a channel that was not funded in time.
    AbortFunding {
        /// The channel's setup.
        setup: Setup,
        /// Its state, version 0.
        body: StateBody,
    },
    /// Starts or continues a dispute with a newer state.
    Register {
        /// The channel's setup.
        setup: Setup,
        /// The state to register.
        body: StateBody,
        /// Whose right to register is used.
        slot: Slot,
        /// One per participant over the state, the slot's participant's over the registration
        /// instead. For the stored version 0: only that one.
        signatures: Vec<Signature>,
    },
    /// Pays out the registered state after the challenge.
    Conclude {
        /// The channel's setup.
        setup: Setup,
        /// The registered state.
        body: StateBody,
        /// How its swap ends here; none if it has no legs on this ledger.
        decision: Option<Decision>,
    },
    /// Pays token rows that were left unpaid.
    Withdraw {
        /// The channel's setup.
        setup: Setup,
        /// The concluded state.
        body: StateBody,
    },
    /// Pays out a final state at once.
    CloseFinal {
        /// The channel's setup.
        setup: Setup,
        /// The final state.
        body: StateBody,
        /// One per participant.
        signatures: Vec<Signature>,
    },
    /// Does whatever all participants consent to.
    CoopSpend {
        /// The channel's setup.
        setup: Setup,
        /// One per participant.
        consents: Vec<Consent>,
    },
}

impl Action {
    /// The setup of the channel that the action is on.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        match self {
            Self::Create { setup, .. }
            | Self::Fund { setup, .. }
            | Self::AbortFunding { setup, .. }
            | Self::Register { setup, .. }
            | Self::Conclude { setup, .. }
            | Self::Withdraw { setup, .. }
            | Self::CloseFinal { setup, .. }
            | Self::CoopSpend { setup, .. } => setup,
        }
    }

    /// Reads an action; all of the bytes must be used.
    pub fn read(bytes: &[u8]) -> Result<Self, Code> {
        let mut reader = Reader::new(bytes);
        let tag = reader.u8().map_err(|_| Code::Witness)?;
        let setup = Setup::read(&mut reader)?;
        let action = Self::read_rest(tag, setup, &mut reader)?;
        reader.finish().map_err(|_| Code::Witness)?;
        Ok(action)
    }

    fn read_rest(tag: u8, setup: Setup, reader: &mut Reader<'_>) -> Result<Self, Code> {
        if tag == 7 {
            let count = reader.length(MAX_PARTICIPANTS).map_err(|_| Code::Witness)?;
            let consents = (0..count).map(|_| Consent::decode(reader)).collect::<Result<_, _>>()?;
            return Ok(Self::CoopSpend { setup, consents });
        }
        let body = StateBody::decode(reader, &setup).map_err(|_| Code::Witness)?;
        match tag {
            0 => Ok(Self::Create { setup, body }),
            1 => Ok(Self::Fund { setup, body }),
            2 => Ok(Self::AbortFunding { setup, body }),
            3 => {
                let slot = Slot::from_number(reader.u8().map_err(|_| Code::Witness)?);
                Ok(Self::Register { setup, body, slot, signatures: read_signatures(reader)? })
            }
            4 => Ok(Self::Conclude { setup, body, decision: Decision::decode(reader)? }),
            5 => Ok(Self::Withdraw { setup, body }),
            6 => Ok(Self::CloseFinal { setup, body, signatures: read_signatures(reader)? }),
            _ => Err(Code::Witness),
        }
    }

    const fn tag(&self) -> u8 {
        match self {
            Self::Create { .. } => 0,
            Self::Fund { .. } => 1,
            Self::AbortFunding { .. } => 2,
            Self::Register { .. } => 3,
            Self::Conclude { .. } => 4,
            Self::Withdraw { .. } => 5,
            Self::CloseFinal { .. } => 6,
            Self::CoopSpend { .. } => 7,
        }
    }
}

impl Encode for Action {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.tag());
        self.setup().encode(out);
        match self {
            Self::Create { body, .. }
            | Self::Fund { body, .. }
            | Self::AbortFunding { body, .. }
            | Self::Withdraw { body, .. } => body.encode(out),
            Self::Conclude { body, decision, .. } => {
                body.encode(out);
                Decision::encode(decision.as_ref(), out);
            }
            Self::Register { body, slot, signatures, .. } => {
                body.encode(out);
                out.push(slot.number());
                codec::put_list(out, signatures);
            }
            Self::CloseFinal { body, signatures, .. } => {
                body.encode(out);
                codec::put_list(out, signatures);
            }
            Self::CoopSpend { consents, .. } => codec::put_list(out, consents),
        }
    }
}

fn read_signatures(reader: &mut Reader<'_>) -> Result<Vec<Signature>, Code> {
    let count = reader.length(MAX_PARTICIPANTS).map_err(|_| Code::Witness)?;
    (0..count).map(|_| read_signature(reader)).collect()
}

/// A signature with a spelling that is not strict gets a code of its own.
fn read_signature(reader: &mut Reader<'_>) -> Result<Signature, Code> {
    let bytes = reader.take(SIGNATURE_LENGTH).map_err(|_| Code::Witness)?;
    Signature::new(bytes).map_err(|_| Code::Signature)
}
