//! What an application does to a realm: edits, which become instructions and are carried out at once.
//!
//! A [`WriteTransaction`] turns each edit into the instructions that an official SDK writes for it, applies them to the
//! objects that it has read from a [`Snapshot`], and keeps them in one changeset. So what is uploaded is what was done
//! here, and an edit that no device could follow is refused where it is made. Spec: applying, sections 5.4, 6 and 7.
//!
//! Objects are edited by handles that borrow the transaction: [`ObjectMut`], and [`ListMut`], [`SetMut`] and
//! [`DictionaryMut`] for what is in them. An error names the place and the [`Problem`].
//!
//! Nothing is written to the file here: [`WriteTransaction::finish`] gives what [`Realm::write`](crate::realm::Realm)
//! commits. No clock, no randomness, no I/O but reading.
//!
//! ```
//! use bailiwick_client::schema::{Class, PropertyType};
//! use bailiwick_client::write::Problem;
//! use bailiwick_client::{Realm, Schema, WriteError};
//!
//! let item = Class::new("Item").primary_key("_id", PropertyType::Int);
//! let item = item.property("quantity", PropertyType::Int).list("tags", PropertyType::String);
//! let item = item.dictionary("prices", PropertyType::Decimal).property("other", PropertyType::Mixed);
//! let realm = Realm::in_memory(Schema::new().class(item))?;
//!
//! realm.write(|tx| {
//!     let mut hammer = tx.create("Item", 1)?;
//!     // Additions of several devices add up; of two values that are set the later one stays.
//!     hammer.set("quantity", 10)?.add("quantity", -3)?;
//!     hammer.list("tags")?.push("steel")?.insert(0, "tool")?;
//!     hammer.set("other", "any type")?;
//!     assert_eq!(hammer.get("quantity")?.as_int(), Some(7));
//!
//!     let error = hammer.set("quantity", "seven").unwrap_err();
//!     assert_eq!(error.to_string(), "Item[1].quantity: the value should be of type int, not string");
//!     assert!(matches!(tx.create("Item", 1).unwrap_err().problem(), Some(Problem::Exists)));
//!     tx.create_or_update("Item", 1)?.set("quantity", 8)?;
//!     tx.create("Item", 2)?;
//!     tx.delete("Item", 2)
//! })?;
//! # Ok::<(), WriteError>(())
//! ```

mod assign;
mod declare;
mod delete;
mod dictionary;
mod emit;
mod error;
mod list;
mod names;
mod object;
mod place;
mod set;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_core::apply::{Changes, Draft, Fault, Transaction};
use bailiwick_core::schema::{Class, ClassId, ClassKind, Schema};
use bailiwick_core::state::{ObjectRow, PrimaryKey, decode_row};
use bailiwick_protocol::changeset::{Changeset, Instruction};

pub use dictionary::DictionaryMut;
pub use error::{Problem, RefusedEdit, SchemaConflict, WriteError};
pub use list::ListMut;
pub use object::ObjectMut;
pub use set::SetMut;

pub(crate) use delete::erase_object;

use crate::local::Snapshot;
use error::Stop;
use place::{ObjectPlace, class_named};

/// A transaction of the application: it sees its own edits, and nobody else does before it is committed.
///
/// An edit that is refused does nothing, and the transaction can go on. After another error it must be given up.
#[derive(Debug)]
pub struct WriteTransaction<'a> {
    snapshot: &'a Snapshot,
    objects: Transaction<'a, Snapshot>,
    draft: Draft,
    /// By the row of an object, the rows of those that were given a link to it here.
    links: BTreeMap<ObjectRow, BTreeSet<ObjectRow>>,
    /// An edit of several instructions is going on, which is done as a whole or not at all.
    is_whole: bool,
    /// What is written was there before, with its links, whose objects may be gone.
    moves_links: bool,
}

/// All that a transaction has done.
#[derive(Debug, Default)]
pub struct Edits {
    /// What it did, for the server.
    pub changeset: Changeset,
    /// What that made of the objects.
    pub changes: Changes,
}

impl<'a> WriteTransaction<'a> {
    /// Starts from a state of the file, which must be the latest one when the edits are committed.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            objects: Transaction::new(snapshot.schema(), snapshot),
            draft: Draft::default(),
            links: BTreeMap::new(),
            is_whole: false,
            moves_links: false,
        }
    }

    /// Creates an object with default values.
    ///
    /// # Errors
    ///
    /// [`Problem::Exists`] if there is such an object, or another [`Problem`] if there cannot be one.
    pub fn create(
        &mut self,
        class: &str,
        key: impl Into<PrimaryKey>,
    ) -> Result<ObjectMut<'_, 'a>, WriteError> {
        let key = key.into();
        let class = self.class(class)?;
        if self.contains(class, &key)? {
            return Err(self.refuse_object(class, &key, Problem::Exists));
        }
        self.create_new(class, key)
    }

    /// The object with this key, which is created with default values if it is not there.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there cannot be such an object.
    pub fn create_or_update(
        &mut self,
        class: &str,
        key: impl Into<PrimaryKey>,
    ) -> Result<ObjectMut<'_, 'a>, WriteError> {
        let key = key.into();
        let class = self.class(class)?;
        if self.contains(class, &key)? {
            Ok(ObjectMut::new(self, ObjectPlace::new(class, key)))
        } else {
            self.create_new(class, key)
        }
    }

    /// The object with this key.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is no such object.
    pub fn object(
        &mut self,
        class: &str,
        key: impl Into<PrimaryKey>,
    ) -> Result<ObjectMut<'_, 'a>, WriteError> {
        let key = key.into();
        let class = self.existing(class, &key)?;
        Ok(ObjectMut::new(self, ObjectPlace::new(class, key)))
    }

    /// The object with this key, if there is one.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is no such class.
    pub fn find(
        &mut self,
        class: &str,
        key: impl Into<PrimaryKey>,
    ) -> Result<Option<ObjectMut<'_, 'a>>, WriteError> {
        let key = key.into();
        let class = self.class(class)?;
        if self.contains(class, &key)? {
            Ok(Some(ObjectMut::new(self, ObjectPlace::new(class, key))))
        } else {
            Ok(None)
        }
    }

    /// Deletes an object, with all links to it and the objects embedded in it.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is no such object, or if it is asymmetric.
    pub fn delete(&mut self, class: &str, key: impl Into<PrimaryKey>) -> Result<(), WriteError> {
        let key = key.into();
        let class = self.existing(class, &key)?;
        self.whole(|tx| tx.delete_object(class, &key, None))
    }

    /// Deletes all objects of a class, and tells how many there were.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is no such class, or if it is asymmetric.
    pub fn delete_all(&mut self, class: &str) -> Result<usize, WriteError> {
        let id = self.class(class)?;
        let keys = self.keys(class)?;
        self.whole(|tx| keys.iter().try_for_each(|key| tx.delete_object(id, key, Some(id))))?;
        Ok(keys.len())
    }

    /// The keys of all objects of a class, in their order.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if there is no such class.
    pub fn keys(&self, class: &str) -> Result<Vec<PrimaryKey>, WriteError> {
        let rows = self.objects.rows(self.class(class)?)?;
        let keys = rows.iter().filter_map(|row| decode_row(row).ok());
        Ok(keys.map(|(_, key)| key).collect())
    }

    /// The classes, with those that were declared here.
    pub fn schema(&self) -> &Schema {
        self.objects.schema()
    }

    /// What was written so far.
    pub fn changeset(&self) -> &Changeset {
        self.draft.changeset()
    }

    /// What was done, to be committed.
    pub fn finish(self) -> Edits {
        let mut changes = self.objects.finish();
        let schema = changes.schema.as_ref().unwrap_or(self.snapshot.schema());
        let stays = |row: &ObjectRow| {
            let class = decode_row(row).ok().and_then(|(class, _)| schema.class_by_id(class));
            class.is_none_or(|class| class.kind() != ClassKind::Asymmetric)
        };
        changes.objects.retain(|(row, _)| stays(row));
        Edits { changeset: self.draft.into_changeset(), changes }
    }

    fn create_new(
        &mut self,
        class: ClassId,
        key: PrimaryKey,
    ) -> Result<ObjectMut<'_, 'a>, WriteError> {
        self.try_create(class, &key).map_err(|stop| self.refuse_object(class, &key, stop))?;
        Ok(ObjectMut::new(self, ObjectPlace::new(class, key)))
    }

    fn try_create(&mut self, class: ClassId, key: &PrimaryKey) -> Result<(), Stop> {
        let has_key = self.schema().class_by_id(class).is_some_and(|c| c.primary_key().is_some());
        let is_embedded =
            self.schema().class_by_id(class).is_some_and(|c| c.kind() == ClassKind::Embedded);
        if !has_key && !is_embedded {
            return Err(Problem::NoPrimaryKey.into());
        }
        let (table, object) = self.name(class, key)?;
        self.extend(Instruction::CreateObject { table, object })
    }

    /// The class of this name.
    fn class(&self, name: &str) -> Result<ClassId, WriteError> {
        let class = class_named(self.schema(), name).map(Class::id);
        class.map_err(|problem| {
            let (class, path) = (name.to_owned(), String::new());
            WriteError::Refused(Box::new(RefusedEdit { class, key: None, path, problem }))
        })
    }

    /// The class of this name, if it has an object with this key.
    fn existing(&self, class: &str, key: &PrimaryKey) -> Result<ClassId, WriteError> {
        let class = self.class(class)?;
        if self.contains(class, key)? {
            Ok(class)
        } else {
            Err(self.refuse_object(class, key, Fault::NoObject))
        }
    }

    fn contains(&self, class: ClassId, key: &PrimaryKey) -> Result<bool, WriteError> {
        Ok(self.objects.contains(class, key)?)
    }
}
