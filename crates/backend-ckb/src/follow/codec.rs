//! The follower's stored form: one spelling, bounded, checked on reading.
//!
//! What can be derived (locks, causes) is not stored; it is derived again on reading, so that a
//! stored follower that would tell something it cannot prove is refused. The invariant: reading
//! gives back the follower that was written, and writing that gives the same bytes.

use super::channel::{Channel, PENDING_TOLD_MAX, RECORDS_MAX, Record, Told};
use super::evidence::{ACTION_BYTES_MAX, Evidence, Finding, Place, SUCCESSORS_MAX, cause};
use super::window::Window;
use super::{
    BlockStamp, CHANNELS_MAX, Creation, Depth, Follower, INPUTS_MAX, PlacedCell, WINDOW_BLOCKS,
    Watch,
};
use ckb_types::{
    packed::{Byte32, OutPoint},
    prelude::*,
};
use perun_channel::ChannelId;
use perun_channel::adjudicator::{CHANNEL_DATA_LENGTH, ChannelCell, Env};
use perun_channel::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_length};
use std::collections::BTreeMap;

/// The number of this layout, and what tells it from other stored things.
const FORMAT: &[u8; 8] = b"follow 1";

impl Encode for Follower {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(FORMAT);
        out.extend_from_slice(&self.env.channel_type);
        out.extend_from_slice(&self.env.vault_code);
        let blocks = self.window.oldest_first();
        put_count(out, blocks.len());
        blocks.for_each(|block| put_stamp(out, block));
        put_count(out, self.channels.len());
        self.channels.values().for_each(|channel| channel.encode(out));
    }
}

impl Decode for Follower {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.array()? != *FORMAT {
            return Err(DecodeError::UnknownTag);
        }
        let env = Env { channel_type: reader.array()?, vault_code: reader.array()? };
        let count = read_count(reader, usize::from(WINDOW_BLOCKS))?;
        let blocks = (0..count).map(|_| read_stamp(reader)).collect::<Result<_, _>>()?;
        let window = Window::from_blocks(blocks).ok_or(DecodeError::UnknownTag)?;
        let mut channels: BTreeMap<ChannelId, Channel> = BTreeMap::new();
        for _ in 0..read_count(reader, CHANNELS_MAX)? {
            let channel = read_channel(reader, &env)?;
            let id = channel.watch.id;
            // Ascending, so that there is one spelling and no channel stands twice.
            let ascends = channels.last_key_value().is_none_or(|(last, _)| *last < id);
            if !ascends {
                return Err(DecodeError::UnknownTag);
            }
            channels.insert(id, channel);
        }
        Ok(Self { env, window, channels })
    }
}

impl Encode for Channel {
    fn encode(&self, out: &mut Vec<u8>) {
        self.watch.id.encode(out);
        out.extend_from_slice(&self.watch.depth.get().to_le_bytes());
        match &self.watch.creation {
            None => out.push(0),
            Some(creation) => {
                out.push(1);
                out.extend_from_slice(creation.transaction.as_slice());
                put_length(out, creation.inputs.len());
                creation.inputs.iter().for_each(|input| out.extend_from_slice(input.as_slice()));
            }
        }
        out.push(u8::from(self.scanned));
        put_place(out, &self.base);
        put_length(out, self.records.len());
        self.records.iter().for_each(|record| record.encode(out));
        put_length(out, self.pending.len());
        self.pending.iter().for_each(|transaction| out.extend_from_slice(transaction));
    }
}

fn read_channel(reader: &mut Reader<'_>, env: &Env) -> Result<Channel, DecodeError> {
    let id = ChannelId::decode(reader)?;
    let depth = Depth::new(reader.u16()?).ok_or(DecodeError::UnknownTag)?;
    let creation = if reader.flag()? {
        let transaction = read_hash(reader)?;
        let count = reader.length(INPUTS_MAX)?;
        let inputs = (0..count).map(|_| read_out_point(reader)).collect::<Result<_, _>>()?;
        Some(Creation { transaction, inputs })
    } else {
        None
    };
    let mut channel = Channel::new(env, Watch { id, depth, creation });
    channel.scanned = reader.flag()?;
    channel.base = read_place(reader)?;
    for _ in 0..reader.length(RECORDS_MAX)? {
        let record = read_record(reader)?;
        let derived = cause(&id, &record.finding, &record.transaction, Some(&record.block));
        derived.map_err(|_| DecodeError::UnknownTag)?;
        channel.records.push(record);
    }
    let count = reader.length(PENDING_TOLD_MAX)?;
    channel.pending = (0..count).map(|_| reader.array()).collect::<Result<_, _>>()?;
    Ok(channel)
}

impl Encode for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.transaction.as_slice());
        put_stamp(out, &self.block);
        match &self.finding.evidence {
            Evidence::Acted { action, successors } => {
                out.push(0);
                put_bytes(out, action);
                put_count(out, successors.len());
                successors.iter().for_each(|id| id.encode(out));
            }
            Evidence::InputSpent { input } => {
                out.push(1);
                out.extend_from_slice(input.as_slice());
            }
        }
        put_place(out, &self.finding.after);
        out.push(match self.told {
            Told::Nothing => 0,
            Told::Included => 1,
            Told::Settled => 2,
        });
    }
}

fn read_record(reader: &mut Reader<'_>) -> Result<Record, DecodeError> {
    let transaction = read_hash(reader)?;
    let block = read_stamp(reader)?;
    let evidence = match reader.u8()? {
        0 => {
            let action = reader.bytes(ACTION_BYTES_MAX)?;
            let count = read_count(reader, SUCCESSORS_MAX)?;
            let successors =
                (0..count).map(|_| ChannelId::decode(reader)).collect::<Result<_, _>>()?;
            Evidence::Acted { action, successors }
        }
        1 => Evidence::InputSpent { input: read_out_point(reader)? },
        _ => return Err(DecodeError::UnknownTag),
    };
    let after = read_place(reader)?;
    let told = match reader.u8()? {
        0 => Told::Nothing,
        1 => Told::Included,
        2 => Told::Settled,
        _ => return Err(DecodeError::UnknownTag),
    };
    Ok(Record { transaction, block, finding: Finding { evidence, after }, told })
}

fn put_place(out: &mut Vec<u8>, place: &Place) {
    match place {
        Place::Awaiting => out.push(0),
        Place::Live(cell) => {
            out.push(1);
            out.extend_from_slice(cell.out_point.as_slice());
            out.extend_from_slice(&cell.capacity.to_le_bytes());
            out.extend_from_slice(&cell.content.to_data());
        }
        Place::Gone => out.push(2),
    }
}

fn read_place(reader: &mut Reader<'_>) -> Result<Place, DecodeError> {
    match reader.u8()? {
        0 => Ok(Place::Awaiting),
        1 => {
            let out_point = read_out_point(reader)?;
            let capacity = reader.u64()?;
            let data = reader.take(CHANNEL_DATA_LENGTH)?;
            let content = ChannelCell::from_data(data).map_err(|_| DecodeError::UnknownTag)?;
            Ok(Place::Live(PlacedCell { out_point, capacity, content }))
        }
        2 => Ok(Place::Gone),
        _ => Err(DecodeError::UnknownTag),
    }
}

fn put_stamp(out: &mut Vec<u8>, block: &BlockStamp) {
    out.extend_from_slice(&block.number.to_le_bytes());
    out.extend_from_slice(block.hash.as_slice());
    out.extend_from_slice(&block.timestamp_ms.to_le_bytes());
}

fn read_stamp(reader: &mut Reader<'_>) -> Result<BlockStamp, DecodeError> {
    let number = reader.u64()?;
    Ok(BlockStamp { number, hash: read_hash(reader)?, timestamp_ms: reader.u64()? })
}

fn read_hash(reader: &mut Reader<'_>) -> Result<Byte32, DecodeError> {
    reader.array().map(Byte32::new)
}

fn read_out_point(reader: &mut Reader<'_>) -> Result<OutPoint, DecodeError> {
    let transaction = read_hash(reader)?;
    Ok(OutPoint::new(transaction, reader.u32()?))
}

/// Counts are bounded by their owners far below 65,536.
fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
}

fn read_count(reader: &mut Reader<'_>, limit: usize) -> Result<usize, DecodeError> {
    let count = usize::from(reader.u16()?);
    if count > limit { Err(DecodeError::TooLong) } else { Ok(count) }
}
