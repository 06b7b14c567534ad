//! Keys and values as instructions have them.

use bailiwick_protocol::changeset::{self, ObjectKey, Payload, Symbol};

use super::{Link, PrimaryKey, Value};

impl PrimaryKey {
    /// The key as instructions have it. `intern` gives the symbol of a text.
    pub fn to_object_key(&self, intern: impl FnOnce(&str) -> Symbol) -> ObjectKey {
        match self {
            Self::Null => ObjectKey::Null,
            Self::Int(value) => ObjectKey::Int(*value),
            Self::String(text) => ObjectKey::String(intern(text)),
            Self::ObjectId(id) => ObjectKey::ObjectId(*id),
            Self::Uuid(id) => ObjectKey::Uuid(*id),
            Self::GlobalKey { hi, lo } => ObjectKey::GlobalKey { hi: *hi, lo: *lo },
        }
    }
}

impl Value {
    /// The value as one instruction writes it: a list, a dictionary or an embedded object without what is in it, null
    /// for a set, and for a link that `name` has no names for.
    pub fn to_payload(&self, name: impl FnOnce(&Link) -> Option<changeset::Link>) -> Payload {
        match self {
            Self::Null | Self::Set(_) => Payload::Null,
            Self::Int(value) => Payload::Int(*value),
            Self::Bool(value) => Payload::Bool(*value),
            Self::String(text) => Payload::String((**text).into()),
            Self::Binary(bytes) => Payload::Binary((**bytes).into()),
            Self::Timestamp(timestamp) => Payload::Timestamp(*timestamp),
            Self::Float(value) => Payload::Float(*value),
            Self::Double(value) => Payload::Double(*value),
            Self::Decimal(value) => Payload::Decimal(*value),
            Self::ObjectId(id) => Payload::ObjectId(*id),
            Self::Uuid(id) => Payload::Uuid(*id),
            Self::Link(link) => name(link).map_or(Payload::Null, Payload::Link),
            Self::List(_) => Payload::List,
            Self::Dictionary(_) => Payload::Dictionary,
            Self::Object(_) => Payload::ObjectValue,
        }
    }
}
