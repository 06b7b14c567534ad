//! What no file of a device can hold.

use bailiwick_protocol::changeset::{CollectionKind, KeyType, ObjectKey, Payload};

use super::author::Author;
use super::{apply, base, check_refused};
use crate::apply::Fault;

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
