//! An object that is being edited.

use bailiwick_core::apply::Fault;
use bailiwick_core::schema::ValueType;
use bailiwick_core::state::{self, PrimaryKey};
use bailiwick_protocol::changeset::{CollectionKind, Instruction, Payload};

use super::error::{Problem, WriteError};
use super::place::{ObjectPlace, Place, Step, class_of};
use super::{DictionaryMut, ListMut, SetMut, WriteTransaction};
use crate::value::Value;

/// An object of a transaction, top-level or embedded.
#[derive(Debug)]
pub struct ObjectMut<'t, 'a> {
    tx: &'t mut WriteTransaction<'a>,
    place: ObjectPlace,
}

impl<'t, 'a> ObjectMut<'t, 'a> {
    pub(super) fn new(tx: &'t mut WriteTransaction<'a>, place: ObjectPlace) -> Self {
        Self { tx, place }
    }

    /// Sets a field. A whole collection or embedded object takes the place of the one before. An equal value is written
    /// all the same, and competes with what other devices write.
    ///
    /// The primary key can be set to what it is, which does nothing.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is no such field, or if it cannot have the value.
    pub fn set(&mut self, field: &str, value: impl Into<Value>) -> Result<&mut Self, WriteError> {
        self.write(field, value.into(), false)
    }

    /// Sets a field of a new object to what the application's classes say. Any other device's value wins over it.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn set_default(
        &mut self,
        field: &str,
        value: impl Into<Value>,
    ) -> Result<&mut Self, WriteError> {
        self.write(field, value.into(), true)
    }

    /// Sets several fields, or none if one of them cannot have its value.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn set_all(
        &mut self,
        fields: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<&mut Self, WriteError> {
        let Self { tx, place } = self;
        tx.whole(|tx| {
            fields.into_iter().try_for_each(|(field, value)| {
                ObjectMut::new(tx, place.clone()).set(&field, value).map(|_| ())
            })
        })?;
        Ok(self)
    }

    /// Adds to an integer, wrapping. Other than values that are set, what several devices add makes a sum.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if the field does not hold an integer.
    pub fn add(&mut self, field: &str, value: i64) -> Result<&mut Self, WriteError> {
        let place = self.field(field)?;
        if self.tx.read(&place, state::Value::is_null)? {
            return Err(self.tx.refuse(&place, Problem::NullSum));
        }
        self.tx.emit(&place, |target| Instruction::AddInteger { target, value })?;
        Ok(self)
    }

    /// The list in a field.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is none.
    pub fn list(&mut self, field: &str) -> Result<ListMut<'_, 'a>, WriteError> {
        let place = self.field(field)?;
        ListMut::new(self.tx, place)
    }

    /// The set in a field.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is none.
    pub fn set_of(&mut self, field: &str) -> Result<SetMut<'_, 'a>, WriteError> {
        let place = self.field(field)?;
        SetMut::new(self.tx, place)
    }

    /// The dictionary in a field.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is none.
    pub fn dictionary(&mut self, field: &str) -> Result<DictionaryMut<'_, 'a>, WriteError> {
        let place = self.field(field)?;
        DictionaryMut::new(self.tx, place)
    }

    /// The embedded object in a field.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is none, or null.
    pub fn embedded(&mut self, field: &str) -> Result<ObjectMut<'_, 'a>, WriteError> {
        let place = self.field(field)?;
        ObjectMut::embedded_at(self.tx, &place)
    }

    /// Puts a new embedded object in a field, in the place of the one that was there.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if the field is not one for embedded objects.
    pub fn embed(&mut self, field: &str) -> Result<ObjectMut<'_, 'a>, WriteError> {
        self.set(field, Value::Object(std::collections::BTreeMap::new()))?;
        self.embedded(field)
    }

    /// Deletes the object: a top-level one with all links to it; an embedded one leaves null behind, or no list element.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if it is asymmetric.
    pub fn delete(self) -> Result<(), WriteError> {
        let Self { tx, place: ObjectPlace { class, key, steps, inner } } = self;
        if steps.is_empty() {
            return tx.whole(|tx| tx.delete_object(class, &key, None));
        }
        let slot = bailiwick_core::schema::Slot::new(
            ValueType::Embedded(inner),
            true,
            CollectionKind::Single,
        );
        let place = Place { class, key, steps, slot };
        match place.steps.last() {
            Some(Step::Index(_)) => tx.erase(&place),
            _ => tx.emit_update(&place, Payload::Null, false),
        }
    }

    /// The value of a field, the primary key included.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is no such field.
    pub fn get(&mut self, field: &str) -> Result<Value, WriteError> {
        if let Some(key) = self.own_key(field) {
            return Ok(key);
        }
        let place = self.field(field)?;
        self.tx.value_at(&place)
    }

    /// The key of the top-level object.
    pub fn key(&self) -> &PrimaryKey {
        &self.place.key
    }

    /// The name of the object's class.
    pub fn class(&self) -> &str {
        let class = self.tx.schema().class_by_id(self.place.inner);
        class.map_or("", |class| class.name())
    }

    /// The transaction.
    pub fn transaction(&mut self) -> &mut WriteTransaction<'a> {
        self.tx
    }

    pub(super) fn embedded_at(
        tx: &'t mut WriteTransaction<'a>,
        place: &Place,
    ) -> Result<Self, WriteError> {
        let found = tx.read(place, state::Value::type_name)?;
        match place.object() {
            Some(object) if found == "embedded object" => Ok(Self::new(tx, object)),
            _ => Err(tx.refuse(place, Problem::Kind { expected: "an embedded object", found })),
        }
    }

    fn write(
        &mut self,
        field: &str,
        value: Value,
        is_default: bool,
    ) -> Result<&mut Self, WriteError> {
        match self.own_key(field) {
            Some(key) if key == value => (),
            Some(_) => {
                let mut place = self.place.clone();
                place.steps.push(Step::Field(field.into()));
                return Err(self.tx.refuse_at(&place, Fault::PrimaryKey));
            }
            None => {
                let place = self.field(field)?;
                self.tx.assign(&place, value, is_default)?;
            }
        }
        Ok(self)
    }

    /// The primary key, if this is the name of its field.
    fn own_key(&self, field: &str) -> Option<Value> {
        let class = class_of(self.tx.schema(), self.place.inner).ok()?;
        let is_it = self.place.steps.is_empty() && class.is_primary_key(field);
        is_it.then(|| self.place.key.clone().into())
    }

    fn field(&self, name: &str) -> Result<Place, WriteError> {
        let place = self.place.field(self.tx.schema(), name);
        place.map_err(|problem| self.tx.refuse_at(&self.place, problem))
    }
}
