//! What was committed and is not in the database yet.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;

use super::redo::Change;

/// The last change of each key, in the order of tables and keys. A clone costs next to nothing, and stays as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Memtable(OrdMap<Arc<[u8]>, Row>);

/// What a key has since it was changed.
#[derive(Clone, Debug)]
pub(super) enum Row {
    Put(Bytes),
    Removed,
}

impl Row {
    pub(super) fn value(self) -> Option<Bytes> {
        match self {
            Self::Put(value) => Some(value),
            Self::Removed => None,
        }
    }
}

impl Memtable {
    pub(super) fn apply(&mut self, change: Change<'_>) {
        let row =
            change.value.map_or(Row::Removed, |value| Row::Put(Bytes::copy_from_slice(value)));
        self.0.insert(name(change.table, change.key).into(), row);
    }

    /// What is here of a key, if anything is.
    pub(super) fn get(&self, table: u8, key: &[u8]) -> Option<&Row> {
        if self.0.is_empty() { None } else { self.0.get(&*name(table, key)) }
    }

    /// The keys of a table within bounds, in order.
    pub(super) fn range<'m>(
        &'m self,
        table: u8,
        (first, last): &(Bound<Vec<u8>>, Bound<Vec<u8>>),
    ) -> impl Iterator<Item = (&'m [u8], &'m Row)> + use<'m> {
        let first = match first {
            Bound::Unbounded => Bound::Included(vec![table]),
            bound => bound.as_ref().map(|key| name(table, key)),
        };
        let last = match last {
            Bound::Unbounded => Bound::Excluded(vec![table + 1]),
            bound => bound.as_ref().map(|key| name(table, key)),
        };
        let range = (first.as_ref().map(Vec::as_slice), last.as_ref().map(Vec::as_slice));
        self.0.range::<_, [u8]>(range).map(|(name, row)| (&name[1..], row))
    }

    /// All of it, in order.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change<'_>> {
        self.0.iter().map(|(name, row)| {
            let value = match row {
                Row::Put(value) => Some(&**value),
                Row::Removed => None,
            };
            Change { table: name[0], key: &name[1..], value }
        })
    }
}

/// A key among those of all tables.
fn name(table: u8, key: &[u8]) -> Vec<u8> {
    [&[table], key].concat()
}
