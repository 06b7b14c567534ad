//! Local changesets, one after the other, on top of the server's state.

use std::collections::{BTreeMap, BTreeSet};

use bailiwick_core::apply::{ApplyError, Changes, Draft, Fault, Refusal, Transaction};
use bailiwick_core::schema::ClassKind;
use bailiwick_core::state::{ObjectRow, PrimaryKey, encode_row};
use bailiwick_protocol::changeset::{Changeset, Instruction, Link, ObjectKey, Payload, Symbol};
use bailiwick_protocol::version::ClientVersion;

use super::places::{CopyPath, ObjectId, Places};
use crate::local::{LocalError, Snapshot};
use crate::reset::ResetFailure;
use crate::write::erase_object;

/// The state of the fresh copy with what was replayed so far.
#[derive(Debug)]
pub(super) struct Replay<'a> {
    /// What the device had in the end.
    pub(super) main: &'a Snapshot,
    fresh: &'a Snapshot,
    pub(super) transaction: Transaction<'a, Snapshot>,
    pub(super) places: Places,
    /// By the row of an object, the rows of those that were given a link to it by the replay.
    holders: BTreeMap<ObjectRow, BTreeSet<ObjectRow>>,
    /// The changeset that is being made.
    pub(super) draft: Draft,
    /// Lists to copy at the end of the changeset.
    pub(super) copies: BTreeSet<(ObjectId, CopyPath)>,
    /// Lists that were copied without links to objects that did not exist then.
    pub(super) incomplete: BTreeSet<(ObjectId, CopyPath)>,
}

/// Why the replay ends.
#[derive(Debug)]
pub(super) enum Stop {
    /// A class or field is removed.
    Destructive,
    /// An instruction does not fit, or one of the files fails.
    Apply(ApplyError<LocalError>),
}

impl Stop {
    pub(super) fn at(self, version: ClientVersion) -> ResetFailure {
        match self {
            Self::Destructive => ResetFailure::Destructive(version),
            Self::Apply(ApplyError::Store(error)) => ResetFailure::Local(error),
            Self::Apply(source) => {
                ResetFailure::Contradiction { version, source: Box::new(source) }
            }
        }
    }
}

impl From<ApplyError<LocalError>> for Stop {
    fn from(error: ApplyError<LocalError>) -> Self {
        Self::Apply(error)
    }
}

impl From<LocalError> for Stop {
    fn from(error: LocalError) -> Self {
        Self::Apply(ApplyError::Store(error))
    }
}

impl<'a> Replay<'a> {
    pub(super) fn new(main: &'a Snapshot, fresh: &'a Snapshot) -> Self {
        Self {
            main,
            fresh,
            transaction: Transaction::new(fresh.schema(), fresh),
            places: Places::default(),
            holders: BTreeMap::new(),
            draft: Draft::default(),
            copies: BTreeSet::new(),
            incomplete: BTreeSet::new(),
        }
    }

    /// Replays a changeset of the device; answers what was done.
    pub(super) fn changeset(&mut self, local: &Changeset) -> Result<Changeset, Stop> {
        for (index, instruction) in local.instructions.iter().enumerate() {
            self.instruction(local, index, instruction)?;
        }
        for (object, path) in std::mem::take(&mut self.copies) {
            self.copy_list(&object, &path)?;
        }
        // Nothing is taken back but all of it.
        self.transaction.forget_savepoints();
        Ok(std::mem::take(&mut self.draft).into_changeset())
    }

    /// Appends to the last changeset what could not be copied before.
    pub(super) fn complete(&mut self, last: Changeset) -> Result<Changeset, Stop> {
        for (object, path) in std::mem::take(&mut self.incomplete) {
            self.copy_list(&object, &path)?;
        }
        let Changeset { strings, instructions } = std::mem::take(&mut self.draft).into_changeset();
        let mut whole = last;
        for mut instruction in instructions {
            instruction.for_each_symbol_mut(|symbol| {
                *symbol = whole.strings.intern(strings.get(*symbol));
            });
            whole.instructions.push(instruction);
        }
        Ok(whole)
    }

    /// What was done to the fresh copy, all in all.
    pub(super) fn finish(self) -> Changes {
        self.transaction.finish()
    }

    fn instruction(
        &mut self,
        local: &Changeset,
        index: usize,
        instruction: &Instruction,
    ) -> Result<(), Stop> {
        let done = match instruction {
            Instruction::AddTable { .. } | Instruction::AddColumn(_) => {
                self.emit(local, instruction.clone()).map_err(Problem::from)
            }
            Instruction::EraseTable { .. } | Instruction::EraseColumn { .. } => {
                return Err(Stop::Destructive);
            }
            Instruction::CreateObject { table, object } => {
                self.create(local, *table, *object, instruction)
            }
            Instruction::EraseObject { table, object } => self.erase(local, *table, *object),
            _ => self.edit(local, instruction),
        };
        done.map_err(|problem| match problem {
            Problem::Stop(stop) => stop,
            Problem::Fault(fault) => Stop::Apply(ApplyError::Refused(Refusal {
                instruction: index,
                kind: instruction.kind(),
                path: local.describe(instruction),
                fault,
            })),
        })
    }

    fn create(
        &mut self,
        local: &Changeset,
        table: Symbol,
        object: ObjectKey,
        instruction: &Instruction,
    ) -> Result<(), Problem> {
        let id = self.object(local, table, object)?;
        let class = self.transaction.schema().class_by_id(id.0);
        // Asymmetric objects are never there: each is a new one to the server.
        let is_new = class.is_some_and(|class| class.kind() == ClassKind::Asymmetric)
            || !self.transaction.contains(id.0, &id.1)?;
        if is_new {
            self.places.forget_object(&id);
            self.emit(local, instruction.clone())?;
        }
        Ok(())
    }

    /// Erases an object, and the links to it: nobody else can know of them being gone.
    fn erase(
        &mut self,
        local: &Changeset,
        table: Symbol,
        object: ObjectKey,
    ) -> Result<(), Problem> {
        let id = self.object(local, table, object)?;
        if !self.transaction.contains(id.0, &id.1)? {
            return Ok(());
        }
        let row = encode_row(id.0, &id.1);
        let mut holders: BTreeSet<_> = self.fresh.links_to(&row)?.into_iter().collect();
        holders.extend(self.holders.remove(&row).into_iter().flatten());
        let before = self.draft.changeset().instructions.len();
        erase_object(&mut self.transaction, &mut self.draft, (id.0, &id.1), holders)?;
        let done = self.draft.changeset();
        for instruction in &done.instructions[before..] {
            if let Instruction::ArrayErase { target, .. } = instruction
                && let Some(holder) = self.find_object(done, target.table, target.object)
            {
                self.places.lose(&holder, done, target);
            }
        }
        self.places.forget_object(&id);
        Ok(())
    }

    /// Does an instruction whose symbols are those of the device's changeset.
    pub(super) fn emit(
        &mut self,
        local: &Changeset,
        mut instruction: Instruction,
    ) -> Result<(), ApplyError<LocalError>> {
        instruction.for_each_symbol_mut(|symbol| {
            *symbol = self.draft.intern(local.text(*symbol));
        });
        self.push(instruction)
    }

    /// Does an instruction whose symbols are those of the draft.
    pub(super) fn push(&mut self, instruction: Instruction) -> Result<(), ApplyError<LocalError>> {
        let link = match instruction.value() {
            Some(Payload::Link(link)) => Some(*link),
            _ => None,
        };
        if let (Some(Link { table, object }), Some(source)) = (link, instruction.object()) {
            let done = self.draft.changeset();
            let target = self.find_object(done, table, object);
            let source = self.find_object(done, instruction.table(), source);
            if let (Some(target), Some(source)) = (target, source) {
                let holders = self.holders.entry(encode_row(target.0, &target.1)).or_default();
                holders.insert(encode_row(source.0, &source.1));
            }
        }
        self.transaction.extend(&mut self.draft, instruction)
    }

    /// Whether a value is a link to an object that does not exist.
    pub(super) fn is_dangling(
        &self,
        local: &Changeset,
        value: &Payload,
    ) -> Result<bool, LocalError> {
        let Payload::Link(link) = value else { return Ok(false) };
        match self.find_object(local, link.table, link.object) {
            Some((class, key)) => Ok(!self.transaction.contains(class, &key)?),
            None => Ok(true),
        }
    }

    /// The object that an instruction of the device names.
    pub(super) fn object(
        &self,
        local: &Changeset,
        table: Symbol,
        object: ObjectKey,
    ) -> Result<ObjectId, Problem> {
        self.find_object(local, table, object)
            .ok_or_else(|| Fault::NoClass(local.text(table).to_owned()).into())
    }

    fn find_object(
        &self,
        changeset: &Changeset,
        table: Symbol,
        object: ObjectKey,
    ) -> Option<ObjectId> {
        let class = self.transaction.schema().class(changeset.text(table))?.id();
        let key = match object {
            ObjectKey::Null => PrimaryKey::Null,
            ObjectKey::Int(value) => PrimaryKey::Int(value),
            ObjectKey::String(text) => PrimaryKey::String(changeset.text(text).into()),
            ObjectKey::ObjectId(id) => PrimaryKey::ObjectId(id),
            ObjectKey::Uuid(id) => PrimaryKey::Uuid(id),
            ObjectKey::GlobalKey { hi, lo } => PrimaryKey::GlobalKey { hi, lo },
        };
        Some((class, key))
    }
}

/// What is wrong with one instruction.
#[derive(Debug)]
pub(super) enum Problem {
    Fault(Fault),
    Stop(Stop),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<ApplyError<LocalError>> for Problem {
    fn from(error: ApplyError<LocalError>) -> Self {
        Self::Stop(error.into())
    }
}

impl From<LocalError> for Problem {
    fn from(error: LocalError) -> Self {
        Self::Stop(error.into())
    }
}
