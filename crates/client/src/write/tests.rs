//! Transactions, edit by edit.

use std::sync::Arc;

use bailiwick_core::state::State;
use bailiwick_protocol::changeset::Changeset;

use crate::local::LocalFile;
use crate::realm::Realm;
use crate::schema::{Class, PropertyType, Schema};
use crate::value::{Link, Value};

use super::*;

mod limits;
mod links;
mod property;
mod refusals;
mod sdk;

/// All that the file holds.
fn state_of(realm: &Realm) -> State {
    use bailiwick_core::state::ObjectStore as _;
    let snapshot = realm.snapshot().unwrap();
    let rows = snapshot.rows(&[]).unwrap();
    let rows = rows.into_iter().map(|row| {
        let object = snapshot.object(&row).unwrap().unwrap();
        (row, object)
    });
    State::new(snapshot.schema().clone(), rows)
}

/// The instructions of a transaction, one a line, as in `ArrayErase Task[1].tags[0]`.
fn written(tx: &WriteTransaction<'_>) -> Vec<String> {
    let changeset = tx.changeset();
    let describe = |instruction: &Instruction| {
        format!("{:?} {}", instruction.kind(), changeset.describe(instruction))
    };
    changeset.instructions.iter().map(describe).collect()
}

#[test]
fn an_edit_is_seen_at_once_and_by_nobody_else_before_it_is_committed() {
    let dog = Class::new("Dog").primary_key("_id", PropertyType::Int);
    let dog = dog.property("name", PropertyType::String).list("tags", PropertyType::String);
    let realm = Realm::in_memory(Schema::new().class(dog)).unwrap();
    realm
        .write(|tx| {
            tx.create("Dog", 1)?.set("name", "Rex")?.list("tags")?.push("good")?.push("old")?;
            let mut dog = tx.object("Dog", 1)?;
            assert_eq!(dog.get("name")?, "Rex".into());
            assert_eq!(dog.get("_id")?, 1.into());
            assert_eq!(dog.list("tags")?.values()?, ["good".into(), "old".into()]);
            assert_eq!(tx.keys("Dog")?, [PrimaryKey::Int(1)]);
            assert!(state_of(&realm).objects(ClassId(0)).unwrap().is_empty());
            Ok::<_, WriteError>(())
        })
        .unwrap();
    assert_eq!(state_of(&realm).objects(ClassId(0)).unwrap().len(), 1);
}

#[test]
fn asymmetric_objects_travel_and_are_gone() {
    let log = Class::asymmetric("Log").primary_key("_id", PropertyType::Int);
    let schema = Schema::new().class(log.property("text", PropertyType::String));
    let realm = Realm::open(Arc::new(LocalFile::in_memory()), schema).unwrap();
    realm
        .write(|tx| {
            tx.create("Log", 1)?.set("text", "it began")?;
            assert_eq!(tx.object("Log", 1)?.get("text")?, "it began".into());
            assert!(tx.delete("Log", 1).is_err(), "it cannot be taken back");
            assert_eq!(written(tx), ["CreateObject Log[1]", "Update Log[1].text"]);
            Ok::<_, WriteError>(())
        })
        .unwrap();
    assert_eq!(state_of(&realm).rows().len(), 0);
    realm.write(|tx| tx.create("Log", 1).map(drop)).unwrap();
}

#[test]
fn a_default_does_not_destroy_what_another_device_creates() {
    let part = Class::embedded("Part").property("n", PropertyType::Int);
    let task = Class::new("Task").primary_key("_id", PropertyType::Int);
    let task = task.property("part", PropertyType::Embedded("Part".into()));
    let realm = Realm::in_memory(Schema::new().class(task).class(part)).unwrap();
    realm
        .write(|tx| {
            let mut task = tx.create("Task", 1)?;
            task.set_default("part", Value::Null)?;
            assert_eq!(written(tx), ["CreateObject Task[1]"]);
            tx.object("Task", 1)?.set("part", Value::Null)?;
            assert_eq!(written(tx), ["CreateObject Task[1]", "Update Task[1].part"]);
            Ok::<_, WriteError>(())
        })
        .unwrap();
}
