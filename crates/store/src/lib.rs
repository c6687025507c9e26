//! An append-only journal with snapshots, shared syncs and a rollback mark.
//!
//! It knows bytes and stream ids only: what a record means is decided above. It holds no keys and
//! reads no clock. The invariant that matters: [`Journal::commit`] gives the effects back only
//! after the records they depend on, and the mark that remembers how far the journal had come, are
//! on the disk. A caller who holds a released effect therefore holds proof that its record survives
//! a crash, and that an older copy of the journal will be recognised.
//!
//! ```
//! use perun_store::{Batch, Durability, MemoryDisk, OpenMode, StreamId, open};
//!
//! let (journal_disk, mark_disk) = (MemoryDisk::new(), MemoryDisk::new());
//! let channel = StreamId([7; 32]);
//! let opened = open(
//!     Box::new(journal_disk.clone()),
//!     Box::new(mark_disk.clone()),
//!     [1; 16], // a random id, used only when the journal is new
//!     OpenMode::Strict,
//!     Durability::Full,
//! )?;
//! let batch = Batch::new().record(channel, b"signed version 4".to_vec());
//! let message = opened.journal.commit(batch, "the signature on version 4")?.release();
//! assert_eq!(message, "the signature on version 4");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The bytes on the disk are described in `docs/journal-format.md`.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::as_conversions,
        clippy::float_arithmetic
    )
)]

mod batch;
mod compact;
mod disk;
mod error;
mod folder;
mod format;
mod journal;
mod mark;
mod memory;
mod open;

pub use batch::{Batch, MAX_BATCH_RECORDS, StreamId};
pub use disk::{Disk, DiskAct, DiskError};
pub use error::{CommitError, OpenError};
pub use folder::Folder;
pub use format::MAX_PAYLOAD_BYTES;
pub use journal::{Committed, Durability, Journal, MAX_JOURNAL_BYTES, Statistics};
pub use memory::{MemoryDisk, Survival, Trouble};
pub use open::{OpenMode, Opened, Stream, open, open_folders};
