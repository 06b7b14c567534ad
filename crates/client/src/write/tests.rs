//! Transactions, edit by edit.

use std::sync::Arc;

use bailiwick_core::state::State;
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::version::ClientVersion;

use crate::local::LocalFile;
use crate::realm::Realm;
use crate::schema::{Class, PropertyType, Schema};
use crate::value::{Link, Value};

use super::*;

mod property;
mod sdk;

fn schema() -> Schema {
    Schema::new().class(
        Class::new("Dog")
            .primary_key("_id", PropertyType::Int)
            .property("name", PropertyType::String)
            .list("tags", PropertyType::String)
            .property("friend", PropertyType::Link("Dog".into()))
            .list("pack", PropertyType::Link("Dog".into())),
    )
}

fn realm() -> Realm {
    Realm::open(Arc::new(LocalFile::in_memory()), schema()).unwrap()
}

/// All that was written, applied from the start.
fn replayed(realm: &Realm) -> State {
    let mut state = State::default();
    for entry in realm.snapshot().unwrap().history(ClientVersion(0)).unwrap() {
        let changeset = Changeset::decode(&entry.unwrap().changeset).unwrap();
        changeset.check().unwrap();
        let _ = state.apply(&changeset).unwrap();
    }
    state
}

#[test]
fn an_edit_is_seen_at_once_and_committed() {
    let realm = realm();
    realm
        .write(|tx| {
            tx.create("Dog", 1)?.set("name", "Rex")?.list("tags")?.push("good")?.push("old")?;
            assert_eq!(tx.object("Dog", 1)?.get("name")?, Value::from("Rex"));
            tx.create("Dog", 2)?.set("friend", Link::new("Dog", 1))?;
            Ok::<_, WriteError>(())
        })
        .unwrap();
    let state = replayed(&realm).to_string();
    let (_, objects) = state.split_once("Dog[1]\n").unwrap();
    assert_eq!(
        objects,
        "  friend: null\n  name: \"Rex\"\n  pack: []\n  tags: [\"good\", \"old\"]\n\
         Dog[2]\n  friend: -> Dog[1]\n  name: \"\"\n  pack: []\n  tags: []\n"
    );
}
