//! What the log costs, and a log that is not what was written.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::tempdir;

use super::disks::{Disks, Watched};
use crate::account::Accounts as _;
use crate::conformance::sample::{append, changesets, commit, key, user, write};
use crate::disk::{Disk, Keeps};
use crate::redb::log::Log;
use crate::redb::tables::Tables;
use crate::redb::{OpenError, RedbOptions, RedbStore};
use crate::store::{StorageError, Store as _};

const PAGE: usize = 4096;
const LOG_LEN: usize = 16 * PAGE;

/// A store after three commits, of which only the log knows: records in its pages 1, 2 to 3, and 4.
fn crashed_store() -> Disks {
    let disks = Disks::empty();
    let store = disks.open(LOG_LEN).unwrap();
    let large = [7; PAGE];
    for (i, changeset) in (0..).zip([b"small".as_slice(), &large, b"last"]) {
        commit(&store, &key("realm"), append(i, i + 1, &[changeset]));
    }
    disks.crashed([Keeps::Nothing; 2])
}

/// The store with another log; how many commits it has.
fn open_with_log(disks: &Disks, log: Vec<u8>) -> Result<u64, OpenError> {
    let disks = Disks::new(disks.database.crashed(Keeps::Nothing), Disk::new(log));
    Ok(disks.open(LOG_LEN)?.realm(&key("realm")).unwrap().revision)
}

#[track_caller]
fn check_damaged(result: &Result<u64, OpenError>, context: &str) {
    assert!(matches!(result, Err(OpenError::Damaged { .. })), "{context}: {result:?}");
}

#[test]
fn a_commit_costs_one_flush_of_the_log() {
    let disks = Disks::empty();
    let store = disks.open(LOG_LEN).unwrap();
    commit(&store, &key("realm"), append(0, 1, &[b"one"]));
    disks.database.take_usage();
    disks.log.take_usage();
    commit(&store, &key("realm"), append(1, 2, &[b"two"]));
    store.put_user(&user("u")).unwrap();
    assert!(!store.revoke_session("none").unwrap());
    let (database, log) = (disks.database.take_usage(), disks.log.take_usage());
    assert_eq!((database.sync_count, database.written_len), (0, 0));
    assert_eq!((log.sync_count, log.written_len), (2, 2 * PAGE));
}

#[test]
fn a_full_log_is_started_again_and_everything_stays() {
    let disks = Disks::empty();
    let store = disks.open(4 * PAGE).unwrap();
    for i in 0..50 {
        let changeset = vec![1; usize::try_from(i).unwrap() * 500];
        commit(&store, &key("realm"), append(i, i + 1, &[&changeset]));
        let after_a_crash = disks.crashed([Keeps::Nothing; 2]).open(LOG_LEN).unwrap();
        assert!(changesets(&after_a_crash, &key("realm")) == changesets(&store, &key("realm")));
    }
    assert_eq!(disks.log.bytes().len(), 4 * PAGE);
}

#[test]
fn a_closed_store_has_nothing_to_repeat() {
    let disks = crashed_store();
    drop(disks.open(LOG_LEN).unwrap());
    let store = disks.open(LOG_LEN).unwrap();
    commit(&store, &key("realm"), append(3, 4, &[b"more"]));
    drop(store);
    let mut log = disks.log.bytes();
    log[PAGE..].fill(0);
    assert_eq!(open_with_log(&disks, log).unwrap(), 4);
}

#[test]
fn nothing_is_seen_before_it_is_durable() {
    let (log, seen) = (Watched::default(), Arc::new(Mutex::new(Vec::new())));
    let hook = log.hook.clone();
    let store = Arc::new(RedbOptions::default().on_backends(Disk::default(), log).unwrap());
    let (watched, revisions) = (Arc::downgrade(&store), Arc::clone(&seen));
    hook.set(move || {
        let store = watched.upgrade().unwrap();
        revisions.lock().unwrap().push(store.realm(&key("realm")).unwrap().revision);
    });
    for revision in 0..3 {
        commit(&*store, &key("realm"), write(revision, &[]));
        assert_eq!(store.realm(&key("realm")).unwrap().revision, revision + 1);
    }
    assert_eq!(*seen.lock().unwrap(), [0, 1, 2]);
}

#[test]
fn a_damaged_record_before_the_last_is_an_error() {
    let disks = crashed_store();
    let sound = disks.log.bytes();
    assert_eq!(open_with_log(&disks, sound.clone()).unwrap(), 3);
    // Heads, and contents: of the second also on its second page.
    let contents = [40, 60, 100, 150, 200];
    let second = (0..contents.len()).map(|i| 2 * PAGE + contents[i]).chain([3 * PAGE + 5]);
    let heads = [PAGE, 2 * PAGE].into_iter().flat_map(|at| (0..32).map(move |i| at + i));
    for at in heads.chain(contents.map(|i| PAGE + i)).chain(second) {
        for bit in [1, 0x80] {
            let mut log = sound.clone();
            log[at] ^= bit;
            check_damaged(&open_with_log(&disks, log), &format!("byte {at}"));
        }
    }
    for first in [PAGE, 2 * PAGE, 3 * PAGE] {
        let mut log = sound.clone();
        log[first..first + PAGE].fill(0);
        check_damaged(&open_with_log(&disks, log), &format!("page at {first}"));
    }
}

/// It looks like one that was not finished, which nobody was told of.
#[test]
fn an_incomplete_last_record_is_dropped_and_its_place_used() {
    let disks = crashed_store();
    for at in [0, 8, 16, 24, 32, 100] {
        let mut log = disks.log.bytes();
        log[4 * PAGE + at] ^= 1;
        assert_eq!(open_with_log(&disks, log.clone()).unwrap(), 2);
        let disks = Disks::new(disks.database.crashed(Keeps::Nothing), Disk::new(log));
        let store = disks.open(LOG_LEN).unwrap();
        commit(&store, &key("realm"), append(2, 3, &[b"other"]));
        let store = disks.crashed([Keeps::Nothing; 2]).open(LOG_LEN).unwrap();
        assert_eq!(changesets(&store, &key("realm"))[2].1, b"other".as_slice());
    }
}

#[test]
fn a_log_with_a_damaged_head_or_of_another_length_is_an_error() {
    let disks = crashed_store();
    let sound = disks.log.bytes();
    for at in 0..40 {
        let mut log = sound.clone();
        log[at] ^= 4;
        check_damaged(&open_with_log(&disks, log), &format!("byte {at}"));
    }
    for len in [1, 30, 40, PAGE, 5 * PAGE, LOG_LEN - PAGE, LOG_LEN - 1] {
        check_damaged(&open_with_log(&disks, sound[..len].to_vec()), &format!("length {len}"));
    }
    check_damaged(&open_with_log(&disks, [&*sound, &[0; PAGE]].concat()), "longer");
    // Lengths that no log has, and a sum that fits.
    for len in [40, PAGE, 2 * PAGE - 1] {
        let mut log = sound[..len].to_vec();
        log[24..32].copy_from_slice(&(len as u64).to_le_bytes());
        let sum = crc32fast::hash(&log[..32]);
        log[32..40].copy_from_slice(&u64::from(sum).to_le_bytes());
        check_damaged(&open_with_log(&disks, log), &format!("length {len}, as its head says"));
    }
}

/// A backup of one file and not of the other; between the two states something went past the log.
#[test]
fn a_database_older_than_a_commit_without_a_record_is_an_error() {
    let disks = Disks::empty();
    drop(disks.open(LOG_LEN).unwrap());
    let old = disks.database.crashed(Keeps::Everything);
    let store = disks.open(LOG_LEN).unwrap();
    commit(&store, &key("realm"), append(0, 1, &[&vec![7; 2 * LOG_LEN]]));
    commit(&store, &key("realm"), append(1, 2, &[b"changeset"]));
    let log = disks.log.bytes();
    assert_eq!(open_with_log(&disks, log.clone()).unwrap(), 2);
    check_damaged(&open_with_log(&Disks::new(old, Disk::default()), log), "a gap");
}

#[test]
fn the_same_calls_lead_to_the_same_bytes() {
    let files = || {
        let disks = Disks::empty();
        let options = RedbOptions::default().log_len(LOG_LEN).log_id(1);
        let store = options.on_backends(disks.database.clone(), disks.log.clone()).unwrap();
        commit(&store, &key("realm"), append(0, 1, &[b"changeset"]));
        store.checkpoint().unwrap();
        commit(&store, &key("realm"), append(1, 2, &[b"changeset"]));
        [disks.database.bytes(), disks.log.bytes()]
    };
    assert!(files() == files());
}

/// Whoever is told to look after a file is to look after the right one.
#[test]
fn what_fails_while_the_log_is_repeated_is_the_database() {
    let disks = crashed_store();
    disks.database.set_room(Some(0));
    let error = disks.open(LOG_LEN).unwrap_err();
    assert!(
        matches!(&error, OpenError::Io { path, .. } if path == Path::new("(no file)")),
        "{error:?}"
    );
    disks.database.set_room(None);
    disks.log.fail_to_read();
    let error = disks.open(LOG_LEN).unwrap_err();
    assert!(
        matches!(&error, OpenError::Io { path, .. } if path == Path::new("(no log file)")),
        "{error:?}"
    );
    assert_eq!(disks.open(LOG_LEN).unwrap().realm(&key("realm")).unwrap().revision, 3);
}

#[test]
fn a_database_older_than_the_start_of_its_log_is_an_error() {
    let disks = Disks::empty();
    drop(disks.open(LOG_LEN).unwrap());
    let old = disks.database.crashed(Keeps::Everything);
    for i in 0..3 {
        let store = disks.open(LOG_LEN).unwrap();
        commit(&store, &key("realm"), append(i, i + 1, &[b"changeset"]));
        let log = disks.log.bytes();
        drop(store);
        let result = open_with_log(&Disks::new(old.clone(), Disk::default()), log);
        match i {
            0 => assert_eq!(result.unwrap(), 1),
            _ => check_damaged(&result, "a gap"),
        }
    }
}

#[test]
fn a_log_of_another_store_or_none_is_refused() {
    let (disks, other) = (crashed_store(), crashed_store());
    for log in [other.log.bytes(), Vec::new()] {
        let result = open_with_log(&disks, log);
        assert!(matches!(result, Err(OpenError::Unpaired { .. })), "{result:?}");
    }
    let dir = tempdir().unwrap();
    drop(RedbStore::in_dir(dir.path()).unwrap());
    let log = dir.path().join("realms.redb.log");
    fs::remove_file(&log).unwrap();
    let error = RedbStore::in_dir(dir.path()).unwrap_err();
    assert!(error.to_string().contains("realms.redb.log is missing"), "{error}");
    assert!(!log.exists(), "a missing log is not replaced");
}

#[test]
fn a_used_log_without_its_database_is_left_alone() {
    let disks = crashed_store();
    let log = disks.log.bytes();
    for bytes in [log.clone(), b"Dear diary, ".repeat(1000)] {
        let orphan = Disks::new(Disk::default(), Disk::new(bytes.clone()));
        let error = orphan.open(LOG_LEN).unwrap_err();
        match error {
            OpenError::Orphaned { .. } => assert!(bytes == log),
            OpenError::Foreign { .. } => assert!(bytes != log),
            error => panic!("{error:?}"),
        }
        assert!(orphan.log.bytes() == bytes);
    }
    // Nothing is lost with one that was never used: a crash while a store was made leaves that.
    let mut unused = log;
    unused[PAGE..].fill(0);
    Disks::new(Disk::default(), Disk::new(unused)).open(LOG_LEN).unwrap();
}

#[test]
fn a_store_goes_on_with_a_copy_of_both_files() {
    let dir = tempdir().unwrap();
    let copy = tempdir().unwrap();
    let names = ["realms.redb", "realms.redb.log"];
    let copy_files = |from: &Path, to: &Path| {
        for name in names {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    };
    let realm = key("realm");
    let store = RedbStore::in_dir(dir.path()).unwrap();
    commit(&store, &realm, append(0, 1, &[b"one"]));
    drop(store);
    copy_files(dir.path(), copy.path());
    let store = RedbStore::in_dir(dir.path()).unwrap();
    commit(&store, &realm, append(1, 2, &[b"two"]));
    drop(store);
    copy_files(copy.path(), dir.path());
    let store = RedbStore::in_dir(dir.path()).unwrap();
    assert_eq!(store.realm(&realm).unwrap().revision, 1);
    commit(&store, &realm, append(1, 2, &[b"another two"]));
}

proptest! {
    /// Whatever the database does not have is read when the log is opened, wherever in the circle it lies.
    #[test]
    fn records_are_read_as_they_were_written(
        steps in prop::collection::vec(
            (prop_oneof![0..200_usize, PAGE - 40..PAGE - 20, 0..3 * PAGE], 0..4_usize), 1..60,
        ),
    ) {
        let disk = Disk::default();
        let mut log = Log::make(Box::new(disk.clone()), 9 * PAGE, 7).unwrap();
        let mut written = VecDeque::<(u64, Bytes)>::new();
        // Where checkpoints have begun, of which the first ends next.
        let mut marks = VecDeque::new();
        for (i, (len, what)) in (0..).zip(steps) {
            if what == 0 {
                marks.push_back(log.mark());
            }
            while what == 1 || !log.has_room(len) {
                let mark = marks.pop_front().unwrap_or_else(|| log.mark());
                log.release(mark);
                written.retain(|(number, _)| *number > mark.number);
                if what == 1 {
                    break;
                }
            }
            if !log.has_room(len) {
                continue;
            }
            let contents = Bytes::from(vec![i; len]);
            log.append(&contents).unwrap();
            written.push_back((log.mark().number, contents));
            let until = written[0].0 - 1;
            let kept = Box::new(disk.crashed(Keeps::Nothing));
            let (opened, records) = Log::open(kept, log.id(), until).unwrap();
            prop_assert_eq!(opened.mark().number, log.mark().number);
            prop_assert!(records.iter().eq(written.iter().map(|(_, contents)| contents)));
        }
    }

    /// Any changes are made or refused.
    #[test]
    fn any_bytes_are_repeated_or_refused(
        mut bytes in prop::collection::vec(any::<u8>(), 2..80), kind in 0..5_u8, table in 0..12_u8,
        len in 0..30_u8,
    ) {
        (bytes[0], bytes[1]) = (kind, table);
        if let Some(prefix) = bytes.get_mut(2..10) {
            prefix.copy_from_slice(&u64::from(len).to_le_bytes());
        }
        let store = Disks::empty().open(LOG_LEN).unwrap();
        let transaction = store.database.begin_write().unwrap();
        let mut tables = Tables::open(&transaction).unwrap();
        let result = tables.repeat(&bytes);
        prop_assert!(matches!(result, Ok(()) | Err(StorageError::Corrupt(_))), "{:?}", result);
    }
}
