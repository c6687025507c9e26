//! Committing: many threads, one sync, and effects that come out only after it.
//!
//! A thread that commits puts its entries into a shared queue. The first that finds the writer free
//! takes the whole queue, writes and syncs it while the others wait, then wakes them all. It is not
//! a thread of its own: without callers nothing runs. The invariant: `durable` rises only after the
//! journal and then the mark were synced, and only a number at or below it releases effects. After
//! any disk error nothing is known about the medium, so the journal is poisoned and stays so.

use core::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::batch::{Batch, MAX_BATCH_RECORDS};
use crate::compact::{LiveBytes, compacted};
use crate::disk::{Disk, DiskAct, DiskError};
use crate::error::CommitError;
use crate::format::{Entry, Header, JOURNAL, Kind, MAX_PAYLOAD_BYTES};
use crate::mark::Mark;

/// The most live bytes a journal holds. A channel needs some kilobytes, so this is room for tens of
/// thousands of them, and a replay still fits into the memory of a small machine.
pub const MAX_JOURNAL_BYTES: u64 = 256 << 20;

/// Which part of the limit is kept free beside it for snapshots and ends, which are what makes room
/// again in a full journal: 16 MiB of the usual 256.
const RESERVE_PART: u64 = 16;

/// Below this size a rewrite is not worth its syncs.
const COMPACT_FROM_BYTES: u64 = 1 << 20;

/// How much may wait for the writer. More would not make a sync cheaper, only memory dearer.
const MAX_QUEUE_BYTES: usize = 16 << 20;

/// What "committed" means. Every benchmark names the level it ran with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Synced to the medium before effects are released. Survives loss of power.
    #[default]
    Full,
    /// Handed to the operating system. Survives a crash of the process, not of the machine: after a
    /// loss of power money can be lost. For benchmarks and throw-away test networks.
    Relaxed,
}

/// Effects whose records are durable. Only a commit makes one.
#[must_use = "the effects are still inside; release them"]
#[derive(Debug)]
pub struct Committed<E> {
    effects: E,
}

impl<E> Committed<E> {
    /// The effects, now that they may be seen by others.
    pub fn release(self) -> E {
        self.effects
    }
}

/// What the journal has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Entries that were queued.
    pub entries: u64,
    /// Groups written; each is one append, one sync of the journal and one of the mark.
    pub groups: u64,
    /// Rewrites of the file.
    pub compactions: u64,
    /// The size of the file, with what is queued.
    pub file_bytes: u64,
    /// How much of it a replay still needs.
    pub live_bytes: u64,
    /// The number of the last durable entry.
    pub durable: u64,
}

/// An open journal. Clones share it; commit from as many threads as you like.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    turn: Condvar,
    durability: Durability,
    id: [u8; 16],
}

struct State {
    /// Taken by the thread that leads a group, put back when the group is done.
    writer: Option<Writer>,
    queue: Vec<u8>,
    next: u64,
    durable: u64,
    poison: Option<DiskError>,
    /// How many live bytes records may bring it to.
    limit: u64,
    live: LiveBytes,
    file_bytes: u64,
    entries: u64,
    groups: u64,
    compactions: u64,
}

struct Writer {
    disk: Box<dyn Disk>,
    mark: Mark,
}

impl Journal {
    pub(crate) fn start(
        disk: Box<dyn Disk>,
        mark: Mark,
        header: Header,
        last: u64,
        live: LiveBytes,
        file_bytes: u64,
        durability: Durability,
    ) -> Self {
        let state = State {
            writer: Some(Writer { disk, mark }),
            queue: Vec::new(),
            next: last.saturating_add(1),
            durable: last,
            poison: None,
            limit: MAX_JOURNAL_BYTES,
            live,
            file_bytes,
            entries: 0,
            groups: 0,
            compactions: 0,
        };
        let shared =
            Shared { state: Mutex::new(state), turn: Condvar::new(), durability, id: header.id };
        Self { shared: Arc::new(shared) }
    }

    /// Makes the batch durable, then gives the effects back (house rule M5).
    ///
    /// Blocks until the batch is on the disk at the journal's [`Durability`]. On an error the
    /// effects are dropped: whether the records survive is unknown, so nothing may depend on them.
    /// An empty batch waits for what was queued before it.
    pub fn commit<E>(&self, batch: Batch, effects: E) -> Result<Committed<E>, CommitError> {
        check(&batch)?;
        let mut state = self.lock();
        while state.poison.is_none() && state.queue.len() > MAX_QUEUE_BYTES {
            state = self.wait(state);
        }
        if let Some(error) = state.poison {
            return Err(CommitError::Poisoned(error));
        }
        let mine = state.enqueue(batch, &self.shared.id)?;
        loop {
            if state.durable >= mine {
                return Ok(Committed { effects });
            }
            if let Some(error) = state.poison {
                return Err(CommitError::Fault(error));
            }
            state = match state.writer.take() {
                Some(writer) => self.lead(state, writer),
                None => self.wait(state),
            };
        }
    }

    /// Rewrites the file without superseded entries now. It happens by itself when more than half
    /// of a file is superseded.
    pub fn compact(&self) -> Result<(), CommitError> {
        let mut state = self.lock();
        loop {
            if let Some(error) = state.poison {
                return Err(CommitError::Poisoned(error));
            }
            let Some(mut writer) = state.writer.take() else {
                state = self.wait(state);
                continue;
            };
            // Under the lock: nothing is queued behind a rewrite that a caller asked for by hand.
            let last = state.durable;
            let done = writer.compact(last);
            state.finish_compaction(done);
            state.writer = Some(writer);
            self.shared.turn.notify_all();
            return state.poison.map_or(Ok(()), |error| Err(CommitError::Fault(error)));
        }
    }

    /// Lets the journal hold fewer live bytes than [`MAX_JOURNAL_BYTES`], as on a small machine.
    /// More than that is not possible.
    pub fn limit_to(&self, bytes: u64) {
        self.lock().limit = bytes.min(MAX_JOURNAL_BYTES);
    }

    /// How many live bytes records may bring the journal to.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.lock().limit
    }

    /// How many live bytes the journal has now: what a replay still needs.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.lock().live.total()
    }

    /// What the journal has done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let state = self.lock();
        Statistics {
            entries: state.entries,
            groups: state.groups,
            compactions: state.compactions,
            file_bytes: state.file_bytes,
            live_bytes: state.live.total(),
            durable: state.durable,
        }
    }

    /// The level this journal was opened with.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.shared.durability
    }

    /// Writes one group without holding the lock, so that others can queue the next one.
    fn lead<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        mut writer: Writer,
    ) -> MutexGuard<'a, State> {
        let group = core::mem::take(&mut state.queue);
        let last = state.next.saturating_sub(1);
        let worth_compacting =
            state.file_bytes > COMPACT_FROM_BYTES && state.file_bytes / 2 > state.live.total();
        drop(state);
        let written = writer.write(&group, last, self.shared.durability);
        let compaction = (written.is_ok() && worth_compacting).then(|| writer.compact(last));
        let mut state = self.lock();
        match written {
            Ok(()) => {
                state.durable = last;
                state.groups = state.groups.saturating_add(1);
            }
            Err(error) => state.poison = Some(error),
        }
        if let Some(done) = compaction {
            state.finish_compaction(done);
        }
        state.writer = Some(writer);
        self.shared.turn.notify_all();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.shared.turn.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

/// What snapshots and ends may take beside this limit.
const fn reserve(limit: u64) -> u64 {
    limit / RESERVE_PART
}

fn check(batch: &Batch) -> Result<(), CommitError> {
    if batch.len() > MAX_BATCH_RECORDS {
        return Err(CommitError::BatchTooLong);
    }
    match batch.entries.iter().find(|entry| entry.payload.len() > MAX_PAYLOAD_BYTES) {
        Some(entry) => Err(CommitError::PayloadTooLarge { bytes: entry.payload.len() }),
        None => Ok(()),
    }
}

impl State {
    /// Gives the batch its numbers and puts it into the queue; returns its last number.
    fn enqueue(&mut self, batch: Batch, id: &[u8; 16]) -> Result<u64, CommitError> {
        let added = batch.bytes();
        let grows = batch.entries.iter().any(|entry| entry.kind == Kind::Record);
        let limit = if grows { self.limit } else { self.limit.saturating_add(reserve(self.limit)) };
        if !batch.is_empty() && self.live.total().saturating_add(added) > limit {
            return Err(CommitError::JournalFull);
        }
        self.queue.reserve(usize::try_from(added).unwrap_or(0));
        let mut left = batch.len();
        for entry in batch.entries {
            left = left.saturating_sub(1);
            let encoded = Entry {
                kind: entry.kind,
                continues: left > 0,
                stream: entry.stream,
                number: self.next,
                payload: &entry.payload,
            };
            encoded.encode(id, &mut self.queue);
            self.live.add(entry.kind, entry.stream, entry.payload.len());
            self.next = self.next.saturating_add(1);
            self.entries = self.entries.saturating_add(1);
        }
        self.file_bytes = self.file_bytes.saturating_add(added);
        Ok(self.next.saturating_sub(1))
    }

    fn finish_compaction(&mut self, done: Result<usize, DiskError>) {
        match done {
            Ok(len) => {
                let queued = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
                self.file_bytes = u64::try_from(len).unwrap_or(u64::MAX).saturating_add(queued);
                self.compactions = self.compactions.saturating_add(1);
            }
            Err(error) => self.poison = Some(error),
        }
    }
}

impl Writer {
    /// Journal first, mark second: the mark never claims what the journal may lack.
    fn write(&mut self, group: &[u8], last: u64, durability: Durability) -> Result<(), DiskError> {
        let sync = durability == Durability::Full;
        self.disk.append(JOURNAL, group)?;
        if sync {
            self.disk.sync(JOURNAL)?;
        }
        self.mark.advance(last, sync)
    }

    fn compact(&mut self, last: u64) -> Result<usize, DiskError> {
        let damaged = DiskError { act: DiskAct::Read, kind: io::ErrorKind::InvalidData };
        let bytes = self.disk.read(JOURNAL)?.ok_or(damaged)?;
        let fresh = compacted(&bytes, last).ok_or(damaged)?;
        self.disk.replace(JOURNAL, &fresh)?;
        Ok(fresh.len())
    }
}
