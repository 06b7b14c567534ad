//! The JSON form of classes and objects: what the test vectors use, and what an operator can read.
//!
//! Values that JSON would change keep their bits: integers beyond 2^53-1 are strings of decimal digits, floating
//! point numbers and decimals are hexadecimal patterns. An unresolved link is a null that remembers its target.

use bailiwick_protocol::changeset::CollectionKind;
use serde_json::{Map, Value as Json, json};

use super::row::{Hex, UuidText};
use super::{Link, Object, PrimaryKey, State, Value};
use crate::schema::{Class, ClassKind, Column, Schema, ValueType};

impl Class {
    /// The kind of class, the name of its primary key and its columns; `schema` is where it is from.
    pub fn to_json(&self, schema: &Schema) -> Map<String, Json> {
        let columns: Map<_, _> = self
            .columns()
            .map(|(name, column)| (name.to_owned(), column_json(schema, column)))
            .collect();
        Map::from_iter([
            ("pk".to_owned(), json!(self.primary_key().map(|(name, _)| name))),
            ("embedded".to_owned(), json!(self.kind() == ClassKind::Embedded)),
            ("asymmetric".to_owned(), json!(self.kind() == ClassKind::Asymmetric)),
            ("columns".to_owned(), Json::Object(columns)),
        ])
    }
}

impl State {
    /// All fields of an object of a class, its primary key included.
    pub fn fields_json(
        &self,
        class: &Class,
        key: &PrimaryKey,
        object: &Object,
    ) -> Map<String, Json> {
        let mut fields = self.columns_json(class, object);
        if let Some((name, _)) = class.primary_key() {
            fields.insert(name.to_owned(), key.to_json());
        }
        fields
    }

    fn columns_json(&self, class: &Class, object: &Object) -> Map<String, Json> {
        class
            .columns()
            .map(|(name, column)| {
                let default = column.default_value();
                let value = object.get(column.id).unwrap_or(&default);
                (name.to_owned(), self.value_json(value, column.value_type))
            })
            .collect()
    }

    /// A value of a column of this type.
    fn value_json(&self, value: &Value, value_type: ValueType) -> Json {
        let items = |values: &mut dyn Iterator<Item = &Value>| {
            Json::Array(values.map(|value| self.value_json(value, value_type)).collect())
        };
        match value {
            Value::Null => json!({ "type": "null" }),
            Value::Int(value) => json!({ "type": "int", "value": int_json(*value) }),
            Value::Bool(value) => json!({ "type": "bool", "value": value }),
            Value::String(text) => json!({ "type": "string", "value": &**text }),
            Value::Binary(bytes) => json!({ "type": "binary", "hex": Hex(bytes).to_string() }),
            Value::Timestamp(timestamp) => json!({
                "type": "timestamp",
                "seconds": int_json(timestamp.seconds),
                "nanoseconds": timestamp.nanoseconds,
            }),
            Value::Float(value) => {
                json!({ "type": "float", "bits": format!("{:08x}", value.to_bits()) })
            }
            Value::Double(value) => {
                json!({ "type": "double", "bits": format!("{:016x}", value.to_bits()) })
            }
            Value::Decimal(decimal) => {
                let bits = format!("{:032x}", decimal.0);
                let (hi, lo) = bits.split_at(16);
                json!({ "type": "decimal", "hi": hi, "lo": lo })
            }
            Value::ObjectId(id) => PrimaryKey::ObjectId(*id).to_json(),
            Value::Uuid(id) => PrimaryKey::Uuid(*id).to_json(),
            Value::Link(link) => self.link_json(link),
            Value::List(list) => json!({ "type": "list", "items": items(&mut list.iter()) }),
            Value::Set(set) => json!({ "type": "set", "items": items(&mut set.iter()) }),
            Value::Dictionary(dictionary) => {
                let entries: Map<_, _> = dictionary
                    .iter()
                    .map(|(key, value)| (key.to_owned(), self.value_json(value, value_type)))
                    .collect();
                json!({ "type": "dictionary", "entries": entries })
            }
            Value::Object(object) => {
                let class = value_type.target().and_then(|id| self.schema().class_by_id(id));
                let fields = class.map(|class| self.columns_json(class, object));
                json!({ "type": "object", "fields": fields.unwrap_or_default() })
            }
        }
    }

    fn link_json(&self, link: &Link) -> Json {
        let Some(class) = self.schema().class_by_id(link.class) else {
            return json!({ "type": "null" });
        };
        let (table, object) = (class.name(), link.key.to_json());
        if self.contains(link.class, &link.key) {
            json!({ "type": "link", "table": table, "object": object })
        } else {
            json!({ "type": "null", "unresolved": { "table": table, "object": object } })
        }
    }
}

impl PrimaryKey {
    /// The type of the key, and the key.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => json!({ "type": "null" }),
            Self::Int(value) => json!({ "type": "int", "value": int_json(*value) }),
            Self::String(text) => json!({ "type": "string", "value": &**text }),
            Self::ObjectId(id) => json!({ "type": "objectId", "value": Hex(id).to_string() }),
            Self::Uuid(id) => json!({ "type": "uuid", "value": UuidText(id).to_string() }),
            Self::GlobalKey { hi, lo } => json!({
                "type": "globalKey",
                "hi": format!("{hi:016x}"),
                "lo": format!("{lo:016x}"),
            }),
        }
    }
}

fn column_json(schema: &Schema, column: &Column) -> Json {
    let value_type = match column.value_type {
        ValueType::Embedded(_) => "link",
        other => other.name(),
    };
    let collection = match column.collection {
        CollectionKind::Single => "single",
        CollectionKind::List => "list",
        CollectionKind::Set => "set",
        CollectionKind::Dictionary => "dictionary",
    };
    let target = column.value_type.target().and_then(|id| schema.class_by_id(id)).map(Class::name);
    json!({
        "type": value_type,
        "nullable": column.nullable,
        "collection": collection,
        "target": target,
    })
}

/// A JSON number, or its digits where a JSON number may be rounded.
fn int_json(value: i64) -> Json {
    const LARGEST: u64 = (1 << 53) - 1;
    if value.unsigned_abs() <= LARGEST { json!(value) } else { json!(value.to_string()) }
}
