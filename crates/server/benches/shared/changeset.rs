//! The changesets that devices upload.

use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Instruction, KeySpec, KeyType, ObjectKey, Path, Payload,
    TableKind, Target, TypeCode, UpdateKind,
};
use bytes::Bytes;

/// Declares a class with one field beside the key.
pub(crate) fn schema() -> Bytes {
    let mut changeset = Changeset::default();
    let [table, key, field] = ["Item", "_id", "name"].map(|name| changeset.strings.intern(name));
    let key = KeySpec { field: key, key_type: KeyType::Int, nullable: false };
    let column = AddColumn {
        table,
        field,
        column_type: TypeCode::String,
        nullable: false,
        collection: CollectionKind::Single,
        link_target: None,
        key_type: None,
    };
    changeset.instructions = vec![
        Instruction::AddTable { table, kind: TableKind::TopLevel(key) },
        Instruction::AddColumn(Box::new(column)),
    ];
    changeset.encode().into()
}

/// Creates an object and sets its field.
pub(crate) fn create_object(key: u64) -> Bytes {
    let mut changeset = Changeset::default();
    let [table, field] = ["Item", "name"].map(|name| changeset.strings.intern(name));
    let object = ObjectKey::Int(key.cast_signed());
    changeset.instructions = vec![
        Instruction::CreateObject { table, object },
        Instruction::Update {
            target: Target { table, object, field, path: Path::new() },
            value: Payload::String("a lamp, and some more".into()),
            kind: UpdateKind::Value { is_default: false },
        },
    ];
    changeset.encode().into()
}
