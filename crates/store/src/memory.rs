//! A disk in memory that fails on command, for tests and for the simulator.
//!
//! It is not an emulation of a file system: it keeps exactly what [`Disk`] promises and nothing
//! more. Unsynced writes live in a cache; a crash throws the cache away except for the part that
//! the test chooses. Handles made by `clone` share one disk, so that a test keeps one to look
//! inside.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskAct, DiskError};

/// What of the unsynced writes is found after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Only what was synced.
    Synced,
    /// All of it: the crash was of the process, not of the machine.
    All,
    /// The first `n` unsynced bytes of each file; the rest never arrived.
    Prefix(u64),
    /// The right length, but the first `n` unsynced bytes read as zeros: later pages came first.
    Hole(u64),
}

/// A planned failure of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// From the `n`-th change on (from 0), every call fails, until [`MemoryDisk::crash`].
    FreezeAt(u64),
    /// The `n`-th change (from 0) fails once, as a full disk does; later ones work again.
    FailOnce(u64),
}

/// A disk in memory. Clones share the same files.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    inner: Arc<Mutex<Inner>>,
}

type SyncHook = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Inner {
    files: BTreeMap<String, FileBytes>,
    trouble: Option<Trouble>,
    frozen: bool,
    changes: u64,
    syncs: u64,
    on_sync: Option<SyncHook>,
}

#[derive(Clone, Default)]
struct FileBytes {
    durable: Vec<u8>,
    cached: Vec<u8>,
    /// The lowest offset that differs from the durable bytes, if any does.
    dirty_from: Option<usize>,
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Plans a failure, counted from the changes made so far on this disk.
    pub fn plan(&self, trouble: Trouble) {
        let mut inner = self.lock();
        inner.changes = 0;
        inner.trouble = Some(trouble);
    }

    /// Calls `hook` at the start of every sync, outside of the disk's own lock.
    pub fn on_sync(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.lock().on_sync = Some(Arc::new(hook));
    }

    /// The machine stops and comes back: the cache is lost but for what survives.
    pub fn crash(&self, survival: Survival) {
        let mut inner = self.lock();
        inner.frozen = false;
        inner.trouble = None;
        for file in inner.files.values_mut() {
            file.crash(survival);
        }
    }

    /// How many syncs were asked for.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// How many changes (writes, syncs, cuts, replacements) were asked for since the last plan.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// The file as a running process sees it.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().files.get(name).map(|file| file.cached.clone())
    }

    /// Puts a file there, durably: a restored backup, or damage.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let file = FileBytes { durable: bytes.clone(), cached: bytes, dirty_from: None };
        self.lock().files.insert(name.to_owned(), file);
    }

    /// Removes a file, durably.
    pub fn remove(&self, name: &str) {
        self.lock().files.remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Counts one change and says whether it is the one that fails.
    fn change(&mut self, act: DiskAct) -> Result<(), DiskError> {
        let now = self.changes;
        self.changes = self.changes.saturating_add(1);
        let failed = match self.trouble {
            Some(Trouble::FreezeAt(at)) if now >= at => {
                self.frozen = true;
                true
            }
            Some(Trouble::FailOnce(at)) => now == at,
            _ => false,
        };
        if failed || self.frozen {
            return Err(DiskError { act, kind: io::ErrorKind::StorageFull });
        }
        Ok(())
    }

    fn file(&mut self, name: &str, act: DiskAct) -> Result<&mut FileBytes, DiskError> {
        self.files.get_mut(name).ok_or(DiskError { act, kind: io::ErrorKind::NotFound })
    }
}

impl FileBytes {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.saturating_add(bytes.len());
        if self.cached.len() < end {
            self.cached.resize(end, 0);
        }
        if let Some(place) = self.cached.get_mut(offset..end) {
            place.copy_from_slice(bytes);
        }
        self.dirty_from = Some(self.dirty_from.map_or(offset, |from| from.min(offset)));
    }

    fn crash(&mut self, survival: Survival) {
        let from = self.dirty_from.take().unwrap_or(self.cached.len());
        let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        match survival {
            Survival::Synced => {}
            Survival::All => self.durable.clone_from(&self.cached),
            Survival::Prefix(n) => {
                let end = from.saturating_add(count(n)).min(self.cached.len());
                let arrived = self.cached.get(from..end).unwrap_or_default().to_vec();
                if self.durable.len() < end {
                    self.durable.resize(end, 0);
                }
                if let Some(place) = self.durable.get_mut(from..end) {
                    place.copy_from_slice(&arrived);
                }
            }
            Survival::Hole(n) => {
                let end = from.saturating_add(count(n)).min(self.cached.len());
                self.durable.clone_from(&self.cached);
                if let Some(hole) = self.durable.get_mut(from..end) {
                    hole.fill(0);
                }
            }
        }
        self.cached.clone_from(&self.durable);
    }
}

impl Disk for MemoryDisk {
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        let inner = self.lock();
        if inner.frozen {
            return Err(DiskError { act: DiskAct::Read, kind: io::ErrorKind::Other });
        }
        Ok(inner.files.get(name).map(|file| file.cached.clone()))
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let mut inner = self.lock();
        let failed = inner.change(DiskAct::Append);
        let file = inner.file(name, DiskAct::Append)?;
        // A failing append may leave part of its bytes behind, as a full disk does.
        let part = if failed.is_err() { bytes.len() / 2 } else { bytes.len() };
        let end = file.cached.len();
        file.write(end, bytes.get(..part).unwrap_or_default());
        failed
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let mut inner = self.lock();
        inner.change(DiskAct::Write)?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        inner.file(name, DiskAct::Write)?.write(offset, bytes);
        Ok(())
    }

    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        let hook = self.lock().on_sync.clone();
        if let Some(hook) = hook {
            hook();
        }
        let mut inner = self.lock();
        inner.syncs = inner.syncs.saturating_add(1);
        inner.change(DiskAct::Sync)?;
        let file = inner.file(name, DiskAct::Sync)?;
        file.durable.clone_from(&file.cached);
        file.dirty_from = None;
        Ok(())
    }

    fn truncate(&mut self, name: &str, len: u64) -> Result<(), DiskError> {
        let mut inner = self.lock();
        inner.change(DiskAct::Truncate)?;
        let file = inner.file(name, DiskAct::Truncate)?;
        file.cached.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        file.durable.clone_from(&file.cached);
        file.dirty_from = None;
        Ok(())
    }

    fn replace(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let mut inner = self.lock();
        inner.change(DiskAct::Replace)?;
        drop(inner);
        self.put(name, bytes.to_vec());
        Ok(())
    }
}
