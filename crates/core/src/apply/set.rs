//! SetInsert and SetErase.
//!
//! Spec: applying, section 6.10.

use bailiwick_protocol::changeset::{CollectionKind, Payload};

use super::error::Fault;
use super::path::Place;
use super::payload::Context;
use crate::schema::{Column, ValueType};
use crate::state::{Set, SetOrder, Value};

/// Adds an element, unless an equal one is there.
pub(super) fn insert(
    place: Place<'_>,
    payload: &Payload,
    context: Context<'_>,
) -> Result<(), Fault> {
    let (set, column) = set_of(place)?;
    let value = context.value(payload, column.value_type, column.nullable)?;
    set.insert(value, SetOrder::of(column.value_type));
    Ok(())
}

/// Removes the element that is equal, if there is one. After null was removed from a set of a type,
/// the remaining elements come back: no device takes the instruction as it is.
pub(super) fn erase(
    place: Place<'_>,
    payload: &Payload,
    context: Context<'_>,
) -> Result<Option<Set>, Fault> {
    let (set, column) = set_of(place)?;
    let value = context.value(payload, column.value_type, column.nullable)?;
    set.remove(&value, SetOrder::of(column.value_type));
    let is_refused = matches!(payload, Payload::Null) && column.value_type != ValueType::Mixed;
    Ok(is_refused.then(|| set.clone()))
}

fn set_of(place: Place<'_>) -> Result<(&mut Set, &Column), Fault> {
    match place {
        Place::Field { object, column } if column.collection == CollectionKind::Set => {
            match object.get_or_default(column) {
                Value::Set(set) => Ok((set, column)),
                _ => Err(Fault::NotASet),
            }
        }
        _ => Err(Fault::NotASet),
    }
}
