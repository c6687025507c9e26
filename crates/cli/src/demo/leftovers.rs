//! What must be gone when the demo is interrupted: nodes' processes, and folders.
//!
//! Values clean up after themselves when they are dropped; a signal drops nothing. The invariant:
//! whatever is registered here is removed once, by its owner or by [`remove_all`].

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use perun_embedded_ckb::real_node::RealNode;
use perun_embedded_evm::anvil::Anvil;

static NODE: Mutex<Option<RealNode>> = Mutex::new(None);
static ANVIL: Mutex<Option<Anvil>> = Mutex::new(None);
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Keeps a node running until the demo ends, in whatever way.
pub(super) fn keep(node: RealNode) {
    *NODE.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
}

/// The same for an Anvil.
pub(super) fn keep_anvil(anvil: Anvil) {
    *ANVIL.lock().unwrap_or_else(PoisonError::into_inner) = Some(anvil);
}

pub(super) fn folder(path: &Path) {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
}

/// Removes a folder of somebody who is done with it.
pub(super) fn remove(path: &Path) {
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| known != path);
    // What cannot be removed is the system's to clean: it lies in its folder for such things.
    let _ = std::fs::remove_dir_all(path);
}

/// Stops the nodes and removes every folder.
pub(crate) fn remove_all() {
    drop(NODE.lock().unwrap_or_else(PoisonError::into_inner).take());
    drop(ANVIL.lock().unwrap_or_else(PoisonError::into_inner).take());
    let folders = core::mem::take(&mut *FOLDERS.lock().unwrap_or_else(PoisonError::into_inner));
    folders.iter().for_each(|path| remove(path));
}
