//! A merge without index or shortcut, to compare the real one with: every local instruction meets every incoming one.
//!
//! It shares the rules for a pair with the real one, and how instructions become ops, and nothing else. Both
//! must agree on everything: instructions, strings, marks of what is dirty, and errors with their positions.
//!
//! Spec: merge, section 8.

use std::collections::HashMap;
use std::hash::Hash;

use bailiwick_protocol::changeset::{Instruction, Kind};

use super::error::MergeError;
use super::index::Weaving;
use super::op::{Key, Name, Object, Op, Place, Side, Sides};
use super::pair::{Outcome, merge_pair};
use super::{Concurrent, driver::number, merge_weaving};

/// As [`merge`](super::merge), in time and space that grow with the product of the sides.
///
/// # Errors
///
/// As [`merge`](super::merge).
///
/// # Panics
///
/// As [`merge`](super::merge).
pub fn merge(local: &mut [Concurrent], remote: &mut [Concurrent]) -> Result<(), MergeError> {
    let mut names = Numbers::default();
    let mut objects = Numbers::default();
    let mut ops = |side, entries: &[Concurrent]| -> Vec<Vec<Entry>> {
        let entries = entries.iter().enumerate();
        entries.map(|(i, entry)| ops(side, i, entry, &mut names, &mut objects)).collect()
    };
    let mut ours = ops(Side::Local, local);
    let mut theirs = ops(Side::Remote, remote);
    let mut sides = Sides { local, remote };
    for ours in &mut ours {
        let mut i = 0;
        while i < ours.len() {
            carry(ours, &mut i, (0, 0), &mut theirs, &mut sides)?;
            i += 1;
        }
    }
    for (entry, ops) in sides.local.iter_mut().zip(ours) {
        rewrite(entry, ops, &names);
    }
    for (entry, ops) in sides.remote.iter_mut().zip(theirs) {
        rewrite(entry, ops, &names);
    }
    Ok(())
}

/// As [`merge`](super::merge), which treats long histories of one list in another way than short ones: as if all
/// were long.
///
/// # Errors
///
/// As [`merge`](super::merge).
///
/// # Panics
///
/// As [`merge`](super::merge).
pub fn merge_as_if_long(
    local: &mut [Concurrent],
    remote: &mut [Concurrent],
) -> Result<(), MergeError> {
    merge_weaving(local, remote, Weaving::ALWAYS)
}

#[derive(Debug)]
struct Entry {
    op: Op,
    is_inserted: bool,
}

fn ops(
    side: Side,
    i: usize,
    entry: &Concurrent,
    names: &mut Numbers<String>,
    objects: &mut Numbers<(Name, Key)>,
) -> Vec<Entry> {
    let changeset = &entry.changeset;
    let names: Vec<_> =
        changeset.strings.iter().map(|text| Name(names.number(text.to_owned()))).collect();
    let op = |(j, instruction): (usize, &Instruction)| {
        let class = names[instruction.table().0 as usize];
        let key = instruction.object().map_or(Key::Schema, |key| Key::new(key, &names));
        let object = Object(objects.number((class, key)));
        let place = Place { side, changeset: number(i), instruction: number(j) };
        let op = Op::new(instruction, &names, object, place, entry.disc());
        Entry { op, is_inserted: false }
    };
    changeset.instructions.iter().enumerate().map(op).collect()
}

/// Carries `ours[*i]` through all of `theirs` from a position on; `i` follows what is inserted before it.
fn carry(
    ours: &mut Vec<Entry>,
    i: &mut usize,
    (from, behind): (usize, usize),
    theirs: &mut [Vec<Entry>],
    sides: &mut Sides<'_>,
) -> Result<(), MergeError> {
    for c in from..theirs.len() {
        let mut j = if c == from { behind } else { 0 };
        while j < theirs[c].len() {
            if !ours[*i].op.is_live {
                return Ok(());
            }
            if theirs[c][j].op.is_live {
                let (a, b) = (&mut ours[*i].op, &mut theirs[c][j].op);
                let outcome =
                    merge_pair(a, b, sides).map_err(|fault| sides.explain(a, b, fault))?;
                if outcome == Outcome::EraseColumnFirst {
                    let (a, b) = (&ours[*i].op, &theirs[c][j].op);
                    let (table, column) = if a.kind == Kind::EraseTable { (a, b) } else { (b, a) };
                    let inserted =
                        Op::erase_column(column.class, column.field, table.place, table.disc);
                    let Instruction::AddColumn(added) = sides.instruction(column) else {
                        unreachable!("only an AddColumn loses its target")
                    };
                    for symbol in [added.table, added.field] {
                        let text = sides.changeset(column).text(symbol).to_owned();
                        sides.changeset_mut(table).strings.intern(&text);
                    }
                    let inserted = Entry { op: inserted, is_inserted: true };
                    if table.place.side == Side::Local {
                        ours.insert(*i, inserted);
                        carry(ours, i, (c, j + 1), theirs, sides)?;
                        *i += 1;
                    } else {
                        theirs[c].insert(j, inserted);
                        j += 1;
                    }
                }
            }
            j += 1;
        }
    }
    Ok(())
}

fn rewrite(entry: &mut Concurrent, ops: Vec<Entry>, names: &Numbers<String>) {
    entry.is_dirty |= ops.iter().any(|entry| entry.op.is_changed || entry.is_inserted);
    let changeset = &mut entry.changeset;
    let instructions = ops.into_iter().filter(|entry| entry.op.is_live).map(|entry| {
        let op = entry.op;
        if entry.is_inserted {
            let [table, field] = [op.class, op.field].map(|name| {
                let text = &names.items[name.0 as usize];
                changeset.strings.find(text).expect("it was interned when the op was inserted")
            });
            return Instruction::EraseColumn { table, field };
        }
        let mut instruction = changeset.instructions[op.place.instruction as usize].clone();
        op.store(&mut instruction);
        instruction
    });
    changeset.instructions = instructions.collect();
}

/// The distinct items of both sides.
#[derive(Debug)]
struct Numbers<T> {
    items: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { items: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Numbers<T> {
    fn number(&mut self, item: T) -> u32 {
        *self.numbers.entry(item).or_insert_with_key(|item| {
            self.items.push(item.clone());
            number(self.items.len() - 1)
        })
    }
}
