//! Random operations against an in-memory twin: whatever happens, a replay gives what the twin
//! holds.

use std::collections::BTreeMap;

use perun_store::{
    Batch, Durability, MemoryDisk, OpenMode, Opened, Stream, StreamId, Survival, open,
};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Write {
    Record(u8, Vec<u8>),
    Snapshot(u8, Vec<u8>),
    End(u8),
}

#[derive(Clone, Debug)]
enum Act {
    Commit(Vec<Write>),
    Compact,
    Reopen,
    CrashInCommit(Vec<Write>, u64),
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        6 => (0..4_u8, vec(any::<u8>(), 0..40)).prop_map(|(n, bytes)| Write::Record(n, bytes)),
        2 => (0..4_u8, vec(any::<u8>(), 0..40)).prop_map(|(n, bytes)| Write::Snapshot(n, bytes)),
        1 => (0..4_u8).prop_map(Write::End),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => vec(write(), 0..4).prop_map(Act::Commit),
        1 => Just(Act::Compact),
        1 => Just(Act::Reopen),
        1 => (vec(write(), 1..4), 0..300_u64).prop_map(|(w, n)| Act::CrashInCommit(w, n)),
    ]
}

type Twin = BTreeMap<StreamId, Stream>;

fn batch(writes: &[Write]) -> Batch {
    writes.iter().fold(Batch::new(), |batch, write| match write {
        Write::Record(n, bytes) => batch.record(StreamId([*n; 32]), bytes.clone()),
        Write::Snapshot(n, bytes) => batch.snapshot(StreamId([*n; 32]), bytes.clone()),
        Write::End(n) => batch.end(StreamId([*n; 32])),
    })
}

fn evolve(twin: &mut Twin, writes: &[Write]) {
    for write in writes {
        match write {
            Write::Record(n, bytes) => {
                twin.entry(StreamId([*n; 32])).or_default().records.push(bytes.clone());
            }
            Write::Snapshot(n, bytes) => {
                let stream = Stream { snapshot: Some(bytes.clone()), records: Vec::new() };
                twin.insert(StreamId([*n; 32]), stream);
            }
            Write::End(n) => {
                twin.remove(&StreamId([*n; 32]));
            }
        }
    }
}

fn start(journal: &MemoryDisk, mark: &MemoryDisk) -> Opened {
    let (journal, mark) = (Box::new(journal.clone()), Box::new(mark.clone()));
    open(journal, mark, [9; 16], OpenMode::Strict, Durability::Full).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_replay_gives_what_the_twin_holds(acts in vec(act(), 1..30)) {
        let (journal, mark) = (MemoryDisk::new(), MemoryDisk::new());
        let mut opened = start(&journal, &mark);
        let mut twin = Twin::new();
        for act in acts {
            match act {
                Act::Commit(writes) => {
                    let _ = opened.journal.commit(batch(&writes), ()).unwrap();
                    evolve(&mut twin, &writes);
                }
                Act::Compact => opened.journal.compact().unwrap(),
                Act::Reopen => {
                    drop(opened);
                    opened = start(&journal, &mark);
                    prop_assert_eq!(&opened.streams, &twin);
                }
                Act::CrashInCommit(writes, survivors) => {
                    journal.plan(perun_store::Trouble::FreezeAt(1));
                    prop_assert!(opened.journal.commit(batch(&writes), ()).is_err());
                    drop(opened);
                    journal.crash(Survival::Prefix(survivors));
                    opened = start(&journal, &mark);
                    let mut with = twin.clone();
                    evolve(&mut with, &writes);
                    prop_assert!(opened.streams == twin || opened.streams == with);
                    twin = opened.streams.clone();
                }
            }
        }
        drop(opened);
        prop_assert_eq!(start(&journal, &mark).streams, twin);
    }

    #[test]
    fn no_bytes_in_either_file_make_the_journal_panic(
        noise in vec(any::<u8>(), 0..300),
        mark_noise in vec(any::<u8>(), 0..80),
        header in any::<bool>(),
    ) {
        let (journal, mark) = (MemoryDisk::new(), MemoryDisk::new());
        drop(start(&journal, &mark));
        let mut bytes = if header { journal.contents("journal").unwrap() } else { Vec::new() };
        bytes.extend(noise);
        journal.put("journal", bytes);
        if !header {
            mark.put("mark", mark_noise);
        }
        for mode in [OpenMode::Strict, OpenMode::AcceptOlder] {
            let (journal, mark) = (Box::new(journal.clone()), Box::new(mark.clone()));
            let _ = open(journal, mark, [9; 16], mode, Durability::Full);
        }
    }
}
