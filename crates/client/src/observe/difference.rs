//! How two states of an object, or of a class, differ.

use std::cmp::Ordering;

use bailiwick_core::schema::ClassId;

use super::{Step, Touched};
use crate::read::{ObjectView, ReadError, View};
use crate::value::PrimaryKey;

/// An object before and after; at least one of both is there.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: PrimaryKey,
    pub(super) old: Option<ObjectView>,
    pub(super) new: Option<ObjectView>,
}

impl Pair {
    /// The fields that read differently, in the order of their names; none if only one of both is there.
    pub(super) fn changed_fields(&self) -> Result<Vec<String>, ReadError> {
        let (Some(old), Some(new)) = (&self.old, &self.new) else { return Ok(Vec::new()) };
        let mut changed = Vec::new();
        for (field, _) in new.declaration().columns() {
            // A field that came is not a change of its objects.
            let was_there = old.declaration().column(field).is_some();
            if was_there && old.get(field)? != new.get(field)? {
                changed.push(field.to_owned());
            }
        }
        Ok(changed)
    }
}

/// Gives all objects of a class that may differ to `visit`, in the order of their keys.
pub(super) fn visit(
    step: &Step,
    class: ClassId,
    mut visit: impl FnMut(Pair) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    match &step.touched {
        Touched::Objects(objects) => {
            for key in objects.get(&class).into_iter().flatten() {
                let old = step.old.read(class, key)?;
                let new = step.new.read(class, key)?;
                if old.is_some() || new.is_some() {
                    visit(Pair { key: key.clone(), old, new })?;
                }
            }
            Ok(())
        }
        Touched::Anything => visit_all(&step.old, &step.new, class, visit),
    }
}

/// Gives all objects of a class in two states to `visit`, in the order of their keys.
pub(super) fn visit_all(
    old: &View,
    new: &View,
    class: ClassId,
    mut visit: impl FnMut(Pair) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let (mut olds, mut news) = (old.read_all(class)?, new.read_all(class)?);
    let mut next_old = olds.next().transpose()?;
    let mut next_new = news.next().transpose()?;
    loop {
        let order = match (&next_old, &next_new) {
            (Some(old), Some(new)) => old.key().cmp(new.key()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return Ok(()),
        };
        let (mut old, mut new) = (None, None);
        if order.is_le() {
            old = std::mem::replace(&mut next_old, olds.next().transpose()?);
        }
        if order.is_ge() {
            new = std::mem::replace(&mut next_new, news.next().transpose()?);
        }
        if let Some(object) = new.as_ref().or(old.as_ref()) {
            visit(Pair { key: object.key().clone(), old, new })?;
        }
    }
}
