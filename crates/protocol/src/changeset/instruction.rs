//! The fourteen instructions.
//!
//! Spec: changeset format, section 9.

use super::{CollectionKind, ObjectKey, Path, PathElement, Payload, Symbol};

/// One step of a changeset.
#[derive(Clone, Debug, PartialEq)]
pub enum Instruction {
    /// Declares a class.
    AddTable {
        /// The class.
        table: Symbol,
        /// What kind of class, and its primary key.
        kind: TableKind,
    },
    /// Removes a class with its objects. No SDK writes it.
    EraseTable {
        /// The class.
        table: Symbol,
    },
    /// Creates an object with default values, unless it exists.
    CreateObject {
        /// The class.
        table: Symbol,
        /// The object.
        object: ObjectKey,
    },
    /// Removes an object, if it exists.
    EraseObject {
        /// The class.
        table: Symbol,
        /// The object.
        object: ObjectKey,
    },
    /// Sets a field, an embedded field or a dictionary entry, or replaces a list element.
    Update {
        /// Where.
        target: Target,
        /// The new value.
        value: Payload,
        /// How the target is qualified; [`UpdateKind::Element`] if and only if the path ends with an index.
        kind: UpdateKind,
    },
    /// Adds to an integer field, wrapping.
    AddInteger {
        /// Where.
        target: Target,
        /// What to add.
        value: i64,
    },
    /// Declares a field; boxed, since it is the largest and rarest.
    AddColumn(Box<AddColumn>),
    /// Removes a field with its values. No SDK writes it.
    EraseColumn {
        /// The class.
        table: Symbol,
        /// The field.
        field: Symbol,
    },
    /// Inserts a list element; the path ends with its position.
    ArrayInsert {
        /// Where.
        target: Target,
        /// The new element.
        value: Payload,
        /// The length of the list before.
        prior_size: u32,
    },
    /// Moves a list element; the path ends with the position from which.
    ArrayMove {
        /// Where from.
        target: Target,
        /// The position after the move.
        to: u32,
        /// The length of the list.
        prior_size: u32,
    },
    /// Removes a list element; the path ends with its position.
    ArrayErase {
        /// Where.
        target: Target,
        /// The length of the list before.
        prior_size: u32,
    },
    /// Empties a collection.
    Clear {
        /// The collection.
        target: Target,
        /// What was cleared, or [`CollectionKind::Single`] if the author is too old to say.
        collection: CollectionKind,
    },
    /// Adds an element to a set.
    SetInsert {
        /// The set.
        target: Target,
        /// The element.
        value: Payload,
    },
    /// Removes an element from a set.
    SetErase {
        /// The set.
        target: Target,
        /// The element.
        value: Payload,
    },
}

/// What an instruction is, without its operands; in the order of the opcodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of the instructions")]
pub enum Kind {
    AddTable = 0,
    EraseTable = 1,
    CreateObject = 2,
    EraseObject = 3,
    Update = 4,
    AddInteger = 5,
    AddColumn = 6,
    EraseColumn = 7,
    ArrayInsert = 8,
    ArrayMove = 9,
    ArrayErase = 10,
    Clear = 11,
    SetInsert = 12,
    SetErase = 13,
}

/// A place inside an object: `class [key] . field . path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The class.
    pub table: Symbol,
    /// The object.
    pub object: ObjectKey,
    /// The field.
    pub field: Symbol,
    /// The way below the field.
    pub path: Path,
}

/// How an Update's target is qualified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpdateKind {
    /// A field or dictionary entry.
    Value {
        /// The schema filled this value in when the object was created; any explicit value wins over it.
        is_default: bool,
    },
    /// A list element.
    Element {
        /// The length of the list.
        prior_size: u32,
    },
}

/// The kinds of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// Objects of its own.
    TopLevel(KeySpec),
    /// Objects that live and die with the place that holds them.
    Embedded,
    /// Objects that only travel from device to server (protocol 6 and later).
    Asymmetric(KeySpec),
}

/// The primary key of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeySpec {
    /// The field; the empty string (or anything) if there is no primary key.
    pub field: Symbol,
    /// The type.
    pub key_type: KeyType,
    /// Whether null is a key.
    pub nullable: bool,
}

/// The types that a primary key can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum KeyType {
    /// No primary key: objects are named by `GlobalKey`s.
    GlobalKey = -1,
    Int = 1,
    String = 3,
    ObjectId = 10,
    Uuid = 11,
}

/// Declares a field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddColumn {
    /// The class.
    pub table: Symbol,
    /// The field.
    pub field: Symbol,
    /// The type of the value, or of the elements; [`TypeCode::Null`](super::TypeCode::Null) means mixed.
    pub column_type: ColumnType,
    /// Whether the value, or an element, can be null.
    pub nullable: bool,
    /// One value or a collection.
    pub collection: CollectionKind,
    /// The target class if and only if the type is a link; the empty string allows any class.
    pub link_target: Option<Symbol>,
    /// The type of the keys if and only if the field is a dictionary; always string.
    pub key_type: Option<super::TypeCode>,
}

/// The type of a column: a type code as it came, since a negative one decodes but is refused by the checks.
pub type ColumnType = super::TypeCode;

/// A link to a top-level object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// The class of the object.
    pub table: Symbol,
    /// The object.
    pub object: ObjectKey,
}

impl Instruction {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::AddTable { .. } => Kind::AddTable,
            Self::EraseTable { .. } => Kind::EraseTable,
            Self::CreateObject { .. } => Kind::CreateObject,
            Self::EraseObject { .. } => Kind::EraseObject,
            Self::Update { .. } => Kind::Update,
            Self::AddInteger { .. } => Kind::AddInteger,
            Self::AddColumn(_) => Kind::AddColumn,
            Self::EraseColumn { .. } => Kind::EraseColumn,
            Self::ArrayInsert { .. } => Kind::ArrayInsert,
            Self::ArrayMove { .. } => Kind::ArrayMove,
            Self::ArrayErase { .. } => Kind::ArrayErase,
            Self::Clear { .. } => Kind::Clear,
            Self::SetInsert { .. } => Kind::SetInsert,
            Self::SetErase { .. } => Kind::SetErase,
        }
    }

    /// The class that it is about.
    pub fn table(&self) -> Symbol {
        match self {
            Self::AddTable { table, .. }
            | Self::EraseTable { table }
            | Self::CreateObject { table, .. }
            | Self::EraseObject { table, .. }
            | Self::EraseColumn { table, .. } => *table,
            Self::AddColumn(column) => column.table,
            _ => self.target().expect("all others have a target").table,
        }
    }

    /// The object that it is about, if it is not about the schema.
    pub fn object(&self) -> Option<ObjectKey> {
        match self {
            Self::CreateObject { object, .. } | Self::EraseObject { object, .. } => Some(*object),
            _ => self.target().map(|target| target.object),
        }
    }

    /// The place that it changes, if it is a path instruction.
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Update { target, .. }
            | Self::AddInteger { target, .. }
            | Self::ArrayInsert { target, .. }
            | Self::ArrayMove { target, .. }
            | Self::ArrayErase { target, .. }
            | Self::Clear { target, .. }
            | Self::SetInsert { target, .. }
            | Self::SetErase { target, .. } => Some(target),
            _ => None,
        }
    }

    /// As [`target`](Self::target), to change it.
    pub fn target_mut(&mut self) -> Option<&mut Target> {
        match self {
            Self::Update { target, .. }
            | Self::AddInteger { target, .. }
            | Self::ArrayInsert { target, .. }
            | Self::ArrayMove { target, .. }
            | Self::ArrayErase { target, .. }
            | Self::Clear { target, .. }
            | Self::SetInsert { target, .. }
            | Self::SetErase { target, .. } => Some(target),
            _ => None,
        }
    }

    /// Calls `change` with every symbol in it, so that it can move to another changeset.
    pub fn for_each_symbol_mut(&mut self, mut change: impl FnMut(&mut Symbol)) {
        match self {
            Self::AddTable { table, kind } => {
                change(table);
                if let TableKind::TopLevel(key) | TableKind::Asymmetric(key) = kind {
                    change(&mut key.field);
                }
            }
            Self::EraseTable { table } => change(table),
            Self::EraseColumn { table, field } => {
                change(table);
                change(field);
            }
            Self::AddColumn(column) => {
                change(&mut column.table);
                change(&mut column.field);
                column.link_target.iter_mut().for_each(change);
            }
            Self::CreateObject { table, object } | Self::EraseObject { table, object } => {
                change(table);
                object.symbol_mut().into_iter().for_each(change);
            }
            Self::Update { target, value, .. }
            | Self::ArrayInsert { target, value, .. }
            | Self::SetInsert { target, value }
            | Self::SetErase { target, value } => {
                target.for_each_symbol_mut(&mut change);
                if let Payload::Link(link) = value {
                    change(&mut link.table);
                    link.object.symbol_mut().into_iter().for_each(change);
                }
            }
            Self::AddInteger { target, .. }
            | Self::ArrayMove { target, .. }
            | Self::ArrayErase { target, .. }
            | Self::Clear { target, .. } => target.for_each_symbol_mut(&mut change),
        }
    }

    /// The value that it carries, if it carries one.
    pub fn value(&self) -> Option<&Payload> {
        match self {
            Self::Update { value, .. }
            | Self::ArrayInsert { value, .. }
            | Self::SetInsert { value, .. }
            | Self::SetErase { value, .. } => Some(value),
            _ => None,
        }
    }
}

impl Target {
    /// The position in a list that the path ends with, if it does.
    pub fn index(&self) -> Option<u32> {
        match self.path.last() {
            Some(PathElement::Index(index)) => Some(*index),
            _ => None,
        }
    }

    fn for_each_symbol_mut(&mut self, change: &mut impl FnMut(&mut Symbol)) {
        change(&mut self.table);
        self.object.symbol_mut().into_iter().for_each(&mut *change);
        change(&mut self.field);
        for element in &mut self.path {
            if let PathElement::Key(key) = element {
                change(key);
            }
        }
    }
}
