//! Values that instructions carry.
//!
//! Spec: changeset format, sections 5 and 7.

use super::{Link, Symbol};

/// The type codes of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum TypeCode {
    Set = -6,
    List = -5,
    Erased = -4,
    Dictionary = -3,
    ObjectValue = -2,
    GlobalKey = -1,
    /// In `AddColumn`: the column is mixed.
    Null = 0,
    Int = 1,
    Bool = 2,
    String = 3,
    Binary = 4,
    Timestamp = 5,
    Float = 6,
    Double = 7,
    Decimal = 8,
    Link = 9,
    ObjectId = 10,
    Uuid = 11,
}

/// Whether a field holds one value or a collection of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum CollectionKind {
    /// One value. In Clear: the author was too old to say.
    Single = 0,
    List = 1,
    Dictionary = 2,
    Set = 3,
}

/// A point in time, in seconds and nanoseconds since 1970-01-01T00:00:00Z.
///
/// Nanoseconds are -999,999,999 to 999,999,999 and never have the opposite sign of the seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds.
    pub seconds: i64,
    /// The rest.
    pub nanoseconds: i32,
}

/// An IEEE 754-2008 decimal128 in its binary-integer (BID) form, bit by bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal(pub u128);

impl Decimal {
    /// Realm's internal "null" decimal; devices write null instead, and it is to be read as null.
    pub const REALM_NULL: Self = Self(0x7c00_0000_0000_0000_0000_0000_0000_00aa);
}

/// A value, or the creation of a collection or embedded object.
///
/// Equality is bit by bit (a NaN equals itself); merging compares floating point numerically instead.
#[derive(Clone, Debug)]
pub enum Payload {
    /// No value.
    Null,
    /// There is an embedded object here: create it empty if absent.
    ObjectValue,
    /// The mixed value here is a dictionary: create it empty if it is not one already.
    Dictionary,
    /// The mixed value here is a list: create it empty if it is not one already.
    List,
    /// Decodes, and is refused by every check: there are no sets inside mixed.
    Set,
    /// Remove this dictionary key.
    Erased,
    /// An integer.
    Int(i64),
    /// A boolean.
    Bool(bool),
    /// Text, at most 16,777,199 bytes; not interned.
    String(Box<str>),
    /// Bytes, at most 16,777,200.
    Binary(Box<[u8]>),
    /// A point in time.
    Timestamp(Timestamp),
    /// A 32-bit floating point number.
    Float(f32),
    /// A 64-bit floating point number.
    Double(f64),
    /// A decimal number.
    Decimal(Decimal),
    /// A link to a top-level object.
    Link(Link),
    /// An `ObjectId`.
    ObjectId([u8; 12]),
    /// A UUID.
    Uuid([u8; 16]),
}

impl Payload {
    /// The code under which the wire knows this payload.
    pub fn type_code(&self) -> TypeCode {
        match self {
            Self::Null => TypeCode::Null,
            Self::ObjectValue => TypeCode::ObjectValue,
            Self::Dictionary => TypeCode::Dictionary,
            Self::List => TypeCode::List,
            Self::Set => TypeCode::Set,
            Self::Erased => TypeCode::Erased,
            Self::Int(_) => TypeCode::Int,
            Self::Bool(_) => TypeCode::Bool,
            Self::String(_) => TypeCode::String,
            Self::Binary(_) => TypeCode::Binary,
            Self::Timestamp(_) => TypeCode::Timestamp,
            Self::Float(_) => TypeCode::Float,
            Self::Double(_) => TypeCode::Double,
            Self::Decimal(_) => TypeCode::Decimal,
            Self::Link(_) => TypeCode::Link,
            Self::ObjectId(_) => TypeCode::ObjectId,
            Self::Uuid(_) => TypeCode::Uuid,
        }
    }

    /// The class that a link payload names.
    pub fn link_table(&self) -> Option<Symbol> {
        match self {
            Self::Link(link) => Some(link.table),
            _ => None,
        }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Binary(a), Self::Binary(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Double(a), Self::Double(b)) => a.to_bits() == b.to_bits(),
            (Self::Decimal(a), Self::Decimal(b)) => a == b,
            (Self::Link(a), Self::Link(b)) => a == b,
            (Self::ObjectId(a), Self::ObjectId(b)) => a == b,
            (Self::Uuid(a), Self::Uuid(b)) => a == b,
            _ => self.type_code() == other.type_code(),
        }
    }
}
