//! Short names for edits of the objects of a conflict, as JavaScript has them.

use bailiwick_client::value::Link;
use bailiwick_client::write::{DictionaryMut, ListMut, ObjectMut, SetMut};
use bailiwick_client::{Value, WriteError, WriteTransaction};

use super::device::RustDevice;
use crate::conflicts::KEYS_PER_CASE;

/// A transaction about three objects: `T`, and two others that there may be.
pub(super) struct Edit<'t, 'a> {
    pub(super) tx: &'t mut WriteTransaction<'a>,
    /// The key of the first object.
    pub(super) base: i64,
}

/// What a device does in one transaction.
pub(super) type Edits = fn(&mut Edit<'_, '_>) -> Result<(), WriteError>;

pub(super) const T: i64 = 0;
pub(super) const U: i64 = 1;
pub(super) const V: i64 = 2;

impl<'a> Edit<'_, 'a> {
    pub(super) fn create(&mut self, which: i64) -> Result<ObjectMut<'_, 'a>, WriteError> {
        self.tx.create("Thing", self.base + which)
    }

    pub(super) fn delete(&mut self, which: i64) -> Result<(), WriteError> {
        self.tx.delete("Thing", self.base + which)
    }

    pub(super) fn link(&self, which: i64) -> Link {
        Link::new("Thing", self.base + which)
    }

    pub(super) fn t(&mut self) -> Result<ObjectMut<'_, 'a>, WriteError> {
        self.tx.object("Thing", self.base)
    }

    pub(super) fn set(&mut self, field: &str, value: impl Into<Value>) -> Result<(), WriteError> {
        self.t()?.set(field, value).map(drop)
    }

    pub(super) fn list(
        &mut self,
        field: &str,
        edit: impl FnOnce(&mut ListMut<'_, 'a>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        edit(&mut self.t()?.list(field)?)
    }

    pub(super) fn set_of(
        &mut self,
        field: &str,
        edit: impl FnOnce(&mut SetMut<'_, 'a>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        edit(&mut self.t()?.set_of(field)?)
    }

    pub(super) fn map(
        &mut self,
        field: &str,
        edit: impl FnOnce(&mut DictionaryMut<'_, 'a>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        edit(&mut self.t()?.dictionary(field)?)
    }

    pub(super) fn push<V: Into<Value>>(
        &mut self,
        field: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<(), WriteError> {
        self.list(field, |list| values.into_iter().try_for_each(|value| list.push(value).map(drop)))
    }

    pub(super) fn insert(
        &mut self,
        field: &str,
        index: usize,
        value: impl Into<Value>,
    ) -> Result<(), WriteError> {
        self.list(field, |list| list.insert(index, value).map(drop))
    }

    pub(super) fn remove(&mut self, field: &str, index: usize) -> Result<(), WriteError> {
        self.list(field, |list| list.remove(index).map(drop))
    }

    pub(super) fn replace(
        &mut self,
        field: &str,
        index: usize,
        value: impl Into<Value>,
    ) -> Result<(), WriteError> {
        self.list(field, |list| list.set(index, value).map(drop))
    }

    pub(super) fn move_to(
        &mut self,
        field: &str,
        from: usize,
        to: usize,
    ) -> Result<(), WriteError> {
        self.list(field, |list| list.move_to(from, to).map(drop))
    }

    pub(super) fn add<V: Into<Value>>(
        &mut self,
        field: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<(), WriteError> {
        self.set_of(field, |set| {
            values.into_iter().try_for_each(|value| set.insert(value).map(drop))
        })
    }

    pub(super) fn take(
        &mut self,
        field: &str,
        values: impl IntoIterator<Item = &'static str>,
    ) -> Result<(), WriteError> {
        self.set_of(field, |set| {
            values.into_iter().try_for_each(|value| set.remove(value).map(drop))
        })
    }

    pub(super) fn put(
        &mut self,
        field: &str,
        key: &str,
        value: impl Into<Value>,
    ) -> Result<(), WriteError> {
        self.map(field, |map| map.insert(key, value).map(drop))
    }

    pub(super) fn drop_key(&mut self, field: &str, key: &str) -> Result<(), WriteError> {
        self.map(field, |map| map.remove(key).map(drop))
    }
}

/// Carries out a transaction about the objects of a case.
#[track_caller]
pub(super) fn edit(
    device: &RustDevice,
    case: usize,
    edit: impl FnOnce(&mut Edit<'_, '_>) -> Result<(), WriteError>,
) {
    let base = i64::try_from((case + 1) * KEYS_PER_CASE).unwrap();
    device.write(|tx| edit(&mut Edit { tx, base }));
}

/// A new embedded object.
pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

/// A new part with one number.
pub(super) fn x(x: i64) -> Value {
    object([("x", x.into())])
}

pub(super) fn entries<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Dictionary(entries.map(|(key, value)| (key.to_owned(), value)).into())
}
