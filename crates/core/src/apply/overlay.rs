//! The objects that a transaction has read or changed, and how changes are undone.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use hashbrown::HashTable;

use crate::schema::ClassId;
use crate::state::{Object, ObjectRow, row_class};

/// One object, as the transaction sees it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) row: ObjectRow,
    /// What the store has.
    pub(super) stored: Option<Bytes>,
    pub(super) object: Option<Object>,
    /// Whether it may differ from what the store has.
    pub(super) touched: bool,
    /// The epoch in which it was last saved for undoing.
    saved: u64,
}

/// All of them, by row.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    entries: Vec<Entry>,
    index: HashTable<usize>,
    by_class: BTreeMap<ClassId, Vec<usize>>,
    /// Rows hold keys that devices choose, so their hash is keyed.
    hasher: RandomState,
}

/// The former state of an object.
#[derive(Debug)]
pub(super) struct Former {
    entry: usize,
    object: Option<Object>,
    touched: bool,
    saved: u64,
}

impl Overlay {
    /// The entry of a row, if it was read.
    pub(super) fn find(&self, row: &[u8]) -> Option<usize> {
        let hash = self.hasher.hash_one(row);
        self.index.find(hash, |&entry| *self.entries[entry].row == *row).copied()
    }

    /// Adds what was read for a row that is not there yet.
    pub(super) fn add(
        &mut self,
        row: ObjectRow,
        stored: Option<Bytes>,
        object: Option<Object>,
    ) -> usize {
        let entry = self.entries.len();
        let hash = self.hasher.hash_one(&*row);
        if let Some(class) = row_class(&row) {
            self.by_class.entry(class).or_default().push(entry);
        }
        self.entries.push(Entry { row, stored, object, touched: false, saved: 0 });
        let Self { entries, index, hasher, .. } = self;
        index.insert_unique(hash, entry, |&entry| hasher.hash_one(&*entries[entry].row));
        entry
    }

    /// The object of an entry.
    pub(super) fn object(&self, entry: usize) -> Option<&Object> {
        self.entries[entry].object.as_ref()
    }

    /// The object of an entry, to change it. Its former state comes back, once in each epoch.
    pub(super) fn touch(
        &mut self,
        entry: usize,
        epoch: u64,
    ) -> (&mut Option<Object>, Option<Former>) {
        let it = &mut self.entries[entry];
        let former = (it.saved < epoch).then(|| Former {
            entry,
            object: it.object.clone(),
            touched: it.touched,
            saved: it.saved,
        });
        it.saved = epoch;
        it.touched = true;
        (&mut it.object, former)
    }

    /// Takes a change back.
    pub(super) fn restore(&mut self, former: Former) {
        let Former { entry, object, touched, saved } = former;
        let it = &mut self.entries[entry];
        (it.object, it.touched, it.saved) = (object, touched, saved);
    }

    /// The rows of a class that were read and have an object now.
    pub(super) fn rows(&self, class: ClassId) -> impl Iterator<Item = &ObjectRow> {
        let entries = self.by_class.get(&class).into_iter().flatten();
        let entries = entries.map(|&entry| &self.entries[entry]);
        entries.filter(|entry| entry.object.is_some()).map(|entry| &entry.row)
    }

    /// All entries, in the order of their rows.
    pub(super) fn into_sorted(self) -> Vec<Entry> {
        let mut entries = self.entries;
        entries.sort_unstable_by(|a, b| a.row.cmp(&b.row));
        entries
    }
}
