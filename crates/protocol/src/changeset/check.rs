//! What can be said against an instruction without knowing the state.
//!
//! The reference decodes such instructions and fails later, on every device that receives them; some
//! abort it. A server refuses them before it stores anything. Spec: changeset format, section 14.

use super::UpdateKind;
use super::{
    Changeset, CollectionKind, Instruction, KeyType, Kind, PathElement, Payload, Symbol, TableKind,
    TypeCode,
};

/// Which instruction breaks which rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("instruction {instruction}, {kind:?} {path}: {rule}")]
pub struct CheckError {
    /// The index of the instruction.
    pub instruction: usize,
    /// What it is.
    pub kind: Kind,
    /// What it is about ([`Changeset::describe`]).
    pub path: String,
    /// The rule.
    pub rule: CheckRule,
}

/// The rules that need no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckRule {
    /// Class names have 1 to 57 bytes.
    #[error("a class name has {0} bytes, not 1 to {MAX_CLASS_NAME_LEN}")]
    ClassNameLength(usize),
    /// Field names have 1 to 63 bytes.
    #[error("a field name has {0} bytes, not 1 to {MAX_FIELD_NAME_LEN}")]
    FieldNameLength(usize),
    /// A column has a type that a value can have.
    #[error("a column cannot be of type {0:?}")]
    ColumnType(TypeCode),
    /// Mixed values can always be null.
    #[error("a mixed column must be nullable")]
    MixedNotNullable,
    /// The keys of a dictionary are strings.
    #[error("the keys of a dictionary must be strings")]
    DictionaryKeyType,
    /// Only some values can stand in some places.
    #[error("a value of type {0:?} cannot stand here")]
    PayloadPosition(TypeCode),
    /// A position lies within the list.
    #[error("position {index} is outside of a list of {size}")]
    ArrayBounds {
        /// The position.
        index: u32,
        /// The length of the list.
        size: u32,
    },
    /// Lists stay short enough for merging to add to their sizes.
    #[error("a list of {0} elements is longer than {MAX_LIST_SIZE}")]
    ListSize(u32),
    /// A move goes somewhere.
    #[error("an element is moved from {0} to {0}")]
    ArrayMoveSame(u32),
}

/// The longest class name, in bytes: what a Realm file leaves for it.
pub const MAX_CLASS_NAME_LEN: usize = 57;
/// The longest field name, in bytes: what a Realm file leaves for it.
pub const MAX_FIELD_NAME_LEN: usize = 63;
/// The longest list: 2^31-1 elements, so that merging can add to a size or position.
pub const MAX_LIST_SIZE: u32 = i32::MAX.cast_unsigned();

impl Changeset {
    /// Checks every instruction by itself.
    ///
    /// # Errors
    ///
    /// The first instruction that breaks a rule.
    pub fn check(&self) -> Result<(), CheckError> {
        for (index, instruction) in self.instructions.iter().enumerate() {
            self.check_instruction(instruction).map_err(|rule| CheckError {
                instruction: index,
                kind: instruction.kind(),
                path: self.describe(instruction),
                rule,
            })?;
        }
        Ok(())
    }

    fn check_instruction(&self, instruction: &Instruction) -> Result<(), CheckRule> {
        self.check_class(instruction.table())?;
        if let Some(target) = instruction.target() {
            self.check_field(target.field)?;
        }
        if let Some(Payload::Link(link)) = instruction.value() {
            self.check_class(link.table)?;
        }
        match instruction {
            Instruction::AddTable {
                kind: TableKind::TopLevel(key) | TableKind::Asymmetric(key),
                ..
            } => match key.key_type {
                KeyType::GlobalKey => Ok(()),
                _ => self.check_field(key.field),
            },
            Instruction::AddColumn(column) => {
                self.check_field(column.field)?;
                check_column(column.column_type, column.nullable, column.collection)?;
                if column.key_type.is_some_and(|key_type| key_type != TypeCode::String) {
                    return Err(CheckRule::DictionaryKeyType);
                }
                match column.link_target {
                    Some(target) if !self.text(target).is_empty() => self.check_class(target),
                    _ => Ok(()),
                }
            }
            Instruction::EraseColumn { field, .. } => self.check_field(*field),
            Instruction::Update { target, value, kind } => {
                let is_entry = matches!(target.path.last(), Some(PathElement::Key(_)));
                if matches!(value, Payload::Set) || matches!(value, Payload::Erased) && !is_entry {
                    return Err(CheckRule::PayloadPosition(value.type_code()));
                }
                match (kind, target.index()) {
                    (UpdateKind::Element { prior_size }, Some(index)) => {
                        check_bounds(index, *prior_size)
                    }
                    _ => Ok(()),
                }
            }
            Instruction::ArrayInsert { target, value, prior_size } => {
                if matches!(value, Payload::Set | Payload::Erased) {
                    return Err(CheckRule::PayloadPosition(value.type_code()));
                }
                // The position after the last element is a position, too.
                check_bounds(target.index().unwrap_or(u32::MAX), prior_size.saturating_add(1))
            }
            Instruction::ArrayMove { target, to, prior_size } => {
                let from = target.index().unwrap_or(u32::MAX);
                check_bounds(from, *prior_size)?;
                check_bounds(*to, *prior_size)?;
                if from == *to { Err(CheckRule::ArrayMoveSame(from)) } else { Ok(()) }
            }
            Instruction::ArrayErase { target, prior_size } => {
                check_bounds(target.index().unwrap_or(u32::MAX), *prior_size)
            }
            Instruction::SetInsert { value, .. } | Instruction::SetErase { value, .. } => {
                match value {
                    Payload::ObjectValue
                    | Payload::Dictionary
                    | Payload::List
                    | Payload::Set
                    | Payload::Erased => Err(CheckRule::PayloadPosition(value.type_code())),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn check_class(&self, class: Symbol) -> Result<(), CheckRule> {
        match self.text(class).len() {
            1..=MAX_CLASS_NAME_LEN => Ok(()),
            len => Err(CheckRule::ClassNameLength(len)),
        }
    }

    fn check_field(&self, field: Symbol) -> Result<(), CheckRule> {
        match self.text(field).len() {
            1..=MAX_FIELD_NAME_LEN => Ok(()),
            len => Err(CheckRule::FieldNameLength(len)),
        }
    }
}

fn check_column(
    column_type: TypeCode,
    nullable: bool,
    collection: CollectionKind,
) -> Result<(), CheckRule> {
    match column_type {
        TypeCode::Set
        | TypeCode::List
        | TypeCode::Erased
        | TypeCode::Dictionary
        | TypeCode::ObjectValue
        | TypeCode::GlobalKey => Err(CheckRule::ColumnType(column_type)),
        TypeCode::Null if !nullable && collection != CollectionKind::Dictionary => {
            Err(CheckRule::MixedNotNullable)
        }
        _ => Ok(()),
    }
}

fn check_bounds(index: u32, size: u32) -> Result<(), CheckRule> {
    if size > MAX_LIST_SIZE {
        return Err(CheckRule::ListSize(size));
    }
    if index < size { Ok(()) } else { Err(CheckRule::ArrayBounds { index, size }) }
}
