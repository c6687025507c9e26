//! Why the journal could not be opened, and why a commit was not made.
//!
//! Every text says what happened, what it means for the money, and what to do next.

use core::fmt;

use crate::disk::DiskError;

/// Why a journal could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The disk failed.
    Disk(DiskError),
    /// Another process holds the folder.
    Locked,
    /// The file does not start like a journal, or its header is damaged.
    NotAJournal,
    /// The journal was written by a newer version of the software.
    FormatTooNew {
        /// The format found.
        found: u16,
    },
    /// A record whose effects were released cannot be read.
    Corrupt {
        /// Where in the file the damage begins.
        offset: u64,
        /// The number of the first record that is lost.
        number: u64,
    },
    /// The journal is older than the mark says it must be.
    RolledBack {
        /// The last record in the journal.
        journal: u64,
        /// The last record that was ever released.
        mark: u64,
    },
    /// There are records but no mark, so an old copy could not be recognised.
    MarkMissing {
        /// The last record in the journal.
        journal: u64,
    },
    /// Neither copy of the mark can be read.
    MarkDamaged,
    /// The mark belongs to another journal.
    MarkOfAnotherJournal,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(error) => write!(
                f,
                "{error}. The journal was not opened and nothing was signed, so no money is at \
                 risk as long as you are back before an open dispute ends. Check the disk and its \
                 free space, then start again."
            ),
            Self::Locked => f.write_str(
                "Another process has this store open. Two nodes on one store could sign two \
                 different states and lose money, so this one stops. Stop the other process, then \
                 start again.",
            ),
            Self::NotAJournal => f.write_str(
                "The journal's header cannot be read. Your channels are still on the ledger, but \
                 their newest states are not known here. Do not start with an empty folder: \
                 restore the newest copy, or let a watchtower or the peer supply the states.",
            ),
            Self::FormatTooNew { found } => write!(
                f,
                "The journal has format {found}, which is newer than this version can read. \
                 Nothing was changed and no money moved. Start the newer version of the software."
            ),
            Self::Corrupt { offset, number } => write!(
                f,
                "The journal is damaged at byte {offset}: record {number} was relied upon and can \
                 no longer be read. Signing on from here could contradict a state you have already \
                 signed and cost the channel's balance. Restore the newest copy of the journal; \
                 the mark will tell whether it is complete."
            ),
            Self::RolledBack { journal, mark } => write!(
                f,
                "This journal ends at record {journal}, but the mark shows that record {mark} was \
                 written once: it is an older copy. States signed since are missing here, and \
                 closing a channel with an older state can cost its balance. Nothing will be \
                 signed. Put the newest journal back; if it is lost, resynchronise with your peers \
                 or let the ledger settle before you accept the older copy."
            ),
            Self::MarkMissing { journal } => write!(
                f,
                "The journal has records up to {journal}, but its mark is missing, so it cannot be \
                 told from an older copy. Using an older copy can cost a channel's balance. Put \
                 the mark file back, or resynchronise with your peers before you accept this journal."
            ),
            Self::MarkDamaged => f.write_str(
                "The mark file cannot be read, so this journal cannot be told from an older copy. \
                 Using an older copy can cost a channel's balance. Restore the mark file, or \
                 resynchronise with your peers before you accept this journal.",
            ),
            Self::MarkOfAnotherJournal => f.write_str(
                "The mark file belongs to a different journal. Nothing was opened and no money \
                 moved. Check that the journal folder and the mark folder belong together.",
            ),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<DiskError> for OpenError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// Why a batch was not committed. The effects given with it were dropped, not released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommitError {
    /// The caller put more entries into a batch than [`crate::MAX_BATCH_RECORDS`].
    BatchTooLong,
    /// An entry is larger than [`crate::MAX_PAYLOAD_BYTES`].
    PayloadTooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The journal is full of records that no snapshot replaces.
    JournalFull,
    /// The disk failed during this commit; whether the records survive is unknown.
    Fault(DiskError),
    /// The disk failed before; no further commit is attempted until the journal is opened again.
    Poisoned(DiskError),
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BatchTooLong => f.write_str(
                "One step tried to write more entries than a batch may hold. Nothing was written \
                 or signed, so no money moved. Split the step.",
            ),
            Self::PayloadTooLarge { bytes } => write!(
                f,
                "A record of {bytes} bytes is larger than the journal takes. Nothing was written \
                 or signed, so no money moved. Store less in one record."
            ),
            Self::JournalFull => f.write_str(
                "The journal is full. Nothing was written or signed, so no money moved, but \
                 payments stop. Close channels you no longer need, or take snapshots of the open ones.",
            ),
            Self::Fault(error) => write!(
                f,
                "{error}. The state was not signed, so the last one your peer holds still counts. \
                 The journal takes no more commits. Free or replace the disk, then restart."
            ),
            Self::Poisoned(error) => write!(
                f,
                "The journal stopped after an earlier failure ({error}). Nothing is signed until \
                 it is opened again; funds stay in the channels. Free or replace the disk, then \
                 restart before an open dispute ends."
            ),
        }
    }
}

impl std::error::Error for CommitError {}
