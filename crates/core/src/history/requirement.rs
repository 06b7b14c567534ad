//! Which devices can understand a changeset.
//!
//! Spec: changeset format, section 16.

use bailiwick_protocol::changeset::{
    Changeset, CollectionKind, Instruction, KeyType, ObjectKey, Payload, TableKind, TypeCode,
};

/// The lowest protocol version whose devices can read and apply `changeset`.
///
/// Collections inside mixed came with version 13, asymmetric classes with 6; mixed, typed links, UUIDs,
/// sets and dictionaries with 3. A device below that misreads the changeset, or cannot apply it.
pub fn required_protocol(changeset: &Changeset) -> u8 {
    changeset.instructions.iter().map(required_by).max().unwrap_or(OLDEST)
}

const OLDEST: u8 = 2;
const RICH_TYPES: u8 = 3;
const ASYMMETRIC: u8 = 6;
const NESTED_COLLECTIONS: u8 = 13;

fn required_by(instruction: &Instruction) -> u8 {
    let by_key = match instruction.object() {
        Some(ObjectKey::Uuid(_)) => RICH_TYPES,
        _ => OLDEST,
    };
    let by_value = instruction.value().map_or(OLDEST, required_by_value);
    let by_kind = match instruction {
        Instruction::AddTable { kind: TableKind::Asymmetric(_), .. } => ASYMMETRIC,
        Instruction::AddTable { kind: TableKind::TopLevel(key), .. }
            if key.key_type == KeyType::Uuid =>
        {
            RICH_TYPES
        }
        Instruction::AddColumn(column) => match (column.column_type, column.collection) {
            (TypeCode::Null | TypeCode::Uuid, _)
            | (_, CollectionKind::Set | CollectionKind::Dictionary) => RICH_TYPES,
            _ => OLDEST,
        },
        Instruction::SetInsert { .. } | Instruction::SetErase { .. } => RICH_TYPES,
        _ => OLDEST,
    };
    by_key.max(by_value).max(by_kind)
}

fn required_by_value(value: &Payload) -> u8 {
    match value {
        Payload::List | Payload::Dictionary => NESTED_COLLECTIONS,
        Payload::Uuid(_) | Payload::Erased => RICH_TYPES,
        _ => OLDEST,
    }
}
