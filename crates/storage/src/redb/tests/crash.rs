//! A crash between any two writes, and a disk that fails at any write.

use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;

use crate::account::Accounts as _;
use crate::conformance::sample::{
    FIRST, append, changesets, client_file, key, moved, objects, reciprocals, session, user,
};
use crate::disk::{Disk, Keeps};
use crate::memory::MemoryStore;
use crate::redb::{RedbOptions, RedbStore, Repair};
use crate::store::{Commit, RealmKey, RealmRecord, StorageError, Store};

const STEPS: u64 = 3;

fn open(disk: &Disk, repair: Repair) -> RedbStore {
    RedbOptions::default().cache_len(1 << 20).repair(repair).on_backend(disk.clone()).unwrap()
}

fn realms() -> [RealmKey; 2] {
    [key("first"), key("second")]
}

/// A batch for two realms that touches every table; some of it grows the file.
fn batch(step: u64) -> Vec<(RealmKey, Commit)> {
    realms().into_iter().map(|realm| (realm, commit(step))).collect()
}

fn commit(step: u64) -> Commit {
    let large = vec![u8::try_from(step).unwrap(); 5_000];
    let mut commit = append(step, 2 * step + 1, &[&large, &step.to_be_bytes()]);
    let file = client_file(1);
    commit.client_files = vec![(FIRST, moved(&file, step, 2 * step))];
    commit.forget_reciprocals = vec![(FIRST, ServerVersion(2 * step))];
    commit.reciprocals = vec![(FIRST, ServerVersion(2 * step + 1), Bytes::from(large))];
    let number = Bytes::copy_from_slice(&step.to_be_bytes());
    commit.objects = vec![
        (Box::new(*b"same"), Some(number.clone())),
        (number.to_vec().into(), Some(number.clone())),
        (step.wrapping_sub(2).to_be_bytes().into(), None),
    ];
    commit.schema = Some(number);
    commit
}

/// One step: a batch, then a change of the accounts.
fn carry_out(
    store: &(impl Store + crate::account::Accounts),
    step: u64,
) -> Result<(), StorageError> {
    for answer in store.commit(&batch(step))? {
        assert_eq!(answer, Ok(()));
    }
    store.create_user(&user(&step.to_string()), &session(&step.to_string(), &step.to_string()))
}

type Everything = (RealmRecord, Vec<(u64, Bytes)>, Vec<(Vec<u8>, Bytes)>, Vec<(u64, Bytes)>);

fn everything<S: Store>(store: &S, realm: &RealmKey) -> Everything {
    let record = store.realm(realm).unwrap();
    let file = store.client_file(realm, FIRST).unwrap();
    assert_eq!(file.is_some(), record.revision > 0);
    let forms = reciprocals(store, realm, FIRST, 0);
    (record, changesets(store, realm), objects(store, realm), forms)
}

/// Checks that the store holds what the model has after some number of steps, which is at least
/// `acknowledged` and at most one more, and that it can go on.
fn check_recovered(disk: &Disk, repair: Repair, acknowledged: u64, context: &str) {
    let store = open(disk, repair);
    let [first, second] = realms();
    let revision = store.realm(&first).unwrap().revision;
    assert!((acknowledged..=acknowledged + 1).contains(&revision), "{context}: {revision}");

    let model = MemoryStore::new();
    (0..revision).for_each(|step| carry_out(&model, step).unwrap());
    for realm in [&first, &second] {
        assert!(everything(&store, realm) == everything(&model, realm), "{context}: {realm:?}");
    }
    for step in 0..revision {
        let id = step.to_string();
        let (user, session) = (store.user(&id).unwrap(), store.session(&id).unwrap());
        assert_eq!(user.is_some(), session.is_some(), "{context}: half of a user");
        assert!(user.is_some() || step >= acknowledged, "{context}: a lost user");
    }
    carry_out(&store, revision).unwrap();
    carry_out(&model, revision).unwrap();
    assert!(everything(&store, &first) == everything(&model, &first), "{context}: going on");
}

#[test]
fn a_crash_at_any_write_loses_nothing_acknowledged() {
    for repair in [Repair::Quick, Repair::Thorough] {
        let disk = Disk::default().with_log();
        let store = open(&disk, repair);
        // How many events it took until each step was acknowledged.
        let mut acknowledged_at = Vec::new();
        for step in 0..STEPS {
            carry_out(&store, step).unwrap();
            acknowledged_at.push(disk.log().len());
        }
        let log = disk.log();
        for crash in 0..=log.len() {
            let acknowledged = acknowledged_at.iter().filter(|at| **at <= crash).count() as u64;
            for keeps in [Keeps::Nothing, Keeps::Everything, Keeps::Some(1), Keeps::Some(2)] {
                let context =
                    format!("{repair:?}, crash after event {crash}, disk keeps {keeps:?}");
                let disk = Disk::after(&log[..crash]).crashed(keeps);
                check_recovered(&disk, repair, acknowledged, &context);
            }
        }
    }
}

#[test]
fn a_disk_that_fails_stops_the_store_until_it_is_opened_again() {
    for repair in [Repair::Quick, Repair::Thorough] {
        for healthy in 0.. {
            let disk = Disk::default();
            let store = open(&disk, repair);
            disk.fail_after(healthy);
            let failure = (0..STEPS).find_map(|step| Some((step, carry_out(&store, step).err()?)));
            let Some((step, error)) = failure else {
                assert!(healthy > 30, "{healthy} events are no workload");
                break;
            };
            assert!(matches!(error, StorageError::Backend(_)), "{error:?}");
            let [realm, _] = realms();
            assert!(matches!(store.realm(&realm), Err(StorageError::Stopped)));
            assert!(matches!(store.commit(&batch(step)), Err(StorageError::Stopped)));
            assert!(matches!(store.user("0"), Err(StorageError::Stopped)));
            assert!(matches!(store.secret("s", b""), Err(StorageError::Stopped)));
            drop(store);

            let context = format!("{repair:?}, the disk fails after {healthy} events");
            check_recovered(&Disk::new(disk.bytes()), repair, step, &context);
        }
    }
}

#[test]
fn a_full_disk_stops_the_store_and_loses_nothing_acknowledged() {
    for room in (0..).step_by(3 * 4096) {
        let disk = Disk::default();
        let store = open(&disk, Repair::Quick);
        disk.set_room(Some(room));
        let failure = (0..STEPS).find_map(|step| Some((step, carry_out(&store, step).err()?)));
        let Some((step, error)) = failure else {
            assert!(room > 10 * 4096, "{room} bytes are no workload");
            break;
        };
        assert!(matches!(error, StorageError::Backend(_)), "{error:?}");
        assert!(matches!(store.commit(&batch(step)), Err(StorageError::Stopped)));
        drop(store);
        let context = format!("room for {room} bytes");
        check_recovered(&disk.crashed(Keeps::Everything), Repair::Quick, step, &context);
    }
}
