//! AddTable, AddColumn and EraseColumn.
//!
//! Spec: applying, section 4.

use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, KeySpec, KeyType, Symbol, TableKind, TypeCode,
};

use super::error::Fault;
use crate::schema::{Class, ClassKind, Column, Schema, Slot, ValueType};

/// The longest class name, in bytes: what a Realm file leaves for it.
const MAX_CLASS_NAME_LEN: usize = 57;
/// The longest field name, in bytes.
const MAX_FIELD_NAME_LEN: usize = 63;
/// How many columns a class can have.
const MAX_COLUMNS: usize = 65_535;

/// How many classes a realm can have. A Realm file numbers its tables with 16 bits; no app comes near to this.
const MAX_CLASSES: usize = 10_000;

/// A class to be added.
pub(super) struct NewClass<'a> {
    name: &'a str,
    kind: ClassKind,
    primary_key: Option<(&'a str, Slot)>,
}

impl NewClass<'_> {
    pub(super) fn add_to(self, schema: &mut Schema) {
        let class = schema.add_class(self.name, self.kind);
        if let Some((field, slot)) = self.primary_key {
            class.add_primary_key(field, slot);
        }
    }
}

/// What an AddColumn finds.
pub(super) enum NewColumn {
    /// The column has to be added.
    Missing(Slot),
    /// The column is there, and the instruction does nothing.
    Present,
    /// As `Present`, for links to any class: a device takes the column for one of another type.
    PresentAnyLink,
}

/// The class that an AddTable adds, or `None` if it is there.
pub(super) fn add_table<'a>(
    schema: &Schema,
    changeset: &'a Changeset,
    table: Symbol,
    kind: TableKind,
) -> Result<Option<NewClass<'a>>, Fault> {
    let name = class_name(changeset, table)?;
    let (kind, key) = match kind {
        TableKind::TopLevel(key) => (ClassKind::TopLevel, Some(key)),
        TableKind::Asymmetric(key) => (ClassKind::Asymmetric, Some(key)),
        TableKind::Embedded => (ClassKind::Embedded, None),
    };
    let primary_key = match key {
        Some(key) => key_column(changeset, key)?,
        None => None,
    };
    let Some(class) = schema.class(name) else {
        if schema.classes().len() >= MAX_CLASSES {
            return Err(Fault::TooManyClasses);
        }
        return Ok(Some(NewClass { name, kind, primary_key }));
    };
    let is_same = match (key, primary_key) {
        // A class without primary key is not compared with anything.
        (Some(_), None) => true,
        (Some(_), Some((field, slot))) => {
            class.kind() == kind && class.primary_key().is_some_and(|own| fits(own, field, slot))
        }
        (None, _) => class.kind() == ClassKind::Embedded,
    };
    if is_same { Ok(None) } else { Err(Fault::ClassDiffers) }
}

/// Whether an AddColumn adds a column.
pub(super) fn add_column(
    schema: &Schema,
    changeset: &Changeset,
    column: &AddColumn,
) -> Result<NewColumn, Fault> {
    let class = existing(schema, changeset, column.table)?;
    let field = field_name(changeset, column.field)?;
    let value_type = value_type(schema, changeset, class, column)?;
    if let Some(own) = class.column(field) {
        return match own.value_type {
            _ if own.value_type != value_type => Err(Fault::FieldDiffers),
            _ if own.collection != column.collection => Err(Fault::FieldDiffers),
            ValueType::AnyLink => Ok(NewColumn::PresentAnyLink),
            _ => Ok(NewColumn::Present),
        };
    }
    if column.collection == CollectionKind::Dictionary && column.key_type != Some(TypeCode::String)
    {
        return Err(Fault::ColumnType("a dictionary whose keys are not strings"));
    }
    match (value_type, column.collection) {
        (ValueType::Embedded(_), CollectionKind::Set) => {
            return Err(Fault::ColumnType("a set of embedded objects"));
        }
        (ValueType::AnyLink, CollectionKind::Set | CollectionKind::Dictionary) => {
            return Err(Fault::ColumnType("a set or dictionary of links to any class"));
        }
        _ => (),
    }
    if class.columns().len() >= MAX_COLUMNS {
        return Err(Fault::TooManyFields);
    }
    Ok(NewColumn::Missing(Slot::new(value_type, column.nullable, column.collection)))
}

/// Whether an EraseColumn can be carried out.
pub(super) fn erase_column(
    schema: &Schema,
    changeset: &Changeset,
    table: Symbol,
    field: Symbol,
) -> Result<(), Fault> {
    let class = existing(schema, changeset, table)?;
    let field = changeset.text(field);
    if class.is_primary_key(field) {
        return Err(Fault::PrimaryKey);
    }
    class.column(field).map(|_| ()).ok_or_else(|| Fault::NoField(Fault::name(field)))
}

/// The class that an instruction is about.
pub(super) fn existing<'a>(
    schema: &'a Schema,
    changeset: &Changeset,
    table: Symbol,
) -> Result<&'a Class, Fault> {
    let name = changeset.text(table);
    schema.class(name).ok_or_else(|| Fault::NoClass(Fault::name(name)))
}

fn value_type(
    schema: &Schema,
    changeset: &Changeset,
    class: &Class,
    column: &AddColumn,
) -> Result<ValueType, Fault> {
    Ok(match column.column_type {
        TypeCode::Null => ValueType::Mixed,
        TypeCode::Int => ValueType::Int,
        TypeCode::Bool => ValueType::Bool,
        TypeCode::String => ValueType::String,
        TypeCode::Binary => ValueType::Binary,
        TypeCode::Timestamp => ValueType::Timestamp,
        TypeCode::Float => ValueType::Float,
        TypeCode::Double => ValueType::Double,
        TypeCode::Decimal => ValueType::Decimal,
        TypeCode::ObjectId => ValueType::ObjectId,
        TypeCode::Uuid => ValueType::Uuid,
        TypeCode::Link => {
            let name = column.link_target.map_or("", |target| changeset.text(target));
            return link_type(schema, class, name);
        }
        TypeCode::Set
        | TypeCode::List
        | TypeCode::Erased
        | TypeCode::Dictionary
        | TypeCode::ObjectValue
        | TypeCode::GlobalKey => return Err(Fault::ColumnType("a type that values do not have")),
    })
}

/// The type of a link column of `class` to the class of this name, or to any class.
fn link_type(schema: &Schema, class: &Class, name: &str) -> Result<ValueType, Fault> {
    let target = match name {
        "" => None,
        _ => Some(schema.class(name).ok_or_else(|| Fault::NoClass(Fault::name(name)))?),
    };
    match target.map(|target| (target.id(), target.kind())) {
        Some((id, ClassKind::Embedded)) => Ok(ValueType::Embedded(id)),
        Some((_, ClassKind::Asymmetric)) => Err(Fault::AsymmetricLink),
        _ if class.kind() == ClassKind::Asymmetric => Err(Fault::AsymmetricLink),
        Some((id, ClassKind::TopLevel)) => Ok(ValueType::Link(id)),
        None => Ok(ValueType::AnyLink),
    }
}

fn key_column(changeset: &Changeset, key: KeySpec) -> Result<Option<(&str, Slot)>, Fault> {
    let value_type = match key.key_type {
        KeyType::GlobalKey => return Ok(None),
        KeyType::Int => ValueType::Int,
        KeyType::String => ValueType::String,
        KeyType::ObjectId => ValueType::ObjectId,
        KeyType::Uuid => ValueType::Uuid,
    };
    let field = field_name(changeset, key.field)?;
    Ok(Some((field, Slot::new(value_type, key.nullable, CollectionKind::Single))))
}

fn fits((name, column): (&str, &Column), field: &str, slot: Slot) -> bool {
    name == field && column.nullable == slot.nullable && column.value_type == slot.value_type
}

fn class_name(changeset: &Changeset, table: Symbol) -> Result<&str, Fault> {
    let name = changeset.text(table);
    match name.len() {
        1..=MAX_CLASS_NAME_LEN => Ok(name),
        len => Err(Fault::ClassNameLength(len)),
    }
}

fn field_name(changeset: &Changeset, field: Symbol) -> Result<&str, Fault> {
    let name = changeset.text(field);
    match name.len() {
        1..=MAX_FIELD_NAME_LEN => Ok(name),
        len => Err(Fault::FieldNameLength(len)),
    }
}
