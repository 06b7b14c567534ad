//! The app's classes, in two versions: what a device declares when it starts.

use bailiwick_core::state::State;
use bailiwick_protocol::changeset::CollectionKind::{self, Dictionary, List, Set, Single};
use bailiwick_protocol::changeset::{
    AddColumn, Changeset, Instruction, KeySpec, KeyType, TableKind, TypeCode,
};

/// A version of the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) enum AppVersion {
    First,
    Second,
}

/// The list of mixed values that never holds collections, so that its elements can be moved.
pub(super) const FLAT_LIST: &str = "mm";
/// The mixed value that is null or a list for ever.
pub(super) const ALWAYS_LIST: &str = "ml";

type ColumnSpec = (AppVersion, &'static str, &'static str, TypeCode, bool, CollectionKind);

use AppVersion::{First, Second};
use TypeCode::{
    Binary, Bool, Decimal, Double, Float, Int, Link, Null as Mixed, ObjectId, String as Text,
    Timestamp, Uuid,
};

const COLUMNS: [ColumnSpec; 45] = [
    (First, "A", "i", Int, false, Single),
    (First, "A", "n", Int, true, Single),
    (First, "A", "t", Text, true, Single),
    (First, "A", "l", Link, true, Single),
    (First, "A", "e", Link, true, Single),
    (First, "A", "m", Mixed, true, Single),
    (First, "A", ALWAYS_LIST, Mixed, true, Single),
    (First, "A", "li", Int, false, List),
    (First, "A", "ln", Text, true, List),
    (First, "A", "ll", Link, false, List),
    (First, "A", "le", Link, false, List),
    (First, "A", "lm", Mixed, true, List),
    (First, "A", FLAT_LIST, Mixed, true, List),
    (First, "A", "si", Int, false, Set),
    (First, "A", "sn", Int, true, Set),
    (First, "A", "sl", Link, false, Set),
    (First, "A", "sm", Mixed, true, Set),
    (First, "A", "di", Int, true, Dictionary),
    (First, "A", "dl", Link, true, Dictionary),
    (First, "A", "de", Link, true, Dictionary),
    (First, "A", "dm", Mixed, true, Dictionary),
    (First, "A", "b", Bool, true, Single),
    (First, "A", "f", Float, false, Single),
    (First, "A", "d", Double, true, Single),
    (First, "A", "c", Decimal, true, Single),
    (First, "A", "z", Timestamp, true, Single),
    (First, "A", "y", Binary, true, Single),
    (First, "A", "lo", ObjectId, true, List),
    (First, "A", "du", Uuid, true, Dictionary),
    (First, "A", "sd", Double, true, Set),
    (First, "A", "sc", Decimal, false, Set),
    (First, "A", "sy", Binary, false, Set),
    (First, "B", "i", Int, false, Single),
    (First, "B", "l", Link, true, Single),
    (First, "G", "i", Int, false, Single),
    (First, "O", "i", Int, false, Single),
    (First, "U", "i", Int, false, Single),
    (First, "E", "i", Int, false, Single),
    (First, "E", "li", Int, false, List),
    (First, "E", "l", Link, true, Single),
    (First, "E", "e", Link, true, Single),
    (First, "F", "i", Int, false, Single),
    (Second, "A", "x", Int, true, Single),
    (Second, "E", "x", Text, true, List),
    (Second, "C", "l", Link, false, List),
];

/// What links in a column go to.
fn target(class: &str, field: &str) -> &'static str {
    match (class, field) {
        ("A", "e" | "le" | "de") => "E",
        ("E", "e") => "F",
        ("A", "ll") | ("B", "l") => "A",
        _ => "B",
    }
}

/// What declares the classes and columns of a version that the objects do not have yet.
pub(super) fn declarations(
    state: &State,
    version: AppVersion,
    changeset: &mut Changeset,
) -> Vec<Instruction> {
    let schema = state.schema();
    let mut instructions = Vec::new();
    for class in ["A", "B", "C", "E", "F", "G", "O", "U"] {
        if schema.class(class).is_some() || (class == "C" && version == First) {
            continue;
        }
        let mut key = |key_type, nullable| {
            let name = if key_type == KeyType::GlobalKey { "" } else { "_id" };
            KeySpec { field: changeset.strings.intern(name), key_type, nullable }
        };
        let kind = match class {
            "E" | "F" => TableKind::Embedded,
            "A" => TableKind::TopLevel(key(KeyType::Int, false)),
            "G" => TableKind::TopLevel(key(KeyType::GlobalKey, false)),
            "O" => TableKind::TopLevel(key(KeyType::ObjectId, false)),
            "U" => TableKind::TopLevel(key(KeyType::Uuid, true)),
            _ => TableKind::TopLevel(key(KeyType::String, true)),
        };
        instructions.push(Instruction::AddTable { table: changeset.strings.intern(class), kind });
    }
    for (since, class, field, column_type, nullable, collection) in COLUMNS {
        let known = schema.class(class).is_some_and(|class| class.column(field).is_some());
        if known || since > version {
            continue;
        }
        let mut intern = |text| changeset.strings.intern(text);
        instructions.push(Instruction::AddColumn(Box::new(AddColumn {
            table: intern(class),
            field: intern(field),
            column_type,
            nullable,
            collection,
            link_target: (column_type == Link).then(|| intern(target(class, field))),
            key_type: (collection == Dictionary).then_some(Text),
        })));
    }
    instructions
}
