//! What a realm holds, for people and tests: one JSON object a line.
//!
//! ```text
//! {"table": CLASS, "pk": FIELD, "embedded": false, "asymmetric": false, "columns": {FIELD: {...}}}
//! {"table": CLASS, "object": KEY, "fields": {FIELD: VALUE}}
//! ```
//!
//! First all classes in the order of their names, then the objects of each in the order of their keys. The
//! objects are those that the store has materialised, not a replay of the history.

use std::io::{self, Write};

use bailiwick_core::EncodingError;
use bailiwick_core::schema::Schema;
use bailiwick_core::state::State;
use bailiwick_storage::store::{RealmKey, StorageError, Store};
use serde_json::{Value, json};

/// Why a realm could not be written out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The storage failed.
    #[error("the storage cannot be read")]
    Storage(#[from] StorageError),
    /// An object or the schema is not what the server writes.
    #[error("a record cannot be read")]
    Encoding(#[from] EncodingError),
    /// The output cannot be written.
    #[error("the output cannot be written")]
    Output(#[from] io::Error),
}

/// Writes a realm's classes and objects; nothing for a realm that does not exist.
///
/// Holds all objects in memory, in their stored form. The realm must not change meanwhile.
///
/// # Errors
///
/// See [`DumpError`]; `out` may have been written to.
pub fn dump(store: &dyn Store, realm: &RealmKey, out: &mut dyn Write) -> Result<(), DumpError> {
    let state = read(store, realm)?;
    for class in state.schema().classes() {
        let mut line = class.to_json(state.schema());
        line.insert("table".to_owned(), json!(class.name()));
        writeln!(out, "{}", Value::Object(line))?;
    }
    for class in state.schema().classes() {
        for (key, object) in state.objects(class.id())? {
            let fields = state.fields_json(class, &key, &object);
            let line = json!({ "table": class.name(), "object": key.to_json(), "fields": fields });
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// The most objects that are asked for at a time.
const PAGE_LEN: usize = 1000;

fn read(store: &dyn Store, realm: &RealmKey) -> Result<State, DumpError> {
    let schema = Schema::decode(&store.realm(realm)?.schema)?;
    let mut objects = Vec::new();
    loop {
        let last = objects.last().map(|(row, _): &(Box<[u8]>, _)| row.clone());
        let page = store.scan_objects(realm, &[], last.as_deref(), PAGE_LEN)?;
        if page.is_empty() {
            return Ok(State::new(schema, objects));
        }
        objects.extend(page);
    }
}
