//! Links: to what is there, away from what goes, and around what other devices have erased.

use bailiwick_core::apply::{Changes, Transaction};
use bailiwick_protocol::changeset::ObjectKey;

use super::*;
use crate::local::Batch;

fn schema() -> Schema {
    use PropertyType as T;
    let task = T::Link("Task".into());
    let part = Class::embedded("Part").list("tasks", task.clone());
    let class = Class::new("Task")
        .primary_key("_id", T::Int)
        .property("next", task.clone())
        .property("any", T::Mixed)
        .property("part", T::Embedded("Part".into()))
        .list("tasks", task.clone())
        .list("anys", T::Mixed)
        .set("members", task.clone())
        .dictionary("map", task)
        .dictionary("anymap", T::Mixed);
    Schema::new().class(class).class(part)
}

fn task(key: i64) -> Value {
    Link::new("Task", key).into()
}

/// A realm with the tasks 1, 2 and 3.
fn realm() -> Realm {
    let realm = Realm::open(Arc::new(LocalFile::in_memory()), schema()).unwrap();
    realm.write(|tx| (1..=3).try_for_each(|key| tx.create("Task", key).map(drop))).unwrap();
    realm
}

/// Another device erases a task, not knowing of links to it.
fn erase_remotely(realm: &Realm, key: i64) {
    let mut changeset = Changeset::default();
    let table = changeset.strings.intern("Task");
    changeset.instructions = vec![Instruction::EraseObject { table, object: ObjectKey::Int(key) }];
    let snapshot = realm.snapshot().unwrap();
    let mut transaction = Transaction::new(snapshot.schema(), &snapshot);
    let _ = transaction.apply(&changeset).unwrap();
    let changes: Changes = transaction.finish();
    let batch = Batch { changes, state: snapshot.state().clone(), ..Batch::default() };
    realm.file().write().commit(&batch).unwrap();
}

/// What a transaction on task 1 writes.
fn check(
    realm: &Realm,
    edit: impl FnOnce(&mut ObjectMut<'_, '_>) -> Result<(), WriteError>,
    expected: &[&str],
) {
    let snapshot = realm.snapshot().unwrap();
    let mut tx = WriteTransaction::new(&snapshot);
    edit(&mut tx.object("Task", 1).unwrap()).unwrap();
    assert_eq!(written(&tx), expected);
}

#[test]
fn all_links_to_an_object_go_before_it_does() {
    let realm = realm();
    let fill = |tx: &mut WriteTransaction<'_>| {
        let mut one = tx.object("Task", 1)?;
        one.set("next", task(2))?.set("any", Value::List(vec![1.into(), task(2)]))?;
        one.embed("part")?.set("tasks", Value::List(vec![task(2), task(3), task(2)]))?;
        one.list("anys")?.push(task(2))?.push(Value::List(vec![task(2)]))?;
        one.set_of("members")?.insert(task(2))?;
        one.dictionary("map")?.insert("a", task(2))?.insert("b", task(3))?;
        let entries = [("x".to_owned(), task(2))];
        one.dictionary("anymap")?.insert("d", Value::Dictionary(entries.into()))?;
        tx.object("Task", 2)?.set("next", task(2)).map(drop)
    };
    let expected = [
        "Update Task[1].next",
        "ArrayErase Task[1].any[1]",
        "ArrayErase Task[1].part.tasks[2]",
        "ArrayErase Task[1].part.tasks[0]",
        "ArrayErase Task[1].tasks[0]",
        "ArrayErase Task[1].anys[1][0]",
        "ArrayErase Task[1].anys[0]",
        "SetErase Task[1].members",
        "Update Task[1].map.a",
        "Update Task[1].anymap.d.x",
        "EraseObject Task[2]",
    ];
    // Some links are there before the transaction, and one is made in it.
    realm.write(fill).unwrap();
    realm
        .write(|tx| {
            tx.object("Task", 1)?.list("tasks")?.push(task(2))?;
            tx.delete("Task", 2)?;
            assert_eq!(written(tx)[1..], expected);
            Ok::<_, WriteError>(())
        })
        .unwrap();
    assert!(!state_of(&realm).to_string().contains("Task[2]"));
}

#[test]
fn objects_that_go_together_do_not_untie_each_other() {
    let realm = realm();
    realm
        .write(|tx| {
            tx.object("Task", 1)?.set("next", task(2))?;
            assert_eq!(tx.delete_all("Task")?, 3);
            assert_eq!(
                written(tx)[1..],
                ["EraseObject Task[1]", "EraseObject Task[2]", "EraseObject Task[3]"]
            );
            Ok::<_, WriteError>(())
        })
        .unwrap();
    assert_eq!(state_of(&realm).rows().len(), 0);
}

#[test]
fn a_list_of_links_hides_those_whose_objects_are_gone() {
    let realm = realm();
    let three = Value::List(vec![task(1), task(2), task(3)]);
    realm.write(|tx| tx.object("Task", 1)?.set("tasks", three).map(drop)).unwrap();
    erase_remotely(&realm, 2);

    let list = "Task[1].tasks";
    check(
        &realm,
        |one| {
            let mut list = one.list("tasks")?;
            assert_eq!(list.values()?, [task(1), task(3)]);
            assert_eq!((list.len()?, list.get(1)?, list.get(2)?), (2, Some(task(3)), None));
            assert!(list.remove(2).is_err() && list.insert(3, task(1)).is_err());
            list.remove(1).map(drop)
        },
        &[&format!("ArrayErase {list}[2]")],
    );
    check(
        &realm,
        |one| one.list("tasks")?.push(task(1)).map(drop),
        &[&format!("ArrayInsert {list}[3]")],
    );
    check(
        &realm,
        |one| one.list("tasks")?.insert(2, task(1)).map(drop),
        &[&format!("ArrayInsert {list}[3]")],
    );
    check(
        &realm,
        |one| one.list("tasks")?.insert(1, task(1))?.set(2, task(1)).map(drop),
        &[&format!("ArrayInsert {list}[2]"), &format!("Update {list}[3]")],
    );
    check(
        &realm,
        |one| {
            let mut list = one.list("tasks")?;
            list.move_to(1, 0)?;
            assert_eq!(list.values()?, [task(3), task(1)]);
            Ok(())
        },
        &[&format!("ArrayMove {list}[2]")],
    );
    // The object comes back, and the link with it.
    realm.write(|tx| tx.create("Task", 2).map(drop)).unwrap();
    check(
        &realm,
        |one| {
            assert_eq!(one.get("tasks")?, Value::List(vec![task(1), task(2), task(3)]));
            Ok(())
        },
        &[],
    );
}

#[test]
fn a_collection_is_moved_in_a_way_that_devices_survive_and_keeps_its_links() {
    let realm = realm();
    let anys = Value::List(vec![Value::List(vec![task(2), 7.into()]), 1.into(), 2.into()]);
    realm.write(|tx| tx.object("Task", 1)?.set("anys", anys).map(drop)).unwrap();
    erase_remotely(&realm, 2);
    realm
        .write(|tx| {
            tx.object("Task", 1)?.list("anys")?.move_to(0, 2)?;
            assert_eq!(
                written(tx),
                [
                    "ArrayErase Task[1].anys[0]",
                    "ArrayInsert Task[1].anys[2]",
                    "ArrayInsert Task[1].anys[2][0]",
                    "ArrayInsert Task[1].anys[2][1]",
                ]
            );
            tx.create("Task", 2)?;
            let moved = Value::List(vec![task(2), 7.into()]);
            assert_eq!(tx.object("Task", 1)?.list("anys")?.get(2)?, Some(moved));
            Ok::<_, WriteError>(())
        })
        .unwrap();
}
