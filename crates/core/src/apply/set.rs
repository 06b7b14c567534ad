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

/// What a SetErase is to devices, which refuse one of null in a set of a type.
pub(super) enum ForDevices {
    /// What it is here.
    AsItIs,
    /// Nothing: null was not there.
    Nothing,
    /// These elements remain.
    Remaining(Set),
}

/// Removes the element that is equal, if there is one.
pub(super) fn erase(
    place: Place<'_>,
    payload: &Payload,
    context: Context<'_>,
) -> Result<ForDevices, Fault> {
    let (set, column) = set_of(place)?;
    let value = context.value(payload, column.value_type, column.nullable)?;
    let was_there = set.remove(&value, SetOrder::of(column.value_type));
    Ok(match value {
        Value::Null if column.value_type == ValueType::Mixed => ForDevices::AsItIs,
        Value::Null if was_there => ForDevices::Remaining(set.clone()),
        Value::Null => ForDevices::Nothing,
        _ => ForDevices::AsItIs,
    })
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
