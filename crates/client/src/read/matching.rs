//! A query on one view: which objects it is about, and where they stand in its order.

use std::cmp::Ordering;

use bailiwick_core::schema::{Class, ClassId, Column, ValueType};
use bailiwick_core::state::{self, SetOrder};
use bailiwick_protocol::changeset::CollectionKind;

use super::object_view::reader;
use super::query::{Direction, Filter, Query};
use super::{ObjectView, ReadError, Record, View};
use crate::value::{Decimal, PrimaryKey, Value, stored};

/// A query whose names are resolved.
pub(crate) struct Matching<T> {
    pub(crate) view: View,
    pub(crate) class: ClassId,
    /// The key that objects must have.
    pub(super) key: Option<PrimaryKey>,
    /// Another key is asked for, too, or one that none of them has.
    pub(super) is_contradiction: bool,
    equals: Vec<(Column, Value)>,
    filters: Vec<Filter<T>>,
    order: Vec<(Field, Direction)>,
    pub(crate) limit: usize,
}

/// Where an object stands among others.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// For each field of the order its value, and another one between equal ones.
    values: Vec<(state::Value, state::Value)>,
    pub(crate) key: PrimaryKey,
}

/// A field that is sorted by.
#[derive(Clone, Copy, Debug)]
enum Field {
    Key,
    Column(Column),
}

impl<T: Record> Matching<T> {
    pub(crate) fn new(view: &View, query: &Query<T>) -> Result<Self, ReadError> {
        let class = view.class(&query.class)?;
        view.note(class.id());
        let mut matching = Self {
            view: view.clone(),
            class: class.id(),
            key: None,
            is_contradiction: false,
            equals: Vec::new(),
            filters: query.filters.clone(),
            order: Vec::new(),
            limit: query.limit.unwrap_or(usize::MAX),
        };
        for (field, value) in &query.equals {
            let column = column(class, field)?;
            let fault = |error| ReadError::Value { class: class.name().to_owned(), error };
            if !(value.is_null() && column.collection == CollectionKind::Single) {
                stored::to_stored(view.snapshot.schema(), column, value).map_err(fault)?;
            }
            if class.is_primary_key(field) {
                let key = value.to_key();
                matching.is_contradiction |= key.is_none()
                    || matching.key.as_ref().is_some_and(|other| Some(other) != key.as_ref());
                matching.key = key;
            } else {
                matching.equals.push((*column, value.clone()));
            }
        }
        for (field, direction) in &query.order {
            let column = column(class, field)?;
            let not_sortable = || ReadError::NotSortable {
                class: class.name().to_owned(),
                field: field.as_ref().to_owned(),
            };
            let field = match column.value_type {
                _ if class.is_primary_key(field) => Field::Key,
                ValueType::Link(_) | ValueType::AnyLink | ValueType::Embedded(_) => {
                    return Err(not_sortable());
                }
                _ if column.collection == CollectionKind::Single => Field::Column(*column),
                _ => return Err(not_sortable()),
            };
            matching.order.push((field, *direction));
        }
        Ok(matching)
    }

    /// Whether the objects are in another order than that of their keys.
    pub(super) fn is_sorted(&self) -> bool {
        !self.order.is_empty()
    }

    /// Whether it matters where an object stands among the others.
    pub(crate) fn has_positions(&self) -> bool {
        self.is_sorted() || self.limit != usize::MAX
    }

    /// Whether functions of the application are asked.
    pub(crate) fn has_filters(&self) -> bool {
        !self.filters.is_empty()
    }

    /// Whether no object needs to be read to know that it matches.
    pub(super) fn takes_all(&self) -> bool {
        !self.is_contradiction
            && self.key.is_none()
            && self.equals.is_empty()
            && self.filters.is_empty()
    }

    /// The object as what is asked for, if it matches.
    pub(crate) fn take(&self, object: &ObjectView) -> Result<Option<T>, ReadError> {
        if self.is_contradiction || self.key.as_ref().is_some_and(|key| key != object.key()) {
            return Ok(None);
        }
        for (column, value) in &self.equals {
            if !holds(&self.view, column, object.stored(), value)? {
                return Ok(None);
            }
        }
        let record = T::read(object)?;
        Ok(self.filters.iter().all(|filter| filter(&record)).then_some(record))
    }

    /// Where the object stands.
    pub(crate) fn place(&self, object: &ObjectView) -> Place {
        let value = |(field, _): &(Field, Direction)| match field {
            Field::Key => (state::Value::Null, state::Value::Null),
            Field::Column(column) => match object.stored().get(column.id) {
                Some(value) => sortable(column, value),
                None => (column.default_value(), state::Value::Null),
            },
        };
        Place { values: self.order.iter().map(value).collect(), key: object.key().clone() }
    }

    /// The order of the objects: never equal for two of them.
    pub(crate) fn compare(&self, a: &Place, b: &Place) -> Ordering {
        for (i, (field, direction)) in self.order.iter().enumerate() {
            let ordering = match field {
                Field::Key => a.key.cmp(&b.key),
                Field::Column(_) => {
                    let ((a, a_next), (b, b_next)) = (&a.values[i], &b.values[i]);
                    let order = SetOrder::Mixed;
                    order.compare(a, b).then_with(|| order.compare(a_next, b_next))
                }
            };
            let ordering = match direction {
                Direction::Ascending => ordering,
                Direction::Descending => ordering.reverse(),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        a.key.cmp(&b.key)
    }
}

/// A value to sort by.
///
/// Where decimals and binary numbers meet they are compared rounded, which is no order for more than two of them. So a
/// decimal in a mixed field takes the place of the nearest double, and decimals at one place are compared exactly.
fn sortable(column: &Column, value: &state::Value) -> (state::Value, state::Value) {
    match value {
        state::Value::Decimal(decimal) if column.value_type == ValueType::Mixed => {
            let text = Decimal::from(*decimal).to_string();
            let nearest = text.parse().expect("decimals are written as Rust writes numbers");
            (state::Value::Double(nearest), value.clone())
        }
        _ => (value.clone(), state::Value::Null),
    }
}

fn column<'a>(class: &'a Class, field: &str) -> Result<&'a Column, ReadError> {
    let no_field =
        || ReadError::NoField { class: class.name().to_owned(), field: field.to_owned() };
    class.column(field).ok_or_else(no_field)
}

/// Whether the object holds this value, as the application reads it.
fn holds(
    view: &View,
    column: &Column,
    object: &state::Object,
    wanted: &Value,
) -> Result<bool, ReadError> {
    let found = reader(view).field(column, object)?;
    Ok(found == *wanted || is_equal_number(&found, wanted))
}

/// Whether two numbers, of whatever types, have one value.
fn is_equal_number(a: &Value, b: &Value) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => SetOrder::Mixed.compare(&a, &b).is_eq(),
        _ => false,
    }
}

fn number(value: &Value) -> Option<state::Value> {
    Some(match value {
        Value::Int(value) => state::Value::Int(*value),
        Value::Float(value) => state::Value::Float(*value),
        Value::Double(value) => state::Value::Double(*value),
        Value::Decimal(value) => state::Value::Decimal((*value).into()),
        _ => return None,
    })
}
