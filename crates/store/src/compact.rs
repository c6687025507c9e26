//! Removing what no replay needs: what is live, and the file without the rest.
//!
//! Pure functions over bytes. The invariant: a replay of the compacted file gives the same streams,
//! in the same order, and the same last number, so the rollback mark means the same before and
//! after.

use std::collections::BTreeMap;

use crate::batch::StreamId;
use crate::format::{ENTRY_OVERHEAD, Entry, HEADER_BYTES, Header, Kind};

/// How many bytes of the file each stream still needs.
#[derive(Debug, Default)]
pub(crate) struct LiveBytes {
    streams: BTreeMap<StreamId, u64>,
    total: u64,
}

impl LiveBytes {
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) fn add(&mut self, kind: Kind, stream: StreamId, payload_bytes: usize) {
        let size = u64::try_from(payload_bytes.saturating_add(ENTRY_OVERHEAD)).unwrap_or(u64::MAX);
        let before = self.streams.remove(&stream).unwrap_or(0);
        let after = match kind {
            Kind::Record => before.saturating_add(size),
            Kind::Snapshot => size,
            Kind::End => 0,
        };
        if after > 0 {
            self.streams.insert(stream, after);
        }
        self.total = self.total.saturating_sub(before).saturating_add(after);
    }
}

/// The same journal without superseded entries; `None` if the bytes are not a whole journal that
/// ends at `last`.
pub(crate) fn compacted(bytes: &[u8], last: u64) -> Option<Vec<u8>> {
    let header = Header::decode(bytes).ok()?;
    let mut rest = bytes.get(HEADER_BYTES..)?;
    let mut entries = Vec::new();
    let mut kept_from = BTreeMap::new();
    let mut expected = header.base;
    while !rest.is_empty() {
        let entry = Entry::decode(&header.id, &mut rest)?;
        if entry.number != expected {
            return None;
        }
        if entry.kind != Kind::Record {
            kept_from.insert(entry.stream, entry.number);
        }
        expected = expected.checked_add(1)?;
        entries.push(entry);
    }
    if expected != last.checked_add(1)? {
        return None;
    }
    entries.retain(|entry| {
        let from = kept_from.get(&entry.stream).copied().unwrap_or(0);
        entry.number >= from && entry.kind != Kind::End
    });
    // Numbers move up so that the last one stays: the mark refers to it.
    let base = expected.checked_sub(u64::try_from(entries.len()).ok()?)?;
    let generation = header.generation.checked_add(1)?;
    let mut out = Header { id: header.id, generation, base }.encode();
    for (number, entry) in (base..).zip(entries) {
        Entry { number, continues: false, ..entry }.encode(&header.id, &mut out);
    }
    Some(out)
}
