//! A crash between any two writes, and a disk that fails at any write, of the database or of its log.

use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;

use super::disks::Disks;
use crate::account::Accounts as _;
use crate::conformance::sample::{
    FIRST, append, changesets, client_file, key, moved, objects, reciprocals, session, user,
};
use crate::disk::Keeps;
use crate::memory::MemoryStore;
use crate::redb::OpenError;
use crate::store::{Commit, RealmKey, RealmRecord, StorageError, Store};

const STEPS: u64 = 3;

/// Logs that hold changes of the accounts but no batch, one batch at a time, and everything.
const LOG_LENS: [usize; 3] = [8 << 10, 40 << 10, 1 << 20];

/// What becomes of the writes to the database and to the log that were not flushed. Rarely both have any.
const KEEPS: [[Keeps; 2]; 4] = [
    [Keeps::Nothing, Keeps::Nothing],
    [Keeps::Everything, Keeps::Everything],
    [Keeps::Some(1), Keeps::Some(2)],
    [Keeps::Some(3), Keeps::Some(4)],
];

pub(super) fn realms() -> [RealmKey; 2] {
    [key("first"), key("second")]
}

/// A batch for two realms that touches every table; some of it grows the file.
pub(super) fn batch(step: u64) -> Vec<(RealmKey, Commit)> {
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

/// One step: a batch, a change of the accounts, and in every other one a checkpoint in between.
pub(super) fn carry_out(
    store: &(impl Store + crate::account::Accounts),
    step: u64,
) -> Result<(), StorageError> {
    carry_out_telling(store, step, || ())
}

/// The same; tells when the batch is acknowledged.
fn carry_out_telling(
    store: &(impl Store + crate::account::Accounts),
    step: u64,
    acknowledged: impl FnOnce(),
) -> Result<(), StorageError> {
    assert_eq!(store.commit(&batch(step))?, [Ok(()), Ok(())]);
    acknowledged();
    if step % 2 == 1 {
        store.checkpoint()?;
    }
    store.create_user(&user(&step.to_string()), &session(&step.to_string(), &step.to_string()))
}

pub(super) type Everything =
    (RealmRecord, Vec<(u64, Bytes)>, Vec<(Vec<u8>, Bytes)>, Vec<(u64, Bytes)>);

pub(super) fn everything<S: Store>(store: &S, realm: &RealmKey) -> Everything {
    let record = store.realm(realm).unwrap();
    let file = store.client_file(realm, FIRST).unwrap();
    assert_eq!(file.is_some(), record.revision > 0);
    let forms = reciprocals(store, realm, FIRST, 0);
    (record, changesets(store, realm), objects(store, realm), forms)
}

/// What was acknowledged: batches, and whole steps.
#[derive(Clone, Copy, Default)]
struct Acknowledged {
    batches: u64,
    steps: u64,
}

impl Acknowledged {
    const ALL: Self = Self { batches: STEPS, steps: STEPS };
}

/// Does the steps from the first on until one fails.
fn carry_out_until_failure(disks: &Disks, log_len: usize) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    let Ok(store) = disks.open(log_len) else { return acknowledged };
    for step in 0..STEPS {
        if carry_out_telling(&store, step, || acknowledged.batches += 1).is_err() {
            break;
        }
        acknowledged.steps += 1;
    }
    acknowledged
}

/// Checks that the store holds what the model has after some number of steps, which is at least what was
/// acknowledged and at most one more, and that it can go on.
fn check_recovered(disks: &Disks, log_len: usize, acknowledged: Acknowledged, context: &str) {
    let store = disks.open(log_len).unwrap_or_else(|error| panic!("{context}: {error:?}"));
    let [first, second] = realms();
    let revision = store.realm(&first).unwrap().revision;
    let possible = acknowledged.batches..=acknowledged.steps + 1;
    assert!(possible.contains(&revision), "{context}: {revision} of {possible:?}");

    let model = MemoryStore::new();
    (0..revision).for_each(|step| carry_out(&model, step).unwrap());
    for realm in [&first, &second] {
        assert!(everything(&store, realm) == everything(&model, realm), "{context}: {realm:?}");
    }
    for step in 0..revision {
        let id = step.to_string();
        let (user, session) = (store.user(&id).unwrap(), store.session(&id).unwrap());
        assert_eq!(user.is_some(), session.is_some(), "{context}: half of a user");
        assert!(user.is_some() || step >= acknowledged.steps, "{context}: a lost user");
    }
    carry_out(&store, revision).unwrap();
    carry_out(&model, revision).unwrap();
    assert!(everything(&store, &first) == everything(&model, &first), "{context}: going on");
}

#[test]
fn a_crash_at_any_write_loses_nothing_acknowledged() {
    for log_len in LOG_LENS {
        for events in 0.. {
            let disks = Disks::empty();
            disks.power.last_for(events);
            let acknowledged = carry_out_until_failure(&disks, log_len);
            for keeps in KEEPS {
                let context =
                    format!("log of {log_len}, crash after event {events}, disks keep {keeps:?}");
                check_recovered(&disks.crashed(keeps), log_len, acknowledged, &context);
            }
            if !disks.power.is_out() {
                assert!(events > 30, "{events} events are no workload");
                break;
            }
        }
    }
}

/// The next process finds what the first one wrote, flushed or not; what it shows of that has to stay.
#[test]
fn what_is_seen_after_a_killed_process_is_there_after_a_power_failure() {
    for log_len in LOG_LENS {
        for events in 0.. {
            let disks = Disks::empty();
            disks.power.last_for(events);
            let acknowledged = carry_out_until_failure(&disks, log_len);
            let is_complete = !disks.power.is_out();
            disks.power.last_for(usize::MAX);
            let store = disks.open(log_len).unwrap();
            let seen = store.realm(&realms()[0]).unwrap().revision;
            let crashed = disks.crashed([Keeps::Nothing; 2]);
            let kept = Acknowledged { batches: seen, ..acknowledged };
            let context = format!("log of {log_len}, killed after event {events}");
            check_recovered(&crashed, log_len, kept, &context);
            if is_complete {
                break;
            }
        }
    }
}

#[test]
fn a_crash_while_the_log_is_repeated_loses_nothing() {
    let log_len = 1 << 20;
    let disks = Disks::empty();
    let store = disks.open(log_len).unwrap();
    (0..STEPS).for_each(|step| carry_out(&store, step).unwrap());
    let crashed = disks.crashed([Keeps::Nothing; 2]);
    for events in 0.. {
        let disks = crashed.crashed([Keeps::Nothing; 2]);
        disks.power.last_for(events);
        let opened = disks.open(log_len);
        for keeps in KEEPS {
            let context = format!("crash after event {events} of opening, disks keep {keeps:?}");
            check_recovered(&disks.crashed(keeps), log_len, Acknowledged::ALL, &context);
        }
        if opened.is_ok() && !disks.power.is_out() {
            assert!(events > 10, "{events} events repeat nothing");
            break;
        }
    }
}

#[test]
fn a_disk_that_fails_stops_the_store_until_it_is_opened_again() {
    for log_len in LOG_LENS {
        for healthy in 0.. {
            let disks = Disks::empty();
            let store = disks.open(log_len).unwrap();
            disks.power.last_for(healthy);
            let failure = (0..STEPS).find_map(|step| Some((step, carry_out(&store, step).err()?)));
            let Some((step, error)) = failure else {
                assert!(healthy >= 2 * 2 * 3, "{healthy} events are no workload");
                break;
            };
            check_stopped(&store, step, &error);
            drop(store);

            let context = format!("log of {log_len}, the disks fail after {healthy} events");
            let kept = disks.crashed([Keeps::Everything; 2]);
            check_recovered(&kept, log_len, Acknowledged { batches: step, steps: step }, &context);
        }
    }
}

fn check_stopped(store: &(impl Store + crate::account::Accounts), step: u64, error: &StorageError) {
    assert!(matches!(error, StorageError::Backend(_)), "{error:?}");
    let [realm, _] = realms();
    assert!(matches!(store.realm(&realm), Err(StorageError::Stopped)));
    assert!(matches!(store.commit(&batch(step)), Err(StorageError::Stopped)));
    assert!(matches!(store.user("0"), Err(StorageError::Stopped)));
    assert!(matches!(store.secret("s", b""), Err(StorageError::Stopped)));
}

#[test]
fn a_full_disk_stops_the_store_and_loses_nothing_acknowledged() {
    for log_len in LOG_LENS {
        for room in (0..).step_by(2 * 4096) {
            let disks = Disks::empty();
            let store = disks.open(log_len).unwrap();
            disks.database.set_room(Some(room));
            disks.log.set_room(Some(0)); // It has all that it needs.
            let failure = (0..STEPS).find_map(|step| Some((step, carry_out(&store, step).err()?)));
            let Some((step, error)) = failure else {
                assert!(room > 0 || log_len == LOG_LENS[2], "there was always room");
                break;
            };
            check_stopped(&store, step, &error);
            drop(store);
            let acknowledged = Acknowledged { batches: step, steps: step };
            let context = format!("log of {log_len}, room for {room} bytes");
            let kept = disks.crashed([Keeps::Everything; 2]);
            check_recovered(&kept, log_len, acknowledged, &context);
        }
    }
}

#[test]
fn a_store_without_room_for_its_log_is_not_made_and_is_later() {
    let disks = Disks::empty();
    disks.log.set_room(Some(10 * 4096));
    assert!(matches!(disks.open(1 << 20), Err(OpenError::Io { .. })));
    disks.log.set_room(None);
    check_recovered(&disks, 1 << 20, Acknowledged::default(), "with room");
}

/// redb reads nothing any more after that, so that nothing but opening it again helps.
#[test]
fn a_page_that_cannot_be_read_stops_the_store() {
    let disks = Disks::empty();
    let store = disks.open(1 << 20).unwrap();
    (0..STEPS).for_each(|step| carry_out(&store, step).unwrap());
    drop(store);
    let store = disks.open(1 << 20).unwrap();
    assert!(!store.is_stopped());
    disks.database.fail_to_read();
    let error = store.realm(&realms()[0]).unwrap_err();
    assert!(store.is_stopped());
    check_stopped(&store, STEPS, &error);
    drop(store);
    check_recovered(&disks, 1 << 20, Acknowledged::ALL, "opened again");
}
