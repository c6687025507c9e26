//! Opening: replay what is there, cut what was never promised, refuse what is missing.
//!
//! The rollback mark decides what a damaged tail means. An entry numbered above the mark was never
//! released to anybody, so a torn one is cut without loss. An entry at or below it was relied upon,
//! so its absence is an error that names the place, never a silent skip.

use std::collections::BTreeMap;
use std::path::Path;

use crate::batch::StreamId;
use crate::compact::LiveBytes;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::folder::Folder;
use crate::format::{Entry, HEADER_BYTES, Header, HeaderFault, JOURNAL, Kind};
use crate::journal::{Durability, Journal};
use crate::mark::{MARK, Mark};

/// What to do about a journal that is older than its mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenMode {
    /// Refuse it. The right choice whenever nobody has looked.
    #[default]
    Strict,
    /// Take what can be read and move the mark back to it. Only for a caller who has made sure that
    /// nothing is signed before every channel was resynchronised or settled on its ledger.
    AcceptOlder,
}

/// One stream as the journal remembers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// The last snapshot, if one was taken.
    pub snapshot: Option<Vec<u8>>,
    /// The records since, oldest first.
    pub records: Vec<Vec<u8>>,
}

/// A journal that was opened, with everything it remembers.
#[derive(Debug)]
pub struct Opened {
    /// The journal, ready for commits.
    pub journal: Journal,
    /// Every stream that was not ended.
    pub streams: BTreeMap<StreamId, Stream>,
    /// How many bytes of a torn tail were cut. They were never promised to anybody.
    pub cut_bytes: u64,
}

/// Opens the journal in one folder with its mark in another, or creates both.
///
/// The mark's folder must lie outside of what a backup of the journal saves and restores.
pub fn open_folders(
    journal: &Path,
    mark: &Path,
    fresh_id: [u8; 16],
    mode: OpenMode,
    durability: Durability,
) -> Result<Opened, OpenError> {
    let journal = Box::new(Folder::open(journal)?);
    let mark = Box::new(Folder::open(mark)?);
    open(journal, mark, fresh_id, mode, durability)
}

/// Opens the journal on one disk with its mark on another, or creates both.
///
/// `fresh_id` is used only when there is no journal yet; it must be random.
pub fn open(
    mut disk: Box<dyn Disk>,
    mut mark_disk: Box<dyn Disk>,
    fresh_id: [u8; 16],
    mode: OpenMode,
    durability: Durability,
) -> Result<Opened, OpenError> {
    let bytes = match disk.read(JOURNAL)? {
        Some(bytes) => bytes,
        None => create(disk.as_mut(), mark_disk.as_mut(), fresh_id, mode)?,
    };
    let header = Header::decode(&bytes).map_err(|fault| match fault {
        HeaderFault::Unreadable => OpenError::NotAJournal,
        HeaderFault::TooNew(found) => OpenError::FormatTooNew { found },
    })?;
    let replay = Replay::run(&header, &bytes);
    let end = u64::try_from(replay.end).unwrap_or(u64::MAX);
    let cut_bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX).saturating_sub(end);
    if mode == OpenMode::Strict {
        check_mark(mark_disk.as_mut(), &header, &replay, cut_bytes > 0)?;
    }
    if cut_bytes > 0 {
        disk.truncate(JOURNAL, end)?;
    }
    // What was replayed may still sit in a cache only; it is acted upon from here on.
    disk.sync(JOURNAL)?;
    let mark = Mark::create(mark_disk, header.id, replay.last)?;
    let journal = Journal::start(disk, mark, header, replay.last, replay.live, end, durability);
    Ok(Opened { journal, streams: replay.streams, cut_bytes })
}

fn create(
    disk: &mut dyn Disk,
    mark_disk: &mut dyn Disk,
    id: [u8; 16],
    mode: OpenMode,
) -> Result<Vec<u8>, OpenError> {
    // The journal is created before its mark, so a mark alone means that the journal was lost.
    if mode == OpenMode::Strict && mark_disk.read(MARK)?.is_some() {
        let mark = Mark::number(mark_disk)?;
        return Err(OpenError::RolledBack { journal: 0, mark });
    }
    let bytes = Header { id, generation: 0, base: 1 }.encode();
    disk.replace(JOURNAL, &bytes)?;
    Ok(bytes)
}

fn check_mark(
    mark_disk: &mut dyn Disk,
    header: &Header,
    replay: &Replay,
    damaged: bool,
) -> Result<(), OpenError> {
    match Mark::read(mark_disk, &header.id)? {
        // A crash between creating the two files leaves a journal that nothing was ever written to.
        None if replay.last == 0 => Ok(()),
        None => Err(OpenError::MarkMissing { journal: replay.last }),
        Some(mark) if mark <= replay.last => Ok(()),
        Some(_) if damaged => {
            let offset = u64::try_from(replay.end).unwrap_or(u64::MAX);
            Err(OpenError::Corrupt { offset, number: replay.last.saturating_add(1) })
        }
        Some(mark) => Err(OpenError::RolledBack { journal: replay.last, mark }),
    }
}

/// What a journal's bytes say, up to the first entry that is not whole.
struct Replay {
    streams: BTreeMap<StreamId, Stream>,
    live: LiveBytes,
    /// The number of the last entry of the last whole batch.
    last: u64,
    /// Where in the file that batch ends.
    end: usize,
}

impl Replay {
    fn run(header: &Header, bytes: &[u8]) -> Self {
        let mut replay = Self {
            streams: BTreeMap::new(),
            live: LiveBytes::default(),
            last: header.base.saturating_sub(1),
            end: HEADER_BYTES.min(bytes.len()),
        };
        let mut rest = bytes.get(HEADER_BYTES..).unwrap_or_default();
        let mut batch = Vec::new();
        let mut expected = header.base;
        while let Some(entry) = Entry::decode(&header.id, &mut rest) {
            if entry.number != expected {
                break;
            }
            expected = expected.saturating_add(1);
            batch.push(entry);
            if entry.continues {
                continue;
            }
            for entry in batch.drain(..) {
                replay.apply(&entry);
            }
            replay.end = bytes.len().saturating_sub(rest.len());
        }
        replay
    }

    fn apply(&mut self, entry: &Entry<'_>) {
        self.last = entry.number;
        self.live.add(entry.kind, entry.stream, entry.payload.len());
        let payload = entry.payload.to_vec();
        match entry.kind {
            Kind::Record => self.streams.entry(entry.stream).or_default().records.push(payload),
            Kind::Snapshot => {
                let stream = Stream { snapshot: Some(payload), records: Vec::new() };
                self.streams.insert(entry.stream, stream);
            }
            Kind::End => {
                self.streams.remove(&entry.stream);
            }
        }
    }
}
