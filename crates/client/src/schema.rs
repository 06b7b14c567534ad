//! The classes that an application uses.
//!
//! ```
//! use bailiwick_client::schema::{Class, PropertyType, Schema};
//!
//! let schema = Schema::new()
//!     .class(
//!         Class::new("Dog")
//!             .primary_key("_id", PropertyType::ObjectId)
//!             .property("name", PropertyType::String)
//!             .optional("age", PropertyType::Int)
//!             .list("toys", PropertyType::Embedded("Toy".into()))
//!             .property("owner", PropertyType::Link("Person".into())),
//!     )
//!     .class(Class::new("Person").primary_key("_id", PropertyType::String))
//!     .class(Class::embedded("Toy").property("colour", PropertyType::String));
//! schema.validate()?;
//! # Ok::<(), bailiwick_client::schema::SchemaError>(())
//! ```

mod stored;
mod validate;

pub use bailiwick_protocol::changeset::CollectionKind;
pub use validate::{PropertyFault, SchemaError};

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
    /// Whether the value, or an element, can be null; see [`is_nullable`](Self::is_nullable).
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

impl Schema {
    /// No classes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a class.
    #[must_use]
    pub fn class(mut self, class: Class) -> Self {
        self.classes.push(class);
        self
    }

    /// The class of this name.
    pub fn find(&self, name: &str) -> Option<&Class> {
        self.classes.iter().find(|class| class.name == name)
    }
}

impl Class {
    /// A class of top-level objects; it needs a [primary key](Self::primary_key).
    pub fn new(name: impl Into<String>) -> Self {
        Self::of_kind(name, ClassKind::TopLevel { primary_key: String::new() })
    }

    /// A class of embedded objects.
    pub fn embedded(name: impl Into<String>) -> Self {
        Self::of_kind(name, ClassKind::Embedded)
    }

    /// A class of objects that only travel to the server; it needs a [primary key](Self::primary_key).
    pub fn asymmetric(name: impl Into<String>) -> Self {
        Self::of_kind(name, ClassKind::Asymmetric { primary_key: String::new() })
    }

    fn of_kind(name: impl Into<String>, kind: ClassKind) -> Self {
        Self { name: name.into(), kind, properties: Vec::new() }
    }

    /// Adds the field that names objects: int, string, `ObjectId` or UUID, never null.
    ///
    /// For one that can be null add the property [with](Self::with) a [`Property`] and name it in the class's
    /// kind.
    #[must_use]
    pub fn primary_key(mut self, name: impl Into<String>, value_type: PropertyType) -> Self {
        let name = name.into();
        match &mut self.kind {
            ClassKind::TopLevel { primary_key } | ClassKind::Asymmetric { primary_key } => {
                primary_key.clone_from(&name);
            }
            ClassKind::Embedded => (),
        }
        self.property(name, value_type)
    }

    /// Adds a field that holds one value, never null unless its type always can be.
    #[must_use]
    pub fn property(self, name: impl Into<String>, value_type: PropertyType) -> Self {
        self.with(Property::new(name, value_type))
    }

    /// Adds a field that holds one value or null.
    #[must_use]
    pub fn optional(self, name: impl Into<String>, value_type: PropertyType) -> Self {
        self.with(Property::new(name, value_type).nullable())
    }

    /// Adds a list.
    #[must_use]
    pub fn list(self, name: impl Into<String>, value_type: PropertyType) -> Self {
        self.with(Property::new(name, value_type).collection(CollectionKind::List))
    }

    /// Adds a set.
    #[must_use]
    pub fn set(self, name: impl Into<String>, value_type: PropertyType) -> Self {
        self.with(Property::new(name, value_type).collection(CollectionKind::Set))
    }

    /// Adds a dictionary.
    #[must_use]
    pub fn dictionary(self, name: impl Into<String>, value_type: PropertyType) -> Self {
        self.with(Property::new(name, value_type).collection(CollectionKind::Dictionary))
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }

    /// The field of this name.
    pub fn find(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    /// The name of the field that names objects.
    pub fn key_name(&self) -> Option<&str> {
        match &self.kind {
            ClassKind::TopLevel { primary_key } | ClassKind::Asymmetric { primary_key } => {
                Some(primary_key)
            }
            ClassKind::Embedded => None,
        }
    }
}

impl Property {
    /// A field that holds one value, never null unless its type always can be.
    pub fn new(name: impl Into<String>, value_type: PropertyType) -> Self {
        let collection = CollectionKind::Single;
        Self { name: name.into(), value_type, nullable: false, collection }
    }

    /// The same, but the value or the elements can be null.
    #[must_use]
    pub fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }

    /// The same, but with this many values.
    #[must_use]
    pub fn collection(self, collection: CollectionKind) -> Self {
        Self { collection, ..self }
    }

    /// Whether the value, or an element, can be null.
    ///
    /// Mixed values, single links and embedded objects and those in dictionaries always can, the elements of lists
    /// and sets of them never. Spec: applying, section 3.
    pub fn is_nullable(&self) -> bool {
        match self.value_type {
            PropertyType::Mixed => true,
            PropertyType::Link(_) | PropertyType::Embedded(_) => {
                matches!(self.collection, CollectionKind::Single | CollectionKind::Dictionary)
            }
            _ => self.nullable,
        }
    }
}

impl PropertyType {
    /// The class that values refer to.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Link(class) | Self::Embedded(class) => Some(class),
            _ => None,
        }
    }
}
