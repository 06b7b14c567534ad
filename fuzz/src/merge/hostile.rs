//! Instructions that no device makes: any values, paths, positions and lengths that a list may have, on few names, so that
//! they meet.

use bailiwick_core::merge::Concurrent;
use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Decimal, Instruction, KeySpec, KeyType, Link, ObjectKey,
    Path, PathElement, Payload, StringTable, Symbol, TableKind, Target, Timestamp, TypeCode,
    UpdateKind,
};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;

use crate::input::Input;

/// Instructions of both sides together.
const MAX_COUNT: usize = 96;

const KEY_TYPES: [KeyType; 5] =
    [KeyType::Int, KeyType::String, KeyType::ObjectId, KeyType::Uuid, KeyType::GlobalKey];
const COLUMN_TYPES: [TypeCode; 14] = [
    TypeCode::Int,
    TypeCode::Link,
    TypeCode::String,
    TypeCode::Null,
    TypeCode::Bool,
    TypeCode::Binary,
    TypeCode::Timestamp,
    TypeCode::Float,
    TypeCode::Double,
    TypeCode::Decimal,
    TypeCode::ObjectId,
    TypeCode::Uuid,
    // They decode, and the checks refuse them.
    TypeCode::List,
    TypeCode::ObjectValue,
];

/// Two zeros, one and its neighbour, and NaNs that differ.
const DOUBLES: [f64; 8] = [
    f64::NAN,
    0.0,
    -0.0,
    1.0,
    1.0 + f64::EPSILON,
    f64::INFINITY,
    f64::from_bits(0x7ff8_0000_0000_0001),
    f64::from_bits(0xfff8_0000_0000_0000),
];
const FLOATS: [f32; 8] = [
    f32::NAN,
    0.0,
    -0.0,
    1.0,
    1.0 + f32::EPSILON,
    f32::INFINITY,
    f32::from_bits(0x7fc0_0001),
    f32::from_bits(0xffc0_0000),
];
/// 0, -0, 1, 1.0, 2, infinity, NaN, -1.
const DECIMALS: [u128; 8] = [
    0x3040 << 112,
    0xb040 << 112,
    (0x3040 << 112) | 1,
    (0x303e << 112) | 0xa,
    (0x3040 << 112) | 2,
    0x7800 << 112,
    0x7c00 << 112,
    (0xb040 << 112) | 1,
];
const TIMESTAMPS: [(i64, i32); 5] = [(0, 0), (0, 1), (1, 0), (-1, -1), (i64::MAX, 999_999_999)];

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
            let key_type = KEY_TYPES[usize::from(what / 20) % KEY_TYPES.len()];
            let key = KeySpec { field, key_type, nullable: flag(input) };
            let kind = match input.u8() % 3 {
                0 => TableKind::TopLevel(key),
                1 => TableKind::Asymmetric(key),
                _ => TableKind::Embedded,
            };
            Instruction::AddTable { table, kind }
        }
        5 => Instruction::AddColumn(Box::new(add_column(table, field, input))),
        6..=9 => {
            let value = payload(input);
            let kind = match target.index() {
                Some(_) => UpdateKind::Element { prior_size: number(input) },
                None => UpdateKind::Value { is_default: flag(input) },
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

/// Any type of values and keys; what an instruction does not have for a type, it does not have here either.
fn add_column(table: Symbol, field: Symbol, input: &mut Input<'_>) -> AddColumn {
    let (types, collection) = (input.u8(), collection(input));
    let type_of = |choice: u8| COLUMN_TYPES[usize::from(choice) % COLUMN_TYPES.len()];
    let (column_type, key_type) = (type_of(types), type_of(types / 16));
    AddColumn {
        table,
        field,
        column_type,
        nullable: flag(input),
        collection,
        link_target: (column_type == TypeCode::Link).then(|| symbol(input)),
        key_type: (collection == CollectionKind::Dictionary).then_some(key_type),
    }
}

/// Up to three steps below one of two fields of one of eight objects.
fn target(input: &mut Input<'_>) -> Target {
    let place = input.u8();
    let object = object((place & 0b11) + if place < 0xc0 { 0 } else { 4 });
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

/// One of eight objects.
fn object(choice: u8) -> ObjectKey {
    match choice % 8 {
        0 => ObjectKey::Null,
        1 => ObjectKey::Int(1),
        2 => ObjectKey::String(Symbol(1)),
        3 => ObjectKey::String(Symbol(2)),
        4 => ObjectKey::Int(-1),
        5 => ObjectKey::ObjectId([1; 12]),
        6 => ObjectKey::Uuid([1; 16]),
        _ => ObjectKey::GlobalKey { hi: 1, lo: 2 },
    }
}

/// Values of all types; of each some that are nearly the same.
fn payload(input: &mut Input<'_>) -> Payload {
    let what = input.u8();
    let which = usize::from(what / 20 % 8);
    match what % 20 {
        0 => Payload::Null,
        1 => Payload::ObjectValue,
        2 => Payload::List,
        3 => Payload::Dictionary,
        4 => Payload::Set,
        5 => Payload::Erased,
        6 => Payload::Double(DOUBLES[which]),
        7 => Payload::Float(FLOATS[which]),
        8 => Payload::Decimal(Decimal(DECIMALS[which])),
        9 => {
            let (seconds, nanoseconds) = TIMESTAMPS[which % TIMESTAMPS.len()];
            Payload::Timestamp(Timestamp { seconds, nanoseconds })
        }
        10 => Payload::Binary([&b""[..], b"\0", b"text", b"A"][which % 4].into()),
        11 => Payload::ObjectId([input.u8() % 2; 12]),
        12 => Payload::Uuid([input.u8() % 2; 16]),
        13 => Payload::Bool(which % 2 == 0),
        14 => {
            let object = object(input.u8());
            Payload::Link(Link { table: symbol(input), object })
        }
        15 => Payload::Link(Link { table: symbol(input), object: ObjectKey::Int(1) }),
        16 => Payload::String(["text", "", "A", "a text"][which % 4].into()),
        _ => Payload::Int(input.u8().into()),
    }
}

fn flag(input: &mut Input<'_>) -> bool {
    input.u8().is_multiple_of(2)
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
