//! From what an instruction carries to a value that fits.
//!
//! Spec: applying, sections 5.1, 5.4 and 6.1.

use std::sync::Arc;

use bailiwick_protocol::changeset::{self, Changeset, Decimal, ObjectKey, Payload};

use super::error::Fault;
use super::path::primary_key;
use crate::schema::{Class, ClassKind, Schema, ValueType};
use crate::state::{Dictionary, Link, PrimaryKey, Sequence, Value};

/// The longest text that a device can store, in bytes.
const MAX_STRING_LEN: usize = 16_777_199;
/// The longest binary that a device can store, in bytes.
const MAX_BINARY_LEN: usize = 16_777_200;
/// How deep collections can lie in each other.
const MAX_LEVEL: usize = 100;
/// The greatest halves of a `GlobalKey` from which a device can make a key of its own.
const MAX_GLOBAL_KEY_HI: u64 = 0x3fff_ffff;
const MAX_GLOBAL_KEY_LO: u64 = 0xffff_ffff;

/// What values are checked against.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) schema: &'a Schema,
    pub(super) changeset: &'a Changeset,
    /// The class of the top-level object that is changed.
    pub(super) class: &'a Class,
}

impl Context<'_> {
    /// The value of a payload in a place for values of this type. The payloads that create something are
    /// the caller's business, and do not fit here.
    pub(super) fn value(
        self,
        payload: &Payload,
        value_type: ValueType,
        nullable: bool,
    ) -> Result<Value, Fault> {
        let value = match payload {
            Payload::Null => Value::Null,
            Payload::Int(value) => Value::Int(*value),
            Payload::Bool(value) => Value::Bool(*value),
            Payload::String(text) => {
                check_len(text.len(), MAX_STRING_LEN)?;
                Value::String((**text).into())
            }
            Payload::Binary(bytes) => {
                check_len(bytes.len(), MAX_BINARY_LEN)?;
                Value::Binary((**bytes).into())
            }
            Payload::Timestamp(timestamp) => Value::Timestamp(*timestamp),
            Payload::Float(value) => Value::Float(*value),
            Payload::Double(value) => Value::Double(*value),
            Payload::Decimal(Decimal::REALM_NULL)
                if matches!(value_type, ValueType::Decimal | ValueType::Mixed) =>
            {
                Value::Null
            }
            Payload::Decimal(value) => Value::Decimal(*value),
            Payload::ObjectId(id) => Value::ObjectId(*id),
            Payload::Uuid(id) => Value::Uuid(*id),
            Payload::Link(link) => return self.link(link, value_type),
            Payload::ObjectValue
            | Payload::Dictionary
            | Payload::List
            | Payload::Set
            | Payload::Erased => return Err(wrong_type(value_type, payload)),
        };
        let fits = match value {
            Value::Null if nullable => true,
            Value::Null => return Err(Fault::NotNullable),
            Value::Int(_) => value_type == ValueType::Int,
            Value::Bool(_) => value_type == ValueType::Bool,
            Value::String(_) => value_type == ValueType::String,
            Value::Binary(_) => value_type == ValueType::Binary,
            Value::Timestamp(_) => value_type == ValueType::Timestamp,
            Value::Float(_) => value_type == ValueType::Float,
            Value::Double(_) => value_type == ValueType::Double,
            Value::Decimal(_) => value_type == ValueType::Decimal,
            Value::ObjectId(_) => value_type == ValueType::ObjectId,
            Value::Uuid(_) => value_type == ValueType::Uuid,
            _ => false,
        };
        if fits || value_type == ValueType::Mixed {
            Ok(value)
        } else {
            Err(wrong_type(value_type, payload))
        }
    }

    fn link(self, link: &changeset::Link, value_type: ValueType) -> Result<Value, Fault> {
        let name = self.changeset.text(link.table);
        let target = self.schema.class(name).ok_or_else(|| Fault::NoClass(Fault::name(name)))?;
        let key = check_key(self.changeset, target, link.object)?;
        if target.kind() == ClassKind::Asymmetric || self.class.kind() == ClassKind::Asymmetric {
            return Err(Fault::AsymmetricLink);
        }
        match value_type {
            ValueType::Mixed | ValueType::AnyLink => (),
            ValueType::Link(class) if class == target.id() => (),
            ValueType::Link(class) => {
                let name = self.schema.class_by_id(class).map_or("", Class::name);
                return Err(Fault::TargetClass(name.to_owned()));
            }
            _ => return Err(Fault::Type { expected: value_type.name(), found: "link" }),
        }
        Ok(Value::Link(Arc::new(Link { class: target.id(), key })))
    }
}

/// Makes a mixed value the list or dictionary that `payload` says; what is one already keeps its content.
pub(super) fn become_collection(
    value: &mut Value,
    payload: &Payload,
    level: usize,
) -> Result<(), Fault> {
    let empty = match payload {
        Payload::List if matches!(value, Value::List(_)) => return Ok(()),
        Payload::Dictionary if matches!(value, Value::Dictionary(_)) => return Ok(()),
        Payload::List => Value::List(Sequence::default()),
        Payload::Dictionary => Value::Dictionary(Dictionary::default()),
        _ => return Err(wrong_type(ValueType::Mixed, payload)),
    };
    check_level(level)?;
    *value = empty;
    Ok(())
}

/// Whether a collection can lie this deep.
pub(super) fn check_level(level: usize) -> Result<(), Fault> {
    if level > MAX_LEVEL { Err(Fault::Nesting) } else { Ok(()) }
}

/// Whether a dictionary can have this key.
pub(super) fn check_dictionary_key(key: &str) -> Result<(), Fault> {
    if key.starts_with('$') || key.contains('.') {
        return Err(Fault::BadKey(Fault::name(key)));
    }
    Ok(())
}

/// The key of an object of this class, if it can have such a key.
pub(super) fn check_key(
    changeset: &Changeset,
    class: &Class,
    key: ObjectKey,
) -> Result<PrimaryKey, Fault> {
    if class.kind() == ClassKind::Embedded {
        return Err(Fault::EmbeddedClass(class.name().to_owned()));
    }
    let column = class.primary_key().map(|(_, column)| column);
    let fits = match (key, column) {
        (ObjectKey::Null, Some(column)) => column.nullable,
        (ObjectKey::Int(_), Some(column)) => column.value_type == ValueType::Int,
        (ObjectKey::String(_), Some(column)) => column.value_type == ValueType::String,
        (ObjectKey::ObjectId(_), Some(column)) => column.value_type == ValueType::ObjectId,
        (ObjectKey::Uuid(_), Some(column)) => column.value_type == ValueType::Uuid,
        (ObjectKey::GlobalKey { hi, lo }, None) => {
            if hi > MAX_GLOBAL_KEY_HI || lo > MAX_GLOBAL_KEY_LO {
                return Err(Fault::GlobalKeyRange);
            }
            true
        }
        _ => false,
    };
    if fits {
        Ok(primary_key(changeset, key))
    } else {
        Err(Fault::KeyType(class.name().to_owned()))
    }
}

/// The fault of a payload in a place for values of another type.
pub(super) fn wrong_type(expected: ValueType, payload: &Payload) -> Fault {
    let found = match payload {
        Payload::Null => "null",
        Payload::ObjectValue => "a new embedded object",
        Payload::Dictionary => "a new dictionary",
        Payload::List => "a new list",
        Payload::Set => "a new set",
        Payload::Erased => "erased",
        Payload::Int(_) => "int",
        Payload::Bool(_) => "bool",
        Payload::String(_) => "string",
        Payload::Binary(_) => "binary",
        Payload::Timestamp(_) => "timestamp",
        Payload::Float(_) => "float",
        Payload::Double(_) => "double",
        Payload::Decimal(_) => "decimal",
        Payload::Link(_) => "link",
        Payload::ObjectId(_) => "objectId",
        Payload::Uuid(_) => "uuid",
    };
    Fault::Type { expected: expected.name(), found }
}

fn check_len(len: usize, longest: usize) -> Result<(), Fault> {
    if len > longest { Err(Fault::ValueLength(len)) } else { Ok(()) }
}
