//! Changesets of small apps, as devices encode them.

use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::changeset::json::ChangesetJson;
use bytes::Bytes;
use serde_json::{Value, json};

/// Declares class `Item` with an integer key and a name.
pub(crate) fn schema() -> Bytes {
    changeset(&json!([add_table("Item", "topLevel"), add_column("name", "string")]))
}

/// Makes an item; every size of `name` is a size of changeset.
pub(crate) fn item(id: u64, name: &str) -> Bytes {
    let object = json!({"type": "int", "value": id});
    changeset(&json!([
        {"op": "CreateObject", "table": "Item", "object": object},
        {
            "op": "Update", "table": "Item", "object": object, "field": "name", "path": [],
            "value": {"type": "string", "value": name}, "isDefault": false,
        },
    ]))
}

/// Declares a mixed field and puts a list into it, which came with protocol 13.
pub(crate) fn nested() -> Bytes {
    let object = json!({"type": "int", "value": 900});
    changeset(&json!([
        add_column("any", "null"),
        {"op": "CreateObject", "table": "Item", "object": object},
        {
            "op": "Update", "table": "Item", "object": object, "field": "any", "path": [],
            "value": {"type": "list"}, "isDefault": false,
        },
    ]))
}

/// Declares a class whose objects only travel to the server.
pub(crate) fn asymmetric() -> Bytes {
    changeset(&json!([add_table("Event", "asymmetric")]))
}

/// Decodes, and breaks a rule that needs no state: the class has no name.
pub(crate) fn unruly() -> Bytes {
    changeset(&json!([add_table("", "topLevel")]))
}

/// Decodes and keeps all rules, but there is no such class.
pub(crate) fn inapplicable() -> Bytes {
    let object = json!({"type": "int", "value": 1});
    changeset(&json!([{"op": "CreateObject", "table": "Nothing", "object": object}]))
}

/// Declares `Item` with another key: contradicts [`schema`] if it is concurrent.
pub(crate) fn contradicting_schema() -> Bytes {
    let mut table = add_table("Item", "topLevel");
    table["pkType"] = json!("string");
    changeset(&json!([table]))
}

pub(crate) fn changeset(instructions: &Value) -> Bytes {
    let json = json!({"strings": [], "instructions": instructions});
    let json: ChangesetJson = serde_json::from_value(json).unwrap();
    Changeset::try_from(&json).unwrap().encode().into()
}

fn add_table(table: &str, kind: &str) -> Value {
    json!({
        "op": "AddTable", "table": table, "kind": kind, "pkField": "_id", "pkType": "int",
        "pkNullable": false,
    })
}

fn add_column(field: &str, column_type: &str) -> Value {
    json!({
        "op": "AddColumn", "table": "Item", "field": field, "type": column_type,
        "nullable": true, "collection": "single",
    })
}
