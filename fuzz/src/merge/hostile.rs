//! Instructions that no device makes: any values, paths, positions and lengths that a list may have, on few names, so that
//! they meet.

use bailiwick_core::merge::Concurrent;
use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Instruction, KeySpec, KeyType, Link, ObjectKey, Path,
    PathElement, Payload, StringTable, Symbol, TableKind, Target, TypeCode, UpdateKind,
};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;

use crate::input::Input;

/// Instructions of both sides together.
const MAX_COUNT: usize = 96;

/// What the input makes two authors write.
pub(super) fn sides(mut input: Input<'_>) -> [Vec<Concurrent>; 2] {
    let mut sides = [Side::new(2), Side::new(3)];
    for _ in 0..MAX_COUNT {
        if input.is_empty() {
            break;
        }
        let who = input.u8();
        let side = &mut sides[usize::from(who % 2)];
        side.instructions.push(instruction(&mut input));
        if who & 0b1100_0000 == 0 {
            side.commit((who >> 1) % 4);
        }
    }
    sides.map(|mut side| {
        side.commit(1);
        side.written
    })
}

struct Side {
    ident: FileIdent,
    written: Vec<Concurrent>,
    instructions: Vec<Instruction>,
}

impl Side {
    fn new(ident: u64) -> Self {
        Self { ident: FileIdent(ident), written: Vec::new(), instructions: Vec::new() }
    }

    fn commit(&mut self, time: u8) {
        let strings: StringTable = ["", "A", "B"].into_iter().collect();
        let changeset = Changeset { strings, instructions: std::mem::take(&mut self.instructions) };
        let time = OriginTimestamp(time.into());
        self.written.push(Concurrent::new(changeset, time, self.ident));
    }
}

fn instruction(input: &mut Input<'_>) -> Instruction {
    let what = input.u8();
    let target = target(input);
    let (table, field, object) = (target.table, target.field, target.object);
    match what % 20 {
        0 => Instruction::CreateObject { table, object },
        1 => Instruction::EraseObject { table, object },
        2 => Instruction::EraseTable { table },
        3 => Instruction::EraseColumn { table, field },
        4 => {
            let key_type = if what < 128 { KeyType::Int } else { KeyType::String };
            let key = KeySpec { field, key_type, nullable: input.u8().is_multiple_of(2) };
            let kind = match input.u8() % 3 {
                0 => TableKind::TopLevel(key),
                1 => TableKind::Asymmetric(key),
                _ => TableKind::Embedded,
            };
            Instruction::AddTable { table, kind }
        }
        5 => {
            let link_target = (what < 128).then(|| symbol(input));
            Instruction::AddColumn(Box::new(AddColumn {
                table,
                field,
                column_type: if what < 128 { TypeCode::Link } else { TypeCode::Int },
                nullable: true,
                collection: collection(input),
                link_target,
                key_type: None,
            }))
        }
        6..=9 => {
            let value = payload(input);
            let kind = match target.index() {
                Some(_) => UpdateKind::Element { prior_size: number(input) },
                None => UpdateKind::Value { is_default: input.u8().is_multiple_of(2) },
            };
            Instruction::Update { target, value, kind }
        }
        10 => Instruction::AddInteger { target, value: i64::MAX - i64::from(input.u8()) },
        11 => Instruction::Clear { target, collection: collection(input) },
        12 => Instruction::SetInsert { target, value: payload(input) },
        13 => Instruction::SetErase { target, value: payload(input) },
        14..=16 => {
            let target = element(target, input);
            Instruction::ArrayInsert { target, value: payload(input), prior_size: number(input) }
        }
        17 => Instruction::ArrayErase { target: element(target, input), prior_size: number(input) },
        _ => {
            let target = element(target, input);
            Instruction::ArrayMove { target, to: number(input), prior_size: number(input) }
        }
    }
}

/// Up to three steps below one of two fields of one of four objects.
fn target(input: &mut Input<'_>) -> Target {
    let place = input.u8();
    let object = match place & 0b11 {
        0 => ObjectKey::Null,
        1 => ObjectKey::Int(1),
        2 => ObjectKey::String(Symbol(1)),
        _ => ObjectKey::String(Symbol(2)),
    };
    let [table, field] = [place >> 2, place >> 3].map(|bits| Symbol(1 + u32::from(bits & 1)));
    let path = (0..(place >> 4) & 0b11).map(|_| match input.u8() {
        key @ 0xf0.. => PathElement::Key(Symbol(1 + u32::from(key % 2))),
        // Nobody checks the length of a list on the way.
        index @ 0xe0..=0xef => PathElement::Index(u32::MAX - u32::from(index & 0xf)),
        index => PathElement::Index(u32::from(index % 8)),
    });
    Target { table, object, field, path: path.collect::<Path>() }
}

/// A position in what is there.
fn element(mut target: Target, input: &mut Input<'_>) -> Target {
    target.path.push(PathElement::Index(number(input)));
    target
}

fn payload(input: &mut Input<'_>) -> Payload {
    match input.u8() % 10 {
        0 => Payload::Null,
        1 => Payload::ObjectValue,
        2 => Payload::List,
        3 => Payload::Dictionary,
        4 => Payload::Set,
        5 => Payload::Erased,
        6 => Payload::Double(f64::NAN),
        7 => Payload::Link(Link { table: symbol(input), object: ObjectKey::Int(1) }),
        8 => Payload::String("text".into()),
        _ => Payload::Int(input.u8().into()),
    }
}

fn collection(input: &mut Input<'_>) -> CollectionKind {
    [CollectionKind::Single, CollectionKind::List, CollectionKind::Dictionary, CollectionKind::Set]
        [usize::from(input.u8() % 4)]
}

fn symbol(input: &mut Input<'_>) -> Symbol {
    Symbol(1 + u32::from(input.u8() % 2))
}

/// A position or length; the largest are those that are let through.
fn number(input: &mut Input<'_>) -> u32 {
    match input.u8() {
        byte @ 0xf0.. => i32::MAX.unsigned_abs() - u32::from(byte & 0xf),
        byte => u32::from(byte % 8),
    }
}
