//! An object in a view.

use std::collections::BTreeMap;

use bailiwick_core::schema::{Class, ClassId};
use bailiwick_core::state::{self, ObjectStore as _, encode_row};

use super::{ReadError, View};
use crate::local::LocalError;
use crate::object::{Object, from_fields};
use crate::value::stored::Reader;
use crate::value::{Link, PrimaryKey, Value};

/// An object as one state of the realm has it. Fields are converted when they are asked for.
#[derive(Clone, Debug)]
pub struct ObjectView {
    view: View,
    class: ClassId,
    key: PrimaryKey,
    object: state::Object,
}

impl ObjectView {
    pub(super) fn new(view: View, class: ClassId, key: PrimaryKey, object: state::Object) -> Self {
        Self { view, class, key, object }
    }

    /// The name of its class.
    pub fn class(&self) -> &str {
        self.declaration().name()
    }

    /// Its primary key.
    pub fn key(&self) -> &PrimaryKey {
        &self.key
    }

    /// The state of the realm that it is from.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// A link to it.
    pub fn to_link(&self) -> Link {
        Link::new(self.class(), &self.key)
    }

    /// A field.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoField`], or the file cannot be read.
    pub fn get(&self, field: &str) -> Result<Value, ReadError> {
        let class = self.declaration();
        if class.is_primary_key(field) {
            return Ok(self.key.clone().into());
        }
        let no_field =
            || ReadError::NoField { class: class.name().to_owned(), field: field.to_owned() };
        let column = class.column(field).ok_or_else(no_field)?;
        Ok(self.reader().field(column, &self.object)?)
    }

    /// The object that a field links to; `None` if it is null, or something else.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn follow(&self, field: &str) -> Result<Option<Self>, ReadError> {
        match self.get(field)? {
            Value::Link(link) => self.view.follow(&link),
            _ => Ok(None),
        }
    }

    /// All fields, the primary key included.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn to_fields(&self) -> Result<BTreeMap<String, Value>, ReadError> {
        Ok(self.reader().fields(self.declaration(), &self.key, &self.object)?)
    }

    /// The object as a struct.
    ///
    /// # Errors
    ///
    /// [`ReadError::Object`] if it does not fit, or the file cannot be read.
    pub fn to_typed<T: Object>(&self) -> Result<T, ReadError> {
        from_fields(self.to_fields()?).map_err(|error| ReadError::Object {
            class: self.class().to_owned(),
            key: self.key.clone(),
            error,
        })
    }

    /// The object as it is stored.
    pub(crate) fn stored(&self) -> &state::Object {
        &self.object
    }

    pub(crate) fn declaration(&self) -> &Class {
        let class = self.view.snapshot.schema().class_by_id(self.class);
        class.expect("the object was found by its class, and the view stays as it is")
    }

    fn reader(
        &self,
    ) -> Reader<'_, impl Fn(ClassId, &PrimaryKey) -> Result<bool, LocalError> + use<'_>> {
        reader(&self.view)
    }
}

/// Reads values of the view's state.
pub(super) fn reader(
    view: &View,
) -> Reader<'_, impl Fn(ClassId, &PrimaryKey) -> Result<bool, LocalError> + use<'_>> {
    let snapshot = &view.snapshot;
    let exists = |class, key: &PrimaryKey| Ok(snapshot.object(&encode_row(class, key))?.is_some());
    Reader { schema: snapshot.schema(), exists }
}
