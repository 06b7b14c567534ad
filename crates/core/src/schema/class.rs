//! A class: its kind, its primary key, its columns.

use std::collections::BTreeMap;

use super::{Column, ColumnId, Slot};

/// Names a class within its realm for ever; see [`Schema`](super::Schema).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(pub u32);

/// The kinds of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassKind {
    /// Objects of its own.
    TopLevel,
    /// Objects that live and die with the place that holds them.
    Embedded,
    /// Objects that only travel from device to server.
    Asymmetric,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    id: ClassId,
    name: Box<str>,
    kind: ClassKind,
    columns: BTreeMap<Box<str>, Column>,
    /// The same by id.
    by_id: BTreeMap<ColumnId, Column>,
    /// The name of the key's column.
    primary_key: Option<Box<str>>,
    /// The id that the next column gets.
    next_column: u32,
}

impl Class {
    pub(super) fn new(id: ClassId, name: &str, kind: ClassKind) -> Self {
        Self {
            id,
            name: name.into(),
            kind,
            columns: BTreeMap::new(),
            by_id: BTreeMap::new(),
            primary_key: None,
            next_column: 0,
        }
    }

    /// Adds a column.
    ///
    /// # Panics
    ///
    /// If there is a column of that name, or 2^32-1 columns were added.
    pub fn add_column(&mut self, name: &str, slot: Slot) -> &Column {
        let id = ColumnId(self.next_column);
        self.next_column = id.0.checked_add(1).expect("a column takes bytes of a changeset");
        let Slot { value_type, nullable, collection } = slot;
        let column = Column { id, value_type, nullable, collection };
        let previous = self.columns.insert(name.into(), column);
        assert!(previous.is_none(), "a column is added once");
        self.by_id.entry(id).or_insert(column)
    }

    /// Adds the column of the primary key.
    ///
    /// # Panics
    ///
    /// As [`add_column`](Self::add_column), or if there is a primary key.
    pub fn add_primary_key(&mut self, name: &str, slot: Slot) {
        assert!(self.primary_key.is_none(), "a class has at most one primary key");
        self.add_column(name, slot);
        self.primary_key = Some(name.into());
    }

    /// Removes a column; the one that there was. Never the primary key's.
    pub fn remove_column(&mut self, name: &str) -> Option<Column> {
        if self.is_primary_key(name) {
            return None;
        }
        self.columns.remove(name).and_then(|column| self.by_id.remove(&column.id))
    }

    /// Its id.
    pub fn id(&self) -> ClassId {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its kind.
    pub fn kind(&self) -> ClassKind {
        self.kind
    }

    /// The name and column of the primary key, if objects have one.
    pub fn primary_key(&self) -> Option<(&str, &Column)> {
        let name = self.primary_key.as_deref()?;
        Some((name, self.column(name)?))
    }

    /// Whether this is the name of the primary key.
    pub fn is_primary_key(&self, name: &str) -> bool {
        self.primary_key.as_deref() == Some(name)
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.get(name)
    }

    /// The column of this id, unless it was erased.
    pub fn column_by_id(&self, id: ColumnId) -> Option<&Column> {
        self.by_id.get(&id)
    }

    /// All columns with their names, in the order of the names.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = (&str, &Column)> {
        self.columns.iter().map(|(name, column)| (&**name, column))
    }

    pub(super) fn next_column(&self) -> u32 {
        self.next_column
    }

    /// Puts back what was read from storage, and reports a contradiction by `None`.
    pub(super) fn restore(
        id: ClassId,
        name: &str,
        kind: ClassKind,
        next_column: u32,
        columns: impl IntoIterator<Item = (Box<str>, Column)>,
        primary_key: Option<ColumnId>,
    ) -> Option<Self> {
        let mut class = Self::new(id, name, kind);
        class.next_column = next_column;
        for (name, column) in columns {
            if column.id.0 >= next_column
                || class.by_id.insert(column.id, column).is_some()
                || class.columns.insert(name, column).is_some()
            {
                return None;
            }
        }
        if let Some(primary_key) = primary_key {
            let (name, _) = class.columns.iter().find(|(_, column)| column.id == primary_key)?;
            class.primary_key = Some(name.clone());
        }
        Some(class)
    }
}
