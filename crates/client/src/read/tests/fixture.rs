//! A realm in memory that tests write to directly.

use std::collections::BTreeMap;

use bailiwick_core::schema::Schema as Stored;
use bailiwick_core::state::{Object as StoredObject, encode_row};
use bailiwick_protocol::version::ClientVersion;

use crate::local::{Batch, LocalFile};
use crate::object::{Object, to_fields};
use crate::read::View;
use crate::schema::Schema;
use crate::value::{PrimaryKey, Value, stored};

pub(crate) struct Fixture {
    pub(crate) file: LocalFile,
}

impl Fixture {
    pub(crate) fn new(schema: &Schema) -> Self {
        let fixture = Self { file: LocalFile::in_memory() };
        let schema = Some(schema.to_stored().unwrap());
        fixture.commit(|_, batch| batch.changes.schema = schema);
        fixture
    }

    pub(crate) fn view(&self) -> View {
        View::new(self.file.snapshot().unwrap())
    }

    pub(crate) fn put_all<T: Object>(&self, objects: &[T]) {
        self.commit(|schema, batch| {
            for object in objects {
                put(schema, batch, T::CLASS, &to_fields(object).unwrap());
            }
        });
    }

    pub(crate) fn put<const N: usize>(&self, class: &str, fields: [(&str, Value); N]) {
        let fields = fields.map(|(field, value)| (field.to_owned(), value)).into();
        self.commit(|schema, batch| put(schema, batch, class, &fields));
    }

    pub(crate) fn commit(&self, edit: impl FnOnce(&Stored, &mut Batch)) {
        let writer = self.file.write();
        let snapshot = writer.snapshot().unwrap();
        let mut state = snapshot.state().clone();
        state.version = ClientVersion(state.version.0 + 1);
        let mut batch = Batch { state, ..Batch::default() };
        edit(snapshot.schema(), &mut batch);
        batch.changes.objects.sort_by(|(a, _), (b, _)| a.cmp(b));
        writer.commit(&batch).unwrap();
    }
}

pub(crate) fn put(
    schema: &Stored,
    batch: &mut Batch,
    class: &str,
    fields: &BTreeMap<String, Value>,
) {
    let class = schema.class(class).unwrap();
    let (key_name, _) = class.primary_key().unwrap();
    let mut object = StoredObject::default();
    for (field, value) in fields.iter().filter(|(field, _)| *field != key_name) {
        let column = class.column(field).unwrap();
        object.set(column.id, stored::to_stored(schema, column, value).unwrap());
    }
    let row = encode_row(class.id(), &fields[key_name].to_key().unwrap());
    batch.changes.objects.push((row, Some(object.encode().into())));
}

pub(crate) fn erase(schema: &Stored, batch: &mut Batch, class: &str, key: impl Into<PrimaryKey>) {
    let class = schema.class(class).unwrap();
    batch.changes.objects.push((encode_row(class.id(), &key.into()), None));
}
