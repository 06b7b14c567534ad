//! One edit of an application, which no device could be surprised by.

use bailiwick_client::schema::{CollectionKind, PropertyType};
use bailiwick_client::value::Value;
use bailiwick_client::write::{
    DictionaryMut, ListMut, ObjectMut, SetMut, WriteError, WriteTransaction,
};

use super::plan::{ClassPlan, Field, MixedUse, Plan};
use super::{Author, Memory, value};
use crate::sim::choices::Choices;

/// Whoever edits.
pub(super) struct Editor<'a> {
    pub(super) plan: &'a Plan,
    pub(super) author: Author,
    pub(super) choices: &'a mut Choices,
}

impl<'a> Editor<'a> {
    /// How many edits there are in the next transaction.
    pub(super) fn transaction_len(&mut self) -> usize {
        match self.choices.below(32) {
            0 => 0,
            1 => self.choices.below(64),
            _ => 1 + self.choices.below(8),
        }
    }

    /// Does the next thing. It is one call of the interface, so that nothing is left if that is refused.
    pub(super) fn edit(&mut self, tx: &mut WriteTransaction<'_>) -> Result<(), WriteError> {
        let class = self.class();
        let key = class.keys[self.skewed(class.keys.len())].clone();
        let chance = self.choices.below(32);
        if let Some(mut object) = tx.find(&class.name, key.clone())? {
            let may_be_linked = self.plan.are_links_kept() && key == class.keys[0];
            match chance {
                0 if !may_be_linked => object.delete(),
                1 => tx.create(&class.name, key).map(drop),
                2 if self.choices.one_in(4) && !self.plan.are_links_kept() => {
                    tx.delete_all(&class.name).map(drop)
                }
                _ => self.change(&mut object, class),
            }
        } else {
            match chance {
                0 => tx.object(&class.name, key).map(drop),
                1..=8 => tx.create_or_update(&class.name, key).map(drop),
                _ => tx.create(&class.name, key).map(drop),
            }
        }
    }

    /// The class of the object that is edited: the first one more often than others.
    fn class(&mut self) -> &'a ClassPlan {
        let plan = self.plan;
        let version = self.author.version;
        let classes = || plan.classes.iter().filter(|class| class.since <= version);
        let place = self.skewed(classes().count());
        classes().nth(place).expect("the first class is in all versions")
    }

    /// A number below `bound`, small ones more often: conflicts need company.
    fn skewed(&mut self, bound: usize) -> usize {
        let bound = 1 + self.choices.below(bound);
        let bound = 1 + self.choices.below(bound);
        self.choices.below(bound)
    }

    fn change(
        &mut self,
        object: &mut ObjectMut<'_, '_>,
        class: &'a ClassPlan,
    ) -> Result<(), WriteError> {
        let version = self.author.version;
        let fields: Vec<&Field> =
            class.fields.iter().filter(|field| field.since <= version).collect();
        if fields.is_empty() {
            return object.set("field that is not there", 1).map(drop);
        }
        let field = fields[self.skewed(fields.len())];
        let name = &field.property.name;
        if self.choices.one_in(48) {
            return object.set(name, value::misfit(self.choices)).map(drop);
        }
        match field.property.collection {
            CollectionKind::Single => self.change_single(object, field),
            CollectionKind::List => self.change_list(object, field),
            CollectionKind::Set => self.change_set(&mut object.set_of(name)?, field),
            CollectionKind::Dictionary => self.change_dictionary(object, field),
        }
    }

    fn change_single(
        &mut self,
        object: &mut ObjectMut<'_, '_>,
        field: &Field,
    ) -> Result<(), WriteError> {
        let name = &field.property.name;
        if let PropertyType::Embedded(class) = &field.property.value_type {
            let is_there = object.get(name)? != Value::Null;
            return match self.choices.below(8) {
                0 => object.set(name, Value::Null).map(drop),
                1..=5 if is_there => {
                    self.change(&mut object.embedded(name)?, self.plan.class(class))
                }
                _ => object.set(name, self.embedded(class)).map(drop),
            };
        }
        if field.mixed != MixedUse::Flat {
            return self.change_mixed(object, field);
        }
        match self.choices.below(8) {
            0..=3 if field.property.value_type == PropertyType::Int => {
                object.add(name, value::int(self.choices)).map(drop)
            }
            4 => object.set_default(name, self.element(field)).map(drop),
            _ => object.set(name, self.element(field)).map(drop),
        }
    }

    fn change_list(
        &mut self,
        object: &mut ObjectMut<'_, '_>,
        field: &Field,
    ) -> Result<(), WriteError> {
        let is_nested = field.mixed != MixedUse::Flat;
        let mut list = object.list(&field.property.name)?;
        if let PropertyType::Embedded(class) = &field.property.value_type {
            return self.change_objects(&mut list, class);
        }
        let len = list.len()?;
        // Short ones grow: there is little that one could do to them.
        let chance = if len < 2 && !self.choices.one_in(4) { 15 } else { self.choices.below(16) };
        match chance {
            0 => list.clear().map(drop),
            1 => {
                let values = (0..self.choices.below(3)).map(|_| self.element(field)).collect();
                object.set(&field.property.name, Value::List(values)).map(drop)
            }
            2..=5 if !is_nested => list.move_to(self.place(len), self.place(len)).map(drop),
            2..=7 if is_nested => self.change_nested_list(&mut list, 0),
            6..=7 => list.remove(self.place(len)).map(drop),
            8..=9 => list.set(self.place(len), self.element(field)).map(drop),
            10..=12 => list.push(self.element(field)).map(drop),
            _ => list.insert(self.place(len + 1), self.element(field)).map(drop),
        }
    }

    fn change_objects(
        &mut self,
        list: &mut ListMut<'_, '_>,
        class: &str,
    ) -> Result<(), WriteError> {
        let len = list.len()?;
        match self.choices.below(16) {
            0 => list.clear().map(drop),
            1..=2 => list.remove(self.place(len)).map(drop),
            3 => list.set(self.place(len), self.embedded(class)).map(drop),
            4..=10 if len > 0 => {
                let place = self.place(len);
                self.change(&mut list.embedded(place)?, self.plan.class(class))
            }
            _ => list.insert(self.place(len + 1), self.embedded(class)).map(drop),
        }
    }

    fn change_set(&mut self, set: &mut SetMut<'_, '_>, field: &Field) -> Result<(), WriteError> {
        match self.choices.below(12) {
            0 => set.clear().map(drop),
            1..=4 => {
                let members = set.values()?;
                if members.is_empty() {
                    return set.remove(self.element(field)).map(drop);
                }
                set.remove(self.choices.pick(&members).clone()).map(drop)
            }
            _ => set.insert(self.element(field)).map(drop),
        }
    }

    fn change_dictionary(
        &mut self,
        object: &mut ObjectMut<'_, '_>,
        field: &Field,
    ) -> Result<(), WriteError> {
        let name = &field.property.name;
        let mut dictionary = object.dictionary(name)?;
        if let PropertyType::Embedded(class) = &field.property.value_type {
            return self.change_entries(&mut dictionary, class);
        }
        let key = value::entry(self.choices);
        match self.choices.below(16) {
            0 => dictionary.clear().map(drop),
            1 => {
                let entries = (0..self.choices.below(3))
                    .map(|_| (value::entry(self.choices).to_owned(), self.element(field)));
                let entries = Value::Dictionary(entries.collect());
                object.set(name, entries).map(drop)
            }
            2..=3 => dictionary.remove(key).map(drop),
            4..=9 if field.mixed != MixedUse::Flat => {
                self.change_nested_dictionary(&mut dictionary, 0)
            }
            10 if field.mixed != MixedUse::Flat => {
                let value = value::nested(self.choices, self.plan, 0);
                dictionary.insert(key, value).map(drop)
            }
            11 => dictionary.insert("$not.possible", self.element(field)).map(drop),
            _ => dictionary.insert(key, self.element(field)).map(drop),
        }
    }

    fn change_entries(
        &mut self,
        dictionary: &mut DictionaryMut<'_, '_>,
        class: &str,
    ) -> Result<(), WriteError> {
        let own = format!("of {}", self.author.device);
        let keys = dictionary.keys()?;
        let chance = self.choices.below(12);
        if chance > 8 || keys.is_empty() {
            // Null, too, takes the place of whatever was there.
            return match dictionary.get(&own)? {
                None => dictionary.insert(&own, self.embedded(class)).map(drop),
                Some(_) => dictionary.remove(&own).map(drop),
            };
        }
        let key = self.choices.pick(&keys).clone();
        match chance {
            0 => dictionary.clear().map(drop),
            1 => dictionary.remove(&key).map(drop),
            _ if key != own && self.plan.style.memory == Memory::UpToBackup => {
                dictionary.remove(&key).map(drop)
            }
            _ => self.change(&mut dictionary.embedded(&key)?, self.plan.class(class)),
        }
    }

    /// A value for a field that is not for embedded objects; now and then one that it cannot have.
    pub(super) fn element(&mut self, field: &Field) -> Value {
        if field.property.nullable && self.choices.one_in(5) {
            return Value::Null;
        }
        value::scalar(self.choices, self.plan, &field.property.value_type)
    }

    fn embedded(&mut self, class: &str) -> Value {
        value::object(self.choices, self.plan, class, self.author.version)
    }

    /// A position, which may be the one behind the last.
    pub(super) fn place(&mut self, len: usize) -> usize {
        if len == 0 || self.choices.one_in(32) { len } else { self.choices.below(len) }
    }
}
