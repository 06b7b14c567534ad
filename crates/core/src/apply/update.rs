//! Update, AddInteger and Clear.
//!
//! Spec: applying, sections 6.1 to 6.4 and 6.8.

use std::sync::Arc;

use bailiwick_protocol::changeset::{CollectionKind, Payload};

use super::error::Fault;
use super::path::{Element, Place};
use super::payload::{Context, become_collection, check_dictionary_key, check_level, wrong_type};
use crate::schema::{Column, ValueType};
use crate::state::{Dictionary, Object, Sequence, Value};

/// Writes a value to a place.
pub(super) fn update(
    place: Place<'_>,
    payload: &Payload,
    context: Context<'_>,
) -> Result<(), Fault> {
    match place {
        Place::Field { object, column } => update_field(object, column, payload, context),
        Place::Element { list, index, element } => {
            let len = list.len();
            let value = list.get_mut(index as usize).ok_or(Fault::Index { index, len })?;
            match (element.value_type, payload) {
                // The object is there already.
                (ValueType::Embedded(_), Payload::ObjectValue) => Ok(()),
                (ValueType::Float | ValueType::Double, _) => {
                    let new = context.value(payload, element.value_type, element.nullable)?;
                    assign(value, new, element.value_type);
                    Ok(())
                }
                _ => write(value, element, payload, context),
            }
        }
        Place::Entry { dictionary, key, element } => {
            check_dictionary_key(key)?;
            update_entry(dictionary, key, element, payload, context)
        }
    }
}

/// Adds to an integer field, and leaves null alone.
pub(super) fn add_integer(place: Place<'_>, summand: i64) -> Result<(), Fault> {
    let Place::Field { object, column } = place else { return Err(Fault::NotAField) };
    if column.collection != CollectionKind::Single {
        return Err(Fault::NotAField);
    }
    let expected = ValueType::Int.name();
    if !matches!(column.value_type, ValueType::Int | ValueType::Mixed) {
        return Err(Fault::Type { expected, found: column.value_type.name() });
    }
    match object.get_or_default(column) {
        Value::Null => Ok(()),
        Value::Int(value) => {
            *value = value.wrapping_add(summand);
            Ok(())
        }
        other => Err(Fault::Type { expected, found: other.type_name() }),
    }
}

/// Empties a collection, or makes a mixed value an empty collection.
pub(super) fn clear(place: Place<'_>, kind: CollectionKind) -> Result<(), Fault> {
    let (value, element) = match place {
        Place::Field { object, column } => match (column.collection, column.value_type) {
            (CollectionKind::Single, value_type) => {
                let element = Element { value_type, nullable: true, level: 0 };
                (object.get_or_default(column), element)
            }
            (own, _) if kind == CollectionKind::Single || kind == own => {
                object.set(column.id, column.default_value());
                return Ok(());
            }
            _ => return Err(Fault::CollectionKind(kind)),
        },
        Place::Element { list, index, element } => {
            let len = list.len();
            (list.get_mut(index as usize).ok_or(Fault::Index { index, len })?, element)
        }
        Place::Entry { dictionary, key, element } => {
            let value = dictionary.get_mut(key);
            (value.ok_or_else(|| Fault::NoKey(Fault::name(key)))?, element)
        }
    };
    if element.value_type != ValueType::Mixed {
        return Err(Fault::NotACollection);
    }
    check_level(element.level + 1)?;
    *value = match kind {
        CollectionKind::List => Value::List(Sequence::default()),
        CollectionKind::Dictionary => Value::Dictionary(Dictionary::default()),
        CollectionKind::Single | CollectionKind::Set => return Err(Fault::CollectionKind(kind)),
    };
    Ok(())
}

fn update_field(
    object: &mut Object,
    column: &Column,
    payload: &Payload,
    context: Context<'_>,
) -> Result<(), Fault> {
    if column.collection != CollectionKind::Single {
        return Err(Fault::WholeCollection);
    }
    match (column.value_type, payload) {
        (ValueType::Embedded(_), Payload::ObjectValue) => {
            let value = object.get_or_default(column);
            if value.is_null() {
                *value = Value::Object(Arc::default());
            }
            Ok(())
        }
        (ValueType::Mixed, Payload::List | Payload::Dictionary) => {
            become_collection(object.get_or_default(column), payload, 1)
        }
        (value_type, _) => {
            let value = context.value(payload, value_type, column.nullable)?;
            assign(object.get_or_default(column), value, value_type);
            Ok(())
        }
    }
}

fn update_entry(
    dictionary: &mut Dictionary,
    key: &str,
    element: Element,
    payload: &Payload,
    context: Context<'_>,
) -> Result<(), Fault> {
    match (element.value_type, payload) {
        (_, Payload::Erased) => {
            dictionary.remove(key);
        }
        // Other than in a field, a former object makes way for a new one.
        (ValueType::Embedded(_), Payload::ObjectValue) => {
            dictionary.insert(key, Value::Object(Arc::default()));
        }
        _ => {
            if let Some(value) = dictionary.get_mut(key) {
                return write(value, element, payload, context);
            }
            let mut value = Value::Null;
            write(&mut value, element, payload, context)?;
            dictionary.insert(key, value);
        }
    }
    Ok(())
}

/// Writes to an element of a collection.
fn write(
    value: &mut Value,
    element: Element,
    payload: &Payload,
    context: Context<'_>,
) -> Result<(), Fault> {
    match (element.value_type, payload) {
        (ValueType::Mixed, Payload::List | Payload::Dictionary) => {
            become_collection(value, payload, element.level + 1)
        }
        (value_type, Payload::ObjectValue) => Err(wrong_type(value_type, payload)),
        (value_type, _) => {
            *value = context.value(payload, value_type, element.nullable)?;
            Ok(())
        }
    }
}

/// Replaces a value. Fields and lists of floating point numbers keep a number that is equal, so that 0 is not
/// replaced by -0: the reference does not write there what compares equal, and neither do devices.
fn assign(value: &mut Value, new: Value, value_type: ValueType) {
    #[expect(clippy::float_cmp, reason = "it is the comparison of the reference")]
    let is_kept = match (&*value, &new) {
        (Value::Float(old), Value::Float(new)) => value_type == ValueType::Float && old == new,
        (Value::Double(old), Value::Double(new)) => value_type == ValueType::Double && old == new,
        _ => false,
    };
    if !is_kept {
        *value = new;
    }
}
