//! A changeset that is applied while it is written, instruction by instruction.

use std::collections::BTreeSet;

use bailiwick_protocol::changeset::{Changeset, Instruction, ObjectKey, Symbol};

use crate::schema::ClassId;

/// A changeset that [`Transaction::extend`](super::Transaction::extend) makes longer.
#[derive(Debug, Default)]
pub struct Draft {
    pub(super) changeset: Changeset,
    pub(super) memory: Memory,
}

/// What is remembered from one instruction to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The object of the previous instruction, since most are about the same as the one before.
    pub(super) last: Option<(Symbol, ObjectKey, Located)>,
    /// Classes that this changeset erased.
    pub(super) erased: BTreeSet<Symbol>,
}

/// An object that was found: its class and its place in the overlay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located {
    pub(super) class: ClassId,
    pub(super) entry: usize,
}

impl Draft {
    /// The symbol of `text` for the next instructions.
    ///
    /// # Panics
    ///
    /// If all texts together exceed 4 GiB.
    pub fn intern(&mut self, text: &str) -> Symbol {
        self.changeset.strings.intern(text)
    }

    /// What was written so far.
    pub fn changeset(&self) -> &Changeset {
        &self.changeset
    }

    /// What was written.
    pub fn into_changeset(self) -> Changeset {
        self.changeset
    }

    /// Forgets all instructions but the first `count`, whose successors the transaction has taken back. Their
    /// strings stay.
    pub(super) fn truncate(&mut self, count: usize) {
        self.changeset.instructions.truncate(count);
        // A class that came with them may come again with another id.
        self.memory.last = None;
        let remaining = &self.changeset.instructions;
        self.memory.erased.retain(|erased| {
            remaining.iter().any(|instruction| matches!(instruction, Instruction::EraseTable { table } if table == erased))
        });
    }
}
