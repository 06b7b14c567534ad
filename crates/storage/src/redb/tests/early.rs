//! What is told before it can be read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use bailiwick_protocol::version::ServerVersion;

use super::disks::Disks;
use crate::conformance::sample::{append, key};
use crate::store::{StorageError, Store as _};

/// Whoever is told of a commit and reads finds it, though it was told before it can be read.
#[test]
fn a_read_waits_for_what_was_told() {
    let store = Arc::new(Disks::empty().open(1 << 20).unwrap());
    let (found, finds) = channel();
    let mut reader = None;
    let commits = [(key("realm"), append(0, 1, &[b"first"]))];
    let told = store.commit_early(&commits, &mut |answers| {
        assert_eq!(answers, [Ok(())]);
        let (store, found) = (Arc::clone(&store), found.clone());
        reader = Some(std::thread::spawn(move || {
            found.send(store.realm(&key("realm")).unwrap().head.version).unwrap();
        }));
        let early = finds.recv_timeout(Duration::from_millis(100));
        assert_eq!(early, Err(RecvTimeoutError::Timeout), "it was read too early");
    });
    told.unwrap();
    assert_eq!(finds.recv().unwrap(), ServerVersion(1));
    reader.unwrap().join().unwrap();
}

/// A panic in between stops the store, which would otherwise answer as if what was told were not there.
#[test]
fn after_a_panic_nothing_older_than_what_was_told_is_read() {
    let disks = Disks::empty();
    let store = disks.open(1 << 20).unwrap();
    let commits = [(key("realm"), append(0, 1, &[b"first"]))];
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        store.commit_early(&commits, &mut |_| panic!("a test has arranged this"))
    }));
    assert!(panicked.is_err());
    assert!(matches!(store.realm(&key("realm")), Err(StorageError::Stopped)));
    drop(store);
    let store = disks.open(1 << 20).unwrap();
    assert_eq!(store.realm(&key("realm")).unwrap().head.version, ServerVersion(1));
}
