//! Why an edit is refused.

use std::fmt;

use bailiwick_core::EncodingError;
use bailiwick_core::apply::{ApplyError, Fault};
use bailiwick_core::state::PrimaryKey;

use crate::local::LocalError;
use crate::object::ObjectError;
use crate::schema::SchemaError;

/// Why a transaction or one of its edits failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// An edit is not possible. Nothing of it was done, and the transaction can go on.
    #[error(transparent)]
    Refused(Box<RefusedEdit>),
    /// The classes that the application declares contradict those of the realm.
    #[error(transparent)]
    Schema(Box<SchemaConflict>),
    /// The classes that the application declares cannot be.
    #[error(transparent)]
    InvalidSchema(#[from] SchemaError),
    /// The realm's file cannot be read or written. The transaction cannot go on.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// A transaction begins in another one of the same realm, which it would wait for without end.
    #[error("a transaction of the same realm is going on in this thread")]
    Nested,
    /// The runtime has shut down before the transaction began.
    #[error("the runtime has shut down")]
    ShutDown,
}

/// An edit that is not possible: where, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedEdit {
    /// The class of the top-level object.
    pub class: String,
    /// The top-level object, if the edit is about one.
    pub key: Option<PrimaryKey>,
    /// The place in the object, as in `owner.pets[3]`; empty for the object itself.
    pub path: String,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with an edit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// What would be wrong with it on any device.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// There is no such class; these are the ones that there are.
    #[error("there is no class {name:?}, but {}", Names(.known))]
    NoClass {
        /// What was asked for.
        name: String,
        /// The classes of the realm.
        known: Vec<String>,
    },
    /// There is no such field; these are the ones that there are.
    #[error("there is no field {name:?}, but {}", Names(.known))]
    NoField {
        /// What was asked for.
        name: String,
        /// The fields of the class.
        known: Vec<String>,
    },
    /// An object is created that is there already.
    #[error("the object exists")]
    Exists,
    /// A link leads to an object that does not exist.
    #[error("there is no {class}[{key}] to link to")]
    NoTarget {
        /// The class of the missing object.
        class: String,
        /// Its key.
        key: PrimaryKey,
    },
    /// Objects without a primary key can be changed, not created.
    #[error("objects of a class without primary key cannot be created")]
    NoPrimaryKey,
    /// Asymmetric objects are gone from the device with the commit, and cannot be taken back on the server.
    #[error("asymmetric objects cannot be deleted")]
    Asymmetric,
    /// Something else is here.
    #[error("this is not {expected}, but {found}")]
    Kind {
        /// What was asked for.
        expected: &'static str,
        /// What there is.
        found: &'static str,
    },
    /// A struct cannot become an object, or an object a struct.
    #[error(transparent)]
    Struct(#[from] ObjectError),
    /// There is nothing to add to.
    #[error("nothing can be added to null")]
    NullSum,
    /// A key is longer than a device can read.
    #[error("the key has {0} bytes, more than a device can read")]
    KeyLength(usize),
    /// A timestamp has nanoseconds of a second or more, or of another sign than the seconds.
    #[error("a timestamp cannot have {seconds} seconds and {nanoseconds} nanoseconds")]
    Timestamp {
        /// Its seconds.
        seconds: i64,
        /// Its nanoseconds.
        nanoseconds: i32,
    },
    /// A value together with the names and keys that lead to it is longer than what a server takes in one message.
    #[error(
        "the value and the keys that lead to it have {0} bytes, more than a server takes at once"
    )]
    TooLong(usize),
    /// All transactions have an end.
    #[error("the transaction is too large")]
    TooLarge,
}

/// A contradiction between the classes that an application declares and those of the realm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: the realm has {realm}, the application {application}; declare what the realm has, or use another name",
    self.place()
)]
pub struct SchemaConflict {
    /// The class.
    pub class: String,
    /// The field, if it is about one.
    pub field: Option<String>,
    /// What the realm has.
    pub realm: String,
    /// What the application declares.
    pub application: String,
}

impl SchemaConflict {
    fn place(&self) -> String {
        match &self.field {
            Some(field) => format!("{}.{field}", self.class),
            None => self.class.clone(),
        }
    }
}

impl std::error::Error for RefusedEdit {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.problem)
    }
}

impl fmt::Display for RefusedEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.class)?;
        if let Some(key) = &self.key {
            write!(f, "[{key}]")?;
        }
        match self.path.as_str() {
            "" => (),
            path => write!(f, ".{path}")?,
        }
        write!(f, ": {}", self.problem)
    }
}

impl WriteError {
    /// Why the edit was refused, if that is what happened.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(refused) => Some(&refused.problem),
            _ => None,
        }
    }
}

impl From<EncodingError> for WriteError {
    fn from(error: EncodingError) -> Self {
        Self::Local(LocalError::Damaged(error))
    }
}

/// What ends a step on the way to a place, before anybody says which place it was.
pub(super) enum Stop {
    Problem(Problem),
    Error(WriteError),
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Problem(Problem::Fault(fault))
    }
}

impl From<LocalError> for Stop {
    fn from(error: LocalError) -> Self {
        Self::Error(WriteError::Local(error))
    }
}

impl From<ApplyError<LocalError>> for Stop {
    fn from(error: ApplyError<LocalError>) -> Self {
        match error {
            ApplyError::Refused(refusal) => refusal.fault.into(),
            ApplyError::Store(error) => error.into(),
            ApplyError::Corrupt(error) => Self::Error(error.into()),
            _ => Self::Error(EncodingError::Invalid("for an unknown reason").into()),
        }
    }
}

/// Names in a message, not too many.
struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 20;
        match self.0 {
            [] => return f.write_str("none at all"),
            names => f.write_str(&names[..names.len().min(MOST)].join(", "))?,
        }
        if self.0.len() > MOST { f.write_str(", ...") } else { Ok(()) }
    }
}
