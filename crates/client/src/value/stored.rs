//! Between values as the application sees them and values as they are stored: by names there, by ids here.
//!
//! A link whose object does not exist reads as null, and is not seen at all in lists and sets of links.
//! Spec: applying, section 5.4.

use std::collections::BTreeMap;

use bailiwick_core::schema::{Class, ClassId, ClassKind, Column, Schema, ValueType};
use bailiwick_core::state::{self, Object, PrimaryKey, SetOrder};
use bailiwick_protocol::changeset::CollectionKind;

use super::{Link, ObjectId, Uuid, Value};

/// The longest text that a device can store, in bytes. Spec: applying, section 2.
const MAX_STRING_LEN: usize = 16_777_199;
/// The longest binary that a device can store, in bytes.
const MAX_BINARY_LEN: usize = 16_777_200;
/// How deep collections can lie in each other.
const MAX_LEVEL: usize = 100;

/// Why a value does not fit a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The field, or the elements of the collection, hold another type.
    #[error("a value of type {found} does not fit a place for {expected}")]
    Type {
        /// What fits.
        expected: &'static str,
        /// What was to be written.
        found: &'static str,
    },
    /// There must be a value.
    #[error("the place cannot be null")]
    NotNullable,
    /// The text or the bytes are longer than devices can store.
    #[error("{len} bytes are more than the {max} that devices can store")]
    TooLong {
        /// What it is.
        len: usize,
        /// What it can be.
        max: usize,
    },
    /// Collections lie in each other more than 100 deep.
    #[error("collections lie in each other more than {MAX_LEVEL} deep")]
    TooDeep,
    /// The realm has no such class.
    #[error("there is no class {0:?}")]
    NoClass(String),
    /// The class has no such field.
    #[error("class {class:?} has no field {field:?}")]
    NoField {
        /// The class.
        class: String,
        /// The name that it does not have.
        field: String,
    },
    /// The link leads to another class than the field says.
    #[error("a link to class {found:?} does not fit a place for links to {expected:?}")]
    Target {
        /// The class to which links lead here.
        expected: String,
        /// The class of the link.
        found: String,
    },
    /// Objects of this class cannot be linked to.
    #[error("there are no links to objects of class {0:?}")]
    NotLinkable(String),
    /// The key is not one that objects of the class can have.
    #[error("{key} is not a primary key of class {class:?}")]
    Key {
        /// The class.
        class: String,
        /// The key.
        key: PrimaryKey,
    },
    /// A key of a dictionary begins with `$` or holds a `.`.
    #[error("{0:?} is not a key: it begins with '$' or holds a '.'")]
    DictionaryKey(String),
}

/// Reads stored values; `exists` tells whether there is an object with this key.
pub(crate) struct Reader<'a, F> {
    pub(crate) schema: &'a Schema,
    pub(crate) exists: F,
}

impl<E, F: Fn(ClassId, &PrimaryKey) -> Result<bool, E>> Reader<'_, F> {
    /// All fields of an object, its primary key included.
    pub(crate) fn fields(
        &self,
        class: &Class,
        key: &PrimaryKey,
        object: &Object,
    ) -> Result<BTreeMap<String, Value>, E> {
        let mut fields = self.columns(class, object)?;
        if let Some((name, _)) = class.primary_key() {
            fields.insert(name.to_owned(), key.clone().into());
        }
        Ok(fields)
    }

    /// One field of an object that is not its primary key.
    pub(crate) fn field(&self, column: &Column, object: &Object) -> Result<Value, E> {
        match object.get(column.id) {
            Some(value) => self.value(column.value_type, value),
            None => self.value(column.value_type, &column.default_value()),
        }
    }

    fn columns(&self, class: &Class, object: &Object) -> Result<BTreeMap<String, Value>, E> {
        class
            .columns()
            .map(|(name, column)| Ok((name.to_owned(), self.field(column, object)?)))
            .collect()
    }

    /// A value, or all of a collection, of this type.
    pub(crate) fn value(&self, value_type: ValueType, value: &state::Value) -> Result<Value, E> {
        Ok(match value {
            state::Value::Null => Value::Null,
            state::Value::Int(value) => Value::Int(*value),
            state::Value::Bool(value) => Value::Bool(*value),
            state::Value::String(text) => Value::String(text.as_ref().into()),
            state::Value::Binary(bytes) => Value::Binary(bytes.as_ref().into()),
            state::Value::Timestamp(timestamp) => Value::Timestamp((*timestamp).into()),
            state::Value::Float(value) => Value::Float(*value),
            state::Value::Double(value) => Value::Double(*value),
            state::Value::Decimal(value) => Value::Decimal((*value).into()),
            state::Value::ObjectId(id) => Value::ObjectId(ObjectId(*id)),
            state::Value::Uuid(id) => Value::Uuid(Uuid(*id)),
            state::Value::Link(link) => self.link(link)?,
            state::Value::List(list) => Value::List(self.elements(value_type, list.iter())?),
            state::Value::Set(set) => Value::Set(self.elements(value_type, set.iter())?),
            state::Value::Dictionary(dictionary) => Value::Dictionary(
                dictionary
                    .iter()
                    .map(|(key, value)| Ok((key.to_owned(), self.value(value_type, value)?)))
                    .collect::<Result<_, E>>()?,
            ),
            state::Value::Object(object) => {
                match value_type.target().and_then(|class| self.schema.class_by_id(class)) {
                    Some(class) => Value::Object(self.columns(class, object)?),
                    None => Value::Null,
                }
            }
        })
    }

    fn elements<'a>(
        &self,
        value_type: ValueType,
        elements: impl Iterator<Item = &'a state::Value>,
    ) -> Result<Vec<Value>, E> {
        let hides = matches!(value_type, ValueType::Link(_) | ValueType::AnyLink);
        let values = elements.map(|element| self.value(value_type, element));
        values.filter(|value| !(hides && matches!(value, Ok(Value::Null)))).collect()
    }

    fn link(&self, link: &state::Link) -> Result<Value, E> {
        Ok(match self.schema.class_by_id(link.class) {
            Some(class) if (self.exists)(link.class, &link.key)? => {
                Value::Link(Link { class: class.name().to_owned(), key: link.key.clone() })
            }
            _ => Value::Null,
        })
    }
}

/// The stored form of a value for this column.
pub(crate) fn to_stored(
    schema: &Schema,
    column: &Column,
    value: &Value,
) -> Result<state::Value, ValueError> {
    let writer = Writer { schema, column };
    let mismatch = || wrong_type(collection_name(column), value);
    Ok(match column.collection {
        CollectionKind::Single => writer.value(value, 0)?,
        CollectionKind::List => match value {
            Value::List(elements) => state::Value::List(
                elements
                    .iter()
                    .map(|element| writer.value(element, 0))
                    .collect::<Result<_, _>>()?,
            ),
            _ => return Err(mismatch()),
        },
        CollectionKind::Set => match value {
            Value::Set(elements) => {
                let mut set = state::Set::default();
                for element in elements {
                    set.insert(writer.value(element, 0)?, SetOrder::of(column.value_type));
                }
                state::Value::Set(set)
            }
            _ => return Err(mismatch()),
        },
        CollectionKind::Dictionary => match value {
            Value::Dictionary(entries) => state::Value::Dictionary(writer.dictionary(entries, 0)?),
            _ => return Err(mismatch()),
        },
    })
}

/// Whether objects of the class can have this key.
pub(crate) fn check_key(class: &Class, key: &PrimaryKey) -> Result<(), ValueError> {
    let fits = match class.primary_key() {
        None => matches!(key, PrimaryKey::GlobalKey { .. }),
        Some((_, column)) => match key {
            PrimaryKey::Null => column.nullable,
            PrimaryKey::Int(_) => column.value_type == ValueType::Int,
            PrimaryKey::String(_) => column.value_type == ValueType::String,
            PrimaryKey::ObjectId(_) => column.value_type == ValueType::ObjectId,
            PrimaryKey::Uuid(_) => column.value_type == ValueType::Uuid,
            PrimaryKey::GlobalKey { .. } => false,
        },
    };
    if fits {
        Ok(())
    } else {
        Err(ValueError::Key { class: class.name().to_owned(), key: key.clone() })
    }
}

struct Writer<'a> {
    schema: &'a Schema,
    column: &'a Column,
}

impl Writer<'_> {
    /// A single value or an element, within so many collections of a mixed value.
    fn value(&self, value: &Value, level: usize) -> Result<state::Value, ValueError> {
        let value_type = self.column.value_type;
        let stored = match value {
            Value::Null if self.column.nullable => return Ok(state::Value::Null),
            Value::Null => return Err(ValueError::NotNullable),
            Value::Link(link) => return self.link(link),
            Value::Object(fields) => return self.object(fields),
            Value::List(elements) if value_type == ValueType::Mixed => {
                let level = deeper(level)?;
                let elements = elements.iter().map(|element| self.value(element, level));
                return Ok(state::Value::List(elements.collect::<Result<_, _>>()?));
            }
            Value::Dictionary(entries) if value_type == ValueType::Mixed => {
                return Ok(state::Value::Dictionary(self.dictionary(entries, deeper(level)?)?));
            }
            Value::List(_) | Value::Set(_) | Value::Dictionary(_) => {
                return Err(wrong_type(value_type.name(), value));
            }
            Value::Int(value) => state::Value::Int(*value),
            Value::Bool(value) => state::Value::Bool(*value),
            Value::String(text) => {
                check_len(text.len(), MAX_STRING_LEN)?;
                state::Value::String(text.as_str().into())
            }
            Value::Binary(bytes) => {
                check_len(bytes.len(), MAX_BINARY_LEN)?;
                state::Value::Binary(bytes.as_slice().into())
            }
            Value::Timestamp(timestamp) => state::Value::Timestamp((*timestamp).into()),
            Value::Float(value) => state::Value::Float(*value),
            Value::Double(value) => state::Value::Double(*value),
            Value::Decimal(value) => state::Value::Decimal((*value).into()),
            Value::ObjectId(id) => state::Value::ObjectId(id.0),
            Value::Uuid(id) => state::Value::Uuid(id.0),
        };
        let fits = value_type == ValueType::Mixed || value_type.name() == stored.type_name();
        if fits { Ok(stored) } else { Err(wrong_type(value_type.name(), value)) }
    }

    fn dictionary(
        &self,
        entries: &BTreeMap<String, Value>,
        level: usize,
    ) -> Result<state::Dictionary, ValueError> {
        let mut dictionary = state::Dictionary::default();
        for (key, value) in entries {
            if key.starts_with('$') || key.contains('.') {
                return Err(ValueError::DictionaryKey(key.clone()));
            }
            dictionary.insert(key, self.value(value, level)?);
        }
        Ok(dictionary)
    }

    fn link(&self, link: &Link) -> Result<state::Value, ValueError> {
        let no_class = || ValueError::NoClass(link.class.clone());
        let class = self.schema.class(&link.class).ok_or_else(no_class)?;
        if class.kind() != ClassKind::TopLevel {
            return Err(ValueError::NotLinkable(link.class.clone()));
        }
        match self.column.value_type {
            ValueType::Mixed | ValueType::AnyLink => (),
            ValueType::Link(target) if target == class.id() => (),
            ValueType::Link(target) => {
                let expected = self.schema.class_by_id(target).map_or("", Class::name).to_owned();
                return Err(ValueError::Target { expected, found: link.class.clone() });
            }
            other => return Err(ValueError::Type { expected: other.name(), found: "link" }),
        }
        check_key(class, &link.key)?;
        let link = state::Link { class: class.id(), key: link.key.clone() };
        Ok(state::Value::Link(link.into()))
    }

    /// An embedded object. Classes may be embedded in each other as deep as the application's own value is.
    fn object(&self, fields: &BTreeMap<String, Value>) -> Result<state::Value, ValueError> {
        let value_type = self.column.value_type;
        let ValueType::Embedded(target) = value_type else {
            return Err(ValueError::Type { expected: value_type.name(), found: "embedded object" });
        };
        let class = self.schema.class_by_id(target);
        let class = class.ok_or_else(|| ValueError::NoClass(String::new()))?;
        let mut object = Object::default();
        for (name, value) in fields {
            let column = class.column(name).ok_or_else(|| ValueError::NoField {
                class: class.name().to_owned(),
                field: name.clone(),
            })?;
            object.set(column.id, to_stored(self.schema, column, value)?);
        }
        Ok(state::Value::Object(object.into()))
    }
}

fn deeper(level: usize) -> Result<usize, ValueError> {
    if level < MAX_LEVEL { Ok(level + 1) } else { Err(ValueError::TooDeep) }
}

fn check_len(len: usize, max: usize) -> Result<(), ValueError> {
    if len <= max { Ok(()) } else { Err(ValueError::TooLong { len, max }) }
}

fn wrong_type(expected: &'static str, value: &Value) -> ValueError {
    ValueError::Type { expected, found: value.type_name() }
}

fn collection_name(column: &Column) -> &'static str {
    match column.collection {
        CollectionKind::Single => column.value_type.name(),
        CollectionKind::List => "list",
        CollectionKind::Set => "set",
        CollectionKind::Dictionary => "dictionary",
    }
}
