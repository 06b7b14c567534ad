//! What the vectors do not say: limits, undoing, ids, and the form for devices.

mod author;
mod devices;
mod draft;
mod limits;
mod older;
mod property;

use std::fmt;

use bailiwick_protocol::changeset::{Changeset, CollectionKind, Decimal, KeyType, Payload};
use bytes::Bytes;

use self::author::Author;
use super::{ApplyError, Fault, Transaction};
use crate::state::{ObjectRow, ObjectStore, State};

/// A class with a column of each kind that the tests need, and object 1 of it.
fn base() -> State {
    let author = Author::default()
        .embedded("Part")
        .column("Part", "n", "int")
        .column("Part", "part", "->Part")
        .class("Task", KeyType::Int)
        .column("Task", "n", "int")
        .column("Task", "f", "float")
        .column("Task", "any", "mixed")
        .column("Task", "ints", "[int]")
        .column("Task", "floats", "[float]")
        .column("Task", "map", "{int}")
        .column("Task", "set", "<string?>")
        .column("Task", "anyset", "<mixed>")
        .column("Task", "next", "->Task")
        .column("Task", "part", "->Part")
        .column("Task", "parts", "[->Part]")
        .create("Task", 1);
    state_of(&[author])
}

fn state_of(authors: &[Author]) -> State {
    let mut state = State::default();
    for author in authors {
        apply(&mut state, author);
    }
    state
}

fn apply(state: &mut State, author: &Author) -> Option<Changeset> {
    state.apply(author.changeset()).map_or_else(|error| panic!("{error}"), |done| done.rewritten)
}

/// The last instruction is refused, for this reason, and nothing is done.
fn check_refused(author: &Author, path: &str, fault: &Fault) {
    let mut state = base();
    let error = state.apply(author.changeset()).unwrap_err();
    let ApplyError::Refused(refusal) = error else { panic!("{error:?}") };
    assert_eq!((refusal.path.as_str(), &refusal.fault), (path, fault));
    assert_eq!(refusal.instruction, author.changeset().instructions.len() - 1);
    assert_eq!(state, base());
}

#[test]
fn refusals_name_the_place_and_the_reason() {
    let an = Author::default;
    let (int, null) = (|| Payload::Int(7), || Payload::Null);
    let type_of = |expected, found| Fault::Type { expected, found };
    let cases = [
        (an().update("Dog", "n", int()), "Dog[1].n", Fault::NoClass("Dog".into())),
        (an().update("Task", "age", int()), "Task[1].age", Fault::NoField("age".into())),
        (an().update("Task", "n", null()), "Task[1].n", Fault::NotNullable),
        (an().update("Task", "f", int()), "Task[1].f", type_of("float", "int")),
        (an().update("Task", "ints", int()), "Task[1].ints", Fault::WholeCollection),
        (
            an().update("Task", "ints.3", int()),
            "Task[1].ints[3]",
            Fault::Index { index: 3, len: 0 },
        ),
        (an().update("Task", "ints.a", int()), "Task[1].ints.a", Fault::PathElement),
        (an().update("Task", "map.0", int()), "Task[1].map[0]", Fault::PathElement),
        (an().update("Task", "map.$a", int()), "Task[1].map.$a", Fault::BadKey("$a".into())),
        (an().update("Task", "set.0", int()), "Task[1].set[0]", Fault::PathElement),
        (an().update("Task", "n.a", int()), "Task[1].n.a", Fault::Through),
        (an().update("Task", "next._id", int()), "Task[1].next._id", Fault::ThroughLink),
        (an().update("Task", "part.n", int()), "Task[1].part.n", Fault::Through),
        (an().update("Task", "any.a.b", int()), "Task[1].any.a.b", Fault::Through),
        (an().update("Task", "any", Payload::Set), "Task[1].any", type_of("mixed", "a new set")),
        (an().update("Task", "n", Payload::List), "Task[1].n", type_of("int", "a new list")),
        (an().update("Task", "n", Payload::Erased), "Task[1].n", type_of("int", "erased")),
        (
            an().update("Task", "any", Payload::ObjectValue),
            "Task[1].any",
            type_of("mixed", "a new embedded object"),
        ),
        (
            an().update("Task", "n", Payload::Decimal(Decimal::REALM_NULL)),
            "Task[1].n",
            type_of("int", "decimal"),
        ),
        (
            an().insert("Task", "ints.0", 3, int()),
            "Task[1].ints[0]",
            Fault::PriorSize { prior_size: 3, len: 0 },
        ),
        (
            an().insert("Task", "ints.1", 0, int()),
            "Task[1].ints[1]",
            Fault::Index { index: 1, len: 0 },
        ),
        (an().insert("Task", "map.a", 0, int()), "Task[1].map.a", Fault::NotAnElement),
        (an().set_insert("Task", "ints", int()), "Task[1].ints", Fault::NotASet),
        (
            an().set_insert("Task", "anyset", Payload::List),
            "Task[1].anyset",
            type_of("mixed", "a new list"),
        ),
        (
            an().clear("Task", "ints", CollectionKind::Set),
            "Task[1].ints",
            Fault::CollectionKind(CollectionKind::Set),
        ),
        (an().clear("Task", "n", CollectionKind::List), "Task[1].n", Fault::NotACollection),
        (
            an().clear("Task", "any", CollectionKind::Set),
            "Task[1].any",
            Fault::CollectionKind(CollectionKind::Set),
        ),
        (
            an().clear("Task", "any", CollectionKind::Single),
            "Task[1].any",
            Fault::CollectionKind(CollectionKind::Single),
        ),
        (an().erase("Task", 1).update("Task", "n", int()), "Task[1].n", Fault::NoObject),
    ];
    for (author, path, fault) in cases {
        check_refused(&author, path, &fault);
    }
}

#[test]
fn the_primary_key_is_never_changed() {
    let an = Author::default;
    check_refused(&an().update("Task", "_id", Payload::Int(2)), "Task[1]._id", &Fault::PrimaryKey);
    check_refused(&an().add("Task", "_id", 1), "Task[1]._id", &Fault::PrimaryKey);
    check_refused(&an().erase_column("Task", "_id"), "Task._id", &Fault::PrimaryKey);
    check_refused(&an().class("Task", KeyType::String), "Task", &Fault::ClassDiffers);
}

#[test]
fn what_was_erased_does_not_come_back() {
    let mut state = base();
    apply(&mut state, &Author::default().update("Task", "n", Payload::Int(7)));
    apply(&mut state, &Author::default().erase_column("Task", "n"));
    apply(&mut state, &Author::default().column("Task", "n", "int"));
    assert_eq!(state, base());

    let mut state = base();
    apply(&mut state, &Author::default().erase_table("Task"));
    assert_eq!(state.rows().len(), 0);
    apply(&mut state, &Author::default().class("Task", KeyType::Int).create("Task", 2));
    assert!(state.to_string().ends_with("class Task (_id)\n  _id: int\nTask[2]\n"), "{state}");
}

#[test]
fn values_of_erased_columns_are_gone_at_once() {
    let mut state = base();
    apply(&mut state, &Author::default().update("Task", "part", Payload::ObjectValue));
    let before = state.clone();
    apply(&mut state, &Author::default().update("Task", "part.n", Payload::Int(1 << 40)));
    apply(&mut state, &Author::default().erase_column("Part", "n"));
    assert!(state.rows().eq(before.rows()), "{state:?}");

    // A part in a part, and a second column after a failure.
    apply(&mut state, &Author::default().update("Task", "part.part", Payload::ObjectValue));
    let before = state.clone();
    apply(&mut state, &Author::default().column("Part", "a", "int").column("Part", "b", "int"));
    let fill = Author::default().update("Task", "part.part.a", Payload::Int(1));
    apply(&mut state, &fill.update("Task", "part.b", Payload::Int(2)));
    let mut transaction = Transaction::new(state.schema(), &state);
    let failing = Author::default().erase_column("Part", "a").erase_column("Part", "a");
    assert!(transaction.apply(failing.changeset()).is_err());
    for column in ["a", "b"] {
        let _ =
            transaction.apply(Author::default().erase_column("Part", column).changeset()).unwrap();
    }
    let changes = transaction.finish();
    state.commit(changes);
    assert!(state.rows().eq(before.rows()), "{state:?}");
}

#[test]
fn what_reads_the_same_is_stored_as_the_same_bytes() {
    let an = Author::default;
    let part = || an().update("Task", "part", Payload::ObjectValue);
    let cases = [
        (an().update("Task", "n", Payload::Int(0)), an()),
        (an().insert("Task", "ints.0", 0, Payload::Int(1)).erase_at("Task", "ints.0", 1), an()),
        (an().clear("Task", "map", CollectionKind::Dictionary), an()),
        (an().set_erase("Task", "set", Payload::Null), an()),
        (an().update("Task", "any", Payload::Null), an()),
        (part().update("Task", "part.n", Payload::Int(0)), part()),
        (
            an().insert("Task", "parts.0", 0, Payload::ObjectValue).update(
                "Task",
                "parts.0.n",
                Payload::Int(0),
            ),
            an().insert("Task", "parts.0", 0, Payload::ObjectValue),
        ),
    ];
    for (one, other) in cases {
        let (mut a, mut b) = (base(), base());
        apply(&mut a, &one);
        apply(&mut b, &other);
        assert!(a.rows().eq(b.rows()), "{one:?}");
    }
    let mut state = base();
    apply(&mut state, &an().update("Task", "any", Payload::List));
    assert!(!state.rows().eq(base().rows()), "an empty list in a mixed field is a value");
}

#[test]
fn floating_point_fields_and_lists_keep_the_sign_of_an_equal_zero() {
    let zero = |sign| Payload::Float(0.0_f32.copysign(sign));
    let mut state = base();
    let an = Author::default;
    apply(&mut state, &an().insert("Task", "floats.0", 0, zero(1.0)));
    let before = state.clone();
    apply(
        &mut state,
        &an().update("Task", "f", zero(-1.0)).update_at("Task", "floats.0", 1, zero(-1.0)),
    );
    assert_eq!(state, before);
    apply(&mut state, &an().update("Task", "any", zero(1.0)).update("Task", "any", zero(-1.0)));
    assert!(state.to_string().contains("any: float -0.0"), "{state}");
}

#[test]
fn what_stays_the_same_is_not_written() {
    let mut state = base();
    apply(&mut state, &Author::default().update("Task", "n", Payload::Int(6)));
    let mut transaction = Transaction::new(state.schema(), &state);
    let author = Author::default()
        .class("Task", KeyType::Int)
        .column("Task", "n", "int")
        .create("Task", 1)
        .update("Task", "n", Payload::Int(6))
        .create("Task", 2)
        .erase("Task", 2);
    let before = transaction.savepoint();
    let _ = transaction.apply(author.changeset()).unwrap();
    let _ = transaction
        .apply(Author::default().update("Task", "n", Payload::Int(7)).changeset())
        .unwrap();
    transaction.rollback_to(before);
    let _ = transaction.apply(author.changeset()).unwrap();
    let changes = transaction.finish();
    assert!(changes.schema.is_none());
    assert!(changes.objects.is_empty(), "{changes:?}");
}

/// Otherwise an upload would keep a copy of the schema, or of a large object, for each of its changesets.
#[test]
fn going_back_over_many_changesets_takes_one_copy_of_what_they_change() {
    let state = base();
    let mut transaction = Transaction::new(state.schema(), &state);
    let before = transaction.savepoint();
    for n in 0..100 {
        let author = Author::default().update("Task", "n", Payload::Int(n + 10));
        let author = author.class(&format!("C{n}"), KeyType::Int);
        let _ = transaction.apply_in_part(author.changeset()).unwrap();
    }
    assert_eq!(transaction.undo_count(), 2, "the object and the schema");
    let refused = Author::default().update("Task", "n", Payload::Int(5)).update(
        "Task",
        "nothing",
        Payload::Int(5),
    );
    let _ = transaction.apply_in_part(refused.changeset()).unwrap_err();
    transaction.rollback_to(before);
    let changes = transaction.finish();
    assert!(changes.schema.is_none());
    assert!(changes.objects.is_empty(), "{changes:?}");
}

#[test]
fn a_class_is_erased_only_where_devices_survive_it() {
    let an = Author::default;
    let own = an().class("Dog", KeyType::Int).column("Dog", "next", "->Dog");
    apply(&mut base(), &own.clone().erase_table("Dog"));
    check_refused(
        &own.column("Task", "dog", "->Dog").erase_table("Dog"),
        "Dog",
        &Fault::LinkTarget,
    );
    check_refused(&an().erase_table("Part"), "Part", &Fault::LinkTarget);
    let again = an().erase_table("Task").class("Task", KeyType::Int);
    check_refused(&again, "Task", &Fault::ErasedClass);
    apply(&mut base(), &an().erase_table("Task").erase_table("Part"));
}

/// A store that has nothing but trouble.
struct Broken(Option<Bytes>);

#[derive(Debug, thiserror::Error)]
#[error("out of order")]
struct OutOfOrder;

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broken")
    }
}

impl ObjectStore for Broken {
    type Error = OutOfOrder;

    fn object(&self, _: &[u8]) -> Result<Option<Bytes>, OutOfOrder> {
        self.0.clone().map(Some).ok_or(OutOfOrder)
    }

    fn rows(&self, _: &[u8]) -> Result<Vec<ObjectRow>, OutOfOrder> {
        Err(OutOfOrder)
    }
}

#[test]
fn trouble_of_the_store_is_not_blamed_on_the_changeset() {
    let state = base();
    let author = Author::default().column("Task", "new", "int").create("Task", 1);
    for (store, is_corrupt) in
        [(Broken(None), false), (Broken(Some(Bytes::from_static(&[9]))), true)]
    {
        let mut transaction = Transaction::new(state.schema(), &store);
        match transaction.apply(author.changeset()) {
            Err(ApplyError::Store(_)) => assert!(!is_corrupt),
            Err(ApplyError::Corrupt(_)) => assert!(is_corrupt),
            other => panic!("{other:?}"),
        }
        assert!(transaction.finish().schema.is_none());
    }
}
