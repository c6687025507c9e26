//! The only way to the disk: a handful of files in one folder, by name.
//!
//! The trait says nothing about journals. Its contract is what a careful reading of POSIX gives:
//! bytes appended or written are certain only after [`Disk::sync`] of that file returned without an
//! error, and [`Disk::replace`] leaves either the old file or the new one, whole, and is certain
//! when it returns. After an error nothing is known about the bytes that were not yet synced.

use core::fmt;
use std::io;

/// What was being done when the disk failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskAct {
    /// Opening or creating the folder.
    Open,
    /// Taking the lock that keeps a second process out.
    Lock,
    /// Reading a file.
    Read,
    /// Adding bytes at the end of a file.
    Append,
    /// Overwriting bytes inside a file.
    Write,
    /// Forcing bytes to the medium.
    Sync,
    /// Cutting a file to a shorter length.
    Truncate,
    /// Putting a whole new file in the place of an old one.
    Replace,
}

/// A failure of the disk: what was being done and what the system answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskError {
    /// What was being done.
    pub act: DiskAct,
    /// What the system answered.
    pub kind: io::ErrorKind,
}

impl DiskError {
    pub(crate) fn new(act: DiskAct, error: &io::Error) -> Self {
        Self { act, kind: error.kind() }
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let act = match self.act {
            DiskAct::Open => "open the folder",
            DiskAct::Lock => "lock the folder",
            DiskAct::Read => "read a file",
            DiskAct::Append => "append to a file",
            DiskAct::Write => "write into a file",
            DiskAct::Sync => "force a file to the medium",
            DiskAct::Truncate => "cut a file",
            DiskAct::Replace => "replace a file",
        };
        write!(f, "the disk could not {act}: {}", self.kind)
    }
}

impl std::error::Error for DiskError {}

/// Files in one folder. See the module's text for what each call promises.
pub trait Disk: Send {
    /// The whole file, or `None` when there is no such file.
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, DiskError>;
    /// Adds bytes at the end. The file must exist.
    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError>;
    /// Overwrites bytes at an offset. The file must exist.
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError>;
    /// Returns when all earlier writes to this file are on the medium.
    fn sync(&mut self, name: &str) -> Result<(), DiskError>;
    /// Cuts the file to `len` bytes, durably.
    fn truncate(&mut self, name: &str, len: u64) -> Result<(), DiskError>;
    /// Puts a new file in place of the old one, atomically and durably; creates it if absent.
    fn replace(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError>;
}
