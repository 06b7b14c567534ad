//! Links between structs.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::field::Kind;
use super::{Element, Object};
use crate::read::{ReadError, View};
use crate::schema::PropertyType;
use crate::value::{self, PrimaryKey};

/// A link to an object of class `T`: its key, and nothing else of it.
///
/// A link to an object that does not exist reads as null. It comes to life by itself when the object is created.
pub struct Link<T> {
    key: PrimaryKey,
    class: PhantomData<fn() -> T>,
}

impl<T: Object> Link<T> {
    /// A link to the object with this key.
    pub fn new(key: impl Into<PrimaryKey>) -> Self {
        Self { key: key.into(), class: PhantomData }
    }

    /// A link to an object.
    pub fn to(object: &T) -> Self {
        Self::new(object.key())
    }

    /// The object, in a state of the realm.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn get(&self, view: &View) -> Result<Option<T>, ReadError> {
        view.get(&self.key)
    }
}

impl<T> Link<T> {
    /// The key of the object.
    pub fn key(&self) -> &PrimaryKey {
        &self.key
    }
}

impl<T: Object> From<Link<T>> for value::Link {
    fn from(link: Link<T>) -> Self {
        Self::new(T::CLASS, link.key)
    }
}

impl<T: Object> From<Link<T>> for value::Value {
    fn from(link: Link<T>) -> Self {
        Self::Link(link.into())
    }
}

impl<T: Object> Element for Link<T> {
    const KIND: Kind = Kind::Reference;

    fn property_type() -> PropertyType {
        PropertyType::Link(T::CLASS.to_owned())
    }
}

impl<T: Object> Serialize for Link<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        value::Link::from(self.clone()).serialize(serializer)
    }
}

impl<'de, T: Object> Deserialize<'de> for Link<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let link = value::Link::deserialize(deserializer)?;
        if link.class != T::CLASS {
            return Err(D::Error::custom(format_args!("{link} is not of class {:?}", T::CLASS)));
        }
        Ok(Self::new(link.key))
    }
}

// Derived ones would ask the same of `T`.

impl<T> Clone for Link<T> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), class: PhantomData }
    }
}

impl<T> PartialEq for Link<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for Link<T> {}

impl<T> Hash for Link<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl<T> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.key)
    }
}
