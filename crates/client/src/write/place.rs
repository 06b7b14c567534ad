//! Places in objects: what handles stand for.

use std::borrow::Cow;
use std::fmt::Write as _;

use bailiwick_core::apply::Fault;
use bailiwick_core::schema::{Class, ClassId, Schema, Slot, ValueType};
use bailiwick_core::state::{Object, PrimaryKey, Value};
use bailiwick_protocol::changeset::CollectionKind;

use super::error::Problem;

/// One step from an object into it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// To the value of a field.
    Field(Box<str>),
    /// To a list element.
    Index(u32),
    /// To a dictionary entry.
    Key(Box<str>),
}

/// An object: a top-level one, or one that is embedded in it.
#[derive(Clone, Debug)]
pub(super) struct ObjectPlace {
    /// The top-level object.
    pub(super) class: ClassId,
    pub(super) key: PrimaryKey,
    /// The way to the embedded one.
    pub(super) steps: Vec<Step>,
    /// The class of the one that is meant.
    pub(super) inner: ClassId,
}

/// A field, a list element or a dictionary entry, and what it can hold.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) class: ClassId,
    pub(super) key: PrimaryKey,
    /// At least a field.
    pub(super) steps: Vec<Step>,
    pub(super) slot: Slot,
}

impl ObjectPlace {
    pub(super) fn new(class: ClassId, key: PrimaryKey) -> Self {
        Self { class, key, steps: Vec::new(), inner: class }
    }

    /// A field of the object.
    pub(super) fn field(&self, schema: &Schema, name: &str) -> Result<Place, Problem> {
        let Self { class, key, steps, inner } = self;
        let column =
            class_of(schema, *inner)?.column(name).ok_or_else(|| no_field(schema, *inner, name))?;
        let slot = Slot {
            value_type: column.value_type,
            nullable: column.nullable,
            collection: column.collection,
        };
        let mut all = Vec::with_capacity(steps.len() + 1);
        all.extend_from_slice(steps);
        all.push(Step::Field(name.into()));
        Ok(Place { class: *class, key: key.clone(), steps: all, slot })
    }
}

impl Place {
    /// An element of the list, or an entry of the dictionary, that is here.
    pub(super) fn below(&self, step: Step) -> Self {
        let mut place = self.clone();
        place.steps.push(step);
        // What is below a mixed value is a mixed value again.
        place.slot.collection = CollectionKind::Single;
        place
    }

    /// The embedded object that is here, if this is a place for one.
    pub(super) fn object(&self) -> Option<ObjectPlace> {
        match (self.slot.value_type, self.slot.collection) {
            (ValueType::Embedded(inner), CollectionKind::Single) => Some(ObjectPlace {
                class: self.class,
                key: self.key.clone(),
                steps: self.steps.clone(),
                inner,
            }),
            _ => None,
        }
    }

    /// What can be here, for messages.
    pub(super) fn expected(&self) -> &'static str {
        match self.slot.collection {
            CollectionKind::Single => self.slot.value_type.name(),
            CollectionKind::List => "list",
            CollectionKind::Set => "set",
            CollectionKind::Dictionary => "dictionary",
        }
    }
}

/// The class of this id.
pub(super) fn class_of(schema: &Schema, class: ClassId) -> Result<&Class, Problem> {
    schema.class_by_id(class).ok_or_else(|| no_class(schema, "?"))
}

/// The class of this name.
pub(super) fn class_named<'a>(schema: &'a Schema, name: &str) -> Result<&'a Class, Problem> {
    schema.class(name).ok_or_else(|| no_class(schema, name))
}

/// What stands at the end of the steps.
pub(super) fn walk<'a>(
    schema: &'a Schema,
    class: ClassId,
    object: &'a Object,
    steps: &[Step],
) -> Result<Cow<'a, Value>, Problem> {
    let mut class = class_of(schema, class)?;
    let mut steps = steps.iter();
    let Some(Step::Field(first)) = steps.next() else { return Err(Fault::PathElement.into()) };
    let mut column = class.column(first).ok_or_else(|| no_field(schema, class.id(), first))?;
    let mut value = match object.get(column.id) {
        Some(value) => Cow::Borrowed(value),
        None => Cow::Owned(column.default_value()),
    };
    for step in steps {
        let outer = match value {
            Cow::Borrowed(outer) => outer,
            Cow::Owned(default) => return Err(not_in_default(&default, step).into()),
        };
        value = match (outer, step) {
            (Value::List(list), Step::Index(index)) => {
                let element = list.get(*index as usize);
                let outside = || Fault::Index { index: *index, len: list.len() };
                Cow::Borrowed(element.ok_or_else(outside)?)
            }
            (Value::Dictionary(dictionary), Step::Key(key)) => {
                let entry = dictionary.get(key);
                Cow::Borrowed(entry.ok_or_else(|| Fault::NoKey(key.to_string()))?)
            }
            (Value::Object(inner), Step::Field(field)) => {
                let target = column.value_type.target().ok_or(Fault::Through)?;
                class = class_of(schema, target)?;
                column = class.column(field).ok_or_else(|| no_field(schema, target, field))?;
                match inner.get(column.id) {
                    Some(value) => Cow::Borrowed(value),
                    None => Cow::Owned(column.default_value()),
                }
            }
            (Value::List(_) | Value::Dictionary(_), _) => return Err(Fault::PathElement.into()),
            _ => return Err(Fault::Through.into()),
        };
    }
    Ok(value)
}

/// Why there is nothing below the default of a field.
fn not_in_default(default: &Value, step: &Step) -> Fault {
    match (default, step) {
        (Value::List(_), Step::Index(index)) => Fault::Index { index: *index, len: 0 },
        (Value::Dictionary(_), Step::Key(key)) => Fault::NoKey(key.to_string()),
        (Value::List(_) | Value::Dictionary(_), _) => Fault::PathElement,
        _ => Fault::Through,
    }
}

/// The steps as an application would write them.
pub(super) fn describe(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        let _ = match step {
            Step::Field(name) if text.is_empty() => write!(text, "{name}"),
            Step::Field(name) => write!(text, ".{name}"),
            Step::Index(index) => write!(text, "[{index}]"),
            Step::Key(key) => write!(text, "[{key:?}]"),
        };
    }
    text
}

fn no_class(schema: &Schema, name: &str) -> Problem {
    let known = schema.classes().map(|class| class.name().to_owned()).collect();
    Problem::NoClass { name: name.to_owned(), known }
}

pub(super) fn no_field(schema: &Schema, class: ClassId, name: &str) -> Problem {
    let class = schema.class_by_id(class);
    let columns = class.into_iter().flat_map(Class::columns);
    let known = columns.map(|(field, _)| field.to_owned()).collect();
    Problem::NoField { name: name.to_owned(), known }
}
