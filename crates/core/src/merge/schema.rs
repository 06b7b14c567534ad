//! Declarations of classes and fields.
//!
//! Two equal declarations vanish on both sides; two different ones cannot be merged. That a declaration
//! contradicts what both sides have in common is found when it is applied.
//!
//! Spec: merge, sections 6.1, 6.2 and 7.

use bailiwick_protocol::changeset::{
    AddColumn, Changeset, Instruction, KeySpec, TableKind, TypeCode,
};

use super::error::{MergeFault, SchemaMismatch};
use super::op::{Op, Sides};
use super::pair::Outcome;

pub(super) fn add_table_twice(a: &mut Op, b: &mut Op, sides: &Sides<'_>) -> Result<(), MergeFault> {
    if a.class != b.class {
        return Ok(());
    }
    let (ours, theirs) = (sides.changeset(a), sides.changeset(b));
    if let (
        Instruction::AddTable { table, kind: our_kind },
        Instruction::AddTable { kind: their_kind, .. },
    ) = (sides.instruction(a), sides.instruction(b))
    {
        let class = || ours.text(*table).to_owned();
        match (our_kind, their_kind) {
            (TableKind::Embedded, TableKind::Embedded) => (),
            (
                TableKind::TopLevel(our_key) | TableKind::Asymmetric(our_key),
                TableKind::TopLevel(their_key) | TableKind::Asymmetric(their_key),
            ) => {
                compare_keys(&class, ours, *our_key, theirs, *their_key)?;
                let is_asymmetric = |kind| matches!(kind, &TableKind::Asymmetric(_));
                if is_asymmetric(our_kind) != is_asymmetric(their_kind) {
                    return Err(SchemaMismatch::Asymmetric { class: class() }.into());
                }
            }
            _ => return Err(SchemaMismatch::Embedded { class: class() }.into()),
        }
    }
    a.discard();
    b.discard();
    Ok(())
}

fn compare_keys(
    class: &impl Fn() -> String,
    ours: &Changeset,
    our_key: KeySpec,
    theirs: &Changeset,
    their_key: KeySpec,
) -> Result<(), SchemaMismatch> {
    let (local, remote) = (ours.text(our_key.field), theirs.text(their_key.field));
    if local != remote {
        return Err(SchemaMismatch::KeyField {
            class: class(),
            local: local.to_owned(),
            remote: remote.to_owned(),
        });
    }
    let key = || local.to_owned();
    if our_key.key_type != their_key.key_type {
        return Err(SchemaMismatch::KeyType {
            class: class(),
            key: key(),
            local: our_key.key_type,
            remote: their_key.key_type,
        });
    }
    if our_key.nullable != their_key.nullable {
        return Err(SchemaMismatch::KeyNullable { class: class(), key: key() });
    }
    Ok(())
}

pub(super) fn add_column_twice(
    a: &mut Op,
    b: &mut Op,
    sides: &Sides<'_>,
) -> Result<(), MergeFault> {
    if !a.is_same_column(b) {
        return Ok(());
    }
    if let (Instruction::AddColumn(our_column), Instruction::AddColumn(their_column)) =
        (sides.instruction(a), sides.instruction(b))
    {
        compare_columns(sides.changeset(a), our_column, sides.changeset(b), their_column)?;
    }
    a.discard();
    b.discard();
    Ok(())
}

fn compare_columns(
    ours: &Changeset,
    our_column: &AddColumn,
    theirs: &Changeset,
    their_column: &AddColumn,
) -> Result<(), SchemaMismatch> {
    let class = || ours.text(our_column.table).to_owned();
    let field = || ours.text(our_column.field).to_owned();
    if our_column.column_type != their_column.column_type {
        return Err(SchemaMismatch::ColumnType {
            class: class(),
            field: field(),
            local: our_column.column_type,
            remote: their_column.column_type,
        });
    }
    if our_column.nullable != their_column.nullable {
        return Err(SchemaMismatch::ColumnNullable { class: class(), field: field() });
    }
    if our_column.collection != their_column.collection {
        return Err(SchemaMismatch::ColumnCollection {
            class: class(),
            field: field(),
            local: our_column.collection,
            remote: their_column.collection,
        });
    }
    let (local, remote) = (target(ours, our_column), target(theirs, their_column));
    if local != remote {
        return Err(SchemaMismatch::ColumnTarget {
            class: class(),
            field: field(),
            local: local.unwrap_or_default().to_owned(),
            remote: remote.unwrap_or_default().to_owned(),
        });
    }
    Ok(())
}

/// The class that the values of a column link to; the empty string is any class.
fn target<'a>(changeset: &'a Changeset, column: &AddColumn) -> Option<&'a str> {
    let is_link = column.column_type == TypeCode::Link;
    column.link_target.filter(|_| is_link).map(|symbol| changeset.text(symbol))
}

pub(super) fn erase_add_table(erase: &mut Op, add: &mut Op) {
    if erase.class == add.class {
        add.discard();
    }
}

pub(super) fn erase_table_twice(a: &mut Op, b: &mut Op) {
    if a.class == b.class {
        a.discard();
        b.discard();
    }
}

/// A column that links to the erased class goes with it; both peers then have to erase it.
pub(super) fn erase_target(erase: &mut Op, add: &mut Op, sides: &Sides<'_>) -> Outcome {
    let Instruction::AddColumn(column) = sides.instruction(add) else { return Outcome::Done };
    let erased = sides.changeset(erase).text(sides.instruction(erase).table());
    if target(sides.changeset(add), column) != Some(erased) {
        return Outcome::Done;
    }
    add.discard();
    Outcome::EraseColumnFirst
}

/// Discards a declaration or an Update of the erased column. The other path instructions stay, and then
/// fail to apply; devices do the same.
pub(super) fn erase_column(erase: &mut Op, other: &mut Op) {
    if erase.is_same_column(other) {
        other.discard();
    }
}

pub(super) fn erase_column_twice(a: &mut Op, b: &mut Op) {
    if a.is_same_column(b) {
        a.discard();
        b.discard();
    }
}
