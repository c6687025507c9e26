//! What one commit holds: records, snapshots and ends of streams, in order, all or nothing.

use crate::format::{ENTRY_OVERHEAD, Kind};

/// The most entries one batch may hold. One protocol step writes a handful; a thousand leaves room
/// for merging a burst of payments and keeps the encoded group far below the journal's limit.
pub const MAX_BATCH_RECORDS: usize = 1024;

/// Which stream an entry belongs to. The node uses channel ids; the journal does not look inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub [u8; 32]);

/// Entries that become durable together: after a crash either all of them are there or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub(crate) entries: Vec<Entry>,
    bytes: u64,
}

/// One entry of a batch, before it has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) stream: StreamId,
    pub(crate) payload: Vec<u8>,
}

impl Batch {
    /// An empty batch. Committing it waits for everything that was queued before.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record to a stream.
    #[must_use]
    pub fn record(self, stream: StreamId, payload: Vec<u8>) -> Self {
        self.with(Kind::Record, stream, payload)
    }

    /// Adds a snapshot: it stands for the stream's whole past, whose records may then be removed.
    #[must_use]
    pub fn snapshot(self, stream: StreamId, payload: Vec<u8>) -> Self {
        self.with(Kind::Snapshot, stream, payload)
    }

    /// Ends a stream: nothing of it needs to be remembered any more.
    #[must_use]
    pub fn end(self, stream: StreamId) -> Self {
        self.with(Kind::End, stream, Vec::new())
    }

    /// How many entries the batch holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes of the journal the batch takes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn with(mut self, kind: Kind, stream: StreamId, payload: Vec<u8>) -> Self {
        let bytes = payload.len().saturating_add(ENTRY_OVERHEAD);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.entries.push(Entry { kind, stream, payload });
        self
    }
}
