//! One pair: a local and an incoming instruction made at the same time.
//!
//! Spec: merge, sections 4 and 6.

use std::cmp::Ordering;

use bailiwick_protocol::changeset::Kind;

use super::error::MergeFault;
use super::op::{Op, Sides};
use super::{field, list, nested, object, schema, set};

/// What is left to do after a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Outcome {
    /// Nothing.
    Done,
    /// The erased class was the target of the discarded column: the column is to be erased before the
    /// EraseTable, on its side.
    EraseColumnFirst,
}

/// Edits both, so that each can follow the other; `a` is the local one.
///
/// After an error, contents are unspecified.
#[inline]
pub(super) fn merge_pair(
    a: &mut Op,
    b: &mut Op,
    sides: &mut Sides<'_>,
) -> Result<Outcome, MergeFault> {
    if a.kind == Kind::ArrayInsert && b.kind == a.kind && a.level == b.level {
        list::insert_insert(a, b)?;
        return Ok(Outcome::Done);
    }
    any_pair(a, b, sides)
}

/// The other pairs, out of the way of the one that there are most of.
#[inline(never)]
fn any_pair(a: &mut Op, b: &mut Op, sides: &mut Sides<'_>) -> Result<Outcome, MergeFault> {
    match a.level.cmp(&b.level) {
        Ordering::Less => nested::merge(a, b)?,
        Ordering::Greater => nested::merge(b, a)?,
        Ordering::Equal => (),
    }
    if a.is_live && b.is_live { regular(a, b, sides) } else { Ok(Outcome::Done) }
}

/// The rules for two kinds, whichever of them is local.
fn regular(a: &mut Op, b: &mut Op, sides: &mut Sides<'_>) -> Result<Outcome, MergeFault> {
    use Kind::{
        AddColumn, AddInteger, AddTable, ArrayErase, ArrayInsert, ArrayMove, Clear, CreateObject,
        EraseColumn, EraseObject, EraseTable, SetErase, SetInsert, Update,
    };
    // Only pairs of one kind can tell `a` and `b` apart, and they are left in their order.
    let (a, b) = if a.kind <= b.kind { (a, b) } else { (b, a) };
    match (a.kind, b.kind) {
        (ArrayInsert, ArrayMove) => list::move_insert(b, a)?,
        (ArrayInsert, ArrayErase) => list::erase_insert(b, a)?,
        (ArrayMove, ArrayMove) => list::move_move(a, b)?,
        (ArrayMove, ArrayErase) => list::erase_move(b, a)?,
        (ArrayErase, ArrayErase) => list::erase_erase(a, b)?,
        (Update, ArrayInsert) => list::insert_update(b, a)?,
        (Update, ArrayMove) => list::move_update(b, a)?,
        (Update, ArrayErase) => list::erase_update(b, a)?,

        (Update, Update) => field::update_update(a, b)?,
        (Update, AddInteger) => field::add_update(b, a, sides),
        (Update, Clear) => field::clear_update(b, a, sides),
        (AddInteger, Clear) => field::clear_add(b, a),
        (Clear, Clear) => field::clear_clear(a, b),

        (Clear, SetInsert | SetErase) => set::clear_element(a, b),
        (SetInsert, SetInsert | SetErase) => set::same_element(b, a, sides),
        (SetErase, SetErase) => set::same_element(a, b, sides),

        (CreateObject, EraseObject) => object::erase_create(b, a),
        (EraseObject, EraseObject) => object::erase_erase(a, b),

        (AddTable, AddTable) => schema::add_table_twice(a, b, sides)?,
        (AddTable, EraseTable) => schema::erase_add_table(b, a),
        (EraseTable, EraseTable) => schema::erase_table_twice(a, b),
        (EraseTable, AddColumn) => return Ok(schema::erase_target(a, b, sides)),
        (AddColumn, AddColumn) => schema::add_column_twice(a, b, sides)?,
        (AddColumn | Update, EraseColumn) => schema::erase_column(b, a),
        (EraseColumn, EraseColumn) => schema::erase_column_twice(a, b),
        _ => (),
    }
    Ok(Outcome::Done)
}

/// Discards the earlier of two; the second, if their authors and times are equal.
pub(super) fn discard_earlier(a: &mut Op, b: &mut Op) {
    if a.disc < b.disc {
        a.discard();
    } else {
        b.discard();
    }
}
