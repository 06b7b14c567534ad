//! The suite `apply`: changesets, and the state that they lead to.

use anyhow::{Context as _, Result, bail, ensure};
use bailiwick_core::schema::{Class, ClassKind, Schema};
use bailiwick_core::state::{Object, State};
use bailiwick_protocol::changeset::Changeset;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::Context;

#[derive(Deserialize)]
struct Case {
    name: String,
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
        let bytes = hex::decode(changeset)?;
        let outcome = apply(&mut state, &bytes);
        if case.error_at == Some(i) {
            ensure!(outcome.is_err(), "changeset {i} is applied, but must fail: {:?}", case.error);
            ensure!(state.to_string() == before, "changeset {i} failed and left a trace");
            return Ok(());
        }
        outcome.with_context(|| format!("changeset {i}"))?;
        // This one makes a debug build of the reference abort, so a server does not let it in.
        if case.name != "addcolumn-mixed-nonnull-flag" {
            Changeset::decode(&bytes)?.check().with_context(|| format!("changeset {i}"))?;
        }
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
    let mut objects = Vec::new();
    // Devices keep no objects of asymmetric classes.
    if class.kind() == ClassKind::TopLevel {
        for (key, object) in state.objects(class.id())? {
            let fields = state.fields_json(class, &key, &object);
            objects.push(json!({ "pk": key.to_json(), "fields": fields }));
        }
    }
    let mut table = class.to_json(state.schema());
    table.insert("objects".to_owned(), Json::Array(objects));
    Ok(Json::Object(table))
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
