//! Instructions that no device makes: any positions, lengths and paths that the decoder lets through.

use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Instruction, KeySpec, KeyType, Link, ObjectKey, Path,
    PathElement, Payload, StringTable, Symbol, TableKind, Target, TypeCode, UpdateKind,
};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::merge::Concurrent;

/// One side: up to 3 changesets of up to 8 instructions on few names, so that they meet.
pub(super) fn side(file_ident: u64) -> impl Strategy<Value = Vec<Concurrent>> {
    let changeset = (vec(instruction(), 0..8), 0..3_u64);
    let concurrent = move |(instructions, time)| {
        let strings: StringTable = ["", "A", "B"].into_iter().collect();
        let changeset = Changeset { strings, instructions };
        Concurrent::new(changeset, OriginTimestamp(time), FileIdent(file_ident))
    };
    vec(changeset.prop_map(concurrent), 0..3)
}

fn instruction() -> impl Strategy<Value = Instruction> {
    prop_oneof![
        1 => schema(),
        1 => (symbol(), key()).prop_map(|(table, object)| Instruction::CreateObject { table, object }),
        1 => (symbol(), key()).prop_map(|(table, object)| Instruction::EraseObject { table, object }),
        4 => plain(),
        4 => list(),
    ]
}

fn schema() -> impl Strategy<Value = Instruction> {
    let parts = (0..5_u8, symbol(), symbol(), symbol(), any::<bool>());
    parts.prop_map(|(what, table, field, other, nullable)| {
        let key = KeySpec { field, key_type: KeyType::Int, nullable };
        match what {
            0 => Instruction::AddTable { table, kind: TableKind::TopLevel(key) },
            1 => Instruction::AddTable { table, kind: TableKind::Embedded },
            2 => Instruction::EraseTable { table },
            3 => Instruction::EraseColumn { table, field },
            _ => Instruction::AddColumn(Box::new(AddColumn {
                table,
                field,
                column_type: TypeCode::Link,
                nullable: true,
                collection: CollectionKind::Single,
                link_target: Some(other),
                key_type: None,
            })),
        }
    })
}

/// Path instructions that may have any path.
fn plain() -> impl Strategy<Value = Instruction> {
    let parts = (0..5_u8, target(), payload(), any::<bool>(), number());
    parts.prop_map(|(what, target, value, is_default, size)| match what {
        0 => {
            let kind = match target.index() {
                Some(_) => UpdateKind::Element { prior_size: size },
                None => UpdateKind::Value { is_default },
            };
            Instruction::Update { target, value, kind }
        }
        1 => Instruction::AddInteger { target, value: i64::MAX },
        2 => Instruction::Clear { target, collection: CollectionKind::List },
        3 => Instruction::SetInsert { target, value },
        _ => Instruction::SetErase { target, value },
    })
}

/// Path instructions whose paths end with a position.
fn list() -> impl Strategy<Value = Instruction> {
    let parts = (0..3_u8, target(), number(), payload(), number(), number());
    parts.prop_map(|(what, mut target, index, value, to, prior_size)| {
        target.path.push(PathElement::Index(index));
        match what {
            0 => Instruction::ArrayInsert { target, value, prior_size },
            1 => Instruction::ArrayMove { target, to, prior_size },
            _ => Instruction::ArrayErase { target, prior_size },
        }
    })
}

fn target() -> impl Strategy<Value = Target> {
    let element =
        prop_oneof![number().prop_map(PathElement::Index), symbol().prop_map(PathElement::Key),];
    let parts = (symbol(), key(), symbol(), vec(element, 0..3));
    parts.prop_map(|(table, object, field, path)| Target {
        table,
        object,
        field,
        path: Path::from_vec(path),
    })
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::Null),
        Just(Payload::ObjectValue),
        Just(Payload::List),
        Just(Payload::Dictionary),
        Just(Payload::Erased),
        Just(Payload::Int(i64::MAX)),
        Just(Payload::Double(f64::NAN)),
        (symbol(), key()).prop_map(|(table, object)| Payload::Link(Link { table, object })),
    ]
}

fn key() -> impl Strategy<Value = ObjectKey> {
    prop_oneof![
        Just(ObjectKey::Null),
        Just(ObjectKey::Int(1)),
        symbol().prop_map(ObjectKey::String),
    ]
}

fn symbol() -> impl Strategy<Value = Symbol> {
    (1..3_u32).prop_map(Symbol)
}

/// A position or length; the largest is that of the decoder.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..3_u32, 1 => Just(i32::MAX.unsigned_abs())]
}
