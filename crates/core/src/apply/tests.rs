//! What the vectors do not say: limits, undoing, ids, and the form for devices.

mod author;
mod property;

use std::fmt;

use bailiwick_protocol::changeset::{
    Changeset, CollectionKind, Decimal, Instruction, KeyType, ObjectKey, Payload,
};
use bytes::Bytes;

use self::author::Author;
use super::{ApplyError, Fault, Transaction};
use crate::schema::ClassKind;
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
fn keys_must_fit_the_class() {
    let an = Author::default;
    let global = |hi, lo| ObjectKey::GlobalKey { hi, lo };
    let legacy = || an().class("Old", KeyType::GlobalKey);
    check_refused(
        &an().create_key("Task", global(1, 1)),
        "Task[globalKey 1-1]",
        &Fault::KeyType("Task".into()),
    );
    check_refused(
        &an().create_key("Task", ObjectKey::Null),
        "Task[null]",
        &Fault::KeyType("Task".into()),
    );
    check_refused(&an().create("Part", 1), "Part[1]", &Fault::EmbeddedClass("Part".into()));
    check_refused(&legacy().create("Old", 1), "Old[1]", &Fault::KeyType("Old".into()));
    check_refused(
        &legacy().create_key("Old", global(0x4000_0000, 1)),
        "Old[globalKey 40000000-1]",
        &Fault::GlobalKeyRange,
    );
    check_refused(
        &legacy().create_key("Old", global(1, 1 << 32)),
        "Old[globalKey 1-100000000]",
        &Fault::GlobalKeyRange,
    );
    apply(&mut base(), &legacy().create_key("Old", global(0x3fff_ffff, 0xffff_ffff)));
    // A link by GlobalKey can wait for its object like any other.
    let link = legacy().update_link_key("Task", "any", "Old", global(1, 1));
    apply(&mut base(), &link);
}

#[test]
fn names_and_columns_that_no_file_can_hold_are_refused() {
    let an = Author::default;
    let (long_class, long_field) = ("C".repeat(58), "f".repeat(64));
    check_refused(&an().class(&long_class, KeyType::Int), &long_class, &Fault::ClassNameLength(58));
    check_refused(&an().class("", KeyType::Int), "", &Fault::ClassNameLength(0));
    check_refused(
        &an().column("Task", &long_field, "int"),
        &format!("Task.{long_field}"),
        &Fault::FieldNameLength(64),
    );
    check_refused(&an().column("Task", "", "int"), "Task.", &Fault::FieldNameLength(0));
    check_refused(
        &an().column("Task", "x", "<->Part>"),
        "Task.x",
        &Fault::ColumnType("a set of embedded objects"),
    );
    check_refused(
        &an().column("Task", "x", "{->}"),
        "Task.x",
        &Fault::ColumnType("a set or dictionary of links to any class"),
    );
    check_refused(&an().column("Task", "x", "->Dog"), "Task.x", &Fault::NoClass("Dog".into()));
    check_refused(&an().column("Task", "n", "[int]"), "Task.n", &Fault::FieldDiffers);
    let classes =
        |count| (0..count).fold(an(), |a, n: u32| a.class(&format!("C{n}"), KeyType::Int));
    apply(&mut base(), &classes(9_998));
    check_refused(&classes(9_999), "C9998", &Fault::TooManyClasses);
    apply(&mut base(), &an().column("Task", "n", "int?").column("Task", "_id", "int"));
}

#[test]
fn control_characters_do_not_reach_the_log() {
    let fault = Fault::NoField("a\nb".into());
    check_refused(
        &Author::default().update("Task", "a\nb", Payload::Null),
        r"Task[1].a\nb",
        &fault,
    );
}

#[test]
fn values_too_long_for_a_device_are_refused() {
    let binary = |len| Payload::Binary(vec![0; len].into());
    let string = |len| Payload::String("a".repeat(len).into());
    let an = Author::default;
    apply(&mut base(), &an().update("Task", "any", binary(16_777_200)));
    apply(&mut base(), &an().update("Task", "any", string(16_777_199)));
    for (value, len) in [(binary(16_777_201), 16_777_201), (string(16_777_200), 16_777_200)] {
        check_refused(&an().update("Task", "any", value), "Task[1].any", &Fault::ValueLength(len));
    }
}

#[test]
fn collections_lie_at_most_100_levels_deep() {
    let nested = |levels: usize| {
        (1..levels).fold(Author::default().update("Task", "any", Payload::List), |author, level| {
            author.insert("Task", &format!("any{}", ".0".repeat(level)), 0, Payload::List)
        })
    };
    apply(&mut base(), &nested(100));
    check_refused(&nested(101), &format!("Task[1].any{}", "[0]".repeat(100)), &Fault::Nesting);
    let by_clear = nested(100)
        .insert("Task", &format!("any{}", ".0".repeat(100)), 0, Payload::Null)
        .clear("Task", &format!("any{}", ".0".repeat(100)), CollectionKind::List);
    check_refused(&by_clear, &format!("Task[1].any{}", "[0]".repeat(100)), &Fault::Nesting);
}

#[test]
fn embedded_objects_lie_as_deep_as_paths_lead() {
    let nested = |levels: usize| {
        (0..levels).fold(Author::default(), |author, level| {
            author.update("Task", &format!("part{}", ".part".repeat(level)), Payload::ObjectValue)
        })
    };
    let mut state = base();
    apply(&mut state, &nested(257));
    // What was stored can be read.
    apply(&mut state, &Author::default().add("Task", &format!("part{}.n", ".part".repeat(100)), 1));
    let path = format!("Task[1].part{}", ".part".repeat(256));
    check_refused(&nested(258), &path, &Fault::PathLength(257));
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
fn values_of_erased_columns_leave_with_the_next_write() {
    let mut state = base();
    apply(&mut state, &Author::default().update("Task", "part", Payload::ObjectValue));
    let before = state.rows().next().unwrap().1.len();
    apply(&mut state, &Author::default().update("Task", "part.n", Payload::Int(1 << 40)));
    apply(&mut state, &Author::default().erase_column("Part", "n"));
    apply(&mut state, &Author::default().update("Task", "n", Payload::Int(0)));
    let after = state.rows().next().unwrap().1.len();
    assert!(after < before + 6, "{before} bytes, then {after}");
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
fn erasing_null_from_a_typed_set_reaches_devices_as_a_refilled_set() {
    let text = |text: &str| Payload::String(text.into());
    let filled = |values: &[&str]| {
        let with_null = Author::default().set_insert("Task", "set", Payload::Null);
        let mut state = base();
        apply(
            &mut state,
            &values.iter().fold(with_null, |a, value| a.set_insert("Task", "set", text(value))),
        );
        state
    };
    for values in [&[][..], &["b", "a"]] {
        let author = Author::default()
            .set_insert("Task", "set", text("c"))
            .set_erase("Task", "set", Payload::Null)
            .set_erase("Task", "set", Payload::Null)
            .update("Task", "n", Payload::Int(7));
        let (mut server, mut device) = (filled(values), filled(values));
        let rewritten = apply(&mut server, &author).expect("a device cannot apply it");
        let is_refused = |instruction: &Instruction| {
            matches!(instruction, Instruction::SetErase { value: Payload::Null, .. })
        };
        assert!(!rewritten.instructions.iter().any(is_refused));
        assert_eq!(Changeset::decode(&rewritten.encode()).unwrap(), rewritten);
        assert!(device.apply(&rewritten).unwrap().rewritten.is_none());
        assert_eq!(server, device);
        let remaining = if values.is_empty() {
            "\n  set: {\"c\"}\n"
        } else {
            "\n  set: {\"a\", \"b\", \"c\"}\n"
        };
        assert!(server.to_string().contains(remaining), "{server}");
    }
    // Realm's null decimal is null to a device, too.
    let decimals = Author::default()
        .column("Task", "decimals", "<decimal?>")
        .set_insert("Task", "decimals", Payload::Decimal(Decimal::REALM_NULL))
        .set_erase("Task", "decimals", Payload::Decimal(Decimal::REALM_NULL));
    let rewritten = apply(&mut base(), &decimals).expect("a device cannot apply it");
    assert!(matches!(rewritten.instructions.last(), Some(Instruction::Clear { .. })));
    // A mixed set is no trouble.
    assert!(
        apply(&mut base(), &Author::default().set_erase("Task", "anyset", Payload::Null)).is_none()
    );
}

#[test]
fn moving_a_nested_collection_reaches_devices_as_a_new_one() {
    let an = Author::default;
    let nested = an()
        .update("Task", "any", Payload::List)
        .insert("Task", "any.0", 0, Payload::Dictionary)
        .update("Task", "any.0.a", Payload::Int(1))
        .update("Task", "any.0.list", Payload::List)
        .insert("Task", "any.0.list.0", 0, Payload::Null)
        .insert("Task", "any.0.list.1", 1, Payload::Float(2.5))
        .insert("Task", "any.1", 1, Payload::Int(2))
        .insert("Task", "any.2", 2, Payload::Int(3));
    for (from, to) in [("any.0", 2), ("any.0", 1)] {
        let (mut server, mut device) = (base(), base());
        for state in [&mut server, &mut device] {
            apply(state, &nested);
        }
        let author = an().move_to("Task", from, to, 3).move_to("Task", "any.0", 1, 3);
        let rewritten = apply(&mut server, &author).expect("a device would crash");
        assert!(device.apply(&rewritten).unwrap().rewritten.is_none());
        assert_eq!(server, device);
    }
    // Moving anything else is no trouble.
    let mut state = base();
    apply(&mut state, &nested);
    assert!(apply(&mut state, &an().move_to("Task", "any.1", 2, 3)).is_none());
}

#[test]
fn short_instructions_do_not_grow_without_bound_for_devices() {
    let an = Author::default;
    let big = Payload::String("a".repeat(16_000_000).into());
    let nested = an()
        .update("Task", "any", Payload::List)
        .insert("Task", "any.0", 0, Payload::List)
        .insert("Task", "any.0.0", 0, big.clone())
        .insert("Task", "any.1", 1, Payload::Null);
    let moves = |count| {
        (0..count).fold(nested.clone(), |author, i: u32| {
            author.move_to("Task", &format!("any.{}", i % 2), 1 - i % 2, 2)
        })
    };
    apply(&mut base(), &moves(4));
    check_refused(&moves(5), "Task[1].any[0]", &Fault::Rewrite);
    let erasures = |count| {
        (0..count).fold(an().set_insert("Task", "set", big.clone()), |author, _: u32| {
            author
                .set_insert("Task", "set", Payload::Null)
                .set_erase("Task", "set", Payload::Null)
                .set_erase("Task", "set", Payload::Null)
        })
    };
    apply(&mut base(), &erasures(4));
    assert!(base().apply(erasures(5).changeset()).is_err());
}

#[test]
fn asymmetric_objects_are_kept_and_never_sent() {
    let an = Author::default;
    let mut state = base();
    let schema = an().asymmetric("Log").column("Log", "n", "int").column("Log", "any", "mixed");
    assert!(apply(&mut state, &schema).is_none());
    let author = an()
        .create("Task", 2)
        .create("Log", 1)
        .update("Log", "n", Payload::Int(7))
        .update("Task", "n", Payload::Int(8));
    let rewritten = apply(&mut state, &author).unwrap();
    let classes: Vec<_> =
        rewritten.instructions.iter().map(|i| rewritten.text(i.table())).collect();
    assert_eq!(classes, ["Task", "Task"]);
    let log = state.schema().class("Log").unwrap();
    assert_eq!(log.kind(), ClassKind::Asymmetric);
    assert_eq!(state.objects(log.id()).unwrap().len(), 1);

    let links = [
        (an().asymmetric("Log").column("Log", "x", "->Task"), "Log.x"),
        (an().asymmetric("Log").column("Log", "x", "->"), "Log.x"),
        (an().asymmetric("Log").column("Task", "x", "->Log"), "Task.x"),
        (
            an().asymmetric("Log")
                .column("Log", "any", "mixed")
                .create("Log", 1)
                .update_link("Log", "any", "Task", 1),
            "Log[1].any",
        ),
        (an().asymmetric("Log").update_link("Task", "any", "Log", 1), "Task[1].any"),
    ];
    for (author, path) in links {
        check_refused(&author, path, &Fault::AsymmetricLink);
    }
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

#[test]
fn a_repeated_column_of_any_links_is_not_sent() {
    let author = Author::default().column("Task", "x", "->").column("Task", "ys", "[->]");
    let mut state = base();
    assert!(apply(&mut state, &author).is_none());
    let before = state.clone();
    assert!(apply(&mut state, &author).is_some_and(|rewritten| rewritten.is_empty()));
    assert_eq!(state, before);
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
