//! Following one object.

use std::marker::PhantomData;

use bailiwick_core::schema::ClassId;

use super::difference::Pair;
use super::{Observer, Step};
use crate::read::{ReadError, Record, View};
use crate::value::PrimaryKey;

/// What happens to an object.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectChange<T> {
    /// The first item: the object, if it is there.
    Initial(Option<T>),
    /// It is there now.
    Inserted(T),
    /// It has changed.
    Modified {
        /// The object as it is now.
        object: T,
        /// The fields that have changed.
        fields: Vec<String>,
    },
    /// It is gone. If it is inserted again, that will be told.
    Deleted,
}

pub(super) struct ObjectObserver<T> {
    class: ClassId,
    key: PrimaryKey,
    record: PhantomData<fn() -> T>,
}

impl<T> ObjectObserver<T> {
    pub(super) fn new(class: ClassId, key: PrimaryKey) -> Self {
        Self { class, key, record: PhantomData }
    }
}

impl<T: Record + Send + 'static> Observer for ObjectObserver<T> {
    type Item = ObjectChange<T>;

    fn start(&mut self, view: &View) -> Result<ObjectChange<T>, ReadError> {
        let object = view.read(self.class, &self.key)?;
        Ok(ObjectChange::Initial(object.map(|object| T::read(&object)).transpose()?))
    }

    fn next(&mut self, step: &Step) -> Result<Option<ObjectChange<T>>, ReadError> {
        if !step.may_touch(self.class, &self.key) {
            return Ok(None);
        }
        let old = step.old.read(self.class, &self.key)?;
        let new = step.new.read(self.class, &self.key)?;
        let pair = Pair { key: self.key.clone(), old, new };
        let fields = pair.changed_fields()?;
        Ok(match (pair.old, pair.new) {
            (None, Some(object)) => Some(ObjectChange::Inserted(T::read(&object)?)),
            (Some(_), Some(object)) if !fields.is_empty() => {
                Some(ObjectChange::Modified { object: T::read(&object)?, fields })
            }
            (Some(_), None) => Some(ObjectChange::Deleted),
            _ => None,
        })
    }
}
