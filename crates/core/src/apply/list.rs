//! ArrayInsert, ArrayMove and ArrayErase.
//!
//! Spec: applying, sections 6.5 to 6.7.

use std::sync::Arc;

use bailiwick_protocol::changeset::Payload;

use super::error::Fault;
use super::path::Place;
use super::payload::{Context, become_collection};
use crate::schema::ValueType;
use crate::state::{Sequence, Value};

/// Inserts an element.
pub(super) fn insert(
    place: Place<'_>,
    payload: &Payload,
    prior_size: u32,
    context: Context<'_>,
) -> Result<(), Fault> {
    let Place::Element { list, index, element } = place else { return Err(Fault::NotAnElement) };
    let len = check_prior_size(list, prior_size)?;
    if index as usize > len {
        return Err(Fault::Index { index, len });
    }
    let value = match (element.value_type, payload) {
        (ValueType::Embedded(_), Payload::ObjectValue) => Value::Object(Arc::default()),
        (ValueType::Mixed, Payload::List | Payload::Dictionary) => {
            let mut value = Value::Null;
            become_collection(&mut value, payload, element.level + 1)?;
            value
        }
        (value_type, _) => context.value(payload, value_type, element.nullable)?,
    };
    list.insert(index as usize, value);
    Ok(())
}

/// Moves an element. One that is itself a collection comes back: it must not be moved on a device.
pub(super) fn move_element(
    place: Place<'_>,
    to: u32,
    prior_size: u32,
) -> Result<Option<Value>, Fault> {
    let Place::Element { list, index: from, .. } = place else { return Err(Fault::NotAnElement) };
    let len = check_prior_size(list, prior_size)?;
    for index in [from, to] {
        check_index(index, len)?;
    }
    if from == to {
        return Err(Fault::SamePosition);
    }
    let value = list.remove(from as usize);
    let collection = matches!(value, Value::List(_) | Value::Dictionary(_)).then(|| value.clone());
    list.insert(to as usize, value);
    Ok(collection)
}

/// Removes an element.
pub(super) fn erase(place: Place<'_>, prior_size: u32) -> Result<(), Fault> {
    let Place::Element { list, index, .. } = place else { return Err(Fault::NotAnElement) };
    let len = check_prior_size(list, prior_size)?;
    check_index(index, len)?;
    list.remove(index as usize);
    Ok(())
}

fn check_prior_size(list: &Sequence<Value>, prior_size: u32) -> Result<usize, Fault> {
    let len = list.len();
    if len == prior_size as usize { Ok(len) } else { Err(Fault::PriorSize { prior_size, len }) }
}

fn check_index(index: u32, len: usize) -> Result<(), Fault> {
    if (index as usize) < len { Ok(()) } else { Err(Fault::Index { index, len }) }
}
