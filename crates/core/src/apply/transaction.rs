//! Changesets in a row over one state of a realm, each as a whole or not at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use bailiwick_protocol::changeset::{Changeset, Instruction, ObjectKey, Symbol, Target};
use bytes::Bytes;

use super::draft::{Draft, Located, Memory};
use super::error::{ApplyError, Fault, Refusal, Step, StepError};
use super::overlay::{Former, Overlay};
use super::payload::{Context, check_key};
use super::references::References;
use super::rewrite::Rewriter;
use super::schema::NewColumn;
use super::set::ForDevices;
use super::{list, path, schema as schema_rules, set, update};
use crate::schema::{Class, ClassId, ClassKind, Schema};
use crate::state::{Object, ObjectRow, ObjectStore, PrimaryKey, encode_row, row_class, row_prefix};

/// Applies changesets to a state of a realm, which it reads and does not change.
#[derive(Debug)]
pub struct Transaction<'a, S> {
    store: &'a S,
    base: &'a Schema,
    /// The schema, once it differs from the base.
    changed: Option<Arc<Schema>>,
    objects: Overlay,
    /// Of the schema as it is now, once something was erased.
    references: Option<References>,
    /// Classes whose objects are all touched, and with each its holders.
    touched: BTreeSet<ClassId>,
    undo: Vec<Undo>,
    /// Grows with each savepoint; what was saved in this epoch need not be saved again.
    epoch: u64,
    schema_saved: u64,
}

/// What one changeset did, besides what it did to the objects.
#[derive(Debug, Default)]
#[must_use = "devices may not be able to apply the changeset as it came"]
pub struct Applied {
    /// The form of the changeset to store and to send to devices, if not the one that was applied. It has the
    /// same effect on what devices see; see [`apply`](super) for the reasons.
    pub rewritten: Option<Changeset>,
}

/// What a transaction changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// The schema, if it changed.
    pub schema: Option<Schema>,
    /// Objects to write (`Some`, in their stored form) or remove (`None`), in the order of their rows.
    pub objects: Vec<(ObjectRow, Option<Bytes>)>,
}

/// A point to which a transaction can go back.
#[derive(Clone, Copy, Debug)]
pub struct Savepoint(usize);

/// A change to take back.
#[derive(Debug)]
enum Undo {
    Object(Former),
    Schema(Option<Arc<Schema>>),
}

/// What one changeset needs besides the transaction.
struct Scope<'c> {
    changeset: &'c Changeset,
    /// Gathers the form for devices, where one is wanted.
    rewriter: Option<Rewriter<'c>>,
    memory: &'c mut Memory,
}

impl<'a, S: ObjectStore> Transaction<'a, S> {
    /// Starts from what the store holds.
    pub fn new(schema: &'a Schema, store: &'a S) -> Self {
        Self {
            store,
            base: schema,
            changed: None,
            objects: Overlay::default(),
            references: None,
            touched: BTreeSet::new(),
            undo: Vec::new(),
            epoch: 1,
            schema_saved: 0,
        }
    }

    /// Applies a changeset that is already transformed, as a whole or not at all.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Refused`] with the first instruction that is at fault, or a failure of the store.
    /// The transaction is then as it was before.
    pub fn apply(&mut self, changeset: &Changeset) -> Result<Applied, ApplyError<S::Error>> {
        let before = self.savepoint();
        self.apply_in_part(changeset).inspect_err(|_| self.rollback_to(before))
    }

    /// Applies a changeset as far as it can be: for who goes back to a savepoint before it if it is refused.
    ///
    /// What is needed to go back is kept once for all changesets since that savepoint, and not for each.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply), but that what came before the instruction at fault is done.
    pub fn apply_in_part(
        &mut self,
        changeset: &Changeset,
    ) -> Result<Applied, ApplyError<S::Error>> {
        let rewriter = Some(Rewriter::new(changeset));
        let mut scope = Scope { changeset, rewriter, memory: &mut Memory::default() };
        for (index, instruction) in changeset.instructions.iter().enumerate() {
            self.step(&mut scope, index, instruction)
                .map_err(|error| refusal(changeset, index, instruction, error))?;
        }
        Ok(Applied { rewritten: scope.rewriter.and_then(Rewriter::finish) })
    }

    /// Applies one more instruction of a changeset that its author is still writing, and appends it.
    ///
    /// It costs what the instruction costs, however long the changeset is. There is no other form of it for
    /// devices: whoever integrates the changeset sees to that.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Refused`] if the instruction is at fault: the draft is as it was before, and every object
    /// reads as before. After a failure of the store, what is known of the objects is of no use.
    pub fn extend(
        &mut self,
        draft: &mut Draft,
        instruction: Instruction,
    ) -> Result<(), ApplyError<S::Error>> {
        let before = self.undo.len();
        let Draft { changeset, memory } = draft;
        let index = changeset.instructions.len();
        let mut scope = Scope { changeset, rewriter: None, memory };
        if let Err(error) = self.step(&mut scope, index, &instruction) {
            self.rollback_to(Savepoint(before));
            return Err(refusal(changeset, index, &instruction, error));
        }
        changeset.instructions.push(instruction);
        Ok(())
    }

    /// Takes back what was done since the savepoint, and leaves `draft` with its first `count` instructions, which
    /// it had then.
    pub fn take_back(&mut self, savepoint: Savepoint, draft: &mut Draft, count: usize) {
        self.rollback_to(savepoint);
        draft.truncate(count);
    }

    /// Makes all savepoints void, and forgets what they needed.
    pub fn forget_savepoints(&mut self) {
        self.undo.clear();
    }

    /// How much is kept for going back.
    #[cfg(test)]
    pub(crate) fn undo_count(&self) -> usize {
        self.undo.len()
    }

    /// Whether what is known of references is what the schema says.
    #[cfg(test)]
    pub(crate) fn has_right_references(&self) -> bool {
        self.references.as_ref().is_none_or(|known| *known == References::of(self.schema()))
    }

    /// The point after the changesets so far.
    pub fn savepoint(&mut self) -> Savepoint {
        self.epoch += 1;
        Savepoint(self.undo.len())
    }

    /// Takes back all changesets after the savepoint. The savepoint stays good; later ones do not.
    pub fn rollback_to(&mut self, savepoint: Savepoint) {
        while self.undo.len() > savepoint.0 {
            match self.undo.pop() {
                Some(Undo::Object(former)) => self.objects.restore(former),
                Some(Undo::Schema(schema)) => self.changed = schema,
                None => (),
            }
        }
        self.references = None;
        self.touched.clear();
        // What was saved since is forgotten, so it has to be saved again.
        self.epoch += 1;
    }

    /// The schema as the changesets so far left it.
    pub fn schema(&self) -> &Schema {
        self.changed.as_deref().unwrap_or(self.base)
    }

    /// An object as the changesets so far left it.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Store`] or [`ApplyError::Corrupt`].
    pub fn object(
        &mut self,
        class: ClassId,
        key: &PrimaryKey,
    ) -> Result<Option<&Object>, ApplyError<S::Error>> {
        Ok(self.object_and_schema(class, key)?.0)
    }

    /// As [`object`](Self::object), with the schema to read it by.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Store`] or [`ApplyError::Corrupt`].
    pub fn object_and_schema(
        &mut self,
        class: ClassId,
        key: &PrimaryKey,
    ) -> Result<(Option<&Object>, &Schema), ApplyError<S::Error>> {
        match self.load(encode_row(class, key)) {
            Ok(entry) => Ok((self.objects.object(entry), self.schema())),
            Err(StepError::Store(error)) => Err(ApplyError::Store(error)),
            Err(StepError::Corrupt(error)) => Err(ApplyError::Corrupt(error)),
            Err(StepError::Fault(_)) => Ok((None, self.schema())),
        }
    }

    /// Whether there is such an object now. Unlike [`object`](Self::object), it does not keep what it reads.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub fn contains(&self, class: ClassId, key: &PrimaryKey) -> Result<bool, S::Error> {
        let row = encode_row(class, key);
        match self.objects.find(&row) {
            Some(entry) => Ok(self.objects.object(entry).is_some()),
            None => Ok(self.store.object(&row)?.is_some()),
        }
    }

    /// The rows of all objects of a class that are there now, in byte order.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub fn rows(&self, class: ClassId) -> Result<Vec<ObjectRow>, S::Error> {
        let mut rows = self.store.rows(&row_prefix(class))?;
        rows.retain(|row| self.objects.find(row).is_none());
        rows.extend(self.objects.rows(class).cloned());
        rows.sort_unstable();
        Ok(rows)
    }

    /// What the changesets changed, all in all. How an object is stored follows from what it reads as, not from
    /// how it came about.
    pub fn finish(mut self) -> Changes {
        // What it holds would be shared, and copied for being normalized.
        self.undo.clear();
        let schema = self.changed.filter(|schema| **schema != *self.base);
        let current = schema.as_deref().unwrap_or(self.base);
        let mut objects = Vec::new();
        for entry in self.objects.into_sorted().into_iter().filter(|entry| entry.touched) {
            let encoded = entry.object.map(|mut object| {
                if let Some(class) = class_of_row(current, &entry.row) {
                    object.normalize(current, class);
                }
                Bytes::from(object.encode())
            });
            if encoded != entry.stored {
                objects.push((entry.row, encoded));
            }
        }
        Changes { schema: schema.map(Arc::unwrap_or_clone), objects }
    }

    fn step(
        &mut self,
        scope: &mut Scope<'_>,
        index: usize,
        instruction: &Instruction,
    ) -> Step<(), S> {
        let changeset = scope.changeset;
        // A device keeps what it knows of a class until another one is named.
        if scope.memory.erased.contains(&instruction.table()) {
            return Err(Fault::ErasedClass.into());
        }
        match instruction {
            Instruction::AddTable { table, kind } => {
                if let Some(class) =
                    schema_rules::add_table(self.schema(), changeset, *table, *kind)?
                {
                    class.add_to(self.schema_mut());
                }
            }
            Instruction::AddColumn(column) => {
                match schema_rules::add_column(self.schema(), changeset, column)? {
                    NewColumn::Missing(slot) => {
                        if let Some(class) =
                            self.schema_mut().class_mut(changeset.text(column.table))
                        {
                            let (id, name) = (class.id(), changeset.text(column.field));
                            let added = *class.add_column(name, slot);
                            if let Some(references) = &mut self.references {
                                references.add(id, &added);
                            }
                        }
                    }
                    NewColumn::Present => (),
                    NewColumn::PresentAnyLink => scope.leave_out(index),
                }
            }
            Instruction::EraseColumn { table, field } => {
                schema_rules::erase_column(self.schema(), changeset, *table, *field)?;
                self.touch_values(changeset, *table)?;
                if let Some(class) = self.schema_mut().class_mut(changeset.text(*table)) {
                    let (id, removed) = (class.id(), class.remove_column(changeset.text(*field)));
                    if let (Some(references), Some(removed)) = (&mut self.references, removed) {
                        references.remove(id, &removed);
                    }
                }
            }
            Instruction::EraseTable { table } => {
                self.erase_table(changeset, *table)?;
                scope.memory.last = None;
                scope.memory.erased.insert(*table);
            }
            Instruction::CreateObject { table, object } => {
                let located = self.locate(scope, *table, *object)?;
                if self.objects.object(located.entry).is_none() {
                    *self.touch(located.entry) = Some(Object::default());
                }
                self.keep_from_devices(scope, index, located);
            }
            Instruction::EraseObject { table, object } => {
                let located = self.locate(scope, *table, *object)?;
                if self.objects.object(located.entry).is_some() {
                    *self.touch(located.entry) = None;
                }
                self.keep_from_devices(scope, index, located);
            }
            _ => {
                let target = instruction.target().expect("all others have a target");
                self.change(scope, index, instruction, target)?;
            }
        }
        Ok(())
    }

    /// Carries out an instruction that changes a place inside an object.
    fn change(
        &mut self,
        scope: &mut Scope<'_>,
        index: usize,
        instruction: &Instruction,
        target: &Target,
    ) -> Step<(), S> {
        let changeset = scope.changeset;
        let located = self.locate(scope, target.table, target.object)?;
        if self.objects.object(located.entry).is_none() {
            return Err(Fault::NoObject.into());
        }
        let (object, former) = self.objects.touch(located.entry, self.epoch);
        self.undo.extend(former.map(Undo::Object));
        let schema = self.changed.as_deref().unwrap_or(self.base);
        let class = schema.class_by_id(located.class).ok_or(Fault::NoObject)?;
        let object = object.as_mut().ok_or(Fault::NoObject)?;
        let context = Context { schema, changeset, class };
        let place = path::resolve(schema, changeset, class, object, target)?;
        match instruction {
            Instruction::Update { value, .. } => update::update(place, value, context)?,
            Instruction::AddInteger { value, .. } => update::add_integer(place, *value)?,
            Instruction::Clear { collection, .. } => update::clear(place, *collection)?,
            Instruction::ArrayInsert { value, prior_size, .. } => {
                list::insert(place, value, *prior_size, context)?;
            }
            Instruction::ArrayErase { prior_size, .. } => list::erase(place, *prior_size)?,
            Instruction::SetInsert { value, .. } => set::insert(place, value, context)?,
            Instruction::ArrayMove { to, prior_size, .. } => {
                let moved = list::move_element(place, *to, *prior_size)?;
                if let Some(moved) = moved.filter(|_| class.kind() == ClassKind::TopLevel)
                    && let Some(rewriter) = &mut scope.rewriter
                {
                    let from_to = (target, *to, *prior_size);
                    rewriter.move_collection(index, schema, from_to, &moved)?;
                }
            }
            Instruction::SetErase { value, .. } => match set::erase(place, value, context)? {
                _ if class.kind() != ClassKind::TopLevel => (),
                ForDevices::AsItIs => (),
                ForDevices::Nothing => scope.leave_out(index),
                ForDevices::Remaining(set) => {
                    if let Some(rewriter) = &mut scope.rewriter {
                        rewriter.refill_set(index, schema, target, &set)?;
                    }
                }
            },
            Instruction::AddTable { .. }
            | Instruction::EraseTable { .. }
            | Instruction::CreateObject { .. }
            | Instruction::EraseObject { .. }
            | Instruction::AddColumn(_)
            | Instruction::EraseColumn { .. } => unreachable!("they have no target"),
        }
        self.keep_from_devices(scope, index, located);
        Ok(())
    }

    /// Leaves out of the form for devices what is about an asymmetric object.
    fn keep_from_devices(&self, scope: &mut Scope<'_>, index: usize, located: Located) {
        let class = self.schema().class_by_id(located.class);
        if class.is_some_and(|class| class.kind() == ClassKind::Asymmetric) {
            scope.leave_out(index);
        }
    }

    fn erase_table(&mut self, changeset: &Changeset, table: Symbol) -> Step<(), S> {
        let class = schema_rules::existing(self.schema(), changeset, table)?.id();
        let schema = self.changed.as_deref().unwrap_or(self.base);
        if self.references.get_or_insert_with(|| References::of(schema)).is_target(class) {
            return Err(Fault::LinkTarget.into());
        }
        for row in self.rows(class).map_err(StepError::Store)? {
            let entry = self.load(row)?;
            *self.touch(entry) = None;
        }
        let removed = self.schema_mut().remove_class(changeset.text(table));
        if let (Some(references), Some(removed)) = (&mut self.references, removed) {
            references.remove_class(&removed);
        }
        Ok(())
    }

    /// Touches all objects that can hold values of a class's columns, so that they are stored anew, without the
    /// column that goes.
    fn touch_values(&mut self, changeset: &Changeset, table: Symbol) -> Step<(), S> {
        let class = schema_rules::existing(self.schema(), changeset, table)?.id();
        let Self { base, changed, references, touched, .. } = self;
        let schema = changed.as_deref().unwrap_or(base);
        let references = references.get_or_insert_with(|| References::of(schema));
        for holder in references.add_holders(schema, class, touched) {
            for row in self.rows(holder).map_err(StepError::Store)? {
                let entry = self.load(row)?;
                self.touch(entry);
            }
        }
        Ok(())
    }

    /// Finds the object that an instruction names, whether or not it exists.
    fn locate(&mut self, scope: &mut Scope<'_>, table: Symbol, key: ObjectKey) -> Step<Located, S> {
        match scope.memory.last {
            Some((last_table, last_key, located)) if last_table == table && last_key == key => {
                return Ok(located);
            }
            _ => (),
        }
        let class = schema_rules::existing(self.schema(), scope.changeset, table)?;
        let (id, primary_key) = (class.id(), check_key(scope.changeset, class, key)?);
        let located = Located { class: id, entry: self.load(encode_row(id, &primary_key))? };
        scope.memory.last = Some((table, key, located));
        Ok(located)
    }

    /// The entry of a row, which is read from the store at its first mention.
    fn load(&mut self, row: ObjectRow) -> Step<usize, S> {
        if let Some(entry) = self.objects.find(&row) {
            return Ok(entry);
        }
        let stored = self.store.object(&row).map_err(StepError::Store)?;
        let object = match &stored {
            Some(bytes) => Some(Object::decode(bytes).map_err(StepError::Corrupt)?),
            None => None,
        };
        Ok(self.objects.add(row, stored, object))
    }

    fn touch(&mut self, entry: usize) -> &mut Option<Object> {
        let (object, former) = self.objects.touch(entry, self.epoch);
        self.undo.extend(former.map(Undo::Object));
        object
    }

    fn schema_mut(&mut self) -> &mut Schema {
        if self.schema_saved < self.epoch {
            self.schema_saved = self.epoch;
            self.undo.push(Undo::Schema(self.changed.clone()));
        }
        Arc::make_mut(self.changed.get_or_insert_with(|| Arc::new(self.base.clone())))
    }
}

impl Scope<'_> {
    fn leave_out(&mut self, index: usize) {
        if let Some(rewriter) = &mut self.rewriter {
            rewriter.leave_out(index);
        }
    }
}

fn refusal<E: std::error::Error>(
    changeset: &Changeset,
    index: usize,
    instruction: &Instruction,
    error: StepError<E>,
) -> ApplyError<E> {
    match error {
        StepError::Fault(fault) => ApplyError::Refused(Refusal {
            instruction: index,
            kind: instruction.kind(),
            path: changeset.describe(instruction),
            fault,
        }),
        StepError::Store(error) => ApplyError::Store(error),
        StepError::Corrupt(error) => ApplyError::Corrupt(error),
    }
}

fn class_of_row<'a>(schema: &'a Schema, row: &[u8]) -> Option<&'a Class> {
    schema.class_by_id(row_class(row)?)
}
