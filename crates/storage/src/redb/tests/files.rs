//! Files that can't be opened, and what the operator is told.

use std::fs;
use std::path::Path;

use bailiwick_core::history::ClientFile;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use tempfile::tempdir;

use crate::conformance::sample::{FIRST, append, changesets, client_file, commit, key, moved};
use crate::redb::key::{CLIENT_FILES, FORMAT, META};
use crate::redb::{OpenError, RedbOptions, RedbStore, Repair};
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
    write(&path, META, 3);
    let error = RedbStore::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::UnknownFormat { found: 3, .. }), "{error:?}");
    assert!(error.to_string().contains("format 3 and this program knows format 2"), "{error}");
}

/// What was told to a device as integrated stays acknowledged.
#[test]
fn a_file_of_format_1_becomes_one_of_format_2() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("store");
    let realm = key("realm");
    let now = moved(&client_file(7), 5, 3);
    let store = RedbStore::open(&path).unwrap();
    let mut start = append(0, 1, &[b"1", b"2", b"3"]);
    start.client_files = vec![(FIRST, now.clone())];
    commit(&store, &realm, start);
    drop(store);
    write(&path, META, 1);
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut files = transaction.open_table(CLIENT_FILES).unwrap();
        let (key, mut value) = {
            let (key, value) = files.first().unwrap().unwrap();
            (*key.value(), value.value().to_vec())
        };
        // The layout, and without what was acknowledged: two numbers after the first three.
        value[0] = 1;
        value.drain(1 + 3 * 8..1 + 5 * 8);
        files.insert(&key, &*value).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);

    let store = RedbStore::open(&path).unwrap();
    let file = store.client_file(&realm, FIRST).unwrap().unwrap();
    assert_eq!(file, ClientFile { acknowledged: now.upload_cursor, ..now });
    drop(store);
    let database = Database::open(&path).unwrap();
    let meta = database.begin_read().unwrap().open_table(META).unwrap();
    assert_eq!(meta.get(FORMAT).unwrap().unwrap().value(), 2);
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
fn a_new_store_leaves_one_file() {
    let dir = tempdir().unwrap();
    // A crash while this process made a store, under the name that it uses.
    fs::write(dir.path().join(format!("realms.redb.new.{}", std::process::id())), "half").unwrap();
    drop(RedbStore::in_dir(dir.path()).unwrap());
    drop(RedbStore::in_dir(dir.path()).unwrap());
    let names: Vec<_> = fs::read_dir(&dir).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["realms.redb"]);
}

#[test]
fn a_file_opens_with_any_options() {
    let dir = tempdir().unwrap();
    let realm = key("realm");
    let options = [
        RedbOptions::default(),
        RedbOptions::default().repair(Repair::Quick),
        RedbOptions::default().repair(Repair::Thorough).cache_len(0),
        RedbOptions::default().check(),
    ];
    for (i, options) in (0..).zip(options) {
        let store = options.in_dir(dir.path()).unwrap();
        assert_eq!(changesets(&store, &realm).len() as u64, i);
        commit(&store, &realm, append(i, i + 1, &[b"changeset"]));
        assert_eq!(store.realm(&realm).unwrap().revision, i + 1);
    }
}
