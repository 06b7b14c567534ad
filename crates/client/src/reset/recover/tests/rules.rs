//! The table of rules, line by line. Spec: client, section 7.5.

mod lists;

use bailiwick_core::apply::{ApplyError, Fault};
use bailiwick_protocol::changeset::{
    Changeset, Instruction, ObjectKey, Path, PathElement, Payload, Target, UpdateKind,
};

use super::world::{Edit, World, fields};
use crate::reset::ResetFailure;
use crate::value::{Link, Value};
use crate::write::{WriteError, WriteTransaction};

type Done = Result<(), WriteError>;

fn task(key: i64) -> Link {
    Link::new("Task", key)
}

fn person(key: &str) -> Link {
    Link::new("Person", key)
}

fn part(n: i64) -> Value {
    Value::Object([("n".to_owned(), Value::from(n))].into())
}

const NOTHING: Edit<'_> = &|_| Ok(());

/// What both have in the beginning, what the device does offline, in one or several transactions, what the server has
/// besides, and what the device has in the end: fields as in `Task[1].name: "a"`, objects that are gone as in
/// `no Task[1]`.
fn check(base: Edit<'_>, local: &[Edit<'_>], server: Edit<'_>, expected: &[&str]) {
    let world = World::new(base);
    for edit in local {
        world.local(edit).unwrap();
    }
    world.server(server);
    let after = fields(&world.recover().unwrap());
    for line in expected {
        if let Some(object) = line.strip_prefix("no ") {
            assert!(!after.contains_key(object), "{object} is there");
        } else {
            let (field, value) = line.split_once(": ").unwrap();
            assert_eq!(after.get(field).map(String::as_str), Some(value), "{field}");
        }
    }
}

/// Both have one task.
fn one(tx: &mut WriteTransaction<'_>) -> Done {
    tx.create("Task", 1)?.set("name", "base")?.set("count", 10)?;
    tx.object("Task", 1)?.set("ints", Value::List(vec![1.into(), 2.into(), 3.into()]))?;
    Ok(())
}

#[test]
fn objects_created_here_are_created_there() {
    check(NOTHING, &[&one], NOTHING, &["Task[1].name: \"base\"", "Task[1].ints: [1, 2, 3]"]);
    // What the server has of it besides stays.
    check(
        NOTHING,
        &[&|tx| tx.create("Task", 1)?.set("name", "here").map(drop)],
        &|tx| tx.create("Task", 1)?.set("name", "there")?.set("count", 5).map(drop),
        &["Task[1].name: \"here\"", "Task[1].count: 5"],
    );
}

#[test]
fn an_object_erased_here_is_gone_with_all_links_to_it() {
    check(
        &|tx| {
            one(tx)?;
            tx.create("Task", 2)?.list("tasks")?.push(task(1))?.push(task(2))?.push(task(1))?;
            tx.object("Task", 2)?.set("next", task(1))?;
            Ok(())
        },
        &[&|tx| tx.delete("Task", 1)],
        &|tx| {
            tx.object("Task", 1)?.set("name", "there")?;
            tx.create("Task", 3)?.set("next", task(1))?.set("any", task(1))?;
            tx.object("Task", 3)?.embed("part")?.set("task", task(1))?;
            tx.object("Task", 3)?.list("tasks")?.push(task(3))?.push(task(1))?;
            tx.object("Task", 3)?.list("anys")?.push(task(1))?.push(5)?;
            Ok(())
        },
        &[
            "no Task[1]",
            "Task[2].next: null",
            "Task[2].tasks: [-> Task[2]]",
            "Task[3].next: null",
            "Task[3].any: null",
            "Task[3].part: Part { items: [], n: 0, task: null }",
            "Task[3].tasks: [-> Task[3]]",
            "Task[3].anys: [5]",
        ],
    );
    check(&one, &[&|tx| tx.delete("Task", 1)], &|tx| tx.delete("Task", 1), &["no Task[1]"]);
}

#[test]
fn an_object_erased_there_takes_local_edits_along() {
    check(
        &one,
        &[&|tx| {
            tx.object("Task", 1)?.set("name", "here")?.add("count", 1)?;
            tx.object("Task", 1)?.list("ints")?.push(4)?.remove(0)?;
            tx.object("Task", 1)?.set_of("tags")?.insert("a")?;
            Ok(())
        }],
        &|tx| tx.delete("Task", 1),
        &["no Task[1]"],
    );
    // Created again here, it is there again.
    check(
        &one,
        &[
            &|tx| tx.object("Task", 1)?.set("count", 2).map(drop),
            &|tx| tx.delete("Task", 1),
            &|tx| tx.create("Task", 1)?.set("name", "again").map(drop),
        ],
        &|tx| tx.delete("Task", 1),
        &["Task[1].name: \"again\"", "Task[1].count: null", "Task[1].ints: []"],
    );
}

#[test]
fn a_field_is_what_it_is_here() {
    check(
        &one,
        &[&|tx| tx.object("Task", 1)?.set("name", "here").map(drop)],
        &|tx| tx.object("Task", 1)?.set("name", "there")?.set("count", 4).map(drop),
        &["Task[1].name: \"here\"", "Task[1].count: 4"],
    );
    let two = |tx: &mut WriteTransaction<'_>| {
        one(tx)?;
        tx.create("Task", 2)?;
        tx.create("Person", "p").map(drop)
    };
    let gone = |tx: &mut WriteTransaction<'_>| {
        tx.object("Task", 1)?.set("next", task(1))?.set("any", 3)?;
        tx.object("Task", 1)?.dictionary("people")?.insert("b", Value::Null)?;
        tx.delete("Task", 2)?;
        tx.delete("Person", "p")
    };
    check(
        &two,
        &[&|tx| {
            tx.object("Task", 1)?.set("next", task(2))?.set("any", task(2))?;
            tx.object("Task", 1)?.dictionary("people")?.insert("a", person("p"))?;
            tx.object("Task", 1)?.dictionary("anymap")?.insert("a", person("p"))?;
            tx.object("Task", 1)?.embed("part")?.set("task", task(2))?;
            Ok(())
        }],
        &gone,
        &[
            "Task[1].next: null",
            "Task[1].any: null",
            "Task[1].people: {\"a\": null, \"b\": null}",
            "Task[1].anymap: {\"a\": null}",
            "Task[1].part: Part { items: [], n: 0, task: null }",
        ],
    );
}

#[test]
fn dictionary_keys_are_what_they_are_here() {
    check(
        &|tx| {
            one(tx)?;
            tx.object("Task", 1)?.dictionary("map")?.insert("a", "base")?.insert("b", "base")?;
            tx.object("Task", 1)?.dictionary("map")?.insert("c", "base").map(drop)
        },
        &[&|tx| {
            tx.object("Task", 1)?.dictionary("map")?.insert("a", "here")?.remove("b")?;
            tx.object("Task", 1)?.dictionary("map")?.remove("c").map(drop)
        }],
        &|tx| {
            tx.object("Task", 1)?.dictionary("map")?.insert("a", "there")?.insert("d", "there")?;
            tx.object("Task", 1)?.dictionary("map")?.remove("c").map(drop)
        },
        &["Task[1].map: {\"a\": \"here\", \"d\": \"there\"}"],
    );
}

#[test]
fn what_is_added_is_added_to_what_the_server_has() {
    let add: Edit<'_> = &|tx| tx.object("Task", 1)?.add("count", 7).map(drop);
    let set = |value: Value| {
        move |tx: &mut WriteTransaction<'_>| {
            tx.object("Task", 1)?.set("count", value.clone()).map(drop)
        }
    };
    check(&one, &[add], &set(100.into()), &["Task[1].count: 107"]);
    check(&one, &[add], &set(i64::MAX.into()), &["Task[1].count: -9223372036854775802"]);
    check(&one, &[add], &set(Value::Null), &["Task[1].count: null"]);
    // A mixed field that is an integer here and text there.
    check(
        &|tx| tx.create("Task", 1)?.set("any", 1).map(drop),
        &[&|tx| tx.object("Task", 1)?.add("any", 1).map(drop)],
        &|tx| tx.object("Task", 1)?.set("any", "text").map(drop),
        &["Task[1].any: \"text\""],
    );
}

#[test]
fn sets_have_what_was_inserted_and_not_what_was_erased() {
    check(
        &|tx| {
            one(tx)?;
            tx.object("Task", 1)?.set_of("tags")?.insert("a")?;
            tx.object("Task", 1)?.set_of("tags")?.insert("b").map(drop)
        },
        &[&|tx| {
            tx.object("Task", 1)?.set_of("tags")?.insert("c")?;
            tx.object("Task", 1)?.set_of("tags")?.remove("a").map(drop)
        }],
        &|tx| {
            tx.object("Task", 1)?.set_of("tags")?.insert("d")?;
            tx.object("Task", 1)?.set_of("tags")?.remove("b").map(drop)
        },
        &["Task[1].tags: {\"c\", \"d\"}"],
    );
    check(
        &|tx| tx.create("Task", 1)?.set_of("tags")?.insert("a").map(drop),
        &[&|tx| tx.object("Task", 1)?.set_of("tags")?.clear()?.insert("c").map(drop)],
        &|tx| tx.object("Task", 1)?.set_of("tags")?.insert("d").map(drop),
        &["Task[1].tags: {\"c\"}"],
    );
}

#[test]
fn a_collection_cleared_in_a_dictionary_is_made_if_it_is_gone() {
    check(
        &|tx| {
            let list = Value::List(vec![1.into()]);
            tx.create("Task", 1)?.dictionary("anymap")?.insert("k", list).map(drop)
        },
        &[&|tx| {
            let mut task = tx.object("Task", 1)?;
            let mut map = task.dictionary("anymap")?;
            map.list("k")?.clear()?.push(2).map(drop)
        }],
        &|tx| tx.object("Task", 1)?.dictionary("anymap")?.remove("k").map(drop),
        &["Task[1].anymap: {\"k\": [2]}"],
    );
}

#[test]
fn ways_that_end_on_the_server_are_not_gone() {
    let base = |tx: &mut WriteTransaction<'_>| {
        tx.create("Task", 1)?.embed("part")?.set("n", 1)?;
        tx.object("Task", 1)?.dictionary("partmap")?.insert("k", part(1))?;
        tx.object("Task", 1)?.dictionary("partmap")?.insert("l", part(1))?;
        let list = Value::List(vec![1.into()]);
        tx.object("Task", 1)?.set("any", list.clone())?;
        tx.object("Task", 1)?.dictionary("anymap")?.insert("k", list.clone())?.insert("l", list)?;
        Ok(())
    };
    check(
        &base,
        &[&|tx| {
            tx.object("Task", 1)?.embedded("part")?.set("n", 2)?.list("items")?.push(1)?;
            let mut task = tx.object("Task", 1)?;
            task.dictionary("partmap")?.embedded("k")?.set("n", 2)?;
            task.dictionary("partmap")?.embedded("l")?.set("n", 2)?;
            task.list("any")?.push(2)?;
            task.dictionary("anymap")?.list("k")?.push(2)?;
            task.dictionary("anymap")?.list("l")?.push(2)?;
            Ok(())
        }],
        &|tx| {
            let mut task = tx.object("Task", 1)?;
            task.set("part", Value::Null)?.set("any", 5)?;
            task.dictionary("partmap")?.remove("k")?;
            task.dictionary("partmap")?.insert("l", Value::Null)?;
            task.dictionary("anymap")?.remove("k")?;
            task.dictionary("anymap")?.insert("l", "text")?;
            Ok(())
        },
        &[
            "Task[1].part: null",
            "Task[1].any: 5",
            "Task[1].partmap: {\"l\": null}",
            "Task[1].anymap: {\"l\": \"text\"}",
        ],
    );
}

#[test]
fn an_embedded_object_of_a_dictionary_is_a_new_one() {
    check(
        &|tx| tx.create("Task", 1)?.dictionary("partmap")?.insert("k", part(1)).map(drop),
        &[&|tx| tx.object("Task", 1)?.dictionary("partmap")?.insert("k", part(2)).map(drop)],
        &|tx| {
            let mut task = tx.object("Task", 1)?;
            task.dictionary("partmap")?.embedded("k")?.list("items")?.push(1).map(drop)
        },
        &["Task[1].partmap: {\"k\": Part { items: [], n: 2, task: null }}"],
    );
}

#[test]
fn new_classes_and_fields_are_declared_again() {
    let world = World::new(NOTHING);
    let extended = super::world::schema().class(
        crate::schema::Class::new("New")
            .primary_key("_id", crate::schema::PropertyType::Int)
            .property("n", crate::schema::PropertyType::Int),
    );
    world.local(&|tx| tx.declare(&extended)).unwrap();
    world.local(&|tx| tx.create("New", 1)?.set("n", 4).map(drop)).unwrap();
    let after = world.recover().unwrap();
    assert_eq!(fields(&after)["New[1].n"], "4");
    // The server has declared it meanwhile: an instruction is made all the same.
    let world = World::new(NOTHING);
    world.local(&|tx| tx.declare(&extended)).unwrap();
    world.server(&|tx| tx.declare(&extended));
    let after = world.recover().unwrap();
    let first = after.history(bailiwick_protocol::version::ClientVersion(0)).unwrap().next();
    let changeset = Changeset::decode(&first.unwrap().unwrap().changeset).unwrap();
    assert_eq!(changeset.instructions.len(), 2);
}

#[test]
fn what_contradicts_the_server_fails() {
    let target = |changeset: &mut Changeset, field: &str, path: Path| Target {
        table: changeset.strings.intern("Task"),
        object: ObjectKey::Int(1),
        field: changeset.strings.intern(field),
        path,
    };
    let fails = |make: &dyn Fn(&mut Changeset)| {
        let world = World::new(&one);
        let mut changeset = Changeset::default();
        make(&mut changeset);
        world.local_changeset(&changeset);
        let before = super::world::contents(&world.main.snapshot().unwrap());
        let failure = world.recover().unwrap_err();
        assert_eq!(before, super::world::contents(&world.main.snapshot().unwrap()));
        failure
    };
    let fault = |failure: ResetFailure| match failure {
        ResetFailure::Contradiction { source, .. } => match *source {
            ApplyError::Refused(refusal) => refusal.fault,
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    };
    let kind = UpdateKind::Value { is_default: false };
    let update = |field: &'static str, path: &'static [u32], value: Payload| {
        move |changeset: &mut Changeset| {
            let path = path.iter().map(|index| PathElement::Index(*index)).collect();
            let target = target(changeset, field, path);
            changeset.instructions.push(Instruction::Update { target, value: value.clone(), kind });
        }
    };
    assert!(matches!(fault(fails(&update("gone", &[], Payload::Null))), Fault::NoField(_)));
    assert!(matches!(fault(fails(&update("name", &[], Payload::Null))), Fault::NotNullable));
    assert!(matches!(fault(fails(&update("ints", &[], Payload::Null))), Fault::WholeCollection));
    assert!(matches!(fault(fails(&update("name", &[1], Payload::Null))), Fault::Through));
    assert!(matches!(fault(fails(&update("tags", &[1], Payload::Null))), Fault::PathElement));
    assert!(matches!(fault(fails(&update("_id", &[], Payload::Int(2)))), Fault::PrimaryKey));
    let failure = fails(&|changeset| {
        let table = changeset.strings.intern("Task");
        changeset.instructions.push(Instruction::EraseTable { table });
    });
    assert!(matches!(failure, ResetFailure::Destructive(_)));
}
