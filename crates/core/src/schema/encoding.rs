//! How a schema is stored.
//!
//! ```text
//! schema  = version(1) next_class count { class }        in the order of ids
//! class   = id name kind next_column [primary key] count { column }
//! column  = name id type [target] nullable collection
//! ```
//!
//! Integers are varints, names stand behind their length; kind, type, collection and booleans are one
//! byte. The primary key is 0, or 1 and the id of its column. A target follows the types link and
//! embedded. No bytes at all are the empty schema.

use std::collections::BTreeMap;

use bailiwick_protocol::changeset::CollectionKind;

use super::{Class, ClassId, ClassKind, Column, ColumnId, Schema, ValueType};
use crate::encoding::{EncodingError, Reader, put_bytes, put_len, put_u32};

const VERSION: u8 = 1;

const LINK: u8 = 11;
const EMBEDDED: u8 = 13;

impl Schema {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_u32(&mut out, self.next_class);
        put_len(&mut out, self.classes.len());
        for class in self.classes.values() {
            put_class(&mut out, class);
        }
        out
    }

    /// Reads the stored form. Costs time and memory in proportion to `bytes`, whatever they are.
    ///
    /// # Errors
    ///
    /// The bytes are not what [`encode`](Self::encode) writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, EncodingError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            VERSION => (),
            version => return Err(EncodingError::Version(version)),
        }
        let next_class = reader.u32()?;
        let count = reader.count()?;
        let (mut classes, mut names) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..count {
            let class = read_class(&mut reader)?;
            let id = class.id();
            if id.0 >= next_class
                || names.insert(class.name().into(), id).is_some()
                || classes.insert(id, class).is_some()
            {
                return Err(EncodingError::Invalid("a class contradicts the others"));
            }
        }
        reader.finish()?;
        let targets =
            classes.values().flat_map(Class::columns).map(|(_, column)| column.value_type);
        for value_type in targets {
            if !target_fits(value_type, &classes) {
                return Err(EncodingError::Invalid("a column has no proper target class"));
            }
        }
        Ok(Self { classes, names, next_class })
    }
}

fn put_class(out: &mut Vec<u8>, class: &Class) {
    put_u32(out, class.id().0);
    put_bytes(out, class.name().as_bytes());
    out.push(match class.kind() {
        ClassKind::TopLevel => 0,
        ClassKind::Embedded => 1,
        ClassKind::Asymmetric => 2,
    });
    put_u32(out, class.next_column());
    match class.primary_key() {
        Some((_, column)) => {
            out.push(1);
            put_u32(out, column.id.0);
        }
        None => out.push(0),
    }
    put_len(out, class.columns().len());
    for (name, column) in class.columns() {
        put_bytes(out, name.as_bytes());
        put_u32(out, column.id.0);
        let (code, target) = type_code(column.value_type);
        out.push(code);
        if let Some(target) = target {
            put_u32(out, target.0);
        }
        out.push(column.nullable.into());
        out.push(column.collection as u8);
    }
}

fn read_class(reader: &mut Reader<'_>) -> Result<Class, EncodingError> {
    let id = ClassId(reader.u32()?);
    let name = reader.str()?;
    let kind = match reader.u8()? {
        0 => ClassKind::TopLevel,
        1 => ClassKind::Embedded,
        2 => ClassKind::Asymmetric,
        _ => return Err(EncodingError::Invalid("there is no such kind of class")),
    };
    let next_column = reader.u32()?;
    let primary_key = if reader.bool()? { Some(ColumnId(reader.u32()?)) } else { None };
    let count = reader.count()?;
    let mut columns = Vec::new();
    for _ in 0..count {
        columns.push(read_column(reader)?);
    }
    Class::restore(id, name, kind, next_column, columns, primary_key)
        .ok_or(EncodingError::Invalid("a column contradicts the others"))
}

fn read_column(reader: &mut Reader<'_>) -> Result<(Box<str>, Column), EncodingError> {
    let name = reader.str()?.into();
    let id = ColumnId(reader.u32()?);
    let value_type = match reader.u8()? {
        0 => ValueType::Mixed,
        1 => ValueType::Int,
        2 => ValueType::Bool,
        3 => ValueType::String,
        4 => ValueType::Binary,
        5 => ValueType::Timestamp,
        6 => ValueType::Float,
        7 => ValueType::Double,
        8 => ValueType::Decimal,
        9 => ValueType::ObjectId,
        10 => ValueType::Uuid,
        LINK => ValueType::Link(ClassId(reader.u32()?)),
        12 => ValueType::AnyLink,
        EMBEDDED => ValueType::Embedded(ClassId(reader.u32()?)),
        _ => return Err(EncodingError::Invalid("there is no such type")),
    };
    let nullable = reader.bool()?;
    let collection = match reader.u8()? {
        0 => CollectionKind::Single,
        1 => CollectionKind::List,
        2 => CollectionKind::Dictionary,
        3 => CollectionKind::Set,
        _ => return Err(EncodingError::Invalid("there is no such kind of collection")),
    };
    Ok((name, Column { id, value_type, nullable, collection }))
}

fn type_code(value_type: ValueType) -> (u8, Option<ClassId>) {
    let code = match value_type {
        ValueType::Mixed => 0,
        ValueType::Int => 1,
        ValueType::Bool => 2,
        ValueType::String => 3,
        ValueType::Binary => 4,
        ValueType::Timestamp => 5,
        ValueType::Float => 6,
        ValueType::Double => 7,
        ValueType::Decimal => 8,
        ValueType::ObjectId => 9,
        ValueType::Uuid => 10,
        ValueType::Link(_) => LINK,
        ValueType::AnyLink => 12,
        ValueType::Embedded(_) => EMBEDDED,
    };
    (code, value_type.target())
}

/// What applying relies on: a target exists, and is embedded exactly if the column says so.
fn target_fits(value_type: ValueType, classes: &BTreeMap<ClassId, Class>) -> bool {
    let is_embedded = |class| classes.get(&class).map(|class| class.kind() == ClassKind::Embedded);
    match value_type {
        ValueType::Link(class) => is_embedded(class) == Some(false),
        ValueType::Embedded(class) => is_embedded(class) == Some(true),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema::Slot;

    fn example() -> Schema {
        let mut schema = Schema::default();
        let slot = |value_type| Slot::new(value_type, false, CollectionKind::Single);
        let address = schema.add_class("Address", ClassKind::Embedded).id();
        schema.add_class("Gone", ClassKind::TopLevel);
        schema.remove_class("Gone");
        let task = schema.add_class("Task", ClassKind::TopLevel);
        task.add_primary_key("_id", slot(ValueType::ObjectId));
        task.add_column("gone", slot(ValueType::Int));
        task.add_column("where", slot(ValueType::Embedded(address)));
        let own = ValueType::Link(task.id());
        task.add_column("next", Slot::new(own, false, CollectionKind::List));
        task.remove_column("gone");
        schema
    }

    #[test]
    fn a_schema_comes_back_with_its_ids() {
        let schema = example();
        let back = Schema::decode(&schema.encode()).unwrap();
        assert_eq!(back, schema);
        assert_eq!(back.class("Task").map(Class::id), Some(ClassId(2)));
        assert_eq!(Schema::decode(&[]), Ok(Schema::default()));
        assert_eq!(Schema::decode(&Schema::default().encode()), Ok(Schema::default()));
    }

    #[test]
    fn an_id_is_never_used_twice() {
        let mut schema = Schema::decode(&example().encode()).unwrap();
        schema.remove_class("Task");
        assert_eq!(schema.add_class("Task", ClassKind::TopLevel).id(), ClassId(3));
        let mut schema = Schema::decode(&example().encode()).unwrap();
        let slot = Slot::new(ValueType::Int, false, CollectionKind::Single);
        let task = schema.class_mut("Task").unwrap();
        assert_eq!(task.add_column("gone", slot).id, ColumnId(4));
    }

    #[test]
    fn every_cut_is_an_error() {
        let bytes = example().encode();
        for len in 1..bytes.len() {
            assert!(Schema::decode(&bytes[..len]).is_err(), "cut to {len}");
        }
        assert_eq!(Schema::decode(&[2]), Err(EncodingError::Version(2)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, at: prop::sample::Index, byte: u8) {
            let _ = Schema::decode(&bytes);
            let mut near = example().encode();
            let at = at.index(near.len());
            near[at] = byte;
            if let Ok(schema) = Schema::decode(&near) {
                prop_assert_eq!(Schema::decode(&schema.encode()), Ok(schema));
            }
        }
    }
}
