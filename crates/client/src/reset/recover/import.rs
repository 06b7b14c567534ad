//! From a value of the device to one of the fresh copy.

use std::sync::Arc;

use bailiwick_core::apply::Transaction;
use bailiwick_core::schema::{Schema, ValueType};
use bailiwick_core::state::{Dictionary, Link, Object, Set, SetOrder, Value};

use crate::local::{LocalError, Snapshot};

/// Makes values of the device, as it had them in the end, values of the fresh copy. Links to objects that the fresh
/// copy does not have are left out.
#[derive(Debug)]
pub(super) struct Import<'a, 'b> {
    /// The schema of the device.
    pub(super) main: &'a Schema,
    /// The fresh copy.
    pub(super) fresh: &'a Transaction<'b, Snapshot>,
    /// Whether no link was left out.
    pub(super) is_complete: bool,
}

impl Import<'_, '_> {
    /// A value of a type of the device; `None` for a link to an object that does not exist.
    pub(super) fn value(
        &mut self,
        value: &Value,
        value_type: ValueType,
    ) -> Result<Option<Value>, LocalError> {
        Ok(Some(match value {
            Value::Link(link) => return self.link(link),
            Value::List(list) => {
                let mut elements = Vec::new();
                for element in list.iter() {
                    elements.extend(self.value(element, value_type)?);
                }
                Value::List(elements.into_iter().collect())
            }
            Value::Set(set) => {
                let mut imported = Set::default();
                for element in set.iter() {
                    if let Some(element) = self.value(element, value_type)? {
                        imported.insert(element, SetOrder::of(value_type));
                    }
                }
                Value::Set(imported)
            }
            Value::Dictionary(dictionary) => {
                let mut imported = Dictionary::default();
                for (key, entry) in dictionary.iter() {
                    imported.insert(key, self.value(entry, value_type)?.unwrap_or_default());
                }
                Value::Dictionary(imported)
            }
            Value::Object(object) => self.object(object, value_type)?,
            _ => value.clone(),
        }))
    }

    /// An embedded object. Fields that the fresh copy does not have are left out.
    fn object(&mut self, object: &Object, value_type: ValueType) -> Result<Value, LocalError> {
        let mut imported = Object::default();
        let class = value_type.target().and_then(|class| self.main.class_by_id(class));
        let its = class.and_then(|class| self.fresh.schema().class(class.name()));
        if let (Some(class), Some(its)) = (class, its) {
            for (name, column) in class.columns() {
                if let (Some(value), Some(its)) = (object.get(column.id), its.column(name)) {
                    let value = self.value(value, column.value_type)?;
                    imported.set(its.id, value.unwrap_or_default());
                }
            }
        }
        Ok(Value::Object(Arc::new(imported)))
    }

    fn link(&mut self, link: &Link) -> Result<Option<Value>, LocalError> {
        let class = self.main.class_by_id(link.class);
        let class = class.and_then(|class| self.fresh.schema().class(class.name()));
        if let Some(class) = class.map(bailiwick_core::schema::Class::id)
            && self.fresh.contains(class, &link.key)?
        {
            return Ok(Some(Value::Link(Arc::new(Link { class, key: link.key.clone() }))));
        }
        self.is_complete = false;
        Ok(None)
    }
}
