//! From a field and a path to the place that an instruction changes.
//!
//! Spec: applying, section 6.

use std::sync::Arc;

use bailiwick_protocol::changeset::{
    Changeset, CollectionKind, ObjectKey, PathElement, Symbol, Target,
};

use super::error::Fault;
use crate::schema::{Class, Column, Schema, ValueType};
use crate::state::{Dictionary, Object, PrimaryKey, Sequence, Value};

/// Longer paths are refused, so that the depth of values is bounded.
const MAX_PATH_LEN: usize = 256;

/// A place that holds a value, and what it can hold.
pub(super) enum Place<'a> {
    /// A field of an object, whatever its column is.
    Field { object: &'a mut Object, column: &'a Column },
    /// A list element; the index may be beyond the end.
    Element { list: &'a mut Sequence<Value>, index: u32, element: Element },
    /// A dictionary entry, present or not.
    Entry { dictionary: &'a mut Dictionary, key: &'a str, element: Element },
}

/// What the elements of a collection are.
#[derive(Clone, Copy)]
pub(super) struct Element {
    pub(super) value_type: ValueType,
    pub(super) nullable: bool,
    /// How deep the collection lies: 1 for a field.
    pub(super) level: usize,
}

/// Goes from an object of `class` to the place that `target` names.
pub(super) fn resolve<'a>(
    schema: &'a Schema,
    changeset: &'a Changeset,
    class: &'a Class,
    object: &'a mut Object,
    target: &Target,
) -> Result<Place<'a>, Fault> {
    if target.path.len() > MAX_PATH_LEN {
        return Err(Fault::PathLength(target.path.len()));
    }
    let field = changeset.text(target.field);
    if class.is_primary_key(field) {
        return Err(Fault::PrimaryKey);
    }
    let mut column = column_of(class, field)?;
    let mut object = object;
    let mut path = target.path.iter();
    loop {
        let Some(&first) = path.clone().next() else {
            return Ok(Place::Field { object, column });
        };
        if column.collection == CollectionKind::Set {
            return Err(Fault::PathElement);
        }
        let value = object.get_or_default(column);
        let is_collection = column.collection != CollectionKind::Single;
        let embedded = match column.value_type {
            // An element of a collection of embedded objects; the last step is as for any collection.
            ValueType::Embedded(_) if is_collection && path.len() > 1 => {
                path.next();
                step(changeset, value, first)?
            }
            ValueType::Embedded(_) if !is_collection => value,
            value_type if is_collection || value_type == ValueType::Mixed => {
                let element = Element { value_type, nullable: column.nullable, level: 1 };
                return resolve_nested(changeset, value, element, path.as_slice());
            }
            ValueType::Link(_) | ValueType::AnyLink => return Err(Fault::ThroughLink),
            _ => return Err(Fault::Through),
        };
        let Some(PathElement::Key(field)) = path.next() else {
            return Err(Fault::PathElement);
        };
        let class = column.value_type.target().and_then(|class| schema.class_by_id(class));
        column = column_of(class.ok_or(Fault::Through)?, changeset.text(*field))?;
        let Value::Object(inner) = embedded else { return Err(Fault::Through) };
        object = Arc::make_mut(inner);
    }
}

/// Goes on below a collection of values that are not embedded objects, or one step into any collection.
fn resolve_nested<'a>(
    changeset: &'a Changeset,
    mut value: &'a mut Value,
    mut element: Element,
    path: &[PathElement],
) -> Result<Place<'a>, Fault> {
    let (end, way) = path.split_last().ok_or(Fault::NotAnElement)?;
    for &by in way {
        value = step(changeset, value, by)?;
        match element.value_type {
            ValueType::Mixed => element.level += 1,
            ValueType::Link(_) | ValueType::AnyLink => return Err(Fault::ThroughLink),
            _ => return Err(Fault::Through),
        }
    }
    match (value, *end) {
        (Value::List(list), PathElement::Index(index)) => {
            Ok(Place::Element { list, index, element })
        }
        (Value::Dictionary(dictionary), PathElement::Key(key)) => {
            Ok(Place::Entry { dictionary, key: changeset.text(key), element })
        }
        (Value::List(_) | Value::Dictionary(_), _) => Err(Fault::PathElement),
        (Value::Link(_), _) => Err(Fault::ThroughLink),
        _ => Err(Fault::Through),
    }
}

/// The value that one element of a path leads to.
fn step<'a>(
    changeset: &Changeset,
    value: &'a mut Value,
    element: PathElement,
) -> Result<&'a mut Value, Fault> {
    match (value, element) {
        (Value::List(list), PathElement::Index(index)) => {
            let len = list.len();
            list.get_mut(index as usize).ok_or(Fault::Index { index, len })
        }
        (Value::Dictionary(dictionary), PathElement::Key(key)) => {
            let key = changeset.text(key);
            dictionary.get_mut(key).ok_or_else(|| Fault::NoKey(Fault::name(key)))
        }
        (Value::List(_) | Value::Dictionary(_), _) => Err(Fault::PathElement),
        (Value::Link(_), _) => Err(Fault::ThroughLink),
        _ => Err(Fault::Through),
    }
}

fn column_of<'a>(class: &'a Class, field: &str) -> Result<&'a Column, Fault> {
    class.column(field).ok_or_else(|| Fault::NoField(Fault::name(field)))
}

/// A key without its changeset.
pub(super) fn primary_key(changeset: &Changeset, key: ObjectKey) -> PrimaryKey {
    let text = |symbol: Symbol| changeset.text(symbol).into();
    match key {
        ObjectKey::Null => PrimaryKey::Null,
        ObjectKey::Int(value) => PrimaryKey::Int(value),
        ObjectKey::String(symbol) => PrimaryKey::String(text(symbol)),
        ObjectKey::ObjectId(id) => PrimaryKey::ObjectId(id),
        ObjectKey::Uuid(id) => PrimaryKey::Uuid(id),
        ObjectKey::GlobalKey { hi, lo } => PrimaryKey::GlobalKey { hi, lo },
    }
}
