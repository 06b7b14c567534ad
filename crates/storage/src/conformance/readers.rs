//! Threads that read and write at the same time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;

use super::sample::{append, commit, key, objects, reciprocals, try_commit};
use crate::store::{Commit, CommitRefused, RealmKey, Store};

const ROUNDS: u64 = 50;
const ROWS: [&[u8]; 3] = [b"a", b"b", b"c"];

/// Every answer comes from one state: between two commits, never from the middle of one.
pub fn a_reader_sees_all_of_a_commit_or_nothing<S: Store>(store: &S) {
    let realm = key("realm");
    commit(store, &realm, step(0));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Acquire) {
                    last = check_one_state(store, &realm, last);
                }
                assert_eq!(check_one_state(store, &realm, last), ROUNDS);
            });
        }
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                store.checkpoint().unwrap();
            }
        });
        for round in 1..ROUNDS {
            commit(store, &realm, step(round));
        }
        done.store(true, Ordering::Release);
    });
}

/// A commit of two entries that writes its number to all rows.
fn step(round: u64) -> Commit {
    let mut step = append(round, 2 * round + 1, &[b"one", b"two"]);
    let number = Bytes::copy_from_slice(&round.to_be_bytes());
    step.objects = ROWS.map(|row| (row.into(), Some(number.clone()))).to_vec();
    step.schema = Some(number);
    step
}

/// Reads everything once; the number of commits seen, which is at least `last`.
fn check_one_state<S: Store>(store: &S, realm: &RealmKey, last: u64) -> u64 {
    let record = store.realm(realm).unwrap();
    assert!(record.revision >= last, "a commit was seen and then not");
    assert_eq!(record.head.version.0, 2 * record.revision);
    assert_eq!(record.cumulative_len, 6 * record.revision);
    assert_eq!(record.schema, (record.revision - 1).to_be_bytes().as_slice());

    let entries = store.entries(realm, ServerVersion(0), ServerVersion(u64::MAX), usize::MAX);
    let count = entries.unwrap().len() as u64;
    assert!(
        count.is_multiple_of(2) && count >= 2 * record.revision,
        "half of a commit: {count} entries"
    );

    let rows = ROWS.map(Into::into);
    let found = store.objects(realm, &rows).unwrap();
    assert!(found.iter().all(|object| *object == found[0]), "half of a commit: {found:?}");
    let scanned = objects(store, realm);
    assert!(scanned.iter().all(|(_, object)| *object == scanned[0].1), "half of a commit");
    assert_eq!(reciprocals(store, realm, super::sample::FIRST, 0), []);
    record.revision
}

/// Of commits computed from the same revision, one is carried out.
pub fn concurrent_commits_of_a_realm_are_serial<S: Store>(store: &S) {
    let (realm, writers, each) = (key("realm"), 4_u64, 10_u64);
    thread::scope(|scope| {
        for writer in 0..writers {
            let realm = &realm;
            scope.spawn(move || {
                let changeset = writer.to_be_bytes();
                for _ in 0..each {
                    loop {
                        let record = store.realm(realm).unwrap();
                        let next = record.head.version.0 + 1;
                        match try_commit(store, realm, append(record.revision, next, &[&changeset]))
                        {
                            Ok(()) => break,
                            Err(CommitRefused::Outdated { expected, actual }) => {
                                assert!(actual > expected);
                            }
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
            });
        }
    });
    let record = store.realm(&realm).unwrap();
    assert_eq!((record.revision, record.head.version.0), (writers * each, writers * each));
    let all = super::sample::changesets(store, &realm);
    for writer in 0..writers {
        let own = all.iter().filter(|(_, changeset)| changeset[..] == writer.to_be_bytes()).count();
        assert_eq!(own as u64, each, "entries of writer {writer}");
    }
}
