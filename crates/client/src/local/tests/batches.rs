//! Batches of all kinds, each by a seed.

use std::sync::Arc;

use bailiwick_core::schema::{Class, ClassId, ClassKind, Schema, Slot, ValueType};
use bailiwick_core::state::{
    Dictionary, Link, Object, PrimaryKey, Sequence, Set, SetOrder, Value, encode_row,
};
use bailiwick_protocol::action::Action;
use bailiwick_protocol::changeset::CollectionKind;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, ServerVersion};
use bytes::Bytes;

use super::choices::Choices;
use super::model::Model;
use crate::local::{
    Batch, Change, EffectiveMode, HistoryChange, HistoryEntry, PendingReset, ResetStage,
};

/// In every text of a batch, and nowhere else.
pub(super) const MARK: &str = "plain text of an object";

const COLLECTIONS: [CollectionKind; 4] =
    [CollectionKind::Single, CollectionKind::List, CollectionKind::Set, CollectionKind::Dictionary];

/// A batch that fits what the model holds. The first one declares classes.
pub(super) fn batch(model: &Model, seed: u64) -> Batch {
    let mut choices = Choices::new(seed);
    let mut batch = Batch { state: model.state.clone(), ..Batch::default() };
    if choices.one_in(4) {
        batch.reset = Change::To(choices.yes().then(|| pending_reset(&mut choices)));
    }
    if choices.one_in(8) && !model.schema.is_empty() {
        // Only the record of a reset, or nothing.
        return batch;
    }
    if model.schema.is_empty() {
        batch.changes.schema = Some(first_schema());
    } else if choices.one_in(4) {
        batch.changes.schema = Some(later_schema(model.schema.clone(), &mut choices));
    }
    let schema = batch.changes.schema.as_ref().unwrap_or(&model.schema).clone();
    change_objects(model, &schema, &mut choices, &mut batch);
    change_history(model, &mut choices, &mut batch);
    batch.state.client_file = choices.yes().then(|| (FileIdent(choices.number() | 1), Salt(7)));
    batch.state.progress.download.server_version = ServerVersion(choices.number());
    batch.state.bytes.uploadable = choices.number();
    batch
}

fn first_schema() -> Schema {
    let mut schema = Schema::default();
    let id = Slot::new(ValueType::Int, false, CollectionKind::Single);
    let inner = schema.add_class("Inner", ClassKind::Embedded).id();
    let outer = schema.add_class("Outer", ClassKind::Embedded).id();
    for name in ["Note", "Person"] {
        schema.add_class(name, ClassKind::TopLevel).add_primary_key("_id", id);
    }
    let person = schema.class("Person").unwrap().id();
    let add = |class: &mut Class, name: &str, value_type, collection| {
        class.add_column(name, Slot::new(value_type, true, collection));
    };
    let class = schema.class_mut("Outer").unwrap();
    add(class, "text", ValueType::String, CollectionKind::Single);
    add(class, "inner", ValueType::Embedded(inner), CollectionKind::List);
    let class = schema.class_mut("Note").unwrap();
    add(class, "text", ValueType::String, CollectionKind::Single);
    let class = schema.class_mut("Person").unwrap();
    for collection in COLLECTIONS {
        add(class, &format!("link {collection:?}"), ValueType::Link(person), collection);
        add(class, &format!("mixed {collection:?}"), ValueType::Mixed, collection);
        if collection != CollectionKind::Set {
            add(class, &format!("outer {collection:?}"), ValueType::Embedded(outer), collection);
        }
    }
    schema
}

/// Adds or removes a column that can hold links, in any class.
fn later_schema(mut schema: Schema, choices: &mut Choices) -> Schema {
    let person = schema.class("Person").unwrap().id();
    let names: Vec<String> = schema.classes().map(|class| class.name().to_owned()).collect();
    let class = schema.class_mut(choices.pick::<String>(&names)).unwrap();
    let columns: Vec<String> = class.columns().map(|(name, _)| name.to_owned()).collect();
    if columns.len() > 2 && choices.yes() {
        class.remove_column(choices.pick::<String>(&columns));
    } else {
        let value_type = *choices.pick(&[ValueType::Link(person), ValueType::Mixed]);
        let slot = Slot::new(value_type, true, *choices.pick(&COLLECTIONS));
        class.add_column(&format!("later {}", choices.number()), slot);
    }
    schema
}

fn change_objects(model: &Model, schema: &Schema, choices: &mut Choices, batch: &mut Batch) {
    for name in ["Note", "Person"] {
        let class = schema.class(name).unwrap();
        for key in 0..6 {
            let row = encode_row(class.id(), &PrimaryKey::Int(key));
            if choices.one_in(3) {
                let object = object(schema, class.id(), choices, 0);
                batch.changes.objects.push((row, Some(object.encode().into())));
            } else if choices.one_in(4) && model.objects.contains_key(&row) {
                batch.changes.objects.push((row, None));
            }
        }
    }
    batch.changes.objects.sort_by(|(a, _), (b, _)| a.cmp(b));
}

fn object(schema: &Schema, class: ClassId, choices: &mut Choices, depth: usize) -> Object {
    let mut object = Object::default();
    let class = schema.class_by_id(class).unwrap();
    for (name, column) in class.columns() {
        if choices.one_in(3) || class.is_primary_key(name) {
            continue;
        }
        let mut single = || value(schema, column.value_type, choices, depth);
        let value = match column.collection {
            CollectionKind::Single => single(),
            CollectionKind::List => Value::List((0..3).map(|_| single()).collect()),
            CollectionKind::Set => {
                let mut set = Set::default();
                for _ in 0..3 {
                    set.insert(single(), SetOrder::Mixed);
                }
                Value::Set(set)
            }
            CollectionKind::Dictionary => {
                let mut entries = Dictionary::default();
                for key in ["a", "b"] {
                    entries.insert(key, single());
                }
                Value::Dictionary(entries)
            }
        };
        object.set(column.id, value);
    }
    object
}

fn value(schema: &Schema, value_type: ValueType, choices: &mut Choices, depth: usize) -> Value {
    match value_type {
        ValueType::Embedded(class) => {
            Value::Object(Arc::new(object(schema, class, choices, depth)))
        }
        ValueType::Link(class) => link(class, choices),
        ValueType::Mixed => match choices.below(5) {
            0 => Value::Null,
            1 => Value::Int(choices.number().cast_signed()),
            2 if depth < 3 => {
                let values = (0..2).map(|_| value(schema, value_type, choices, depth + 1));
                Value::List(values.collect::<Sequence<_>>())
            }
            3 if depth < 3 => {
                let mut entries = Dictionary::default();
                entries.insert("k", value(schema, value_type, choices, depth + 1));
                Value::Dictionary(entries)
            }
            _ => {
                let name = *choices.pick(&["Note", "Person"]);
                link(schema.class(name).unwrap().id(), choices)
            }
        },
        _ => Value::String(format!("{MARK} {}", choices.number()).repeat(8).into()),
    }
}

fn link(class: ClassId, choices: &mut Choices) -> Value {
    let key = PrimaryKey::Int(i64::try_from(choices.below(8)).unwrap());
    Value::Link(Arc::new(Link { class, key }))
}

fn change_history(model: &Model, choices: &mut Choices, batch: &mut Batch) {
    let versions: Vec<_> = model.history.keys().copied().collect();
    if !versions.is_empty() && choices.yes() {
        let version = *choices.pick(&versions);
        batch.reciprocals.push((version, changeset(choices)));
    }
    if !versions.is_empty() && choices.one_in(3) {
        batch.history = HistoryChange::Trim(*choices.pick(&versions));
    } else if choices.one_in(8) {
        let kept = model.history.values().filter(|_| choices.yes()).cloned();
        batch.history = HistoryChange::Replace(kept.collect());
    }
    // Long transactions take several versions.
    for _ in 0..=choices.below(2) {
        let version = ClientVersion(batch.state.version.0 + 1);
        batch.state.version = version;
        batch.append.push(HistoryEntry {
            version,
            origin_file_ident: FileIdent(choices.below(2) as u64),
            origin_timestamp: OriginTimestamp(choices.number()),
            remote_version: ServerVersion(choices.number()),
            changeset: changeset(choices),
            reciprocal: choices.one_in(3).then(|| changeset(choices)),
        });
    }
}

fn changeset(choices: &mut Choices) -> Bytes {
    let times = *choices.pick(&[0, 1, 1, 2, 300]);
    format!("{MARK} {}", choices.number()).repeat(times).into()
}

/// A record of a client reset.
pub(super) fn pending_reset_of(seed: u64) -> PendingReset {
    pending_reset(&mut Choices::new(seed))
}

fn pending_reset(choices: &mut Choices) -> PendingReset {
    PendingReset {
        library_version: PendingReset::LIBRARY_VERSION.into(),
        time: OriginTimestamp(choices.number()),
        mode: *choices.pick(&[EffectiveMode::DiscardLocal, EffectiveMode::Recover]),
        action: *choices.pick(&Action::ALL),
        code: ErrorCode::from_number(u32::try_from(choices.below(300)).unwrap()),
        message: format!("{MARK} {}", choices.number()),
        stage: *choices.pick(&[ResetStage::Started, ResetStage::Applied, ResetStage::Failed]),
        attempts: u32::try_from(choices.below(9)).unwrap(),
        client_file: choices.yes().then_some((FileIdent(3), Salt(4))),
        integrated: ServerVersion(choices.number()),
    }
}
