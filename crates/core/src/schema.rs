//! The classes of a realm and their columns: what objects are read and written by.
//!
//! Classes and columns are known by name on the wire and by id in storage. An id is never used twice in a
//! realm, so a class or column that was erased and declared again starts without its old values. A value
//! that is absent is the column's default, so objects need not be written again when a column comes.
//! Spec: applying, sections 3 and 4.

mod class;
mod column;
mod encoding;

use std::collections::BTreeMap;

pub use class::{Class, ClassId, ClassKind};
pub use column::{Column, ColumnId, Slot, ValueType};

/// The classes of one realm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    classes: BTreeMap<ClassId, Class>,
    names: BTreeMap<Box<str>, ClassId>,
    /// The id that the next class gets.
    next_class: u32,
}

impl Schema {
    /// Adds a class without columns.
    ///
    /// # Panics
    ///
    /// If there is a class of that name, or 2^32-1 classes were added.
    pub fn add_class(&mut self, name: &str, kind: ClassKind) -> &mut Class {
        let id = ClassId(self.next_class);
        self.next_class = id.0.checked_add(1).expect("a class takes bytes of a changeset");
        let previous = self.names.insert(name.into(), id);
        assert!(previous.is_none(), "a class is added once");
        self.classes.entry(id).or_insert_with(|| Class::new(id, name, kind))
    }

    /// Removes a class.
    pub fn remove_class(&mut self, name: &str) -> Option<Class> {
        self.names.remove(name).and_then(|id| self.classes.remove(&id))
    }

    /// A class, to change its columns.
    pub fn class_mut(&mut self, name: &str) -> Option<&mut Class> {
        let id = self.names.get(name)?;
        self.classes.get_mut(id)
    }

    /// The class of this name.
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.get(self.names.get(name)?)
    }

    /// The class of this id, unless it was erased.
    pub fn class_by_id(&self, id: ClassId) -> Option<&Class> {
        self.classes.get(&id)
    }

    /// All classes, in the order of their names.
    pub fn classes(&self) -> impl ExactSizeIterator<Item = &Class> {
        self.names.values().map(|id| &self.classes[id])
    }

    /// Whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }
}
