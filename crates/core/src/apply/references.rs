//! Which classes have columns that refer to which.

use std::collections::{BTreeMap, BTreeSet};

use crate::schema::{Class, ClassId, ClassKind, Column, Schema};

/// Kept beside a schema that changes, so that whoever erases many classes or columns does not look through all columns
/// of the realm for each.
#[derive(Debug, PartialEq)]
pub(super) struct References {
    /// How many columns the second class has that refer to the first.
    counts: BTreeMap<(ClassId, ClassId), usize>,
}

impl References {
    /// Those of a schema. Takes time in proportion to the columns of the realm.
    pub(super) fn of(schema: &Schema) -> Self {
        let mut references = Self { counts: BTreeMap::new() };
        for class in schema.classes() {
            for (_, column) in class.columns() {
                references.add(class.id(), column);
            }
        }
        references
    }

    /// A class has got a column.
    pub(super) fn add(&mut self, class: ClassId, column: &Column) {
        if let Some(target) = column.value_type.target() {
            *self.counts.entry((target, class)).or_default() += 1;
        }
    }

    /// A column of a class is erased.
    pub(super) fn remove(&mut self, class: ClassId, column: &Column) {
        if let Some(target) = column.value_type.target()
            && let Some(count) = self.counts.get_mut(&(target, class))
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&(target, class));
            }
        }
    }

    /// A class is erased.
    pub(super) fn remove_class(&mut self, class: &Class) {
        for (_, column) in class.columns() {
            self.remove(class.id(), column);
        }
    }

    /// Whether a column of another class refers to a class.
    pub(super) fn is_target(&self, class: ClassId) -> bool {
        self.to(class).any(|other| other != class)
    }

    /// Adds to `holders` the classes whose objects can hold values of a class's columns: the class, and all that have
    /// it inside, at whatever depth. Those of what is in it already are taken to be in it. Returns what was added.
    pub(super) fn add_holders(
        &self,
        schema: &Schema,
        class: ClassId,
        holders: &mut BTreeSet<ClassId>,
    ) -> Vec<ClassId> {
        let (mut added, mut next) = (Vec::new(), vec![class]);
        while let Some(class) = next.pop() {
            if holders.insert(class) {
                added.push(class);
                let kind = schema.class_by_id(class).map(Class::kind);
                if kind == Some(ClassKind::Embedded) {
                    next.extend(self.to(class));
                }
            }
        }
        added
    }

    fn to(&self, class: ClassId) -> impl Iterator<Item = ClassId> {
        let range = (class, ClassId(0))..=(class, ClassId(u32::MAX));
        self.counts.range(range).map(|(&(_, other), _)| other)
    }
}
