//! The order in which pairs meet, and what becomes of the changesets.
//!
//! Spec: merge, section 8.

use std::ops::ControlFlow;

use bailiwick_protocol::changeset::{Changeset, Instruction, Kind};

use super::Concurrent;
use super::error::{MergeError, MergeFault};
use super::index::{Incoming, Scan, Walk, Weaving, is_eraser};
use super::op::{Key, Name, Object, Op, Place, Side, Sides, name};
use super::pair::{Outcome, merge_pair};

/// A merge at work.
#[derive(Debug)]
pub(super) struct Driver<'a> {
    sides: Sides<'a>,
    incoming: Incoming,
    /// The names of the local changeset that is being carried, by symbol.
    names: Vec<Name>,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        local: &'a mut [Concurrent],
        remote: &'a mut [Concurrent],
        weaving: Weaving,
    ) -> Self {
        let incoming = Incoming::new(remote, weaving);
        Self { sides: Sides { local, remote }, incoming, names: Vec::new() }
    }

    pub(super) fn run(mut self) -> Result<(), MergeError> {
        for i in 0..self.sides.local.len() {
            self.carry_changeset(i)?;
        }
        self.finish();
        Ok(())
    }

    fn carry_changeset(&mut self, i: usize) -> Result<(), MergeError> {
        let entry = &self.sides.local[i];
        let disc = entry.disc();
        let incoming = &self.incoming;
        self.names.clear();
        self.names.extend(entry.changeset.strings.iter().map(|text| incoming.name(text)));
        let mut rewrite = Rewrite::default();
        for j in 0..self.sides.local[i].changeset.instructions.len() {
            let instruction = &self.sides.local[i].changeset.instructions[j];
            let object = self.find_object(instruction);
            let is_alone = object == Object::UNKNOWN && !self.incoming.has_erasers();
            if is_alone && !is_eraser(instruction.kind()) {
                continue;
            }
            let place = Place { side: Side::Local, changeset: number(i), instruction: number(j) };
            let mut op = Op::new(instruction, &self.names, object, place, disc);
            let scan = Scan::new(&op, &self.incoming);
            self.carry(&mut op, scan, &mut rewrite)?;
            if op.is_changed {
                rewrite.add(j, &op, self.sides.instruction_mut(&op));
            }
        }
        self.sides.local[i].rewrite(rewrite);
        Ok(())
    }

    fn find_object(&self, instruction: &Instruction) -> Object {
        let class = name(&self.names, instruction.table());
        if class == Name::UNKNOWN {
            return Object::UNKNOWN;
        }
        let key = instruction.object().map_or(Key::Schema, |key| Key::new(key, &self.names));
        self.incoming.object(class, key)
    }

    /// Carries one local instruction through what it meets.
    fn carry(
        &mut self,
        op: &mut Op,
        mut scan: Scan,
        rewrite: &mut Rewrite,
    ) -> Result<(), MergeError> {
        if let Some(chain) = scan.as_chain(&self.incoming) {
            return self.carry_along(op, chain);
        }
        self.incoming.unravel(Some(op.object).filter(|_| !is_eraser(op.kind)));
        while op.is_live
            && let Some(slot) = scan.next(&mut self.incoming)
        {
            match merge_pair(op, self.incoming.op_mut(slot), &mut self.sides) {
                Ok(Outcome::Done) => (),
                Ok(Outcome::EraseColumnFirst) if op.kind == Kind::EraseTable => {
                    self.erase_column_here(op, slot, rewrite)?;
                }
                Ok(Outcome::EraseColumnFirst) => {
                    // The declaration is gone, so it does not come by this EraseColumn; the next ones do.
                    let inserted = self.erase_column_there(op, slot);
                    self.incoming.insert_before(slot, inserted);
                }
                Err(fault) => return Err(self.explain(op, slot, fault)),
            }
        }
        Ok(())
    }

    /// Carries one local instruction through a chain: at once if it is woven, else one by one.
    fn carry_along(&mut self, op: &mut Op, chain: Walk) -> Result<(), MergeError> {
        let Self { sides, incoming, .. } = self;
        if let Some(outcome) = incoming.carry_woven(op, chain, sides) {
            return outcome.map_err(|(slot, fault)| self.explain(op, slot, fault));
        }
        let outcome = incoming.meet_chain(chain, |other| {
            let outcome = merge_pair(op, other, sides)?;
            debug_assert_eq!(outcome, Outcome::Done, "there are no erasers");
            Ok(if op.is_live { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        });
        outcome.map_err(|(slot, fault)| self.explain(op, slot, fault))
    }

    /// Inserts an EraseColumn before a local EraseTable, for the column whose declaration is at `slot`.
    ///
    /// It has to catch up with the table: it is carried through what comes behind that declaration. It never
    /// needs an EraseColumn of its own, so this nests no deeper.
    fn erase_column_here(
        &mut self,
        table: &Op,
        slot: usize,
        rewrite: &mut Rewrite,
    ) -> Result<(), MergeError> {
        let column = self.incoming.op(slot);
        let mut inserted = Op::erase_column(column.class, column.field, table.place, table.disc);
        let texts = [column.class, column.field].map(|name| self.incoming.text(name).to_owned());
        let [class, field] =
            texts.map(|text| self.sides.changeset_mut(table).strings.intern(&text));
        let rest = Scan::all_behind(slot, &self.incoming);
        self.carry(&mut inserted, rest, rewrite)?;
        rewrite.is_dirty = true;
        if inserted.is_live {
            let instruction = Instruction::EraseColumn { table: class, field };
            rewrite.inserted.push((table.place.instruction as usize, instruction));
        }
        Ok(())
    }

    /// An EraseColumn to stand before the EraseTable at `slot`, for the column that a local op declares.
    fn erase_column_there(&mut self, column: &Op, slot: usize) -> Op {
        let table = self.incoming.op(slot);
        let (place, disc) = (table.place, table.disc);
        let Instruction::AddColumn(added) = self.sides.instruction(column) else {
            unreachable!("only an AddColumn loses its target")
        };
        let [class, field] = [added.table, added.field].map(|symbol| {
            let text = self.sides.local[column.place.changeset as usize].changeset.text(symbol);
            self.sides.remote[place.changeset as usize].changeset.strings.intern(text);
            // What follows in the local changeset has to know the names, too.
            let name = self.incoming.intern(text);
            self.names[symbol.0 as usize] = name;
            name
        });
        Op::erase_column(class, field, place, disc)
    }

    fn explain(&self, op: &Op, slot: usize, fault: MergeFault) -> MergeError {
        self.sides.explain(op, self.incoming.op(slot), fault)
    }

    /// Writes what has become of the incoming ops into their changesets.
    fn finish(self) {
        let Self { sides, mut incoming, .. } = self;
        incoming.unravel(None);
        let mut ops = incoming.originals();
        let mut inserted = incoming.inserted().peekable();
        for (i, entry) in sides.remote.iter_mut().enumerate() {
            let mut rewrite = Rewrite::default();
            let Changeset { strings, instructions } = &mut entry.changeset;
            for (j, (instruction, op)) in instructions.iter_mut().zip(&mut ops).enumerate() {
                if op.is_changed {
                    rewrite.add(j, op, instruction);
                }
            }
            while let Some(op) = inserted.next_if(|op| op.place.changeset as usize == i) {
                rewrite.is_dirty = true;
                if op.is_live {
                    let [table, field] =
                        [op.class, op.field].map(|name| strings.intern(incoming.text(name)));
                    let instruction = Instruction::EraseColumn { table, field };
                    rewrite.inserted.push((op.place.instruction as usize, instruction));
                }
            }
            entry.rewrite(rewrite);
        }
    }
}

/// What a merge does to one changeset.
#[derive(Debug, Default)]
struct Rewrite {
    is_dirty: bool,
    /// The positions of discarded instructions, ascending.
    discarded: Vec<usize>,
    /// New instructions with the positions of those that they precede, ascending.
    inserted: Vec<(usize, Instruction)>,
}

impl Rewrite {
    /// Notes what has become of a changed op, whose instruction is at `position`.
    fn add(&mut self, position: usize, op: &Op, instruction: &mut Instruction) {
        self.is_dirty = true;
        if op.is_live {
            op.store(instruction);
        } else {
            self.discarded.push(position);
        }
    }
}

impl Concurrent {
    fn rewrite(&mut self, rewrite: Rewrite) {
        let Rewrite { is_dirty, discarded, inserted } = rewrite;
        self.is_dirty |= is_dirty;
        let instructions = &mut self.changeset.instructions;
        if discarded.is_empty() && inserted.is_empty() {
            return;
        }
        let mut discarded = discarded.into_iter().peekable();
        let mut position = 0..;
        if inserted.is_empty() {
            instructions.retain(|_| {
                let position = position.next();
                discarded.next_if(|&gone| Some(gone) == position).is_none()
            });
            return;
        }
        let mut inserted = inserted.into_iter().peekable();
        let mut rewritten = Vec::with_capacity(instructions.len() + inserted.len());
        for (position, instruction) in position.zip(instructions.drain(..)) {
            while let Some((_, new)) = inserted.next_if(|&(before, _)| before == position) {
                rewritten.push(new);
            }
            if discarded.next_if(|&gone| gone == position).is_none() {
                rewritten.push(instruction);
            }
        }
        *instructions = rewritten;
    }
}

/// The number of a changeset, instruction or op: `u32`, so that ops are small.
///
/// # Panics
///
/// From 2^32 - 1 on, which does not fit into memory: an instruction takes more than 64 bytes there.
pub(super) fn number(position: usize) -> u32 {
    u32::try_from(position).ok().filter(|&number| number < u32::MAX).expect("it fits into memory")
}
