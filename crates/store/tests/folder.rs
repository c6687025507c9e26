//! The real disk: permissions, the lock, and a journal that lives through restarts.

use std::fs;
use std::path::{Path, PathBuf};

use perun_store::{Batch, Durability, Folder, OpenError, OpenMode, StreamId, open_folders};

/// A folder of its own for each test, removed afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("store-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn open(&self) -> Result<perun_store::Opened, OpenError> {
        let (journal, mark) = (self.0.join("node/journal"), self.0.join("mark"));
        open_folders(&journal, &mark, [3; 16], OpenMode::Strict, Durability::Full)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_journal_on_disk_lives_through_restarts_and_rewrites() {
    let scratch = Scratch::new("restarts");
    let channel = StreamId([8; 32]);
    for round in 0..20_u8 {
        let opened = scratch.open().unwrap();
        let records = opened.streams.get(&channel).map_or(0, |stream| stream.records.len());
        assert_eq!(records, usize::from(round));
        let _ = opened.journal.commit(Batch::new().record(channel, vec![round]), ()).unwrap();
        if round % 5 == 4 {
            opened.journal.compact().unwrap();
        }
    }
}

#[test]
fn a_restored_backup_of_the_folder_is_recognised() {
    let scratch = Scratch::new("rollback");
    let channel = StreamId([8; 32]);
    let file = scratch.0.join("node/journal/journal");
    let opened = scratch.open().unwrap();
    let _ = opened.journal.commit(Batch::new().record(channel, vec![1]), ()).unwrap();
    let backup = fs::read(&file).unwrap();
    let _ = opened.journal.commit(Batch::new().record(channel, vec![2]), ()).unwrap();
    drop(opened);
    fs::write(&file, backup).unwrap();
    let error = scratch.open().unwrap_err();
    assert_eq!(error, OpenError::RolledBack { journal: 1, mark: 2 });
}

#[test]
fn a_second_opener_is_kept_out_until_the_first_is_gone() {
    let scratch = Scratch::new("lock");
    let first = scratch.open().unwrap();
    assert_eq!(scratch.open().unwrap_err(), OpenError::Locked);
    drop(first);
    assert!(scratch.open().is_ok());
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("permissions");
    let opened = scratch.open().unwrap();
    opened.journal.compact().unwrap();
    for folder in ["node/journal", "mark"] {
        let folder = scratch.0.join(folder);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        for file in fs::read_dir(&folder).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", file.path());
        }
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_a_fault() {
    let scratch = Scratch::new("fault");
    let file = scratch.0.join("file");
    fs::write(&file, b"in the way").unwrap();
    assert!(matches!(Folder::open(&file.join("inside")), Err(OpenError::Disk(_))));
}
