//! Values as the application sees them.
//!
//! Each type that Realm has is a type here: [`ObjectId`], [`Uuid`], [`Timestamp`], [`Decimal`] and [`Binary`] beside
//! those of Rust. [`Value`] is any of them, for fields of mixed type and for programs that do not know their classes
//! when they are compiled.

mod accessor;
mod binary;
mod decimal;
mod display;
pub(crate) mod names;
mod object_id;
mod serde;
pub(crate) mod stored;
mod timestamp;
mod uuid;

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

pub use bailiwick_core::state::PrimaryKey;

pub use binary::Binary;
pub use decimal::{Decimal, DecimalError};
pub use object_id::ObjectId;
pub use stored::ValueError;
pub use timestamp::{Timestamp, TimestampError};
pub use uuid::Uuid;

/// What a field, a list element or a dictionary entry holds.
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
    /// A set; as it is read, in ascending order.
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

/// The text is not an identifier of that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not {0}")]
pub struct IdentifierError(&'static str);

impl Link {
    /// A link to the object of this class with this key.
    pub fn new(class: impl Into<String>, key: impl Into<PrimaryKey>) -> Self {
        Self { class: class.into(), key: key.into() }
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
            (Self::List(a), Self::List(b)) | (Self::Set(a), Self::Set(b)) => a == b,
            (Self::Dictionary(a), Self::Dictionary(b)) | (Self::Object(a), Self::Object(b)) => {
                a == b
            }
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Null => (),
            Self::Int(value) => value.hash(state),
            Self::Bool(value) => value.hash(state),
            Self::String(value) => value.hash(state),
            Self::Binary(value) => value.hash(state),
            Self::Timestamp(value) => value.hash(state),
            Self::Float(value) => value.to_bits().hash(state),
            Self::Double(value) => value.to_bits().hash(state),
            Self::Decimal(value) => value.hash(state),
            Self::ObjectId(value) => value.hash(state),
            Self::Uuid(value) => value.hash(state),
            Self::Link(value) => value.hash(state),
            Self::List(values) | Self::Set(values) => values.hash(state),
            Self::Dictionary(entries) | Self::Object(entries) => entries.hash(state),
        }
    }
}
