//! Between classes as the application declares them and classes as they are stored.

use bailiwick_core::schema::{self as stored, Slot, ValueType};

use super::validate::PropertyFault;
use super::{Class, ClassKind, Property, PropertyType, Schema, SchemaError};

impl Schema {
    /// The classes of a realm, as far as an application can declare them: without classes that have no primary
    /// key, and properties for links to any class, which no SDK declares either.
    pub fn from_stored(schema: &stored::Schema) -> Self {
        let classes = schema.classes().filter_map(|class| Class::from_stored(schema, class));
        Self { classes: classes.collect() }
    }

    /// The stored form of a schema on its own.
    ///
    /// # Errors
    ///
    /// See [`validate`](Self::validate).
    pub fn to_stored(&self) -> Result<stored::Schema, SchemaError> {
        self.merged_into(&stored::Schema::default())
    }

    /// A realm's schema with these classes and properties added to it.
    ///
    /// # Errors
    ///
    /// See [`validate`](Self::validate), or what the realm has differs from what is declared. Nullability is not
    /// compared: a property that is declared again keeps what it has. Spec: applying, section 3.
    pub fn merged_into(&self, realm: &stored::Schema) -> Result<stored::Schema, SchemaError> {
        self.validate()?;
        let mut merged = realm.clone();
        for class in &self.classes {
            class.add_to(&mut merged)?;
        }
        // All classes are there now, for links to lead to.
        for class in &self.classes {
            for property in &class.properties {
                class.add_property_to(&mut merged, property)?;
            }
        }
        Ok(merged)
    }
}

impl Class {
    fn from_stored(schema: &stored::Schema, class: &stored::Class) -> Option<Self> {
        let primary_key = class.primary_key().map(|(name, _)| name.to_owned());
        let kind = match class.kind() {
            stored::ClassKind::TopLevel => ClassKind::TopLevel { primary_key: primary_key? },
            stored::ClassKind::Asymmetric => ClassKind::Asymmetric { primary_key: primary_key? },
            stored::ClassKind::Embedded => ClassKind::Embedded,
        };
        let properties = class.columns().filter_map(|(name, column)| {
            let value_type = PropertyType::from_stored(schema, column.value_type)?;
            let (nullable, collection) = (column.nullable, column.collection);
            Some(Property { name: name.to_owned(), value_type, nullable, collection })
        });
        Some(Self { name: class.name().to_owned(), kind, properties: properties.collect() })
    }

    /// Adds the class with its primary key.
    fn add_to(&self, schema: &mut stored::Schema) -> Result<(), SchemaError> {
        let kind = match self.kind {
            ClassKind::TopLevel { .. } => stored::ClassKind::TopLevel,
            ClassKind::Embedded => stored::ClassKind::Embedded,
            ClassKind::Asymmetric { .. } => stored::ClassKind::Asymmetric,
        };
        let key = self.key_name().and_then(|name| self.find(name));
        let key = key.map(|key| (&*key.name, key.slot(schema)));
        let Some(class) = schema.class(&self.name) else {
            let class = schema.add_class(&self.name, kind);
            if let Some((name, Some(slot))) = key {
                class.add_primary_key(name, slot);
            }
            return Ok(());
        };
        let own = class.primary_key().map(|(name, column)| {
            let &stored::Column { value_type, nullable, collection, .. } = column;
            (name, Some(Slot { value_type, nullable, collection }))
        });
        if class.kind() == kind && own == key {
            Ok(())
        } else {
            Err(SchemaError::ClassDiffers(self.name.clone()))
        }
    }

    fn add_property_to(
        &self,
        schema: &mut stored::Schema,
        property: &Property,
    ) -> Result<(), SchemaError> {
        let slot = property.slot(schema);
        let class = schema.class_mut(&self.name);
        let (Some(slot), Some(class)) = (slot, class) else {
            return Err(self.fault(property, PropertyFault::Differs));
        };
        match class.column(&property.name) {
            None => {
                class.add_column(&property.name, slot);
                Ok(())
            }
            Some(own) if own.value_type == slot.value_type && own.collection == slot.collection => {
                Ok(())
            }
            Some(_) => Err(self.fault(property, PropertyFault::Differs)),
        }
    }

    fn fault(&self, property: &Property, fault: PropertyFault) -> SchemaError {
        let (class, property) = (self.name.clone(), property.name.clone());
        SchemaError::Property { class, property, fault }
    }
}

impl Property {
    /// What a column for it can hold; `None` if the class that it refers to is not there, or is of another kind.
    pub fn slot(&self, schema: &stored::Schema) -> Option<Slot> {
        let target = |name: &str| schema.class(name).map(|class| (class.id(), class.kind()));
        let value_type = match &self.value_type {
            PropertyType::Int => ValueType::Int,
            PropertyType::Bool => ValueType::Bool,
            PropertyType::String => ValueType::String,
            PropertyType::Binary => ValueType::Binary,
            PropertyType::Timestamp => ValueType::Timestamp,
            PropertyType::Float => ValueType::Float,
            PropertyType::Double => ValueType::Double,
            PropertyType::Decimal => ValueType::Decimal,
            PropertyType::ObjectId => ValueType::ObjectId,
            PropertyType::Uuid => ValueType::Uuid,
            PropertyType::Mixed => ValueType::Mixed,
            PropertyType::Link(class) => match target(class)? {
                (id, stored::ClassKind::TopLevel) => ValueType::Link(id),
                _ => return None,
            },
            PropertyType::Embedded(class) => match target(class)? {
                (id, stored::ClassKind::Embedded) => ValueType::Embedded(id),
                _ => return None,
            },
        };
        Some(Slot::new(value_type, self.nullable, self.collection))
    }
}

impl PropertyType {
    fn from_stored(schema: &stored::Schema, value_type: ValueType) -> Option<Self> {
        let name = |id| Some(schema.class_by_id(id)?.name().to_owned());
        Some(match value_type {
            ValueType::Mixed => Self::Mixed,
            ValueType::Int => Self::Int,
            ValueType::Bool => Self::Bool,
            ValueType::String => Self::String,
            ValueType::Binary => Self::Binary,
            ValueType::Timestamp => Self::Timestamp,
            ValueType::Float => Self::Float,
            ValueType::Double => Self::Double,
            ValueType::Decimal => Self::Decimal,
            ValueType::ObjectId => Self::ObjectId,
            ValueType::Uuid => Self::Uuid,
            ValueType::Link(class) => Self::Link(name(class)?),
            ValueType::Embedded(class) => Self::Embedded(name(class)?),
            ValueType::AnyLink => return None,
        })
    }
}
