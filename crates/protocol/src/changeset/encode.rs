//! Writes a changeset: all strings first, in the order of their symbols, then the instructions.
//!
//! This is the layout in which the reference re-encodes; byte for byte. Spec: changeset format,
//! sections 4 and 11.

use super::{
    AddColumn, Changeset, CollectionKind, Decimal, Instruction, KeySpec, ObjectKey, PathElement,
    Payload, Symbol, TableKind, Target, TypeCode, UpdateKind,
};
use crate::codec::{write_i64, write_u64, write_u128};

/// The opcode that declares an interned string.
pub(super) const DECLARATION: u64 = 63;
/// What is added to a decimal's exponent to make the bits of its BID form.
pub(super) const DECIMAL_BIAS: i32 = 6176;
/// The bits of a decimal's coefficient, as the wire cuts it.
pub(super) const COEFFICIENT_BITS: u32 = 113;

impl Changeset {
    /// The bytes of this changeset; none at all if there is no instruction, whatever strings there are.
    ///
    /// One pass, and allocations for the result alone.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    /// Appends the bytes of this changeset to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        if self.instructions.is_empty() {
            return;
        }
        for (index, text) in (0..).zip(self.strings.iter()) {
            write_u64(out, DECLARATION);
            write_u64(out, index);
            bytes(out, text.as_bytes());
        }
        for instruction in &self.instructions {
            encode_instruction(out, instruction);
        }
    }
}

fn encode_instruction(out: &mut Vec<u8>, instruction: &Instruction) {
    out.push(instruction.kind() as u8);
    match instruction {
        Instruction::AddTable { table, kind } => {
            symbol(out, *table);
            table_kind(out, kind);
        }
        Instruction::EraseTable { table } => symbol(out, *table),
        Instruction::CreateObject { table, object }
        | Instruction::EraseObject { table, object } => {
            symbol(out, *table);
            object_key(out, object);
        }
        Instruction::Update { target, value, kind } => {
            encode_target(out, target);
            payload(out, value);
            match kind {
                UpdateKind::Value { is_default } => out.push((*is_default).into()),
                UpdateKind::Element { prior_size } => write_u64(out, (*prior_size).into()),
            }
        }
        Instruction::AddInteger { target, value } => {
            encode_target(out, target);
            write_i64(out, *value);
        }
        Instruction::AddColumn(column) => add_column(out, column),
        Instruction::EraseColumn { table, field } => {
            symbol(out, *table);
            symbol(out, *field);
        }
        Instruction::ArrayInsert { target, value, prior_size } => {
            encode_target(out, target);
            payload(out, value);
            write_u64(out, (*prior_size).into());
        }
        Instruction::ArrayMove { target, to, prior_size } => {
            encode_target(out, target);
            write_u64(out, (*to).into());
            write_u64(out, (*prior_size).into());
        }
        Instruction::ArrayErase { target, prior_size } => {
            encode_target(out, target);
            write_u64(out, (*prior_size).into());
        }
        Instruction::Clear { target, collection } => {
            encode_target(out, target);
            collection_kind(out, *collection);
        }
        Instruction::SetInsert { target, value } | Instruction::SetErase { target, value } => {
            encode_target(out, target);
            payload(out, value);
        }
    }
}

fn table_kind(out: &mut Vec<u8>, kind: &TableKind) {
    let (code, key) = match kind {
        TableKind::TopLevel(key) => (0, Some(key)),
        TableKind::Embedded => (1, None),
        TableKind::Asymmetric(key) => (2, Some(key)),
    };
    out.push(code);
    if let Some(KeySpec { field, key_type, nullable }) = key {
        symbol(out, *field);
        write_i64(out, (*key_type as i8).into());
        out.push((*nullable).into());
    }
}

fn add_column(out: &mut Vec<u8>, column: &AddColumn) {
    symbol(out, column.table);
    symbol(out, column.field);
    type_code(out, column.column_type);
    out.push(column.nullable.into());
    collection_kind(out, column.collection);
    if let Some(target) = column.link_target {
        symbol(out, target);
    }
    if let Some(key_type) = column.key_type {
        type_code(out, key_type);
    }
}

fn encode_target(out: &mut Vec<u8>, target: &Target) {
    symbol(out, target.table);
    object_key(out, &target.object);
    symbol(out, target.field);
    write_u64(out, target.path.len() as u64);
    for element in &target.path {
        match element {
            PathElement::Index(index) => write_i64(out, (*index).into()),
            PathElement::Key(key) => {
                write_i64(out, -1);
                symbol(out, *key);
            }
        }
    }
}

fn object_key(out: &mut Vec<u8>, key: &ObjectKey) {
    match key {
        ObjectKey::Null => type_code(out, TypeCode::Null),
        ObjectKey::Int(value) => {
            type_code(out, TypeCode::Int);
            write_i64(out, *value);
        }
        ObjectKey::String(text) => {
            type_code(out, TypeCode::String);
            symbol(out, *text);
        }
        ObjectKey::ObjectId(id) => {
            type_code(out, TypeCode::ObjectId);
            out.extend_from_slice(id);
        }
        ObjectKey::Uuid(id) => {
            type_code(out, TypeCode::Uuid);
            out.extend_from_slice(id);
        }
        ObjectKey::GlobalKey { hi, lo } => {
            type_code(out, TypeCode::GlobalKey);
            write_u64(out, *hi);
            write_u64(out, *lo);
        }
    }
}

fn payload(out: &mut Vec<u8>, value: &Payload) {
    type_code(out, value.type_code());
    match value {
        Payload::Null
        | Payload::ObjectValue
        | Payload::Dictionary
        | Payload::List
        | Payload::Set
        | Payload::Erased => (),
        Payload::Int(value) => write_i64(out, *value),
        Payload::Bool(value) => out.push((*value).into()),
        Payload::String(text) => bytes(out, text.as_bytes()),
        Payload::Binary(data) => bytes(out, data),
        Payload::Timestamp(time) => {
            write_i64(out, time.seconds);
            write_i64(out, time.nanoseconds.into());
        }
        Payload::Float(value) => out.extend_from_slice(&value.to_le_bytes()),
        Payload::Double(value) => out.extend_from_slice(&value.to_le_bytes()),
        Payload::Decimal(value) => decimal(out, *value),
        Payload::Link(link) => {
            symbol(out, link.table);
            object_key(out, &link.object);
        }
        Payload::ObjectId(id) => out.extend_from_slice(id),
        Payload::Uuid(id) => out.extend_from_slice(id),
    }
}

fn decimal(out: &mut Vec<u8>, Decimal(bits): Decimal) {
    let exponent = i32::try_from(bits >> COEFFICIENT_BITS & 0x3fff).expect("14 bits");
    write_u128(out, bits & ((1 << COEFFICIENT_BITS) - 1));
    write_i64(out, (exponent - DECIMAL_BIAS).into());
    write_i64(out, (bits >> 127 != 0).into());
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn symbol(out: &mut Vec<u8>, Symbol(index): Symbol) {
    write_u64(out, index.into());
}

fn type_code(out: &mut Vec<u8>, code: TypeCode) {
    write_i64(out, (code as i8).into());
}

fn collection_kind(out: &mut Vec<u8>, kind: CollectionKind) {
    out.push(kind as u8);
}
