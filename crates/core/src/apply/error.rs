//! Why a changeset is refused.

use std::fmt;

use bailiwick_protocol::changeset::{CollectionKind, Kind};

use crate::encoding::EncodingError;
use crate::state::ObjectStore;

/// Why a changeset was not applied. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError<E: std::error::Error + 'static> {
    /// The changeset is bad, and will be just as bad the next time.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed; nothing is known of the changeset.
    #[error("the objects cannot be read")]
    Store(#[source] E),
    /// A stored object cannot be read; nothing is known of the changeset.
    #[error("a stored object cannot be read")]
    Corrupt(#[source] EncodingError),
}

/// Which instruction is refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("instruction {instruction}, {kind:?} {path}: {fault}")]
pub struct Refusal {
    /// The index of the instruction.
    pub instruction: usize,
    /// What it is.
    pub kind: Kind,
    /// What it is about, as in `Task[objectId 5f3c1a2b4d5e6f7081920a0b].tags[3]`.
    pub path: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with an instruction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// There is no such class.
    #[error("there is no class {0:?}")]
    NoClass(String),
    /// A class is declared again and differs.
    #[error("the class exists and is different")]
    ClassDiffers,
    /// A realm has at most 10,000 classes.
    #[error("the realm has too many classes")]
    TooManyClasses,
    /// A class is the target of a column of another class.
    #[error("another class has links to it")]
    LinkTarget,
    /// A class that was erased comes back in another changeset only.
    #[error("the same changeset has erased the class")]
    ErasedClass,
    /// Class names have 1 to 57 bytes.
    #[error("the name of the class has {0} bytes, not 1 to 57")]
    ClassNameLength(usize),
    /// Field names have 1 to 63 bytes.
    #[error("the name of the field has {0} bytes, not 1 to 63")]
    FieldNameLength(usize),
    /// There is no such field.
    #[error("there is no field {0:?}")]
    NoField(String),
    /// A field is declared again and differs.
    #[error("the field exists and is different")]
    FieldDiffers,
    /// A class has at most 65,535 fields.
    #[error("the class has too many fields")]
    TooManyFields,
    /// There are no columns of this type.
    #[error("there are no such columns: {0}")]
    ColumnType(&'static str),
    /// The primary key cannot be changed.
    #[error("the primary key cannot be changed")]
    PrimaryKey,
    /// The key does not have the type of the class's primary key.
    #[error("the key does not fit the primary key of class {0:?}")]
    KeyType(String),
    /// A `GlobalKey` that no file can hold.
    #[error("the GlobalKey is out of range")]
    GlobalKeyRange,
    /// Embedded objects have no key.
    #[error("class {0:?} is embedded")]
    EmbeddedClass(String),
    /// There is no such object.
    #[error("there is no such object")]
    NoObject,
    /// Links lead neither out of asymmetric objects nor to them.
    #[error("an asymmetric object has no links, and there are none to it")]
    AsymmetricLink,
    /// A link leads to an object of another class than its field says.
    #[error("the field has links to another class than {0:?}")]
    TargetClass(String),
    /// Null where it cannot be.
    #[error("null is not allowed here")]
    NotNullable,
    /// A value of the wrong type.
    #[error("the value should be of type {expected}, not {found}")]
    Type {
        /// What fits.
        expected: &'static str,
        /// What came.
        found: &'static str,
    },
    /// A string or binary is longer than a device can store.
    #[error("the value has {0} bytes, more than a device can store")]
    ValueLength(usize),
    /// A whole collection is not written by Update.
    #[error("the path leads to a whole collection")]
    WholeCollection,
    /// The instruction needs a list element.
    #[error("the path does not lead to a list element")]
    NotAnElement,
    /// The instruction needs a set.
    #[error("the path does not lead to a set")]
    NotASet,
    /// The instruction needs a collection.
    #[error("the path does not lead to a collection")]
    NotACollection,
    /// Integers are added to fields.
    #[error("the path does not lead to a field")]
    NotAField,
    /// A collection of another kind is cleared.
    #[error("the collection is not a {0:?}")]
    CollectionKind(CollectionKind),
    /// The path goes on where nothing is below.
    #[error("the path goes through a value that holds nothing")]
    Through,
    /// The path goes through a link to a top-level object.
    #[error("the path goes through a link")]
    ThroughLink,
    /// The path has an index where there is no list, or a name where there is one.
    #[error("the path has an element of the wrong kind")]
    PathElement,
    /// The path is longer than any device writes.
    #[error("the path has {0} elements")]
    PathLength(usize),
    /// Collections lie too deep in each other.
    #[error("the collections lie more than 100 levels deep")]
    Nesting,
    /// There is no such element.
    #[error("position {index} is outside of a list of {len}")]
    Index {
        /// The position.
        index: u32,
        /// The length of the list.
        len: usize,
    },
    /// The list does not have the length that its author saw.
    #[error("the list has {len} elements, not {prior_size}")]
    PriorSize {
        /// What the instruction says.
        prior_size: u32,
        /// The length of the list.
        len: usize,
    },
    /// A move goes somewhere.
    #[error("an element is moved to where it is")]
    SamePosition,
    /// Devices would need another form of the changeset, and that is out of proportion.
    #[error("what devices would have to get instead is too large")]
    Rewrite,
    /// There is no such dictionary key.
    #[error("there is no dictionary key {0:?}")]
    NoKey(String),
    /// Dictionary keys start with no dollar sign and contain no dot.
    #[error("{0:?} cannot be a dictionary key")]
    BadKey(String),
}

/// What ends one instruction: its own fault, or that of the store.
pub(super) enum StepError<E> {
    Fault(Fault),
    Store(E),
    Corrupt(EncodingError),
}

/// The result of one step of a transaction over `S`.
pub(super) type Step<T, S> = Result<T, StepError<<S as ObjectStore>::Error>>;

impl<E> From<Fault> for StepError<E> {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Fault {
    /// A name from a changeset, short enough for a log.
    pub(super) fn name(text: &str) -> String {
        Excerpt(text).to_string()
    }
}

/// The beginning of a text.
pub(super) struct Excerpt<'a>(pub(super) &'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 100;
        match self.0.char_indices().nth(LONGEST) {
            Some((end, _)) => write!(f, "{}...", &self.0[..end]),
            None => f.write_str(self.0),
        }
    }
}
