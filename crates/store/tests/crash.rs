//! Crashes at every change of either disk and at every byte of the tail.
//!
//! The rule under test: what was released is found again, what is found is whole batches in order,
//! and nothing that was never committed appears.

use std::collections::BTreeMap;

use perun_store::{
    Batch, CommitError, Durability, MemoryDisk, OpenError, OpenMode, Opened, Stream, StreamId,
    Survival, Trouble, open,
};

const JOURNAL: &str = "journal";
const A: StreamId = StreamId([0xaa; 32]);
const B: StreamId = StreamId([0xbb; 32]);

fn start(journal: &MemoryDisk, mark: &MemoryDisk) -> Result<Opened, OpenError> {
    let (journal, mark) = (Box::new(journal.clone()), Box::new(mark.clone()));
    open(journal, mark, [9; 16], OpenMode::Strict, Durability::Full)
}

/// Seven batches that use everything: single records, batches over two streams, snapshots, an end.
fn script() -> Vec<Batch> {
    vec![
        Batch::new().record(A, b"a1".to_vec()),
        Batch::new().record(A, b"a2".to_vec()).record(B, b"b1".to_vec()),
        Batch::new().snapshot(A, b"A at 2".to_vec()),
        Batch::new().record(A, vec![7; 100]).record(B, b"b2".to_vec()).record(A, Vec::new()),
        Batch::new().end(B),
        Batch::new().record(B, b"b again".to_vec()).snapshot(A, b"A at 5".to_vec()),
        Batch::new().record(A, b"a6".to_vec()),
    ]
}

/// What a journal must hold after the first `count` batches of the script, written down by hand.
fn expected(count: usize) -> BTreeMap<StreamId, Stream> {
    let stream = |snapshot: Option<&[u8]>, records: &[&[u8]]| Stream {
        snapshot: snapshot.map(<[u8]>::to_vec),
        records: records.iter().map(|record| record.to_vec()).collect(),
    };
    let big = [7; 100];
    let at_two = Some(b"A at 2".as_slice());
    let at_five = Some(b"A at 5".as_slice());
    let (a, b) = match count {
        0 => (None, None),
        1 => (Some(stream(None, &[b"a1"])), None),
        2 => (Some(stream(None, &[b"a1", b"a2"])), Some(stream(None, &[b"b1"]))),
        3 => (Some(stream(at_two, &[])), Some(stream(None, &[b"b1"]))),
        4 => (Some(stream(at_two, &[&big, b""])), Some(stream(None, &[b"b1", b"b2"]))),
        5 => (Some(stream(at_two, &[&big, b""])), None),
        6 => (Some(stream(at_five, &[])), Some(stream(None, &[b"b again"]))),
        _ => (Some(stream(at_five, &[b"a6"])), Some(stream(None, &[b"b again"]))),
    };
    let all = [(A, a), (B, b)];
    all.into_iter().filter_map(|(id, stream)| Some((id, stream?))).collect()
}

/// Runs the script until the disk refuses; returns how many batches were released.
fn run(opened: &Opened, compact_after: Option<usize>) -> usize {
    for (index, batch) in script().into_iter().enumerate() {
        if opened.journal.commit(batch, ()).is_err() {
            return index;
        }
        if compact_after == Some(index) && opened.journal.compact().is_err() {
            return index + 1;
        }
    }
    script().len()
}

/// Checks the rule after a crash, and that the journal works on.
fn check_after(journal: &MemoryDisk, mark: &MemoryDisk, released: usize, story: &str) {
    let opened = start(journal, mark).unwrap_or_else(|error| panic!("{story}: {error}"));
    let found = (released..=script().len()).find(|count| opened.streams == expected(*count));
    let found = found.unwrap_or_else(|| panic!("{story}: released {released}, {opened:?}"));
    assert!(found <= released + 1, "{story}: at most the batch in flight may be added");
    let _ = opened.journal.commit(Batch::new().record(A, b"after".to_vec()), ()).unwrap();
    drop(opened);
    let again = start(journal, mark).unwrap();
    let records = &again.streams[&A].records;
    assert_eq!(records.last().unwrap(), b"after", "{story}");
    assert_eq!(again.cut_bytes, 0, "{story}: the tail was cut for good");
}

const SURVIVALS: [Survival; 8] = [
    Survival::Synced,
    Survival::All,
    Survival::Prefix(1),
    Survival::Prefix(30),
    Survival::Prefix(60),
    Survival::Hole(1),
    Survival::Hole(20),
    Survival::Hole(36),
];

#[test]
fn a_crash_at_any_change_of_the_journal_loses_nothing_released() {
    for compact_after in [None, Some(3)] {
        for survival in SURVIVALS {
            for at in 0.. {
                let (journal, mark) = (MemoryDisk::new(), MemoryDisk::new());
                let opened = start(&journal, &mark).unwrap();
                journal.plan(Trouble::FreezeAt(at));
                let released = run(&opened, compact_after);
                drop(opened);
                let done = journal.changes() <= at;
                journal.crash(survival);
                mark.crash(survival);
                let story = format!("change {at}, {survival:?}, compact {compact_after:?}");
                check_after(&journal, &mark, released, &story);
                if done {
                    assert_eq!(released, script().len());
                    assert!(at >= 14, "every append and sync was visited");
                    break;
                }
            }
        }
    }
}

#[test]
fn a_crash_at_any_change_of_the_mark_loses_nothing_released() {
    for survival in SURVIVALS {
        for at in 0.. {
            let (journal, mark) = (MemoryDisk::new(), MemoryDisk::new());
            let opened = start(&journal, &mark).unwrap();
            mark.plan(Trouble::FreezeAt(at));
            let released = run(&opened, None);
            drop(opened);
            let done = mark.changes() <= at;
            journal.crash(survival);
            mark.crash(survival);
            check_after(&journal, &mark, released, &format!("mark change {at}, {survival:?}"));
            if done {
                break;
            }
        }
    }
}

#[test]
fn a_crash_while_creating_or_opening_can_be_repeated() {
    for at in 0..4 {
        for on_mark in [false, true] {
            let (journal, mark) = (MemoryDisk::new(), MemoryDisk::new());
            let disk = if on_mark { &mark } else { &journal };
            disk.plan(Trouble::FreezeAt(at));
            let first = start(&journal, &mark);
            drop(first);
            journal.crash(Survival::Synced);
            mark.crash(Survival::Synced);
            let released = run(&start(&journal, &mark).unwrap(), None);
            disk.plan(Trouble::FreezeAt(at));
            drop(start(&journal, &mark));
            journal.crash(Survival::Synced);
            mark.crash(Survival::Synced);
            check_after(&journal, &mark, released, &format!("open at {at}"));
        }
    }
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_to_whole_batches() {
    let (journal, mark) = (MemoryDisk::new(), MemoryDisk::new());
    let opened = start(&journal, &mark).unwrap();
    for batch in script().into_iter().take(3) {
        let _ = opened.journal.commit(batch, ()).unwrap();
    }
    let (durable, mark_then) = (journal.contents(JOURNAL).unwrap(), mark.contents("mark").unwrap());
    let _ = opened.journal.commit(script().remove(3), ()).unwrap();
    let whole = journal.contents(JOURNAL).unwrap();
    for end in durable.len()..=whole.len() {
        for zero_from in [end, durable.len() + (end - durable.len()) / 2] {
            let mut torn = whole[..end].to_vec();
            torn[zero_from..].fill(0);
            let intact = torn == whole;
            let (journal, mark) = (MemoryDisk::new(), MemoryDisk::new());
            journal.put(JOURNAL, torn);
            mark.put("mark", mark_then.clone());
            let opened = start(&journal, &mark).unwrap();
            assert_eq!(opened.streams, expected(if intact { 4 } else { 3 }), "end {end}");
            if !intact {
                assert_eq!(journal.contents(JOURNAL).unwrap(), durable);
            }
        }
    }
}

#[test]
fn damage_below_the_mark_is_an_error_and_never_skipped() {
    let (journal, mark) = (MemoryDisk::new(), MemoryDisk::new());
    let opened = start(&journal, &mark).unwrap();
    assert_eq!(run(&opened, None), script().len());
    drop(opened);
    let healthy = journal.contents(JOURNAL).unwrap();
    for at in 0..healthy.len() {
        let mut bad = healthy.clone();
        bad[at] ^= 0x40;
        journal.put(JOURNAL, bad.clone());
        let error = start(&journal, &mark).unwrap_err();
        let named = match error {
            OpenError::NotAJournal | OpenError::FormatTooNew { .. } => at < 44,
            OpenError::Corrupt { offset, .. } => at >= 44 && offset <= at as u64,
            _ => false,
        };
        assert!(named, "byte {at}: {error:?}");
        assert_eq!(journal.contents(JOURNAL).unwrap(), bad, "nothing is changed on refusal");
    }
}

#[test]
fn a_failed_write_or_sync_poisons_the_journal() {
    for at in 0..2 {
        for on_mark in [false, true] {
            let (journal, mark) = (MemoryDisk::new(), MemoryDisk::new());
            let opened = start(&journal, &mark).unwrap();
            let _ = opened.journal.commit(script().remove(0), ()).unwrap();
            // The disk fails once and would then work again: it must not be believed.
            let disk = if on_mark { &mark } else { &journal };
            disk.plan(Trouble::FailOnce(at));
            let first = opened.journal.commit(script().remove(1), "effect");
            assert!(matches!(first, Err(CommitError::Fault(_))), "{first:?}");
            let second = opened.journal.commit(script().remove(2), "effect");
            assert!(matches!(second, Err(CommitError::Poisoned(_))), "{second:?}");
            assert!(matches!(opened.journal.compact(), Err(CommitError::Poisoned(_))));
            drop(opened);
            check_after(&journal, &mark, 1, "after a full disk");
        }
    }
}
