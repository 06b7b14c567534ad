//! The form of a changeset for devices that must not be told to remove what is not there.

use bailiwick_protocol::changeset::{Changeset, CollectionKind, Instruction, Payload};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;
use proptest::prelude::*;

use super::author::Author;
use super::{apply, base};
use crate::apply::for_older_devices;
use crate::apply::older::ZERO;
use crate::merge::{Concurrent, merge};
use crate::state::State;

/// Dictionaries of every kind of value, where there can be one; all of them hold the key `k`.
const ENTRIES: [(&str, &str, &str, Payload); 8] = [
    ("map", "Task", "{int}", Payload::Int(1)),
    ("floats_by_name", "Task", "{float}", Payload::Float(1.0)),
    ("decimals", "Task", "{decimal}", Payload::Null),
    ("texts", "Task", "{string?}", Payload::Null),
    ("anything", "Task", "{mixed}", Payload::Bool(true)),
    ("links", "Task", "{->Task}", Payload::Null),
    ("objects", "Task", "{->Part}", Payload::ObjectValue),
    ("part.inner", "Part", "{int}", Payload::Int(1)),
];

fn filled() -> State {
    let mut state = base();
    let mut author = Author::default().update("Task", "part", Payload::ObjectValue);
    for (path, class, spec, value) in ENTRIES {
        let field = path.rsplit('.').next().expect("a path names a field");
        let value = if spec == "{decimal}" { Payload::Decimal(ZERO) } else { value };
        author = author.column(class, field, spec).update("Task", &format!("{path}.k"), value);
    }
    apply(&mut state, &author);
    state
}

fn older(state: &State, changeset: &Changeset) -> Changeset {
    let bytes = for_older_devices(state.schema(), &changeset.encode());
    Changeset::decode(&bytes.expect("there is a removal")).unwrap()
}

#[test]
fn a_removal_follows_a_write_of_the_same_entry() {
    for (path, ..) in ENTRIES {
        let removal = Author::default().update("Task", &format!("{path}.k"), Payload::Erased);
        let (mut server, mut device) = (filled(), filled());
        let sent = older(&server, removal.changeset());
        let [
            Instruction::Update { target: written, .. },
            Instruction::Update { target, value, .. },
        ] = &sent.instructions[..]
        else {
            panic!("{path}: {sent:?}")
        };
        assert_eq!((written, value), (target, &Payload::Erased), "{path}");
        apply(&mut server, &removal);
        assert!(device.apply(&sent).unwrap().rewritten.is_none(), "{path}");
        assert_eq!(server, device, "{path}");
        // Whether or not the entry is there.
        assert!(device.apply(&sent).unwrap().rewritten.is_none(), "{path}");
        assert_eq!(server, device, "{path}");
    }
}

#[test]
fn other_changesets_are_sent_as_they_are() {
    let an = Author::default;
    let others = [
        an(),
        an().update("Task", "map.k", Payload::Int(0x43)),
        an().update("Task", "any", Payload::String("CCC".into())),
        an().clear("Task", "map", CollectionKind::Dictionary),
    ];
    for author in others {
        let bytes = author.changeset().encode();
        assert_eq!(for_older_devices(filled().schema(), &bytes), None, "{author:?}");
    }
    assert_eq!(for_older_devices(filled().schema(), b"CC not a changeset"), None);
}

/// A device merges the form that it was sent, the server the one that it keeps.
#[test]
fn both_forms_merge_alike() {
    let an = Author::default;
    for (path, .., value) in ENTRIES {
        let entry = format!("{path}.k");
        let value = match value {
            Payload::Null if path == "decimals" => Payload::Decimal(ZERO),
            value => value,
        };
        let set = || an().update("Task", &entry, value.clone());
        let mut edits = vec![
            set(),
            an().update("Task", &entry, Payload::Erased),
            an().update("Task", &entry, Payload::Erased).update("Task", &entry, value.clone()),
            set().update("Task", &entry, Payload::Erased),
            an().update("Task", &format!("{path}.other"), value.clone()),
            an().clear("Task", path, CollectionKind::Dictionary),
            an().erase("Task", 1),
        ];
        if path == "objects" {
            edits.push(an().update("Task", "objects.k.n", Payload::Int(7)));
            edits.push(set().update("Task", "objects.k.n", Payload::Int(7)));
        }
        let removal = an().update("Task", &entry, Payload::Erased);
        for edit in edits {
            for at in [100, 300] {
                let on_server = merged(&edit, at, removal.changeset().clone());
                let on_device = merged(&edit, at, older(&filled(), removal.changeset()));
                assert_eq!(on_device, on_server, "{path}: {edit:?} at {at}");
            }
        }
    }
}

/// Changes of dictionaries as devices make them: which entry, what, under which key.
fn author() -> impl Strategy<Value = Author> {
    let step = (0..ENTRIES.len(), 0..6_u8, prop::sample::select(vec!["k", "l"]));
    prop::collection::vec(step, 1..6).prop_map(|steps| {
        steps.into_iter().fold(Author::default(), |author, (entry, change, key)| {
            let (path, .., value) = ENTRIES[entry].clone();
            let value = if path == "decimals" { Payload::Decimal(ZERO) } else { value };
            let entry = format!("{path}.{key}");
            match change {
                0 | 1 => author.update("Task", &entry, Payload::Erased),
                2 => author.clear("Task", path, CollectionKind::Dictionary),
                3 if path == "objects" => author
                    .update("Task", &entry, Payload::ObjectValue)
                    .update("Task", &format!("{entry}.n"), Payload::Int(7)),
                _ => author.update("Task", &entry, value),
            }
        })
    })
}

proptest! {
    /// Whatever two devices do to dictionaries at the same time.
    #[test]
    fn both_forms_of_many_changes_merge_alike(ours in author(), theirs in author(), at in 199..202_u64) {
        let theirs = theirs.changeset().clone();
        if let Some(sent) = for_older_devices(filled().schema(), &theirs.encode()) {
            let sent = Changeset::decode(&sent).unwrap();
            prop_assert_eq!(merged(&ours, at, sent), merged(&ours, at, theirs));
        }
    }
}

/// The state of a device that made `edit` at `at` and then receives `removal`, made at 200; and what is left of its edit.
fn merged(edit: &Author, at: u64, removal: Changeset) -> (State, Changeset) {
    let mut device = filled();
    apply(&mut device, edit);
    let mut ours = [Concurrent::new(edit.changeset().clone(), OriginTimestamp(at), FileIdent(2))];
    let mut theirs = [Concurrent::new(removal, OriginTimestamp(200), FileIdent(3))];
    merge(&mut ours, &mut theirs).unwrap();
    let ([ours], [theirs]) = (ours, theirs);
    assert!(device.apply(&theirs.into_changeset()).unwrap().rewritten.is_none());
    (device, ours.into_changeset())
}
