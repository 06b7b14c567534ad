//! Equality of objects that may leave defaults out.

use std::borrow::Cow;

use bailiwick_core::schema::{Class, Schema, ValueType};
use bailiwick_core::state::{Object, Value};

/// Whether two objects read the same: one may hold a default that the other leaves out.
pub(super) fn is_same_object(schema: &Schema, class: &Class, a: &Object, b: &Object) -> bool {
    a == b
        || class.columns().all(|(_, column)| {
            let (a, b) = (a.get(column.id), b.get(column.id));
            let default = || Cow::Owned(column.default_value());
            let [a, b] = [a, b].map(|value| value.map_or_else(default, Cow::Borrowed));
            is_same_value(schema, column.value_type, &a, &b)
        })
}

/// Whether two values of this type read the same.
pub(super) fn is_same_value(schema: &Schema, value_type: ValueType, a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let class = value_type.target().and_then(|id| schema.class_by_id(id));
            class.is_some_and(|class| is_same_object(schema, class, a, b))
        }
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len()
                && a.iter().zip(b.iter()).all(|(a, b)| is_same_value(schema, value_type, a, b))
        }
        (Value::Dictionary(a), Value::Dictionary(b)) => {
            a.iter().count() == b.iter().count()
                && a.iter()
                    .zip(b.iter())
                    .all(|(a, b)| a.0 == b.0 && is_same_value(schema, value_type, a.1, b.1))
        }
        _ => a == b,
    }
}
