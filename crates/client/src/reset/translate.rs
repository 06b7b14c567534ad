//! From the ids of one file's schema to those of another's.
//!
//! Two files of one realm know the same classes and fields by name, and each by ids of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailiwick_core::schema::{Class, ClassId, Column, ColumnId, Schema, Slot, ValueType};
use bailiwick_core::state::{Dictionary, Link, Object, Sequence, Set, SetOrder, Value};

use bailiwick_protocol::changeset::CollectionKind;

use super::ResetFailure;

/// What the objects of a fresh copy are in the ids of the main file.
#[derive(Debug)]
pub(super) struct Translation {
    /// The schema of the main file, with what only the fresh copy had.
    schema: Schema,
    classes: BTreeMap<ClassId, TranslatedClass>,
}

/// A class of the fresh copy.
#[derive(Debug)]
struct TranslatedClass {
    id: ClassId,
    columns: BTreeMap<ColumnId, TranslatedColumn>,
}

/// A column of the fresh copy.
#[derive(Clone, Copy, Debug)]
struct TranslatedColumn {
    id: ColumnId,
    /// The type, with the class ids of the fresh copy.
    value_type: ValueType,
}

impl Translation {
    /// Compares the schemas: all that the main file has must be in the fresh copy, and be the same.
    ///
    /// # Errors
    ///
    /// The first class or field, by name, that is gone or has become another. The application counts on it, so
    /// there is no state of the file that would do.
    pub(super) fn new(main: &Schema, fresh: &Schema) -> Result<Self, ResetFailure> {
        for class in main.classes() {
            compare(main, class, fresh)?;
        }
        let mut schema = main.clone();
        for class in fresh.classes().filter(|class| main.class(class.name()).is_none()) {
            schema.add_class(class.name(), class.kind());
        }
        for class in fresh.classes() {
            add_columns(&mut schema, fresh, class);
        }
        let translate = |class: &Class| Some((class.id(), translate_class(&schema, class)?));
        let classes = fresh.classes().filter_map(translate).collect();
        Ok(Self { schema, classes })
    }

    /// The schema of the main file, with what only the fresh copy had.
    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What a class of the fresh copy is in the main file.
    pub(super) fn class(&self, class: ClassId) -> Option<&Class> {
        self.schema.class_by_id(self.class_id(class)?)
    }

    /// An object of a class of the fresh copy.
    pub(super) fn object(&self, class: ClassId, object: &Object) -> Object {
        let mut translated = Object::default();
        let Some(class) = self.classes.get(&class) else { return translated };
        for (id, value) in object.fields() {
            // Values of columns that are gone have no counterpart.
            if let Some(column) = class.columns.get(&id) {
                translated.set(column.id, self.value(value, column.value_type));
            }
        }
        translated
    }

    fn class_id(&self, class: ClassId) -> Option<ClassId> {
        self.classes.get(&class).map(|class| class.id)
    }

    /// A value of a column of this type of the fresh copy.
    fn value(&self, value: &Value, value_type: ValueType) -> Value {
        match value {
            Value::Link(link) => match self.class_id(link.class) {
                Some(class) => Value::Link(Arc::new(Link { class, key: link.key.clone() })),
                // A link to a class that is gone reads as null.
                None => Value::Null,
            },
            Value::List(list) => Value::List(
                list.iter().map(|element| self.value(element, value_type)).collect::<Sequence<_>>(),
            ),
            // Links are in the order of their class ids.
            Value::Set(set) => {
                let mut translated = Set::default();
                for element in set.iter() {
                    translated.insert(self.value(element, value_type), SetOrder::of(value_type));
                }
                Value::Set(translated)
            }
            Value::Dictionary(dictionary) => {
                let mut translated = Dictionary::default();
                for (key, element) in dictionary.iter() {
                    translated.insert(key, self.value(element, value_type));
                }
                Value::Dictionary(translated)
            }
            Value::Object(object) => match value_type.target() {
                Some(class) => Value::Object(Arc::new(self.object(class, object))),
                None => Value::Null,
            },
            _ => value.clone(),
        }
    }
}

/// Compares a class of the main file with that of the same name.
fn compare(main: &Schema, class: &Class, fresh: &Schema) -> Result<(), ResetFailure> {
    let name = || class.name().to_owned();
    let other =
        fresh.class(class.name()).ok_or_else(|| ResetFailure::ClassMissing { class: name() })?;
    let key = |class: &Class| {
        class
            .primary_key()
            .map(|(name, column)| (name.to_owned(), column.value_type, column.nullable))
    };
    if class.kind() != other.kind() || key(class) != key(other) {
        return Err(ResetFailure::ClassDiffers { class: name() });
    }
    for (field, column) in class.columns() {
        let Some(its) = other.column(field) else {
            return Err(ResetFailure::FieldMissing { class: name(), field: field.to_owned() });
        };
        if describe(main, column) != describe(fresh, its) {
            return Err(ResetFailure::FieldDiffers { class: name(), field: field.to_owned() });
        }
    }
    Ok(())
}

/// All of a column but its ids.
fn describe<'a>(
    schema: &'a Schema,
    column: &Column,
) -> (&'static str, Option<&'a str>, bool, CollectionKind) {
    let target = column.value_type.target().and_then(|class| schema.class_by_id(class));
    (column.value_type.name(), target.map(Class::name), column.nullable, column.collection)
}

/// Adds what the class of the same name does not have.
fn add_columns(schema: &mut Schema, fresh: &Schema, class: &Class) {
    for (name, column) in class.columns() {
        let own = |target: Option<ClassId>| {
            let target = target.and_then(|id| fresh.class_by_id(id))?;
            schema.class(target.name()).map(Class::id)
        };
        let value_type = match (column.value_type, own(column.value_type.target())) {
            (ValueType::Link(_), Some(target)) => ValueType::Link(target),
            (ValueType::Embedded(_), Some(target)) => ValueType::Embedded(target),
            (value_type, _) => value_type,
        };
        let slot = Slot { value_type, nullable: column.nullable, collection: column.collection };
        match schema.class_mut(class.name()) {
            Some(own) if own.column(name).is_some() => (),
            Some(own) if class.is_primary_key(name) => own.add_primary_key(name, slot),
            Some(own) => {
                own.add_column(name, slot);
            }
            None => (),
        }
    }
}

fn translate_class(schema: &Schema, class: &Class) -> Option<TranslatedClass> {
    let own = schema.class(class.name())?;
    let columns = class.columns().filter_map(|(name, column)| {
        let id = own.column(name)?.id;
        Some((column.id, TranslatedColumn { id, value_type: column.value_type }))
    });
    Some(TranslatedClass { id: own.id(), columns: columns.collect() })
}
