//! Structs in transactions.

use std::collections::{BTreeMap, HashSet};

use bailiwick_core::schema::{Class, ValueType};

use super::{Object, ObjectError, from_fields, to_fields};
use crate::value::{PrimaryKey, Value};
use crate::write::{
    DictionaryMut, ListMut, ObjectMut, RefusedEdit, SetMut, WriteError, WriteTransaction,
};

impl WriteTransaction<'_> {
    /// Creates an object with the fields of a struct.
    ///
    /// # Errors
    ///
    /// [`Problem::Exists`](crate::write::Problem::Exists) if there is an object with its key, or another
    /// [`Problem`](crate::write::Problem) if there cannot be such an object.
    pub fn insert<T: Object>(&mut self, object: &T) -> Result<(), WriteError> {
        let fields = fields_of(object)?;
        self.create(T::CLASS, object.key())?.fill(fields)
    }

    /// Writes those fields of an object that differ from a struct. What is in collections and embedded objects is
    /// compared, too, so that as little as possible competes with what other devices write.
    ///
    /// # Errors
    ///
    /// A [`Problem`](crate::write::Problem) if there is no object with its key, or if it cannot have the values.
    pub fn update<T: Object>(&mut self, object: &T) -> Result<(), WriteError> {
        let fields = fields_of(object)?;
        self.object(T::CLASS, object.key())?.change(fields)
    }

    /// [Updates](Self::update) the object with the key of a struct, or [inserts](Self::insert) it.
    ///
    /// # Errors
    ///
    /// A [`Problem`](crate::write::Problem) if there cannot be such an object.
    pub fn upsert<T: Object>(&mut self, object: &T) -> Result<(), WriteError> {
        let fields = fields_of(object)?;
        match self.find(T::CLASS, object.key())? {
            Some(mut found) => found.change(fields),
            None => self.create(T::CLASS, object.key())?.fill(fields),
        }
    }

    /// The object with this key, as it is in the transaction.
    ///
    /// # Errors
    ///
    /// A [`Problem`](crate::write::Problem) if there is no such class, or if the object does not fit the struct.
    pub fn get<T: Object>(&mut self, key: impl Into<PrimaryKey>) -> Result<Option<T>, WriteError> {
        let key = key.into();
        let Some(mut object) = self.find(T::CLASS, &key)? else { return Ok(None) };
        let class = object.transaction().schema().class(T::CLASS);
        let names: Vec<_> =
            class.into_iter().flat_map(Class::columns).map(|(name, _)| name.to_owned()).collect();
        let mut fields = BTreeMap::new();
        for name in names {
            let value = object.get(&name)?;
            fields.insert(name, value);
        }
        let object = from_fields(fields);
        object.map(Some).map_err(|error| refuse_struct::<T>(key, error))
    }
}

fn fields_of<T: Object>(object: &T) -> Result<BTreeMap<String, Value>, WriteError> {
    to_fields(object).map_err(|error| refuse_struct::<T>(object.key(), error))
}

fn refuse_struct<T: Object>(key: PrimaryKey, error: ObjectError) -> WriteError {
    let (class, path, problem) = (T::CLASS.to_owned(), String::new(), error.into());
    WriteError::Refused(Box::new(RefusedEdit { class, key: Some(key), path, problem }))
}

impl ObjectMut<'_, '_> {
    /// Sets the fields of a new object.
    fn fill(&mut self, fields: BTreeMap<String, Value>) -> Result<(), WriteError> {
        let mut assigned = BTreeMap::new();
        for (field, value) in fields {
            // To write what an empty place holds anyway would destroy what another device embeds there.
            if !(value.is_null() && self.holds_embedded(&field)) {
                assigned.insert(field, value);
            }
        }
        self.set_all(assigned).map(|_| ())
    }

    fn holds_embedded(&mut self, field: &str) -> bool {
        let class = self.class().to_owned();
        let class = self.transaction().schema().class(&class);
        let column = class.and_then(|class| class.column(field));
        column.is_some_and(|column| matches!(column.value_type, ValueType::Embedded(_)))
    }

    /// Writes the fields that differ.
    fn change(&mut self, fields: BTreeMap<String, Value>) -> Result<(), WriteError> {
        for (field, new) in fields {
            let old = self.get(&field)?;
            change(&mut Field { object: self, field: &field }, &old, new)?;
        }
        Ok(())
    }
}

/// A place for a value: a field, an element, an entry.
trait Slot<'a> {
    fn set(&mut self, value: Value) -> Result<(), WriteError>;
    fn list(&mut self) -> Result<ListMut<'_, 'a>, WriteError>;
    fn dictionary(&mut self) -> Result<DictionaryMut<'_, 'a>, WriteError>;
    fn embedded(&mut self) -> Result<ObjectMut<'_, 'a>, WriteError>;

    /// Only fields are sets.
    fn members(&mut self) -> Result<Option<SetMut<'_, 'a>>, WriteError> {
        Ok(None)
    }
}

/// Makes a value another one, and touches only what differs.
fn change<'a>(slot: &mut impl Slot<'a>, old: &Value, new: Value) -> Result<(), WriteError> {
    match (old, new) {
        (old, new) if *old == new => Ok(()),
        (Value::List(old), Value::List(new)) => change_list(&mut slot.list()?, old, new),
        (Value::Dictionary(old), Value::Dictionary(new)) => {
            change_dictionary(&mut slot.dictionary()?, old, new)
        }
        (Value::Object(_), Value::Object(new)) => slot.embedded()?.change(new),
        (Value::Set(old), Value::Set(new)) => match slot.members()? {
            Some(mut set) => change_set(&mut set, old, new),
            None => slot.set(Value::Set(new)),
        },
        (_, new) => slot.set(new),
    }
}

/// What is the same at both ends stays. Between them elements are changed one by one, then the rest is inserted or
/// removed.
fn change_list(
    list: &mut ListMut<'_, '_>,
    old: &[Value],
    mut new: Vec<Value>,
) -> Result<(), WriteError> {
    let prefix = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let pairs = old[prefix..].iter().rev().zip(new[prefix..].iter().rev());
    let suffix = pairs.take_while(|(old, new)| old == new).count();
    new.truncate(new.len() - suffix);
    let old = &old[prefix..old.len() - suffix];
    let mut new = new.into_iter().skip(prefix);
    let mut index = prefix;
    for (old, new) in old.iter().zip(&mut new) {
        change(&mut Element { list, index }, old, new)?;
        index += 1;
    }
    // What is left of either: each goes, or comes, where the other one ends.
    for _ in index..prefix + old.len() {
        list.remove(index)?;
    }
    for (index, new) in (index..).zip(new) {
        list.insert(index, new)?;
    }
    Ok(())
}

fn change_set(set: &mut SetMut<'_, '_>, old: &[Value], new: Vec<Value>) -> Result<(), WriteError> {
    let stays: HashSet<_> = new.iter().collect();
    for value in old.iter().filter(|value| !stays.contains(value)) {
        set.remove(value.clone())?;
    }
    new.into_iter().try_for_each(|value| set.insert(value).map(|_| ()))
}

fn change_dictionary(
    dictionary: &mut DictionaryMut<'_, '_>,
    old: &BTreeMap<String, Value>,
    new: BTreeMap<String, Value>,
) -> Result<(), WriteError> {
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        dictionary.remove(key)?;
    }
    for (key, new) in new {
        match old.get(&key) {
            Some(old) => change(&mut Entry { dictionary, key: &key }, old, new)?,
            None => dictionary.insert(&key, new).map(|_| ())?,
        }
    }
    Ok(())
}

struct Field<'s, 't, 'a> {
    object: &'s mut ObjectMut<'t, 'a>,
    field: &'s str,
}

impl<'a> Slot<'a> for Field<'_, '_, 'a> {
    fn set(&mut self, value: Value) -> Result<(), WriteError> {
        self.object.set(self.field, value).map(|_| ())
    }

    fn list(&mut self) -> Result<ListMut<'_, 'a>, WriteError> {
        self.object.list(self.field)
    }

    fn dictionary(&mut self) -> Result<DictionaryMut<'_, 'a>, WriteError> {
        self.object.dictionary(self.field)
    }

    fn embedded(&mut self) -> Result<ObjectMut<'_, 'a>, WriteError> {
        self.object.embedded(self.field)
    }

    fn members(&mut self) -> Result<Option<SetMut<'_, 'a>>, WriteError> {
        self.object.set_of(self.field).map(Some)
    }
}

struct Element<'s, 't, 'a> {
    list: &'s mut ListMut<'t, 'a>,
    index: usize,
}

impl<'a> Slot<'a> for Element<'_, '_, 'a> {
    fn set(&mut self, value: Value) -> Result<(), WriteError> {
        self.list.set(self.index, value).map(|_| ())
    }

    fn list(&mut self) -> Result<ListMut<'_, 'a>, WriteError> {
        self.list.list(self.index)
    }

    fn dictionary(&mut self) -> Result<DictionaryMut<'_, 'a>, WriteError> {
        self.list.dictionary(self.index)
    }

    fn embedded(&mut self) -> Result<ObjectMut<'_, 'a>, WriteError> {
        self.list.embedded(self.index)
    }
}

struct Entry<'s, 't, 'a> {
    dictionary: &'s mut DictionaryMut<'t, 'a>,
    key: &'s str,
}

impl<'a> Slot<'a> for Entry<'_, '_, 'a> {
    fn set(&mut self, value: Value) -> Result<(), WriteError> {
        self.dictionary.insert(self.key, value).map(|_| ())
    }

    fn list(&mut self) -> Result<ListMut<'_, 'a>, WriteError> {
        self.dictionary.list(self.key)
    }

    fn dictionary(&mut self) -> Result<DictionaryMut<'_, 'a>, WriteError> {
        self.dictionary.dictionary(self.key)
    }

    fn embedded(&mut self) -> Result<ObjectMut<'_, 'a>, WriteError> {
        self.dictionary.embedded(self.key)
    }
}
