//! The rollback mark: how far the journal had come when an effect was last released.
//!
//! It lives in a folder of its own, outside of what a backup of the journal restores, so that an
//! older journal meets a newer mark and is recognised. It is not a copy of the journal and cannot
//! repair it. The invariant: a mark is written only after the records up to its number are synced,
//! and before any effect that depends on them is released. Two slots are written in turn, so a torn
//! write spoils at most the slot whose number was never relied upon.

use crate::disk::{Disk, DiskError};
use crate::error::OpenError;
use crate::format::take;

pub(crate) const MARK: &str = "mark";
const MAGIC: [u8; 8] = *b"PRNMRK\x00\x01";
const SLOT_BYTES: usize = 36;
/// Each slot has a page of its own, so that tearing one page cannot touch both.
const SLOT_STRIDE: usize = 4096;

/// The mark on its disk.
pub(crate) struct Mark {
    disk: Box<dyn Disk>,
    id: [u8; 16],
    odd: bool,
}

impl Mark {
    /// Reads the mark of journal `id`: `None` when there is no file.
    pub(crate) fn read(disk: &mut dyn Disk, id: &[u8; 16]) -> Result<Option<u64>, OpenError> {
        match newest(disk)? {
            Some((of, _)) if of != *id => Err(OpenError::MarkOfAnotherJournal),
            found => Ok(found.map(|(_, number)| number)),
        }
    }

    /// The number in the mark file, whichever journal it belongs to; 0 when there is no file.
    pub(crate) fn number(disk: &mut dyn Disk) -> Result<u64, OpenError> {
        Ok(newest(disk)?.map_or(0, |(_, number)| number))
    }

    /// Writes a fresh mark file with `number` in both slots.
    pub(crate) fn create(
        mut disk: Box<dyn Disk>,
        id: [u8; 16],
        number: u64,
    ) -> Result<Self, DiskError> {
        let mut bytes = encode(&id, number);
        let slot = bytes.clone();
        bytes.resize(SLOT_STRIDE, 0);
        bytes.extend_from_slice(&slot);
        disk.replace(MARK, &bytes)?;
        Ok(Self { disk, id, odd: false })
    }

    /// Advances the mark; with `sync` it is on the medium when this returns.
    pub(crate) fn advance(&mut self, number: u64, sync: bool) -> Result<(), DiskError> {
        let offset = if self.odd { u64::try_from(SLOT_STRIDE).unwrap_or(0) } else { 0 };
        self.odd = !self.odd;
        self.disk.write_at(MARK, offset, &encode(&self.id, number))?;
        if sync { self.disk.sync(MARK) } else { Ok(()) }
    }
}

fn newest(disk: &mut dyn Disk) -> Result<Option<([u8; 16], u64)>, OpenError> {
    let Some(bytes) = disk.read(MARK)? else { return Ok(None) };
    let slots = [bytes.get(..), bytes.get(SLOT_STRIDE..)].map(|slot| slot.and_then(decode));
    let newest = slots.into_iter().flatten().max_by_key(|(_, number)| *number);
    newest.map(Some).ok_or(OpenError::MarkDamaged)
}

fn encode(id: &[u8; 16], number: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(SLOT_BYTES);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(id);
    out.extend_from_slice(&number.to_be_bytes());
    let check = crc32fast::hash(&out);
    out.extend_from_slice(&check.to_be_bytes());
    out
}

fn decode(mut slot: &[u8]) -> Option<([u8; 16], u64)> {
    let body = slot.get(..SLOT_BYTES.checked_sub(4)?)?;
    let magic: [u8; 8] = take(&mut slot)?;
    let id = take(&mut slot)?;
    let number = u64::from_be_bytes(take(&mut slot)?);
    let check = u32::from_be_bytes(take(&mut slot)?);
    (magic == MAGIC && check == crc32fast::hash(body)).then_some((id, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryDisk;

    #[test]
    fn a_torn_slot_leaves_the_mark_before_it() {
        let disk = MemoryDisk::new();
        let mut mark = Mark::create(Box::new(disk.clone()), [1; 16], 3).unwrap();
        for number in 4..10 {
            mark.advance(number, true).unwrap();
            let whole = disk.contents(MARK).unwrap();
            for at in [0, SLOT_STRIDE] {
                let mut torn = whole.clone();
                torn[at + 20] ^= 1;
                disk.put(MARK, torn);
                let read = Mark::read(&mut disk.clone(), &[1; 16]).unwrap().unwrap();
                assert!(read == number || read == number - 1, "{read} beside {number}");
            }
            disk.put(MARK, whole);
            assert_eq!(Mark::read(&mut disk.clone(), &[1; 16]), Ok(Some(number)));
        }
    }

    #[test]
    fn a_mark_of_another_journal_or_of_noise_is_refused() {
        let mut disk = MemoryDisk::new();
        Mark::create(Box::new(disk.clone()), [1; 16], 3).unwrap();
        let read = Mark::read(&mut disk.clone(), &[2; 16]);
        assert_eq!(read, Err(OpenError::MarkOfAnotherJournal));
        disk.put(MARK, vec![0; 9000]);
        assert_eq!(Mark::read(&mut disk, &[1; 16]), Err(OpenError::MarkDamaged));
    }
}
