//! The form of a changeset that devices can apply.

use bailiwick_protocol::changeset::{Changeset, Decimal, Instruction, Payload};

use super::author::Author;
use super::{apply, base, check_refused};
use crate::apply::Fault;
use crate::schema::ClassKind;

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
fn a_repeated_column_of_any_links_is_not_sent() {
    let author = Author::default().column("Task", "x", "->").column("Task", "ys", "[->]");
    let mut state = base();
    assert!(apply(&mut state, &author).is_none());
    let before = state.clone();
    assert!(apply(&mut state, &author).is_some_and(|rewritten| rewritten.is_empty()));
    assert_eq!(state, before);
}
