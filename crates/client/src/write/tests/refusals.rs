//! What is refused: where, why, and what is allowed instead.

use bailiwick_protocol::changeset::Timestamp;

use super::*;
use crate::schema::Property;

fn schema() -> Schema {
    use PropertyType as T;
    let class = Class::new("Task")
        .primary_key("_id", T::Int)
        .property("n", T::Int)
        .optional("at", T::Timestamp)
        .optional("count", T::Int)
        .property("any", T::Mixed)
        .property("next", T::Link("Task".into()))
        .property("part", T::Embedded("Part".into()))
        .list("tags", T::String)
        .set("numbers", T::Int)
        .dictionary("map", T::Int);
    let part = Class::embedded("Part").property("x", T::Int);
    let person = Class::new("Person").primary_key("name", T::String);
    Schema::new().class(class).class(part).class(person)
}

type Edit = fn(&mut WriteTransaction<'_>) -> Result<(), WriteError>;

#[test]
fn a_refusal_says_where_and_why_and_does_nothing() {
    let realm = Realm::in_memory(schema()).unwrap();
    let cases: &[(Edit, &str)] = &[
        (
            |tx| tx.create("Tusk", 1).map(drop),
            "Tusk: there is no class \"Tusk\", but Part, Person, Task",
        ),
        (|tx| tx.create("Task", 1).map(drop), "Task[1]: the object exists"),
        (
            |tx| tx.create("Task", "a").map(drop),
            "Task[\"a\"]: the key does not fit the primary key of class \"Task\"",
        ),
        (
            |tx| tx.create("Task", PrimaryKey::Null).map(drop),
            "Task[null]: the key does not fit the primary key of class \"Task\"",
        ),
        (|tx| tx.create("Part", 1).map(drop), "Part[1]: class \"Part\" is embedded"),
        (|tx| tx.object("Task", 2).map(drop), "Task[2]: there is no such object"),
        (|tx| tx.delete("Task", 2), "Task[2]: there is no such object"),
        (
            |tx| one(tx)?.set("m", 1).map(drop),
            "Task[1]: there is no field \"m\", but _id, any, at, count, map, n, next, numbers, part, tags",
        ),
        (|tx| one(tx)?.set("_id", 2).map(drop), "Task[1]._id: the primary key cannot be changed"),
        (
            |tx| one(tx)?.set("n", "x").map(drop),
            "Task[1].n: the value should be of type int, not string",
        ),
        (|tx| one(tx)?.set("n", Value::Null).map(drop), "Task[1].n: null is not allowed here"),
        (
            |tx| one(tx)?.set("tags", Value::Null).map(drop),
            "Task[1].tags: the value should be of type list, not null",
        ),
        (
            |tx| one(tx)?.set("tags", Value::List(vec!["a".into(), 1.into()])).map(drop),
            "Task[1].tags[1]: the value should be of type string, not int",
        ),
        (
            |tx| one(tx)?.set("any", Value::Set(vec![])).map(drop),
            "Task[1].any: the value should be of type mixed, not a new set",
        ),
        (
            |tx| one(tx)?.set("any", Value::Object([].into())).map(drop),
            "Task[1].any: the value should be of type mixed, not a new embedded object",
        ),
        (
            |tx| one(tx)?.set("next", Link::new("Task", 7)).map(drop),
            "Task[1].next: there is no Task[7] to link to",
        ),
        (
            |tx| {
                tx.create_or_update("Person", "Ann")?;
                one(tx)?.set("next", Link::new("Person", "Ann")).map(drop)
            },
            "Task[1].next: the field has links to another class than \"Task\"",
        ),
        (
            |tx| {
                let at = Timestamp { seconds: 1, nanoseconds: -1 };
                one(tx)?.set("at", Value::Timestamp(at.into())).map(drop)
            },
            "Task[1].at: a timestamp cannot have 1 seconds and -1 nanoseconds",
        ),
        (|tx| one(tx)?.add("count", 1).map(drop), "Task[1].count: nothing can be added to null"),
        (|tx| one(tx)?.add("tags", 1).map(drop), "Task[1].tags: the path does not lead to a field"),
        (
            |tx| one(tx)?.set("any", "x")?.add("any", 1).map(drop),
            "Task[1].any: the value should be of type int, not string",
        ),
        (|tx| one(tx)?.list("n").map(drop), "Task[1].n: this is not a list, but int"),
        (|tx| one(tx)?.list("any").map(drop), "Task[1].any: this is not a list, but null"),
        (
            |tx| one(tx)?.embedded("part").map(drop),
            "Task[1].part: this is not an embedded object, but null",
        ),
        (
            |tx| one(tx)?.embedded("next").map(drop),
            "Task[1].next: this is not an embedded object, but null",
        ),
        (
            |tx| one(tx)?.embed("part")?.set("y", 1).map(drop),
            "Task[1].part: there is no field \"y\", but x",
        ),
        (
            |tx| one(tx)?.list("tags")?.remove(0).map(drop),
            "Task[1].tags: position 0 is outside of a list of 0",
        ),
        (
            |tx| one(tx)?.list("tags")?.insert(1, "x").map(drop),
            "Task[1].tags: position 1 is outside of a list of 0",
        ),
        (
            |tx| one(tx)?.list("tags")?.push(1).map(drop),
            "Task[1].tags[0]: the value should be of type string, not int",
        ),
        (
            |tx| one(tx)?.set_of("numbers")?.insert("x").map(drop),
            "Task[1].numbers: the value should be of type int, not string",
        ),
        (
            |tx| one(tx)?.dictionary("map")?.insert("$a", 1).map(drop),
            "Task[1].map[\"$a\"]: \"$a\" cannot be a dictionary key",
        ),
        (
            |tx| one(tx)?.dictionary("map")?.insert("a.b", 1).map(drop),
            "Task[1].map[\"a.b\"]: \"a.b\" cannot be a dictionary key",
        ),
        (
            |tx| one(tx)?.dictionary("map")?.list("a").map(drop),
            "Task[1].map[\"a\"]: there is no dictionary key \"a\"",
        ),
    ];
    for (edit, expected) in cases {
        realm
            .write(|tx| {
                tx.create("Task", 1)?;
                let error = edit(tx).expect_err(expected);
                assert_eq!(error.to_string(), *expected);
                // What the case needed comes first; nothing of the edit itself is left.
                let count = tx.changeset().instructions.len();
                assert!(count <= 3, "{expected}");
                tx.object("Task", 1)?.set("n", 5)?;
                Err::<(), _>(error)
            })
            .unwrap_err();
    }
    assert!(state_of(&realm).rows().len() == 0);
}

fn one<'t, 'a>(tx: &'t mut WriteTransaction<'a>) -> Result<ObjectMut<'t, 'a>, WriteError> {
    tx.object("Task", 1)
}

#[test]
fn several_edits_in_one_are_done_as_a_whole_or_not_at_all() {
    let realm = Realm::in_memory(schema()).unwrap();
    realm
        .write(|tx| {
            tx.create("Task", 1)?.list("tags")?.push("a")?;
            let before = written(tx);
            let fields = [("n", 1.into()), ("any", "x".into()), ("count", "x".into())];
            let fields = fields.map(|(field, value): (&str, Value)| (field.to_owned(), value));
            assert!(one(tx)?.set_all(fields).is_err());
            let values = Value::List(vec!["b".into(), Value::Null]);
            assert!(one(tx)?.set("tags", values).is_err());
            assert_eq!(written(tx), before);
            assert_eq!(one(tx)?.get("n")?, 0.into());
            assert_eq!(one(tx)?.list("tags")?.values()?, ["a".into()]);
            Ok::<_, WriteError>(())
        })
        .unwrap();
}

#[test]
fn a_contradiction_between_realm_and_application_names_both_sides() {
    use PropertyType as T;
    let check = |class: Class, expected: &str| {
        let realm = Realm::in_memory(schema()).unwrap();
        let mut declared = Schema::new().class(class);
        declared.classes.push(Class::new("Other").primary_key("_id", T::Int));
        let error = realm.write(|tx| tx.declare(&declared)).unwrap_err();
        let way_out = "; declare what the realm has, or use another name";
        assert_eq!(error.to_string(), format!("{expected}{way_out}"));
        assert!(realm.snapshot().unwrap().schema().class("Other").is_none());
    };
    let task = || Class::new("Task").primary_key("_id", T::Int);
    check(
        Class::new("Task").primary_key("_id", T::String),
        "Task: the realm has a class with the primary key \"_id\" of type int, \
         the application a class with the primary key \"_id\" of type string",
    );
    check(
        Class::embedded("Person"),
        "Person: the realm has a class with the primary key \"name\" of type string, \
         the application an embedded class",
    );
    check(
        Class::asymmetric("Person").primary_key("name", T::String),
        "Person: the realm has a class with the primary key \"name\" of type string, \
         the application an asymmetric class with the primary key \"name\" of type string",
    );
    check(task().property("n", T::String), "Task.n: the realm has int, the application string");
    check(task().optional("n", T::Int), "Task.n: the realm has int, the application int or null");
    check(
        task().set("tags", T::String),
        "Task.tags: the realm has a list of string, the application a set of string",
    );
    let other = Property::new("next", T::Link("Other".into()));
    check(
        task().with(other),
        "Task.next: the realm has link to \"Task\" or null, the application link to \"Other\" or null",
    );
}
