//! Edits of collections in mixed values.

use bailiwick_client::value::Value;
use bailiwick_client::write::{DictionaryMut, ListMut, ObjectMut, WriteError};

use super::edit::Editor;
use super::plan::{Field, MixedUse};
use super::value;

/// How deep edits go.
const DEPTH: usize = 3;

impl Editor<'_> {
    /// Changes one mixed value that can be a collection.
    pub(super) fn change_mixed(
        &mut self,
        object: &mut ObjectMut<'_, '_>,
        field: &Field,
    ) -> Result<(), WriteError> {
        let name = &field.property.name;
        let found = object.get(name)?;
        match (found, field.mixed) {
            (Value::List(_), _) if !self.choices.one_in(6) => {
                self.change_nested_list(&mut object.list(name)?, 0)
            }
            (Value::Dictionary(_), _) if !self.choices.one_in(6) => {
                self.change_nested_dictionary(&mut object.dictionary(name)?, 0)
            }
            (_, MixedUse::List) => {
                object.set(name, value::list(self.choices, self.plan, 0)).map(drop)
            }
            (_, MixedUse::Dictionary) => {
                object.set(name, value::dictionary(self.choices, self.plan, 0)).map(drop)
            }
            (Value::Int(_), _) if self.choices.yes() => {
                object.add(name, value::int(self.choices)).map(drop)
            }
            _ => object.set(name, value::nested(self.choices, self.plan, 0)).map(drop),
        }
    }

    /// Changes a list of mixed values, or something in it.
    pub(super) fn change_nested_list(
        &mut self,
        list: &mut ListMut<'_, '_>,
        depth: usize,
    ) -> Result<(), WriteError> {
        let elements = list.values()?;
        let place = self.place(elements.len());
        match (self.choices.below(8), elements.get(place)) {
            (0..=4, Some(Value::List(_))) if depth < DEPTH => {
                self.change_nested_list(&mut list.list(place)?, depth + 1)
            }
            (0..=4, Some(Value::Dictionary(_))) if depth < DEPTH => {
                self.change_nested_dictionary(&mut list.dictionary(place)?, depth + 1)
            }
            (0, Some(_)) => list.remove(place).map(drop),
            (1..=2, Some(_)) => list.set(place, value::mixed(self.choices, self.plan)).map(drop),
            _ => list.insert(place, value::nested(self.choices, self.plan, depth)).map(drop),
        }
    }

    /// Changes a dictionary of mixed values, or something in it.
    pub(super) fn change_nested_dictionary(
        &mut self,
        dictionary: &mut DictionaryMut<'_, '_>,
        depth: usize,
    ) -> Result<(), WriteError> {
        let key = value::entry(self.choices);
        match (self.choices.below(8), dictionary.get(key)?) {
            (0..=4, Some(Value::List(_))) if depth < DEPTH => {
                self.change_nested_list(&mut dictionary.list(key)?, depth + 1)
            }
            (0..=4, Some(Value::Dictionary(_))) if depth < DEPTH => {
                self.change_nested_dictionary(&mut dictionary.dictionary(key)?, depth + 1)
            }
            (0..=1, Some(_)) => dictionary.remove(key).map(drop),
            _ => dictionary
                .insert(key, value::nested_entry(self.choices, self.plan, depth))
                .map(drop),
        }
    }
}
