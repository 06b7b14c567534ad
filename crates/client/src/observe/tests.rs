//! What observers are told, compared with what there is to tell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use bailiwick_protocol::version::ClientVersion;
use futures_util::{FutureExt as _, StreamExt as _};
use proptest::prelude::*;

use super::*;
use crate::local::{Batch, LocalFile};
use crate::object;
use crate::object::Link;
use crate::read::tests::fixture::{erase, put};
use crate::schema::Schema;
use crate::write::WriteError;

object! {
    #[derive(Clone, Debug, PartialEq)]
    struct Task {
        #[primary_key]
        _id: i64,
        rank: i64,
        done: bool,
        owner: Option<Link<Owner>>,
    }

    #[derive(Clone, Debug, PartialEq)]
    struct Owner {
        #[primary_key]
        _id: i64,
        rank: i64,
    }
}

fn task(id: i64, rank: i64) -> Task {
    Task { _id: id, rank, done: false, owner: None }
}

fn realm() -> Realm {
    let schema = Schema::new().with::<Task>().with::<Owner>();
    Realm::open(Arc::new(LocalFile::in_memory()), schema).unwrap()
}

fn upsert(realm: &Realm, task: &Task) {
    realm.write(|tx| tx.upsert(task)).unwrap();
}

fn delete(realm: &Realm, class: &str, id: i64) {
    realm.write(|tx| tx.delete(class, id)).unwrap();
}

/// The next item, which must be there without waiting. Outside of a runtime everything happens at once.
#[track_caller]
fn next<T: Send + 'static>(changes: &mut Changes<T>) -> T {
    changes.next().now_or_never().expect("there is something to tell").unwrap().unwrap()
}

#[track_caller]
fn check_silent<T: Send + 'static>(changes: &mut Changes<T>) {
    assert!(changes.next().now_or_never().is_none());
}

fn key(id: i64) -> PrimaryKey {
    PrimaryKey::Int(id)
}

#[test]
fn an_object_is_followed_through_its_life() {
    let realm = realm();
    let mut changes = realm.observe_struct::<Task>(1).unwrap();
    assert_eq!(next(&mut changes), ObjectChange::Initial(None));
    check_silent(&mut changes);
    upsert(&realm, &task(2, 0));
    check_silent(&mut changes);
    upsert(&realm, &task(1, 5));
    assert_eq!(next(&mut changes), ObjectChange::Inserted(task(1, 5)));
    upsert(&realm, &task(1, 6));
    let fields = vec!["rank".to_owned()];
    assert_eq!(next(&mut changes), ObjectChange::Modified { object: task(1, 6), fields });
    // What is written and is the same is nothing to tell.
    realm.write(|tx| tx.object("Task", 1)?.set("rank", 6).map(|_| ())).unwrap();
    check_silent(&mut changes);
    delete(&realm, "Task", 1);
    assert_eq!(next(&mut changes), ObjectChange::Deleted);
    upsert(&realm, &task(1, 7));
    assert_eq!(next(&mut changes), ObjectChange::Inserted(task(1, 7)));
}

#[test]
fn several_commits_are_told_as_one() {
    let realm = realm();
    upsert(&realm, &task(1, 0));
    let mut changes = realm.observe_class("Task").unwrap();
    assert!(
        matches!(next(&mut changes), ClassChange::Initial(view) if view.count(&Query::<Task>::new()).unwrap() == 1)
    );
    upsert(&realm, &task(2, 0));
    upsert(&realm, &task(2, 1));
    upsert(&realm, &task(3, 0));
    delete(&realm, "Task", 3);
    delete(&realm, "Task", 1);
    let mut told = Vec::new();
    while let Some(item) = changes.next().now_or_never() {
        told.push(item.unwrap().unwrap());
    }
    let state = told.iter().fold(BTreeMap::from([(key(1), 0)]), |state, item| after(state, item));
    assert_eq!(state, BTreeMap::from([(key(2), 1)]));
    check_silent(&mut changes);
}

/// The ranks of all tasks after an item, which must fit what they were before.
#[track_caller]
fn after(mut ranks: BTreeMap<PrimaryKey, i64>, item: &ClassChange) -> BTreeMap<PrimaryKey, i64> {
    let ClassChange::Changed { view, inserted, modified, deleted } = item else {
        panic!("{item:?} comes first")
    };
    let rank = |key: &PrimaryKey| view.get::<Task>(key).unwrap().unwrap().rank;
    for key in inserted {
        assert_eq!(ranks.insert(key.clone(), rank(key)), None);
    }
    for Modified { key, fields } in modified {
        assert_eq!(fields, &["rank"]);
        let former = ranks.insert(key.clone(), rank(key));
        assert!(former.is_some_and(|former| former != rank(key)));
    }
    for key in deleted {
        assert!(ranks.remove(key).is_some());
    }
    let actual = view.all::<Task>().unwrap().map(Result::unwrap);
    assert_eq!(ranks, actual.map(|task| (key(task._id), task.rank)).collect());
    ranks
}

#[test]
fn an_object_changes_when_its_link_comes_to_life() {
    let realm = realm();
    let with_owner = Task { owner: Some(Link::new(7)), ..task(1, 0) };
    let fields = || vec!["owner".to_owned()];
    // Nobody but another device links to what is not there.
    commit(&realm, |schema, batch| {
        put(schema, batch, "Task", &crate::object::to_fields(&with_owner).unwrap());
    });
    let mut changes = realm.observe_struct::<Task>(1).unwrap();
    assert_eq!(next(&mut changes), ObjectChange::Initial(Some(task(1, 0))));
    realm.write(|tx| tx.insert(&Owner { _id: 7, rank: 0 })).unwrap();
    assert_eq!(next(&mut changes), ObjectChange::Modified { object: with_owner, fields: fields() });
    commit(&realm, |schema, batch| erase(schema, batch, "Owner", 7));
    assert_eq!(next(&mut changes), ObjectChange::Modified { object: task(1, 0), fields: fields() });
}

/// A commit as the server makes it.
fn commit(realm: &Realm, edit: impl FnOnce(&bailiwick_core::schema::Schema, &mut Batch)) {
    let writer = realm.file().write();
    let snapshot = writer.snapshot().unwrap();
    let mut state = snapshot.state().clone();
    state.version = ClientVersion(state.version.0 + 1);
    let mut batch = Batch { state, ..Batch::default() };
    edit(snapshot.schema(), &mut batch);
    writer.commit(&batch).unwrap();
}

#[test]
fn a_filter_that_looks_further_is_asked_again() {
    let realm = realm();
    realm
        .write(|tx| {
            tx.insert(&Owner { _id: 7, rank: 0 })?;
            tx.insert(&Task { owner: Some(Link::new(7)), ..task(1, 0) })
        })
        .unwrap();
    let query = Query::class("Task").filter(|task| {
        let owner = task.follow("owner").ok().flatten();
        owner.is_some_and(|owner| owner.get("rank").is_ok_and(|rank| rank.as_int() > Some(3)))
    });
    for query in [query.clone(), query.sort_by("rank")] {
        let mut changes = realm.observe(query).unwrap();
        assert!(matches!(next(&mut changes), QueryChange::Initial(_)));
        for (rank, enters) in [(5, true), (6, false), (1, false)] {
            realm.write(|tx| tx.update(&Owner { _id: 7, rank })).unwrap();
            if rank == 6 {
                check_silent(&mut changes);
                continue;
            }
            let QueryChange::Changed { entered, left, modified, .. } = next(&mut changes) else {
                panic!("only the first item is the initial state")
            };
            let keys = |entries: Vec<Entry>| {
                entries.into_iter().map(|entry| entry.key).collect::<Vec<_>>()
            };
            let (come, gone) = if enters { (vec![key(1)], vec![]) } else { (vec![], vec![key(1)]) };
            assert_eq!((keys(entered), keys(left), modified), (come, gone, vec![]));
        }
    }
}

#[test]
fn a_stream_ends_with_its_realm() {
    let realm = realm();
    let mut changes = realm.observe_class("Task").unwrap();
    next(&mut changes);
    upsert(&realm, &task(1, 0));
    drop(realm);
    assert!(changes.next().now_or_never().expect("it has ended").is_none());
    assert!(changes.next().now_or_never().expect("it stays so").is_none());
}

#[test]
fn what_cannot_be_observed_is_an_error() {
    let realm = realm();
    assert!(matches!(realm.observe_class("Cat"), Err(ReadError::NoClass(_))));
    assert!(matches!(realm.observe_object("Task", "1"), Err(ReadError::Value { .. })));
    assert!(matches!(
        realm.observe(Query::class("Task").sort_by("owner")),
        Err(ReadError::NotSortable { .. })
    ));
}

/// An observer that was asleep for longer than the news are kept compares the states.
#[test]
fn who_is_late_is_told_all_the_same() {
    let realm = realm();
    let mut changes = realm.observe_class("Task").unwrap();
    next(&mut changes);
    for commit in 0..600 {
        upsert(&realm, &task(commit % 7, commit));
    }
    let mut ranks = BTreeMap::new();
    let mut items = 0;
    while let Some(item) = changes.next().now_or_never() {
        ranks = after(ranks, &item.unwrap().unwrap());
        items += 1;
    }
    assert_eq!(ranks.len(), 7);
    assert!(items < 300, "{items} items");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observers_see_every_state_that_they_are_told_of() {
    let realm = realm();
    let mut class = realm.observe_class("Task").unwrap();
    let query = Query::<Task>::new().filter(|task| task.rank % 3 != 0).sort_by("rank").limit(5);
    let mut found = realm.observe(query.clone()).unwrap();
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let realm = realm.clone();
            thread::spawn(move || {
                for round in 0..60_i64 {
                    let id = (round * 7 + writer) % 11;
                    if round % 5 == 4 {
                        realm
                            .write(|tx| match tx.find("Task", id)? {
                                Some(task) => task.delete(),
                                None => Ok::<_, WriteError>(()),
                            })
                            .unwrap();
                    } else {
                        upsert(&realm, &task(id, round));
                    }
                }
            })
        })
        .collect();
    // Both follow until the task that comes last.
    let follow_class = tokio::spawn(async move {
        let mut ranks = BTreeMap::new();
        while !ranks.contains_key(&key(99)) {
            let item = class.next().await.unwrap().unwrap();
            if matches!(item, ClassChange::Changed { .. }) {
                ranks = after(ranks, &item);
            }
        }
        class
    });
    let follow_query = tokio::spawn(async move {
        let mut keys = Vec::new();
        while !keys.contains(&key(99)) {
            let item = found.next().await.unwrap().unwrap();
            keys = keys_after(keys, &item, &query);
        }
        found
    });
    for writer in writers {
        tokio::task::spawn_blocking(|| writer.join().unwrap()).await.unwrap();
    }
    let last = realm.clone();
    tokio::task::spawn_blocking(move || upsert(&last, &task(99, -1))).await.unwrap();
    let (mut class, mut found) = (follow_class.await.unwrap(), follow_query.await.unwrap());
    drop(realm);
    assert!(class.next().await.is_none());
    assert!(found.next().await.is_none());
}

/// What a query is about after an item, by the positions that it tells.
#[track_caller]
fn keys_after(
    mut keys: Vec<PrimaryKey>,
    item: &QueryChange,
    query: &Query<Task>,
) -> Vec<PrimaryKey> {
    let view = match item {
        QueryChange::Initial(view) => view,
        QueryChange::Changed { view, entered, left, modified } => {
            let moved = modified.iter().filter_map(|change| {
                let (from, to) = change.positions?;
                Some((from, Entry { key: change.key.clone(), position: Some(to) }))
            });
            let moved: Vec<_> = moved.collect();
            let mut gone: Vec<_> = left.iter().map(|entry| entry.position.unwrap()).collect();
            for (from, entry) in &moved {
                assert_eq!(keys[*from], entry.key);
                gone.push(*from);
            }
            gone.sort_unstable();
            gone.into_iter().rev().for_each(|position| drop(keys.remove(position)));
            let mut come: Vec<_> =
                entered.iter().cloned().chain(moved.into_iter().map(|(_, entry)| entry)).collect();
            come.sort_by_key(|entry| entry.position);
            for entry in come {
                keys.insert(entry.position.unwrap(), entry.key);
            }
            view
        }
    };
    let actual: Vec<_> = view.find(query).unwrap().map(|task| key(task.unwrap()._id)).collect();
    match item {
        QueryChange::Initial(_) => actual,
        QueryChange::Changed { .. } => {
            assert_eq!(keys, actual);
            keys
        }
    }
}

/// One commit of a random history.
#[derive(Clone, Debug)]
enum Edit {
    Upsert(i64, i64, bool),
    Delete(i64),
}

fn any_edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (0..8_i64, 0..6_i64, any::<bool>()).prop_map(|(id, rank, done)| Edit::Upsert(id, rank, done)),
        1 => (0..8_i64).prop_map(Edit::Delete),
    ]
}

fn apply(realm: &Realm, edits: &[Edit]) {
    realm
        .write(|tx| {
            for edit in edits {
                match edit {
                    Edit::Upsert(id, rank, done) => {
                        tx.upsert(&Task { done: *done, ..task(*id, *rank) })?;
                    }
                    Edit::Delete(id) => {
                        if let Some(task) = tx.find("Task", *id)? {
                            task.delete()?;
                        }
                    }
                }
            }
            Ok::<_, WriteError>(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever is committed, whoever follows the positions has what the query finds.
    #[test]
    fn sorted_queries_can_be_followed_by_position(
        start in proptest::collection::vec(any_edit(), 0..8),
        commits in proptest::collection::vec(proptest::collection::vec(any_edit(), 0..5), 1..12),
        limit in proptest::option::of(0..5_usize),
        is_sorted: bool,
        filters: bool,
    ) {
        let realm = realm();
        apply(&realm, &start);
        let mut query = Query::<Task>::new();
        if is_sorted { query = query.sort_by_descending("rank"); }
        if filters { query = query.filter(|task| task.rank != 3).equals("done", false); }
        if let Some(limit) = limit { query = query.limit(limit); }
        if !is_sorted && limit.is_none() { query = query.sort_by("_id"); }
        let mut changes = realm.observe(query.clone()).unwrap();
        let mut keys = keys_after(Vec::new(), &next(&mut changes), &query);
        for edits in commits {
            apply(&realm, &edits);
            while let Some(item) = changes.next().now_or_never() {
                keys = keys_after(keys, &item.unwrap().unwrap(), &query);
            }
            let view = realm.view().unwrap();
            let actual: Vec<_> = view.find(&query).unwrap().map(|task| key(task.unwrap()._id)).collect();
            prop_assert_eq!(&keys, &actual);
        }
    }

    /// Without positions, too; compared with a naive difference of all objects.
    #[test]
    fn queries_tell_what_entered_left_and_changed(
        start in proptest::collection::vec(any_edit(), 0..8),
        commits in proptest::collection::vec(proptest::collection::vec(any_edit(), 0..5), 1..12),
    ) {
        let realm = realm();
        apply(&realm, &start);
        let query = Query::<Task>::new().equals("done", false).filter(|task| task.rank < 4);
        let found = |realm: &Realm| -> BTreeMap<PrimaryKey, Task> {
            let view = realm.view().unwrap();
            view.find(&query).unwrap().map(Result::unwrap).map(|task| (key(task._id), task)).collect()
        };
        let mut changes = realm.observe(query.clone()).unwrap();
        next(&mut changes);
        for edits in commits {
            let before = found(&realm);
            apply(&realm, &edits);
            let after = found(&realm);
            let come: Vec<_> = after.keys().filter(|key| !before.contains_key(key)).cloned().collect();
            let gone: Vec<_> = before.keys().filter(|key| !after.contains_key(key)).cloned().collect();
            let other: Vec<_> = after.iter().filter(|(key, task)| before.get(key).is_some_and(|old| old != *task)).map(|(key, _)| key.clone()).collect();
            match changes.next().now_or_never() {
                None => prop_assert!(come.is_empty() && gone.is_empty() && other.is_empty()),
                Some(item) => {
                    let QueryChange::Changed { entered, left, modified, .. } = item.unwrap().unwrap() else { panic!() };
                    let keys = |entries: &[Entry]| entries.iter().map(|entry| entry.key.clone()).collect::<Vec<_>>();
                    prop_assert_eq!((keys(&entered), keys(&left)), (come, gone));
                    prop_assert!(modified.iter().all(|change| change.fields == ["rank"]));
                    prop_assert_eq!(modified.into_iter().map(|change| change.key).collect::<Vec<_>>(), other);
                }
            }
        }
    }
}
