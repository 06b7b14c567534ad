//! The suite `apply`: changesets, and the state that they lead to.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bailiwick_core::schema::{Class, ClassKind, Column, Schema, ValueType};
use bailiwick_core::state::{Link, Object, PrimaryKey, State, Value};
use bailiwick_protocol::changeset::{Changeset, CollectionKind};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::Context;

#[derive(Deserialize)]
struct Case {
    changesets: Vec<String>,
    state: Option<Json>,
    error: Option<String>,
    error_at: Option<usize>,
}

/// Each changeset in a transaction of its own leads to the stated state, or fails where it must.
pub(super) fn check(case: &Json, _: &Context) -> Result<()> {
    let case = Case::deserialize(case)?;
    let mut state = State::default();
    for (i, changeset) in case.changesets.iter().enumerate() {
        let before = state.to_string();
        let outcome = apply(&mut state, &hex::decode(changeset)?);
        if case.error_at == Some(i) {
            ensure!(outcome.is_err(), "changeset {i} is applied, but must fail: {:?}", case.error);
            ensure!(state.to_string() == before, "changeset {i} failed and left a trace");
            return Ok(());
        }
        outcome.with_context(|| format!("changeset {i}"))?;
        state = reopened(&state).with_context(|| format!("after changeset {i}"))?;
    }
    let mut expected = case.state.context("the case states neither a state nor where it fails")?;
    let mut found = json!({ "tables": tables(&state)? });
    sort_links(&mut expected);
    sort_links(&mut found);
    same("", &found, &expected)
}

fn apply(state: &mut State, bytes: &[u8]) -> Result<()> {
    let applied = state.apply(&Changeset::decode(bytes)?)?;
    if let Some(rewritten) = applied.rewritten {
        Changeset::decode(&rewritten.encode()).context("the form for devices")?;
    }
    Ok(())
}

/// The state as it is after everything was stored and read back.
fn reopened(state: &State) -> Result<State> {
    let schema = Schema::decode(&state.schema().encode())?;
    ensure!(schema == *state.schema(), "the schema comes back changed");
    let mut rows = Vec::new();
    for (row, bytes) in state.rows() {
        let encoded = Object::decode(bytes)?.encode();
        ensure!(encoded == *bytes, "an object is encoded in another way");
        rows.push((row.clone(), Bytes::from(encoded)));
    }
    Ok(State::new(schema, rows))
}

fn tables(state: &State) -> Result<Map<String, Json>> {
    state
        .schema()
        .classes()
        .map(|class| Ok((class.name().to_owned(), table(state, class)?)))
        .collect()
}

fn table(state: &State, class: &Class) -> Result<Json> {
    let columns: Map<_, _> = class
        .columns()
        .map(|(name, column)| (name.to_owned(), column_json(state.schema(), column)))
        .collect();
    let mut objects = Vec::new();
    // Devices keep no objects of asymmetric classes.
    if class.kind() == ClassKind::TopLevel {
        for (key, object) in state.objects(class.id())? {
            let mut fields = fields(state, class, &object)?;
            if let Some((name, _)) = class.primary_key() {
                fields.insert(name.to_owned(), key_json(&key));
            }
            objects.push(json!({ "pk": key_json(&key), "fields": fields }));
        }
    }
    Ok(json!({
        "pk": class.primary_key().map(|(name, _)| name),
        "embedded": class.kind() == ClassKind::Embedded,
        "asymmetric": class.kind() == ClassKind::Asymmetric,
        "columns": columns,
        "objects": objects,
    }))
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

fn fields(state: &State, class: &Class, object: &Object) -> Result<Map<String, Json>> {
    let mut fields = Map::new();
    for (name, column) in class.columns() {
        let default = column.default_value();
        let value = object.get(column.id).unwrap_or(&default);
        let value = value_json(state, value, column.value_type)
            .with_context(|| format!("field {name} of class {}", class.name()))?;
        fields.insert(name.to_owned(), value);
    }
    Ok(fields)
}

/// A value of a column of this type.
fn value_json(state: &State, value: &Value, value_type: ValueType) -> Result<Json> {
    let items = |values: &mut dyn Iterator<Item = &Value>| {
        values.map(|value| value_json(state, value, value_type)).collect::<Result<Vec<_>>>()
    };
    Ok(match value {
        Value::Null => json!({ "type": "null" }),
        Value::Int(value) => int_json(*value),
        Value::Bool(value) => json!({ "type": "bool", "value": value }),
        Value::String(text) => json!({ "type": "string", "value": &**text }),
        Value::Binary(bytes) => json!({ "type": "binary", "hex": hex::encode(bytes) }),
        Value::Timestamp(timestamp) => json!({
            "type": "timestamp",
            "seconds": number(timestamp.seconds),
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
        Value::ObjectId(id) => key_json(&PrimaryKey::ObjectId(*id)),
        Value::Uuid(id) => key_json(&PrimaryKey::Uuid(*id)),
        Value::Link(link) => link_json(state, link),
        Value::List(list) => json!({ "type": "list", "items": items(&mut list.iter())? }),
        Value::Set(set) => json!({ "type": "set", "items": items(&mut set.iter())? }),
        Value::Dictionary(dictionary) => {
            let entries = dictionary
                .iter()
                .map(|(key, value)| Ok((key.to_owned(), value_json(state, value, value_type)?)))
                .collect::<Result<Map<_, _>>>()?;
            json!({ "type": "dictionary", "entries": entries })
        }
        Value::Object(object) => {
            let class = value_type.target().and_then(|id| state.schema().class_by_id(id));
            let class = class.ok_or_else(|| anyhow!("an embedded object without class"))?;
            json!({ "type": "object", "fields": fields(state, class, object)? })
        }
    })
}

fn link_json(state: &State, link: &Link) -> Json {
    let Some(class) = state.schema().class_by_id(link.class) else {
        return json!({ "type": "null" });
    };
    let (table, object) = (class.name(), key_json(&link.key));
    if state.contains(link.class, &link.key) {
        json!({ "type": "link", "table": table, "object": object })
    } else {
        json!({ "type": "null", "unresolved": { "table": table, "object": object } })
    }
}

fn key_json(key: &PrimaryKey) -> Json {
    match key {
        PrimaryKey::Null => json!({ "type": "null" }),
        PrimaryKey::Int(value) => int_json(*value),
        PrimaryKey::String(text) => json!({ "type": "string", "value": &**text }),
        PrimaryKey::ObjectId(id) => json!({ "type": "objectId", "value": hex::encode(id) }),
        PrimaryKey::Uuid(id) => {
            let digits = hex::encode(id);
            let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
            json!({ "type": "uuid", "value": parts.join("-") })
        }
        PrimaryKey::GlobalKey { hi, lo } => json!({
            "type": "globalKey",
            "hi": format!("{hi:016x}"),
            "lo": format!("{lo:016x}"),
        }),
    }
}

fn int_json(value: i64) -> Json {
    json!({ "type": "int", "value": number(value) })
}

/// A JSON number, or its digits where a JSON number may be rounded.
fn number(value: i64) -> Json {
    const LARGEST: u64 = (1 << 53) - 1;
    if value.unsigned_abs() <= LARGEST { json!(value) } else { json!(value.to_string()) }
}

/// Puts the links of all sets at their end, in one order: theirs means nothing.
fn sort_links(json: &mut Json) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(sort_links),
        Json::Object(map) => {
            map.values_mut().for_each(sort_links);
            if map.get("type").and_then(Json::as_str) == Some("set")
                && let Some(Json::Array(items)) = map.get_mut("items")
            {
                items.sort_by_cached_key(|item| {
                    let is_link = item["type"] == "link" || item.get("unresolved").is_some();
                    (is_link, if is_link { item.to_string() } else { String::new() })
                });
            }
        }
        _ => (),
    }
}

/// Names the first place where two values differ.
fn same(path: &str, found: &Json, expected: &Json) -> Result<()> {
    match (found, expected) {
        (Json::Object(a), Json::Object(b)) if a.keys().eq(b.keys()) => {
            b.iter().try_for_each(|(key, value)| same(&format!("{path}.{key}"), &a[key], value))
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => (0..)
            .zip(a.iter().zip(b))
            .try_for_each(|(i, (a, b)): (usize, _)| same(&format!("{path}[{i}]"), a, b)),
        _ if found == expected => Ok(()),
        _ => bail!("{path} is {found}, expected {expected}"),
    }
}
