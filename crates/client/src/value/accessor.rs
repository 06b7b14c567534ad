//! Into a [`Value`] and out of it.

use std::collections::BTreeMap;

use super::{Binary, Decimal, Link, ObjectId, PrimaryKey, Timestamp, Uuid, Value};

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

    /// The value as a primary key, if it can be one.
    pub fn to_key(&self) -> Option<PrimaryKey> {
        Some(match self {
            Self::Null => PrimaryKey::Null,
            Self::Int(key) => PrimaryKey::Int(*key),
            Self::String(key) => PrimaryKey::String(key.as_str().into()),
            Self::ObjectId(key) => PrimaryKey::ObjectId(key.0),
            Self::Uuid(key) => PrimaryKey::Uuid(key.0),
            _ => return None,
        })
    }

    /// The text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The link.
    pub fn as_link(&self) -> Option<&Link> {
        match self {
            Self::Link(link) => Some(link),
            _ => None,
        }
    }

    /// The elements of a list or a set.
    pub fn as_elements(&self) -> Option<&[Value]> {
        match self {
            Self::List(elements) | Self::Set(elements) => Some(elements),
            _ => None,
        }
    }

    /// The entries of a dictionary or the fields of an embedded object.
    pub fn as_entries(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Dictionary(entries) | Self::Object(entries) => Some(entries),
            _ => None,
        }
    }
}

/// Getters of values that are copied, and the way in for each of them.
macro_rules! scalars {
    ($($getter:ident, $variant:ident, $scalar:ty, $doc:literal;)*) => {
        impl Value {$(
            #[doc = $doc]
            pub fn $getter(&self) -> Option<$scalar> {
                match self {
                    Self::$variant(value) => Some(*value),
                    _ => None,
                }
            }
        )*}

        $(impl From<$scalar> for Value {
            fn from(value: $scalar) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

scalars! {
    as_int, Int, i64, "The integer.";
    as_bool, Bool, bool, "The boolean.";
    as_timestamp, Timestamp, Timestamp, "The point in time.";
    as_float, Float, f32, "The 32-bit floating point number.";
    as_double, Double, f64, "The 64-bit floating point number.";
    as_decimal, Decimal, Decimal, "The decimal number.";
    as_object_id, ObjectId, ObjectId, "The `ObjectId`.";
    as_uuid, Uuid, Uuid, "The UUID.";
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Binary> for Value {
    fn from(bytes: Binary) -> Self {
        Self::Binary(bytes.0)
    }
}

impl From<Link> for Value {
    fn from(link: Link) -> Self {
        Self::Link(link)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(elements: Vec<T>) -> Self {
        Self::List(elements.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<String>, T: Into<Self>> From<BTreeMap<K, T>> for Value {
    fn from(entries: BTreeMap<K, T>) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value.into()));
        Self::Dictionary(entries.collect())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// As the field of the primary key holds it; a `GlobalKey`, which no field holds, is null.
impl From<PrimaryKey> for Value {
    fn from(key: PrimaryKey) -> Self {
        match key {
            PrimaryKey::Null | PrimaryKey::GlobalKey { .. } => Self::Null,
            PrimaryKey::Int(key) => Self::Int(key),
            PrimaryKey::String(key) => Self::String(key.as_ref().into()),
            PrimaryKey::ObjectId(key) => Self::ObjectId(ObjectId(key)),
            PrimaryKey::Uuid(key) => Self::Uuid(Uuid(key)),
        }
    }
}
