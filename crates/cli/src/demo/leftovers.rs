//! What must be gone when the demo is interrupted: nodes' processes, and folders.
//!
//! Values clean up after themselves when they are dropped; a signal drops nothing. The invariant:
//! whatever is registered here is removed once, by its owner or by [`remove_all`], and after
//! [`interrupt`] nothing is registered any more.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use perun_embedded_ckb::real_node::{NodeError, RealNode};
use perun_embedded_evm::anvil::Anvil;

use super::Failure;

/// How often a folder may resist.
const TRIES_MAX: usize = 100;

static NODE: Mutex<Option<RealNode>> = Mutex::new(None);
static ANVIL: Mutex<Option<Anvil>> = Mutex::new(None);
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Starts a node that runs until the demo ends, in whatever way. Who interrupts waits until this
/// has given up.
pub(super) fn keep(
    start: impl FnOnce(&dyn Fn() -> bool) -> Result<RealNode, NodeError>,
) -> Result<String, NodeError> {
    let mut kept = lock(&NODE);
    let node = start(&|| !INTERRUPTED.load(Ordering::SeqCst))?;
    Ok(kept.insert(node).url().to_owned())
}

/// The same for an Anvil, which does not listen yet.
pub(super) fn keep_anvil<T>(
    start: impl FnOnce() -> Result<(Anvil, T), Failure>,
) -> Result<T, Failure> {
    let mut kept = lock(&ANVIL);
    if INTERRUPTED.load(Ordering::SeqCst) {
        return Err("interrupted".into());
    }
    let (anvil, started) = start()?;
    *kept = Some(anvil);
    Ok(started)
}

/// Does what makes this folder, which is then somebody's. Who interrupts waits until it is made:
/// one that is made later would stay.
pub(super) fn folder<T>(
    path: &Path,
    make: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut folders = lock(&FOLDERS);
    if INTERRUPTED.load(Ordering::SeqCst) {
        return Err("interrupted".into());
    }
    folders.push(path.to_owned());
    make()
}

/// Removes a folder of somebody who is done with it.
pub(super) fn remove(path: &Path) {
    let mut folders = lock(&FOLDERS);
    take_away(path);
    folders.retain(|known| known != path);
}

/// Somebody whose node still runs may put a file there meanwhile. What cannot be removed at all is
/// the system's to clean: it lies in its folder for such things.
fn take_away(path: &Path) {
    for _ in 0..TRIES_MAX {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => std::thread::yield_now(),
            _ => return,
        }
    }
}

/// Stops the nodes and removes every folder.
pub(super) fn remove_all() {
    drop(lock(&NODE).take());
    drop(lock(&ANVIL).take());
    lock(&FOLDERS).drain(..).for_each(|path| take_away(&path));
}

/// The same before the process ends by a signal, which is up to the caller.
pub(super) fn interrupt() {
    INTERRUPTED.store(true, Ordering::SeqCst);
    remove_all();
}

/// Keeps a thread here whose nodes were just stopped: what it would tell is nobody's failure, and
/// the process is about to end.
pub(super) fn stay_if_interrupted() {
    while INTERRUPTED.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

fn lock<T>(kept: &'static Mutex<T>) -> MutexGuard<'static, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
