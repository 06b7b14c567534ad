//! A column: what a field can hold.

use bailiwick_protocol::changeset::CollectionKind;

use super::ClassId;

/// Names a column within its class for ever; see [`Schema`](super::Schema).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u32);

/// The type of a value, or of the elements of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum ValueType {
    /// Any value, and lists and dictionaries of any values.
    Mixed,
    Int,
    Bool,
    String,
    Binary,
    Timestamp,
    Float,
    Double,
    Decimal,
    ObjectId,
    Uuid,
    /// A link to an object of this class.
    Link(ClassId),
    /// A link to an object of any class. No SDK declares it.
    AnyLink,
    /// An object of this embedded class.
    Embedded(ClassId),
}

/// A column of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its id.
    pub id: ColumnId,
    /// The type of the value, or of the elements.
    pub value_type: ValueType,
    /// Whether the value, or an element, can be null.
    pub nullable: bool,
    /// One value or a collection of them.
    pub collection: CollectionKind,
}

/// What a column can hold, before it has an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The type of the value, or of the elements.
    pub value_type: ValueType,
    /// Whether the value, or an element, can be null; see [`Slot::new`].
    pub nullable: bool,
    /// One value or a collection of them.
    pub collection: CollectionKind,
}

impl Slot {
    /// A slot; `nullable` counts only where the type leaves the choice.
    ///
    /// Mixed values, single links and the values of dictionaries of links can always be null, the elements
    /// of lists and sets of links never.
    pub fn new(value_type: ValueType, nullable: bool, collection: CollectionKind) -> Self {
        let nullable = match value_type {
            ValueType::Mixed => true,
            ValueType::Link(_) | ValueType::AnyLink | ValueType::Embedded(_) => {
                matches!(collection, CollectionKind::Single | CollectionKind::Dictionary)
            }
            _ => nullable,
        };
        Self { value_type, nullable, collection }
    }
}

impl ValueType {
    /// The class that values refer to, if it is fixed.
    pub fn target(self) -> Option<ClassId> {
        match self {
            Self::Link(class) | Self::Embedded(class) => Some(class),
            _ => None,
        }
    }

    /// Its name in messages and dumps, without the class.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Int => "int",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Binary => "binary",
            Self::Timestamp => "timestamp",
            Self::Float => "float",
            Self::Double => "double",
            Self::Decimal => "decimal",
            Self::ObjectId => "objectId",
            Self::Uuid => "uuid",
            Self::Link(_) | Self::AnyLink => "link",
            Self::Embedded(_) => "embedded",
        }
    }
}
