//! How Realm's types are recognised in serde, which does not have them.

use super::{PrimaryKey, Value};

// Newtype structs.
pub(crate) const OBJECT_ID: &str = "$bailiwick::ObjectId";
pub(crate) const UUID: &str = "$bailiwick::Uuid";
pub(crate) const TIMESTAMP: &str = "$bailiwick::Timestamp";
pub(crate) const DECIMAL: &str = "$bailiwick::Decimal";
pub(crate) const BINARY: &str = "$bailiwick::Binary";
pub(crate) const LINK: &str = "$bailiwick::Link";
pub(crate) const SET: &str = "$bailiwick::Set";
/// The enum that any value is.
pub(crate) const VALUE: &str = "$bailiwick::Value";

/// The variant of that enum.
pub(crate) fn variant(value: &Value) -> &'static str {
    match value {
        Value::Null => "Null",
        Value::Int(_) => "Int",
        Value::Bool(_) => "Bool",
        Value::String(_) => "String",
        Value::Binary(_) => "Binary",
        Value::Timestamp(_) => "Timestamp",
        Value::Float(_) => "Float",
        Value::Double(_) => "Double",
        Value::Decimal(_) => "Decimal",
        Value::ObjectId(_) => "ObjectId",
        Value::Uuid(_) => "Uuid",
        Value::Link(_) => "Link",
        Value::List(_) => "List",
        Value::Set(_) => "Set",
        Value::Dictionary(_) => "Dictionary",
        Value::Object(_) => "Object",
    }
}

/// A key as a value that holds all of it.
pub(crate) fn key_value(key: &PrimaryKey) -> Value {
    match key {
        PrimaryKey::GlobalKey { hi, lo } => {
            Value::List(vec![Value::Int(hi.cast_signed()), Value::Int(lo.cast_signed())])
        }
        key => key.clone().into(),
    }
}

pub(crate) fn key_from_value(value: &Value) -> Option<PrimaryKey> {
    match value.as_elements() {
        Some([Value::Int(hi), Value::Int(lo)]) => {
            Some(PrimaryKey::GlobalKey { hi: hi.cast_unsigned(), lo: lo.cast_unsigned() })
        }
        _ => value.to_key(),
    }
}
