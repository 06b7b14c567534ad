//! Files that can't be opened, and what the operator is told.

use std::fs;
use std::path::Path;

use bailiwick_core::history::ClientFile;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use tempfile::tempdir;

use crate::conformance::sample::{FIRST, append, changesets, client_file, commit, key, moved};
use crate::redb::key::{CLIENT_FILES, FORMAT, LOG, LOG_UNTIL, META};
use crate::redb::{OpenError, RedbOptions, RedbStore};
use crate::store::Store as _;

#[test]
fn a_file_in_use_is_locked() {
    let dir = tempdir().unwrap();
    let store = RedbStore::in_dir(dir.path()).unwrap();
    let error = RedbStore::in_dir(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    assert!(error.to_string().contains("realms.redb is open in another process"), "{error}");
    drop(store);
    RedbStore::in_dir(dir.path()).unwrap();
}

/// The key that signs tokens is kept there.
#[cfg(unix)]
#[test]
fn a_new_directory_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempdir().unwrap();
    let path = dir.path().join("new/data");
    drop(RedbStore::in_dir(&path).unwrap());
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_later_format_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("store");
    drop(RedbStore::open(&path).unwrap());
    write(&path, META.definition, 4);
    let error = RedbStore::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::UnknownFormat { found: 4, .. }), "{error:?}");
    assert!(error.to_string().contains("format 4 and this program knows format 3"), "{error}");
}

/// What was told to a device as integrated stays acknowledged.
#[test]
fn a_file_of_format_1_becomes_one_of_format_3() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("store");
    let realm = key("realm");
    let now = moved(&client_file(7), 5, 3);
    let store = RedbStore::open(&path).unwrap();
    let mut start = append(0, 1, &[b"1", b"2", b"3"]);
    start.client_files = vec![(FIRST, now.clone())];
    commit(&store, &realm, start);
    drop(store);
    make_old(&path, 1);
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut files = transaction.open_table(CLIENT_FILES.definition).unwrap();
        let (key, mut value) = {
            let (key, value) = files.first().unwrap().unwrap();
            (*key.value(), value.value().to_vec())
        };
        // The layout, and without what was acknowledged: two numbers after the first three.
        value[0] = 1;
        value.drain(25..41);
        files.insert(&key, &*value).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);

    let store = RedbStore::open(&path).unwrap();
    let file = store.client_file(&realm, FIRST).unwrap().unwrap();
    assert_eq!(file, ClientFile { acknowledged: now.upload_cursor, ..now });
    drop(store);
    let database = Database::open(&path).unwrap();
    let meta = database.begin_read().unwrap().open_table(META.definition).unwrap();
    assert_eq!(meta.get(FORMAT).unwrap().unwrap().value(), 3);
}

#[test]
fn a_file_of_format_2_gets_a_log() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("store");
    let realm = key("realm");
    let store = RedbStore::open(&path).unwrap();
    commit(&store, &realm, append(0, 1, &[b"1"]));
    drop(store);
    make_old(&path, 2);
    for revision in 1..4 {
        let store = RedbStore::open(&path).unwrap();
        assert_eq!(store.realm(&realm).unwrap().revision, revision);
        commit(&store, &realm, append(revision, revision + 1, &[b"more"]));
        assert!(dir.path().join("store.log").exists());
    }
}

/// Takes away what formats before the third have not.
fn make_old(path: &Path, format: u64) {
    write(path, META.definition, format);
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut meta = transaction.open_table(META.definition).unwrap();
        assert!(meta.remove(LOG).unwrap().is_some() && meta.remove(LOG_UNTIL).unwrap().is_some());
    }
    transaction.commit().unwrap();
    fs::remove_file(path.with_extension("log")).unwrap();
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("store");
    write(&path, TableDefinition::new("books"), 1);
    check_foreign(&path);
    let database = Database::open(&path).unwrap();
    let reading = database.begin_read().unwrap();
    let tables: Vec<_> = reading.list_tables().unwrap().collect();
    assert_eq!(tables.iter().map(redb::TableHandle::name).collect::<Vec<_>>(), ["books"]);
    drop((reading, database));

    let other_meta = dir.path().join("meta");
    let database = Database::create(&other_meta).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TableDefinition::<u64, u64>::new("meta")).unwrap();
    transaction.commit().unwrap();
    drop(database);
    check_foreign(&other_meta);
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("store");
    let text = b"Dear diary, ".repeat(1000);
    fs::write(&path, &text).unwrap();
    check_foreign(&path);
    assert!(fs::read(&path).unwrap() == text, "the file has changed");
}

#[track_caller]
fn check_foreign(path: &Path) {
    let error = RedbStore::open(path).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert!(error.to_string().contains("move the file away"), "{error}");
}

/// Writes a format, or something else, with redb itself.
fn write(path: &Path, table: TableDefinition<'_, &'static str, u64>, value: u64) {
    let database = Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap().insert(FORMAT, value).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn a_directory_is_made_and_a_bad_one_is_named() {
    let dir = tempdir().unwrap();
    RedbStore::in_dir(dir.path().join("new/dir")).unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = RedbStore::in_dir(file.join("dir")).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    let error = RedbStore::open(dir.path().join("none/store")).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
}

#[test]
fn a_new_store_leaves_two_files() {
    let dir = tempdir().unwrap();
    // A crash while this process made a store, under the name that it uses.
    fs::write(dir.path().join(format!("realms.redb.new.{}", std::process::id())), "half").unwrap();
    drop(RedbStore::in_dir(dir.path()).unwrap());
    drop(RedbStore::in_dir(dir.path()).unwrap());
    let mut names: Vec<_> =
        fs::read_dir(&dir).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["realms.redb", "realms.redb.log"]);
}

#[test]
fn a_file_opens_with_any_options() {
    let dir = tempdir().unwrap();
    let realm = key("realm");
    let options = [
        RedbOptions::default(),
        RedbOptions::default().log_len(0),
        RedbOptions::default().cache_len(0),
        RedbOptions::default().check(),
    ];
    for (i, options) in (0..).zip(options) {
        let store = options.in_dir(dir.path()).unwrap();
        assert_eq!(changesets(&store, &realm).len() as u64, i);
        commit(&store, &realm, append(i, i + 1, &[b"changeset"]));
        assert_eq!(store.realm(&realm).unwrap().revision, i + 1);
    }
}
