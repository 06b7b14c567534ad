//! What a schema must be for devices and servers to take it. Spec: applying, sections 2 to 4.

use std::collections::BTreeSet;

use bailiwick_protocol::changeset::CollectionKind;

use super::{Class, ClassKind, Property, PropertyType, Schema};

/// The longest name of a class, in bytes.
const MAX_CLASS_NAME_LEN: usize = 57;
/// The longest name of a property, in bytes.
const MAX_PROPERTY_NAME_LEN: usize = 63;
/// How many properties a class can have.
const MAX_PROPERTIES: usize = 65_535;
/// How many classes a realm can have.
const MAX_CLASSES: usize = 10_000;

/// Why a schema is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Nothing works with so many classes.
    #[error("{0} classes are more than {MAX_CLASSES}")]
    TooManyClasses(usize),
    /// The name of a class is empty or too long.
    #[error("the class name {0:?} does not have 1 to {MAX_CLASS_NAME_LEN} bytes")]
    ClassName(String),
    /// Two classes have this name.
    #[error("there are two classes {0:?}")]
    DuplicateClass(String),
    /// The class has more properties than a device can store.
    #[error("class {0:?} has more than {MAX_PROPERTIES} properties")]
    TooManyProperties(String),
    /// The class has no property of the name that its primary key is said to have.
    #[error("class {0:?} has no primary key")]
    NoPrimaryKey(String),
    /// Something is wrong with a property.
    #[error("property {property:?} of class {class:?}: {fault}")]
    Property {
        /// The class.
        class: String,
        /// The property.
        property: String,
        /// What is wrong.
        fault: PropertyFault,
    },
    /// The realm has the class already, as another kind of class or with another primary key.
    #[error("class {0:?} is another kind of class, or has another primary key, in the realm")]
    ClassDiffers(String),
}

/// What is wrong with a property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PropertyFault {
    /// Its name is empty or too long.
    #[error("its name does not have 1 to {MAX_PROPERTY_NAME_LEN} bytes")]
    Name,
    /// Another property of the class has its name.
    #[error("its name is taken")]
    Duplicate,
    /// A primary key is one int, string, `ObjectId` or UUID.
    #[error("a primary key is an int, a string, an ObjectId or a UUID")]
    PrimaryKeyType,
    /// There is no class that its links or embedded objects could be of.
    #[error("there is no class {0:?}")]
    UnknownTarget(String),
    /// It is declared as a link, but its objects are embedded.
    #[error("class {0:?} is embedded, so there are no links to its objects")]
    LinkToEmbedded(String),
    /// It is declared as embedded, but its objects are not.
    #[error("class {0:?} is not embedded")]
    NotEmbedded(String),
    /// Objects that only travel to the server link to nothing, and nothing links to them.
    #[error("there are no links from or to objects that only travel to the server")]
    AsymmetricLink,
    /// A set cannot hold embedded objects.
    #[error("a set cannot hold embedded objects")]
    SetOfEmbedded,
    /// The realm has the property already, with another type.
    #[error("it is of another type in the realm")]
    Differs,
}

impl Schema {
    /// Whether devices and servers can take it.
    ///
    /// # Errors
    ///
    /// The first fault, in the order of the classes and properties.
    pub fn validate(&self) -> Result<(), SchemaError> {
        if self.classes.len() > MAX_CLASSES {
            return Err(SchemaError::TooManyClasses(self.classes.len()));
        }
        let mut names = BTreeSet::new();
        for class in &self.classes {
            if !(1..=MAX_CLASS_NAME_LEN).contains(&class.name.len()) {
                return Err(SchemaError::ClassName(class.name.clone()));
            }
            if !names.insert(&*class.name) {
                return Err(SchemaError::DuplicateClass(class.name.clone()));
            }
            self.validate_class(class)?;
        }
        Ok(())
    }

    fn validate_class(&self, class: &Class) -> Result<(), SchemaError> {
        if class.properties.len() > MAX_PROPERTIES {
            return Err(SchemaError::TooManyProperties(class.name.clone()));
        }
        if class.key_name().is_some_and(|key| class.find(key).is_none()) {
            return Err(SchemaError::NoPrimaryKey(class.name.clone()));
        }
        let mut names = BTreeSet::new();
        for property in &class.properties {
            let taken =
                if names.insert(&*property.name) { Ok(()) } else { Err(PropertyFault::Duplicate) };
            taken.and_then(|()| self.validate_property(class, property)).map_err(|fault| {
                let (class, property) = (class.name.clone(), property.name.clone());
                SchemaError::Property { class, property, fault }
            })?;
        }
        Ok(())
    }

    fn validate_property(&self, class: &Class, property: &Property) -> Result<(), PropertyFault> {
        if !(1..=MAX_PROPERTY_NAME_LEN).contains(&property.name.len()) {
            return Err(PropertyFault::Name);
        }
        if class.key_name() == Some(&property.name) && !can_be_key(property) {
            return Err(PropertyFault::PrimaryKeyType);
        }
        let Some(name) = property.value_type.target() else { return Ok(()) };
        let unknown = || PropertyFault::UnknownTarget(name.to_owned());
        let target = self.find(name).ok_or_else(unknown)?;
        let is_from_asymmetric = matches!(class.kind, ClassKind::Asymmetric { .. });
        match (&property.value_type, &target.kind) {
            (_, ClassKind::Asymmetric { .. }) => Err(PropertyFault::AsymmetricLink),
            (PropertyType::Embedded(_), ClassKind::TopLevel { .. }) => {
                Err(PropertyFault::NotEmbedded(name.to_owned()))
            }
            (PropertyType::Embedded(_), ClassKind::Embedded) => match property.collection {
                CollectionKind::Set => Err(PropertyFault::SetOfEmbedded),
                _ => Ok(()),
            },
            (_, ClassKind::Embedded) => Err(PropertyFault::LinkToEmbedded(name.to_owned())),
            (_, ClassKind::TopLevel { .. }) if is_from_asymmetric => {
                Err(PropertyFault::AsymmetricLink)
            }
            (_, ClassKind::TopLevel { .. }) => Ok(()),
        }
    }
}

fn can_be_key(property: &Property) -> bool {
    property.collection == CollectionKind::Single
        && matches!(
            property.value_type,
            PropertyType::Int | PropertyType::String | PropertyType::ObjectId | PropertyType::Uuid
        )
}

#[cfg(test)]
mod tests;
