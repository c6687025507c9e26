//! The real disk: one folder, locked against a second process, readable by its owner alone.
//!
//! It adds nothing to what [`Disk`] promises. The lock is the system's advisory lock on a file
//! named `lock`; it falls with the process, so a crash leaves nothing to clean up.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::disk::{Disk, DiskAct, DiskError};
use crate::error::OpenError;

const LOCK: &str = "lock";

/// A folder on a real file system.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held, never read: the lock lasts as long as this handle.
    _lock: File,
    open: BTreeMap<String, File>,
}

impl Folder {
    /// Opens the folder and locks it; creates it, for its owner alone, if it does not exist.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let fault = |error: io::Error| DiskError::new(DiskAct::Open, &error);
        if !path.is_dir() {
            create_private_folder(path).map_err(fault)?;
            // The new name must survive too, or a crash could take the whole folder away.
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                File::open(parent).and_then(|parent| parent.sync_all()).map_err(fault)?;
            }
        }
        let lock = private().write(true).create(true).open(path.join(LOCK)).map_err(fault)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_path_buf(), _lock: lock, open: BTreeMap::new() }),
            Err(fs::TryLockError::WouldBlock) => Err(OpenError::Locked),
            Err(fs::TryLockError::Error(error)) => {
                Err(DiskError::new(DiskAct::Lock, &error).into())
            }
        }
    }

    fn file(&mut self, name: &str, act: DiskAct) -> Result<&mut File, DiskError> {
        if !self.open.contains_key(name) {
            let opened = private().read(true).write(true).open(self.path.join(name));
            let file = opened.map_err(|error| DiskError::new(act, &error))?;
            self.open.insert(name.to_owned(), file);
        }
        let missing = DiskError { act, kind: io::ErrorKind::NotFound };
        self.open.get_mut(name).ok_or(missing)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let fresh = self.path.join(format!("{name}.new"));
        let mut file = private().write(true).create(true).truncate(true).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, self.path.join(name))?;
        File::open(&self.path)?.sync_all()
    }
}

impl Disk for Folder {
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::new(DiskAct::Read, &error)),
        }
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let file = self.file(name, DiskAct::Append)?;
        let done = file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(bytes));
        done.map_err(|error| DiskError::new(DiskAct::Append, &error))
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let file = self.file(name, DiskAct::Write)?;
        let done = file.seek(SeekFrom::Start(offset)).and_then(|_| file.write_all(bytes));
        done.map_err(|error| DiskError::new(DiskAct::Write, &error))
    }

    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        let done = self.file(name, DiskAct::Sync)?.sync_data();
        done.map_err(|error| DiskError::new(DiskAct::Sync, &error))
    }

    fn truncate(&mut self, name: &str, len: u64) -> Result<(), DiskError> {
        let file = self.file(name, DiskAct::Truncate)?;
        let done = file.set_len(len).and_then(|()| file.sync_all());
        done.map_err(|error| DiskError::new(DiskAct::Truncate, &error))
    }

    fn replace(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        // The handle would keep pointing at the file that is about to lose its name.
        self.open.remove(name);
        self.put(name, bytes).map_err(|error| DiskError::new(DiskAct::Replace, &error))
    }
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(unix)]
fn create_private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(not(unix))]
fn create_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}
