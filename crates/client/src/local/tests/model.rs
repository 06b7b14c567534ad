//! What a file should hold, kept the simple way.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_core::schema::{ClassId, Schema};
use bailiwick_core::state::{Object, ObjectRow, ObjectStore as _, Value, decode_row, encode_row};
use bailiwick_protocol::version::ClientVersion;
use bytes::Bytes;

use crate::local::{
    Batch, Change, FileState, HistoryChange, HistoryEntry, LocalError, LocalFile, PendingReset,
};

/// All of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Model {
    pub(super) state: FileState,
    pub(super) schema: Schema,
    pub(super) objects: BTreeMap<ObjectRow, Bytes>,
    pub(super) history: BTreeMap<ClientVersion, HistoryEntry>,
    pub(super) reset: Option<PendingReset>,
}

impl Model {
    pub(super) fn commit(&mut self, batch: &Batch) {
        self.state = batch.state.clone();
        if let Some(schema) = &batch.changes.schema {
            self.schema = schema.clone();
        }
        for (row, object) in &batch.changes.objects {
            match object {
                Some(object) => self.objects.insert(row.clone(), object.clone()),
                None => self.objects.remove(row),
            };
        }
        for (version, changeset) in &batch.reciprocals {
            self.history.get_mut(version).unwrap().reciprocal = Some(changeset.clone());
        }
        match &batch.history {
            HistoryChange::Keep => (),
            HistoryChange::Trim(last) => self.history.retain(|version, _| version > last),
            HistoryChange::Replace(entries) => {
                self.history = entries.iter().map(|entry| (entry.version, entry.clone())).collect();
            }
        }
        self.history.extend(batch.append.iter().map(|entry| (entry.version, entry.clone())));
        if let Change::To(reset) = &batch.reset {
            self.reset.clone_from(reset);
        }
    }

    /// Reads all of a file, and checks that what follows from the objects follows from them there, too.
    pub(super) fn read(file: &LocalFile) -> Result<Self, LocalError> {
        let snapshot = file.snapshot()?;
        let mut objects = BTreeMap::new();
        for row in snapshot.rows(&[])? {
            let object = snapshot.object(&row)?.unwrap();
            objects.insert(row, object);
        }
        let entries: Result<Vec<_>, _> = snapshot.history(ClientVersion(0))?.collect();
        let model = Self {
            state: snapshot.state().clone(),
            schema: snapshot.schema().clone(),
            objects,
            history: entries?.into_iter().map(|entry| (entry.version, entry)).collect(),
            reset: snapshot.pending_reset().cloned(),
        };
        for class in (0..10).map(ClassId) {
            let keys: Vec<_> = model
                .objects
                .keys()
                .map(|row| decode_row(row).unwrap())
                .filter(|(found, _)| *found == class)
                .map(|(_, key)| key)
                .collect();
            assert_eq!(snapshot.count(class)?, keys.len(), "the count of {class:?}");
            let found: Result<Vec<_>, _> = snapshot.objects(class)?.collect();
            assert!(found?.into_iter().map(|(key, _)| key).eq(keys), "the objects of {class:?}");
        }
        let links = model.links();
        for target in links.keys().chain(model.objects.keys()) {
            let expected = links.get(target).cloned().unwrap_or_default();
            let found = snapshot.links_to(target)?;
            assert!(found.is_sorted());
            assert_eq!(BTreeSet::from_iter(found), expected, "what links to {target:?}");
        }
        Ok(model)
    }

    /// Who links to each object.
    pub(super) fn links(&self) -> BTreeMap<ObjectRow, BTreeSet<ObjectRow>> {
        let mut links = BTreeMap::<_, BTreeSet<_>>::new();
        for (row, object) in &self.objects {
            let (class, _) = decode_row(row).unwrap();
            let mut targets = Vec::new();
            self.visit_object(class, &Object::decode(object).unwrap(), &mut targets);
            for target in targets {
                links.entry(target).or_default().insert(row.clone());
            }
        }
        links
    }

    fn visit_object(&self, class: ClassId, object: &Object, out: &mut Vec<ObjectRow>) {
        for (_, column) in self.schema.class_by_id(class).unwrap().columns() {
            if let Some(value) = object.get(column.id) {
                self.visit(column.value_type.target(), value, out);
            }
        }
    }

    fn visit(&self, target: Option<ClassId>, value: &Value, out: &mut Vec<ObjectRow>) {
        match value {
            Value::Link(link) => out.push(encode_row(link.class, &link.key)),
            Value::List(list) => list.iter().for_each(|value| self.visit(target, value, out)),
            Value::Set(set) => set.iter().for_each(|value| self.visit(target, value, out)),
            Value::Dictionary(entries) => {
                entries.iter().for_each(|(_, value)| self.visit(target, value, out));
            }
            Value::Object(object) => self.visit_object(target.unwrap(), object, out),
            _ => (),
        }
    }
}
