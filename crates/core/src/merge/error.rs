//! Why two sides cannot be merged.

use std::fmt;

use bailiwick_protocol::changeset::{CollectionKind, KeyType, TypeCode};

/// Two instructions contradict each other; nothing of either side may be used.
///
/// Either they come from different schemas, or one of the changesets is malformed or was not made on the
/// base that its author claims.
#[derive(Debug, thiserror::Error)]
#[error("local {local} against incoming {remote}, at {path}")]
pub struct MergeError {
    /// Where the local instruction stands.
    pub local: Position,
    /// Where the incoming instruction stands.
    pub remote: Position,
    /// What the local instruction is about, for the log: `Dog[1].toys[3]`.
    pub path: String,
    /// What is wrong.
    #[source]
    pub fault: MergeFault,
}

impl MergeError {
    /// Whether the sides declare the same class or field differently.
    ///
    /// All other faults mean that a changeset is malformed or mis-based.
    pub fn is_schema_mismatch(&self) -> bool {
        matches!(self.fault, MergeFault::Schema(_))
    }
}

/// The place of an instruction in its side, as both were when the merge began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The index of the changeset in the slice that was merged.
    pub changeset: usize,
    /// The index of the instruction in that changeset.
    pub instruction: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "changeset {}, instruction {}", self.changeset, self.instruction)
    }
}

/// What is wrong with a pair of instructions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeFault {
    /// Both declare the same class or field, differently.
    #[error("schema mismatch: {0}")]
    Schema(Box<SchemaMismatch>),
    /// Instructions on one list saw different lengths.
    #[error("the list has {left} elements for one instruction and {right} for the other")]
    PriorSize {
        /// The prior size of one of the two.
        left: u32,
        /// The prior size of the other.
        right: u32,
    },
    /// A position lies outside of the list.
    #[error("position {index} is outside of a list of {prior_size} elements")]
    IndexOutOfRange {
        /// The position.
        index: u32,
        /// The length of the list.
        prior_size: u32,
    },
    /// A position or length would exceed what a changeset can hold.
    #[error("a position exceeds {MAX_INDEX}")]
    IndexTooLarge,
    /// The same container is a list for one instruction, and a dictionary or object for the other.
    #[error("inconsistent paths")]
    InconsistentPaths,
}

/// How two declarations of a class or field differ; the local side first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are the class, the field, and what both sides declare")]
pub enum SchemaMismatch {
    /// The primary keys are different fields.
    #[error("class '{class}' has primary key '{local}' here and '{remote}' there")]
    KeyField { class: String, local: String, remote: String },
    /// The primary keys have different types.
    #[error(
        "primary key '{key}' of class '{class}' is of type {local:?} here and {remote:?} there"
    )]
    KeyType { class: String, key: String, local: KeyType, remote: KeyType },
    /// Only one of the primary keys can be null.
    #[error("primary key '{key}' of class '{class}' is nullable on one side only")]
    KeyNullable { class: String, key: String },
    /// Only one of the classes is asymmetric.
    #[error("class '{class}' is asymmetric on one side only")]
    Asymmetric { class: String },
    /// Only one of the classes is embedded.
    #[error("class '{class}' is embedded on one side only")]
    Embedded { class: String },
    /// The fields have different types; [`TypeCode::Null`] means mixed.
    #[error("'{class}.{field}' is of type {local:?} here and {remote:?} there")]
    ColumnType { class: String, field: String, local: TypeCode, remote: TypeCode },
    /// Only one of the fields can be null.
    #[error("'{class}.{field}' is nullable on one side only")]
    ColumnNullable { class: String, field: String },
    /// The fields hold different collections.
    #[error("'{class}.{field}' is a {local:?} here and a {remote:?} there")]
    ColumnCollection { class: String, field: String, local: CollectionKind, remote: CollectionKind },
    /// The links lead to different classes.
    #[error("'{class}.{field}' links to class '{local}' here and to '{remote}' there")]
    ColumnTarget { class: String, field: String, local: String, remote: String },
}

impl From<SchemaMismatch> for MergeFault {
    fn from(mismatch: SchemaMismatch) -> Self {
        Self::Schema(Box::new(mismatch))
    }
}

/// The largest position and length that a changeset can hold, as the decoder has it.
pub(super) const MAX_INDEX: u32 = i32::MAX.unsigned_abs();
