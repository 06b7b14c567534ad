//! A whole realm in memory, for tests, vectors and simulations.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;

use bailiwick_protocol::changeset::Changeset;
use bytes::Bytes;

use super::{Object, ObjectRow, ObjectStore, PrimaryKey, decode_row, encode_row, row_prefix};
use crate::apply::{Applied, ApplyError, Changes, Transaction};
use crate::encoding::EncodingError;
use crate::schema::{ClassId, Schema};

/// The classes and objects of one realm.
///
/// Objects are held in their stored form. Two states are equal if they read the same: by names, not by
/// ids, and without what is not readable any more.
#[derive(Clone, Default)]
pub struct State {
    schema: Schema,
    objects: BTreeMap<ObjectRow, Bytes>,
}

impl State {
    /// Takes what a store holds.
    pub fn new(schema: Schema, objects: impl IntoIterator<Item = (ObjectRow, Bytes)>) -> Self {
        Self { schema, objects: objects.into_iter().collect() }
    }

    /// Applies one changeset in a transaction of its own.
    ///
    /// # Errors
    ///
    /// As [`Transaction::apply`]; the state stays as it was.
    pub fn apply(&mut self, changeset: &Changeset) -> Result<Applied, ApplyError<Infallible>> {
        let (applied, changes) = {
            let mut transaction = Transaction::new(&self.schema, &*self);
            let applied = transaction.apply(changeset)?;
            (applied, transaction.finish())
        };
        self.commit(changes);
        Ok(applied)
    }

    /// Takes over what a transaction changed.
    pub fn commit(&mut self, changes: Changes) {
        if let Some(schema) = changes.schema {
            self.schema = schema;
        }
        for (row, object) in changes.objects {
            match object {
                Some(bytes) => self.objects.insert(row, bytes),
                None => self.objects.remove(&row),
            };
        }
    }

    /// The classes.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The rows of all objects with their stored form, in byte order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (&ObjectRow, &Bytes)> {
        self.objects.iter()
    }

    /// Whether there is such an object.
    pub fn contains(&self, class: ClassId, key: &PrimaryKey) -> bool {
        self.objects.contains_key(&encode_row(class, key))
    }

    /// The objects of a class, in the order of their keys.
    ///
    /// # Errors
    ///
    /// A stored form that cannot be read.
    pub fn objects(&self, class: ClassId) -> Result<Vec<(PrimaryKey, Object)>, EncodingError> {
        let mut objects = Vec::new();
        for (row, bytes) in self.with_prefix(&row_prefix(class)) {
            let (_, key) = decode_row(row)
                .map_err(|_| EncodingError::Invalid("a row does not name an object"))?;
            objects.push((key, Object::decode(bytes)?));
        }
        Ok(objects)
    }

    fn with_prefix<'a>(
        &'a self,
        prefix: &'a [u8],
    ) -> impl Iterator<Item = (&'a ObjectRow, &'a Bytes)> {
        self.objects.range(Box::from(prefix)..).take_while(move |(row, _)| row.starts_with(prefix))
    }
}

impl ObjectStore for State {
    type Error = Infallible;

    fn object(&self, row: &[u8]) -> Result<Option<Bytes>, Infallible> {
        Ok(self.objects.get(row).cloned())
    }

    fn rows(&self, prefix: &[u8]) -> Result<Vec<ObjectRow>, Infallible> {
        Ok(self.with_prefix(prefix).map(|(row, _)| row.clone()).collect())
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
