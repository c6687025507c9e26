//! Group commit, rollback detection, compaction and limits.

use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use perun_store::{
    Batch, CommitError, Durability, MAX_BATCH_RECORDS, MAX_PAYLOAD_BYTES, MemoryDisk, OpenError,
    OpenMode, Opened, StreamId, open,
};

struct Disks {
    journal: MemoryDisk,
    mark: MemoryDisk,
}

impl Disks {
    fn new() -> Self {
        Self { journal: MemoryDisk::new(), mark: MemoryDisk::new() }
    }

    fn open_as(&self, mode: OpenMode, durability: Durability) -> Result<Opened, OpenError> {
        let (journal, mark) = (Box::new(self.journal.clone()), Box::new(self.mark.clone()));
        open(journal, mark, [4; 16], mode, durability)
    }

    fn open(&self) -> Result<Opened, OpenError> {
        self.open_as(OpenMode::Strict, Durability::Full)
    }
}

fn stream(n: u8) -> StreamId {
    StreamId([n; 32])
}

fn one(n: u8, payload: &[u8]) -> Batch {
    Batch::new().record(stream(n), payload.to_vec())
}

#[test]
fn waiting_threads_share_one_sync() {
    const THREADS: u8 = 16;
    let disks = Disks::new();
    let journal = disks.open().unwrap().journal;
    let before = disks.journal.syncs();
    // The first sync stands still until all other threads have queued their batches.
    let (entered, has_entered) = mpsc::channel();
    let gate = Arc::new(Barrier::new(2));
    let hook_gate = gate.clone();
    let first = std::sync::Mutex::new(Some(entered));
    disks.journal.on_sync(move || {
        if let Some(entered) = first.lock().unwrap().take() {
            entered.send(()).unwrap();
            hook_gate.wait();
        }
    });
    let commit = |n: u8| {
        let journal = journal.clone();
        thread::spawn(move || journal.commit(one(n, b"x"), n).unwrap().release())
    };
    let mut threads = vec![commit(0)];
    has_entered.recv().unwrap();
    threads.extend((1..THREADS).map(commit));
    while journal.statistics().entries < u64::from(THREADS) {
        thread::yield_now();
    }
    gate.wait();
    for (n, thread) in threads.into_iter().enumerate() {
        assert_eq!(usize::from(thread.join().unwrap()), n);
    }
    assert_eq!(journal.statistics().groups, 2, "one for the first, one for the other fifteen");
    assert_eq!(disks.journal.syncs() - before, 2);
    assert_eq!(disks.open().unwrap().streams.len(), usize::from(THREADS));
}

#[test]
fn effects_come_out_only_after_both_syncs() {
    let disks = Disks::new();
    let journal = disks.open().unwrap().journal;
    let (journal_syncs, mark_syncs) = (disks.journal.syncs(), disks.mark.syncs());
    let effect = journal.commit(one(1, b"x"), "signature").unwrap().release();
    assert_eq!(effect, "signature");
    assert_eq!(disks.journal.syncs() - journal_syncs, 1);
    assert_eq!(disks.mark.syncs() - mark_syncs, 1);
    assert_eq!(journal.durability(), Durability::Full);
}

#[test]
fn the_relaxed_level_has_to_be_named_and_does_not_sync() {
    assert_eq!(Durability::default(), Durability::Full);
    let disks = Disks::new();
    let journal = disks.open_as(OpenMode::Strict, Durability::Relaxed).unwrap().journal;
    let before = disks.journal.syncs() + disks.mark.syncs();
    let _ = journal.commit(one(1, b"x"), ()).unwrap();
    assert_eq!(disks.journal.syncs() + disks.mark.syncs(), before);
    assert_eq!(journal.durability(), Durability::Relaxed);
}

#[test]
fn an_older_copy_is_recognised_at_every_age() {
    let disks = Disks::new();
    let journal = disks.open().unwrap().journal;
    let mut copies = vec![disks.journal.contents("journal").unwrap()];
    for n in 0..10 {
        let _ = journal.commit(one(n, b"state"), ()).unwrap();
        if n == 6 {
            journal.compact().unwrap();
        }
        copies.push(disks.journal.contents("journal").unwrap());
    }
    drop(journal);
    let newest = copies.pop().unwrap();
    for (age, copy) in (0..).zip(copies) {
        disks.journal.put("journal", copy);
        let error = disks.open().unwrap_err();
        assert_eq!(error, OpenError::RolledBack { journal: age, mark: 10 });
        assert!(error.to_string().contains("older copy"));
    }
    disks.journal.put("journal", newest);
    assert_eq!(disks.open().unwrap().streams.len(), 10);
    disks.journal.remove("journal");
    assert_eq!(disks.open().unwrap_err(), OpenError::RolledBack { journal: 0, mark: 10 });
}

#[test]
fn an_older_copy_opens_only_when_the_caller_accepts_it() {
    let disks = Disks::new();
    let journal = disks.open().unwrap().journal;
    let _ = journal.commit(one(1, b"old"), ()).unwrap();
    let copy = disks.journal.contents("journal").unwrap();
    let _ = journal.commit(one(1, b"new"), ()).unwrap();
    drop(journal);
    disks.journal.put("journal", copy);
    assert!(disks.open().is_err());
    let opened = disks.open_as(OpenMode::AcceptOlder, Durability::Full).unwrap();
    assert_eq!(opened.streams[&stream(1)].records, [b"old".to_vec()]);
    drop(opened);
    assert!(disks.open().is_ok(), "the mark has moved back with the caller's consent");
}

#[test]
fn a_missing_or_foreign_mark_is_refused() {
    let disks = Disks::new();
    let journal = disks.open().unwrap().journal;
    let _ = journal.commit(one(1, b"x"), ()).unwrap();
    drop(journal);
    let other = Disks::new();
    drop(open(
        Box::new(other.journal.clone()),
        Box::new(other.mark.clone()),
        [5; 16],
        OpenMode::Strict,
        Durability::Full,
    ));
    disks.mark.put("mark", other.mark.contents("mark").unwrap());
    assert_eq!(disks.open().unwrap_err(), OpenError::MarkOfAnotherJournal);
    disks.mark.put("mark", vec![1, 2, 3]);
    assert_eq!(disks.open().unwrap_err(), OpenError::MarkDamaged);
    disks.mark.remove("mark");
    assert_eq!(disks.open().unwrap_err(), OpenError::MarkMissing { journal: 1 });
}

#[test]
fn snapshots_bound_the_file() {
    let disks = Disks::new();
    let journal = disks.open().unwrap().journal;
    let payload = vec![1; 10_000];
    for round in 0..2_000_u32 {
        let n = u8::try_from(round % 5).unwrap();
        let batch = if round % 50 < 5 {
            Batch::new().snapshot(stream(n), payload.clone())
        } else {
            one(n, &payload)
        };
        let _ = journal.commit(batch, ()).unwrap();
        let bytes = disks.journal.contents("journal").unwrap().len();
        assert!(bytes < 3 << 20, "{bytes} after {round}");
        assert_eq!(journal.statistics().file_bytes, bytes as u64);
    }
    assert!(journal.statistics().compactions > 2);
    let before = disks.replayed();
    journal.compact().unwrap();
    assert_eq!(disks.replayed(), before);
}

impl Disks {
    /// The streams as a second reader of the same bytes would find them.
    fn replayed(&self) -> std::collections::BTreeMap<StreamId, perun_store::Stream> {
        let copy = Self::new();
        copy.journal.put("journal", self.journal.contents("journal").unwrap());
        copy.mark.put("mark", self.mark.contents("mark").unwrap());
        copy.open().unwrap().streams
    }
}

#[test]
fn a_full_journal_still_takes_what_makes_room() {
    let disks = Disks::new();
    let journal = disks.open_as(OpenMode::Strict, Durability::Relaxed).unwrap().journal;
    let payload = vec![1; MAX_PAYLOAD_BYTES];
    let full = loop {
        match journal.commit(one(1, &payload), ()) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(full, CommitError::JournalFull);
    let _ = journal.commit(Batch::new().snapshot(stream(1), payload.clone()), ()).unwrap();
    let _ = journal.commit(one(1, &payload), ()).unwrap();
    assert!(journal.statistics().file_bytes < 32 << 20);
}

#[test]
fn limits_are_refused_before_anything_is_written() {
    let disks = Disks::new();
    let journal = disks.open().unwrap().journal;
    let bytes = MAX_PAYLOAD_BYTES + 1;
    let error = journal.commit(one(1, &vec![0; bytes]), ()).unwrap_err();
    assert_eq!(error, CommitError::PayloadTooLarge { bytes });
    let long = (0..=MAX_BATCH_RECORDS).fold(Batch::new(), |batch, _| batch.end(stream(1)));
    assert_eq!(journal.commit(long, ()).unwrap_err(), CommitError::BatchTooLong);
    assert_eq!(journal.statistics().entries, 0);
    let _ = journal.commit(Batch::new(), ()).unwrap();
    assert_eq!(journal.statistics().groups, 0, "an empty batch costs no sync");
}

#[test]
fn a_smaller_journal_is_full_earlier_and_keeps_a_sixteenth_for_what_makes_room() {
    let journal = Disks::new().open().unwrap().journal;
    journal.limit_to(u64::MAX);
    assert_eq!(journal.limit(), perun_store::MAX_JOURNAL_BYTES, "it only goes down");
    journal.limit_to(1_600);
    // 49 bytes of each entry are not payload.
    let _ = journal.commit(one(1, &[1; 1_551]), ()).unwrap();
    assert_eq!(journal.live_bytes(), 1_600);
    assert_eq!(journal.commit(one(1, &[]), ()).unwrap_err(), CommitError::JournalFull);
    let snapshot = |bytes: usize| Batch::new().snapshot(StreamId([1; 32]), vec![2; bytes]);
    assert_eq!(snapshot(52).bytes(), 101);
    assert_eq!(journal.commit(snapshot(52), ()).unwrap_err(), CommitError::JournalFull);
    let _ = journal.commit(snapshot(51), ()).unwrap();
    let _ = journal.commit(one(1, &[]), ()).unwrap();
    assert_eq!(journal.live_bytes(), 149);
}
