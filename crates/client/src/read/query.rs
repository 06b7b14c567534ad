//! What is looked for.

use std::fmt;
use std::sync::Arc;

use super::{ObjectView, ReadError};
use crate::object::Object;
use crate::value::Value;

/// What an object is read as: an [`ObjectView`], or an [`Object`].
pub trait Record: Sized {
    /// Reads an object.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    fn read(object: &ObjectView) -> Result<Self, ReadError>;
}

impl Record for ObjectView {
    fn read(object: &ObjectView) -> Result<Self, ReadError> {
        Ok(object.clone())
    }
}

impl<T: Object> Record for T {
    fn read(object: &ObjectView) -> Result<Self, ReadError> {
        object.to_typed()
    }
}

/// Which objects of a class are looked for, and in what order.
///
/// ```
/// use bailiwick_client::read::Query;
///
/// let adults = Query::class("Person")
///     .equals("city", "Bergen")
///     .filter(|person| person.get("age").is_ok_and(|age| age.as_int() >= Some(18)))
///     .sort_by("name")
///     .limit(100);
/// ```
pub struct Query<T = ObjectView> {
    pub(super) class: Arc<str>,
    pub(super) equals: Vec<(Arc<str>, Value)>,
    pub(super) filters: Vec<Filter<T>>,
    pub(super) order: Vec<(Arc<str>, Direction)>,
    pub(super) limit: Option<usize>,
}

pub(super) type Filter<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;

/// Which way to sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

impl Query {
    /// All objects of a class.
    pub fn class(name: &str) -> Self {
        Self::all(name)
    }
}

impl<T: Object> Query<T> {
    /// All objects of the struct's class.
    pub fn new() -> Self {
        Self::all(T::CLASS)
    }
}

impl<T: Object> Default for Query<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Query<T> {
    fn all(class: &str) -> Self {
        let class = class.into();
        Self { class, equals: Vec::new(), filters: Vec::new(), order: Vec::new(), limit: None }
    }

    /// Only objects that hold this value in a field. For the primary key that is one look-up.
    ///
    /// Numbers in fields of mixed type are equal if their values are. A link to an object that does not exist is null.
    #[must_use]
    pub fn equals(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.equals.push((field.into(), value.into()));
        self
    }

    /// Only objects for which `filter` says so. It is asked after all [`equals`](Self::equals).
    #[must_use]
    pub fn filter(mut self, filter: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.filters.push(Arc::new(filter));
        self
    }

    /// Sorts by a field, ascending: null first, text by its bytes. What earlier calls have sorted differently stays
    /// so; objects that are equal in all these fields are in the order of their keys.
    #[must_use]
    pub fn sort_by(mut self, field: &str) -> Self {
        self.order.push((field.into(), Direction::Ascending));
        self
    }

    /// As [`sort_by`](Self::sort_by), descending.
    #[must_use]
    pub fn sort_by_descending(mut self, field: &str) -> Self {
        self.order.push((field.into(), Direction::Descending));
        self
    }

    /// At most so many objects, the first ones.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(self.limit.map_or(limit, |former| former.min(limit)));
        self
    }
}

impl<T> Clone for Query<T> {
    fn clone(&self) -> Self {
        Self {
            class: Arc::clone(&self.class),
            equals: self.equals.clone(),
            filters: self.filters.clone(),
            order: self.order.clone(),
            limit: self.limit,
        }
    }
}

impl<T> fmt::Debug for Query<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("class", &self.class)
            .field("equals", &self.equals)
            .field("filters", &self.filters.len())
            .field("order", &self.order)
            .field("limit", &self.limit)
            .finish()
    }
}
