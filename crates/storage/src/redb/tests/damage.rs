//! Records that are not what was written: an error, never a panic, and only for the realm concerned.

use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ServerVersion;
use proptest::prelude::*;
use redb::{Database, WriteTransaction};
use tempfile::{TempDir, tempdir};

use super::disks::Disks;
use crate::account::Accounts as _;
use crate::conformance::sample::{
    FIRST, append, client_file, commit, key, session, try_commit, user, write,
};
use crate::disk::{Disk, Keeps};
use crate::redb::key::{self, RealmId};
use crate::redb::{OpenError, RedbStore, record};
use crate::store::{Commit, CommitRefused, StorageError, Store as _};

/// A store with a realm of id 1 that has something in every table, and one of id 2.
fn store() -> (RedbStore, TempDir) {
    let dir = tempdir().unwrap();
    let store = RedbStore::in_dir(dir.path()).unwrap();
    fill(&store);
    (store, dir)
}

fn fill(store: &RedbStore) {
    for name in ["damaged", "sound"] {
        let mut start = append(0, 1, &[b"one", b"two", b"three"]);
        start.client_files = vec![(FIRST, client_file(1)), (FileIdent(3), client_file(2))];
        start.reciprocals = vec![(FIRST, ServerVersion(1), b"form".as_slice().into())];
        start.objects = write(0, &[(b"row", Some(b"object"))]).objects;
        start.schema = Some(b"schema".as_slice().into());
        commit(store, &key(name), start);
    }
    store.create_user(&user("u"), &session("s", "u")).unwrap();
    store.secret("secret", b"secret").unwrap();
}

/// The same store with something else in its database.
fn change(store: RedbStore, dir: &TempDir, change: impl FnOnce(&WriteTransaction)) -> RedbStore {
    drop(store);
    let database = Database::open(dir.path().join("realms.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
    drop(database);
    RedbStore::in_dir(dir.path()).unwrap()
}

#[track_caller]
fn check_corrupt<T: std::fmt::Debug>(result: &Result<T, StorageError>) {
    assert!(matches!(result, Err(StorageError::Corrupt(_))), "{result:?}");
}

#[test]
fn a_damaged_value_is_reported_wherever_it_is_read() {
    let (store, dir) = store();
    let id = RealmId(1);
    let store = change(store, &dir, |tx| {
        let bad: &[u8] = b"\x07not a record";
        tx.open_table(key::SCHEMAS.definition).unwrap().insert(&id.schema(), bad).unwrap();
        tx.open_table(key::ENTRIES.definition)
            .unwrap()
            .insert(&id.entry(ServerVersion(2)), bad)
            .unwrap();
        tx.open_table(key::CLIENT_FILES.definition)
            .unwrap()
            .insert(&id.client_file(FIRST), bad)
            .unwrap();
        let form = id.reciprocal(FIRST, ServerVersion(1));
        tx.open_table(key::RECIPROCALS.definition).unwrap().insert(&form, bad).unwrap();
        tx.open_table(key::OBJECTS.definition)
            .unwrap()
            .insert(id.object(b"row").as_slice(), bad)
            .unwrap();
        tx.open_table(key::USERS.definition).unwrap().insert("u", bad).unwrap();
        tx.open_table(key::SESSIONS.definition).unwrap().insert("s", bad).unwrap();
        tx.open_table(key::SECRETS.definition).unwrap().insert("secret", bad).unwrap();
    });
    let realm = key("damaged");
    check_corrupt(&store.realm(&realm));
    check_corrupt(&store.entries(&realm, ServerVersion(0), ServerVersion(3), 1000));
    check_corrupt(&store.client_file(&realm, FIRST));
    check_corrupt(&store.reciprocals(&realm, FIRST, ServerVersion(0)));
    check_corrupt(&store.objects(&realm, &[Box::new(*b"row")]));
    check_corrupt(&store.scan_objects(&realm, b"", None, 1));
    check_corrupt(&store.user("u"));
    check_corrupt(&store.session("s"));
    check_corrupt(&store.revoke_session("s"));
    check_corrupt(&store.secret("secret", b""));
    assert_eq!(store.realm(&key("sound")).unwrap().revision, 1);
}

#[test]
fn a_damaged_realm_stops_alone() {
    let (store, dir) = store();
    let store = change(store, &dir, |tx| {
        let short: &[u8] = &[1, 0, 0];
        tx.open_table(key::REALMS.definition)
            .unwrap()
            .insert(b"damaged".as_slice(), short)
            .unwrap();
    });
    let batch = ["damaged", "sound"].map(|name| (key(name), append(1, 4, &[b"four"])));
    let answers = store.commit(&batch).unwrap();
    assert!(matches!(answers[0], Err(CommitRefused::Damaged(_))), "{:?}", answers[0]);
    assert_eq!(answers[1], Ok(()));
    assert_eq!(store.realm(&key("sound")).unwrap().revision, 2);
}

#[test]
fn a_missing_record_is_not_taken_for_none() {
    let (store, dir) = store();
    let id = RealmId(1);
    let store = change(store, &dir, |tx| {
        tx.open_table(key::ENTRIES.definition)
            .unwrap()
            .remove(&id.entry(ServerVersion(2)))
            .unwrap();
        tx.open_table(key::CLIENT_FILES.definition)
            .unwrap()
            .remove(&id.client_file(FIRST))
            .unwrap();
    });
    let realm = key("damaged");
    let cases = [(0, 3, true), (1, 2, true), (1, 3, true), (0, 1, false), (2, 3, false)];
    for (after, until, is_corrupt) in cases {
        let entries = store.entries(&realm, ServerVersion(after), ServerVersion(until), usize::MAX);
        assert_eq!(matches!(entries, Err(StorageError::Corrupt(_))), is_corrupt, "{after} {until}");
    }
    check_corrupt(&store.client_file(&realm, FIRST));
    let client_files = vec![(FIRST, client_file(1))];
    let answer =
        try_commit(&store, &realm, Commit { base_revision: 1, client_files, ..Commit::default() });
    assert!(matches!(answer, Err(CommitRefused::Damaged(_))), "{answer:?}");
}

#[test]
fn sums_that_do_not_add_up_are_reported() {
    let (store, dir) = store();
    let realm = key("damaged");
    let entries = store.entries(&realm, ServerVersion(0), ServerVersion(3), 1000).unwrap();
    let wrong = record::encode_entry(&entries[1], 1_000_000);
    let store = change(store, &dir, |tx| {
        let key = RealmId(1).entry(ServerVersion(2));
        tx.open_table(key::ENTRIES.definition).unwrap().insert(&key, wrong.as_slice()).unwrap();
    });
    check_corrupt(&store.entries(&realm, ServerVersion(0), ServerVersion(3), 1000));
}

/// redb checks the pages of a file only that was not closed, and panics on some that are not what it wrote.
#[test]
fn an_altered_page_is_an_error_and_not_a_panic_for_who_opens_or_reads() {
    const LOG_LEN: usize = 8 * 4096;
    let disks = Disks::empty();
    fill(&disks.open(LOG_LEN).unwrap());
    let sound = disks.database.bytes();
    let pages = (1..sound.len() / 4096).filter(|page| sound[page * 4096..][..4096] != [0; 4096]);
    let mut damaged_count = 0;
    for at in pages.flat_map(|page| [0, 1, 2, 4, 6, 40].map(|i| page * 4096 + i)) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x41;
        let log = disks.log.crashed(Keeps::Nothing);
        let store = match Disks::new(Disk::new(bytes), log).open(LOG_LEN) {
            Ok(store) => store,
            Err(OpenError::Damaged { .. } | OpenError::Foreign { .. }) => continue,
            Err(error) => panic!("byte {at}: {error:?}"),
        };
        for realm in ["damaged", "sound"].map(key) {
            let all = (ServerVersion(0), ServerVersion(3));
            let results = [
                store.realm(&realm).map(drop),
                store.entries(&realm, all.0, all.1, 1000).map(drop),
                store.client_file(&realm, FIRST).map(drop),
                store.reciprocals(&realm, FIRST, ServerVersion(0)).map(drop),
                store.scan_objects(&realm, b"", None, 10).map(drop),
                store.user("u").map(drop),
                store.session("s").map(drop),
            ];
            damaged_count += results.iter().filter(|result| result.is_err()).count();
        }
        // Closing writes; a panic there may lead to another one, which ends the process.
        std::mem::forget(store);
    }
    assert!(damaged_count > 0, "no page mattered");
}

#[test]
fn the_format_is_needed() {
    let (store, dir) = store();
    drop(store);
    let database = Database::open(dir.path().join("realms.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(key::META.definition).unwrap().remove(key::FORMAT).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = RedbStore::in_dir(dir.path()).unwrap_err();
    assert!(matches!(error, super::super::OpenError::Foreign { .. }), "{error:?}");
}

proptest! {
    /// Any bytes are read to a value that is written as the same bytes, or are refused.
    #[test]
    fn any_bytes_decode_or_are_refused(mut value in prop::collection::vec(any::<u8>(), 0..120)) {
        check_decoders(&value);
        for layout in 1..=2 {
            if let Some(first) = value.first_mut() {
                *first = layout;
                check_decoders(&value);
            }
        }
    }

    /// The same for records with a few wrong bytes, or a wrong length.
    #[test]
    fn a_record_with_a_wrong_byte_decodes_or_is_refused(
        at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>(),
    ) {
        let records = [
            record::encode_user(&user("65a000000000000000000001")),
            record::encode_session(&session("65a0000000000000000000bb", "65a000000000000000000001")),
            record::encode_client_file(&client_file(7)),
        ];
        for mut value in records {
            let at = at.index(value.len());
            value[at] = byte;
            check_decoders(&value);
            value.truncate(cut.index(value.len() + 1));
            check_decoders(&value);
        }
    }
}

fn check_decoders(value: &[u8]) {
    if let Ok((id, realm)) = record::decode_realm(value) {
        assert_eq!(record::encode_realm(id, &realm), value);
    }
    if let Ok(entry) = record::decode_entry(ServerVersion(1), value) {
        assert_eq!(record::encode_entry(&entry, entry.cumulative_len), value);
    }
    if let Ok(file) = record::decode_client_file(value) {
        let encoded = record::encode_client_file(&file);
        // A record of format 1 is written in the layout of format 2.
        assert!(encoded == value || value[0] == 1);
        assert_eq!(record::decode_client_file(&encoded).unwrap(), file);
    }
    if let Ok(user) = record::decode_user("id", value) {
        assert_eq!(record::encode_user(&user), value);
    }
    if let Ok(session) = record::decode_session("id", value) {
        assert_eq!(record::encode_session(&session), value);
    }
    if let Ok(bytes) = record::decode_bytes(value) {
        assert_eq!(record::encode_bytes(bytes), value);
    }
}
