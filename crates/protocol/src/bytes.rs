//! How values of this crate are written: [`perun_channel::codec`], with names for the lists and
//! options that messages and records need. One spelling each; every list is bounded before it is
//! allocated.
//!
//! [`wire_struct`] and [`wire_enum`] declare a type and its encoding in one place, so that a field
//! cannot be forgotten in one of the two. Numbers of variants are written out and never reused.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use perun_channel::codec::{self, Decode, DecodeError, Encode, Reader};
use perun_channel::swap::Swap;
use perun_channel::{
    Allocation, Amount, ChannelId, LedgerId, Params, Participant, Signature, State, Version,
};

use crate::limits::{MAX_LEDGER_BYTES, MAX_SWAP_BYTES};
use crate::units::{
    Digest, Index, LedgerBytes, LedgerTime, OpeningId, Preimage, Time, TransactionId, Turn,
};

/// A value that messages and records are made of.
pub(crate) trait Wire: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

macro_rules! wire_by_codec {
    ($($name:ty),*) => { $(
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.encode(out);
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Self::decode(reader)
            }
        }
    )* };
}
wire_by_codec!(Amount, ChannelId, LedgerId, Params, Participant, Allocation, State, Signature);

macro_rules! wire_by_number {
    ($($name:ty),*) => { $(
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.get().put(out);
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                u64::take(reader).map(Self::new)
            }
        }
    )* };
}
wire_by_number!(Time, LedgerTime, Turn, Version);

macro_rules! wire_by_array {
    ($($name:ty),*) => { $(
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_bytes());
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.array().map(Self::new)
            }
        }
    )* };
}
wire_by_array!(OpeningId, TransactionId, Digest, Preimage);

macro_rules! wire_by_width {
    ($($name:ident),*) => { $(
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.$name()
            }
        }
    )* };
}
wire_by_width!(u8, u16, u32, u64);

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(Self::into(*self));
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.flag()
    }
}

impl Wire for Index {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.number());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.flag().map(|one| if one { Self::One } else { Self::Zero })
    }
}

impl Wire for LedgerBytes {
    fn put(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, self.as_bytes());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(reader.bytes(MAX_LEDGER_BYTES)?).map_err(|_| DecodeError::TooLong)
    }
}

impl Wire for Swap {
    fn put(&self, out: &mut Vec<u8>) {
        codec::put_bytes(out, &self.to_data());
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_data(&reader.bytes(MAX_SWAP_BYTES)?).map_err(|_| DecodeError::UnknownTag)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.flag()? { T::take(reader).map(Some) } else { Ok(None) }
    }
}

impl<T: Wire> Wire for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (**self).put(out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::take(reader).map(Self::new)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok((A::take(reader)?, B::take(reader)?))
    }
}

impl<T: Wire> Wire for [T; 2] {
    fn put(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.put(out));
    }
    fn take(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok([T::take(reader)?, T::take(reader)?])
    }
}

/// Appends a list with a two-byte length; its owner bounds it.
pub(crate) fn put_list<'a, T: Wire + 'a>(
    out: &mut Vec<u8>,
    length: usize,
    items: impl Iterator<Item = &'a T>,
) {
    debug_assert!(u16::try_from(length).is_ok(), "a list outgrew its length field");
    u16::try_from(length).unwrap_or(u16::MAX).put(out);
    items.for_each(|item| item.put(out));
}

/// Takes a list with a two-byte length of at most `limit`. It grows as bytes are read, not as the
/// length promises.
pub(crate) fn take_list<T: Wire>(
    reader: &mut Reader<'_>,
    limit: usize,
) -> Result<VecDeque<T>, DecodeError> {
    let length = usize::from(reader.u16()?);
    if length > limit {
        return Err(DecodeError::TooLong);
    }
    (0..length).map(|_| T::take(reader)).collect()
}

/// Declares a struct and its encoding: the fields in order.
macro_rules! wire_struct {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $( $(#[$fmeta:meta])* pub $field:ident : $type:ty ),* $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name { $( $(#[$fmeta])* pub $field: $type ),* }

        impl $crate::bytes::Wire for $name {
            fn put(&self, out: &mut alloc::vec::Vec<u8>) {
                $( $crate::bytes::Wire::put(&self.$field, out); )*
            }
            fn take(
                reader: &mut perun_channel::codec::Reader<'_>,
            ) -> Result<Self, perun_channel::codec::DecodeError> {
                Ok(Self { $( $field: $crate::bytes::Wire::take(reader)? ),* })
            }
        }
    };
}

/// Declares an enum and its encoding: the variant's number, then its fields in order.
macro_rules! wire_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident $(<$slot:ident>)? {
            $( $(#[$vmeta:meta])* $number:literal => $variant:ident
               { $( $(#[$fmeta:meta])* $field:ident : $type:ty ),* $(,)? } ),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name $(<$slot>)? {
            $( $(#[$vmeta])* $variant { $( $(#[$fmeta])* $field: $type ),* } ),*
        }

        impl $(<$slot: $crate::bytes::Wire>)? $crate::bytes::Wire for $name $(<$slot>)? {
            fn put(&self, out: &mut alloc::vec::Vec<u8>) {
                match self {
                    $( Self::$variant { $($field),* } => {
                        out.push($number);
                        $( $crate::bytes::Wire::put($field, out); )*
                    } )*
                }
            }
            fn take(
                reader: &mut perun_channel::codec::Reader<'_>,
            ) -> Result<Self, perun_channel::codec::DecodeError> {
                match reader.u8()? {
                    $( $number => Ok(Self::$variant {
                        $( $field: $crate::bytes::Wire::take(reader)? ),*
                    }), )*
                    _ => Err(perun_channel::codec::DecodeError::UnknownTag),
                }
            }
        }
    };
}

pub(crate) use {wire_enum, wire_struct};
