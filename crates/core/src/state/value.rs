//! What a field, a list element or a dictionary entry holds.

use std::sync::Arc;

use bailiwick_protocol::changeset::{Decimal, Timestamp};

use super::{Object, PrimaryKey, Sequence, SetOrder};
use crate::schema::ClassId;

/// A value. A copy shares what is large.
///
/// Equality is bit by bit: a NaN equals itself, 0 and -0 differ, as do decimal 1.0 and 1.00.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// An integer.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// Text.
    String(Arc<str>),
    /// Bytes.
    Binary(Arc<[u8]>),
    /// A point in time.
    Timestamp(Timestamp),
    /// A 32-bit floating point number.
    Float(f32),
    /// A 64-bit floating point number.
    Double(f64),
    /// A decimal number, never [`Decimal::REALM_NULL`].
    Decimal(Decimal),
    /// An `ObjectId`.
    ObjectId([u8; 12]),
    /// A UUID.
    Uuid([u8; 16]),
    /// A link to a top-level object, whether or not that object exists.
    Link(Arc<Link>),
    /// A list.
    List(Sequence<Value>),
    /// A set.
    Set(Set),
    /// A dictionary.
    Dictionary(Dictionary),
    /// An embedded object.
    Object(Arc<Object>),
}

/// A link. It is unresolved while there is no such object, and then reads as null; it comes to life by
/// itself when the object is created.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The class of the object.
    pub class: ClassId,
    /// The object.
    pub key: PrimaryKey,
}

/// Distinct values in ascending order; which order depends on the column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    elements: Sequence<Value>,
}

/// Values by their keys, in the byte order of the keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dictionary {
    entries: Sequence<(Arc<str>, Value)>,
}

impl Set {
    /// Adds an element unless an equal one is there; whether it was added.
    pub fn insert(&mut self, element: Value, order: SetOrder) -> bool {
        match self.position(&element, order) {
            Ok(_) => false,
            Err(position) => {
                self.elements.insert(position, element);
                true
            }
        }
    }

    /// Removes the element that is equal; whether there was one.
    pub fn remove(&mut self, element: &Value, order: SetOrder) -> bool {
        let found = self.position(element, order);
        if let Ok(position) = found {
            self.elements.remove(position);
        }
        found.is_ok()
    }

    /// Whether an equal element is there.
    pub fn contains(&self, element: &Value, order: SetOrder) -> bool {
        self.position(element, order).is_ok()
    }

    /// All elements, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.elements.iter()
    }

    /// Takes elements that are in order.
    pub(super) fn from_sorted(elements: Sequence<Value>) -> Self {
        Self { elements }
    }

    fn position(&self, element: &Value, order: SetOrder) -> Result<usize, usize> {
        let position = self.elements.partition_point(|other| order.compare(other, element).is_lt());
        match self.elements.get(position) {
            Some(other) if order.compare(other, element).is_eq() => Ok(position),
            _ => Err(position),
        }
    }
}

impl Dictionary {
    /// Adds or replaces an entry.
    pub fn insert(&mut self, key: &str, value: Value) {
        match self.position(key) {
            Ok(position) => {
                let entry = self.entries.get_mut(position).expect("the position was found");
                entry.1 = value;
            }
            Err(position) => self.entries.insert(position, (key.into(), value)),
        }
    }

    /// Removes an entry; whether there was one.
    pub fn remove(&mut self, key: &str) -> bool {
        let found = self.position(key);
        if let Ok(position) = found {
            self.entries.remove(position);
        }
        found.is_ok()
    }

    /// The value under this key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let (_, value) = self.entries.get(self.position(key).ok()?)?;
        Some(value)
    }

    /// The value under this key, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        let (_, value) = self.entries.get_mut(self.position(key).ok()?)?;
        Some(value)
    }

    /// All entries, in the byte order of the keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (&**key, value))
    }

    /// Takes entries that are in order.
    pub(super) fn from_sorted(entries: Sequence<(Arc<str>, Value)>) -> Self {
        Self { entries }
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        let position = self.entries.partition_point(|(other, _)| &**other < key);
        match self.entries.get(position) {
            Some((other, _)) if &**other == key => Ok(position),
            _ => Err(position),
        }
    }
}

impl Value {
    /// Whether there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What it is, for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Int(_) => "int",
            Self::Bool(_) => "bool",
            Self::String(_) => "string",
            Self::Binary(_) => "binary",
            Self::Timestamp(_) => "timestamp",
            Self::Float(_) => "float",
            Self::Double(_) => "double",
            Self::Decimal(_) => "decimal",
            Self::ObjectId(_) => "objectId",
            Self::Uuid(_) => "uuid",
            Self::Link(_) => "link",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Dictionary(_) => "dictionary",
            Self::Object(_) => "embedded object",
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Binary(a), Self::Binary(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Double(a), Self::Double(b)) => a.to_bits() == b.to_bits(),
            (Self::Decimal(a), Self::Decimal(b)) => a == b,
            (Self::ObjectId(a), Self::ObjectId(b)) => a == b,
            (Self::Uuid(a), Self::Uuid(b)) => a == b,
            (Self::Link(a), Self::Link(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Set(a), Self::Set(b)) => a == b,
            (Self::Dictionary(a), Self::Dictionary(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            _ => false,
        }
    }
}
