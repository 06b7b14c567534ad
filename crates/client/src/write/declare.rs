//! Declaring classes and fields that the realm does not have yet. Spec: applying, sections 4 and 7.

use bailiwick_core::schema::{self as stored, Column};
use bailiwick_protocol::changeset::{
    AddColumn, CollectionKind, Instruction, KeySpec, KeyType, TableKind, TypeCode,
};

use super::WriteTransaction;
use super::error::{RefusedEdit, SchemaConflict, Stop, WriteError};
use crate::schema::{Class, ClassKind, Property, PropertyType, Schema};

impl WriteTransaction<'_> {
    /// Declares the classes and fields of an application that the realm does not have yet: first all classes, in the
    /// order of their names, then the fields of each. Without any there is nothing to write.
    ///
    /// # Errors
    ///
    /// [`WriteError::InvalidSchema`] if no device could have such classes; [`WriteError::Schema`] if the realm has a
    /// class or a field of the same name that is different. Nothing is declared then.
    pub fn declare(&mut self, schema: &Schema) -> Result<(), WriteError> {
        schema.validate()?;
        let mut classes: Vec<&Class> = schema.classes.iter().collect();
        classes.sort_unstable_by_key(|class| &class.name);
        self.whole(|tx| {
            classes.iter().try_for_each(|class| tx.declare_class(class))?;
            for class in classes {
                let key = class.key_name();
                let fields = class.properties.iter().filter(|field| Some(&*field.name) != key);
                for field in fields {
                    tx.declare_field(class, field)?;
                }
            }
            Ok(())
        })
    }

    fn declare_class(&mut self, class: &Class) -> Result<(), WriteError> {
        if let Some(own) = self.schema().class(&class.name) {
            let (realm, application) = (describe_class(own), describe_declared(class));
            if realm == application {
                return Ok(());
            }
            let (class, field) = (class.name.clone(), None);
            let conflict = SchemaConflict { class, field, realm, application };
            return Err(WriteError::Schema(Box::new(conflict)));
        }
        self.add_table(class).map_err(|stop| refuse(class, "", stop))
    }

    fn add_table(&mut self, class: &Class) -> Result<(), Stop> {
        let table = self.draft.intern(&class.name);
        let kind = match class.kind {
            ClassKind::TopLevel { .. } => TableKind::TopLevel(self.key_spec(class)),
            ClassKind::Asymmetric { .. } => TableKind::Asymmetric(self.key_spec(class)),
            ClassKind::Embedded => TableKind::Embedded,
        };
        self.extend(Instruction::AddTable { table, kind })
    }

    fn key_spec(&mut self, class: &Class) -> KeySpec {
        let key = class.key_name().and_then(|name| class.find(name));
        let field = self.draft.intern(key.map_or("", |key| &key.name));
        let key_type = match key.map(|key| &key.value_type) {
            Some(PropertyType::Int) => KeyType::Int,
            Some(PropertyType::String) => KeyType::String,
            Some(PropertyType::ObjectId) => KeyType::ObjectId,
            Some(PropertyType::Uuid) => KeyType::Uuid,
            // Such a class is not valid.
            _ => KeyType::GlobalKey,
        };
        KeySpec { field, key_type, nullable: key.is_some_and(Property::is_nullable) }
    }

    fn declare_field(&mut self, class: &Class, field: &Property) -> Result<(), WriteError> {
        let schema = self.schema();
        let own = schema.class(&class.name).and_then(|own| own.column(&field.name));
        if let Some(own) = own {
            let (realm, application) = (describe_column(schema, own), describe_field(field));
            if realm == application {
                return Ok(());
            }
            let (class, field) = (class.name.clone(), Some(field.name.clone()));
            let conflict = SchemaConflict { class, field, realm, application };
            return Err(WriteError::Schema(Box::new(conflict)));
        }
        self.add_column(class, field).map_err(|stop| refuse(class, &field.name, stop))
    }

    fn add_column(&mut self, class: &Class, field: &Property) -> Result<(), Stop> {
        let target = field.value_type.target();
        let column = AddColumn {
            table: self.draft.intern(&class.name),
            field: self.draft.intern(&field.name),
            column_type: type_code(&field.value_type),
            nullable: field.is_nullable(),
            collection: field.collection,
            link_target: target.map(|target| self.draft.intern(target)),
            key_type: (field.collection == CollectionKind::Dictionary).then_some(TypeCode::String),
        };
        self.extend(Instruction::AddColumn(Box::new(column)))
    }
}

fn type_code(value_type: &PropertyType) -> TypeCode {
    match value_type {
        PropertyType::Mixed => TypeCode::Null,
        PropertyType::Int => TypeCode::Int,
        PropertyType::Bool => TypeCode::Bool,
        PropertyType::String => TypeCode::String,
        PropertyType::Binary => TypeCode::Binary,
        PropertyType::Timestamp => TypeCode::Timestamp,
        PropertyType::Float => TypeCode::Float,
        PropertyType::Double => TypeCode::Double,
        PropertyType::Decimal => TypeCode::Decimal,
        PropertyType::ObjectId => TypeCode::ObjectId,
        PropertyType::Uuid => TypeCode::Uuid,
        PropertyType::Link(_) | PropertyType::Embedded(_) => TypeCode::Link,
    }
}

/// The kind of a class and its primary key, in words that are the same for both sides if they mean the same.
fn describe_class(class: &stored::Class) -> String {
    let key =
        class.primary_key().map(|(name, column)| (name, column.value_type.name(), column.nullable));
    describe_kind(class.kind(), key)
}

fn describe_declared(class: &Class) -> String {
    let kind = match class.kind {
        ClassKind::TopLevel { .. } => stored::ClassKind::TopLevel,
        ClassKind::Embedded => stored::ClassKind::Embedded,
        ClassKind::Asymmetric { .. } => stored::ClassKind::Asymmetric,
    };
    let key = class.key_name().and_then(|name| class.find(name));
    describe_kind(kind, key.map(|key| (&*key.name, type_name(&key.value_type), key.nullable)))
}

fn describe_kind(kind: stored::ClassKind, key: Option<(&str, &str, bool)>) -> String {
    let kind = match kind {
        stored::ClassKind::TopLevel => "a class",
        stored::ClassKind::Embedded => return "an embedded class".to_owned(),
        stored::ClassKind::Asymmetric => "an asymmetric class",
    };
    match key {
        Some((name, key_type, nullable)) => {
            format!("{kind} with the primary key {name:?} of type {key_type}{}", mark(nullable))
        }
        None => format!("{kind} without a primary key"),
    }
}

/// The type of a field, in words that are the same for both sides if they mean the same.
fn describe_column(schema: &stored::Schema, column: &Column) -> String {
    let target = column.value_type.target().and_then(|class| schema.class_by_id(class));
    let name = column.value_type.name();
    describe_type(column.collection, name, target.map(stored::Class::name), column.nullable)
}

fn describe_field(field: &Property) -> String {
    let name = type_name(&field.value_type);
    describe_type(field.collection, name, field.value_type.target(), field.is_nullable())
}

fn describe_type(
    collection: CollectionKind,
    name: &str,
    target: Option<&str>,
    nullable: bool,
) -> String {
    let target = target.map(|target| format!(" to {target:?}")).unwrap_or_default();
    let element = format!("{name}{target}{}", mark(nullable));
    match collection {
        CollectionKind::Single => element,
        CollectionKind::List => format!("a list of {element}"),
        CollectionKind::Set => format!("a set of {element}"),
        CollectionKind::Dictionary => format!("a dictionary of {element}"),
    }
}

fn mark(nullable: bool) -> &'static str {
    if nullable { " or null" } else { "" }
}

fn type_name(value_type: &PropertyType) -> &'static str {
    match value_type {
        PropertyType::Int => "int",
        PropertyType::Bool => "bool",
        PropertyType::String => "string",
        PropertyType::Binary => "binary",
        PropertyType::Timestamp => "timestamp",
        PropertyType::Float => "float",
        PropertyType::Double => "double",
        PropertyType::Decimal => "decimal",
        PropertyType::ObjectId => "objectId",
        PropertyType::Uuid => "uuid",
        PropertyType::Mixed => "mixed",
        PropertyType::Link(_) => "link",
        PropertyType::Embedded(_) => "embedded",
    }
}

fn refuse(class: &Class, field: &str, stop: Stop) -> WriteError {
    match stop {
        Stop::Error(error) => error,
        Stop::Problem(problem) => WriteError::Refused(Box::new(RefusedEdit {
            class: class.name.clone(),
            key: None,
            path: field.to_owned(),
            problem,
        })),
    }
}
