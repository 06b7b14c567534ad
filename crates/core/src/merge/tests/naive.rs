//! A merge without index or shortcut: every local instruction meets every incoming one.
//!
//! It shares the rules for a pair, and nothing else, with the real one.

use bailiwick_protocol::changeset::{Instruction, Kind};

use crate::merge::Concurrent;
use crate::merge::error::MergeFault;
use crate::merge::op::{Key, Name, Object, Op, Place, Side, Sides};
use crate::merge::pair::{Outcome, merge_pair};

pub(super) fn merge(local: &mut [Concurrent], remote: &mut [Concurrent]) -> Result<(), MergeFault> {
    let mut numbers = Numbers::default();
    let mut ours: Vec<_> =
        local.iter().enumerate().map(|(i, it)| numbers.ops(Side::Local, i, it)).collect();
    let mut theirs: Vec<_> =
        remote.iter().enumerate().map(|(i, it)| numbers.ops(Side::Remote, i, it)).collect();
    let mut sides = Sides { local, remote };
    for ours in &mut ours {
        let mut i = 0;
        while i < ours.len() {
            carry(ours, &mut i, (0, 0), &mut theirs, &mut sides)?;
            i += 1;
        }
    }
    for (entry, ops) in sides.local.iter_mut().zip(ours) {
        rewrite(entry, ops, &numbers);
    }
    for (entry, ops) in sides.remote.iter_mut().zip(theirs) {
        rewrite(entry, ops, &numbers);
    }
    Ok(())
}

struct Entry {
    op: Op,
    is_inserted: bool,
}

/// Carries `ours[*i]` through all of `theirs` from a position on; `i` follows what is inserted before it.
fn carry(
    ours: &mut Vec<Entry>,
    i: &mut usize,
    (from, behind): (usize, usize),
    theirs: &mut [Vec<Entry>],
    sides: &mut Sides<'_>,
) -> Result<(), MergeFault> {
    for c in from..theirs.len() {
        let mut j = if c == from { behind } else { 0 };
        while j < theirs[c].len() {
            if !ours[*i].op.is_live {
                return Ok(());
            }
            if theirs[c][j].op.is_live {
                let outcome = merge_pair(&mut ours[*i].op, &mut theirs[c][j].op, sides)?;
                if outcome == Outcome::EraseColumnFirst {
                    let (a, b) = (&ours[*i].op, &theirs[c][j].op);
                    let (table, column) = if a.kind == Kind::EraseTable { (a, b) } else { (b, a) };
                    let inserted =
                        Op::erase_column(column.class, column.field, table.place, table.disc);
                    let Instruction::AddColumn(added) = sides.instruction(column) else {
                        panic!("only an AddColumn loses its target")
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

fn rewrite(entry: &mut Concurrent, ops: Vec<Entry>, numbers: &Numbers) {
    entry.is_dirty |= ops.iter().any(|entry| entry.op.is_changed || entry.is_inserted);
    let changeset = &mut entry.changeset;
    let instructions = ops.into_iter().filter(|entry| entry.op.is_live).map(|entry| {
        let op = entry.op;
        if entry.is_inserted {
            let [table, field] = [op.class, op.field].map(|name| {
                let text = &numbers.texts[name.0 as usize];
                changeset.strings.find(text).unwrap()
            });
            return Instruction::EraseColumn { table, field };
        }
        let mut instruction = changeset.instructions[op.place.instruction as usize].clone();
        op.store(&mut instruction);
        instruction
    });
    changeset.instructions = instructions.collect();
}

/// Names and objects of both sides.
#[derive(Default)]
struct Numbers {
    texts: Vec<String>,
    objects: Vec<(Name, Key)>,
}

impl Numbers {
    fn ops(&mut self, side: Side, i: usize, entry: &Concurrent) -> Vec<Entry> {
        let names: Vec<_> = entry
            .changeset
            .strings
            .iter()
            .map(|text| Name(number(&mut self.texts, text.to_owned())))
            .collect();
        let op = |(j, instruction): (usize, &Instruction)| {
            let class = names[instruction.table().0 as usize];
            let key = instruction.object().map_or(Key::Schema, |key| Key::new(key, &names));
            let object = Object(number(&mut self.objects, (class, key)));
            let place = Place {
                side,
                changeset: u32::try_from(i).unwrap(),
                instruction: u32::try_from(j).unwrap(),
            };
            let op = Op::new(instruction, &names, object, place, entry.disc());
            Entry { op, is_inserted: false }
        };
        entry.changeset.instructions.iter().enumerate().map(op).collect()
    }
}

fn number<T: PartialEq>(items: &mut Vec<T>, item: T) -> u32 {
    let i = items.iter().position(|known| *known == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    });
    u32::try_from(i).unwrap()
}
