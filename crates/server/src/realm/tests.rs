//! Realms on stores that fail, stall, and are written to by others.

pub(super) mod device;
mod store;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::history::RejectedUpload;
use bailiwick_protocol::version::{ClientVersion, ServerVersion};
use bailiwick_storage::fault::{Fault, FaultyStore};
use bailiwick_storage::memory::MemoryStore;
use bailiwick_storage::store::{Commit, RealmKey, Store};
use futures_util::future::poll_immediate;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

use super::*;
use crate::clock::SystemClock;
use device::{Device, erasure, item, schema};
use integration::Piece;
use store::{Checkpoint, TestStore};

/// How long anything may take; nothing comes near it unless something is wrong.
const DEADLINE: Duration = Duration::from_secs(20);

fn realms(store: Arc<impl Store>) -> Arc<Realms> {
    realms_with(store, RealmsConfig::default())
}

fn realms_with(store: Arc<impl Store>, config: RealmsConfig) -> Arc<Realms> {
    realms_that_stay(store, RealmsConfig { retire_after: Duration::from_millis(20), ..config })
}

/// Until nobody has needed them for as long as the configuration says.
fn realms_that_stay(store: Arc<impl Store>, config: RealmsConfig) -> Arc<Realms> {
    let (committer, _) = Committer::start(Arc::clone(&store) as Arc<dyn Store>);
    let salt = random_salt().unwrap();
    Arc::new(Realms::new(store, committer, salt, config, Arc::new(SystemClock)))
}

fn key(name: &str) -> RealmKey {
    RealmKey::new(name.as_bytes())
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(DEADLINE, future).await;
    result.unwrap_or_else(|_| panic!("it takes too long until {what}"))
}

/// Waits until something is the case that nobody tells.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within(what, waiting).await;
}

/// A failed commit ends the session and acknowledges nothing; whether it was written shows afterwards.
async fn check_failing_commit(fault: Fault, written: bool) {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let faults = store.faults();
    let realms = realms(store);
    let mut device = Device::new(&realms, "realm", 1).await;
    let mut neighbour = Device::new(&realms, "realm", 2).await;
    faults.arrange(fault);
    device.upload(&[schema()]).await;
    for device in [&mut device, &mut neighbour] {
        let end = within("the session ends", device.end()).await;
        assert!(matches!(end, SessionEnd::Failed(RealmError::Storage(_))), "{end:?}");
        assert_eq!(device.head(), ServerVersion(0), "nothing was said to be there");
    }
    let refused = device.identify(3).await;
    assert!(matches!(refused, Err(IdentifyRefused::Realm(RealmError::Storage(_)))));

    faults.reopen();
    let integrated = device.identify(4).await.unwrap();
    assert_eq!(integrated.client_version, ClientVersion(u64::from(written)));
    if !written {
        device.version = 0;
        device.upload(&[schema()]).await;
    }
    device.upload(&[item(1)]).await;
    device.acknowledged().await;
    assert_eq!(device.head(), ServerVersion(2));
}

#[tokio::test]
async fn a_commit_that_fails_before_it_is_written_is_acknowledged_to_nobody() {
    check_failing_commit(Fault::BeforeCommit(1), false).await;
}

#[tokio::test]
async fn a_commit_that_fails_after_it_is_written_is_found_there() {
    check_failing_commit(Fault::AfterCommit(1), true).await;
}

#[tokio::test]
async fn a_client_file_that_was_not_stored_is_not_given_away() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let faults = store.faults();
    let realms = realms(store);
    faults.arrange(Fault::BeforeCommit(1));
    let realm = realms.open(&key("realm"));
    assert!(matches!(device::allocate(&realm).await, Err(RealmError::Storage(_))));
    faults.reopen();
    let (ident, _) = device::allocate(&realm).await.unwrap();
    assert_eq!(ident.0, 2, "the ident was not used up");
}

#[tokio::test]
async fn a_read_that_fails_concerns_the_one_who_asked() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let faults = store.faults();
    let realms = realms(store);
    let mut device = Device::new(&realms, "realm", 1).await;
    device.upload(&[schema()]).await;
    device.acknowledged().await;
    let mut other = Device::allocated(&realms, "realm", 2).await;
    faults.arrange(Fault::Read(1));
    let refused = other.identify(2).await;
    assert!(matches!(refused, Err(IdentifyRefused::Realm(RealmError::Storage(_)))));
    other.identify(2).await.unwrap();
    device.upload(&[item(1)]).await;
    device.acknowledged().await;
}

/// Two servers on one store: a commit that was computed from an older state is computed again.
#[tokio::test]
async fn a_commit_from_elsewhere_is_integrated_past() {
    let store = Arc::new(MemoryStore::new());
    let (here, there) = (realms(Arc::clone(&store)), realms(Arc::clone(&store)));
    let mut device = Device::new(&here, "realm", 1).await;
    device.upload(&[schema()]).await;
    device.acknowledged().await;
    let mut elsewhere = Device::new(&there, "realm", 1).await;
    for round in 0..5 {
        // Each finds that the other has committed meanwhile.
        elsewhere.upload(&[schema(), item(100 + round)]).await;
        elsewhere.acknowledged().await;
        device.upload(&[item(round)]).await;
        device.acknowledged().await;
    }
    let record = store.realm(&key("realm")).unwrap();
    assert_eq!(record.head.version, ServerVersion(16));
    assert_eq!(store.scan_objects(&key("realm"), b"", None, 100).unwrap().len(), 10);
    assert_eq!(device.head(), ServerVersion(16));
}

/// What was queued here may have been sent again elsewhere, and be integrated by then.
#[tokio::test]
async fn a_changeset_that_was_sent_to_two_servers_is_integrated_once() {
    let store = Arc::new(MemoryStore::new());
    let (here, there) = (realms(Arc::clone(&store)), realms(Arc::clone(&store)));
    let mut device = Device::new(&here, "realm", 1).await;
    let mut moved = device.elsewhere(&there, 1).await;
    moved.upload(&[schema(), item(1)]).await;
    moved.acknowledged().await;
    device.upload(&[schema(), item(1), item(2)]).await;
    device.acknowledged().await;
    let entries = store.entries(&key("realm"), ServerVersion(0), device.head(), usize::MAX);
    let versions: Vec<_> = entries.unwrap().iter().map(|entry| entry.client_version.0).collect();
    assert_eq!(versions, [1, 2, 3]);
}

/// A server that has not heard of the class yet must not refuse what is about it.
#[tokio::test]
async fn a_refusal_of_an_older_state_is_thought_over() {
    let store = Arc::new(MemoryStore::new());
    let (here, there) = (realms(Arc::clone(&store)), realms(store));
    let mut device = Device::new(&here, "realm", 1).await;
    let mut other = Device::new(&there, "realm", 1).await;
    other.upload(&[schema()]).await;
    other.acknowledged().await;
    device.upload(&[item(1)]).await;
    device.acknowledged().await;
    assert_eq!(device.head(), ServerVersion(2));
}

#[tokio::test]
async fn uploads_that_gather_while_a_commit_runs_become_one_commit() {
    let store = Arc::new(TestStore::default());
    let realms = realms(Arc::clone(&store));
    let mut devices = Vec::new();
    for connection in 1..=5 {
        devices.push(Device::new(&realms, "realm", connection).await);
    }
    devices[0].upload(&[schema()]).await;
    devices[0].acknowledged().await;
    let before = store.batches();

    store.hold();
    devices[0].upload(&[item(0)]).await;
    until("the first commit has come", || store.is_holding()).await;
    for (id, device) in (1..).zip(&mut devices) {
        device.upload(&[schema(), item(id)]).await;
        device.upload(&[item(100 + id)]).await;
    }
    devices[0].barrier().await;
    store.let_go();
    for device in &mut devices {
        device.acknowledged().await;
    }
    assert_eq!(store.batches()[before.len()..], [1, 1]);
    let head = devices[0].head();
    assert_eq!(head, ServerVersion(2 + 5 * 3));
}

#[tokio::test]
async fn how_far_devices_have_got_is_stored_with_the_next_commit_or_when_they_go() {
    let store = Arc::new(TestStore::default());
    let realms = realms(Arc::clone(&store));
    let mut writer = Device::new(&realms, "realm", 1).await;
    let mut readers = [
        Device::new(&realms, "realm", 2).await,
        Device::new(&realms, "realm", 3).await,
        Device::new(&realms, "realm", 4).await,
    ];
    writer.upload(&[schema()]).await;
    writer.acknowledged().await;
    let stored = |device: &Device| {
        let file = store.client_file(&key("realm"), device.ident).unwrap().unwrap();
        file.upload_cursor.client_version.0
    };
    let commit_count = store.batches().len();
    for reader in &mut readers {
        reader.report().await;
        reader.barrier().await;
    }
    assert_eq!(store.batches().len(), commit_count, "nobody waits for it");
    writer.upload(&[item(1)]).await;
    writer.acknowledged().await;
    assert_eq!(store.batches().len(), commit_count + 1);
    assert_eq!(readers.each_ref().map(stored), [1, 1, 1]);

    readers[0].report().await;
    readers[0].release().await;
    until("what a device reported before it went is stored", || stored(&readers[0]) == 2).await;
    readers[1].report().await;
    assert_eq!(readers[1].as_connection(5).identify(5).await.unwrap().client_version.0, 2);
    readers[2].report().await;
    within("all is drained", realms.drain()).await;
    assert_eq!(readers.each_ref().map(stored), [2, 2, 2]);
}

#[tokio::test]
async fn a_long_queue_holds_up_others_for_a_piece_of_it() {
    let store = Arc::new(TestStore::default());
    let realms = realms(Arc::clone(&store));
    let mut other = Device::new(&realms, "realm", 1).await;
    let mut offline = Device::new(&realms, "realm", 2).await;
    other.upload(&[schema()]).await;
    other.acknowledged().await;
    store.hold();
    offline.upload(&(0..1000).map(item).collect::<Vec<_>>()).await;
    until("the first piece is to be committed", || store.is_holding()).await;
    other.upload(&[item(1000)]).await;
    other.barrier().await;
    store.let_go();
    other.acknowledged().await;
    offline.acknowledged().await;

    let head = store.realm(&key("realm")).unwrap().head.version;
    let entries = store.entries(&key("realm"), ServerVersion(0), head, usize::MAX).unwrap();
    let (of_other, of_offline): (Vec<_>, Vec<_>) =
        entries.iter().partition(|entry| entry.origin_file_ident == other.ident);
    // After the schema and the piece that ran.
    let versions = of_other.iter().map(|entry| entry.version.version.0);
    assert_eq!(versions.collect::<Vec<_>>(), [1, 1 + Piece::SHARED.max_count as u64 + 1]);
    let integrated = of_offline.iter().map(|entry| entry.client_version.0);
    assert!(integrated.eq(1..=1000), "all of the queue, in order");
}

#[tokio::test]
async fn many_realms_share_a_commit() {
    let store = Arc::new(TestStore::default());
    let realms = realms(Arc::clone(&store));
    let mut devices = Vec::new();
    for number in 0..50 {
        devices.push(Device::new(&realms, &format!("realm {number}"), number).await);
    }
    let before = store.batches();
    store.hold();
    devices[0].upload(&[schema()]).await;
    until("the first commit has come", || store.is_holding()).await;
    for device in &mut devices[1..] {
        device.upload(&[schema(), item(1)]).await;
    }
    // They go to the committer as soon as they have been computed.
    until("all have been computed", || store.object_reads() >= 49).await;
    store.let_go();
    for device in &mut devices {
        device.acknowledged().await;
    }
    let batches = store.batches()[before.len()..].to_vec();
    assert_eq!(batches.iter().sum::<usize>(), 50);
    assert!(batches.len() < 25, "{batches:?}");
}

/// Each upload of these devices costs one byte.
#[tokio::test]
async fn what_all_realms_queue_has_a_bound_beyond_which_uploads_wait() {
    let store = Arc::new(TestStore::default());
    let config = RealmsConfig { max_total_backlog_len: 7, ..RealmsConfig::default() };
    let realms = realms_with(Arc::clone(&store), config);
    let mut devices = Vec::new();
    for number in 0..3 {
        devices.push(Device::new(&realms, &format!("realm {number}"), number).await);
    }
    let [one, other, third] = &mut devices[..] else { unreachable!() };
    store.hold();
    for device in [&mut *one, &mut *other] {
        // The first is integrated, the others gather.
        for changeset in [schema(), item(1), item(2)] {
            device.upload(&[changeset]).await;
            device.barrier().await;
        }
    }
    assert_eq!(realms.memory_left(), 1);
    third.as_connection(9).send_upload(third, 9, item(9)).await;
    assert_eq!(realms.memory_left(), 1, "what is not queued takes nothing");
    one.upload(&[item(3)]).await;
    assert_eq!(realms.memory_left(), 0);
    {
        let changesets = [schema()];
        let mut upload = pin!(third.upload(&changesets));
        assert!(poll_immediate(&mut upload).await.is_none(), "there is no room for it");
        store.let_go();
        within("there is room", upload).await;
    }
    for device in &mut devices {
        device.acknowledged().await;
    }
    until("all of it is free again", || realms.memory_left() == 7).await;
}

#[tokio::test]
async fn a_realm_that_has_failed_leaves_its_memory_to_others() {
    let store = Arc::new(TestStore::default());
    let config = RealmsConfig { max_total_backlog_len: 3, ..RealmsConfig::default() };
    let realms = realms_with(Arc::clone(&store), config);
    let mut device = Device::new(&realms, "realm", 1).await;
    store.hold();
    store.panic_at_commit();
    for changeset in [schema(), item(1), item(2)] {
        device.upload(&[changeset]).await;
    }
    until("a commit has come", || store.is_holding()).await;
    device.barrier().await;
    assert_eq!(realms.memory_left(), 0);
    store.let_go();
    within("the session ends", device.end()).await;
    until("all of it is free again", || realms.memory_left() == 3).await;
}

/// Decoded changesets take many times their length, and there may be thousands of realms.
#[tokio::test]
async fn a_long_step_waits_while_many_others_are_computed() {
    let realms = realms(Arc::new(MemoryStore::new()));
    let mut device = Device::new(&realms, "realm", 1).await;
    let others = realms.take_all_steps();
    let changesets: Vec<_> = [schema()].into_iter().chain((0..3000).map(item)).collect();
    device.upload(&changesets).await;
    check_waits_for(others, &mut device).await;
}

/// They may be much more than was uploaded.
#[tokio::test]
async fn a_step_with_many_reciprocal_forms_keeps_its_place_until_they_are_durable() {
    let store = Arc::new(TestStore::default());
    let realms = realms(Arc::clone(&store));
    let all = realms.steps_left();
    let items: Vec<_> = [schema()].into_iter().chain((0..1500).map(item)).collect();
    let mut one = Device::new(&realms, "realm", 1).await;
    one.upload(&items).await;
    one.acknowledged().await;
    one.release().await;
    let mut other = Device::new(&realms, "realm", 2).await;
    store.hold();
    other.upload(&items.into_iter().chain((0..1500).map(erasure)).collect::<Vec<_>>()).await;
    until("the commit has come", || store.is_holding()).await;
    assert_eq!(realms.steps_left(), all - 1);
    store.let_go();
    other.acknowledged().await;
    until("the place is free", || realms.steps_left() == all).await;
}

/// However short it is: it may have to read any number of entries.
#[tokio::test]
async fn a_step_that_reads_old_history_waits_as_a_long_one_does() {
    let store = Arc::new(MemoryStore::new());
    let (before, after) = (realms(Arc::clone(&store)), realms(store));
    let mut device = Device::new(&before, "realm", 1).await;
    device.upload(&[schema()]).await;
    device.acknowledged().await;
    let mut device = device.elsewhere(&after, 1).await;
    device.version = 1;
    let others = after.take_all_steps();
    device.upload(&[item(1)]).await;
    check_waits_for(others, &mut device).await;
}

async fn check_waits_for(others: OwnedSemaphorePermit, device: &mut Device) {
    // Time to be computed, if it did not wait: without it the fault could be missed.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!device.is_acknowledged().await);
    drop(others);
    device.acknowledged().await;
}

#[tokio::test]
async fn a_realm_without_holders_is_given_up() {
    let realms = realms(Arc::new(MemoryStore::new()));
    let mut device = Device::new(&realms, "realm", 1).await;
    device.upload(&[schema()]).await;
    device.acknowledged().await;
    // As long as somebody is bound it stays, however idle.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(realms.open_count(), 1);
    device.release().await;
    drop(device);
    until("the actor has ended", || realms.open_count() == 0).await;
    // And is there again for the next one.
    let device = Device::new(&realms, "realm", 2).await;
    assert_eq!(device.head(), ServerVersion(1));
}

#[tokio::test]
async fn where_many_realms_are_open_those_without_holders_are_given_up_at_once() {
    let config = RealmsConfig { many_realms: 10, ..RealmsConfig::default() };
    let realms = realms_that_stay(Arc::new(MemoryStore::new()), config);
    let device = Device::new(&realms, "realm", 1).await;
    for number in 0..100 {
        drop(realms.open(&key(&number.to_string())));
    }
    assert_eq!(realms.open_count(), 10);
    device.release().await;
    drop(device);
    assert_eq!(realms.open_count(), 10, "few enough to keep it for a while");
}

/// Nobody is there any more who could give it up when it has done what it was asked for.
#[tokio::test]
async fn one_of_many_realms_that_is_still_at_work_is_given_up_when_it_has_done() {
    let store = Arc::new(TestStore::default());
    let config = RealmsConfig { many_realms: 0, ..RealmsConfig::default() };
    let realms = realms_that_stay(Arc::clone(&store), config);
    let realm = realms.open(&key("realm"));
    store.hold();
    let asking = tokio::spawn(async move { device::allocate(&realm).await });
    until("the commit has come", || store.is_holding()).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    assert_eq!(realms.open_count(), 1);
    store.let_go();
    until("it is given up", || realms.open_count() == 0).await;
}

#[tokio::test]
async fn a_connection_that_died_without_a_word_holds_nothing() {
    let realms = realms(Arc::new(MemoryStore::new()));
    let mut device = Device::new(&realms, "realm", 1).await;
    device.signals = None;
    // Its ident is free at once, even for the same connection.
    device.identify(1).await.unwrap();
    drop(device);
    until("the actor has ended", || realms.open_count() == 0).await;
}

#[tokio::test]
async fn a_client_file_has_one_holder() {
    let realms = realms(Arc::new(MemoryStore::new()));
    let mut device = Device::new(&realms, "realm", 1).await;
    device.upload(&[schema()]).await;
    device.acknowledged().await;
    assert!(matches!(device.try_identify(1).await, Err(IdentifyRefused::BoundInOtherSession)));
    let mut zombie_signals = device.signals.take().unwrap();
    device.identify(2).await.unwrap();
    within("the zombie hears of it", zombie_signals.wait_for(|signal| signal.end.is_some()))
        .await
        .map(|signal| assert!(matches!(signal.end, Some(SessionEnd::TakenOver))))
        .unwrap();
    // The zombie can neither upload nor let go of the file.
    let old = device.as_connection(1);
    old.send_upload(&device, 9, item(9)).await;
    old.release_of(&device).await;
    device.upload(&[item(1)]).await;
    device.acknowledged().await;
    assert_eq!(device.head(), ServerVersion(2));
}

#[tokio::test]
async fn a_new_session_starts_behind_what_is_queued() {
    let store = Arc::new(TestStore::default());
    let realms = realms(Arc::clone(&store));
    let mut device = Device::new(&realms, "realm", 1).await;
    store.hold();
    device.upload(&[schema()]).await;
    until("the commit has come", || store.is_holding()).await;
    device.upload(&[item(1)]).await;
    let threshold = device.identify(2).await.unwrap();
    assert_eq!(threshold.client_version, ClientVersion(2), "durable or not");
    store.let_go();
    device.acknowledged().await;
    assert_eq!(device.head(), ServerVersion(2));
}

/// A fault of the program that one upload brings to light is the end of that upload alone.
#[tokio::test]
async fn an_upload_that_panics_is_refused_alone() {
    let store = Arc::new(TestStore::default());
    let realms = realms(Arc::clone(&store));
    let mut devices = Vec::new();
    for connection in 1..=4 {
        devices.push(Device::new(&realms, "realm", connection).await);
    }
    devices[3].upload(&[schema()]).await;
    devices[3].acknowledged().await;
    for hostile in [0, 1, 2] {
        store.panic_for(devices[hostile].ident);
        store.hold();
        devices[3].upload(&[item(1)]).await;
        until("a commit has come", || store.is_holding()).await;
        for device in &mut devices {
            device.upload(&[schema()]).await;
        }
        store.let_go();
        for (index, device) in devices.iter_mut().enumerate() {
            if index != hostile {
                device.acknowledged().await;
                continue;
            }
            let end = within("the hostile session ends", device.end()).await;
            let SessionEnd::Rejected(rejection) = end else { panic!("{end:?}") };
            assert!(matches!(rejection.error, RejectedUpload::Unprocessable));
            device.release().await;
            device.version -= 1;
            device.identify(100).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_store_that_panics_has_failed_and_is_asked_again() {
    let store = Arc::new(TestStore::default());
    let realms = realms(Arc::clone(&store));
    let mut device = Device::new(&realms, "realm", 1).await;
    store.panic_at_commit();
    device.upload(&[schema()]).await;
    let end = within("the session ends", device.end()).await;
    assert!(matches!(end, SessionEnd::Failed(RealmError::Storage(_))), "{end:?}");
    device.identify(2).await.unwrap();
    device.version = 0;
    device.upload(&[schema()]).await;
    device.acknowledged().await;
}

/// Makes an empty commit.
async fn commit(committer: &Committer, base_revision: u64) {
    let commit = Commit { base_revision, ..Commit::default() };
    let (done, is_done) = tokio::sync::oneshot::channel();
    committer.commit(key("realm"), commit, move |result| done.send(result).unwrap()).unwrap();
    within("it is durable", is_done).await.unwrap().unwrap();
}

#[tokio::test]
async fn commits_go_on_while_a_checkpoint_is_made_and_the_end_waits_for_it() {
    let store = Arc::new(TestStore::default());
    let (committer, thread) = Committer::start(Arc::clone(&store) as Arc<dyn Store>);
    commit(&committer, 0).await;
    store.set_checkpoint(Checkpoint::Due);
    commit(&committer, 1).await;
    until("it is made", || store.checkpoint_state() == Checkpoint::Running).await;
    commit(&committer, 2).await;
    commit(&committer, 3).await;
    let has_failed = committer.has_failed();
    drop(committer);
    // Time to end too early, if it did: one that waits is found waiting however long this is.
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!thread.is_finished(), "it would leave the store half written");
    store.set_checkpoint(Checkpoint::Made);
    within("the threads end", spawn_blocking(move || thread.join())).await.unwrap().unwrap();
    assert!(!*has_failed.borrow());
}

#[tokio::test]
async fn a_checkpoint_that_panics_is_a_failure_of_the_storage() {
    let store = Arc::new(TestStore::default());
    let (committer, thread) = Committer::start(Arc::clone(&store) as Arc<dyn Store>);
    let mut has_failed = committer.has_failed();
    store.set_checkpoint(Checkpoint::Panics);
    commit(&committer, 0).await;
    within("it is told", has_failed.wait_for(|has_failed| *has_failed)).await.unwrap();
    // Nobody is there to make another one; commits are the store's to refuse.
    commit(&committer, 1).await;
    drop(committer);
    within("the threads end", spawn_blocking(move || thread.join())).await.unwrap().unwrap();
}

/// Who reads and finds out has nobody to tell.
#[tokio::test]
async fn a_store_that_has_stopped_is_a_failure_although_nobody_commits() {
    let store = Arc::new(TestStore::default());
    let (committer, _thread) = Committer::start(Arc::clone(&store) as Arc<dyn Store>);
    store.stop();
    let mut has_failed = committer.has_failed();
    within("it is told", has_failed.wait_for(|has_failed| *has_failed)).await.unwrap();
}

/// As after many logins, which the committer does not know of.
#[tokio::test]
async fn a_checkpoint_is_made_although_nobody_commits() {
    let store = Arc::new(TestStore::default());
    let (_committer, _thread) = Committer::start(Arc::clone(&store) as Arc<dyn Store>);
    store.set_checkpoint(Checkpoint::Due);
    until("it is made", || store.checkpoint_state() == Checkpoint::Running).await;
    store.set_checkpoint(Checkpoint::Made);
}

#[test]
fn a_batch_is_full_after_many_commits_or_many_bytes() {
    let object = |len: usize| Commit {
        objects: vec![(Box::new(*b"row"), Some(vec![0; len].into()))],
        ..Commit::default()
    };
    for (commit, count) in [(Commit::default(), 1024), (object(1 << 20), 4), (object(9 << 20), 1)] {
        let mut batch = Batch::new();
        let mut pushed = 0;
        while !batch.is_full() {
            batch.push(key("realm"), commit.clone(), ());
            pushed += 1;
        }
        assert_eq!(pushed, count);
    }
}

#[tokio::test]
async fn more_client_files_than_can_wait_are_refused_for_now() {
    let store = Arc::new(TestStore::default());
    let realms = realms(Arc::clone(&store));
    let realm = realms.open(&key("realm"));
    device::allocate(&realm).await.unwrap();
    store.hold();
    let asking: Vec<_> = (0..5000)
        .map(|_| {
            let realm = realm.clone();
            tokio::spawn(async move { device::allocate(&realm).await })
        })
        .collect();
    until("the first commit has come", || store.is_holding()).await;
    until("some are refused", || asking.iter().any(tokio::task::JoinHandle::is_finished)).await;
    store.let_go();
    let mut given = std::collections::BTreeSet::new();
    let mut refused = 0;
    for asked in asking {
        match asked.await.unwrap() {
            Ok((ident, _)) => assert!(given.insert(ident), "{ident} was given twice"),
            Err(RealmError::Overloaded) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(given.len() >= 4096 && refused > 0, "{} given, {refused} refused", given.len());
}

#[tokio::test]
async fn draining_waits_for_what_is_queued() {
    let store = Arc::new(TestStore::default());
    let realms = realms(Arc::clone(&store));
    let mut device = Device::new(&realms, "realm", 1).await;
    store.hold();
    device.upload(&[schema()]).await;
    until("the commit has come", || store.is_holding()).await;
    device.upload(&[item(1)]).await;
    let draining = Arc::clone(&realms);
    let drained = tokio::spawn(async move { draining.drain().await });
    device.barrier().await;
    assert!(!drained.is_finished());
    store.let_go();
    within("all is drained", drained).await.unwrap();
    assert_eq!(store.realm(&key("realm")).unwrap().head.version, ServerVersion(2));
}
