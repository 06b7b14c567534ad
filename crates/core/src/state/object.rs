//! The values of one object, by column.

use std::sync::Arc;

use bailiwick_protocol::changeset::{CollectionKind, Decimal, Timestamp};

use super::{Dictionary, Sequence, Set, Value};
use crate::schema::{Class, Column, ColumnId, Schema, ValueType};

/// The values of one top-level or embedded object. What is absent is the column's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    /// In the order of the ids.
    fields: Vec<(ColumnId, Value)>,
}

impl Object {
    /// Sets a value.
    pub fn set(&mut self, column: ColumnId, value: Value) {
        match self.position(column) {
            Ok(position) => self.fields[position].1 = value,
            Err(position) => self.fields.insert(position, (column, value)),
        }
    }

    /// The value of a column, to change it; the default is filled in.
    pub fn get_or_default(&mut self, column: &Column) -> &mut Value {
        let position = self.position(column.id).unwrap_or_else(|position| {
            self.fields.insert(position, (column.id, column.default_value()));
            position
        });
        &mut self.fields[position].1
    }

    /// The value of a column, unless it is absent.
    pub fn get(&self, column: ColumnId) -> Option<&Value> {
        self.position(column).ok().map(|position| &self.fields[position].1)
    }

    /// All values that are there, in the order of the columns' ids.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (ColumnId, &Value)> {
        self.fields.iter().map(|(column, value)| (*column, value))
    }

    /// Brings the object into the form that it is stored in, which follows from what it reads as: without the
    /// values of columns that are gone, and without those that are their column's default, here and in embedded
    /// objects.
    pub(crate) fn normalize(&mut self, schema: &Schema, class: &Class) {
        self.fields.retain_mut(|(id, value)| {
            let Some(column) = class.column_by_id(*id) else { return false };
            if let ValueType::Embedded(target) = column.value_type
                && let Some(target) = schema.class_by_id(target)
            {
                normalize_embedded(value, schema, target);
            }
            !column.is_default(value)
        });
    }

    /// Takes fields in the strictly ascending order of their columns.
    pub(super) fn from_sorted(fields: Vec<(ColumnId, Value)>) -> Self {
        Self { fields }
    }

    fn position(&self, column: ColumnId) -> Result<usize, usize> {
        self.fields.binary_search_by_key(&column, |(id, _)| *id)
    }
}

/// Goes through what a column of embedded objects holds.
fn normalize_embedded(value: &mut Value, schema: &Schema, class: &Class) {
    match value {
        Value::Object(object) => Arc::make_mut(object).normalize(schema, class),
        Value::List(list) => {
            list.iter_mut().for_each(|value| normalize_embedded(value, schema, class));
        }
        Value::Dictionary(dictionary) => {
            dictionary.values_mut().for_each(|value| normalize_embedded(value, schema, class));
        }
        _ => (),
    }
}

impl Column {
    /// Whether the value reads as none does.
    fn is_default(&self, value: &Value) -> bool {
        match value {
            // The empty ones have to be made.
            Value::String(text) if !text.is_empty() => false,
            Value::Binary(bytes) if !bytes.is_empty() => false,
            _ => *value == self.default_value(),
        }
    }

    /// What an object holds in this column until something is written.
    pub fn default_value(&self) -> Value {
        match self.collection {
            CollectionKind::List => return Value::List(Sequence::default()),
            CollectionKind::Set => return Value::Set(Set::default()),
            CollectionKind::Dictionary => return Value::Dictionary(Dictionary::default()),
            CollectionKind::Single => (),
        }
        if self.nullable {
            return Value::Null;
        }
        match self.value_type {
            ValueType::Int => Value::Int(0),
            ValueType::Bool => Value::Bool(false),
            ValueType::String => Value::String("".into()),
            ValueType::Binary => Value::Binary([].into()),
            ValueType::Timestamp => Value::Timestamp(Timestamp::default()),
            ValueType::Float => Value::Float(0.0),
            ValueType::Double => Value::Double(0.0),
            // Coefficient 0, exponent 0, in the biased form.
            ValueType::Decimal => Value::Decimal(Decimal(0x3040 << 112)),
            ValueType::ObjectId => Value::ObjectId([0; 12]),
            ValueType::Uuid => Value::Uuid([0; 16]),
            ValueType::Mixed | ValueType::Link(_) | ValueType::AnyLink | ValueType::Embedded(_) => {
                Value::Null
            }
        }
    }
}
