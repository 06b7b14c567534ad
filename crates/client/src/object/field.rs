//! Which property a Rust type is.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use bailiwick_protocol::changeset::CollectionKind;

use super::Set;
use crate::schema::{Property, PropertyType};
use crate::value::{Binary, Decimal, ObjectId, PrimaryKey, Timestamp, Uuid, Value};

/// The type of a field.
pub trait Field {
    /// The property of this name that the field is.
    fn property(name: &str) -> Property;
}

/// A type of which a field, or a list, set or dictionary has values.
///
/// For an enum without data, which serde writes as text, implement it with [`PropertyType::String`].
pub trait Element {
    /// What can stand for a value.
    const KIND: Kind = Kind::Value;

    /// The type of the property.
    fn property_type() -> PropertyType;
}

/// What can stand for a value of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Always a value.
    Value,
    /// A value or null.
    Nullable,
    /// A link or an embedded object, always there.
    Reference,
    /// A link or an embedded object, or null.
    NullableReference,
}

/// A type that a primary key can be of.
pub trait Key: Element + Clone + Into<PrimaryKey> {}

macro_rules! elements {
    ($($element:ty => $property_type:ident,)*) => {$(
        impl Element for $element {
            fn property_type() -> PropertyType {
                PropertyType::$property_type
            }
        }
    )*};
}

elements! {
    i8 => Int,
    i16 => Int,
    i32 => Int,
    i64 => Int,
    u8 => Int,
    u16 => Int,
    u32 => Int,
    bool => Bool,
    String => String,
    f32 => Float,
    f64 => Double,
    Binary => Binary,
    Timestamp => Timestamp,
    Decimal => Decimal,
    ObjectId => ObjectId,
    Uuid => Uuid,
}

impl Element for Value {
    const KIND: Kind = Kind::Nullable;

    fn property_type() -> PropertyType {
        PropertyType::Mixed
    }
}

impl<T: Element> Element for Option<T> {
    const KIND: Kind = match T::KIND {
        Kind::Value => Kind::Nullable,
        Kind::Reference => Kind::NullableReference,
        Kind::Nullable | Kind::NullableReference => {
            panic!("the type in this Option has a null already")
        }
    };

    fn property_type() -> PropertyType {
        T::property_type()
    }
}

impl Key for i32 {}
impl Key for i64 {}
impl Key for String {}
impl Key for ObjectId {}
impl Key for Uuid {}
impl<T: Key> Key for Option<T> {}

impl<T: Element> Field for T {
    fn property(name: &str) -> Property {
        const {
            assert!(
                !matches!(T::KIND, Kind::Reference),
                "a link or an embedded object can be null: make the field an Option of it",
            );
        }
        property::<T>(name, CollectionKind::Single)
    }
}

impl<T: Element> Field for Vec<T> {
    fn property(name: &str) -> Property {
        const { assert_no_null_reference::<T>() }
        property::<T>(name, CollectionKind::List)
    }
}

impl<T: Element> Field for Set<T> {
    fn property(name: &str) -> Property {
        const { assert_no_null_reference::<T>() }
        property::<T>(name, CollectionKind::Set)
    }
}

impl<T: Element> Field for BTreeMap<String, T> {
    fn property(name: &str) -> Property {
        const { assert_null_reference::<T>() }
        property::<T>(name, CollectionKind::Dictionary)
    }
}

impl<T: Element, S: BuildHasher> Field for HashMap<String, T, S> {
    fn property(name: &str) -> Property {
        const { assert_null_reference::<T>() }
        property::<T>(name, CollectionKind::Dictionary)
    }
}

const fn assert_no_null_reference<T: Element>() {
    assert!(
        !matches!(T::KIND, Kind::NullableReference),
        "links and embedded objects in a list or set are never null: leave out the Option",
    );
}

const fn assert_null_reference<T: Element>() {
    assert!(
        !matches!(T::KIND, Kind::Reference),
        "a link or an embedded object in a dictionary can be null: make it an Option",
    );
}

fn property<T: Element>(name: &str, collection: CollectionKind) -> Property {
    let property = Property::new(name, T::property_type()).collection(collection);
    match T::KIND {
        Kind::Nullable => property.nullable(),
        // These are nullable or not by the rules of their collections.
        Kind::Value | Kind::Reference | Kind::NullableReference => property,
    }
}
