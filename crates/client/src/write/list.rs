//! A list that is being edited.

use bailiwick_core::apply::Fault;
use bailiwick_core::schema::{ClassId, ValueType};
use bailiwick_core::state::{self, PrimaryKey};
use bailiwick_protocol::changeset::{CollectionKind, Instruction};

use super::error::{Problem, WriteError};
use super::place::{Place, Step};
use super::{DictionaryMut, ObjectMut, WriteTransaction};
use crate::value::Value;

/// A list of a transaction.
///
/// In a list of links, a link whose object is gone is not seen and not counted, though it keeps its place among the
/// others and comes back with its object.
#[derive(Debug)]
pub struct ListMut<'t, 'a> {
    tx: &'t mut WriteTransaction<'a>,
    place: Place,
}

impl<'t, 'a> ListMut<'t, 'a> {
    pub(super) fn new(tx: &'t mut WriteTransaction<'a>, place: Place) -> Result<Self, WriteError> {
        match tx.read(&place, state::Value::type_name)? {
            "list" => Ok(Self { tx, place }),
            found => Err(tx.refuse(&place, Problem::Kind { expected: "a list", found })),
        }
    }

    /// Appends an element.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if the list cannot have it.
    pub fn push(&mut self, value: impl Into<Value>) -> Result<&mut Self, WriteError> {
        let len = self.raw_len()?;
        let place = self.element(len)?;
        self.tx.insert_value(&place, value.into())?;
        Ok(self)
    }

    /// Inserts an element, which will be at `index`.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if `index` is greater than the length, or if the list cannot have the element.
    pub fn insert(
        &mut self,
        index: usize,
        value: impl Into<Value>,
    ) -> Result<&mut Self, WriteError> {
        let (raw, len) = (self.raw(index)?, self.raw_len()?);
        let place = self.element(raw.unwrap_or(len))?;
        if raw.is_none() && index != self.len()? {
            return Err(self.outside(index)?);
        }
        self.tx.insert_value(&place, value.into())?;
        Ok(self)
    }

    /// Replaces an element. An equal value is written all the same.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is no such element, or if the list cannot have the new one.
    pub fn set(&mut self, index: usize, value: impl Into<Value>) -> Result<&mut Self, WriteError> {
        let place = self.existing(index)?;
        self.tx.assign(&place, value.into(), false)?;
        Ok(self)
    }

    /// Removes an element.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is no such element.
    pub fn remove(&mut self, index: usize) -> Result<&mut Self, WriteError> {
        let place = self.existing(index)?;
        self.tx.erase(&place)?;
        Ok(self)
    }

    /// Moves an element, so that it ends at `to`.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if one of the positions is outside of the list.
    pub fn move_to(&mut self, from: usize, to: usize) -> Result<&mut Self, WriteError> {
        let (place, to) = (self.existing(from)?, self.existing(to)?);
        if place.steps != to.steps {
            self.tx.move_element(&place, &to)?;
        }
        Ok(self)
    }

    /// Removes all elements.
    ///
    /// # Errors
    ///
    /// The realm's file cannot be read.
    pub fn clear(&mut self) -> Result<&mut Self, WriteError> {
        self.tx.clear_collection(&self.place, CollectionKind::List)?;
        Ok(self)
    }

    /// The list in a list of mixed values.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is none.
    pub fn list(&mut self, index: usize) -> Result<ListMut<'_, 'a>, WriteError> {
        let place = self.existing(index)?;
        ListMut::new(self.tx, place)
    }

    /// The dictionary in a list of mixed values.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is none.
    pub fn dictionary(&mut self, index: usize) -> Result<DictionaryMut<'_, 'a>, WriteError> {
        let place = self.existing(index)?;
        DictionaryMut::new(self.tx, place)
    }

    /// The object in a list of embedded ones.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is none.
    pub fn embedded(&mut self, index: usize) -> Result<ObjectMut<'_, 'a>, WriteError> {
        let place = self.existing(index)?;
        ObjectMut::embedded_at(self.tx, &place)
    }

    /// All elements.
    ///
    /// # Errors
    ///
    /// The realm's file cannot be read.
    pub fn values(&mut self) -> Result<Vec<Value>, WriteError> {
        match self.tx.value_at(&self.place)? {
            Value::List(elements) => Ok(elements),
            _ => Ok(Vec::new()),
        }
    }

    /// The element at `index`, if there is one.
    ///
    /// # Errors
    ///
    /// The realm's file cannot be read.
    pub fn get(&mut self, index: usize) -> Result<Option<Value>, WriteError> {
        match self.raw(index)? {
            Some(raw) => {
                let place = self.element(raw)?;
                self.tx.value_at(&place).map(Some)
            }
            None => Ok(None),
        }
    }

    /// The number of elements.
    ///
    /// # Errors
    ///
    /// The realm's file cannot be read.
    pub fn len(&mut self) -> Result<usize, WriteError> {
        match self.links()? {
            Some(links) => {
                let mut len = 0;
                for link in &links {
                    len += usize::from(self.tx.is_seen(link)?);
                }
                Ok(len)
            }
            None => self.raw_len(),
        }
    }

    /// Whether there is no element.
    ///
    /// # Errors
    ///
    /// The realm's file cannot be read.
    pub fn is_empty(&mut self) -> Result<bool, WriteError> {
        Ok(self.len()? == 0)
    }

    fn existing(&mut self, index: usize) -> Result<Place, WriteError> {
        match self.raw(index)? {
            Some(raw) => self.element(raw),
            None => Err(self.outside(index)?),
        }
    }

    fn outside(&mut self, index: usize) -> Result<WriteError, WriteError> {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let len = self.len()?;
        Ok(self.tx.refuse(&self.place, Fault::Index { index, len }))
    }

    fn element(&self, raw: usize) -> Result<Place, WriteError> {
        Ok(self.place.below(Step::Index(self.tx.index(&self.place, raw)?)))
    }

    /// The position of an element among all, seen and unseen.
    fn raw(&mut self, index: usize) -> Result<Option<usize>, WriteError> {
        let Some(links) = self.links()? else {
            let len = self.raw_len()?;
            return Ok(Some(index).filter(|&index| index < len));
        };
        let mut seen = 0;
        for (raw, link) in links.iter().enumerate() {
            if self.tx.is_seen(link)? {
                if seen == index {
                    return Ok(Some(raw));
                }
                seen += 1;
            }
        }
        Ok(None)
    }

    fn raw_len(&mut self) -> Result<usize, WriteError> {
        self.tx.read(&self.place, |value| match value {
            state::Value::List(list) => list.len(),
            _ => 0,
        })
    }

    /// The elements, if they are links.
    fn links(&mut self) -> Result<Option<Vec<(ClassId, PrimaryKey)>>, WriteError> {
        if !matches!(self.place.slot.value_type, ValueType::Link(_) | ValueType::AnyLink) {
            return Ok(None);
        }
        self.tx.read(&self.place, |value| match value {
            state::Value::List(list) => {
                let links = list.iter().filter_map(|element| match element {
                    state::Value::Link(link) => Some((link.class, link.key.clone())),
                    _ => None,
                });
                Some(links.collect())
            }
            _ => None,
        })
    }
}

impl WriteTransaction<'_> {
    /// Moves an element to the place of another one of the same list.
    fn move_element(&mut self, from: &Place, to: &Place) -> Result<(), WriteError> {
        let Some(Step::Index(to_index)) = to.steps.last().cloned() else { return Ok(()) };
        let is_collection = self.read(from, |value| {
            matches!(value, state::Value::List(_) | state::Value::Dictionary(_))
        })?;
        if is_collection {
            // The move of a collection crashes official devices.
            return self.whole(|tx| {
                let value = tx.get_all(from)?;
                tx.erase(from)?;
                tx.moves_links = true;
                let inserted = tx.insert_value(to, value);
                tx.moves_links = false;
                inserted
            });
        }
        let prior_size = self.len_around(from)?;
        self.emit(from, |target| Instruction::ArrayMove { target, to: to_index, prior_size })
    }

    fn is_seen(&self, (class, key): &(ClassId, PrimaryKey)) -> Result<bool, WriteError> {
        self.contains(*class, key)
    }
}
