//! Checkpoints, while others go on.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use super::crash::{batch, carry_out, everything, realms};
use super::disks::{Disks, Watched};
use crate::account::Accounts as _;
use crate::conformance::sample::{append, commit, key, session, user};
use crate::disk::{Disk, Keeps};
use crate::memory::MemoryStore;
use crate::redb::{RedbOptions, RedbStore};
use crate::store::{StorageError, Store};

const PAGE: usize = 4096;

fn assert_same(store: &RedbStore, model: &MemoryStore) {
    for realm in realms() {
        assert!(everything(store, &realm) == everything(model, &realm), "{realm:?}");
    }
    let all = [(None, 10), (None, 1), (Some(&realms()[0]), 10)];
    for (after, limit) in all {
        assert_eq!(store.realms(after, limit).unwrap(), model.realms(after, limit).unwrap());
    }
}

/// Part of what is read is in the database then, part in what is written, and part in neither.
#[test]
fn while_one_is_made_others_read_and_commit() {
    let (database, log) = (Watched::default(), Disk::default());
    let (disk, hook) = (database.disk.clone(), database.hook.clone());
    let options = RedbOptions::default().log_len(64 * PAGE);
    let store = Arc::new(options.on_backends(database, log.clone()).unwrap());
    let model = Arc::new(MemoryStore::new());
    let step = Arc::new(Mutex::new(0));
    let (weak, other, steps) = (Arc::downgrade(&store), Arc::clone(&model), Arc::clone(&step));
    hook.set(move || {
        let Some(store) = weak.upgrade() else { return };
        let mut step = steps.lock().unwrap();
        assert_same(&store, &other);
        carry_out_both(&store, &other, *step);
        *step += 1;
        // Whatever happens now, both are on the disk.
        let crashed = Disks::new(disk.crashed(Keeps::Nothing), log.crashed(Keeps::Nothing));
        assert_same(&crashed.open(64 * PAGE).unwrap(), &other);
    });
    for round in 0..5 {
        {
            let mut step = step.lock().unwrap();
            carry_out_both(&store, &model, *step);
            *step += 1;
        }
        assert_same(&store, &model);
        store.checkpoint().unwrap();
        assert_same(&store, &model);
        let min = 2 * (round + 1);
        assert!(*step.lock().unwrap() > min, "nothing was committed meanwhile");
    }
}

fn carry_out_both(store: &RedbStore, model: &MemoryStore, step: u64) {
    let answers = store.commit(&batch(step)).unwrap();
    assert_eq!(model.commit(&batch(step)).unwrap(), answers);
    let (user, session) = (user(&step.to_string()), session(&step.to_string(), "u"));
    store.create_user(&user, &session).unwrap();
    assert_eq!(store.session(&session.id).unwrap(), Some(session));
    if step % 3 == 2 {
        // Of all users, those who are in memory and those who are not.
        assert!(store.delete_user("u").is_ok());
        assert!((0..=step).all(|step| store.session(&step.to_string()).unwrap().is_none()));
    }
}

#[test]
fn one_is_due_when_the_log_is_half_full_and_not_after_it() {
    let disks = Disks::empty();
    let store = disks.open(11 * PAGE).unwrap();
    let mut sizes = Vec::new();
    for round in 0..20 {
        assert!(!store.is_checkpoint_due());
        let mut count = 0;
        while !store.is_checkpoint_due() {
            let revision = store.realm(&key("realm")).unwrap().revision;
            commit(&store, &key("realm"), append(revision, revision + 1, &[b"changeset"]));
            count += 1;
        }
        sizes.push(count);
        store.checkpoint().unwrap();
        store.checkpoint().unwrap();
        let crashed = disks.crashed([Keeps::Nothing; 2]).open(11 * PAGE).unwrap();
        assert_eq!(crashed.realm(&key("realm")).unwrap().revision, 6 * (round + 1));
    }
    assert!(sizes.iter().all(|size| *size == 6), "{sizes:?}");
}

#[test]
fn what_one_has_written_is_not_needed_in_the_log() {
    let disks = Disks::empty();
    let store = disks.open(64 * PAGE).unwrap();
    let model = MemoryStore::new();
    for step in 0..3 {
        carry_out(&store, step).unwrap();
        carry_out(&model, step).unwrap();
    }
    store.checkpoint().unwrap();
    disks.log.take_usage();
    disks.database.take_usage();
    store.checkpoint().unwrap();
    let (database, log) = (disks.database.take_usage(), disks.log.take_usage());
    assert_eq!((database.sync_count, log.sync_count), (0, 0), "there was nothing to write");
    let mut log = disks.log.bytes();
    log[PAGE..].fill(0);
    let crashed = Disks::new(disks.database.crashed(Keeps::Nothing), Disk::new(log));
    assert_same(&crashed.open(64 * PAGE).unwrap(), &model);
}

#[test]
fn one_that_fails_stops_the_store_and_loses_nothing() {
    let disks = Disks::empty();
    let store = disks.open(64 * PAGE).unwrap();
    (0..3).for_each(|step| assert_eq!(store.commit(&batch(step)).unwrap().len(), 2));
    disks.database.set_room(Some(0));
    assert!(matches!(store.checkpoint(), Err(StorageError::Backend(_))));
    assert!(matches!(store.checkpoint(), Err(StorageError::Stopped)));
    assert!(matches!(store.commit(&batch(3)), Err(StorageError::Stopped)));
    assert!(matches!(store.realm(&realms()[0]), Err(StorageError::Stopped)));
    drop(store);
    let disks = disks.crashed([Keeps::Everything; 2]);
    let model = MemoryStore::new();
    (0..3).for_each(|step| assert_eq!(model.commit(&batch(step)).unwrap().len(), 2));
    assert_same(&disks.open(64 * PAGE).unwrap(), &model);
}

/// Commits come while checkpoints are made, so that the log is written in a circle.
#[test]
fn a_crash_at_any_write_loses_nothing_wherever_the_log_begins() {
    const LOG_LEN: usize = 28 * PAGE;
    const KEEPS: [[Keeps; 2]; 4] = [
        [Keeps::Nothing; 2],
        [Keeps::Everything; 2],
        [Keeps::Some(1), Keeps::Some(2)],
        [Keeps::Some(3), Keeps::Some(4)],
    ];
    for events in 0.. {
        let disks = Disks::empty();
        let acknowledged = commit_around_checkpoints(&disks, LOG_LEN, events);
        for keeps in KEEPS {
            let context = format!("crash after event {events}, disks keep {keeps:?}");
            let store = disks.crashed(keeps).open(LOG_LEN).expect(&context);
            let revision = store.realm(&realms()[0]).unwrap().revision;
            assert!((acknowledged..=acknowledged + 1).contains(&revision), "{context}: {revision}");
            let model = MemoryStore::new();
            (0..revision).for_each(|step| drop(model.commit(&batch(step)).unwrap()));
            for realm in realms() {
                assert!(everything(&store, &realm) == everything(&model, &realm), "{context}");
            }
        }
        if !disks.power.is_out() {
            assert_eq!(acknowledged, 12);
            break;
        }
    }
}

/// Six batches, each followed by a checkpoint while which another one is committed; how many were acknowledged.
fn commit_around_checkpoints(disks: &Disks, log_len: usize, events: usize) -> u64 {
    let database = Watched { disk: disks.database.clone(), ..Watched::default() };
    let hook = database.hook.clone();
    let options = RedbOptions::default().cache_len(1 << 20).log_len(log_len);
    let store = Arc::new(options.on_backends(database, disks.log.clone()).unwrap());
    disks.power.last_for(events);
    // The next step, and whether it is to be taken during a checkpoint.
    let state = Arc::new(Mutex::new((0, false)));
    let (weak, shared) = (Arc::downgrade(&store), Arc::clone(&state));
    hook.set(move || {
        let mut state = shared.lock().unwrap();
        if let (Some(store), true) = (weak.upgrade(), std::mem::take(&mut state.1)) {
            state.0 += u64::from(store.commit(&batch(state.0)).is_ok());
        }
    });
    let round = || {
        let step = state.lock().unwrap().0;
        store.commit(&batch(step))?;
        *state.lock().unwrap() = (step + 1, true);
        store.checkpoint()
    };
    let _ = (0..6).try_for_each(|_| round());
    let (acknowledged, _) = *state.lock().unwrap();
    acknowledged
}

/// One waits for the room that the other makes.
#[test]
fn a_commit_that_finds_no_room_waits_for_the_checkpoint_that_runs() {
    let database = Watched::default();
    let hook = database.hook.clone();
    let options = RedbOptions::default().log_len(8 * PAGE);
    let store = options.on_backends(database, Disk::default()).unwrap();
    let realm = key("realm");
    let (running, is_running) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    hook.set(move || {
        let _ = running.send(());
        let _ = gone.recv();
    });
    thread::scope(|scope| {
        for revision in 0..7 {
            commit(&store, &realm, append(revision, revision + 1, &[b"changeset"]));
        }
        let checkpoint = scope.spawn(|| store.checkpoint());
        is_running.recv().unwrap();
        let others = scope.spawn(|| commit(&store, &realm, append(7, 8, &[b"changeset"])));
        assert_eq!(store.realm(&realm).unwrap().revision, 7, "others read meanwhile");
        drop(go);
        checkpoint.join().unwrap().unwrap();
        others.join().unwrap();
    });
    assert_eq!(store.realm(&realm).unwrap().revision, 8);
}
