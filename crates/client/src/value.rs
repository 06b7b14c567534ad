//! Values as the application sees them.

use std::collections::BTreeMap;

pub use bailiwick_core::state::PrimaryKey;
pub use bailiwick_protocol::changeset::{Decimal, Timestamp};

/// What a field, a list element or a dictionary entry holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// No value.
    #[default]
    Null,
    /// An integer.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// Text.
    String(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// A point in time.
    Timestamp(Timestamp),
    /// A 32-bit floating point number.
    Float(f32),
    /// A 64-bit floating point number.
    Double(f64),
    /// A decimal number.
    Decimal(Decimal),
    /// An `ObjectId`.
    ObjectId(ObjectId),
    /// A UUID.
    Uuid(Uuid),
    /// A link to an object.
    Link(Link),
    /// A list, in its order.
    List(Vec<Value>),
    /// A set, in ascending order.
    Set(Vec<Value>),
    /// A dictionary.
    Dictionary(BTreeMap<String, Value>),
    /// An embedded object, by the names of its fields.
    Object(BTreeMap<String, Value>),
}

/// A link to a top-level object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The class of the object.
    pub class: String,
    /// Its primary key.
    pub key: PrimaryKey,
}

/// An identifier of 12 bytes: a time, a random part and a counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub [u8; 12]);

/// An identifier of 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl std::fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ObjectId({})", hex::encode(self.0))
    }
}

impl std::fmt::Debug for Uuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Uuid({})", hex::encode(self.0))
    }
}
