//! Values against values: updates, increments and clears of one place.
//!
//! Spec: merge, section 6.4; Clear against Clear, section 6.5.

use bailiwick_protocol::changeset::{CollectionKind, Instruction, Payload, TypeCode};

use super::error::MergeFault;
use super::list::check_prior_sizes;
use super::op::{Op, Sets, Sides};
use super::pair::discard_earlier;

pub(super) fn update_update(a: &mut Op, b: &mut Op) -> Result<(), MergeFault> {
    if !a.is_same_path(b) {
        return Ok(());
    }
    match (a.sets, b.sets) {
        (Sets::Element, Sets::Element) => check_prior_sizes(a, b)?,
        (Sets::Element, _) | (_, Sets::Element) => return Err(MergeFault::InconsistentPaths),
        _ => (),
    }
    match (a.value, b.value) {
        // Both want to fill the same collection.
        (TypeCode::List, TypeCode::List) | (TypeCode::Dictionary, TypeCode::Dictionary) => (),
        // Whatever replaces an embedded object wins over its creation.
        (TypeCode::ObjectValue, other) if other != TypeCode::ObjectValue => a.discard(),
        (other, TypeCode::ObjectValue) if other != TypeCode::ObjectValue => b.discard(),
        _ if a.sets == b.sets => discard_earlier(a, b),
        _ if a.sets == Sets::Default => a.discard(),
        _ => b.discard(),
    }
    Ok(())
}

/// An increment survives what was set before it, as part of the sum, and what the schema has filled in.
pub(super) fn add_update(add: &mut Op, update: &mut Op, sides: &mut Sides<'_>) {
    if !add.is_same_path(update) {
        return;
    }
    let is_after = update.disc < add.disc || update.sets == Sets::Default;
    if !is_after {
        add.discard();
        return;
    }
    let summand = match sides.instruction(add) {
        Instruction::AddInteger { value, .. } => *value,
        _ => 0,
    };
    match sides.instruction_mut(update) {
        Instruction::Update { value: Payload::Null, .. } => (),
        Instruction::Update { value: Payload::Int(value), .. } => {
            *value = value.wrapping_add(summand);
            update.is_changed |= summand != 0;
        }
        _ => add.discard(),
    }
}

/// Clearing goes with creating the collection that is cleared; against any other value, time decides.
pub(super) fn clear_update(clear: &mut Op, update: &mut Op, sides: &Sides<'_>) {
    if !clear.is_same_path(update) {
        return;
    }
    let cleared = match sides.instruction(clear) {
        Instruction::Clear { collection, .. } => *collection,
        _ => CollectionKind::Single,
    };
    match (cleared, update.value) {
        (CollectionKind::List, TypeCode::List)
        | (CollectionKind::Dictionary, TypeCode::Dictionary) => (),
        _ => discard_earlier(clear, update),
    }
}

pub(super) fn clear_add(clear: &mut Op, add: &mut Op) {
    if clear.is_same_path(add) {
        add.discard();
    }
}

pub(super) fn clear_clear(a: &mut Op, b: &mut Op) {
    if a.is_same_path(b) {
        discard_earlier(a, b);
    }
}
