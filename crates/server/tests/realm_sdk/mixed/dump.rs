//! What an application reads through the Rust client, in the form that `bailiwick dump` prints.

use std::collections::BTreeMap;

use bailiwick_client::read::ObjectView;
use bailiwick_client::schema::{Class, ClassKind, Property, PropertyType};
use bailiwick_client::{PrimaryKey, Value, View};
use bailiwick_protocol::changeset::CollectionKind;
use serde_json::{Map, Value as Json, json};

use crate::dump::Dump;

/// All classes and objects of a realm.
pub(super) fn dump(whose: &str, view: &View) -> Dump {
    let schema = view.schema();
    let mut lines: Vec<_> = schema.classes.iter().map(class_json).collect();
    for class in schema.classes.iter().filter(|class| class.kind != ClassKind::Embedded) {
        for object in view.objects(&class.name).unwrap() {
            lines.push(object_json(&object.unwrap()));
        }
    }
    Dump::new(whose, lines)
}

fn class_json(class: &Class) -> Json {
    let columns = class.properties.iter().map(|column| (column.name.clone(), column_json(column)));
    json!({
        "table": class.name,
        "pk": class.key_name(),
        "embedded": class.kind == ClassKind::Embedded,
        "asymmetric": matches!(class.kind, ClassKind::Asymmetric { .. }),
        "columns": columns.collect::<Map<_, _>>(),
    })
}

fn column_json(column: &Property) -> Json {
    let value_type = match &column.value_type {
        PropertyType::Int => "int",
        PropertyType::Bool => "bool",
        PropertyType::String => "string",
        PropertyType::Binary => "binary",
        PropertyType::Timestamp => "timestamp",
        PropertyType::Float => "float",
        PropertyType::Double => "double",
        PropertyType::Decimal => "decimal",
        PropertyType::ObjectId => "objectId",
        PropertyType::Uuid => "uuid",
        PropertyType::Mixed => "mixed",
        PropertyType::Link(_) | PropertyType::Embedded(_) => "link",
    };
    let collection = match column.collection {
        CollectionKind::Single => "single",
        CollectionKind::List => "list",
        CollectionKind::Set => "set",
        CollectionKind::Dictionary => "dictionary",
    };
    let target = column.value_type.target();
    json!({"type": value_type, "nullable": column.nullable, "collection": collection, "target": target})
}

fn object_json(object: &ObjectView) -> Json {
    let fields = values_json(&object.to_fields().unwrap());
    json!({"table": object.class(), "object": object.key().to_json(), "fields": fields})
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Null => json!({"type": "null"}),
        Value::Int(value) => PrimaryKey::Int(*value).to_json(),
        Value::Bool(value) => json!({"type": "bool", "value": value}),
        Value::String(text) => json!({"type": "string", "value": text}),
        Value::Binary(bytes) => json!({"type": "binary", "hex": hex::encode(bytes)}),
        Value::Timestamp(time) => json!({
            "type": "timestamp",
            "seconds": PrimaryKey::Int(time.seconds()).to_json()["value"],
            "nanoseconds": time.nanoseconds(),
        }),
        Value::Float(value) => json!({"type": "float", "bits": format!("{:08x}", value.to_bits())}),
        Value::Double(value) => {
            json!({"type": "double", "bits": format!("{:016x}", value.to_bits())})
        }
        Value::Decimal(value) => {
            let bits = format!("{:032x}", value.to_bits());
            json!({"type": "decimal", "hi": bits[..16], "lo": bits[16..]})
        }
        Value::ObjectId(id) => PrimaryKey::ObjectId(id.0).to_json(),
        Value::Uuid(id) => PrimaryKey::Uuid(id.0).to_json(),
        Value::Link(link) => {
            json!({"type": "link", "table": link.class, "object": link.key.to_json()})
        }
        Value::List(items) => json!({"type": "list", "items": items_json(items)}),
        Value::Set(items) => json!({"type": "set", "items": items_json(items)}),
        Value::Dictionary(entries) => {
            json!({"type": "dictionary", "entries": values_json(entries)})
        }
        Value::Object(fields) => json!({"type": "object", "fields": values_json(fields)}),
    }
}

fn items_json(items: &[Value]) -> Vec<Json> {
    items.iter().map(value_json).collect()
}

fn values_json(values: &BTreeMap<String, Value>) -> Map<String, Json> {
    values.iter().map(|(name, value)| (name.clone(), value_json(value))).collect()
}
