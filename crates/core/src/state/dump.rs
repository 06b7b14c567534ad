//! The readable form of a state: the same text for the same content.
//!
//! ```text
//! class Task (_id)
//!   _id: objectId
//!   tags: list of string?
//! Task[objectId 5f3c1a2b4d5e6f7081920a0b]
//!   tags: ["a", null]
//! ```
//!
//! Classes and fields are in the order of their names, objects in that of their keys. Unresolved links are
//! marked with `(unresolved)`, since they read as null. The links of a set come last, in the order of their
//! texts: class ids differ between realms of equal content. Objects of asymmetric classes are left out:
//! no device sees them.

use std::fmt;

use bailiwick_protocol::changeset::CollectionKind;

use super::row::{Hex, UuidText};
use super::{Link, Object, State, Value};
use crate::schema::{Class, ClassKind, Column, Schema, ValueType};

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for class in self.schema().classes() {
            write_class(f, self.schema(), class)?;
        }
        for class in self.schema().classes().filter(|class| class.kind() == ClassKind::TopLevel) {
            let objects = match self.objects(class.id()) {
                Ok(objects) => objects,
                Err(error) => {
                    writeln!(f, "{}: {error}", class.name())?;
                    continue;
                }
            };
            for (key, object) in &objects {
                writeln!(f, "{}[{key}]", class.name())?;
                for (name, column) in class.columns() {
                    if !class.is_primary_key(name) {
                        write!(f, "  {name}: ")?;
                        self.write_field(f, object, column)?;
                        writeln!(f)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl State {
    fn write_field(
        &self,
        f: &mut fmt::Formatter<'_>,
        object: &Object,
        column: &Column,
    ) -> fmt::Result {
        match object.get(column.id) {
            Some(value) => self.write_value(f, value, column.value_type),
            None => self.write_value(f, &column.default_value(), column.value_type),
        }
    }

    /// Writes a value of a column of this type.
    fn write_value(
        &self,
        f: &mut fmt::Formatter<'_>,
        value: &Value,
        value_type: ValueType,
    ) -> fmt::Result {
        match value {
            Value::Null => f.write_str("null"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::String(text) => write!(f, "{text:?}"),
            Value::Binary(bytes) => write!(f, "binary {}", Hex(bytes)),
            Value::Timestamp(t) => write!(f, "timestamp {} {}", t.seconds, t.nanoseconds),
            Value::Float(value) if value.is_nan() => write!(f, "float {:08x}", value.to_bits()),
            Value::Float(value) => write!(f, "float {value:?}"),
            Value::Double(value) if value.is_nan() => write!(f, "double {:016x}", value.to_bits()),
            Value::Double(value) => write!(f, "double {value:?}"),
            Value::Decimal(value) => write!(f, "decimal {:032x}", value.0),
            Value::ObjectId(id) => write!(f, "objectId {}", Hex(id)),
            Value::Uuid(id) => write!(f, "uuid {}", UuidText(id)),
            Value::Link(link) => f.write_str(&self.link_text(link)),
            Value::List(list) => {
                let mut elements = f.debug_list();
                list.iter().for_each(|element| {
                    elements.entry(&Written(|f: &mut fmt::Formatter<'_>| {
                        self.write_value(f, element, value_type)
                    }));
                });
                elements.finish()
            }
            Value::Set(set) => {
                let mut links = Vec::new();
                let mut elements = f.debug_set();
                for element in set.iter() {
                    match element {
                        Value::Link(link) => links.push(self.link_text(link)),
                        _ => {
                            elements.entry(&Written(|f: &mut fmt::Formatter<'_>| {
                                self.write_value(f, element, value_type)
                            }));
                        }
                    }
                }
                links.sort_unstable();
                elements
                    .entries(
                        links
                            .iter()
                            .map(|link| Written(|f: &mut fmt::Formatter<'_>| f.write_str(link))),
                    )
                    .finish()
            }
            Value::Dictionary(dictionary) => {
                let mut entries = f.debug_map();
                dictionary.iter().for_each(|(key, value)| {
                    entries.entry(
                        &key,
                        &Written(|f: &mut fmt::Formatter<'_>| {
                            self.write_value(f, value, value_type)
                        }),
                    );
                });
                entries.finish()
            }
            Value::Object(object) => {
                let class = value_type.target().and_then(|class| self.schema().class_by_id(class));
                let Some(class) = class else { return f.write_str("an object without class") };
                let mut fields = f.debug_struct(class.name());
                for (name, column) in class.columns() {
                    fields.field(
                        name,
                        &Written(|f: &mut fmt::Formatter<'_>| self.write_field(f, object, column)),
                    );
                }
                fields.finish()
            }
        }
    }

    fn link_text(&self, link: &Link) -> String {
        match self.schema().class_by_id(link.class) {
            Some(class) if self.contains(link.class, &link.key) => {
                format!("-> {}[{}]", class.name(), link.key)
            }
            Some(class) => format!("-> {}[{}] (unresolved)", class.name(), link.key),
            None => "null".to_owned(),
        }
    }
}

/// Text that a function writes, for the builders of lists and maps.
struct Written<F>(F);

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Debug for Written<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

fn write_class(f: &mut fmt::Formatter<'_>, schema: &Schema, class: &Class) -> fmt::Result {
    match class.kind() {
        ClassKind::TopLevel => write!(f, "class {}", class.name())?,
        ClassKind::Embedded => write!(f, "embedded class {}", class.name())?,
        ClassKind::Asymmetric => write!(f, "asymmetric class {}", class.name())?,
    }
    if let Some((key, _)) = class.primary_key() {
        write!(f, " ({key})")?;
    }
    writeln!(f)?;
    for (name, column) in class.columns() {
        write!(f, "  {name}: ")?;
        f.write_str(match column.collection {
            CollectionKind::Single => "",
            CollectionKind::List => "list of ",
            CollectionKind::Dictionary => "dictionary of ",
            CollectionKind::Set => "set of ",
        })?;
        f.write_str(column.value_type.name())?;
        if let Some(target) = column.value_type.target().and_then(|id| schema.class_by_id(id)) {
            write!(f, " {}", target.name())?;
        }
        writeln!(f, "{}", if column.nullable { "?" } else { "" })?;
    }
    Ok(())
}
