//! Which objects link to an object.
//!
//! The index holds the row of the object that is linked to, whether or not it exists, and the row of the
//! top-level object that holds the link anywhere: in a field, in a collection, in collections of a mixed value,
//! in embedded objects. Classes whose columns can't hold links are never looked at.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_core::EncodingError;
use bailiwick_core::schema::{ClassId, ColumnId, Schema, ValueType};
use bailiwick_core::state::{Object, ObjectRow, Value, encode_row};
use redb::{ReadableTable, Table, TableDefinition};

use super::file::{LocalError, storage};

/// Keyed by the object that is linked to, then by the one that links.
pub(super) const LINKS: TableDefinition<'_, (&[u8], &[u8]), ()> = TableDefinition::new("links");

/// The columns that can hold links, of classes that have such.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LinkColumns {
    /// With the embedded class, if the column holds embedded objects.
    classes: BTreeMap<ClassId, BTreeMap<ColumnId, Option<ClassId>>>,
}

impl LinkColumns {
    pub(super) fn of(schema: &Schema) -> Self {
        let mut columns = Self::default();
        // An embedded object may hold the next, so this goes on until nothing is found any more.
        while columns.extend(schema) {}
        columns
    }

    /// Whether a column is not among `later`, so that objects may hold links that nobody sees any more.
    pub(super) fn loses(&self, later: &Self) -> bool {
        self.classes.iter().any(|(class, columns)| {
            let later = later.classes.get(class);
            columns.keys().any(|column| !later.is_some_and(|later| later.contains_key(column)))
        })
    }

    /// The rows that the object of this row links to.
    pub(super) fn targets(
        &self,
        row: &[u8],
        stored: &[u8],
    ) -> Result<BTreeSet<ObjectRow>, EncodingError> {
        let class = row.first_chunk().map(|class| ClassId(u32::from_be_bytes(*class)));
        let mut targets = BTreeSet::new();
        if let Some(class) = class.filter(|class| self.classes.contains_key(class)) {
            self.visit_object(class, &Object::decode(stored)?, &mut targets);
        }
        Ok(targets)
    }

    /// Adds columns that are links, or that hold what is known to hold links; whether there were any new.
    fn extend(&mut self, schema: &Schema) -> bool {
        let mut found = Vec::new();
        for class in schema.classes() {
            let known = self.classes.get(&class.id());
            for (_, column) in class.columns() {
                let embedded = match column.value_type {
                    ValueType::Link(_) | ValueType::AnyLink | ValueType::Mixed => None,
                    ValueType::Embedded(target) if self.classes.contains_key(&target) => {
                        Some(target)
                    }
                    _ => continue,
                };
                if !known.is_some_and(|known| known.contains_key(&column.id)) {
                    found.push((class.id(), column.id, embedded));
                }
            }
        }
        let extended = !found.is_empty();
        for (class, column, embedded) in found {
            self.classes.entry(class).or_default().insert(column, embedded);
        }
        extended
    }

    fn visit_object(&self, class: ClassId, object: &Object, out: &mut BTreeSet<ObjectRow>) {
        let Some(columns) = self.classes.get(&class) else { return };
        for (column, embedded) in columns {
            if let Some(value) = object.get(*column) {
                self.visit(value, *embedded, out);
            }
        }
    }

    fn visit(&self, value: &Value, embedded: Option<ClassId>, out: &mut BTreeSet<ObjectRow>) {
        match value {
            Value::Link(link) => drop(out.insert(encode_row(link.class, &link.key))),
            Value::List(list) => list.iter().for_each(|value| self.visit(value, embedded, out)),
            Value::Set(set) => set.iter().for_each(|value| self.visit(value, embedded, out)),
            Value::Dictionary(entries) => {
                entries.iter().for_each(|(_, value)| self.visit(value, embedded, out));
            }
            Value::Object(object) => {
                if let Some(class) = embedded {
                    self.visit_object(class, object, out);
                }
            }
            _ => (),
        }
    }
}

/// Says what the object of this row links to now instead of before.
pub(super) fn replace(
    index: &mut Table<'_, (&'static [u8], &'static [u8]), ()>,
    source: &[u8],
    before: &BTreeSet<ObjectRow>,
    after: &BTreeSet<ObjectRow>,
) -> Result<(), LocalError> {
    for target in before.difference(after) {
        index.remove((&**target, source)).map_err(storage)?;
    }
    for target in after.difference(before) {
        index.insert((&**target, source), ()).map_err(storage)?;
    }
    Ok(())
}

/// The rows of the objects that link to the one of this row, in their order.
pub(super) fn sources(
    index: &impl ReadableTable<(&'static [u8], &'static [u8]), ()>,
    target: &[u8],
) -> Result<Vec<ObjectRow>, LocalError> {
    let mut sources = Vec::new();
    for entry in index.range((target, [].as_slice())..).map_err(storage)? {
        let (key, ()) = entry.map(|(key, _)| (key, ())).map_err(storage)?;
        let (found, source) = key.value();
        if found != target {
            break;
        }
        sources.push(source.into());
    }
    Ok(sources)
}
