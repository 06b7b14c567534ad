//! A device that uploads what no SDK would.

use bailiwick_core::history::UploadedChangeset;
use bailiwick_core::state::State;
use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Instruction, KeySpec, KeyType, ObjectKey, PathElement,
    Payload, TableKind, Target, TypeCode, UpdateKind,
};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, ServerVersion, UploadCursor};

use super::message::UploadMessage;

/// What is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Poison {
    Truncated,
    Noise,
    UnknownClass,
    AbsentObject,
    WrongType,
    WrongListSize,
    OtherKey,
    OtherColumn,
    AsymmetricClass,
    FutureBase,
    OtherAuthor,
}

pub(super) const POISONS: [Poison; 11] = [
    Poison::Truncated,
    Poison::Noise,
    Poison::UnknownClass,
    Poison::AbsentObject,
    Poison::WrongType,
    Poison::WrongListSize,
    Poison::OtherKey,
    Poison::OtherColumn,
    Poison::AsymmetricClass,
    Poison::FutureBase,
    Poison::OtherAuthor,
];

/// An UPLOAD of a changeset without fault, and one that can never be right; versions follow `last`.
///
/// `valid` is what to start with, made from the state at `base`.
pub(super) fn upload(
    poison: Poison,
    valid: &Changeset,
    state: &State,
    base: ServerVersion,
    last: u64,
) -> UploadMessage {
    let cursor = |version, base| UploadCursor {
        client_version: ClientVersion(version),
        last_integrated_server_version: base,
    };
    let changeset = |version, bytes: Vec<u8>| UploadedChangeset {
        cursor: cursor(version, base),
        origin_timestamp: OriginTimestamp(1_000_000),
        origin_file_ident: FileIdent::SELF,
        bytes: bytes.into(),
    };
    let mut bad = changeset(last + 2, bytes(poison, state));
    match poison {
        Poison::FutureBase => {
            bad.cursor.last_integrated_server_version = ServerVersion(base.0 + 100);
        }
        Poison::OtherAuthor => bad.origin_file_ident = FileIdent(2),
        _ => (),
    }
    let changesets = vec![changeset(last + 1, valid.encode()), bad];
    UploadMessage { progress: cursor(last + 2, base), locked: base, changesets }
}

/// Names the objects that no device creates.
const NOBODYS: ObjectKey = ObjectKey::Int(99);

fn bytes(poison: Poison, state: &State) -> Vec<u8> {
    let mut changeset = Changeset::default();
    let mut intern = |text| changeset.strings.intern(text);
    let (a, id, i, li) = (intern("A"), intern("_id"), intern("i"), intern("li"));
    let unknown = intern("Unknown");
    let target = |field, path: &[PathElement]| Target {
        table: a,
        object: NOBODYS,
        field,
        path: path.iter().copied().collect(),
    };
    let key = |key_type| KeySpec { field: id, key_type, nullable: false };
    let declare = Instruction::AddTable { table: a, kind: TableKind::TopLevel(key(KeyType::Int)) };
    let column = |column_type| {
        Instruction::AddColumn(Box::new(AddColumn {
            table: a,
            field: i,
            column_type,
            nullable: false,
            collection: CollectionKind::Single,
            link_target: None,
            key_type: None,
        }))
    };
    let create = Instruction::CreateObject { table: a, object: NOBODYS };
    let update = |value| Instruction::Update {
        target: target(i, &[]),
        value,
        kind: UpdateKind::Value { is_default: false },
    };
    changeset.instructions = match poison {
        Poison::Noise => return b"\x7f\xff\xfe noise".to_vec(),
        Poison::UnknownClass => vec![Instruction::CreateObject { table: unknown, object: NOBODYS }],
        Poison::AbsentObject => vec![update(Payload::Int(1))],
        Poison::WrongType => vec![create, update(Payload::String("text".into()))],
        Poison::WrongListSize => vec![
            create,
            Instruction::ArrayInsert {
                target: target(li, &[PathElement::Index(3)]),
                value: Payload::Int(1),
                prior_size: 7,
            },
        ],
        Poison::OtherKey => {
            let kind = TableKind::TopLevel(key(KeyType::String));
            vec![declare, Instruction::AddTable { table: a, kind }]
        }
        Poison::AsymmetricClass => {
            let kind = TableKind::Asymmetric(key(KeyType::Int));
            vec![Instruction::AddTable { table: unknown, kind }]
        }
        Poison::OtherColumn => vec![declare, column(TypeCode::Int), column(TypeCode::Bool)],
        Poison::Truncated | Poison::FutureBase | Poison::OtherAuthor => {
            vec![Instruction::AddTable { table: unknown, kind: TableKind::Embedded }]
        }
    };
    debug_assert!(state.schema().class("Unknown").is_none(), "nothing of it was ever stored");
    let mut bytes = changeset.encode();
    if let Poison::Truncated = poison {
        bytes.pop();
    }
    bytes
}
