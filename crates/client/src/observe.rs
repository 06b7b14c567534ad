//! Following a realm: streams of what changes in an object, a class, or what a query is about.
//!
//! A stream begins with the state at the time it was made. Then each item tells what one commit, or several since the
//! last item, have changed, and has the [`View`] in which it is so. Commits that change nothing of interest are not
//! told. A stream ends when the realm is closed.
//!
//! Nothing is polled and nothing is lost: whoever does not keep up is told less often, not less. While nobody asks
//! for the next item the file keeps the state of the last one.
//!
//! ```
//! use bailiwick_client::observe::QueryChange;
//! use bailiwick_client::{Query, Realm, Schema, object};
//! use futures_util::StreamExt as _;
//!
//! object! {
//!     struct Task { #[primary_key] _id: i64, text: String, is_done: bool }
//! }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let realm = Realm::in_memory(Schema::new().with::<Task>())?;
//! let open = Query::<Task>::new().equals("is_done", false).sort_by("text");
//! let mut changes = realm.observe(open.clone())?;
//! assert!(matches!(changes.next().await, Some(Ok(QueryChange::Initial(_)))));
//!
//! realm.write(|tx| tx.insert(&Task { _id: 1, text: "Buy milk".into(), is_done: false }))?;
//! let Some(Ok(QueryChange::Changed { view, entered, .. })) = changes.next().await else {
//!     panic!("a task has entered")
//! };
//! assert_eq!((&entered[0].key, entered[0].position), (&1.into(), Some(0)));
//! assert_eq!(view.first(&open)?.map(|task| task.text), Some("Buy milk".to_owned()));
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(example())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod changes;
mod class;
mod difference;
mod object;
mod query;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_core::schema::ClassId;

use crate::object::Object;
use crate::read::{ObjectView, Query, ReadError, Record, View};
use crate::realm::Realm;
use crate::value::{PrimaryKey, stored};

pub use changes::Changes;
pub use class::{ClassChange, Modified};
pub use object::ObjectChange;
pub use query::{Entry, ModifiedEntry, QueryChange};

use source::Source;

impl Realm {
    /// Follows the object with this key, whether it is there already or not.
    ///
    /// # Errors
    ///
    /// There is no such class, its objects cannot have this key, or the file cannot be read.
    pub fn observe_object(
        &self,
        class: &str,
        key: impl Into<PrimaryKey>,
    ) -> Result<Changes<ObjectChange<ObjectView>>, ReadError> {
        self.observe_one(class, key.into())
    }

    /// As [`observe_object`](Self::observe_object), with the object as a struct.
    ///
    /// # Errors
    ///
    /// As [`observe_object`](Self::observe_object).
    pub fn observe_struct<T: Object + Send + 'static>(
        &self,
        key: impl Into<PrimaryKey>,
    ) -> Result<Changes<ObjectChange<T>>, ReadError> {
        self.observe_one(T::CLASS, key.into())
    }

    /// Follows all objects of a class.
    ///
    /// # Errors
    ///
    /// There is no such class, or the file cannot be read.
    pub fn observe_class(&self, class: &str) -> Result<Changes<ClassChange>, ReadError> {
        let (source, view) = Source::new(self.file())?;
        let class = view.class(class)?.id();
        Ok(Changes::new(source, view, class::ClassObserver { class }))
    }

    /// Follows what a query is about.
    ///
    /// If it is sorted or limited, the keys of what it is about are kept, with the values that are sorted by.
    ///
    /// # Errors
    ///
    /// The query does not fit the realm's classes, or the file cannot be read.
    pub fn observe<T: Record + Send + 'static>(
        &self,
        query: Query<T>,
    ) -> Result<Changes<QueryChange>, ReadError> {
        let (source, view) = Source::new(self.file())?;
        let observer = query::QueryObserver::new(query, &view)?;
        Ok(Changes::new(source, view, observer))
    }

    fn observe_one<T: Record + Send + 'static>(
        &self,
        class: &str,
        key: PrimaryKey,
    ) -> Result<Changes<ObjectChange<T>>, ReadError> {
        let (source, view) = Source::new(self.file())?;
        let class = view.class(class)?;
        stored::check_key(class, &key)
            .map_err(|error| ReadError::Value { class: class.name().to_owned(), error })?;
        let observer = object::ObjectObserver::new(class.id(), key);
        Ok(Changes::new(source, view, observer))
    }
}

/// Makes items of what happens.
pub(crate) trait Observer: Send + 'static {
    type Item: Send + 'static;

    /// The first item.
    fn start(&mut self, view: &View) -> Result<Self::Item, ReadError>;

    /// What is different, if anything is.
    fn next(&mut self, step: &Step) -> Result<Option<Self::Item>, ReadError>;
}

/// Two states of a realm, and what to look at to tell them apart.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) old: View,
    pub(crate) new: View,
    pub(crate) touched: Touched,
}

impl Step {
    /// Whether the object may be different.
    pub(crate) fn may_touch(&self, class: ClassId, key: &PrimaryKey) -> bool {
        match &self.touched {
            Touched::Objects(objects) => objects.get(&class).is_some_and(|keys| keys.contains(key)),
            Touched::Anything => true,
        }
    }

    /// Whether any object of the class may be different.
    pub(crate) fn may_touch_any(&self, class: ClassId) -> bool {
        match &self.touched {
            Touched::Objects(objects) => objects.contains_key(&class),
            Touched::Anything => true,
        }
    }
}

/// Keys of objects, by class.
pub(crate) type Objects = BTreeMap<ClassId, BTreeSet<PrimaryKey>>;

/// Objects that may be different: those that were written, and those with a link to an object that came or went.
#[derive(Debug)]
pub(crate) enum Touched {
    /// These.
    Objects(Objects),
    /// Nobody knows which.
    Anything,
}

#[cfg(test)]
mod tests;
