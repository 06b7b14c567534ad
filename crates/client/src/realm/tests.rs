//! Transactions of a realm: as a whole or not at all, one after the other, beside readers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::*;
use crate::local::{EncryptionKey, HistoryEntry, Owner};
use crate::schema::{Class, PropertyType};
use crate::value::PrimaryKey;

fn schema() -> Schema {
    let dog = Class::new("Dog").primary_key("_id", PropertyType::Int);
    Schema::new().class(dog.property("name", PropertyType::String))
}

fn realm() -> Realm {
    Realm::with_clock(Arc::new(LocalFile::in_memory()), schema(), Arc::new(|| OriginTimestamp(7)))
        .unwrap()
}

fn keys(realm: &Realm) -> Vec<PrimaryKey> {
    let mut keys = Vec::new();
    realm.write(|tx| tx.keys("Dog").map(|found| keys = found)).unwrap();
    keys
}

fn version(realm: &Realm) -> ClientVersion {
    realm.snapshot().unwrap().state().version
}

fn history(realm: &Realm) -> Vec<HistoryEntry> {
    let entries = realm.snapshot().unwrap().history(ClientVersion(0)).unwrap();
    entries.map(Result::unwrap).collect()
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    let realm = realm();
    let before = version(&realm);
    let error = realm.write(|tx| {
        tx.create("Dog", 1)?;
        tx.object("Dog", 2).map(drop)
    });
    assert!(matches!(error, Err(WriteError::Refused(_))));
    let panic = catch_unwind(AssertUnwindSafe(|| {
        realm.write(|tx| {
            tx.create("Dog", 1)?;
            panic!("the application gave up");
            #[expect(unreachable_code, reason = "it gives the closure its type")]
            Ok::<_, WriteError>(())
        })
    }));
    assert!(panic.is_err());
    assert_eq!((version(&realm), keys(&realm)), (before, vec![]));
    // Nothing is held by who has failed.
    realm.write(|tx| tx.create("Dog", 1).map(drop)).unwrap();
    assert_eq!(keys(&realm), [PrimaryKey::Int(1)]);
}

#[test]
fn a_transaction_goes_on_after_a_refused_edit() {
    let realm = realm();
    realm
        .write(|tx| {
            assert!(tx.create("Dog", "x").is_err());
            tx.create("Dog", 1)?;
            assert!(tx.object("Dog", 1)?.set("name", 5).is_err());
            tx.object("Dog", 1)?.set("name", "Rex").map(drop)
        })
        .unwrap();
    assert_eq!(keys(&realm), [PrimaryKey::Int(1)]);
}

#[test]
fn a_transaction_without_edits_writes_nothing() {
    let realm = realm();
    let before = version(&realm);
    let mut news = realm.file().news();
    realm.write(|tx| tx.declare(&schema())).unwrap();
    realm.write(|tx| tx.create("Dog", "refused").map(drop).or(Ok::<_, WriteError>(()))).unwrap();
    assert_eq!(version(&realm), before);
    assert!(news.try_recv().is_err());
}

#[test]
fn a_transaction_is_recorded_with_the_time_of_the_clock() {
    let realm = realm();
    realm.write(|tx| tx.create("Dog", 1).map(drop)).unwrap();
    let entries = history(&realm);
    assert_eq!(entries.len(), 2, "the schema, and the dog");
    for entry in entries {
        assert_eq!(entry.origin_timestamp, OriginTimestamp(7));
        assert!(entry.is_uploadable());
    }
}

#[test]
fn a_transaction_in_another_one_is_refused() {
    let (realm, other) = (realm(), realm());
    // Two handles of one file, as two parts of an application may have opened it.
    let clone = Realm::open(Arc::clone(realm.file()), schema()).unwrap();
    realm
        .write(|tx| {
            let inner = clone.write(|tx| tx.create("Dog", 1).map(drop));
            assert!(matches!(inner, Err(WriteError::Nested)));
            // That of another realm is not in the way.
            other.write(|tx| tx.create("Dog", 1).map(drop))?;
            tx.create("Dog", 2).map(drop)
        })
        .unwrap();
    assert_eq!(keys(&realm), [PrimaryKey::Int(2)]);
    assert_eq!(keys(&other), [PrimaryKey::Int(1)]);
}

#[test]
fn readers_keep_what_they_see_and_never_wait() {
    let realm = realm();
    let dog = realm.snapshot().unwrap().schema().class("Dog").unwrap().id();
    realm.write(|tx| tx.create("Dog", 1).map(drop)).unwrap();
    let before = realm.snapshot().unwrap();
    realm
        .write(|tx| {
            tx.create("Dog", 2)?;
            // Somebody else reads while this transaction has not ended.
            let reader = realm.clone();
            let seen = thread::spawn(move || reader.snapshot().unwrap().count(dog).unwrap());
            assert_eq!(seen.join().unwrap(), 1);
            Ok::<_, WriteError>(())
        })
        .unwrap();
    assert_eq!(before.count(dog).unwrap(), 1);
    assert_eq!(realm.snapshot().unwrap().count(dog).unwrap(), 2);
}

#[test]
fn writers_wait_for_each_other() {
    let realm = realm();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let realm = realm.clone();
            thread::spawn(move || {
                for n in 0..25 {
                    realm
                        .write(|tx| {
                            let count = i64::try_from(tx.keys("Dog")?.len()).unwrap();
                            tx.create("Dog", count)?.set("name", format!("{writer}-{n}")).map(drop)
                        })
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(keys(&realm), (0..100).map(PrimaryKey::Int).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_async_transaction_is_the_same_on_another_thread() {
    let realm = realm();
    let key = realm
        .write_async(|tx| Ok::<_, WriteError>(tx.create("Dog", 1)?.key().clone()))
        .await
        .unwrap();
    assert_eq!(key, PrimaryKey::Int(1));
    let refused = realm.write_async(|tx| tx.create("Dog", 1).map(drop)).await;
    assert!(matches!(refused, Err(WriteError::Refused(_))));
    let writing = realm.clone();
    let panicking = tokio::spawn(async move {
        let write = writing.write_async(|_| -> Result<(), WriteError> { panic!("gave up") });
        write.await
    });
    assert!(panicking.await.unwrap_err().is_panic());
    assert_eq!(keys(&realm), [PrimaryKey::Int(1)]);
}

#[test]
fn a_local_realm_is_there_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dogs.realm");
    let options = OpenOptions::local().encryption_key(EncryptionKey::new([3; 64]));
    for key in 0..2 {
        let realm = Realm::open_local(&path, &options, schema()).unwrap();
        realm.write(|tx| tx.create("Dog", key).map(drop)).unwrap();
        assert_eq!(history(&realm), [], "nobody will ask for it");
    }
    let realm = Realm::open_local(&path, &options, Schema::new()).unwrap();
    assert_eq!(keys(&realm), [PrimaryKey::Int(0), PrimaryKey::Int(1)]);
    assert_eq!(version(&realm), ClientVersion(4), "the empty file, the schema, two dogs");
}

#[test]
fn the_realm_of_a_server_is_not_opened_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dogs.realm");
    let owner = Owner { app_id: "kennel".into(), ..Owner::default() };
    let options = OpenOptions::new(owner);
    drop(LocalFile::open(&path, &options).unwrap());
    // Whatever the options say, what would be written there would never reach the server.
    let error = Realm::open_local(&path, &options, schema()).unwrap_err();
    assert!(matches!(error, OpenLocalError::File(OpenError::Owner { .. })), "{error}");
}
