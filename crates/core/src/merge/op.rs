//! An instruction as a merge sees it: names are numbers, and what rules edit lies in one place.
//!
//! Rules compare integers only. What an op carries beyond that (payloads, declarations) stays in the
//! instruction, and rules that need it ask [`Sides`].
//!
//! Spec: merge, section 3.

use bailiwick_protocol::changeset::{
    Changeset, Instruction, Kind, ObjectKey, Path, PathElement, Symbol, TypeCode, UpdateKind,
};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::OriginTimestamp;
use smallvec::SmallVec;

use super::Concurrent;
use super::error::{MAX_INDEX, MergeError, MergeFault, Position};

/// A text, as a number that means the same on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name(pub(super) u32);

impl Name {
    /// Stands for all texts that the incoming side does not contain. It is only ever compared with names
    /// of that side, so no two unknown texts meet.
    pub(super) const UNKNOWN: Self = Self(u32::MAX);
}

/// An object, as a number that means the same on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Object(pub(super) u32);

impl Object {
    /// Stands for all objects that the incoming side does not mention.
    pub(super) const UNKNOWN: Self = Self(u32::MAX);
}

/// An object key whose text, if it is one, is a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Not an object: the declaration of the class, so that schema instructions are indexed likewise.
    Schema,
    Null,
    Int(i64),
    String(Name),
    ObjectId([u8; 12]),
    Uuid([u8; 16]),
    Global {
        hi: u64,
        lo: u64,
    },
}

impl Key {
    pub(super) fn new(key: ObjectKey, names: &[Name]) -> Self {
        match key {
            ObjectKey::Null => Self::Null,
            ObjectKey::Int(value) => Self::Int(value),
            ObjectKey::String(symbol) => Self::String(name(names, symbol)),
            ObjectKey::ObjectId(id) => Self::ObjectId(id),
            ObjectKey::Uuid(id) => Self::Uuid(id),
            ObjectKey::GlobalKey { hi, lo } => Self::Global { hi, lo },
        }
    }
}

/// A path element whose text, if it is one, is a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Index(u32),
    Key(Name),
}

/// Which of two changesets is the later one: the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Disc {
    pub(super) timestamp: OriginTimestamp,
    pub(super) file_ident: FileIdent,
}

/// The two sides of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Local,
    Remote,
}

/// Where the instruction behind an op stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) side: Side,
    pub(super) changeset: u32,
    pub(super) instruction: u32,
}

/// What an Update sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sets {
    /// A field or dictionary entry.
    Value,
    /// A field, to the value that the schema has for it.
    Default,
    /// A list element.
    Element,
}

/// An instruction as a merge sees it.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) kind: Kind,
    /// The type of an Update's value.
    pub(super) value: TypeCode,
    /// What an Update sets.
    pub(super) sets: Sets,
    /// Whether no rule has discarded it.
    pub(super) is_live: bool,
    /// Whether a rule has edited or discarded it.
    pub(super) is_changed: bool,
    /// How deep it reaches: 1 is a class, 2 an object or column, 3 a field, and so on.
    pub(super) level: u32,
    pub(super) class: Name,
    pub(super) object: Object,
    pub(super) field: Name,
    /// The path without its last step: the list, dictionary or object below the field.
    pub(super) container: SmallVec<[Step; 2]>,
    /// The last step of the path, unless it is about the field itself. List rules read and write little else.
    pub(super) last: Option<Step>,
    /// The length of the list before, if it is about a list element.
    pub(super) prior_size: u32,
    /// Where an ArrayMove moves to.
    pub(super) to: u32,
    pub(super) place: Place,
    pub(super) disc: Disc,
}

impl Op {
    /// The op of `instruction`, whose class and object have been looked up as `class` and `object`.
    ///
    /// `names` has the name of each symbol of the changeset.
    pub(super) fn new(
        instruction: &Instruction,
        names: &[Name],
        object: Object,
        place: Place,
        disc: Disc,
    ) -> Self {
        let mut op = Self {
            kind: instruction.kind(),
            value: TypeCode::Null,
            sets: Sets::Value,
            is_live: true,
            is_changed: false,
            level: 2,
            class: name(names, instruction.table()),
            object,
            field: Name::UNKNOWN,
            container: SmallVec::new(),
            last: None,
            prior_size: 0,
            to: 0,
            place,
            disc,
        };
        match instruction {
            Instruction::AddTable { .. } | Instruction::EraseTable { .. } => op.level = 1,
            Instruction::AddColumn(column) => op.field = name(names, column.field),
            Instruction::EraseColumn { field, .. } => op.field = name(names, *field),
            Instruction::Update { value, kind, .. } => {
                op.value = value.type_code();
                match kind {
                    UpdateKind::Value { is_default: true } => op.sets = Sets::Default,
                    UpdateKind::Value { is_default: false } => (),
                    UpdateKind::Element { prior_size } => {
                        op.sets = Sets::Element;
                        op.prior_size = *prior_size;
                    }
                }
            }
            Instruction::ArrayMove { to, prior_size, .. } => {
                op.to = *to;
                op.prior_size = *prior_size;
            }
            Instruction::ArrayInsert { prior_size, .. }
            | Instruction::ArrayErase { prior_size, .. } => op.prior_size = *prior_size,
            _ => (),
        }
        if let Some(target) = instruction.target() {
            op.field = name(names, target.field);
            let mut steps = target.path.iter().map(|element| match element {
                PathElement::Index(index) => Step::Index(*index),
                PathElement::Key(symbol) => Step::Key(name(names, *symbol)),
            });
            op.last = steps.next_back();
            op.container.extend(steps);
            op.level = 3 + u32::try_from(target.path.len()).unwrap_or(u32::MAX - 3);
        }
        op
    }

    /// An EraseColumn that a rule has invented, at the place of the instruction that it precedes.
    pub(super) fn erase_column(class: Name, field: Name, place: Place, disc: Disc) -> Self {
        Self {
            kind: Kind::EraseColumn,
            value: TypeCode::Null,
            sets: Sets::Value,
            is_live: true,
            is_changed: false,
            level: 2,
            class,
            object: Object::UNKNOWN,
            field,
            container: SmallVec::new(),
            last: None,
            prior_size: 0,
            to: 0,
            place,
            disc,
        }
    }

    /// Writes what rules have edited back into the instruction; values are edited there directly.
    pub(super) fn store(&self, instruction: &mut Instruction) {
        let edited = self.prior_size;
        match instruction {
            Instruction::Update { kind: UpdateKind::Element { prior_size }, .. }
            | Instruction::ArrayInsert { prior_size, .. }
            | Instruction::ArrayErase { prior_size, .. } => *prior_size = edited,
            Instruction::ArrayMove { to, prior_size, .. } => {
                *to = self.to;
                *prior_size = edited;
            }
            _ => (),
        }
        let path: Option<&mut Path> = instruction.target_mut().map(|target| &mut target.path);
        let steps = self.container.iter().chain(&self.last);
        for (element, step) in path.into_iter().flatten().zip(steps) {
            if let (PathElement::Index(index), Step::Index(edited)) = (element, step) {
                *index = *edited;
            }
        }
    }

    /// Takes the instruction out of its changeset.
    pub(super) fn discard(&mut self) {
        self.is_live = false;
        self.is_changed = true;
    }

    /// The position of the list element that it is about.
    #[inline]
    pub(super) fn index(&self) -> Result<u32, MergeFault> {
        match self.last {
            Some(Step::Index(index)) => Ok(index),
            _ => Err(MergeFault::InconsistentPaths),
        }
    }

    #[inline]
    pub(super) fn set_index(&mut self, index: u32) {
        if let Some(Step::Index(old)) = &mut self.last {
            self.is_changed |= *old != index;
            *old = index;
        }
    }

    #[inline]
    pub(super) fn set_prior_size(&mut self, prior_size: u32) {
        self.is_changed |= self.prior_size != prior_size;
        self.prior_size = prior_size;
    }

    #[inline]
    pub(super) fn set_to(&mut self, to: u32) {
        self.is_changed |= self.to != to;
        self.to = to;
    }

    /// Whether both are about the same column: the field in all objects.
    pub(super) fn is_same_column(&self, other: &Self) -> bool {
        self.class == other.class && self.field == other.field
    }

    #[inline]
    pub(super) fn is_same_field(&self, other: &Self) -> bool {
        self.object == other.object && self.field == other.field
    }

    pub(super) fn is_same_path(&self, other: &Self) -> bool {
        self.last == other.last && self.is_same_container(other)
    }

    /// Whether both are about places in the same list, dictionary, object or field.
    #[inline]
    pub(super) fn is_same_container(&self, other: &Self) -> bool {
        self.is_same_field(other)
            && self.level == other.level
            && (self.container.is_empty() || self.container == other.container)
    }

    /// The step that leads from this place on towards `inner`, which is at a deeper level, if that lies below.
    pub(super) fn next_step(&self, inner: &Self) -> Option<Step> {
        let steps = self.container.iter().chain(&self.last);
        let mut inner_steps = inner.container.iter().chain(&inner.last);
        let is_prefix = self.is_same_field(inner)
            && steps.zip(inner_steps.by_ref()).all(|(step, inner)| step == inner);
        if is_prefix { inner_steps.next().copied() } else { None }
    }

    /// The element of this op's list through which the path of `inner`, which is at a deeper level, leads, if it does.
    pub(super) fn sibling(&self, inner: &Self) -> Result<Option<u32>, MergeFault> {
        let is_inside = self.is_same_field(inner) && inner.container.starts_with(&self.container);
        match inner.container.get(self.container.len()) {
            Some(Step::Index(index)) if is_inside => Ok(Some(*index)),
            Some(Step::Key(_)) if is_inside => Err(MergeFault::InconsistentPaths),
            _ => Ok(None),
        }
    }

    /// Renumbers the element that [`sibling`](Self::sibling) has found.
    pub(super) fn set_sibling(&self, inner: &mut Self, index: u32) {
        inner.container[self.container.len()] = Step::Index(index);
        inner.is_changed = true;
    }
}

/// One more, unless a changeset could not hold it.
#[inline]
pub(super) fn up(index: u32) -> Result<u32, MergeFault> {
    if index < MAX_INDEX { Ok(index + 1) } else { Err(MergeFault::IndexTooLarge) }
}

/// One less.
#[inline]
pub(super) fn down(index: u32) -> Result<u32, MergeFault> {
    index.checked_sub(1).ok_or(MergeFault::InconsistentPaths)
}

/// The name of a symbol.
pub(super) fn name(names: &[Name], symbol: Symbol) -> Name {
    names[symbol.0 as usize]
}

/// The changesets of both sides.
#[derive(Debug)]
pub(super) struct Sides<'a> {
    pub(super) local: &'a mut [Concurrent],
    pub(super) remote: &'a mut [Concurrent],
}

impl Sides<'_> {
    /// The changeset that an op comes from.
    pub(super) fn changeset(&self, op: &Op) -> &Changeset {
        let i = op.place.changeset as usize;
        match op.place.side {
            Side::Local => &self.local[i].changeset,
            Side::Remote => &self.remote[i].changeset,
        }
    }

    /// As [`changeset`](Self::changeset), to change it.
    pub(super) fn changeset_mut(&mut self, op: &Op) -> &mut Changeset {
        let i = op.place.changeset as usize;
        match op.place.side {
            Side::Local => &mut self.local[i].changeset,
            Side::Remote => &mut self.remote[i].changeset,
        }
    }

    /// The instruction that an op stands for; what rules have edited may be newer in the op.
    pub(super) fn instruction(&self, op: &Op) -> &Instruction {
        &self.changeset(op).instructions[op.place.instruction as usize]
    }

    /// As [`instruction`](Self::instruction), to change it.
    pub(super) fn instruction_mut(&mut self, op: &Op) -> &mut Instruction {
        let i = op.place.instruction as usize;
        &mut self.changeset_mut(op).instructions[i]
    }

    /// What is wrong with a pair; `a` is the local op.
    pub(super) fn explain(&self, a: &Op, b: &Op, fault: MergeFault) -> MergeError {
        let position = |op: &Op| Position {
            changeset: op.place.changeset as usize,
            instruction: op.place.instruction as usize,
        };
        let mut instruction = self.instruction(a).clone();
        a.store(&mut instruction);
        let path = self.changeset(a).describe(&instruction);
        MergeError { local: position(a), remote: position(b), path, fault }
    }
}
