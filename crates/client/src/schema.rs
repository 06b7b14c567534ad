//! The classes that an application uses.

use bailiwick_protocol::changeset::CollectionKind;

/// The classes that an application uses. A realm may have more, of other applications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// The classes, each name once.
    pub classes: Vec<Class>,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// The name.
    pub name: String,
    /// What kind of class.
    pub kind: ClassKind,
    /// The fields, the primary key among them.
    pub properties: Vec<Property>,
}

/// The kinds of classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassKind {
    /// Objects of its own, named by this field.
    TopLevel {
        /// The field that names objects: int, string, `ObjectId` or UUID, nullable or not.
        primary_key: String,
    },
    /// Objects that live and die with the place that holds them.
    Embedded,
    /// Objects that only travel to the server.
    Asymmetric {
        /// The field that names objects.
        primary_key: String,
    },
}

/// A field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The name.
    pub name: String,
    /// What it holds.
    pub value_type: PropertyType,
    /// Whether the value, or an element, can be null.
    pub nullable: bool,
    /// One value or a collection of them.
    pub collection: CollectionKind,
}

/// What a field or an element of it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyType {
    /// An integer.
    Int,
    /// A boolean.
    Bool,
    /// Text.
    String,
    /// Bytes.
    Binary,
    /// A point in time.
    Timestamp,
    /// A 32-bit floating point number.
    Float,
    /// A 64-bit floating point number.
    Double,
    /// A decimal number.
    Decimal,
    /// An `ObjectId`.
    ObjectId,
    /// A UUID.
    Uuid,
    /// Any of them.
    Mixed,
    /// A link to an object of this class.
    Link(String),
    /// An object of this embedded class.
    Embedded(String),
}
