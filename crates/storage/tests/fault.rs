//! The faulty store fails exactly when it was told to.

#![expect(clippy::unwrap_used, reason = "a test panics when the store fails")]

use bailiwick_protocol::version::ServerVersion;
use bailiwick_storage::account::Accounts as _;
use bailiwick_storage::conformance::sample::{append, commit, key, user};
use bailiwick_storage::fault::{Fault, Faults, FaultyStore};
use bailiwick_storage::memory::MemoryStore;
use bailiwick_storage::store::{StorageError, Store as _};

fn store() -> (FaultyStore<MemoryStore>, Faults) {
    let store = FaultyStore::new(MemoryStore::new());
    let faults = store.faults();
    (store, faults)
}

#[test]
fn the_nth_read_fails_and_the_next_succeeds() {
    let (store, faults) = store();
    faults.arrange(Fault::Read(3));
    let realm = key("realm");
    commit(&store, &realm, append(0, 1, &[b"a"]));
    assert!(store.realm(&realm).is_ok());
    assert!(store.user("nobody").is_ok());
    let entries = store.entries(&realm, ServerVersion(0), ServerVersion(1), 10);
    assert!(matches!(entries, Err(StorageError::Backend(_))));
    assert!(store.realm(&realm).is_ok());
    assert_eq!((faults.reads(), faults.commits()), (4, 1));
}

/// The commit before the failing one is there in any case; `written` says whether the failing one is.
#[track_caller]
fn check_failing_commit(fault: Fault, written: bool) {
    let (store, faults) = store();
    let realm = key("realm");
    faults.arrange(fault);
    commit(&store, &realm, append(0, 1, &[b"a"]));
    let failed = store.commit(&[(realm.clone(), append(1, 2, &[b"b"]))]);
    assert!(matches!(failed, Err(StorageError::Backend(_))));
    assert!(matches!(store.realm(&realm), Err(StorageError::Stopped)));
    assert!(matches!(store.put_user(&user("u")), Err(StorageError::Stopped)));
    faults.reopen();
    let head = if written { 2 } else { 1 };
    assert_eq!(store.realm(&realm).unwrap().head.version.0, head);
    assert_eq!(store.user("u").unwrap(), None);
    commit(&store, &realm, append(head, head + 1, &[b"c"]));
}

#[test]
fn a_commit_fails_before_it_is_written() {
    check_failing_commit(Fault::BeforeCommit(2), false);
}

#[test]
fn a_commit_fails_after_it_is_written() {
    check_failing_commit(Fault::AfterCommit(2), true);
}

#[test]
fn a_change_of_accounts_counts_as_a_commit() {
    let (store, faults) = store();
    faults.arrange(Fault::AfterCommit(1));
    assert!(store.put_user(&user("u")).is_err());
    faults.reopen();
    assert_eq!(store.user("u").unwrap(), Some(user("u")));
}
