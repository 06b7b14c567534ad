//! The vectors `apply`: changesets, and the objects that they lead to.

use bailiwick_core::schema::{Class, ClassKind};
use bailiwick_core::state::State;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;
use serde_json::{Map, Value as Json, json};

use crate::cases::list;
use crate::device::{Author, Device};

/// Each changeset as a DOWNLOAD of its own leads to the stated objects, or fails where it must.
pub(crate) fn check(case: &Json) -> Result<(), String> {
    let device = Device::new(FileIdent(99));
    let author = Author { timestamp: OriginTimestamp(1), ident: FileIdent(2) };
    for (number, changeset) in list(&case["changesets"]).into_iter().enumerate() {
        let outcome = device.download(&[(author, changeset)]);
        if case["error_at"] == number {
            return match outcome {
                Err(ErrorCode::BadChangeset) => Ok(()),
                other => Err(format!("changeset {number} must be refused: {other:?}")),
            };
        }
        outcome.map_err(|code| format!("changeset {number} is refused: {code:?}"))?;
    }
    let mut expected = case["state"].clone();
    let mut found = json!({ "tables": tables(&device.state()) });
    sort_links(&mut expected);
    sort_links(&mut found);
    if found == expected { Ok(()) } else { Err(format!("{found}, expected {expected}")) }
}

fn tables(state: &State) -> Map<String, Json> {
    let classes = state.schema().classes();
    classes.map(|class| (class.name().to_owned(), table(state, class))).collect()
}

fn table(state: &State, class: &Class) -> Json {
    let mut objects = Vec::new();
    // Devices keep no objects of asymmetric classes.
    if class.kind() == ClassKind::TopLevel {
        for (key, object) in state.objects(class.id()).unwrap() {
            let fields = state.fields_json(class, &key, &object);
            objects.push(json!({ "pk": key.to_json(), "fields": fields }));
        }
    }
    let mut table = class.to_json(state.schema());
    table.insert("objects".to_owned(), Json::Array(objects));
    Json::Object(table)
}

/// Puts the links of all sets at their end, in one order: theirs means nothing.
fn sort_links(json: &mut Json) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(sort_links),
        Json::Object(map) => {
            map.values_mut().for_each(sort_links);
            if map.get("type").is_some_and(|kind| kind == "set")
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
