//! List elements against list elements.
//!
//! All ops of one list see the same length, which every rule checks before it moves positions; a mismatch
//! means that an author did not have the base that it claims. Each rule changes the lengths in its own way,
//! which is not always symmetric.
//!
//! Spec: merge, sections 6.4 to 6.6.

use std::cmp::Ordering;

use super::error::MergeFault;
use super::op::{Op, Sets, Step, down, up};

/// The pair that two long histories of one list consist of.
#[inline]
pub(super) fn insert_insert(a: &mut Op, b: &mut Op) -> Result<(), MergeFault> {
    if !a.is_same_container(b) {
        return Ok(());
    }
    check_prior_sizes(a, b)?;
    let prior_size = up(a.prior_size)?;
    for op in [&mut *a, &mut *b] {
        op.prior_size = prior_size;
        op.is_changed = true;
    }
    let (Some(Step::Index(ours)), Some(Step::Index(theirs))) = (&mut a.last, &mut b.last) else {
        return Err(MergeFault::InconsistentPaths);
    };
    let is_ours_behind = *ours > *theirs || *ours == *theirs && a.disc >= b.disc;
    let behind = if is_ours_behind { ours } else { theirs };
    *behind = up(*behind)?;
    Ok(())
}

pub(super) fn erase_insert(erase: &mut Op, insert: &mut Op) -> Result<(), MergeFault> {
    if !erase.is_same_container(insert) {
        return Ok(());
    }
    check_prior_sizes(erase, insert)?;
    check_index(erase)?;
    let (gone, at) = (erase.index()?, insert.index()?);
    if at > insert.prior_size {
        return Err(MergeFault::IndexOutOfRange { index: at, prior_size: insert.prior_size });
    }
    erase.set_prior_size(up(erase.prior_size)?);
    insert.set_prior_size(down(insert.prior_size)?);
    if at <= gone {
        erase.set_index(up(gone)?);
    } else {
        insert.set_index(down(at)?);
    }
    Ok(())
}

pub(super) fn erase_erase(a: &mut Op, b: &mut Op) -> Result<(), MergeFault> {
    if !a.is_same_container(b) {
        return Ok(());
    }
    check_prior_sizes(a, b)?;
    check_index(a)?;
    check_index(b)?;
    a.set_prior_size(down(a.prior_size)?);
    b.set_prior_size(down(b.prior_size)?);
    let (ours, theirs) = (a.index()?, b.index()?);
    match ours.cmp(&theirs) {
        Ordering::Equal => {
            a.discard();
            b.discard();
        }
        Ordering::Greater => a.set_index(down(ours)?),
        Ordering::Less => b.set_index(down(theirs)?),
    }
    Ok(())
}

pub(super) fn insert_update(insert: &mut Op, update: &mut Op) -> Result<(), MergeFault> {
    if !insert.is_same_container(update) {
        return Ok(());
    }
    check_element(update)?;
    check_prior_sizes(insert, update)?;
    check_index(update)?;
    let (at, index) = (insert.index()?, update.index()?);
    if at > insert.prior_size {
        return Err(MergeFault::IndexOutOfRange { index: at, prior_size: insert.prior_size });
    }
    update.set_prior_size(up(update.prior_size)?);
    if index >= at {
        update.set_index(up(index)?);
    }
    Ok(())
}

pub(super) fn erase_update(erase: &mut Op, update: &mut Op) -> Result<(), MergeFault> {
    if !erase.is_same_container(update) {
        return Ok(());
    }
    check_element(update)?;
    check_prior_sizes(erase, update)?;
    check_index(erase)?;
    check_index(update)?;
    let (gone, index) = (erase.index()?, update.index()?);
    update.set_prior_size(down(update.prior_size)?);
    match index.cmp(&gone) {
        Ordering::Equal => update.discard(),
        Ordering::Greater => update.set_index(down(index)?),
        Ordering::Less => (),
    }
    Ok(())
}

/// The lengths are not compared here: a move does not change them.
pub(super) fn move_update(mover: &mut Op, update: &mut Op) -> Result<(), MergeFault> {
    if !mover.is_same_container(update) {
        return Ok(());
    }
    check_element(update)?;
    check_index(mover)?;
    check_index(update)?;
    let index = moved(update.index()?, mover.index()?, mover.to)?;
    update.set_index(index);
    Ok(())
}

/// Where the element at `index` is, once the element at `from` has moved to `to`.
pub(super) fn moved(index: u32, from: u32, to: u32) -> Result<u32, MergeFault> {
    let index = match index.cmp(&from) {
        Ordering::Equal => return Ok(to),
        Ordering::Greater => down(index)?,
        Ordering::Less => index,
    };
    if index >= to { up(index) } else { Ok(index) }
}

/// A move is its removal and its insertion: the other's position is carried past both.
pub(super) fn move_insert(mover: &mut Op, insert: &mut Op) -> Result<(), MergeFault> {
    if !mover.is_same_container(insert) {
        return Ok(());
    }
    let (mut from, mut to, mut at) = (mover.index()?, mover.to, insert.index()?);
    if at > from {
        at = down(at)?;
    } else {
        from = up(from)?;
    }
    let is_move_first = match at.cmp(&to) {
        Ordering::Equal => mover.disc >= insert.disc,
        order => order == Ordering::Greater,
    };
    if is_move_first {
        at = up(at)?;
    } else {
        to = up(to)?;
    }
    mover.set_prior_size(up(mover.prior_size)?);
    mover.set_index(from);
    mover.set_to(to);
    insert.set_index(at);
    Ok(())
}

pub(super) fn erase_move(erase: &mut Op, mover: &mut Op) -> Result<(), MergeFault> {
    if !erase.is_same_container(mover) {
        return Ok(());
    }
    check_prior_sizes(erase, mover)?;
    check_index(erase)?;
    check_index(mover)?;
    let (mut gone, mut from, mut to) = (erase.index()?, mover.index()?, mover.to);
    mover.set_prior_size(down(mover.prior_size)?);
    match gone.cmp(&from) {
        Ordering::Equal => {
            erase.set_index(to);
            mover.discard();
            return Ok(());
        }
        Ordering::Greater => gone = down(gone)?,
        Ordering::Less => from = down(from)?,
    }
    if gone >= to {
        gone = up(gone)?;
    } else {
        to = down(to)?;
    }
    erase.set_index(gone);
    mover.set_index(from);
    mover.set_to(to);
    if from == to {
        mover.discard();
    }
    Ok(())
}

pub(super) fn move_move(a: &mut Op, b: &mut Op) -> Result<(), MergeFault> {
    if !a.is_same_container(b) {
        return Ok(());
    }
    check_prior_sizes(a, b)?;
    for op in [&*a, &*b] {
        check_index(op)?;
        if op.to >= op.prior_size {
            return Err(MergeFault::IndexOutOfRange { index: op.to, prior_size: op.prior_size });
        }
    }
    let (mut a_from, mut a_to) = (a.index()?, a.to);
    let (mut b_from, mut b_to) = (b.index()?, b.to);
    match a_from.cmp(&b_from) {
        Ordering::Equal => {
            let (earlier, later) = if a.disc < b.disc { (a, b) } else { (b, a) };
            earlier.discard();
            later.set_index(earlier.to);
            if later.to == earlier.to {
                later.discard();
            }
            return Ok(());
        }
        Ordering::Greater => a_from = down(a_from)?,
        Ordering::Less => b_from = down(b_from)?,
    }
    if a_to > b_from {
        a_to = down(a_to)?;
    } else {
        b_from = up(b_from)?;
    }
    if a_from < b_to {
        b_to = down(b_to)?;
    } else {
        a_from = up(a_from)?;
    }
    let is_a_behind = match a_to.cmp(&b_to) {
        Ordering::Equal => a.disc >= b.disc,
        order => order == Ordering::Greater,
    };
    if is_a_behind {
        a_to = up(a_to)?;
    } else {
        b_to = up(b_to)?;
    }
    for (op, from, to) in [(a, a_from, a_to), (b, b_from, b_to)] {
        op.set_index(from);
        op.set_to(to);
        if from == to {
            op.discard();
        }
    }
    Ok(())
}

#[inline]
pub(super) fn check_prior_sizes(a: &Op, b: &Op) -> Result<(), MergeFault> {
    if a.prior_size == b.prior_size {
        Ok(())
    } else {
        Err(MergeFault::PriorSize { left: a.prior_size, right: b.prior_size })
    }
}

/// An Update in a list's container must address an element, not a key.
fn check_element(update: &Op) -> Result<(), MergeFault> {
    if update.sets == Sets::Element { Ok(()) } else { Err(MergeFault::InconsistentPaths) }
}

fn check_index(op: &Op) -> Result<(), MergeFault> {
    let index = op.index()?;
    if index < op.prior_size {
        Ok(())
    } else {
        Err(MergeFault::IndexOutOfRange { index, prior_size: op.prior_size })
    }
}
