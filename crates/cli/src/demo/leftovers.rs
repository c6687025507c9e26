//! What must be gone when the demo is interrupted: a node's process, and folders.
//!
//! Values clean up after themselves when they are dropped; a signal drops nothing. The invariant:
//! whatever is registered here is removed once, by its owner or by [`remove_all`].

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use perun_embedded_ckb::real_node::RealNode;

static NODE: Mutex<Option<RealNode>> = Mutex::new(None);
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Keeps a node running until the demo ends, in whatever way.
pub(super) fn keep(node: RealNode) {
    *NODE.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
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

/// Stops the node and removes every folder.
pub(crate) fn remove_all() {
    drop(NODE.lock().unwrap_or_else(PoisonError::into_inner).take());
    let folders = core::mem::take(&mut *FOLDERS.lock().unwrap_or_else(PoisonError::into_inner));
    folders.iter().for_each(|path| remove(path));
}
