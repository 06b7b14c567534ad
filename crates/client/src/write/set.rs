//! A set that is being edited.

use bailiwick_core::state;
use bailiwick_protocol::changeset::CollectionKind;

use super::WriteTransaction;
use super::error::{Problem, WriteError};
use super::place::Place;
use crate::value::Value;

/// A set of a transaction.
#[derive(Debug)]
pub struct SetMut<'t, 'a> {
    tx: &'t mut WriteTransaction<'a>,
    place: Place,
}

impl<'t, 'a> SetMut<'t, 'a> {
    pub(super) fn new(tx: &'t mut WriteTransaction<'a>, place: Place) -> Result<Self, WriteError> {
        match tx.read(&place, state::Value::type_name)? {
            "set" => Ok(Self { tx, place }),
            found => Err(tx.refuse(&place, Problem::Kind { expected: "a set", found })),
        }
    }

    /// Adds an element; whether it is new. One that is equal to another one is not.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if the set cannot have it.
    pub fn insert(&mut self, value: impl Into<Value>) -> Result<bool, WriteError> {
        self.tx.add_member(&self.place, value.into())
    }

    /// Removes an element; whether it was there.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if the set cannot have it.
    pub fn remove(&mut self, value: impl Into<Value>) -> Result<bool, WriteError> {
        self.tx.remove_member(&self.place, value.into())
    }

    /// Removes all elements.
    ///
    /// # Errors
    ///
    /// The realm's file cannot be read.
    pub fn clear(&mut self) -> Result<&mut Self, WriteError> {
        self.tx.clear_collection(&self.place, CollectionKind::Set)?;
        Ok(self)
    }

    /// Whether the element, or an equal one, is there.
    ///
    /// # Errors
    ///
    /// The realm's file cannot be read.
    pub fn contains(&mut self, value: impl Into<Value>) -> Result<bool, WriteError> {
        self.tx.has_member(&self.place, &value.into())
    }

    /// All elements, in ascending order.
    ///
    /// # Errors
    ///
    /// The realm's file cannot be read.
    pub fn values(&mut self) -> Result<Vec<Value>, WriteError> {
        match self.tx.value_at(&self.place)? {
            Value::Set(elements) => Ok(elements),
            _ => Ok(Vec::new()),
        }
    }
}
