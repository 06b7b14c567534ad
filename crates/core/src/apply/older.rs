//! The form of a changeset for devices that speak a protocol version before 14.
//!
//! Their applier throws if a dictionary entry that is to be removed is not there, and takes the app down. That is what two
//! devices send each other that remove the same entry offline: of two removals the later one is kept, and carried out on
//! top of the earlier one. A removal that follows a write of the same entry always finds it, and merges as the removal
//! alone does: whatever a device did to the entry meets the removal after the write, at the same time.

use bailiwick_protocol::changeset::{
    Changeset, CollectionKind, Decimal, DecodeLimits, Instruction, PathElement, Payload, Target,
    Timestamp, UpdateKind,
};

use crate::schema::{Column, Schema, ValueType};

/// The first protocol version whose devices ignore the removal of a dictionary entry that is not there.
pub const FORGIVING_PROTOCOL: u8 = 14;

/// What devices older than [`FORGIVING_PROTOCOL`] are sent instead of the changeset in `bytes`, if it has to be another one.
///
/// `schema` is that of the realm, now or later. What does not decode is left alone.
pub fn for_older_devices(schema: &Schema, bytes: &[u8]) -> Option<Vec<u8>> {
    // The type code of `Payload::Erased`, as the wire has it: few changesets hold that byte at all.
    const ERASED: u8 = 0x43;
    if !bytes.contains(&ERASED) {
        return None;
    }
    let mut changeset = Changeset::decode_within(bytes, &DecodeLimits::NONE).ok()?;
    let removals = changeset.instructions.iter().filter_map(removed_entry).count();
    if removals == 0 {
        return None;
    }
    let mut instructions = Vec::with_capacity(changeset.instructions.len() + removals);
    for instruction in &changeset.instructions {
        if let Some(target) = removed_entry(instruction)
            && let Some(column) = dictionary(schema, &changeset, target)
        {
            let kind = UpdateKind::Value { is_default: false };
            let value = any_value(column);
            instructions.push(Instruction::Update { target: target.clone(), value, kind });
        }
        instructions.push(instruction.clone());
    }
    changeset.instructions = instructions;
    Some(changeset.encode())
}

fn removed_entry(instruction: &Instruction) -> Option<&Target> {
    match instruction {
        Instruction::Update { target, value: Payload::Erased, .. } => Some(target),
        _ => None,
    }
}

/// The dictionary that the target is an entry of. Devices of these versions know none inside of mixed values.
fn dictionary<'a>(
    schema: &'a Schema,
    changeset: &Changeset,
    target: &Target,
) -> Option<&'a Column> {
    let class = schema.class(changeset.text(target.table))?;
    let mut column = class.column(changeset.text(target.field))?;
    let mut path = target.path.as_slice();
    loop {
        let below = match (column.collection, path) {
            (CollectionKind::Dictionary, [PathElement::Key(_)]) => return Some(column),
            (CollectionKind::Single, below)
            | (CollectionKind::List | CollectionKind::Dictionary, [_, below @ ..]) => below,
            _ => return None,
        };
        let (ValueType::Embedded(class), [PathElement::Key(field), rest @ ..]) =
            (column.value_type, below)
        else {
            return None;
        };
        column = schema.class_by_id(class)?.column(changeset.text(*field))?;
        path = rest;
    }
}

/// 0 with the exponent 0.
pub(super) const ZERO: Decimal = Decimal(0x3040 << 112);

fn any_value(column: &Column) -> Payload {
    match column.value_type {
        _ if column.nullable => Payload::Null,
        ValueType::Int => Payload::Int(0),
        ValueType::Bool => Payload::Bool(false),
        ValueType::String => Payload::String(Box::default()),
        ValueType::Binary => Payload::Binary(Box::default()),
        ValueType::Timestamp => Payload::Timestamp(Timestamp::default()),
        ValueType::Float => Payload::Float(0.0),
        ValueType::Double => Payload::Double(0.0),
        ValueType::Decimal => Payload::Decimal(ZERO),
        ValueType::ObjectId => Payload::ObjectId([0; 12]),
        ValueType::Uuid => Payload::Uuid([0; 16]),
        // Always nullable.
        ValueType::Mixed | ValueType::Link(_) | ValueType::AnyLink | ValueType::Embedded(_) => {
            Payload::Null
        }
    }
}
