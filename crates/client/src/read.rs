//! Reading a realm: one state of it, which does not change while it is looked at.
//!
//! A [`View`] is cheap to copy and to keep for a while, and never in the way of a writer. Objects are read from it by
//! their keys, all of a class, or by a [`Query`]; as [`ObjectView`]s, which know their fields by name, or as
//! [`Object`]s, the application's own structs.
//!
//! ```
//! use bailiwick_client::{Query, Realm, Schema, WriteError, object};
//!
//! object! {
//!     struct Item { #[primary_key] _id: i64, name: String, quantity: i64 }
//! }
//! let realm = Realm::in_memory(Schema::new().with::<Item>())?;
//! realm.write(|tx| {
//!     tx.insert(&Item { _id: 1, name: "Hammer".into(), quantity: 10 })?;
//!     tx.insert(&Item { _id: 2, name: "Saw".into(), quantity: 0 })?;
//!     tx.insert(&Item { _id: 3, name: "Nails".into(), quantity: 500 })
//! })?;
//!
//! let view = realm.view()?;
//! let in_stock = Query::<Item>::new().filter(|item| item.quantity > 0).sort_by("name");
//! let names = view.find(&in_stock)?.map(|item| Ok(item?.name));
//! assert_eq!(names.collect::<Result<Vec<_>, bailiwick_client::ReadError>>()?, ["Hammer", "Nails"]);
//! assert_eq!(view.count(&Query::<Item>::new().equals("quantity", 0))?, 1);
//!
//! // By name, for programs that do not know the classes.
//! let saw = view.object("Item", 2)?.expect("it was inserted");
//! assert_eq!(saw.get("name")?.as_str(), Some("Saw"));
//!
//! // What is written later is not in the view.
//! realm.write(|tx| tx.delete("Item", 2))?;
//! assert_eq!(view.count(&Query::<Item>::new())?, 3);
//! assert_eq!(realm.view()?.count(&Query::<Item>::new())?, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod found;
mod matching;
mod object_view;
mod query;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_core::schema::{Class, ClassId};
use bailiwick_core::state::PrimaryKey;
use bailiwick_protocol::version::ClientVersion;

use crate::local::Snapshot;
use crate::object::Object;
use crate::realm::Realm;
use crate::schema::Schema;
use crate::value::{Link, stored};

pub use error::ReadError;
pub use found::Found;
pub(crate) use found::sort;
pub(crate) use matching::{Matching, Place};
pub use object_view::ObjectView;
pub use query::{Query, Record};

/// One state of a realm.
#[derive(Clone, Debug)]
pub struct View {
    snapshot: Snapshot,
    /// Notes which classes are read, for whom it concerns.
    watch: Option<Arc<Watch>>,
}

/// The classes of which objects were read.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    classes: Mutex<BTreeSet<ClassId>>,
}

impl View {
    /// The state that a snapshot of the file holds.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot, watch: None }
    }

    /// The same state, and notes of what is read from it.
    pub(crate) fn watched(&self, watch: &Arc<Watch>) -> Self {
        Self { snapshot: self.snapshot.clone(), watch: Some(Arc::clone(watch)) }
    }

    /// The version of the file that this is. Versions grow with each commit.
    pub fn version(&self) -> ClientVersion {
        self.snapshot.state().version
    }

    /// The classes of the realm: those of this application and of others that use the same partition.
    pub fn schema(&self) -> Schema {
        Schema::from_stored(self.snapshot.schema())
    }

    /// The snapshot of the file.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The object with this key, as a struct.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn get<T: Object>(&self, key: impl Into<PrimaryKey>) -> Result<Option<T>, ReadError> {
        let object = self.object(T::CLASS, key)?;
        object.map(|object| object.to_typed()).transpose()
    }

    /// The object with this key.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn object(
        &self,
        class: &str,
        key: impl Into<PrimaryKey>,
    ) -> Result<Option<ObjectView>, ReadError> {
        let class = self.class(class)?;
        let key = key.into();
        stored::check_key(class, &key)
            .map_err(|error| ReadError::Value { class: class.name().to_owned(), error })?;
        self.note(class.id());
        self.read(class.id(), &key)
    }

    /// The object that a link leads to.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn follow(&self, link: &Link) -> Result<Option<ObjectView>, ReadError> {
        self.object(&link.class, &link.key)
    }

    /// All objects of a class in the order of their keys, read one by one.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn objects(&self, class: &str) -> Result<Found<ObjectView>, ReadError> {
        self.find(&Query::class(class))
    }

    /// All objects of a class in the order of their keys, as structs, read one by one.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn all<T: Object>(&self) -> Result<Found<T>, ReadError> {
        self.find(&Query::new())
    }

    /// The objects that a query is about.
    ///
    /// If they are not sorted they are read one by one. Sorted ones are read twice: once for their place, of which only
    /// the keys and the values that are sorted by are kept, then one by one.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn find<T: Record>(&self, query: &Query<T>) -> Result<Found<T>, ReadError> {
        Found::new(self, query)
    }

    /// How many objects a query is about. Keeps none of them.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn count<T: Record>(&self, query: &Query<T>) -> Result<usize, ReadError> {
        found::count(self, query)
    }

    /// The first object of a query.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn first<T: Record>(&self, query: &Query<T>) -> Result<Option<T>, ReadError> {
        self.find(&query.clone().limit(1))?.next().transpose()
    }

    pub(crate) fn class(&self, name: &str) -> Result<&Class, ReadError> {
        let class = self.snapshot.schema().class(name);
        class.ok_or_else(|| ReadError::NoClass(name.to_owned()))
    }

    /// The object with this key, without a note of it.
    pub(crate) fn read(
        &self,
        class: ClassId,
        key: &PrimaryKey,
    ) -> Result<Option<ObjectView>, ReadError> {
        let object = self.snapshot.get(class, key)?;
        Ok(object.map(|object| ObjectView::new(self.clone(), class, key.clone(), object)))
    }

    /// All objects of a class in the order of their keys, without a note of them; none if there is no such class.
    pub(crate) fn read_all(
        &self,
        class: ClassId,
    ) -> Result<impl Iterator<Item = Result<ObjectView, ReadError>> + Send + use<>, ReadError> {
        let view = self.clone();
        Ok(self.snapshot.objects(class)?.map(move |entry| {
            let (key, object) = entry?;
            Ok(ObjectView::new(view.clone(), class, key, object))
        }))
    }

    /// Notes that objects of the class are read.
    fn note(&self, class: ClassId) {
        if let Some(watch) = &self.watch {
            watch.classes.lock().unwrap_or_else(PoisonError::into_inner).insert(class);
        }
    }
}

impl Realm {
    /// The realm as it is now.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn view(&self) -> Result<View, ReadError> {
        Ok(View::new(self.snapshot()?))
    }
}

impl Watch {
    /// The classes that were read so far.
    pub(crate) fn classes(&self) -> BTreeSet<ClassId> {
        self.classes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
pub(crate) mod tests;
