//! Whatever changesets hold: each is applied as a whole or not at all, alone or among others.

use bailiwick_protocol::changeset::{CollectionKind, KeyType, Payload};
use bytes::Bytes;
use proptest::prelude::*;

use super::author::Author;
use super::base;
use crate::apply::{Changes, Transaction};
use crate::state::{ObjectRow, State};

/// What an author does next; much of it can fail.
pub(super) type Step = fn(Author, u32) -> Author;

pub(super) const STEPS: &[Step] = &[
    |author, n| author.create("Task", i64::from(n % 3)),
    |author, n| author.erase("Task", i64::from(n % 3)),
    |author, n| author.update("Task", "n", Payload::Int(n.into())),
    |author, n| author.add("Task", "n", n.into()),
    |author, n| {
        author.insert("Task", &format!("ints.{}", n % 3), n / 3 % 3, Payload::Int(n.into()))
    },
    |author, n| author.move_to("Task", &format!("ints.{}", n % 3), n / 3 % 3, 1 + n / 9 % 3),
    |author, n| author.erase_at("Task", &format!("ints.{}", n % 3), 1 + n / 3 % 3),
    |author, n| author.update_at("Task", &format!("ints.{}", n % 3), 0, Payload::Int(n.into())),
    |author, n| {
        author.update(
            "Task",
            &format!("map.{}", ["a", "b"][n as usize % 2]),
            Payload::Int(n.into()),
        )
    },
    |author, n| {
        author.update("Task", &format!("map.{}", ["a", "b"][n as usize % 2]), Payload::Erased)
    },
    |author, n| author.set_insert("Task", "anyset", Payload::Int((n % 4).into())),
    |author, n| author.set_erase("Task", "anyset", Payload::Double((n % 4).into())),
    |author, n| author.set_insert("Task", "set", text_or_null(n)),
    |author, n| author.set_erase("Task", "set", text_or_null(n)),
    |author, n| author.update_link("Task", "next", "Task", (n % 3).into()),
    |author, _| author.update("Task", "part", Payload::ObjectValue),
    |author, _| author.update("Task", "part", Payload::Null),
    |author, n| author.update("Task", "part.n", Payload::Int(n.into())),
    |author, n| author.insert("Task", "parts.0", n % 2, Payload::ObjectValue),
    |author, n| author.add("Task", "parts.0.n", n.into()),
    |author, _| author.update("Task", "any", Payload::Dictionary),
    |author, _| author.update("Task", "any.a", Payload::List),
    |author, n| author.insert("Task", "any.a.0", n % 2, Payload::Int(n.into())),
    |author, _| author.clear("Task", "any", CollectionKind::List),
    |author, n| author.class(["Task", "Dog"][n as usize % 2], KeyType::Int),
    |author, n| author.column("Task", ["new", "n"][n as usize % 2], "int"),
    |author, _| author.class("Dog", KeyType::Int).column("Dog", "friend", "->Task"),
    |author, _| author.class("Dog", KeyType::Int).column("Dog", "part", "->Part"),
    |author, _| author.create("Dog", 1).update("Dog", "part", Payload::ObjectValue),
    |author, n| author.update("Dog", "part.n", Payload::Int(n.into())),
    |author, n| author.update("Task", "new", Payload::Int(n.into())),
    |author, n| author.erase_column("Task", ["new", "map"][n as usize % 2]),
    |author, n| author.erase_column("Dog", ["friend", "part"][n as usize % 2]),
    |author, n| author.erase_column("Part", ["n", "part"][n as usize % 2]),
    |author, n| author.erase_table(["Task", "Dog", "Part"][n as usize % 3]),
];

/// The last in the table: those that erase classes and columns.
const ERASING: usize = 4;

fn text_or_null(n: u32) -> Payload {
    if n.is_multiple_of(2) { Payload::Null } else { Payload::String("a".into()) }
}

fn changesets() -> impl Strategy<Value = Vec<Author>> {
    // Erasing comes seldom.
    let step = (prop_oneof![9 => 0..STEPS.len() - ERASING, 1 => 0..STEPS.len()], any::<u32>());
    let changeset = prop::collection::vec(step, 1..5).prop_map(|steps| {
        steps.into_iter().fold(Author::default(), |author, (step, n)| STEPS[step](author, n))
    });
    prop::collection::vec(changeset, 0..30)
}

/// The objects in their stored form.
fn stored(state: &State) -> Vec<(ObjectRow, Bytes)> {
    state.rows().map(|(row, object)| (row.clone(), object.clone())).collect()
}

/// What can be compared.
fn finished(changes: &Changes) -> String {
    format!("{changes:?}")
}

proptest! {
    /// A changeset that fails is as one that was never there, and one transaction for many changesets is as
    /// many transactions, to the byte.
    #[test]
    fn a_failed_changeset_leaves_no_trace(changesets in changesets()) {
        let base = base();
        let mut alone = base.clone();
        let mut transaction = Transaction::new(base.schema(), &base);
        let mut good = Vec::new();
        for author in &changesets {
            let is_good = transaction.apply(author.changeset()).is_ok();
            prop_assert_eq!(is_good, alone.apply(author.changeset()).is_ok());
            prop_assert!(transaction.has_right_references());
            if is_good {
                good.push(author);
            }
        }
        let changes = transaction.finish();

        let mut only_good = Transaction::new(base.schema(), &base);
        for author in good {
            prop_assert!(only_good.apply(author.changeset()).is_ok());
        }
        let mut together = base.clone();
        prop_assert_eq!(finished(&only_good.finish()), finished(&changes));
        together.commit(changes);
        prop_assert_eq!(stored(&together), stored(&alone));
        prop_assert_eq!(together, alone);
    }

    /// Going back to a savepoint undoes what came after it, and what comes then counts.
    #[test]
    fn rollback_restores_the_savepoint(first in changesets(), second in changesets(), third in changesets()) {
        let base = base();
        let applied = |parts: [&[Author]; 2]| {
            let mut transaction = Transaction::new(base.schema(), &base);
            for author in parts.concat() {
                let _ = transaction.apply(author.changeset());
            }
            finished(&transaction.finish())
        };
        let mut transaction = Transaction::new(base.schema(), &base);
        for author in &first {
            let _ = transaction.apply(author.changeset());
        }
        let savepoint = transaction.savepoint();
        for after in [&second, &third] {
            transaction.rollback_to(savepoint);
            for author in after {
                let _ = transaction.apply(author.changeset());
            }
        }
        prop_assert_eq!(finished(&transaction.finish()), applied([&first, &third]));
    }

    /// The form for devices has the same effect, to the byte, and needs no other form.
    #[test]
    fn what_devices_get_has_the_same_effect(changesets in changesets()) {
        let (mut server, mut device) = (base(), base());
        for author in &changesets {
            if let Ok(applied) = server.apply(author.changeset()) {
                let sent = applied.rewritten.as_ref().unwrap_or(author.changeset());
                prop_assert!(device.apply(sent).is_ok_and(|applied| applied.rewritten.is_none()));
            }
        }
        prop_assert_eq!(stored(&server), stored(&device));
        prop_assert_eq!(server, device);
    }

    /// A state is stored and read back as it was.
    #[test]
    fn a_state_survives_its_encodings(changesets in changesets()) {
        let mut state = base();
        for author in &changesets {
            let _ = state.apply(author.changeset());
        }
        let schema = crate::schema::Schema::decode(&state.schema().encode()).unwrap();
        let rows = state.rows().map(|(row, bytes)| (row.clone(), bytes.clone()));
        prop_assert_eq!(State::new(schema, rows), state);
    }
}
