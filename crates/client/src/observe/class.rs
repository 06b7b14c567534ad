//! Following all objects of a class.

use bailiwick_core::schema::ClassId;

use super::difference::visit;
use super::{Observer, Step};
use crate::read::{ReadError, View};
use crate::value::PrimaryKey;

/// What happens to the objects of a class.
#[derive(Clone, Debug)]
pub enum ClassChange {
    /// The first item.
    Initial(View),
    /// Objects were inserted, modified or deleted; all in the order of their keys.
    Changed {
        /// The state in which it is so.
        view: View,
        /// Objects that are new.
        inserted: Vec<PrimaryKey>,
        /// Objects that are different.
        modified: Vec<Modified>,
        /// Objects that are gone.
        deleted: Vec<PrimaryKey>,
    },
}

/// An object that is different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modified {
    /// The object.
    pub key: PrimaryKey,
    /// The fields that have changed, in the order of their names.
    pub fields: Vec<String>,
}

pub(super) struct ClassObserver {
    pub(super) class: ClassId,
}

impl Observer for ClassObserver {
    type Item = ClassChange;

    fn start(&mut self, view: &View) -> Result<ClassChange, ReadError> {
        Ok(ClassChange::Initial(view.clone()))
    }

    fn next(&mut self, step: &Step) -> Result<Option<ClassChange>, ReadError> {
        let (mut inserted, mut modified, mut deleted) = (Vec::new(), Vec::new(), Vec::new());
        visit(step, self.class, |pair| {
            let fields = pair.changed_fields()?;
            match (pair.old, pair.new) {
                (None, _) => inserted.push(pair.key),
                (_, None) => deleted.push(pair.key),
                (Some(_), Some(_)) if !fields.is_empty() => {
                    modified.push(Modified { key: pair.key, fields });
                }
                (Some(_), Some(_)) => (),
            }
            Ok(())
        })?;
        let is_same = inserted.is_empty() && modified.is_empty() && deleted.is_empty();
        let view = step.new.clone();
        Ok((!is_same).then_some(ClassChange::Changed { view, inserted, modified, deleted }))
    }
}
