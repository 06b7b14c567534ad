//! A dictionary that is being edited.

use bailiwick_core::state;
use bailiwick_protocol::changeset::{CollectionKind, Payload};

use super::error::{Problem, WriteError};
use super::place::{Place, Step};
use super::{ListMut, ObjectMut, WriteTransaction};
use crate::value::Value;

/// A dictionary of a transaction.
#[derive(Debug)]
pub struct DictionaryMut<'t, 'a> {
    tx: &'t mut WriteTransaction<'a>,
    place: Place,
}

impl<'t, 'a> DictionaryMut<'t, 'a> {
    pub(super) fn new(tx: &'t mut WriteTransaction<'a>, place: Place) -> Result<Self, WriteError> {
        match tx.read(&place, state::Value::type_name)? {
            "dictionary" => Ok(Self { tx, place }),
            found => Err(tx.refuse(&place, Problem::Kind { expected: "a dictionary", found })),
        }
    }

    /// Adds or replaces an entry. An equal value is written all the same.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if the dictionary cannot have it: a key does not start with `$` and has no `.`.
    pub fn insert(&mut self, key: &str, value: impl Into<Value>) -> Result<&mut Self, WriteError> {
        self.tx.assign(&self.entry(key), value.into(), false)?;
        Ok(self)
    }

    /// Removes an entry; whether there was one.
    ///
    /// # Errors
    ///
    /// The realm's file cannot be read.
    pub fn remove(&mut self, key: &str) -> Result<bool, WriteError> {
        let place = self.entry(key);
        let is_absent = self.tx.is_absent(&place)?;
        if !is_absent {
            self.tx.emit_update(&place, Payload::Erased, false)?;
        }
        Ok(!is_absent)
    }

    /// Removes all entries.
    ///
    /// # Errors
    ///
    /// The realm's file cannot be read.
    pub fn clear(&mut self) -> Result<&mut Self, WriteError> {
        self.tx.clear_collection(&self.place, CollectionKind::Dictionary)?;
        Ok(self)
    }

    /// The list in a dictionary of mixed values.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is none.
    pub fn list(&mut self, key: &str) -> Result<ListMut<'_, 'a>, WriteError> {
        let place = self.entry(key);
        ListMut::new(self.tx, place)
    }

    /// The dictionary in a dictionary of mixed values.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is none.
    pub fn dictionary(&mut self, key: &str) -> Result<DictionaryMut<'_, 'a>, WriteError> {
        let place = self.entry(key);
        DictionaryMut::new(self.tx, place)
    }

    /// The object in a dictionary of embedded ones.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is none.
    pub fn embedded(&mut self, key: &str) -> Result<ObjectMut<'_, 'a>, WriteError> {
        let place = self.entry(key);
        ObjectMut::embedded_at(self.tx, &place)
    }

    /// The value of an entry, if there is one.
    ///
    /// # Errors
    ///
    /// The realm's file cannot be read.
    pub fn get(&mut self, key: &str) -> Result<Option<Value>, WriteError> {
        let place = self.entry(key);
        if self.tx.is_absent(&place)? { Ok(None) } else { self.tx.value_at(&place).map(Some) }
    }

    /// All keys, in the order of their bytes.
    ///
    /// # Errors
    ///
    /// The realm's file cannot be read.
    pub fn keys(&mut self) -> Result<Vec<String>, WriteError> {
        self.tx.read(&self.place, |value| match value {
            state::Value::Dictionary(entries) => {
                entries.iter().map(|(key, _)| key.to_owned()).collect()
            }
            _ => Vec::new(),
        })
    }

    fn entry(&self, key: &str) -> Place {
        self.place.below(Step::Key(key.into()))
    }
}
