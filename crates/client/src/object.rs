//! The application's own structs as objects.
//!
//! The [`object!`](crate::object!) macro declares a struct and its class in one go. Which property a field becomes
//! is decided by its Rust type:
//!
//! | field | property |
//! |---|---|
//! | `bool`, `i8` to `i64`, `u8` to `u32`, `f32`, `f64`, `String` | the same |
//! | [`Binary`], [`Timestamp`], [`Decimal`], [`ObjectId`], [`Uuid`] | the same |
//! | [`Value`] | mixed |
//! | `Option<T>` | `T` or null |
//! | `Vec<T>`, [`Set<T>`](Set), `BTreeMap<String, T>`, `HashMap<String, T>` | list, set, dictionary |
//! | `Option<Link<T>>`, [`Link<T>`](Link) in a list or set | link to an object of class `T` |
//! | `Option<T>`, or `T` in a list, of an embedded struct | embedded object |
//!
//! ```
//! use bailiwick_client::object::{Link, Set};
//! use bailiwick_client::{Realm, Schema, WriteError, object};
//!
//! object! {
//!     #[derive(Debug, PartialEq)]
//!     struct Person {
//!         #[primary_key]
//!         _id: String,
//!         age: Option<i64>,
//!         nicknames: Set<String>,
//!         friend: Option<Link<Person>>,
//!         address: Option<Address>,
//!     }
//!
//!     #[embedded]
//!     #[derive(Debug, PartialEq)]
//!     struct Address { street: String }
//! }
//!
//! let realm = Realm::in_memory(Schema::new().with::<Person>().with::<Address>())?;
//! realm.write(|tx| {
//!     let mut ann = Person {
//!         _id: "ann".into(),
//!         age: Some(41),
//!         nicknames: Set::default(),
//!         friend: None,
//!         address: Some(Address { street: "High Street".into() }),
//!     };
//!     tx.insert(&ann)?;
//!     ann.age = Some(42);
//!     // Writes the age alone, so that nothing else conflicts with what other devices write.
//!     tx.update(&ann)?;
//!     assert_eq!(tx.get::<Person>("ann")?, Some(ann));
//!     Ok::<_, WriteError>(())
//! })?;
//! # Ok::<(), WriteError>(())
//! ```
//!
//! serde carries the values over, so a struct may also derive `Serialize` and `Deserialize` by itself and implement
//! [`Object`] by hand. Fields of the realm's class that the struct does not have are left alone.
//!
//! [`Binary`]: crate::value::Binary
//! [`Timestamp`]: crate::value::Timestamp
//! [`Decimal`]: crate::value::Decimal
//! [`ObjectId`]: crate::value::ObjectId
//! [`Uuid`]: crate::value::Uuid
//! [`Value`]: crate::value::Value

mod declare;
mod deserialize;
mod error;
mod field;
mod link;
mod serialize;
mod set;
mod write;

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::schema::{Class, ClassKind, Schema};
use crate::value::{PrimaryKey, Value};

#[doc(hidden)]
pub use declare::{name, primary_key};
pub use error::ObjectError;
pub use field::{Element, Field, Key, Kind};
pub use link::Link;
pub use set::Set;

/// A struct that says what its class is.
pub trait Declared {
    /// The name of the class.
    const CLASS: &'static str;

    /// The class.
    fn class() -> Class;
}

/// A struct that is a top-level or asymmetric object. See the [module](self).
pub trait Object: Declared + Serialize + DeserializeOwned {
    /// What names the object within its class.
    fn key(&self) -> PrimaryKey;
}

/// A struct that is an embedded object. See the [module](self).
pub trait Embedded: Declared + Serialize + DeserializeOwned {}

impl Schema {
    /// Adds the class of a struct.
    #[must_use]
    pub fn with<T: Declared>(self) -> Self {
        self.class(T::class())
    }
}

impl Class {
    /// Adds a field of a Rust type.
    #[must_use]
    pub fn field<T: Field>(self, name: &str) -> Self {
        self.with(T::property(name))
    }

    /// Adds the field that names objects.
    #[must_use]
    pub fn key_field<T: Key>(mut self, name: &str) -> Self {
        match &mut self.kind {
            ClassKind::TopLevel { primary_key } | ClassKind::Asymmetric { primary_key } => {
                name.clone_into(primary_key);
            }
            ClassKind::Embedded => (),
        }
        self.field::<T>(name)
    }
}

/// The fields of an object.
///
/// # Errors
///
/// [`ObjectError`] if a field serializes as something that no property holds.
pub fn to_fields<T: Object>(object: &T) -> Result<BTreeMap<String, Value>, ObjectError> {
    match object.serialize(serialize::ToValue)? {
        Value::Object(fields) | Value::Dictionary(fields) => Ok(fields),
        other => Err(ObjectError::expected("a struct", &other)),
    }
}

/// The object with these fields.
///
/// # Errors
///
/// [`ObjectError`] if a field is missing, or holds what the struct cannot.
pub fn from_fields<T: DeserializeOwned>(fields: BTreeMap<String, Value>) -> Result<T, ObjectError> {
    T::deserialize(deserialize::FromValue(Value::Object(fields)))
}

#[cfg(test)]
mod tests;
