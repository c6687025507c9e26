//! A machine's whole state in bytes, so that a house need not keep every record of a long life.
//!
//! A snapshot stands for all records before it: [`Machine::from_snapshot`] gives the machine that
//! applying them would give, and later records apply to it alike. Like records it is read with
//! bounds and has one spelling per state. A field that is missing here does not compile.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use perun_channel::codec::{DecodeError, Reader};

use crate::bytes::Wire;
use crate::channel::Channel;
use crate::config::Config;
use crate::limits::MAX_QUEUE;
use crate::machine::Machine;
use crate::open::{Activity, Asked, Flight, Open};
use crate::payment::Queue;
use crate::phase::{Aborting, Case, Court, Founding, Joining, Joint, Phase, Proposal, Stage};
use crate::recent::Recent;
use crate::registrations::Registrations;
use crate::swapping::{Cancelling, Held, Offered, Ready, Revealed, Signing, SwapAsked, Swapping};
use crate::units::OpeningId;

/// The number of this format of snapshots, in front of each.
const FORMAT: u8 = 4;
/// The most assets that waiting payments can name: their row is one byte.
const ROWS_MAX: usize = 256;

impl Machine {
    /// Everything that the machine remembers. Its name and its configuration are not part of it.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.push(FORMAT);
        self.phase.put(&mut out);
        out
    }

    /// The machine that wrote this snapshot, under a configuration that may have changed since.
    pub fn from_snapshot(
        opening: OpeningId,
        config: Config,
        bytes: &[u8],
    ) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != FORMAT {
            return Err(DecodeError::UnknownTag);
        }
        let phase = Phase::take(&mut reader)?;
        reader.finish()?;
        Ok(Self { opening, config, phase })
    }
}

/// The encoding of a struct: all of its fields, in this order.
macro_rules! wire_fields {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $( $field.put(out); )*
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: Wire::take(reader)?),* })
            }
        }
    };
}

/// The encoding of an enum: the variant's number, then its fields in this order. Numbers are never
/// reused. The fields of a variant without names are named by their place.
macro_rules! wire_variants {
    ($name:ident { $( $number:literal => $variant:ident
        { $($place:tt $field:ident),* } ),* $(,)? }) => {
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $( Self::$variant { $($place: $field),* } => {
                        out.push($number);
                        $( $field.put(out); )*
                    } )*
                }
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match reader.u8()? {
                    $( $number => Ok(Self::$variant { $($place: Wire::take(reader)?),* }), )*
                    _ => Err(DecodeError::UnknownTag),
                }
            }
        }
    };
}

wire_variants!(Phase {
    0 => Fresh {},
    1 => Proposing { 0 proposal },
    2 => Deciding { 0 proposal },
    3 => Joining { 0 joining },
    4 => Aborting { 0 aborting },
    5 => Open { 0 open },
    6 => Court { 0 court },
    7 => Over { 0 ending },
    8 => Signing { 0 joining },
    9 => Founding { 0 founding },
});
wire_variants!(Joint {
    0 => Assembling { early early, signed signed },
    1 => Awaiting { assembly assembly },
    2 => Checking { assembly assembly, witness witness },
    3 => Released { assembly assembly, witness witness },
});
wire_variants!(Activity {
    0 => Idle {},
    1 => Updating { 0 flight },
    2 => CloseAsked { 0 asked },
    3 => ResizeAsked { 0 asked },
    4 => Resizing { 0 joining },
    5 => Swapping { 0 swapping },
});
wire_variants!(Swapping {
    0 => Offered { 0 offered },
    1 => Asked { 0 asked },
    2 => Ready { 0 ready },
    3 => Held { 0 held },
    4 => Revealed { 0 revealed },
    5 => Cancelling { 0 cancelling },
});
wire_variants!(Stage {
    0 => Frozen {},
    1 => Closing { attempt attempt, deadline deadline },
    2 => Disputing { attempt attempt, deadline deadline },
    3 => Registered {
        state state, by by, until until, attempt attempt, deadline deadline
    },
    4 => Concluding {
        state state, decision decision, attempt attempt, deadline deadline
    },
    5 => Unpaid { state state, rows rows, attempt attempt, deadline deadline },
    6 => Settled { state state, claimed claimed },
    7 => Void { ending ending },
    8 => Aborting { attempt attempt, deadline deadline },
});
wire_fields!(Proposal { terms, contributions, deadline });
wire_fields!(Joining { plan, joint, deadline });
wire_fields!(Aborting { index, assembly, deadline });
wire_fields!(Founding { joining, proof, ready });
wire_fields!(Court { open, cases, abort });
wire_fields!(Case { ledger, stage, registrations });
wire_fields!(Registrations { confirmed, own });
wire_fields!(Channel { index, id, params, places, transaction, latest, next_version });
wire_fields!(Flight { state, digest, payments, after, deadline, repeated, extended });
wire_fields!(Asked { by, resize, deadline });
wire_fields!(Signing { state, digest });
wire_fields!(Offered { half, preimage, reveal, deadline });
wire_fields!(SwapAsked { half, signature, deadline });
wire_fields!(Ready { preimage, reveal, deadline });
wire_fields!(Held { go, wants_out });
wire_fields!(Revealed { next, deadline });
wire_fields!(Cancelling { half, next, deadline });
wire_fields!(Open {
    channel,
    turn,
    peer_wants,
    peer_ready,
    queue,
    wish,
    patience,
    activity,
    paid_last,
    received_last,
    recent,
    secret,
});

impl Wire for Queue {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { waiting, needed } = self;
        put_many(out, waiting.len(), waiting.iter());
        put_many(out, needed.len(), needed.iter());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let waiting = take_many(reader, MAX_QUEUE)?;
        Ok(Self { waiting, needed: take_many(reader, ROWS_MAX)?.into() })
    }
}

impl Wire for Recent {
    fn put(&self, out: &mut Vec<u8>) {
        let Self { sent, received, refused, waited, closed, unfunded } = self;
        [sent, received, refused].iter().for_each(|batch| batch.put(out));
        let lists = [waited, closed, unfunded];
        lists.iter().for_each(|ids| put_many(out, ids.len(), ids.iter()));
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (sent, received) = (Wire::take(reader)?, Wire::take(reader)?);
        let refused = Wire::take(reader)?;
        let (waited, closed) = (take_many(reader, MAX_QUEUE)?, take_many(reader, MAX_QUEUE)?);
        let unfunded = take_many(reader, MAX_QUEUE)?;
        Ok(Self { sent, received, refused, waited, closed, unfunded })
    }
}

/// Appends a list with a four-byte length: a full queue is one longer than two bytes can say.
fn put_many<'a, T: Wire + 'a>(
    out: &mut Vec<u8>,
    length: usize,
    items: impl Iterator<Item = &'a T>,
) {
    u32::try_from(length).unwrap_or(u32::MAX).put(out);
    items.for_each(|item| item.put(out));
}

/// Takes a list with a four-byte length of at most `limit`. It grows as bytes are read, not as the
/// length promises.
fn take_many<T: Wire>(reader: &mut Reader<'_>, limit: usize) -> Result<VecDeque<T>, DecodeError> {
    let length = usize::try_from(reader.u32()?).map_err(|_| DecodeError::TooLong)?;
    if length > limit {
        return Err(DecodeError::TooLong);
    }
    let mut items = VecDeque::new();
    for _ in 0..length {
        items.push_back(T::take(reader)?);
    }
    Ok(items)
}
